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


def no_warning(sentence: str) -> None:
    pytest.fail(sentence)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "videostat" / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with closing(History(path, warn=no_warning)) as history:
        yield history


def ids(path: Path, **which: Any) -> list[str]:
    with closing(History(path, warn=no_warning)) as history:
        return [seen.job.ref.id for seen in history.find_jobs(**which)]


def record(path: Path, *jobs: Job, at: datetime = NOW) -> None:
    with closing(History(path, warn=no_warning)) as history:
        for job in jobs:
            history.update(job, at)


def recall(path: Path, ref: JobRef = REF) -> Record:
    with closing(History(path, warn=no_warning)) as history:
        (seen,) = (seen for seen in history.find_jobs() if seen.job.ref == ref)
    return seen


def transactions(path: Path) -> int:
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


def test_all_ids_of_a_command_are_one_transaction(history: History, path: Path) -> None:
    history.add([REF], NOW)
    before = transactions(path)

    history.add((JobRef("jogg", f"p{i}") for i in range(500)), NOW)

    assert transactions(path) == before + 1


def test_a_look_is_recorded_whole(path: Path, tmp_path: Path) -> None:
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


def test_a_job_that_was_never_looked_at_is_of_unknown_state(history: History) -> None:
    history.add([REF], NOW)

    (seen,) = history.find_jobs()

    assert (seen.job.state, seen.job.status) == (State.UNKNOWN, None)


def test_naming_a_job_again_changes_only_when_it_was_last_seen(path: Path, history: History) -> None:
    record(path, Job(ref=REF, state=State.FAILED, status="failed", error="no faces"))
    before = recall(path)

    history.add([REF], LATER)

    assert recall(path) == Record(before.job, LATER)


@pytest.mark.parametrize("problem", [Unreachable("no route"), TimedOut("too long"), KeyRefused("bad key")])
def test_a_look_that_learnt_nothing_erases_nothing(path: Path, problem: Exception) -> None:
    record(path, Job(ref=REF, state=State.RUNNING, status="processing", title="A cat"))
    before = recall(path)

    record(path, Job(ref=REF, problem=problem), at=LATER)  # type: ignore[arg-type]

    assert recall(path) == before


def test_what_a_later_answer_leaves_out_stays_known(path: Path) -> None:
    saved = Saved(file=Path("/videos/a.mp4"), bytes=7)
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="success", title="A cat", created_at=NOW, saved=saved))

    record(path, Job(ref=REF, state=State.SUCCEEDED, status="success"), at=LATER)

    job = recall(path).job
    assert (job.title, job.created_at, job.saved) == ("A cat", NOW, saved)


def test_an_error_does_not_outlive_the_state_it_belonged_to(path: Path) -> None:
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
def test_what_is_unfinished_and_what_is_missing(
    path: Path, history: History, job: Job, *, unfinished: bool, missing: bool
) -> None:
    history.add([REF], NOW)
    record(path, job)

    assert bool(ids(path, which=Which.UNFINISHED)) is unfinished
    assert bool(ids(path, which=Which.MISSING)) is missing


def test_a_job_that_is_gone_keeps_its_state_and_says_why(path: Path) -> None:
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="success"))

    record(path, Job(ref=REF, problem=Gone("kept for 30 days only", sure=True)), at=LATER)

    job = recall(path).job
    assert (job.state, job.error) == (State.SUCCEEDED, "kept for 30 days only")
    assert ids(path, which=Which.UNFINISHED) == []


def test_a_fresh_job_that_was_not_found_at_first_is_unfinished_again_once_found(path: Path) -> None:
    record(path, Job(ref=REF, problem=NotFound("no such job", sure=True)))

    record(path, Job(ref=REF, state=State.QUEUED, status="queued"))

    assert ids(path, which=Which.UNFINISHED) == ["proj_1"]
    assert recall(path).job.error is None


@pytest.mark.parametrize(("seconds", "unfinished"), [(19, True), (20, False), (3600, False)])
def test_a_missing_job_is_recorded_by_a_look_20_s_after_the_first_that_said_so(
    path: Path, seconds: float, *, unfinished: bool
) -> None:
    missing = Job(ref=REF, problem=NotFound("no such job", sure=True))
    record(path, Job(ref=REF, state=State.QUEUED, status="queued"))
    record(path, missing)
    record(path, missing, at=NOW + timedelta(seconds=seconds))
    assert bool(ids(path, which=Which.UNFINISHED)) is unfinished


def test_an_answer_between_two_looks_that_find_no_job_begins_anew(path: Path) -> None:
    missing = Job(ref=REF, problem=NotFound("no such job", sure=True))
    record(path, missing)
    record(path, Job(ref=REF, state=State.QUEUED, status="queued"), at=NOW + timedelta(seconds=10))
    record(path, missing, at=LATER)
    assert ids(path, which=Which.UNFINISHED) == ["proj_1"]


