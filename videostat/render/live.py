"""The live screen: a row over all, one for each active job that fits; what has ended stands above.

Between two frames the cursor rests where the rows begin, and they are erased from there to the end of the
screen. When a window gets narrower, terminals that wrap its lines anew (tmux, VTE, kitty) take the cursor
along, and those that cut them (xterm) leave it: it is right in both, and there are no lines to count.

Only what fits is drawn, four times a second: the cost does not depend on the number of jobs.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice, takewhile
from typing import TYPE_CHECKING, Self

from videostat.clock import format_duration
from videostat.errors import ExitCode
from videostat.models import Job, JobRef, State
from videostat.render.log import ErrorsOnly, file_and_size, is_screen
from videostat.render.messages import passing, tell
from videostat.render.rows import ASCII, UNICODE, Row
from videostat.render.text import COLOURS, clean
from videostat.render.transfers import Moved, Speedometer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from videostat.clock import Clock
    from videostat.saving import Transfer

FRAME = 0.25  # seconds between two drawings
BLINK = 0.05  # and at least, when the rows had to make way: jobs may end by the thousand

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
# A row is never wrapped, not even one that the terminal finds wider than we do, as it may an emoji.
CUT, WRAP = "\x1b[?7l", "\x1b[?7h"
# tmux moves to its history what is erased from the very first cell on: hence from the second.
ERASE = "\r \x1b[J\r"


class Live(ErrorsOnly):
    """Redraws its rows in place on a terminal; `doing` is the word before the number of jobs."""

    def __init__(
        self, doing: str, count: int, timeout: float, clock: Clock, transfers: Mapping[JobRef, Transfer]
    ) -> None:
        super().__init__()
        self._doing, self._count, self._timeout, self._clock, self._transfers = doing, count, timeout, clock, transfers
        pen = UNICODE if "utf" in sys.stderr.encoding.lower() else ASCII
        self._pen = replace(pen, is_coloured=not os.environ.get("NO_COLOR"))
        self._active: dict[JobRef, Job] = {}
        self._saving: dict[JobRef, Job] = {}  # in the order in which they are saved
        self._speeds: dict[JobRef, Speedometer] = {}
        self._saved = Moved()
        self._began = clock.monotonic()
        self._ended = 0
        self._above = ""
        self._frames = 0
        self._is_shown = False
        self._drawn_at = -FRAME

    def __enter__(self) -> Self:
        self._draw()
        return self

    def __exit__(self, *raised: object) -> None:
        tell(self._cleared() + SHOW)

    def update(self, job: Job) -> None:
        if self._saving.pop(job.ref, None) and job.saved:
            self._saved = Moved.sum(self._saved, Moved(job.saved.bytes, job.saved.bytes))
        self._speeds.pop(job.ref, None)
        if job.ended:
            self._active.pop(job.ref, None)
            self._ended += 1
            self._tell_end(job)
        elif job.state is State.SUCCEEDED and not job.needs_url and not job.saved:
            self._active.pop(job.ref, None)
            self._saving[job.ref] = job
        else:
            self._active[job.ref] = job
        if not job.ended:  # else aside() draws
            self.tick()

    def _tell_end(self, job: Job) -> None:
        if job.exit_code is ExitCode.OK:
            is_old = job.saved is not None and job.saved.skipped
            said = "already saved" if is_old else f"succeeded after {format_duration(self._elapsed(job))}"
            succeeded = self._pen.painted(said, "green")
            saved = f"  {file_and_size(job.saved)}" if job.saved else ""
            self.note(f"{self._pen.painted(self._pen.good, 'green')} {job.ref}  {succeeded}{saved}")
        elif complaint := self._news(job):
            self.note("\n".join((self._pen.painted(complaint[0], "red"), *complaint[1:])))

    def note(self, sentence: str) -> None:
        # Wrapped by the terminal, if at all: so it can be copied whole.
        self._above += f"{sentence}\n"

    def tick(self) -> None:
        if time.monotonic() - self._drawn_at >= (FRAME if self._is_shown else BLINK):
            self._draw()

    @contextmanager
    def aside(self) -> Iterator[None]:
        tell(self._cleared())
        self._is_shown = False
        yield
        # Whoever reads a piped answer may write it to this screen: until the next tick it is theirs.
        if sys.stdout.isatty():
            self.tick()

    # The screen

    def _cleared(self) -> str:
        """What takes the rows away, and puts there what is to stand above them."""
        above, self._above = self._above, ""
        return ERASE + above

    def _draw(self) -> None:
        columns, height = _window()
        # One column stays free: to erase what follows a full row would take its last letter.
        rows = self._rows(columns - 1, max(height - 1, 1))
        back = f"\x1b[{len(rows) - 1}A" if len(rows) > 1 else ""
        before = self._cleared() if self._above else "\r"
        tell(HIDE + before + CUT + "\x1b[K\n".join(rows) + "\x1b[J\r" + back + WRAP)
        self._is_shown = True
        self._drawn_at = time.monotonic()
        self._frames += 1

    # What is drawn

    def _rows(self, width: int, most: int) -> list[str]:
        now = self._clock.monotonic()
        moving = {
            ref: self._speeds.setdefault(ref, Speedometer()).read(self._transfers[ref], now)
            for ref in takewhile(self._transfers.__contains__, self._saving)
        }
        rows = [self._all_files(moving.values())] if len(moving) > 1 else []
        count, room = len(self._saving) + len(self._active), most - len(rows) - 1
        shown = count if count <= room else max(room - 1, 0)
        jobs = islice(chain(self._saving.values(), self._active.values()), shown)
        rows += (self._row(job, moving.get(job.ref)) for job in jobs)
        lines = self._pen.aligned(self._total(), rows, width, self._frames)
        if shown < count:
            more = self._pen.fitted(f"  {self._pen.more} and {count - shown:,} more", width)
            lines.append(self._pen.painted(more, "dim"))
        return lines[:most]

    def _total(self) -> Row:
        label = f"{self._doing} {self._ended:,}/{self._count:,}"
        of = f"of {format_duration(self._timeout)}" if self._timeout else ""
        return Row((label,), "", "bold", 100 * self._ended / (self._count or 1), self._passed(), of)

    def _all_files(self, moving: Iterable[Moved]) -> Row:
        moved = Moved.sum(self._saved, *moving)
        return Row(("all files",), "saving", "green", moved.percent, self._passed(), str(moved))

    def _row(self, job: Job, moved: Moved | None) -> Row:
        names, elapsed = (str(job.ref), job.ref.id), self._elapsed(job)
        if moved:
            transfer = self._transfers[job.ref]
            names, state = (clean(transfer.name), job.ref.id), transfer.state
            said = str(moved) if state == "downloading" else f"{state}  {moved}"
            return Row(names, "saving", "green", moved.percent, elapsed, said)
        said = passing(job) or (f"about {format_duration(job.estimated_time)} left" if job.estimated_time else "")
        return Row(
            names, job.state, COLOURS[job.state], job.progress, elapsed, said, "yellow" if job.problem else "dim"
        )

    def _elapsed(self, job: Job) -> float:
        end = job.completed_at or self._clock.now()
        if job.created_at and job.created_at <= end:
            return (end - job.created_at).total_seconds()
        return self._passed()

    def _passed(self) -> float:
        return self._clock.monotonic() - self._began


def _window() -> tuple[int, int]:
    """Columns and rows, asked for each frame: that is all a resize takes."""
    try:
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    return columns or 80, rows or 24  # a pseudo-terminal may not have been given a size


def show_cursor() -> None:
    """For a way out that takes no time: the rows away, the cursor back; safe in a signal handler."""
    if is_screen():
        os.write(sys.stderr.fileno(), (ERASE + WRAP + SHOW).encode())
