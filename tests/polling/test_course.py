"""The tables of the course: what an answer means, and what to do next."""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fakes import EPOCH, api_answer
from hypothesis import given
from hypothesis import strategies as st

import videostat
from videostat import errors
from videostat.errors import (
    ExitCode,
    Gone,
    KeyMissing,
    KeyRefused,
    NoConnection,
    NotFound,
    NotReady,
    NotSaved,
    OutOfCredit,
    RateLimited,
    Redirected,
    ServerError,
    ServiceError,
    TimedOut,
    Unreachable,
    Unreadable,
    Untrusted,
    VideostatError,
)
from videostat.models import Job, JobRef, State
from videostat.polling import course
from videostat.polling.course import (
    Ending,
    Past,
    Step,
    choose_next_phase,
    classify_outcome,
    decide,
    describe_end_at_deadline,
    settle,
)
from videostat.polling.options import Phase
from videostat.providers import PROVIDERS
from videostat.providers.base import Meaning

JOB = Job(ref=JobRef("jogg", "a"))
JOGG, DOUBAO, REELBOT = (PROVIDERS[name] for name in ("jogg", "doubao", "reelbot"))


def read(name: str, status: int, body: object, *, video: bool = False) -> tuple[Meaning, bool]:
    provider = PROVIDERS[name]
    endpoint = provider.video if video and provider.video else provider.job
    found = course.read(api_answer(status, {}, body, EPOCH), provider, endpoint, "a")
    assert (found.task is not None) == (found.meaning in {Meaning.RUNNING, Meaning.SUCCESS, Meaning.FAILED}) or (
        found.meaning is Meaning.RUNNING
    )
    return found.meaning, found.sure


def make_task(**known: object) -> dict[str, object]:
    return {"code": "success", "data": {"task_id": "a", **known}}


def make_body(code: object) -> dict[str, object]:
    return {"code": code, "msg": "words", "data": None}


# What an answer means.


