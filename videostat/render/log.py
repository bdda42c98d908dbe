"""Tell on stderr how jobs go, line by line."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from videostat.clock import format_duration, to_local
from videostat.models import State
from videostat.render.messages import complaint, passing, say
from videostat.render.text import clean, number_of_jobs, size

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from videostat.clock import Clock
    from videostat.errors import VideostatError
    from videostat.models import Job, JobRef, Saved

HEARTBEAT = 60  # seconds; CI systems kill a step that is silent for ten minutes


def is_screen() -> bool:
    """Whether stderr understands cursor codes; FORCE_COLOR is about colour, and makes no screen of a log."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class ErrorsOnly:
    """Says what went wrong with each job, once where it is the same for many, and nothing else."""

    def __init__(self) -> None:
        self._said: set[VideostatError] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def update(self, job: Job) -> None:
        for line in self._news(job):
            self.note(line)

    def _news(self, job: Job) -> list[str]:
        """The complaint about an ended job; a key is refused once, for all of its jobs."""
        if not job.ended or job.problem in self._said:
            return []
        if job.problem:
            self._said.add(job.problem)
        return complaint(job)

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


class Log(ErrorsOnly):
    """A line a change, and a sign of life each minute: for files, pipes and CI."""

    def __init__(self, doing: str, count: int, timeout: float, clock: Clock) -> None:
        super().__init__()
        self._doing, self._timeout, self._clock = doing, timeout, clock
        self._open = count
        self._last: dict[JobRef, Job] = {}
        self._began = self._spoke = clock.monotonic()

    def __enter__(self) -> Self:
        until = ""
        if self._timeout:
            when = to_local(self._clock.now() + timedelta(seconds=self._timeout))
            day = "" if self._timeout < 86400 else f"{when:%Y-%m-%d }"  # noqa: PLR2004 - a day
            until = f", until {day}{when:%H:%M} ({format_duration(self._timeout)})"
        self.note(f"{self._doing} {number_of_jobs(self._open)}{until}")
        return self

    def update(self, job: Job) -> None:
        before = self._last.get(job.ref)
        said = passing(job)
        if job.saved:
            said = f"{'already ' if job.saved.skipped else ''}saved as {file_and_size(job.saved)}"
        if job.ended:
            is_news = (job.state, job.saved) != ((before.state, before.saved) if before else (State.UNKNOWN, None))
            self._last.pop(job.ref, None)
            self._open -= 1
        else:
            is_news = before is None or _stands(job) != _stands(before)
            self._last[job.ref] = job
        if is_news:
            change = f"{before.state} -> {job.state}" if before and before.state is not job.state else job.state
            self.note(f"{job.ref}: {change}" + (f": {said}" if said else ""))
        super().update(job)
        self.tick()

    def tick(self) -> None:
        now = self._clock.monotonic()
        if now - self._spoke >= HEARTBEAT:
            self.note(f"still {self._doing} {number_of_jobs(self._open)}, for {format_duration(now - self._began)} now")

    def note(self, sentence: str) -> None:
        self._spoke = self._clock.monotonic()
        super().note(sentence)


def file_and_size(saved: Saved) -> str:
    return f"{clean(str(saved.file), longest=None)} ({size(saved.bytes)})"


def _stands(job: Job) -> tuple[object, ...]:
    """What makes a line when it changes: not a message, which may count, nor the wording of a trouble."""
    return job.state, job.saved, job.state is State.UNKNOWN and job.status, type(job.problem)
