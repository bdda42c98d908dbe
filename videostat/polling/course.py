"""Decide what an answer means and what to do next. Everything here is pure: no clock, no queue, no HTTP.

The client calls `read`, which returns the meaning of an answer and whether it is sure. It is sure if the service said
it in a word or code that it documents. Only a sure answer is recorded. The poll loop calls `decide`, which looks up the
next step in the table `COURSE` by the meaning and by what has happened before. No other module compares the HTTP status
of an API's answer.

A foreign answer does not come from the service itself: it is the page of a proxy, for example. Between the two calls,
an answer travels as a Job or as a VideostatError; both have the field `sure`.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from videostat import errors
from videostat.errors import ExitCode, NotFound, NotSaved, TimedOut, Unreadable, VideostatError
from videostat.models import DOWNLOAD_AGAIN, Job, State
from videostat.polling.options import Phase
from videostat.providers import reading, refusals
from videostat.providers.base import REFUSALS, Meaning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from videostat.providers.base import Answer, Endpoint, Provider

SURE = 20  # seconds; a service may need so long until it knows a new id
SIGHTINGS = 3  # answers that are not the service's, before the user is told

# --- What an answer means: a word about the job decides first, then a documented code, then the first matching row.

OF_WORDS = {State.SUCCEEDED: Meaning.SUCCESS, State.FAILED: Meaning.FAILED}  # any other word: running

OF_CODES = {Meaning.MISSING, Meaning.GONE, Meaning.RUNNING, Meaning.KEY, Meaning.CREDIT, Meaning.BROKEN}

# Each row: a meaning, the HTTP statuses that have it, whether the body must be a JSON object, and parts of the names of
# undocumented codes that have it.
OF_STATUSES: tuple[tuple[Meaning, set[int], bool, tuple[str, ...]], ...] = (
    (Meaning.LIMIT, {429}, False, ("rate_limit", "ratelimit", "too_many_requests")),
    (Meaning.BUSY, {408, 409, 423, 425, 444, 499, *range(500, 600)}, False, ("timeout", "unavailable", "overloaded")),
    (Meaning.KEY, {401, 403}, True, ()),
    (Meaning.CREDIT, {402}, True, ()),
    (Meaning.MISSING, {404, 410}, True, ()),
)
FINAL = (errors.Untrusted,)  # a redirect or a bad certificate does not go away by waiting
REDIRECT = range(300, 400)
OK = range(200, 300)
ABOUT_THE_JOB = {400, 404, 410, 422, *OK}  # a foreign answer with one of these may concern only this job

OF_ERRORS: Mapping[type[VideostatError], Meaning] = {
    errors.KeyRefused: Meaning.KEY,
    errors.OutOfCredit: Meaning.CREDIT,
    errors.NotFound: Meaning.MISSING,
    errors.Gone: Meaning.GONE,
    errors.RateLimited: Meaning.LIMIT,
    errors.NotReady: Meaning.RUNNING,
    errors.NoConnection: Meaning.FOREIGN,
    errors.Unreadable: Meaning.FOREIGN,
    errors.Untrusted: Meaning.FOREIGN,
    errors.Retryable: Meaning.BUSY,
    VideostatError: Meaning.BROKEN,
}


class Found(NamedTuple):
    """What an answer means, and whether that is sure.

    `task`: the part of the body that describes the job, if a word in it gave the meaning.
    """

    meaning: Meaning
    sure: bool = False
    task: Mapping[str, Any] | None = None


def read(answer: Answer, provider: Provider, endpoint: Endpoint, job_id: str) -> Found:
    """Find out what an answer means, and whether that is sure."""
    codes = [
        *refusals.read_codes(answer.body),
        *(f"{answer.status} {code}" for code in refusals.read_codes(answer.body)),
    ]
    documented = next((provider.codes[code] for code in codes if code in provider.codes), None)
    if answer.status in REDIRECT:
        return Found(Meaning.FOREIGN)
    if answer.status in OK and (found := _read_state_word(answer.body, provider, endpoint, job_id, documented)):
        return found
    if documented in OF_CODES:
        return Found(documented, sure=True)
    numbers = {answer.status, *(int(code) for code in codes if code.isdecimal() and len(code) == len("429"))}
    for meaning, statuses, only_json, names in OF_STATUSES:
        is_named = any(name in code.lower().replace("-", "_") for code in codes for name in names)
        is_read = isinstance(answer.body, dict) or not only_json
        if meaning is documented or is_named or (numbers & statuses and is_read):
            return Found(meaning)
    return Found(Meaning.FOREIGN)


def _read_state_word(
    body: object, provider: Provider, endpoint: Endpoint, job_id: str, documented: Meaning | None
) -> Found | None:
    if endpoint.is_video:
        body = reading.unwrap(body)
        if not isinstance(body, dict) or documented:
            return None
        names_url = reading.find_video_urls(body) or any(key in body for key in reading.URL_KEYS)
        return Found(Meaning.SUCCESS, sure=True, task=body) if names_url else None
    task = reading.find_task(body)
    if task is None:
        return None
    state, sure = reading.read_state(reading.read_status_word(task), provider.words)
    # A documented error code wins over a word, unless it stands in the task itself beside a word of the service's own.
    if documented and not (sure and task is reading.unwrap(body)):
        return None
    named = reading.read_text(task.get(provider.own_id)) if provider.own_id else None
    if named is not None and named != job_id:
        return Found(Meaning.FOREIGN)
    meaning = OF_WORDS.get(state, Meaning.RUNNING)
    # A success word of the shared table is sure if a video comes with it.
    return Found(meaning, sure or (meaning is Meaning.SUCCESS and bool(reading.find_video_urls(task))), task)


def is_ok(answer: Answer) -> bool:
    """Tell whether an answer has a status of success."""
    return answer.status in OK


def make_error(answer: Answer, provider: Provider, meaning: Meaning, job_id: str, *, sure: bool) -> VideostatError:
    """Build the error for an answer that describes no job."""
    # In the answer to a list, a word about a job has no meaning.
    meaning = Meaning.FOREIGN if meaning in OF_WORDS.values() else meaning
    error = refusals.make_refusal(answer, meaning, sure=sure, job_id=job_id, hints=provider.hints)
    if isinstance(error, Unreadable):
        error.about_job = answer.status in ABOUT_THE_JOB
    return error


def classify_outcome(outcome: Job | VideostatError) -> tuple[Meaning, bool]:
    """Return the meaning of a job or error, and whether it is sure."""
    if isinstance(outcome, Job):
        return OF_WORDS.get(outcome.state, Meaning.RUNNING), outcome.sure
    return next(OF_ERRORS[kind] for kind in type(outcome).__mro__ if kind in OF_ERRORS), outcome.sure


# --- What to do next.


class Step(Enum):
    """The next step for a job. .github/CONTRIBUTING.md has a diagram."""

    GO_ON = "look again at the usual time"
    ASK_AGAIN = "look once more, as soon as the floor allows"
    BACK_OFF = "look again after growing pauses"
    FOR_A_WHILE = "the same, but for two minutes only"
    PAUSE = "send nothing to this endpoint for some time"
    END = "end this job"
    END_ALL = "end all jobs of the key group"


class Past(NamedTuple):
    """What has happened before an answer.

    `worked`: the account was answered before; for a foreign answer about one job, that job was. `confirmed`: the same
    meaning came before, or the command looks only once. `final`: the other jobs cannot be answered either.
    """

    worked: bool = False
    confirmed: bool = False
    final: bool = False


_ANY = None
# The first row that matches decides; None matches everything.
COURSE: tuple[tuple[Meaning, bool | None, bool | None, bool | None, bool | None, Step], ...] = (
    # meaning, sure, worked, confirmed, final, next step
    (Meaning.RUNNING, _ANY, _ANY, _ANY, _ANY, Step.GO_ON),
    (Meaning.GONE, _ANY, _ANY, _ANY, _ANY, Step.END),
    (Meaning.BROKEN, _ANY, _ANY, _ANY, _ANY, Step.END),
    (Meaning.SUCCESS, True, _ANY, _ANY, _ANY, Step.END),
    (Meaning.SUCCESS, False, _ANY, _ANY, _ANY, Step.GO_ON),
    (Meaning.FAILED, True, _ANY, _ANY, _ANY, Step.END),
    (Meaning.FAILED, False, _ANY, True, _ANY, Step.END),
    (Meaning.FAILED, False, _ANY, False, _ANY, Step.ASK_AGAIN),
    (Meaning.MISSING, False, _ANY, _ANY, True, Step.END_ALL),
    (Meaning.MISSING, _ANY, _ANY, True, _ANY, Step.END),
    (Meaning.MISSING, _ANY, _ANY, False, _ANY, Step.ASK_AGAIN),
    *(
        (meaning, *row)
        for meaning in (Meaning.KEY, Meaning.CREDIT)
        for row in (
            (_ANY, _ANY, _ANY, True, Step.END_ALL),
            (True, False, _ANY, _ANY, Step.END),
            (_ANY, _ANY, True, _ANY, Step.END),
            (_ANY, _ANY, False, _ANY, Step.ASK_AGAIN),
        )
    ),
    (Meaning.LIMIT, _ANY, _ANY, _ANY, _ANY, Step.PAUSE),
    (Meaning.BUSY, _ANY, _ANY, _ANY, _ANY, Step.BACK_OFF),
    (Meaning.FOREIGN, _ANY, True, _ANY, _ANY, Step.BACK_OFF),
    (Meaning.FOREIGN, _ANY, False, _ANY, True, Step.END_ALL),
    (Meaning.FOREIGN, _ANY, False, _ANY, False, Step.FOR_A_WHILE),
)


def decide(meaning: Meaning, past: Past, *, sure: bool) -> Step:
    """Look up the next step in the table."""
    facts = (sure, *past)
    return next(
        step
        for of, *columns, step in COURSE
        if of is meaning and all(column in (None, fact) for column, fact in zip(columns, facts, strict=True))
    )


def settle(meaning: Meaning, *, sure: bool, key_answered: bool, job_answered: bool) -> Meaning:
    """Change an unsure refusal to FOREIGN if an earlier answer contradicts it.

    It becomes a foreign answer if the key was answered before, or for "no such job", if that job was.
    """
    answered = job_answered if meaning is Meaning.MISSING else key_answered
    return Meaning.FOREIGN if meaning in REFUSALS and not sure and answered else meaning


def is_about_job(outcome: Job | VideostatError) -> bool:
    """Tell whether a foreign answer may concern only this job."""
    return isinstance(outcome, NotFound) or (isinstance(outcome, Unreadable) and outcome.about_job)


def is_answer(meaning: Meaning, *, sure: bool) -> bool:
    """Tell whether the service itself has answered about the job.

    Such an answer proves the address and the key.
    """
    return meaning in {Meaning.RUNNING, Meaning.SUCCESS, Meaning.FAILED, Meaning.GONE} or (
        meaning is Meaning.MISSING and sure
    )


def choose_next_phase(job: Job, phase: Phase, steps: tuple[Phase, ...]) -> Phase | None:
    """Return the next phase of a succeeded job; None if it has ended."""
    if job.needs_url:
        return Phase.URL
    if job.state is not State.SUCCEEDED or not (job.video_url or job.saved):
        return None
    return (*steps, None)[steps.index(phase) + 1 if phase in steps else 0]


# --- How a job ends at the deadline: the first matching row decides. Nothing of it is recorded.


class Ending(NamedTuple):
    """What is known of a job at the deadline.

    `refusal`: the last sure one. `doubt`: the job as an unsure word describes it. `trouble`: the last look's error.
    `others`: exit codes of other jobs of the group. `answered`, `group_answered`: in this run.
    """

    job: Job
    refusal: VideostatError | None = None
    doubt: Job | None = None
    trouble: VideostatError | None = None
    asked: bool = True
    answered: bool = False
    group_answered: bool = False
    others: frozenset[int] = frozenset()


def describe_end_at_deadline(end: Ending) -> Job:
    """Describe how a job ends when its deadline is over."""
    late = TimedOut("not finished at the deadline" + (f"; the last look: {end.trouble}" if end.trouble else ""))
    silent = errors.Unreachable(f"no answer until the deadline{f', but {end.trouble}' if end.trouble else ''}")
    candidates: Iterable[tuple[object, Job, VideostatError | None]] = (
        (
            end.job.state is State.SUCCEEDED,
            end.job,
            make_not_saved(end.trouble or late) if end.trouble or end.job.needs_url else None,
        ),
        (end.doubt and end.doubt.state is State.SUCCEEDED, end.doubt or end.job, None),
        (end.refusal, end.job, _make_unsure(end.refusal)),
        (end.doubt, end.doubt or end.job, None),
        (end.answered, end.job, late),
        (isinstance(end.trouble, errors.RateLimited), end.job, end.trouble),
        (not end.asked and (end.group_answered or not end.others), end.job, late),
        (not end.asked, end.job, _make_error_for_code(min(end.others, default=ExitCode.UNKNOWN))),
        (isinstance(end.trouble, errors.Retryable | errors.Untrusted), end.job, end.trouble),
        (True, end.job, silent),
    )
    _, job, problem = next(row for row in candidates if row[0])
    return job if problem is None else replace(job, problem=problem)


def make_not_saved(problem: VideostatError) -> NotSaved:
    """Make the error for a succeeded job whose video could not be fetched."""
    why = f"it succeeded, but its video could not be fetched: {problem}"
    return NotSaved(why, hint=DOWNLOAD_AGAIN, code=problem.code)


def _make_unsure(error: VideostatError | None) -> VideostatError | None:
    """Copy an error as an unsure one, so that it is not recorded."""
    if error is None or not error.sure:
        return error
    known: dict[str, Any] = {"hint": error.hint, "code": error.code}
    return type(error)(str(error), **known)


def _make_error_for_code(code: int) -> VideostatError:
    kinds = {ExitCode.KEY: errors.KeyRefused, ExitCode.CREDIT: errors.OutOfCredit, ExitCode.GONE: errors.NotFound}
    kind = next((kind for of, kind in kinds.items() if of == code), errors.Unreachable)
    return kind("not asked until the deadline: no other job of this account was answered")