@pytest.mark.parametrize(
    ("name", "status", "body", "meaning", "sure"),
    [
        # a status word
        ("doubao", 200, make_task(status="IN_PROGRESS"), Meaning.RUNNING, True),
        ("doubao", 201, make_task(status="SUCCESS", result_url="https://x/v"), Meaning.SUCCESS, True),
        ("doubao", 200, make_task(status="SUCCESS"), Meaning.SUCCESS, True),
        ("doubao", 200, make_task(status="FAILURE"), Meaning.FAILED, True),
        ("doubao", 200, make_task(status="dreaming"), Meaning.RUNNING, True),
        ("doubao", 200, make_task(status="Fail"), Meaning.FAILED, False),
        ("doubao", 200, make_task(status="canceled"), Meaning.FAILED, False),
        ("doubao", 200, make_task(status="succeed"), Meaning.SUCCESS, False),
        ("doubao", 200, make_task(status="succeed", result_url="https://x/v"), Meaning.SUCCESS, True),
        ("reelbot", 200, {"status": "done"}, Meaning.SUCCESS, False),
        ("jogg", 200, {"code": 0, "data": {"status": "cancelled"}}, Meaning.FAILED, False),
        ("doubao", 500, make_task(status="FAILURE"), Meaning.BUSY, False),
        ("doubao", 302, make_task(status="FAILURE"), Meaning.FOREIGN, False),
        # documented codes
        ("jogg", 200, make_body(5001), Meaning.MISSING, True),
        ("jogg", 404, make_body("10104"), Meaning.MISSING, True),
        ("jogg", 200, make_body(5002), Meaning.GONE, True),
        ("jogg", 200, make_body(5003), Meaning.KEY, True),
        ("jogg", 401, make_body(10105), Meaning.KEY, True),
        ("jogg", 200, make_body(18025), Meaning.KEY, True),
        ("jogg", 200, make_body(18020), Meaning.CREDIT, True),
        ("jogg", 302, make_body(18020), Meaning.FOREIGN, False),
        ("jogg", 400, make_body(40000), Meaning.MISSING, True),
        ("doubao", 400, make_body("task_not_exist"), Meaning.MISSING, True),
        ("doubao", 401, {"error": {"type": "new_api_error", "code": "", "message": "x"}}, Meaning.KEY, True),
        ("doubao", 500, {"error": {"type": "new_api_error", "code": "", "message": "x"}}, Meaning.BUSY, False),
        ("reelbot", 500, {"code": "CONFIG_ERROR"}, Meaning.BROKEN, True),
        ("reelbot", 400, {"code": "VIDEO_NOT_READY"}, Meaning.RUNNING, True),
        ("reelbot", 404, {"code": "OUTPUT_NOT_FOUND"}, Meaning.GONE, True),
        ("reelbot", 403, {"code": "FORBIDDEN"}, Meaning.KEY, True),
        # limits
        ("doubao", 429, None, Meaning.LIMIT, False),
        ("jogg", 200, make_body(429), Meaning.LIMIT, False),
        ("doubao", 200, make_body(429), Meaning.LIMIT, False),
        ("doubao", 400, make_body("upstream_rate_limit_exceeded"), Meaning.LIMIT, False),
        ("reelbot", 200, {"success": False, "code": "RATE_LIMITED", "status": "error"}, Meaning.LIMIT, False),
        # busy
        *(("doubao", status, None, Meaning.BUSY, False) for status in (408, 409, 423, 425, 444, 499, 500, 503, 524)),
        ("jogg", 200, make_body(50000), Meaning.BUSY, False),
        ("doubao", 200, make_body("get_task_failed"), Meaning.BUSY, False),
        ("doubao", 200, make_body(502), Meaning.BUSY, False),
        ("doubao", 400, make_body("upstream_timeout"), Meaning.BUSY, False),
        ("doubao", 400, {"error": {"code": "service_unavailable"}}, Meaning.BUSY, False),
        # any other JSON object
        ("doubao", 401, {"message": "no"}, Meaning.KEY, False),
        ("doubao", 403, {"message": "no"}, Meaning.KEY, False),
        ("jogg", 200, make_body(403), Meaning.KEY, False),
        ("jogg", 402, {}, Meaning.CREDIT, False),
        ("jogg", 404, {"status": "error"}, Meaning.MISSING, False),
        ("reelbot", 410, {}, Meaning.MISSING, False),
        # everything else
        *(("doubao", status, None, Meaning.FOREIGN, False) for status in (200, 202, 204, 301, 400, 401, 403, 404, 410)),
        ("doubao", 404, [], Meaning.FOREIGN, False),
        ("doubao", 200, {"code": "success", "data": None}, Meaning.FOREIGN, False),
        ("doubao", 200, make_task(status=""), Meaning.FOREIGN, False),
        ("doubao", 400, {"error": {"type": "upstream_error"}}, Meaning.FOREIGN, False),
        ("jogg", 200, make_body(99999), Meaning.FOREIGN, False),
        ("jogg", 200, make_body(0), Meaning.FOREIGN, False),
        ("jogg", 200, {"code": 0, "data": {"project_id": "b", "status": "success"}}, Meaning.FOREIGN, False),
        ("jogg-avatar", 200, {"code": 0, "data": {"video_id": "b", "status": "success"}}, Meaning.FOREIGN, False),
        ("doubao", 200, {"task_id": "upstream", "status": "success"}, Meaning.SUCCESS, True),
    ],
)
def test_answer_gets_the_meaning_of_the_first_matching_row(
    name: str, status: int, body: object, meaning: Meaning, *, sure: bool
) -> None:
    assert read(name, status, body) == (meaning, sure)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"status": "success", "data": {"id": "x", "status": "processing"}}, "processing"),
        ({"code": 0, "status": "SUCCESS", "data": {"task_status": "running"}}, "running"),
        ({"code": "success", "data": {"code": "success", "data": {"task_id": "t", "status": "QUEUED"}}}, "QUEUED"),
        (make_task(status="SUCCESS", data={"status": "running"}), "running"),
        (make_task(status="FAILURE", data={"status": "running"}), "FAILURE"),
        (make_task(status="SUCCESS", data={"status": "succeeded"}), "SUCCESS"),
        ({"data": [{"task_id": "t", "state": "running"}]}, "running"),
        ({"data": '{"task_id": "t", "status": "running"}'}, "running"),
        ('{"status": "running"}', "running"),
    ],
)
def test_find_task_finds_the_task_inside_envelopes(body: object, word: str) -> None:
    from videostat.providers import reading

    assert reading.read_status_word(reading.find_task(body)) == word


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, {"success": True, "downloadUrl": "https://x/v"}, Meaning.SUCCESS),
        (200, {"url": "https://x/v"}, Meaning.SUCCESS),
        (200, {"data": {"downloadUrl": "https://x/v"}}, Meaning.SUCCESS),
        (200, {"success": True}, Meaning.FOREIGN),
        (400, {"code": "VIDEO_NOT_READY"}, Meaning.RUNNING),
        (404, {"code": "OUTPUT_NOT_FOUND"}, Meaning.GONE),
    ],
)
def test_video_endpoint_needs_no_status_word(status: int, body: object, meaning: Meaning) -> None:
    assert read("reelbot", status, body, video=True)[0] is meaning


