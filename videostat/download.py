"""One video to one file, safely, over a network and from a server that may do anything.

RFC 9110: ranges 14, If-Range 13.1.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Literal, Protocol, Self

from videostat import containers
from videostat.errors import (
    NOT_IN_TIME,
    SAVE_AGAIN,
    NotSaved,
    RateLimited,
    Retryable,
    ServerError,
    Unreachable,
    Unreadable,
    Untrusted,
    VideostatError,
)
from videostat.files import STRONG_ETAG, Part, Version
from videostat.models import Saved
from videostat.places import disk_errors_told
from videostat.providers.reading import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from videostat.clock import Clock
    from videostat.models import Link
    from videostat.places import Place

# Larger pieces are no faster, 64 KiB ones 7 % slower.
PIECE = 1 << 20
ATTEMPTS = 5
LONGEST_PAUSE = 5
# A file server that is only busy says so in minutes: beyond, the person decides, not the server.
LONGEST_WAIT = 600
# A service limits downloads by the hour, as ReelBot does.
LONGEST_LIMIT = 3600
STALL_SECONDS = 30
STALL_RATE = 1024
# A URL that dies during the request is a wasted one.
EXPIRY_MARGIN = timedelta(minutes=1)

_RETRIED = {408, 425, 429}
_REFUSED = {400, 401, 403, 404, 410}
_DIGITS = re.compile(r"[0-9]{1,18}")


class Body(Protocol):
    """An answer's body as it is on the wire; header names in lower case.

    `read1` returns as soon as there is something, nothing at the end, which may also be a lost connection.
    It raises Unreachable for errors and time-outs of the network, but only after handing out what had come,
    and for a chunked body that breaks off.
    """

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def read1(self, size: int, /) -> bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> object: ...


class Open(Protocol):
    """Follow redirects, send one request; Unreachable, or Untrusted, which ends the download."""

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


class _Refused(Retryable):
    """The URL does not give the video, or no longer: another one may."""


def download(
    link: Link,
    place: Place,
    *,
    open: Open,  # noqa: A002  what it does, seen from here
    resolve: Callable[[], Link],
    clock: Clock,
    sleep: Callable[[float], object],
    deadline: float,
    rng: Random,
    transfer: Transfer,
    overwrite: bool = False,
) -> Saved:
    """Save the video, going on where an earlier run stopped; one that is already there is skipped.

    `resolve` asks the service for a new link; `deadline` is on the monotonic clock, inf for none.
    NotSaved, with the cause, where downloading again may help; what is final in `resolve` passes through.
    """
    try:
        with disk_errors_told(place):
            if saved := place.saved(overwrite=overwrite):
                return saved
            with Part(place) as part:
                # Another process may have finished it before we had the lock.
                if saved := place.saved(overwrite=overwrite):
                    return saved
                saved = _Download(part, place, open, resolve, clock, sleep, deadline, rng, transfer).run(link)
    except VideostatError:
        transfer.state = "failed"
        raise
    transfer.state = "saved"
    return saved


@dataclass(frozen=True, slots=True)
class _Download:
    part: Part
    place: Place
    open: Open
    resolve: Callable[[], Link]
    clock: Clock
    sleep: Callable[[float], object]
    deadline: float
    rng: Random
    transfer: Transfer

    def run(self, link: Link | None) -> Saved:
        part = self.part
        self.transfer.show(part.size, part.version.total if part.version else None)
        furthest, failures, retries, is_renewed = part.size, 0, 0, False
        while True:
            try:
                self._in_time()
                if link is None or (link.expires_at and self.clock.now() + EXPIRY_MARGIN >= link.expires_at):
                    link = self.resolve()
                self.transfer.state = "downloading"
                resumed = self._fetch(link.url)
                self.transfer.state = "checking"
                extension = self._checked()
            except Retryable as problem:
                if part.size > furthest:
                    furthest, failures, is_renewed = part.size, 0, False
                else:
                    failures += 1
                retries += 1
                is_refused = isinstance(problem, _Refused)
                if is_refused and is_renewed:
                    gone = "The service gave a new address, and that was no better: the video may have expired there."
                    raise self._not_saved(str(problem), gone) from problem
                if failures == ATTEMPTS:
                    raise self._not_saved(str(problem), problem.hint) from problem
                if is_refused:
                    link, is_renewed = None, True
                    continue
                self.transfer.state = "retrying"
                self._pause(problem, self.rng.uniform(0, min(LONGEST_PAUSE, 2 ** (failures - 1))))
            else:
                return Saved(file=part.publish(extension), bytes=part.size, resumed=resumed, retries=retries)

    def _pause(self, problem: Retryable, jitter: float) -> None:
        asked = problem.retry_after or 0
        pause, longest = max(jitter, asked), LONGEST_LIMIT if isinstance(problem, RateLimited) else LONGEST_WAIT
        if pause > longest or self.clock.monotonic() + pause >= self.deadline:
            if asked:
                raise self._not_saved(
                    f"{problem}; it wants us to wait {asked:,.0f} seconds", "Run the same command again after that."
                ) from problem
            raise self._not_saved(f"no time is left to try again: {problem}") from problem
        self.sleep(pause)

    def _fetch(self, url: str) -> int:
        """Bring the rest of the video; how many bytes were there already."""
        self._in_time()
        headers = {"Accept-Encoding": "identity"}
        if self.part.version:
            headers |= {"Range": f"bytes={self.part.size}-", "If-Range": self.part.version.etag}
        try:
            with self.open(url, headers) as body:
                return self._take(body)
        except Untrusted as error:
            raise self._not_saved(str(error), error.hint) from error

    def _take(self, body: Body) -> int:
        part, status = self.part, body.status
        if status in _RETRIED or status >= 500:  # noqa: PLR2004  RFC 9110, 15.6
            raise ServerError(
                f"the server answered {status}",
                retry_after=retry_after(body.headers.get("retry-after", ""), self.clock.now()),
            )
        if status in _REFUSED:
            raise _Refused(f"the server refused the video's URL with {status}")
        if body.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise Unreadable("the server compressed the video, though it was asked not to")
        pieces = self._pieces(body)
        match status:
            case 200:
                total, pieces = self._begin(body, pieces)
            case 206:
                total = self._go_on(body)
            case 416:
                total, pieces = self._go_on(body), iter(())
            case _:
                raise self._not_saved(f"the server answered {status}")
        resumed = part.size
        self._append(pieces, total)
        return resumed

    def _begin(self, body: Body, pieces: Iterator[bytes]) -> tuple[int | None, Iterator[bytes]]:
        """Only now that it is seen to be a video does it replace what an earlier attempt left."""
        total, etag = _length(body), body.headers.get("etag", "")
        head = bytearray()
        for piece in pieces:
            head += piece
            if len(head) >= containers.HEAD:
                break
        if not containers.extension(bytes(head[: containers.HEAD])):
            if total is not None and len(head) < min(total, containers.HEAD):
                raise Unreachable("the connection was lost")
            raise _Refused("the server sent a page, or something else that is not a video")
        self.part.restart(Version(etag, total) if total and STRONG_ETAG.fullmatch(etag) else None)
        self.transfer.show(0, total)
        return total, chain([bytes(head)], pieces)

    def _go_on(self, body: Body) -> int:
        version = self.part.version
        if version and _fits(body, self.part.size, version):
            return version.total
        self._discard()
        raise Unreadable("the server sent another part of the video than was asked for")

    def _append(self, pieces: Iterator[bytes], total: int | None) -> None:
        part = self.part
        for piece in pieces:
            if total is not None and part.size + len(piece) > total:
                self._discard()
                raise Unreadable("the server sent more than it had announced")
            part.append(piece)
            self.transfer.done = part.size
        if total is not None and part.size < total:
            raise Unreachable(f"the connection was lost after {part.size} of {total} bytes")

    def _pieces(self, body: Body) -> Iterator[bytes]:
        since, received = self.clock.monotonic(), 0
        while piece := body.read1(PIECE):
            yield piece
            self._in_time()
            received += len(piece)
            now = self.clock.monotonic()
            if now - since >= STALL_SECONDS:
                if received < STALL_RATE * (now - since):
                    raise Unreachable("the server has all but stopped sending")
                since, received = now, 0

    def _checked(self) -> str:
        """Its extension; a damaged video is not kept."""
        video, has_length = containers.inspect(self.part.fd), self.transfer.total is not None
        if video and (has_length or video.proves_its_end):
            return video.extension
        self._discard()
        if video:
            raise self._not_saved("the server does not say how long the video is, so nothing proves it whole")
        if has_length:
            raise _Refused("what the server sent is not a whole video")
        raise Unreachable("the connection was lost, or the video is not whole")

    def _discard(self) -> None:
        self.part.restart(None)
        self.transfer.show(0, None)

    def _in_time(self) -> None:
        if self.clock.monotonic() >= self.deadline:
            raise NotSaved(NOT_IN_TIME, hint=SAVE_AGAIN)

    def _not_saved(self, why: str, hint: str | None = None) -> NotSaved:
        return NotSaved(f"not saved: {why}", hint=hint or SAVE_AGAIN)


def _fits(body: Body, size: int, version: Version) -> bool:
    """Whether the answer goes on exactly where the bytes we have end, or says that there are no more."""
    headers, total = body.headers, version.total
    content_range = headers.get("content-range", "").lower()
    if body.status == 416:  # noqa: PLR2004  Range Not Satisfiable
        return size == total and content_range == f"bytes */{total}"
    return (
        content_range == f"bytes {size}-{total - 1}/{total}"
        and headers.get("etag") == version.etag
        and _length(body) in {None, total - size}
    )


def _length(body: Body) -> int | None:
    """None where the server does not say; RFC 9110, 8.6 allows digits and nothing else."""
    value = body.headers.get("content-length")
    if value is None:
        return None
    if not _DIGITS.fullmatch(value):
        raise Unreadable(f"the server announced a malformed length, {value[:40]!a}")
    return int(value)
