"""Write log lines about jobs to stderr, or only the errors of the jobs."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from videostat.clock import format_duration, to_local
from videostat.models import State
from videostat.render.board import Board, format_counts
from videostat.render.messages import format_complaint, format_failure, format_message, format_trouble, say
from videostat.render.text import format_job_count, format_path, format_size, is_in_ci, is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from videostat.clock import Clock
    from videostat.errors import VideostatError
    from videostat.models import Job, JobRef, Saved
    from videostat.render.board import Work

REPORT = 60  # seconds between reports; CI systems kill a step that is silent for ten minutes
POINTS = 25  # percentage points of progress between two lines about a job
NAMED = 10  # most jobs that a report lists one by one; it counts more of them by state


def may_be_screen(*, is_forced: bool = False) -> bool:
    """Return whether stderr is a terminal that understands cursor codes.

    The pseudo-terminals of CI systems and notebooks do not count, unless `is_forced` is set. FORCE_COLOR changes
    nothing here.
    """
    is_cursor_known = is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"
    return is_cursor_known and (is_forced or (not is_in_ci() and not os.environ.get("JPY_PARENT_PID")))


def is_screen(*, is_forced: bool = False) -> bool:
    """Return whether we may draw on stderr now.

    That needs `may_be_screen`, and that we are in the foreground: in the background another program has the screen.
    """
    if not may_be_screen(is_forced=is_forced):
        return False
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:  # the terminal of another session, so its foreground is unknown
        return True


class ErrorsOnly:
    """A view that writes only errors, and the base of all others.

    An error that several jobs share is written once. `reports_ends` is False if stdout shows the results on the same
    screen.
    """

    def __init__(self, *, reports_ends: bool = True) -> None:
        self._reports_ends = reports_ends
        self._reported: set[VideostatError | str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def update(self, job: Job) -> None:
        """Write the complaint about an ended job."""
        for line in self._format_news(job):
            self.note(line)

    def _format_news(self, job: Job) -> list[str]:
        """Format the complaint about an ended job, and each hint only once."""
        lines = format_complaint(job) if self._is_news(job) else []
        hints = [line for line in lines[1:] if line not in self._reported]
        self._reported.update(hints)
        return lines[:1] + hints

    def _is_news(self, job: Job) -> bool:
        if not job.ended or not self._reports_ends or job.problem in self._reported:
            return False
        if job.problem:
            self._reported.add(job.problem)
        return True

    def tick(self) -> None:
        """Do nothing: errors do not depend on the time."""

    def note(self, sentence: str) -> None:
        """Write a sentence to stderr."""
        say(sentence)

    def show_output(self, lines: Iterable[str]) -> None:
        """Write the output of an --exec command to stderr."""
        with self.release_screen():
            for line in lines:
                say(line)

    def release_screen(self) -> AbstractContextManager[object]:
        """Do nothing, because no rows are on the screen."""
        return nullcontext()

    def is_watched(self) -> bool:
        """Return False, because this is not a live screen."""
        return False

    def get_plain_view(self) -> ErrorsOnly:
        """Return a view that writes only errors, if stdout does not show them on the same screen."""
        return ErrorsOnly(reports_ends=self._reports_ends)


class Log(ErrorsOnly):
    """A log with a line per change and a report each minute."""

    def __init__(self, work: Work, clock: Clock, *, reports_ends: bool = True) -> None:
        super().__init__(reports_ends=reports_ends)
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
        Log.note(self, f"{self._board.work.activity} {format_job_count(len(self._board.jobs))}{until}")
        return self

    def update(self, job: Job) -> None:
        """Write a line if the job has changed, and any complaint about it."""
        self._board.update(job)
        self._write_job(job)
        self.tick()

    def _write_job(self, job: Job) -> None:
        before = self._last.pop(job.ref, None)
        if job.ended:
            line = self._format_end_line(job, before) if self._reports_ends else ""
        else:
            self._last[job.ref] = job
            line = self._format_line(job, before) if before is None or self._is_change(job, before) else ""
        if line:
            Log.note(self, line)
        has_reason = job.state is State.FAILED and not job.problem
        for line in self._format_news(job)[has_reason:]:
            Log.note(self, line)

    def _is_change(self, job: Job, before: Job) -> bool:
        points = self._points.get(job.ref)
        has_grown = job.progress is not None and (points is None or job.progress >= points + POINTS)
        return _select_news(job) != _select_news(before) or has_grown

    def _format_line(self, job: Job, before: Job | None) -> str:
        if job.progress is not None:
            self._points[job.ref] = job.progress
        change = f"{before.state} -> " if before and before.state is not job.state else ""
        failed = format_failure(job) if job.state is State.FAILED and not job.problem else ""
        known = [job.state + ("" if job.progress is None or job.state.is_terminal else f" {int(job.progress)}%")]
        if job.estimated_time and not job.state.is_terminal:
            known.append(f"about {format_duration(job.estimated_time)} left")
        text = (
            "".join(format_trouble(job, self._clock.now()) or ())
            or failed
            or _format_saved_as(job)
            or format_message(job)
        )
        return f"{job.ref}: {change}{', '.join(known)}" + (f": {text}" if text else "")

    def _format_end_line(self, job: Job, before: Job | None) -> str:
        self._points.pop(job.ref, None)
        if (job.state, job.saved) == ((before.state, before.saved) if before else (State.UNKNOWN, None)):
            return ""
        return self._format_line(job, before)

    def tick(self) -> None:
        """Report all unfinished jobs if the last report is a minute old."""
        now = self._clock.monotonic()
        if now - self._reported_at >= REPORT:
            self._reported_at = now
            self._report()

    def _report(self) -> None:
        board = self._board
        board.read_transfers()
        count = len(board.jobs)
        heading = f"still {board.work.activity} {format_job_count(count)} ({format_duration(board.elapsed)})"
        if count > NAMED:
            Log.note(self, f"{heading}: {format_counts(board.labels)}")
            return
        Log.note(self, heading)
        for job in board.jobs.values():
            Log.note(self, f"{job.ref}: {board.make_row(job)}")

    def note(self, sentence: str) -> None:
        """Write a sentence to stderr; in CI, after the local time."""
        say(f"{to_local(self._clock.now()):%H:%M:%S} {sentence}" if is_in_ci() else sentence)


def format_saved(saved: Saved) -> str:
    """Format the path of a saved file and its size."""
    return f"{format_path(saved.file)} ({format_size(saved.bytes)})"


def _format_saved_as(job: Job) -> str:
    return f"{'already ' if job.saved.skipped else ''}saved as {format_saved(job.saved)}" if job.saved else ""


def _select_news(job: Job) -> tuple[object, ...]:
    """Select the values whose change makes a line.

    Messages and the wording of errors are not among them: they may contain a counter.
    """
    return job.state, job.saved, job.state is State.UNKNOWN and job.status, type(job.problem)