BODIES: list[object] = [
    None,
    [],
    {},
    "words",
    {"status": "processing"},
    make_task(status="SUCCESS"),
    *map(make_body, (0, 5001, 429, 502, 7)),
]


@given(st.sampled_from([*PROVIDERS]), st.integers(200, 599), st.sampled_from(BODIES))
def test_sure_needs_a_json_object_and_success_or_failure_needs_2xx(name: str, status: int, body: object) -> None:
    meaning, sure = read(name, status, body)
    if sure:
        assert isinstance(body, dict)
        assert not 300 <= status < 400
    if meaning in {Meaning.SUCCESS, Meaning.FAILED}:
        assert 200 <= status < 300


# What the command does.


@pytest.mark.parametrize(
    ("meaning", "sure", "past", "step"),
    [
        (Meaning.RUNNING, True, Past(), Step.GO_ON),
        (Meaning.SUCCESS, True, Past(), Step.END),
        (Meaning.SUCCESS, False, Past(), Step.GO_ON),
        (Meaning.FAILED, True, Past(), Step.END),
        (Meaning.FAILED, False, Past(), Step.ASK_AGAIN),
        (Meaning.FAILED, False, Past(confirmed=True), Step.END),
        (Meaning.GONE, True, Past(), Step.END),
        (Meaning.BROKEN, True, Past(), Step.END),
        (Meaning.MISSING, True, Past(), Step.ASK_AGAIN),
        (Meaning.MISSING, True, Past(confirmed=True), Step.END),
        (Meaning.MISSING, False, Past(final=True), Step.END_ALL),
        (Meaning.KEY, True, Past(), Step.END),
        (Meaning.KEY, True, Past(worked=True), Step.ASK_AGAIN),
        (Meaning.KEY, True, Past(worked=True, confirmed=True), Step.END),
        (Meaning.KEY, False, Past(), Step.ASK_AGAIN),
        (Meaning.CREDIT, False, Past(confirmed=True), Step.END),
        (Meaning.CREDIT, True, Past(final=True), Step.END_ALL),
        (Meaning.LIMIT, False, Past(), Step.PAUSE),
        (Meaning.BUSY, False, Past(), Step.BACK_OFF),
        (Meaning.FOREIGN, False, Past(), Step.FOR_A_WHILE),
        (Meaning.FOREIGN, False, Past(worked=True), Step.BACK_OFF),
        (Meaning.FOREIGN, False, Past(worked=True, final=True), Step.BACK_OFF),
        (Meaning.FOREIGN, False, Past(final=True), Step.END_ALL),
    ],
)
def test_decide_returns_the_step_for_a_meaning_and_a_past(
    meaning: Meaning, past: Past, step: Step, *, sure: bool
) -> None:
    assert decide(meaning, past, sure=sure) is step


