"""Run the poll loop: send what is due, hear what comes back, apply what the course decides.

Knows neither HTTP nor the screen. Each job goes through phases; each phase of each key group is a lane with a queue and
a gate of its own, so that ReelBot's 30 URLs an hour never stall its looks. A key group in trouble is asked one job at a
time; who that is, `_choose` says.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from videostat.clock import Backoff
from videostat.errors import (
    Interrupted,
    KeyChanged,
    KeyMissing,
    KeyRefused,
    NotSaved,
    OutOfCredit,
    RateLimited,
    Retryable,
    Stopped,
    TimedOut,
    Unreachable,
    UsageError,
    VideostatError,
)
from videostat.models import DOWNLOAD_AGAIN, NOT_SAVED_IN_TIME, Job, JobRef, State
from videostat.polling import course
from videostat.polling.agenda import Agenda
from videostat.polling.course import Step
from videostat.polling.hints import Hearsay, SleepDetector, free_to_ask
from videostat.polling.options import Door, Hint, Message, Phase, PollOptions, Reply, Target
from videostat.polling.pace import (
    IN_FLIGHT,
    LONGEST_PAUSE,
    PATIENCE,
    Gate,
    Group,
    Lane,
    Mode,
    between_looks,
    until_next_look,
)
from videostat.polling.task import Task
from videostat.providers.base import Meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from queue import SimpleQueue

    from videostat.clock import Clock

LAST_LOOK = 2  # seconds before the deadline
ATTEMPTS = 3  # of a command that only looks
_FREE = Group()  # what steps of our own share, which no key group holds back


def poll(
    targets: Iterable[Target],
    submit: Callable[[Phase, Job], None],
    inbox: SimpleQueue[Message],
    clock: Clock,
    options: PollOptions,
    *,
    groups: dict[str, Group] | None = None,
    jitter: Callable[[], float] = random.random,
) -> Iterator[Job | None]:
    """Yield a Job for every answer, and None on every idle tick, which is the moment to draw.

    The last Job of each target has `ended=True`. The problem of a job that has not ended is a passing one.

    `submit` starts a step and returns; its outcome is put into `inbox` as a Reply, by any thread. A number in the
    inbox is a signal: every job ends, interrupted. An exception that is not a VideostatError is raised again here.
    A Hint wakes looks, a Door says whether hints can come in, a Target is one job more.
    `groups`: what the key groups have met before, shared by all polls of one client.
    """
    loop = _Loop(submit, clock, options, jitter, clock.monotonic() + (options.timeout or math.inf))
    groups = {} if groups is None else groups
    try:
        yield from loop.start(targets, groups)
        while loop.tasks or options.stays:
            loop.send()
            item = clock.wait(inbox, loop.until_next_event())
            match item:
                case int():
                    yield from loop.end_all(Interrupted(item))
                    if options.stays:
                        raise Interrupted(item)
                case Target():
                    yield from loop.start([item], groups)
                case Reply():
                    yield from loop.receive(item)
                case Hint() | Door():
                    loop.heed(item)
            if loop.is_tick(item):
                yield None
                # Not before the inbox is empty: what is in it came in time, even if its turn comes late.
                yield from loop.end_at_deadline()
            yield from loop.wake()
    finally:
        # Whoever leaves early leaves no place taken.
        loop.end_all(Stopped("the wait was left"))


@dataclass(slots=True, eq=False)
class _Loop:
    """The jobs that have not ended, and when what is due for them. Times are monotonic seconds."""

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
    _codes: dict[str, set[int]] = field(default_factory=dict)
    _hearsay: Hearsay = field(default_factory=Hearsay)
    _sleep: SleepDetector = field(default_factory=SleepDetector)

    def start(self, targets: Iterable[Target], groups: dict[str, Group]) -> Iterator[Job]:
        """Begin with jobs; of one that is waited for already, this is a hint."""
        now, begun = self._clock.monotonic(), []
        for target in {target.ref: target for target in targets}.values():
            if target.ref in self.tasks:
                self.heed(Hint((target.ref,)))
                continue
            group = self._groups[target.key_group] = groups.setdefault(target.key_group, Group())
            if not group.left:
                group.begin_anew()
            group.ever |= target.account_worked
            job = target.saved or target.known or Job(ref=target.ref)
            task = self.tasks[target.ref] = Task(target, group, job, worked=target.worked, joined_at=now)
            if target.saved:
                task.phase = Phase.SAVE
                begun.append(self._next(task))
            else:
                group.left += 1
                task.phase = Phase.URL if job.needs_url else Phase.LOOK
                if task.ready_at() > now:
                    self._looks.put(task, task.ready_at())
                else:
                    self._queue(task)
        yield from self._emit(begun)

    def send(self) -> None:
        """Submit everything that lanes and groups let through now."""
        now = self._clock.monotonic()
        if now >= self._deadline:
            return
        for group in self._groups.values():
            with group.lock:
                if self._turn_at(group) <= now:
                    self._send(self._choose(group, now), now)
        for lane in self._lanes.values():
            while True:
                with (lane.group or _FREE).lock:
                    if lane.opens_at > now:
                        break
                    task = lane.ready.popleft()
                    if task.is_ready and task.target.ref in self.tasks:
                        self._send(task, now)

    def _queue(self, task: Task) -> None:
        task.is_ready = True
        self._lane(task).ready.append(task)

    def _send(self, task: Task, now: float) -> None:
        self._looks.remove(task)
        self._lane(task).sent(task, now)
        task.sent_at, task.asked, task.is_ready = now, True, False
        task.attempts += 1
        if task.phase.is_request:
            task.turns += task.group.mode is not Mode.OPEN
            task.group.sent(task.target.ref, now)
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
            *(min(self._turn_at(group), self._gives_up_at(group)) for group in self._groups.values()),
        )
        return due - self._clock.monotonic()

    def receive(self, reply: Reply) -> Iterator[Job]:
        """Apply what came of a step; drop the late reply of a job that has ended."""
        task = self.tasks.get(reply.ref)
        if task is None:
            return
        self._lane(task).left(task)
        outcome = reply.outcome
        if not isinstance(outcome, Job | VideostatError):
            raise outcome
        if not task.phase.is_request:
            yield from self._emit(self._stepped(task, outcome))
        elif isinstance(outcome, KeyChanged | UsageError | KeyMissing):
            yield from self._emit(self._not_asked(task, outcome))
        else:
            yield from self._emit(self._heard(task, outcome))

    def heed(self, message: Hint | Door) -> None:
        """Bring looks forward as hints say."""
        self._hasten(self._hearsay.heed(message, self.tasks, self._clock.monotonic()))

    def _hasten(self, tasks: Iterable[Task]) -> None:
        """Bring looks forward: never under the floor, nor into a pause."""
        now = self._clock.monotonic()
        for task in tasks:
            self._looks.bring_forward(task, max(now, task.ready_at(), self._lane(task).gate.paused_until))

    def is_tick(self, item: Message | None) -> bool:
        return self._hearsay.is_tick(item, self._clock.monotonic(), self._deadline)

    def wake(self) -> Iterator[Job]:
        """Queue the looks that are due, and end the jobs whose time is over."""
        now = self._clock.monotonic()
        if self._sleep.was_asleep(self._clock.now().timestamp(), now):
            self._hasten(free_to_ask(self.tasks.values()))
        for task in self._looks.take_due(now):
            self._queue(task)
        for task in self._time_limits.take_due(now):
            if task.phase.is_request and self._waits:
                yield self._end(task, self._silent(task))
            elif task.phase.is_request:
                known, silent = task.trouble, Unreachable(f"no answer within {self._options.time_limit:g} s")
                if task in self._lane(task).in_flight:
                    task.learn(silent, now, waits=False)
                yield self._end(task, known or silent)
        for group in self._groups.values():
            yield from self._end_group(group, now)

    def end_at_deadline(self) -> Iterator[Job]:
        """End the jobs whose deadline is over."""
        if self._clock.monotonic() < self._deadline:
            return
        self._deadline = math.inf
        # The deadline is for the services: a command that is due has the video it waited for.
        late = [task for task in self.tasks.values() if task.phase is not Phase.EXEC]
        for task in sorted(late, key=lambda one: not one.asked):
            if task.phase is Phase.SAVE:
                yield self._end(task, TimedOut("not finished at the deadline"))
            else:
                ended = course.at_deadline(task.ending(*self._codes.get(task.target.key_group, ())))
                task.job = replace(ended, problem=None)
                yield self._end(task, ended.problem)

    def end_all(self, problem: VideostatError, which: Callable[[Task], bool] = lambda _: True) -> list[Job]:
        """End all jobs, or those chosen, because of this problem."""
        return [self._end(task, problem) for task in [*self.tasks.values()] if which(task)]

    @property
    def _waits(self) -> bool:
        return self._options.attempts is None

    def _emit(self, jobs: list[Job]) -> Iterator[Job]:
        yield from jobs
        if any(job.ended and self._options.stop_when(job) for job in jobs):
            yield from self.end_all(Stopped("the wait was stopped early"), lambda task: task.phase is not Phase.EXEC)

    def _lane(self, task: Task) -> Lane[Task]:
        is_request, target = task.phase.is_request, task.target
        key = (target.key_group if is_request else "", task.phase)
        if key not in self._lanes:
            width = {Phase.SAVE: self._options.parallel, Phase.EXEC: 1}.get(task.phase, IN_FLIGHT)
            gate = Gate(width, 1 / target.max_requests_per_second if is_request else 0)
            gate = task.group.gates.setdefault(task.phase, gate) if is_request else gate
            self._lanes[key] = Lane(gate, task.group if is_request else None)
        return self._lanes[key]

    # A group in trouble

    def _waiting(self, group: Group) -> list[Task]:
        return [
            task
            for task in self.tasks.values()
            if task.group is group and task.phase.is_request and task not in self._lane(task).in_flight
        ]

    def _ready_at(self, task: Task) -> float:
        return max(task.ready_at(), self._lane(task).gate.opens_at)

    def _turn_at(self, group: Group) -> float:
        """Return when one job of a group in trouble is asked; the last time 2 s before the deadline."""
        if group.turn_at == math.inf:
            return math.inf
        ready, last = min(map(self._ready_at, self._waiting(group)), default=math.inf), self._deadline - LAST_LOOK
        turn = min(group.turn_at, last) if self._clock.monotonic() <= last else group.turn_at
        return max(turn, ready)

    def _gives_up_at(self, group: Group) -> float:
        """Return when the jobs of an address that never worked end; never, if none of them is still to be asked."""
        at = group.gives_up_at if self._waits else math.inf
        is_wanted = at < math.inf and any(one.group is group and one.phase.is_request for one in self.tasks.values())
        return at if is_wanted else math.inf

    def _choose(self, group: Group, now: float) -> Task:
        """Choose who asks for all: another one each time, one that was answered first, one that was not refused."""
        ready = [task for task in self._waiting(group) if self._ready_at(task) <= now]
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

    def _end_group(self, group: Group, now: float) -> list[Job]:
        """End what a verdict, two minutes without an answer, or the patience of one look leaves no hope for."""
        at, verdict = group.verdict or (-math.inf, None)
        ended: list[Job] = []
        is_over = (
            now >= group.gives_up_at if self._waits else group.mode is Mode.TROUBLE and group.turns >= ATTEMPTS - 1
        )
        if not (verdict or is_over):
            return ended
        for task in [one for one in self.tasks.values() if one.group is group and one.phase.is_request]:
            if verdict and task.joined_at <= at:
                ended.append(self._end(task, verdict))
            elif is_over:
                ended.append(self._end(task, self._silent(task) if self._waits else task.trouble or group.trouble))
        return ended

    def _silent(self, task: Task) -> VideostatError:
        return Unreachable(
            f"no answer of the service at {task.target.address} in {PATIENCE // 60} minutes"
            + (f", but {task.trouble}" if task.trouble else ""),
            hint="Check base_url, key and id; the job stays in the history.",
        )

    # What comes back

    def _not_asked(self, task: Task, error: VideostatError) -> list[Job]:
        """Apply what kept a request from being sent, or an answer to a key that is no longer in use."""
        now = self._clock.monotonic()
        task.group.gave_up(task.target.ref, now)
        if isinstance(error, KeyMissing):
            return self.end_all(error, lambda one: one.group is task.group and one.phase.is_request)
        if isinstance(error, KeyChanged):
            task.refusal = None
            task.group.heard_at[task.target.ref] = now
            return [self._retry(task, task.target.polling.floor, error)]
        return [self._end(task, error)]

    def _heard(self, task: Task, outcome: Job | VideostatError) -> list[Job]:
        """Apply the answer to a look."""
        now, group = self._clock.monotonic(), task.group
        with group.lock:
            mode = group.mode
            meaning, step = task.learn(outcome, now, waits=self._waits)
            if meaning is not Meaning.LIMIT:
                self._lane(task).gate.answered(task.sent_at)
        if task.answered and self._waits:
            self._time_limits.remove(task)
        if mode is not Mode.OPEN and group.mode is Mode.OPEN:
            for each in self._waiting(group):
                self._looks.bring_forward(each, max(now, each.ready_at()))
        if isinstance(outcome, Job):
            return self._answered(task, outcome, step)
        return self._refused(task, outcome, step)

    def _refused(self, task: Task, outcome: VideostatError, step: Step) -> list[Job]:
        """Apply an answer that says nothing of how the job stands."""
        now, group, polling = self._clock.monotonic(), task.group, task.target.polling
        if step is Step.END_ALL:
            group.verdict = (now, outcome)
            return [self._end(task, outcome), *self._end_group(group, now)]
        if step is Step.END and isinstance(outcome, KeyRefused | OutOfCredit):
            outcome = group.refusals.setdefault((type(outcome), outcome.code), outcome)
        if step is Step.END:
            return [self._end(task, outcome)]
        if step is Step.PAUSE and isinstance(outcome, RateLimited):
            return self._pause(task, outcome)
        if step in {Step.GO_ON, Step.ASK_AGAIN}:
            least, _ = between_looks(polling, self._options.interval)
            return [self._retry(task, least if step is Step.GO_ON else polling.floor, outcome)]
        is_alone = step is Step.FOR_A_WHILE and course.is_about_job(outcome)
        if self._waits and is_alone and task not in self._time_limits:
            self._time_limits.put(task, now + PATIENCE)
        return [self._back_off(task, outcome)]

    def _answered(self, task: Task, job: Job, step: Step) -> list[Job]:
        """Apply what the service says of a job."""
        if not job.sure and job.state.is_terminal and step is not Step.END and self._waits:
            # What only the shared table knows is asked once more, and told as what it was.
            task.job = replace(task.job, status=job.status, message=job.message)
        else:
            task.job = job
        if step is Step.END and not (self._waits and job.state is State.SUCCEEDED and task.looks_again()):
            self._hearsay.learn(task)
            return [self._next(task)]
        if not self._waits:
            return [self._end(task)]
        is_doubt = step is Step.ASK_AGAIN
        wait = task.target.polling.floor if is_doubt else self._hearing_wait(task)
        self._schedule(task, wait)
        return [replace(task.job, poll_after=wait)]

    def _hearing_wait(self, task: Task) -> float:
        usual, now = self._until_next_look(task), self._clock.monotonic()
        return self._hearsay.wait(task, usual, self._options.interval, now)

    def _until_next_look(self, task: Task) -> float:
        return until_next_look(
            task.job,
            task.target.polling,
            self._options.interval,
            self._clock.now(),
            self._jitter(),
            is_watched=self._options.is_watched(),
        )

    def _stepped(self, task: Task, outcome: Job | VideostatError) -> list[Job]:
        """Apply what came of saving or of a command; a step of our own is not repeated."""
        if isinstance(outcome, Job):
            task.job = outcome
            return [self._next(task)]
        return [self._end(task, outcome)]

    def _next(self, task: Task) -> Job:
        """Send a job that has succeeded on its way."""
        phase = course.next_phase(task.job, task.phase, self._options.steps)
        if phase is None or (phase is Phase.URL and not self._options.wants_urls):
            return self._end(task)
        task.group.left -= task.phase.is_request and not phase.is_request
        task.phase = phase
        lane = self._lane(task)
        if lane.gate.paused_until >= self._time_limits.due(task):
            return self._end(task, lane.gate.limit)
        self._queue(task)
        return task.job

    def _pause(self, task: Task, limit: RateLimited) -> list[Job]:
        lane, polling, now = self._lane(task), task.target.polling, self._clock.monotonic()
        least, _ = between_looks(polling, self._options.interval)
        lane.gate.limited(limit, task.sent_at, now, least, self._jitter())
        wait = lane.gate.paused_until - now
        if not self._waits and wait >= self._options.time_limit:
            return self.end_all(limit, lambda one: self._lane(one) is lane and one not in lane.in_flight)
        return [self._retry(task, max(wait, polling.floor), limit)]

    def _back_off(self, task: Task, error: VideostatError) -> Job:
        floor, asked = task.target.polling.floor, getattr(error, "retry_after", None) or 0
        task.pause = Backoff(max(floor, 1), LONGEST_PAUSE).after(task.pause)
        task.held_until = self._clock.monotonic() + asked
        return self._retry(task, max(task.pause * (1 + self._jitter()) / 2, floor, asked), error)

    def _retry(self, task: Task, wait: float, error: VideostatError) -> Job:
        """Ask again after `wait` seconds, unless the job has used up its attempts or its time limit."""
        is_late = not self._waits and self._clock.monotonic() + wait >= self._time_limits.due(task)
        if task.attempts == self._options.attempts or is_late:
            return self._end(task, error)
        self._schedule(task, wait)
        return replace(task.job, problem=error, poll_after=wait)

    def _schedule(self, task: Task, wait: float) -> None:
        """Ask again after `wait` seconds, or at the last look before the deadline if the floor allows that."""
        now = self._clock.monotonic()
        due, last = now + wait, self._deadline - LAST_LOOK
        if due > last >= now + task.target.polling.floor:
            due = last
        again = max(due, self._lane(task).gate.paused_until) - now
        task.job = replace(task.job, asked_again_at=self._clock.now() + timedelta(seconds=again))
        self._looks.put(task, due)

    def _end(self, task: Task, problem: VideostatError | None = None) -> Job:
        del self.tasks[task.target.ref]
        self._looks.remove(task)
        self._time_limits.remove(task)
        # Nobody listens to what may still come: its place is free.
        self._lane(task).left(task)
        if task.phase.is_request:
            task.group.left -= 1
            task.group.gave_up(task.target.ref, self._clock.monotonic())
        job = task.job
        if job.state is State.SUCCEEDED and isinstance(problem, Retryable | TimedOut):
            is_late = task.phase is Phase.SAVE and isinstance(problem, TimedOut)
            problem = NotSaved(
                NOT_SAVED_IN_TIME if is_late else f"it succeeded, but its video could not be fetched: {problem}",
                hint=DOWNLOAD_AGAIN,
                code=problem.code,
            )
        job = replace(job, problem=problem, ended=True)
        if task.asked and job.exit_code:
            self._codes.setdefault(task.target.key_group, set()).add(job.exit_code)
        is_over = problem is None and job.state.is_terminal
        return job if is_over else replace(job, poll_after=self._until_next_look(task) if problem is None else None)
