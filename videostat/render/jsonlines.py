"""Write the progress of jobs to stderr as JSON, one object per line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from videostat.errors import Retryable, Stopped
from videostat.models import Job
from videostat.render.answers import collect_fields, format_json_values
from videostat.render.log import REPORT, ErrorsOnly
from videostat.render.messages import write_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from videostat.clock import Clock
    from videostat.models import JobRef


@dataclass
class JsonLines(ErrorsOnly):
    """A writer of events: `{"event": ..., "time": ..., ...the job's fields}`.

    The events are start, change, saved, heartbeat (each minute without another event) and end. `resume` returns the
    command that continues jobs; for jobs that are unfinished when the wait stops, it is the `hint` of their `end`. The
    `output` of an `end` is the output of the --exec command.
    """

    refs: Sequence[JobRef]
    clock: Clock
    resume: Callable[[Sequence[JobRef]], str]
    _open: dict[JobRef, Job] = field(default_factory=dict)
    _unfinished: list[Job] = field(default_factory=list)
    _written_at: float = 0
    _output: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._open = {ref: Job(ref=ref) for ref in self.refs}
        self._write("start", *self._open.values())
        return self

    def __exit__(self, *raised: object) -> None:
        if self._unfinished:
            hint = self.resume([job.ref for job in self._unfinished])
            self._write("end", *self._unfinished, hint=hint)

    def update(self, job: Job) -> None:
        """Write an event if the job has changed, was saved or has ended."""
        before = self._open.pop(job.ref, None)
        if before and job.saved != before.saved:
            self._write("saved", job)
        elif not job.ended and (before is None or before.news != job.news):
            self._write("change", job)
        if not job.ended:
            self._open[job.ref] = job
        elif isinstance(job.problem, Stopped | Retryable):
            self._unfinished.append(job)
        else:
            output, self._output = self._output, []
            self._write("end", job, **({"output": "\n".join(output)} if output else {}))
        self.tick()

    def tick(self) -> None:
        """Write a heartbeat for each open job after a minute without events."""
        if self.clock.monotonic() - self._written_at >= REPORT:
            self._write("heartbeat", *self._open.values())

    def get_plain_view(self) -> Self:
        """Return the same view: a program needs all events."""
        return self

    def note(self, sentence: str) -> None:
        """Ignore a sentence, because the fields contain the same information."""

    def show_output(self, lines: Iterable[str]) -> None:
        """Keep the output of a command for the next `end` event."""
        self._output = [*lines]

    def _write(self, event: str, *jobs: Job, **changed: object) -> None:
        self._written_at = self.clock.monotonic()
        time = {"event": event, "time": self.clock.now()}
        for job in jobs:
            write_stderr(format_json_values({**time, **collect_fields(job, saving=True), **changed}) + "\n")
