"""Signals and readers that go away, with real processes: a command ends within two seconds and can be resumed."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from threading import Event, Thread
from typing import TYPE_CHECKING

import pexpect  # type: ignore[import-untyped]
import pytest
from loopback import reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Instead, Videostat
    from loopback import Request

    from videostat.sandbox import Sandbox

# pexpect forks, and the sandbox's threads do not matter to what it then executes.
pytestmark = [
    pytest.mark.usefixtures("no_history"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]

VIDEOSTAT = [sys.executable, "-m", "videostat"]
EVERY_SIGNAL = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
QUICKLY = 2  # seconds


@pytest.fixture
def speed() -> float:
    """Speed up the sandbox only: the processes run in real time."""
    return 1000


@pytest.fixture
def hanging(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the gateway by one that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        monkeypatch.setenv("VIDEOSTAT_DOUBAO_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


@contextmanager
def start_process(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process and read the first line of its stderr."""
    command = [*VIDEOSTAT, *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            process.stderr.readline()
            yield process
        finally:
            process.kill()


def wait_until(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def interrupt(process: subprocess.Popen[str], signum: signal.Signals) -> tuple[str, str]:
    """Send the signal; check that the process dies of it quickly; return its stdout and stderr."""
    process.send_signal(signum)
    began = time.monotonic()
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < QUICKLY
    assert process.returncode == -signum
    assert "Traceback" not in err
    return out, err


@contextmanager
def open_terminal() -> Iterator[tuple[bytearray, int]]:
    """Open a terminal; yield the bytes sent to it so far, and the terminal."""
    seen = bytearray()
    reading, terminal = pty.openpty()

    def read() -> None:
        # On Linux, reading a terminal that is closed at its other end is an error.
        with suppress(OSError):
            while piece := os.read(reading, 65536):
                seen.extend(piece)

    reader = Thread(target=read)
    reader.start()
    try:
        yield seen, terminal
    finally:
        os.close(terminal)
        reader.join(10)
        os.close(reading)


@EVERY_SIGNAL
def test_signal_answers_every_job_and_prints_a_working_resume_command(
    videostat: Videostat, sandbox: Sandbox, signum: signal.Signals
) -> None:
    with start_process("wait", "--json", "jogg:proj_a", "doubao:task_b") as process:
        wait_until(lambda: len(sandbox.requests) == 2)
        out, err = interrupt(process, signum)
    answers = {answer["id"]: answer for answer in map(json.loads, out.splitlines())}
    assert {name: answer["exit_code"] for name, answer in answers.items()} == {
        "proj_a": 128 + signum,
        "task_b": 128 + signum,
    }
    sentence, command = err.splitlines()[-2:]
    assert ("Ctrl-C" if signum == signal.SIGINT else signum.name) in sentence
    assert re.search("2 jobs (may )?continue at", sentence)
    words = shlex.split(command)
    assert words[:3] == VIDEOSTAT
    resumed = videostat(*words[3:])
    assert resumed.code == 0
    assert [answer["state"] for answer in resumed.objects] == ["succeeded", "succeeded"]


@EVERY_SIGNAL
@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize("command", ["wait", "download"])
def test_signal_ends_a_command_whose_server_hangs(command: str, signum: signal.Signals) -> None:
    with start_process(command, "--json", "doubao", "a", "b", "c") as process:
        out, err = interrupt(process, signum)
    assert [json.loads(line)["exit_code"] for line in out.splitlines()] == [128 + signum] * 3
    assert err.splitlines()[-1].endswith(f"videostat {command} doubao a b c --json")


@pytest.mark.usefixtures("hanging")
def test_ctrl_c_ends_status_while_a_server_hangs() -> None:
    with start_process("status", "--json", "doubao:a", "jogg:nope") as process:
        out, _ = interrupt(process, signal.SIGINT)
    assert [json.loads(line)["exit_code"] for line in out.splitlines()] == [130, 7]


@pytest.mark.slow
@pytest.mark.parametrize(("speed", "behaviour"), [(1.5, {"bytes_per_second": 20_000})])
def test_interrupted_download_resumes_from_its_part_file(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path
) -> None:
    part = tmp_path / "jogg-proj_done.part"
    with start_process("download", "--json", "jogg", "proj_done") as process:
        wait_until(lambda: part.exists() and part.stat().st_size)
        out, err = interrupt(process, signal.SIGINT)
    assert json.loads(out)["exit_code"] == 130
    assert not (tmp_path / "jogg-proj_done.mp4").exists()
    sentence, command = err.splitlines()[-2:]
    assert "1 of 1 not saved" in sentence
    got = videostat(*shlex.split(command)[3:])
    assert got.code == 0
    assert got.objects[0]["resumed"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["jogg-proj_done.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize(("speed", "behaviour"), [(1.5, {"bytes_per_second": 20_000})])
def test_wait_interrupted_while_saving_says_that_the_job_succeeded(videostat: Videostat, tmp_path: Path) -> None:
    part = tmp_path / "out" / "jogg-proj_done.part"
    with start_process("wait", "--json", "--output-dir", "out", "jogg", "proj_done") as process:
        wait_until(lambda: part.exists() and part.stat().st_size)
        out, err = interrupt(process, signal.SIGINT)
    assert (json.loads(out)["state"], json.loads(out)["exit_code"]) == ("succeeded", 130)
    sentence, command = err.splitlines()[-2:]
    assert sentence.endswith("; 1 job succeeded, but not fully processed yet. To keep waiting:")
    got = videostat(*shlex.split(command)[3:])
    assert (got.code, got.objects[0]["resumed"] > 0) == (0, True)
    assert [path.name for path in part.parent.iterdir()] == ["jogg-proj_done.mp4"]


@EVERY_SIGNAL
@pytest.mark.usefixtures("hanging")
def test_second_signal_ends_at_once_and_shows_the_cursor(signum: signal.Signals) -> None:
    """The first signal blocks: three hundred answers are more than a pipe holds, and they are not read."""
    jobs = [f"doubao:{number}" for number in range(300)]
    command = [*VIDEOSTAT, "wait", "--json", *jobs]
    with open_terminal() as (seen, stderr), subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process:
        try:
            wait_until(lambda: HIDE in seen)
            process.send_signal(signum)
            assert process.stdout
            assert select([process.stdout], [], [], 10)[0]
            process.send_signal(signum)
            began = time.monotonic()
            assert process.wait(10) == -signum
            assert time.monotonic() - began < QUICKLY
            wait_until(lambda: seen.endswith(SHOW))
        finally:
            process.kill()


@pytest.mark.usefixtures("hanging")
def test_suspended_wait_shows_the_cursor_until_it_continues() -> None:
    command = [*VIDEOSTAT, "wait", "doubao", "1"]
    # In its own process group: the kernel does not stop a process of an orphaned group.
    with open_terminal() as (seen, stderr), subprocess.Popen(command, stderr=stderr, process_group=0) as process:
        try:
            for _ in range(2):
                wait_until(lambda: seen.rfind(HIDE) > seen.rfind(SHOW))
                process.send_signal(signal.SIGTSTP)
                _, status = os.waitpid(process.pid, os.WUNTRACED)
                assert os.WIFSTOPPED(status)
                wait_until(lambda: seen.endswith(SHOW))
                process.send_signal(signal.SIGCONT)
            wait_until(lambda: seen.rfind(HIDE) > seen.rfind(SHOW))
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.usefixtures("hanging")
def test_suspended_wait_still_ends_after_its_timeout() -> None:
    """Before Python 3.13, SimpleQueue.get(timeout) waits for ever if a signal handler takes longer than the timeout."""
    command = [*VIDEOSTAT, "wait", "-q", "--timeout", "2", "doubao", "1"]
    began = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, process_group=0) as process:
        try:
            time.sleep(1)
            process.send_signal(signal.SIGTSTP)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            time.sleep(0.5)
            process.send_signal(signal.SIGCONT)
            # The server never answers, so the exit code is 6.
            assert process.wait(10) == 6
            assert 2 <= time.monotonic() - began < 2 + 2 * QUICKLY
        finally:
            process.kill()


@EVERY_SIGNAL
@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize("form", [(), ("--json",), ("--progress", "json")])
def test_resume_command_is_printed_when_stdout_is_closed(signum: signal.Signals, form: tuple[str, ...]) -> None:
    """Ctrl-C also ends `| jq`, which may be gone first."""
    with start_process("wait", "doubao", "a", "b", *form) as process:
        assert process.stdout
        process.stdout.close()
        process.send_signal(signum)
        assert process.wait(10) == -signum
        assert process.stderr
        err = process.stderr.read()
    assert "wait doubao a b" in err.splitlines()[-1]


@pytest.mark.usefixtures("hanging")
def test_hangup_is_ignored_under_nohup() -> None:
    command = ["sh", "-c", f"trap '' HUP; exec {shlex.join(VIDEOSTAT)} wait doubao a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            process.stderr.readline()
            process.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.6)
            interrupt(process, signal.SIGTERM)
        finally:
            process.kill()


@pytest.mark.usefixtures("sandbox")
def test_signal_is_forwarded_to_a_running_exec_command(tmp_path: Path) -> None:
    script = tmp_path / "child"
    script.write_text(
        f"#!/bin/sh\ntrap 'echo told > {tmp_path}/told; exit' TERM\necho $$ > {tmp_path}/runs\n"
        "for i in 1 2 3 4 5 6 7 8 9 0; do sleep 0.3; done\n"
    )
    script.chmod(0o700)
    with start_process("wait", "jogg", "proj_done", "--exec", str(script)) as process:
        wait_until((tmp_path / "runs").exists)
        _, err = interrupt(process, signal.SIGTERM)
    assert "wait jogg proj_done --exec" in err.splitlines()[-1]
    wait_until((tmp_path / "told").exists)


@pytest.mark.usefixtures("hanging")
def test_resume_command_keeps_many_ids_in_a_private_file() -> None:
    ids = [f"task_with_a_rather_long_name_{number}" for number in range(200)]
    command = [*VIDEOSTAT, "wait", "--timeout", "9m", "doubao", *ids]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        process.stderr.readline()
        _, err = interrupt(process, signal.SIGINT)
    words = shlex.split(err.splitlines()[-1])
    assert words[:5] == [*VIDEOSTAT, "wait", "--from"]
    assert words[6:] == ["--timeout", "9m"]
    assert stat.S_IMODE(Path(words[5]).stat().st_mode) == 0o600
    assert len(err.splitlines()[-1]) < 300
    assert Path(words[5]).read_text().split() == [f"doubao:{each}" for each in ids]


@pytest.mark.usefixtures("sandbox")
def test_ctrl_c_shows_the_cursor_and_the_resume_command() -> None:
    child = pexpect.spawn(VIDEOSTAT[0], [*VIDEOSTAT[1:], "wait", "jogg", "proj_stuck"], encoding="utf-8", timeout=10)
    child.expect_exact("proj_stuck")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, child.signalstatus) == (None, signal.SIGINT)
    shown = str(child.before).encode()
    assert SHOW in shown
    assert HIDE not in shown[shown.index(SHOW) :]
    assert shlex.join([*VIDEOSTAT, "wait", "jogg", "proj_stuck"]).encode() in shown


@pytest.mark.usefixtures("sandbox")
def test_ctrl_c_stops_a_shell_loop() -> None:
    loop = f"for job in 1 2 3; do {shlex.join(VIDEOSTAT)} wait jogg proj_stuck_$job; echo went on; done"
    child = pexpect.spawn("bash", ["-c", loop], encoding="utf-8", timeout=10)
    child.expect_exact("proj_stuck_1")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus == signal.SIGINT
    assert "went on" not in str(child.before)
    assert "proj_stuck_2" not in str(child.before)


def test_wait_ends_quietly_when_its_reader_goes_away(sandbox: Sandbox, instead: Instead) -> None:
    gone = Event()

    def answer(_: Request) -> bytes:
        gone.wait(10)
        return reply(b'{"code":"success","data":{"status":"SUCCESS","fail_reason":"https://cdn.example/v.mp4"}}')

    instead("doubao", answer)
    with start_process("wait", "jogg:proj_done", "doubao:t") as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("jogg\tproj_done\tsucceeded\t")
        process.stdout.close()
        gone.set()
        assert process.wait(10) == -signal.SIGPIPE
        err = process.stderr.read()
    assert "Traceback" not in err
    assert "videostat: " not in err
