"""Where time comes from: everything that waits or measures is handed one of these."""

from __future__ import annotations

import queue
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from queue import SimpleQueue

T = TypeVar("T")


class Clock:
    """Wall time, monotonic time and waiting, in seconds; `speed` 30 lets half a minute pass in a second."""

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
        """The next thing in the inbox, or None when that much time has passed, a quarter of a real second at most."""
        try:
            # Four times a second, whatever happens: for the live view, and for a signal that did not wake us.
            return inbox.get(timeout=min(max(seconds / self._speed, 0), 0.25))
        except queue.Empty:
            return None
