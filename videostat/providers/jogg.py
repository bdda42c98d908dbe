"""JoggAI: https://docs.jogg.ai.

Three kinds of job with one key. The documentation's words for "done" differ between them, and the live
service's differ from the documentation; a right id asked for at the wrong kind's endpoint is "not found".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from videostat.errors import Gone, KeyRefused, NotFound, OutOfCredit, RateLimited, ServerError, Unreadable
from videostat.models import Job, JobRef, State
from videostat.providers import reading
from videostat.providers.base import Auth, Endpoint, Listing, Page, Polling, Provider, Webhook

if TYPE_CHECKING:
    from videostat.providers.base import Answer

STATES = {
    "pending": State.QUEUED,
    "processing": State.RUNNING,
    "success": State.SUCCEEDED,
    "completed": State.SUCCEEDED,
    "failed": State.FAILED,
}

ERRORS = {
    "403": KeyRefused,
    "429": RateLimited,
    "5001": NotFound,
    "5002": Gone,
    "5003": KeyRefused,
    "10104": NotFound,
    "10105": KeyRefused,
    "18020": OutOfCredit,
    "18025": KeyRefused,
    "40000": NotFound,
    "50000": ServerError,
}

HINTS = {
    Gone: "JoggAI keeps a finished video for 30 days and a failed job for 7.",
    KeyRefused: "Is the key right, and may it use the API? See https://docs.jogg.ai",
    NotFound: "Each kind of video has its own endpoint: try the others of jogg, jogg-avatar, jogg-product with {id}.",
}


def _data(answer: Answer, job_id: str = "ID") -> dict[str, Any]:
    code = reading.text(reading.dig(answer.body, "code"))
    data = reading.dig(answer.body, "data")
    if code == "0" and answer.ok:
        if isinstance(data, dict):
            return data
        raise Unreadable("the answer says Success but holds no job")
    raise reading.refusal(
        answer,
        ERRORS,
        job_id=job_id,
        code=code,
        message=reading.text(reading.dig(answer.body, "msg")),
        request_id=reading.text(reading.dig(answer.body, "rid")),
        hints=HINTS,
    )


def _job(ref: JobRef, data: dict[str, Any]) -> Job:
    state = reading.state(data.get("status"), STATES)
    error, error_code = reading.failure(data.get("error")) if state is State.FAILED else (None, None)
    return Job(
        ref=ref,
        state=state,
        status=data["status"],
        progress=reading.percent(data.get("progress")),
        message=reading.text(data.get("message")),
        title=reading.text(data.get("title")),
        video_url=reading.url(data.get("video_url")) if state is State.SUCCEEDED else None,
        thumbnail_url=reading.url(data.get("thumbnail_url")) or reading.url(data.get("cover_url")),
        duration=reading.length(data.get("duration", data.get("video_duration"))),
        resolution=reading.text(data.get("resolution")),
        credits=reading.number(data.get("deducted_credit")),
        created_at=reading.time(data.get("created_at")),
        completed_at=reading.time(data.get("completed_at")),
        estimated_time=reading.length(data.get("estimated_time")),
        error=error,
        error_code=error_code or (reading.text(data.get("error_code")) if state is State.FAILED else None),
    )


def parse_job(ref: JobRef, answer: Answer) -> Job:
    return _job(ref, _data(answer, ref.id))


def parse_page(provider: str, answer: Answer) -> Page:
    data = _data(answer)
    rows = data.get("projects", data.get("videos", ...))
    if rows is None:  # Go's empty list
        rows = []
    if not isinstance(rows, list):
        raise Unreadable("the answer holds no list of jobs")
    total = reading.number(data.get("total"))
    named = ((_id(row), row) for row in rows)
    return Page(
        # A row that names no job, or says nothing of it, must not hide the others.
        jobs=tuple(
            _job(JobRef(provider, found), row) for found, row in named if found and reading.text(row.get("status"))
        ),
        total=None if total is None else int(total),
        rows=len(rows),
    )


def _id(row: object) -> str | None:
    found = reading.first(reading.text, row, (("project_id",), ("id",)))
    return found if found and JobRef.is_id(found) else None


def read_announcement(kind: str, delivery: object) -> str | None:
    """Return the id of the job that a delivery is about, None if it is about another kind of thing.

    https://docs.jogg.ai/api-reference/v2/API%20Documentation/WebhookIntegration
    """
    event = reading.text(reading.dig(delivery, "event"))
    if event not in {f"generated_{kind}_success", f"generated_{kind}_failed"}:
        return None
    found = reading.first(reading.text, delivery, (("data", "project_id"), ("data", "video_id")))
    return found if found and JobRef.is_id(found) else None


def _webhook(kind: str) -> Webhook:
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
    retention={State.SUCCEEDED: timedelta(days=30), State.FAILED: timedelta(days=7), State.QUEUED: timedelta(days=1)},
    webhook=_webhook("video"),
)

AVATAR = replace(
    PROJECT,
    name="jogg-avatar",
    title="JoggAI avatar videos",
    job=Endpoint("/v2/avatar_video/{id}", parse_job),
    listing=None,
    webhook=_webhook("avatar_video"),
)

PRODUCT = replace(
    PROJECT,
    name="jogg-product",
    title="JoggAI product videos",
    job=Endpoint("/v2/product_video/{id}", parse_job),
    listing=Listing("/v2/product_videos", size_param="page_size", max_size=100, parse=parse_page),
    # These take 10 to 20 minutes.
    polling=replace(PROJECT.polling, timeout=1800, usual=900, quickest=600),
    webhook=_webhook("product_video"),
)
