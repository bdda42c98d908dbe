"""Record the jobs that this machine has seen, and find them again."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from videostat.errors import UsageError
from videostat.history.database import SUBMITTED, Database
from videostat.history.record import VOLATILE, Record, from_row, from_seconds, to_key, to_row, to_seconds
from videostat.models import Job, JobRef, State
from videostat.private import find_user_folder, is_without_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from videostat.history.database import Row, Values

_ADD = """
    INSERT INTO job (provider, id, first_seen, last_seen, wanted) VALUES (:provider, :id, :now, :now, :wanted)
    ON CONFLICT (provider, id) DO UPDATE SET
        last_seen = max(last_seen, excluded.last_seen),
        wanted = max(wanted, excluded.wanted)
"""

# "No such job" is recorded if the service repeats it this many seconds after the first time, in any run.
MISSING_SECONDS = 20

_UPDATE = f"""
    INSERT INTO job (provider, id, first_seen, last_seen, missing_since, answered_at, base_url, answer,
                     state, status, title, created_at, completed_at, error, file, bytes, ended, gone)
    VALUES (:provider, :id, :now, :now, iif(:missing, :now, NULL), :answered_at, :base_url, :answer,
            :state, :status, :title, :created_at, :completed_at, iif(:missing, NULL, :error), :file, :bytes,
            :ended, :gone)
    ON CONFLICT (provider, id) DO UPDATE SET
        last_seen = max(last_seen, excluded.last_seen),
        answered_at = ifnull(excluded.answered_at, answered_at),
        base_url = ifnull(excluded.base_url, base_url),
        answer = ifnull(excluded.answer, answer),
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
        missing_since = iif(:missing, ifnull(missing_since, :now), NULL)
