"""Foreign JSON, read without trust: each function takes any value and gives ours, or None."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from videostat.providers.base import Answer

T = TypeVar("T")

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_HUGE = 10**22
_MILLISECONDS = 1e11  # seconds would put such a time into the year 5138

_BY_HTTP_STATUS: Mapping[int, type[VideostatError]] = {
    401: KeyRefused,
    402: OutOfCredit,
    403: KeyRefused,
    404: NotFound,
    408: ServerError,
    410: Gone,
    425: ServerError,
    429: RateLimited,
}

_SENTENCES: Mapping[type[VideostatError], str] = {
    Gone: "it has expired or was deleted",
    KeyRefused: "the key was refused",
    NotFound: "no such job",
    NotReady: "the video is not ready",
    OutOfCredit: "the account is out of credit",
    RateLimited: "rate limited",
    ServerError: "the service has an error of its own",
    ServiceError: "the service refuses the request",
    Unreadable: "the answer is not what the service documents",
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
    """An http or https URL with a host."""
    if not isinstance(value, str) or not re.fullmatch(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+", value):
        return None
    try:
        parts = urlsplit(value)
        return value if parts.scheme in {"http", "https"} and parts.hostname else None
    except ValueError:
        return None


def state(word: object, states: Mapping[str, State]) -> State:
    """Our state for their word, whatever its case; raises Unreadable where there is no word."""
    if not isinstance(word, str) or not word.strip():
        raise Unreadable("the answer has no status")
    return states.get(word.strip().casefold(), State.UNKNOWN)


def failure(error: object) -> tuple[str | None, str | None]:
    """Text and code of an `error`, which may be a text, an object, or an empty object."""
    if isinstance(error, dict):
        return text(error.get("message")), text(error.get("code"))
    return text(error), None


def refusal(
    answer: Answer,
    errors: Mapping[str, type[VideostatError]],
    *,
    job_id: str = "ID",
    code: str | None = None,
    message: str | None = None,
    reset_at: object = None,
    request_id: str | None = None,
    hints: Mapping[type[VideostatError], str] | None = None,
) -> VideostatError:
    """The error that an answer without a job stands for: by the service's code, else by the HTTP status."""
    kind = errors.get(code or "") or _BY_HTTP_STATUS.get(answer.status)
    if kind is None and answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = ServerError
    elif kind is None:
        kind = Unreadable if answer.ok and code is None else ServiceError
    details = ", ".join(filter(None, (code, f"HTTP {answer.status}", request_id and f"request {request_id}")))
    sentence = f"{_SENTENCES[kind]}: {message or _content(answer)} ({details})"
    hint = (hints or {}).get(kind)
    hint = hint and hint.format(id=job_id)
    if issubclass(kind, Retryable):
        # ReelBot names the end of the window in every answer: it is advice only where the limit is reached.
        resets = (reset_at, answer.headers.get("x-ratelimit-reset")) if kind is RateLimited else ()
        return kind(sentence, hint=hint, code=code, sure=code in errors, retry_after=_retry_after(answer, *resets))
    return kind(sentence, hint=hint, code=code, sure=code in errors)


def _content(answer: Answer) -> str:
    if answer.body is not None:
        return f"JSON of type {type(answer.body).__name__}"
    return answer.headers.get("content-type", "").partition(";")[0] or "an empty answer"


def _retry_after(answer: Answer, *resets: object) -> float | None:
    """Return the first of Retry-After and these times that is readable and not past, in seconds from now."""
    waits = (answer.retry_after, *(_until(time(reset), answer.received_at) for reset in resets))
    return next((wait for wait in waits if wait is not None), None)


def _until(moment: datetime | None, now: datetime) -> float | None:
    return (moment - now).total_seconds() if moment and moment >= now else None
