from __future__ import annotations

import math
import re
import signal
import tracemalloc
from collections import Counter
from copy import copy
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from fakes import (
    EPOCH,
    GATEWAY,
    JOGG,
    NEVER,
    REELBOT,
    VIDEO,
    After,
    Answer,
    Scene,
    Script,
    Timeline,
    executed,
    failed,
    ref,
    running,
    saved,
    succeeded,
    targets,
    url_elsewhere,
    url_given,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from videostat.errors import (
    ConfigError,
    ExecFailed,
    ExitCode,
    Gone,
    Interrupted,
    KeyMissing,
    KeyRefused,
    NoConnection,
    NotFound,
    NotReady,
    NotSaved,
    OutOfCredit,
    RateLimited,
    Retryable,
    ServerError,
    ServiceError,
    Stopped,
    TimedOut,
    Unreachable,
    Unreadable,
    Untrusted,
)
from videostat.models import NOT_SAVED_IN_TIME, Job, Saved, State
from videostat.polling import poll
from videostat.polling.keygroups import Group
from videostat.polling.options import Phase, PollOptions, Reply
from videostat.polling.pace import Gate
from videostat.providers.base import Polling

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK, URL, SAVE, EXEC = Phase


def set_age(seconds: float) -> dict[str, Any]:
    """Give the fields of a job that was this many seconds old when the scene began."""
    return {"created_at": EPOCH - timedelta(seconds=seconds)}


def limited(retry_after: float | None = None) -> RateLimited:
    return RateLimited("rate limited", retry_after=retry_after)


def broken(retry_after: float | None = None) -> ServerError:
    return ServerError("broken", retry_after=retry_after)


MISSING = NotFound("no such job", sure=True)
GONE = Gone("expired", sure=True)
REFUSED = KeyRefused("the key was refused", sure=True)
NO_CONNECTION = NoConnection("nobody listens")


# The times of looks


@pytest.mark.parametrize(
    ("polling", "answers", "times"),
    [
        pytest.param(JOGG, [succeeded()], [0], id="finished: once"),
        pytest.param(JOGG, [running(), running(), succeeded()], [0, 10, 20], id="running: at the interval"),
        pytest.param(GATEWAY, [running(), running(), succeeded()], [0, 5, 10], id="interval of another service"),
        pytest.param(
            JOGG, [running(**set_age(0)), running(**set_age(0)), succeeded()], [0, 30, 40], id="new: when 30 s old"
        ),
        pytest.param(JOGG, [running(**set_age(18)), running(), succeeded()], [0, 12, 22], id="18 s old: when 30 s old"),
        pytest.param(JOGG, [running(**set_age(25)), succeeded()], [0, 10], id="25 s old: at the floor"),
        pytest.param(JOGG, [running(**set_age(30)), succeeded()], [0, 10], id="old enough"),
        pytest.param(
            JOGG, [running(**set_age(-5)), running(**set_age(-5)), succeeded()], [0, 35, 45], id="clock differs by 5 s"
        ),
        pytest.param(
            JOGG,
            [running(**set_age(-28_800)), running(**set_age(-28_800)), succeeded()],
            [0, 10, 20],
            id="time zone differs",
        ),
        pytest.param(
            JOGG, [broken(), running(**set_age(0)), succeeded()], [0, 10, 30], id="new, first answer an error"
        ),
        pytest.param(GATEWAY, [running(**set_age(0)), succeeded()], [0, 5], id="new, no first age advised"),
        pytest.param(JOGG, [After(4, running()), After(5, running()), succeeded()], [0, 14, 29], id="slow answers"),
        pytest.param(JOGG, [running(estimated_time=12), succeeded()], [0, 12], id="estimate within the range"),
        pytest.param(JOGG, [running(estimated_time=3), succeeded()], [0, 10], id="estimate before the range"),
        pytest.param(JOGG, [running(estimated_time=99), succeeded()], [0, 15], id="estimate after the range"),
        pytest.param(JOGG, [running(estimated_time=-1), succeeded()], [0, 10], id="negative estimate"),
        pytest.param(JOGG, [lambda job: Job(ref=job.ref, status="new word"), succeeded()], [0, 10], id="unknown state"),
    ],
)
def test_looks_follow_the_advice_of_the_service(polling: Polling, answers: list[Answer], times: list[float]) -> None:
    scene = Scene({"a": answers}, polling).play()
    assert scene.times() == times
    assert scene.codes == {"a": ExitCode.OK}


@pytest.mark.parametrize(("jitter", "times"), [(0, [0, 10, 20]), (0.5, [0, 12.5, 25]), (0.999, [0, 14.995, 29.99])])
def test_the_interval_varies_within_its_range(jitter: float, times: list[float]) -> None:
    assert Scene({"a": [running(), running(), succeeded()]}, jitter=lambda: jitter).play().times() == times


@pytest.mark.parametrize(
    ("interval", "known", "second"),
    [
        pytest.param(12, {}, 12, id="within the range"),
        pytest.param(600, {}, 600, id="longer than advised"),
        pytest.param(10, {}, 10, id="the floor"),
        pytest.param(4, {}, 10, id="below the floor"),
        pytest.param(0, {}, 10, id="zero"),
        pytest.param(12, {"estimated_time": 15}, 12, id="an estimate does not change it"),
        pytest.param(12, set_age(0), 30, id="a new job still waits until it is 30 s old"),
    ],
)
def test_users_interval_replaces_the_service_interval(interval: float, known: dict[str, Any], second: float) -> None:
    scene = Scene({"a": [running(**known), succeeded()]}, options=PollOptions(interval=interval), jitter=lambda: 0.9)
    assert scene.play().times() == [0, second]


# Temporary errors


WORKED = {"worked": True, "account_worked": True}


@pytest.mark.parametrize("error", [broken(), Unreachable("x"), Unreadable("x"), NO_CONNECTION])
@pytest.mark.parametrize(("polling", "pauses"), [(JOGG, [10, 20, 40, 60, 60]), (REELBOT, [3, 6, 12, 24, 48, 60, 60])])
def test_pauses_of_the_group_grow_while_all_its_jobs_meet_errors(
    polling: Polling, pauses: list[float], error: Retryable
) -> None:
    scene = Scene({"a": [*[error] * len(pauses), succeeded()]}, polling, past=WORKED).play()
    assert gaps(scene.times()) == pauses
    assert scene.codes == {"a": ExitCode.OK}


@pytest.mark.parametrize(("jitter", "pauses"), [(1, [10, 20, 40, 60, 60]), (0, [10, 10, 20, 30, 30])])
def test_pauses_of_one_job_grow_while_it_meets_errors(jitter: float, pauses: list[float]) -> None:
    others: dict[str, Script] = {name: [running(), ...] for name in ("b", "c", "d")}
    scene = Scene(
        {"a": [running(), *[broken()] * len(pauses), succeeded()], **others},
        options=PollOptions(timeout=250),
        jitter=lambda: jitter,
    )
    assert gaps(scene.play().times()) == [10 if not jitter else 15, *pauses]
    assert scene.codes["a"] == ExitCode.OK


def test_not_ready_answer_keeps_the_normal_pace() -> None:
    scene = Scene({"a": [running(), NotReady("x"), NotReady("x"), NotReady("x"), succeeded()]})
    assert scene.play().times() == [0, 10, 20, 30, 40]


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def test_good_answer_resets_the_pauses() -> None:
    answers = [broken(), broken(), running(), broken(), broken(), succeeded()]
    scene = Scene({"a": answers}, REELBOT, jitter=lambda: 1)
    assert gaps(scene.play().times()) == [3, 6, 5, 3, 6]


def test_rate_limits_do_not_make_the_pauses_after_errors_longer() -> None:
    scene = Scene({"a": [limited(3), limited(3), limited(3), broken(), succeeded()]}, REELBOT, jitter=lambda: 1)
    assert gaps(scene.play().times()) == [4, 4, 4, 3]


@pytest.mark.parametrize(("retry_after", "second"), [(45, 45), (2, 10), (0, 10)])
def test_retry_after_of_a_server_error_is_kept_but_not_below_the_pause(retry_after: float, second: float) -> None:
    assert Scene({"a": [broken(retry_after), succeeded()]}).play().times() == [0, second]


def test_service_that_stays_down_is_still_asked() -> None:
    scene = Scene({"a": [*[broken()] * 1_100, succeeded()]}, jitter=lambda: 1).play()
    assert len(scene.times()) == 1_101


def test_temporary_error_is_reported_until_the_next_answer() -> None:
    scene = Scene({"a": [running(), broken(), running(), succeeded()]}).play()
    assert [(job.state, type(job.problem), job.ended) for job in scene.told] == [
        (State.RUNNING, type(None), False),
        (State.RUNNING, ServerError, False),
        (State.RUNNING, type(None), False),
        (State.SUCCEEDED, type(None), True),
    ]


# Ends


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (succeeded(), ExitCode.OK),
        (failed(), ExitCode.FAILED),
        (GONE, ExitCode.GONE),
        (ServiceError("x"), ExitCode.UNKNOWN),
        (KeyRefused("x", sure=True), ExitCode.KEY),
        (OutOfCredit("x", sure=True), ExitCode.CREDIT),
    ],
)
def test_final_answer_ends_only_its_job_at_the_first_look(answer: Answer, code: ExitCode) -> None:
    scene = Scene({"a": [answer], "b": [running(), succeeded()], "two:c": [running(), succeeded()]})
    scene.play()
    assert scene.times() == [0]
    assert scene.ended_at["a"] == 0
    assert scene.codes == {"a": code, "b": ExitCode.OK, "two:c": ExitCode.OK}


