"""Test the webhooks of the simulated JoggAI: signatures, retries, and the words in an id that change them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeClock
from loopback import Request, Server, redirect, reply
from test_sandbox import OF_DELIVERIES, PATHS, ask, submit

from videostat.hooks.address import Address
from videostat.hooks.receiver import Receiver
from videostat.providers import PROVIDERS
from videostat.sandbox import WORDS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from videostat.sandbox.webhooks import Posted

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET_VARIABLE = "VIDEOSTAT_JOGG_WEBHOOK_SECRET"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def listener() -> Iterator[Server]:
    with Server(reply(b"", 204)) as server:
        yield server


@pytest.fixture
def sandbox(clock: FakeClock, listener: Server) -> Iterator[Sandbox]:
    with Sandbox(clock=clock, webhook=f"{listener.url}/hooks?of=sandbox") as sandbox:
        yield sandbox
        assert list(sandbox.errors) == []


def wait_for_posts(number: int, sandbox: Sandbox) -> list[Posted]:
    """Wait until `number` webhooks were posted, and return all; the clock of the sandbox stands still meanwhile."""
    ends = time.monotonic() + 10
    while len(sandbox.posted) < number and time.monotonic() < ends:
        time.sleep(0.01)
    return [*sandbox.posted]


def wait_until_settled(sandbox: Sandbox, number: int = 0) -> list[Posted]:
    """Wait for `number` webhooks and then for any further ones, and return all.

    The sandbox looks at the time four times a second.
    """
    wait_for_posts(number, sandbox)
    time.sleep(0.4)
    return [*sandbox.posted]


def begin_job(sandbox: Sandbox, name: str, job_id: str) -> None:
    assert ask(sandbox, PATHS[name].format(id=job_id)).status == 200


def is_signed(sandbox: Sandbox, request: Request) -> bool:
    secret = sandbox.environment[SECRET_VARIABLE]
    expected = hmac.new(secret.encode("utf-8"), request.body, hashlib.sha256).hexdigest()
    return request.headers["x-webhook-signature"] == expected


@pytest.mark.parametrize(("name", "kind"), [("jogg", ""), ("jogg-avatar", "avatar_"), ("jogg-product", "product_")])
@pytest.mark.parametrize(("words", "end"), [("", "success"), ("-fail", "failed"), ("-novideo", "success")])
def test_end_of_a_job_is_announced_as_joggai_does(
    sandbox: Sandbox, clock: FakeClock, listener: Server, *, name: str, kind: str, words: str, end: str
) -> None:
    job_id = f"demo-1{words}"
    begin_job(sandbox, name, job_id)
    assert wait_until_settled(sandbox) == []
    clock.sleep(120)
    (posted,) = wait_for_posts(1, sandbox)
    assert posted.status == 204
    (request,) = listener.requests
    assert (request.method, request.target) == ("POST", "/hooks?of=sandbox")
    assert is_signed(sandbox, request)
    event = f"generated_{kind}video_{end}"
    assert request.headers["x-webhook-event"] == event
    assert request.headers["user-agent"] == "JoggAI-Webhook/2.0"
    assert request.headers["content-type"] == "application/json"
    content = json.loads(request.body)
    assert content["event"] == event
    assert NOW < datetime.fromtimestamp(content["timestamp"], UTC) < NOW + timedelta(seconds=120)
    data = content["data"]
    assert ("video_url" in data, "error" in data) == (not words, end == "failed")
    read = {other: each.webhook.read(content) for other, each in PROVIDERS.items() if each.webhook}
    assert {other: found for other, found in read.items() if found} == {name: job_id}


def test_other_services_send_no_webhooks(sandbox: Sandbox, clock: FakeClock) -> None:
    begin_job(sandbox, "doubao", "demo-1")
    begin_job(sandbox, "reelbot", "demo-1")
    clock.sleep(300)
    assert wait_until_settled(sandbox) == []


@pytest.mark.parametrize("words", ["done", "stuck"])
def test_job_that_ended_before_or_never_ends_sends_no_webhook(sandbox: Sandbox, clock: FakeClock, words: str) -> None:
    begin_job(sandbox, "jogg", f"demo-{words}")
    clock.sleep(300)
    assert wait_until_settled(sandbox) == []


def test_job_sends_one_webhook_despite_repeated_requests(sandbox: Sandbox, clock: FakeClock) -> None:
    for _ in range(5):
        begin_job(sandbox, "jogg", "demo-1")
    clock.sleep(120)
    assert len(wait_until_settled(sandbox, 1)) == 1


def test_submitted_body_can_name_its_own_webhook_address(sandbox: Sandbox, clock: FakeClock, listener: Server) -> None:
    def order(url: Any) -> str:
        body = json.dumps({"prompt": "a cat", "webhook_url": url})
        return str(ask(sandbox, "/jogg/v2/avatar", method="POST", body=body).json["data"]["project_id"])

    with Server(reply(b"", 200)) as other:
        own = order(f"{other.url}/mine")
        for url in (f"{listener.url}/hooks?of=sandbox", 7, None):
            order(url)
        clock.sleep(120)
        assert len(wait_until_settled(sandbox, 5)) == 5
    assert len(listener.requests) == 4
    (request,) = other.requests
    assert (request.target, json.loads(request.body)["data"]["project_id"]) == ("/mine", own)
    assert is_signed(sandbox, request)


@pytest.mark.slow
@pytest.mark.parametrize("word", sorted(OF_DELIVERIES))
def test_word_in_an_id_changes_its_delivery(sandbox: Sandbox, clock: FakeClock, listener: Server, word: str) -> None:
    assert word in WORDS
    job_id = f"demo-1-{word}"
    begin_job(sandbox, "jogg", job_id)
    expected = {
        "twice": ({True: 2}, {True: 2}),
        "early": ({True: 1, False: 1}, {True: 1, False: 1}),
        "lost": ({}, {}),
        "late": ({}, {True: 1}),
    }

    def count_signed(expected: dict[bool, int]) -> Counter[bool]:
        wait_until_settled(sandbox, sum(expected.values()))
        return Counter(is_signed(sandbox, each) for each in listener.requests)

    before, after = expected[word]
    clock.sleep(90)
    assert count_signed(before) == before
    clock.sleep(19)
    assert count_signed(before) in (before, after)
    clock.sleep(20)
    assert count_signed(after) == after


def test_word_early_sends_a_forged_webhook_before_the_end(sandbox: Sandbox, clock: FakeClock, listener: Server) -> None:
    begin_job(sandbox, "jogg", "demo-1-early")
    clock.sleep(35)
    (posted,) = wait_for_posts(1, sandbox)
    (request,) = listener.requests
    assert not is_signed(sandbox, request)
    assert posted.status == 204
    assert PROVIDERS["jogg"].webhook
    assert PROVIDERS["jogg"].webhook.read(json.loads(request.body)) == "demo-1-early"


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer", [reply(b"", 500), reply(b"", 404), reply(b"", 401), redirect("/elsewhere"), b"", b"no HTTP\r\n\r\n"]
)
def test_refused_webhook_is_sent_again_three_times_every_five_seconds(
    clock: FakeClock, sandbox: Sandbox, listener: Server, answer: bytes
) -> None:
    listener.answer = answer
    begin_job(sandbox, "jogg", "demo-1")
    clock.sleep(120)
    for number in range(1, 5):
        assert len(wait_for_posts(number, sandbox)) == number
        clock.sleep(4)
        assert len(wait_until_settled(sandbox, number)) == number, "not before 5 s have passed"
        clock.sleep(1)
    assert len(wait_until_settled(sandbox)) == 4
    assert [each.delivery.failures for each in sandbox.posted] == [0, 1, 2, 3]
    assert len({request.body for request in listener.requests}) == 1


def test_webhook_accepted_at_the_second_attempt_is_not_sent_again(
    clock: FakeClock, sandbox: Sandbox, listener: Server
) -> None:
    answers = iter([reply(b"", 503), reply(b"", 200)])
    listener.answer = lambda _: next(answers)
    begin_job(sandbox, "jogg", "demo-1")
    clock.sleep(120)
    wait_for_posts(1, sandbox)
    clock.sleep(5)
    wait_for_posts(2, sandbox)
    clock.sleep(60)
    assert [each.status for each in wait_until_settled(sandbox, 2)] == [503, 200]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/closed", "http://", "nonsense", "http://[/x", "http://a b/x"])
def test_invalid_or_unreachable_address_is_tried_four_times(clock: FakeClock, url: str) -> None:
    with Sandbox(clock=clock, webhook=url) as sandbox:
        begin_job(sandbox, "jogg", "demo-1")
        clock.sleep(120)
        assert [each.status for each in wait_for_posts(1, sandbox)] == [None]
        for number in range(2, 5):
            clock.sleep(5)
            assert [each.status for each in wait_for_posts(number, sandbox)] == [None] * number


def test_stopped_sandbox_sends_no_pending_webhooks(clock: FakeClock, listener: Server) -> None:
    with Sandbox(clock=clock, webhook=listener.url) as sandbox:
        begin_job(sandbox, "jogg", "demo-1")
        clock.sleep(50)
        submit(sandbox, "jogg")
    clock.sleep(300)
    time.sleep(0.4)
    assert len(listener.requests) == 0


def test_receiver_accepts_the_webhooks_of_the_sandbox(clock: FakeClock) -> None:
    heard = []

    def hear(delivery: Any) -> bool:
        heard.append(delivery)
        return True

    with (
        Receiver(Address("127.0.0.1", 0, "/hooks"), hear) as receiver,
        Sandbox(clock=clock, webhook=receiver.address.origin + receiver.address.path) as sandbox,
    ):
        for number in range(20):
            begin_job(sandbox, "jogg", f"demo-{number}")
        clock.sleep(120)
        assert [each.status for each in wait_for_posts(20, sandbox)] == [204] * 20
    assert len(heard) == 20
