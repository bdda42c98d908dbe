"""End jobs at the deadline, by a signal, or with their key group."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from videostat.errors import NotSaved, Retryable, TimedOut, Unreachable, Untrusted, VideostatError
from videostat.models import DOWNLOAD_AGAIN, NOT_SAVED_IN_TIME, Job, State
from videostat.polling import course
from videostat.polling.keygroups import PATIENCE, Group, Mode
from videostat.polling.options import ATTEMPTS, Phase
from videostat.polling.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from videostat.models import JobRef
    from videostat.polling.task import Task


@dataclass(slots=True, eq=False)
class Ender(Sender):
    """A sender that also ends jobs.

    `_codes`: the exit codes with which jobs of each key group have ended. `_late`: how many answers to each ended job
    will still come. They must not reach a job that is announced once more.
    """

    _codes: dict[str, set[int]] = field(default_factory=dict)
    _late: Counter[JobRef] = field(default_factory=Counter)

    def end_at_deadline(self) -> Iterator[Job]:
        """End all jobs if the deadline is over."""
        if self._clock.monotonic() < self._deadline:
            return
        self._deadline = math.inf
        # A job whose command is due has its video, so the deadline does not end it.
        late = [task for task in self.tasks.values() if task.phase is not Phase.EXEC]
        for task in sorted(late, key=lambda one: not one.asked):
            if task.phase is Phase.SAVE:
                yield self._end(task, TimedOut("not finished at the deadline"))
            else:
                ended = course.describe_end_at_deadline(task.make_ending(*self._codes.get(task.target.key_group, ())))
                task.job = replace(ended, problem=None)
                yield self._end(task, ended.problem)

    def end_all(self, problem: VideostatError, which: Callable[[Task], bool] = lambda _: True) -> list[Job]:
        """End all jobs, or those for which `which` is true, with this problem."""
        return [self._end(task, problem) for task in [*self.tasks.values()] if which(task)]

    def _end(self, task: Task, problem: VideostatError | None = None) -> Job:
        del self.tasks[task.target.ref]
        self._looks.remove(task)
        self._time_limits.remove(task)
        # An answer that still comes is dropped, so its place is free now.
        lane = self._get_lane(task)
        if task in lane.in_flight:
            self._late[task.target.ref] += 1
        lane.free_place(task)
        if task.phase.is_request:
            task.group.left -= 1
            task.group.on_given_up(task.target.ref, self._clock.monotonic())
        job = task.job
        if job.state is State.SUCCEEDED and isinstance(problem, Retryable | TimedOut | Untrusted):
            is_late = task.phase is Phase.SAVE and isinstance(problem, TimedOut)
            problem = NotSaved(NOT_SAVED_IN_TIME, hint=DOWNLOAD_AGAIN) if is_late else course.make_not_saved(problem)
        job = replace(job, problem=problem, ended=True)
        if task.asked and job.exit_code:
            self._codes.setdefault(task.target.key_group, set()).add(job.exit_code)
        is_over = problem is None and job.state.is_terminal
        return job if is_over else replace(job, poll_after=self._choose_next_look(task) if problem is None else None)

    def _end_group(self, group: Group, now: float) -> list[Job]:
        """End a group's jobs after a verdict, two silent minutes or the last attempt."""
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
                ended.append(
                    self._end(task, self._make_silence_error(task) if self._waits else task.trouble or group.trouble)
                )
        return ended

    def _make_silence_error(self, task: Task) -> VideostatError:
        return Unreachable(
            f"no answer of the service at {task.target.address} in {PATIENCE // 60} minutes"
            + (f", but {task.trouble}" if task.trouble else ""),
            hint="Check base_url, key and id; the job stays in the history.",
        )
