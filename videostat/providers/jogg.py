"""JoggAI: https://docs.jogg.ai.

There are three kinds of job with one key. Their documented words for "done" differ, and the live service uses other
words. Asking the endpoint of another kind about a valid id gives "not found".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from videostat.models import Job, JobRef, State
from videostat.providers.base import Auth, Endpoint, Listing, Meaning, Page, Polling, Provider, Webhook
from videostat.providers.reading import (
    apply_state,
    dig,
    make_id_reader,
    read_failure,
    read_first,
    read_number,
    read_percent,
    read_seconds,
    read_status_word,
    read_text,
    read_time,
    read_url,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = {
    "pending": State.QUEUED,
    "processing": State.RUNNING,
    "success": State.SUCCEEDED,
    "completed": State.SUCCEEDED,
    "failed": State.FAILED,
}

CODES = {
    "429": Meaning.LIMIT,
    "5001": Meaning.MISSING,
    "5002": Meaning.GONE,
    "5003": Meaning.KEY,
    "10104": Meaning.MISSING,
    "10105": Meaning.KEY,
    "18020": Meaning.CREDIT,
    "18025": Meaning.KEY,
    "40000": Meaning.MISSING,
    "50000": Meaning.BUSY,
}

HINTS = {
    Meaning.GONE: "JoggAI keeps a finished video for 30 days and a failed job for 7.",
    Meaning.KEY: "Check the key, and that it may use the API: https://docs.jogg.ai",
}


def _make_hints(others: str) -> Mapping[Meaning, str]:
    missing = f"Check the id. JoggAI has three kinds of videos: also try {others} with {{id}}."
    return HINTS | {Meaning.MISSING: missing}


def parse_job(ref: JobRef, task: Mapping[str, Any]) -> Job:
    """Read a job from a task, without its state and its video."""
    error, error_code = read_failure(task.get("error"))
    return Job(
        ref=ref,
        progress=read_percent(task.get("progress")),
        message=read_text(task.get("message")),
        title=read_text(task.get("title")),
        thumbnail_url=read_url(task.get("thumbnail_url")) or read_url(task.get("cover_url")),
        duration=read_seconds(task.get("duration", task.get("video_duration"))),
        resolution=read_text(task.get("resolution")),
        credits=read_number(task.get("deducted_credit")),
        created_at=read_time(task.get("created_at")),
        completed_at=read_time(task.get("completed_at")),
        estimated_time=read_seconds(task.get("estimated_time")),
        error=error,
        error_code=error_code or read_text(task.get("error_code")),
    )


def parse_page(provider: str, body: object) -> Page | None:
    """Read one page of a list, None if the body contains no list."""
    data = dig(body, "data")
    if not isinstance(data, dict) or read_text(dig(body, "code")) != "0":
        return None
    rows = data.get("projects", data.get("videos", ...))
    if rows is None:  # Go's empty list
        rows = []
    if not isinstance(rows, list):
        return None
    total = read_number(data.get("total"))
    named = ((_read_id(row, ("project_id",), ("id",)), row) for row in rows)
    return Page(
        # Skip rows without an id or a status.
        jobs=tuple(
            apply_state(parse_job(JobRef(provider, found), row), row, WORDS)
            for found, row in named
            if found and read_status_word(row)
        ),
        total=None if total is None else int(total),
        rows=len(rows),
    )


def _read_id(value: object, *paths: tuple[str, ...]) -> str | None:
    found = read_first(read_text, value, paths)
    return found if found and JobRef.is_id(found) else None


def read_announcement(kind: str, delivery: object) -> str | None:
    """Return the id of the job in a delivery, None for an event that does not announce the end of a job.

    https://docs.jogg.ai/api-reference/v2/API%20Documentation/WebhookIntegration
    """
    event = read_text(dig(delivery, "event"))
    if event not in {f"generated_{kind}_success", f"generated_{kind}_failed"}:
        return None
    return _read_id(delivery, ("data", "project_id"), ("data", "video_id"))


def _make_webhook(kind: str) -> Webhook:
    return Webhook(partial(read_announcement, kind), signature="x-webhook-signature")


PROJECT = Provider(
    name="jogg",
    title="JoggAI projects",
    key_group="jogg",
    base_url="https://api.jogg.ai",
    auth=Auth("x-api-key"),
    key_variable="JOGG_API_KEY",
    key_source="JoggAI: dashboard, API",
    job=Endpoint("/v2/project/{id}", parse_job),
    listing=Listing("/v2/projects", size_param="limit", max_size=100, parse=parse_page),
    # "First look after 30 s, then every 10-15 s, never more than once in 10 s, stop after 10 minutes."
    polling=Polling(first=30, every=(10, 15), floor=10, usual=210, quickest=180),
    words=WORDS,
    codes=CODES,
    vague=frozenset({"40000"}),
    own_id="project_id",
    hints=_make_hints("jogg-avatar and jogg-product"),
    created=make_id_reader(("data", "project_id"), ("data", "id")),
    retention={State.SUCCEEDED: timedelta(days=30), State.FAILED: timedelta(days=7), State.QUEUED: timedelta(days=1)},
    webhook=_make_webhook("video"),
)

AVATAR = replace(
    PROJECT,
    name="jogg-avatar",
    title="JoggAI avatar videos",
    hints=_make_hints("jogg and jogg-product"),
    job=Endpoint("/v2/avatar_video/{id}", parse_job),
    own_id="video_id",
    created=make_id_reader(("data", "video_id"), ("data", "project_id"), ("data", "id")),
    listing=None,
    webhook=_make_webhook("avatar_video"),
)

PRODUCT = replace(
    PROJECT,
    name="jogg-product",
    title="JoggAI product videos",
    hints=_make_hints("jogg and jogg-avatar"),
    job=Endpoint("/v2/product_video/{id}", parse_job),
    own_id=None,
    created=make_id_reader(("data", "product_video_id"), ("data", "video_id"), ("data", "project_id"), ("data", "id")),
    listing=Listing("/v2/product_videos", size_param="page_size", max_size=100, parse=parse_page),
    # Product videos take 10 to 20 minutes.
    polling=replace(PROJECT.polling, timeout=1800, usual=900, quickest=600),
    webhook=_make_webhook("product_video"),
)
