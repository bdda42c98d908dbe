"""videostat wait: wait until all jobs have ended, or until a deadline, a signal, --any or --fail-fast."""

from __future__ import annotations

import re
import shlex
import signal
import threading
import time
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from loopback import reply

from videostat.cli.run import choose_exit_code
from videostat.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Instead, Result, Videostat
    from loopback import Request

    from videostat.sandbox import Sandbox


pytestmark = pytest.mark.usefixtures("no_history")


@pytest.fixture
def speed() -> float:
    return 500


@pytest.fixture
def hanging_gateway(sandbox: Sandbox, instead: Instead) -> Iterator[None]:
    """Put a server that never answers in the place of the Doubao gateway."""
    over = threading.Event()

    def answer(_: Request) -> bytes:
        over.wait(20)
        return reply(b"", 500)

    instead("doubao", answer)
    yield
    over.set()


def read_exit_codes(got: Result) -> dict[str, int]:
    """Return the exit code of each job, in the order of the answers."""
    return {answer["id"]: answer["exit_code"] for answer in got.objects}


@pytest.mark.parametrize(
    ("jobs", "code"),
    [
        ("jogg:proj_done doubao:task_done reelbot:reel_done", 0),
        ("jogg:proj_a doubao:task_b reelbot:reel_c", 0),
        ("jogg:proj_done doubao:task_fail_done", 5),
        ("jogg-product:product_done_novideo jogg:proj_done", 9),
        ("jogg:nope reelbot:reel_done", 7),
        ("jogg:proj_done_expired", 7),
        ("reelbot:reel_done_expired", 7),
        ("jogg:proj_done_novideo doubao:task_fail_done jogg:nope", 5),
        ("jogg:nope jogg:proj_stuck", 7),
        ("jogg:proj_done_novideo jogg:proj_stuck", 9),
        ("jogg:proj_stuck jogg:proj_done", 124),
    ],
)
def test_wait_exits_with_the_smallest_error_code_of_all_jobs(videostat: Videostat, jobs: str, code: int) -> None:
    got = videostat("wait", "--json", "--timeout", "2m", *jobs.split())
    assert got.code == code
    codes = read_exit_codes(got)
    assert set(codes) == {job.partition(":")[2] for job in jobs.split()}
    assert min((each for each in codes.values() if each), default=0) == code


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([124, 5, 0], 5),
        ([10, 9], 9),
        ([124, 9], 9),
        ([3, 2, 6], 2),
        ([130, 5, 0], 130),
        ([143, 124, 2], 143),
    ],
)
def test_exit_code_of_a_signal_comes_before_the_smallest_code(codes: list[int], code: int) -> None:
    assert choose_exit_code(map(ExitCode, codes)) == choose_exit_code(map(ExitCode, reversed(codes))) == code


def test_jobs_are_printed_in_the_order_in_which_they_end(videostat: Videostat) -> None:
    got = videostat("wait", "jogg:proj_a", "doubao:task_done")
    assert [row[1:3] for row in got.rows] == [["task_done", "succeeded"], ["proj_a", "succeeded"]]


def test_answers_go_to_stdout_and_progress_to_stderr(videostat: Videostat) -> None:
    got = videostat("wait", "doubao", "task_a")
    assert len(got.lines) == 1
    assert got.stderr.startswith("waiting for 1 job, until ")
    assert "doubao task_a: queued" in got.stderr
    assert "\x1b" not in got.stdout + got.stderr


def test_quiet_prints_only_urls_and_errors(videostat: Videostat) -> None:
    got = videostat("wait", "-q", "--interval", "1", "doubao:task_done", "doubao:task_done_novideo", "doubao:task_a")
    assert got.code == 9
    assert len(got.lines) == 2
    assert all(line.startswith("http://127.0.0.1:") for line in got.lines)
    assert got.stderr.startswith("videostat: doubao task_done_novideo succeeded, but")
    assert len(got.stderr.splitlines()) == 2


def test_wait_on_a_terminal_shows_live_rows_and_a_card_for_one_job(videostat: Videostat) -> None:
    got = videostat("wait", "doubao", "task_a", tty=("stdout", "stderr"))
    assert "\x1b[?25l" in got.stderr
    assert got.stderr.rindex("\x1b[?25h") > got.stderr.rindex("\x1b[?25l")
    assert "succeeded" not in got.stderr, "each result is told once"
    shown = strip_escapes(got.stdout)
    assert shown.startswith("doubao task_a\n  state ")
    for label in ("created", "completed", "URL"):
        assert re.search(rf"^  {label}  ", shown, re.MULTILINE), label


