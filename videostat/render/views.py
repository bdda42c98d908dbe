"""Choose what stderr shows while jobs are waited for: a live screen, log lines, or errors alone."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, Self

from videostat.render.jsonlines import JsonLines
from videostat.render.log import ErrorsOnly, Log, is_screen
from videostat.render.messages import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
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
    def show_output(self, lines: Iterable[str]) -> None: ...
    def aside(self) -> AbstractContextManager[object]:
        """Room for stdout, which may be the same screen."""


class ProgressMode(StrEnum):
    """How stderr shows progress."""

    AUTO = "auto"
    BARS = "bars"
    LOG = "log"
    JSON = "json"


def view(
    doing: str,
    refs: Sequence[JobRef],
    timeout: float,
    clock: Clock,
    *,
    quiet: bool = False,
    progress: ProgressMode = ProgressMode.AUTO,
    resume: Callable[[Sequence[JobRef]], str] = str,
    transfers: Mapping[JobRef, Transfer] = MappingProxyType({}),
) -> View:
    """Choose what suits this stderr. `doing` is the word before the number of jobs, `timeout` is in seconds.

    `resume` gives the command that goes on with jobs.
    """
    if quiet:
        return ErrorsOnly()
    if progress is ProgressMode.JSON:
        return JsonLines(refs, clock, resume)
    if progress in {ProgressMode.AUTO, ProgressMode.BARS} and is_screen():
        from videostat.render.live import Live

        return Live(doing, len(refs), timeout, clock, transfers)
    if progress is ProgressMode.BARS:
        say("videostat: no bars, because stderr is not a terminal: log lines instead")
    return Log(doing, len(refs), timeout, clock)
