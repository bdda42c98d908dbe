"""Read values from the JSON of services. Each function accepts any value and returns None if it does not fit."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from videostat.models import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from videostat.models import Job

T = TypeVar("T")

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_HUGE = 10**22
_MILLISECONDS = 1e11  # seconds would put such a time into the year 5138
_LONGEST_JSON = 1 << 20

# Status words of many services, in lower case and with "_" for blanks and hyphens. A provider's own table comes first.
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

# Names of the field with the status, of the objects around a task, and of the field with the id.
STATUS = ("status", "task_status", "state")
ENVELOPES = ("data", "task", "result", "output", "response", "job")
IDS = ("task_id", "id", "project_id", "video_id", "request_id")

# Places of a video's URL, the most likely first. A list contains several videos.
VIDEO: tuple[tuple[str | int, ...], ...] = (
    *((name,) for name in ("video_url", "result_url", "fail_reason", "url", "videoUrl", "downloadUrl", "download_url")),
    *(("content", "video_url"), ("video", "url"), ("video",), ("metadata", "url"), ("assets", "video"), ("uri",)),
    *(("task_result", "videos"), ("videos",), ("video_urls",), ("urls",), ("unsigned_urls",), ("resultUrls",)),
    *(("creations",), ("generations",), ("outputs",), ("output",), ("result",), ("results",), ("response",), ("data",)),
    *(("file_url",), ("result_video_url",), ("resultJson",), ("links",), ("files",), ("file",)),
)
URL_KEYS = ("video_url", "url", "uri", "download_url", "downloadUrl", "videoUrl", "resultUrls", "video", "videos")


def dig(value: object, *path: str | int) -> object:
    """Return the value at a path of keys and list positions, or None."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def read_first(read: Callable[[object], T | None], value: object, paths: tuple[tuple[str | int, ...], ...]) -> T | None:
    """Read the first of these paths that has a readable value."""
    return next((found for path in paths if (found := read(dig(value, *path))) is not None), None)


def read_text(value: object) -> str | None:
    """Read a text that is not empty. Integers are accepted, because services use them for codes and ids."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < _HUGE else None  # str() refuses very large integers
    return value.strip() or None if isinstance(value, str) else None


def read_number(value: object) -> float | None:
    """Read a finite number, also from a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def read_seconds(value: object) -> float | None:
    """Read a duration in seconds."""
    read = read_number(value)
    return read if read is not None and read >= 0 else None


def read_percent(value: object) -> float | None:
    """Read a percentage, 0 to 100, from a number or from "45%"."""
    read = read_number(value.strip().removesuffix("%") if isinstance(value, str) else value)
    return None if read is None else min(max(read, 0.0), 100.0)


def read_time(value: object) -> datetime | None:
    """Read a time from ISO 8601, Unix seconds or Unix milliseconds. The default zone is UTC; 0 means None."""
    seconds = read_number(value)
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
    # Go's zero time is the year 1. The upper limit leaves room for adding durations.
    return read if _EARLIEST < read < _LATEST else None


def read_url(value: object) -> str | None:
    """Read a whole http or https URL, or a path relative to the base URL."""
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


def find_video_urls(task: object) -> tuple[tuple[str, ...], ...]:
    """Find the URLs of each video of a task. The first video may have several URLs, in order of preference.

    If a list contains several URLs, the second and later ones are further videos.
    """
    levels = [task, *(inner for key in ENVELOPES if isinstance(inner := unwrap(dig(task, key)), dict))]
    places = [
        found for level in levels for path in VIDEO if (found := _read_url_of_each_item(unwrap(dig(level, *path))))
    ]
    first = tuple(dict.fromkeys(found[0] for found in places))
    further = dict.fromkeys(url for found in places for url in found[1:] if url not in first)
    return (first, *((url,) for url in further)) if first else ()


def _read_url_of_each_item(value: object, depth: int = 3) -> list[str]:
    if isinstance(value, list) and depth:
        return [found for each in value[:100] for found in _read_url_of_each_item(each, depth - 1)[:1]]
    if isinstance(value, dict) and depth:
        return next(
            (found for key in URL_KEYS if (found := _read_url_of_each_item(unwrap(value.get(key)), depth - 1))), []
        )
    address = read_url(value)
    return [address] if address else []


