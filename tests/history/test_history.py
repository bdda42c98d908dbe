from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from videostat.errors import Gone, Interrupted, KeyRefused, NotFound, NotSaved, TimedOut, Unreachable, UsageError
from videostat.history import _PAGE, History, Which, _select, locate_history
from videostat.history.database import MIGRATIONS
from videostat.history.record import Record
from videostat.models import Job, JobRef, Saved, State

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
REF = JobRef("jogg", "proj_1")
OTHER = JobRef("jogg", "proj_2")


def fail_on_warning(sentence: str) -> None:
    pytest.fail(sentence)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "videostat" / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with closing(History(path, warn=fail_on_warning)) as history:
        yield history


def ids(path: Path, **which: Any) -> list[str]:
    with closing(History(path, warn=fail_on_warning)) as history:
        return [seen.job.ref.id for seen in history.find_jobs(**which)]


def record(path: Path, *jobs: Job, at: datetime = NOW) -> None:
    with closing(History(path, warn=fail_on_warning)) as history:
        for job in jobs:
            history.update(job, at)


def recall(path: Path, ref: JobRef = REF) -> Record:
    with closing(History(path, warn=fail_on_warning)) as history:
        (seen,) = (seen for seen in history.find_jobs() if seen.job.ref == ref)
    return seen


def count_transactions(path: Path) -> int:
    """Read the file change counter, which SQLite raises with each transaction that changed something."""
    return int.from_bytes(path.read_bytes()[24:28])


PRELUDE = """
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from videostat.history import History
from videostat.models import JobRef
path = Path(sys.argv[1])
"""


def run_python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_ids_are_on_disk_when_add_returns(history: History, path: Path) -> None:
    history.add([REF, JobRef("doubao", "task")], NOW)

    assert ids(path) == ["task", "proj_1"]


def test_add_writes_all_ids_in_one_transaction(history: History, path: Path) -> None:
    history.add([REF], NOW)
    before = count_transactions(path)

    history.add((JobRef("jogg", f"p{i}") for i in range(500)), NOW)

    assert count_transactions(path) == before + 1


def test_recorded_look_is_read_back_unchanged(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "videos" / "proj_1.mp4"

    job = Job(
        ref=REF,
        state=State.SUCCEEDED,
        status="success",
        title="Über «alles»",
        created_at=NOW - timedelta(minutes=9),
        completed_at=NOW - timedelta(minutes=1),
        error="a footnote",
        saved=Saved(file=file, bytes=2**40),
    )
    record(path, job)

    assert recall(path) == Record(job, NOW)


def test_job_without_a_look_has_the_state_unknown(history: History) -> None:
    history.add([REF], NOW)

    (seen,) = history.find_jobs()

    assert (seen.job.state, seen.job.status) == (State.UNKNOWN, None)


def test_adding_a_job_again_changes_only_its_last_seen_time(path: Path, history: History) -> None:
    record(path, Job(ref=REF, state=State.FAILED, status="failed", error="no faces"))
    before = recall(path)

    history.add([REF], LATER)

    assert recall(path) == Record(before.job, LATER)


@pytest.mark.parametrize("problem", [Unreachable("no route"), TimedOut("too long"), KeyRefused("bad key")])
def test_look_that_met_an_error_erases_nothing(path: Path, problem: Exception) -> None:
    record(path, Job(ref=REF, state=State.RUNNING, status="processing", title="A cat"))
    before = recall(path)

    record(path, Job(ref=REF, problem=problem), at=LATER)  # type: ignore[arg-type]

    assert recall(path) == before


def test_fields_that_a_later_answer_leaves_out_are_kept(path: Path) -> None:
    saved = Saved(file=Path("/videos/a.mp4"), bytes=7)
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="success", title="A cat", created_at=NOW, saved=saved))

    record(path, Job(ref=REF, state=State.SUCCEEDED, status="success"), at=LATER)

    job = recall(path).job
    assert (job.title, job.created_at, job.saved) == ("A cat", NOW, saved)


