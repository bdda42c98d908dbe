"""Measure several ways to do one thing, and print their medians, their ratio and the target."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


T = TypeVar("T")

LONGEST = 45  # seconds, after which no third or later round begins


class Usage(NamedTuple):
    """What a process used: `seconds` of time, `cpu` seconds of processor time, `peak` memory in MiB."""

    seconds: float
    cpu: float
    peak: float


def measure_process(*command: str | Path, env: Mapping[str, str] | None = None, code: int = 0) -> Usage:
    """Run a process to its end and measure it. Ends the program if the exit code is not `code`.

    On Linux, the peak is at least that of this process, so import little before.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != code:
            errors.seek(0)
            sys.exit(f"{command[0]} ended with {process.returncode}: {errors.read().decode(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / (1 << 20))


def run_in_turn(rounds: int, *ways: Callable[[], T]) -> list[list[T]]:
    """Run all ways once a round, and return each way's results. If rounds are long, run fewer."""
    runs: list[list[T]] = []
    began = time.perf_counter()
    while len(runs) < min(rounds, 2) or (len(runs) < rounds and time.perf_counter() < began + LONGEST):
        runs.append([way() for way in ways])
    return [list(each) for each in zip(*runs, strict=True)]


def compute_medians(rounds: int, *ways: Callable[[], float]) -> list[float]:
    """Run all ways, and return the median of each. The first round does not count, because it fills caches."""
    return [median(runs[1:]) for runs in run_in_turn(rounds + 1, *ways)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured figure. Its limits are for the ratio to the peer's figure, or for itself without a peer."""

    what: str
    peer: float | None = None
    ours: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        """Our figure divided by the peer's, None without a peer."""
        return self.ours / self.peer if self.peer else None

    @property
    def is_missed(self) -> bool:
        """Whether the figure misses its target."""
        figure = self.ours if self.ratio is None else self.ratio
        too_much = self.at_most is not None and figure > self.at_most
        return too_much or (self.at_least is not None and figure < self.at_least)

    def write_cells(self) -> Iterator[str]:
        """Write the cells of the row in the table."""
        yield self.what
        yield _format(self.peer, self.unit)
        yield _format(self.ours, self.unit)
        yield _format(self.ratio)
        limits = {"≤": self.at_most, "≥": self.at_least}
        yield " ".join(f"{sign} {limit:g}" for sign, limit in limits.items() if limit is not None) or "-"
        yield "missed" if self.is_missed else "-" if limits == {"≤": None, "≥": None} else "ok"


def show(rows: Iterator[Row]) -> list[Row]:
    """Print a Markdown table, each row as soon as it is measured. Return the rows that miss their target."""
    print("| what | peer | videostat | ratio | target | |\n|---|---|---|---|---|---|")
    missed = []
    for row in rows:
        print("|", " | ".join(row.write_cells()), "|", flush=True)
        missed += [row] * row.is_missed
    return missed


def _format(figure: float | None, unit: str = "") -> str:
    if figure is None:
        return "-"
    digits = 0 if abs(figure) >= 100 else 1 if abs(figure) >= 10 else 2
    return f"{figure:,.{digits}f} {unit}".rstrip()
