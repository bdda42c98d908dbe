"""Gateways with the Doubao API: https://github.com/QuantumNous/new-api and its resellers.

A succeeded task has the video's URL in `result_url` or, on older gateways, in `fail_reason`. A failed task may have its
error in either. Channels and resellers use other shapes, so there is a list of possible places for each fact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from videostat.models import Job, JobRef, State
from videostat.providers.base import Auth, Endpoint, Meaning, Polling, Provider, Webhook
from videostat.providers.reading import (
    dig,
    make_id_reader,
    pick_fields,
    read_first,
    read_percent,
    read_seconds,
    read_text,
    read_time,
)

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
    # The gateway's own word: it could not ask its channel, and will ask again itself.
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
    Meaning.KEY: "The gateway gives the same answer for a wrong, an expired and an exhausted key: check its quota too.",
    Meaning.MISSING: "Check the id. Use the gateway and the account with which the task was submitted.",
}

FAILURE = (("fail_reason",), ("error", "message"), ("error",), ("result_url",), ("url",), ("message",))
CREATED = (("submit_time",), ("created_at",))
COMPLETED = (("finish_time",), ("completed_at",))
ANNOUNCED = (("data", "task_id"), ("data", "taskId"), ("task_id",), ("taskId",), ("data", "id"), ("id",))
SHORTEST_ANNOUNCED = 8  # a shorter `id` is a row's number


def parse_job(ref: JobRef, task: Mapping[str, Any]) -> Job:
    """Read a job from a task, without its state and its video."""
    return Job(
        ref=ref,
        progress=read_percent(task.get("progress")),
        duration=read_seconds(task.get("duration")),
        resolution=read_text(task.get("resolution")),
        created_at=read_first(read_time, task, CREATED),
        started_at=read_time(task.get("start_time")),
        completed_at=read_first(read_time, task, COMPLETED),
        error=read_first(read_text, task, FAILURE),
        error_code=read_text(dig(task, "error", "code")),
        extra=pick_fields(task, "action"),
    )


def read_announcement(delivery: object) -> str | None:
    """Return the id of the task in a delivery, None if it contains no id.

    Only resellers send deliveries, in different shapes: https://docs.kie.ai/veo3-api/generate-veo-3-video-callbacks
    """
    found = read_first(read_text, delivery, ANNOUNCED)
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
    created=make_id_reader(("task_id",), ("id",), ("data", "task_id"), ("data", "id")),
    polling=Polling(every=(5, 10), floor=5, usual=180, quickest=60),
    webhook=Webhook(read_announcement),
)
