"""Make one request for the rest of a video, and check what came.

RFC 9110: ranges 14, If-Range 13.1.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Literal, NoReturn, Protocol, Self

from videostat.errors import NotSaved, Retryable, ServerError, Unreachable, Unreadable, Untrusted
from videostat.models import DOWNLOAD_AGAIN, NOT_SAVED_IN_TIME
from videostat.saving import container
from videostat.saving.destination import format_size
from videostat.saving.film import NoFilm
from videostat.saving.version import read_length, read_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from videostat.clock import Clock
    from videostat.saving.partfile import Part

# Larger pieces are no faster, 64 KiB ones 7 % slower.
PIECE = 1 << 20
STALL_SECONDS = 30
STALL_RATE = 1024

BUSY = {408, 409, 421, 423, 425, 429, 444, 499}
REFUSED = {401, 403, 410}
# A storage answers so while the file is still on its way to it.
MISSING = {202, 204, 400, 404}
# Other names in Content-Encoding say nothing about the bytes: "binary", "utf-8", "aws-chunked".
_COMPRESSED = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}


class Body(Protocol):
    """An answer's body as it is on the wire; header names in lower case.

    `read1` returns as soon as there is something, nothing at the end, which may also be a lost connection.
    It raises Unreachable for errors and time-outs of the network, but only after handing out what had come,
    and for a chunked body that breaks off. `end_is_known`, then: HTTP itself says that nothing is missing, because the
    announced length has come, or the last chunk.
    """

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def retry_after(self) -> float | None: ...
    @property
    def end_is_known(self) -> bool: ...
    def read1(self, size: int, /) -> bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> object: ...


class Open(Protocol):
    """Follow redirects, send one request; raises Unreachable, and Untrusted for what must not be followed."""

    def __call__(self, url: str, headers: Mapping[str, str], /) -> Body: ...


@dataclass(slots=True)
class Transfer:
    """What a view may read from another thread: bytes, `done` never above `total`, None while unknown."""

    name: str
    total: int | None = None
    done: int = 0
    state: Literal["waiting", "downloading", "retrying", "checking", "saved", "failed"] = "waiting"

    def show(self, done: int, total: int | None) -> None:
        # Through zero, so that no moment has the new total with the old, larger count.
        self.done, self.total = 0, total
        self.done = done


class Refused(Retryable):
    """The server does not accept the address, or no longer: a new one may do."""


class Missing(Retryable):
    """The video is not at the address: not yet, or no longer."""


class Unfit(NotSaved):
    """What is at the address will not become a video: only another address can help."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request for the rest of the video, and the check of the whole file.

    `known_hosts`: the hosts that have sent something in this run.
    """

    part: Part
    open: Open
    clock: Clock
    deadline: float
    transfer: Transfer
    known_hosts: set[str] = field(default_factory=set)

    def fetch(self, url: str) -> tuple[int, bool]:
        """Bring the rest of the video; return how many bytes were there already, and whether its end is known.

        Raises Retryable, and NotSaved where this address cannot help.
        """
        scheme, _, rest = url.partition(":")
        if scheme.lower() not in {"http", "https"}:
            raise Unfit(
                f"not saved: its address begins with {scheme[:20]!a}, it is no web address", hint=DOWNLOAD_AGAIN
            )
        self.transfer.state = "downloading"
        return self._fetch(url, rest.lstrip("/").partition("/")[0])

    def ensure_in_time(self) -> None:
        """Raise NotSaved after the deadline."""
        if self.clock.monotonic() >= self.deadline:
            raise NotSaved(NOT_SAVED_IN_TIME, hint=DOWNLOAD_AGAIN)

    def _fetch(self, url: str, host: str) -> tuple[int, bool]:
        """Bring the rest of the video; how many bytes were there already, and whether nothing can be missing."""
        self.ensure_in_time()
        part, headers = self.part, {"Accept-Encoding": "identity"}
        if part.size and part.version.can_resume:
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.version.validator}
        try:
            with self.open(url, headers) as body:
                self.known_hosts.add(host)
                resumed, total = self._take(body, asked="Range" in headers)
                return resumed, total is not None or body.end_is_known
        except Untrusted as error:
            # One node of a balancer may have a bad certificate, and a hotel's portal comes and goes.
            if host in self.known_hosts:
                raise Unreachable(str(error), hint=error.hint) from error
            raise Unfit(f"not saved: {error}", hint=error.hint or DOWNLOAD_AGAIN) from error

    def _take(self, body: Body, *, asked: bool) -> tuple[int, int | None]:
        """Return how many bytes were there already, and how many there are; `asked` for a range."""
        status, headers = body.status, body.headers
        _ensure_answered(body)
        match status:
            case 200 | 203:
                return self._begin(body, read_length(headers))
            case 206 if asked and self._fits(body):
                return self._append(self._pieces(body), self.part.version.total)
            case 206 if length := _length_of_whole(headers):
                return self._begin(body, length)
            case 206 if not asked and "content-range" not in headers:
                # Nothing says that it is all of it.
                return self._begin(body, None)
            case 416 if asked and self._fits(body):
                return self._append(iter(()), self.part.version.total)
            case 206 | 416 if asked or status == 206:  # noqa: PLR2004
                self._discard()
                raise Unreadable("the server sent another part of the video than was asked for")
        raise Unfit(f"not saved: the server answered {status}", hint=DOWNLOAD_AGAIN)

    def _begin(self, body: Body, total: int | None) -> tuple[int, int | None]:
        """Only now that it is seen to be a video does it replace what an earlier attempt left."""
        if total is not None:
            self.part.ensure_room(total)
        head, pieces = bytearray(), self._pieces(body)
        for piece in pieces:
            head += piece
            is_enough = container.HEAD if container.begins_like_a_film(bytes(head)) else container.NAMING
            if len(head) >= is_enough:
                break
        start = bytes(head[: container.NAMING])
        if not container.may_be_paid_for(start):
            if total is not None and len(head) < min(total, container.HEAD):
                raise Unreachable("the connection was lost")
            content = container.name_content(start) if start else container.NOTHING
            said = f"the server sent no video, but this: {content.name}"
            raise Unfit(f"not saved: {said}", hint=DOWNLOAD_AGAIN) if content.is_final else Missing(said)
        self.part.restart(read_version(body.headers))
        self.transfer.show(0, total)
        return self._append(chain([bytes(head)], pieces), total)

    def _fits(self, body: Body) -> bool:
        """Tell whether the answer goes on exactly where the bytes we have end, or says that there are no more."""
        headers, size, version = body.headers, self.part.size, self.part.version
        content_range = headers.get("content-range", "").lower()
        if body.status == 416:  # noqa: PLR2004  Range Not Satisfiable
            return size == version.total and content_range == f"bytes */{version.total}"
        # With If-Range, RFC 9110, 15.3.7 lets a server leave out the date, but not the ETag.
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
                raise Unreadable("the server sent more than it had announced")
            part.append(piece)
            self.transfer.done = part.size
        if total is not None and part.size < total:
            raise Unreachable(f"the connection was lost after {part.size} of {total} bytes")
        return resumed, total

    def _pieces(self, body: Body) -> Iterator[bytes]:
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
        """Return the extension of a whole video; what cannot be proven whole is set aside."""
        self.transfer.state = "checking"
        try:
            film = container.inspect(self.part.fd)
        except NoFilm as problem:
            self._set_aside_and_raise(problem, end_is_known=end_is_known)
        if not end_is_known and not film.proves_its_end:
            self._set_aside()
            raise Unfit(
                "not saved: the server does not say how long the video is, so nothing proves it whole",
                hint=DOWNLOAD_AGAIN,
            )
        version = self.part.version
        if version.digest and not version.digest_fits(self.part.fd):
            self._set_aside()
            raise Unreadable("the bytes that came do not have the digest that the server gives for them")
        return film.extension

    def _set_aside_and_raise(self, problem: NoFilm, *, end_is_known: bool) -> NoReturn:
        said = f"what the server sent is not a whole video: {problem}, {format_size(self.part.size)}"
        was_there = self._set_aside()
        if problem.is_final:
            raise Unfit(f"not saved: {said}", hint=DOWNLOAD_AGAIN) from problem
        # Only at the same place for the second time is it the file that ends there, and not the connection.
        if end_is_known or was_there:
            raise Missing(said) from problem
        raise Unreachable(f"the connection was lost, or {said}") from problem

    def _set_aside(self) -> bool:
        was_there = self.part.set_aside()
        self.transfer.show(0, None)
        return was_there

    def _discard(self) -> None:
        self.part.restart()
        self.transfer.show(0, None)


def _ensure_answered(body: Body) -> None:
    """Raise Retryable for what is said in place of a video."""
    status = body.status
    if status in BUSY or status >= 500:  # noqa: PLR2004  RFC 9110, 15.6
        raise ServerError(f"the server answered {status}", retry_after=body.retry_after)
    if status in REFUSED:
        raise Refused(f"the server refused the video's URL with {status}")
    if status in MISSING:
        raise Missing(f"the server answered {status} in place of the video")
    codings = {each.strip().lower() for each in body.headers.get("content-encoding", "").split(",")}
    if codings & _COMPRESSED:
        raise Unreadable("the server compressed the video, though it was asked not to")


def _length_of_whole(headers: Mapping[str, str]) -> int | None:
    """Return how long a "part" is that is the whole video, as some servers call it; else None."""
    length = read_length(headers)
    whole = length and headers.get("content-range", "").lower() == f"bytes 0-{length - 1}/{length}"
    return length if whole else None
