"""Help, version, and the exit code of each error, closed stream or signal that ends a command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import videostat as package
from videostat.errors import ConfigError, Interrupted, KeyRefused, OutputClosed, VideostatError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Videostat

    from videostat.sandbox import Sandbox

COMMANDS = ["status", "wait", "download", "list", "history", "config", "providers", "demo", "sandbox"]


def test_version_option_prints_the_package_version(videostat: Videostat) -> None:
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
def test_help_lists_the_short_options(videostat: Videostat, command: str) -> None:
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
def test_wrong_command_line_gives_one_sentence_and_a_hint(
    videostat: Videostat, argv: list[str], sentence: str, hint: str
) -> None:
    got = videostat(*argv)
    assert (got.code, got.stdout) == (2, "")
    first, second = got.stderr.splitlines()
    assert first.startswith("videostat: ")
    assert sentence in first
    assert second == f"  {hint}"


def test_option_without_its_value_is_refused(videostat: Videostat) -> None:
    got = videostat("wait", "jogg", "x", "--timeout")
    assert (got.code, got.stdout) == (2, "")
    assert got.stderr.startswith("videostat: Option '--timeout' requires an argument.")


def test_no_arguments_show_the_help(videostat: Videostat) -> None:
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
def test_each_exception_becomes_an_exit_code(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, stderr: str | None
) -> None:
    def fail(*_: object) -> object:
        raise error

    monkeypatch.setattr("videostat.config.load", fail)
    got = videostat("config", "show")
    assert (got.code, got.stdout) == (code, "")
    assert stderr is None or got.stderr == stderr


def test_unexpected_error_names_its_module_but_not_its_text(
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
    assert got.stderr.splitlines()[1:] == ["  Add what this prints: videostat config check --verbose"]
    assert "1234" not in got.stderr


def test_every_error_class_has_an_exit_code_other_than_1() -> None:
    def walk(kind: type[VideostatError]) -> set[type[VideostatError]]:
        return {kind}.union(*map(walk, kind.__subclasses__()))

    assert {kind.exit_code for kind in walk(VideostatError) - {VideostatError}} >= {2, 3, 4, 6, 7, 8, 9, 10, 124, 141}
    assert all(kind.exit_code != 1 for kind in walk(VideostatError) - {VideostatError})


def run(script: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run a script in a shell that has `videostat`."""
    command = f'videostat() {{ {shlex.quote(sys.executable)} -m videostat "$@"; }}; {script}'
    return subprocess.run(
        ["bash", "-c", command], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=30
    )


def test_closed_stdout_exits_2_with_a_message() -> None:
    done = run("videostat providers >&-")
    assert (done.returncode, done.stderr) == (
        2,
        "videostat: stdout is closed: the answer cannot be printed\n  To discard the answer: > /dev/null\n",
    )


