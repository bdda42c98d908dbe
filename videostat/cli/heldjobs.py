"""Hold refused jobs until it is clear whether the job or its whole account was refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from videostat.errors import KeyRefused, OutOfCredit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from videostat.models import Job, JobRef


@dataclass
class Refusals:
    """Refused jobs, held until another job of their account is answered.

    `groups`: the key group of each job of the run. Only one or two jobs of a group are requested before the first
    answer, so a job is not held for long.
    """

    groups: Mapping[JobRef, str]
    _left: Counter[str] = field(init=False)
    _fine: set[str] = field(default_factory=set)
    _held: defaultdict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._left = Counter(self.groups.values())

    def sort(self, job: Job) -> Iterator[Job]:
        """Yield the job and the held jobs it decides about; hold a refused job."""
        group = self.groups.get(job.ref)
        if group is None:
            yield job
            return
        is_refused = isinstance(job.problem, KeyRefused | OutOfCredit)
        self._left[group] -= job.ended
        if not is_refused and (job.problem is None or job.ended):
            self._fine.add(group)
        if is_refused and job.ended:
            self._held[group].append(job)
        is_fine = group in self._fine
        if is_fine or self._left[group] <= 0:
            for each in self._held.pop(group, ()):
                yield _mark_about_job(each) if is_fine else each
        if not (is_refused and job.ended):
            yield job


def _mark_about_job(job: Job) -> Job:
    """Mark a refusal as one of the job, not of its account."""
    problem: Any = copy(job.problem)
    problem.about_job = True
    return replace(job, problem=problem)
