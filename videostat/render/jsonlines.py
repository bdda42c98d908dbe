"""Tell on stderr how jobs go, one JSON object a line, for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from videostat.errors import Retryable, Stopped
from videostat.models import Job
from videostat.render.answers import collect_fields, format_json_values
from videostat.render.log import REPORT, ErrorsOnly
from videostat.render.messages import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from videostat.clock import Clock
    from videostat.models import JobRef


@dataclass
class JsonLines(ErrorsOnly):
    """Write `{"event": ..., "time": ..., ...the job's fields}` for every start, change, save, minute and end.

    `resume` gives the command that goes on with jobs whose wait ended first: it is the hint of their `end`. What a
    command of --exec has printed is the `output` of the job's `end`.
    """

    refs: Sequence[JobRef]
    clock: Clock
    resume: Callable[[Sequence[JobRef]], str]
    _open: dict[JobRef, Job] = field(default_factory=dict)
    _left: list[Job] = field(default_factory=list)
    _spoke: float = 0
    _output: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._open = {ref: Job(ref=ref) for ref in self.refs}
        self._write("start", *self._open.values())
        return self

    def __exit__(self, *raised: object) -> None:
        if self._left:
            hint = self.resume([job.ref for job in self._left])
            self._write("end", *self._left, hint=hint)

    def update(self, job: Job) -> None:
        before = self._open.pop(job.ref, None)
        if before and job.saved != before.saved:
            self._write("saved", job)
        elif not job.ended and (before is None or before.news != job.news):
            self._write("change", job)
        if not job.ended:
            self._open[job.ref] = job
        elif isinstance(job.problem, Stopped | Retryable):
            self._left.append(job)
        else:
            output, self._output = self._output, []
            self._write("end", job, **({"output": "\n".join(output)} if output else {}))
        self.tick()

    def tick(self) -> None:
        if self.clock.monotonic() - self._spoke >= REPORT:
            self._write("heartbeat", *self._open.values())

    def note(self, sentence: str) -> None:
        """Drop a sentence: the fields say the same to a program."""

    def show_output(self, lines: Iterable[str]) -> None:
        """Keep what a command has printed for the event that follows."""
        self._output = [*lines]

    def _write(self, event: str, *jobs: Job, **changed: object) -> None:
        self._spoke = self.clock.monotonic()
        time = {"event": event, "time": self.clock.now()}
        for job in jobs:
            tell(format_json_values({**time, **collect_fields(job, saving=True), **changed}) + "\n")
