"""Rows below each other, in whatever width the terminal has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size

from videostat.clock import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

STYLES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36}
GAP = 2
READABLE = 8  # cells: less of a text is not worth showing
SHORTEST_NAME = 8
BARS = ((20, 46), (10, 12))  # a bar's length, and the room it takes to leave some for what is said

Part = tuple[str, str]  # text and style


class Row(NamedTuple):
    """A line in columns: the first of `names` that fits; `percent` is None where unknown, `elapsed` in seconds."""

    names: tuple[str, ...]
    word: str
    style: str
    percent: float | None
    elapsed: float
    said: str
    said_style: str = "dim"


@dataclass(frozen=True, slots=True)
class Pen:
    """The signs that a terminal can show, and whether it wants colour."""

    spinner: str
    full: str
    empty: str
    good: str
    more: str
    is_coloured: bool

    def painted(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[m" if style and self.is_coloured else text

    def fitted(self, text: str, cells: int) -> str:
        if cell_len(text) <= cells:
            return text
        return set_cell_size(text, max(cells - len(self.more), 0)) + self.more

    def aligned(self, total: Row, rows: list[Row], width: int, frame: int) -> list[str]:
        """Names, words, bars and times below each other; a narrow window does without bars, then what is right."""
        longest = max(width // 3, SHORTEST_NAME)
        names = [
            self.fitted(next((name for name in row.names if cell_len(name) <= longest), row.names[-1]), longest)
            for row in rows
        ]
        word = max((len(row.word) for row in rows), default=0)
        spinner = self.spinner[frame % len(self.spinner)] + " "
        name = max([len(total.names[0]) - len(spinner) - GAP - word, *map(cell_len, names)])
        label = len(spinner) + name + GAP + word
        room = width - label - len("  100%  59m59s")
        bar = next((length for length, needed in BARS if room >= needed), 0)
        lines = [self._line([(total.names[0].ljust(label), "bold")], total, bar, width)]
        for shown, row in zip(names, rows, strict=True):
            parts = [(spinner + set_cell_size(shown, name), ""), (row.word.ljust(word), row.style)]
            lines.append(self._line(parts, row, bar, width))
        return lines

    def _line(self, label: list[Part], row: Row, bar: int, width: int) -> str:
        percent = "" if row.percent is None else f"{int(row.percent)}%"
        return self._joined(
            [
                *label,
                (self._bar(row.percent, bar), "green"),
                (f"{percent:>4}", ""),
                (f"{format_duration(row.elapsed):>6}", "dim"),
                (row.said, row.said_style),
            ],
            width,
        )

    def _joined(self, parts: Iterable[Part], width: int) -> str:
        line, room = "", width
        for text, style in parts:
            if line and room < min(cell_len(text), READABLE):
                break
            if text:
                shown = self.fitted(text, room)
                line += " " * (GAP if line else 0) + self.painted(shown, style)
                room -= cell_len(shown) + GAP
        return line

    def _bar(self, percent: float | None, length: int) -> str:
        if percent is None:
            return " " * length
        full = int(length * percent / 100)
        return self.full * full + self.empty * (length - full)


UNICODE = Pen("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "━", "─", "✓", "…", is_coloured=True)
ASCII = Pen("|/-\\", "#", "-", "+", "...", is_coloured=True)
