"""Foreign JSON, read without trust: each function takes any value and gives ours, or None."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from videostat.errors import (
    Gone,
    KeyRefused,
    NotFound,
    NotReady,
    OutOfCredit,
    RateLimited,
    Retryable,
    ServerError,
    ServiceError,
    Unreadable,
    VideostatError,
)
from videostat.models import State
from videostat.providers.base import Meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from videostat.models import Job
    from videostat.providers.base import Answer

T = TypeVar("T")

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_HUGE = 10**22
_MILLISECONDS = 1e11  # seconds would put such a time into the year 5138
_A_LENGTH = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)  # 10^9 seconds; what is smaller is no moment
_LONGEST_HINT = 86400  # seconds; more than a day is no hint
_LONGEST_JSON = 1 << 20

# What services call the same things; a provider's own table comes first. In lower case, "_" for blanks and dashes.
WORDS: Mapping[str, State] = {
    **dict.fromkeys(
        (
            "queued",
            "queueing",
            "in_queue",
            "inqueue",
            "pending",
            "submitted",
            "waiting",
            "not_start",
            "created",
            "init",
        ),
        State.QUEUED,
    ),
    **dict.fromkeys(
        (
            *("running", "processing", "in_progress", "inprogress", "generating", "preparing", "rendering", "started"),
            *("progressing", "throttled", "finalizing", "starting", "reviewing"),
        ),
        State.RUNNING,
    ),
    **dict.fromkeys(
        ("succeeded", "success", "succeed", "successful", "completed", "complete", "done", "ready", "finished"),
        State.SUCCEEDED,
    ),
    **dict.fromkeys(
        (
            *("failed", "fail", "failure", "error", "errored", "cancelled", "canceled", "expired", "aborted"),
            *("rejected", "nsfw", "deleted", "timeout", "timed_out", "blocked", "moderated", "terminated"),
        ),
        State.FAILED,
    ),
}

# Where the word about a task can stand, and what can be wrapped around a task.
STATUS = ("status", "task_status", "state")
ENVELOPES = ("data", "task", "result", "output", "response", "job")
IDS = ("task_id", "id", "project_id", "video_id", "request_id")

# Where a video's address can be, the likeliest first; a list holds several videos.
VIDEO: tuple[tuple[str | int, ...], ...] = (
    *((name,) for name in ("video_url", "result_url", "fail_reason", "url", "videoUrl", "downloadUrl", "download_url")),
    *(("content", "video_url"), ("video", "url"), ("video",), ("metadata", "url"), ("assets", "video"), ("uri",)),
    *(("task_result", "videos"), ("videos",), ("video_urls",), ("urls",), ("unsigned_urls",), ("resultUrls",)),
    *(("creations",), ("generations",), ("outputs",), ("output",), ("result",), ("results",), ("response",), ("data",)),
    *(("file_url",), ("result_video_url",), ("resultJson",), ("links",), ("files",), ("file",)),
)
URL_KEYS = ("video_url", "url", "uri", "download_url", "downloadUrl", "videoUrl", "resultUrls", "video", "videos")

CODES = (("error", "code"), ("code",), ("error_code",), ("errorCode",), ("error", "type"), ("error",), ("type",))
NO_ERRORS = {"0", "200", "ok", "success"}
MESSAGES = (("error", "message"), ("message",), ("msg",), ("detail",), ("error",), ("error_description",))
REQUEST_IDS = (("rid",), ("request_id",), ("requestId",))
RESETS = (("details", "resetAt"), ("resetAt",), ("error", "resetAt"))

_REFUSALS: Mapping[Meaning, tuple[type[VideostatError], str]] = {
    Meaning.RUNNING: (NotReady, "the video is not ready"),
    Meaning.GONE: (Gone, "it has expired or was deleted"),
    Meaning.MISSING: (NotFound, "no such job"),
    Meaning.KEY: (KeyRefused, "the key was refused"),
    Meaning.CREDIT: (OutOfCredit, "the account is out of credit"),
    Meaning.BROKEN: (ServiceError, "the service refuses the request"),
    Meaning.LIMIT: (RateLimited, "rate limited"),
    Meaning.BUSY: (ServerError, "the service has an error of its own"),
    Meaning.FOREIGN: (Unreadable, "the answer is not what the service documents"),
}


def dig(value: object, *path: str | int) -> object:
    """What lies at that path of keys and list positions, or None."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def first(read: Callable[[object], T | None], value: object, paths: tuple[tuple[str | int, ...], ...]) -> T | None:
    """The first of these places that holds something readable."""
    return next((found for path in paths if (found := read(dig(value, *path))) is not None), None)


