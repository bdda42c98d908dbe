"""One job for people: a line for each field that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videostat.clock import format_duration
from videostat.errors import Stopped
from videostat.render.columns import linked, print_line
from videostat.render.messages import complain, reason
from videostat.render.text import COLOURS, clean, length, moment, percent, place, size

if TYPE_CHECKING:
    from datetime import datetime

    from rich.text import Text

    from videostat.models import Job, Saved
    from videostat.render.columns import Cell


def print_card(job: Job, now: datetime) -> None:
    """Print the known fields below each other; on stdout."""
    known = {label: cell for label, cell in _fields(job, now).items() if cell}
    print_line([(str(job.ref), "bold")], [])
    width = max(map(len, known))
    for label, cell in known.items():
        print_line(["", (label, "dim"), cell], [0, width])
    complaint = complain(job)
    if complaint and complaint.hint:
        print_line([f"  {complaint.hint}"], [])


def _fields(job: Job, now: datetime) -> dict[str, Cell | None]:
    """What is shown by which name, in this order; None and empty cells are left out."""
    word = job.status if job.status and job.status.lower() != job.state else None
    return {
        "state": (job.state + (f" ({clean(word, longest=80)})" if word else ""), COLOURS[job.state]),
        "progress": percent(job),
        "time left": None if job.estimated_time is None or job.state.is_terminal else _about(job.estimated_time),
        "message": None if job.state.is_terminal else clean(job.message or ""),
        "title": clean(job.title or ""),
        "length": None if job.duration is None else length(job.duration),
        "resolution": clean(job.resolution or ""),
        "credits": None if job.credits is None else f"{job.credits:g}",
        "created": _when(job.created_at, now),
        "started": _when(job.started_at, now),
        "completed": _when(job.completed_at, now),
        "kept until": _when(job.kept_until, now),
        "error": _error(job),
        "code": clean((job.problem.code if job.problem else job.error_code) or ""),
        "thumbnail": _address(job.thumbnail_url),
        "URL": None if job.saved or isinstance(job.problem, Stopped) else _address(job.video_url),
        "URL until": None if job.saved or not job.video_url else _when(job.expires_at, now),
        "file": _file(job.saved) if job.saved else None,
        **{name: clean(str(value)) for name, value in job.extra.items()},
    }


def _error(job: Job) -> Cell | None:
    is_bad = job.problem or job.error or (job.ended and job.state.is_terminal)
    said = reason(job) if is_bad else ""
    return (said, "red") if said else None


def _when(at: datetime | None, now: datetime) -> str:
    return moment(at, now) if at else ""


def _file(saved: Saved) -> Text:
    return linked(place(saved.file), saved.file).append(f" ({size(saved.bytes)})")


def _about(seconds: float) -> str:
    return f"about {format_duration(seconds)}"


def _address(url: str | None) -> Cell | None:
    return linked(clean(url, longest=None), url) if url else None