"""  # noqa: S608 - only our own number is inserted

_COLUMNS = "provider, id, last_seen, state, status, title, created_at, completed_at, error, file, bytes, gone, answer"
_FILE = "SELECT file FROM job WHERE provider = ? AND id = ? AND typeof(file) = 'blob'"
_OWNER = "SELECT provider, id FROM job WHERE file = ?"
# If a file now has the video of another job, it no longer belongs to this one.
_DISOWN = "UPDATE job SET file = NULL, bytes = NULL WHERE file = :file AND NOT (provider = :provider AND id = :id)"
_ONE = f"SELECT {_COLUMNS} FROM job WHERE provider = ? AND id = ?"  # noqa: S608 - only column names
_ANSWERED = "SELECT provider, id FROM job WHERE base_url = ? AND answered_at >= ?"
_KNOWN = "SELECT 1 FROM job WHERE provider = :provider AND id = :id"
_FORGET = "DELETE FROM job WHERE provider = :provider AND id = :id"
_BEFORE = f"FROM job WHERE :before IS NULL OR {SUBMITTED} < :before"
_COUNT_BEFORE, _FORGET_BEFORE = f"SELECT count(*) AS count {_BEFORE}", f"DELETE {_BEFORE}"
_MOMENT = "SELECT coalesce(completed_at, created_at, first_seen) AS moment FROM job WHERE provider = ? AND id = ?"
_NEWEST = f"ORDER BY {SUBMITTED} DESC, rowid DESC"

# A transaction needs several fsyncs, so write many answers at once.
_FLUSH_INTERVAL = timedelta(seconds=1)

# After the first timeout, wait less for the lock: the next flush tries again anyway.
_NEXT_LOCK_TIMEOUT = 0.1

_PAGE = 1000

_NAMED = 10  # jobs named in one message


class Which(Enum):
    """Which jobs to list. UNSAVED: succeeded and never saved. MISSING: succeeded, but the file does not exist now."""

    ALL = auto()
    UNFINISHED = auto()
    UNSAVED = auto()
    MISSING = auto()


def locate_history() -> Path:
    """Return the path of the history, whether it exists or not."""
    from platformdirs import user_state_path

    return find_user_folder(user_state_path) / "history.db"


class History:
    """The record of all jobs of this machine. If `path` is None, nothing is recorded. For one thread.

    A write error never stops a command: `warn` is called once with a message, and the changes are written later.
    The end of a job and the place of its video are recorded separately.
    """

    def __init__(self, path: Path | None, *, warn: Callable[[str], None], lock_timeout: float = 5) -> None:
        self._database = Database(path, lock_timeout) if path and not is_without_home(path) else None
        self._warn = warn
        self._has_warned = False
        self._known: dict[JobRef, dict[str, object]] = {}
        self._delayed: dict[JobRef, dict[str, object]] = {}
        self._added: dict[JobRef, dict[str, object]] = {}
        self._pending: dict[JobRef, dict[str, object]] = {}
        self._flushed_at = datetime.min.replace(tzinfo=UTC)

    def add(self, refs: Iterable[JobRef], at: datetime, *, wanted: bool = False) -> bool:
        """Record ids at once, and return whether they are on disk now. Call this before the first request.

        Without a history it returns True. `wanted`: their videos are to be saved.
        """
        if not self._database:
            return True
        now = to_seconds(at)
        self._added |= {ref: {**to_key(ref), "now": now, "wanted": wanted} for ref in refs}
        self._flush()
        return not self._added

    def update(self, job: Job, at: datetime, *, base_url: str | None = None) -> None:
        """Record a job's state, if it is sure. `base_url`: the service that gave it.

        If the process is killed, the updates of the last second may be lost, but no id.
        """
        row = to_row(job) if self._database else {}
        if row:
            was_answered = row["answer"] and (base_url or job.seen_at)
            row |= {"base_url": base_url, "answered_at": to_seconds(job.seen_at or at) if was_answered else None}
            whole = to_key(job.ref) | {"now": to_seconds(at)} | row
            news = {name: value for name, value in row.items() if name not in VOLATILE}
            if row["missing"] or news != self._known.get(job.ref):
                self._known[job.ref] = news
                self._pending[job.ref] = whole
                self._delayed.pop(job.ref, None)
            else:
                self._delayed[job.ref] = whole
            if job.ended:
                # No more is expected of the job. A process may run for months, so forget it here.
                self._known.pop(job.ref)
                self._pending |= {job.ref: self._delayed.pop(job.ref)} if job.ref in self._delayed else {}
        # Write "no such job" at once: the time of the first one counts.
        if abs(at - self._flushed_at) >= _FLUSH_INTERVAL or row.get("missing"):
            self._flush()
            self._flushed_at = at

    def forget(self, refs: Iterable[JobRef]) -> list[JobRef]:
        """Remove jobs and return those that were in the history. Raises UsageError."""
        known = [ref for ref in dict.fromkeys(refs) if self._read(_KNOWN, to_key(ref))]
        if self._database and known:
            self._database.write([(_FORGET, [to_key(ref) for ref in known])])
        return known

    def forget_before(self, moment: datetime | None) -> int:
        """Remove the jobs submitted before `moment`, or all jobs if it is None; return how many. Raises UsageError."""
        before = {"before": to_seconds(moment) if moment else None}
        count: int = sum(row["count"] for row in self._read(_COUNT_BEFORE, before))
        if self._database and count:
            self._database.write([(_FORGET_BEFORE, [before])])
        return count

    def find_jobs(
        self,
        *,
        which: Which = Which.ALL,
        provider: str | None = None,
        state: State | None = None,
        since: datetime | None = None,
        heard_since: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[Record]:
        """Yield matching jobs, the newest first. Raises UsageError if the history cannot be read.

        `heard_since`: only jobs about which the service has answered since then. A job without an answer counts from
        the time when it was first recorded.
        """
        missing = which is Which.MISSING
        heard = to_seconds(heard_since) if heard_since else -math.inf
        sql = _select(which, provider=provider, state=state)
        start = {"submitted": math.inf, "rowid": 0, "since": to_seconds(since) if since else -math.inf}
        pages = self._read_pages(sql, {"provider": provider, "state": state, "heard": heard, **start})
        rows = chain.from_iterable(map(self._keep_missing, pages) if missing else pages)
        return self._parse_rows(islice(rows, limit))

    def _parse_rows(self, rows: Iterable[Row]) -> Iterator[Record]:
        damaged = 0
        for row in rows:
            try:
                yield from_row(row)
            except (TypeError, ValueError, OverflowError, UsageError):
                damaged += 1
        if damaged:
            self._warn(f"skipped {damaged} damaged {'record' if damaged == 1 else 'records'} of the history")

    def find_file(self, ref: JobRef) -> Path | None:
        """Find the file to which a job's video was last saved."""
        with suppress(UsageError):
            for row in self._read(_FILE, (ref.provider, ref.id)):
                return Path(os.fsdecode(row["file"]))
        return None

    def find_owner(self, file: Path) -> JobRef | None:
        """Find the job whose video was last saved to a file."""
        with suppress(UsageError):
            for row in self._read(_OWNER, (os.fsencode(file.absolute()),)):
                return JobRef(row["provider"], row["id"])
        return None

    def find_job(self, ref: JobRef) -> Job | None:
        """Return one job as it was last recorded, None if it is unknown."""
        with suppress(UsageError):
            for seen in self._parse_rows(self._read(_ONE, (ref.provider, ref.id))):
                return seen.job
        return None

    def find_answered(self, base_url: str, since: datetime) -> set[JobRef]:
        """Return the jobs about which the service at `base_url` has answered since `since`."""
        with suppress(UsageError):
            return {JobRef(row["provider"], row["id"]) for row in self._read(_ANSWERED, (base_url, to_seconds(since)))}
        return set()

    def find_moment(self, ref: JobRef) -> datetime | None:
        """Return when a job ended; if unknown, when it was submitted; else when it was first seen.

        None for an unknown job.
        """
        with suppress(UsageError, TypeError, ValueError, OverflowError):
            for row in self._read(_MOMENT, (ref.provider, ref.id)):
                return from_seconds(row["moment"])
        return None

    def find_ids(self, provider: str, limit: int) -> Iterator[str]:
        """Yield the newest ids of a provider. Raises UsageError as `find_jobs` does."""
        return (seen.job.ref.id for seen in self.find_jobs(provider=provider, limit=limit))

    def close(self) -> None:
        """Write the remaining changes and close the file. Warn about jobs that could not be recorded."""
        self._pending |= self._delayed
        self._flush()
        if lost := [*self._added]:
            named = ", ".join(map(str, lost[:_NAMED])) + (f" and {len(lost) - _NAMED:,} more" * (len(lost) > _NAMED))
            self._warn(f"the history could not be written: these jobs are not recorded: {named}")
        if self._database:
            self._database.close()

    def _flush(self) -> None:
        if not self._database or not (self._added or self._pending):
            return
        try:
            news = [*self._pending.values()]
            saved = [row for row in news if row["file"]]
            self._database.write([(_ADD, [*self._added.values()]), (_DISOWN, saved), (_UPDATE, news)])
        except UsageError as error:
            self._database.close()
            self._database.lock_timeout = min(self._database.lock_timeout, _NEXT_LOCK_TIMEOUT)
            if not self._has_warned:
                self._has_warned = True
                self._warn(f"{error}; videostat will try again")
        else:
            self._added.clear()
            self._pending.clear()

    def _read(self, sql: str, values: Values) -> list[Row]:
        return self._database.read(sql, values) if self._database else []

    def _read_pages(self, sql: str, values: dict[str, object]) -> Iterator[list[Row]]:
        """Yield the rows of a query page by page.

        One open cursor would block all writers while the user reads the output in a pager.
        """
        page: list[Row] | None = None
        while page is None or len(page) == _PAGE:
            page = self._read(sql, values)
            yield page
            if page:
                values |= {"submitted": page[-1]["submitted"], "rowid": page[-1]["rowid"]}

    def _keep_missing(self, page: list[Row]) -> list[Row]:
        """Read the full rows of jobs whose file is missing. Reading all in full takes twice as long."""
        missing = [str(row["rowid"]) for row in page if not _is_there(row["file"])]
        whole = f"SELECT {_COLUMNS} FROM job WHERE rowid IN ({','.join(missing)}) {_NEWEST}"  # noqa: S608 - only numbers are inserted
        return self._read(whole, {}) if missing else []


_CONDITIONS = {
    Which.ALL: "",
    Which.UNFINISHED: "AND NOT ended",
    Which.UNSAVED: "AND wanted AND ended AND state = 'succeeded' AND NOT gone AND file IS NULL",
    Which.MISSING: "AND state = 'succeeded' AND NOT gone",
}


def _select(which: Which, *, provider: str | None, state: State | None = None) -> str:
    return f"""
        SELECT {SUBMITTED} AS submitted, rowid, {"file" if which is Which.MISSING else _COLUMNS} FROM job
        WHERE {SUBMITTED} BETWEEN :since AND :submitted AND ({SUBMITTED}, rowid) < (:submitted, :rowid)
        AND ifnull(answered_at, first_seen) >= :heard
        {_CONDITIONS[which]} {"" if provider is None else "AND provider = :provider"}
        {"" if state is None else "AND ifnull(state, 'unknown') = :state"}
        {_NEWEST} LIMIT {_PAGE}
    """  # noqa: S608 - only the conditions above are inserted


def _is_there(file: bytes | None) -> bool:
    try:
        return file is not None and os.access(file, os.F_OK)
    except (TypeError, ValueError):  # a damaged record
        return False