@pytest.mark.parametrize("asked", ["providers", "--help", "--version", "wait --help", "completion bash"])
def test_full_stdout_exits_2_with_one_sentence(asked: str) -> None:
    done = run(f"videostat {asked} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("videostat: the answer cannot be written to stdout: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_stdout_is_complete_when_stderr_is_closed_or_full(sandbox: Sandbox, closed: str) -> None:
    done = run(f"videostat wait --no-history jogg:proj_done jogg:proj_fail_done {closed}; echo $?")
    *answers, code = (line.split("\t")[:3] for line in done.stdout.splitlines())
    assert [*sorted(answers), code] == [
        ["jogg", "proj_done", "succeeded"],
        ["jogg", "proj_fail_done", "failed"],
        ["5"],
    ]


@pytest.mark.parametrize(("command", "code"), [("providers", 141), ("wait --help", 141), ("nonsense 2>&1", 2)])
def test_broken_pipe_ends_the_command_without_a_message(command: str, code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(f"videostat {command}; echo $? >&2", stdout=writing)
    finally:
        os.close(writing)
    assert done.stderr == f"{code}\n"


@pytest.mark.parametrize("command", ["wait --download", "download -o x.mp4", "download"])
def test_deleted_working_folder_is_refused_before_any_request(sandbox: Sandbox, tmp_path: Path, command: str) -> None:
    (tmp_path / "gone").mkdir()
    done = run(f"cd {tmp_path}/gone; rmdir {tmp_path}/gone; videostat {command} --no-history jogg proj_done")
    assert done.returncode == 2
    assert "the folder you are in has been deleted" in done.stderr
    assert not sandbox.requests


def test_output_dir_works_from_a_deleted_working_folder(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = run(f"cd {tmp_path}/gone; rmdir {tmp_path}/gone; videostat download jogg proj_done --output-dir {tmp_path}")
    assert done.returncode == 0
    assert (tmp_path / "jogg-proj_done.mp4").exists()


@pytest.mark.usefixtures("sandbox")
def test_invalid_time_zone_does_not_stop_wait() -> None:
    done = run("TZ=UTC+25 videostat wait --no-history jogg proj_done")
    assert (done.returncode, "until " in done.stderr) == (0, True)


@pytest.mark.parametrize(
    ("argv", "written"),
    [
        (["wait", "jogg", "a", "--timeout", "10", "m"], "--timeout 10m"),
        (["wait", "jogg", "a", "-t", "1.5", "h", "-q"], "-t 1.5h"),
        (["wait", "jogg", "a", "-t10", "min"], "-t10m"),
        (["wait", "jogg", "a", "--timeout=90", "s"], "--timeout=90s"),
        (["wait", "--interval", "20", "seconds", "jogg", "a"], "--interval 20s"),
        (["history", "--since", "7", "d"], "--since 7d"),
        (["history", "--since", "7", "days"], "--since 7d"),
    ],
)
def test_space_between_number_and_unit_is_refused(
    videostat: Videostat, sandbox: Sandbox, argv: list[str], written: str
) -> None:
    got = videostat(*argv)
    assert (got.code, got.stdout) == (2, "")
    first, hint = got.stderr.splitlines()
    assert written.endswith(first.split()[2])
    assert hint == f"  For example: {written}"
    assert not sandbox.requests


@pytest.mark.usefixtures("no_history")
def test_job_id_can_look_like_a_unit(videostat: Videostat) -> None:
    assert [row[1] for row in videostat("status", "jogg", "10", "m").rows] == ["10", "m"]


@pytest.mark.usefixtures("no_history")
@pytest.mark.parametrize("argv", [["status", "jogg", "proj_done"], ["config", "check", "jogg"], ["list", "jogg"]])
def test_debug_is_accepted_before_the_command(videostat: Videostat, argv: list[str]) -> None:
    got = videostat("--debug", *argv)
    assert got.code == 0
    assert "GET " in got.stderr
    assert "GET " not in videostat(*argv).stderr


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--json", "status", "jogg", "a"], "--json comes after the command: videostat status --json"),
        (["--timeout", "5m", "wait", "jogg", "a"], "--timeout comes after the command: videostat wait --timeout"),
        (["status", "jogg", "-Vx9"], "An id that begins with '-' is written PROVIDER:ID."),
    ],
)
def test_misplaced_option_or_dashed_id_gives_the_correct_form(videostat: Videostat, argv: list[str], hint: str) -> None:
    got = videostat(*argv)
    assert got.code == 2
    assert hint in got.stderr


@pytest.mark.usefixtures("no_history")
def test_tilde_means_the_home_folder_in_every_path_option(videostat: Videostat, home: Path, tmp_path: Path) -> None:
    (home / "jobs").write_text("jogg proj_done\n")
    (home / "config.toml").touch()
    got = videostat("download", "--from=~/jobs", "--config=~/config.toml", "--output-dir=~/out", "-q")
    assert (got.code, got.lines) == (0, [str(home / "out" / "jogg-proj_done.mp4")])
    got = videostat("download", "jogg", "proj_done", "--output=~/clip.mp4", "-q")
    assert got.lines == [str(home / "clip.mp4")]
    assert [*tmp_path.iterdir()] == []
    got = videostat("download", "jogg", "proj_done", "--output-dir=~nobody-at-all/x")
    assert got.code == 2
    assert "this home folder is not known" in got.stderr


@pytest.mark.parametrize("example", ["--output-dir videos", "-o clip.mp4"])
@pytest.mark.parametrize("address", ["s3://bucket/dir", "https://example.com/x", "gs://b"])
def test_url_as_output_is_refused_before_any_request(
    videostat: Videostat, sandbox: Sandbox, tmp_path: Path, example: str, address: str
) -> None:
    got = videostat("download", "jogg", "proj_done", example.split(maxsplit=1)[0], address)
    assert got.code == 2
    assert "a URL is not a place on this machine" in got.stderr
    assert got.stderr.endswith(f": {example}\n")
    assert [*tmp_path.iterdir()] == []
    assert not sandbox.requests


def test_output_option_with_a_folder_suggests_output_dir(videostat: Videostat, tmp_path: Path) -> None:
    (tmp_path / "my videos").mkdir()
    got = videostat("download", "jogg", "proj_done", "-o", "my videos")
    assert got.code == 2
    assert "For a folder: --output-dir 'my videos'" in got.stderr


def test_help_shows_no_technical_type_names(videostat: Videostat) -> None:
    for command in COMMANDS:
        shown = videostat(command, "--help").stdout
        assert not re.search(r"(?i)int(eger)? range|float range|<int|<float|INTEGER|FLOAT", shown)
