"""Remember what is known of each job that has not ended, and say where it stands now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from videostat.clock import format_duration
from videostat.errors import RateLimited
from videostat.models import Job, JobRef, State
from videostat.render.messages import message, trouble
from videostat.render.text import COLOURS
from videostat.render.transfers import Moved, Speedometer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videostat.clock import Clock
    from videostat.saving import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a command does: `doing` stands before the number of jobs, `timeout` is in seconds, 0 is no limit.

    `usual`: the jobs in the order given, and how many seconds one usually takes. `transfers`: None if nothing is saved.
    """

    activity: str
    usual: Mapping[JobRef, float]
    timeout: float = 0
    transfers: Mapping[JobRef, Transfer] | None = None


class Row(NamedTuple):
    """Where a job stands: the first of `names` that fits, `percent` None where unknown, `elapsed` in seconds.

    `said`: what else is known, what matters most first. `trouble`: a sentence, and its end, which is never cut.
    """

    names: tuple[str, ...]
    word: str
    style: str
    percent: float | None
    elapsed: float
    said: tuple[str, ...] = ()
    trouble: tuple[str, str] | None = None

    def __str__(self) -> str:
        percent = "" if self.percent is None else f" {int(self.percent)}%"
        return ", ".join((self.word + percent, *self.said)) + (": " + "".join(self.trouble) if self.trouble else "")


class Board:
    """The jobs that have not ended, in the order given, from the beginning on; `moving`: those being transferred."""

    def __init__(self, work: Work, clock: Clock) -> None:
        self.work, self._clock = work, clock
        self.jobs = {ref: Job(ref=ref) for ref in work.usual}
        self.words = Counter({"asking": len(self.jobs)})
        self.ended = 0
        self.began = clock.monotonic()
        self.moving: dict[JobRef, Moved] = {}
        self._estimated_at: dict[JobRef, float] = {}
        self._was_unfinished: set[JobRef] = set()
        self._saving: dict[JobRef, None] = {}  # in the order in which they are saved
        self._speeds: dict[JobRef, Speedometer] = {}
        self._saved = Moved()
        self._limited: dict[tuple[str, bool], Job] = {}

    def take(self, job: Job) -> None:
        """Put what is known now in the place of what was known before."""
        ref = job.ref
        if before := self.jobs.get(ref):
            self.words[self._word(before)] -= 1
        if isinstance(job.problem, RateLimited):
            self._limited[ref.provider, job.state.is_terminal] = job
        if job.problem is None:
            self._estimated_at[ref] = self._clock.monotonic()
        self._speeds.pop(ref, None)
        if ref in self._saving and job.saved:
            self._saved = Moved.sum(self._saved, Moved(job.saved.bytes, job.saved.bytes))
        self._saving.pop(ref, None)
        self.moving.pop(ref, None)
        if job.ended:
            self.ended += 1
            self.jobs.pop(ref, None)
            return
        if not job.state.is_terminal:
            self._was_unfinished.add(ref)
        self.jobs[ref] = job
        self.words[self._word(job)] += 1
        if self._word(job) == "saving":
            self._saving[ref] = None

    def rows(self, most: int) -> list[Row]:
        """The first jobs that have not ended."""
        return [self.row(job) for job in islice(self.jobs.values(), most)]

    def read_transfers(self) -> None:
        """Look how far each transfer has come."""
        transfers, now = self.work.transfers or {}, self._clock.monotonic()
        self.moving = {
            ref: self._speeds.setdefault(ref, Speedometer(now)).read(transfers[ref], now)
            for ref in takewhile(transfers.__contains__, self._saving)
        }

    def row(self, job: Job) -> Row:
        """Where the job stands at this moment."""
        names, word = (str(job.ref), job.ref.id), self._word(job)
        if moved := self.moving.get(job.ref):
            transfer = (self.work.transfers or {})[job.ref]
            said = (() if transfer.state == "downloading" else (transfer.state,)) + moved.parts
            elapsed = self._clock.monotonic() - self._speeds[job.ref].began
            return Row(names, word, COLOURS[job.state], moved.percent, elapsed, said)
        percent = 0 if word == "saving" else job.progress
        said = tuple(filter(None, (self._left(job), message(job), self._next_look(job))))
        return Row(names, word, COLOURS[job.state], percent, self.age(job), said, self._trouble(job))

    def all_files(self) -> Row:
        """One row for all transfers of this run."""
        moved = Moved.sum(self._saved, *self.moving.values())
        began = min(self._speeds[ref].began for ref in self.moving)
        return Row(
            ("all files",),
            "saving",
            COLOURS[State.SUCCEEDED],
            moved.percent,
            self._clock.monotonic() - began,
            moved.parts,
        )

    def passed(self) -> float:
        """Seconds since the beginning."""
        return self._clock.monotonic() - self.began

    def age(self, job: Job) -> float:
        """Seconds since the job was created, or else since we first asked."""
        now = self._clock.now()
        return (now - job.created_at).total_seconds() if job.created_at and job.created_at <= now else self.passed()

    def took(self, job: Job) -> float | None:
        """How many seconds an ended job took; None where its end is unknown and the first look found it ended."""
        if not job.created_at:
            return None
        end = job.completed_at or (self._clock.now() if job.ref in self._was_unfinished else None)
        return (end - job.created_at).total_seconds() if end and job.created_at <= end else None

    def _trouble(self, job: Job) -> tuple[str, str] | None:
        """Its own, or the rate limit that it waits for with the other jobs of its account."""
        now = self._clock.now()
        limited = self._limited.get((job.ref.provider, job.state.is_terminal))
        is_due = job.problem is None and (job.asked_again_at is None or job.asked_again_at <= now)
        if is_due and limited and limited.asked_again_at and limited.asked_again_at > now:
            return trouble(limited, now)
        return trouble(job, now)

    def _word(self, job: Job) -> str:
        if job.state is State.UNKNOWN and job.status is None:
            return "asking"
        is_saving = job.state is State.SUCCEEDED and not job.needs_url and not job.saved
        return "saving" if is_saving and self.work.transfers is not None else job.state

    def _left(self, job: Job) -> str:
        if job.state.is_terminal:
            return ""
        if job.estimated_time is None:
            usual = self.work.usual.get(job.ref)
            return f"usually {format_duration(usual)}" if usual else ""
        left = job.estimated_time - (self._clock.monotonic() - self._estimated_at.get(job.ref, self.began))
        return f"about {format_duration(left)} left" if left >= 1 else ""

    def _next_look(self, job: Job) -> str:
        """Where nothing else in the row moves, say when something will."""
        left = (job.asked_again_at - self._clock.now()).total_seconds() if job.asked_again_at else 0
        is_still = job.estimated_time is None and not job.problem
        return f"next look {format_duration(left)}" if is_still and left >= 1 else ""


def tally(words: Mapping[str, int]) -> str:
    """How many jobs are in which state: 3 running, 1 queued."""
    return ", ".join(f"{count:,} {word}" for word, count in Counter(words).most_common() if count > 0)
