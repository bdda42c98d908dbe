"""Choose what stderr shows: a live screen, log lines, JSON or errors alone."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from videostat.render.jsonlines import JsonLines
from videostat.render.log import ErrorsOnly, Log, is_screen, may_be_screen
from videostat.render.messages import say
from videostat.render.text import is_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from videostat.clock import Clock
    from videostat.models import JobRef
    from videostat.render.board import Work


class ProgressMode(StrEnum):
    """How stderr shows progress; AUTO: bars on a terminal in the foreground, else a log."""

    AUTO = "auto"
    BARS = "bars"
    LOG = "log"
    JSON = "json"


def choose_view(
    work: Work,
    clock: Clock,
    progress: ProgressMode,
    *,
    answers_for_people: bool,
    quiet: bool,
    resume: Callable[[Sequence[JobRef]], str] = str,
) -> ErrorsOnly:
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


def choose_status_view(work: Work, clock: Clock, *, answers_for_people: bool) -> ErrorsOnly:
    """Choose the view for one look: rows after a second on a terminal, else errors."""
    reports_ends = not (answers_for_people and is_terminal(sys.stderr))
    if not is_screen():
        return ErrorsOnly(reports_ends=reports_ends)
    from videostat.render.live import Live

    return Live(work, clock, reports_ends=reports_ends, delay=1)
