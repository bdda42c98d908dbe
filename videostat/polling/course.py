"""Decide what an answer means, and whether to go on asking. Pure: no clock, no queue, no HTTP.

Two questions. *What is so*: `read` gives the meaning of an answer, and whether it is sure. Sure means that the service
said it in a word or code that it documents; only that is recorded of a job. *Do we go on*: `decide` looks the meaning
up in `COURSE`, together with what has happened before. The client calls `read`, where a provider's tables and an answer
meet; the poll loop calls `decide`, and knows neither. No other place compares the status of an API's answer.

An outcome travels as what it is for everybody else: a Job, or an error of errors.py, whose `sure` is the second half.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from videostat import errors
from videostat.errors import ExitCode, NotFound, TimedOut, Unreadable, VideostatError
from videostat.models import Job, State
from videostat.polling.options import Phase
from videostat.providers import reading, refusals
from videostat.providers.base import Meaning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from videostat.providers.base import Answer, Endpoint, Provider

SURE = 20  # seconds; a fresh id can take that long to be known
SIGHTINGS = 3  # answers that are not the service's, until one sentence says so

# --- What an answer means. A word about the job comes first, then a documented code, then the first row that fits.

OF_WORDS = {State.SUCCEEDED: Meaning.SUCCESS, State.FAILED: Meaning.FAILED}  # any other word: running

OF_CODES = {Meaning.MISSING, Meaning.GONE, Meaning.RUNNING, Meaning.KEY, Meaning.CREDIT, Meaning.BROKEN}

# Meaning, the statuses that have it, whether only a JSON object counts, and what undocumented codes have in their name.
OF_STATUSES: tuple[tuple[Meaning, set[int], bool, tuple[str, ...]], ...] = (
    (Meaning.LIMIT, {429}, False, ("rate_limit", "ratelimit", "too_many_requests")),
    (Meaning.BUSY, {408, 409, 423, 425, 444, 499, *range(500, 600)}, False, ("timeout", "unavailable", "overloaded")),
    (Meaning.KEY, {401, 403}, True, ()),
    (Meaning.CREDIT, {402}, True, ()),
    (Meaning.MISSING, {404, 410}, True, ()),
)
REFUSALS = {Meaning.KEY, Meaning.CREDIT, Meaning.MISSING}
FINAL = (errors.Untrusted,)  # a redirect or a bad certificate: not what passes, where nothing ever worked
REDIRECT = range(300, 400)
OK = range(200, 300)
ABOUT_THE_JOB = {400, 404, 410, 422, *OK}  # a foreign answer with one of these may be this job's alone

# What an outcome means that is no answer, or was told by an error.
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
    """What an answer means, whether that is sure, and the task that it is about, where a word says so."""

    meaning: Meaning
    sure: bool = False
    task: Mapping[str, Any] | None = None


def read(answer: Answer, provider: Provider, endpoint: Endpoint, job_id: str) -> Found:
    """Say what an answer means, and whether that is sure."""
    codes = [*refusals.codes(answer.body), *(f"{answer.status} {code}" for code in refusals.codes(answer.body))]
    documented = next((provider.codes[code] for code in codes if code in provider.codes), None)
    if answer.status in REDIRECT:
        return Found(Meaning.FOREIGN)
    if answer.status in OK and (found := _by_word(answer.body, provider, endpoint, job_id, documented)):
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


def _by_word(
    body: object, provider: Provider, endpoint: Endpoint, job_id: str, documented: Meaning | None
) -> Found | None:
    if endpoint.is_video:
        body = reading.unwrapped(body)
        if not isinstance(body, dict) or documented:
            return None
        names_url = reading.video_urls(body) or any(key in body for key in reading.URL_KEYS)
        return Found(Meaning.SUCCESS, sure=True, task=body) if names_url else None
    task = reading.find_task(body)
    if task is None:
        return None
    state, sure = reading.state(reading.word(task), provider.words)
    # A code around the task, or beside a word that is not the service's own, says that there is no such answer.
    if documented and not (sure and task is reading.unwrapped(body)):
        return None
    told = reading.text(task.get(provider.own_id)) if provider.own_id else None
    if told is not None and told != job_id:
        return Found(Meaning.FOREIGN)
    meaning = OF_WORDS.get(state, Meaning.RUNNING)
    # A word that only the shared table knows is a success if there is a video.
    return Found(meaning, sure or (meaning is Meaning.SUCCESS and bool(reading.video_urls(task))), task)


def is_ok(answer: Answer) -> bool:
    """Whether an answer can be a list."""
    return answer.status in OK


def refuse(answer: Answer, provider: Provider, meaning: Meaning, job_id: str, *, sure: bool) -> VideostatError:
    """Build the error that an answer without a job stands for."""
    # A word about a job is none about a list.
    meaning = Meaning.FOREIGN if meaning in OF_WORDS.values() else meaning
    error = refusals.refusal(answer, meaning, sure=sure, job_id=job_id, hints=provider.hints)
    if isinstance(error, Unreadable):
        error.about_job = answer.status in ABOUT_THE_JOB
    return error


def meaning_of(outcome: Job | VideostatError) -> tuple[Meaning, bool]:
    """Say what an outcome means, and whether that is sure."""
    if isinstance(outcome, Job):
        return OF_WORDS.get(outcome.state, Meaning.RUNNING), outcome.sure
    return next(OF_ERRORS[kind] for kind in type(outcome).__mro__ if kind in OF_ERRORS), outcome.sure


# --- Whether to go on.


class Step(Enum):
    """What the command does with a job; .github/CONTRIBUTING.md draws it."""

    GO_ON = "ask again when it is due"
    ASK_AGAIN = "ask once more, as soon as the floor allows"
    BACK_OFF = "ask again and again, with growing pauses"
    FOR_A_WHILE = "the same, for two minutes"
    PAUSE = "let the endpoint rest"
    END = "end this job"
    END_ALL = "end all jobs of the key group"


class Past(NamedTuple):
    """What is known when an answer comes.

    `worked`: for a foreign answer, this job or this account was ever answered; for any other, the account.
    `confirmed`: said before, or the command only looks. `final`: no other job will be answered either.
    """

    worked: bool = False
    confirmed: bool = False
    final: bool = False


_ANY = None
# The first row whose columns fit; None fits everything.
COURSE: tuple[tuple[Meaning, bool | None, bool | None, bool | None, bool | None, Step], ...] = (
    # meaning, sure, worked, confirmed, final, what the command does
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
    """Look up what the command does."""
    facts = (sure, *past)
    return next(
        step
        for of, *columns, step in COURSE
        if of is meaning and all(column in (None, fact) for column, fact in zip(columns, facts, strict=True))
    )


def settle(meaning: Meaning, *, sure: bool, key_answered: bool, job_answered: bool) -> Meaning:
    """Take an unsure refusal for a foreign answer where this key, an unsure "missing" where this job was answered."""
    answered = job_answered if meaning is Meaning.MISSING else key_answered
    return Meaning.FOREIGN if meaning in REFUSALS and not sure and answered else meaning


def is_about_job(outcome: Job | VideostatError) -> bool:
    """Whether a foreign answer may be this job's alone."""
    return isinstance(outcome, NotFound) or (isinstance(outcome, Unreadable) and outcome.about_job)


