"""Turn jobs into rows of the history and back.

An address with a query is not kept: it is signed, and soon worthless.
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

# What changes at each look is not news.
VOLATILE = {"answer", "answered_at"}


class Seen(NamedTuple):
    """A job as this machine knows it, and when it last saw it, in UTC."""

    job: Job
    last_seen: datetime


def key(ref: JobRef) -> dict[str, object]:
    return {"provider": ref.provider, "id": ref.id}


def to_row(job: Job) -> dict[str, object]:
    """Return what is to be recorded of a job: only what is sure."""
    said = job.problem if isinstance(job.problem, NotFound | Gone) and job.problem.sure else None
    looked = job.sure and (job.state is not State.UNKNOWN or job.status is not None)
    if not (looked or said):
        return {}
    gone = isinstance(said, Gone)
    return {
        "missing": isinstance(said, NotFound),
        "answer": json.dumps(_answer(job)) if looked else None,
        "state": job.state if looked else None,
        "status": _text(job.status),
        "title": _text(job.title),
        "created_at": job.created_at and to_seconds(job.created_at),
        "completed_at": job.completed_at and to_seconds(job.completed_at),
        "error": _text(str(said) if said else job.error),
        "file": job.saved and os.fsencode(job.saved.file.absolute()),
        "bytes": job.saved and job.saved.bytes,
        "ended": gone or job.state.is_terminal,
        "gone": gone,
    }


def _answer(job: Job) -> dict[str, object]:
    """Return all that the service said, as JSON, without signed addresses."""
    answer = {name: to_json(getattr(job, name)) for name in _STORED}
    return {name: _without_signatures(value) for name, value in answer.items() if value not in (None, {}, [])}


def _without_signatures(value: object) -> object:
    match value:
        case str() if _ADDRESS.match(value):
            # An address with a query is signed, and soon worthless; one without is kept whole or not at all.
            return value if "?" not in value and len(value) <= _MAX_ADDRESS and value.isprintable() else None
        case str():
            return _text(value)
        case dict():
            return {str(_text(name)): _without_signatures(each) for name, each in value.items()}
        case list():
            return [*map(_without_signatures, value)]
    return value


def _text(foreign: str | None) -> str | None:
    """Cut what a service wrote: its length, the queries of its URLs, and the lone surrogates SQLite cannot store."""
    return foreign and _QUERY.sub("?", foreign[:_MAX_TEXT]).encode(errors="replace").decode()


def from_row(row: Row) -> Seen:
    file = row["file"]
    known: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name in _DATES else value
        for name, value in _stored(row["answer"]).items()
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
    return Seen(job, from_seconds(row["last_seen"]))


def _stored(answer: str | None) -> dict[str, Any]:
    """Return the stored fields of an answer that are still fields of a job."""
    found = json.loads(answer) if answer else {}
    return {name: found[name] for name in found.keys() & {*_STORED} - {"state"}}


def to_seconds(moment: datetime) -> int:
    # Not timestamp(): rounding would push the last microsecond of the year 9999 out of datetime's range.
    return timegm(moment.utctimetuple())


def from_seconds(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