def test_error_is_removed_when_the_state_changes(path: Path) -> None:
    record(path, Job(ref=REF, state=State.FAILED, status="failed", error="no faces"))

    record(path, Job(ref=REF, state=State.RUNNING, status="processing"), at=LATER)

    assert recall(path).job.error is None


@pytest.mark.parametrize(
    ("job", "unfinished", "missing"),
    [
        (Job(ref=REF), True, False),
        (Job(ref=REF, state=State.QUEUED, status="queued"), True, False),
        (Job(ref=REF, state=State.RUNNING, status="processing", problem=Interrupted(signal.SIGINT)), True, False),
        (Job(ref=REF, state=State.UNKNOWN, status="dreaming"), True, False),
        (Job(ref=REF, problem=TimedOut("too long")), True, False),
        (Job(ref=REF, problem=Unreachable("no route")), True, False),
        (Job(ref=REF, problem=NotFound(sure=True, message="no such job")), True, False),
        (Job(ref=REF, problem=NotFound("unsure")), True, False),
        (Job(ref=REF, problem=Gone("unsure")), True, False),
        (
            Job(ref=REF, state=State.RUNNING, status="processing", problem=Gone(sure=True, message="expired")),
            False,
            False,
        ),
        (Job(ref=REF, state=State.FAILED, status="failed"), False, False),
        (Job(ref=REF, state=State.SUCCEEDED, status="success"), False, True),
        (Job(ref=REF, state=State.SUCCEEDED, status="success", problem=NotSaved("disk full")), False, True),
        (
            Job(ref=REF, state=State.SUCCEEDED, status="success", problem=Gone(sure=True, message="deleted")),
            False,
            False,
        ),
    ],
    ids=lambda value: repr(value.problem or value.status) if isinstance(value, Job) else str(value),
)
def test_job_is_listed_as_unfinished_or_missing_by_its_last_look(
    path: Path, history: History, job: Job, *, unfinished: bool, missing: bool
) -> None:
    history.add([REF], NOW)
    record(path, job)

    assert bool(ids(path, which=Which.UNFINISHED)) is unfinished
    assert bool(ids(path, which=Which.MISSING)) is missing


def test_gone_job_keeps_its_state_and_the_reason(path: Path) -> None:
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="success"))

    record(path, Job(ref=REF, problem=Gone("kept for 30 days only", sure=True)), at=LATER)

    job = recall(path).job
    assert (job.state, job.error) == (State.SUCCEEDED, "kept for 30 days only")
    assert ids(path, which=Which.UNFINISHED) == []


def test_job_found_after_a_look_that_missed_it_is_unfinished(path: Path) -> None:
    record(path, Job(ref=REF, problem=NotFound("no such job", sure=True)))

    record(path, Job(ref=REF, state=State.QUEUED, status="queued"))

    assert ids(path, which=Which.UNFINISHED) == ["proj_1"]
    assert recall(path).job.error is None


@pytest.mark.parametrize(("seconds", "unfinished"), [(19, True), (20, False), (3600, False)])
def test_missing_job_is_recorded_when_a_look_20_s_later_confirms_it(
    path: Path, seconds: float, *, unfinished: bool
) -> None:
    missing = Job(ref=REF, problem=NotFound("no such job", sure=True))
    record(path, Job(ref=REF, state=State.QUEUED, status="queued"))
    record(path, missing)
    record(path, missing, at=NOW + timedelta(seconds=seconds))
    assert bool(ids(path, which=Which.UNFINISHED)) is unfinished


def test_answer_between_two_not_found_looks_restarts_the_20_s(path: Path) -> None:
    missing = Job(ref=REF, problem=NotFound("no such job", sure=True))
    record(path, missing)
    record(path, Job(ref=REF, state=State.QUEUED, status="queued"), at=NOW + timedelta(seconds=10))
    record(path, missing, at=LATER)
    assert ids(path, which=Which.UNFINISHED) == ["proj_1"]


