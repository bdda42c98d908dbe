"""The webhooks of the simulated JoggAI: signed as its own, sent again as its own, and failing as words in an id say."""

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


def until(number: int, sandbox: Sandbox) -> list[Posted]:
    """Return what was posted as soon as there is so much of it; time stands still meanwhile."""
    ends = time.monotonic() + 10
    while len(sandbox.posted) < number and time.monotonic() < ends:
        time.sleep(0.01)
    return [*sandbox.posted]


def settled(sandbox: Sandbox, number: int = 0) -> list[Posted]:
    """Return what was posted once so much of it is there, and nothing more comes.

    The sandbox looks at the time four times a second.
    """
    until(number, sandbox)
    time.sleep(0.4)
    return [*sandbox.posted]


def begin(sandbox: Sandbox, name: str, job_id: str) -> None:
    assert ask(sandbox, PATHS[name].format(id=job_id)).status == 200


def is_signed(sandbox: Sandbox, request: Request) -> bool:
    secret = sandbox.environment[SECRET_VARIABLE]
    expected = hmac.new(secret.encode("utf-8"), request.body, hashlib.sha256).hexdigest()
    return request.headers["x-webhook-signature"] == expected


@pytest.mark.parametrize(("name", "kind"), [("jogg", ""), ("jogg-avatar", "avatar_"), ("jogg-product", "product_")])
@pytest.mark.parametrize(("words", "end"), [("", "success"), ("-fail", "failed"), ("-novideo", "success")])
def test_the_end_of_a_job_is_announced_as_joggai_does(
    sandbox: Sandbox, clock: FakeClock, listener: Server, *, name: str, kind: str, words: str, end: str
) -> None:
    job_id = f"demo-1{words}"
    begin(sandbox, name, job_id)
    assert settled(sandbox) == []
    clock.sleep(120)
    (posted,) = until(1, sandbox)
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
    # And videostat understands it.
    read = {other: each.webhook.read(content) for other, each in PROVIDERS.items() if each.webhook}
    assert {other: found for other, found in read.items() if found} == {name: job_id}


def test_the_other_services_announce_nothing(sandbox: Sandbox, clock: FakeClock) -> None:
    begin(sandbox, "doubao", "demo-1")
    begin(sandbox, "reelbot", "demo-1")
    clock.sleep(300)
    assert settled(sandbox) == []


@pytest.mark.parametrize("words", ["done", "stuck"])
def test_what_has_ended_before_or_never_ends_is_not_announced(sandbox: Sandbox, clock: FakeClock, words: str) -> None:
    begin(sandbox, "jogg", f"demo-{words}")
    clock.sleep(300)
    assert settled(sandbox) == []


def test_a_job_is_announced_once_however_often_it_is_asked_for(sandbox: Sandbox, clock: FakeClock) -> None:
    for _ in range(5):
        begin(sandbox, "jogg", "demo-1")
    clock.sleep(120)
    assert len(settled(sandbox, 1)) == 1


def test_a_submitted_body_may_name_an_address_of_its_own(sandbox: Sandbox, clock: FakeClock, listener: Server) -> None:
    def order(url: Any) -> str:
        body = json.dumps({"prompt": "a cat", "webhook_url": url})
        return str(ask(sandbox, "/jogg/v2/avatar", method="POST", body=body).json["data"]["project_id"])

    with Server(reply(b"", 200)) as other:
        own = order(f"{other.url}/mine")
        for url in (f"{listener.url}/hooks?of=sandbox", 7, None):
            order(url)
        clock.sleep(120)
        assert len(settled(sandbox, 5)) == 5
    assert len(listener.requests) == 4
    (request,) = other.requests
    assert (request.target, json.loads(request.body)["data"]["project_id"]) == ("/mine", own)
    assert is_signed(sandbox, request)


