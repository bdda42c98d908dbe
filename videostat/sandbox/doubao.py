"""The gateway new-api, its Gemini channels and its resellers: one path, three shapes.

Its own shapes and messages are those of https://github.com/QuantumNous/new-api: dto/task.go, relay/relay_task.go,
controller/video_proxy.go, model/token.go.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from videostat.sandbox.dialect import Dialect, Limit, Refusal, Route
from videostat.sandbox.exchange import Reply, in_json
from videostat.sandbox.jobs import Kind, Stage, progress, spread, words_of

if TYPE_CHECKING:
    from datetime import datetime

    from videostat.sandbox.dialect import Call
    from videostat.sandbox.jobs import Job

TASK = Kind("doubao", "task", 60)

# Of all ids.
_OLD_SHARE = 0.5
_FAILURE = "upstream rejected the prompt: it may contain sensitive information"
_WAITING = ("NOT_START", "SUBMITTED", "QUEUED")
_OFFICIAL = {Stage.RUNNING: "IN_PROGRESS", Stage.DONE: "SUCCESS", Stage.FAILED: "FAILURE"}
_GEMINI = {Stage.QUEUED: "queued", Stage.RUNNING: "processing", Stage.DONE: "succeeded", Stage.FAILED: "failed"}
_RESELLER = _GEMINI | {Stage.RUNNING: "running"}
_RESELLER_VIDEOS = (
    lambda url: {"url": url},
    lambda url: {"content": {"video_url": url}},
    lambda url: {"task_result": {"videos": [{"url": url}]}},
)

_REFUSALS = {
    Refusal.KEY_MISSING: (401, "No token provided"),
    Refusal.KEY_WRONG: (401, "Invalid token"),
    # Its words for "this token's quota is used up".
    Refusal.NO_CREDIT: (401, "该令牌额度已用尽 TokenStatusExhausted[sk-san***dit]"),
    Refusal.BROKEN: (500, "system error"),
}


def _error(http: int, message: str, kind: str, **more: str) -> Reply:
    return in_json(http, {"error": {"message": message, "type": kind, **more}})


def _task_error(code: str) -> Reply:
    return in_json(400, {"code": code, "message": code, "data": None})


def _refuse(refusal: Refusal, call: Call) -> Reply:
    match refusal:
        case Refusal.NO_SUCH_JOB:
            is_content = call.request.path.endswith("/content")
            return (
                _error(404, "Task not found", "invalid_request_error") if is_content else _task_error("task_not_exist")
            )
        case Refusal.BAD_REQUEST:
            return _task_error("invalid_request")
        case Refusal.NO_SUCH_PATH:
            message = f"Invalid URL ({call.request.method} {call.request.path})"
            return _error(404, message, "invalid_request_error", param="", code="")
        case Refusal.RATE_LIMITED:
            # The gateway itself sends nothing but the status; a proxy before a reseller's adds the header.
            wait = max(1, round((call.quota.reset_at - call.now).total_seconds()))
            is_reseller = "reseller" in words_of(call.request.path)
            return Reply(429, headers={"Retry-After": str(wait)} if is_reseller else {})
        case _:
            http, message = _REFUSALS[refusal]
            request_id = f"{call.now:%Y%m%d%H%M%S%f}{int(spread(call.request.path) * 10**8):08}"
            return _error(http, f"{message} (request id: {request_id})", "new_api_error", code="")


def _video_url(job: Job, call: Call) -> str:
    if "novideo" in job.words:
        return ""
    if "content" in job.words:
        return f"{call.base_url}/v1/videos/{job.id}/content"
    return call.videos.plain_url(job, call.now - timedelta(seconds=call.videos.lifetime * ("expired" in job.words)))


def _unix(time: datetime, now: datetime) -> int:
    """0: not yet."""
    return int(time.timestamp()) if time <= now else 0


def _official(job: Job, call: Call) -> object:
    look = progress(job, call.now)
    waited = (call.now - job.submitted_at) / (job.started_at - job.submitted_at)
    text = {Stage.DONE: _video_url(job, call), Stage.FAILED: _FAILURE}.get(look.stage, "")
    # Gateways older than February 2026 know one field for both, newer ones repeat an error in result_url.
    is_old = spread(f"age of {job.id}") < _OLD_SHARE
    finished = _unix(job.ended_at, call.now) if look.stage.is_end else 0
    data = {
        "id": int(spread(job.id) * 10**6),
        "created_at": _unix(job.submitted_at, call.now),
        "updated_at": _unix(call.now, call.now),
        "task_id": job.id,
        "platform": "54",
        "action": "generate",
        "status": _OFFICIAL.get(look.stage) or _WAITING[min(int(waited * len(_WAITING)), len(_WAITING) - 1)],
        "fail_reason": text if is_old or look.stage is Stage.FAILED else "",
        "submit_time": _unix(job.submitted_at, call.now),
        "start_time": _unix(job.started_at, call.now),
        "finish_time": finished,
        "progress": f"{look.percent}%",
        "properties": {"input": "", "origin_model_name": "doubao-seedance-1-0-pro"},
        "data": None,
    }
    return {"code": "success", "message": "", "data": data | ({"result_url": text} if text and not is_old else {})}


def _gemini(job: Job, call: Call) -> object:
    look = progress(job, call.now)
    url = {Stage.DONE: _video_url(job, call), Stage.FAILED: _FAILURE}.get(look.stage, "")
    data = {
        "error": None,
        "format": call.videos.clip(job).suffix,
        "metadata": None,
        "status": _GEMINI[look.stage],
        "task_id": job.id,
        "url": url,
    }
    return {"code": "success", "message": "", "data": data}


def _reseller(job: Job, call: Call) -> object:
    look = progress(job, call.now)
    # Milliseconds, as some channels send them.
    data = {"id": job.id, "status": _RESELLER[look.stage], "submit_time": int(job.submitted_at.timestamp() * 1000)}
    if look.stage is Stage.FAILED:
        return {**data, "error": {"code": "content_policy", "message": _FAILURE}}
    video = _RESELLER_VIDEOS[int(spread(job.id) * len(_RESELLER_VIDEOS))]
    url = _video_url(job, call) if look.stage is Stage.DONE else ""
    return {**data, "error": {"code": "", "message": ""}, **(video(url) if url else {})}


def _look(job: Job, call: Call) -> Reply:
    shape = _gemini if "gemini" in job.words else _reseller if "reseller" in job.words else _official
    return in_json(200, shape(job, call))


def _content(job: Job, call: Call) -> Reply:
    stage = progress(job, call.now).stage
    if stage is not Stage.DONE:
        status = _OFFICIAL.get(stage, "QUEUED")
        return _error(400, f"Task is not completed yet, current status: {status}", "invalid_request_error")
    if "novideo" in job.words:
        return _error(502, "Failed to fetch video content", "server_error")
    return call.videos.proxied(job, call.request)


def _created(job: Job, call: Call) -> Reply:
    return in_json(
        200,
        {
            "id": job.id,
            "task_id": job.id,
            "object": "video",
            "model": "doubao-seedance-1-0-pro",
            "status": "queued",
            "progress": 0,
            "created_at": _unix(job.submitted_at, call.now),
        },
    )


# GLOBAL_API_RATE_LIMIT as new-api is shipped.
_LIMIT = Limit(180, 180)

DOUBAO = Dialect(
    name="doubao",
    key_header="authorization",
    key_prefix="Bearer ",
    limit=_LIMIT,
    refuse=_refuse,
    routes=(
        Route(method="GET", path="/v1/video/generations/{id}", kind=TASK, answer=_look, limit=_LIMIT),
        Route(method="GET", path="/v1/videos/{id}/content", kind=TASK, answer=_content, limit=_LIMIT),
        Route(method="POST", path="/v1/video/generations", kind=TASK, answer=_created, limit=_LIMIT),
    ),
)