@pytest.mark.parametrize("answer", [Untrusted("x"), KeyMissing("x")])
def test_untrusted_address_or_missing_key_ends_the_account(answer: Answer) -> None:
    scene = Scene({"a": [answer], "b": [running(), succeeded()], "two:c": [running(), succeeded()]}).play()
    assert scene.codes["b"] == scene.codes["a"] != 0
    assert (scene.codes["two:c"], scene.times("b")) == (0, [])


def test_success_without_a_video_is_looked_at_three_more_times() -> None:
    scene = Scene({"a": [succeeded(None)] * 4}).play()
    assert (scene.times(), scene.codes) == ([0, 10, 20, 30], {"a": 9})
    assert Scene({"a": [succeeded(None), succeeded(None), succeeded()]}).play().codes == {"a": 0}


@pytest.mark.parametrize(
    ("answers", "timeout", "times", "code", "end"),
    [
        pytest.param([MISSING] * 3, 0, [0, 10, 20], ExitCode.GONE, 20, id="final after 20 s"),
        pytest.param([MISSING, succeeded()], 0, [0, 10], ExitCode.OK, 10, id="found at the second look"),
        pytest.param(
            [MISSING, MISSING, running(), succeeded()],
            0,
            [0, 10, 20, 30],
            ExitCode.OK,
            30,
            id="found at the third look",
        ),
        pytest.param([MISSING, broken(), MISSING], 0, [0, 10, 20], ExitCode.GONE, 20, id="an error in between"),
        pytest.param([MISSING], 8, [0], ExitCode.GONE, 8, id="final at the deadline"),
        pytest.param([MISSING, MISSING], 15, [0, 10], ExitCode.GONE, 15, id="final at the deadline after two looks"),
    ],
)
def test_missing_is_final_after_20_s_or_at_the_deadline(
    answers: list[Answer], timeout: float, times: list[float], code: ExitCode, end: float
) -> None:
    scene = Scene({"a": answers}, options=PollOptions(timeout=timeout)).play()
    assert scene.times() == times
    assert scene.codes == {"a": code}
    assert scene.ended_at == {"a": end}


def test_refused_key_ends_looks_but_not_saves_or_commands() -> None:
    refused: Script = [running(), REFUSED, ...]
    scripts: dict[str, Script] = {
        "saving": [succeeded(), After(50, saved()), executed()],
        "running": [succeeded(), saved(), After(50, executed())],
        **dict.fromkeys("abcde", refused),
        "two:other": [running(), running(), succeeded(), saved(), executed()],
    }
    scene = Scene(scripts, options=PollOptions(steps=(SAVE, EXEC))).play()
    assert scene.codes == dict.fromkeys("abcde", 3) | {"saving": 0, "running": 0, "two:other": 0}
    assert {scene.ended_at[name] for name in "abcde"} == {20}


def test_refusal_while_saving_ends_only_that_job() -> None:
    scripts: dict[str, Script] = {"a": [succeeded(), REFUSED], "b": [running(), succeeded(), saved()]}
    assert Scene(scripts, options=PollOptions(steps=(SAVE,))).play().codes == {"a": 3, "b": 0}


def test_unexpected_exception_is_raised_again() -> None:
    with pytest.raises(ZeroDivisionError):
        Scene({"a": [running(), ZeroDivisionError()], "b": [running(), ...]}).play()


def test_poll_without_jobs_yields_nothing() -> None:
    assert Scene({}).play().told == []


# Rate limits


@pytest.mark.parametrize(
    ("polling", "answers", "jitter", "pauses"),
    [
        pytest.param(JOGG, [limited(30)], 0, [30], id="as long as Retry-After"),
        pytest.param(JOGG, [limited(30)], 0.5, [30.5], id="plus up to a second of jitter"),
        pytest.param(JOGG, [limited(2)], 0, [10], id="not below the floor"),
        pytest.param(JOGG, [limited(0)], 0, [10], id="Retry-After 0: the floor"),
        pytest.param(JOGG, [limited()] * 5, 0, [10, 20, 40, 60, 60], id="doubles without Retry-After"),
        pytest.param(REELBOT, [limited()] * 6, 0, [3, 6, 12, 24, 48, 60], id="starts at the interval"),
        pytest.param(REELBOT, [limited(), limited(), running(), limited()], 0, [3, 6, 3, 3], id="an answer resets it"),
        pytest.param(
            REELBOT, [limited(), limited(20), limited()], 0, [3, 20, 6], id="Retry-After does not count as doubling"
        ),
    ],
)
def test_rate_limit_causes_a_pause(polling: Polling, answers: list[Answer], jitter: float, pauses: list[float]) -> None:
    scene = Scene({"a": [*answers, succeeded()]}, polling, jitter=lambda: jitter).play()
    assert gaps(scene.times()) == pauses
    assert scene.codes == {"a": ExitCode.OK}