def test_a_word_of_the_shared_table_is_recorded_of_a_failure_that_was_believed_alone(path: Path) -> None:
    failed = Job(ref=REF, state=State.FAILED, status="Fail", sure=False)
    record(path, Job(ref=REF, state=State.RUNNING, status="running"), failed, replace(failed, ended=True))
    assert recall(path).job.state is State.RUNNING
    record(path, replace(failed, ended=True, sure=True))
    assert recall(path).job.state is State.FAILED


def test_who_was_answered_where_and_when_is_known(history: History) -> None:
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


def test_a_file_is_remembered_wherever_the_next_command_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="ok", saved=Saved(file=Path("a.mp4"), bytes=5)))

    assert recall(path).job.saved == Saved(file=tmp_path / "a.mp4", bytes=5)


def test_the_last_submitted_job_comes_first_however_late_it_was_met(path: Path) -> None:
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


def test_a_provider_can_be_listed_alone(path: Path, history: History) -> None:
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


def test_the_last_page_costs_what_the_first_does(path: Path, history: History) -> None:
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


def test_a_listing_that_is_read_slowly_locks_nobody_out(path: Path, history: History) -> None:
    history.add((JobRef("jogg", str(i)) for i in range(_PAGE * 2)), NOW)
    listing = history.find_jobs()
    next(listing)

    with closing(History(path, warn=no_warning, lock_timeout=0)) as other:
        other.add([JobRef("jogg", "new")], LATER)

    assert len(list(listing)) == _PAGE * 2 - 1


@pytest.mark.parametrize("provider", [None, "jogg"])
@pytest.mark.parametrize("which", Which)
def test_every_listing_walks_an_index_and_sorts_nothing(
    path: Path, history: History, provider: str | None, which: Which
) -> None:
    history.add([REF], NOW)
    sql = _select(which, provider=provider)
    values = {"provider": provider, "since": 0, "submitted": 0, "rowid": 0, "heard": 0}

    with closing(sqlite3.connect(path)) as db:
        ((*_, plan),) = db.execute(f"EXPLAIN QUERY PLAN {sql}", values)

    assert plan.startswith("SEARCH job USING INDEX ")
    assert "<expr>>? AND <expr><?" in plan


def test_a_burst_of_looks_is_one_transaction_a_second(path: Path, history: History) -> None:
    refs = [JobRef("jogg", str(i)) for i in range(1000)]
    history.add(refs, NOW)
    before = transactions(path)

    for i, ref in enumerate(refs):
        history.update(Job(ref=ref, state=State.RUNNING, status="processing"), NOW + timedelta(milliseconds=2 * i))

    assert transactions(path) == before + 2
    history.close()
    assert transactions(path) == before + 3
    assert {seen.job.state for seen in history.find_jobs()} == {State.RUNNING}


@pytest.mark.parametrize("step", [timedelta(minutes=1), -timedelta(minutes=1)], ids=["on", "back"])
def test_an_update_is_on_disk_at_once_when_none_was_lately_wherever_the_clock_is_set(
    path: Path, history: History, step: timedelta
) -> None:
    history.update(Job(ref=REF, state=State.QUEUED, status="queued"), NOW)
    history.update(Job(ref=REF, state=State.RUNNING, status="processing"), NOW + step)

    assert recall(path).job.state is State.RUNNING


def test_a_look_that_shows_only_progress_is_written_when_the_run_ends(path: Path, history: History) -> None:
    history.update(Job(ref=REF, state=State.RUNNING, status="processing", progress=10), NOW)
    before = transactions(path)

    history.update(Job(ref=REF, state=State.RUNNING, status="processing", progress=90), LATER)
    assert transactions(path) == before

    history.close()

    assert transactions(path) == before + 1
    assert recall(path).job.progress == 90


def test_no_url_no_query_and_no_key_is_in_the_file(path: Path) -> None:
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
def test_no_text_of_a_service_breaks_or_bloats_the_file(path: Path, text: str) -> None:
    record(path, Job(ref=REF, state=State.FAILED, status=text, title=text, error=text))

    assert recall(path).job.state is State.FAILED
    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("moment", [datetime.min, datetime.max, datetime(1970, 1, 1), datetime(1901, 1, 1)])  # noqa: DTZ001, DTZ901 - made aware below
def test_no_date_of_a_service_breaks_the_listing(path: Path, moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)

    record(path, Job(ref=REF, status="success", created_at=moment, completed_at=moment))

    job = recall(path).job
    assert job.created_at == job.completed_at == moment.replace(microsecond=0)


