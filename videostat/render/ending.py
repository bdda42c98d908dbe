"""What is said once at the end of a wait: how many jobs are saved or not, and where videos that were not saved are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from videostat.clock import format_duration
from videostat.errors import ExitCode
from videostat.models import State
from videostat.render.text import moment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from videostat.models import Job

# In this order. What is not here has no known outcome.
ENDS: Mapping[ExitCode, str] = {
    ExitCode.FAILED: "failed",
    ExitCode.NOT_SAVED: "not saved",
    ExitCode.EXEC: "with a failed command",
    ExitCode.GONE: "not found",
    ExitCode.KEY: "refused",
    ExitCode.CREDIT: "out of credit or rate limited",
    ExitCode.RUNNING: "not finished",
    ExitCode.TIMEOUT: "not finished",
    ExitCode.INTERRUPTED: "not finished",
    ExitCode.TERMINATED: "not finished",
}
ORDER = ("saved", "succeeded", *dict.fromkeys(ENDS.values()), "without an answer")


def summary(jobs: Collection[Job], seconds: float) -> str:
    """How many ended how, in what time, and for how many credits: 4 saved, 1 failed, in 4m12s; 12 credits."""
    counts = Counter(map(_end, jobs))
    ends = ", ".join(f"{counts[end]:,} {end}" for end in ORDER if counts[end])
    credits_ = sum(job.credits or 0 for job in jobs)
    return f"{ends}, in {format_duration(seconds)}" + (f"; {credits_:g} credits" if credits_ else "")


def _end(job: Job) -> str:
    if job.exit_code is ExitCode.OK:
        return "saved" if job.saved else "succeeded"
    if job.state is State.SUCCEEDED and not job.saved and job.exit_code not in {ExitCode.GONE, ExitCode.EXEC}:
        return "not saved"
    return ENDS.get(job.exit_code, "without an answer")


def kept(jobs: Collection[Job], now: datetime) -> str:
    """Until when the services keep videos that were not saved, or until when their addresses work."""
    these = "the video" if len(jobs) == 1 else "the videos"
    # A time that is over promises nothing; and what one service promises holds for no other's video.
    keeps = {job.ref: job.kept_until for job in jobs if job.kept_until and job.kept_until > now}
    if len(keeps) == len(jobs):
        return f"The service keeps {these} until {moment(min(keeps.values()), now)}. To save {_it(jobs)}:"
    others = [job.expires_at for job in jobs if job.ref not in keeps]
    ends = [end for end in others if end and end > now]
    if len(ends) == len(others):
        return f"The URL works until {moment(min(ends), now)}. To save {these}:"
    return f"The URL may work for a short time only. To save {these}:"


def describe_deletion(jobs: Collection[Job], now: datetime) -> str:
    """Say when the services delete what is still queued; empty where nobody knows."""
    ends = [job.kept_until for job in jobs if job.state is State.QUEUED and job.kept_until and job.kept_until > now]
    if not ends:
        return ""
    which = "it if it is still queued" if len(jobs) == 1 else "a job that is still queued, the first of them"
    return f"The service deletes {which} at {moment(min(ends), now)}."


def _it(jobs: Collection[Job]) -> str:
    return "it" if len(jobs) == 1 else "them"
