"""Choose what stderr shows while jobs are waited for: a live screen, log lines, or errors alone."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from videostat.render.jsonlines import JsonLines
from videostat.render.log import ErrorsOnly, Log, is_screen, may_be_screen
from videostat.render.messages import say
from videostat.render.text import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from videostat.clock import Clock
    from videostat.models import Job, JobRef
    from videostat.render.board import Work


class View(Protocol):
    """A display of the progress on stderr; it receives every answer, and several ticks a second."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *raised: object) -> None: ...
    def update(self, job: Job) -> None:
        """Show a new answer about a job."""

    def tick(self) -> None:
        """Show that time has passed."""

    def note(self, sentence: str) -> None:
        """Write a sentence."""

    def show_output(self, lines: Iterable[str]) -> None:
        """Show the output of an --exec command."""

    def release_screen(self) -> AbstractContextManager[object]:
        """Let the block write to stdout, which may be the same screen."""

    def is_watched(self) -> bool:
        """Return whether a person can see a live screen now."""

    def drop_progress(self) -> Self | ErrorsOnly:
        """Return the view for jobs that have ended before the wait began."""


class ProgressMode(StrEnum):
    """How stderr shows progress; AUTO: bars on a terminal in the foreground, else a log."""

    AUTO = "auto"
    BARS = "bars"
    LOG = "log"
    JSON = "json"


def choose_view(
    work: Work,
    clock: Clock,
    progress: ProgressMode = ProgressMode.AUTO,
    *,
    answers_for_people: bool,
    quiet: bool = False,
    resume: Callable[[Sequence[JobRef]], str] = str,
) -> View:
    """Choose the view for this stderr.

    `answers_for_people`: stdout prints tables; if stderr is the same terminal, the view leaves the results to them.
    `resume` returns the command that continues jobs.
    """
    if quiet:
        return ErrorsOnly()
    if progress is ProgressMode.JSON:
        return JsonLines([*work.usual], clock, resume)
    reports_ends = not (answers_for_people and is_terminal(sys.stderr))
    is_forced = progress is ProgressMode.BARS
    if is_forced and not is_screen(is_forced=True):
        say("videostat: bars need a terminal on stderr, in the foreground; showing log lines instead")
    elif is_forced or (progress is ProgressMode.AUTO and may_be_screen()):
        from videostat.render.live import Live

        return Live(work, clock, reports_ends=reports_ends, is_forced=is_forced)
    return Log(work, clock, reports_ends=reports_ends)


def choose_status_view(work: Work, clock: Clock, *, answers_for_people: bool) -> View:
    """Choose the view for a command that asks once: rows after a second on a terminal, else only errors."""
    reports_ends = not (answers_for_people and is_terminal(sys.stderr))
    if not is_screen():
        return ErrorsOnly(reports_ends=reports_ends)
    from videostat.render.live import Live

    return Live(work, clock, reports_ends=reports_ends, delay=1)
