from __future__ import annotations

import io
import sys
from dataclasses import replace
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
from videostat.render.jsonlines import JsonLines
from videostat.render.live import Live
from videostat.render.log import ErrorsOnly, Log
from videostat.render.messages import complaint, error_lines, passing, say
from videostat.render.views import ProgressMode, view

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


def ended(job: Job, problem: VideostatError | None = None) -> Job:
    return replace(job, problem=problem, ended=True)


def opened(*, quiet: bool = False, progress: ProgressMode = ProgressMode.AUTO) -> object:
    return view("waiting for", [REF, REF], 0, FakeClock(), quiet=quiet, progress=progress)


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
    ],
)
def test_the_view_follows_the_terminal_and_not_the_colour(
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
        assert type(opened(**options)) is on_terminal
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert type(opened(**options)) is elsewhere


@pytest.mark.parametrize(
    ("job", "lines"),
    [
        (DONE, []),
        (SAVED, []),
        (FAILED, ["videostat: jogg proj_1 failed: refused (code 7)"]),
        (Job(ref=REF, state=State.FAILED), ["videostat: jogg proj_1 failed: the service does not say why"]),
        (
            replace(DONE, video_url=None),
            [
                "videostat: jogg proj_1 succeeded, but the service gives no address for its video",
                "  It may come later: videostat status jogg proj_1",
            ],
        ),
        (ended(RUNNING, TimedOut("not finished")), []),
        (ended(RUNNING, Interrupted(2)), []),
        (ended(RUNNING, NotFound("no such job")), ["videostat: jogg proj_1: no such job"]),
        (
            ended(DONE, NotSaved("the disk is full", hint="Make room.")),
            ["videostat: jogg proj_1: the disk is full", "  Make room."],
        ),
        (ended(SAVED, ExecFailed("play failed")), ["videostat: jogg proj_1: play failed"]),
        (ended(RUNNING, KeyRefused("the key was refused")), ["videostat: jogg: the key was refused"]),
        (ended(RUNNING, RateLimited("rate limited")), ["videostat: jogg: rate limited"]),
    ],
)
def test_what_went_wrong_is_told_in_one_line_and_what_to_type_in_a_second(job: Job, lines: list[str]) -> None:
    assert complaint(job) == lines


def test_the_same_refusal_is_told_once_for_all_its_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    seen, refusal = ErrorsOnly(), KeyRefused("the key was refused")
    for number in range(3):
        seen.update(ended(replace(RUNNING, ref=JobRef("jogg", f"proj_{number}")), refusal))
    seen.update(ended(RUNNING, KeyRefused("the key was refused")))
    assert capsys.readouterr().err == "videostat: jogg: the key was refused\n" * 2


def test_only_errors_are_told_to_who_wants_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with ErrorsOnly() as seen:
        for job in (QUEUED, RUNNING, replace(RUNNING, problem=ServerError("502")), DONE, ended(DONE)):
            seen.update(job)
            seen.tick()
        with seen.aside():
            pass
    assert capsys.readouterr() == ("", "")


def logged(capsys: pytest.CaptureFixture[str], jobs: Iterable[Job]) -> list[str]:
    log = Log("waiting for", 2, 0, FakeClock())
    for job in jobs:
        log.update(job)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("timeout", "first"),
    [(600, "waiting for 2 jobs, until {:%H:%M} (10m)"), (0, "waiting for 2 jobs")],
)
def test_a_log_says_first_what_is_waited_for_and_until_when(
    capsys: pytest.CaptureFixture[str], timeout: float, first: str
) -> None:
    clock = FakeClock()
    clock.time = 3600
    until = clock.now().timestamp() + timeout
    with Log("waiting for", 2, timeout, clock):
        assert capsys.readouterr().err == first.format(EPOCH.fromtimestamp(until).astimezone()) + "\n"


