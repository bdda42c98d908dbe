from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fakes import EPOCH, FakeClock
from terminal import Terminal

from videostat.errors import (
    ExecFailed,
    Interrupted,
    KeyRefused,
    NotFound,
    NotSaved,
    RateLimited,
    ServerError,
    TimedOut,
    Unreachable,
    UsageError,
    VideostatError,
)
from videostat.models import Job, JobRef, Saved, State
from videostat.render.board import Work
from videostat.render.jsonlines import JsonLines
from videostat.render.live import Live
from videostat.render.log import ErrorsOnly, Log
from videostat.render.messages import format_complaint, format_error, format_message, format_trouble, say
from videostat.render.views import ProgressMode, choose_status_view, choose_view
from videostat.saving import Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable

REF = JobRef("jogg", "proj_1")
QUEUED = Job(ref=REF, state=State.QUEUED)
RUNNING = Job(ref=REF, state=State.RUNNING, status="processing")
DONE = Job(ref=REF, state=State.SUCCEEDED, video_url="https://cdn.example/1.mp4", message="finished")
SAVED = replace(DONE, saved=Saved(file=Path("videos/jogg-proj_1.mp4"), bytes=37_700))
FAILED = Job(ref=REF, state=State.FAILED, error="refused", error_code="7")
HOSTILE = "[red]a[/red] \x1b[2J\x9b2J\u202e\u200b\ud800\n\r:smile:"
SHOWN = "[red]a[/red] \\x1b[2J\\x9b2J\\u202e\\u200b\\ud800\\n\\r:smile:"


def end_job(job: Job, problem: VideostatError | None = None) -> Job:
    return replace(job, problem=problem, ended=True)


OTHER = JobRef("doubao", "task_2")


def work(*refs: JobRef, timeout: float = 0, transfers: dict[JobRef, Transfer] | None = None) -> Work:
    return Work(
        activity="waiting for", usual=dict.fromkeys(refs or (REF, OTHER), 180), timeout=timeout, transfers=transfers
    )


def open_view(*, quiet: bool = False, progress: ProgressMode = ProgressMode.AUTO) -> object:
    return choose_view(work(), FakeClock(), progress, quiet=quiet, answers_for_people=False)


