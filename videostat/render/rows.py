"""Lay out the live rows: what matters at any width, drawn by rich."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from videostat.clock import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from videostat.render.board import Row

GAP = 2
READABLE = 8  # cells: less of a text is not worth showing


class Layout(NamedTuple):
    """Cells of a bar, its percentage, the time and what else is said; 0 leaves it out."""

    bar: int = 0
    percent: int = 0
    time: int = 0
    said: int = 0

    @property
    def needs(self) -> int:
        return sum(cells + GAP for cells in self if cells)


# The first that fits. Without `said`, that stands on a line of its own.
LAYOUTS = (
    Layout(30, 4, 6, 32),
    Layout(20, 4, 6, 24),
    Layout(10, 4, 6, 16),
    Layout(10, 4, 0, 16),
    Layout(5, 4, 0, 16),
    Layout(5, 4),
    Layout(5),
    Layout(),
)


@dataclass(frozen=True, slots=True)
class Pen:
    """The signs that a terminal can show."""

    spinner: Spinner
    good: str
    bad: str
    more: str

    def fit(self, text: str, cells: int) -> str:
        """Cut a text to its cells, and show that it is cut."""
        if cell_len(text) <= cells:
            return text
        return set_cell_size(text, max(cells - len(self.more), 0)) + self.more[:cells]

    def fit_parts(self, parts: Iterable[str], cells: int) -> str:
        """As many parts as fit; a longer text is cut if enough of it can be read."""
        line = ""
        for part in parts:
            before = line + " " * GAP * bool(line)
            if cell_len(before + part) <= cells:
                line = before + part
            elif not line or (cells - cell_len(before) >= READABLE and cell_len(part) > 2 * READABLE):
                return before + self.fit(part, cells - cell_len(before))
        return line

    def turn(self, frame: int) -> Text:
        """The spinner, one step further in each frame."""
        drawn = self.spinner.render(frame * self.spinner.interval / 1000)
        return drawn if isinstance(drawn, Text) else Text()


UNICODE = Pen(Spinner("dots"), "✓", "✗", "…")
ASCII = Pen(Spinner("line"), "+", "x", "...")


class Block(NamedTuple):
    """A row's cells, their widths, and the lines below it."""

    widths: tuple[int, ...]
    cells: tuple[RenderableType, ...]
    below: tuple[Text, ...] = ()

    @property
    def height(self) -> int:
        return 1 + len(self.below)