@pytest.mark.parametrize(
    ("interval", "pauses"), [(4, [4, 8, 16]), (1, [3, 6, 12]), (0, [3, 6, 12]), (90, [90, 90, 90])]
)
def test_pause_without_retry_after_starts_at_the_interval(interval: float, pauses: list[float]) -> None:
    scene = Scene({"a": [*[limited()] * 3, succeeded()]}, REELBOT, PollOptions(interval=interval))
    assert gaps(scene.play().times()) == pauses


def test_rate_limit_pauses_only_its_account() -> None:
    scripts: dict[str, Script] = {
        "a": [running(), limited(100), succeeded()],
        "b": [running(), After(1, running()), succeeded()],
        "two:c": [running(), running(), running(), succeeded()],
    }
    scene = Scene(scripts).play()
    assert scene.times("a") == [0, 10, 110]
    assert scene.times("b") == [0, 10, 110]
    assert scene.times("two:c") == [0, 10, 20, 30]


def test_rate_limit_delays_jobs_that_were_not_asked_yet() -> None:
    scene = Scene({"a": [limited(30), succeeded()], "b": [succeeded()], "c": [succeeded()]}, REELBOT, rate=1).play()
    assert scene.requests == [(0, LOOK, "a"), (30, LOOK, "b"), (31, LOOK, "c"), (32, LOOK, "a")]


def test_rate_limits_of_urls_and_of_looks_are_separate() -> None:
    scripts: dict[str, Script] = {
        "a": [url_elsewhere(), limited(1800), url_given()],
        "b": [running(), running(), limited(100), running(), succeeded()],
        "c": [running(), url_elsewhere(), After(1805, url_given())],
        "d": [running(), url_elsewhere(), url_given()],
    }
    scene = Scene(scripts, REELBOT).play()
    assert scene.times("a", URL) == [0, 1800]
    assert scene.times("b") == [0, 3, 6, 106, 109]
    assert scene.times("c", URL) == [1800]
    assert scene.times("d", URL) == [1800]


def test_urls_keep_their_rate_after_a_group_was_in_trouble() -> None:
    scripts: dict[str, Script] = {
        "c": [url_elsewhere(), broken(), broken(), broken(), url_given()],
        "a": [broken(), After(0.5, url_elsewhere()), url_given()],
        "b": [broken(), succeeded()],
    }
    scene = Scene(scripts, REELBOT, rate=1).play()
    times = sorted(request.at for request in scene.requests if request.phase is URL)
    assert all(after - before >= 1 for before, after in pairwise(times)), times


def test_rate_limits_of_earlier_requests_do_not_lengthen_a_pause() -> None:
    scripts: dict[str, Script] = {
        "a": [running(), limited(), limited(), succeeded()],
        "b": [running(), After(2, limited()), succeeded()],
        "c": [running(), After(5, limited()), succeeded()],
    }
    scene = Scene(scripts, REELBOT).play()
    assert scene.times("a") == [0, 3, 6, 12]
    assert scene.times("b") == [0, 3, 12]
    assert scene.times("c") == [0, 3, 12]


def test_retry_after_of_an_earlier_request_can_lengthen_a_pause() -> None:
    scripts: dict[str, Script] = {
        "a": [running(), limited(20), succeeded()],
        "b": [running(), After(5, limited(40)), succeeded()],
        "c": [running(), After(6, limited(1)), succeeded()],
    }
    scene = Scene(scripts, REELBOT).play()
    assert [scene.times(name) for name in "abc"] == [[0, 3, 48], [0, 3, 48], [0, 3, 48]]


def test_answer_to_an_earlier_request_does_not_reset_the_pause() -> None:
    scripts: dict[str, Script] = {
        "a": [running(), limited(), limited(), succeeded()],
        "b": [running(), After(1, running()), succeeded()],
    }
    assert Scene(scripts, REELBOT).play().times("a") == [0, 3, 6, 12]


# The gate


def test_account_is_not_asked_faster_than_its_rate() -> None:
    names = ["a", "b", "c", "two:d", "two:e"]
    scene = Scene({name: [running(), succeeded()] for name in names}, rate=2).play()
    assert [(request.at, request.name) for request in scene.requests] == [
        (0, "a"), (0, "two:d"), (0.5, "b"), (0.5, "two:e"), (1, "c"),
        (10, "a"), (10, "two:d"), (10.5, "b"), (10.5, "two:e"), (11, "c"),
    ]  # fmt: skip


def test_url_requests_have_their_own_gate() -> None:
    scene = Scene({name: [url_elsewhere(), url_given()] for name in "ab"}, REELBOT, rate=1).play()
    assert scene.requests == [(0, LOOK, "a"), (0, URL, "a"), (1, LOOK, "b"), (1, URL, "b")]


def test_jobs_behind_a_narrow_gate_take_turns() -> None:
    scene = Scene({name: [running(), running(), succeeded()] for name in "abcdef"}, REELBOT, rate=1).play()
    assert "".join(request.name for request in scene.requests) == "abcdef" * 3
    assert gaps([request.at for request in scene.requests]) == [1] * 17


def test_gate_keeps_its_rate_when_the_caller_is_slow() -> None:
    scene = Scene({"a": [After(1, succeeded())], "b": [After(0.1, succeeded())], "c": [succeeded()]}, rate=1)
    scene.play(lambda job: scene.clock.sleep(0.9) if job and job.ref.id == "a" else None)
    assert [request.at for request in scene.requests] == [0, 1.9, 2.9]


def test_job_without_an_answer_delays_no_other_job() -> None:
    scene = Scene(
        {"a": [NEVER], "b": [running(), succeeded()], "c": [succeeded()]}, options=PollOptions(timeout=60)
    ).play()
    assert scene.times("b") == [5, 15]  # the first contact may take 5 s
    assert scene.codes == {"a": 6, "b": 0, "c": 0}


# The deadline


