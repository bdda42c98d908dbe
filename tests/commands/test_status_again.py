"""videostat status within the floor after the last look: the history answers, and no request is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Videostat

    from videostat.clock import Clock
    from videostat.sandbox import Sandbox

FLOOR = 10  # seconds, JoggAI's


@pytest.fixture
def speed() -> float:
    """Run in real time: the tests do not wait, but skip time."""
    return 1


@pytest.fixture
def skip(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock by a number of seconds."""
    passed = [0.0]
    now, monotonic = clock.now, clock.monotonic

    def get_now() -> datetime:
        return datetime.fromtimestamp(now().timestamp() + passed[0], UTC)

    monkeypatch.setattr(clock, "now", get_now)
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + passed[0])

    def skip(seconds: float) -> None:
        passed[0] += seconds

    return skip


def test_status_within_the_floor_is_answered_from_the_history(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None]
) -> None:
    first = videostat("status", "jogg", "proj_stuck", "--json")
    skip(3)
    again = videostat("status", "jogg", "proj_stuck", "--json")
    assert len(sandbox.requests) == 1
    (was,), (now,) = first.objects, again.objects
    assert {**now, "poll_after": None} == {**was, "poll_after": None}
    assert FLOOR - 3.5 <= now["poll_after"] <= was["poll_after"] - 3
    assert "answered from the history, seen 3s ago" in again.stderr
    assert (first.stderr, again.code) == ("", 0)
    skip(FLOOR)
    assert videostat("status", "jogg", "proj_stuck").stderr == ""
    assert len(sandbox.requests) == 2


def test_quiet_answer_from_the_history_is_only_the_state(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None]
) -> None:
    videostat("status", "jogg", "proj_stuck")
    skip(1)
    got = videostat("status", "-q", "jogg", "proj_stuck", "--exit-status")
    assert (got.code, got.lines, got.stderr) == (8, ["queued"], "")
    assert len(sandbox.requests) == 1


def test_only_due_jobs_are_asked_and_the_order_is_kept(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None]
) -> None:
    videostat("status", "jogg", "proj_stuck", "proj_stuck_b")
    skip(1)
    got = videostat("status", "jogg:proj_stuck", "doubao:task_stuck", "jogg:proj_stuck_b")
    assert [row[1] for row in got.rows] == ["proj_stuck", "task_stuck", "proj_stuck_b"]
    assert "2 jobs: answered from the history, seen 1s ago" in got.stderr
    assert len(sandbox.requests) == 3


@pytest.mark.slow
def test_wait_shorter_than_the_floor_gives_the_known_state(videostat: Videostat, sandbox: Sandbox) -> None:
    videostat("status", "jogg", "proj_stuck")
    got = videostat("wait", "jogg", "proj_stuck", "--timeout", "3", "--json")
    assert (got.code, [each["state"] for each in got.objects]) == (124, ["queued"])
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("job", "options"), [("jogg:proj_done", ()), ("jogg:proj_stuck", ("--no-history",)), ("jogg:nope", ())]
)
def test_ended_unknown_and_unrecorded_jobs_are_asked_again(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None], job: str, options: tuple[str, ...]
) -> None:
    videostat("status", job)
    skip(1)
    assert "seen" not in videostat("status", job, *options).stderr
    assert len(sandbox.requests) == 2


def test_job_is_asked_again_after_the_base_url_changed(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, skip: Callable[[float], None]
) -> None:
    videostat("status", "jogg", "proj_stuck")
    skip(1)
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", sandbox.get_base_url("jogg").replace("127.0.0.1", "localhost"))
    videostat("status", "jogg", "proj_stuck")
    assert len(sandbox.requests) == 2


def test_answer_from_an_address_of_another_account_is_not_reused(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, skip: Callable[[float], None]
) -> None:
    videostat("status", "doubao", "task_stuck")
    skip(1)
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", sandbox.get_base_url("doubao"))
    monkeypatch.setenv("VIDEOSTAT_DOUBAO_BASE_URL", sandbox.get_base_url("doubao").replace("127.0.0.1", "localhost"))
    got = videostat("status", "doubao:task_stuck", "jogg:nope")
    assert "seen" not in got.stderr
    assert sum("task_stuck" in request.path for request in sandbox.requests) == 2


def test_job_is_asked_again_after_the_clock_was_set_back(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None]
) -> None:
    videostat("status", "jogg", "proj_stuck")
    skip(-3600)
    videostat("status", "jogg", "proj_stuck")
    assert len(sandbox.requests) == 2


@pytest.mark.parametrize("speed", [100])
@pytest.mark.parametrize("command", [("wait", "--timeout", "14s"), ("download",)])
def test_wait_and_download_keep_the_floor_after_status(
    videostat: Videostat, sandbox: Sandbox, command: tuple[str, ...]
) -> None:
    videostat("status", "jogg", "proj_stuck")
    videostat(*command, "jogg", "proj_stuck", "--json")
    first, second = (request.at for request in sandbox.requests)
    assert (second - first).total_seconds() >= FLOOR


@pytest.mark.parametrize("speed", [100])
@pytest.mark.parametrize("job", ["jogg:proj_x", "doubao:task_x", "reelbot:reel_x"])
def test_repeated_status_sends_no_more_requests_than_wait(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None], job: str
) -> None:
    """Each call makes a new client, which knows of the call before only what is in the history file."""
    code, looks = 8, 0
    while code == 8 and looks < 200:
        got = videostat("status", job, "--json", "--exit-status")
        (seen,) = got.objects
        code, looks = got.code, looks + 1
        assert (seen["poll_after"] is None) == seen["terminal"]
        skip(seen["poll_after"] or 0)
    single = len(sandbox.requests)
    assert code == 0
    assert videostat("wait", f"{job}2", "--json").code == 0
    assert single <= len(sandbox.requests) - single + 1, "one more, for the jitter"
    assert looks <= single