class Sheet:
    """The columns that all rows of a frame share."""

    def __init__(self, pen: Pen, turn: Text, rows: Sequence[Row], width: int) -> None:
        self._pen, self._width, self._turn = pen, width, turn
        longest = max(12, width * 3 // 10)
        self._names = {
            row.names: pen.fit(next((name for name in row.names if cell_len(name) <= longest), row.names[-1]), longest)
            for row in rows
        }
        name = max(map(cell_len, self._names.values()), default=0)
        word = max((len(row.word) for row in rows), default=0)
        if 2 + name + GAP + word > width:
            name, word = max(width - 2, 1), 0
        self._label = (2 + name, *([word] if word else []))
        self._room = width - sum(self._label) - GAP * (len(self._label) - 1)
        layout = next(layout for layout in LAYOUTS if layout.needs <= self._room or not any(layout))
        self._layout = layout._replace(said=layout.said + self._room - layout.needs) if layout.said else layout

    def block(self, row: Row, *, with_details: bool) -> Block:
        """Draw a row; its trouble takes the bar's place where no percentage is known, or a line of its own."""
        layout = self._layout
        name = Text.assemble(self._turn, " ", self._pen.fit(self._names[row.names], self._label[0] - 2))
        label: tuple[RenderableType, ...] = (name, Text(row.word, row.style))[: len(self._label)]
        trouble = "".join(row.trouble) if row.trouble else ""
        place = layout.said if row.percent is not None else self._room - GAP
        is_inside = bool(trouble) and cell_len(trouble) <= place
        below = tuple(trouble_lines(self._pen, row.trouble, self._width)) if row.trouble and not is_inside else ()
        if with_details and row.said and not layout.said and not row.trouble:
            below = (Text("  " + self._pen.fit_parts(row.said, self._width - 2), "dim"),)
        if is_inside and row.percent is None:
            return Block((*self._label, place), (*label, Text(trouble, "yellow")), below)
        said = Text(trouble, "yellow") if is_inside else Text(self._pen.fit_parts(row.said, layout.said), "dim")
        percent = "" if row.percent is None else f"{int(row.percent)}%"
        cells: tuple[RenderableType, ...] = (
            bar(row.percent, layout.bar),
            Text(percent.rjust(4)),
            Text(format_duration(row.elapsed).rjust(6), "dim"),
            said,
        )
        shown = [(cells, cell) for cells, cell in zip(layout, cells, strict=True) if cells]
        return Block((*self._label, *(width for width, _ in shown)), (*label, *(cell for _, cell in shown)), below)


def trouble_lines(pen: Pen, trouble: tuple[str, str], width: int) -> Iterator[Text]:
    """The sentence on at most three lines; its end is always there."""
    sentence, end = trouble
    cells = max(width - 2, 1)
    text = pen.fit(sentence, max(3 * cells - cell_len(end) - READABLE * 2, READABLE)) + end
    line = ""
    for word in text.split(" "):
        if line and cell_len(f"{line} {word}") > cells:
            yield Text(f"  {line}", "yellow")
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield Text(f"  {line}", "yellow")


def bar(percent: float | None, cells: int) -> ProgressBar:
    """A bar, or a pulse where nothing is known of the progress."""
    return ProgressBar(
        None if percent is None else 100,
        percent or 0,
        width=cells,
        complete_style="green",
        finished_style="green",
        pulse_style="cyan",
    )


def grids(blocks: Iterable[Block]) -> Iterator[RenderableType]:
    """The rows below each other, in as few grids as their lines allow."""
    for widths, group in groupby(blocks, lambda block: block.widths):
        grid = _grid(widths)
        for block in group:
            grid.add_row(*block.cells)
            if block.below:
                yield grid
                yield from block.below
                grid = _grid(widths)
        if grid.row_count:
            yield grid


def _grid(widths: tuple[int, ...]) -> Table:
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for width in widths:
        grid.add_column(width=width, no_wrap=True)
    return grid


def total(label: str, share: float, times: Sequence[str], width: int) -> RenderableType:
    """The row over all jobs: how many are done, a bar in the room that is left, and the times if there is room."""
    said = next((text for text in times if width - cell_len(label) - cell_len(text) - 2 * GAP >= READABLE), "")
    room = width - cell_len(label) - GAP - (cell_len(said) + GAP if said else 0)
    if room < 1:
        return Text(label[:width], "bold")
    grid = _grid((cell_len(label), room, *([cell_len(said)] if said else [])))
    grid.add_row(Text(label, "bold"), bar(share, room), *([Text(said, "dim")] if said else []))
    return grid


def single(pen: Pen, turn: Text, row: Row, times: Sequence[str], width: int) -> Iterator[RenderableType]:
    """One job: its name and state, what is known of it, and a bar over the whole width."""
    name = pen.fit(row.names[0], max(width - 2 - GAP - len(row.word), READABLE))
    line = Text.assemble(turn, " ", name, " " * GAP, (row.word, row.style))
    elapsed = next((text for text in times if line.cell_len + GAP + cell_len(text) <= width), "")
    if elapsed:
        line.append(f"{' ' * GAP}{elapsed}", "dim")
    said = "".join(row.trouble) if row.trouble else (" " * GAP).join(row.said)
    is_inside = line.cell_len + GAP + cell_len(said) <= width
    if is_inside:
        line.append(f"{' ' * GAP}{said}", "yellow" if row.trouble else "dim")
    line.truncate(width)
    yield line
    percent = "" if row.percent is None else f"{int(row.percent)}%"
    cells = max(width - len(percent) - GAP * bool(percent), 1)
    grid = _grid((cells, len(percent)) if percent else (cells,))
    grid.add_row(bar(row.percent, cells), *([Text(percent)] if percent else []))
    yield grid
    if row.trouble and not is_inside:
        yield from trouble_lines(pen, row.trouble, width)
    elif not is_inside:
        yield Text(pen.fit_parts(row.said, width), "dim")
