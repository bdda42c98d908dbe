"""Write a log with times, for a command that runs until a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videostat.render.log import ErrorsOnly, format_saved
from videostat.render.messages import format_message, format_trouble

if TYPE_CHECKING:
    from videostat.clock import Clock
    from videostat.models import Job, JobRef, State


class ServiceLog(ErrorsOnly):
    """A log with one line per change; each line begins with the time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[JobRef, tuple[State, type | None]] = {}

    def update(self, job: Job) -> None:
        """Write a line if the job has changed, and any complaint about it."""
        current = job.state, type(job.problem)
        if job.ended or self._last.get(job.ref) != current:
            reason = "" if job.ended else "".join(format_trouble(job, self._clock.now()) or ()) or format_message(job)
            text = f"saved as {format_saved(job.saved)}" if job.saved else reason
            self.note(f"{job.ref}: {job.state}" + (f": {text}" if text else ""))
        self._last[job.ref] = current
        if job.ended:
            del self._last[job.ref]
            # The command may run for months, so an error of an account is reported again for each job.
            self._reported.clear()
        super().update(job)

    def note(self, sentence: str) -> None:
        """Write a sentence after the local date and time."""
        super().note(f"{self._clock.now().astimezone():%Y-%m-%d %H:%M:%S} {sentence}")
