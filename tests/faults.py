"""A server that breaks HTTP on purpose, a plain client for it, and a child process to kill.

A fault is a function from the request and the video to an Answer: its content, and how much of it is sent.
"""

from __future__ import annotations

import http.client
import random
import resource
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from fakes import FakeClock
from loopback import Request, Server, begin

from videostat.errors import Unreachable
from videostat.models import JobRef, Link, Saved
from videostat.saving import Source, Transfer, download
from videostat.saving.destination import Destination
from videostat.transport.headers import read_retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from videostat.clock import Clock
    from videostat.saving.attempt import Open

REF = JobRef("jogg", "a1")


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def mp4(size: int = 50_000, seed: int = 1, brand: bytes = b"isom") -> bytes:
    head = box(b"ftyp", brand + bytes(4)) + box(b"moov", bytes(8))
    return head + box(b"mdat", random.Random(seed).randbytes(size - len(head) - 8))


def webm(size: int = 5_000, *, is_live: bool = False) -> bytes:
    def known(length: int) -> bytes:
        return b"\x01" + length.to_bytes(7, "big")

    start = b"\x1aE\xdf\xa3\x87\x42\x82\x84webm\x18S\x80g"
    length = size - len(start) - 8
    block = b"\xa3" + known(length - 21) + random.Random(3).randbytes(length - 21)
    cluster = b"\x1fC\xb6u" + known(len(block)) + block
    return start + (b"\x01" + b"\xff" * 7 if is_live else known(length)) + cluster


@dataclass(frozen=True)
class Video:
    body: bytes
    etag: str | None = '"one"'


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of which `sent` bytes of the body are sent, then `end`: close the connection, reset it, or hang."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent: int | None = None
    end: str = "close"
    is_chunked: bool = False

    def saying(self, **headers: str | None) -> Answer:
        changed = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return replace(self, headers={name: value for name, value in changed.items() if value is not None})


Fault = Callable[[Request, Video], Answer]


def honest(request: Request, video: Video) -> Answer:
    body, etag, offset = video.body, video.etag, request.offset
    tag = {"etag": etag} if etag else {}
    strong = etag and not etag.startswith("W/")
    if offset is None or (request.headers.get("if-range") and not (strong and request.headers["if-range"] == etag)):
        return Answer(headers={"content-length": str(len(body)), **tag}, body=body)
    if offset >= len(body):
        return Answer(
            status=416, headers={"content-length": "5", "content-range": f"bytes */{len(body)}"}, body=b"<no/>"
        )
    span = {"content-length": str(len(body) - offset), "content-range": f"bytes {offset}-{len(body) - 1}/{len(body)}"}
    return Answer(status=206, headers={**span, **tag}, body=body[offset:])


def whole(request: Request, video: Video) -> Answer:
    """Answer as a server without ranges does."""
    return honest(replace(request, headers={}), video)


def cut(at: int, end: str = "close") -> Fault:
    """Stop after so many bytes of the requested range."""
    return lambda request, video: replace(honest(request, video), sent=at, end=end)


def says(**headers: str | None) -> Fault:
    return lambda request, video: honest(request, video).saying(**headers)


def answers(status: int, body: bytes = b"", **headers: str) -> Fault:
    answer = Answer(status=status, headers={"content-length": str(len(body))}, body=body).saying(**headers)
    return lambda request, video: answer


def page(request: Request, video: Video) -> Answer:
    body = b"<!doctype html><title>This link has expired</title>"
    return Answer(headers={"content-type": "text/html", "content-length": str(len(body)), "etag": '"page"'}, body=body)


def chunked(request: Request, video: Video) -> Answer:
    return replace(whole(request, video).saying(content_length=None, transfer_encoding="chunked"), is_chunked=True)


def unmeasured(request: Request, video: Video) -> Answer:
    """Answer without a length: the body ends where the connection ends."""
    return whole(request, video).saying(content_length=None)