@pytest.mark.parametrize(
    ("timeout", "answers", "times"),
    [
        pytest.param(60, [running(), ...], [0, 10, 20, 30, 40, 50], id="no last look below the floor"),
        pytest.param(65, [running(), ...], [0, 10, 20, 30, 40, 50, 60], id="nothing due before the deadline"),
        pytest.param(59, [running(estimated_time=15), ...], [0, 15, 30, 45, 57], id="last look, 2 s before"),
        pytest.param(61, [running(estimated_time=15), ...], [0, 15, 30, 45, 59], id="last look brought forward"),
        pytest.param(25, [running(**set_age(0)), ...], [0, 23], id="last look before its advised age"),
        pytest.param(25, [broken(), ...], [0, 10, 23], id="last look of a group in trouble"),
        pytest.param(25, [broken(100), ...], [0], id="no last look where the service asked for a pause"),
        pytest.param(5, [running(), ...], [0], id="shorter than the floor"),
        pytest.param(1, [running(), ...], [0], id="shorter than the last look"),
        pytest.param(5, [After(9, running())], [0], id="shorter than the first answer"),
        pytest.param(60, [After(3, running()), After(30, running()), NEVER], [0, 13, 53], id="no answer at the end"),
        pytest.param(
            35, [running(), running(), limited(14), running()], [0, 10, 20, 34], id="paused past the last look"
        ),
    ],
)
def test_last_look_is_2_s_before_the_deadline_if_floor_and_pause_allow(
    timeout: float, answers: list[Answer], times: list[float]
) -> None:
    scene = Scene({"a": answers}, options=PollOptions(timeout=timeout)).play()
    assert scene.times() == times
    assert scene.ended_at == {"a": timeout}


def test_last_look_keeps_the_pause_of_its_job_while_others_answer() -> None:
    scene = Scene({"a": [broken(100), running()], "b": [running(), ...]}, options=PollOptions(timeout=25)).play()
    assert scene.times("a") == [0]


def test_last_looks_keep_the_rate_of_the_gate() -> None:
    names = [f"a{number}" for number in range(9)]
    answers = [running(estimated_time=10), ...]
    scene = Scene(dict.fromkeys(names, answers), GATEWAY, PollOptions(timeout=31), rate=2).play()
    assert [request.at for request in scene.requests if request.at > 24] == [29, 29.5, 30, 30.5]
    assert set(scene.codes.values()) == {ExitCode.TIMEOUT}


def test_wait_without_a_timeout_continues_until_the_job_ends() -> None:
    scene = Scene({"a": [*[running()] * 10_000, succeeded()]}, options=PollOptions(timeout=0)).play()
    assert scene.times()[-1] == 100_000


@pytest.mark.parametrize(
    ("answers", "code", "problem"),
    [
        pytest.param([running(), ...], ExitCode.TIMEOUT, TimedOut, id="running"),
        pytest.param([NEVER], ExitCode.UNKNOWN, Unreachable, id="no answer"),
        pytest.param([broken(), ...], ExitCode.UNKNOWN, ServerError, id="broken to the end"),
        pytest.param([running(), Unreachable("x"), ...], ExitCode.TIMEOUT, TimedOut, id="unreachable in the end"),
        pytest.param([broken(), running(), ...], ExitCode.TIMEOUT, TimedOut, id="an error that is over"),
        pytest.param([limited(3600)], ExitCode.CREDIT, RateLimited, id="rate limited"),
        pytest.param([url_elsewhere(), limited(3600)], ExitCode.NOT_SAVED, NotSaved, id="URL rate limited"),
        pytest.param([url_elsewhere(), broken(), ...], ExitCode.NOT_SAVED, NotSaved, id="URL broken"),
        pytest.param([url_elsewhere(), NEVER], ExitCode.NOT_SAVED, NotSaved, id="URL without an answer"),
        pytest.param(
            [url_elsewhere(), Untrusted("x"), ...], ExitCode.NOT_SAVED, NotSaved, id="URL from an untrusted address"
        ),
        pytest.param([url_elsewhere(), *[broken()] * 6, REFUSED], ExitCode.NOT_SAVED, NotSaved, id="URL refused once"),
        pytest.param([url_elsewhere(), NotReady("x"), ...], ExitCode.NOT_SAVED, NotSaved, id="URL not ready"),
        pytest.param([url_elsewhere(), MISSING, ...], ExitCode.GONE, NotFound, id="URL of a missing job"),
    ],
)
def test_last_answers_before_the_deadline_decide_the_exit_code(
    answers: list[Answer], code: ExitCode, problem: type[Exception]
) -> None:
    scene = Scene({"a": answers}, REELBOT, PollOptions(timeout=60)).play()
    assert scene.codes == {"a": code}
    assert type(scene.ended["a"].problem) is problem


def test_unasked_jobs_of_a_rate_limited_account_end_as_rate_limited() -> None:
    scripts: dict[str, Script] = {"a": [limited(3600)], "b": [], "c": [], "two:d": [NEVER]}
    scene = Scene(scripts, REELBOT, PollOptions(timeout=60), rate=1).play()
    assert scene.codes == {"a": 4, "b": 4, "c": 4, "two:d": 6}


def test_rate_limit_that_is_over_is_not_reported() -> None:
    scene = Scene({"a": [limited(10), running(), ...], "b": [NEVER]}, options=PollOptions(timeout=60)).play()
    assert scene.codes == {"a": 124, "b": 6}


def test_failed_url_request_reports_the_reason_and_what_to_do() -> None:
    limit = RateLimited("30 an hour", code="RATE_LIMITED", retry_after=3600)
    problem = Scene({"a": [url_elsewhere(), limit]}, REELBOT, PollOptions(timeout=60)).play().ended["a"].problem
    assert isinstance(problem, NotSaved)
    assert (str(problem), problem.hint, problem.code) == (
        "it succeeded, but its video could not be fetched: 30 an hour",
        "Do not generate it again: run the same command again.",
        "RATE_LIMITED",
    )


def test_nothing_is_sent_after_the_deadline_when_the_caller_is_slow() -> None:
    scene = Scene({"a": [After(19, running())], "b": [After(9, running())]}, options=PollOptions(timeout=20))
    scene.play(lambda job: scene.clock.sleep(7) if job and scene.clock.time >= 19 else None)
    assert scene.requests == [(0, LOOK, "a"), (5, LOOK, "b")]
    assert scene.codes == {"a": ExitCode.TIMEOUT, "b": ExitCode.TIMEOUT}


@pytest.mark.parametrize(("found", "code"), [(succeeded(), ExitCode.OK), (running(), ExitCode.TIMEOUT)])
@pytest.mark.parametrize("polling", [JOGG, GATEWAY, REELBOT])
def test_process_stopped_past_its_deadline_looks_once_more(found: Answer, code: ExitCode, polling: Polling) -> None:
    scene = Scene({"a": [running(), After(0.3, found), ...]}, polling, PollOptions(timeout=60))
    # As after Ctrl-Z: nothing runs until the user types fg.
    scene.clock.deliver(1, lambda: scene.clock.sleep(99))
    scene.play()
    assert scene.times() == [0, 100]
    assert scene.codes == {"a": code}
    assert scene.ended_at["a"] <= 103


def test_process_stopped_past_its_deadline_uses_the_answer_that_came() -> None:
    scene = Scene({"a": [After(2, succeeded())]}, options=PollOptions(timeout=60))
    scene.clock.deliver(1, lambda: scene.clock.sleep(99))
    assert scene.play().codes == {"a": ExitCode.OK}


