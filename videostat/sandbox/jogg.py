"""JoggAI: an envelope with a code of its own, errors inside HTTP 200, times that differ by endpoint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from videostat.sandbox.dialect import Dialect, Limit, Listing, Refusal, Route
from videostat.sandbox.exchange import in_json
from videostat.sandbox.jobs import Kind, Progress, Stage, progress, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videostat.sandbox.dialect import Call
    from videostat.sandbox.exchange import Reply
    from videostat.sandbox.jobs import Job
    from videostat.sandbox.videos import Videos

PROJECT = Kind("jogg", "proj", 75)
AVATAR = Kind("jogg-avatar", "avatar", 75)
PRODUCT = Kind("jogg-product", "product", 75)

_EXPIRED = 200, 5002, "Project expired"
_NOT_FOUND = 200, 10104, "Record not found"

_REFUSALS = {
    Refusal.KEY_MISSING: (401, 5003, "Unauthorized"),
    Refusal.KEY_WRONG: (401, 10105, "Invalid API key"),
    Refusal.NO_CREDIT: (200, 18020, "Insufficient credit"),
    Refusal.NO_SUCH_JOB: _NOT_FOUND,
    Refusal.NO_SUCH_PATH: (404, 10104, "Not found"),
    Refusal.BAD_REQUEST: (400, 40000, "Parameter error"),
    Refusal.RATE_LIMITED: (200, 429, "Too many requests, please try again later"),
    Refusal.BROKEN: (500, 50000, "System error"),
}

_STATUS = {Stage.QUEUED: "pending", Stage.RUNNING: "processing", Stage.FAILED: "failed"}
# The product list's filter; what has not ended counts as processing.
_STATUS_NUMBERS = {"3": {Stage.QUEUED, Stage.RUNNING}, "4": {Stage.DONE}, "5": {Stage.FAILED}}
_RETENTION = {Stage.DONE: timedelta(days=30), Stage.FAILED: timedelta(days=7)}
_FAILURE = "The script could not be rendered"
_MAX_PAGE_SIZE = 100


def _envelope(call: Call, http: int, code: int, message: str, data: object = None) -> Reply:
    rid = f"{int(spread(call.request.at.isoformat()) * 2**32):08x}"
    return in_json(http, {"rid": rid, "code": code, "msg": message, "data": data})


def _success(call: Call, data: object) -> Reply:
    return _envelope(call, 200, 0, "Success", data)


def _refuse(refusal: Refusal, call: Call) -> Reply:
    if refusal is Refusal.NO_SUCH_JOB and call.kind is PROJECT:
        return _envelope(call, 404, 5001, "Project not found")
    return _envelope(call, *_REFUSALS[refusal])


def _is_kept(job: Job, now: datetime) -> bool:
    retention = _RETENTION.get(progress(job, now).stage, timedelta.max)
    return "expired" not in job.words and now - job.submitted_at < retention


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unix(time: datetime) -> int:
    return int(time.timestamp())


def _media(job: Job, call: Call, look: Progress, picture: str) -> dict[str, object]:
    if look.stage is not Stage.DONE or "novideo" in job.words:
        return {}
    video, poster = call.videos.plain_url(job, call.now), call.videos.poster_url(job, call.now)
    return {"video_url": video, picture: poster}


def _project_data(job: Job, call: Call) -> dict[str, object]:
    look = progress(job, call.now)
    data: dict[str, object] = {"project_id": job.id, "status": _STATUS.get(look.stage, "success")}
    if look.stage is Stage.DONE:
        clip = call.videos.clip(job)
        data |= _media(job, call, look, "thumbnail_url") | {"duration": clip.duration, "resolution": clip.resolution}
    elif look.stage is Stage.FAILED:
        data |= {"error": _FAILURE, "error_code": "RENDER_FAILED"}
    else:
        data |= {"progress": look.percent, "estimated_time": round(look.remaining)}
    data["created_at"] = _iso(job.submitted_at)
    return data | ({"completed_at": _iso(job.ended_at)} if look.stage is Stage.DONE else {})


def _avatar_data(job: Job, call: Call) -> dict[str, object]:
    look = progress(job, call.now)
    # The documentation says "completed"; the live service says "success".
    data = {"video_id": job.id, "status": _STATUS.get(look.stage, "success"), "created_at": _unix(job.submitted_at)}
    if look.stage is Stage.DONE:
        data["duration"] = call.videos.clip(job).duration
    if look.stage is Stage.FAILED:
        data["error"] = {"code": 50000, "message": _FAILURE}
    return data | _media(job, call, look, "cover_url")


def _product_data(job: Job, call: Call) -> dict[str, object]:
    look = progress(job, call.now)
    data = {
        "status": _STATUS.get(look.stage, "completed"),
        "title": f"Product video {job.id[-4:]}",
        "created_at": _unix(job.submitted_at),
    }
    if look.stage is Stage.DONE:
        data |= {"deducted_credit": 1.5, "video_duration": call.videos.clip(job).duration}
    if look.stage is Stage.FAILED:
        data["error"] = {"code": "50000", "message": _FAILURE}
    return data | _media(job, call, look, "cover_url")


_DATA = {PROJECT: _project_data, AVATAR: _avatar_data, PRODUCT: _product_data}


def _look(job: Job, call: Call) -> Reply:
    if not _is_kept(job, call.now):
        return _envelope(call, *_EXPIRED)
    return _success(call, _DATA[job.kind](job, call))


def _number(call: Call, name: str, default: int, highest: int) -> int | None:
    text = call.request.query.get(name, str(default))
    is_number = text.isascii() and text.isdecimal() and len(text) < len(str(highest)) + 1
    return int(text) if is_number and 1 <= int(text) <= highest else None


def _paged(jobs: Sequence[Job], call: Call, size_name: str) -> tuple[Sequence[Job], dict[str, object]] | None:
    number, size = _number(call, "page", 1, 10**6), _number(call, size_name, 20, _MAX_PAGE_SIZE)
    if number is None or size is None:
        return None
    start = (number - 1) * size
    return jobs[start : start + size], {"total": len(jobs), "page": number, size_name: size}


def _projects(jobs: Sequence[Job], call: Call) -> Reply:
    paged = _paged([job for job in jobs if _is_kept(job, call.now)], call, "limit")
    if paged is None:
        return _refuse(Refusal.BAD_REQUEST, call)
    return _success(call, {"projects": [_project_data(job, call) for job in paged[0]], **paged[1]})


def _product_videos(jobs: Sequence[Job], call: Call) -> Reply:
    stages = _STATUS_NUMBERS.get(call.request.query.get("status", ""), set(Stage))
    chosen = [job for job in jobs if _is_kept(job, call.now) and progress(job, call.now).stage in stages]
    paged = _paged(chosen, call, "page_size")
    if paged is None:
        return _refuse(Refusal.BAD_REQUEST, call)
    return _success(call, {"videos": [{"id": job.id, **_product_data(job, call)} for job in paged[0]], **paged[1]})


_EVENTS = {PROJECT: "generated_video", AVATAR: "generated_avatar_video", PRODUCT: "generated_product_video"}


def announcement(job: Job, videos: Videos) -> dict[str, object] | None:
    """Return what a webhook says when the job has ended, None for another service's job.

    https://github.com/JoggAI-Tech/docs: api-reference/v2/API Documentation/WebhookIntegration.mdx
    """
    if job.kind not in _EVENTS:
        return None
    at, is_done = job.ended_at, "fail" not in job.words
    data: dict[str, object] = {
        "project_id" if job.kind is PROJECT else "video_id": job.id,
        "status": "completed" if is_done else "failed",
    }
    if is_done and "novideo" not in job.words:
        data |= {"video_url": videos.plain_url(job, at), "cover_url": videos.poster_url(job, at)}
        data |= {"duration": videos.clip(job).duration}
    if not is_done:
        data["error"] = {"code": 50000, "message": _FAILURE}
    return {
        "event_id": f"evt_{int(spread(f'event of {job.id}') * 10**9):09}",
        "event": f"{_EVENTS[job.kind]}_{'success' if is_done else 'failed'}",
        "timestamp": _unix(at),
        "data": data,
    }


# Nobody documents JoggAI's limit: one look a second is more than it asks for.
_LIMIT = Limit(60, 60)

JOGG = Dialect(
    name="jogg",
    key_header="x-api-key",
    limit=_LIMIT,
    refuse=_refuse,
    routes=(
        Route(method="GET", path="/v2/project/{id}", kind=PROJECT, answer=_look, limit=_LIMIT),
        Route(method="GET", path="/v2/avatar_video/{id}", kind=AVATAR, answer=_look, limit=_LIMIT),
        Route(method="GET", path="/v2/product_video/{id}", kind=PRODUCT, answer=_look, limit=_LIMIT),
        Listing(path="/v2/projects", kind=PROJECT, answer=_projects, limit=_LIMIT),
        Listing(path="/v2/product_videos", kind=PRODUCT, answer=_product_videos, limit=_LIMIT),
        Route(
            method="POST",
            path="/v2/avatar",
            kind=PROJECT,
            answer=lambda job, call: _success(call, {"project_id": job.id}),
            limit=_LIMIT,
        ),
        Route(
            method="POST",
            path="/v2/create_video_from_avatar",
            kind=AVATAR,
            answer=lambda job, call: _success(call, {"video_id": job.id}),
            limit=_LIMIT,
        ),
        Route(
            method="POST",
            path="/v2/create_video_from_product",
            kind=PRODUCT,
            answer=lambda job, call: _success(call, {"product_video_id": job.id}),
            limit=_LIMIT,
        ),
    ),
)
