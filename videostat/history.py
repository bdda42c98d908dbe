"""The jobs this machine has seen: one SQLite file, which several processes may write at once.

Rollback journal and BEGIN IMMEDIATE: on a fresh WAL database six processes lost writes to "database is locked"
in spite of a timeout. A video's URL is not kept: it is signed, and soon worthless.
"""

from __future__ import annotations

import math
import os
import re
from calendar import timegm
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

from videostat.errors import Gone, NotFound, UsageError
from videostat.models import JobRef, State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from videostat.models import Job

# A service's list brings in old jobs today; and no job is younger than our first sight, whatever its service says.
_SUBMITTED = "min(first_seen, ifnull(created_at, first_seen))"

# Each step leads from the schema version that is its index to the next. Steps are added, never changed.
# No release had version 1: version 2 is a step of its own so that every new file walks the way an old one will.
_MIGRATIONS = (
    [
        """CREATE TABLE job (
            provider TEXT NOT NULL,
            id TEXT NOT NULL,
            first_seen INTEGER NOT NULL,
            last_seen INTEGER NOT NULL,
            state TEXT,
            status TEXT,
            title TEXT,
            created_at INTEGER,
            completed_at INTEGER,
            error TEXT,
            file BLOB,
            bytes INTEGER,
            ended INTEGER NOT NULL DEFAULT 0,
            gone INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (provider, id)
        )"""
    ],
    [
        f"CREATE INDEX newest ON job ({_SUBMITTED})",
        f"CREATE INDEX newest_of_provider ON job (provider, {_SUBMITTED})",
        f"CREATE INDEX unfinished ON job ({_SUBMITTED}) WHERE NOT ended",
    ],
)

_ADD = """
    INSERT INTO job (provider, id, first_seen, last_seen) VALUES (?, ?, ?, ?)
    ON CONFLICT (provider, id) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)
"""

_UPDATE = """
    INSERT INTO job (provider, id, first_seen, last_seen,
                     state, status, title, created_at, completed_at, error, file, bytes, ended, gone)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (provider, id) DO UPDATE SET
        last_seen = max(last_seen, excluded.last_seen),
        state = ifnull(excluded.state, state),
        status = ifnull(excluded.status, status),
        title = ifnull(excluded.title, title),
        created_at = ifnull(excluded.created_at, created_at),
        completed_at = ifnull(excluded.completed_at, completed_at),
        error = excluded.error,
        file = ifnull(excluded.file, file),
        bytes = ifnull(excluded.bytes, bytes),
        ended = excluded.ended,
        gone = excluded.gone
"""

# A transaction costs several fsyncs: a burst of answers must not pay for each of them.
_FLUSH_INTERVAL = timedelta(seconds=1)

