from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock

import pytest

from videostat.client import Client
from videostat.clock import Clock
from videostat.config import Settings
from videostat.errors import (
    ConfigError,
    KeyChanged,
    KeyMissing,
    KeyRefused,
    NotFound,
    NotSaved,
    Redirected,
    ServerError,
    ServiceError,
    Unreadable,
    UsageError,
)
from videostat.models import Job, JobRef, State
from videostat.providers import PROVIDERS
from videostat.providers.base import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from videostat.transport import Transport

NOW = datetime(2025, 1, 21, 16, tzinfo=UTC)

ENVIRONMENT = {provider.key_variable: f"{provider.key_group}-key" for provider in PROVIDERS.values()} | {
    "VIDEOSTAT_DOUBAO_BASE_URL": "https://gateway.example/prefix"
}
DONE = {"status": "completed", "message": "ready"}
VIDEO = {"success": True, "downloadUrl": "https://cdn.example/v?a=b", "expiresAt": "2025-01-21T17:30:00.000Z"}


@dataclass
class FakeTransport:
    """A transport that gives the answers of a script in order; any further request fails."""

    script: list[tuple[int, object]]
    asked: list[tuple[str, str, str, Mapping[str, str], object]] = field(default_factory=list)
    opened: list[tuple[str, Mapping[str, str], str, Mapping[str, str]]] = field(default_factory=list)

    def ask(
        self, method: str, base_url: str, path: str, auth: Mapping[str, str], *, body: Mapping[str, Any] | None = None
    ) -> Answer:
        self.asked.append((method, base_url, path, auth, body))
        status, said = self.script.pop(0)
        return Answer(status=status, headers={}, body=said, received_at=NOW)

    def open(self, url: str, headers: Mapping[str, str], *, base_url: str, auth: Mapping[str, str]) -> str:
        self.opened.append((url, headers, base_url, auth))
        return "body"


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Client, FakeTransport]]:
    def client(*script: object, environment: Mapping[str, str] = ENVIRONMENT) -> tuple[Client, FakeTransport]:
        transport = FakeTransport([said if isinstance(said, tuple) else (200, said) for said in script])
        return Client(Settings(tmp_path / "config.toml", environment), cast("Transport", transport)), transport

    return client


@pytest.mark.parametrize(
    ("name", "base_url", "auth"),
    [
        ("jogg", "https://api.jogg.ai", {"x-api-key": "jogg-key"}),
        ("doubao", "https://gateway.example/prefix", {"Authorization": "Bearer doubao-key"}),
    ],
)
def test_look_sends_one_request_with_the_key_of_its_account(
    name: str, base_url: str, auth: dict[str, str], make: Callable[..., Any]
) -> None:
    client, transport = make((500, None))
    with pytest.raises(ServerError):
        client.look(Job(ref=JobRef(name, "a-1~")))
    (asked,) = transport.asked
    assert asked == ("GET", base_url, PROVIDERS[name].job.path.format(id="a-1~"), auth, None)


def test_look_returns_the_job(make: Callable[..., Any]) -> None:
    client, _ = make({"status": "IN_PROGRESS", "progress": "45%"})
    job = client.look(Job(ref=JobRef("doubao", "a1")))
    assert (job.state, job.progress, job.ref) == (State.RUNNING, 45, JobRef("doubao", "a1"))


def test_second_look_asks_only_for_the_missing_url(make: Callable[..., Any]) -> None:
    client, transport = make(DONE, VIDEO)
    seen = client.look(Job(ref=JobRef("reelbot", "a1")))
    assert (seen.needs_url, seen.video_url) == (True, None)
    found = client.look(seen)
    assert found == replace(
        seen,
        needs_url=False,
        video_url="https://cdn.example/v?a=b",
        expires_at=datetime(2025, 1, 21, 17, 30, tzinfo=UTC),
    )
    assert [asked[2] for asked in transport.asked] == [
        "/api/v1/video/status/a1",
        "/api/v1/video/download/a1",
    ]


