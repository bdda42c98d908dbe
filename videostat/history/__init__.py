"""The jobs this machine has seen.

A video's URL is not kept: it is signed, and soon worthless.
"""

from __future__ import annotations

import math
import os
import re
from calendar import timegm
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from videostat.errors import Gone, NotFound, UsageError
from videostat.history.database import SUBMITTED, Database
from videostat.models import Job, JobRef, Saved, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from videostat.history.database import Row, Values

_ADD = """
    INSERT INTO job (provider, id, first_seen, last_seen) VALUES (?, ?, ?, ?)
    ON CONFLICT (provider, id) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)
"""

# "No such job" is recorded by a look that is late enough after the first that said so, in this run or another.
MISSING_SECONDS = 20

_UPDATE = f"""
    INSERT INTO job (provider, id, first_seen, last_seen, missing_since, base_url, answered_at,
                     state, status, title, created_at, completed_at, error, file, bytes, ended, gone)
    VALUES (:provider, :id, :now, :now, iif(:missing, :now, NULL), iif(:missing, NULL, :base_url),
            iif(:missing OR :base_url IS NULL, NULL, :now),
            :state, :status, :title, :created_at, :completed_at, iif(:missing, NULL, :error), :file, :bytes,
            :ended, :gone)
    ON CONFLICT (provider, id) DO UPDATE SET
        last_seen = max(last_seen, excluded.last_seen),
        state = ifnull(excluded.state, state),
        status = ifnull(excluded.status, status),
        title = ifnull(excluded.title, title),
        created_at = ifnull(excluded.created_at, created_at),
        completed_at = ifnull(excluded.completed_at, completed_at),
        file = ifnull(excluded.file, file),
        bytes = ifnull(excluded.bytes, bytes),
        error = CASE WHEN NOT :missing OR ifnull(:now - missing_since, 0) >= {MISSING_SECONDS}
                     THEN :error ELSE error END,
        ended = CASE WHEN NOT :missing THEN :ended
                ELSE ended OR ifnull(:now - missing_since, 0) >= {MISSING_SECONDS} END,
        gone = CASE WHEN NOT :missing THEN :gone ELSE gone OR ifnull(:now - missing_since, 0) >= {MISSING_SECONDS} END,
        base_url = iif(:missing, base_url, ifnull(:base_url, base_url)),
        answered_at = iif(:missing OR :base_url IS NULL, answered_at, :now),
        missing_since = iif(:missing, ifnull(missing_since, :now), NULL)
"""  # noqa: S608 - nothing but a number of ours

_COLUMNS = "provider, id, last_seen, state, status, title, created_at, completed_at, error, file, bytes"
_FILE = "SELECT file FROM job WHERE provider = ? AND id = ? AND typeof(file) = 'blob'"
_ANSWERED = "SELECT provider, id FROM job WHERE base_url = ? AND answered_at >= ?"
_NEWEST = f"ORDER BY {SUBMITTED} DESC, rowid DESC"

# A transaction costs several fsyncs: a burst of answers must not pay for each of them.
_FLUSH_INTERVAL = timedelta(seconds=1)

_PAGE = 1000
_MAX_TEXT = 500
_QUERY = re.compile(r"\?\S+")


class Seen(NamedTuple):
    """A job as this machine knows it, and when it last saw it, in UTC."""

    job: Job
    last_seen: datetime


def default_path() -> Path:
    from platformdirs import user_state_path

    return user_state_path("videostat") / "history.db"


