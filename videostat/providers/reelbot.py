"""ReelBot: https://help.reelbot.space/docs/features/developer-api/overview.

The status answer names no URL: a completed job's video is had, for an hour, from the download endpoint,
which the service allows 30 times an hour and key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from videostat.errors import (
    Gone,
    KeyRefused,
    NotFound,
    NotReady,
    OutOfCredit,
    RateLimited,
    ServerError,
    ServiceError,
)
from videostat.models import Job, JobRef, State
from videostat.providers import reading
from videostat.providers.base import Auth, Endpoint, Polling, Provider

if TYPE_CHECKING:
    from videostat.providers.base import Answer

STATES = {
    "queued": State.QUEUED,
    "processing": State.RUNNING,
    "completed": State.SUCCEEDED,
    "failed": State.FAILED,
}

ERRORS = {
    "CONFIG_ERROR": ServiceError,
    "INTERNAL_ERROR": ServerError,
    "INVALID_PROJECT_ID": NotFound,
    "NOT_FOUND": NotFound,
    "OUTPUT_NOT_FOUND": Gone,
    "QUOTA_EXCEEDED": OutOfCredit,
    "RATE_LIMITED": RateLimited,
    "UNAUTHORIZED": KeyRefused,
    "VALIDATION_ERROR": NotFound,
    "VIDEO_NOT_READY": NotReady,
}

HINTS = {
    KeyRefused: "ReelBot's keys begin with rb_live_.",
    NotFound: "ReelBot says the same of another account's project: is it this key's?",
}


def _body(answer: Answer, expected: str) -> dict[str, Any]:
    body = answer.body
    if answer.ok and isinstance(body, dict) and expected in body:
        return body
    raise reading.refusal(
        answer,
        ERRORS,
        code=reading.text(reading.dig(body, "code")),
        message=reading.text(reading.dig(body, "message")),
        reset_at=reading.dig(body, "details", "resetAt"),
        hints=HINTS,
    )


def parse_job(ref: JobRef, answer: Answer) -> Job:
    body = _body(answer, "status")
    state = reading.state(body["status"], STATES)
    error, error_code = reading.failure(body.get("error")) if state is State.FAILED else (None, None)
    return Job(
        ref=ref,
        state=state,
        status=body["status"],
        message=reading.text(body.get("message")),
        created_at=reading.time(body.get("createdAt")),
        completed_at=reading.time(body.get("updatedAt")) if state.is_terminal else None,
        error=error,
        error_code=error_code,
        needs_url=state is State.SUCCEEDED,
    )


def parse_video(ref: JobRef, answer: Answer) -> Job:
    body = _body(answer, "downloadUrl")
    return Job(
        ref=ref,
        state=State.SUCCEEDED,
        video_url=reading.url(body["downloadUrl"]),
        expires_at=reading.time(body.get("expiresAt")),
    )


PROVIDER = Provider(
    name="reelbot",
    title="ReelBot",
    key_group="reelbot",
    base_url="https://reelbot.space",
    auth=Auth("X-API-Key"),
    key_variable="REELBOT_API_KEY",
    key_source="ReelBot: dashboard, developer API",
    job=Endpoint("/api/v1/video/status/{id}", parse_job),
    video=Endpoint("/api/v1/video/download/{id}", parse_video),
    # "Every 3-5 s, at most 10 minutes, no backoff needed"; 60 looks a minute and key.
    polling=Polling(every=(3, 5), floor=3, usual=180, quickest=60),
    max_requests_per_second=1,
)