def then_cut(fault: Fault, at: int) -> Fault:
    return lambda request, video: replace(fault(request, video), sent=at)


class FaultServer(Server):
    """A server that follows the script for the first requests, then answers correctly; one connection a request."""

    def __init__(self, video: Video, *script: Fault) -> None:
        super().__init__(self._break)
        self.video = video
        self.script = list(script)
        self.url += "/video?signature=secret"
        self._numbers = count()
        self._is_over = threading.Event()

    def __exit__(self, *raised: object) -> None:
        self._is_over.set()
        super().__exit__(*raised)

    @property
    def offsets(self) -> list[int | None]:
        return [request.offset for request in self.requests]

    def _break(self, request: Request) -> Iterator[bytes]:
        number = next(self._numbers)
        answer = (self.script[number] if number < len(self.script) else honest)(request, self.video)
        body = answer.body
        if answer.is_chunked:
            pieces = [body[start : start + 4096] for start in range(0, len(body), 4096)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
        yield begin(answer.status, {"connection": "close", **answer.headers}) + body[: answer.sent]
        if answer.end == "hang":
            self._is_over.wait(10)
        elif answer.end == "reset":
            raise ConnectionResetError


class _Body:
    def __init__(self, response: http.client.HTTPResponse, now: datetime) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.retry_after = read_retry_after(self.headers, now)

    def read1(self, size: int) -> bytes:
        with _unreachable():
            return self._response.read1(size)

    @property
    def end_is_known(self) -> bool:
        return self._response.chunked or self._response.length == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._response.close()


@contextmanager
def _unreachable() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"the connection failed: {type(error).__name__}") from error


def connect(url: str, headers: Mapping[str, str], *, timeout: float = 5, clock: Clock | None = None) -> _Body:
    """Send one request, without following redirects."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    with _unreachable():
        connection.putrequest("GET", f"{parts.path}?{parts.query}", skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        try:
            connection.endheaders()
            return _Body(connection.getresponse(), (clock or FakeClock()).now())
        except BaseException:
            connection.close()
            raise


class Service:
    """A service that returns the given links one after the other, the last one for ever; errors are raised."""

    def __init__(self, *replies: str | Link | Exception) -> None:
        self.replies = list(replies)
        self.asked = 0

    def __call__(self) -> Link:
        reply = self.replies[min(self.asked, len(self.replies) - 1)]
        self.asked += 1
        if isinstance(reply, Exception):
            raise reply
        return Link(reply) if isinstance(reply, str) else reply


def in_folder(folder: Path) -> Destination:
    return Destination.from_template(REF, folder)


def at_path(file: Path) -> Destination:
    return Destination.from_path(REF, file)


def save(
    url: str,
    where: Destination,
    *,
    resolve: Callable[[], Link] | None = None,
    open: Open | None = None,  # noqa: A002  as in download()
    clock: FakeClock | None = None,
    deadline: float = inf,
    expires_at: datetime | None = None,
    transfer: Transfer | None = None,
    overwrite: bool = False,
    others: tuple[str, ...] = (),
    **source: Any,
) -> Saved:
    clock = clock or FakeClock()
    return download(
        Source(link=Link(url, expires_at, others), resolve=resolve or Service(url), **source),
        where,
        open=open or partial(connect, clock=clock),
        clock=clock,
        sleep=clock.sleep,
        deadline=deadline,
        rng=random.Random(1),
        transfer=transfer or Transfer("clip"),
        overwrite=overwrite,
        known_hosts=set(),
    )


def main(url: str, path: str, limit: str = "") -> None:
    """Save a video in this process, which the test may kill; `limit`: the most bytes that a file may have."""
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    where = Path(path)
    saved = save(url, at_path(where) if where.suffix else in_folder(where))
    print(saved.bytes, saved.resumed, saved.skipped)  # noqa: T201  what its parent reads


if __name__ == "__main__":
    main(*sys.argv[1:])
