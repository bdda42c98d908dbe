"""Lay out the live rows for any window width, and draw them with rich."""

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
READABLE = 8  # cells; a shorter piece of a text is not shown


class Layout(NamedTuple):
    """The widths of the columns after the label; 0 cells leave one out."""

    bar: int = 0
    percent: int = 0
    time: int = 0
    details: int = 0

    @property
    def width(self) -> int:
        """The cells that all columns take, with the gaps before them."""
        return sum(cells + GAP for cells in self if cells)


# The first layout that fits is used. If it has no column for details, they get their own line.
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
class Glyphs:
    """The symbols that the encoding of a terminal has."""

    spinner: Spinner
    good: str
    bad: str
    more: str

    def fit(self, text: str, cells: int) -> str:
        """Cut a text to a width in cells, and mark the cut."""
        if cell_len(text) <= cells:
            return text
        return set_cell_size(text, max(cells - len(self.more), 0)) + self.more[:cells]

    def fit_parts(self, parts: Iterable[str], cells: int) -> str:
        """Join as many parts as fit into a width in cells.

        The last part is cut if enough of it stays readable.
        """
        line = ""
        for part in parts:
            before = line + " " * GAP * bool(line)
            if cell_len(before + part) <= cells:
                line = before + part
            elif not line or (cells - cell_len(before) >= READABLE and cell_len(part) > 2 * READABLE):
                return before + self.fit(part, cells - cell_len(before))
        return line

    def draw_spinner(self, frame: int) -> Text:
        """Draw the spinner as it looks in this frame."""
        drawn = self.spinner.render(frame * self.spinner.interval / 1000)
        return drawn if isinstance(drawn, Text) else Text()


UNICODE = Glyphs(Spinner("dots"), "✓", "✗", "…")
ASCII = Glyphs(Spinner("line"), "+", "x", "...")


class Block(NamedTuple):
    """A drawn row: its cells, their widths, and the lines below them."""

    widths: tuple[int, ...]
    cells: tuple[RenderableType, ...]
    below: tuple[Text, ...] = ()

    @property
    def height(self) -> int:
        """The number of lines on the screen."""
        return 1 + len(self.below)


