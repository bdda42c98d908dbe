"""Format the last lines of a wait: results, and until when videos are kept."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from videostat.clock import format_duration
from videostat.errors import ExitCode
from videostat.models import State
from videostat.render.text import format_time

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from videostat.models import Job

# In display order. A job with another exit code is "without an answer".
ENDS: Mapping[ExitCode, str] = {
    ExitCode.FAILED: "failed",
    ExitCode.NOT_SAVED: "not saved",
    ExitCode.EXEC: "with a failed command",
    ExitCode.GONE: "not found",
    ExitCode.KEY: "without a valid key",
    ExitCode.CREDIT: "out of credit or rate limited",
    ExitCode.RUNNING: "not finished",
    ExitCode.TIMEOUT: "not finished",
    ExitCode.INTERRUPTED: "not finished",
    ExitCode.TERMINATED: "not finished",
}
ORDER = ("saved", "already saved", "succeeded", *dict.fromkeys(ENDS.values()), "without an answer")


def format_summary(jobs: Collection[Job], seconds: float) -> str:
    """Format results, time and credits: 4 saved, 1 failed, in 4m12s; 12 credits."""
    counts = Counter(map(_classify_end, jobs))
    ends = ", ".join(f"{counts[end]:,} {end}" for end in ORDER if counts[end])
    credits_ = sum(job.credits or 0 for job in jobs)
    return f"{ends}, in {format_duration(seconds)}" + (f"; {credits_:g} credits" if credits_ else "")


def _classify_end(job: Job) -> str:
    if job.exit_code is ExitCode.OK:
        return ("already saved" if job.saved.skipped else "saved") if job.saved else "succeeded"
    if job.state is State.SUCCEEDED and not job.saved and job.exit_code not in {ExitCode.GONE, ExitCode.EXEC}:
        return "not saved"
    return ENDS.get(job.exit_code, "without an answer")


def format_retention(jobs: Collection[Job], now: datetime) -> str:
    """Format until when unsaved videos can be fetched.

    The text ends with "To save it:", so print the command below it.
    """
    videos, them = ("the video", "it") if len(jobs) == 1 else ("the videos", "them")
    # The promise must hold for every video, and a time in the past promises nothing.
    keeps = {job.ref: job.kept_until for job in jobs if job.kept_until and job.kept_until > now}
    if len(keeps) == len(jobs):
        return f"The service keeps {videos} until {format_time(min(keeps.values()), now)}. To save {them}:"
    others = [job.expires_at for job in jobs if job.ref not in keeps]
    ends = [end for end in others if end and end > now]
    if len(ends) == len(others):
        return f"The URL works until {format_time(min(ends), now)}. To save {videos}:"
    return f"The URL may work for a short time only. To save {videos}:"


def format_deletion(jobs: Collection[Job], now: datetime) -> str:
    """Format when the services delete queued jobs; empty if unknown."""
    ends = [job.kept_until for job in jobs if job.state is State.QUEUED and job.kept_until and job.kept_until > now]
    if not ends:
        return ""
    which = "it if it is still queued" if len(jobs) == 1 else "a job that is still queued, the first of them"
    return f"The service deletes {which} at {format_time(min(ends), now)}."