def is_answer(meaning: Meaning, *, sure: bool) -> bool:
    """Whether the service has spoken about the job: then its address and key work."""
    return meaning in {Meaning.RUNNING, Meaning.SUCCESS, Meaning.FAILED, Meaning.GONE} or (
        meaning is Meaning.MISSING and sure
    )


def next_phase(job: Job, phase: Phase, steps: tuple[Phase, ...]) -> Phase | None:
    """Say where a job goes that has succeeded; None is its end."""
    if job.needs_url:
        return Phase.URL
    if job.state is not State.SUCCEEDED or not (job.video_url or job.saved):
        return None
    return (*steps, None)[steps.index(phase) + 1 if phase in steps else 0]


# --- What is told at the deadline: the first row that fits. Nothing of it is recorded.


class Ending(NamedTuple):
    """What is known of a job at the deadline.

    `refusal`: the last one that was sure. `doubt`: what an unsure word said. `trouble`: what its last look met.
    `others`: the codes of its group. `answered`, `group_answered`: in this run.
    """

    job: Job
    refusal: VideostatError | None = None
    doubt: Job | None = None
    trouble: VideostatError | None = None
    asked: bool = True
    answered: bool = False
    group_answered: bool = False
    others: frozenset[int] = frozenset()


def at_deadline(end: Ending) -> Job:
    """Say how a job has ended that the deadline has reached."""
    late = TimedOut("not finished at the deadline" + (f"; the last look: {end.trouble}" if end.trouble else ""))
    silent = errors.Unreachable(f"no answer until the deadline{f', but {end.trouble}' if end.trouble else ''}")
    candidates: Iterable[tuple[object, Job, VideostatError | None]] = (
        (end.job.state is State.SUCCEEDED, end.job, end.trouble or (late if end.job.needs_url else None)),
        (end.doubt and end.doubt.state is State.SUCCEEDED, end.doubt or end.job, None),
        (end.refusal, end.job, _unsure(end.refusal)),
        (end.doubt, end.doubt or end.job, None),
        (end.answered, end.job, late),
        (isinstance(end.trouble, errors.RateLimited), end.job, end.trouble),
        (not end.asked and (end.group_answered or not end.others), end.job, late),
        (not end.asked, end.job, _with_code(min(end.others, default=ExitCode.UNKNOWN))),
        (isinstance(end.trouble, errors.Retryable | errors.Untrusted), end.job, end.trouble),
        (True, end.job, silent),
    )
    _, job, problem = next(row for row in candidates if row[0])
    return job if problem is None else replace(job, problem=problem)


def _unsure(error: VideostatError | None) -> VideostatError | None:
    """The same error, which is not recorded."""
    if error is None or not error.sure:
        return error
    known: dict[str, Any] = {"hint": error.hint, "code": error.code}
    return type(error)(str(error), **known)


def _with_code(code: int) -> VideostatError:
    kinds = {ExitCode.KEY: errors.KeyRefused, ExitCode.CREDIT: errors.OutOfCredit, ExitCode.GONE: errors.NotFound}
    kind = next((kind for of, kind in kinds.items() if of == code), errors.Unreachable)
    return kind("not asked until the deadline: no other job of this account was answered")