def test_answers_before_the_deadline_count_when_the_caller_is_slow() -> None:
    scripts: dict[str, Script] = {name: [running(), After(4, succeeded())] for name in "abc"}
    scene = Scene(scripts, options=PollOptions(timeout=15))
    scene.play(lambda job: scene.clock.sleep(3) if job and job.ended else None)
    assert scene.codes == {"a": 0, "b": 0, "c": 0}


# After a success


def test_url_of_another_endpoint_is_requested_at_once() -> None:
    scene = Scene({"a": [running(), url_elsewhere(), url_given()]}, REELBOT).play()
    assert scene.requests == [(0, LOOK, "a"), (3, LOOK, "a"), (3, URL, "a")]
    assert [job.video_url for job in scene.told] == [None, None, VIDEO]
    assert scene.codes == {"a": 0}


@pytest.mark.parametrize(
    ("answers", "then", "phases", "code"),
    [
        ([succeeded()], (), [LOOK], 0),
        ([succeeded(), saved()], (SAVE,), [LOOK, SAVE], 0),
        ([succeeded(), executed()], (EXEC,), [LOOK, EXEC], 0),
        ([succeeded(), saved(), executed()], (SAVE, EXEC), [LOOK, SAVE, EXEC], 0),
        ([url_elsewhere(), url_given(), saved(), executed()], (SAVE, EXEC), [LOOK, URL, SAVE, EXEC], 0),
        ([url_elsewhere(), *[url_given(None)] * 4], (SAVE, EXEC), [LOOK, *[URL] * 4], 9),
        ([succeeded(None)] * 4, (SAVE, EXEC), [LOOK] * 4, 9),
        ([failed()], (SAVE, EXEC), [LOOK], 5),
        ([failed(video_url=VIDEO)], (SAVE, EXEC), [LOOK], 5),
        ([succeeded(), NotSaved("disk full")], (SAVE, EXEC), [LOOK, SAVE], 9),
        ([succeeded(), Unreachable("cut")], (SAVE, EXEC), [LOOK, SAVE], 9),
        ([succeeded(), limited()], (SAVE, EXEC), [LOOK, SAVE], 9),
        ([succeeded(), GONE], (SAVE, EXEC), [LOOK, SAVE], 7),
        ([succeeded(), saved(), ExecFailed("exit 1")], (SAVE, EXEC), [LOOK, SAVE, EXEC], 10),
    ],
)
def test_success_goes_through_its_phases_in_order(
    answers: list[Answer], then: tuple[Phase, ...], phases: list[Phase], code: int
) -> None:
    scene = Scene({"a": answers}, options=PollOptions(steps=then)).play()
    assert [request.phase for request in scene.requests] == phases
    assert scene.codes == {"a": code}


def test_steps_receive_the_current_job_without_past_errors() -> None:
    scene = Scene(
        {"a": [url_elsewhere(), broken(), url_given(), saved(), executed()]}, options=PollOptions(steps=(SAVE, EXEC))
    )
    *_, saving, executing = scene.play().sent
    assert (saving.video_url, saving.problem, saving.exit_code) == (VIDEO, None, ExitCode.OK)
    assert executing.saved
    assert [job.problem for job in scene.told[-3:]] == [None] * 3


def test_saves_run_in_parallel_and_commands_one_at_a_time() -> None:
    answers = [succeeded(), After(10, saved()), After(4, executed())]
    scene = Scene(dict.fromkeys("abcde", answers), options=PollOptions(steps=(SAVE, EXEC), parallel=2), rate=9).play()
    times = {phase: [request.at for request in scene.requests if request.phase is phase] for phase in (SAVE, EXEC)}
    assert times == {
        SAVE: [0, 0.111111, 10, 10.111111, 20],
        EXEC: [10, 14, 20, 24, 30],
    }
    assert scene.codes == dict.fromkeys("abcde", ExitCode.OK)


def test_all_accounts_share_the_limit_of_parallel_saves() -> None:
    scripts: dict[str, Script] = {name: [succeeded(), After(10, saved())] for name in ("a", "b", "two:c", "two:d")}
    assert Scene(scripts, options=PollOptions(steps=(SAVE,), parallel=3)).play().most_at_once[SAVE] == 3


def test_deadline_ends_saves_but_not_due_commands() -> None:
    scripts: dict[str, Script] = {
        "a": [succeeded(), saved(), After(40, executed())],
        "b": [succeeded(), saved(), After(40, ExecFailed("exit 1"))],
        "c": [succeeded(), saved(), executed()],
        "saving": [succeeded(), After(30, saved())],
        "queued": [succeeded(), After(30, saved())],
        "late": [succeeded()],
        "d": [running(), ...],
    }
    scene = Scene(scripts, options=PollOptions(timeout=20, steps=(SAVE, EXEC), parallel=2)).play()
    assert scene.codes == {"a": 0, "b": 10, "c": 0, "saving": 9, "queued": 9, "late": 9, "d": 124}
    assert scene.ended_at == {"a": 40, "b": 80, "c": 80} | dict.fromkeys(["saving", "queued", "late", "d"], 20)


# Commands that do not wait: status and download


NO_WAIT = PollOptions(attempts=3)


@pytest.mark.parametrize(
    ("answers", "times", "code", "end"),
    [
        pytest.param([running()], [0], ExitCode.RUNNING, 0, id="one look at a running job"),
        pytest.param([succeeded()], [0], ExitCode.OK, 0, id="one look at a finished one"),
        pytest.param([broken(), broken(), broken()], [0, 3, 9], ExitCode.UNKNOWN, 9, id="three attempts"),
        pytest.param([NotReady("x"), ...], [0, 3, 6], ExitCode.RUNNING, 6, id="never ready"),
        pytest.param([broken(), running()], [0, 3], ExitCode.RUNNING, 3, id="second attempt succeeds"),
        pytest.param([MISSING], [0], ExitCode.GONE, 0, id="not found is final at once"),
        pytest.param([limited(5), running()], [0, 5], ExitCode.RUNNING, 5, id="a short limit"),
        pytest.param([limited(15)], [0], ExitCode.CREDIT, 0, id="a limit longer than the time limit"),
        pytest.param(
            [limited(), limited(), running()], [0, 3, 9], ExitCode.RUNNING, 9, id="limits without Retry-After"
        ),
        pytest.param([After(9, broken()), broken()], [0, 12], ExitCode.UNKNOWN, 12, id="slow and broken"),
        pytest.param([After(13, broken())], [0], ExitCode.UNKNOWN, 13, id="no time for a second attempt"),
        pytest.param([NEVER], [0], ExitCode.UNKNOWN, 15, id="no answer"),
        pytest.param([broken(), NEVER], [0, 3], ExitCode.UNKNOWN, 15, id="an error, then no answer"),
        pytest.param([limited(4), NEVER], [0, 4], ExitCode.CREDIT, 15, id="a limit, then no answer"),
        pytest.param([url_elsewhere(), url_given()], [0], ExitCode.OK, 0, id="URL from another endpoint"),
        pytest.param([After(10, url_elsewhere()), NEVER], [0], ExitCode.NOT_SAVED, 15, id="15 s in all, URL included"),
        pytest.param([url_elsewhere(), limited(1800)], [0], ExitCode.NOT_SAVED, 0, id="URL limited"),
        pytest.param([url_elsewhere(), broken(), broken(), broken()], [0], ExitCode.NOT_SAVED, 6, id="URL broken"),
    ],
)
def test_status_looks_three_times_at_most_and_within_15_s(
    answers: list[Answer], times: list[float], code: ExitCode, end: float
) -> None:
    scene = Scene({"a": answers}, REELBOT, NO_WAIT).play()
    assert scene.times() == times
    assert scene.codes == {"a": code}
    assert scene.ended_at == {"a": end}


