"""Poll less where a service announces the ends of its jobs, and only as long as it does.

A hint wakes a look and proves nothing. What is counted is whether the looks find what the hints have said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videostat.models import JobRef

# Seconds between two looks, where ends are announced: until the service has announced one, and since then. At 300 s
# and 2 % of lost deliveries a job costs 2.2 requests, at 120 s 3.3; the longest delay is this.
UNTIL_HEARD = 60
ONCE_HEARD = 300
# For so long after a hint the usual pace holds: the service's answer may lag behind its announcement.
AFTER_HINT = 60
# A wall clock that is so much ahead of the monotonic one since a moment ago: the machine was asleep, and heard nothing.
ASLEEP = 30


@dataclass(frozen=True, slots=True)
class Hint:
    """Somebody says that something happened to these jobs."""

    refs: tuple[JobRef, ...]


# Wakes the loop itself, which then gives its caller a turn.
NUDGE = Hint(())


@dataclass(frozen=True, slots=True)
class Door:
    """Whether deliveries can come in, as far as we know: we have just tried it from outside."""

    is_open: bool


@dataclass(slots=True)
class Hearsay:
    """What the hints of a run were worth, for each key group."""

    is_door_open: bool = False
    _was_told: dict[str, bool] = field(default_factory=dict)

    def longest_wait(self, key_group: str) -> float:
        """Return the seconds until a look that no hint wakes; 0 where the usual pace holds."""
        if not self.is_door_open:
            return 0
        return {None: UNTIL_HEARD, True: ONCE_HEARD, False: 0}[self._was_told.get(key_group)]

    def ended(self, key_group: str, *, was_told: bool) -> None:
        """Learn from a job that ended while it was waited for."""
        self._was_told[key_group] = was_told


@dataclass(slots=True)
class SleepDetector:
    """Tells whether the machine was asleep between two calls."""

    _lead: float = math.inf

    def was_asleep(self, wall: float, monotonic: float) -> bool:
        before, self._lead = self._lead, wall - monotonic
        return self._lead - before > ASLEEP
