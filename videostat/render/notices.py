"""Choose the notices about unfinished jobs; each appears once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from videostat.errors import RateLimited
from videostat.models import State
from videostat.render.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from videostat.clock import Clock
    from videostat.models import Job, JobRef

STALLED = 4  # times as long as a job usually takes


@dataclass
class Notices:
    """The notices already given, and when each job last changed.

    `usual` returns how many seconds such a job usually takes. `waits`: the jobs will be asked again.
    """

    clock: Clock
    usual: Callable[[JobRef], float]
    waits: bool = True
    _given: set[tuple[str, str | None]] = field(default_factory=set)  # (provider, status or hint)
    _changed: dict[JobRef, tuple[object, float]] = field(default_factory=dict)
    _stalled: set[JobRef] = field(default_factory=set)

    def check(self, job: Job) -> Iterator[str]:
        """Yield new notices: an undocumented status, a hint, a job that stands still."""
        reported = job.ref.provider, job.status
        if job.state is State.UNKNOWN and job.status and reported not in self._given:
            self._given.add(reported)
            status = clean_text(job.status, longest=80)
            waiting = ": still waiting" if self.waits else ""
            yield f"{job.ref}: {job.ref.provider} reports a status it does not document, '{status}'{waiting}"
        # The row of the job shows until when a rate limit lasts.
        is_shown = job.ended or isinstance(job.problem, RateLimited)
        hint = job.problem and not is_shown and job.problem.hint
        if job.problem and hint and (job.ref.provider, hint) not in self._given:
            self._given.add((job.ref.provider, hint))
            yield f"{job.ref}: {clean_text(str(job.problem), longest=160)}. {clean_text(hint)}"
        if job.ended:
            self._changed.pop(job.ref, None)
            self._stalled.discard(job.ref)
            return
        now = self.clock.monotonic()
        current = job.state, job.status, job.progress, job.message
        before, since = self._changed.setdefault(job.ref, (current, now))
        if current != before:
            self._changed[job.ref] = current, now
        elif now - since >= STALLED * self.usual(job.ref) and job.ref not in self._stalled:
            self._stalled.add(job.ref)
            unchanged, usual = (now - since) / 60, self.usual(job.ref) / 60
            yield f"{job.ref}: no change for {unchanged:.0f} minutes; such a job usually takes {usual:.0f} minutes"
