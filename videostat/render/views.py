"""Choose what stderr shows while jobs are waited for: a live screen, log lines, or errors alone."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, Self

from videostat.render.log import ErrorsOnly, Log, is_screen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from videostat.clock import Clock
    from videostat.models import Job, JobRef
    from videostat.saving import Transfer


class View(Protocol):
    """Told of every job at every answer, and several times a second that time passes."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *raised: object) -> None: ...
    def update(self, job: Job) -> None: ...
    def tick(self) -> None: ...
    def note(self, sentence: str) -> None: ...
    def aside(self) -> AbstractContextManager[object]:
        """Room for stdout, which may be the same screen."""


def view(
    doing: str,
    count: int,
    timeout: float,
    clock: Clock,
    *,
    quiet: bool,
    progress: bool,
    transfers: Mapping[JobRef, Transfer] = MappingProxyType({}),
) -> View:
    """What suits this stderr; `doing` is the word before the number of jobs, `timeout` is in seconds."""
    if quiet:
        return ErrorsOnly()
    if progress and is_screen():
        from videostat.render.live import Live

        return Live(doing, count, timeout, clock, transfers)
    return Log(doing, count, timeout, clock)