def test_wait_on_a_terminal_shows_a_table_and_summary_of_several_jobs(videostat: Videostat) -> None:
    got = videostat("wait", "doubao:task_done", "doubao:task_fail_1", "doubao:task_a", tty=("stdout", "stderr"))
    header, *rows = strip_escapes(got.stdout).splitlines()
    assert header.split() == ["PROVIDER", "ID", "STATE", "TOOK", "LENGTH", "RESULT"]
    named = [row.split()[1:4] for row in rows if row.startswith("doubao")]
    assert named[0] == ["task_done", "✓", "succeeded"]
    assert ["task_fail_1", "✗", "failed"] in named
    assert len(named) == 3
    assert sum(row.startswith("http://127.0.0.1:") for row in rows) == 2
    assert "2 succeeded, 1 failed, in " in got.stderr
    assert got.stderr.endswith("  videostat download doubao task_done task_a\n") or got.stderr.endswith(
        "  videostat download doubao task_a task_done\n"
    )


@pytest.mark.parametrize(("options", "has_summary"), [([], True), (["--quiet"], False), (["--json"], True)])
def test_log_ends_with_a_summary_of_saved_videos_unless_quiet(
    videostat: Videostat,
    options: list[str],
    has_summary: bool,  # noqa: FBT001 - a parameter
) -> None:
    got = videostat("wait", *options, "doubao:task_done", "jogg:proj_done", "--download")
    assert ("2 saved, in " in got.stderr) is has_summary
    assert "videostat download" not in got.stderr
    assert " saved, in " not in videostat("wait", *options, "doubao:task_done").stderr


def strip_escapes(text: str) -> str:
    """Remove colours and links."""
    return re.sub(r"\x1b\[[\d;]*m|\x1b\]8;[^\x1b]*\x1b\\", "", text)


def test_log_progress_on_a_terminal_has_no_escape_sequences(videostat: Videostat) -> None:
    got = videostat("wait", "--progress", "log", "doubao", "task_done", tty=("stderr",))
    assert got.stderr.startswith("waiting for 1 job")
    assert "\x1b" not in got.stderr


# --- deadlines


@pytest.mark.parametrize("option", ["--timeout", "--interval"])
def test_invalid_duration_is_refused_before_any_request(videostat: Videostat, sandbox: Sandbox, option: str) -> None:
    for text in ("-5", "abc", "", "1x", "1h-5m", "99999d", "nan", "1e3"):
        got = videostat("wait", option, text, "jogg", "proj_done")
        assert (got.code, got.stdout) == (2, "")
        assert f"{text!a} is not a time" in got.stderr
    assert not sandbox.requests


@pytest.mark.parametrize("speed", [100])  # slow enough for a real answer before the deadline
def test_timeout_prints_the_command_that_resumes_the_wait(videostat: Videostat) -> None:
    jobs = ("jogg:proj_stuck_1", "doubao:task_stuck_2", "doubao:task_done")
    got = videostat("wait", *jobs, "--timeout", "30", "--json", "--interval", "20s")
    assert got.code == 124
    assert read_exit_codes(got) == {"task_done": 0, "proj_stuck_1": 124, "task_stuck_2": 124}
    message, command = got.stderr.splitlines()[-2:]
    assert "2 jobs continue at" in message
    words = shlex.split(command)
    assert words[:2] == ["videostat", "wait"]
    resumed = videostat(*words[1:])
    assert list(read_exit_codes(resumed)) == ["proj_stuck_1", "task_stuck_2"]
    assert resumed.stderr.splitlines()[-1] == command


def test_timeout_prints_when_a_queued_job_will_be_deleted(videostat: Videostat) -> None:
    got = videostat("wait", "jogg", "proj_slow", "--timeout", "12", "--json")
    assert (got.code, got.objects[0]["state"]) == (124, "queued")
    until = datetime.fromisoformat(got.objects[0]["kept_until"]).astimezone()
    assert f"The service deletes it if it is still queued at {until:%Y-%m-%d %H:%M}. To keep waiting:" in got.stderr


