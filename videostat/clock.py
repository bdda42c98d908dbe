"""Tell the time, wait, read and write durations, and grow the pause between two tries."""

from __future__ import annotations

import queue
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from queue import SimpleQueue

T = TypeVar("T")

# In an inbox, what only ends a wait: no signal has this number.
WAKE_UP = 0

_SECONDS = {"bare": 1, "d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"\d{1,9}(?:\.\d{1,20})?"
_DURATION = re.compile(
    rf"(?P<bare>{_NUMBER})|(?=\d)" + "".join(rf"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in "dhms"), re.ASCII
)
# Ten years: now plus, or minus, a duration must still be a date.
_LONGEST = 3650 * 86400


class Clock:
    """Wall time, monotonic time and waiting, in seconds; with `speed` 30, half a minute passes in one second."""

    def __init__(self, speed: float = 1) -> None:
        self._speed = speed
        self._began = time.monotonic()
        self._began_at = datetime.now(UTC)

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * self._speed

    def now(self) -> datetime:
        # Not from the monotonic clock: that one stands still while the computer is asleep.
        return self._began_at + (datetime.now(UTC) - self._began_at) * self._speed

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self._speed)

    def wait(self, inbox: SimpleQueue[T], seconds: float) -> T | None:
        """Return the next item, or None after `seconds`, at most after a quarter of a real second, and at a wake-up."""
        try:
            # Four times a second, whatever happens: for the live view, and for a signal that did not wake us.
            item = inbox.get(timeout=min(max(seconds / self._speed, 0), 0.25))
        except queue.Empty:
            return None
        return None if item == WAKE_UP else item


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pause between two tries, in seconds: it doubles, from `first` to `longest`."""

    first: float
    longest: float

    def lengthen(self, pause: float) -> float:
        """Return the pause that follows this one; 0 stands for none yet."""
        return max(self.first, min(pause * 2, self.longest))


def to_local(moment: datetime) -> datetime:
    """Return the same moment in the time of this place; in UTC where TZ names a zone that cannot be."""
    try:
        return moment.astimezone()
    except (ValueError, OverflowError):
        return moment


def parse_duration(text: str) -> float:
    """Read seconds from `90`, `45s`, `10m`, `1h30m` or `7d`, ten years at most. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(text)
    seconds = sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)
    if seconds > _LONGEST:
        raise ValueError(text)
    return seconds


def format_duration(seconds: float) -> str:
    """Write seconds as one would type them: 45s, 3m12s, 1h05m."""
    if 0 < seconds < 0.5:  # noqa: PLR2004 - what would be written as 0, which is none, or for ever
        return "<1s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m{rest:02}s" if rest else f"{minutes}m"
    days, hours = divmod(hours, 24)
    if not days:
        return f"{hours}h{minutes:02}m" if minutes else f"{hours}h"
    return f"{days}d{hours:02}h" if hours else f"{days}d"
