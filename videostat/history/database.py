"""The SQLite file of the history: its schema, and access by several processes.

It uses a rollback journal and BEGIN IMMEDIATE. With a new WAL database, six processes lost writes to "database is
locked" in spite of a timeout.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from time import monotonic, sleep
from typing import TYPE_CHECKING

from videostat.errors import UsageError
from videostat.private import create_private_file

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    Row = sqlite3.Row
    Values = Sequence[object] | Mapping[str, object]

# The time of submission. Services list old jobs too, and a job cannot be newer than the first time it was seen.
SUBMITTED = "min(first_seen, ifnull(created_at, first_seen))"

# Each step leads from the schema version that is its index to the next. Steps are added, never changed. No release had
# version 1: version 2 is a step of its own, so that each new file tests the migration.
MIGRATIONS = (
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
        f"CREATE INDEX newest ON job ({SUBMITTED})",
        f"CREATE INDEX newest_of_provider ON job (provider, {SUBMITTED})",
        f"CREATE INDEX unfinished ON job ({SUBMITTED}) WHERE NOT ended",
    ],
    [
        "ALTER TABLE job ADD COLUMN answer TEXT",
        "ALTER TABLE job ADD COLUMN base_url TEXT",
        "ALTER TABLE job ADD COLUMN answered_at INTEGER",
        "ALTER TABLE job ADD COLUMN missing_since INTEGER",
        "ALTER TABLE job ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX answered ON job (base_url, answered_at)",
        "CREATE INDEX file ON job (file) WHERE file IS NOT NULL",
        f"CREATE INDEX unsaved ON job ({SUBMITTED}) WHERE file IS NULL AND ended",
    ],
)


class Database:
    """The database, for one thread. The first statement opens the file and updates its schema.

    All errors of SQLite and the disk are raised as UsageError.
    """

    def __init__(self, path: Path, lock_timeout: float) -> None:
        self.lock_timeout = lock_timeout
        self._path = path
        self._db: sqlite3.Connection | None = None

    def write(self, statements: Sequence[tuple[str, Sequence[Values]]]) -> None:
        """Execute statements in one transaction and flush it. Each statement runs once per row."""

        def execute(db: sqlite3.Connection) -> sqlite3.Cursor:
            cursor = db.execute("BEGIN IMMEDIATE")
            for sql, rows in statements:
                cursor.executemany(sql, rows)
            return cursor

        with self._translate_errors():
            # SQLite would create a file that everybody can read. Its journal gets the same mode.
            create_private_file(self._path)
            self._run(execute)

    def read(self, sql: str, values: Values) -> list[Row]:
        """Return all rows of a query, none if the file does not exist."""
        with self._translate_errors():
            return self._run(lambda db: db.execute(sql, values)) if self._path.exists() else []

    def close(self) -> None:
        """Close the file. The next statement opens it again."""
        if self._db:
            self._db.close()
            self._db = None

    def _run(self, statement: Callable[[sqlite3.Connection], sqlite3.Cursor]) -> list[Row]:
        import sqlite3

        deadline = monotonic() + self.lock_timeout
        while True:
            try:
                self._db = self._db or _connect(self._path)
                with self._db:
                    return statement(self._db).fetchall()
            except sqlite3.OperationalError as error:
                if _get_code(error) != sqlite3.SQLITE_BUSY or monotonic() >= deadline:
                    raise
            # SQLite's own timeout tries only every 100 ms: of 16 busy writers, 8 got no lock within 5 s.
            sleep(0.005)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        import sqlite3

        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            if _get_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                reason = "it is damaged and was not changed; move it away to start a new one"
            raise UsageError(f"the history {self._path} cannot be used: {reason}") from error


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3

    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
    db.row_factory = sqlite3.Row
    try:
        if _read_version(db) < len(MIGRATIONS):
            with db:
                db.execute("BEGIN IMMEDIATE")
                for statement in chain.from_iterable(MIGRATIONS[_read_version(db) :]):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    except BaseException:
        db.close()
        raise
    return db


def _read_version(db: sqlite3.Connection) -> int:
    import sqlite3

    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise sqlite3.NotSupportedError("a newer videostat wrote it")
    return int(version)


def _get_code(error: Exception) -> int:
    """Return SQLite's primary result code, 0 for other errors."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
