"""The gateways that speak the Doubao dialect: https://github.com/QuantumNous/new-api and its resellers.

A success hides the video's URL in `result_url` or, on older gateways, in `fail_reason`; a failure may
hide its text in either. Channels and resellers answer other shapes on the same path, so each fact has
the list of places where it has been seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from videostat.errors import KeyRefused, NotFound, Unreadable, VideostatError
from videostat.models import Job, JobRef, State
from videostat.providers import reading
from videostat.providers.base import Auth, Endpoint, Polling, Provider, Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videostat.providers.base import Answer

STATES = {
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

ERRORS: Mapping[str, type[VideostatError]] = {
    "success": Unreadable,  # and yet no task
    "task_not_exist": NotFound,
}

HINTS: Mapping[type[VideostatError], str] = {
    KeyRefused: "The gateway answers the same for a wrong, an expired and an exhausted key: check its quota too.",
    NotFound: "A task is only known to the gateway, and the key's owner, that it was submitted with.",
}

VIDEO = (
    ("result_url",),
    ("fail_reason",),
    ("data", "content", "video_url"),
    ("url",),
    ("video_url",),
    ("content", "video_url"),
    ("task_result", "videos", 0, "url"),
)
FAILURE = (("fail_reason",), ("error", "message"), ("error",), ("result_url",), ("url",), ("message",))
CREATED = (("submit_time",), ("created_at",))
COMPLETED = (("finish_time",), ("completed_at",))
ANNOUNCED = (("data", "task_id"), ("data", "taskId"), ("task_id",), ("taskId",), ("data", "id"), ("id",))
SHORTEST_ANNOUNCED = 8  # a shorter `id` is a row's number


def parse_job(ref: JobRef, answer: Answer) -> Job:
    body = answer.body
    enveloped = reading.dig(body, "data")
    task = enveloped if isinstance(enveloped, dict) and "status" in enveloped else body
    if not answer.ok or not isinstance(task, dict) or "status" not in task:
        raise reading.refusal(
            answer,
            ERRORS,
            code=reading.first(reading.text, body, (("error", "code"), ("code",))),
            message=reading.first(reading.text, body, (("error", "message"), ("message",))),
            hints=HINTS,
        )
    state = reading.state(task["status"], STATES)
    return Job(
        ref=ref,
        state=state,
        status=task["status"],
        progress=reading.percent(task.get("progress")),
        video_url=reading.first(reading.url, task, VIDEO) if state is State.SUCCEEDED else None,
        duration=reading.length(task.get("duration")),
        resolution=reading.text(task.get("resolution")),
        created_at=reading.first(reading.time, task, CREATED),
        started_at=reading.time(task.get("start_time")),
        completed_at=reading.first(reading.time, task, COMPLETED),
        error=reading.first(reading.text, task, FAILURE) if state is State.FAILED else None,
        error_code=reading.text(reading.dig(task, "error", "code")) if state is State.FAILED else None,
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
    polling=Polling(every=(5, 10), floor=5, usual=180, quickest=60),
    webhook=Webhook(read_announcement),
)
