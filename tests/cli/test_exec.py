"""--exec: run a command of the user for each job that succeeded."""

from __future__ import annotations

import json
import re
import shlex
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from videostat.cli.exec import _describe_exit, parse_execution
from videostat.errors import ExecFailed, UsageError
from videostat.models import Job, JobRef, Saved, State

if TYPE_CHECKING:
    from conftest import Videostat

    from videostat.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_history")

JOB = Job(ref=JobRef("jogg", "a"), state=State.SUCCEEDED, title='a; rm -rf "$HOME" {id}', video_url="https://x/v")


def python(code: str) -> str:
    """Return a command that runs this Python code; arguments may be added."""
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code.replace('{', '{{').replace('}', '}}'))}"


@pytest.mark.parametrize(
    ("template", "argv"),
    [
        ("{id}", ["a"]),
        ("x-{provider}:{id} {state}", ["x-jogg:a", "succeeded"]),
        ("{title}", [JOB.title]),
        ("'{title} and more'", [f"{JOB.title} and more"]),
        ("{video_url} {thumbnail_url} {exit_code}", ["https://x/v", "", "0"]),
        ("{{id}} '' \"two words\"", ["{id}", "", "two words"]),
        ("$HOME *.mp4 | cat", ["$HOME", "*.mp4", "|", "cat"]),
    ],
)
def test_fields_are_filled_in_without_a_shell(template: str, argv: list[str]) -> None:
    execution = parse_execution(f"{python('import sys; print(sys.argv[1:])')} {template}", saving=False)
    execution.execute(JOB)
    assert execution.output[JOB.ref].decode() == f"{argv}\n"


def test_command_gets_the_job_as_json_on_stdin() -> None:
    execution = parse_execution("cat", saving=True)
    execution.execute(JOB)
    assert json.loads(execution.output[JOB.ref])["title"] == JOB.title


def test_command_may_ignore_its_stdin() -> None:
    assert parse_execution("true", saving=False).execute(JOB) is JOB


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("", "has no command"),
        ("   ", "has no command"),
        ("echo 'open", "cannot parse the command of --exec: No closing quotation"),
        ("echo {id", "cannot parse the command of --exec"),
        ("echo }", "cannot parse the command of --exec"),
        ("echo {nope}", "unknown field {nope}"),
        ("echo {}", "unknown field {}"),
        ("echo {0}", "unknown field {0}"),
        ("echo {id.__class__}", "unknown field {id.__class__}"),
        ("echo {id[0]}", "unknown field {id[0]}"),
        ("echo {id!r}", "write a field as {id}, without : or ! inside the braces"),
        ("echo {bytes:d}", "write a field as {id}, without : or ! inside the braces"),
        ("echo {id:{nope}}", "write a field as {id}, without : or ! inside the braces"),
        ("echo {file}", "nothing is saved"),
    ],
)
def test_invalid_command_raises_usage_error_with_a_hint(template: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)) as raised:
        parse_execution(template, saving=False)
    assert raised.value.hint


def test_invalid_command_exits_2_before_any_request(videostat: Videostat, sandbox: Sandbox) -> None:
    for command in ("wait", "download"):
        assert videostat(command, "--exec", "echo {nope}", "jogg", "proj_done").code == 2
    assert videostat("wait", "--exec", "cp {file} x", "jogg", "proj_done").code == 2
    assert not sandbox.requests


def test_missing_program_exits_2_before_any_request(videostat: Videostat, sandbox: Sandbox) -> None:
    got = videostat("wait", "--exec", "no-such-program {id}", "jogg", "proj_done")
    assert (got.code, got.stdout) == (2, "")
    assert "--exec: there is no program 'no-such-program'" in got.stderr
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("false", "false failed with exit code 1"),
        ("sh -c 'kill -KILL $$'", "sh was ended by SIGKILL"),
        ("/nowhere/to/be/{id}", "/nowhere/to/be/a could not be started: No such file"),
        ("./{id}/..", "./a/.. could not be started"),
        ("echo \ud800", "echo could not be started"),
    ],
)
def test_failed_command_raises_exec_failed_with_the_reason(command: str, sentence: str) -> None:
    with pytest.raises(ExecFailed, match=re.escape(sentence)) as raised:
        parse_execution(command, saving=False).execute(JOB)
    assert raised.value.hint