@pytest.mark.parametrize(
    ("environment", "options", "on_terminal", "elsewhere"),
    [
        ({}, {}, Live, Log),
        ({}, {"progress": ProgressMode.LOG}, Log, Log),
        ({}, {"progress": ProgressMode.BARS}, Live, Log),
        ({}, {"progress": ProgressMode.JSON}, JsonLines, JsonLines),
        ({}, {"quiet": True}, ErrorsOnly, ErrorsOnly),
        ({"FORCE_COLOR": "1"}, {}, Live, Log),
        ({"NO_COLOR": "1"}, {}, Live, Log),
        ({"TERM": "dumb"}, {}, Log, Log),
        ({"CI": "true"}, {}, Log, Log),
        ({"CI": "false"}, {}, Live, Log),
        ({"JPY_PARENT_PID": "7"}, {}, Log, Log),
    ],
)
def test_view_is_chosen_by_terminal_and_options_but_not_by_colour(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    options: dict[str, Any],
    on_terminal: type,
    elsewhere: type,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Terminal() as terminal:
        monkeypatch.setattr(sys, "stderr", terminal.file)
        assert type(open_view(**options)) is on_terminal
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert type(open_view(**options)) is elsewhere


@pytest.mark.parametrize(
    ("job", "lines"),
    [
        (DONE, []),
        (SAVED, []),
        (FAILED, ["videostat: jogg proj_1 failed: refused (code 7)"]),
        (Job(ref=REF, state=State.FAILED), ["videostat: jogg proj_1 failed: the service does not say why"]),
        (replace(FAILED, advice="Try it."), ["videostat: jogg proj_1 failed: refused (code 7)", "  Try it."]),
        (
            replace(DONE, video_url=None),
            [
                "videostat: jogg proj_1 succeeded, but the service returned no video URL",
                "  The URL may come later. To check again: videostat status jogg proj_1",
            ],
        ),
        (end_job(RUNNING, TimedOut("not finished")), []),
        (end_job(RUNNING, Interrupted(2)), []),
        (end_job(RUNNING, NotFound("no such job")), ["videostat: jogg proj_1: no such job"]),
        (
            end_job(DONE, NotSaved("the disk is full", hint="Free some space.")),
            ["videostat: jogg proj_1: the disk is full", "  Free some space."],
        ),
        (end_job(SAVED, ExecFailed("play failed")), ["videostat: jogg proj_1: play failed"]),
        (end_job(RUNNING, KeyRefused("the key was refused")), ["videostat: jogg: the key was refused"]),
        (end_job(RUNNING, RateLimited("rate limited")), ["videostat: jogg: rate limited"]),
    ],
)
def test_complaint_is_one_line_and_a_second_line_for_the_hint(job: Job, lines: list[str]) -> None:
    assert format_complaint(job) == lines


def test_refusal_shared_by_several_jobs_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    seen, refusal = ErrorsOnly(), KeyRefused("the key was refused")
    for number in range(3):
        seen.update(end_job(replace(RUNNING, ref=JobRef("jogg", f"proj_{number}")), refusal))
    seen.update(end_job(RUNNING, KeyRefused("the key was refused")))
    assert capsys.readouterr().err == "videostat: jogg: the key was refused\n" * 2


def test_quiet_view_writes_nothing_without_a_final_error(capsys: pytest.CaptureFixture[str]) -> None:
    with ErrorsOnly() as seen:
        for job in (QUEUED, RUNNING, replace(RUNNING, problem=ServerError("502")), DONE, end_job(DONE)):
            seen.update(job)
            seen.tick()
        with seen.release_screen():
            pass
    assert capsys.readouterr() == ("", "")


def test_status_view_is_live_only_on_a_foreground_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(choose_status_view(work(), FakeClock(), answers_for_people=True)) is ErrorsOnly
    with Terminal() as terminal:
        monkeypatch.setattr(sys, "stderr", terminal.file)
        assert type(choose_status_view(work(), FakeClock(), answers_for_people=True)) is Live
        monkeypatch.setattr("os.tcgetpgrp", lambda _: 1)
        assert type(choose_status_view(work(), FakeClock(), answers_for_people=True)) is ErrorsOnly


def write_log(capsys: pytest.CaptureFixture[str], jobs: Iterable[Job]) -> list[str]:
    log = Log(work(), FakeClock())
    for job in jobs:
        log.update(job)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("timeout", "first"),
    [(600, "waiting for 2 jobs, until {:%H:%M} (10m)"), (0, "waiting for 2 jobs")],
)
def test_log_starts_with_the_number_of_jobs_and_the_deadline(
    capsys: pytest.CaptureFixture[str], timeout: float, first: str
) -> None:
    clock = FakeClock()
    clock.time = 3600
    until = clock.now().timestamp() + timeout
    with Log(work(timeout=timeout), clock):
        assert capsys.readouterr().err == first.format(EPOCH.fromtimestamp(until).astimezone()) + "\n"


