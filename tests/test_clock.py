from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videostat import clock as module
from videostat.clock import Backoff, Clock, format_duration, parse_duration


class EmptyQueue(SimpleQueue[Any]):
    """A queue that is always empty, never waits, and records the timeouts."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - as inherited
        self.timeouts.append(timeout)
        raise Empty


@pytest.mark.parametrize("speed", [1, 1_000])
def test_monotonic_time_runs_at_the_speed_of_the_clock(speed: float) -> None:
    clock = Clock(speed)
    real, ours = time.monotonic(), clock.monotonic()
    clock.sleep(0.002 * speed)
    passed = clock.monotonic() - ours
    assert 0.002 * speed <= passed <= (time.monotonic() - real) * speed + 1e-6 * speed < speed


def test_wall_time_runs_at_the_speed_of_the_clock() -> None:
    clock = Clock(1000)
    real, wall = time.monotonic(), clock.now()
    clock.sleep(20)
    passed = (clock.now() - wall).total_seconds()
    assert 19 < passed < (time.monotonic() - real) * 1000 + 1


def test_clock_starts_at_the_current_utc_time() -> None:
    assert abs(Clock(10).now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert Clock().now().tzinfo is UTC


def test_wall_time_is_right_after_the_computer_was_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=3)

    monkeypatch.setattr(module, "datetime", Later)
    assert abs(clock.now() - Later.now(UTC)) < timedelta(seconds=1)
    assert clock.monotonic() < 3600


def test_wait_returns_queued_messages_immediately() -> None:
    inbox = SimpleQueue[str]()
    inbox.put("first")
    inbox.put("second")
    assert [Clock().wait(inbox, 3_600), Clock().wait(inbox, 0)] == ["first", "second"]


def test_wait_returns_none_after_its_time() -> None:
    clock = Clock(1_000)
    began = clock.monotonic()
    assert clock.wait(SimpleQueue[str](), 2) is None
    assert clock.monotonic() - began >= 2


@pytest.mark.parametrize(
    ("speed", "seconds", "timeout"),
    [(1, 0.1, 0.1), (10, 1, 0.1), (1, 3_600, 0.25), (1, float("inf"), 0.25), (10, 100, 0.25), (1, 0, 0), (1, -5, 0)],
)
def test_wait_takes_at_most_a_quarter_of_a_real_second(speed: float, seconds: float, timeout: float) -> None:
    inbox = EmptyQueue()
    assert Clock(speed).wait(inbox, seconds) is None
    assert inbox.timeouts == [timeout]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("2.5", 2.5),
        ("45s", 45),
        ("10m", 600),
        ("1h30m", 5400),
        ("7d", 604800),
        ("1d2h3m4s", 93784),
        ("3650d", 315360000),
    ],
)
def test_duration_is_parsed_into_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-5", "+5", "-1m", "nan", "inf", "1e3", "soon", "5x", "10 m", " 10m", "10m ", "10m\n", "10M"),
        *("1h30", "30m1h", "1m1m", ".5", "5.", "1,5", "\u0663", "\uff13", "0x10", "1_000", "3651d", "999999999h"),
        *("9" * 10, "9" * 10_000),
    ],
)
def test_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the callers write the message
        parse_duration(text)


@given(st.text(alphabet="0123456789.dhms -+einfa", max_size=30))
def test_parsed_duration_is_between_zero_and_ten_years(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_duration(text) <= 3650 * 86400


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (0.4, "<1s"),
        (0.6, "1s"),
        (59.4, "59s"),
        (59.6, "1m"),
        (60, "1m"),
        (192, "3m12s"),
        (601, "10m01s"),
        (3599, "59m59s"),
        (3600, "1h"),
        (3660, "1h01m"),
        (3900, "1h05m"),
        (360_000, "4d04h"),
        (604_800, "7d"),
    ],
)
def test_duration_is_formatted_with_at_most_two_units(seconds: float, written: str) -> None:
    assert format_duration(seconds) == written


def test_backoff_doubles_from_the_first_to_the_longest_pause() -> None:
    backoff = Backoff(first=7, longest=60)
    pauses = [backoff.lengthen(0)]
    while pauses[-1] < backoff.longest:
        pauses.append(backoff.lengthen(pauses[-1]))
    assert pauses == [7, 14, 28, 56, 60]
    assert backoff.lengthen(60) == 60
    assert Backoff(first=300, longest=60).lengthen(0) == Backoff(first=300, longest=60).lengthen(300) == 300