class History:
    """What this machine remembers of its jobs; with `path` None it remembers nothing. For one thread.

    No command fails because its jobs cannot be recorded: `warn` gets one sentence, and the recording ends there.
    """

    def __init__(self, path: Path | None, *, warn: Callable[[str], None], lock_timeout: float = 5) -> None:
        self._file = Database(path, lock_timeout) if path else None
        self._warn = warn
        self._known: dict[JobRef, dict[str, object]] = {}
        self._pending: dict[JobRef, dict[str, object]] = {}
        self._flushed_at = datetime.min.replace(tzinfo=UTC)

    def add(self, refs: Iterable[JobRef], at: datetime) -> None:
        """Record the ids, on disk when this returns: call it before the first request."""
        now = _seconds(at)
        self._write(_ADD, [(ref.provider, ref.id, now, now) for ref in refs])

    def update(self, job: Job, at: datetime, base_url: str | None = None) -> None:
        """Record what was learnt of a job, and where; a kill may lose the latest updates, never an id."""
        learnt = _learnt(job)
        if learnt and (learnt["missing"] or learnt != self._known.get(job.ref)):
            self._known[job.ref] = learnt
            name = {"provider": job.ref.provider, "id": job.ref.id, "now": _seconds(at), "base_url": base_url}
            self._pending[job.ref] = name | learnt
        # The time of the first "no such job" must not be lost to a later one.
        if abs(at - self._flushed_at) >= _FLUSH_INTERVAL or learnt.get("missing"):
            self._flush()
            self._flushed_at = at

    def jobs(
        self,
        *,
        unfinished: bool = False,
        missing: bool = False,
        provider: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[Seen]:
        """Give the jobs, the last submitted first; `missing`: succeeded, but the video is not on this machine.

        Raises UsageError if there is a history that cannot be read.
        """
        sql = _select(unfinished=unfinished, missing=missing, provider=provider)
        start = {"submitted": math.inf, "rowid": 0, "since": _seconds(since) if since else -math.inf}
        pages = self._pages(sql, {"provider": provider, **start})
        rows = chain.from_iterable(map(self._without_file, pages) if missing else pages)
        return self._readable(islice(rows, limit))

    def _readable(self, rows: Iterable[Row]) -> Iterator[Seen]:
        damaged = 0
        for row in rows:
            try:
                yield _seen(row)
            except (TypeError, ValueError, OverflowError, UsageError):
                damaged += 1
        if damaged:
            self._warn(f"the history has damaged records, which were passed over: {damaged}")

    def file(self, ref: JobRef) -> Path | None:
        """Where the job's video was saved last; None where that is not known."""
        with suppress(UsageError):
            for row in self._file.read(_FILE, (ref.provider, ref.id)) if self._file else ():
                return Path(os.fsdecode(row["file"]))
        return None

    def answered(self, base_url: str, since: datetime) -> set[JobRef]:
        """The jobs that the service at this address has answered since then; none where that cannot be read."""
        with suppress(UsageError):
            rows = self._file.read(_ANSWERED, (base_url, _seconds(since))) if self._file else []
            return {JobRef(row["provider"], row["id"]) for row in rows}
        return set()

    def ids(self, provider: str, limit: int) -> Iterator[str]:
        """Give the newest ids; raises UsageError as `jobs` does."""
        return (seen.job.ref.id for seen in self.jobs(provider=provider, limit=limit))

    def close(self) -> None:
        """Write what is not written yet."""
        self._flush()
        if self._file:
            self._file.close()

    def _flush(self) -> None:
        rows = list(self._pending.values())
        self._pending.clear()
        self._write(_UPDATE, rows)

    def _write(self, sql: str, rows: Sequence[Values]) -> None:
        if not self._file or not rows:
            return
        try:
            self._file.write(sql, rows)
        except UsageError as error:
            self._file.close()
            self._file = None
            self._warn(f"{error}; nothing more is recorded")

    def _pages(self, sql: str, values: dict[str, object]) -> Iterator[list[Row]]:
        """A page at a time: an open cursor would lock out the writers for as long as somebody reads in a pager."""
        page: list[Row] | None = None
        while self._file and (page is None or len(page) == _PAGE):
            page = self._file.read(sql, values)
            yield page
            if page:
                values |= {"submitted": page[-1]["submitted"], "rowid": page[-1]["rowid"]}

    def _without_file(self, page: list[Row]) -> list[Row]:
        """The whole rows of the jobs that have none; to read all of the others', too, takes twice as long."""
        missing = [str(row["rowid"]) for row in page if not _is_there(row["file"])]
        whole = f"SELECT {_COLUMNS} FROM job WHERE rowid IN ({','.join(missing)}) {_NEWEST}"  # noqa: S608 - numbers
        return self._file.read(whole, {}) if self._file and missing else []


def _select(*, unfinished: bool, missing: bool, provider: str | None) -> str:
    wanted = {
        "NOT ended": unfinished,
        "state = 'succeeded' AND NOT gone": missing,
        "provider = :provider": provider is not None,
    }
    return f"""
        SELECT {SUBMITTED} AS submitted, rowid, {"file" if missing else _COLUMNS} FROM job
        WHERE {SUBMITTED} BETWEEN :since AND :submitted AND ({SUBMITTED}, rowid) < (:submitted, :rowid)
        {"".join(f" AND {condition}" for condition, is_wanted in wanted.items() if is_wanted)}
        {_NEWEST} LIMIT {_PAGE}
    """  # noqa: S608 - nothing but the conditions above


def _is_there(file: bytes | None) -> bool:
    try:
        return file is not None and os.access(file, os.F_OK)
    except (TypeError, ValueError):  # a damaged record
        return False


def _learnt(job: Job) -> dict[str, object]:
    """What is to be recorded of it: what the service said in its own words, and nothing else.

    A failure that only the shared table of words knows is recorded when it has been believed.
    """
    said = job.problem if isinstance(job.problem, NotFound | Gone) and job.problem.sure else None
    is_word = job.state is not State.UNKNOWN or job.status is not None
    looked = is_word and (job.sure or (job.ended and job.state is State.FAILED))
    if not (looked or said):
        return {}
    gone = isinstance(said, Gone)
    missing = isinstance(said, NotFound)
    return {
        "missing": missing,
        "state": job.state if looked else None,
        "status": _text(job.status),
        "title": _text(job.title),
        "created_at": job.created_at and _seconds(job.created_at),
        "completed_at": job.completed_at and _seconds(job.completed_at),
        "error": _text(str(job.problem) if said else job.error),
        "file": job.saved and os.fsencode(job.saved.file.absolute()),
        "bytes": job.saved and job.saved.bytes,
        "ended": gone or job.state.is_terminal,
        "gone": gone,
    }


def _text(foreign: str | None) -> str | None:
    """Cut what a service wrote: its length, the queries of its URLs, and the lone surrogates SQLite cannot store."""
    return foreign and _QUERY.sub("?", foreign[:_MAX_TEXT]).encode(errors="replace").decode()


def _seen(row: Row) -> Seen:
    file, created_at, completed_at = row["file"], row["created_at"], row["completed_at"]
    job = Job(
        ref=JobRef(row["provider"], row["id"]),
        state=State(row["state"] or State.UNKNOWN),
        status=row["status"],
        title=row["title"],
        created_at=None if created_at is None else _utc(created_at),
        completed_at=None if completed_at is None else _utc(completed_at),
        error=row["error"],
        saved=Saved(file=Path(os.fsdecode(file)), bytes=row["bytes"] or 0) if file else None,
    )
    return Seen(job, _utc(row["last_seen"]))


def _seconds(moment: datetime) -> int:
    # Not timestamp(): rounding would push the last microsecond of the year 9999 out of datetime's range.
    return timegm(moment.utctimetuple())


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