def test_every_meaning_and_past_has_a_step() -> None:
    for meaning in Meaning:
        for sure, worked, confirmed, final in product((True, False), repeat=4):
            assert isinstance(decide(meaning, Past(worked, confirmed, final), sure=sure), Step)


def test_end_of_more_jobs_wins_when_several_rows_match() -> None:
    """Check the rule that CONTRIBUTING states above its diagram, which shows the rows without an order."""
    for meaning, past in product(Meaning, map(Past._make, product((True, False), repeat=3))):
        for sure in (True, False):
            rows = [row for row in course.COURSE if row[0] is meaning]
            steps = [step for _, *columns, step in rows if _fits(columns, (sure, *past))]
            ends = [step for step in (Step.END_ALL, Step.END) if step in steps]
            assert len({*steps} - {*ends}) <= 1
            assert decide(meaning, past, sure=sure) is (*ends, *steps)[0]


def _fits(columns: list[bool | None], facts: tuple[bool, ...]) -> bool:
    return all(column in (None, fact) for column, fact in zip(columns, facts, strict=True))


@pytest.mark.parametrize(
    ("meaning", "sure", "key", "job", "settled"),
    [
        (Meaning.KEY, False, True, False, Meaning.FOREIGN),
        (Meaning.CREDIT, False, True, False, Meaning.FOREIGN),
        (Meaning.KEY, True, True, True, Meaning.KEY),
        (Meaning.MISSING, False, True, False, Meaning.MISSING),
        (Meaning.MISSING, False, True, True, Meaning.FOREIGN),
        (Meaning.BUSY, False, True, True, Meaning.BUSY),
    ],
)
def test_unsure_refusal_becomes_foreign_after_an_earlier_answer(
    meaning: Meaning, settled: Meaning, *, sure: bool, key: bool, job: bool
) -> None:
    assert settle(meaning, sure=sure, key_answered=key, job_answered=job) is settled


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        *((kind, Meaning.KEY) for kind in (KeyRefused, KeyMissing)),
        (OutOfCredit, Meaning.CREDIT),
        (NotFound, Meaning.MISSING),
        (Gone, Meaning.GONE),
        (RateLimited, Meaning.LIMIT),
        (NotReady, Meaning.RUNNING),
        *((kind, Meaning.FOREIGN) for kind in (NoConnection, Unreadable, Untrusted, Redirected)),
        *((kind, Meaning.BUSY) for kind in (ServerError, Unreachable)),
        (ServiceError, Meaning.BROKEN),
    ],
)
def test_each_error_is_classified_by_its_meaning(kind: type[VideostatError], meaning: Meaning) -> None:
    assert classify_outcome(kind("oh", sure=True) if kind is not Redirected else kind("oh"))[0] is meaning


def test_every_error_class_has_a_meaning() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VideostatError)]
    for kind in kinds:
        error = kind(2) if kind is errors.Interrupted else kind("oh")
        assert isinstance(classify_outcome(error)[0], Meaning)


@pytest.mark.parametrize(
    ("known", "phase"),
    [
        ({"state": State.FAILED}, None),
        ({"state": State.SUCCEEDED}, None),
        ({"state": State.SUCCEEDED, "needs_url": True}, Phase.URL),
        ({"state": State.SUCCEEDED, "video_url": "https://x/v"}, Phase.SAVE),
    ],
)
def test_next_phase_depends_on_the_state_and_the_video_url(known: dict[str, Any], phase: Phase | None) -> None:
    assert choose_next_phase(replace(JOB, **known), Phase.LOOK, (Phase.SAVE, Phase.EXEC)) is phase


def test_job_with_a_video_goes_through_the_steps_in_order() -> None:
    job, steps = replace(JOB, state=State.SUCCEEDED, video_url="https://x/v"), (Phase.SAVE, Phase.EXEC)
    assert choose_next_phase(job, Phase.URL, steps) is Phase.SAVE
    assert choose_next_phase(job, Phase.SAVE, steps) is Phase.EXEC
    assert choose_next_phase(job, Phase.EXEC, steps) is choose_next_phase(job, Phase.LOOK, ()) is None


