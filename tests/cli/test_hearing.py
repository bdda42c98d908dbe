"""wait --listen: a delivery causes a look at its job; a public address is tested before it is relied on."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import requests
from fakes import FakeClock
from loopback import Server, redirect, reply

from videostat import Client
from videostat.cli import hearing as module
from videostat.hooks.address import parse_address
from videostat.hooks.delivery import sign
from videostat.models import JobRef
from videostat.polling.options import Hint
from videostat.sandbox.webhooks import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import trustme
    from conftest import Videostat
    from loopback import Request

    from videostat.cli.session import Session
    from videostat.sandbox import Sandbox

PATH = "/hooks/k3JxT0p9QwEr7yUi"

pytestmark = pytest.mark.usefixtures("no_history")


@pytest.fixture
def speed() -> float:
    return 150


@pytest.fixture
def behaviour(port: int) -> Mapping[str, Any]:
    return {"webhook": f"http://127.0.0.1:{port}{PATH}"}


def count_looks(sandbox: Sandbox) -> int:
    return sum(1 for each in sandbox.requests if each.method == "GET" and each.path.startswith("/jogg/v2/project/"))


def list_statuses(sandbox: Sandbox) -> list[int | None]:
    return [each.status for each in sandbox.posted]


# --- deliveries


def test_a_delivery_wakes_the_wait(videostat: Videostat, sandbox: Sandbox, port: int) -> None:
    ids = [f"proj_{number}_hook" for number in range(5)]
    got = videostat("wait", "jogg", *ids, "--listen", f"{port}{PATH}", "--interval", "5m", "--json")
    assert (got.code, {each["id"] for each in got.objects}) == (0, set(ids))
    assert list_statuses(sandbox) == [204] * 5
    assert count_looks(sandbox) == 15, "the first, the one that JoggAI advises after 30 s, and the one that was woken"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("twice", [204, 204]),
        # A refused delivery is repeated three times.
        ("early", [401, 401, 401, 401, 204]),
        ("fail", [204]),
    ],
)
def test_repeated_or_forged_delivery_does_not_change_the_exit_code(
    videostat: Videostat, sandbox: Sandbox, port: int, words: str, expected: list[int]
) -> None:
    job = f"proj_{words}_1"
    got = videostat("wait", "jogg", job, "--listen", f"{port}{PATH}", "--json", "--interval", "5m")
    assert got.code == (5 if words == "fail" else 0)
    statuses = [status for status in list_statuses(sandbox) if status]
    # The second of two deliveries may find no receiver: the wait is over.
    assert statuses in ([204], expected) if words == "twice" else statuses == expected
    assert count_looks(sandbox) == 3, "as many as with one delivery"
    assert ("refused a delivery with a wrong signature" in got.stderr) == (401 in expected)


@pytest.mark.parametrize("words", ["lost", "late"])
def test_wait_ends_when_the_delivery_is_lost_or_late(videostat: Videostat, port: int, words: str) -> None:
    assert videostat("wait", "jogg", f"proj_{words}_1", "--listen", f"{port}{PATH}").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("speed", [40])
def test_forged_delivery_without_a_secret_costs_one_look(
    videostat: Videostat, sandbox: Sandbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_JOGG_WEBHOOK_SECRET")
    got = videostat("wait", "jogg", "proj_early_1", "--listen", f"{port}{PATH}", "--interval", "5m")
    assert got.code == 0
    # The first look, the one that JoggAI advises, and one for each delivery: the forged and the real one.
    assert (list_statuses(sandbox), count_looks(sandbox)) == ([204, 204], 4)


def test_wrong_secret_is_reported_once_and_polling_continues(
    videostat: Videostat, sandbox: Sandbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_WEBHOOK_SECRET", "whsec_canary-of-another")
    got = videostat("wait", "jogg", "proj_1_hook", "proj_2_hook", "--listen", f"{port}{PATH}", "--interval", "1m")
    assert got.code == 0
    # A repeated delivery may find no receiver: the wait is over.
    assert {*list_statuses(sandbox)} - {None} == {401}
    assert got.stderr.count("refused a delivery with a wrong signature") == 1
    assert "canary" not in got.stderr


def test_deliveries_for_an_id_of_two_accounts_are_accepted(
    videostat: Videostat, sandbox: Sandbox, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same id at two services; JoggAI's secret is known, the gateway has none.
    body = json.dumps({"id": "demo-shared-1"}).encode()
    answers: list[int] = []

    def deliver() -> None:
        for headers in ({}, {"X-Webhook-Signature": sign(SECRET, body)}):
            for _ in range(100):
                try:
                    answers.append(
                        requests.post(f"http://127.0.0.1:{port}{PATH}", body, headers=headers, timeout=5).status_code
                    )
                    break
                except requests.ConnectionError:
                    time.sleep(0.02)

    thread = threading.Thread(target=deliver)
    thread.start()
    got = videostat("wait", "jogg:demo-shared-1", "doubao:demo-shared-1", "--listen", f"{port}{PATH}")
    thread.join()
    assert (got.code, answers) == (0, [204, 204])


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("secret", "status", "hinted"),
    [(None, 204, ["doubao"]), ("whsec_wrong", 204, ["doubao"]), (SECRET, 204, ["jogg", "doubao"])],
)
def test_delivery_hints_only_at_accounts_that_can_have_sent_it(
    secret: str | None, status: int, hinted: list[str]
) -> None:
    body = json.dumps({"id": "demo-shared-1", "others": "demo-shared-2"}).encode()
    refs = [JobRef(provider, "demo-shared-1") for provider in ("jogg", "doubao")]
    headers = {"X-Webhook-Signature": sign(secret, body)} if secret else {}
    with Client() as client:
        session = cast("Session", SimpleNamespace(client=client, clock=FakeClock()))
        with module.Hearing(session, parse_address(f"0{PATH}")) as hearing:
            hearing.expect([*refs, JobRef("jogg", "demo-other-3")])
            assert requests.post(hearing.url, body, headers=headers, timeout=5).status_code == status
            assert hearing.inbox.get(timeout=5) == Hint(tuple(ref for ref in refs if ref.provider in hinted))
            assert hearing.inbox.empty()


def test_help_of_wait_names_the_listen_option(videostat: Videostat) -> None:
    assert "--listen" in videostat("wait", "--help").stdout


# --- the address


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_generated_path_is_printed_even_with_quiet(videostat: Videostat, quiet: tuple[str, ...]) -> None:
    got = videostat("wait", "jogg", "proj_done", "--listen", "0", *quiet)
    assert got.code == 0
    assert re.search(r"^Listening at http://127\.0\.0\.1:\d+/[\w-]{22}$", got.stderr, re.MULTILINE)


def test_progress_json_prints_the_address_as_an_event(videostat: Videostat) -> None:
    got = videostat("wait", "jogg", "proj_done", "--listen", "0", "--progress", "json")
    first, *_ = [json.loads(line) for line in got.stderr.splitlines()]
    assert first["event"] == "listening"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{22}", first["url"])


def test_path_given_by_the_user_is_not_printed(videostat: Videostat, port: int) -> None:
    got = videostat("wait", "jogg", "proj_done", "--listen", f"{port}{PATH}")
    assert (got.code, PATH in got.stderr) == (0, False)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--listen", "http"], "'http' is not [HOST:]PORT[/PATH]"),
        (["--listen", ""], "'' is not [HOST:]PORT[/PATH]"),
        (["--listen", "0.0.0.0:8080/short"], "its path needs at least 16 characters"),
        (["--listen", "0", "--url", "http://a.example"], "'http://a.example' does not begin with https://"),
        (["--listen", "0", "--url", "a.example"], "does not begin with https://"),
        (["--listen", "0", "--url", ""], "does not begin with https://"),
        (["--listen", "0", "--url", "https://u:p@a.example"], "--url must be an address"),
        (["--listen", "0", "--url", "https://a.example/?q"], "--url must be an address"),
        (["--url", "https://a.example"], "--url needs --listen"),
        (["--listen", "no-such-host.invalid:0/abcdefghijklmnop"], "cannot listen on no-such-host.invalid, port 0"),
    ],
)
def test_invalid_listen_or_url_exits_2_before_any_request(
    videostat: Videostat, sandbox: Sandbox, argv: list[str], said: str
) -> None:
    got = videostat("wait", "jogg", "proj_1", *argv)
    assert (got.code, got.stdout, list(sandbox.requests)) == (2, "", [])
    assert said in got.stderr
    assert len(got.stderr.splitlines()) <= 2


def test_port_in_use_exits_2_before_any_request(videostat: Videostat, sandbox: Sandbox) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        got = videostat("wait", "jogg", "proj_1", "--listen", str(taken.getsockname()[1]))
    assert (got.code, list(sandbox.requests)) == (2, [])
    assert re.search("cannot listen on 127.0.0.1, port .* in use", got.stderr)


def test_secret_with_a_space_exits_2_before_any_request(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_WEBHOOK_SECRET", "whsec canary")
    got = videostat("wait", "jogg", "proj_1", "--listen", "0")
    assert (got.code, list(sandbox.requests)) == (2, [])
    assert "It must be a secret without spaces" in got.stderr
    assert "canary" not in got.stderr


# --- a public address


class Tunnel(Server):
    """A public https address on loopback that forwards requests to the port while it is `up`."""

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        super().__init__(self.forward, tls=tls)
        self.up = True
        self.target = f"http://127.0.0.1:{port}"
        self.url = self.url.replace("127.0.0.1", "localhost")

    def forward(self, request: Request) -> bytes:
        if not self.up:
            return reply(b"<html>no tunnel here</html>", 502, content_type="text/html")
        headers = {name: value for name, value in request.headers.items() if name.startswith(("x-", "content-type"))}
        answer = requests.post(self.target + request.target, request.body, headers=headers, timeout=5)
        return reply(answer.content, answer.status_code)


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Make a certificate for localhost that videostat trusts."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def tunnel(port: int, tls: ssl.SSLContext) -> Iterator[Tunnel]:
    with Tunnel(port, tls) as tunnel:
        yield tunnel


@pytest.fixture
def wait(videostat: Videostat, port: int) -> Callable[..., Any]:
    def wait(*ids: str, url: str, options: tuple[str, ...] = ()) -> Any:
        return videostat("wait", "jogg", *ids, "--listen", f"{port}{PATH}", "--url", url, *options)

    return wait


def test_working_public_address_needs_two_or_three_looks_per_job(
    wait: Callable[..., Any], sandbox: Sandbox, tunnel: Tunnel
) -> None:
    ids = [f"proj_{number}_hook" for number in range(10)]
    got = wait(*ids, url=tunnel.url)
    assert got.code == 0
    assert f"deliveries arrive through {tunnel.url}: each job is checked once a minute" in got.stderr
    # A job of the sandbox takes 60 to 90 seconds, so some jobs get one more look in between.
    assert 20 <= count_looks(sandbox) <= 30
    assert list_statuses(sandbox) == [204] * 10


def test_knock_is_accepted_unsigned_and_causes_no_look(
    wait: Callable[..., Any], tunnel: Tunnel, sandbox: Sandbox
) -> None:
    got = wait("proj_done", url=tunnel.url)
    assert (got.code, count_looks(sandbox)) == (0, 1)
    assert [request.target for request in tunnel.requests] == [PATH]
    assert "wrong signature" not in got.stderr


def test_quiet_prints_nothing_about_the_public_address(wait: Callable[..., Any], tunnel: Tunnel) -> None:
    got = wait("proj_done", url=tunnel.url, options=("--quiet",))
    assert (got.code, got.stderr) == (0, "")


STRANGERS = {
    "a page": reply(b"<html>Welcome</html>", 200, content_type="text/html"),
    "somebody else's 204": reply(b"", 204),
    "a 404": reply({}, 404),
    "a redirect": redirect("https://elsewhere.example/"),
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("who", STRANGERS)
def test_url_of_another_server_is_reported_once_and_polling_continues(
    wait: Callable[..., Any], tls: ssl.SSLContext, sandbox: Sandbox, who: str
) -> None:
    with Server(STRANGERS[who], tls=tls) as stranger:
        url = stranger.url.replace("127.0.0.1", "localhost")
        got = wait("proj_1_lost", "proj_2_lost", url=url)
    assert got.code == 0
    assert got.stderr.count(f"no delivery can arrive through {url}: ") == 1
    assert count_looks(sandbox) >= 8, "as often as without --listen"


@pytest.mark.parametrize("url", ["https://localhost:1", "https://no-such-host.invalid"])
def test_tunnel_dead_at_start_is_reported_once_and_polling_continues(
    wait: Callable[..., Any], sandbox: Sandbox, url: str
) -> None:
    got = wait("proj_1_lost", url=url)
    assert got.code == 0
    assert got.stderr.count(f"no delivery can arrive through {url}: ") == 1
    assert count_looks(sandbox) >= 4


@pytest.fixture
def turn_after_knock(tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Open or close the tunnel after each knock; knock `every` so many seconds."""

    def turn(*, every: float, up: bool) -> None:
        knock = module.Hearing._knock

        def then_turn(self: module.Hearing) -> None:
            knock(self)
            tunnel.up = up

        monkeypatch.setattr(module, "KNOCK_EVERY", every)
        monkeypatch.setattr(module.Hearing, "_knock", then_turn)

    return turn


