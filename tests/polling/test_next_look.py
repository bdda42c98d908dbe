"""The fields of a job about its next look, for every row of the course: `hint`, `retryable` and `poll_after`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import JOGG, VIDEO, Answer, Scene, ref

from videostat import errors
from videostat.models import Job, State
from videostat.polling.course import COURSE
from videostat.polling.options import PollOptions
from videostat.polling.pace import add_next_look
from videostat.providers.base import Meaning

OUTCOMES: dict[Meaning, State | type[errors.VideostatError]] = {
    Meaning.RUNNING: State.RUNNING,
    Meaning.SUCCESS: State.SUCCEEDED,
    Meaning.FAILED: State.FAILED,
    Meaning.GONE: errors.Gone,
    Meaning.BROKEN: errors.ServiceError,
    Meaning.MISSING: errors.NotFound,
    Meaning.KEY: errors.KeyRefused,
    Meaning.CREDIT: errors.OutOfCredit,
    Meaning.LIMIT: errors.RateLimited,
    Meaning.BUSY: errors.ServerError,
    Meaning.FOREIGN: errors.Unreadable,
}
assert {*OUTCOMES} == {*Meaning}


def make_answer(meaning: Meaning, *, sure: bool) -> Answer:
    kind = OUTCOMES[meaning]
    if isinstance(kind, State):
        url = VIDEO if sure else None
        return lambda job: Job(ref=job.ref, state=kind, status="word", sure=sure, video_url=url)
    return kind("said", sure=sure)


def can_help(meaning: Meaning, *, sure: bool) -> bool | None:
    """Tell whether asking again can help; None if the video is there."""
    if meaning is Meaning.SUCCESS and sure:
        return None
    if meaning in {Meaning.FAILED, Meaning.MISSING, Meaning.KEY, Meaning.CREDIT, Meaning.GONE}:
        return not sure
    return meaning is not Meaning.BROKEN


@pytest.mark.parametrize("row", COURSE, ids=lambda row: "-".join(map(str, row)))
@pytest.mark.parametrize("looks", [3, None], ids=["status", "wait"])
def test_hint_retryable_and_poll_after_fit_each_row_of_the_course(row: tuple[object, ...], looks: int | None) -> None:
    meaning, sure, worked, *_ = row
    assert isinstance(meaning, Meaning)
    for is_sure in {True, False} if sure is None else {bool(sure)}:
        past = {"worked": bool(worked), "account_worked": bool(worked)}
        scene = Scene({"a": [make_answer(meaning, sure=is_sure), ...]}, JOGG, PollOptions(attempts=looks, timeout=100))
        scene.past = past
        for job in scene.play().told:
            if not job.ended:
                assert job.retryable
                assert job.poll_after is not None
                assert job.poll_after >= JOGG.floor
            elif not isinstance(job.problem, errors.Stopped | errors.Unreachable):
                result = add_next_look(job, JOGG)
                assert result.retryable is can_help(meaning, sure=getattr(job.problem, "sure", job.sure))
                assert (result.poll_after is not None) == bool(result.retryable)
                assert (result.poll_after or JOGG.floor) >= JOGG.floor
                assert result.hint or not result.retryable
                assert not result.retryable or not result.terminal or result.state.is_terminal


@pytest.mark.parametrize(
    ("problem", "seconds"),
    [
        (errors.RateLimited("later", retry_after=1800), 1800),
        (errors.ServerError("soon", retry_after=1), 10),
        (errors.Unreadable("a page"), 10),
        (errors.TimedOut("late"), 10),
        (errors.NotReady("not yet"), 10),
        (errors.NotFound("gone", sure=True), None),
    ],
)
def test_poll_after_is_retry_after_but_at_least_the_interval(
    problem: errors.VideostatError, seconds: float | None
) -> None:
    job = Job(ref=ref("a"), state=State.RUNNING, problem=problem, ended=True)
    assert add_next_look(job, JOGG).poll_after == seconds


def test_only_an_ended_job_that_may_be_looked_at_again_says_when() -> None:
    done = Job(ref=ref("a"), state=State.SUCCEEDED, video_url="https://x/v", ended=True, poll_after=5)
    assert add_next_look(done, JOGG).poll_after is None
    assert add_next_look(replace(done, ended=False), JOGG).poll_after == 5
    assert add_next_look(replace(done, problem=errors.ServerError("busy")), JOGG).poll_after == 10