DONE, FAILED = replace(JOB, state=State.SUCCEEDED, status="x"), replace(JOB, state=State.FAILED, status="x", sure=False)
KEY, BUSY, LIMIT = KeyRefused("no", sure=True), ServerError("oh"), RateLimited("slow")


@pytest.mark.parametrize(
    ("end", "state", "problem", "code"),
    [
        (Ending(DONE, refusal=KEY, answered=True), State.SUCCEEDED, None, 9),
        (Ending(DONE, trouble=BUSY), State.SUCCEEDED, NotSaved, 9),
        (Ending(replace(DONE, needs_url=True)), State.SUCCEEDED, NotSaved, 9),
        (Ending(JOB, doubt=replace(DONE, sure=False), refusal=KEY), State.SUCCEEDED, None, 9),
        (Ending(JOB, refusal=KEY, doubt=FAILED), State.UNKNOWN, KeyRefused, 3),
        (Ending(JOB, refusal=NotFound("no", sure=True)), State.UNKNOWN, NotFound, 7),
        (Ending(JOB, doubt=FAILED), State.FAILED, None, 5),
        (Ending(JOB, answered=True, trouble=BUSY), State.UNKNOWN, TimedOut, 124),
        (Ending(JOB, trouble=LIMIT), State.UNKNOWN, RateLimited, 4),
        (Ending(JOB, asked=False, group_answered=True, others=frozenset({3})), State.UNKNOWN, TimedOut, 124),
        (Ending(JOB, asked=False, others=frozenset({7, 4})), State.UNKNOWN, OutOfCredit, 4),
        (Ending(JOB, trouble=BUSY), State.UNKNOWN, ServerError, 6),
        (Ending(JOB, trouble=KeyRefused("unsure")), State.UNKNOWN, Unreachable, 6),
        (Ending(JOB), State.UNKNOWN, Unreachable, 6),
    ],
)
def test_end_at_the_deadline_is_the_first_matching_row_and_unsure(
    end: Ending, state: State, problem: type[VideostatError] | None, code: int
) -> None:
    job = describe_end_at_deadline(end)
    assert (job.state, type(job.problem) if job.problem else None, int(job.exit_code)) == (state, problem, code)
    assert job.problem is None or not job.problem.sure


def test_timeout_of_an_answered_job_names_its_last_error() -> None:
    job = describe_end_at_deadline(Ending(JOB, answered=True, trouble=BUSY))
    assert job.exit_code is ExitCode.TIMEOUT
    assert "the last look: oh" in str(job.problem)


def test_only_course_compares_the_http_status_of_an_answer() -> None:
    """Read the syntax trees: only polling/course compares `.status` of an Answer.

    The transport, the saving of media and the simulated services speak HTTP themselves.
    """
    root = Path(videostat.__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        here = path.relative_to(root).as_posix()
        if here.startswith(("transport/", "saving/", "sandbox/")) or here == "polling/course.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            compared: list[ast.AST] = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            compared += [node.subject] if isinstance(node, ast.Match) else []
            found += [
                f"{here}: {ast.unparse(node)}"
                for each in compared
                for part in ast.walk(each)
                if isinstance(part, ast.Attribute) and part.attr == "status" and "answer" in ast.unparse(part.value)
            ]
    assert found == []


@pytest.mark.parametrize(
    ("status", "concerns_one_job"),
    [*((status, True) for status in (200, 202, 400, 404, 410, 422)), *((status, False) for status in (403, 405, 418))],
)
def test_foreign_answer_concerns_one_job_only_with_certain_statuses(status: int, *, concerns_one_job: bool) -> None:
    answer = api_answer(status, {}, None, EPOCH)
    error = course.make_error(answer, DOUBAO, Meaning.FOREIGN, "a", sure=False)
    assert course.is_about_job(error) == concerns_one_job


@pytest.mark.parametrize("status", [300, 399])
def test_redirect_is_a_foreign_answer_whatever_its_body_says(status: int) -> None:
    assert read("jogg", status, make_body(18020)) == (Meaning.FOREIGN, False)