def test_tunnel_that_dies_later_is_reported_and_polling_continues(
    wait: Callable[..., Any], sandbox: Sandbox, tunnel: Tunnel, turn_after_knock: Callable[..., None]
) -> None:
    turn_after_knock(every=30, up=False)
    got = wait("proj_1_lost", url=tunnel.url)
    assert got.code == 0
    assert "deliveries arrive through" in got.stderr
    assert f"no delivery can arrive through {tunnel.url}: another server answers there (HTTP 502)" in got.stderr
    assert count_looks(sandbox) >= 4


def test_tunnel_that_comes_back_is_reported(
    wait: Callable[..., Any], sandbox: Sandbox, tunnel: Tunnel, turn_after_knock: Callable[..., None]
) -> None:
    tunnel.up = False
    turn_after_knock(every=10, up=True)
    got = wait("proj_1_hook", url=tunnel.url)
    assert got.code == 0
    assert list_statuses(sandbox) == [204]
    assert got.stderr.index("no delivery can arrive through") < got.stderr.index("deliveries arrive through")


def test_webhook_secret_is_in_no_output(
    wait: Callable[..., Any], tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch, videostat: Videostat
) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_WEBHOOK_SECRET", SECRET)
    for options in (("--debug",), ("--json",), ("--progress", "json")):
        got = wait("proj_early_1", "proj_2_hook", url=tunnel.url, options=options)
        assert SECRET not in got.stdout + got.stderr
    assert SECRET not in videostat("config", "show", "--json").stdout


def test_wait_says_which_ids_are_too_short_for_webhooks(videostat: Videostat, port: int) -> None:
    got = videostat("wait", "jogg", "demo-1", "demo-longer", "--listen", f"{port}{PATH}", "--timeout", "3")
    assert "webhooks are not recognised for ids of fewer than 8 characters: demo-1; these" in got.stderr
    assert "demo-longer;" not in got.stderr