@pytest.mark.parametrize(("saved", "again"), [(None, "wait"), (Saved(file=Path("a.mp4"), bytes=1), "download")])
def test_hint_of_a_failed_command_runs_it_for_the_same_job(saved: Saved | None, again: str) -> None:
    with pytest.raises(ExecFailed) as raised:
        parse_execution("false", saving=True).execute(replace(JOB, saved=saved))
    assert f": videostat {again} {JOB.ref} --exec COMMAND" in str(raised.value.hint)


def test_unknown_signal_is_described_by_its_number() -> None:
    assert _describe_exit(-99) == "was ended by signal 99"


def test_failed_command_exits_10_and_stops_no_other_job(videostat: Videostat) -> None:
    code = "import json, sys; sys.exit(json.load(sys.stdin)['id'] == 'proj_done_1')"
    got = videostat("wait", "--json", "--exec", python(code), "jogg", "proj_done_1", "proj_done_2")
    assert got.code == 10
    assert {answer["id"]: answer["exit_code"] for answer in got.objects} == {"proj_done_1": 10, "proj_done_2": 0}
    assert "jogg proj_done_1: " in got.stderr
    assert "failed with exit code 1" in got.stderr


def test_command_runs_only_for_succeeded_jobs(videostat: Videostat) -> None:
    jobs = ("jogg:proj_done", "jogg:proj_done_novideo", "doubao:task_fail_done")
    got = videostat("wait", "--json", "--exec", "echo ran for {id}", *jobs)
    assert got.stderr.count("ran for") == 1
    assert "ran for proj_done\n" in got.stderr


def test_command_runs_after_the_file_is_saved(videostat: Videostat, tmp_path: Path) -> None:
    got = videostat("download", "-q", "--exec", "mv {file} moved.mp4", "jogg", "proj_done")
    assert (got.code, got.lines) == (0, ["jogg-proj_done.mp4"])
    assert [path.name for path in tmp_path.iterdir()] == ["moved.mp4"]


@pytest.mark.parametrize("tty", [(), ("stdout", "stderr")])
def test_command_output_goes_to_stderr_in_one_piece(videostat: Videostat, tty: tuple[str, ...]) -> None:
    code = "import sys; print('hello', flush=True); print('there', file=sys.stderr)"
    got = videostat("wait", "--exec", python(code), "jogg", "proj_done_1", "proj_done_2", "proj_done_3", tty=tty)
    assert got.code == 0
    assert got.stderr.count("hello\nthere\n") == 3
    assert "hello" not in got.stdout


def test_invalid_utf8_in_command_output_is_replaced(videostat: Videostat) -> None:
    code = "import sys; sys.stdout.buffer.write(bytes([255, 10]))"
    got = videostat("wait", "-q", "--exec", python(code), "jogg", "proj_done")
    assert (got.code, got.stderr) == (0, "\ufffd\n")


def test_a_script_with_a_shebang_runs(videostat: Videostat, tmp_path: Path) -> None:
    script = tmp_path / "my script"
    script.write_text("#!/bin/sh\necho script $1\n")
    script.chmod(stat.S_IRWXU)
    got = videostat("wait", "--exec", f"'{script}' {{id}}", "jogg", "proj_done")
    assert "script proj_done\n" in got.stderr


def test_control_characters_in_command_output_are_escaped(videostat: Videostat) -> None:
    code = "print(chr(27) + ']0;pwned' + chr(7) + 'said')"
    got = videostat("wait", "jogg", "proj_done", "--exec", python(code))
    assert got.code == 0
    assert "\\x1b]0;pwned\\x07said\n" in got.stderr
    assert "\x1b" not in got.stderr


def test_background_process_of_a_command_does_not_delay_the_end(videostat: Videostat) -> None:
    began = time.monotonic()
    got = videostat("wait", "jogg", "proj_done", "--exec", "sh -c 'sleep 20 & echo started'")
    assert time.monotonic() - began < 10
    assert (got.code, "started\n" in got.stderr) == (0, True)


def test_leaving_the_run_ends_a_command_that_still_runs() -> None:
    execution = parse_execution("sleep 60", saving=False)
    with ThreadPoolExecutor() as pool:
        with execution:
            running = pool.submit(execution.execute, JOB)
            while execution._running is None:
                time.sleep(0.001)
        with pytest.raises(ExecFailed, match="sleep was ended by SIGTERM"):
            running.result()
