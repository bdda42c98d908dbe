"""The videos and their signed URLs: two kinds of storage that say in their own way that a URL has expired."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from videostat.errors import UsageError
from videostat.sandbox.exchange import Reply, page
from videostat.sandbox.jobs import spread, words_of

if TYPE_CHECKING:
    from videostat.sandbox.exchange import Request
    from videostat.sandbox.jobs import Job

_AMZ_TIME = "%Y%m%dT%H%M%SZ"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
# The gateway gives up on passing a video through after a minute.
_PROXY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Clip:
    """`duration` in seconds."""

    file: str
    media_type: str
    duration: float
    resolution: str = "320x180"

    @property
    def suffix(self) -> str:
        return self.file.rpartition(".")[2]

    @property
    def body(self) -> bytes:
        return _read(self.file)


@cache
def _read(file: str) -> bytes:
    """Return what the file holds; raises UsageError where the installation lacks it, as programs bundled without."""
    try:
        return files(__package__).joinpath("media", file).read_bytes()
    except OSError as error:
        raise UsageError(
            f"this installation lacks {__package__.replace('.', '/')}/media/{file}",
            hint="Install videostat anew; for PyInstaller: --collect-data videostat",
        ) from error


def ensure_media() -> None:
    """Raise UsageError now where a video is missing, rather than lose a connection later."""
    for clip in (*_CLIPS, _TRANSPARENT, _POSTER):
        _read(clip.file)


_CLIPS = tuple(Clip(f"{name}.mp4", "video/mp4", 3.0) for name in ("testsrc", "mandelbrot", "gradients"))
_TRANSPARENT = Clip("transparent.webm", "video/webm", 2.0)
_POSTER = Clip("poster.jpg", "image/jpeg", 0)


def _clip(job_id: str) -> Clip:
    return _TRANSPARENT if "webm" in words_of(job_id) else _CLIPS[int(spread(job_id) * len(_CLIPS))]


def _byte_range(header: str, total: int) -> range | None:
    """The bytes a Range asks for, none if there are none such; None where the header is to be ignored."""
    if not (found := _RANGE.fullmatch(header)) or header == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, total - int(last)), total)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last), total - 1) + 1 if last else total)


@dataclass(slots=True, kw_only=True)
class Videos:
    """`lifetime` of a URL in seconds; `cut_after` so many bytes a video's first transfer is cut."""

    base_url: str = ""
    lifetime: float
    ranges: bool
    cut_after: int | None
    bytes_per_second: int | None
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _cut: set[str] = field(default_factory=set)

    def clip(self, job: Job) -> Clip:
        return _clip(job.id)

    def plain_url(self, job: Job, now: datetime) -> str:
        """A URL that ends in an HTML page when it has expired."""
        return self._plain(job, now, self.clip(job).suffix)

    def poster_url(self, job: Job, now: datetime) -> str:
        return self._plain(job, now, "jpg")

    def _plain(self, job: Job, now: datetime, suffix: str) -> str:
        path = f"/media/cdn/{job.kind.name}/{job.id}.{suffix}"
        expires = str(int(now.timestamp() + self.lifetime))
        return f"{self.base_url}{quote(path)}?{urlencode({'expires': expires, 'signature': self._sign(path, expires)})}"

    def s3_url(self, job: Job, now: datetime) -> str:
        """A URL that ends in 403 and XML when it has expired."""
        path = f"/media/s3/{job.kind.name}/{job.id}.{self.clip(job).suffix}"
        began, lasts = now.astimezone(UTC).strftime(_AMZ_TIME), str(int(self.lifetime))
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": began,
            "X-Amz-Expires": lasts,
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": self._sign(path, began + lasts),
        }
        return f"{self.base_url}{quote(path)}?{urlencode(query)}"

    def _sign(self, path: str, expiry: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expiry}".encode(), hashlib.sha256).hexdigest()

    def _is_signed(self, path: str, expiry: str, signature: str) -> bool:
        return hmac.compare_digest(self._sign(path, expiry).encode(), signature.encode())

    def serve(self, request: Request) -> Reply:
        """The answer to anything under /media."""
        path, query = request.path, request.query
        match path.split("/"):
            case ["", "media", "cdn", _, name]:
                expires = query.get("expires", "")
                is_signed = self._is_signed(path, expires, query.get("signature", ""))
                if not is_signed or request.at.timestamp() >= int(expires):
                    return page(200, "This link has expired")
            case ["", "media", "s3", _, name]:
                began, lasts = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
                if not self._is_signed(path, began + lasts, query.get("X-Amz-Signature", "")):
                    return _s3_error("SignatureDoesNotMatch", "The request signature does not match")
                if request.at >= datetime.strptime(f"{began}+0000", f"{_AMZ_TIME}%z") + timedelta(seconds=int(lasts)):
                    return _s3_error("AccessDenied", "Request has expired")
            case _:
                return page(404, "Not Found")
        job_id, _, suffix = name.rpartition(".")
        return self._transfer(_POSTER if suffix == "jpg" else _clip(job_id), request)

    def _transfer(self, clip: Clip, request: Request) -> Reply:
        body = clip.body
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"Content-Type": clip.media_type, "ETag": etag, "Accept-Ranges": "bytes" if self.ranges else "none"}
        wanted = None
        if self.ranges and request.headers.get("if-range", etag) == etag:
            wanted = _byte_range(request.headers.get("range", ""), len(body))
        if wanted is None:
            return self._paced(Reply(200, body, headers), request)
        if not wanted:
            return Reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{len(body)}"
        return self._paced(Reply(206, body[wanted.start : wanted.stop], headers), request)

    def proxied(self, job: Job, request: Request) -> Reply:
        """The video as a gateway passes it through: without ranges, and for a minute at the most."""
        clip = self.clip(job)
        reply = self._paced(Reply(200, clip.body, {"Content-Type": clip.media_type}), request)
        cuts = [reply.cut_at, self.bytes_per_second and self.bytes_per_second * _PROXY_SECONDS]
        return replace(reply, cut_at=min((cut for cut in cuts if cut is not None), default=None))

    def _paced(self, reply: Reply, request: Request) -> Reply:
        reply = replace(reply, bytes_per_second=self.bytes_per_second)
        is_cut = self.cut_after is not None and request.method == "GET" and len(reply.body) > self.cut_after
        if not is_cut or request.path in self._cut:
            return reply
        self._cut.add(request.path)
        return replace(reply, cut_at=self.cut_after)


def _s3_error(code: str, message: str) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(403, text.encode(), {"Content-Type": "application/xml"})
