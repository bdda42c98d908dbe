"""Rows for people, in whatever width the terminal has."""

from __future__ import annotations

import sys
from itertools import accumulate
from typing import TYPE_CHECKING

from videostat.render.text import in_ci, is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.text import Text

    Cell = str | tuple[str, str] | Text  # a text, with a style where it has one

# What a narrow window does without, the least important first; all else may be copied, so it is never cut.
OPTIONAL = ("TITLE", "SIZE", "CREATED", "SEEN", "LENGTH", "TOOK", "TIME LEFT", "PROGRESS")
# What may be long comes last: the terminal wraps it, and no other column moves.
LAST = ("TITLE", "KEY", "VALUE", "MESSAGE", "RESULT")
GAP = 2
LEAST = 24  # cells for the last column, which overflows


def print_columns(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print rows aligned below their headers, but for the columns that are empty; on stdout."""
    table = [column for column in zip(headers, *rows, strict=True) if not rows or any(map(plain, column[1:]))]
    table.sort(key=lambda column: LAST.index(column[0]) + 1 if column[0] in LAST else 0)
    widths = {column[0]: max(cell_width(cell) for cell in column) for column in table}
    shown = fit_columns(widths)
    kept = [column for column in table if column[0] in shown]
    print_headers({header: widths[header] for header in shown})
    for line in zip(*(column[1:] for column in kept), strict=True):
        print_line(line, [widths[header] for header in shown])


def fit_columns(widths: Mapping[str, int]) -> list[str]:
    """Choose the columns that stdout's terminal has room for."""
    from rich.console import Console

    return fit(widths, Console().width)


def fit(widths: Mapping[str, int], room: int) -> list[str]:
    """Choose the columns that a window has room for; the last one may be wider, for it overflows."""
    shown = list(widths)
    for header in OPTIONAL:
        *others, last = shown
        if sum(widths[name] + GAP for name in others) + min(widths[last], LEAST) > room and header in shown:
            shown.remove(header)
    return shown


def print_headers(widths: Mapping[str, int]) -> None:
    """Print the headers above columns so wide, as far as the window goes: nobody copies one."""
    from rich.console import Console

    starts = accumulate((width + GAP for width in widths.values()), initial=0)
    fitting = [header for header, at in zip(widths, starts, strict=False) if at + len(header) <= Console().width]
    print_line([(header, "bold") for header in fitting], widths.values())


def print_line(cells: Iterable[Cell], widths: Iterable[int]) -> None:
    """Print one row; each cell but the last is filled up to its width, and the terminal wraps the line."""
    from rich.console import Console
    from rich.text import Text

    # A Text is drawn as it is: no [markup], no highlighting, no :emoji:.
    texts = [cell if isinstance(cell, Text) else Text(cell) if isinstance(cell, str) else Text(*cell) for cell in cells]
    for text, width in zip(texts[:-1], widths, strict=False):
        text.pad_right(max(width - text.cell_len, 0))
    line = Text(" " * GAP).join(texts)
    line.rstrip()
    Console().print(line, soft_wrap=True)


def linked(text: str, target: str | Path) -> Text:
    """A text that a terminal opens when it is clicked (OSC 8); plain in CI, and where stdout is no terminal."""
    from rich.style import Style
    from rich.text import Text

    address = target if isinstance(target, str) else target.absolute().as_uri()
    # What is not plain ASCII could end the sequence that carries it.
    is_safe = address.isascii() and address.isprintable() and is_terminal(sys.stdout) and not in_ci()
    return Text(text, Style(link=address) if is_safe else "")


def cell_width(cell: Cell) -> int:
    """The cells that a text takes on the screen."""
    from rich.cells import cell_len

    return cell_len(plain(cell))


def plain(cell: Cell) -> str:
    """The text of a cell alone."""
    return cell if isinstance(cell, str) else cell[0] if isinstance(cell, tuple) else cell.plain
