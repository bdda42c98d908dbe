"""Print aligned rows for people, in the width of the terminal."""

from __future__ import annotations

import sys
from itertools import accumulate
from typing import TYPE_CHECKING

from videostat.render.text import format_path, format_size, is_in_ci, is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.text import Text

    from videostat.models import Saved

    Cell = str | tuple[str, str] | Text  # a tuple is (text, style)

# Columns that a narrow window leaves out, the least important first. The others are never cut: people copy them.
OPTIONAL = ("TITLE", "SIZE", "CREATED", "SEEN", "LENGTH", "TOOK", "TIME LEFT", "PROGRESS")
# Columns that may be long. They come last, so that the terminal can wrap them without moving another column.
LAST = ("TITLE", "KEY", "VALUE", "MESSAGE", "RESULT")
GAP = 2
LAST_WIDTH = 24  # cells reserved for the last column, which may be wider


def print_columns(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print rows in aligned columns on stdout; leave out empty columns."""
    from rich.cells import cell_len

    table = [column for column in zip(headers, *rows, strict=True) if not rows or any(map(get_cell_text, column[1:]))]
    table.sort(key=lambda column: LAST.index(column[0]) + 1 if column[0] in LAST else 0)
    widths = {column[0]: max(cell_len(get_cell_text(cell)) for cell in column) for column in table}
    shown = fit_columns(widths)
    kept = [column for column in table if column[0] in shown]
    print_headers({header: widths[header] for header in shown})
    for line in zip(*(column[1:] for column in kept), strict=True):
        print_row(line, [widths[header] for header in shown])


def fit_columns(widths: Mapping[str, int]) -> list[str]:
    """Choose the headers that fit into the terminal of stdout; `widths` in cells."""
    from rich.console import Console

    return choose_columns(widths, Console().width)


def choose_columns(widths: Mapping[str, int], room: int) -> list[str]:
    """Choose the headers that fit into `room` cells.

    The last column needs at most LAST_WIDTH of them, because the terminal wraps it.
    """
    shown = list(widths)
    for header in OPTIONAL:
        *others, last = shown
        if sum(widths[name] + GAP for name in others) + min(widths[last], LAST_WIDTH) > room and header in shown:
            shown.remove(header)
    return shown


def print_headers(widths: Mapping[str, int]) -> None:
    """Print those headers that fit into the window; `widths` of their columns in cells."""
    from rich.console import Console

    starts = accumulate((width + GAP for width in widths.values()), initial=0)
    fitting = [header for header, at in zip(widths, starts, strict=False) if at + len(header) <= Console().width]
    print_row([(header, "bold") for header in fitting], widths.values())


def print_row(cells: Iterable[Cell], widths: Iterable[int]) -> None:
    """Print one row on stdout; pad all cells but the last."""
    from rich.console import Console
    from rich.text import Text

    # The terminal wraps the line. rich prints a Text without interpreting [markup] or :emoji: and without highlighting.
    texts = [cell if isinstance(cell, Text) else Text(cell) if isinstance(cell, str) else Text(*cell) for cell in cells]
    for text, width in zip(texts[:-1], widths, strict=False):
        text.pad_right(max(width - text.cell_len, 0))
    line = Text(" " * GAP).join(texts)
    line.rstrip()
    Console().print(line, soft_wrap=True)


def make_link(text: str, target: str | Path) -> Text:
    """Make a text that opens `target` on a click (OSC 8).

    The text is plain in CI, if stdout is not a terminal, or if the address is not plain ASCII.
    """
    from rich.style import Style
    from rich.text import Text

    address = target if isinstance(target, str) else target.absolute().as_uri()
    # Other characters could end the escape sequence around the address.
    is_safe = address.isascii() and address.isprintable() and is_terminal(sys.stdout) and not is_in_ci()
    return Text(text, Style(link=address) if is_safe else "")


def make_file_link(saved: Saved) -> Text:
    """Make a link to a saved file, followed by its size."""
    return make_link(format_path(saved.file), saved.file).append(f" ({format_size(saved.bytes)})")


def get_cell_text(cell: Cell) -> str:
    """Return the text of a cell without its style."""
    return cell if isinstance(cell, str) else cell[0] if isinstance(cell, tuple) else cell.plain
