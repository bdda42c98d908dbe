"""Hear what comes back from the steps of all jobs, and do what the course decides."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from videostat.clock import Backoff
from videostat.errors import (
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
    Untrusted,
    UsageError,
    VideostatError,
)
from videostat.models import DOWNLOAD_AGAIN, NOT_SAVED_IN_TIME, Job, State
from videostat.polling import course
from videostat.polling.course import Step
from videostat.polling.groups import PATIENCE, Group, Mode
from videostat.polling.hints import Hearsay, SleepDetector, free_to_ask
from videostat.polling.options import ATTEMPTS, Door, Hint, Phase
from videostat.polling.pace import LONGEST_PAUSE, between_looks
from videostat.polling.sending import Sender
from videostat.polling.task import Task
from videostat.providers.base import Meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from queue import SimpleQueue

    from videostat.polling.options import Message, Reply, Target

# A wait that lasted so many seconds too long: the process was stopped.
STOPPED = 5
# So long after the deadline it may still hear: shorter than any floor, so that no job is looked at twice.
LAST_CHANCE = 3


@dataclass(slots=True, eq=False)
class Loop(Sender):
    """Begin with jobs, apply each reply to its job and its key group, and end the jobs that are over.

    `_codes`: the exit codes with which jobs of a key group have ended.
    """

    _codes: dict[str, set[int]] = field(default_factory=dict)
    _hearsay: Hearsay = field(default_factory=Hearsay)
    _sleep: SleepDetector = field(default_factory=SleepDetector)

    def start(self, targets: Iterable[Target], groups: dict[str, Group]) -> Iterator[Job]:
        """Queue the first step of each job; yield those whose video is saved already.

        A job that is waited for already is looked at earlier, as after a hint.
        """
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

    def wait(self, inbox: SimpleQueue[Message]) -> Message | None:
        """Return the next message, None when something is due; who was stopped past the deadline looks once more."""
        seconds, began = self.until_next_event(), self._clock.monotonic()
        item = self._clock.wait(inbox, seconds)
        now = self._clock.monotonic()
        if now >= self._deadline and now - began - max(seconds, 0) > STOPPED:
            self._deadline = now + LAST_CHANCE
            self._hasten(free_to_ask(self.tasks.values()))
        return item

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
        """Return whether the caller has a turn after this message: when none came, and now and then between hints."""
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

    def _emit(self, jobs: list[Job]) -> Iterator[Job]:
        yield from jobs
        if any(job.ended and self._options.stop_when(job) for job in jobs):
            yield from self.end_all(Stopped("the wait was stopped early"), lambda task: task.phase is not Phase.EXEC)

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
        if step is Step.END and self._waits:
            # A failure that only the shared table knows has been said twice: that is recorded.
            task.job = job = replace(job, sure=True)
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
        if job.state is State.SUCCEEDED and isinstance(problem, Retryable | TimedOut | Untrusted):
            is_late = task.phase is Phase.SAVE and isinstance(problem, TimedOut)
            problem = NotSaved(NOT_SAVED_IN_TIME, hint=DOWNLOAD_AGAIN) if is_late else course.not_saved(problem)
        job = replace(job, problem=problem, ended=True)
        if task.asked and job.exit_code:
            self._codes.setdefault(task.target.key_group, set()).add(job.exit_code)
        is_over = problem is None and job.state.is_terminal
        return job if is_over else replace(job, poll_after=self._until_next_look(task) if problem is None else None)

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
