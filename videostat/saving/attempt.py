"""Make one request (no retry) for the rest of a video and check the received file.

RFC 9110: section 14 (ranges) and 13.1.5 (If-Range).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal, NoReturn, Protocol, Self

from videostat.errors import NotSaved, Retryable, ServerError, Unreachable, Unreadable, Untrusted
from videostat.models import DOWNLOAD_AGAIN, NOT_SAVED_IN_TIME
from videostat.saving import container
from videostat.saving.destination import format_size
from videostat.saving.version import read_length, read_version
from videostat.saving.videoreader import NotAVideo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from videostat.clock import Clock
    from videostat.saving.partfile import Part

# Larger pieces are not faster; pieces of 64 KiB are 7 % slower.
PIECE = 1 << 20
STALL_SECONDS = 30
STALL_RATE = 1024  # bytes per second

BUSY = {408, 409, 421, 423, 425, 429, 444, 499}
REFUSED = {401, 403, 410}
# Storage servers answer so while the file is still being uploaded to them.
MISSING = {202, 204, 400, 404}
# Other values of Content-Encoding ("binary", "utf-8", "aws-chunked") do not change the bytes.
_COMPRESSED = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}


class Body(Protocol):
    """The response to a request for a video."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, with names in lower case."""

    @property
    def retry_after(self) -> float | None:
        """The seconds that Retry-After asks for, None if the header is missing or not valid."""

    @property
    def end_is_known(self) -> bool:
        """Whether HTTP has confirmed the end. Valid after the last read."""

    def read1(self, size: int, /) -> bytes:
        """Return the next raw bytes, at most `size`, as soon as some arrive.

        b"" means the end or a closed connection. Raises Unreachable for network errors, timeouts and a broken chunked
        body, but only after it has returned all received bytes.
        """

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> object: ...


class Open(Protocol):
    """A function that opens a URL."""

    def __call__(self, url: str, headers: Mapping[str, str], /) -> Body:
        """Send one request with these headers and follow redirects. Raises Unreachable and Untrusted."""


@dataclass(slots=True)
class Transfer:
    """The progress of a download in bytes, for views in other threads. `total` is None while unknown."""

    name: str
    total: int | None = None
    done: int = 0
    state: Literal["waiting", "downloading", "retrying", "checking", "saved", "failed"] = "waiting"

    def set_progress(self, done: int, total: int | None) -> None:
        """Set both numbers. No other thread ever sees `done` above `total`."""
        self.done, self.total = 0, total
        self.done = done


class Refused(Retryable):
    """The server refused the URL. A new URL may work."""


class Missing(Retryable):
    """There is no video at the URL: not yet, or no longer."""


