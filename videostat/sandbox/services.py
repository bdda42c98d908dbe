"""Answer requests to the three services, and keep their jobs."""

from __future__ import annotations

import json
import random
import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from videostat.sandbox.dialect import Call, Dialect, Limit, Listing, Quota, Refusal, Route
from videostat.sandbox.doubao import DOUBAO
from videostat.sandbox.exchange import Reply, reply_page
from videostat.sandbox.jobs import WORDS, Job, Kind, split_words
from videostat.sandbox.jogg import JOGG, PRODUCT, PROJECT
from videostat.sandbox.reelbot import REELBOT

if TYPE_CHECKING:
    from datetime import datetime

    from videostat.sandbox.exchange import Request
    from videostat.sandbox.videos import Videos
    from videostat.sandbox.webhooks import Webhooks

DIALECTS = {dialect.name: dialect for dialect in (JOGG, DOUBAO, REELBOT)}

# Orders for the demo: the provider, the path to submit to, and the keys that lead to the id in the answer.
ORDERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("jogg", "/v2/avatar", ("data", "project_id")),
    ("jogg-avatar", "/v2/create_video_from_avatar", ("data", "video_id")),
    ("jogg-product", "/v2/create_video_from_product", ("data", "product_video_id")),
    ("doubao", "/v1/video/generations", ("task_id",)),
    ("reelbot", "/api/v1/video/generate", ("projectId",)),
    ("reelbot", "/api/v1/video/generate", ("projectId",)),
)

# The jobs in the lists of a new sandbox: those of the last month. Some failures are already deleted.
_LISTED = {PROJECT: 45, PRODUCT: 25}
_LISTED_EVERY = timedelta(hours=16)
_LISTED_FAILURE_EVERY = 5

_FAULTS = ("error", "page", "cut")


@cache
def _compile_path(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\{id\}", "([^/]+)"))


def _find_route(dialect: Dialect, method: str, path: str) -> tuple[Route | Listing | None, str]:
    for route in dialect.routes:
        if method == route.method and (found := _compile_path(route.path).fullmatch(path)):
            return route, "".join(found.groups())
    return None, ""


def _check_key(dialect: Dialect, key: str) -> Refusal | None:
    reasons = {"": Refusal.KEY_MISSING, dialect.exhausted_key: Refusal.NO_CREDIT, dialect.key: None}
    return reasons.get(key, Refusal.KEY_WRONG)


def _make_job(kind: Kind, job_id: str, now: datetime) -> Job:
    job = Job(kind, job_id, now)
    return replace(job, submitted_at=now - timedelta(hours=1)) if "done" in job.words else job


def _make_listed_jobs(now: datetime) -> list[Job]:
    return [
        Job(kind, f"{kind.family}_{n:04}{'' if n % _LISTED_FAILURE_EVERY else '_fail'}", now - n * _LISTED_EVERY)
        for kind, count in _LISTED.items()
        for n in range(1, count + 1)
    ]


@dataclass(slots=True, kw_only=True)
class Services:
    """The three services and their jobs. The fields are those of Sandbox."""

    videos: Videos
    webhooks: Webhooks
    began_at: datetime
    limits: bool
    fail_rate: float
    seed: int
    _lock: Lock = field(init=False, default_factory=Lock)
    _jobs: dict[tuple[Kind, str], Job] = field(init=False)
    _windows: dict[tuple[str, str, Limit], tuple[datetime, int]] = field(init=False, default_factory=dict)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._jobs = {(job.kind, job.id): job for job in _make_listed_jobs(self.began_at)}
        self._random = random.Random(self.seed)  # noqa: S311 - the same seed gives the same faults

    def answer(self, request: Request) -> Reply:
        """Answer a request to any path of the sandbox."""
        service, _, rest = request.path.removeprefix("/").partition("/")
        if service == "media":
            return self.videos.serve(request)
        if service not in DIALECTS:
            return reply_page(404, "Not Found")
        with self._lock:
            return self._answer(DIALECTS[service], f"/{rest}", request)

    def _answer(self, dialect: Dialect, path: str, request: Request) -> Reply:
        route, job_id = _find_route(dialect, request.method, path)
        key = request.headers.get(dialect.key_header, "").removeprefix(dialect.key_prefix)
        refusal = _check_key(dialect, key)
        call = Call(
            request=request,
            kind=route.kind if route else None,
            quota=self._count_request(
                dialect, key, route.limit if route else dialect.limit, request.at, is_known=not refusal
            ),
            base_url=f"{self.videos.base_url}/{dialect.name}",
            videos=self.videos,
        )
        fault = self._random.choice(_FAULTS) if self._random.random() < self.fail_rate else None
        if fault == "page":
            return reply_page(502, "502 Bad Gateway")
        if fault == "error":
            return dialect.refuse(Refusal.BROKEN, call)
        if call.quota.is_exceeded:
            refusal = Refusal.RATE_LIMITED
        reply = dialect.refuse(refusal, call) if refusal else self._follow_route(dialect, route, job_id, call)
        return replace(reply, cut_at=len(reply.body) // 2) if fault == "cut" else reply

    def _follow_route(self, dialect: Dialect, route: Route | Listing | None, job_id: str, call: Call) -> Reply:
        if route is None:
            return dialect.refuse(Refusal.NO_SUCH_PATH, call)
        if isinstance(route, Listing):
            jobs = [job for job in self._jobs.values() if job.kind == route.kind]
            return route.answer(sorted(jobs, key=lambda job: job.submitted_at, reverse=True), call)
        if route.method == "POST":
            job, refusal = self._add_job(route.kind, call.request), Refusal.BAD_REQUEST
        else:
            job, refusal = self._find_job(route.kind, job_id, call.now), Refusal.NO_SUCH_JOB
        return route.answer(job, call) if job else dialect.refuse(refusal, call)

    def _find_job(self, kind: Kind, job_id: str, now: datetime) -> Job | None:
        """Find a job, or start it if its id allows that. Return None if it does not exist."""
        job = self._jobs.get((kind, job_id)) or _make_job(kind, job_id, now)
        if "unknown" in job.words:
            return None
        if job.exists_unsubmitted and (kind, job_id) not in self._jobs:
            self._jobs[kind, job_id] = job
            self.webhooks.announce(job)
        return self._jobs.get((kind, job_id))

    def _add_job(self, kind: Kind, request: Request) -> Job | None:
        """Add a submitted job. Return None if the body is not a JSON object."""
        try:
            fields = json.loads(request.body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, dict):
            return None
        words = [word for word in split_words(str(fields.get("sandbox", ""))) if word in WORDS]
        job = _make_job(kind, "_".join([kind.family, *words, secrets.token_hex(6)]), request.at)
        self._jobs[kind, job.id] = job
        url = fields.get("webhook_url")
        self.webhooks.announce(job, [url] if isinstance(url, str) else [])
        return job

    def _count_request(self, dialect: Dialect, key: str, limit: Limit, now: datetime, *, is_known: bool) -> Quota:
        if not self.limits or not is_known:
            return Quota(limit.requests, now + timedelta(seconds=limit.seconds))
        lasts = timedelta(seconds=limit.seconds)
        began_at, used = self._windows.get((dialect.name, key, limit), (now, 0))
        if now >= began_at + lasts:
            began_at, used = now, 0
        self._windows[dialect.name, key, limit] = began_at, used + 1
        return Quota(max(0, limit.requests - used - 1), began_at + lasts, used >= limit.requests)
