"""Choose when to look at a job: soon after a hint, and less often while webhooks announce the ends.

A hint causes a look and proves nothing. Only a look that finds the announced end shows that announcements work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from videostat.polling.keygroups import Mode
from videostat.polling.options import NUDGE, Door, Hint, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from videostat.models import JobRef
    from videostat.polling.options import Message
    from videostat.polling.task import Task

# Seconds between two looks while hints can come in: before the service has announced an end, and afterwards. The second
# is also the longest delay after a lost delivery. With 2 % lost a job costs 2.2 requests at 300 s, and 3.3 at 120 s.
UNTIL_HEARD = 60
ONCE_HEARD = 300
AFTER_HINT = 60  # seconds of the usual pace after a hint, because an answer may lag behind its announcement
ASLEEP = 30  # seconds by which the wall clock overtakes the monotonic one if the machine was asleep
FRAME = 0.5  # seconds between two ticks during a flood of hints, and from the deadline to the end


@dataclass(slots=True)
class Announcements:
    """Which key groups announce the ends of their jobs, as looks have shown."""

    is_door_open: bool = False
    _is_told: dict[str, bool] = field(default_factory=dict)
    _ticked_at: float = -math.inf

    def receive(self, message: Hint | Door, tasks: Mapping[JobRef, Task], now: float) -> list[Task]:
        """Take in a message, and return the jobs to look at now.

        These are the hinted ones, or all when the door closes.
        """
        if isinstance(message, Door):
            is_shut = self.is_door_open and not message.is_open
            self.is_door_open = message.is_open
            return find_untroubled(tasks.values()) if is_shut else []
        hinted = [tasks[ref] for ref in message.refs if ref in tasks]
        for task in hinted:
            task.hinted_at = now
        return find_untroubled(hinted)

    def choose_wait(self, task: Task, usual: float, interval: float | None, now: float) -> float:
        """Return the seconds until the next look: more while announcements work, the floor right after a hint."""
        if task.job.state.is_terminal:
            return usual
        task.ran_at = task.sent_at
        if task.sent_at < task.hinted_at:
            return task.target.polling.floor
        return max(usual, self.choose_longest_wait(task, interval, now))

    def learn_end(self, task: Task) -> bool:
        """Learn from an ended job; return whether it is its group's first announced end.

        A job that had ended before the wait began shows nothing.
        """
        if task.phase is not Phase.LOOK or task.ran_at == math.inf:
            return False
        before, is_told = self._is_told.get(task.target.key_group), task.hinted_at > task.ran_at
        self._is_told[task.target.key_group] = is_told
        return is_told and not before

    def is_tick(self, item: Message | None, now: float, deadline: float) -> bool:
        """Return whether the view may draw: if no message came, and every half second during many hints."""
        if item is None or item == NUDGE:
            return True
        if not isinstance(item, Hint) or now - self._ticked_at < FRAME:
            return False
        self._ticked_at = now
        return now < deadline or now >= deadline + FRAME

    def choose_longest_wait(self, task: Task, interval: float | None, now: float) -> float:
        """Return the seconds between two looks without a hint; 0 means the usual pace."""
        is_running = task.answered and task.doubt is None and not task.job.state.is_terminal
        can_be_heard = self.is_door_open and task.target.announces and now - task.hinted_at >= AFTER_HINT
        if not (is_running and can_be_heard) or interval is not None:
            return 0
        return {None: UNTIL_HEARD, True: ONCE_HEARD, False: 0}[self._is_told.get(task.target.key_group)]


def find_untroubled(tasks: Iterable[Task]) -> list[Task]:
    """Return the jobs without trouble of their own or of their group. They may be asked earlier."""
    return [task for task in tasks if task.phase.is_request and task.trouble is None and task.group.mode is Mode.OPEN]


@dataclass(slots=True)
class SleepDetector:
    """Finds out whether the machine was asleep between two calls."""

    _lead: float = math.inf

    def was_asleep(self, wall: float, monotonic: float) -> bool:
        """Tell whether the wall clock has overtaken the monotonic one; both in seconds."""
        before, self._lead = self._lead, wall - monotonic
        return self._lead - before > ASLEEP
