"""The front door: help, version, and the exit code of everything that can leave a command."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import videostat as package
from videostat.errors import ConfigError, Interrupted, KeyRefused, OutputClosed, VideostatError

if TYPE_CHECKING:
    from conftest import Videostat

    from videostat.sandbox import Sandbox

COMMANDS = ["status", "wait", "download", "list", "history", "config", "providers", "demo", "sandbox"]


def test_the_version_is_the_packages(videostat: Videostat) -> None:
    got = videostat("--version")
    assert (got.code, got.stdout, got.stderr) == (0, f"videostat {package.__version__}\n", "")


def test_help_names_every_command(videostat: Videostat) -> None:
    for option in ("--help", "-h"):
        got = videostat(option)
        assert got.code == 0
        assert all(f" {command} " in got.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    "command", [*([name] for name in COMMANDS), *(["config", name] for name in ("init", "show", "set-key", "check"))]
)
def test_every_command_has_help(videostat: Videostat, command: list[str]) -> None:
    got = videostat(*command, "--help")
    assert (got.code, got.stderr) == (0, "")
    assert f"Usage: videostat {' '.join(command)}" in got.stdout


@pytest.mark.parametrize("command", ["status", "wait", "download"])
def test_the_short_options_are_there(videostat: Videostat, command: str) -> None:
    shown = videostat(command, "--help").stdout
    assert " -q " in shown
    assert " -j " in shown
    assert (" -t " in shown) == (command == "wait")
    assert (" -o " in shown) == (command != "status")


@pytest.mark.parametrize(
    ("argv", "sentence", "hint"),
    [
        (["wiat"], "No such command 'wiat'", "See videostat --help"),
        (["--nonsense"], "No such option: --nonsense", "See videostat --help"),
        (["status", "--jsn"], "No such option: --jsn", "See videostat status --help"),
        (["config", "nonsense"], "No such command 'nonsense'", "See videostat config --help"),
        (["demo", "extra"], "extra", "See videostat demo --help"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_sentence_and_a_hint(
    videostat: Videostat, argv: list[str], sentence: str, hint: str
) -> None:
    got = videostat(*argv)
    assert (got.code, got.stdout) == (2, "")
    first, second = got.stderr.splitlines()
    assert first.startswith("videostat: ")
    assert sentence in first
    assert second == f"  {hint}"


def test_an_option_without_its_value_is_told(videostat: Videostat) -> None:
    got = videostat("wait", "jogg", "x", "--timeout")
    assert (got.code, got.stdout) == (2, "")
    assert got.stderr.startswith("videostat: Option '--timeout' requires an argument.")


def test_nothing_typed_shows_the_help(videostat: Videostat) -> None:
    got = videostat()
    assert got.code == 2
    assert "Usage: videostat" in got.stdout + got.stderr


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [
        (ConfigError("no", hint="do"), 2, "videostat: no\n  do\n"),
        (KeyRefused("no"), 3, "videostat: no\n"),
        (KeyRefused("\x1b[31mno\nvideostat: yes"), 3, "videostat: \\x1b[31mno\\nvideostat: yes\n"),
        (OutputClosed("gone"), 141, ""),
        (Interrupted(15), 143, None),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (EOFError(), 130, None),
    ],
)
def test_what_leaves_a_command_becomes_an_exit_code(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, stderr: str | None
) -> None:
    def fail(*_: object) -> object:
        raise error

    monkeypatch.setattr("videostat.config.load", fail)
    got = videostat("config", "show")
    assert (got.code, got.stdout) == (code, "")
    assert stderr is None or got.stderr == stderr


def test_a_bug_is_one_sentence_that_says_where_and_shows_no_value(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise RuntimeError("the secret is 1234")

    monkeypatch.setattr("videostat.config.load", fail)
    got = videostat("providers")
    assert (got.code, got.stdout) == (1, "")
    assert got.stderr.startswith(
        "videostat: this is a bug in videostat, please report it: RuntimeError in test_commands:"
    )
    assert len(got.stderr.splitlines()) == 1
    assert "1234" not in got.stderr


def test_every_class_of_error_has_an_exit_code_of_its_own_or_its_parents() -> None:
    def below(kind: type[VideostatError]) -> set[type[VideostatError]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    assert {kind.exit_code for kind in below(VideostatError) - {VideostatError}} >= {2, 3, 4, 6, 7, 8, 9, 10, 124, 141}
    assert all(kind.exit_code != 1 for kind in below(VideostatError) - {VideostatError})


def run(script: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """In a shell that has `videostat`."""
    command = f'videostat() {{ {shlex.quote(sys.executable)} -m videostat "$@"; }}; {script}'
    return subprocess.run(
        ["bash", "-c", command], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=30
    )


def test_a_closed_stdout_is_told() -> None:
    done = run("videostat providers >&-")
    assert (done.returncode, done.stderr) == (2, "videostat: stdout is closed: there is nowhere to answer\n")


@pytest.mark.parametrize("asked", ["providers", "--help", "--version", "wait --help", "completion bash"])
def test_a_full_stdout_is_told(asked: str) -> None:
    done = run(f"videostat {asked} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("videostat: the answer cannot be written to stdout: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_the_answer_does_not_need_the_conversation(sandbox: Sandbox, closed: str) -> None:
    done = run(f"videostat wait --no-history jogg:proj_done jogg:proj_fail_done {closed}; echo $?")
    assert [line.split("\t")[:3] for line in done.stdout.splitlines()] == [
        ["jogg", "proj_done", "succeeded"],
        ["jogg", "proj_fail_done", "failed"],
        ["5"],
    ]


@pytest.mark.parametrize(("command", "code"), [("providers", 141), ("wait --help", 141), ("nonsense 2>&1", 2)])
def test_a_reader_that_has_gone_is_left_quietly(command: str, code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(f"videostat {command}; echo $? >&2", stdout=writing)
    finally:
        os.close(writing)
    assert done.stderr == f"{code}\n"
