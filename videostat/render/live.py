"""The live screen: a row over all, one for each job that fits, the rest in a tally; what has ended stands above.

Only what fits is drawn, four times a second: the cost does not depend on the number of jobs.
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
from videostat.render.board import tally
from videostat.render.log import Log, file_and_size, is_screen
from videostat.render.messages import complain, tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from videostat.clock import Clock
    from videostat.models import Job
    from videostat.render.board import Work
    from videostat.render.rows import Block

FRAME = 0.25  # seconds between two drawings
BLINK = 0.05  # and at least, when the rows had to make way: jobs may end by the thousand


class Live(Log):
    """Redraws its rows in place while somebody looks, and writes the lines of a log while nobody does.

    Nothing is drawn in the first `patience` seconds.
    """

    def __init__(
        self, work: Work, clock: Clock, *, tells_ends: bool = True, patience: float = 0, is_forced: bool = False
    ) -> None:
        super().__init__(work, clock, tells_ends=tells_ends)
        self._is_screen = partial(is_screen, is_forced=is_forced)
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
        self._pen = rows.UNICODE if "utf" in sys.stderr.encoding.lower() else rows.ASCII
        self._count = len(work.usual)
        self._names = max((cell_len(str(ref)) for ref in work.usual), default=0)
        self._above = ""
        self._frames = 0
        self._is_shown = self._has_drawn = False
        self._drawn_at = time.monotonic() - FRAME + patience

    def __enter__(self) -> Self:
        if not self._is_screen():
            return super().__enter__()
        self.tick()
        return self

    def __exit__(self, *raised: object) -> None:
        tell(self._cleared() + (cursor.WRAP + cursor.SHOW if self._has_drawn and self._is_screen() else ""))

    def update(self, job: Job) -> None:
        if not self._is_screen():
            super().update(job)
            return
        self._board.take(job)
        self._last[job.ref] = job
        if not job.ended:  # else aside() draws
            self.tick()
        elif self._is_news(job):
            self._tell_end(job)

    def _tell_end(self, job: Job) -> None:
        pen, complaint = self._pen, complain(job)
        if complaint:
            about = complaint.about + " " * (self._names - cell_len(complaint.about))
            self._print_above(Text.assemble((pen.bad, "red"), f" {about}  ", (complaint.said, "red")))
            if complaint.hint and complaint.hint not in self._said:
                self._said.add(complaint.hint)
                self._print_above(Text(f"  {complaint.hint}"))
        elif job.exit_code is ExitCode.OK:
            took = self._board.took(job)
            said = "already saved" if job.saved and job.saved.skipped else "succeeded"
            said += f" after {format_duration(took)}" if took is not None else ""
            about = str(job.ref) + " " * (self._names - cell_len(str(job.ref)))
            saved = f"  {file_and_size(job.saved)}" if job.saved else ""
            self._print_above(Text.assemble((pen.good, "green"), f" {about}  ", (said, "green"), saved))

    def _print_above(self, line: Text) -> None:
        # Wrapped by the terminal, if at all: so it can be copied whole.
        with self._console.capture() as written:
            self._console.print(line, soft_wrap=True)
        self._above += written.get()

    def note(self, sentence: str) -> None:
        if self._is_screen():
            self._above += f"{sentence}\n"
        else:
            super().note(sentence)

    def tick(self) -> None:
        if not self._is_screen():
            self._is_shown = False
            tell(self._take_above())
            super().tick()
        elif time.monotonic() - self._drawn_at >= (FRAME if self._is_shown else BLINK):
            self._draw()

    @contextmanager
    def aside(self) -> Iterator[None]:
        tell(self._cleared())
        self._is_shown = False
        yield
        # Whoever reads a piped answer may write it to this screen: until the next tick it is theirs.
        if sys.stdout.isatty():
            self.tick()

    def is_watched(self) -> bool:
        return self._is_screen()

    # The screen

    def _cleared(self) -> str:
        """What takes the rows away, and puts there what is to stand above them."""
        self._is_shown = self._is_shown and self._is_screen()
        return (cursor.ERASE if self._is_shown else "") + self._take_above()

    def _take_above(self) -> str:
        above, self._above = self._above, ""
        return above

    def _draw(self) -> None:
        columns, height = window()
        # One column stays free: to erase what follows a full row would take its last letter.
        lines = self._lines(max(columns - 1, 1), max(height - 1, 1))
        tell(cursor.frame(lines, self._take_above()))
        self._is_shown = self._has_drawn = True
        self._drawn_at = time.monotonic()

    def _lines(self, width: int, most: int) -> list[str]:
        self._console.size = width, most
        with self._console.capture() as drawn:
            self._console.print(Group(*self._renderables(width, most)), no_wrap=True, overflow="crop")
        return drawn.get().removesuffix("\n").split("\n")[:most]

    # What is drawn

    def _renderables(self, width: int, most: int) -> Iterator[RenderableType]:
        board = self._board
        board.read_transfers()
        times, turn = self._times(), self._pen.turn(self._frames)
        self._frames += 1
        if self._count == 1 and board.jobs:
            yield from rows.single(self._pen, turn, board.rows(1)[0], times, width)
            return
        yield rows.total(
            f"{board.ended:,} of {self._count:,} done", 100 * board.ended / (self._count or 1), times, width
        )
        yield from self._jobs(turn, width, most - 1)

    def _times(self) -> Sequence[str]:
        passed, timeout = format_duration(self._board.passed()), self._board.work.timeout
        return [f"{passed} of {format_duration(timeout)}", passed] if timeout else [passed]

    def _jobs(self, turn: Text, width: int, room: int) -> Iterator[RenderableType]:
        """As many jobs as fit, in the order given, and a tally of the rest."""
        board = self._board
        count, first = len(board.jobs), board.rows(room)
        over = [board.all_files()] if board.moving and (len(board.moving) > 1 or count > room) else []
        sheet = rows.Sheet(self._pen, turn, over + first, width)
        blocks = [sheet.block(row, with_details=True) for row in over + first]
        if count > len(first) or sum(block.height for block in blocks) > room:
            blocks = _fitting([sheet.block(row, with_details=False) for row in over + first], room, count + len(over))
        yield from rows.grids(blocks)
        shown = max(len(blocks) - len(over), 0)
        if rest := count - shown:
            words = Counter(board.words)
            words.subtract(row.word for row in first[:shown])
            yield Text(self._pen.fit(f"{self._pen.more} {rest:,} more: {tally(words)}", width), "dim")


def _fitting(blocks: list[Block], room: int, count: int) -> list[Block]:
    """The first blocks that fit; if they are not all, one line stays free for the tally."""
    if len(blocks) == count and sum(block.height for block in blocks) <= room:
        return blocks
    fitting, used = [], 1
    for block in blocks:
        used += block.height
        if used > room:
            break
        fitting.append(block)
    return fitting


def window() -> tuple[int, int]:
    """Columns and rows, asked for each frame: that is all a resize takes; rich would believe an exported COLUMNS."""
    try:
        columns, height = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        columns, height = 0, 0
    return columns or 80, height or 24  # a pseudo-terminal may not have been given a size


def show_cursor() -> None:
    """For a way out that takes no time: the rows away, the cursor back; safe in a signal handler."""
    if is_screen():
        os.write(sys.stderr.fileno(), cursor.LEAVE.encode())
