"""Several ways to do one thing, in turn within one run: the median of each, their ratio, and what was asked for."""

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

LONGEST = 45  # seconds: after two rounds, no other begins later


class Usage(NamedTuple):
    """What a process took: `seconds` by the wall, `cpu` seconds, `peak` resident MiB."""

    seconds: float
    cpu: float
    peak: float


def usage(*command: str | Path, env: Mapping[str, str] | None = None, code: int = 0) -> Usage:
    """Run it to its end. The peak is no less than our own, which Linux hands on: import little before."""
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


def in_turn(rounds: int, *ways: Callable[[], T]) -> list[list[T]]:
    """What each way gave, once a round; of rounds that are long, fewer are made."""
    runs: list[list[T]] = []
    began = time.perf_counter()
    while len(runs) < min(rounds, 2) or (len(runs) < rounds and time.perf_counter() < began + LONGEST):
        runs.append([way() for way in ways])
    return [list(each) for each in zip(*runs, strict=True)]


def medians(rounds: int, *ways: Callable[[], float]) -> list[float]:
    """The first round, which fills the caches, does not count."""
    return [median(runs[1:]) for runs in in_turn(rounds + 1, *ways)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure of ours; the limits are for its ratio to the peer's, and for itself where there is no peer."""

    what: str
    peer: float | None = None
    ours: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    @property
    def is_missed(self) -> bool:
        figure = self.ours if self.ratio is None else self.ratio
        too_much = self.at_most is not None and figure > self.at_most
        return too_much or (self.at_least is not None and figure < self.at_least)

    def cells(self) -> Iterator[str]:
        yield self.what
        yield _shown(self.peer, self.unit)
        yield _shown(self.ours, self.unit)
        yield _shown(self.ratio)
        limits = {"≤": self.at_most, "≥": self.at_least}
        yield " ".join(f"{sign} {limit:g}" for sign, limit in limits.items() if limit is not None) or "-"
        yield "missed" if self.is_missed else "-" if limits == {"≤": None, "≥": None} else "ok"


def show(rows: Iterator[Row]) -> list[Row]:
    """Print a Markdown table, each row as soon as it is known; the rows that missed their target."""
    print("| what | peer | videostat | ratio | target | |\n|---|---|---|---|---|---|")
    missed = []
    for row in rows:
        print("|", " | ".join(row.cells()), "|", flush=True)
        missed += [row] * row.is_missed
    return missed


def _shown(figure: float | None, unit: str = "") -> str:
    if figure is None:
        return "-"
    digits = 0 if abs(figure) >= 100 else 1 if abs(figure) >= 10 else 2
    return f"{figure:,.{digits}f} {unit}".rstrip()
