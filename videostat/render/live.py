"""Draw the live screen.

It has a row over all jobs, a row for each job that fits, and a count of the rest. The results of ended jobs stay above
it as normal lines. Only what fits is drawn, four times a second, so the cost does not depend on the number of jobs.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from rich.cells import cell_len
from rich.console import Console, Group
from rich.text import Text

from videostat.clock import format_duration
from videostat.errors import ExitCode
from videostat.render import cursor, rows
from videostat.render.board import format_counts
from videostat.render.log import Log, format_saved, is_screen
from videostat.render.messages import make_complaint, write_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from videostat.clock import Clock
    from videostat.models import Job
    from videostat.render.board import Work
    from videostat.render.rows import Block

FRAME = 0.25  # seconds between two frames
BLINK = 0.05  # least seconds before erased rows are drawn again; thousands of jobs may end at once


class Live(Log):
    """A live screen on a terminal in the foreground, a log elsewhere.

    Nothing is drawn in the first `delay` seconds. `is_forced`: as in `is_screen`.
    """

    def __init__(
        self, work: Work, clock: Clock, *, reports_ends: bool = True, delay: float = 0, is_forced: bool = False
    ) -> None:
        super().__init__(work, clock, reports_ends=reports_ends)
        self._is_screen = partial(is_screen, is_forced=is_forced)
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._glyphs = rows.UNICODE if "utf" in sys.stderr.encoding.lower() else rows.ASCII
        self._count = len(work.usual)
        self._names = max((cell_len(str(ref)) for ref in work.usual), default=0)
        self._above = ""
        self._frames = 0
        self._is_shown = self._has_drawn = False
        self._drawn_at = time.monotonic() - FRAME + delay

    def __enter__(self) -> Self:
        if not self._is_screen():
            return super().__enter__()
        self.tick()
        return self

    def __exit__(self, *raised: object) -> None:
        write_stderr(
            self._build_erasure() + (cursor.WRAP + cursor.SHOW if self._has_drawn and self._is_screen() else "")
        )

    def update(self, job: Job) -> None:
        """Show a new answer; the result of an ended job goes above the rows."""
        if not self._is_screen():
            super().update(job)
            return
        self._board.update(job)
        self._last[job.ref] = job
        if not job.ended:  # after an end, release_screen() draws
            self.tick()
        elif self._is_news(job):
            self._show_end(job)

    def _show_end(self, job: Job) -> None:
        glyphs, complaint = self._glyphs, make_complaint(job)
        if complaint:
            subject = self._pad_name(complaint.subject)
            self._print_above(Text.assemble((glyphs.bad, "red"), f" {subject}  ", (complaint.text, "red")))
            if complaint.hint and complaint.hint not in self._reported:
                self._reported.add(complaint.hint)
                self._print_above(Text(f"  {complaint.hint}"))
        elif job.exit_code is ExitCode.OK:
            seconds = self._board.compute_duration(job)
            result = "already saved" if job.saved and job.saved.skipped else "succeeded"
            result += f" after {format_duration(seconds)}" if seconds is not None else ""
            saved = f"  {format_saved(job.saved)}" if job.saved else ""
            name = self._pad_name(str(job.ref))
            self._print_above(Text.assemble((glyphs.good, "green"), f" {name}  ", (result, "green"), saved))

    def _pad_name(self, name: str) -> str:
        return name + " " * (self._names - cell_len(name))

    def _print_above(self, line: Text) -> None:
        # Let the terminal wrap the line, so that a person can copy it whole.
        with self._console.capture() as written:
            self._console.print(line, soft_wrap=True)
        self._above += written.get()

    def note(self, sentence: str) -> None:
        """Write a sentence above the rows at the next frame."""
        if self._is_screen():
            self._above += f"{sentence}\n"
        else:
            super().note(sentence)

    def tick(self) -> None:
        """Draw the next frame if it is due."""
        if not self._is_screen():
            self._is_shown = False
            write_stderr(self._take_above())
            super().tick()
        elif time.monotonic() - self._drawn_at >= (FRAME if self._is_shown else BLINK):
            self._draw()

    @contextmanager
    def release_screen(self) -> Iterator[None]:
        """Erase the rows while the block writes to stdout."""
        write_stderr(self._build_erasure())
        self._is_shown = False
        yield
        # A program that reads our piped stdout may write to this screen, so wait for the next tick.
        if sys.stdout.isatty():
            self.tick()

    def is_watched(self) -> bool:
        """Return whether stderr is a terminal in the foreground now."""
        return self._is_screen()

    def _build_erasure(self) -> str:
        """Build the text that replaces the rows by the pending lines."""
        self._is_shown = self._is_shown and self._is_screen()
        return (cursor.ERASE if self._is_shown else "") + self._take_above()

    def _take_above(self) -> str:
        above, self._above = self._above, ""
        return above

    def _draw(self) -> None:
        columns, height = measure_window()
        # Leave one column free: erasing to the end of a full line would remove its last character.
        lines = self._draw_lines(max(columns - 1, 1), max(height - 1, 1))
        write_stderr(cursor.build_frame(lines, self._take_above()))
        self._is_shown = self._has_drawn = True
        self._drawn_at = time.monotonic()

    def _draw_lines(self, width: int, most: int) -> list[str]:
        self._console.size = width, most
        with self._console.capture() as drawn:
            self._console.print(Group(*self._build_rows(width, most)), no_wrap=True, overflow="crop")
        return drawn.get().removesuffix("\n").split("\n")[:most]

    def _build_rows(self, width: int, most: int) -> Iterator[RenderableType]:
        board = self._board
        board.read_transfers()
        times, spinner = self._format_times(), self._glyphs.draw_spinner(self._frames)
        self._frames += 1
        if self._count == 1 and board.jobs:
            yield from rows.draw_single_job(self._glyphs, spinner, board.make_rows(1)[0], times, width)
            return
        yield rows.make_total_row(
            f"{board.ended:,} of {self._count:,} done", 100 * board.ended / (self._count or 1), times, width
        )
        yield from self._build_job_rows(spinner, width, most - 1)

    def _format_times(self) -> Sequence[str]:
        elapsed, timeout = format_duration(self._board.elapsed), self._board.work.timeout
        return [f"{elapsed} of {format_duration(timeout)}", elapsed] if timeout else [elapsed]

    def _build_job_rows(self, spinner: Text, width: int, room: int) -> Iterator[RenderableType]:
        """Draw as many jobs as fit, and count the others by state."""
        board = self._board
        count, first = len(board.jobs), board.make_rows(room)
        over = [board.make_transfers_row()] if board.moving and (len(board.moving) > 1 or count > room) else []
        sheet = rows.Sheet(self._glyphs, spinner, over + first, width)
        blocks = [sheet.draw_block(row, with_details=True) for row in over + first]
        if count > len(first) or sum(block.height for block in blocks) > room:
            blocks = _fit_blocks(
                [sheet.draw_block(row, with_details=False) for row in over + first], room, count + len(over)
            )
        yield from rows.make_grids(blocks)
        shown = max(len(blocks) - len(over), 0)
        if rest := count - shown:
            labels = Counter(board.labels)
            labels.subtract(row.label for row in first[:shown])
            yield Text(self._glyphs.fit(f"{self._glyphs.more} {rest:,} more: {format_counts(labels)}", width), "dim")


def _fit_blocks(blocks: list[Block], room: int, count: int) -> list[Block]:
    """Return the blocks that fit into `room` lines.

    Unless all `count` blocks fit, the last line is kept for a count of the others.
    """
    if len(blocks) == count and sum(block.height for block in blocks) <= room:
        return blocks
    fitting, used = [], 1
    for block in blocks:
        used += block.height
        if used > room:
            break
        fitting.append(block)
    return fitting


def measure_window() -> tuple[int, int]:
    """Return the columns and lines of the window.

    It is called for each frame, so a resize needs no signal. rich is not asked, because it trusts an exported COLUMNS.
    """
    try:
        columns, height = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        columns, height = 0, 0
    return columns or 80, height or 24  # a pseudo-terminal may not have been given a size


def show_cursor() -> None:
    """Erase the rows and show the cursor; safe in a signal handler."""
    if is_screen():
        os.write(sys.stderr.fileno(), cursor.LEAVE.encode())
