"""videostat history: what this machine has seen."""

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
def seen(tmp_path: Path) -> None:
    """Six jobs, an hour apart, and one of long ago."""
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


@pytest.mark.usefixtures("seen")
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
def test_the_newest_jobs_come_first_and_options_choose_among_them(
    videostat: Videostat, options: list[str], ids: list[str]
) -> None:
    got = videostat("history", *options, "--json")
    assert got.code == 0
    assert [answer["id"] for answer in got.objects] == ids


@pytest.mark.usefixtures("seen")
def test_that_there_is_more_is_said_on_stderr_and_not_when_quiet(videostat: Videostat) -> None:
    assert "2 of 7; --all shows the rest" in videostat("history", "-n", "2").stderr
    assert videostat("history", "-n", "2", "-q").stderr == ""
    assert videostat("history", "-n", "7").stderr == ""


@pytest.mark.usefixtures("seen")
def test_the_answer_has_the_forms_of_every_other_answer(
    videostat: Videostat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    rows = videostat("history", "--provider", "jogg").rows
    assert rows[0] == ["jogg", "running", "running", ""]
    assert rows[2] == ["jogg", "kept", "succeeded", str(tmp_path / "kept.mp4")]
    table = videostat("history", tty=("stdout",)).stdout
    assert "PROVIDER" in table
    assert "4.2 MB" in table


@pytest.mark.usefixtures("seen")
def test_what_a_service_wrote_cannot_move_the_cursor(videostat: Videostat) -> None:
    for options in ([], ["--json"]):
        assert "\x1b[31m" not in videostat("history", *options).stdout


@pytest.mark.usefixtures("seen")
def test_a_failure_is_told_with_its_code(videostat: Videostat) -> None:
    (line,) = (line for line in videostat("history", tty=("stdout",)).lines if "luck" in line)
    assert line.endswith("luck (code LUCK)")


@pytest.mark.parametrize("since", ["yesterday", "-1d", "", "9999999d"])
def test_a_time_that_cannot_be_read_is_told(videostat: Videostat, since: str) -> None:
    got = videostat("history", f"--since={since}")
    assert (got.code, got.stdout) == (2, "")
    assert "is not a duration" in got.stderr


def test_no_history_is_an_empty_one(videostat: Videostat) -> None:
    got = videostat("history")
    assert (got.code, got.stdout, got.stderr) == (0, "", "")
    assert not locate_history().exists()


def test_without_a_home_folder_it_is_said_why_nothing_is_remembered(
    videostat: Videostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videostat.history.locate_history", lambda: Path("~/videostat/history.db"))
    got = videostat("history")
    assert (got.code, got.stdout) == (0, "")
    assert got.stderr == "videostat: there is no home folder, so nothing is remembered: set HOME\n"


def test_a_damaged_history_is_told_and_left_as_it_is(videostat: Videostat) -> None:
    locate_history().parent.mkdir(parents=True)
    locate_history().write_bytes(b"no database" * 1000)
    got = videostat("history")
    assert (got.code, got.stdout) == (2, "")
    assert "it is damaged" in got.stderr
    assert locate_history().read_bytes() == b"no database" * 1000


def test_a_newer_history_is_told(videostat: Videostat) -> None:
    locate_history().parent.mkdir(parents=True)
    with closing(sqlite3.connect(locate_history())) as db:
        db.execute("PRAGMA user_version = 99")
    got = videostat("history")
    assert got.code == 2
    assert "a newer videostat wrote it" in got.stderr


def test_a_provider_that_nothing_is_called_is_a_mistake(videostat: Videostat) -> None:
    got = videostat("history", "--provider", "joggg")
    assert (got.code, got.stdout) == (2, "")
    assert "Did you mean jogg?" in got.stderr
    assert videostat("history", "--provider", "jogg").code == 0


def remembered(videostat: Videostat) -> list[str]:
    return [f"{answer['provider']}:{answer['id']}" for answer in videostat("history", "--all", "--json").objects]


ALL = ["running", "queued", "failed", "kept", "lost", "never-saved", "old"]


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize(
    ("words", "forgotten", "said"),
    [
        (["jogg", "failed", "kept", "failed"], {"failed", "kept"}, "Forgotten: 2 jobs.\n"),
        (["jogg:failed", "doubao", "queued"], {"failed", "queued"}, "Forgotten: 2 jobs.\n"),
        (["--older-than", "90d"], set(), "Nothing was forgotten.\n"),
        (["--older-than", "30d"], {"old"}, "Forgotten: 1 job.\n"),
        (["--older-than", "150m"], {"kept", "lost", "never-saved", "old"}, "Forgotten: 4 jobs.\n"),
        (["--all"], {*ALL}, "Forgotten: 7 jobs.\n"),
    ],
)
def test_jobs_are_forgotten_and_no_others(
    videostat: Videostat, tmp_path: Path, words: list[str], forgotten: set[str], said: str
) -> None:
    got = videostat("history", "forget", *words)
    assert (got.code, got.stdout, got.stderr) == (0, "", said)
    assert [each.partition(":")[2] for each in remembered(videostat)] == [each for each in ALL if each not in forgotten]
    assert (tmp_path / "kept.mp4").exists()


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give one of PROVIDER ID..., --older-than TIME and --all"),
        (["--all", "jogg", "failed"], "give one of PROVIDER ID..."),
        (["--all", "--older-than", "1d"], "give one of PROVIDER ID..."),
        (["jogg"], "no job id after jogg"),
        (["--older-than", "soon"], "is not a duration"),
        (["--older-than", "90", "d"], "write 90d"),
    ],
)
def test_what_names_no_jobs_forgets_none(videostat: Videostat, words: list[str], said: str) -> None:
    got = videostat("history", "forget", *words)
    assert (got.code, got.stdout) == (2, "")
    assert said in got.stderr
    assert len(remembered(videostat)) == len(ALL)


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("words", [["--provider", "jogg"], ["--unfinished"], ["--since=1d"], ["-n", "2"], ["--all"]])
def test_what_narrows_the_list_does_not_seem_to_narrow_what_is_forgotten(
    videostat: Videostat, words: list[str]
) -> None:
    got = videostat("history", *words, "forget", "--all")
    assert got.code == 2
    assert f"{words[0].partition('=')[0].replace('-n', '--limit')} filters the list" in got.stderr
    assert len(remembered(videostat)) == len(ALL)