def test_failure_word_of_the_shared_table_is_recorded_only_if_sure(path: Path) -> None:
    failed = Job(ref=REF, state=State.FAILED, status="Fail", sure=False)
    record(path, Job(ref=REF, state=State.RUNNING, status="running"), failed, replace(failed, ended=True))
    assert recall(path).job.state is State.RUNNING
    record(path, replace(failed, ended=True, sure=True))
    assert recall(path).job.state is State.FAILED


def test_find_answered_finds_jobs_by_address_and_time(history: History) -> None:
    history.update(Job(ref=REF, state=State.RUNNING, status="processing"), NOW, base_url="https://api.example")
    history.update(Job(ref=OTHER, problem=NotFound("no such job", sure=True)), NOW, base_url="https://api.example")
    history.close()
    assert history.find_answered("https://api.example", NOW) == {REF}
    assert history.find_answered("https://api.example", LATER) == set()
    assert history.find_answered("https://other.example", NOW) == set()


def test_a_video_is_missing_once_its_file_is_deleted(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"12345")
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="success", saved=Saved(file=file, bytes=5)))
    assert ids(path, which=Which.MISSING) == []

    file.unlink()

    assert ids(path, which=Which.MISSING) == ["proj_1"]


def test_relative_file_is_recorded_with_its_absolute_path(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="ok", saved=Saved(file=Path("a.mp4"), bytes=5)))

    assert recall(path).job.saved == Saved(file=tmp_path / "a.mp4", bytes=5)


def test_jobs_are_listed_by_submission_time_newest_first(path: Path) -> None:
    day = timedelta(days=1)
    record(
        path,
        Job(ref=JobRef("jogg", "seen-yesterday"), status="processing"),
        Job(ref=JobRef("jogg", "dated-next-week"), status="processing", created_at=NOW + 7 * day),
        at=NOW - day,
    )
    record(
        path,
        Job(ref=JobRef("jogg", "old-but-listed-today"), status="success", created_at=NOW - 20 * day),
        Job(ref=JobRef("jogg", "submitted-today"), status="success", created_at=NOW - timedelta(hours=1)),
    )

    newest_first = ["submitted-today", "dated-next-week", "seen-yesterday", "old-but-listed-today"]
    assert ids(path) == newest_first
    assert ids(path, limit=2) == newest_first[:2]
    assert ids(path, since=NOW - day) == newest_first[:3]


def test_listing_can_be_limited_to_one_provider(path: Path, history: History) -> None:
    history.add([JobRef("jogg", "a"), JobRef("doubao", "b"), JobRef("jogg", "c")], NOW)

    assert ids(path, provider="jogg") == ["c", "a"]
    assert list(history.find_ids("jogg", 1)) == ["c"]
    assert list(history.find_ids("reelbot", 1)) == []


def test_a_listing_of_many_pages_has_each_job_once(path: Path, history: History) -> None:
    per_second = _PAGE - 1
    for second in range(3):
        refs = [JobRef("jogg", f"{second * per_second + i}") for i in range(per_second)]
        history.add(refs, NOW + timedelta(seconds=second))

    assert ids(path) == [str(i) for i in reversed(range(3 * per_second))]


def test_last_page_of_a_listing_costs_no_more_than_the_first(path: Path, history: History) -> None:
    pages = 8
    jobs = (
        Job(ref=JobRef("jogg", str(i)), status="success", created_at=NOW - timedelta(seconds=i))
        for i in range(_PAGE * pages)
    )
    record(path, *jobs)
    costs = [0]

    def count() -> None:
        costs[-1] += 1

    next(history.find_jobs())
    assert history._database
    assert history._database._db
    history._database._db.set_progress_handler(count, 100)
    for i, _ in enumerate(history.find_jobs(), start=1):
        if i % _PAGE == 0:
            costs.append(0)

    assert len(costs) == pages + 1
    assert costs[pages - 1] < 1.2 * costs[0]


def test_slowly_read_listing_does_not_block_writers(path: Path, history: History) -> None:
    history.add((JobRef("jogg", str(i)) for i in range(_PAGE * 2)), NOW)
    listing = history.find_jobs()
    next(listing)

    with closing(History(path, warn=fail_on_warning, lock_timeout=0)) as other:
        other.add([JobRef("jogg", "new")], LATER)

    assert len(list(listing)) == _PAGE * 2 - 1