class Sheet:
    """The column widths that all rows of a frame share."""

    def __init__(self, glyphs: Glyphs, spinner: Text, rows: Sequence[Row], width: int) -> None:
        self._glyphs, self._width, self._spinner = glyphs, width, spinner
        longest = max(12, width * 3 // 10)
        self._names = {
            row.names: glyphs.fit(
                next((name for name in row.names if cell_len(name) <= longest), row.names[-1]), longest
            )
            for row in rows
        }
        name = max(map(cell_len, self._names.values()), default=0)
        label = max((len(row.label) for row in rows), default=0)
        if 2 + name + GAP + label > width:
            name, label = max(width - 2, 1), 0
        self._label = (2 + name, *([label] if label else []))
        self._room = width - sum(self._label) - GAP * (len(self._label) - 1)
        layout = next(layout for layout in LAYOUTS if layout.width <= self._room or not any(layout))
        rest = self._room - layout.width
        self._layout = layout._replace(details=layout.details + rest) if layout.details else layout

    def draw_block(self, row: Row, *, with_details: bool) -> Block:
        """Draw a row and the lines below it.

        Details without a column get a line if `with_details` is set. A trouble takes the place of the details, or of
        the bar too if no percentage is known, or lines of its own.
        """
        layout = self._layout
        name = Text.assemble(self._spinner, " ", self._glyphs.fit(self._names[row.names], self._label[0] - 2))
        label: tuple[RenderableType, ...] = (name, Text(row.label, row.style))[: len(self._label)]
        trouble = "".join(row.trouble) if row.trouble else ""
        room = layout.details if row.percent is not None else self._room - GAP
        is_inside = bool(trouble) and cell_len(trouble) <= room
        below = tuple(wrap_trouble(self._glyphs, row.trouble, self._width)) if row.trouble and not is_inside else ()
        if with_details and row.details and not layout.details and not row.trouble:
            below = (Text("  " + self._glyphs.fit_parts(row.details, self._width - 2), "dim"),)
        if is_inside and row.percent is None:
            return Block((*self._label, room), (*label, Text(trouble, "yellow")), below)
        details = self._glyphs.fit_parts(row.details, layout.details)
        percent = "" if row.percent is None else f"{int(row.percent)}%"
        cells: tuple[RenderableType, ...] = (
            make_bar(row.percent, layout.bar),
            Text(percent.rjust(4)),
            Text(format_duration(row.elapsed).rjust(6), "dim"),
            Text(trouble, "yellow") if is_inside else Text(details, "dim"),
        )
        shown = [(width, cell) for width, cell in zip(layout, cells, strict=True) if width]
        return Block((*self._label, *(width for width, _ in shown)), (*label, *(cell for _, cell in shown)), below)


def wrap_trouble(glyphs: Glyphs, trouble: tuple[str, str], width: int) -> Iterator[Text]:
    """Wrap a trouble into lines of `width` cells, about three.

    The sentence is cut if it is long; the text after it (when the job is asked again) is always complete.
    """
    sentence, end = trouble
    cells = max(width - 2, 1)
    text = glyphs.fit(sentence, max(3 * cells - cell_len(end) - READABLE * 2, READABLE)) + end
    line = ""
    for word in text.split(" "):
        if line and cell_len(f"{line} {word}") > cells:
            yield Text(f"  {line}", "yellow")
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield Text(f"  {line}", "yellow")


def make_bar(percent: float | None, cells: int) -> ProgressBar:
    """Make a progress bar, or a moving pulse if the percentage is unknown."""
    return ProgressBar(
        None if percent is None else 100,
        percent or 0,
        width=cells,
        complete_style="green",
        finished_style="green",
        pulse_style="cyan",
    )


def make_grids(blocks: Iterable[Block]) -> Iterator[RenderableType]:
    """Make grids of the rows; a new one begins where the widths change."""
    for widths, group in groupby(blocks, lambda block: block.widths):
        grid = _make_grid(widths)
        for block in group:
            grid.add_row(*block.cells)
            if block.below:
                yield grid
                yield from block.below
                grid = _make_grid(widths)
        if grid.row_count:
            yield grid


def _make_grid(widths: tuple[int, ...]) -> Table:
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for width in widths:
        grid.add_column(width=width, no_wrap=True)
    return grid


def make_total_row(label: str, share: float, times: Sequence[str], width: int) -> RenderableType:
    """Make the row over all jobs: label, bar and time.

    `share` is in percent. The first of `times` that fits is shown.
    """
    time = next((text for text in times if width - cell_len(label) - cell_len(text) - 2 * GAP >= READABLE), "")
    room = width - cell_len(label) - GAP - (cell_len(time) + GAP if time else 0)
    if room < 1:
        return Text(label[:width], "bold")
    grid = _make_grid((cell_len(label), room, *([cell_len(time)] if time else [])))
    grid.add_row(Text(label, "bold"), make_bar(share, room), *([Text(time, "dim")] if time else []))
    return grid


def draw_single_job(
    glyphs: Glyphs, spinner: Text, row: Row, times: Sequence[str], width: int
) -> Iterator[RenderableType]:
    """Draw the only job of a run, with a bar over the whole width."""
    name = glyphs.fit(row.names[0], max(width - 2 - GAP - len(row.label), READABLE))
    line = Text.assemble(spinner, " ", name, " " * GAP, (row.label, row.style))
    time = next((text for text in times if line.cell_len + GAP + cell_len(text) <= width), "")
    if time:
        line.append(f"{' ' * GAP}{time}", "dim")
    details = "".join(row.trouble) if row.trouble else (" " * GAP).join(row.details)
    is_inside = line.cell_len + GAP + cell_len(details) <= width
    if is_inside:
        line.append(f"{' ' * GAP}{details}", "yellow" if row.trouble else "dim")
    line.truncate(width)
    yield line
    percent = "" if row.percent is None else f"{int(row.percent)}%"
    cells = max(width - len(percent) - GAP * bool(percent), 1)
    grid = _make_grid((cells, len(percent)) if percent else (cells,))
    grid.add_row(make_bar(row.percent, cells), *([Text(percent)] if percent else []))
    yield grid
    if row.trouble and not is_inside:
        yield from wrap_trouble(glyphs, row.trouble, width)
    elif not is_inside:
        yield Text(glyphs.fit_parts(row.details, width), "dim")
