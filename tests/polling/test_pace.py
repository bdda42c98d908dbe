from __future__ import annotations

import math
from datetime import timedelta

import pytest
from fakes import EPOCH, GATEWAY, JOGG, REELBOT
from hypothesis import given
from hypothesis import strategies as st

from videostat.errors import RateLimited
from videostat.models import Job, JobRef
from videostat.polling.groups import Group, Lane, Mode
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
def test_a_wish_replaces_the_advice_but_not_the_floor(
    polling: Polling, interval: float | None, span: tuple[float, float]
) -> None:
    assert find_interval_range(polling, interval) == span


def test_advice_below_the_floor_is_raised_to_it() -> None:
    assert find_interval_range(Polling(every=(1, 8), floor=4, usual=60), None) == (4, 8)


@given(
    polling=st.sampled_from([JOGG, GATEWAY, REELBOT]),
    interval=st.none() | st.floats(0, 1e6),
    age=st.none() | st.floats(-1e6, 1e6),
    estimate=st.none() | st.floats(-1e9, 1e9),
    jitter=st.floats(0, 1),
)
def test_the_next_look_is_never_under_the_floor_and_in_the_range_or_at_the_advised_age(
    polling: Polling, interval: float | None, age: float | None, estimate: float | None, jitter: float
) -> None:
    born = None if age is None else EPOCH - timedelta(seconds=age)
    wait = choose_next_look(Job(ref=REF, created_at=born, estimated_time=estimate), polling, interval, EPOCH, jitter)
    low, high = find_interval_range(polling, interval)
    assert wait >= polling.floor
    assert low <= wait <= high + 1e-6 or (
        age is not None and wait == pytest.approx(max(polling.first - age, polling.floor))
    )


EARLY_BIRD = Polling(first=30, every=(10, 15), floor=10, usual=210, quickest=180)


@pytest.mark.parametrize(
    ("age", "wait"),
    [(0, 30), (30, 30), (60, 30), (100, 30), (160, 20), (175, 12.5), (180, 12.5), (1000, 12.5), (None, 12.5)],
)
def test_a_job_younger_than_the_quickest_is_looked_at_when_its_age_has_doubled_or_half_a_minute_later(
    age: float | None, wait: float
) -> None:
    born = None if age is None else EPOCH - timedelta(seconds=age)
    assert choose_next_look(Job(ref=REF, created_at=born), EARLY_BIRD, None, EPOCH, 0.5) == wait


@pytest.mark.parametrize(("estimate", "wait"), [(3, 10), (20, 20), (500, 30)])
def test_an_early_look_too_is_brought_forward_or_back_by_an_estimate(estimate: float, wait: float) -> None:
    job = Job(ref=REF, created_at=EPOCH - timedelta(seconds=100), estimated_time=estimate)
    assert choose_next_look(job, EARLY_BIRD, None, EPOCH, 0.5) == wait


def test_who_wishes_an_interval_has_it_from_the_start() -> None:
    job = Job(ref=REF, created_at=EPOCH - timedelta(seconds=100))
    assert choose_next_look(job, EARLY_BIRD, 20, EPOCH, 0.5) == 20


@pytest.mark.parametrize(("is_watched", "wait"), [(True, 12.5), (False, 30)])
def test_a_job_that_somebody_watches_is_looked_at_as_often_as_its_documents_say(
    is_watched: bool,  # noqa: FBT001 - a parameter
    wait: float,
) -> None:
    young = Job(ref=REF, created_at=EPOCH - timedelta(seconds=40))
    assert choose_next_look(young, EARLY_BIRD, None, EPOCH, 0.5, is_watched=is_watched) == wait


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


def hear(group: Group, name: str, meaning: Meaning, now: float, *, sure: bool = False, answer: bool = False) -> None:
    group.on_answer(JobRef("one", name), meaning, now, sure=sure, is_answer=answer, floor=10, least=10)


def test_until_the_first_answer_one_request_is_in_flight_and_a_second_after_5_s() -> None:
    group = Group(left=9)
    assert group.opens_at == -math.inf
    group.on_sent(JobRef("one", "a"), 100)
    assert group.opens_at == 105
    group.on_sent(JobRef("one", "b"), 105)
    assert group.opens_at == math.inf
    hear(group, "b", Meaning.RUNNING, 106, sure=True, answer=True)
    assert group.opens_at == -math.inf


def test_three_jobs_in_a_row_speak_of_the_group_and_one_job_does_not() -> None:
    group = Group(left=9)
    for now in range(5):
        hear(group, "a", Meaning.BUSY, now)
    assert group.turn_at == math.inf
    hear(group, "b", Meaning.FOREIGN, 6)
    hear(group, "c", Meaning.BUSY, 7)
    assert (group.mode, group.turn_at) == (Mode.TROUBLE, 17)


def test_of_a_group_in_trouble_the_next_job_asks_when_the_one_before_is_answered_or_given_up() -> None:
    group = Group(left=9)
    for name in "abc":
        hear(group, name, Meaning.BUSY, 0)
    first, second = JobRef("one", "a"), JobRef("one", "b")
    for is_answered in (True, False):
        group.on_sent(first, 40)
        group.on_given_up(second, 45)
        assert group.turn_at == math.inf
        if is_answered:
            hear(group, "a", Meaning.BUSY, 50)
        else:
            group.on_given_up(first, 50)
        assert group.turn_at < math.inf


def test_an_answer_breaks_the_row_and_ends_the_trouble() -> None:
    group = Group(left=9)
    for name in "ab":
        hear(group, name, Meaning.KEY, 1)
    hear(group, "c", Meaning.RUNNING, 2, sure=True, answer=True)
    hear(group, "d", Meaning.KEY, 3)
    assert group.mode is Mode.OPEN


def test_the_trouble_of_a_group_that_was_just_answered_waits_for_a_floor() -> None:
    group = Group(left=9)
    hear(group, "d", Meaning.RUNNING, 0, sure=True, answer=True)
    for name in "abc":
        hear(group, name, Meaning.BUSY, 9)
    assert group.turn_at == math.inf
    hear(group, "d", Meaning.BUSY, 10)
    assert group.mode is Mode.TROUBLE


def test_an_address_that_has_never_worked_is_given_up_two_minutes_after_the_first_foreign_answer() -> None:
    group = Group(left=9)
    hear(group, "a", Meaning.BUSY, 5)
    assert group.gives_up_at == math.inf
    hear(group, "a", Meaning.FOREIGN, 10)
    hear(group, "b", Meaning.FOREIGN, 20)
    assert group.gives_up_at == 130
    group.ever = True
    assert group.gives_up_at == math.inf


def test_the_floors_of_ten_thousand_jobs_are_not_all_remembered() -> None:
    group = Group(left=9)
    for number in range(10_000):
        hear(group, str(number), Meaning.RUNNING, number, sure=True, answer=True)
    assert len(group.heard_at) < 3000


def test_trouble_in_place_of_a_repeated_refusal_opens_the_group() -> None:
    group = Group(left=9)
    for name in "abc":
        hear(group, name, Meaning.KEY, 0)
    assert group.mode is Mode.REFUSED
    group.on_sent(JobRef("one", "d"), 10)
    hear(group, "d", Meaning.BUSY, 11)
    assert (group.mode, group.verdict) == (Mode.OPEN, None)
