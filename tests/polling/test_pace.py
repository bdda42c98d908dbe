from __future__ import annotations

import math
from datetime import timedelta

import pytest
from fakes import EPOCH, GATEWAY, JOGG, REELBOT
from hypothesis import given
from hypothesis import strategies as st

from videostat.errors import RateLimited
from videostat.models import Job, JobRef
from videostat.polling.keygroups import Group, Lane, Mode
from videostat.polling.pace import Gate, choose_next_look, find_interval_range
from videostat.providers.base import Meaning, Polling

REF = JobRef("one", "a")


@pytest.mark.parametrize(
    ("polling", "interval", "span"),
    [
        (JOGG, None, (10, 15)),
        (JOGG, 12, (12, 12)),
        (JOGG, 3, (10, 10)),
        (REELBOT, 0, (3, 3)),
        (GATEWAY, 900, (900, 900)),
    ],
)
def test_users_interval_replaces_the_service_interval_but_not_the_floor(
    polling: Polling, interval: float | None, span: tuple[float, float]
) -> None:
    assert find_interval_range(polling, interval) == span


def test_service_interval_below_the_floor_is_raised_to_it() -> None:
    assert find_interval_range(Polling(every=(1, 8), floor=4, usual=60), None) == (4, 8)


@given(
    polling=st.sampled_from([JOGG, GATEWAY, REELBOT]),
    interval=st.none() | st.floats(0, 1e6),
    age=st.none() | st.floats(-1e6, 1e6),
    estimate=st.none() | st.floats(-1e9, 1e9),
    jitter=st.floats(0, 1),
)
def test_next_look_keeps_the_floor_and_its_range_or_the_first_age(
    polling: Polling, interval: float | None, age: float | None, estimate: float | None, jitter: float
) -> None:
    born = None if age is None else EPOCH - timedelta(seconds=age)
    wait = choose_next_look(Job(ref=REF, created_at=born, estimated_time=estimate), polling, interval, EPOCH, jitter)
    low, high = find_interval_range(polling, interval)
    assert wait >= polling.floor
    assert low <= wait <= high + 1e-6 or (
        age is not None and wait == pytest.approx(max(polling.first - age, polling.floor))
    )


SLOW_START = Polling(first=30, every=(10, 15), floor=10, usual=210, quickest=180)


@pytest.mark.parametrize(
    ("age", "wait"),
    [(0, 30), (30, 30), (60, 30), (100, 30), (160, 20), (175, 12.5), (180, 12.5), (1000, 12.5), (None, 12.5)],
)
def test_wait_before_the_quickest_time_depends_on_the_age(age: float | None, wait: float) -> None:
    born = None if age is None else EPOCH - timedelta(seconds=age)
    assert choose_next_look(Job(ref=REF, created_at=born), SLOW_START, None, EPOCH, 0.5) == wait


@pytest.mark.parametrize(("estimate", "wait"), [(3, 10), (20, 20), (500, 30)])
def test_early_wait_follows_the_estimate_within_its_limits(estimate: float, wait: float) -> None:
    job = Job(ref=REF, created_at=EPOCH - timedelta(seconds=100), estimated_time=estimate)
    assert choose_next_look(job, SLOW_START, None, EPOCH, 0.5) == wait


def test_users_interval_holds_from_the_start() -> None:
    job = Job(ref=REF, created_at=EPOCH - timedelta(seconds=100))
    assert choose_next_look(job, SLOW_START, 20, EPOCH, 0.5) == 20


@pytest.mark.parametrize(("is_watched", "wait"), [(True, 12.5), (False, 30)])
def test_watched_job_has_no_longer_early_waits(
    is_watched: bool,  # noqa: FBT001 - a parameter
    wait: float,
) -> None:
    young = Job(ref=REF, created_at=EPOCH - timedelta(seconds=40))
    assert choose_next_look(young, SLOW_START, None, EPOCH, 0.5, is_watched=is_watched) == wait


def test_an_empty_lane_never_opens() -> None:
    assert Lane[str](Gate(1)).opens_at == math.inf


def test_a_lane_opens_when_gate_width_and_pause_allow() -> None:
    gate = Gate(width=2, spacing=5)
    lane = Lane[str](gate)
    lane.ready.extend("abc")
    assert lane.opens_at == -math.inf
    lane.on_sent(lane.ready.popleft(), 100)
    assert lane.opens_at == 105
    gate.on_rate_limit(RateLimited("x", retry_after=20), 100, 102, 10, 0.5)
    assert lane.opens_at == 122.5
    lane.on_sent(lane.ready.popleft(), 123)
    assert lane.opens_at == math.inf
    lane.free_place("a")
    assert lane.opens_at == 128


def test_two_lanes_share_a_gate() -> None:
    gate = Gate(width=1, spacing=5)
    one, two = Lane[str](gate), Lane[str](gate)
    two.ready.append("b")
    one.on_sent("a", 100)
    assert two.opens_at == math.inf
    one.free_place("a")
    assert two.opens_at == 105


