"""videostat sandbox: run the simulated services as a server, to try commands and scripts."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import takewhile
from typing import TYPE_CHECKING

import pytest

from videostat.clock import WAKE_UP
from videostat.sandbox import Sandbox

if TYPE_CHECKING:
    from queue import SimpleQueue

    from conftest import Videostat

pytestmark = pytest.mark.usefixtures("no_history")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_sandbox_prints_exports_serves_and_ends_on_a_signal(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
) -> None:
    command = [sys.executable, "-m", "videostat", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            assert server.stderr
            exports = [server.stdout.readline() for _ in range(8)]
            messages = list(takewhile(lambda line: line != "  videostat wait jogg demo-1\n", server.stderr))
            assert any(line.startswith("Serving on http://127.0.0.1:") for line in messages)
            assert any("novideo" in line for line in messages)
            for line in exports:
                export, name, value = re.split("[ =]", line.rstrip("\n"), maxsplit=2)
                assert export == "export"
                monkeypatch.setenv(name, value)
            got = videostat("status", "-q", "jogg:proj_done", "doubao:task_done", "reelbot:reel_done")
            assert (got.code, got.lines) == (0, ["succeeded"] * 3)
            assert not sandbox.requests
        finally:
            server.send_signal(signum)
        assert server.wait(10) == -signum
        assert server.stdout.read() == ""
        assert "Traceback" not in server.stderr.read()


@pytest.mark.slow
def test_sandbox_sends_a_webhook_when_a_job_ends(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as receiver:
        receiver.settimeout(20)
        url = f"http://127.0.0.1:{receiver.getsockname()[1]}/hooks/here"
        command = [sys.executable, "-m", "videostat", "sandbox", "--port", "0", "--speed", "100", "--webhook", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                for _ in range(8):
                    _, name, value = re.split("[ =]", server.stdout.readline().rstrip("\n"), maxsplit=2)
                    monkeypatch.setenv(name, value)
                assert videostat("status", "-q", "jogg:proj_told").lines == ["queued"]
                delivery, _ = receiver.accept()
                with delivery:
                    assert delivery.recv(4096).startswith(b"POST /hooks/here ")
            finally:
                server.terminate()


def test_signal_during_the_start_ends_the_sandbox(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Sandbox.start

    def start_and_raise(sandbox: Sandbox) -> Sandbox:
        started = start(sandbox)
        signal.raise_signal(signal.SIGINT)
        return started

    monkeypatch.setattr(Sandbox, "start", start_and_raise)
    got = videostat("sandbox", "--port", "0")
    assert (got.code, len(got.lines)) == (130, 8)
    assert "Serving on http://127.0.0.1:" in got.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["--port", "-1"],
        ["--port", "65536"],
        ["--port", "http"],
        ["--speed", "0"],
        ["--speed", "nan"],
        ["--expire", "inf"],
        ["--limits", "--speed", "2"],
        ["--fail-rate", "2"],
        ["--expire", "-1"],
        ["--cut-after", "0"],
        ["--bytes-per-second", "0"],
        ["--webhook", "127.0.0.1:8080/x"],
        ["--webhook", "ftp://127.0.0.1/x"],
        ["--webhook", ""],
    ],
)
def test_invalid_sandbox_options_are_refused(videostat: Videostat, argv: list[str]) -> None:
    got = videostat("sandbox", *argv)
    assert (got.code, got.stdout) == (2, "")
    assert argv[0] in got.stderr
    assert len(got.stderr.splitlines()) == 2


def test_port_in_use_is_refused(videostat: Videostat) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        got = videostat("sandbox", "--port", str(port))
    assert (got.code, got.stdout) == (2, "")
    assert f"port {port} cannot be used" in got.stderr


def test_a_stop_and_a_continue_do_not_end_it(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(inbox: SimpleQueue[int]) -> AbstractContextManager[None]:
        inbox.put(WAKE_UP)
        inbox.put(signal.SIGINT)
        return nullcontext()

    monkeypatch.setattr("videostat.cli.signals.forward_signals", forward)
    assert videostat("sandbox", "--port", "0").code == 130
