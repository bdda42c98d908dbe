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
    """Told of every job at every answer, and several times a second that time passes."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *raised: object) -> None: ...
    def update(self, job: Job) -> None: ...
    def tick(self) -> None: ...
    def note(self, sentence: str) -> None: ...
    def show_output(self, lines: Iterable[str]) -> None: ...
    def release_screen(self) -> AbstractContextManager[object]:
        """Room for stdout, which may be the same screen."""

    def is_watched(self) -> bool:
        """Whether a person looks at a live screen now."""


class ProgressMode(StrEnum):
    """How stderr shows progress; AUTO: bars on a terminal that somebody looks at, else a log."""

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
    """Choose what suits this stderr; where stdout answers people on the same screen, no result is told twice.

    `resume` gives the command that goes on with jobs.
    """
    if quiet:
        return ErrorsOnly()
    if progress is ProgressMode.JSON:
        return JsonLines([*work.usual], clock, resume)
    reports_ends = not (answers_for_people and is_terminal(sys.stderr))
    is_forced = progress is ProgressMode.BARS
    if is_forced and not is_screen(is_forced=True):
        say("videostat: no bars, because nobody looks at a terminal on stderr: log lines instead")
    elif is_forced or (progress is ProgressMode.AUTO and may_be_screen()):
        from videostat.render.live import Live

        return Live(work, clock, reports_ends=reports_ends, is_forced=is_forced)
    return Log(work, clock, reports_ends=reports_ends)


def choose_status_view(work: Work, clock: Clock, *, answers_for_people: bool) -> View:
    """Choose for a command that looks once: rows after a second, and errors alone where nobody looks."""
    reports_ends = not (answers_for_people and is_terminal(sys.stderr))
    if not is_screen():
        return ErrorsOnly(reports_ends=reports_ends)
    from videostat.render.live import Live

    return Live(work, clock, reports_ends=reports_ends, patience=1)