@pytest.mark.parametrize("provider", [None, "jogg"])
@pytest.mark.parametrize("which", Which)
def test_every_listing_uses_an_index_and_sorts_nothing(
    path: Path, history: History, provider: str | None, which: Which
) -> None:
    history.add([REF], NOW)
    sql = _select(which, provider=provider)
    values = {"provider": provider, "since": 0, "submitted": 0, "rowid": 0, "heard": 0}

    with closing(sqlite3.connect(path)) as db:
        ((*_, plan),) = db.execute(f"EXPLAIN QUERY PLAN {sql}", values)

    assert plan.startswith("SEARCH job USING INDEX ")
    assert "<expr>>? AND <expr><?" in plan


def test_many_looks_are_written_in_one_transaction_per_second(path: Path, history: History) -> None:
    refs = [JobRef("jogg", str(i)) for i in range(1000)]
    history.add(refs, NOW)
    before = count_transactions(path)

    for i, ref in enumerate(refs):
        history.update(Job(ref=ref, state=State.RUNNING, status="processing"), NOW + timedelta(milliseconds=2 * i))

    assert count_transactions(path) == before + 2
    history.close()
    assert count_transactions(path) == before + 3
    assert {seen.job.state for seen in history.find_jobs()} == {State.RUNNING}


@pytest.mark.parametrize("step", [timedelta(minutes=1), -timedelta(minutes=1)], ids=["forward", "back"])
def test_update_after_a_pause_or_a_clock_change_is_written_at_once(
    path: Path, history: History, step: timedelta
) -> None:
    history.update(Job(ref=REF, state=State.QUEUED, status="queued"), NOW)
    history.update(Job(ref=REF, state=State.RUNNING, status="processing"), NOW + step)

    assert recall(path).job.state is State.RUNNING


def test_look_that_changes_only_progress_is_written_on_close(path: Path, history: History) -> None:
    history.update(Job(ref=REF, state=State.RUNNING, status="processing", progress=10), NOW)
    before = count_transactions(path)

    history.update(Job(ref=REF, state=State.RUNNING, status="processing", progress=90), LATER)
    assert count_transactions(path) == before

    history.close()

    assert count_transactions(path) == before + 1
    assert recall(path).job.progress == 90


def test_query_strings_hints_and_codes_are_not_in_the_file(path: Path) -> None:
    signed = "https://cdn.example/v.mp4?X-Amz-Signature=canary&key=canary"
    record(
        path,
        Job(
            ref=REF,
            state=State.FAILED,
            status=f"at {signed}",
            message=signed,
            title=f"see {signed} there",
            video_url=signed,
            thumbnail_url=signed,
            error=f"GET /v.mp4?canary failed; {signed}",
        ),
        Job(
            ref=JobRef("jogg", "gone"),
            problem=NotFound(f"nothing at {signed}", hint="canary", code="canary", sure=True),
        ),
    )

    assert b"canary" not in path.read_bytes()
    assert recall(path).job.title == "see https://cdn.example/v.mp4? there"


@pytest.mark.parametrize("text", ["\ud800 lone", "nul \0 inside", "\x1b[31m", "long" * 100_000, "?" * 10_000])
def test_strange_or_long_texts_neither_break_nor_bloat_the_file(path: Path, text: str) -> None:
    record(path, Job(ref=REF, state=State.FAILED, status=text, title=text, error=text))

    assert recall(path).job.state is State.FAILED
    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("moment", [datetime.min, datetime.max, datetime(1970, 1, 1), datetime(1901, 1, 1)])  # noqa: DTZ001, DTZ901 - made aware below
def test_extreme_dates_do_not_break_the_listing(path: Path, moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)

    record(path, Job(ref=REF, status="success", created_at=moment, completed_at=moment))

    job = recall(path).job
    assert job.created_at == job.completed_at == moment.replace(microsecond=0)


