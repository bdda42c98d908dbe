"""Turn answers without a job into errors that say when to ask again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from videostat.clock import format_duration, to_local
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
from videostat.providers.base import Meaning
from videostat.providers.reading import dig, read_first, read_text, read_time, unwrap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videostat.providers.base import Answer

_A_LENGTH = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)  # 10^9 seconds; a smaller number is a duration, not a time
_LONGEST_HINT = 86400  # seconds; a longer pause is not credible

SHOWN_CODES = (("error", "code"), ("code",), ("error_code",), ("errorCode",))
CODES = (*SHOWN_CODES, ("error", "type"), ("error",), ("type",))
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
    Meaning.BUSY: (ServerError, "internal error of the service"),
    Meaning.FOREIGN: (Unreadable, "the answer is not what the service documents"),
}


def read_codes(body: object) -> list[str]:
    """Read the error codes of an answer, the most specific first."""
    body = unwrap(body)
    return [found for path in CODES if (found := read_text(dig(body, *path))) and found.lower() not in NO_ERRORS]


def make_refusal(
    answer: Answer,
    meaning: Meaning,
    *,
    sure: bool,
    job_id: str = "ID",
    hints: Mapping[Meaning, str] | None = None,
) -> VideostatError:
    """Make the error for an answer without a job. `{id}` in its hint is replaced by `job_id`."""
    kind, sentence = _REFUSALS[meaning]
    body = unwrap(answer.body)
    code = next(
        (each for path in SHOWN_CODES if (each := read_text(dig(body, *path))) and each in read_codes(body)), None
    )
    message = read_first(read_text, body, MESSAGES)
    if meaning is Meaning.FOREIGN and isinstance(body, dict) and not read_codes(body):
        message = "it has no job status"
    request_id = read_first(read_text, body, REQUEST_IDS)
    status = f"HTTP {answer.status}" if answer.status else None
    details = ", ".join(filter(None, (code, status, request_id and f"request {request_id}")))
    hint = (hints or {}).get(meaning)
    options: dict[str, Any] = {"hint": hint and hint.format(id=job_id), "code": code, "sure": sure}
    if issubclass(kind, Retryable):
        # ReelBot names the end of the window in every answer. It matters only if the limit is reached.
        options["retry_after"] = wait = find_retry_after(answer, is_limit=meaning is Meaning.LIMIT)
        if meaning is Meaning.LIMIT and wait:
            ends_at = to_local(answer.received_at + timedelta(seconds=wait))
            options["hint"] = f"The limit ends at {ends_at:%H:%M:%S}, in {format_duration(wait)}: ask again then."
    return kind(f"{sentence}: {message or _describe_content(answer)}" + (f" ({details})" if details else ""), **options)


def _describe_content(answer: Answer) -> str:
    if answer.body is not None:
        return f"JSON of type {type(answer.body).__name__}"
    return answer.headers.get("content-type", "").partition(";")[0] or "an empty answer"


def find_retry_after(answer: Answer, *, is_limit: bool) -> float | None:
    """Return the first valid pause that the answer asks for, in seconds, or None."""
    now = read_time(_convert_http_date(answer.headers.get("date"))) or answer.received_at
    resets = (*(dig(answer.body, *path) for path in RESETS), answer.headers.get("x-ratelimit-reset"))
    waits = (_check_wait(answer.retry_after), *((_read_wait_until(reset, now) for reset in resets) if is_limit else ()))
    return next((wait for wait in waits if wait is not None), None)


def _read_wait_until(moment: object, now: datetime) -> float | None:
    found = read_time(moment)
    return _check_wait((found - now).total_seconds()) if found and found > _A_LENGTH else None


def _check_wait(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds <= _LONGEST_HINT else None


def _convert_http_date(value: str | None) -> str | None:
    try:
        return parsedate_to_datetime(value).isoformat() if value else None
    except (ValueError, OverflowError):
        return None