def test_pause_over_the_time_limit_ends_all_jobs_that_wait_for_it() -> None:
    scripts: dict[str, Script] = {
        "slow": [After(8, running())],
        "again": [broken()],
        "limited": [After(1, limited(1800))],
        "behind": [],
        "two:other": [After(9, running())],
    }
    scene = Scene(scripts, REELBOT, NO_WAIT, rate=1).play()
    assert scene.codes == {"slow": 8, "again": 4, "limited": 4, "behind": 4, "two:other": 8}


def test_pauses_without_retry_after_also_end_jobs_at_the_time_limit() -> None:
    # The pauses are 3, 6 and 12 s. The next would be 24 s, which is over the time limit.
    scripts: dict[str, Script] = {name: [limited(), ...] for name in "abcdef"}
    scene = Scene(scripts, REELBOT, NO_WAIT, rate=1).play()
    assert [(request.at, request.name) for request in scene.requests] == [(0, "a"), (3, "b"), (9, "c"), (21, "d")]
    assert set(scene.codes.values()) == {ExitCode.CREDIT}


def test_status_waits_for_no_url_in_a_pause_over_the_time_limit() -> None:
    scripts: dict[str, Script] = {"a": [url_elsewhere(), limited(1800)], "b": [url_elsewhere()]}
    scene = Scene(scripts, REELBOT, NO_WAIT, rate=1).play()
    assert scene.codes == {"a": 9, "b": 9}
    assert scene.ended_at == {"a": 0, "b": 1}


def test_three_jobs_without_an_answer_end_all_jobs_of_the_group() -> None:
    silent = {f"silent{number}": [NEVER] for number in range(70)}
    scene = Scene(silent, options=NO_WAIT).play()
    assert scene.codes == dict.fromkeys(silent, 6)
    assert len(scene.requests) <= 6
    assert max(scene.ended_at.values()) < 100


def test_time_limit_does_not_apply_to_saving() -> None:
    scene = Scene(
        {"a": [After(14, succeeded()), After(60, saved())]}, options=PollOptions(attempts=3, steps=(SAVE,))
    ).play()
    assert scene.codes == {"a": 0}
    assert scene.ended_at == {"a": 74}


# Signals and stop_when


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_every_open_job(signum: int, code: int) -> None:
    scripts: dict[str, Script] = {
        "a": [succeeded(), saved(), executed()],
        "looking": [NEVER],
        "waiting": [running(), ...],
        "limited": [broken(), ...],
        "saving": [succeeded(), NEVER],
        "running": [running(), succeeded(), saved(), NEVER],
    }
    scene = Scene(scripts, options=PollOptions(timeout=60, steps=(SAVE, EXEC)))
    scene.clock.deliver(11, signum)
    assert scene.play().codes == dict.fromkeys(scripts, code) | {"a": 0}
    assert all(isinstance(job.problem, Interrupted) for name, job in scene.ended.items() if name != "a")
    assert {at for name, at in scene.ended_at.items() if name != "a"} == {11}


@pytest.mark.parametrize(
    ("enough", "codes"),
    [
        pytest.param(lambda job: job.exit_code is not ExitCode.OK, {"a": 0, "b": 5, "c": 8, "d": 8}, id="fail fast"),
        pytest.param(lambda job: job.exit_code is ExitCode.OK, {"a": 0, "b": 8, "c": 8, "d": 8}, id="any"),
        pytest.param(lambda job: False, {"a": 0, "b": 5, "c": 0, "d": 7}, id="all"),
    ],
)
def test_job_that_meets_stop_when_ends_the_wait(enough: Callable[[Job], bool], codes: dict[str, int]) -> None:
    scripts: dict[str, Script] = {
        "a": [running(), After(1, succeeded())],
        "b": [running(), After(2, failed())],
        "c": [running(), After(3, succeeded())],
        "d": [MISSING, After(4, MISSING), ...],
    }
    scene = Scene(scripts, options=PollOptions(stop_when=enough)).play()
    assert scene.codes == codes
    assert {type(job.problem) for job in scene.ended.values() if job.exit_code == 8} <= {Stopped}


def test_stop_when_applies_only_after_a_job_is_saved() -> None:
    scripts: dict[str, Script] = {"a": [succeeded(), After(5, saved())], "b": [running(), succeeded(), saved()]}
    options = PollOptions(steps=(SAVE,), stop_when=lambda job: job.exit_code is ExitCode.OK)
    assert Scene(scripts, options=options).play().ended_at == {"a": 5, "b": 5}


def test_stop_when_lets_commands_of_saved_jobs_finish() -> None:
    scripts: dict[str, Script] = {
        "a": [succeeded(), saved(), After(5, executed())],
        "b": [succeeded(), saved(), After(5, executed())],
        "c": [running(), running(), running()],
    }
    options = PollOptions(steps=(SAVE, EXEC), stop_when=lambda job: job.exit_code is ExitCode.OK)
    scene = Scene(scripts, options=options).play()
    assert scene.codes == {"a": 0, "b": 0, "c": 8}
    assert scene.ended_at == {"a": 5, "c": 5, "b": 10}


# Other promises


def test_poll_yields_none_when_only_time_passes() -> None:
    seen: list[Job | None] = []
    Scene({"a": [After(0.3, running()), succeeded()]}).play(seen.append)
    assert [job and job.state for job in seen] == [State.RUNNING, None, State.SUCCEEDED]


def test_job_given_twice_is_asked_once() -> None:
    clock, asked = Timeline(), []

    def submit(phase: Phase, job: Job) -> None:
        asked.append(job.ref)
        clock.deliver(0, Reply(job.ref, replace(job, state=State.FAILED)))

    jobs = poll(targets(["a", "a", "b"]), submit, SimpleQueue(), clock, PollOptions())
    assert [job.ref for job in jobs if job] == asked == [ref("a"), ref("b")]


