"""Test the notices that are given once about a waiting job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import FakeClock

from videostat.errors import NotFound, RateLimited
from videostat.models import Job, JobRef, State
from videostat.render.notices import STALLED, Notices

A, B = JobRef("doubao", "a"), JobRef("doubao", "b")
RUNNING = Job(ref=A, state=State.RUNNING, status="IN_PROGRESS", progress=10)
UNKNOWN = Job(ref=A, state=State.UNKNOWN, status="DREAMING")
USUAL = 180.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def notices(clock: FakeClock) -> Notices:
    return Notices(clock, lambda _: USUAL)


def test_undocumented_word_is_reported_once_per_provider(notices: Notices) -> None:
    (sentence,) = notices.check(UNKNOWN)
    assert "'DREAMING'" in sentence
    assert "still waiting" in sentence
    assert list(notices.check(UNKNOWN)) == []
    assert list(notices.check(replace(UNKNOWN, ref=B))) == []
    assert len(list(notices.check(replace(UNKNOWN, status="SLEEPING")))) == 1


def test_undocumented_word_is_reported_again_for_another_provider(clock: FakeClock) -> None:
    other = JobRef("reelbot", "a")
    notices = Notices(clock, lambda _: USUAL)
    assert len(list(notices.check(UNKNOWN))) == 1
    assert len(list(notices.check(replace(UNKNOWN, ref=other)))) == 1


def test_undocumented_word_is_shown_in_printable_ascii(notices: Notices) -> None:
    (sentence,) = notices.check(replace(UNKNOWN, status="\x1b[31m\u202eodd"))
    assert sentence.isascii()
    assert sentence.isprintable()


@pytest.mark.parametrize(
    "job", [RUNNING, replace(RUNNING, status="anything"), replace(UNKNOWN, status=None), replace(UNKNOWN, status="")]
)
def test_known_or_missing_word_gives_no_notice(notices: Notices, job: Job) -> None:
    assert list(notices.check(job)) == []


def test_hint_of_an_error_gives_a_notice_except_for_a_rate_limit(notices: Notices) -> None:
    for error, count in ((RateLimited("slow down", hint="Ask later."), 0), (NotFound("none", hint="Check the id."), 1)):
        assert len([*notices.check(replace(RUNNING, problem=error))]) == count


@pytest.mark.parametrize(
    ("times", "told_at"),
    [
        ((0, STALLED * USUAL - 1), []),
        ((0, STALLED * USUAL), [STALLED * USUAL]),
        ((0, 100, 800, 900, 5000), [800]),
        ((500, STALLED * USUAL + 400, STALLED * USUAL + 500), [STALLED * USUAL + 500]),
    ],
)
def test_job_unchanged_for_four_times_its_usual_time_is_reported_once(
    notices: Notices, clock: FakeClock, times: tuple[float, ...], told_at: list[float]
) -> None:
    found = []
    for clock.time in times:
        found += [clock.time for _ in notices.check(RUNNING)]
    assert found == told_at


def test_stall_notice_shows_the_elapsed_and_the_usual_time(notices: Notices, clock: FakeClock) -> None:
    list(notices.check(RUNNING))
    clock.time = 15 * 60
    (sentence,) = notices.check(RUNNING)
    assert sentence == "doubao a: no change for 15 minutes; such a job usually takes 3 minutes"


@pytest.mark.parametrize(
    "changed",
    [
        replace(RUNNING, state=State.QUEUED),
        replace(RUNNING, status="RUNNING"),
        replace(RUNNING, progress=11),
        replace(RUNNING, message="step 2 of 3"),
    ],
)
def test_any_change_of_a_job_restarts_its_stall_time(notices: Notices, clock: FakeClock, changed: Job) -> None:
    list(notices.check(RUNNING))
    clock.time = 700
    assert list(notices.check(changed)) == []
    clock.time = 1400
    assert list(notices.check(changed)) == []
    clock.time = 1420
    assert len(list(notices.check(changed))) == 1


def test_each_job_has_its_own_stall_time(notices: Notices, clock: FakeClock) -> None:
    list(notices.check(RUNNING))
    clock.time = 400
    list(notices.check(replace(RUNNING, ref=B)))
    clock.time = 800
    assert len(list(notices.check(RUNNING))) == 1
    assert list(notices.check(replace(RUNNING, ref=B))) == []


def test_ended_job_does_not_stall(notices: Notices, clock: FakeClock) -> None:
    list(notices.check(RUNNING))
    clock.time = 1e6
    assert list(notices.check(replace(RUNNING, ended=True))) == []