def test_a_pause_is_never_made_shorter() -> None:
    gate = Gate(width=9)
    gate.on_rate_limit(RateLimited("x", retry_after=20), 0, 1, 10, 0)
    gate.on_rate_limit(RateLimited("y", retry_after=5), 0, 2, 10, 0)
    assert gate.paused_until == 21


def receive_answer(
    group: Group, name: str, meaning: Meaning, now: float, *, sure: bool = False, answer: bool = False
) -> None:
    group.on_answer(JobRef("one", name), meaning, now, sure=sure, is_answer=answer, floor=10, least=10)


def test_second_request_before_the_first_answer_waits_5_s() -> None:
    group = Group(left=9)
    assert group.opens_at == -math.inf
    group.on_sent(JobRef("one", "a"), 100)
    assert group.opens_at == 105
    group.on_sent(JobRef("one", "b"), 105)
    assert group.opens_at == math.inf
    receive_answer(group, "b", Meaning.RUNNING, 106, sure=True, answer=True)
    assert group.opens_at == -math.inf


def test_group_is_in_trouble_after_three_jobs_fail_but_not_after_one() -> None:
    group = Group(left=9)
    for now in range(5):
        receive_answer(group, "a", Meaning.BUSY, now)
    assert group.turn_at == math.inf
    receive_answer(group, "b", Meaning.FOREIGN, 6)
    receive_answer(group, "c", Meaning.BUSY, 7)
    assert (group.mode, group.turn_at) == (Mode.TROUBLE, 17)


def test_next_turn_in_trouble_waits_until_the_asked_job_is_done() -> None:
    group = Group(left=9)
    for name in "abc":
        receive_answer(group, name, Meaning.BUSY, 0)
    first, second = JobRef("one", "a"), JobRef("one", "b")
    for is_answered in (True, False):
        group.on_sent(first, 40)
        group.on_given_up(second, 45)
        assert group.turn_at == math.inf
        if is_answered:
            receive_answer(group, "a", Meaning.BUSY, 50)
        else:
            group.on_given_up(first, 50)
        assert group.turn_at < math.inf


def test_answer_restarts_the_count_of_refusals() -> None:
    group = Group(left=9)
    for name in "ab":
        receive_answer(group, name, Meaning.KEY, 1)
    receive_answer(group, "c", Meaning.RUNNING, 2, sure=True, answer=True)
    receive_answer(group, "d", Meaning.KEY, 3)
    assert group.mode is Mode.OPEN


@pytest.mark.parametrize(("trouble", "mode"), [(Meaning.BUSY, Mode.TROUBLE), (Meaning.KEY, Mode.REFUSED)])
def test_sure_answer_ends_the_trouble_of_a_group(trouble: Meaning, mode: Mode) -> None:
    group = Group(left=9)
    for name in "abc":
        receive_answer(group, name, trouble, 1)
    assert (group.mode, group.opens_at, group.turn_at) == (mode, math.inf, 11)
    receive_answer(group, "d", Meaning.RUNNING, 2, sure=True, answer=True)
    assert (group.mode, group.opens_at, group.turn_at) == (Mode.OPEN, -math.inf, math.inf)
    # One more failure is the first of a new row.
    receive_answer(group, "a", trouble, 30)
    assert group.mode is Mode.OPEN


def test_answered_group_is_not_in_trouble_within_the_floor() -> None:
    group = Group(left=9)
    receive_answer(group, "d", Meaning.RUNNING, 0, sure=True, answer=True)
    for name in "abc":
        receive_answer(group, name, Meaning.BUSY, 9)
    assert group.turn_at == math.inf
    receive_answer(group, "d", Meaning.BUSY, 10)
    assert group.mode is Mode.TROUBLE


def test_new_address_is_given_up_120_s_after_the_first_foreign_answer() -> None:
    group = Group(left=9)
    receive_answer(group, "a", Meaning.BUSY, 5)
    assert group.gives_up_at == math.inf
    receive_answer(group, "a", Meaning.FOREIGN, 10)
    receive_answer(group, "b", Meaning.FOREIGN, 20)
    assert group.gives_up_at == 130
    group.ever = True
    assert group.gives_up_at == math.inf


def test_group_forgets_old_answer_times_of_many_jobs() -> None:
    group = Group(left=9)
    for number in range(10_000):
        receive_answer(group, str(number), Meaning.RUNNING, number, sure=True, answer=True)
    assert len(group.heard_at) < 3000


def test_trouble_in_place_of_a_repeated_refusal_opens_the_group() -> None:
    group = Group(left=9)
    for name in "abc":
        receive_answer(group, name, Meaning.KEY, 0)
    assert group.mode is Mode.REFUSED
    group.on_sent(JobRef("one", "d"), 10)
    receive_answer(group, "d", Meaning.BUSY, 11)
    assert (group.mode, group.verdict) == (Mode.OPEN, None)
