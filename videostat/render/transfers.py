"""How far transfers have come, and how fast they go."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

from videostat.clock import format_duration
from videostat.render.text import size

if TYPE_CHECKING:
    from videostat.saving import Transfer


class Moved(NamedTuple):
    """Bytes of one transfer or of several; `total` is None where it is unknown, `rate` is a second's."""

    done: int = 0
    total: int | None = 0
    rate: float = 0

    @classmethod
    def sum(cls, *those: Moved) -> Self:
        totals = [one.total for one in those if one.total is not None]
        whole = sum(totals) if len(totals) == len(those) else None
        return cls(sum(one.done for one in those), whole, sum(one.rate for one in those))

    @property
    def percent(self) -> float | None:
        return 100 * self.done / self.total if self.total else None

    @property
    def parts(self) -> tuple[str, ...]:
        """The rate, the time that is left and the bytes, as far as they are known."""
        left = (self.total - self.done) / self.rate if self.total and self.rate else None
        return (
            *([f"{size(self.rate)}/s"] if self.rate else []),
            *([f"{format_duration(left)} left"] if left is not None else []),
            size(self.done) + (f" of {size(self.total)}" if self.total else ""),
        )


class Speedometer:
    """One transfer, looked at once a frame; its rate is that of the last twenty frames, five seconds or more.

    `began`: when it was first looked at, in monotonic seconds.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self._seen: deque[tuple[float, int]] = deque(maxlen=20)

    def read(self, transfer: Transfer, now: float) -> Moved:
        done, total = transfer.done, transfer.total
        if total is not None:
            done = min(done, total)  # another thread may have changed one after we read the other
        if transfer.state != "downloading" or (self._seen and done < self._seen[-1][1]):
            self._seen.clear()
        self._seen.append((now, done))
        began, least = self._seen[0]
        return Moved(done, total, (done - least) / (now - began) if now > began else 0)
