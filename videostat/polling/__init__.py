"""Run the poll loop: send what is due, hear what comes back, apply what the course decides.

Knows neither HTTP nor the screen. Each job goes through phases; each phase of each key group is a lane with a queue, a
pause and a gate of its own, so that ReelBot's 30 URLs an hour never stall its looks.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from videostat.errors import (
    Interrupted,
    NotSaved,
    RateLimited,
    Retryable,
    Stopped,
    TimedOut,
    Unreachable,
    VideostatError,
)
from videostat.models import DOWNLOAD_AGAIN, NOT_SAVED_IN_TIME, Job, JobRef, State
from videostat.polling import course
from videostat.polling.agenda import Agenda
from videostat.polling.course import Again, EndGroup, Next, Past, Pause
from videostat.polling.hints import AFTER_HINT, NUDGE, Door, Hearsay, Hint, SleepDetector
from videostat.polling.options import Message, Phase, PollOptions, Reply, Target
from videostat.polling.pace import Lane, between_looks, until_next_look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from queue import SimpleQueue

    from videostat.clock import Clock

LAST_LOOK = 2  # seconds before the deadline
ATTEMPTS = 3  # of a command that only looks
FRAME = 0.5  # seconds between two ticks, and to the end after the deadline, while hints pour in
IN_FLIGHT = 32  # more workers on one key group never made it faster


def poll(
    targets: Iterable[Target],
    submit: Callable[[Phase, Job], None],
    inbox: SimpleQueue[Message],
    clock: Clock,
    options: PollOptions,
    *,
    jitter: Callable[[], float] = random.random,
) -> Iterator[Job | None]:
    """Yield a Job for every answer, and None on every idle tick, which is the moment to draw.

    The last Job of each target has `ended=True`. The problem of a job that has not ended is a passing one.

    `submit` starts a step and returns; its outcome is put into `inbox` as a Reply, by any thread. A number in the
    inbox is a signal: every job ends, interrupted. A Hint wakes looks, a Door says whether hints can come in, a
    Target is one job more.
    An exception that is not a VideostatError is raised again here.
    """
    tasks: dict[JobRef, _Task] = {}
    deadline = clock.monotonic() + (options.timeout or math.inf)
    loop = _Loop(tasks, submit, clock, options, jitter, deadline)
    yield from loop.join(targets)
    while tasks or options.stays:
        loop.send()
        item = clock.wait(inbox, loop.until_next_event())
        match item:
            case int():
                yield from loop.end_all(Interrupted(item))
                if options.stays:
                    raise Interrupted(item)
            case Target():
                yield from loop.join([item])
            case Reply():
                yield from loop.receive(item)
            case Hint():
                loop.heed(item)
            case Door():
                loop.adapt(item)
        # Not before the inbox is empty: what is in it came in time, even if its turn comes late.
        if item is None or item == NUDGE or (isinstance(item, Hint) and loop.is_flooded()):
            yield None
            yield from loop.end_at_deadline()
        yield from loop.wake()


@dataclass(slots=True, eq=False)
class _Task:
    """One job on its way; `problem`, `attempts` and `past` are since its last good answer."""

    target: Target
    job: Job
    phase: Phase = Phase.LOOK
    problem: VideostatError | None = None
    attempts: int = 0
    past: Past = course.FRESH
    sent_at: float = math.inf
    # When the floor lets the next look go, the last hint came, and the last look went out that found the job running.
    rests_until: float = -math.inf
    hinted_at: float = -math.inf
    ran_at: float = math.inf


@dataclass(slots=True, eq=False)
class _Loop:
    """The jobs that have not ended, and when what is due for them. Times are monotonic seconds."""

    _tasks: dict[JobRef, _Task]
    _submit: Callable[[Phase, Job], None]
    _clock: Clock
    _options: PollOptions
    _jitter: Callable[[], float]
    _deadline: float
    _lanes: dict[tuple[str, Phase], Lane[_Task]] = field(default_factory=dict)
    _looks: Agenda[_Task] = field(default_factory=Agenda)
    _time_limits: Agenda[_Task] = field(default_factory=Agenda)
    _hearsay: Hearsay = field(default_factory=Hearsay)
    _sleep: SleepDetector = field(default_factory=SleepDetector)
    _ticked_at: float = -math.inf

    def join(self, targets: Iterable[Target]) -> Iterator[Job]:
        """Begin with jobs; of one that is waited for already, this is a hint."""
        begun = []
        for target in targets:
            if target.ref in self._tasks:
                self.heed(Hint((target.ref,)))
                continue
            task = self._tasks[target.ref] = _Task(target, target.saved or Job(ref=target.ref))
            if target.saved:
                task.phase = Phase.SAVE
                begun.append(self._answered(task, target.saved))
            else:
                self._lane(task).ready.append(task)
        yield from self._emit(begun)

    def send(self) -> None:
        """Submit everything that the lanes let through now."""
        now = self._clock.monotonic()
        for lane in self._lanes.values():
            while lane.opens_at <= now < self._deadline:
                task = lane.ready.popleft()
                if task.target.ref not in self._tasks:
                    continue
                lane.sent(task, now)
                task.sent_at = now
                task.attempts += 1
                if not self._waits and task not in self._time_limits:
                    self._time_limits.put(task, now + self._options.time_limit)
                self._submit(task.phase, task.job)

    def until_next_event(self) -> float:
        """Return the seconds until something is due or may be sent."""
        due = min(
            self._deadline,
            self._looks.next_due(),
            self._time_limits.next_due(),
            *(lane.opens_at for lane in self._lanes.values()),
        )
        return due - self._clock.monotonic()

    def receive(self, reply: Reply) -> Iterator[Job]:
        """Apply what came of a step; drop the late reply of a job that has ended."""
        task = self._tasks.get(reply.ref)
        if task is None:
            return
        self._lane(task).in_flight.remove(task)
        if isinstance(reply.outcome, Job):
            yield from self._emit([self._answered(task, reply.outcome)])
        elif isinstance(reply.outcome, VideostatError):
            yield from self._emit(self._failed(task, reply.outcome))
        else:
            raise reply.outcome

    def heed(self, hint: Hint) -> None:
        """Bring looks forward: never under the floor, and where there is trouble not at all."""
        now = self._clock.monotonic()
        for task in (self._tasks[ref] for ref in hint.refs if ref in self._tasks):
            task.hinted_at = now
            if task.phase.is_request and task.problem is None:
                self._looks.bring_forward(task, max(now, task.rests_until))

    def adapt(self, door: Door) -> None:
        """Rely on announcements, or look at everything because none can have come in."""
        if self._hearsay.is_door_open and not door.is_open:
            self._look_at_all()
        self._hearsay.is_door_open = door.is_open

    def _look_at_all(self) -> None:
        for task in self._tasks.values():
            if task.phase.is_request and task.problem is None:
                self._looks.bring_forward(task, max(self._clock.monotonic(), task.rests_until))

    def is_flooded(self) -> bool:
        """Return whether a tick is due although the inbox is not empty."""
        now = self._clock.monotonic()
        if now - self._ticked_at < FRAME:
            return False
        self._ticked_at = now
        return now < self._deadline or now >= self._deadline + FRAME

    def wake(self) -> Iterator[Job]:
        """Queue the looks that are due, and end the jobs whose time limit is over."""
        now = self._clock.monotonic()
        if self._sleep.was_asleep(self._clock.now().timestamp(), now):
            self._look_at_all()
        for task in self._looks.take_due(now):
            self._lane(task).ready.append(task)
        for task in self._time_limits.take_due(now):
            if task.phase.is_request:
                silent = Unreachable(f"no answer within {self._options.time_limit:g} s")
                yield self._end(task, self._last_problem(task) or silent)

    def end_at_deadline(self) -> Iterator[Job]:
        """End the jobs whose deadline is over."""
        if self._clock.monotonic() < self._deadline:
            return
        self._deadline = math.inf
        late = TimedOut("not finished at the deadline")
        # The deadline is for the services: a command that is due has the video it waited for.
        for task in [task for task in self._tasks.values() if task.phase is not Phase.EXEC]:
            yield self._end(task, self._last_problem(task) or late)

    def end_all(self, problem: VideostatError, which: Callable[[_Task], bool] = lambda _: True) -> list[Job]:
        """End all jobs, or those chosen, because of this problem."""
        return [self._end(task, problem) for task in [*self._tasks.values()] if which(task)]

    @property
    def _waits(self) -> bool:
        return self._options.attempts is None

    def _emit(self, jobs: list[Job]) -> Iterator[Job]:
        yield from jobs
        if any(job.ended and self._options.stop_when(job) for job in jobs):
            yield from self.end_all(Stopped("the wait was stopped early"), lambda task: task.phase is not Phase.EXEC)

    def _lane(self, task: _Task) -> Lane[_Task]:
        is_request = task.phase.is_request
        key = (task.target.key_group if is_request else "", task.phase)
        if key not in self._lanes:
            width = {Phase.SAVE: self._options.parallel, Phase.EXEC: 1}.get(task.phase, IN_FLIGHT)
            self._lanes[key] = Lane(width, 1 / task.target.max_requests_per_second if is_request else 0)
        return self._lanes[key]

    def _answered(self, task: _Task, job: Job) -> Job:
        self._lane(task).answered(task.sent_at)
        if job.state.is_terminal and task.phase is Phase.LOOK and task.ran_at < math.inf:
            self._hearsay.ended(task.target.key_group, was_told=task.hinted_at > task.ran_at)
        task.job, task.problem, task.attempts, task.past = job, None, 0, course.FRESH
        match course.after_answer(job, task.phase, self._options.steps, waits=self._waits):
            case Next(Phase.LOOK):
                polling, interval = task.target.polling, self._options.interval
                is_watched = self._options.is_watched()
                wait = until_next_look(job, polling, interval, self._clock.now(), self._jitter(), is_watched=is_watched)
                self._schedule(task, self._hearing_wait(task, wait))
                task.ran_at = task.sent_at
            case Next(phase):
                task.phase = phase
                lane = self._lane(task)
                if lane.paused_until >= self._time_limits.due(task):
                    return self._end(task, lane.limit)
                lane.ready.append(task)
            case _:
                return self._end(task)
        return task.job

    def _failed(self, task: _Task, error: VideostatError) -> list[Job]:
        polling = task.target.polling
        decision = course.after_error(error, task.phase, task.past, polling, waits=self._waits, jitter=self._jitter())
        match decision:
            case Again(_, wait, past):
                task.past = past
                return [self._retry(task, wait, error)]
            case Pause(limit):
                return self._pause(task, limit)
            case EndGroup(_):
                group = task.target.key_group
                return self.end_all(error, lambda one: one.target.key_group == group and one.phase.is_request)
        return [self._end(task, error)]

    def _pause(self, task: _Task, limit: RateLimited) -> list[Job]:
        lane, polling, now = self._lane(task), task.target.polling, self._clock.monotonic()
        least, _ = between_looks(polling, self._options.interval)
        lane.limited(limit, task.sent_at, now, least, self._jitter())
        wait = lane.paused_until - now
        if not self._waits and wait >= self._options.time_limit:
            return self.end_all(limit, lambda one: self._lane(one) is lane and one not in lane.in_flight)
        return [self._retry(task, max(wait, polling.floor), limit)]

    def _retry(self, task: _Task, wait: float, error: VideostatError) -> Job:
        """Ask again after `wait` seconds, unless the job has used up its attempts or its time limit."""
        is_late = self._clock.monotonic() + wait >= self._time_limits.due(task)
        if task.attempts == self._options.attempts or is_late:
            return self._end(task, error)
        task.problem = error
        self._schedule(task, wait)
        return replace(task.job, problem=error)

    def _hearing_wait(self, task: _Task, usual: float) -> float:
        """Return the seconds until the next look: longer where ends are announced, the floor if one just was."""
        if task.sent_at < task.hinted_at:
            return task.target.polling.floor
        is_hinted = self._clock.monotonic() - task.hinted_at < AFTER_HINT
        if is_hinted or not task.target.announces or self._options.interval is not None:
            return usual
        return max(usual, self._hearsay.longest_wait(task.target.key_group))

    def _schedule(self, task: _Task, wait: float) -> None:
        """Ask again after `wait` seconds, or at the last look before the deadline if the floor allows that."""
        now = self._clock.monotonic()
        task.rests_until = now + task.target.polling.floor
        due, last = now + wait, self._deadline - LAST_LOOK
        if due > last >= now + task.target.polling.floor:
            due = last
        again = max(due, self._lane(task).paused_until) - now
        task.job = replace(task.job, asked_again_at=self._clock.now() + timedelta(seconds=again))
        self._looks.put(task, due)

    def _last_problem(self, task: _Task) -> VideostatError | None:
        """Return what kept the job from being answered: its own trouble, or its lane's."""
        lane = self._lane(task)
        return task.problem or (lane.limit if lane.paused_until > self._clock.monotonic() else None)

    def _end(self, task: _Task, problem: VideostatError | None = None) -> Job:
        del self._tasks[task.target.ref]
        self._looks.remove(task)
        self._time_limits.remove(task)
        # Nobody listens to what may still come: its place is free.
        self._lane(task).in_flight.discard(task)
        if task.job.state is State.SUCCEEDED and isinstance(problem, Retryable | TimedOut):
            is_late = task.phase is Phase.SAVE and isinstance(problem, TimedOut)
            problem = NotSaved(
                NOT_SAVED_IN_TIME if is_late else f"it succeeded, but its video could not be fetched: {problem}",
                hint=DOWNLOAD_AGAIN,
                code=problem.code,
            )
        return replace(task.job, problem=problem, ended=True)
