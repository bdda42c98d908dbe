"""videostat status of a job that was looked at a moment ago: the history answers, and no request is made."""

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
    """Life's own, where a test does not wait; time is skipped."""
    return 1


@pytest.fixture
def skip(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass at once."""
    passed = [0.0]
    now, monotonic = clock.now, clock.monotonic

    def later() -> datetime:
        return datetime.fromtimestamp(now().timestamp() + passed[0], UTC)

    monkeypatch.setattr(clock, "now", later)
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + passed[0])

    def skip(seconds: float) -> None:
        passed[0] += seconds

    return skip


def test_a_loop_of_looks_asks_no_more_often_than_the_floor(
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


def test_quiet_says_the_state_alone(videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None]) -> None:
    videostat("status", "jogg", "proj_stuck")
    skip(1)
    got = videostat("status", "-q", "jogg", "proj_stuck", "--exit-status")
    assert (got.code, got.lines, got.stderr) == (8, ["queued"], "")
    assert len(sandbox.requests) == 1


def test_of_several_only_those_that_are_due_are_asked_and_the_order_stays(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None]
) -> None:
    videostat("status", "jogg", "proj_stuck", "proj_stuck_b")
    skip(1)
    got = videostat("status", "jogg:proj_stuck", "doubao:task_stuck", "jogg:proj_stuck_b")
    assert [row[1] for row in got.rows] == ["proj_stuck", "task_stuck", "proj_stuck_b"]
    assert "2 jobs: answered from the history, seen 1s ago" in got.stderr
    assert len(sandbox.requests) == 3


def test_a_wait_that_ends_before_it_may_ask_tells_what_is_known(videostat: Videostat, sandbox: Sandbox) -> None:
    videostat("status", "jogg", "proj_stuck")
    got = videostat("wait", "jogg", "proj_stuck", "--timeout", "3", "--json")
    assert (got.code, [each["state"] for each in got.objects]) == (124, ["queued"])
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("job", "options"), [("jogg:proj_done", ()), ("jogg:proj_stuck", ("--no-history",)), ("jogg:nope", ())]
)
def test_what_has_ended_or_is_not_remembered_is_asked_as_before(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None], job: str, options: tuple[str, ...]
) -> None:
    videostat("status", job)
    skip(1)
    assert "seen" not in videostat("status", job, *options).stderr
    assert len(sandbox.requests) == 2


def test_another_address_is_another_service(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, skip: Callable[[float], None]
) -> None:
    videostat("status", "jogg", "proj_stuck")
    skip(1)
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", sandbox.get_base_url("jogg").replace("127.0.0.1", "localhost"))
    videostat("status", "jogg", "proj_stuck")
    assert len(sandbox.requests) == 2


def test_an_answer_from_what_is_now_another_accounts_address_is_none(
    videostat: Videostat, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, skip: Callable[[float], None]
) -> None:
    videostat("status", "doubao", "task_stuck")
    skip(1)
    monkeypatch.setenv("VIDEOSTAT_JOGG_BASE_URL", sandbox.get_base_url("doubao"))
    monkeypatch.setenv("VIDEOSTAT_DOUBAO_BASE_URL", sandbox.get_base_url("doubao").replace("127.0.0.1", "localhost"))
    got = videostat("status", "doubao:task_stuck", "jogg:nope")
    assert "seen" not in got.stderr
    assert sum("task_stuck" in request.path for request in sandbox.requests) == 2


def test_a_clock_that_was_put_back_hides_no_job(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None]
) -> None:
    videostat("status", "jogg", "proj_stuck")
    skip(-3600)
    videostat("status", "jogg", "proj_stuck")
    assert len(sandbox.requests) == 2


@pytest.mark.parametrize("speed", [100])
@pytest.mark.parametrize("command", [("wait", "--timeout", "14s"), ("download",)])
def test_no_other_command_looks_under_the_floor(
    videostat: Videostat, sandbox: Sandbox, command: tuple[str, ...]
) -> None:
    videostat("status", "jogg", "proj_stuck")
    videostat(*command, "jogg", "proj_stuck", "--json")
    first, second = (request.at for request in sandbox.requests)
    assert (second - first).total_seconds() >= FLOOR


@pytest.mark.parametrize("speed", [100])
@pytest.mark.parametrize("job", ["jogg:proj_x", "doubao:task_x", "reelbot:reel_x"])
def test_a_process_for_each_look_that_sleeps_between_asks_no_more_than_a_wait(
    videostat: Videostat, sandbox: Sandbox, skip: Callable[[float], None], job: str
) -> None:
    """Each call has a client of its own, and all that it knows of the last one is in the history's file."""
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