def test_file_name_that_is_not_utf8_is_read_back_unchanged(path: Path) -> None:
    file = Path(os.fsdecode(b"/videos/\xff.mp4"))

    record(path, Job(ref=REF, state=State.SUCCEEDED, status="ok", saved=Saved(file=file, bytes=1)))

    assert recall(path).job.saved == Saved(file=file, bytes=1)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_only_the_owner_can_read_the_history_whatever_the_umask(path: Path, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        record(path, Job(ref=REF, status="queued"))
    finally:
        os.umask(before)

    modes = {str(p.relative_to(tmp_path)): oct(p.stat().st_mode & 0o777) for p in tmp_path.rglob("*")}
    assert modes == {"state": "0o700", "state/videostat": "0o700", "state/videostat/history.db": "0o600"}


def test_history_without_a_path_records_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    history = History(None, warn=fail_on_warning)

    history.add([REF], NOW)
    history.update(Job(ref=REF, state=State.RUNNING, status="processing"), NOW)
    history.close()

    assert list(history.find_jobs()) == []
    assert list(tmp_path.iterdir()) == []


def test_reading_a_history_that_does_not_exist_creates_no_file(path: Path, history: History, tmp_path: Path) -> None:
    assert list(history.find_jobs()) == []
    assert list(tmp_path.iterdir()) == []


def test_history_path_is_absolute_and_ends_in_videostat_history_db() -> None:
    assert locate_history().is_absolute()
    assert locate_history().parts[-2:] == ("videostat", "history.db")


def test_import_of_the_history_does_not_load_sqlite() -> None:
    output, _ = run_python("print({'sqlite3', 'platformdirs'} & {*sys.modules})", "unused").communicate()

    assert output == "set()\n"


def overwrite_file(path: Path) -> None:
    path.write_bytes(b"\x00videos\xff" * 4096)


def overwrite_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def set_newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


def replace_table_by_view(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE job")
        db.execute("CREATE VIEW job AS SELECT 1")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (overwrite_file, "it is damaged"),
        (overwrite_pages, "it is damaged"),
        (set_newer_version, "a newer videostat wrote it"),
        (replace_table_by_view, "cannot modify job because it is a view"),
    ],
)
def test_unusable_file_is_reported_once_and_not_changed(path: Path, harm: Any, reason: str) -> None:
    record(path, Job(ref=REF, status="queued"))
    harm(path)
    before = path.read_bytes()
    warnings: list[str] = []

    with closing(History(path, warn=warnings.append)) as history:
        history.add([JobRef("jogg", "a")], NOW)
        history.add([JobRef("jogg", "b")], NOW)
        history.update(Job(ref=REF, state=State.RUNNING, status="processing"), LATER)

    warning, lost = warnings
    assert lost == "the history could not be written: these jobs are not recorded: jogg a, jogg b"
    assert warning.startswith(f"the history {path} cannot be used: {reason}")
    assert "\n" not in warning
    assert path.read_bytes() == before


