"""Rows for people, in whatever width the terminal has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Cell = str | tuple[str, str]  # text, with a style where it has one

# What a narrow window does without, the least important first; all else may be copied, so it is never cut.
OPTIONAL = ("TITLE", "SIZE", "CREATED", "SEEN", "LENGTH", "PROGRESS", "MESSAGE")
# What is folded into the room that the others leave, and how much there must be.
FOLDED = {"TITLE": 16, "MESSAGE": 24}
GAP = 2


def print_columns(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Aligned below their headers, but for those that are empty; on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    # A Text is drawn as it is: no [markup], no highlighting, no :emoji:.
    columns = {
        header: [Text(cell) if isinstance(cell, str) else Text(*cell) for cell in cells]
        for header, *cells in zip(headers, *rows, strict=True)
    }
    columns = {header: cells for header, cells in columns.items() if any(cells) or not rows}
    widths = {header: max([len(header), *(cell.cell_len for cell in cells)]) for header, cells in columns.items()}
    widths |= {header: min(widths[header], FOLDED[header]) for header in FOLDED.keys() & widths}

    def needed() -> int:
        return sum(widths.values()) + GAP * (len(widths) - 1)

    for header in OPTIONAL:
        if needed() > console.width:
            widths.pop(header, None)
    shown = zip(*(columns[header] for header in widths), strict=True)
    if needed() > console.width:
        # The terminal wraps these lines: so it knows that they are whole, and lets them be copied.
        for row in shown:
            console.print(Text(" " * GAP).join(cell for cell in row if cell), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for header in widths:
        table.add_column(header, no_wrap=header not in FOLDED, overflow="fold")
    for row in shown:
        table.add_row(*row)
    console.print(table)