def text(value: object) -> str | None:
    """A text with something in it; whole numbers count, services write codes and ids as either."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < _HUGE else None  # which str() may refuse to write
    return value.strip() or None if isinstance(value, str) else None


def number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def length(value: object) -> float | None:
    """A length of time, in seconds."""
    read = number(value)
    return read if read is not None and read >= 0 else None


def percent(value: object) -> float | None:
    """0-100, from a number or from text such as "45%"."""
    read = number(value.strip().removesuffix("%") if isinstance(value, str) else value)
    return None if read is None else min(max(read, 0.0), 100.0)


def time(value: object) -> datetime | None:
    """ISO 8601 (UTC where it does not say), Unix seconds or Unix milliseconds; 0 is "not yet"."""
    seconds = number(value)
    try:
        if seconds is not None:
            read = datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC)
        elif isinstance(value, str):
            read = datetime.fromisoformat(value)
            read = (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    # Go's zero time is the year 1; and whoever adds a month to a date must not fall off the calendar's end.
    return read if _EARLIEST < read < _LATEST else None


def url(value: object) -> str | None:
    """An http or https URL with a host; one that begins with "/" is the base URL's, and made whole by the client."""
    value = value.strip(" \t\r\n") if isinstance(value, str) else value
    if not isinstance(value, str) or not re.fullmatch(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+", value):
        return None
    try:
        parts = urlsplit(value)
        is_whole = parts.scheme in {"http", "https"} and parts.hostname
        is_relative = not parts.scheme and value.startswith("/") and parts.path not in {"", "/"}
    except ValueError:
        return None
    return value if is_whole or is_relative else None


def video_urls(task: object) -> tuple[tuple[str, ...], ...]:
    """The addresses of each video of a task: of the first one all places that may hold it, in order.

    An address that a list holds beside the first is a further video, and not another place of the first.
    """
    levels = [task, *(inner for key in ENVELOPES if isinstance(inner := unwrapped(dig(task, key)), dict))]
    places = [found for level in levels for path in VIDEO if (found := _urls(unwrapped(dig(level, *path))))]
    first = tuple(dict.fromkeys(found[0] for found in places))
    further = dict.fromkeys(url for found in places for url in found[1:] if url not in first)
    return (first, *((url,) for url in further)) if first else ()


def _urls(value: object, depth: int = 3) -> list[str]:
    if isinstance(value, list) and depth:
        return [found for each in value[:100] for found in _urls(each, depth - 1)[:1]]
    if isinstance(value, dict) and depth:
        return next((found for key in URL_KEYS if (found := _urls(unwrapped(value.get(key)), depth - 1))), [])
    address = url(value)
    return [address] if address else []


def elsewhere(value: object, depth: int = 6) -> str | None:
    """The first address of any kind that an answer holds anywhere, also `gs://` and `s3://`."""
    if isinstance(value, str):
        return value.strip() if re.match(r"\s*(https?|gs|s3|oss|cos|tos)://[^\s]", value) else None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for each in inner if depth and (found := elsewhere(each, depth - 1))), None)


def unwrapped(value: object) -> object:
    """What stands in a text of JSON, and the only entry of a list."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["} and len(value) < _LONGEST_JSON:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def word(task: object) -> str | None:
    """The service's word about a task, as it is."""
    words = (dig(task, key) for key in STATUS)
    return next((each for each in words if isinstance(each, str) and each.strip()), None)


def find_task(body: object, depth: int = 4) -> dict[str, Any] | None:
    """The task in an answer: the innermost object with a word, unless one around it is a task too.

    Around a task there may be envelopes with a word of their own, such as "success". An object with an id is a task,
    and not an envelope; but a success around a task that has not succeeded is believed of neither.
    """
    body = unwrapped(body)
    if not isinstance(body, dict):
        return None
    found = (find_task(body.get(key), depth - 1) for key in ENVELOPES if depth)
    inner = next((each for each in found if each is not None), None)
    own = word(body)
    if own is None or (inner is not None and not any(text(body.get(key)) for key in IDS)):
        return inner
    if inner is not None and known_state(own) is State.SUCCEEDED and known_state(word(inner)) is not State.SUCCEEDED:
        return inner
    return body


def known_state(word: str | None, words: Mapping[str, State] = WORDS) -> State:
    """Our state for their word, whatever its case."""
    return words.get(re.sub(r"[\s-]+", "_", (word or "").strip().casefold()), State.UNKNOWN)


