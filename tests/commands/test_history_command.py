"""videostat history: what this machine has seen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from videostat.history import History, default_path
from videostat.models import Job, JobRef, Saved, State

if TYPE_CHECKING:
    from pathlib import Path

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
        Job(ref=JobRef("jogg", "failed"), state=State.FAILED, error="no \x1b[31mluck"),
        Job(ref=JobRef("jogg", "kept"), state=State.SUCCEEDED, saved=Saved(file=video, bytes=4_200_000)),
        Job(ref=JobRef("jogg", "lost"), state=State.SUCCEEDED, saved=Saved(file=tmp_path / "lost.mp4", bytes=5)),
        Job(ref=JobRef("reelbot", "never-saved"), state=State.SUCCEEDED),
        Job(ref=JobRef("jogg", "old"), state=State.SUCCEEDED),
    ]
    with closing(History(default_path(), warn=pytest.fail)) as history:
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


@pytest.mark.parametrize("since", ["yesterday", "-1d", "", "9999999d"])
def test_a_time_that_cannot_be_read_is_told(videostat: Videostat, since: str) -> None:
    got = videostat("history", f"--since={since}")
    assert (got.code, got.stdout) == (2, "")
    assert "is not a duration" in got.stderr


def test_no_history_is_an_empty_one(videostat: Videostat) -> None:
    got = videostat("history")
    assert (got.code, got.stdout, got.stderr) == (0, "", "")
    assert not default_path().exists()


def test_a_damaged_history_is_told_and_left_as_it_is(videostat: Videostat) -> None:
    default_path().parent.mkdir(parents=True)
    default_path().write_bytes(b"no database" * 1000)
    got = videostat("history")
    assert (got.code, got.stdout) == (2, "")
    assert "it is damaged" in got.stderr
    assert default_path().read_bytes() == b"no database" * 1000


def test_a_newer_history_is_told(videostat: Videostat) -> None:
    default_path().parent.mkdir(parents=True)
    with closing(sqlite3.connect(default_path())) as db:
        db.execute("PRAGMA user_version = 99")
    got = videostat("history")
    assert got.code == 2
    assert "a newer videostat wrote it" in got.stderr


def test_a_provider_that_nothing_is_called_is_a_mistake(videostat: Videostat) -> None:
    got = videostat("history", "--provider", "joggg")
    assert (got.code, got.stdout) == (2, "")
    assert "Did you mean jogg?" in got.stderr
    assert videostat("history", "--provider", "jogg").code == 0