class Unfit(NotSaved):
    """The URL will never give the video. Only another URL can help."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request for the rest of a video, and the check of the file.

    `known_hosts`: the hosts that have answered in this run.
    """

    part: Part
    open: Open
    clock: Clock
    deadline: float
    transfer: Transfer
    known_hosts: set[str]

    def fetch(self, url: str) -> tuple[int, bool]:
        """Download the rest of the video from a URL.

        Returns the number of bytes that were there before, and whether the end of the video is known.
        Raises Retryable, and NotSaved if this URL cannot help.
        """
        scheme, _, rest = url.partition(":")
        if scheme.lower() not in {"http", "https"}:
            raise Unfit(f"not saved: its URL begins with {scheme[:20]!a}, not with http or https", hint=DOWNLOAD_AGAIN)
        host = rest.lstrip("/").partition("/")[0]
        self.transfer.state = "downloading"
        self.ensure_in_time()
        part, headers = self.part, {"Accept-Encoding": "identity"}
        if part.size and part.version.can_resume:
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.version.validator}
        try:
            with self.open(url, headers) as body:
                self.known_hosts.add(host)
                resumed, total = self._handle_answer(body, wants_range="Range" in headers)
                return resumed, total is not None or body.end_is_known
        except Untrusted as error:
            # Retry if the host has worked before: one server of a load balancer may have a bad certificate.
            if host in self.known_hosts:
                raise Unreachable(str(error), hint=error.hint) from error
            raise Unfit(f"not saved: {error}", hint=error.hint or DOWNLOAD_AGAIN) from error

    def ensure_in_time(self) -> None:
        """Raise NotSaved if the deadline has passed."""
        if self.clock.monotonic() >= self.deadline:
            raise NotSaved(NOT_SAVED_IN_TIME, hint=DOWNLOAD_AGAIN)

    def _handle_answer(self, body: Body, *, wants_range: bool) -> tuple[int, int | None]:
        """Save the body of a response. `wants_range`: a range was requested.

        Returns the number of bytes that were there before, and the total, None if unknown.
        """
        status, headers = body.status, body.headers
        _ensure_answered(body)
        match status:
            case 200 | 203:
                return self._save_from_start(body, read_length(headers))
            case 206 if wants_range and self._continues_part(body):
                return self._append(self._read_pieces(body), self.part.version.total)
            case 206 if length := _read_whole_length(headers):
                return self._save_from_start(body, length)
            case 206 if not wants_range and "content-range" not in headers:
                # Without Content-Range, the part may be incomplete.
                return self._save_from_start(body, None)
            case 416 if wants_range and self._continues_part(body):
                return self._append(iter(()), self.part.version.total)
            case 206 | 416 if wants_range or status == 206:  # noqa: PLR2004
                self._discard()
                raise Unreadable("the server sent a different part of the video than requested")
        raise Unfit(f"not saved: the server answered {status}", hint=DOWNLOAD_AGAIN)

    def _save_from_start(self, body: Body, total: int | None) -> tuple[int, int | None]:
        """Save the video from its first byte. Bytes of an earlier attempt are replaced once a video has begun."""
        if total is not None:
            self.part.ensure_room(total)
        head, pieces = bytearray(), self._read_pieces(body)
        for piece in pieces:
            head += piece
            is_enough = container.HEAD_BYTES if container.is_video_start(bytes(head)) else container.NAMING_BYTES
            if len(head) >= is_enough:
                break
        start = bytes(head[: container.NAMING_BYTES])
        if not container.may_be_result(start):
            if total is not None and len(head) < min(total, container.HEAD_BYTES):
                raise Unreachable("the connection was lost")
            content = container.name_content(start) if start else container.NOTHING
            said = f"the server sent this instead of a video: {content.name}"
            raise Unfit(f"not saved: {said}", hint=DOWNLOAD_AGAIN) if content.is_final else Missing(said)
        self.part.restart(read_version(body.headers))
        self.transfer.set_progress(0, total)
        return self._append(chain([bytes(head)], pieces), total)

    def _continues_part(self, body: Body) -> bool:
        """Return whether the response continues the part, or confirms that it is complete."""
        headers, size, version = body.headers, self.part.size, self.part.version
        content_range = headers.get("content-range", "").lower()
        if body.status == 416:  # noqa: PLR2004  Range Not Satisfiable
            return size == version.total and content_range == f"bytes */{version.total}"
        # RFC 9110, 15.3.7: the response to If-Range may omit Last-Modified, but not the ETag.
        validators = {version.validator, None} if version.header == "last-modified" else {version.validator}
        return (
            version.total is not None
            and content_range == f"bytes {size}-{version.total - 1}/{version.total}"
            and headers.get(version.header) in validators
            and read_length(headers) in {None, version.total - size}
        )

    def _append(self, pieces: Iterator[bytes], total: int | None) -> tuple[int, int | None]:
        part = self.part
        resumed = part.size
        for piece in pieces:
            if total is not None and part.size + len(piece) > total:
                self._discard()
                raise Unreadable("the server sent more bytes than announced")
            part.append(piece)
            self.transfer.done = part.size
        if total is not None and part.size < total:
            raise Unreachable(f"the connection was lost after {part.size} of {total} bytes")
        return resumed, total

    def _read_pieces(self, body: Body) -> Iterator[bytes]:
        since, received = self.clock.monotonic(), 0
        while piece := body.read1(PIECE):
            yield piece
            self.ensure_in_time()
            received += len(piece)
            now = self.clock.monotonic()
            if now - since >= STALL_SECONDS:
                if received < STALL_RATE * (now - since):
                    raise Unreachable("the transfer stalled")
                since, received = now, 0

    def check(self, *, end_is_known: bool) -> str:
        """Check the downloaded file and return its extension.

        A file that is not provably whole is set aside. Raises Retryable and NotSaved.
        """
        self.transfer.state = "checking"
        try:
            video = container.inspect(self.part.fd)
        except NotAVideo as problem:
            self._set_aside_and_raise(problem, end_is_known=end_is_known)
        if not end_is_known and not video.end_is_proven:
            self._set_aside()
            raise Unfit(
                "not saved: the server did not send the length of the video, so it may be incomplete",
                hint=DOWNLOAD_AGAIN,
            )
        version = self.part.version
        if version.digest and not version.matches_digest(self.part.fd):
            self._set_aside()
            raise Unreadable("the received bytes do not match the digest that the server sent")
        return video.extension

    def _set_aside_and_raise(self, problem: NotAVideo, *, end_is_known: bool) -> NoReturn:
        said = f"the received file is not a whole video: {problem}, {format_size(self.part.size)}"
        was_there = self._set_aside()
        if problem.is_final:
            raise Unfit(f"not saved: {said}", hint=DOWNLOAD_AGAIN) from problem
        # If it ends at the same byte for the second time, the server's file ends there, not the connection.
        if end_is_known or was_there:
            raise Missing(said) from problem
        raise Unreachable(f"the connection was lost, or {said}") from problem

    def _set_aside(self) -> bool:
        was_there = self.part.set_aside()
        self.transfer.set_progress(0, None)
        return was_there

    def _discard(self) -> None:
        self.part.restart()
        self.transfer.set_progress(0, None)


def _ensure_answered(body: Body) -> None:
    """Raise Retryable if the response has no video. Other responses are checked later."""
    status = body.status
    if status in BUSY or status >= 500:  # noqa: PLR2004  RFC 9110, 15.6
        raise ServerError(f"the server answered {status}", retry_after=body.retry_after)
    if status in REFUSED:
        raise Refused(f"the server refused the video's URL with {status}")
    if status in MISSING:
        raise Missing(f"the server answered {status} instead of sending the video")
    codings = {each.strip().lower() for each in body.headers.get("content-encoding", "").split(",")}
    if codings & _COMPRESSED:
        raise Unreadable("the server compressed the video, which was not requested")


def _read_whole_length(headers: Mapping[str, str]) -> int | None:
    """Return the length if a range response has the whole video, else None. Some servers answer so."""
    length = read_length(headers)
    whole = length and headers.get("content-range", "").lower() == f"bytes 0-{length - 1}/{length}"
    return length if whole else None
