"""Convert jobs to rows of the history and back.

URLs with a query are not stored: they are signed and expire soon.
"""

from __future__ import annotations

import json
import os
import re
from calendar import timegm
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from videostat.errors import Gone, NotFound
from videostat.models import FIELDS, Job, JobRef, Saved, State, to_json

if TYPE_CHECKING:
    from videostat.history.database import Row

_MAX_TEXT = 500
_MAX_ADDRESS = 2000
_QUERY = re.compile(r"\?\S+")
_ADDRESS = re.compile(r"\s*(https?:)?//", re.IGNORECASE)

_STORED = [each.name for each in fields(Job) if each.name in {field.name for field in FIELDS}]
_DATES = {name for name in _STORED if "datetime" in str(Job.__annotations__[name])}

# Columns that change with every answer. A change of these alone is written later.
VOLATILE = {"answer", "answered_at"}


class Record(NamedTuple):
    """A job from the history, and when it was last seen, in UTC."""

    job: Job
    last_seen: datetime


def to_key(ref: JobRef) -> dict[str, object]:
    """Convert a job's name to the columns of the primary key."""
    return {"provider": ref.provider, "id": ref.id}


def to_row(job: Job) -> dict[str, object]:
    """Convert a job to a row, {} if nothing about it is sure."""
    refusal = job.problem if isinstance(job.problem, NotFound | Gone) and job.problem.sure else None
    has_state = job.sure and (job.state is not State.UNKNOWN or job.status is not None)
    if not (has_state or refusal):
        return {}
    gone = isinstance(refusal, Gone)
    return {
        "missing": isinstance(refusal, NotFound),
        "answer": json.dumps(_collect_answer(job)) if has_state else None,
        "state": job.state if has_state else None,
        "status": _clean_text(job.status),
        "title": _clean_text(job.title),
        "created_at": job.created_at and to_seconds(job.created_at),
        "completed_at": job.completed_at and to_seconds(job.completed_at),
        "error": _clean_text(str(refusal) if refusal else job.error),
        "file": job.saved and os.fsencode(job.saved.file.absolute()),
        "bytes": job.saved and job.saved.bytes,
        "ended": gone or job.state.is_terminal,
        "gone": gone,
    }


def _collect_answer(job: Job) -> dict[str, object]:
    """Return the fields of a job to store as JSON, without signed URLs."""
    answer = {name: to_json(getattr(job, name)) for name in _STORED}
    return {name: _remove_signed_urls(value) for name, value in answer.items() if value not in (None, {}, [])}


def _remove_signed_urls(value: object) -> object:
    match value:
        case str() if _ADDRESS.match(value):
            # A URL is kept whole or not at all.
            return value if "?" not in value and len(value) <= _MAX_ADDRESS and value.isprintable() else None
        case str():
            return _clean_text(value)
        case dict():
            return {str(_clean_text(name)): _remove_signed_urls(each) for name, each in value.items()}
        case list():
            return [*map(_remove_signed_urls, value)]
    return value


def _clean_text(foreign: str | None) -> str | None:
    """Shorten a service's text; remove URL queries, and lone surrogates, which SQLite cannot store."""
    return foreign and _QUERY.sub("?", foreign[:_MAX_TEXT]).encode(errors="replace").decode()


def from_row(row: Row) -> Record:
    """Convert a row to a record. Raises TypeError, ValueError, OverflowError or UsageError for a damaged row."""
    file = row["file"]
    known: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name in _DATES else value
        for name, value in _load_answer(row["answer"]).items()
    }
    for name in ("status", "title", "error"):
        known[name] = row[name]
    for name in ("created_at", "completed_at"):
        known[name] = None if row[name] is None else from_seconds(row[name])
    job = Job(
        **known,
        ref=JobRef(row["provider"], row["id"]),
        state=State(row["state"] or State.UNKNOWN),
        saved=Saved(file=Path(os.fsdecode(file)), bytes=row["bytes"] or 0) if file else None,
        problem=Gone(row["error"] or "it has expired or was deleted", sure=True) if row["gone"] else None,
    )
    return Record(job, from_seconds(row["last_seen"]))


def _load_answer(answer: str | None) -> dict[str, Any]:
    """Load the stored fields that are still fields of Job."""
    found = json.loads(answer) if answer else {}
    return {name: found[name] for name in found.keys() & {*_STORED} - {"state"}}


def to_seconds(moment: datetime) -> int:
    """Convert a moment to Unix seconds."""
    # timestamp() would round the last microsecond of the year 9999 out of datetime's range.
    return timegm(moment.utctimetuple())


def from_seconds(seconds: int) -> datetime:
    """Convert Unix seconds to a moment in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
