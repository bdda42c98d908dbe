"""Lines with their time, for a command that runs until a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videostat.render.log import ErrorsOnly, file_and_size
from videostat.render.messages import message, trouble

if TYPE_CHECKING:
    from videostat.clock import Clock
    from videostat.models import Job, JobRef, State


class ServiceLog(ErrorsOnly):
    """A line a change, each with its time; silent while nothing changes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[JobRef, tuple[State, type | None]] = {}

    def update(self, job: Job) -> None:
        stands = job.state, type(job.problem)
        if job.ended or self._last.get(job.ref) != stands:
            kept = "" if job.ended else "".join(trouble(job, self._clock.now()) or ()) or message(job)
            said = f"saved as {file_and_size(job.saved)}" if job.saved else kept
            self.note(f"{job.ref}: {job.state}" + (f": {said}" if said else ""))
        self._last[job.ref] = stands
        if job.ended:
            del self._last[job.ref]
            # Of jobs that come for months, one complaint about a key is not for all that follow.
            self._said.clear()
        super().update(job)

    def note(self, sentence: str) -> None:
        super().note(f"{self._clock.now().astimezone():%Y-%m-%d %H:%M:%S} {sentence}")
