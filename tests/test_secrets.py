"""Test that no secret is in the output or the files of a command: keys, signatures, passwords."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from loopback import Request, Server, redirect, reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Videostat

KEY = "Canary-key&5f1c9a7e20"
SIGNATURE = "canary-signature-77d0"
PASSWORD = "canary-password-31b8"
WEBHOOK_SECRET = "whsec_canary-4fe2"

# The end of the key is the same in every encoding of the key.
CANARIES = ("5f1c9a7e20", SIGNATURE, PASSWORD, WEBHOOK_SECRET)
ECHO = {"X-Echo": f"Bearer {KEY}", "X-Request-Id": quote(KEY, safe="")}

VIDEO = f"http://127.0.0.1:9/v.mp4?X-Amz-Signature={SIGNATURE}"

# Answers of the service that contain secrets.
ANSWERS = {
    "a page": reply(f"<html>{html.escape(KEY)}</html>".encode(), 502, ECHO, content_type=f"text/{KEY}"),
    "a page again": reply(f"<html>{KEY}</html>".encode("utf-16"), 502, content_type=f"text/{quote(KEY)}"),
    "refused": reply({"code": 10105, "msg": f"invalid key {KEY}"}, 401, ECHO),
    "refused in Go": reply(json.dumps({"code": 1, "msg": f"key {KEY}"}).replace("&", r"\u0026").encode(), 401),
    "out of credit": reply({"code": 18020, "msg": f"token {quote(KEY, safe='')} is exhausted"}),
    "failed": reply({"code": 0, "data": {"status": "failed", "error": f"worker of {KEY} died"}}),
    "unknown word": reply({"code": 0, "data": {"status": f"on hold for {KEY}", "title": KEY}}),
    "moved": redirect(f"http://u:{PASSWORD}@127.0.0.1:9/{quote(KEY)}/x?token={SIGNATURE}"),
    "moved for good": redirect(f"https://127.0.0.1:9/{KEY}/TARGET?key={KEY}"),
    "moved for good again": redirect(f"https://127.0.0.1:9/{quote(KEY)}/TARGET"),
    "video elsewhere": reply({"code": 0, "data": {"status": "success", "video_url": VIDEO}}, headers=ECHO),
}

COMMANDS = (
    ("status", "{provider}", "proj_1", "--debug"),
    ("status", "{provider}", "proj_1", "--json"),
    ("wait", "{provider}", "proj_1", "--timeout", "1", "--debug"),
    ("wait", "{provider}", "proj_1", "--timeout", "15", "--download", "--debug"),
    ("download", "{provider}", "proj_1", "--debug"),
    ("list", "{provider}", "--debug"),
    ("config", "show"),
    ("config", "check", "--debug"),
    ("providers",),
    ("history", "--json"),
)


@pytest.fixture
def service() -> Iterator[Server]:
    def answer(request: Request) -> bytes:
        _, name, path = request.target.split("/", 2)
        return ANSWERS[name.replace("-", " ")].replace(b"TARGET", path.encode())

    with Server(answer) as server:
        yield server


@pytest.fixture
def speed() -> float:
    return 300


@pytest.mark.parametrize("provider", ["jogg", "doubao"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_no_command_leaves_a_secret_in_its_output_or_files(
    service: Server, videostat: Videostat, home: Path, monkeypatch: pytest.MonkeyPatch, *, provider: str, answer: str
) -> None:
    monkeypatch.setenv(f"VIDEOSTAT_{provider.upper()}_API_KEY", KEY)
    monkeypatch.setenv("VIDEOSTAT_JOGG_WEBHOOK_SECRET", WEBHOOK_SECRET)
    monkeypatch.setenv(f"VIDEOSTAT_{provider.upper()}_BASE_URL", f"{service.url}/{answer.replace(' ', '-')}")
    for command in COMMANDS:
        got = videostat(*(word.format(provider=provider) for word in command))
        assert got.code != 1, got.stderr
        assert "Traceback" not in got.stderr
        assert not [canary for canary in CANARIES if canary in got.stderr], command
        # On stdout, the URL of the video is the answer itself, so it may be there.
        shown = got.stdout.replace(VIDEO, "")
        assert not [canary for canary in CANARIES if canary in shown], command
    left = b"".join(path.read_bytes() for folder in (home, Path.cwd()) for path in folder.rglob("*") if path.is_file())
    assert b"proj_1" in left
    assert not [canary for canary in CANARIES if canary.encode() in left]


def test_password_of_a_proxy_is_not_printed(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", KEY)
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", "https://jogg.example")
    monkeypatch.setenv("HTTPS_PROXY", f"http://someone:{PASSWORD}@127.0.0.1:9")
    got = videostat("status", "jogg", "proj_1", "--debug")
    assert got.code == 6
    assert "proxy" in got.stderr
    assert PASSWORD not in got.stdout + got.stderr
