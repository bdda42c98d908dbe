"""Measure the progress and the speed of downloads."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

from videostat.clock import format_duration
from videostat.render.text import format_size

if TYPE_CHECKING:
    from videostat.saving import Transfer


class Progress(NamedTuple):
    """The bytes of one or several transfers; `total` is None if unknown, `rate` is in bytes per second."""

    done: int = 0
    total: int | None = 0
    rate: float = 0

    @classmethod
    def sum(cls, *parts: Progress) -> Self:
        """Add up several transfers; the total is unknown if that of one transfer is."""
        totals = [part.total for part in parts if part.total is not None]
        total = sum(totals) if len(totals) == len(parts) else None
        return cls(sum(part.done for part in parts), total, sum(part.rate for part in parts))

    @property
    def percent(self) -> float | None:
        """The share that is done, in percent; None if the total is unknown or 0."""
        return 100 * self.done / self.total if self.total else None

    @property
    def parts(self) -> tuple[str, ...]:
        """The known ones of rate, time left and bytes, as text."""
        left = (self.total - self.done) / self.rate if self.total and self.rate else None
        return (
            *([f"{format_size(self.rate)}/s"] if self.rate else []),
            *([f"{format_duration(left)} left"] if left is not None else []),
            format_size(self.done) + (f" of {format_size(self.total)}" if self.total else ""),
        )


class Speedometer:
    """The speed of one transfer over the last twenty frames, five seconds or more.

    `began`: when the transfer was first read, in monotonic seconds.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self._seen: deque[tuple[float, int]] = deque(maxlen=20)

    def read(self, transfer: Transfer, now: float) -> Progress:
        """Read the transfer's bytes at `now`, in monotonic seconds, and compute its rate."""
        done, total = transfer.done, transfer.total
        if total is not None:
            done = min(done, total)  # another thread may have changed one between the two reads
        if transfer.state != "downloading" or (self._seen and done < self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((now, done))
        began, least = self._seen[0]
        return Progress(done, total, (done - least) / (now - began) if now > began else 0)
