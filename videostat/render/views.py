"""Choose what stderr shows while jobs are waited for: a live screen, log lines, or errors alone."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from videostat.render.log import ErrorsOnly, Log, is_screen, may_be_screen
from videostat.render.text import is_terminal

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from videostat.clock import Clock
    from videostat.models import Job
    from videostat.render.board import Work


class View(Protocol):
    """Told of every job at every answer, and several times a second that time passes."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *raised: object) -> None: ...
    def update(self, job: Job) -> None: ...
    def tick(self) -> None: ...
    def note(self, sentence: str) -> None: ...
    def aside(self) -> AbstractContextManager[object]:
        """Room for stdout, which may be the same screen."""

    def is_watched(self) -> bool:
        """Whether a person looks at a live screen now."""


class Progress(StrEnum):
    """How progress is shown: AUTO means bars on a terminal that somebody looks at, else a log."""

    AUTO = "auto"
    LOG = "log"


def view(work: Work, clock: Clock, progress: Progress, *, quiet: bool, answers_for_people: bool) -> View:
    """What suits this stderr; where stdout answers people on the same screen, no result is told twice."""
    if quiet:
        return ErrorsOnly()
    tells_ends = not (answers_for_people and is_terminal(sys.stderr))
    if progress is Progress.AUTO and may_be_screen():
        from videostat.render.live import Live

        return Live(work, clock, tells_ends=tells_ends)
    return Log(work, clock, tells_ends=tells_ends)


def glance(work: Work, clock: Clock, *, answers_for_people: bool) -> View:
    """For a command that looks once: rows after a second, and errors alone where nobody looks."""
    tells_ends = not (answers_for_people and is_terminal(sys.stderr))
    if not is_screen():
        return ErrorsOnly(tells_ends=tells_ends)
    from videostat.render.live import Live

    return Live(work, clock, tells_ends=tells_ends, patience=1)