@pytest.mark.parametrize(
    ("jobs", "lines"),
    [
        ([QUEUED, QUEUED, RUNNING], ["jogg proj_1: queued", "jogg proj_1: queued -> running"]),
        ([replace(RUNNING, progress=at, message=f"{at}%") for at in (1, 2)], ["jogg proj_1: running: 1%"]),
        ([RUNNING, ended(DONE)], ["jogg proj_1: running", "jogg proj_1: running -> succeeded: finished"]),
        ([ended(DONE)], ["jogg proj_1: succeeded: finished"]),
        (
            [RUNNING, DONE, SAVED, ended(SAVED)],
            [
                "jogg proj_1: running",
                "jogg proj_1: running -> succeeded: finished",
                "jogg proj_1: succeeded: saved as videos/jogg-proj_1.mp4 (37.7 kB)",
            ],
        ),
        (
            [RUNNING, DONE, ended(SAVED)],
            [
                "jogg proj_1: running",
                "jogg proj_1: running -> succeeded: finished",
                "jogg proj_1: succeeded: saved as videos/jogg-proj_1.mp4 (37.7 kB)",
            ],
        ),
        (
            [RUNNING, ended(FAILED)],
            [
                "jogg proj_1: running",
                "jogg proj_1: running -> failed",
                "videostat: jogg proj_1 failed: refused (code 7)",
            ],
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
                ended(Job(ref=REF), NotFound("no such job")),
            ],
            ["jogg proj_1: unknown: no such job; asking again", "videostat: jogg proj_1: no such job"],
        ),
        ([RUNNING, ended(RUNNING, TimedOut("late"))], ["jogg proj_1: running"]),
        ([QUEUED, ended(RUNNING, TimedOut("late"))], ["jogg proj_1: queued", "jogg proj_1: queued -> running"]),
        ([ended(Job(ref=REF), KeyRefused("no"))], ["videostat: jogg: no"]),
        (
            [DONE, ended(DONE, NotSaved("full"))],
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
def test_a_log_has_one_line_a_change(capsys: pytest.CaptureFixture[str], jobs: list[Job], lines: list[str]) -> None:
    assert logged(capsys, jobs) == lines


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_log_shows_each_minute_that_it_is_alive(capsys: pytest.CaptureFixture[str], is_busy: bool) -> None:  # noqa: FBT001 - a parameter
    clock = FakeClock()
    with Log("waiting for", 2, 0, clock) as log:
        log.update(RUNNING)
        capsys.readouterr()
        spoken = {}
        for _ in range(10 * 60):
            clock.time += 0.25
            log.update(RUNNING) if is_busy else log.tick()
            if line := capsys.readouterr().err:
                spoken[clock.time] = line
    assert spoken == {
        60: "still waiting for 2 jobs, for 1m now\n",
        120: "still waiting for 2 jobs, for 2m now\n",
    }


def test_a_sign_of_life_counts_the_jobs_that_are_left_from_the_last_line_on(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    log = Log("waiting for", 2, 0, clock)
    clock.time = 59
    log.update(ended(DONE))
    clock.time = 118
    log.tick()
    capsys.readouterr()
    clock.time = 119
    log.tick()
    assert capsys.readouterr().err == "still waiting for 1 job, for 1m59s now\n"


@pytest.mark.parametrize(
    "job",
    [
        replace(RUNNING, message=HOSTILE),
        replace(RUNNING, problem=ServerError(HOSTILE)),
        Job(ref=REF, state=State.UNKNOWN, status=HOSTILE),
        ended(replace(FAILED, error=HOSTILE)),
        ended(replace(FAILED, error_code=HOSTILE)),
        ended(RUNNING, NotFound(HOSTILE)),
        ended(RUNNING, NotFound("gone", hint=HOSTILE)),
        ended(replace(DONE, saved=Saved(file=Path(HOSTILE), bytes=1))),
    ],
)
def test_a_log_has_no_control_characters(capsys: pytest.CaptureFixture[str], job: Job) -> None:
    lines = logged(capsys, [job])
    assert SHOWN in "\n".join(lines)
    assert all(line.isprintable() for line in lines)


def test_an_error_has_no_control_characters_wherever_it_comes_from() -> None:
    assert error_lines(UsageError(HOSTILE, hint=HOSTILE), HOSTILE) == [f"videostat: {SHOWN}: {SHOWN}", f"  {SHOWN}"]


def test_long_messages_are_shortened_in_passing() -> None:
    assert len(passing(replace(RUNNING, message="x" * 1000)) or "") == 160
    assert passing(RUNNING) is None


def test_a_sentence_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    say("x" * 1000)
    assert capsys.readouterr() == ("", "x" * 1000 + "\n")


def test_a_closed_stderr_is_silent_and_not_redirected_to_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    say("is anybody there?")
    assert capsys.readouterr().out == ""


def test_a_full_disk_under_stderr_ends_the_conversation_and_not_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        say("is anybody there?")
        say("no")