@pytest.mark.parametrize("speed", [100])  # slow enough for a real answer before the deadline
@pytest.mark.parametrize(
    ("argv", "again"),
    [
        ("jogg proj_stuck", "jogg proj_stuck"),
        ("jogg:proj_stuck doubao:task_stuck", "jogg:proj_stuck doubao:task_stuck"),
        ("jogg:proj_stuck jogg:proj_stuck_2", "jogg proj_stuck proj_stuck_2"),
        ("jogg proj_stuck -q --progress log --no-history", "jogg proj_stuck --quiet --progress log --no-history"),
        ("jogg proj_stuck --exec 'echo {id}; true'", "jogg proj_stuck --exec 'echo {id}; true'"),
        ("jogg proj_stuck -o 'my clip.mp4'", "jogg proj_stuck --output 'my clip.mp4'"),
        ("--from jobs.txt", "--from jobs.txt"),
        ("--from 'two words.txt'", "--from 'two words.txt'"),
        ("--from jobs.txt doubao:task_stuck", "doubao:task_stuck jogg:proj_stuck"),
        ("--from -", "jogg proj_stuck"),
    ],
)
def test_resume_command_repeats_the_jobs_and_options(
    videostat: Videostat, tmp_path: Path, argv: str, again: str
) -> None:
    for name in ("jobs.txt", "two words.txt"):
        (tmp_path / name).write_text("jogg proj_stuck\n")
    got = videostat("wait", "-t", "25", *shlex.split(argv), stdin="jogg proj_stuck\n")
    assert got.code == 124
    words = shlex.split(got.stderr.splitlines()[-1])
    assert sorted(words) == sorted(["videostat", "wait", "--timeout", "25", *shlex.split(again)])