@pytest.mark.parametrize(
    ("jobs", "lines"),
    [
        ([QUEUED, QUEUED, RUNNING], ["jogg proj_1: queued", "jogg proj_1: queued -> running"]),
        ([replace(RUNNING, progress=at, message=f"{at}%") for at in (1, 2)], ["jogg proj_1: running 1%: 1%"]),
        (
            [replace(RUNNING, progress=at, estimated_time=100 - at) for at in (5, 29, 35, 36, 65, 95)],
            [
                "jogg proj_1: running 5%, about 1m35s left",
                "jogg proj_1: running 35%, about 1m05s left",
                "jogg proj_1: running 65%, about 35s left",
                "jogg proj_1: running 95%, about 5s left",
            ],
        ),
        (
            [replace(RUNNING, problem=RateLimited("slow down"), asked_again_at=EPOCH + timedelta(seconds=240))],
            [f"jogg proj_1: running: slow down, until {(EPOCH + timedelta(seconds=240)).astimezone():%H:%M} (in 4m)"],
        ),
        ([RUNNING, end_job(DONE)], ["jogg proj_1: running", "jogg proj_1: running -> succeeded: finished"]),
        ([end_job(DONE)], ["jogg proj_1: succeeded: finished"]),
        (
            [RUNNING, DONE, SAVED, end_job(SAVED)],
            [
                "jogg proj_1: running",
                "jogg proj_1: running -> succeeded: finished",
                "jogg proj_1: succeeded: saved as videos/jogg-proj_1.mp4 (37.7 kB)",
            ],
        ),
        (
            [RUNNING, DONE, end_job(SAVED)],
            [
                "jogg proj_1: running",
                "jogg proj_1: running -> succeeded: finished",
                "jogg proj_1: succeeded: saved as videos/jogg-proj_1.mp4 (37.7 kB)",
            ],
        ),
        (
            [RUNNING, end_job(FAILED)],
            ["jogg proj_1: running", "jogg proj_1: running -> failed: refused (code 7)"],
        ),
        (
            [
                end_job(replace(FAILED, advice="Try it.")),
                end_job(replace(FAILED, ref=JobRef("jogg", "b"), advice="Try it.")),
            ],
            ["jogg proj_1: failed: refused (code 7)", "  Try it.", "jogg b: failed: refused (code 7)"],
        ),
        (
            [
                RUNNING,
                replace(RUNNING, problem=ServerError("HTTP 502, request 1")),
                replace(RUNNING, problem=ServerError("HTTP 502, request 2")),
                replace(RUNNING, problem=Unreachable("no connection")),
                RUNNING,
            ],
            [
                "jogg proj_1: running",
                "jogg proj_1: running: HTTP 502, request 1; asking again",
                "jogg proj_1: running: no connection; asking again",
                "jogg proj_1: running",
            ],
        ),
        (
            [
                Job(ref=REF, problem=NotFound("no such job")),
                end_job(Job(ref=REF), NotFound("no such job")),
            ],
            ["jogg proj_1: unknown: no such job; asking again", "videostat: jogg proj_1: no such job"],
        ),
        ([RUNNING, end_job(RUNNING, TimedOut("late"))], ["jogg proj_1: running"]),
        ([QUEUED, end_job(RUNNING, TimedOut("late"))], ["jogg proj_1: queued", "jogg proj_1: queued -> running"]),
        ([end_job(Job(ref=REF), KeyRefused("no"))], ["videostat: jogg: no"]),
        (
            [DONE, end_job(DONE, NotSaved("full"))],
            ["jogg proj_1: succeeded: finished", "videostat: jogg proj_1: full"],
        ),
        (
            [
                Job(ref=REF, state=State.UNKNOWN, status="dreaming"),
                Job(ref=REF, state=State.UNKNOWN, status="dreaming"),
                Job(ref=REF, state=State.UNKNOWN, status="waking", message="soon"),
                RUNNING,
            ],
            [
                "jogg proj_1: unknown: dreaming",
                "jogg proj_1: unknown: waking: soon",
                "jogg proj_1: unknown -> running",
            ],
        ),
    ],
)
def test_log_has_one_line_per_change(capsys: pytest.CaptureFixture[str], jobs: list[Job], lines: list[str]) -> None:
    assert write_log(capsys, jobs) == lines


