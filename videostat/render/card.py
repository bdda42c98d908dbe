"""Print one job for people, with one line for each known field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videostat.clock import format_duration
from videostat.errors import Stopped
from videostat.render.columns import make_file_link, make_link, print_row
from videostat.render.messages import format_reason, make_complaint
from videostat.render.text import COLOURS, clean_text, format_length, format_progress, format_time

if TYPE_CHECKING:
    from datetime import datetime

    from videostat.models import Job
    from videostat.render.columns import Cell


def print_card(job: Job, now: datetime) -> None:
    """Print the known fields of a job on stdout, one per line."""
    known = {label: cell for label, cell in _collect_fields(job, now).items() if cell}
    print_row([(str(job.ref), "bold")], [])
    width = max(map(len, known))
    for label, cell in known.items():
        print_row(["", (label, "dim"), cell], [0, width])
    complaint = make_complaint(job)
    if complaint and complaint.hint:
        print_row([f"  {complaint.hint}"], [])


def _collect_fields(job: Job, now: datetime) -> dict[str, Cell | None]:
    """Return the cells by label, in display order; unknown ones are empty."""
    status = job.status if job.status and job.status.lower() != job.state else None
    left = None if job.estimated_time is None or job.state.is_terminal else job.estimated_time
    return {
        "state": (job.state + (f" ({clean_text(status, longest=80)})" if status else ""), COLOURS[job.state]),
        "progress": format_progress(job),
        "time left": None if left is None else f"about {format_duration(left)}",
        "message": None if job.state.is_terminal else clean_text(job.message or ""),
        "title": clean_text(job.title or ""),
        "length": None if job.duration is None else format_length(job.duration),
        "resolution": clean_text(job.resolution or ""),
        "credits": None if job.credits is None else f"{job.credits:g}",
        "created": _format_time(job.created_at, now),
        "started": _format_time(job.started_at, now),
        "completed": _format_time(job.completed_at, now),
        "kept until": _format_time(job.kept_until, now),
        "error": _format_error(job),
        "code": clean_text((job.problem.code if job.problem else job.error_code) or ""),
        "thumbnail": _format_url(job.thumbnail_url),
        "URL": None if job.saved or isinstance(job.problem, Stopped) else _format_url(job.video_url),
        "URL until": None if job.saved or not job.video_url else _format_time(job.expires_at, now),
        "file": make_file_link(job.saved) if job.saved else None,
        **{name: clean_text(str(value)) for name, value in job.extra.items()},
    }


def _format_error(job: Job) -> Cell | None:
    is_bad = job.problem or job.error or (job.ended and job.state.is_terminal)
    reason = format_reason(job) if is_bad else ""
    return (reason, "red") if reason else None


def _format_time(at: datetime | None, now: datetime) -> str:
    return format_time(at, now) if at else ""


def _format_url(url: str | None) -> Cell | None:
    return make_link(clean_text(url, longest=None), url) if url else None
