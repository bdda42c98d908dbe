"""Answers of a service instead of the state of a job, with their meaning; and faulty answers of a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, NamedTuple

import faults
from fakes import api_answer
from loopback import Request

from videostat.errors import NoConnection, Redirected, Unreachable, Untrusted, VideostatError
from videostat.polling.options import Phase
from videostat.providers.base import Answer, Meaning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Said = Answer | VideostatError
PAGE = {"content-type": "text/html"}


class Saying(NamedTuple):
    """An answer and how each service writes it; `wait`: the seconds of its Retry-After."""

    meaning: Meaning
    write: Callable[[str, str, datetime], Said]
    sure: bool = False
    wait: float | None = None
    only: tuple[str, ...] = ("jogg", "doubao", "reelbot")
    phases: tuple[Phase, ...] = (Phase.LOOK, Phase.URL)

    @property
    def is_answer(self) -> bool:
        return self.meaning in {Meaning.RUNNING, Meaning.GONE} or (self.meaning is Meaning.MISSING and self.sure)


def _says(status: int, body: object = None, **headers: str) -> Callable[[str, str, datetime], Said]:
    named = {name.replace("_", "-"): value for name, value in headers.items()} | ({} if body is not None else PAGE)
    return lambda provider, job_id, at: api_answer(status, named, body, at)


def _fails(make: Callable[[], VideostatError]) -> Callable[[str, str, datetime], Said]:
    return lambda provider, job_id, at: make()


def _code(
    jogg: str, doubao: tuple[int, object] | None, reelbot: tuple[int, str]
) -> Callable[[str, str, datetime], Said]:
    """Return a function that writes a documented code as each service does."""

    def write(provider: str, job_id: str, at: datetime) -> Said:
        if provider.startswith("jogg"):
            return api_answer(200, {}, {"code": int(jogg), "msg": "no", "data": None}, at)
        if provider == "reelbot":
            return api_answer(reelbot[0], {}, {"error": {"code": reelbot[1], "message": "no"}}, at)
        assert doubao
        return api_answer(doubao[0], {}, doubao[1], at)

    return write


def _limit_at(seconds: float, header: str) -> Callable[[str, str, datetime], Said]:
    def write(provider: str, job_id: str, at: datetime) -> Said:
        moment, date = at + timedelta(seconds=seconds), format_datetime(at.replace(microsecond=0), usegmt=True)
        if header == "details":
            reset = moment.isoformat().replace("+00:00", "Z")
            return api_answer(429, {}, {"code": "RATE_LIMITED", "details": {"resetAt": reset}}, at)
        written = format_datetime(moment.replace(microsecond=0), usegmt=True)
        return api_answer(429, {"date": date, header: written}, {"code": 429}, at)

    return write


def _other(provider: str, job_id: str, at: datetime) -> Said:
    data = {
        "project_id": "other",
        "video_id": "other",
        "status": "success",
        "video_url": "https://cdn.example/other.mp4",
    }
    return api_answer(200, {}, {"code": 0, "data": data}, at)


def _moved() -> Redirected:
    error = Redirected("it redirects")
    error.location = "https://elsewhere.example/login"
    return error


_HUGE = str(int(datetime(2090, 1, 1, tzinfo=UTC).timestamp()))
_NO_AUTH = {"error": {"type": "new_api_error", "message": "no"}}
_NO_TASK = {"code": "task_not_exist", "message": "no"}
_LOST = {"code": "get_task_failed", "message": "no"}
_F, _B, _L, _J = Meaning.FOREIGN, Meaning.BUSY, Meaning.LIMIT, ("jogg",)

SAYINGS: Mapping[str, Saying] = {
    "page 200": Saying(_F, _says(200)),
    "page 403": Saying(_F, _says(403)),
    "page 404": Saying(_F, _says(404)),
    "page 301": Saying(_F, _says(301)),
    "empty envelope": Saying(_F, _says(200, {"code": 0, "data": None})),
    "no word": Saying(_F, _says(200, {"data": {"status": ""}})),
    "unknown code": Saying(_F, _says(200, {"code": 99999})),
    "418": Saying(_F, _says(418, {"what": "tea"})),
    "redirect": Saying(_F, _fails(_moved)),
    "bad certificate": Saying(_F, _fails(lambda: Untrusted("a bad certificate"))),
    "unknown host": Saying(_F, _fails(lambda: NoConnection("unknown host"))),
    "another job": Saying(_F, _other, only=_J),
    "JSON 401": Saying(Meaning.KEY, _says(401, {"detail": "no"})),
    "JSON 402": Saying(Meaning.CREDIT, _says(402, {"detail": "no"})),
    "JSON 404": Saying(Meaning.MISSING, _says(404, {"detail": "no"})),
    "502": Saying(_B, _says(502)),
    "503 in 40": Saying(_B, _says(503, {"detail": "no"}, retry_after="40"), wait=40),
    "503 in 2090": Saying(_B, _says(503, {"detail": "no"}, retry_after=_HUGE)),
    "409": Saying(_B, _says(409, {"detail": "no"})),
    "reset": Saying(_B, _fails(lambda: Unreachable("the connection was lost"))),
    "code busy": Saying(_B, _code("50000", (500, _LOST), (500, "INTERNAL_ERROR"))),
    "429": Saying(_L, _says(429, {"detail": "no"})),
    "429 page in 30": Saying(_L, _says(429, retry_after="30"), wait=30),
    "429 in 400": Saying(_L, _says(429, {"detail": "no"}, retry_after="400"), wait=400),
    "429 malformed": Saying(_L, _says(429, {"detail": "no"}, retry_after="soon")),
    "429 until a date": Saying(_L, _limit_at(25, "retry-after"), wait=24),
    "429 details": Saying(_L, _limit_at(25, "details"), wait=24),
    "200 with 429": Saying(_L, _says(200, {"code": 429})),
    "code key": Saying(Meaning.KEY, _code("10105", (401, _NO_AUTH), (401, "UNAUTHORIZED")), sure=True),
    "code missing": Saying(Meaning.MISSING, _code("10104", (400, _NO_TASK), (404, "NOT_FOUND")), sure=True),
    "code credit": Saying(
        Meaning.CREDIT, _code("18020", None, (402, "QUOTA_EXCEEDED")), sure=True, only=("jogg", "reelbot")
    ),
    "code gone": Saying(
        Meaning.GONE, _code("5002", None, (404, "OUTPUT_NOT_FOUND")), sure=True, only=("jogg", "reelbot")
    ),
    "code broken": Saying(Meaning.BROKEN, _code("0", None, (500, "CONFIG_ERROR")), sure=True, only=("reelbot",)),
    "code not ready": Saying(Meaning.RUNNING, _code("0", None, (409, "VIDEO_NOT_READY")), sure=True, only=("reelbot",)),
    "unknown word": Saying(
        Meaning.RUNNING, _says(200, {"data": {"status": "zapping"}}), sure=True, phases=(Phase.LOOK,)
    ),
}


def _nearly_all(fault: faults.Fault) -> faults.Fault:
    def answer(request: Request, video: faults.Video) -> faults.Answer:
        whole = fault(request, video)
        return replace(whole, sent=max(0, len(whole.body) - 100))

    return answer


def _then(resumed: faults.Fault) -> faults.Fault:
    """Return a fault that cuts the first transfer, and answers the resumed one with `resumed`."""
    return lambda request, video: (faults.cut(150) if request.offset is None else resumed)(request, video)


def _another_range(request: Request, video: faults.Video) -> faults.Answer:
    later = {**request.headers, "range": f"bytes={(request.offset or 0) + 10}-"}
    return faults.honest(Request("GET", request.target, later), video)


def _another_version(request: Request, video: faults.Video) -> faults.Answer:
    answer = faults.honest(request, video)
    return replace(answer, body=bytes(len(answer.body))).saying(etag='"another"')


MEDIA: Mapping[str, faults.Fault] = {
    "cut near the end": _nearly_all(faults.honest),
    "unmeasured, cut near the end": _nearly_all(faults.unmeasured),
    "cut": faults.cut(150),
    "cut at once": faults.cut(5),
    "reset": faults.cut(150, "reset"),
    "hang": faults.cut(150, "hang"),
    "page": faults.page,
    "404": faults.answers(404),
    "202": faults.answers(202),
    "403": faults.answers(403),
    "410": faults.answers(410),
    "503": faults.answers(503),
    "503 in 20": faults.answers(503, retry_after="20"),
    "429": faults.answers(429, retry_after="3"),
    "empty": faults.answers(200),
    "JSON": faults.answers(200, b'{"code": 1}'),
    "without ranges": faults.whole,
    "chunked": faults.chunked,
    "chunked and cut": faults.then_cut(faults.chunked, 150),
    "unmeasured": faults.unmeasured,
    "unmeasured and cut": faults.then_cut(faults.unmeasured, 150),
    "shorter than said": faults.says(content_length="100"),
    "another range": _then(_another_range),
    "another version": _then(_another_version),
    "gzip": faults.says(content_encoding="gzip"),
    "a wrong digest": faults.says(content_md5="AAAAAAAAAAAAAAAAAAAAAA=="),
}
