"""What a person should be told once about a job that is waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from videostat.errors import RateLimited
from videostat.models import State
from videostat.render.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from videostat.clock import Clock
    from videostat.models import Job, JobRef

STALLED = 4  # times as long as a job usually takes


@dataclass
class Notices:
    """Remembers when each job last changed; `usual` is how long such a job takes, in seconds.

    `waits`: the jobs are asked again.
    """

    clock: Clock
    usual: Callable[[JobRef], float]
    waits: bool = True
    _words: set[tuple[str, str | None]] = field(default_factory=set)
    _changed: dict[JobRef, tuple[object, float]] = field(default_factory=dict)
    _stalled: set[JobRef] = field(default_factory=set)

    def about(self, job: Job) -> Iterator[str]:
        """Sentences about a word that nobody documents, and a job that does not move."""
        word = job.ref.provider, job.status
        if job.state is State.UNKNOWN and job.status and word not in self._words:
            self._words.add(word)
            status = clean(job.status, longest=80)
            waiting = ": still waiting" if self.waits else ""
            yield f"{job.ref}: {job.ref.provider} reports a status it does not document, '{status}'{waiting}"
        # Until when a rate limit lasts, the job's own row tells.
        is_told = job.ended or isinstance(job.problem, RateLimited)
        hint = job.problem and not is_told and job.problem.hint
        if job.problem and hint and (job.ref.provider, hint) not in self._words:
            self._words.add((job.ref.provider, hint))
            yield f"{job.ref}: {clean(str(job.problem), longest=160)}. {clean(hint)}"
        if job.ended:
            self._changed.pop(job.ref, None)
            self._stalled.discard(job.ref)
            return
        now = self.clock.monotonic()
        stands = job.state, job.status, job.progress, job.message
        before, since = self._changed.setdefault(job.ref, (stands, now))
        if stands != before:
            self._changed[job.ref] = stands, now
        elif now - since >= STALLED * self.usual(job.ref) and job.ref not in self._stalled:
            self._stalled.add(job.ref)
            still, usual = (now - since) / 60, self.usual(job.ref) / 60
            yield f"{job.ref}: no change for {still:.0f} minutes; such a job usually takes {usual:.0f}"