@pytest.mark.usefixtures("seen")
def test_a_job_that_is_not_there_is_told_and_the_others_are_forgotten(videostat: Videostat) -> None:
    got = videostat("history", "forget", "jogg", "failed", "fialed")
    assert got.code == 2
    assert got.stderr.startswith("Forgotten: 1 job.\nvideostat: not in the history: jogg fialed\n")
    assert "jogg:failed" not in remembered(videostat)


def test_where_there_is_no_history_nothing_is_forgotten_and_none_is_made(videostat: Videostat) -> None:
    assert videostat("history", "forget", "--all").stderr == "Nothing was forgotten.\n"
    assert videostat("history", "forget", "jogg", "x").code == 2
    assert not locate_history().exists()


def test_a_damaged_history_forgets_nothing(videostat: Videostat) -> None:
    locate_history().parent.mkdir(parents=True)
    locate_history().write_bytes(b"no database" * 1000)
    for words in (["--all"], ["jogg", "x"]):
        got = videostat("history", "forget", *words)
        assert (got.code, "it is damaged" in got.stderr) == (2, True)


def test_damaged_records_are_forgotten_with_all_others(videostat: Videostat) -> None:
    with closing(History(locate_history(), warn=pytest.fail)) as history:
        history.add([JobRef("jogg", "a"), JobRef("jogg", "b")], NOW)
    with closing(sqlite3.connect(locate_history())) as db, db:
        db.execute("UPDATE job SET first_seen = 'x', id = '' WHERE id = 'a'")
    assert videostat("history", "forget", "--all").stderr == "Forgotten: 2 jobs.\n"
    assert videostat("history", "forget", "--all").stderr == "Nothing was forgotten.\n"


def test_the_command_that_is_printed_forgets_what_was_left_aside(videostat: Videostat) -> None:
    ids = ["proj_1", "-dashed", "with:colon"]
    refs = [*(JobRef("jogg", job_id) for job_id in ids), JobRef("not-configured-any-more", "x")]
    with closing(History(locate_history(), warn=pytest.fail)) as history:
        history.add(refs, NOW - timedelta(days=40))
    told = videostat("status", "--unfinished").stderr.splitlines()
    commands = [line.split() for line in told if line.startswith("  videostat history forget ")]
    assert len(commands) == 2
    for command in commands:
        assert videostat(*command[1:]).code == 0
    assert remembered(videostat) == []