def state(word: str | None, own: Mapping[str, State]) -> tuple[State, bool]:
    """Our state for their word, by the provider's own table, else the shared one; and whether that is sure."""
    found = known_state(word, own)
    shared = known_state(word) if found is State.UNKNOWN else found
    return shared, found is shared


def settled(job: Job, task: Mapping[str, Any], own: Mapping[str, State]) -> Job:
    """The job with the state that its task's word gives it, and only what goes with that state."""
    status = word(task)
    found, sure = state(status, own)
    job = replace(job, status=status, state=found, sure=sure)
    if found is State.SUCCEEDED:
        return with_video(job, task)
    return job if found is State.FAILED else replace(job, error=None, error_code=None)


def with_video(job: Job, task: Mapping[str, Any]) -> Job:
    """A succeeded job with its addresses; where there is none, `error` says why, or what was there instead."""
    (first, *others), *further = video_urls(task) or (("",),)
    reason = None
    if not first:
        foreign = elsewhere(task)
        job = replace(job, error=None) if (job.error or "").startswith("data:") else job
        reason = job.error or (foreign and f"it names another address: {foreign.partition('?')[0]}")
    return replace(
        job,
        video_url=first or None,
        alternative_urls=tuple(others),
        further_urls=tuple(urls[0] for urls in further),
        error=reason,
        error_code=job.error_code if reason else None,
    )


def keep(task: Mapping[str, Any], *names: str) -> dict[str, object]:
    """These fields of a task, where they hold a text or a number."""
    return {name: task[name] for name in names if text(task.get(name)) is not None}


def created(*paths: tuple[str, ...]) -> Callable[[object], str | None]:
    """A reader of the id in an answer to a create call."""
    return lambda body: first(text, unwrapped(body), paths)


def failure(error: object) -> tuple[str | None, str | None]:
    """Text and code of an `error`, which may be a text, an object, or an empty object."""
    if isinstance(error, dict):
        return text(error.get("message")), text(error.get("code"))
    return text(error), None


def codes(body: object) -> list[str]:
    """The service's codes for what went wrong, the most telling first."""
    body = unwrapped(body)
    return [found for path in CODES if (found := text(dig(body, *path))) and found.lower() not in NO_ERRORS]


def refusal(
    answer: Answer,
    meaning: Meaning,
    *,
    sure: bool,
    job_id: str = "ID",
    hints: Mapping[Meaning, str] | None = None,
) -> VideostatError:
    """The error that an answer without a job stands for."""
    kind, sentence = _REFUSALS[meaning]
    body = unwrapped(answer.body)
    code = next((each for path in CODES[:4] if (each := text(dig(body, *path))) and each in codes(body)), None)
    message = first(text, body, MESSAGES)
    if meaning is Meaning.FOREIGN and isinstance(body, dict) and not codes(body):
        message = "it has no status of a job"
    request_id = first(text, body, REQUEST_IDS)
    status = f"HTTP {answer.status}" if answer.status else None
    details = ", ".join(filter(None, (code, status, request_id and f"request {request_id}")))
    hint = (hints or {}).get(meaning)
    said: dict[str, Any] = {"hint": hint and hint.format(id=job_id), "code": code, "sure": sure}
    if issubclass(kind, Retryable):
        # ReelBot names the end of the window in every answer: it is advice only where the limit is reached.
        said["retry_after"] = retry_after(answer, is_limit=meaning is Meaning.LIMIT)
    return kind(f"{sentence}: {message or _content(answer)}" + (f" ({details})" if details else ""), **said)


def _content(answer: Answer) -> str:
    if answer.body is not None:
        return f"JSON of type {type(answer.body).__name__}"
    return answer.headers.get("content-type", "").partition(";")[0] or "an empty answer"


def retry_after(answer: Answer, *, is_limit: bool) -> float | None:
    """The first hint that is readable and neither past nor more than a day away, in seconds from the answer's Date."""
    now = time(_http_date(answer.headers.get("date"))) or answer.received_at
    resets = (*(dig(answer.body, *path) for path in RESETS), answer.headers.get("x-ratelimit-reset"))
    waits = (_wait(answer.retry_after), *((_until(reset, now) for reset in resets) if is_limit else ()))
    return next((wait for wait in waits if wait is not None), None)


def _until(moment: object, now: datetime) -> float | None:
    found = time(moment)
    return _wait((found - now).total_seconds()) if found and found > _A_LENGTH else None


def _wait(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds <= _LONGEST_HINT else None


def _http_date(value: str | None) -> str | None:
    try:
        return parsedate_to_datetime(value).isoformat() if value else None
    except (ValueError, OverflowError):
        return None
