"""Walk the tables of the course."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes import JOGG

from videostat import errors
from videostat.errors import (
    Gone,
    KeyMissing,
    KeyRefused,
    NoConnection,
    NotFound,
    NotReady,
    OutOfCredit,
    RateLimited,
    Retryable,
    ServerError,
    ServiceError,
    Unreadable,
    Untrusted,
    VideostatError,
)
from videostat.models import Job, JobRef, State
from videostat.polling.course import (
    FRESH,
    Again,
    Decision,
    End,
    EndGroup,
    Next,
    Past,
    Pause,
    after_answer,
    after_error,
)
from videostat.polling.options import Phase

JOB = Job(ref=JobRef("jogg", "a"))


def after(error: VideostatError, past: Past = FRESH, *, phase: Phase = Phase.LOOK, waits: bool = True) -> Decision:
    return after_error(error, phase, past, JOGG, waits=waits, jitter=1)


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        *((kind, EndGroup) for kind in (KeyRefused, KeyMissing, OutOfCredit)),
        (RateLimited, Pause),
        *((kind, Again) for kind in (NotFound, ServerError, NoConnection, Unreadable, NotReady)),
        *((kind, End) for kind in (Gone, ServiceError, Untrusted)),
    ],
)
def test_each_kind_of_error_has_one_decision(kind: type[VideostatError], decision: type[Decision]) -> None:
    assert type(after(kind("oh"))) is decision


def test_no_class_of_the_error_tree_is_without_a_decision() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VideostatError)]
    for kind in kinds:
        error = kind(2) if kind is errors.Interrupted else kind("oh")
        assert isinstance(after(error), Decision)


@pytest.mark.parametrize("phase", [Phase.SAVE, Phase.EXEC])
@pytest.mark.parametrize("error", [KeyRefused("oh"), RateLimited("oh"), Retryable("oh"), NotFound("oh")])
def test_a_step_of_our_own_is_not_repeated(phase: Phase, error: VideostatError) -> None:
    assert after(error, phase=phase) == End(error)


def test_a_missing_job_is_looked_at_twice_by_who_waits() -> None:
    error = NotFound("oh")
    assert after(error) == Again(error, JOGG.floor, Past(missing=1))
    assert after(error, Past(missing=1)) == End(error)
    assert after(error, waits=False) == End(error)


def test_pauses_grow_and_are_never_below_the_floor() -> None:
    error, past, waits = ServerError("oh"), FRESH, []
    for _ in range(5):
        again = after(error, past)
        assert isinstance(again, Again)
        past = again.past
        waits.append(again.wait)
    assert waits == [10, 20, 40, 60, 60]
    assert past == Past(pause=60)


def test_the_service_may_ask_for_a_longer_pause() -> None:
    error = ServerError("oh", retry_after=300)
    assert after(error) == Again(error, 300, Past(pause=10))


def test_a_request_that_never_arrived_does_not_count_for_the_floor() -> None:
    error = NoConnection("oh")
    assert after(error) == Again(error, 1, Past(pause=1))


@pytest.mark.parametrize(
    ("known", "decision"),
    [
        ({"state": State.QUEUED}, Next(Phase.LOOK)),
        ({"state": State.RUNNING}, Next(Phase.LOOK)),
        ({"state": State.UNKNOWN}, Next(Phase.LOOK)),
        ({"state": State.FAILED}, End()),
        ({"state": State.SUCCEEDED}, End()),
        ({"state": State.SUCCEEDED, "needs_url": True}, Next(Phase.URL)),
        ({"state": State.SUCCEEDED, "video_url": "https://x/v"}, Next(Phase.SAVE)),
    ],
)
def test_what_is_known_of_a_job_says_where_it_goes(known: dict[str, Any], decision: Decision) -> None:
    assert after_answer(replace(JOB, **known), Phase.LOOK, (Phase.SAVE, Phase.EXEC), waits=True) == decision


def test_a_job_with_a_video_walks_through_the_steps() -> None:
    job, steps = replace(JOB, state=State.SUCCEEDED, video_url="https://x/v"), (Phase.SAVE, Phase.EXEC)
    phase, way = Phase.URL, []
    while isinstance(decision := after_answer(job, phase, steps, waits=True), Next):
        phase = decision.phase
        way.append(phase)
    assert way == [Phase.SAVE, Phase.EXEC]
    assert after_answer(job, Phase.LOOK, (), waits=True) == End()


def test_who_only_looks_does_not_look_again() -> None:
    assert after_answer(replace(JOB, state=State.RUNNING), Phase.LOOK, (), waits=False) == End()
