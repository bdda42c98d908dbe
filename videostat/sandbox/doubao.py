"""The simulated gateway new-api, called doubao.

The gateway itself, its Gemini channels and its resellers answer the same path in three different shapes. The gateway's
shape and messages come from https://github.com/QuantumNous/new-api: dto/task.go, relay/relay_task.go,
controller/video_proxy.go and model/token.go.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from videostat.sandbox.dialect import Dialect, Limit, Refusal, Route
from videostat.sandbox.exchange import Reply, reply_json, to_unix
from videostat.sandbox.jobs import Kind, Stage, compute_progress, hash_to_share, split_words
from videostat.sandbox.videos import choose_clip

if TYPE_CHECKING:
    from videostat.sandbox.dialect import Call
    from videostat.sandbox.jobs import Job

TASK = Kind("doubao", "task", 60)

_OLD_SHARE = 0.5  # of all ids; they are answered as an old gateway does
_FAILURE = "upstream rejected the prompt: it may contain sensitive information"
_WAITING = ("NOT_START", "SUBMITTED", "QUEUED")
_GATEWAY = {Stage.RUNNING: "IN_PROGRESS", Stage.DONE: "SUCCESS", Stage.FAILED: "FAILURE"}
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
    # The gateway's own text; it means "this token's quota is used up".
    Refusal.NO_CREDIT: (401, "该令牌额度已用尽 TokenStatusExhausted[sk-san***dit]"),
    Refusal.BROKEN: (500, "system error"),
}


def _reply_error(http: int, message: str, kind: str, **more: str) -> Reply:
    return reply_json(http, {"error": {"message": message, "type": kind, **more}})


def _reply_task_error(code: str) -> Reply:
    return reply_json(400, {"code": code, "message": code, "data": None})


def _refuse(refusal: Refusal, call: Call) -> Reply:
    match refusal:
        case Refusal.NO_SUCH_JOB:
            if call.request.path.endswith("/content"):
                return _reply_error(404, "Task not found", "invalid_request_error")
            return _reply_task_error("task_not_exist")
        case Refusal.BAD_REQUEST:
            return _reply_task_error("invalid_request")
        case Refusal.NO_SUCH_PATH:
            message = f"Invalid URL ({call.request.method} {call.request.path})"
            return _reply_error(404, message, "invalid_request_error", param="", code="")
        case Refusal.RATE_LIMITED:
            # The gateway sends only the status. A proxy in front of a reseller adds the header.
            wait = max(1, round((call.quota.reset_at - call.now).total_seconds()))
            is_reseller = "reseller" in split_words(call.request.path)
            return Reply(429, headers={"Retry-After": str(wait)} if is_reseller else {})
        case _:
            http, message = _REFUSALS[refusal]
            request_id = f"{call.now:%Y%m%d%H%M%S%f}{int(hash_to_share(call.request.path) * 10**8):08}"
            return _reply_error(http, f"{message} (request id: {request_id})", "new_api_error", code="")


def _make_video_url(job: Job, call: Call) -> str:
    if "novideo" in job.words:
        return ""
    if "content" in job.words:
        return f"{call.base_url}/v1/videos/{job.id}/content"
    age = timedelta(seconds=call.videos.lifetime * ("expired" in job.words))
    return call.videos.make_plain_url(job, call.now - age)


def _describe_as_gateway(job: Job, call: Call) -> object:
    progress = compute_progress(job, call.now)
    waited = (call.now - job.submitted_at) / (job.started_at - job.submitted_at)
    text = {Stage.DONE: _make_video_url(job, call), Stage.FAILED: _FAILURE}.get(progress.stage, "")
    # Gateways older than February 2026 have one field for URL and error. Newer ones repeat the error in result_url.
    is_old = hash_to_share(f"age of {job.id}") < _OLD_SHARE
    data = {
        "id": int(hash_to_share(job.id) * 10**6),
        "created_at": to_unix(job.submitted_at),
        "updated_at": to_unix(call.now),
        "task_id": job.id,
        "platform": "54",
        "action": "generate",
        "status": _GATEWAY.get(progress.stage) or _WAITING[min(int(waited * len(_WAITING)), len(_WAITING) - 1)],
        "fail_reason": text if is_old or progress.stage is Stage.FAILED else "",
        "submit_time": to_unix(job.submitted_at),
        "start_time": 0 if progress.stage is Stage.QUEUED else to_unix(job.started_at),
        "finish_time": to_unix(job.ended_at) if progress.stage.is_end else 0,
        "progress": f"{progress.percent}%",
        "properties": {"input": "", "origin_model_name": "doubao-seedance-1-0-pro"},
        "data": None,
    }
    return {"code": "success", "message": "", "data": data | ({"result_url": text} if text and not is_old else {})}


def _describe_as_gemini(job: Job, call: Call) -> object:
    progress = compute_progress(job, call.now)
    url = {Stage.DONE: _make_video_url(job, call), Stage.FAILED: _FAILURE}.get(progress.stage, "")
    data = {
        "error": None,
        "format": choose_clip(job.id).suffix,
        "metadata": None,
        "status": _GEMINI[progress.stage],
        "task_id": job.id,
        "url": url,
    }
    return {"code": "success", "message": "", "data": data}


def _describe_as_reseller(job: Job, call: Call) -> object:
    progress = compute_progress(job, call.now)
    # Some channels send milliseconds.
    data = {"id": job.id, "status": _RESELLER[progress.stage], "submit_time": int(job.submitted_at.timestamp() * 1000)}
    if progress.stage is Stage.FAILED:
        return {**data, "error": {"code": "content_policy", "message": _FAILURE}}
    video = _RESELLER_VIDEOS[int(hash_to_share(job.id) * len(_RESELLER_VIDEOS))]
    url = _make_video_url(job, call) if progress.stage is Stage.DONE else ""
    return {**data, "error": {"code": "", "message": ""}, **(video(url) if url else {})}


def _show_task(job: Job, call: Call) -> Reply:
    if "gemini" in job.words:
        return reply_json(200, _describe_as_gemini(job, call))
    if "reseller" in job.words:
        return reply_json(200, _describe_as_reseller(job, call))
    return reply_json(200, _describe_as_gateway(job, call))


def _send_content(job: Job, call: Call) -> Reply:
    stage = compute_progress(job, call.now).stage
    if stage is not Stage.DONE:
        status = _GATEWAY.get(stage, "QUEUED")
        return _reply_error(400, f"Task is not completed yet, current status: {status}", "invalid_request_error")
    if "novideo" in job.words:
        return _reply_error(502, "Failed to fetch video content", "server_error")
    return call.videos.pass_through(job, call.request)


def _confirm(job: Job, _: Call) -> Reply:
    return reply_json(
        200,
        {
            "id": job.id,
            "task_id": job.id,
            "object": "video",
            "model": "doubao-seedance-1-0-pro",
            "status": "queued",
            "progress": 0,
            "created_at": to_unix(job.submitted_at),
        },
    )


# The default of GLOBAL_API_RATE_LIMIT in new-api.
_LIMIT = Limit(180, 180)

DOUBAO = Dialect(
    name="doubao",
    key_header="authorization",
    key_prefix="Bearer ",
    limit=_LIMIT,
    refuse=_refuse,
    routes=(
        Route(method="GET", path="/v1/video/generations/{id}", kind=TASK, answer=_show_task, limit=_LIMIT),
        Route(method="GET", path="/v1/videos/{id}/content", kind=TASK, answer=_send_content, limit=_LIMIT),
        Route(method="POST", path="/v1/video/generations", kind=TASK, answer=_confirm, limit=_LIMIT),
    ),
)
