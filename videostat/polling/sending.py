"""Send the requests that are due and allowed. Times are monotonic seconds.

Each phase of each key group is a lane with its own queue and gate, so that ReelBot's limit of 30 URLs an hour never
delays its looks. A key group in trouble is asked one job at a time, and `_choose` says which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from videostat.polling.agenda import Agenda
from videostat.polling.keygroups import Group, Lane, Mode
from videostat.polling.options import TIME_LIMIT, Phase
from videostat.polling.pace import IN_FLIGHT, Gate, choose_next_look

if TYPE_CHECKING:
    from collections.abc import Callable

    from videostat.clock import Clock
    from videostat.models import Job, JobRef
    from videostat.polling.options import PollOptions
    from videostat.polling.task import Task

LAST_LOOK = 2  # seconds before the deadline
_FREE = Group()  # the group of the phases that ask no service, which is always open


@dataclass(slots=True, eq=False)
class Sender:
    """The jobs that have not ended. It submits the next step of each when it is due and allowed."""

    _submit: Callable[[Phase, Job], None]
    _clock: Clock
    _options: PollOptions
    _jitter: Callable[[], float]
    _deadline: float
    tasks: dict[JobRef, Task] = field(default_factory=dict)
    _groups: dict[str, Group] = field(default_factory=dict)
    _lanes: dict[tuple[str, Phase], Lane[Task]] = field(default_factory=dict)
    _looks: Agenda[Task] = field(default_factory=Agenda)
    _time_limits: Agenda[Task] = field(default_factory=Agenda)

    def send(self) -> None:
        """Submit each step that its lane and its group allow now."""
        now, sent = self._clock.monotonic(), []
        if now >= self._deadline:
            return
        for group in self._groups.values():
            with group.lock:
                if self._find_turn_time(group) <= now:
                    sent.append(self._take(self._choose(group, now), now))
        for lane in self._lanes.values():
            while True:
                with (lane.group or _FREE).lock:
                    if lane.opens_at > now:
                        break
                    task = lane.ready.popleft()
                    if self._is_next(task, lane, now):
                        sent.append(self._take(task, now))
        # Without the lock, because a caller that asks in its own thread would hold up all other jobs of the group.
        for task in sent:
            self._submit(task.phase, task.job)

    def _is_next(self, task: Task, lane: Lane[Task], now: float) -> bool:
        """Tell whether a queued task may be sent; plan it anew if the floor forbids it.

        Meanwhile the task may have ended, or it was sent out of turn and is in another lane now. Another wait of this
        client may have looked at its job, so that the floor holds again.
        """
        if not task.is_ready or self.tasks.get(task.target.ref) is not task or self._get_lane(task) is not lane:
            return False
        if task.phase is not Phase.LOOK or task.ready_at <= now:
            return True
        task.is_ready = False
        self._looks.put(task, task.ready_at)
        return False

    def _take(self, task: Task, now: float) -> Task:
        self._looks.remove(task)
        self._get_lane(task).on_sent(task, now)
        task.sent_at, task.asked, task.is_ready = now, True, False
        task.attempts += 1
        if task.phase.is_request:
            task.turns += task.group.mode is not Mode.OPEN
            task.group.on_sent(task.target.ref, now)
        if not self._waits and task not in self._time_limits:
            self._time_limits.put(task, now + TIME_LIMIT)
        return task

    def _queue(self, task: Task) -> None:
        task.is_ready = True
        self._get_lane(task).ready.append(task)

    def count_seconds_to_next_event(self) -> float:
        """Return the seconds until a step is due or may be sent."""
        due = min(
            self._deadline,
            self._looks.get_next_due(),
            self._time_limits.get_next_due(),
            *(lane.opens_at for lane in self._lanes.values()),
            *(min(self._find_turn_time(group), self._find_give_up_time(group)) for group in self._groups.values()),
        )
        return due - self._clock.monotonic()

    @property
    def _waits(self) -> bool:
        return self._options.attempts is None

    def _get_lane(self, task: Task) -> Lane[Task]:
        is_request, target = task.phase.is_request, task.target
        key = (target.key_group if is_request else "", task.phase)
        if key not in self._lanes:
            width = {Phase.SAVE: self._options.parallel, Phase.EXEC: 1}.get(task.phase, IN_FLIGHT)
            gate = Gate(width, 1 / target.max_requests_per_second if is_request else 0)
            gate = task.group.gates.setdefault(task.phase, gate) if is_request else gate
            self._lanes[key] = Lane(gate, task.group if is_request else None)
        return self._lanes[key]

    def _schedule(self, task: Task, wait: float) -> None:
        """Plan the next look after `wait` seconds.

        If the deadline comes first, plan it just before the deadline, when the floor and a pause allow that.
        """
        now = self._clock.monotonic()
        due, last = now + wait, self._deadline - LAST_LOOK
        if due > last >= task.ready_at:
            due = last
        again = max(due, self._get_lane(task).gate.paused_until) - now
        task.job = replace(task.job, asked_again_at=self._clock.now() + timedelta(seconds=again))
        self._looks.put(task, due)

    def _choose_next_look(self, task: Task) -> float:
        return choose_next_look(
            task.job,
            task.target.polling,
            self._options.interval,
            self._clock.now(),
            self._jitter(),
            is_watched=self._options.is_watched(),
        )

    # A group in trouble

    def _find_waiting(self, group: Group) -> list[Task]:
        return [
            task
            for task in self.tasks.values()
            if task.group is group and task.phase.is_request and task not in self._get_lane(task).in_flight
        ]

    def _find_ready_time(self, task: Task) -> float:
        return max(task.ready_at, self._get_lane(task).gate.opens_at)

    def _find_turn_time(self, group: Group) -> float:
        """Return when a group in trouble sends its next request.

        The last one is sent LAST_LOOK seconds before the deadline.
        """
        if group.turn_at == math.inf:
            return math.inf
        ready, last = (
            min(map(self._find_ready_time, self._find_waiting(group)), default=math.inf),
            self._deadline - LAST_LOOK,
        )
        turn = min(group.turn_at, last) if self._clock.monotonic() <= last else group.turn_at
        return max(turn, ready)

    def _find_give_up_time(self, group: Group) -> float:
        """Return when to give up an address that never worked; infinity without a job."""
        at = group.gives_up_at if self._waits else math.inf
        is_wanted = at < math.inf and any(one.group is group and one.phase.is_request for one in self.tasks.values())
        return at if is_wanted else math.inf

    def _choose(self, group: Group, now: float) -> Task:
        """Choose the next job of a group in trouble: not refused, fewest turns, answered before."""
        ready = [task for task in self._find_waiting(group) if self._find_ready_time(task) <= now]
        is_refused = group.mode is Mode.REFUSED
        return min(
            ready,
            key=lambda one: (
                is_refused and group.is_in_row(one.target.ref),
                one.turns,
                not one.answered,
                one.attempts,
                one.sent_at,
            ),
        )