_PAGE = 1000
_MAX_TEXT = 500
_QUERY = re.compile(r"\?\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A job as this machine last saw it, times in UTC; `ended`: there is nothing left to wait for."""

    ref: JobRef
    first_seen: datetime
    last_seen: datetime
    state: State
    status: str | None
    title: str | None
    created_at: datetime | None
    completed_at: datetime | None
    error: str | None
    file: Path | None
    bytes: int | None
    ended: bool


def default_path() -> Path:
    from platformdirs import user_state_path

    return user_state_path("videostat") / "history.db"


class History:
    """What this machine remembers of its jobs; with `path` None it remembers nothing. For one thread.

    No command fails because its jobs cannot be recorded: `warn` gets one sentence, and the recording ends there.
    """

    def __init__(self, path: Path | None, *, warn: Callable[[str], None], lock_timeout: float = 5) -> None:
        self._path = path
        self._warn = warn
        self._lock_timeout = lock_timeout
        self._db: sqlite3.Connection | None = None
        self._learnt: dict[JobRef, tuple[object, ...]] = {}
        self._pending: dict[JobRef, tuple[object, ...]] = {}
        self._flushed_at = datetime.min.replace(tzinfo=UTC)

    def add(self, refs: Iterable[JobRef], at: datetime) -> None:
        """Record the ids, on disk when this returns: call it before the first request."""
        now = _seconds(at)
        self._write(_ADD, [(ref.provider, ref.id, now, now) for ref in refs])

    def update(self, job: Job, at: datetime) -> None:
        """Record what was learnt of a job; a kill may lose the latest updates, never an id."""
        learnt = _learnt(job)
        if learnt and learnt != self._learnt.get(job.ref):
            now = _seconds(at)
            self._learnt[job.ref] = learnt
            self._pending[job.ref] = (job.ref.provider, job.ref.id, now, now, *learnt)
        if abs(at - self._flushed_at) >= _FLUSH_INTERVAL:
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
        rows = self._rows(sql, {"provider": provider, **start})
        if missing:
            rows = (row for row in rows if not (row["file"] and os.access(row["file"], os.F_OK)))
        return self._readable(islice(rows, limit))

    def _readable(self, rows: Iterable[sqlite3.Row]) -> Iterator[Seen]:
        damaged = 0
        for row in rows:
            try:
                yield _seen(row)
            except (TypeError, ValueError, OverflowError, UsageError):
                damaged += 1
        if damaged:
            self._warn(f"the history has damaged records, which were passed over: {damaged}")

    def ids(self, provider: str, limit: int) -> Iterator[str]:
        """Give the newest ids; raises UsageError as `jobs` does."""
        return (job.ref.id for job in self.jobs(provider=provider, limit=limit))

    def close(self) -> None:
        """Write what is not written yet."""
        self._flush()
        if self._db:
            self._db.close()
            self._db = None

    def _flush(self) -> None:
        rows = list(self._pending.values())
        self._pending.clear()
        self._write(_UPDATE, rows)

    def _write(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        if not self._path or not rows:
            return
        try:
            with _plain_errors(self._path):
                _create(self._path)
                self._run(self._path, lambda db: db.execute("BEGIN IMMEDIATE").executemany(sql, rows))
        except UsageError as error:
            self._path = None
            self._warn(f"{error}; nothing more is recorded")

    def _rows(self, sql: str, values: dict[str, object]) -> Iterator[sqlite3.Row]:
        path = self._path
        if not path:
            return
        with _plain_errors(path):
            if not path.exists():
                return
        while True:
            # A page at a time: an open cursor would lock out the writers for as long as somebody reads in a pager.
            with _plain_errors(path):
                page = self._run(path, lambda db: db.execute(sql, values))
            yield from page
            if len(page) < _PAGE:
                return
            values.update(submitted=page[-1]["submitted"], rowid=page[-1]["rowid"])

    def _run(self, path: Path, statement: Callable[[sqlite3.Connection], sqlite3.Cursor]) -> list[sqlite3.Row]:
        import sqlite3

        deadline = monotonic() + self._lock_timeout
        while True:
            try:
                self._db = self._db or _connect(path)
                with self._db:
                    return statement(self._db).fetchall()
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or monotonic() >= deadline:
                    raise
            # Not SQLite's own timeout: it comes to ask every 100 ms only, and of 16 busy writers 8 starved for 5 s.
            sleep(0.005)


def _select(*, unfinished: bool, missing: bool, provider: str | None) -> str:
    wanted = {
        "NOT ended": unfinished,
        "state = 'succeeded' AND NOT gone": missing,
        "provider = :provider": provider is not None,
    }
    return f"""
        SELECT {_SUBMITTED} AS submitted, rowid, provider, id, first_seen, last_seen,
               state, status, title, created_at, completed_at, error, file, bytes, ended
        FROM job
        WHERE {_SUBMITTED} BETWEEN :since AND :submitted AND ({_SUBMITTED}, rowid) < (:submitted, :rowid)
        {"".join(f" AND {condition}" for condition, is_wanted in wanted.items() if is_wanted)}
        ORDER BY {_SUBMITTED} DESC, rowid DESC LIMIT {_PAGE}
    """  # noqa: S608 - nothing but the conditions above


def _learnt(job: Job) -> tuple[object, ...] | None:
    gone = isinstance(job.problem, NotFound | Gone)
    looked = job.state is not State.UNKNOWN or job.status is not None
    if not (looked or gone):
        return None
    return (
        job.state if looked else None,
        _text(job.status),
        _text(job.title),
        job.created_at and _seconds(job.created_at),
        job.completed_at and _seconds(job.completed_at),
        _text(str(job.problem) if gone else job.error),
        job.saved and os.fsencode(job.saved.file.absolute()),
        job.saved and job.saved.bytes,
        gone or job.state.is_terminal,
        gone,
    )


def _text(foreign: str | None) -> str | None:
    """Cut what a service wrote: its length, the queries of its URLs, and the lone surrogates SQLite cannot store."""
    return foreign and _QUERY.sub("?", foreign[:_MAX_TEXT]).encode(errors="replace").decode()


def _seen(row: sqlite3.Row) -> Seen:
    return Seen(
        ref=JobRef(row["provider"], row["id"]),
        first_seen=_utc(row["first_seen"]),
        last_seen=_utc(row["last_seen"]),
        state=State(row["state"] or State.UNKNOWN),
        status=row["status"],
        title=row["title"],
        created_at=None if row["created_at"] is None else _utc(row["created_at"]),
        completed_at=None if row["completed_at"] is None else _utc(row["completed_at"]),
        error=row["error"],
        file=row["file"] and Path(os.fsdecode(row["file"])),
        bytes=row["bytes"],
        ended=bool(row["ended"]),
    )


def _seconds(moment: datetime) -> int:
    # Not timestamp(): rounding would push the last microsecond of the year 9999 out of datetime's range.
    return timegm(moment.utctimetuple())


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _create(path: Path) -> None:
    for folder in reversed(path.parents):
        folder.mkdir(mode=0o700, exist_ok=True)
    # SQLite would let everybody read it; its journal takes on the mode it finds here.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3

    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
    db.row_factory = sqlite3.Row
    try:
        if _version(db) < len(_MIGRATIONS):
            with db:
                db.execute("BEGIN IMMEDIATE")
                for statement in chain.from_iterable(_MIGRATIONS[_version(db) :]):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    except BaseException:
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection) -> int:
    import sqlite3

    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(_MIGRATIONS):
        raise sqlite3.NotSupportedError("a newer videostat wrote it")
    return int(version)


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    import sqlite3

    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        if _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            reason = "it is damaged, and was left as it is; move it away to begin a new one"
        raise UsageError(f"the history {path} cannot be used: {reason}") from error


def _code(error: Exception) -> int:
    """Give SQLite's primary result code, 0 for what is no error of SQLite's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