def test_log_shows_the_state_of_each_job_every_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    with Log(work(), clock) as log:
        log.update(replace(RUNNING, progress=65, estimated_time=110))
        capsys.readouterr()
        spoken = {}
        for _ in range(10 * 50):
            clock.time += 0.25
            log.tick()
            if line := capsys.readouterr().err:
                spoken[clock.time] = line.splitlines()
    assert spoken == {
        60: [
            "still waiting for 2 jobs (1m)",
            "jogg proj_1: running 65%, about 50s left",
            "doubao task_2: asking, usually 3m",
        ],
        120: ["still waiting for 2 jobs (2m)", "jogg proj_1: running 65%", "doubao task_2: asking, usually 3m"],
    }


def test_log_shows_the_progress_of_transfers(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    log = Log(work(REF, transfers={REF: Transfer("x", total=10_000, done=4_500, state="downloading")}), clock)
    log.update(DONE)
    clock.time = 60
    log.tick()
    assert "jogg proj_1: saving 45%, 4.5 kB of 10.0 kB\n" in capsys.readouterr().err


def test_log_counts_many_jobs_by_state_after_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    log = Log(work(*(JobRef("jogg", f"{number}") for number in range(12_000))), clock)
    log.update(replace(RUNNING, ref=JobRef("jogg", "7")))
    log.update(end_job(replace(DONE, ref=JobRef("jogg", "8"))))
    capsys.readouterr()
    clock.time = 61
    log.tick()
    assert capsys.readouterr().err == ("still waiting for 11,999 jobs (1m01s): 11,998 asking, 1 running\n")


def test_log_lines_start_with_the_time_in_ci(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert write_log(capsys, [RUNNING]) == [f"{EPOCH.astimezone():%H:%M:%S} jogg proj_1: running"]


def test_log_does_not_show_an_end_if_reports_ends_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(work(), FakeClock(), reports_ends=False)
    for job in (RUNNING, end_job(FAILED)):
        log.update(job)
    assert capsys.readouterr().err == "jogg proj_1: running\n"


@pytest.mark.parametrize(
    "job",
    [
        replace(RUNNING, message=HOSTILE),
        replace(RUNNING, problem=ServerError(HOSTILE)),
        Job(ref=REF, state=State.UNKNOWN, status=HOSTILE),
        end_job(replace(FAILED, error=HOSTILE)),
        end_job(replace(FAILED, error_code=HOSTILE)),
        end_job(RUNNING, NotFound(HOSTILE)),
        end_job(RUNNING, NotFound("gone", hint=HOSTILE)),
        end_job(replace(DONE, saved=Saved(file=Path(HOSTILE), bytes=1))),
    ],
)
def test_a_log_has_no_control_characters(capsys: pytest.CaptureFixture[str], job: Job) -> None:
    lines = write_log(capsys, [job])
    assert SHOWN in "\n".join(lines)
    assert all(line.isprintable() for line in lines)


def test_error_has_no_control_characters_in_any_part() -> None:
    assert format_error(UsageError(HOSTILE, hint=HOSTILE), HOSTILE) == [f"videostat: {SHOWN}: {SHOWN}", f"  {SHOWN}"]


def test_long_messages_and_troubles_are_cut_to_160_characters() -> None:
    assert len(format_message(replace(RUNNING, message="x" * 1000))) == 160
    assert format_message(RUNNING) == ""
    sentence, end = format_trouble(replace(RUNNING, problem=ServerError("x" * 1000)), EPOCH) or ("", "")
    assert (len(sentence), end) == (160, "; asking again")


def test_say_writes_a_long_sentence_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("x" * 1000)
    assert capsys.readouterr() == ("", "x" * 1000 + "\n")


def test_say_writes_nothing_if_stderr_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("is anybody there?")
    assert capsys.readouterr().out == ""


def test_say_ignores_a_full_disk_under_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        say("is anybody there?")
        say("no")


def test_after_a_minute_json_lines_have_a_heartbeat(capfd: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    with JsonLines([JobRef("jogg", "a")], clock, str) as view:
        clock.sleep(59)
        view.tick()
        clock.sleep(1)
        view.tick()
        view.tick()
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["start", "heartbeat"]
