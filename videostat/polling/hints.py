"""Poll less where a service announces the ends of its jobs, and only as long as it does.

A hint wakes a look and proves nothing. What is counted is whether the looks find what the hints have said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from videostat.polling.groups import Mode
from videostat.polling.options import NUDGE, Door, Hint, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from videostat.models import JobRef
    from videostat.polling.options import Message
    from videostat.polling.task import Task

# Seconds between two looks, where ends are announced: until the service has announced one, and since then. At 300 s
# and 2 % of lost deliveries a job costs 2.2 requests, at 120 s 3.3; the longest delay is this.
UNTIL_HEARD = 60
ONCE_HEARD = 300
# For so long after a hint the usual pace holds: the service's answer may lag behind its announcement.
AFTER_HINT = 60
# A wall clock that is so much ahead of the monotonic one since a moment ago: the machine was asleep, and heard nothing.
ASLEEP = 30
FRAME = 0.5  # seconds between two ticks, and to the end after the deadline, while hints pour in


@dataclass(slots=True)
class Announcements:
    """What the hints of a run were worth, for each key group."""

    is_door_open: bool = False
    _is_told: dict[str, bool] = field(default_factory=dict)
    _ticked_at: float = -math.inf

    def receive(self, message: Hint | Door, tasks: Mapping[JobRef, Task], now: float) -> list[Task]:
        """Take in a message, and return the jobs to be looked at earlier: all, if no hint can have come in."""
        if isinstance(message, Door):
            is_shut = self.is_door_open and not message.is_open
            self.is_door_open = message.is_open
            return free_to_ask(tasks.values()) if is_shut else []
        hinted = [tasks[ref] for ref in message.refs if ref in tasks]
        for task in hinted:
            task.hinted_at = now
        return free_to_ask(hinted)

    def choose_wait(self, task: Task, usual: float, interval: float | None, now: float) -> float:
        """Return the seconds until the next look: longer where ends are announced, the floor if one just was."""
        if task.job.state.is_terminal:
            return usual
        task.ran_at = task.sent_at
        if task.sent_at < task.hinted_at:
            return task.target.polling.floor
        return max(usual, self.choose_longest_wait(task, interval, now))

    def learn_end(self, task: Task) -> bool:
        """Learn from a job that a look has found ended, and return whether its key group announces ends only now.

        A job that was over before the wait began says nothing.
        """
        if task.phase is not Phase.LOOK or task.ran_at == math.inf:
            return False
        before, is_told = self._is_told.get(task.target.key_group), task.hinted_at > task.ran_at
        self._is_told[task.target.key_group] = is_told
        return is_told and not before

    def is_tick(self, item: Message | None, now: float, deadline: float) -> bool:
        """Return whether the caller has a turn: when nothing came, and now and then while hints pour in."""
        if item is None or item == NUDGE:
            return True
        if not isinstance(item, Hint) or now - self._ticked_at < FRAME:
            return False
        self._ticked_at = now
        return now < deadline or now >= deadline + FRAME

    def choose_longest_wait(self, task: Task, interval: float | None, now: float) -> float:
        """Return the seconds between two looks that no hint wakes; 0 where the usual pace holds."""
        is_running = task.answered and task.doubt is None and not task.job.state.is_terminal
        can_be_heard = self.is_door_open and task.target.announces and now - task.hinted_at >= AFTER_HINT
        if not (is_running and can_be_heard) or interval is not None:
            return 0
        return {None: UNTIL_HEARD, True: ONCE_HEARD, False: 0}[self._is_told.get(task.target.key_group)]


def free_to_ask(tasks: Iterable[Task]) -> list[Task]:
    """Return the jobs whose look may be brought forward: those that no trouble holds back."""
    return [task for task in tasks if task.phase.is_request and task.trouble is None and task.group.mode is Mode.OPEN]


@dataclass(slots=True)
class SleepDetector:
    """Tells whether the machine was asleep between two calls."""

    _lead: float = math.inf

    def was_asleep(self, wall: float, monotonic: float) -> bool:
        before, self._lead = self._lead, wall - monotonic
        return self._lead - before > ASLEEP
