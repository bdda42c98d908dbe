"""Time: the clock, durations as text, and pauses between retries."""

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

# An inbox item that only ends the wait. No signal has this number.
WAKE_UP = 0

_SECONDS = {"bare": 1, "d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"\d{1,9}(?:\.\d{1,20})?"
_DURATION = re.compile(
    rf"(?P<bare>{_NUMBER})|(?=\d)" + "".join(rf"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in "dhms"), re.ASCII
)
# Ten years: now plus or minus a duration must still be a valid date.
_LONGEST = 3650 * 86400


class Clock:
    """Wall time, monotonic time and sleeping, in seconds. With `speed=30`, half a minute takes one real second."""

    def __init__(self, speed: float = 1) -> None:
        self._speed = speed
        self._began = time.monotonic()
        self._began_at = datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds since the clock was made."""
        return (time.monotonic() - self._began) * self._speed

    def now(self) -> datetime:
        """Return the current date and time, in UTC."""
        # The monotonic clock would be wrong: it stops while the computer sleeps.
        return self._began_at + (datetime.now(UTC) - self._began_at) * self._speed

    def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds of the clock."""
        time.sleep(seconds / self._speed)

    def wait(self, inbox: SimpleQueue[T], seconds: float) -> T | None:
        """Return the next item, or None when the time is up. It waits at most 0.25 real seconds.

        WAKE_UP ends the wait too.
        """
        try:
            # Four times a second, so that the live view is redrawn and a missed signal is noticed.
            item = inbox.get(timeout=min(max(seconds / self._speed, 0), 0.25))
        except queue.Empty:
            return None
        return None if item == WAKE_UP else item


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between retries, in seconds: each is twice the last, from `first` to `longest`."""

    first: float
    longest: float

    def lengthen(self, pause: float) -> float:
        """Return the pause after this one. Pass 0 for the first."""
        return max(self.first, min(pause * 2, self.longest))


def to_local(moment: datetime) -> datetime:
    """Convert a moment to local time, or to UTC if TZ is invalid."""
    try:
        return moment.astimezone()
    except (ValueError, OverflowError):
        return moment


def parse_duration(text: str) -> float:
    """Parse `90`, `45s`, `10m`, `1h30m` or `7d` into seconds, at most ten years. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(text)
    seconds = sum(float(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)
    if seconds > _LONGEST:
        raise ValueError(text)
    return seconds


def format_duration(seconds: float) -> str:
    """Format seconds in the form that people type: 45s, 3m12s, 1h05m."""
    if 0 < seconds < 0.5:  # noqa: PLR2004 - would be rounded to 0s, which means no time or no limit
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