def test_a_file_name_that_is_not_utf8_comes_back(path: Path) -> None:
    file = Path(os.fsdecode(b"/videos/\xff.mp4"))

    record(path, Job(ref=REF, state=State.SUCCEEDED, status="ok", saved=Saved(file=file, bytes=1)))

    assert recall(path).job.saved == Saved(file=file, bytes=1)


def test_nobody_else_may_read_it_whatever_the_umask(path: Path, tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        record(path, Job(ref=REF, status="queued"))
    finally:
        os.umask(umask)

    modes = {str(p.relative_to(tmp_path)): oct(p.stat().st_mode & 0o777) for p in tmp_path.rglob("*")}
    assert modes == {"state": "0o700", "state/videostat": "0o700", "state/videostat/history.db": "0o600"}


def test_without_a_path_nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    history = History(None, warn=no_warning)

    history.add([REF], NOW)
    history.update(Job(ref=REF, state=State.RUNNING, status="processing"), NOW)
    history.close()

    assert list(history.find_jobs()) == []
    assert list(tmp_path.iterdir()) == []


def test_reading_where_nothing_was_recorded_leaves_no_trace(path: Path, history: History, tmp_path: Path) -> None:
    assert list(history.find_jobs()) == []
    assert list(tmp_path.iterdir()) == []


def test_its_place_is_the_users_state_folder() -> None:
    assert locate_history().is_absolute()
    assert locate_history().parts[-2:] == ("videostat", "history.db")


def test_sqlite_is_loaded_only_when_it_is_used() -> None:
    output, _ = run_python("print({'sqlite3', 'platformdirs'} & {*sys.modules})", "unused").communicate()

    assert output == "set()\n"


def not_a_database(path: Path) -> None:
    path.write_bytes(b"\x00videos\xff" * 4096)


def a_page_overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def written_by_a_newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


def of_something_else(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE job")
        db.execute("CREATE VIEW job AS SELECT 1")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (not_a_database, "it is damaged"),
        (a_page_overwritten, "it is damaged"),
        (written_by_a_newer_version, "a newer videostat wrote it"),
        (of_something_else, "cannot modify job because it is a view"),
    ],
)
def test_a_file_it_cannot_use_is_said_once_and_left_as_it_is(path: Path, harm: Any, reason: str) -> None:
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