@pytest.mark.slow
def test_ten_thousand_jobs_need_few_waits_and_little_memory() -> None:
    number = 10_000
    names = [f"proj_{at:05}" for at in range(number)]
    clock, codes = Timeline(), Counter[int]()

    def submit(phase: Phase, job: Job) -> None:
        clock.deliver(clock.time + 0.3, Reply(job.ref, replace(job, state=State.RUNNING)))

    jobs = targets(names, Polling(every=(300, 300), floor=300, usual=300), rate=50)
    clock.deliver(number / 50 + 1, signal.SIGINT)
    tracemalloc.start()
    for job in poll(jobs, submit, SimpleQueue(), clock, PollOptions()):
        if job and job.ended:
            codes[job.exit_code] += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes == {ExitCode.INTERRUPTED: number}
    # One wait for each answer, one for each opening of the gate.
    assert clock.waits <= 2 * number + 2
    assert peak < 25e6


# Each number is a weight: how often the answer is drawn.
OUTCOMES: list[tuple[int, Answer]] = [
    (12, running()),
    (3, running(**set_age(0))),
    (3, running(estimated_time=7)),
    (3, succeeded()),
    (1, succeeded(None)),
    (3, url_elsewhere()),
    (1, failed()),
    (3, MISSING),
    (1, GONE),
    (1, REFUSED),
    (1, OutOfCredit("x")),
    (3, limited()),
    (1, limited(0)),
    (3, limited(12)),
    (1, limited(500)),
    (3, broken()),
    (1, broken(20)),
    (3, NO_CONNECTION),
    (1, NotReady("x")),
]


def answer_either_endpoint(answer: Answer) -> Answer:
    """Make an answer fit both endpoints: the one for URLs gives a URL instead of a state."""
    if isinstance(answer, Exception):
        return answer
    return lambda job: url_given()(job) if job.needs_url else answer(job)


ANSWERS = st.builds(
    After,
    st.sampled_from([0, 0, 0.3, 0.3, 4, 31, math.inf]),
    st.sampled_from([answer_either_endpoint(answer) for weight, answer in OUTCOMES for _ in range(weight)]),
)
SCENES = {
    "scripts": st.dictionaries(
        st.sampled_from(["a", "b", "c", "d", "two:e", "two:f"]),
        st.lists(ANSWERS, min_size=1, max_size=8).map(lambda script: [*script, ...]),
        min_size=1,
    ),
    "polling": st.sampled_from([JOGG, GATEWAY, REELBOT]),
    "rate": st.sampled_from([0.5, 2, math.inf]),
    "seed": st.integers(0, 9),
}


@pytest.mark.slow
@given(timeout=st.sampled_from([1, 7, 30, 100, 600]), interval=st.sampled_from([None, 0, 8, 60]), **SCENES)
@settings(max_examples=300, deadline=None)
def test_random_answers_break_no_rule_and_give_a_right_exit_code(
    *, scripts: dict[str, Script], polling: Polling, rate: float, seed: int, timeout: float, interval: float | None
) -> None:
    options = PollOptions(timeout=timeout, interval=interval, steps=(SAVE, EXEC), parallel=2)
    steps: dict[Phase, Answer | After] = {SAVE: After(5, saved()), EXEC: After(8, executed())}
    scene = Scene(scripts, polling, options, rate, Random(seed).random, steps).play()
    assert_rules_kept(scene)
    assert all(request.at <= timeout for request in scene.requests if request.phase is not EXEC)
    assert scene.most_at_once[SAVE] <= 2
    assert scene.most_at_once[EXEC] <= 1
    for asked, code in scene.codes.items():
        assert code in find_right_codes(scene, asked)


@given(**SCENES)
@settings(max_examples=200, deadline=None)
def test_random_answers_end_a_status_within_three_looks_and_15_s(
    scripts: dict[str, Script], polling: Polling, rate: float, seed: int
) -> None:
    scene = Scene(scripts, polling, NO_WAIT, rate, Random(seed).random).play()
    assert_rules_kept(scene)
    first = {request.name: request.at for request in reversed(scene.requests)}
    for asked, at in scene.ended_at.items():
        assert len(scene.times(asked)) <= 3
        assert len(scene.times(asked, URL)) <= 3
        assert at <= first.get(asked, math.inf) + 15 + 1e-5


def assert_rules_kept(scene: Scene) -> None:
    """Check that no request broke the floor, the gate, or a pause that the service has asked for."""
    lanes: dict[tuple[str, Phase], list[float]] = {}
    for request in scene.requests:
        lanes.setdefault((ref(request.name).provider, request.phase), []).append(request.at)
    for (_, phase), times in lanes.items():
        assert phase in {SAVE, EXEC} or min(gaps(times), default=math.inf) >= 1 / scene.rate - 1e-5
    for asked in scene.scripts:
        for phase in (LOOK, URL):
            for before, after in pairwise(scene.times(asked, phase)):
                answer = next(
                    it.outcome
                    for it in scene.heard
                    if (it.name, it.phase) == (asked, phase) and before <= it.at <= after
                )
                assert isinstance(answer, NoConnection) or after - before >= scene.polling.floor - 1e-5
    for it in scene.heard:
        if isinstance(it.outcome, RateLimited):
            until = it.at + (it.outcome.retry_after or 0)
            assert not [at for at in lanes[ref(it.name).provider, it.phase] if it.at < at < until - 1e-5]


def find_right_codes(scene: Scene, asked: str) -> set[int]:
    """Find the exit codes that fit the answers about the job and its account until its end."""
    own = [it.outcome for it in scene.heard if it.name == asked]
    others = [it.outcome for it in scene.heard if ref(it.name).provider == ref(asked).provider]
    last = own[-1] if own else None
    if isinstance(last, Job) and last.state is State.FAILED:
        return {5}
    codes = {int(it.exit_code) for it in own if isinstance(it, NotFound | Gone | RateLimited)}
    codes |= {int(it.exit_code) for it in others if isinstance(it, KeyRefused | OutOfCredit | RateLimited)}
    if any(isinstance(it, Job) and it.state is State.SUCCEEDED for it in own):
        return codes | {0, 9, 124}
    # The answers to other jobs decide the code of a job that was not asked. "No such job" shows that the key works.
    is_answered = any(isinstance(it, Job | NotReady | NotFound | Gone) for it in others)
    return codes | ({124} if is_answered else set()) | {6, 7}


def test_unfinished_job_says_when_it_is_asked_again() -> None:
    seen = Scene({"a": [running(), RateLimited("slow down", retry_after=100), succeeded()]}).play()
    due = [job.asked_again_at for job in seen.told[:2]]
    assert [(at - EPOCH).total_seconds() for at in due if at] == seen.times()[1:]


def test_looks_at_a_watched_job_keep_the_normal_pace_from_the_start() -> None:
    quick = replace(JOGG, first=0, quickest=180)
    born = EPOCH - timedelta(seconds=40)
    script = [running(created_at=born), running(created_at=born), succeeded()]
    watched = PollOptions(is_watched=lambda: True)
    assert Scene({"a": script}, polling=quick, options=watched).play().times() == [0, 10, 20]
    assert Scene({"a": script}, polling=quick).play().times() == [0, 30, 60]


def test_pause_beyond_the_deadline_is_reported_with_its_own_end() -> None:
    limited = Scene({"a": [RateLimited("slow down", retry_after=240), ...]}, options=PollOptions(timeout=100)).play()
    again = limited.told[0].asked_again_at
    assert again
    assert (again - EPOCH).total_seconds() >= 240


