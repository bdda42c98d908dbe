"""The simulated JoggAI.

Its answers have an envelope with an error code of its own, also inside HTTP 200. Each endpoint has its own time format.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from videostat.sandbox.dialect import Dialect, Limit, Listing, Refusal, Route
from videostat.sandbox.exchange import reply_json, to_iso, to_unix
from videostat.sandbox.jobs import Kind, Progress, Stage, compute_progress, hash_to_share
from videostat.sandbox.videos import choose_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
# The filter of the product list counts queued jobs as processing.
_STATUS_NUMBERS = {"3": {Stage.QUEUED, Stage.RUNNING}, "4": {Stage.DONE}, "5": {Stage.FAILED}}
_RETENTION = {Stage.DONE: timedelta(days=30), Stage.FAILED: timedelta(days=7)}
_FAILURE = "The script could not be rendered"
_MAX_PAGE_SIZE = 100


def _reply(call: Call, http: int, code: int, message: str, data: object = None) -> Reply:
    rid = f"{int(hash_to_share(call.request.at.isoformat()) * 2**32):08x}"
    return reply_json(http, {"rid": rid, "code": code, "msg": message, "data": data})


def _reply_success(call: Call, data: object) -> Reply:
    return _reply(call, 200, 0, "Success", data)


def _refuse(refusal: Refusal, call: Call) -> Reply:
    if refusal is Refusal.NO_SUCH_JOB and call.kind is PROJECT:
        return _reply(call, 404, 5001, "Project not found")
    return _reply(call, *_REFUSALS[refusal])


def _is_kept(job: Job, call: Call) -> bool:
    retention = _RETENTION.get(compute_progress(job, call.now).stage, timedelta.max)
    return "expired" not in job.words and call.now - job.submitted_at < retention


def _link_media(job: Job, call: Call, progress: Progress, picture: str) -> dict[str, object]:
    """Return the fields with the URLs. `picture` names the field of the poster's URL."""
    if progress.stage is not Stage.DONE or "novideo" in job.words:
        return {}
    return {
        "video_url": call.videos.make_plain_url(job, call.now),
        picture: call.videos.make_poster_url(job, call.now),
    }


def _describe_project(job: Job, call: Call) -> dict[str, object]:
    progress = compute_progress(job, call.now)
    data: dict[str, object] = {"project_id": job.id, "status": _STATUS.get(progress.stage, "success")}
    if progress.stage is Stage.DONE:
        clip = choose_clip(job.id)
        data |= _link_media(job, call, progress, "thumbnail_url")
        data |= {"duration": clip.duration, "resolution": clip.resolution}
    elif progress.stage is Stage.FAILED:
        data |= {"error": _FAILURE, "error_code": "RENDER_FAILED"}
    else:
        data |= {"progress": progress.percent, "estimated_time": round(progress.remaining)}
    data["created_at"] = to_iso(job.submitted_at)
    return data | ({"completed_at": to_iso(job.ended_at)} if progress.stage is Stage.DONE else {})


def _describe_avatar(job: Job, call: Call) -> dict[str, object]:
    progress = compute_progress(job, call.now)
    data = {
        "video_id": job.id,
        # The documentation says "completed", but the live service says "success".
        "status": _STATUS.get(progress.stage, "success"),
        "created_at": to_unix(job.submitted_at),
    }
    if progress.stage is Stage.DONE:
        data["duration"] = choose_clip(job.id).duration
    if progress.stage is Stage.FAILED:
        data["error"] = {"code": 50000, "message": _FAILURE}
    return data | _link_media(job, call, progress, "cover_url")


def _describe_product(job: Job, call: Call) -> dict[str, object]:
    progress = compute_progress(job, call.now)
    data = {
        "status": _STATUS.get(progress.stage, "completed"),
        "title": f"Product video {job.id[-4:]}",
        "created_at": to_unix(job.submitted_at),
    }
    if progress.stage is Stage.DONE:
        data |= {"deducted_credit": 1.5, "video_duration": choose_clip(job.id).duration}
    if progress.stage is Stage.FAILED:
        data["error"] = {"code": "50000", "message": _FAILURE}
    return data | _link_media(job, call, progress, "cover_url")


_DESCRIBE = {PROJECT: _describe_project, AVATAR: _describe_avatar, PRODUCT: _describe_product}


