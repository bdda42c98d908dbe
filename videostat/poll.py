"""The poll loop: when to look at which job, and what to do when it has succeeded.

Knows neither HTTP nor the screen. Each job goes through phases; each phase of each account is a lane
with a queue, a pause and a gate of its own, so that ReelBot's 30 URLs an hour never stall its looks.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from videostat.errors import (
    NOT_IN_TIME,
    SAVE_AGAIN,
    Interrupted,
    KeyRefused,
    NoConnection,
    NotFound,
    NotSaved,
    OutOfCredit,
    RateLimited,
    Retryable,
    Stopped,
    TimedOut,
    Unreachable,
    VideostatError,
)
from videostat.models import Job, JobRef, State
from videostat.pace import Lane, between_looks, longer, until_next_look
from videostat.terms import Phase, Reply, Target, Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from queue import SimpleQueue

    from videostat.clock import Clock

LAST_LOOK = 2  # seconds before the deadline
ATTEMPTS = 3  # at a job that is only looked at
IN_FLIGHT = 32  # more workers on one account never made it faster
BELIEVED_MISSING = 2  # looks: a fresh id can take a moment to be known


_ASKING = {Phase.LOOK, Phase.URL}


@dataclass(slots=True, eq=False)
class _Task:
    """One job on its way; `problem`, `attempts`, `missing` and `pause` are since its last good answer."""

    target: Target
    job: Job
    phase: Phase = Phase.LOOK
    problem: VideostatError | None = None
    attempts: int = 0
    missing: int = 0
    pause: float = 0
    sent_at: float = math.inf
    patient_until: float = math.inf


def poll(
    targets: Iterable[Target],
    submit: Callable[[Phase, Job], None],
    inbox: SimpleQueue[Reply | int],
    clock: Clock,
    terms: Terms,
    *,
    jitter: Callable[[], float] = random.random,
) -> Iterator[Job | None]:
    """Each job at each answer, until all have ended; the last of each is marked `ended`.

    None each time the clock's wait brought nothing: the moment to draw.

    `submit` begins a step and returns; what comes of it is put into `inbox` as a Reply, by any thread.
    A number in the inbox is a signal's: everything ends, interrupted. The problem of a job that has not
    ended is a passing one. An exception that is none of ours is raised again here.
    """
    tasks = {target.ref: _Task(target, target.saved or Job(ref=target.ref)) for target in targets}
    return _Loop(tasks, submit, inbox, clock, terms, jitter).run()


@dataclass(slots=True, eq=False)
class _Loop:
    _tasks: dict[JobRef, _Task]
    _submit: Callable[[Phase, Job], None]
    _inbox: SimpleQueue[Reply | int]
    _clock: Clock
    _terms: Terms
    _jitter: Callable[[], float]
    _lanes: dict[tuple[str, Phase], Lane[_Task]] = field(default_factory=dict)
    _due: list[tuple[float, int, _Task]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)
    _now: float = 0
    _deadline: float = math.inf

    def run(self) -> Iterator[Job | None]:
        self._deadline = self._clock.monotonic() + (self._terms.timeout or math.inf)
        yield from self._told(self._begun())
        while self._tasks:
            self._now = self._clock.monotonic()
            self._send()
            reply = self._clock.wait(self._inbox, self._next_event() - self._now)
            self._now = self._clock.monotonic()
            if isinstance(reply, int):
                yield from self._end_all(Interrupted(reply))
            elif reply is not None:
                yield from self._told(self._take(reply))
            else:
                yield None
                # Not before the inbox is empty: what is in it came in time, however late its turn.
                yield from self._time_out()
            yield from self._wake()

    def _begun(self) -> list[Job]:
        begun = []
        for task in [*self._tasks.values()]:
            if task.target.saved:
                task.phase = Phase.SAVE
                begun.append(self._answered(task, task.target.saved))
            else:
                self._lane(task).ready.append(task)
        return begun

    def _told(self, jobs: list[Job]) -> Iterator[Job]:
        yield from jobs
        if any(job.ended and self._terms.enough(job) for job in jobs):
            yield from self._end_all(Stopped("no longer waited for"), lambda task: task.phase is not Phase.EXEC)

    # What is sent, and when the loop wakes

    def _lane(self, task: _Task) -> Lane[_Task]:
        asking = task.phase in _ASKING
        key = (task.target.account if asking else "", task.phase)
        if key not in self._lanes:
            width = {Phase.SAVE: self._terms.parallel, Phase.EXEC: 1}.get(task.phase, IN_FLIGHT)
            self._lanes[key] = Lane(width, 1 / task.target.max_requests_per_second if asking else 0)
        return self._lanes[key]

    def _send(self) -> None:
        for lane in self._lanes.values():
            while lane.opens_at <= self._now < self._deadline:
                task = lane.ready.popleft()
                if task.target.ref not in self._tasks:
                    continue
                lane.sent(task, self._now)
                task.sent_at = self._now
                task.attempts += 1
                if self._terms.attempts and task.patient_until == math.inf:
                    task.patient_until = self._now + self._terms.patience
                    self._schedule(task, task.patient_until)
                self._submit(task.phase, task.job)

    def _schedule(self, task: _Task, due: float) -> None:
        heappush(self._due, (due, next(self._order), task))

    def _wake(self) -> Iterator[Job]:
        """What is due is ready to be sent; or it is the end of a job's patience that is due."""
        while self._due and self._due[0][0] <= self._now:
            task = heappop(self._due)[2]
            if task.patient_until > self._now:
                self._lane(task).ready.append(task)
            elif task.target.ref in self._tasks and task.phase in _ASKING:
                silent = Unreachable(f"no answer within {self._terms.patience:g} s")
                yield self._end(task, self._trouble(task) or silent)

    def _next_event(self) -> float:
        return min(
            self._deadline,
            self._due[0][0] if self._due else math.inf,
            *(lane.opens_at for lane in self._lanes.values()),
        )

    # What comes back

    def _take(self, reply: Reply) -> list[Job]:  # noqa: PLR0911 - one for each kind of outcome
        task = self._tasks.get(reply.ref)
        if task is None:
            return []
        self._lane(task).in_flight.remove(task)
        match reply.outcome:
            case Job() as job:
                return [self._answered(task, job)]
            case VideostatError() as error if task.phase not in _ASKING:
                return [self._end(task, error)]
            case KeyRefused() | OutOfCredit() as error:
                account = task.target.account
                return self._end_all(error, lambda one: one.target.account == account and one.phase in _ASKING)
            case RateLimited() as error:
                return self._limited(task, error)
            case NotFound() as error:
                return [self._missing(task, error)]
            case Retryable() as error:
                return [self._troubled(task, error)]
            case VideostatError() as error:
                return [self._end(task, error)]
            case bug:
                raise bug

    def _answered(self, task: _Task, job: Job) -> Job:
        self._lane(task).answered(task.sent_at)
        task.job, task.problem = job, None
        task.attempts = task.missing = task.pause = 0
        following = self._following(task)
        if following is None:
            return self._end(task)
        if following is Phase.LOOK:
            polling, interval = task.target.polling, self._terms.interval
            return self._again(task, until_next_look(job, polling, interval, self._clock.now(), self._jitter()))
        task.phase = following
        lane = self._lane(task)
        if lane.paused_until >= task.patient_until:
            return self._end(task, lane.limit)
        lane.ready.append(task)
        return task.job

    def _following(self, task: _Task) -> Phase | None:
        job = task.job
        if job.needs_url:
            return Phase.URL
        if not job.state.is_terminal:
            return None if self._terms.attempts else Phase.LOOK
        if job.state is not State.SUCCEEDED or not (job.video_url or job.saved):
            return None
        way = (*self._terms.then, None)
        return way[way.index(task.phase) + 1 if task.phase in way else 0]

    def _missing(self, task: _Task, error: NotFound) -> Job:
        task.missing += 1
        if self._terms.attempts or task.missing == BELIEVED_MISSING:
            return self._end(task, error)
        return self._retry(task, task.target.polling.floor, error)

    def _troubled(self, task: _Task, error: Retryable) -> Job:
        # A look that never reached the service does not count for its floor.
        floor = 0 if isinstance(error, NoConnection) else task.target.polling.floor
        task.pause = longer(task.pause, max(floor, 1))
        jittered = task.pause * (1 + self._jitter()) / 2
        return self._retry(task, max(jittered, floor, error.retry_after or 0), error)

    def _limited(self, task: _Task, error: RateLimited) -> list[Job]:
        lane, polling = self._lane(task), task.target.polling
        least, _ = between_looks(polling, self._terms.interval)
        lane.limited(error, task.sent_at, self._now, least, self._jitter())
        wait = lane.paused_until - self._now
        if self._terms.attempts and wait >= self._terms.patience:
            return self._end_all(error, lambda one: self._lane(one) is lane and one not in lane.in_flight)
        return [self._retry(task, max(wait, polling.floor), error)]

    def _retry(self, task: _Task, wait: float, error: VideostatError) -> Job:
        """The job is asked again after that, unless it has used up its attempts or its patience."""
        if task.attempts == self._terms.attempts or self._now + wait >= task.patient_until:
            return self._end(task, error)
        task.problem = error
        return replace(self._again(task, wait), problem=error)

    def _again(self, task: _Task, wait: float) -> Job:
        """The job is asked again after that, or at the last look before the deadline, if its floor allows that."""
        due, last = self._now + wait, self._deadline - LAST_LOOK
        if due > last >= self._now + task.target.polling.floor:
            due = last
        self._schedule(task, due)
        return task.job

    # Ends

    def _time_out(self) -> Iterator[Job]:
        if self._now < self._deadline:
            return
        self._deadline = math.inf
        late = TimedOut("not finished at the deadline")
        # The deadline is for the services: a command that is due has the video it waited for.
        for task in [task for task in self._tasks.values() if task.phase is not Phase.EXEC]:
            yield self._end(task, self._trouble(task) or late)

    def _trouble(self, task: _Task) -> VideostatError | None:
        """What has kept the job from being answered, its own or its lane's."""
        lane = self._lane(task)
        return task.problem or (lane.limit if lane.paused_until > self._now else None)

    def _end_all(self, problem: VideostatError, which: Callable[[_Task], bool] = lambda _: True) -> list[Job]:
        return [self._end(task, problem) for task in [*self._tasks.values()] if which(task)]

    def _end(self, task: _Task, problem: VideostatError | None = None) -> Job:
        del self._tasks[task.target.ref]
        # Nobody listens to what may still come: its place is free.
        self._lane(task).in_flight.discard(task)
        if task.job.state is State.SUCCEEDED and isinstance(problem, Retryable | TimedOut):
            is_late = task.phase is Phase.SAVE and isinstance(problem, TimedOut)
            problem = NotSaved(
                NOT_IN_TIME if is_late else f"it succeeded, but its video could not be had: {problem}",
                hint=SAVE_AGAIN,
                code=problem.code,
            )
        return replace(task.job, problem=problem, ended=True)
