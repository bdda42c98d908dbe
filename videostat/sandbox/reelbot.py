"""The simulated ReelBot.

Its answers contain no job id, and the key of a file instead of its URL. Every answer states the rate limit in headers.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from videostat.sandbox.dialect import Dialect, Limit, Refusal, Route
from videostat.sandbox.exchange import reply_json, to_iso
from videostat.sandbox.jobs import Kind, Stage, compute_progress
from videostat.sandbox.videos import choose_clip

if TYPE_CHECKING:
    from videostat.sandbox.dialect import Call
    from videostat.sandbox.exchange import Reply
    from videostat.sandbox.jobs import Job

REEL = Kind("reelbot", "reel", 45)

_PROJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

_REFUSALS = {
    Refusal.KEY_MISSING: (401, "UNAUTHORIZED", "API key is required"),
    Refusal.KEY_WRONG: (401, "UNAUTHORIZED", "Invalid API key"),
    Refusal.NO_CREDIT: (402, "QUOTA_EXCEEDED", "Video quota exceeded for this billing period"),
    Refusal.NO_SUCH_JOB: (404, "NOT_FOUND", "Project not found"),
    Refusal.NO_SUCH_PATH: (404, "NOT_FOUND", "Not found"),
    Refusal.BAD_REQUEST: (400, "VALIDATION_ERROR", "Invalid request body"),
    Refusal.BROKEN: (500, "INTERNAL_ERROR", "Internal server error"),
}

_STATUS = {
    Stage.QUEUED: ("queued", "Video generation is queued"),
    Stage.RUNNING: ("processing", "Video is being generated"),
    Stage.DONE: ("completed", "Video generation completed"),
    Stage.FAILED: ("failed", "Video generation failed"),
}

_to_iso = partial(to_iso, timespec="milliseconds")


def _reply(call: Call, http: int, value: object, **more: str) -> Reply:
    limits = {"X-RateLimit-Remaining": str(call.quota.remaining), "X-RateLimit-Reset": _to_iso(call.quota.reset_at)}
    return reply_json(http, value, limits | more)


def _reply_error(call: Call, http: int, code: str, message: str) -> Reply:
    return _reply(call, http, {"success": False, "message": message, "code": code, "details": {}})


def _refuse(refusal: Refusal, call: Call) -> Reply:
    if refusal is not Refusal.RATE_LIMITED:
        return _reply_error(call, *_REFUSALS[refusal])
    details = {"resetAt": _to_iso(call.quota.reset_at)}
    body = {"success": False, "message": "Rate limit exceeded", "code": "RATE_LIMITED", "details": details}
    seconds = ceil((call.quota.reset_at - call.now).total_seconds())
    return _reply(call, 429, body, **{"Retry-After": str(seconds)})


def _show_status(job: Job, call: Call) -> Reply:
    if not _PROJECT_ID.fullmatch(job.id):
        return _reply_error(call, 400, "INVALID_PROJECT_ID", "Invalid project id")
    stage = compute_progress(job, call.now).stage
    status, message = _STATUS[stage]
    data = {"status": status, "message": message, "createdAt": _to_iso(job.submitted_at)}
    if stage is not Stage.QUEUED:
        data["updatedAt"] = _to_iso(job.ended_at if stage.is_end else call.now)
    if stage is Stage.DONE and "novideo" not in job.words:
        data["outputKey"] = f"outputs/{job.id}/{choose_clip(job.id).file}"
    if stage is Stage.FAILED:
        data["error"] = "The footage could not be rendered"
    return _reply(call, 200, data)


def _show_url(job: Job, call: Call) -> Reply:
    status, _ = _STATUS[compute_progress(job, call.now).stage]
    if status != "completed":
        return _reply_error(call, 400, "VIDEO_NOT_READY", f"Video is not ready. Current status: {status}")
    if "expired" in job.words:
        return _reply_error(call, 404, "OUTPUT_NOT_FOUND", "Video output not found")
    url = None if "novideo" in job.words else call.videos.make_s3_url(job, call.now)
    expires_at = _to_iso(call.now + timedelta(seconds=call.videos.lifetime))
    return _reply(call, 200, {"success": True, "downloadUrl": url, "expiresAt": expires_at})


def _confirm(job: Job, call: Call) -> Reply:
    return _reply(call, 200, {"success": True, "projectId": job.id, "message": "Video generation started"})


_STATUS_LIMIT = Limit(60, 60)
_DOWNLOAD_LIMIT = Limit(30, 3600)

REELBOT = Dialect(
    name="reelbot",
    key_header="x-api-key",
    limit=_STATUS_LIMIT,
    refuse=_refuse,
    routes=(
        Route(method="GET", path="/api/v1/video/status/{id}", kind=REEL, answer=_show_status, limit=_STATUS_LIMIT),
        Route(method="GET", path="/api/v1/video/download/{id}", kind=REEL, answer=_show_url, limit=_DOWNLOAD_LIMIT),
        Route(method="POST", path="/api/v1/video/generate", kind=REEL, answer=_confirm, limit=_STATUS_LIMIT),
    ),
)
