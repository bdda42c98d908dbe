"""Canaries: a key, a signed query and a proxy's password, looked for wherever a command leaves something."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loopback import Request, Server, reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Videostat

KEY = "canary-key-5f1c9a7e20"
SIGNATURE = "canary-signature-77d0"
PASSWORD = "canary-password-31b8"

CANARIES = (KEY, SIGNATURE, PASSWORD)

VIDEO = f"http://127.0.0.1:9/v.mp4?X-Amz-Signature={SIGNATURE}"

# What the service says.
ANSWERS = {
    "a page": reply(f"<html>{KEY}</html>".encode(), 502, content_type="text/html"),
    "refused": reply({"code": 10105, "msg": f"invalid key {KEY}"}, 401),
    "out of credit": reply({"code": 18020, "msg": f"token {KEY} is exhausted"}),
    "failed": reply({"code": 0, "data": {"status": "failed", "error": f"worker of {KEY} died"}}),
    "unknown word": reply({"code": 0, "data": {"status": f"on hold for {KEY}", "title": KEY}}),
    "moved": reply(b"", 302, {"Location": f"http://u:{PASSWORD}@127.0.0.1:9/x?token={SIGNATURE}"}),
    "video elsewhere": reply({"code": 0, "data": {"status": "success", "video_url": VIDEO}}),
}

COMMANDS = (
    ("status", "jogg", "proj_1", "--debug"),
    ("status", "jogg", "proj_1", "--json"),
    ("wait", "jogg", "proj_1", "--timeout", "1", "--debug"),
    ("wait", "jogg", "proj_1", "--timeout", "15", "--download", "--debug"),
    ("download", "jogg", "proj_1", "--debug"),
    ("list", "jogg", "--debug"),
    ("config", "show"),
    ("config", "check", "--debug"),
    ("providers",),
    ("history", "--json"),
)


@pytest.fixture
def service() -> Iterator[Server]:
    def answer(request: Request) -> bytes:
        return ANSWERS[request.target.split("/")[1].replace("-", " ")]

    with Server(answer) as server:
        yield server


@pytest.fixture
def speed() -> float:
    return 60


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_canary_is_left_anywhere(
    service: Server, videostat: Videostat, home: Path, monkeypatch: pytest.MonkeyPatch, *, answer: str
) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", KEY)
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", f"{service.url}/{answer.replace(' ', '-')}")
    for command in COMMANDS:
        got = videostat(*command)
        assert got.code != 1, got.stderr
        assert "Traceback" not in got.stderr
        assert not [canary for canary in CANARIES if canary in got.stderr], command
        # Whose answer is a URL shows it whole: it is what was asked for.
        shown = got.stdout.replace(VIDEO, "")
        assert not [canary for canary in CANARIES if canary in shown], command
    left = b"".join(path.read_bytes() for folder in (home, Path.cwd()) for path in folder.rglob("*") if path.is_file())
    assert b"proj_1" in left
    assert not [canary for canary in CANARIES if canary.encode() in left]


def test_a_proxys_password_is_not_told(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", KEY)
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", "https://jogg.example")
    monkeypatch.setenv("HTTPS_PROXY", f"http://someone:{PASSWORD}@127.0.0.1:9")
    got = videostat("status", "jogg", "proj_1", "--debug")
    assert got.code == 6
    assert "proxy" in got.stderr
    assert PASSWORD not in got.stdout + got.stderr