def find_foreign_url(value: object, depth: int = 6) -> str | None:
    """Find the first URL of any kind, such as `gs://`, in an answer."""
    if isinstance(value, str):
        return value.strip() if re.match(r"\s*(https?|gs|s3|oss|cos|tos)://[^\s]", value) else None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for each in inner if depth and (found := find_foreign_url(each, depth - 1))), None)


def unwrap(value: object) -> object:
    """Decode JSON in a text, and replace a list of one entry by that entry."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["} and len(value) < _LONGEST_JSON:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def read_status_word(task: object) -> str | None:
    """Read the status of a task, in the service's own word."""
    words = (dig(task, key) for key in STATUS)
    return next((each for each in words if isinstance(each, str) and each.strip()), None)


def find_task(body: object, depth: int = 4) -> dict[str, Any] | None:
    """Find the task in an answer: the innermost object with a status.

    An envelope around the task may have a status such as "success". An outer object with an id is a task, not an
    envelope, unless it claims success while the inner one does not.
    """
    body = unwrap(body)
    if not isinstance(body, dict):
        return None
    found = (find_task(body.get(key), depth - 1) for key in ENVELOPES if depth)
    inner = next((each for each in found if each is not None), None)
    own = read_status_word(body)
    if own is None or (inner is not None and not any(read_text(body.get(key)) for key in IDS)):
        return inner
    if (
        inner is not None
        and match_state(own) is State.SUCCEEDED
        and match_state(read_status_word(inner)) is not State.SUCCEEDED
    ):
        return inner
    return body


def match_state(word: str | None, words: Mapping[str, State] = WORDS) -> State:
    """Return the state for a service's word. Case, blanks and hyphens do not matter."""
    return words.get(re.sub(r"[\s-]+", "_", (word or "").strip().casefold()), State.UNKNOWN)


def read_state(word: str | None, own: Mapping[str, State]) -> tuple[State, bool]:
    """Find the state for a service's word. It is sure if the provider's own table has the word."""
    found = match_state(word, own)
    shared = match_state(word) if found is State.UNKNOWN else found
    return shared, found is shared


def apply_state(job: Job, task: Mapping[str, Any], own: Mapping[str, State]) -> Job:
    """Set a job's state, and its videos or its error, from its task."""
    status = read_status_word(task)
    found, sure = read_state(status, own)
    job = replace(job, status=status, state=found, sure=sure)
    if found is State.SUCCEEDED:
        return add_video(job, task)
    return job if found is State.FAILED else replace(job, error=None, error_code=None)


def add_video(job: Job, task: Mapping[str, Any]) -> Job:
    """Set the video URLs of a succeeded job. Without any, `error` says why or names another URL."""
    (first, *others), *further = find_video_urls(task) or (("",),)
    reason = None
    if not first:
        foreign = find_foreign_url(task)
        job = replace(job, error=None) if (job.error or "").startswith("data:") else job
        reason = job.error or (foreign and f"the service gave another kind of URL: {foreign.partition('?')[0]}")
    return replace(
        job,
        video_url=first or None,
        alternative_urls=tuple(others),
        further_urls=tuple(urls[0] for urls in further),
        error=reason,
        error_code=job.error_code if reason else None,
    )


def pick_fields(task: Mapping[str, Any], *names: str) -> dict[str, object]:
    """Return those fields of a task that are a text or a number."""
    return {name: task[name] for name in names if read_text(task.get(name)) is not None}


def make_id_reader(*paths: tuple[str, ...]) -> Callable[[object], str | None]:
    """Make a function that reads the id of a new job in an answer."""
    return lambda body: read_first(read_text, unwrap(body), paths)


def read_failure(error: object) -> tuple[str | None, str | None]:
    """Read the message and the code of an error, a text or an object."""
    if isinstance(error, dict):
        return read_text(error.get("message")), read_text(error.get("code"))
    return read_text(error), None
