"""Tell on stderr how jobs go, line by line."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from videostat.clock import format_duration, to_local
from videostat.models import State
from videostat.render.board import Board, tally
from videostat.render.messages import complaint, message, say, trouble, why_failed
from videostat.render.text import in_ci, is_terminal, number_of_jobs, place, size

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from videostat.clock import Clock
    from videostat.errors import VideostatError
    from videostat.models import Job, JobRef, Saved
    from videostat.render.board import Work

REPORT = 60  # seconds; CI systems kill a step that is silent for ten minutes
POINTS = 25  # of progress make a line
NAMED = 10  # jobs in a report; of more, how many are in which state


def may_be_screen(*, is_forced: bool = False) -> bool:
    """Whether somebody may look at stderr: a terminal that understands cursor codes, and neither CI nor a notebook.

    CI systems and notebooks may have a pseudo-terminal too; `is_forced` believes them. FORCE_COLOR is about colour, and
    makes no screen of a log.
    """
    is_cursor_known = is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
    return is_cursor_known and (is_forced or (not in_ci() and not os.environ.get("JPY_PARENT_PID")))


def is_screen(*, is_forced: bool = False) -> bool:
    """Whether somebody looks at it now: while we are in the background, a shell or another program has the screen."""
    if not may_be_screen(is_forced=is_forced):
        return False
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:  # not this session's terminal, so it has no foreground to ask for
        return True


class ErrorsOnly:
    """Says what went wrong with each job, once where it is the same for many, and nothing else.

    `tells_ends` is False where the answer tells it on this same screen.
    """

    def __init__(self, *, tells_ends: bool = True) -> None:
        self._tells_ends = tells_ends
        self._said: set[VideostatError | str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def update(self, job: Job) -> None:
        for line in self._news(job):
            self.note(line)

    def _news(self, job: Job) -> list[str]:
        """Return the complaint about an ended job; a refused key is told once for all of its jobs, each advice once."""
        lines = complaint(job) if self._is_news(job) else []
        advice = [line for line in lines[1:] if line not in self._said]
        self._said.update(advice)
        return lines[:1] + advice

    def _is_news(self, job: Job) -> bool:
        if not job.ended or not self._tells_ends or job.problem in self._said:
            return False
        if job.problem:
            self._said.add(job.problem)
        return True

    def tick(self) -> None:
        pass

    def note(self, sentence: str) -> None:
        say(sentence)

    def show_output(self, lines: Iterable[str]) -> None:
        """Show what a command of the person's own has printed."""
        with self.aside():
            for line in lines:
                say(line)

    def aside(self) -> AbstractContextManager[object]:
        return nullcontext()

    def is_watched(self) -> bool:
        return False


class Log(ErrorsOnly):
    """A line per change and per 25 points of progress, and each minute what is known: for files, pipes and CI."""

    def __init__(self, work: Work, clock: Clock, *, tells_ends: bool = True) -> None:
        super().__init__(tells_ends=tells_ends)
        self._board, self._clock = Board(work, clock), clock
        self._last: dict[JobRef, Job] = {}
        self._points: dict[JobRef, float] = {}
        self._reported_at = clock.monotonic()

    def __enter__(self) -> Self:
        timeout, until = self._board.work.timeout, ""
        if timeout:
            when = to_local(self._clock.now() + timedelta(seconds=timeout))
            day = "" if timeout < 86400 else f"{when:%Y-%m-%d }"  # noqa: PLR2004 - a day
            until = f", until {day}{when:%H:%M} ({format_duration(timeout)})"
        Log.note(self, f"{self._board.work.doing} {number_of_jobs(len(self._board.jobs))}{until}")
        return self

    def update(self, job: Job) -> None:
        self._board.take(job)
        self._tell(job)
        self.tick()

    def _tell(self, job: Job) -> None:
        before = self._last.pop(job.ref, None)
        if job.ended:
            told = self._end_line(job, before) if self._tells_ends else ""
        else:
            self._last[job.ref] = job
            told = self._line(job, before) if before is None or self._is_change(job, before) else ""
        if told:
            Log.note(self, told)
        is_told = job.state is State.FAILED and not job.problem
        for line in self._news(job)[is_told:]:
            Log.note(self, line)

    def _is_change(self, job: Job, before: Job) -> bool:
        points = self._points.get(job.ref)
        has_grown = job.progress is not None and (points is None or job.progress >= points + POINTS)
        return _stands(job) != _stands(before) or has_grown

    def _line(self, job: Job, before: Job | None) -> str:
        if job.progress is not None:
            self._points[job.ref] = job.progress
        change = f"{before.state} -> " if before and before.state is not job.state else ""
        failed = why_failed(job) if job.state is State.FAILED and not job.problem else ""
        known = [job.state + ("" if job.progress is None or job.state.is_terminal else f" {int(job.progress)}%")]
        if job.estimated_time and not job.state.is_terminal:
            known.append(f"about {format_duration(job.estimated_time)} left")
        said = "".join(trouble(job, self._clock.now()) or ()) or failed or _saved_as(job) or message(job)
        return f"{job.ref}: {change}{', '.join(known)}" + (f": {said}" if said else "")

    def _end_line(self, job: Job, before: Job | None) -> str:
        self._points.pop(job.ref, None)
        if (job.state, job.saved) == ((before.state, before.saved) if before else (State.UNKNOWN, None)):
            return ""
        return self._line(job, before)

    def tick(self) -> None:
        now = self._clock.monotonic()
        if now - self._reported_at >= REPORT:
            self._reported_at = now
            self._report()

    def _report(self) -> None:
        board = self._board
        board.read_transfers()
        passed, count = format_duration(board.passed()), len(board.jobs)
        if count > NAMED:
            Log.note(self, f"still {board.work.doing} {number_of_jobs(count)}, for {passed} now: {tally(board.words)}")
            return
        Log.note(self, f"still {board.work.doing} {number_of_jobs(count)}, for {passed} now")
        for job in board.jobs.values():
            Log.note(self, f"{job.ref}: {board.row(job)}")

    def note(self, sentence: str) -> None:
        say(f"{to_local(self._clock.now()):%H:%M:%S} {sentence}" if in_ci() else sentence)


def file_and_size(saved: Saved) -> str:
    return f"{place(saved.file)} ({size(saved.bytes)})"


def _saved_as(job: Job) -> str:
    return f"{'already ' if job.saved.skipped else ''}saved as {file_and_size(job.saved)}" if job.saved else ""


def _stands(job: Job) -> tuple[object, ...]:
    """What makes a line when it changes: not a message, which may count, nor the wording of a trouble."""
    return job.state, job.saved, job.state is State.UNKNOWN and job.status, type(job.problem)
