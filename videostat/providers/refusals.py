"""Read the answers that hold no job: what went wrong, in whose words, and when to ask again."""

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
from videostat.providers.reading import dig, first, text, time, unwrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videostat.providers.base import Answer

_A_LENGTH = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)  # 10^9 seconds; what is smaller is no moment
_LONGEST_HINT = 86400  # seconds; more than a day is no hint

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


def codes(body: object) -> list[str]:
    """Return the service's codes for what went wrong, the most telling first."""
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
    """Return the error that an answer without a job stands for."""
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
        said["retry_after"] = wait = retry_after(answer, is_limit=meaning is Meaning.LIMIT)
        if meaning is Meaning.LIMIT and wait:
            ends_at = to_local(answer.received_at + timedelta(seconds=wait))
            said["hint"] = f"The limit ends at {ends_at:%H:%M:%S}, in {format_duration(wait)}: ask again then."
    return kind(f"{sentence}: {message or _content(answer)}" + (f" ({details})" if details else ""), **said)


def _content(answer: Answer) -> str:
    if answer.body is not None:
        return f"JSON of type {type(answer.body).__name__}"
    return answer.headers.get("content-type", "").partition(";")[0] or "an empty answer"


def retry_after(answer: Answer, *, is_limit: bool) -> float | None:
    """Return the first readable hint, in seconds from the answer's Date; neither past nor more than a day away."""
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