def _show_job(job: Job, call: Call) -> Reply:
    if not _is_kept(job, call):
        return _reply(call, *_EXPIRED)
    return _reply_success(call, _DESCRIBE[job.kind](job, call))


def _read_number(call: Call, name: str, default: int, highest: int) -> int | None:
    text = call.request.query.get(name, str(default))
    is_number = text.isascii() and text.isdecimal() and len(text) < len(str(highest)) + 1
    return int(text) if is_number and 1 <= int(text) <= highest else None


def _show_page(
    jobs: Sequence[Job], call: Call, *, field: str, size_field: str, describe: Callable[[Job, Call], object]
) -> Reply:
    """Show one page of a list. `field` names the jobs in the reply, `size_field` the size of the page."""
    number, size = _read_number(call, "page", 1, 10**6), _read_number(call, size_field, 20, _MAX_PAGE_SIZE)
    if number is None or size is None:
        return _refuse(Refusal.BAD_REQUEST, call)
    kept = [job for job in jobs if _is_kept(job, call)]
    shown = [describe(job, call) for job in kept[(number - 1) * size : number * size]]
    return _reply_success(call, {field: shown, "total": len(kept), "page": number, size_field: size})


def _list_projects(jobs: Sequence[Job], call: Call) -> Reply:
    return _show_page(jobs, call, field="projects", size_field="limit", describe=_describe_project)


def _list_products(jobs: Sequence[Job], call: Call) -> Reply:
    stages = _STATUS_NUMBERS.get(call.request.query.get("status", ""), set(Stage))
    return _show_page(
        [job for job in jobs if compute_progress(job, call.now).stage in stages],
        call,
        field="videos",
        size_field="page_size",
        describe=lambda job, call: {"id": job.id, **_describe_product(job, call)},
    )


_EVENTS = {PROJECT: "generated_video", AVATAR: "generated_avatar_video", PRODUCT: "generated_product_video"}


def make_announcement(job: Job, videos: Videos) -> dict[str, object] | None:
    """Make the webhook's content for the end of a job. Return None for another service's job.

    Source: https://github.com/JoggAI-Tech/docs, api-reference/v2/API Documentation/WebhookIntegration.mdx
    """
    if job.kind not in _EVENTS:
        return None
    at, is_done = job.ended_at, "fail" not in job.words
    data: dict[str, object] = {
        "project_id" if job.kind is PROJECT else "video_id": job.id,
        "status": "completed" if is_done else "failed",
    }
    if is_done and "novideo" not in job.words:
        data |= {"video_url": videos.make_plain_url(job, at), "cover_url": videos.make_poster_url(job, at)}
        data |= {"duration": choose_clip(job.id).duration}
    if not is_done:
        data["error"] = {"code": 50000, "message": _FAILURE}
    return {
        "event_id": f"evt_{int(hash_to_share(f'event of {job.id}') * 10**9):09}",
        "event": f"{_EVENTS[job.kind]}_{'success' if is_done else 'failed'}",
        "timestamp": to_unix(at),
        "data": data,
    }


# JoggAI documents no limit. This one allows a request a second.
_LIMIT = Limit(60, 60)


def _make_submit_route(path: str, kind: Kind, id_field: str) -> Route:
    def confirm(job: Job, call: Call) -> Reply:
        return _reply_success(call, {id_field: job.id})

    return Route(method="POST", path=path, kind=kind, answer=confirm, limit=_LIMIT)


JOGG = Dialect(
    name="jogg",
    key_header="x-api-key",
    limit=_LIMIT,
    refuse=_refuse,
    routes=(
        Route(method="GET", path="/v2/project/{id}", kind=PROJECT, answer=_show_job, limit=_LIMIT),
        Route(method="GET", path="/v2/avatar_video/{id}", kind=AVATAR, answer=_show_job, limit=_LIMIT),
        Route(method="GET", path="/v2/product_video/{id}", kind=PRODUCT, answer=_show_job, limit=_LIMIT),
        Listing(path="/v2/projects", kind=PROJECT, answer=_list_projects, limit=_LIMIT),
        Listing(path="/v2/product_videos", kind=PRODUCT, answer=_list_products, limit=_LIMIT),
        _make_submit_route("/v2/avatar", PROJECT, "project_id"),
        _make_submit_route("/v2/create_video_from_avatar", AVATAR, "video_id"),
        _make_submit_route("/v2/create_video_from_product", PRODUCT, "product_video_id"),
    ),
)
