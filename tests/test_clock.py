from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from videostat import clock as module
from videostat.clock import Clock


class Deaf(SimpleQueue[Any]):
    """Brings nothing, at once, and remembers how long it should have taken."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - as inherited
        self.timeouts.append(timeout)
        raise Empty


@pytest.mark.parametrize("speed", [1, 1_000])
def test_time_passes_as_fast_as_the_clock_runs(speed: float) -> None:
    clock = Clock(speed)
    real, ours = time.monotonic(), clock.monotonic()
    clock.sleep(0.002 * speed)
    passed = clock.monotonic() - ours
    assert 0.002 * speed <= passed <= (time.monotonic() - real) * speed + 1e-6 * speed < speed


def test_the_wall_clock_runs_as_fast() -> None:
    clock = Clock(1000)
    real, wall = time.monotonic(), clock.now()
    clock.sleep(20)
    passed = (clock.now() - wall).total_seconds()
    assert 19 < passed < (time.monotonic() - real) * 1000 + 1


def test_it_is_now_when_the_clock_begins() -> None:
    assert abs(Clock(10).now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert Clock().now().tzinfo is UTC


def test_a_computer_that_was_asleep_knows_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=3)

    monkeypatch.setattr(module, "datetime", Later)
    assert abs(clock.now() - Later.now(UTC)) < timedelta(seconds=1)
    assert clock.monotonic() < 3600


def test_what_is_in_the_inbox_comes_at_once() -> None:
    inbox = SimpleQueue[str]()
    inbox.put("first")
    inbox.put("second")
    assert [Clock().wait(inbox, 3_600), Clock().wait(inbox, 0)] == ["first", "second"]


def test_nothing_comes_when_the_time_has_passed() -> None:
    clock = Clock(1_000)
    began = clock.monotonic()
    assert clock.wait(SimpleQueue[str](), 2) is None
    assert clock.monotonic() - began >= 2


@pytest.mark.parametrize(
    ("speed", "seconds", "timeout"),
    [(1, 0.1, 0.1), (10, 1, 0.1), (1, 3_600, 0.25), (1, float("inf"), 0.25), (10, 100, 0.25), (1, 0, 0), (1, -5, 0)],
)
def test_a_wait_is_a_quarter_of_a_real_second_at_most(speed: float, seconds: float, timeout: float) -> None:
    inbox = Deaf()
    assert Clock(speed).wait(inbox, seconds) is None
    assert inbox.timeouts == [timeout]