@pytest.mark.parametrize("harm", [not_a_database, a_page_overwritten, written_by_a_newer_version, of_something_else])
def test_a_listing_of_a_file_it_cannot_use_is_an_error_and_not_an_empty_answer(path: Path, harm: Any) -> None:
    record(path, Job(ref=REF, status="queued"))
    harm(path)

    with closing(History(path, warn=no_warning)) as history, pytest.raises(UsageError, match="cannot be used"):
        list(history.find_jobs())


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file/videostat/history.db", "{here}/file: File exists"),
        ("folder", "unable to open database file"),
        ("/dev/null/history.db", "/dev/null: File exists"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_once(tmp_path: Path, place: str, reason: str) -> None:
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
    with suppress(UsageError):  # where something is there that is no history
        assert list(history.find_jobs()) == []


def test_a_file_that_stays_locked_is_said_once_with_what_is_lost(path: Path) -> None:
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


def test_a_file_that_was_locked_for_a_while_has_lost_nothing(path: Path) -> None:
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


def test_a_lock_is_waited_for_at_length_only_once(path: Path) -> None:
    record(path, Job(ref=REF, status="queued"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with closing(History(path, warn=lambda _: None, lock_timeout=0.3)) as history:
            began = monotonic()
            for second in range(3):
                history.add([OTHER], NOW + timedelta(seconds=second))
            assert 0.3 <= monotonic() - began < 0.9


def test_a_full_disk_is_said_once_and_loses_nothing_that_was_kept(path: Path) -> None:
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


def test_a_kill_in_the_middle_of_a_write_loses_nothing_that_was_kept(path: Path) -> None:
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
def test_an_older_file_is_brought_up_to_date_with_all_it_knows(path: Path, version: int) -> None:
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
def test_a_damaged_file_name_is_passed_over_among_the_missing(path: Path, file: str) -> None:
    record(path, Job(ref=REF, state=State.SUCCEEDED, status="ok"), Job(ref=OTHER, state=State.SUCCEEDED, status="ok"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE job SET file = {file} WHERE id = 'proj_1'")
    told: list[str] = []
    with closing(History(path, warn=told.append)) as history:
        assert OTHER in [seen.job.ref for seen in history.find_jobs(which=Which.MISSING)]
    assert len(told) <= 1


@pytest.mark.parametrize("damage", ["state = 'weird'", "id = '../x'", "last_seen = 1e300"])
def test_a_damaged_record_is_passed_over_and_told(path: Path, damage: str) -> None:
    with closing(History(path, warn=no_warning)) as history:
        history.add([REF, JobRef("jogg", "proj_2")], NOW)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE job SET {damage} WHERE id = 'proj_1'")
    told: list[str] = []
    with closing(History(path, warn=told.append)) as history:
        assert [seen.job.ref.id for seen in history.find_jobs()] == ["proj_2"]
    assert told == ["skipped 1 damaged record of the history"]


# --- two facts: that a job has ended at the service, and where its video was saved


SUCCEEDED = Job(ref=REF, state=State.SUCCEEDED, status="success")


def test_what_was_wanted_and_never_saved_is_found_whatever_killed_the_run(path: Path, history: History) -> None:
    history.add([REF], NOW, wanted=True)
    record(path, SUCCEEDED)
    assert (ids(path, which=Which.UNFINISHED), ids(path, which=Which.UNSAVED)) == ([], ["proj_1"])


def test_what_nobody_wanted_is_not_brought_home_unasked(path: Path, history: History) -> None:
    history.add([REF], NOW)
    record(path, SUCCEEDED)
    assert (ids(path, which=Which.UNSAVED), ids(path, which=Which.MISSING)) == ([], ["proj_1"])


def test_what_was_saved_and_then_moved_away_is_missing_and_not_unsaved(
    path: Path, history: History, tmp_path: Path
) -> None:
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
def test_what_is_not_sure_is_not_recorded(path: Path, unsure: Job) -> None:
    record(path, Job(ref=REF, state=State.RUNNING, status="processing"))
    before = recall(path)
    record(path, unsure, at=LATER)
    assert recall(path) == before


def test_the_whole_last_answer_is_kept_but_for_signed_addresses(path: Path) -> None:
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


def test_a_job_that_is_gone_is_shown_with_that_problem(path: Path) -> None:
    record(path, SUCCEEDED)
    for at in (NOW, LATER):
        record(path, Job(ref=REF, problem=NotFound("no such job", sure=True)), at=at)
    problem = recall(path).job.problem
    assert isinstance(problem, Gone)
    assert (str(problem), recall(path).job.exit_code) == ("no such job", 7)


def test_who_answered_and_when_is_known(path: Path, history: History) -> None:
    history.update(replace(SUCCEEDED, seen_at=NOW), NOW, base_url="https://one.example")
    history.close()
    assert history.find_answered("https://one.example", NOW) == {REF}
    assert history.find_answered("https://one.example", LATER) == set()
    assert history.find_answered("https://two.example", NOW) == set()
    seen = history.find_job(REF)
    assert seen
    assert seen.seen_at == NOW
    assert history.find_job(OTHER) is None


def test_a_job_that_was_not_answered_for_long_is_left_out_on_demand(path: Path, history: History) -> None:
    day = timedelta(days=1)
    history.add([REF, OTHER], NOW - 40 * day)
    record(path, Job(ref=OTHER, state=State.RUNNING, status="processing", seen_at=NOW - day))
    assert ids(path, which=Which.UNFINISHED, heard_since=NOW - 30 * day) == ["proj_2"]
    assert ids(path, which=Which.UNFINISHED) == ["proj_2", "proj_1"]


def test_whose_video_a_file_is(path: Path, history: History, tmp_path: Path) -> None:
    file = tmp_path / "7.mp4"
    record(path, replace(SUCCEEDED, saved=Saved(file=file, bytes=1)))
    assert (history.find_owner(file), history.find_owner(tmp_path / "8.mp4")) == (REF, None)


def test_what_is_forgotten_is_in_no_listing(path: Path, history: History) -> None:
    history.add([REF, OTHER], NOW)
    history.forget([REF, JobRef("jogg", "never-seen")])
    assert ids(path) == ["proj_2"]


def test_a_job_is_called_recorded_only_when_it_is_on_disk(path: Path) -> None:
    with closing(History(path, warn=lambda _: None, lock_timeout=0.05)) as history:
        assert history.add([REF], NOW)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert not history.add([OTHER], NOW)
            other.execute("ROLLBACK")
        assert history.add([], NOW), "what waited is written with the next"
        assert history.find_job(OTHER)


@pytest.mark.parametrize("times", [1, 2])
def test_what_has_ended_takes_no_memory(path: Path, times: int) -> None:
    with closing(History(path, warn=pytest.fail)) as history:
        for number in range(5):
            job = Job(ref=JobRef("jogg", f"proj_{number}"), state=State.SUCCEEDED, status="success", sure=True)
            for _ in range(times):
                history.update(job, NOW)
            history.update(replace(job, ended=True), NOW)
        history.update(replace(job, ended=True), NOW + timedelta(seconds=2))
        assert (history._known, history._delayed, history._pending) == ({}, {}, {})
        assert len(list(history.find_jobs())) == 5