@pytest.mark.parametrize("word", sorted(OF_DELIVERIES))
def test_a_word_of_an_id_changes_its_delivery(sandbox: Sandbox, clock: FakeClock, listener: Server, word: str) -> None:
    assert word in WORDS
    job_id = f"demo-1-{word}"
    begin(sandbox, "jogg", job_id)
    expected = {
        "twice": ({True: 2}, {True: 2}),
        "early": ({True: 1, False: 1}, {True: 1, False: 1}),
        "lost": ({}, {}),
        "late": ({}, {True: 1}),
    }

    def signed(expected: dict[bool, int]) -> Counter[bool]:
        settled(sandbox, sum(expected.values()))
        return Counter(is_signed(sandbox, each) for each in listener.requests)

    before, after = expected[word]
    clock.sleep(90)
    assert signed(before) == before
    clock.sleep(19)
    assert signed(before) in (before, after)
    clock.sleep(20)
    assert signed(after) == after


def test_a_forged_one_comes_before_the_end(sandbox: Sandbox, clock: FakeClock, listener: Server) -> None:
    begin(sandbox, "jogg", "demo-1-early")
    clock.sleep(35)
    (posted,) = until(1, sandbox)
    (request,) = listener.requests
    assert not is_signed(sandbox, request)
    assert posted.status == 204
    assert PROVIDERS["jogg"].webhook
    assert PROVIDERS["jogg"].webhook.read(json.loads(request.body)) == "demo-1-early"


@pytest.mark.parametrize(
    "answer", [reply(b"", 500), reply(b"", 404), reply(b"", 401), redirect("/elsewhere"), b"", b"no HTTP\r\n\r\n"]
)
def test_what_is_not_taken_is_sent_again_three_times_five_seconds_apart(
    clock: FakeClock, sandbox: Sandbox, listener: Server, answer: bytes
) -> None:
    listener.answer = answer
    begin(sandbox, "jogg", "demo-1")
    clock.sleep(120)
    for number in range(1, 5):
        assert len(until(number, sandbox)) == number
        clock.sleep(4)
        assert len(settled(sandbox, number)) == number, "not before 5 s have passed"
        clock.sleep(1)
    assert len(settled(sandbox)) == 4
    assert [each.delivery.failures for each in sandbox.posted] == [0, 1, 2, 3]
    assert len({request.body for request in listener.requests}) == 1


def test_what_is_taken_at_the_second_attempt_is_not_sent_again(
    clock: FakeClock, sandbox: Sandbox, listener: Server
) -> None:
    answers = iter([reply(b"", 503), reply(b"", 200)])
    listener.answer = lambda _: next(answers)
    begin(sandbox, "jogg", "demo-1")
    clock.sleep(120)
    until(1, sandbox)
    clock.sleep(5)
    until(2, sandbox)
    clock.sleep(60)
    assert [each.status for each in settled(sandbox, 2)] == [503, 200]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/closed", "http://", "nonsense", "http://[/x", "http://a b/x"])
def test_an_address_that_is_none_is_tried_as_often(clock: FakeClock, url: str) -> None:
    with Sandbox(clock=clock, webhook=url) as sandbox:
        begin(sandbox, "jogg", "demo-1")
        clock.sleep(120)
        assert [each.status for each in until(1, sandbox)] == [None]
        for number in range(2, 5):
            clock.sleep(5)
            assert [each.status for each in until(number, sandbox)] == [None] * number


def test_the_sandbox_ends_with_deliveries_ahead_and_under_way(clock: FakeClock, listener: Server) -> None:
    with Sandbox(clock=clock, webhook=listener.url) as sandbox:
        begin(sandbox, "jogg", "demo-1")
        clock.sleep(50)
        submit(sandbox, "jogg")
    clock.sleep(300)
    time.sleep(0.4)
    assert len(listener.requests) == 0


def test_the_receiver_takes_what_the_sandbox_sends(clock: FakeClock) -> None:
    heard = []

    def hear(delivery: Any) -> bool:
        heard.append(delivery)
        return True

    with (
        Receiver(Address("127.0.0.1", 0, "/hooks"), hear) as receiver,
        Sandbox(clock=clock, webhook=receiver.address.origin + receiver.address.path) as sandbox,
    ):
        for number in range(20):
            begin(sandbox, "jogg", f"demo-{number}")
        clock.sleep(120)
        assert [each.status for each in until(20, sandbox)] == [204] * 20
    assert len(heard) == 20
