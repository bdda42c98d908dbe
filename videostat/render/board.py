"""Keep the last answer about each unfinished job, and make its row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from videostat.clock import format_duration
from videostat.errors import RateLimited
from videostat.models import Job, JobRef, State
from videostat.render.messages import format_message, format_trouble
from videostat.render.text import COLOURS
from videostat.render.transfers import Progress, Speedometer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videostat.clock import Clock
    from videostat.saving import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a command does with its jobs.

    `activity`: for example "waiting for"; the number of jobs follows it. `usual`: the jobs in their order, and how many
    seconds each usually takes. `timeout`: in seconds, 0 for no limit. `transfers`: None if no video is saved.
    """

    activity: str
    usual: Mapping[JobRef, float]
    timeout: float = 0
    transfers: Mapping[JobRef, Transfer] | None = None


class Row(NamedTuple):
    """The contents of a row on the screen, without a layout.

    `names`: from long to short; the first one that fits is shown. `percent`: None if unknown. `elapsed`: in seconds.
    `details`: the most important first. `trouble`: a sentence, and its end, which is never cut.
    """

    names: tuple[str, ...]
    label: str
    style: str
    percent: float | None
    elapsed: float
    details: tuple[str, ...] = ()
    trouble: tuple[str, str] | None = None

    def __str__(self) -> str:
        percent = "" if self.percent is None else f" {int(self.percent)}%"
        return ", ".join((self.label + percent, *self.details)) + (": " + "".join(self.trouble) if self.trouble else "")


class Board:
    """The unfinished jobs in their order; `moving` has the progress of current transfers."""

    def __init__(self, work: Work, clock: Clock) -> None:
        self.work, self._clock = work, clock
        self.jobs = {ref: Job(ref=ref) for ref in work.usual}
        self.labels = Counter({"asking": len(self.jobs)})
        self.ended = 0
        self.began = clock.monotonic()
        self.moving: dict[JobRef, Progress] = {}
        self._estimated_at: dict[JobRef, float] = {}
        self._was_unfinished: set[JobRef] = set()
        self._saving: dict[JobRef, None] = {}  # keys only, in the order of saving
        self._speeds: dict[JobRef, Speedometer] = {}
        self._saved = Progress()
        self._limited: dict[tuple[str, bool], Job] = {}

    def update(self, job: Job) -> None:
        """Replace the last answer about a job; drop a job that has ended."""
        ref = job.ref
        if before := self.jobs.get(ref):
            self.labels[self._choose_label(before)] -= 1
        if isinstance(job.problem, RateLimited):
            self._limited[ref.provider, job.state.is_terminal] = job
        if job.problem is None:
            self._estimated_at[ref] = self._clock.monotonic()
        self._speeds.pop(ref, None)
        if ref in self._saving and job.saved:
            self._saved = Progress.sum(self._saved, Progress(job.saved.bytes, job.saved.bytes))
        self._saving.pop(ref, None)
        self.moving.pop(ref, None)
        if job.ended:
            self.ended += 1
            self.jobs.pop(ref, None)
            return
        if not job.state.is_terminal:
            self._was_unfinished.add(ref)
        self.jobs[ref] = job
        label = self._choose_label(job)
        self.labels[label] += 1
        if label == "saving":
            self._saving[ref] = None

    def make_rows(self, most: int) -> list[Row]:
        """Make a row for each of the first `most` unfinished jobs."""
        return [self.make_row(job) for job in islice(self.jobs.values(), most)]

    def read_transfers(self) -> None:
        """Read the progress of each current transfer into `moving`."""
        transfers, now = self.work.transfers or {}, self._clock.monotonic()
        self.moving = {
            ref: self._speeds.setdefault(ref, Speedometer(now)).read(transfers[ref], now)
            for ref in takewhile(transfers.__contains__, self._saving)
        }

    def make_row(self, job: Job) -> Row:
        """Make the row of an unfinished job as it is now."""
        names, label = (str(job.ref), job.ref.id), self._choose_label(job)
        if progress := self.moving.get(job.ref):
            transfer = (self.work.transfers or {})[job.ref]
            details = (() if transfer.state == "downloading" else (transfer.state,)) + progress.parts
            elapsed = self._clock.monotonic() - self._speeds[job.ref].began
            return Row(names, label, COLOURS[job.state], progress.percent, elapsed, details)
        percent = 0 if label == "saving" else job.progress
        details = tuple(filter(None, (self._format_time_left(job), format_message(job), self._format_next_look(job))))
        return Row(names, label, COLOURS[job.state], percent, self._compute_age(job), details, self._find_trouble(job))

    def make_transfers_row(self) -> Row:
        """Make one row for all transfers of this run; `moving` must not be empty."""
        progress = Progress.sum(self._saved, *self.moving.values())
        began = min(self._speeds[ref].began for ref in self.moving)
        return Row(
            ("all files",),
            "saving",
            COLOURS[State.SUCCEEDED],
            progress.percent,
            self._clock.monotonic() - began,
            progress.parts,
        )

    @property
    def elapsed(self) -> float:
        """Seconds since this run began."""
        return self._clock.monotonic() - self.began

    def _compute_age(self, job: Job) -> float:
        """Return the seconds since the job was created, or since this run began."""
        now = self._clock.now()
        return (now - job.created_at).total_seconds() if job.created_at and job.created_at <= now else self.elapsed

    def compute_duration(self, job: Job) -> float | None:
        """Return how many seconds an ended job took, or None if that is unknown.

        If the service does not give the end, it is the time now, unless the first answer said that the job had ended.
        """
        if not job.created_at:
            return None
        end = job.completed_at or (self._clock.now() if job.ref in self._was_unfinished else None)
        return (end - job.created_at).total_seconds() if end and job.created_at <= end else None

    def _find_trouble(self, job: Job) -> tuple[str, str] | None:
        """Return the job's own trouble, or the rate limit of its account."""
        now = self._clock.now()
        limited = self._limited.get((job.ref.provider, job.state.is_terminal))
        is_due = job.problem is None and (job.asked_again_at is None or job.asked_again_at <= now)
        if is_due and limited and limited.asked_again_at and limited.asked_again_at > now:
            return format_trouble(limited, now)
        return format_trouble(job, now)

    def _choose_label(self, job: Job) -> str:
        if job.state is State.UNKNOWN and job.status is None:
            return "asking"
        is_saving = job.state is State.SUCCEEDED and not job.needs_url and not job.saved
        return "saving" if is_saving and self.work.transfers is not None else job.state

    def _format_time_left(self, job: Job) -> str:
        if job.state.is_terminal:
            return ""
        if job.estimated_time is None:
            usual = self.work.usual.get(job.ref)
            return f"usually {format_duration(usual)}" if usual else ""
        left = job.estimated_time - (self._clock.monotonic() - self._estimated_at.get(job.ref, self.began))
        return f"about {format_duration(left)} left" if left >= 1 else ""

    def _format_next_look(self, job: Job) -> str:
        """Format when the job is asked again, unless its row shows other changes."""
        left = (job.asked_again_at - self._clock.now()).total_seconds() if job.asked_again_at else 0
        is_still = job.estimated_time is None and not job.problem
        return f"next check in {format_duration(left)}" if is_still and left >= 1 else ""


def format_counts(labels: Mapping[str, int]) -> str:
    """Format how many jobs have each label: 3 running, 1 queued."""
    return ", ".join(f"{count:,} {label}" for label, count in Counter(labels).most_common() if count > 0)
