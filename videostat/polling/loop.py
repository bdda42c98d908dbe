"""React to the outcome of each step as the course decides."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from videostat.clock import Backoff
from videostat.errors import (
    KeyChanged,
    KeyMissing,
    KeyRefused,
    OutOfCredit,
    RateLimited,
    Stopped,
    Unreachable,
    UsageError,
    VideostatError,
)
from videostat.models import Job, State
from videostat.polling import course
from videostat.polling.course import Step
from videostat.polling.ending import Ender
from videostat.polling.hints import Announcements, SleepDetector, find_untroubled
from videostat.polling.keygroups import PATIENCE, Group, Mode
from videostat.polling.options import TIME_LIMIT, Door, Hint, Phase
from videostat.polling.pace import LONGEST_PAUSE, find_interval_range
from videostat.polling.sending import LAST_LOOK
from videostat.polling.task import Task
from videostat.providers.base import Meaning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from queue import SimpleQueue

    from videostat.polling.options import Message, Reply, Target

STOPPED = 5  # seconds by which a wait lasts too long if the process was stopped
LAST_CHANCE = 3  # seconds for the answers after that; shorter than any floor, so that no job is looked at twice


@dataclass(slots=True, eq=False)
class Loop(Ender):
    """All jobs of a poll. It starts them, applies each reply to its job and key group, and ends them."""

    _announcements: Announcements = field(default_factory=Announcements)
    _sleep: SleepDetector = field(default_factory=SleepDetector)
    _is_extended: bool = False

    def add_targets(self, targets: Iterable[Target], groups: dict[str, Group]) -> Iterator[Job]:
        """Queue the first step of each job; yield those whose video is already saved.

        A job that is already waited for gets an earlier look, as after a hint.
        """
        now, begun = self._clock.monotonic(), []
        for target in {target.ref: target for target in targets}.values():
            if target.ref in self.tasks:
                self.apply_hint(Hint((target.ref,)))
                continue
            group = self._groups[target.key_group] = groups.setdefault(target.key_group, Group())
            if not group.left:
                group.begin_anew()
            group.ever |= target.account_worked
            job = target.saved or target.known or Job(ref=target.ref)
            task = self.tasks[target.ref] = Task(target, group, job, worked=target.worked, joined_at=now)
            if target.saved:
                task.phase = Phase.SAVE
                begun.append(self._start_next_phase(task))
            else:
                group.left += 1
                task.phase = Phase.URL if job.needs_url else Phase.LOOK
                if task.ready_at > now:
                    self._looks.put(task, task.ready_at)
                else:
                    self._queue(task)
        yield from self._emit(begun)

    def wait(self, inbox: SimpleQueue[Message]) -> Message | None:
        """Return the next message, or None when something is due.

        If the process was stopped until after the deadline, look once more at each job.
        """
        seconds, began = self.count_seconds_to_next_event(), self._clock.monotonic()
        item = self._clock.wait(inbox, seconds)
        now = self._clock.monotonic()
        if now >= self._deadline and now - began - max(seconds, 0) > STOPPED and not self._is_extended:
            self._is_extended, self._deadline = True, now + LAST_CHANCE
            self._bring_forward(find_untroubled(self.tasks.values()))
        return item

    def receive(self, reply: Reply) -> Iterator[Job]:
        """Apply the outcome of a step; drop it if its job has ended."""
        if reply.ref in self._late:
            self._late -= Counter([reply.ref])
            return
        task = self.tasks[reply.ref]
        self._get_lane(task).free_place(task)
        outcome = reply.outcome
        if not isinstance(outcome, Job | VideostatError):
            raise outcome
        if not task.phase.is_request:
            yield from self._emit(self._on_step_done(task, outcome))
        elif isinstance(outcome, KeyChanged | UsageError | KeyMissing):
            yield from self._emit(self._on_request_not_sent(task, outcome))
        else:
            yield from self._emit(self._on_answer(task, outcome))

    def apply_hint(self, message: Hint | Door) -> None:
        """Bring forward the looks at the hinted jobs."""
        self._bring_forward(self._announcements.receive(message, self.tasks, self._clock.monotonic()))

    def _bring_forward(self, tasks: Iterable[Task]) -> None:
        """Make looks due now, or when the floor allows. The gate of each lane still keeps its pause."""
        now = self._clock.monotonic()
        for task in tasks:
            self._looks.bring_forward(task, max(now, task.ready_at))

    def is_tick(self, item: Message | None) -> bool:
        """Return whether the caller may draw now; `item` is the last message."""
        return self._announcements.is_tick(item, self._clock.monotonic(), self._deadline)

    def wake(self) -> Iterator[Job]:
        """Queue the due looks, and end the jobs whose time limit is over."""
        now = self._clock.monotonic()
        if self._sleep.was_asleep(self._clock.now().timestamp(), now):
            self._bring_forward(find_untroubled(self.tasks.values()))
        for task in self._looks.take_due(now):
            self._queue(task)
        for task in self._time_limits.take_due(now):
            if task.phase.is_request and self._waits:
                yield self._end(task, self._make_silence_error(task))
            elif task.phase.is_request:
                known, silent = task.trouble, Unreachable(f"no answer within {TIME_LIMIT} s")
                if task in self._get_lane(task).in_flight:
                    task.learn(silent, now, waits=False)
                yield self._end(task, known or silent)
        for group in self._groups.values():
            yield from self._end_group(group, now)

    def _emit(self, jobs: list[Job]) -> Iterator[Job]:
        yield from jobs
        if any(job.ended and self._options.stop_when(job) for job in jobs):
            yield from self.end_all(Stopped("the wait was stopped early"), lambda task: task.phase is not Phase.EXEC)

    def _on_request_not_sent(self, task: Task, error: VideostatError) -> list[Job]:
        """Apply an error from before the request, or an answer to a replaced key."""
        now = self._clock.monotonic()
        task.group.on_given_up(task.target.ref, now)
        if isinstance(error, KeyMissing):
            return self.end_all(error, lambda one: one.group is task.group and one.phase.is_request)
        if isinstance(error, KeyChanged):
            task.refusal = None
            task.group.heard_at[task.target.ref] = now
            return [self._retry(task, task.target.polling.floor, error)]
        return [self._end(task, error)]

    def _on_answer(self, task: Task, outcome: Job | VideostatError) -> list[Job]:
        """Apply the answer to a look."""
        now, group = self._clock.monotonic(), task.group
        with group.lock:
            mode = group.mode
            meaning, step = task.learn(outcome, now, waits=self._waits)
            if meaning is not Meaning.LIMIT:
                self._get_lane(task).gate.on_answer(task.sent_at)
        if task.answered and self._waits:
            self._time_limits.remove(task)
        if mode is not Mode.OPEN and group.mode is Mode.OPEN:
            self._bring_forward(self._find_waiting(group))
        if isinstance(outcome, Job):
            return self._on_job(task, outcome, step)
        return self._on_error(task, outcome, step)

    def _on_error(self, task: Task, outcome: VideostatError, step: Step) -> list[Job]:
        """Apply an answer that does not describe the job."""
        now, group, polling = self._clock.monotonic(), task.group, task.target.polling
        if step in {Step.END, Step.END_ALL} and isinstance(outcome, KeyRefused | OutOfCredit):
            outcome = group.refusals.setdefault((type(outcome), outcome.code), outcome)
        if step is Step.END_ALL:
            group.verdict = (now, outcome)
            return [self._end(task, outcome), *self._end_group(group, now)]
        if step is Step.END:
            return [self._end(task, outcome)]
        if step is Step.PAUSE and isinstance(outcome, RateLimited):
            return self._on_rate_limit(task, outcome)
        if step in {Step.GO_ON, Step.ASK_AGAIN}:
            least, _ = find_interval_range(polling, self._options.interval)
            return [self._retry(task, least if step is Step.GO_ON else polling.floor, outcome)]
        is_alone = step is Step.FOR_A_WHILE and course.is_about_job(outcome)
        if self._waits and is_alone and task not in self._time_limits:
            self._time_limits.put(task, now + PATIENCE)
        return [self._back_off(task, outcome)]

    def _on_job(self, task: Task, job: Job, step: Step) -> list[Job]:
        """Apply an answer that describes the job."""
        if not job.sure and job.state.is_terminal and step is not Step.END and self._waits:
            # A word that only the shared table knows is confirmed first; until then the old state is shown.
            task.job = replace(task.job, status=job.status, message=job.message)
        else:
            task.job = job
        if step is Step.END and self._waits:
            # A failure word that only the shared table knows has come twice, so it is recorded.
            task.job = job = replace(job, sure=True)
        if step is Step.END and not (self._waits and job.state is State.SUCCEEDED and task.may_look_again()):
            if self._announcements.learn_end(task):
                self._put_off(task.target.key_group)
            return [self._start_next_phase(task)]
        if not self._waits:
            return [self._end(task)]
        is_doubt = step is Step.ASK_AGAIN
        wait = task.target.polling.floor if is_doubt else self._choose_wait(task)
        self._schedule(task, wait)
        return [replace(task.job, poll_after=wait)]

    def _choose_wait(self, task: Task) -> float:
        usual, now = self._choose_next_look(task), self._clock.monotonic()
        wait = self._announcements.choose_wait(task, usual, self._options.interval, now)
        return wait if wait <= usual else max(usual, min(wait, self._find_latest_look(task) - now))

    def _find_latest_look(self, task: Task) -> float:
        """Return until when a look may be put off.

        The looks at all jobs must still fit through the gate before the deadline.
        """
        return self._deadline - max(LAST_LOOK, len(self.tasks) * self._get_lane(task).gate.spacing)

    def _put_off(self, key_group: str) -> None:
        """Put off the planned looks of a key group after its first announced end."""
        now = self._clock.monotonic()
        for task in find_untroubled(self.tasks.values()):
            wait = self._announcements.choose_longest_wait(task, self._options.interval, now)
            due = min(task.sent_at + wait, self._find_latest_look(task))
            if wait and task.target.key_group == key_group and self._looks.get_due(task) < due:
                self._schedule(task, due - now)

    def _on_step_done(self, task: Task, outcome: Job | VideostatError) -> list[Job]:
        """Apply the outcome of saving or of a command, which is not repeated."""
        if isinstance(outcome, Job):
            task.job = outcome
            return [self._start_next_phase(task)]
        return [self._end(task, outcome)]

    def _start_next_phase(self, task: Task) -> Job:
        """Move a succeeded job to its next phase, or end it."""
        phase = course.choose_next_phase(task.job, task.phase, self._options.steps)
        if phase is None or (phase is Phase.URL and not self._options.wants_urls):
            return self._end(task)
        task.group.left -= task.phase.is_request and not phase.is_request
        task.phase = phase
        lane = self._get_lane(task)
        if lane.gate.paused_until >= self._time_limits.get_due(task):
            return self._end(task, lane.gate.limit)
        self._queue(task)
        return task.job

    def _on_rate_limit(self, task: Task, limit: RateLimited) -> list[Job]:
        lane, polling, now = self._get_lane(task), task.target.polling, self._clock.monotonic()
        least, _ = find_interval_range(polling, self._options.interval)
        lane.gate.on_rate_limit(limit, task.sent_at, now, least, self._jitter())
        wait = lane.gate.paused_until - now
        if not self._waits and wait >= TIME_LIMIT:
            return self.end_all(limit, lambda one: self._get_lane(one) is lane and one not in lane.in_flight)
        return [self._retry(task, max(wait, polling.floor), limit)]

    def _back_off(self, task: Task, error: VideostatError) -> Job:
        floor, asked = task.target.polling.floor, getattr(error, "retry_after", None) or 0
        task.pause = Backoff(max(floor, 1), LONGEST_PAUSE).lengthen(task.pause)
        task.held_until = self._clock.monotonic() + asked
        return self._retry(task, max(task.pause * (1 + self._jitter()) / 2, floor, asked), error)

    def _retry(self, task: Task, wait: float, error: VideostatError) -> Job:
        """Plan another look after `wait` seconds.

        End the job instead if its attempts or its time limit are used up.
        """
        is_late = not self._waits and self._clock.monotonic() + wait >= self._time_limits.get_due(task)
        if task.attempts == self._options.attempts or is_late:
            return self._end(task, error)
        self._schedule(task, wait)
        return replace(task.job, problem=error, poll_after=wait)
