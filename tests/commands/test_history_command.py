"""videostat history: list and forget the jobs that this machine has recorded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from videostat.history import History, locate_history
from videostat.models import Job, JobRef, Saved, State

if TYPE_CHECKING:
    from conftest import Videostat

NOW = datetime.now(UTC)


@pytest.fixture
def recorded_jobs(tmp_path: Path) -> None:
    """Write six jobs, an hour apart, and one that is 60 days old into the history."""
    video = tmp_path / "kept.mp4"
    video.touch()
    jobs = [
        Job(ref=JobRef("jogg", "running"), state=State.RUNNING),
        Job(ref=JobRef("doubao", "queued"), state=State.QUEUED),
        Job(ref=JobRef("jogg", "failed"), state=State.FAILED, error="no \x1b[31mluck", error_code="LUCK"),
        Job(ref=JobRef("jogg", "kept"), state=State.SUCCEEDED, saved=Saved(file=video, bytes=4_200_000)),
        Job(ref=JobRef("jogg", "lost"), state=State.SUCCEEDED, saved=Saved(file=tmp_path / "lost.mp4", bytes=5)),
        Job(ref=JobRef("reelbot", "never-saved"), state=State.SUCCEEDED),
        Job(ref=JobRef("jogg", "old"), state=State.SUCCEEDED),
    ]
    with closing(History(locate_history(), warn=pytest.fail)) as history:
        for hours, job in enumerate(jobs):
            history.update(job, NOW - timedelta(hours=hours if job.ref.id != "old" else 24 * 60))


@pytest.mark.usefixtures("recorded_jobs")
@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], ["running", "queued", "failed", "kept", "lost", "never-saved", "old"]),
        (["--unfinished"], ["running", "queued"]),
        (["--missing"], ["lost", "never-saved", "old"]),
        (["--provider", "jogg"], ["running", "failed", "kept", "lost", "old"]),
        (["--since", "90m"], ["running", "queued"]),
        (["--since", "7d"], ["running", "queued", "failed", "kept", "lost", "never-saved"]),
        (["--since", "7d", "--missing", "--provider", "reelbot"], ["never-saved"]),
        (["--limit", "2"], ["running", "queued"]),
        (["--all", "--limit", "1"], ["running", "queued", "failed", "kept", "lost", "never-saved", "old"]),
    ],
)
def test_history_lists_the_newest_first_and_options_filter_it(
    videostat: Videostat, options: list[str], ids: list[str]
) -> None:
    got = videostat("history", *options, "--json")
    assert got.code == 0
    assert [answer["id"] for answer in got.objects] == ids


@pytest.mark.usefixtures("recorded_jobs")
def test_limited_history_gives_the_total_on_stderr_unless_quiet(videostat: Videostat) -> None:
    assert "2 of 7; --all shows the rest" in videostat("history", "-n", "2").stderr
    assert videostat("history", "-n", "2", "-q").stderr == ""
    assert videostat("history", "-n", "7").stderr == ""


@pytest.mark.usefixtures("recorded_jobs")
def test_history_prints_tabs_in_a_pipe_and_a_table_on_a_terminal(
    videostat: Videostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    rows = videostat("history", "--provider", "jogg").rows
    assert rows[0] == ["jogg", "running", "running", ""]
    assert rows[2] == ["jogg", "kept", "succeeded", str(tmp_path / "kept.mp4")]
    table = videostat("history", tty=("stdout",)).stdout
    assert "PROVIDER" in table
    assert "4.2 MB" in table


@pytest.mark.usefixtures("recorded_jobs")
def test_escape_sequences_of_a_service_are_not_printed(videostat: Videostat) -> None:
    for options in ([], ["--json"]):
        assert "\x1b[31m" not in videostat("history", *options).stdout


@pytest.mark.usefixtures("recorded_jobs")
def test_table_shows_the_error_code_of_a_failed_job(videostat: Videostat) -> None:
    (line,) = (line for line in videostat("history", tty=("stdout",)).lines if "luck" in line)
    assert line.endswith("luck (code LUCK)")


@pytest.mark.parametrize("since", ["yesterday", "-1d", "", "9999999d"])
def test_invalid_since_duration_is_refused(videostat: Videostat, since: str) -> None:
    got = videostat("history", f"--since={since}")
    assert (got.code, got.stdout) == (2, "")
    assert "is not a time" in got.stderr


def test_missing_history_prints_nothing_and_is_not_created(videostat: Videostat) -> None:
    got = videostat("history")
    assert (got.code, got.stdout, got.stderr) == (0, "", "")
    assert not locate_history().exists()


def test_history_without_a_home_folder_gives_the_reason(videostat: Videostat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videostat.history.locate_history", lambda: Path("~/videostat/history.db"))
    got = videostat("history")
    assert (got.code, got.stdout) == (0, "")
    assert got.stderr == "videostat: there is no home folder, so nothing is remembered: set HOME\n"


def test_damaged_history_is_reported_and_not_changed(videostat: Videostat) -> None:
    locate_history().parent.mkdir(parents=True)
    locate_history().write_bytes(b"no database" * 1000)
    got = videostat("history")
    assert (got.code, got.stdout) == (2, "")
    assert "it is damaged" in got.stderr
    assert locate_history().read_bytes() == b"no database" * 1000


def test_history_of_a_newer_version_is_refused(videostat: Videostat) -> None:
    locate_history().parent.mkdir(parents=True)
    with closing(sqlite3.connect(locate_history())) as db:
        db.execute("PRAGMA user_version = 99")
    got = videostat("history")
    assert got.code == 2
    assert "a newer videostat wrote it" in got.stderr


def test_unknown_provider_is_refused_with_a_suggestion(videostat: Videostat) -> None:
    got = videostat("history", "--provider", "joggg")
    assert (got.code, got.stdout) == (2, "")
    assert "Did you mean jogg?" in got.stderr
    assert videostat("history", "--provider", "jogg").code == 0


def list_history(videostat: Videostat) -> list[str]:
    return [f"{answer['provider']}:{answer['id']}" for answer in videostat("history", "--all", "--json").objects]


ALL = ["running", "queued", "failed", "kept", "lost", "never-saved", "old"]


@pytest.mark.usefixtures("recorded_jobs")
@pytest.mark.parametrize(
    ("words", "forgotten", "message"),
    [
        (["jogg", "failed", "kept", "failed"], {"failed", "kept"}, "Forgotten: 2 jobs.\n"),
        (["jogg:failed", "doubao", "queued"], {"failed", "queued"}, "Forgotten: 2 jobs.\n"),
        (["--older-than", "90d"], set(), "Nothing was forgotten.\n"),
        (["--older-than", "30d"], {"old"}, "Forgotten: 1 job.\n"),
        (["--older-than", "150m"], {"kept", "lost", "never-saved", "old"}, "Forgotten: 4 jobs.\n"),
        (["--all"], {*ALL}, "Forgotten: 7 jobs.\n"),
    ],
)
def test_forget_removes_only_the_chosen_jobs(
    videostat: Videostat, tmp_path: Path, words: list[str], forgotten: set[str], message: str
) -> None:
    got = videostat("history", "forget", *words)
    assert (got.code, got.stdout, got.stderr) == (0, "", message)
    assert [each.partition(":")[2] for each in list_history(videostat)] == [
        each for each in ALL if each not in forgotten
    ]
    assert (tmp_path / "kept.mp4").exists()


@pytest.mark.usefixtures("recorded_jobs")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give one of PROVIDER ID..., --older-than TIME and --all"),
        (["--all", "jogg", "failed"], "give one of PROVIDER ID..."),
        (["--all", "--older-than", "1d"], "give one of PROVIDER ID..."),
        (["jogg"], "no job id after jogg"),
        (["--older-than", "soon"], "is not a time"),
        (["--older-than", "90", "d"], "write 90d"),
    ],
)
def test_forget_without_a_clear_choice_removes_nothing(videostat: Videostat, words: list[str], message: str) -> None:
    got = videostat("history", "forget", *words)
    assert (got.code, got.stdout) == (2, "")
    assert message in got.stderr
    assert len(list_history(videostat)) == len(ALL)


@pytest.mark.usefixtures("recorded_jobs")
@pytest.mark.parametrize("words", [["--provider", "jogg"], ["--unfinished"], ["--since=1d"], ["-n", "2"], ["--all"]])
def test_forget_refuses_the_filters_of_the_list(videostat: Videostat, words: list[str]) -> None:
    got = videostat("history", *words, "forget", "--all")
    assert got.code == 2
    assert f"{words[0].partition('=')[0].replace('-n', '--limit')} filters the list" in got.stderr
    assert len(list_history(videostat)) == len(ALL)


@pytest.mark.usefixtures("recorded_jobs")
def test_forget_reports_an_unknown_job_and_removes_the_others(videostat: Videostat) -> None:
    got = videostat("history", "forget", "jogg", "failed", "fialed")
    assert got.code == 2
    assert got.stderr.startswith("Forgotten: 1 job.\nvideostat: not in the history: jogg fialed\n")
    assert "jogg:failed" not in list_history(videostat)


def test_forget_without_a_history_creates_none(videostat: Videostat) -> None:
    assert videostat("history", "forget", "--all").stderr == "Nothing was forgotten.\n"
    assert videostat("history", "forget", "jogg", "x").code == 2
    assert not locate_history().exists()


def test_forget_refuses_a_damaged_history(videostat: Videostat) -> None:
    locate_history().parent.mkdir(parents=True)
    locate_history().write_bytes(b"no database" * 1000)
    for words in (["--all"], ["jogg", "x"]):
        got = videostat("history", "forget", *words)
        assert (got.code, "it is damaged" in got.stderr) == (2, True)


def test_forget_all_removes_damaged_records(videostat: Videostat) -> None:
    with closing(History(locate_history(), warn=pytest.fail)) as history:
        history.add([JobRef("jogg", "a"), JobRef("jogg", "b")], NOW)
    with closing(sqlite3.connect(locate_history())) as db, db:
        db.execute("UPDATE job SET first_seen = 'x', id = '' WHERE id = 'a'")
    assert videostat("history", "forget", "--all").stderr == "Forgotten: 2 jobs.\n"
    assert videostat("history", "forget", "--all").stderr == "Nothing was forgotten.\n"


def test_printed_forget_commands_remove_the_skipped_jobs(videostat: Videostat) -> None:
    ids = ["proj_1", "-dashed", "with:colon"]
    refs = [*(JobRef("jogg", job_id) for job_id in ids), JobRef("not-configured-any-more", "x")]
    with closing(History(locate_history(), warn=pytest.fail)) as history:
        history.add(refs, NOW - timedelta(days=40))
    lines = videostat("status", "--unfinished").stderr.splitlines()
    commands = [line.split() for line in lines if line.startswith("  videostat history forget ")]
    assert len(commands) == 2
    for command in commands:
        assert videostat(*command[1:]).code == 0
    assert list_history(videostat) == []


def test_empty_history_on_a_terminal_says_so(videostat: Videostat) -> None:
    got = videostat("history", tty=("stdout", "stderr"))
    assert (got.code, got.stderr) == (0, "There is nothing to show.\n")