@pytest.mark.parametrize("harm", [overwrite_file, overwrite_pages, set_newer_version, replace_table_by_view])
def test_listing_of_an_unusable_file_raises_usage_error(path: Path, harm: Any) -> None:
    record(path, Job(ref=REF, status="queued"))
    harm(path)

    with closing(History(path, warn=fail_on_warning)) as history, pytest.raises(UsageError, match="cannot be used"):
        list(history.find_jobs())


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file/videostat/history.db", "{here}/file: File exists"),
        ("folder", "unable to open database file"),
        ("/dev/null/history.db", "/dev/null: File exists"),
    ],
)
def test_unwritable_path_is_reported_once(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    warnings: list[str] = []

    with closing(History(tmp_path / place, warn=warnings.append)) as history:
        history.add([REF], NOW)
        history.update(Job(ref=REF, state=State.RUNNING, status="processing"), NOW)

    reason = reason.format(here=tmp_path)
    assert warnings == [
        f"the history {tmp_path / place} cannot be used: {reason}; videostat will try again",
        "the history could not be written: these jobs are not recorded: jogg proj_1",
    ]
    with suppress(UsageError):  # raised if another kind of file is there
        assert list(history.find_jobs()) == []


def test_file_that_stays_locked_is_reported_once_with_the_lost_jobs(path: Path) -> None:
    record(path, Job(ref=REF, status="queued"))
    warnings: list[str] = []

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with closing(History(path, warn=warnings.append, lock_timeout=0)) as history:
            history.add([JobRef("jogg", "a")], NOW)
            history.add([JobRef("jogg", "b")], NOW)

    assert warnings == [
        f"the history {path} cannot be used: database is locked; videostat will try again",
        "the history could not be written: these jobs are not recorded: jogg a, jogg b",
    ]
    assert ids(path) == ["proj_1"]


def test_file_that_is_locked_for_a_while_loses_nothing(path: Path) -> None:
    record(path, Job(ref=REF, status="queued"))
    warnings: list[str] = []
    done = Job(ref=JobRef("jogg", "a"), state=State.SUCCEEDED, status="success")

    with closing(History(path, warn=warnings.append, lock_timeout=0)) as history:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            history.add([done.ref], NOW, wanted=True)
            history.update(done, NOW)
        history.update(Job(ref=REF, state=State.RUNNING, status="processing"), LATER)
        assert ids(path, which=Which.UNSAVED) == ["a"]

    assert warnings == [f"the history {path} cannot be used: database is locked; videostat will try again"]
    assert recall(path).job.state is State.RUNNING


def test_only_the_first_wait_for_a_lock_is_long(path: Path) -> None:
    record(path, Job(ref=REF, status="queued"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with closing(History(path, warn=lambda _: None, lock_timeout=0.3)) as history:
            began = monotonic()
            for second in range(3):
                history.add([OTHER], NOW + timedelta(seconds=second))
            assert 0.3 <= monotonic() - began < 0.9


def test_full_disk_is_reported_once_and_keeps_recorded_jobs(path: Path) -> None:
    record(path, Job(ref=REF, status="queued"))
    code = f"""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, ({path.stat().st_size}, {path.stat().st_size}))
        history = History(path, warn=print)
        for n in range(2):
            history.add([JobRef("jogg", f"{{n}}-{{i}}") for i in range(20_000)], datetime.now(UTC))
        history.close()
    """

    output, errors = run_python(code, path).communicate()

    assert errors == ""
    warning, lost = output.splitlines()
    assert warning == f"the history {path} cannot be used: disk I/O error; videostat will try again"
    assert lost.startswith("the history could not be written: these jobs are not recorded: jogg 0-0, jogg 0-1, ")
    assert lost.endswith(" and 39,990 more")
    assert ids(path) == ["proj_1"]


def test_several_processes_writing_at_once_lose_nothing(path: Path) -> None:
    code = """
        sys.stdin.read()
        with closing(History(path, warn=print)) as history:
            for i in range(50):
                history.add([JobRef("jogg", f"{sys.argv[2]}-{i}")], datetime.now(UTC))
    """
    writers = [run_python(code, path, n, stdin=subprocess.PIPE) for n in range(4)]

    for writer in writers:
        assert writer.stdin
        writer.stdin.close()
        writer.stdin = None

    assert [writer.communicate() for writer in writers] == [("", "")] * 4
    assert sorted(ids(path)) == sorted(f"{n}-{i}" for n in range(4) for i in range(50))


def test_kill_during_a_write_keeps_recorded_jobs(path: Path) -> None:
    record(path, Job(ref=REF, status="queued"))
    code = """
        import os, signal
        size = path.stat().st_size
        history = History(path, warn=print)
        def kill_once_pages_are_written():
            if path.stat().st_size > size:
                os.kill(os.getpid(), signal.SIGKILL)
        list(history.find_jobs())
        history._database._db.set_progress_handler(kill_once_pages_are_written, 10_000)
        history.add([JobRef("jogg", str(i)) for i in range(100_000)], datetime.now(UTC))
    """

    writer = run_python(code, path)
    writer.communicate()

    assert writer.returncode == -signal.SIGKILL
    assert path.with_name("history.db-journal").exists()
    assert ids(path) == ["proj_1"]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_file_of_an_older_version_is_migrated_with_its_jobs(path: Path, version: int) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        for step in MIGRATIONS[:version]:
            for statement in step:
                db.execute(statement)
        if version:
            db.execute("INSERT INTO job (provider, id, first_seen, last_seen) VALUES ('jogg', 'old', 0, 0)")
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()

    record(path, Job(ref=REF, status="queued"))

    assert ids(path) == ["proj_1", "old"][: 1 + bool(version)]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        indexes = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    assert {"newest", "newest_of_provider", "unfinished"} <= indexes


@pytest.mark.parametrize("file", ["x'610062'", "42"])
def test_damaged_file_name_does_not_break_the_missing_listing(path: Path, file: str) -> None:
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="ok"), Job(ref=OTHER, state=State.SUCCEEDED, status="ok"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE job SET file = {file} WHERE id = 'proj_1'")
    warnings: list[str] = []
    with closing(History(path, warn=warnings.append)) as history:
        assert OTHER in [seen.job.ref for seen in history.find_jobs(which=Which.MISSING)]
    assert len(warnings) <= 1


@pytest.mark.parametrize("damage", ["state = 'weird'", "id = '../x'", "last_seen = 1e300"])
def test_damaged_record_is_skipped_with_a_warning(path: Path, damage: str) -> None:
    with closing(History(path, warn=fail_on_warning)) as history:
        history.add([REF, JobRef("jogg", "proj_2")], NOW)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE job SET {damage} WHERE id = 'proj_1'")
    warnings: list[str] = []
    with closing(History(path, warn=warnings.append)) as history:
        assert [seen.job.ref.id for seen in history.find_jobs()] == ["proj_2"]
    assert warnings == ["skipped 1 damaged record of the history"]


# --- two separate facts: a job has ended at the service, and its video was saved


SUCCEEDED = Job(ref=REF, state=State.SUCCEEDED, status="success")


def test_wanted_job_that_was_never_saved_is_listed_as_unsaved(path: Path, history: History) -> None:
    history.add([REF], NOW, wanted=True)
    record(path, SUCCEEDED)
    assert (ids(path, which=Which.UNFINISHED), ids(path, which=Which.UNSAVED)) == ([], ["proj_1"])


def test_unwanted_job_is_listed_as_missing_but_not_as_unsaved(path: Path, history: History) -> None:
    history.add([REF], NOW)
    record(path, SUCCEEDED)
    assert (ids(path, which=Which.UNSAVED), ids(path, which=Which.MISSING)) == ([], ["proj_1"])


def test_moved_video_is_listed_as_missing_but_not_as_unsaved(path: Path, history: History, tmp_path: Path) -> None:
    history.add([REF], NOW, wanted=True)
    record(path, replace(SUCCEEDED, saved=Saved(file=tmp_path / "moved.mp4", bytes=1)))
    assert (ids(path, which=Which.UNSAVED), ids(path, which=Which.MISSING)) == ([], ["proj_1"])


@pytest.mark.parametrize(
    "unsure",
    [
        replace(SUCCEEDED, sure=False),
        Job(ref=REF, state=State.FAILED, status="fail", sure=False),
        Job(ref=REF, problem=NotFound("HTTP 404")),
        Job(ref=REF, problem=Gone("HTTP 410")),
    ],
)
def test_unsure_answer_is_not_recorded(path: Path, unsure: Job) -> None:
    record(path, Job(ref=REF, state=State.RUNNING, status="processing"))
    before = recall(path)
    record(path, unsure, at=LATER)
    assert recall(path) == before


def test_last_answer_is_recorded_without_signed_urls(path: Path) -> None:
    plain = "https://cdn.example/cover.jpg"
    job = Job(
        ref=REF,
        state=State.SUCCEEDED,
        status="success",
        message="ready",
        video_url="https://cdn.example/v.mp4?signature=canary",
        thumbnail_url=plain,
        duration=32.5,
        resolution="1080x1920",
        credits=4,
        created_at=NOW,
        kept_until=NOW + timedelta(days=30),
        seen_at=LATER,
        extra={"outputKey": "videos/7", "at": "https://x/?canary", "scores": [1, 0.5]},
    )
    record(path, job)
    assert recall(path).job == replace(
        job, video_url=None, extra={"outputKey": "videos/7", "at": None, "scores": [1, 0.5]}
    )
    assert b"canary" not in path.read_bytes()


def test_job_missing_for_an_hour_is_read_back_as_gone(path: Path) -> None:
    record(path, SUCCEEDED)
    for at in (NOW, LATER):
        record(path, Job(ref=REF, problem=NotFound("no such job", sure=True)), at=at)
    problem = recall(path).job.problem
    assert isinstance(problem, Gone)
    assert (str(problem), recall(path).job.exit_code) == ("no such job", 7)


def test_time_and_address_of_the_last_answer_are_recorded(path: Path, history: History) -> None:
    history.update(replace(SUCCEEDED, seen_at=NOW), NOW, base_url="https://one.example")
    history.close()
    assert history.find_answered("https://one.example", NOW) == {REF}
    assert history.find_answered("https://one.example", LATER) == set()
    assert history.find_answered("https://two.example", NOW) == set()
    seen = history.find_job(REF)
    assert seen
    assert seen.seen_at == NOW
    assert history.find_job(OTHER) is None


def test_heard_since_leaves_out_jobs_without_a_recent_answer(path: Path, history: History) -> None:
    day = timedelta(days=1)
    history.add([REF, OTHER], NOW - 40 * day)
    record(path, Job(ref=OTHER, state=State.RUNNING, status="processing", seen_at=NOW - day))
    assert ids(path, which=Which.UNFINISHED, heard_since=NOW - 30 * day) == ["proj_2"]
    assert ids(path, which=Which.UNFINISHED) == ["proj_2", "proj_1"]


def test_find_owner_returns_the_job_of_a_saved_file(path: Path, history: History, tmp_path: Path) -> None:
    file = tmp_path / "7.mp4"
    record(path, replace(SUCCEEDED, saved=Saved(file=file, bytes=1)))
    assert (history.find_owner(file), history.find_owner(tmp_path / "8.mp4")) == (REF, None)


def test_forgotten_job_is_not_listed(path: Path, history: History) -> None:
    history.add([REF, OTHER], NOW)
    history.forget([REF, JobRef("jogg", "never-seen")])
    assert ids(path) == ["proj_2"]


def test_add_returns_true_only_if_the_jobs_are_on_disk(path: Path) -> None:
    with closing(History(path, warn=lambda _: None, lock_timeout=0.05)) as history:
        assert history.add([REF], NOW)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert not history.add([OTHER], NOW)
            other.execute("ROLLBACK")
        assert history.add([], NOW), "what waited is written with the next"
        assert history.find_job(OTHER)


@pytest.mark.parametrize("times", [1, 2])
def test_ended_jobs_use_no_memory(path: Path, times: int) -> None:
    with closing(History(path, warn=pytest.fail)) as history:
        for number in range(5):
            job = Job(ref=JobRef("jogg", f"proj_{number}"), state=State.SUCCEEDED, status="success", sure=True)
            for _ in range(times):
                history.update(job, NOW)
            history.update(replace(job, ended=True), NOW)
        history.update(replace(job, ended=True), NOW + timedelta(seconds=2))
        assert (history._known, history._delayed, history._pending) == ({}, {}, {})
        assert len(list(history.find_jobs())) == 5


def test_recalled_gone_job_is_surely_gone(path: Path) -> None:
    record(path, Job(ref=REF, problem=Gone("it was deleted", sure=True), ended=True))
    problem = recall(path).job.problem
    assert isinstance(problem, Gone)
    assert problem.sure


def test_file_name_that_no_system_accepts_is_missing(path: Path) -> None:
    record(path, Job(ref=REF, state=State.SUCCEEDED, saved=Saved(file=Path("a.mp4"), bytes=1), ended=True))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE job SET file = ?", (b"a\0b",))
    assert ids(path, which=Which.MISSING) == [REF.id]