def test_configured_account_has_its_own_address_and_key(make: Callable[..., Any], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[providers.eu]\ntype = "doubao"\nbase_url = "https://eu.example"\napi_key = "eu-key"\n')
    config.chmod(0o600)
    client, transport = make({"status": "QUEUED"})
    assert client.look(Job(ref=JobRef("eu", "a1"))).ref == JobRef("eu", "a1")
    assert transport.asked[0][1:4] == (
        "https://eu.example",
        "/v1/video/generations/a1",
        {"Authorization": "Bearer eu-key"},
    )


@pytest.mark.parametrize(
    ("name", "environment", "error"),
    [("jogg", {}, KeyMissing), ("doubao", {"DOUBAO_API_KEY": "key"}, ConfigError), ("nobody", {}, ConfigError)],
)
def test_no_request_is_sent_without_a_key_or_an_address(
    make: Callable[..., Any], name: str, environment: dict[str, str], error: type[Exception]
) -> None:
    client, transport = make(environment=environment)
    with pytest.raises(error):
        client.look(Job(ref=JobRef(name, "a1")))
    assert transport.asked == []


def test_submit_posts_the_body_and_returns_the_answer_unchanged(make: Callable[..., Any]) -> None:
    client, transport = make({"task_id": "a1"})
    assert client.submit("doubao", "/v1/video/generations", {"prompt": "waves"}) == {"task_id": "a1"}
    assert transport.asked == [
        (
            "POST",
            "https://gateway.example/prefix",
            "/v1/video/generations",
            {"Authorization": "Bearer doubao-key"},
            {"prompt": "waves"},
        )
    ]


@pytest.mark.parametrize(
    ("name", "said", "url"),
    [
        ("reelbot", VIDEO, "https://cdn.example/v?a=b"),
        ("doubao", {"status": "SUCCESS", "result_url": "https://cdn.example/d"}, "https://cdn.example/d"),
    ],
)
def test_fetch_link_asks_for_a_new_url(make: Callable[..., Any], name: str, said: object, url: str) -> None:
    client, transport = make(said)
    old = Job(ref=JobRef(name, "a1"), state=State.SUCCEEDED, video_url="https://cdn.example/old")
    assert client.fetch_link(old, timeout=60).url == url
    assert len(transport.asked) == 1


def test_fetch_link_raises_not_saved_if_there_is_no_url(make: Callable[..., Any]) -> None:
    client, _ = make({"status": "SUCCESS"})
    with pytest.raises(NotSaved, match="returned no video URL") as caught:
        client.fetch_link(Job(ref=JobRef("doubao", "a1"), state=State.SUCCEEDED))
    assert str(caught.value.hint).endswith("run the same command again.")


def test_fetch_link_raises_the_refusal_of_the_service(make: Callable[..., Any]) -> None:
    client, _ = make((400, {"code": "task_not_exist"}))
    with pytest.raises(NotFound):
        client.fetch_link(Job(ref=JobRef("doubao", "a1"), state=State.SUCCEEDED))


def test_second_fetch_link_waits_for_the_floor(make: Callable[..., Any]) -> None:
    said = {"status": "SUCCESS", "result_url": "https://cdn.example/d"}
    client, transport = make(said, said)
    client.clock = clock = Clock(speed=50)
    job = Job(ref=JobRef("doubao", "a1"), state=State.SUCCEEDED)
    before = clock.monotonic()
    client.fetch_link(job, timeout=60)
    client.fetch_link(job, timeout=60)
    assert clock.monotonic() - before >= PROVIDERS["doubao"].polling.floor
    assert len(transport.asked) == 2


def test_fetch_link_does_not_hold_the_lock_of_its_key_group(make: Callable[..., Any]) -> None:
    client, transport = make({"status": "SUCCESS", "result_url": "https://cdn.example/d"})
    ask, was_locked = transport.ask, []

    def look(*args: Any, **options: Any) -> Answer:
        was_locked.append(client.groups["doubao"].lock.locked())
        return cast("Answer", ask(*args, **options))

    transport.ask = look
    client.fetch_link(Job(ref=JobRef("doubao", "a1"), state=State.SUCCEEDED))
    assert was_locked == [False]


@pytest.mark.parametrize(
    ("wrote", "means"),
    [
        ("http://localhost:3000/v1/videos/a/content", "https://gateway.example/v1/videos/a/content"),
        ("http://127.0.0.1/v.mp4?x=%2F", "https://gateway.example/v.mp4?x=%2F"),
        ("http://gateway.example/v.mp4", "https://gateway.example/v.mp4"),
        ("http://gateway.example:8080/v.mp4", "http://gateway.example:8080/v.mp4"),
        ("/v1/videos/a/content", "https://gateway.example/v1/videos/a/content"),
        ("//cdn.example/v.mp4", "https://cdn.example/v.mp4"),
        (" https://cdn.example/v.mp4\n", "https://cdn.example/v.mp4"),
    ],
)
def test_local_or_relative_url_of_a_gateway_is_corrected(make: Callable[..., Any], wrote: str, means: str) -> None:
    client, _ = make({"status": "SUCCESS", "result_url": wrote})
    assert client.look(Job(ref=JobRef("doubao", "a1"))).video_url == means


def test_public_url_comes_before_a_corrected_url(make: Callable[..., Any]) -> None:
    client, _ = make({"status": "SUCCESS", "result_url": "http://localhost:3000/v", "url": "https://cdn.example/v"})
    job = client.look(Job(ref=JobRef("doubao", "a1")))
    assert (job.video_url, job.alternative_urls) == ("https://cdn.example/v", ("https://gateway.example/v",))


def test_download_step_can_redirect_to_the_file(make: Callable[..., Any]) -> None:
    client, transport = make()
    elsewhere = Redirected("elsewhere")
    elsewhere.location = "https://cdn.example/v"
    transport.ask = Mock(side_effect=elsewhere)
    job = Job(ref=JobRef("reelbot", "a1"), state=State.SUCCEEDED, needs_url=True)
    assert client.look(job).video_url == "https://cdn.example/v"
    with pytest.raises(Redirected):
        client.look(Job(ref=JobRef("reelbot", "a1")))


REFUSED = (401, {"error": {"message": "expired", "type": "new_api_error", "code": ""}})


def test_refused_key_from_a_command_is_read_once_more(make: Callable[..., Any], tmp_path: Path) -> None:
    counter, config = tmp_path / "counter", tmp_path / "config.toml"
    script = f"import pathlib; p = pathlib.Path({str(counter)!r}); n = len(p.read_text()) if p.exists() else 0; "
    script += "p.write_text('x' * (n + 1)); print('key', n, sep='')"
    command = shlex.join([sys.executable, "-c", script])
    config.write_text(f'[providers.doubao]\nbase_url = "https://g.example"\napi_key_command = {json.dumps(command)}\n')
    config.chmod(0o600)
    client, transport = make(REFUSED, REFUSED, {"status": "QUEUED"}, REFUSED, environment={})
    look = partial(client.look, Job(ref=JobRef("doubao", "a1")))
    for error in (KeyChanged, KeyRefused):
        with pytest.raises(error):
            look()
    assert look().state is State.QUEUED
    with pytest.raises(KeyChanged, match="a new key was found and is used from now on"):
        look()
    assert [asked[3]["Authorization"] for asked in transport.asked] == [
        f"Bearer key{number}" for number in (0, 1, 1, 1)
    ]


def test_refused_key_from_the_environment_is_surely_refused(make: Callable[..., Any]) -> None:
    client, _ = make(REFUSED)
    with pytest.raises(KeyRefused) as raised:
        client.look(Job(ref=JobRef("doubao", "a1")))
    assert raised.value.sure


def test_open_gives_the_transport_the_base_url_and_the_key(make: Callable[..., Any]) -> None:
    client, transport = make()
    headers = {"Range": "bytes=5-"}
    assert client.open(JobRef("doubao", "a1"), "https://cdn.example/v", headers) == "body"
    assert transport.opened == [
        ("https://cdn.example/v", headers, "https://gateway.example/prefix", {"Authorization": "Bearer doubao-key"})
    ]


def test_fetch_page_asks_by_number_and_size(make: Callable[..., Any]) -> None:
    said = {"code": 0, "data": {"projects": [{"project_id": "p1", "status": "pending"}], "total": 41}}
    client, transport = make(said, said)
    page = client.fetch_page("jogg", 3)
    assert ([job.ref for job in page.jobs], page.total) == ([JobRef("jogg", "p1")], 41)
    client.fetch_page("jogg", 1, size=7)
    assert [asked[2] for asked in transport.asked] == [
        "/v2/projects?page=3&limit=100",
        "/v2/projects?page=1&limit=7",
    ]


def test_service_without_a_list_suggests_the_history(make: Callable[..., Any]) -> None:
    client, transport = make()
    with pytest.raises(UsageError) as raised:
        client.fetch_page("reelbot", 1)
    assert "videostat history" in str(raised.value.hint)
    assert transport.asked == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("jogg", {"code": 0, "data": {"projects": [], "total": 0}}),
        ("doubao", (HTTPStatus.BAD_REQUEST, {"code": "task_not_exist", "message": "task_not_exist", "data": None})),
        ("reelbot", (HTTPStatus.NOT_FOUND, {"success": False, "message": "no", "code": "NOT_FOUND"})),
    ],
)
def test_check_proves_a_key_with_one_request(make: Callable[..., Any], name: str, said: object) -> None:
    client, transport = make(said)
    assert client.check(name) == f"environment variable {PROVIDERS[name].key_variable}"
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    ("name", "said", "error"),
    [
        ("jogg", (401, {"code": 10105, "msg": "bad key"}), KeyRefused),
        ("reelbot", (401, {"success": False, "message": "no", "code": "UNAUTHORIZED"}), KeyRefused),
        ("doubao", (404, None), Unreadable),
        ("doubao", (404, {}), ServiceError),
        ("reelbot", (400, {"code": "VALIDATION_ERROR"}), ServiceError),
        ("jogg", (400, {"code": 40000}), ServiceError),
    ],
)
def test_check_raises_if_the_answer_does_not_prove_the_key(
    make: Callable[..., Any], name: str, said: object, error: type[Exception]
) -> None:
    client, _ = make(said)
    with pytest.raises(error) as caught:
        client.check(name)
    is_unproven = error is ServiceError and name != "jogg"  # the others say "no such job"
    assert str(caught.value).startswith("cannot tell whether the key works: ") == is_unproven