def test_given_up_address_does_not_wake_the_loop() -> None:
    scripts: dict[str, Script] = {"a": [*[running()] * 40, succeeded()], "two:b": [Unreadable("a page"), ...]}
    scene = Scene(scripts, options=PollOptions(timeout=600)).play()
    assert scene.codes == {"a": 0, "two:b": 6}
    assert scene.ended_at["two:b"] == 120
    assert scene.clock.waits < 200


def test_place_of_a_look_without_an_answer_is_free_for_the_next_wait() -> None:
    made = Scene({"a": [After(1000, running())]}, options=PollOptions(timeout=60)).play()
    assert made.groups["one"].gates[Phase.LOOK].in_flight == 0
    assert made.groups["one"].opens_at == -math.inf


def test_only_a_job_that_goes_on_says_when_to_look_again() -> None:
    made = Scene({"a": [running()], "b": [succeeded()], "c": [failed()]}, options=PollOptions(attempts=1)).play()
    assert {name: job.poll_after for name, job in made.ended.items()} == {"a": 10, "b": None, "c": None}


def test_a_request_that_the_configuration_prevents_ends_only_its_job() -> None:
    scene = Scene({"a": [ConfigError("the proxy is not valid")], "b": [running(), succeeded()]}).play()
    assert scene.codes == {"a": ExitCode.USAGE, "b": ExitCode.OK}


def test_group_counts_no_job_after_its_end() -> None:
    scripts: dict[str, Script] = {"a": [running(), succeeded()], "b": [failed()], "c": [After(1000, running())]}
    made = Scene(scripts, options=PollOptions(timeout=60, steps=(Phase.SAVE,)), steps={Phase.SAVE: saved()}).play()
    assert made.groups["one"].left == 0


@pytest.mark.parametrize(
    ("scripts", "steps", "says"),
    [
        ({"a": [succeeded()]}, {Phase.SAVE: After(1000, saved())}, NOT_SAVED_IN_TIME),
        ({"a": [url_elsewhere(), After(1000, url_given())]}, {}, "it succeeded, but its video could not be fetched: "),
    ],
)
def test_succeeded_job_at_the_deadline_says_why_its_video_is_not_saved(
    scripts: dict[str, Script], steps: dict[Phase, After], says: str
) -> None:
    options = PollOptions(timeout=60, steps=(Phase.SAVE,), wants_urls=True)
    made = Scene(scripts, options=options, steps=steps).play()
    assert str(made.ended["a"].problem).startswith(says)


def test_jobs_that_were_not_asked_about_blame_no_other_job() -> None:
    gate = Gate(32, 0)
    gate.paused_until = math.inf
    groups = {"one": Group(gates={Phase.LOOK: gate})}
    scripts: dict[str, Script] = {"a": [], "b": []}
    assert Scene(scripts, groups=groups, options=PollOptions(timeout=60)).play().codes == {"a": 124, "b": 124}


def test_address_that_never_answers_is_given_up_with_its_last_trouble() -> None:
    problem = Scene({"a": [NO_CONNECTION, ...]}, options=PollOptions(timeout=600)).play().ended["a"].problem
    assert re.fullmatch(f"no answer of the service at .* in 2 minutes, but {NO_CONNECTION}", str(problem))


def test_job_whose_video_is_saved_already_is_not_asked_about() -> None:
    done = Job(ref=ref("a"), state=State.SUCCEEDED, saved=Saved(file=Path("a.mp4"), bytes=1))
    made = Scene({"a": []}, past={"saved": done}).play()
    assert (made.requests, made.codes) == ([], {"a": 0})


def test_each_missing_job_keeps_the_message_about_it() -> None:
    scripts: dict[str, Script] = {name: [NotFound(f"no job {name}", sure=True), ...] for name in "ab"}
    problems = {name: str(job.problem) for name, job in Scene(scripts).play().ended.items()}
    assert problems == {"a": "no job a", "b": "no job b"}


@pytest.mark.parametrize(
    ("answer", "attempts", "says"),
    [(NotFound("no"), None, True), (NotFound("no"), 1, False), (broken(), 1, False)],
)
def test_only_a_wait_says_that_it_asks_again_for_a_missing_job(
    answer: Exception, attempts: int | None, *, says: bool
) -> None:
    error = copy(answer)
    made = Scene({"a": [error, succeeded()]}, options=PollOptions(attempts=attempts)).play()
    (problem, *_) = [job.problem for job in made.told if job.problem]
    assert ("Asked again" in (problem.hint or "")) == says


def test_job_that_never_worked_is_given_up_while_its_account_works() -> None:
    page = Unreadable("a page")
    page.about_job = True
    made = Scene({"a": [page, ...]}, past={"account_worked": True}, options=PollOptions(timeout=600)).play()
    assert (made.codes, made.ended_at) == ({"a": 6}, {"a": 120})


def test_third_foreign_answer_asks_whether_the_address_is_right() -> None:
    pages = [Unreadable(f"page {number}") for number in range(9)]
    made = Scene({"a": [*pages, ...]}, options=PollOptions(timeout=60)).play()
    hints = [job.problem.hint or "" for job in made.told if job.problem and not job.ended]
    assert ["base_url" in hint for hint in hints[:3]] == [False, False, True]


def test_video_that_cannot_be_resolved_is_not_saved_for_that_reason() -> None:
    made = Scene({"a": [succeeded()]}, options=PollOptions(steps=(Phase.SAVE,)), steps={Phase.SAVE: broken()}).play()
    assert str(made.ended["a"].problem) == f"it succeeded, but its video could not be fetched: {broken()}"


def test_job_that_is_answered_after_a_page_is_waited_for_to_its_end() -> None:
    page = Unreadable("a page")
    page.about_job = True
    scripts: dict[str, Script] = {"a": [page, *[running()] * 20, succeeded()]}
    assert Scene(scripts, past={"account_worked": True}, options=PollOptions(timeout=600)).play().codes == {"a": 0}


def test_unsure_failure_shows_the_old_state_until_it_is_confirmed() -> None:
    made = Scene({"a": [running(), failed(sure=False, status="rejected"), ...]}).play()
    shown = [(job.state, job.status) for job in made.told]
    assert shown == [(State.RUNNING, None), (State.RUNNING, "rejected"), (State.FAILED, "rejected")]


def test_queued_job_that_another_wait_has_looked_at_keeps_the_floor() -> None:
    made = Scene({"a": [succeeded()], "b": [succeeded()]}, rate=1 / 5)

    def look_elsewhere(_: Job | None) -> None:
        made.groups["one"].heard_at.setdefault(ref("b"), 4)

    assert made.play(look_elsewhere).times("b") == [14]


def test_missing_job_is_believed_twenty_seconds_after_it_was_first_missing() -> None:
    assert Scene({"a": [running(), MISSING, ...]}).play().ended_at == {"a": 30}
