"""What is told once about a job that is waited for."""

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


def test_an_undocumented_word_is_told_once_for_all_jobs_of_the_provider(notices: Notices) -> None:
    (told,) = notices.check(UNKNOWN)
    assert "'DREAMING'" in told
    assert "still waiting" in told
    assert list(notices.check(UNKNOWN)) == []
    assert list(notices.check(replace(UNKNOWN, ref=B))) == []
    assert len(list(notices.check(replace(UNKNOWN, status="SLEEPING")))) == 1


def test_another_provider_has_words_of_its_own(clock: FakeClock) -> None:
    other = JobRef("reelbot", "a")
    notices = Notices(clock, lambda _: USUAL)
    assert len(list(notices.check(UNKNOWN))) == 1
    assert len(list(notices.check(replace(UNKNOWN, ref=other)))) == 1


def test_a_word_is_shown_in_plain_ascii(notices: Notices) -> None:
    (told,) = notices.check(replace(UNKNOWN, status="\x1b[31m\u202eodd"))
    assert told.isascii()
    assert told.isprintable()


@pytest.mark.parametrize(
    "job", [RUNNING, replace(RUNNING, status="anything"), replace(UNKNOWN, status=None), replace(UNKNOWN, status="")]
)
def test_nothing_is_told_of_a_known_word_or_of_none(notices: Notices, job: Job) -> None:
    assert list(notices.check(job)) == []


def test_what_a_rate_limit_advises_is_told_by_its_row_alone(notices: Notices) -> None:
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
def test_a_job_that_has_not_changed_for_four_times_its_usual_time_is_told_once(
    notices: Notices, clock: FakeClock, times: tuple[float, ...], told_at: list[float]
) -> None:
    told = []
    for clock.time in times:
        told += [clock.time for _ in notices.check(RUNNING)]
    assert told == told_at


def test_the_sentence_says_how_long_and_how_long_is_usual(notices: Notices, clock: FakeClock) -> None:
    list(notices.check(RUNNING))
    clock.time = 15 * 60
    (told,) = notices.check(RUNNING)
    assert told == "doubao a: no change for 15 minutes; such a job usually takes 3 minutes"


@pytest.mark.parametrize(
    "changed",
    [
        replace(RUNNING, state=State.QUEUED),
        replace(RUNNING, status="RUNNING"),
        replace(RUNNING, progress=11),
        replace(RUNNING, message="step 2 of 3"),
    ],
)
def test_whatever_changes_the_clock_begins_anew(notices: Notices, clock: FakeClock, changed: Job) -> None:
    list(notices.check(RUNNING))
    clock.time = 700
    assert list(notices.check(changed)) == []
    clock.time = 1400
    assert list(notices.check(changed)) == []
    clock.time = 1420
    assert len(list(notices.check(changed))) == 1


def test_jobs_stall_each_for_themselves(notices: Notices, clock: FakeClock) -> None:
    list(notices.check(RUNNING))
    clock.time = 400
    list(notices.check(replace(RUNNING, ref=B)))
    clock.time = 800
    assert len(list(notices.check(RUNNING))) == 1
    assert list(notices.check(replace(RUNNING, ref=B))) == []


def test_a_job_that_has_ended_does_not_stall(notices: Notices, clock: FakeClock) -> None:
    list(notices.check(RUNNING))
    clock.time = 1e6
    assert list(notices.check(replace(RUNNING, ended=True))) == []
