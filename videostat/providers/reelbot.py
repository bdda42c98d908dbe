"""ReelBot: https://help.reelbot.space/docs/features/developer-api/overview.

The status endpoint gives no URL. The download endpoint gives a URL that is valid for an hour, at most 30 times an hour
per key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from videostat.models import Job, JobRef, State
from videostat.providers.base import Auth, Endpoint, Meaning, Polling, Provider
from videostat.providers.reading import (
    make_id_reader,
    match_state,
    pick_fields,
    read_failure,
    read_first,
    read_status_word,
    read_text,
    read_time,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = {
    "queued": State.QUEUED,
    "processing": State.RUNNING,
    "completed": State.SUCCEEDED,
    "failed": State.FAILED,
}

CODES = {
    "CONFIG_ERROR": Meaning.BROKEN,
    "FORBIDDEN": Meaning.KEY,
    "INTERNAL_ERROR": Meaning.BUSY,
    "INVALID_PROJECT_ID": Meaning.MISSING,
    "NOT_FOUND": Meaning.MISSING,
    "OUTPUT_NOT_FOUND": Meaning.GONE,
    "QUOTA_EXCEEDED": Meaning.CREDIT,
    "RATE_LIMITED": Meaning.LIMIT,
    "UNAUTHORIZED": Meaning.KEY,
    "VALIDATION_ERROR": Meaning.MISSING,
    "VIDEO_NOT_READY": Meaning.RUNNING,
}

HINTS = {
    Meaning.KEY: "ReelBot's keys begin with rb_live_.",
    Meaning.MISSING: "Check the id and the key. ReelBot gives the same answer for the projects of other accounts.",
    Meaning.FAILED: "If the reason allows it, submit the job again.",
}


def parse_job(ref: JobRef, task: Mapping[str, Any]) -> Job:
    """Read a job from a task, without its state."""
    error, error_code = read_failure(task.get("error"))
    message, updated_at = read_text(task.get("message")), read_time(task.get("updatedAt"))
    is_over = match_state(read_status_word(task), WORDS).is_terminal
    return Job(
        ref=ref,
        message=message,
        created_at=read_time(task.get("createdAt")),
        completed_at=updated_at if is_over else None,
        error=error or message,
        error_code=error_code,
        extra=pick_fields(task, "outputKey", *(() if is_over else ("updatedAt",))),
    )


def parse_video(ref: JobRef, body: Mapping[str, Any]) -> Job:
    """Read the expiry of a video's URL. `reading` finds the URL itself."""
    return Job(ref=ref, expires_at=read_first(read_time, body, (("expiresAt",), ("data", "expiresAt"))))


PROVIDER = Provider(
    name="reelbot",
    title="ReelBot",
    key_group="reelbot",
    base_url="https://reelbot.space",
    auth=Auth("X-API-Key"),
    key_variable="REELBOT_API_KEY",
    key_source="ReelBot: dashboard, developer API",
    job=Endpoint("/api/v1/video/status/{id}", parse_job),
    video=Endpoint("/api/v1/video/download/{id}", parse_video, is_video=True),
    words=WORDS,
    codes=CODES,
    vague=frozenset({"VALIDATION_ERROR"}),
    hints=HINTS,
    created=make_id_reader(("projectId",), ("data", "projectId"), ("id",)),
    # "Every 3-5 s, at most 10 minutes, no backoff needed"; 60 requests a minute per key.
    polling=Polling(every=(3, 5), floor=3, usual=180, quickest=60),
    max_requests_per_second=1,
)
