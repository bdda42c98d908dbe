"""Serve videos by signed URLs.

There are two kinds of storage: each has its own URLs, and its own answer to a URL that has expired.
"""

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
from videostat.sandbox.exchange import Reply, reply_page
from videostat.sandbox.jobs import hash_to_share, split_words

if TYPE_CHECKING:
    from videostat.sandbox.exchange import Request
    from videostat.sandbox.jobs import Job

_AMZ_TIME = "%Y%m%dT%H%M%SZ"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_PROXY_SECONDS = 60  # after which the gateway stops passing a video through


@dataclass(frozen=True, slots=True)
class Clip:
    """One of the video or picture files. `duration` is in seconds."""

    file: str
    media_type: str
    duration: float
    resolution: str = "320x180"

    @property
    def suffix(self) -> str:
        """The file name extension without the dot."""
        return self.file.rpartition(".")[2]

    @property
    def body(self) -> bytes:
        """The content of the file. Raises UsageError if the file is missing."""
        return _read(self.file)


@cache
def _read(file: str) -> bytes:
    """Read a file in `media`. Raises UsageError if it is missing, as in a program bundled without data files."""
    try:
        return files(__package__).joinpath("media", file).read_bytes()
    except OSError as error:
        raise UsageError(
            f"this installation lacks {__package__.replace('.', '/')}/media/{file}",
            hint="Install videostat again. With PyInstaller, add: --collect-data videostat",
        ) from error


def ensure_media() -> None:
    """Raise UsageError if a file is missing. Later, a missing file would only close a connection."""
    for clip in (*_CLIPS, _TRANSPARENT, _POSTER):
        _read(clip.file)


_CLIPS = tuple(Clip(f"{name}.mp4", "video/mp4", 3.0) for name in ("testsrc", "mandelbrot", "gradients"))
_TRANSPARENT = Clip("transparent.webm", "video/webm", 2.0)
_POSTER = Clip("poster.jpg", "image/jpeg", 0)


def choose_clip(job_id: str) -> Clip:
    """Choose the video of a job. A job always gets the same one."""
    return _TRANSPARENT if "webm" in split_words(job_id) else _CLIPS[int(hash_to_share(job_id) * len(_CLIPS))]


def _parse_range(header: str, total: int) -> range | None:
    """Parse a Range header.

    Return the bytes it asks for: an empty range if the file does not have them, None to ignore the header.
    """
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
    """The two storages. `lifetime` is how long a URL works, in seconds; the other fields are those of Sandbox."""

    base_url: str = ""
    lifetime: float
    ranges: bool
    cut_after: int | None
    bytes_per_second: int | None
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _cut: set[str] = field(default_factory=set)

    def make_plain_url(self, job: Job, now: datetime) -> str:
        """Make a video's URL. After it has expired, it answers with an HTML page and status 200."""
        return self._make_cdn_url(job, now, choose_clip(job.id).suffix)

    def make_poster_url(self, job: Job, now: datetime) -> str:
        """Make the URL of a job's picture."""
        return self._make_cdn_url(job, now, "jpg")

    def _make_cdn_url(self, job: Job, now: datetime, suffix: str) -> str:
        path = f"/media/cdn/{job.kind.name}/{job.id}.{suffix}"
        expires = str(int(now.timestamp() + self.lifetime))
        return f"{self.base_url}{quote(path)}?{urlencode({'expires': expires, 'signature': self._sign(path, expires)})}"

    def make_s3_url(self, job: Job, now: datetime) -> str:
        """Make a video's URL. After it has expired, it answers with XML and status 403."""
        path = f"/media/s3/{job.kind.name}/{job.id}.{choose_clip(job.id).suffix}"
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
        """Answer a request for a path under /media."""
        path, query = request.path, request.query
        match path.split("/"):
            case ["", "media", "cdn", _, name]:
                expires = query.get("expires", "")
                is_signed = self._is_signed(path, expires, query.get("signature", ""))
                if not is_signed or request.at.timestamp() >= int(expires):
                    return reply_page(200, "This link has expired")
            case ["", "media", "s3", _, name]:
                began, lasts = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
                if not self._is_signed(path, began + lasts, query.get("X-Amz-Signature", "")):
                    return _reply_s3_error("SignatureDoesNotMatch", "The request signature does not match")
                if request.at >= datetime.strptime(f"{began}+0000", f"{_AMZ_TIME}%z") + timedelta(seconds=int(lasts)):
                    return _reply_s3_error("AccessDenied", "Request has expired")
            case _:
                return reply_page(404, "Not Found")
        job_id, _, suffix = name.rpartition(".")
        return self._send(_POSTER if suffix == "jpg" else choose_clip(job_id), request)

    def _send(self, clip: Clip, request: Request) -> Reply:
        body = clip.body
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"Content-Type": clip.media_type, "ETag": etag, "Accept-Ranges": "bytes" if self.ranges else "none"}
        requested = None
        if self.ranges and request.headers.get("if-range", etag) == etag:
            requested = _parse_range(request.headers.get("range", ""), len(body))
        if requested is None:
            return self._limit(Reply(200, body, headers), request)
        if not requested:
            return Reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {requested.start}-{requested.stop - 1}/{len(body)}"
        return self._limit(Reply(206, body[requested.start : requested.stop], headers), request)

    def pass_through(self, job: Job, request: Request) -> Reply:
        """Send a video as a gateway does: without ranges, at most a minute."""
        clip = choose_clip(job.id)
        reply = self._limit(Reply(200, clip.body, {"Content-Type": clip.media_type}), request)
        cuts = [reply.cut_at, self.bytes_per_second and self.bytes_per_second * _PROXY_SECONDS]
        return replace(reply, cut_at=min((cut for cut in cuts if cut is not None), default=None))

    def _limit(self, reply: Reply, request: Request) -> Reply:
        """Set the speed of a reply, and cut a video's first transfer."""
        reply = replace(reply, bytes_per_second=self.bytes_per_second)
        is_cut = self.cut_after is not None and request.method == "GET" and len(reply.body) > self.cut_after
        if not is_cut or request.path in self._cut:
            return reply
        self._cut.add(request.path)
        return replace(reply, cut_at=self.cut_after)


def _reply_s3_error(code: str, message: str) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(403, text.encode(), {"Content-Type": "application/xml"})