@pytest.mark.parametrize("speed", [100])  # slow enough for a real answer before the deadline
def test_resume_command_does_not_repeat_the_unfinished_option(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_NO_HISTORY")
    videostat("wait", "jogg:proj_stuck", "doubao:task_done", "doubao:task_stuck", "-t", "25")
    got = videostat("wait", "--unfinished", "-t", "25")
    assert {row[1] for row in got.rows} == {"proj_stuck", "task_stuck"}
    assert "--unfinished" not in got.stderr
    words = shlex.split(got.stderr.splitlines()[-1])
    assert (words[:2], {*words[2:]}) == (
        ["videostat", "wait"],
        {"jogg:proj_stuck", "doubao:task_stuck", "--timeout", "25"},
    )


@pytest.mark.usefixtures("hanging_gateway")
def test_wait_exits_6_when_the_server_never_answers(videostat: Videostat) -> None:
    began = time.monotonic()
    got = videostat("wait", "doubao:t", "--timeout", "5", "--json")
    assert (got.code, read_exit_codes(got)) == (6, {"t": 6})
    # The server answers after 20 s, and the clock of the test stands still for half a second of that.
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("hanging_gateway")
def test_hanging_server_does_not_delay_other_jobs(videostat: Videostat, sandbox: Sandbox) -> None:
    got = videostat("wait", "doubao:t", "jogg:proj_a", "--timeout", "3m", "--json")
    assert [*read_exit_codes(got).items()] == [("proj_a", 0), ("t", 6)]
    looks = [request.at for request in sandbox.requests]
    # The job takes 60 to 90 seconds, and is asked every 30 seconds at most.
    assert looks[-1] - looks[0] < timedelta(seconds=120)


def test_configured_timeout_is_the_default(videostat: Videostat, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[defaults]\ntimeout = "20s"\n')
    assert "(20s)" in videostat("wait", "--config", "config.toml", "jogg", "proj_stuck").stderr
    got = videostat("wait", "--config", "config.toml", "-t", "15", "jogg", "proj_stuck")
    assert "(15s)" in got.stderr


@pytest.mark.parametrize(
    ("jobs", "advice"),
    [
        ("jogg:proj_done", "10m"),
        ("jogg-product:product_done", "30m"),
        ("jogg:proj_done jogg-product:product_done", "30m"),
    ],
)
def test_default_timeout_is_the_longest_of_the_services(videostat: Videostat, jobs: str, advice: str) -> None:
    assert f"({advice})" in videostat("wait", *jobs.split()).stderr


def test_timeout_of_zero_means_no_deadline(videostat: Videostat) -> None:
    got = videostat("wait", "-t", "0", "doubao", "task_a")
    assert got.code == 0
    assert got.stderr.startswith("waiting for 1 job\n")


# --- intervals


@pytest.mark.slow
@pytest.mark.parametrize("speed", [20])
@pytest.mark.parametrize(
    ("name", "floor"), [("jogg:proj_stuck", 10), ("doubao:task_stuck", 5), ("reelbot:reel_stuck", 3)]
)
def test_interval_below_the_floor_is_raised_with_a_message(
    videostat: Videostat, sandbox: Sandbox, name: str, floor: int
) -> None:
    got = videostat("wait", name, "--interval", "1", "--timeout", f"{4 * floor + 3}", "--progress", "log")
    provider = name.partition(":")[0]
    assert (
        got.stderr.count(
            f"videostat: an interval of 1s is too short for {provider}: each job is asked about every {floor}s"
        )
        == 1
    )
    assert 3 <= len(sandbox.requests) <= 6


@pytest.mark.parametrize("speed", [100])
def test_interval_above_the_floor_is_kept(videostat: Videostat, sandbox: Sandbox) -> None:
    videostat("wait", "doubao:task_stuck", "--interval", "20", "--timeout", "55")
    # Requests are sent at 0, 20 and 40 seconds, and once before the deadline.
    assert 3 <= len(sandbox.requests) <= 4
    looks = [request.at for request in sandbox.requests][:3]
    assert all(later - earlier >= timedelta(seconds=19) for earlier, later in pairwise(looks))


def test_wait_accepts_not_found_only_after_a_second_request(videostat: Videostat, sandbox: Sandbox) -> None:
    assert videostat("wait", "doubao", "nope").code == 7
    assert 2 <= len(sandbox.requests) <= 6


# --- stopping early


def test_any_stops_at_the_first_success_and_exits_0(videostat: Videostat) -> None:
    got = videostat("wait", "--any", "--json", "jogg:proj_stuck", "doubao:task_fail_done", "jogg:nope", "doubao:task_a")
    assert got.code == 0
    codes = read_exit_codes(got)
    assert codes["task_a"] == 0
    assert codes["proj_stuck"] == 8
    assert "1 job continues at" in got.stderr


def test_any_without_a_success_exits_with_the_smallest_code(videostat: Videostat) -> None:
    got = videostat("wait", "--any", "doubao:task_fail_done", "jogg:nope")
    assert got.code == 5


def test_any_with_quiet_prints_only_the_success(videostat: Videostat) -> None:
    got = videostat("wait", "--any", "--quiet", "jogg:proj_stuck", "doubao:task_done")
    assert (got.code, len(got.lines), got.stderr) == (0, 1, "")


@pytest.mark.parametrize(
    ("bad", "code"), [("doubao:task_fail_done", 5), ("jogg:proj_done_expired", 7), ("jogg:proj_done_novideo", 9)]
)
def test_fail_fast_stops_at_the_first_failure(videostat: Videostat, bad: str, code: int) -> None:
    got = videostat("wait", "--fail-fast", "--json", "jogg:proj_stuck", "doubao:task_done", bad)
    assert got.code == code
    assert read_exit_codes(got)["proj_stuck"] == 8


def test_fail_fast_does_not_stop_at_a_success(videostat: Videostat) -> None:
    got = videostat("wait", "--fail-fast", "doubao:task_done", "jogg:proj_a")
    assert (got.code, len(got.lines)) == (0, 2)


def test_any_and_fail_fast_contradict_each_other(videostat: Videostat, sandbox: Sandbox) -> None:
    got = videostat("wait", "--any", "--fail-fast", "jogg", "proj_done")
    assert got.code == 2
    assert "--any and --fail-fast contradict each other" in got.stderr
    assert not sandbox.requests


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_every_job_and_restores_the_handlers(
    videostat: Videostat, instead: Instead, signum: signal.Signals
) -> None:
    def answer(_: Request) -> bytes:
        signal.pthread_kill(threading.main_thread().ident or 0, signum)
        return reply({}, 500)

    instead("doubao", answer)
    before = signal.getsignal(signum)
    got = videostat("wait", "--json", "jogg:proj_done", "doubao:t", "jogg:proj_stuck")
    assert (got.code, read_exit_codes(got)["t"], read_exit_codes(got)["proj_stuck"]) == (
        128 + signum,
        128 + signum,
        128 + signum,
    )
    assert signal.getsignal(signum) is before


# --- errors during the wait


def test_temporary_errors_are_reported_and_retried(videostat: Videostat, instead: Instead) -> None:
    done = {
        "code": "success",
        "data": {"task_id": "t", "status": "SUCCESS", "fail_reason": "https://cdn.example/v.mp4"},
    }
    replies = iter(
        [
            reply(b"<html>Bad Gateway</html>", 502),
            reply(b""),
            reply(b"", 429),
            reply({"code": "success", "data": None}),
            reply(done),
        ]
    )
    instead("doubao", lambda _: next(replies))
    got = videostat("wait", "doubao", "t")
    assert (got.code, got.rows) == (0, [["doubao", "t", "succeeded", "https://cdn.example/v.mp4"]])
    assert "asking again" in got.stderr


def test_error_that_lasts_until_the_deadline_is_the_result(videostat: Videostat, instead: Instead) -> None:
    instead("doubao", reply(b"<html>", 502))
    got = videostat("wait", "doubao:t", "jogg:proj_done", "-t", "60", "--json")
    assert (got.code, read_exit_codes(got)) == (6, {"proj_done": 0, "t": 6})


@pytest.mark.parametrize(("key", "message"), [("", "no key is configured"), ("mistyped-key", "the key was refused")])
def test_empty_or_refused_key_ends_only_the_jobs_of_its_key_group(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, key: str, message: str
) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_API_KEY", key)
    got = videostat("wait", "--json", "jogg:proj_1", "jogg-avatar:avatar_2", "doubao:task_a")
    assert (got.code, read_exit_codes(got)) == (3, {"proj_1": 3, "avatar_2": 3, "task_a": 0})
    assert got.stderr.count(message) == 1
    repair = "no usable answer; 2 jobs may continue at the service. When the key or the credit is repaired:\n"
    assert (repair in got.stderr) == bool(key)
    assert "mistyped" not in got.stdout + got.stderr
    assert len([each for each in sandbox.requests if each.path.startswith("/jogg/")]) == (2 if key else 0)


def test_any_stops_at_a_video_that_is_already_saved(videostat: Videostat) -> None:
    assert videostat("download", "jogg", "proj_done").code == 0
    got = videostat("wait", "--any", "--download", "--json", "jogg:proj_stuck", "jogg:proj_done")
    assert got.code == 0
    assert read_exit_codes(got) == {"proj_done": 0, "proj_stuck": 8}


def test_exec_runs_for_a_video_that_is_already_saved(videostat: Videostat, sandbox: Sandbox) -> None:
    assert videostat("wait", "--download", "jogg", "proj_done", "--exec", "false").code == 10
    sandbox.requests.clear()
    got = videostat("wait", "--download", "jogg", "proj_done", "--exec", "echo has {file}")
    assert got.code == 0
    assert "has jogg-proj_done.mp4" in got.stderr
    assert not sandbox.requests


def test_jobs_that_came_through_a_pipe_are_named_in_the_command_that_goes_on(
    videostat: Videostat, tmp_path: Path
) -> None:
    (tmp_path / "-").touch()
    got = videostat("wait", "--from", "-", "--timeout", "5m", stdin="jogg proj_done\njogg proj_stuck\n")
    assert got.stderr.splitlines()[-1] == "  videostat wait jogg proj_stuck --timeout 5m"


def test_job_without_any_answer_is_said_to_maybe_go_on(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", "http://127.0.0.1:9")
    got = videostat("wait", "--timeout", "2m", "jogg", "proj_1")
    assert got.code == 6
    assert "1 job may continue at the service" in got.stderr


@pytest.mark.parametrize("tty", [(), ("stdout", "stderr")])
def test_missing_key_is_reported_before_any_request(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tty: tuple[str, ...]
) -> None:
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    got = videostat("wait", "jogg", "a", "b", tty=tty)
    assert got.code == 3
    # On one screen with the table, which has the same words, nothing is said twice.
    shown, silent = (got.stdout, got.stderr) if tty else (got.stderr, got.stdout)
    assert (
        shown.count("Get the key from JoggAI: dashboard, API. Then run `videostat config set-key jogg`, or set ") == 1
    )
    if tty:
        assert shown.count("no key is configured") == 2
        assert silent == ""
    else:
        reason, _ = shown.splitlines()
        assert reason == "videostat: jogg: no key is configured"
    objects = videostat("wait", "jogg", "a", "b", "--json").objects
    assert [(each["id"], each["exit_code"], each["retryable"]) for each in objects] == [
        ("a", 3, False),
        ("b", 3, False),
    ]
    assert not sandbox.requests


def test_missing_key_of_one_account_does_not_stop_the_others(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOSTAT_JOGG_API_KEY")
    got = videostat("wait", "jogg:a", "doubao:task_done")
    assert got.code == 3
    assert {row[1]: row[2] for row in got.rows} == {"a": "unknown", "task_done": "succeeded"}
