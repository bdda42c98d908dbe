"""The gateways that speak the Doubao dialect: https://github.com/QuantumNous/new-api and its resellers.

A success hides the video's URL in `result_url` or, on older gateways, in `fail_reason`; a failure may
hide its text in either. Channels and resellers answer other shapes on the same path, so each fact has
the list of places where it has been seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from videostat.models import Job, JobRef, State
from videostat.providers import reading
from videostat.providers.base import Auth, Endpoint, Meaning, Polling, Provider, Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = {
    "not_start": State.QUEUED,
    "submitted": State.QUEUED,
    "queued": State.QUEUED,
    "pending": State.QUEUED,
    "in_progress": State.RUNNING,
    "processing": State.RUNNING,
    "running": State.RUNNING,
    # The gateway's own UNKNOWN: it has lost sight of the task for a moment, and asks again itself.
    "unknown": State.RUNNING,
    "success": State.SUCCEEDED,
    "succeeded": State.SUCCEEDED,
    "completed": State.SUCCEEDED,
    "failure": State.FAILED,
    "failed": State.FAILED,
    "timeout": State.FAILED,
    "expired": State.FAILED,
    "cancelled": State.FAILED,
}

CODES = {
    "task_not_exist": Meaning.MISSING,
    "get_task_failed": Meaning.BUSY,
    "401 new_api_error": Meaning.KEY,
}

HINTS = {
    Meaning.KEY: "The gateway answers the same for a wrong, an expired and an exhausted key: check its quota too.",
    Meaning.MISSING: "Check the id. Only the gateway that took the task knows it, and only for the key's owner.",
}

FAILURE = (("fail_reason",), ("error", "message"), ("error",), ("result_url",), ("url",), ("message",))
CREATED = (("submit_time",), ("created_at",))
COMPLETED = (("finish_time",), ("completed_at",))
ANNOUNCED = (("data", "task_id"), ("data", "taskId"), ("task_id",), ("taskId",), ("data", "id"), ("id",))
SHORTEST_ANNOUNCED = 8  # a shorter `id` is a row's number


def parse_job(ref: JobRef, task: Mapping[str, Any]) -> Job:
    return Job(
        ref=ref,
        progress=reading.percent(task.get("progress")),
        duration=reading.length(task.get("duration")),
        resolution=reading.text(task.get("resolution")),
        created_at=reading.first(reading.time, task, CREATED),
        started_at=reading.time(task.get("start_time")),
        completed_at=reading.first(reading.time, task, COMPLETED),
        error=reading.first(reading.text, task, FAILURE),
        error_code=reading.text(reading.dig(task, "error", "code")),
        extra=reading.keep(task, "action"),
    )


def read_announcement(delivery: object) -> str | None:
    """Return the id of the task that a delivery is about.

    The gateway itself sends none, its resellers do, each in its own shape: https://docs.kie.ai/veo3-api/generate-veo-3-video-callbacks
    """
    found = reading.first(reading.text, delivery, ANNOUNCED)
    return found if found and len(found) >= SHORTEST_ANNOUNCED and JobRef.is_id(found) else None


PROVIDER = Provider(
    name="doubao",
    title="Doubao-style gateways",
    key_group="doubao",
    base_url=None,
    auth=Auth("Authorization", "Bearer "),
    key_variable="DOUBAO_API_KEY",
    key_source="the gateway's own pages: console, tokens",
    job=Endpoint("/v1/video/generations/{id}", parse_job),
    words=WORDS,
    codes=CODES,
    hints=HINTS,
    created=reading.created(("task_id",), ("id",), ("data", "task_id"), ("data", "id")),
    polling=Polling(every=(5, 10), floor=5, usual=180, quickest=60),
    webhook=Webhook(read_announcement),
)
