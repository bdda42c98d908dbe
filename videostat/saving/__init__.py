"""Save one video to one file, safely, over a network and from a server that may do anything.

`_Download` counts the attempts and decides whether there is another one; `_Attempt` makes one request and checks what
came. RFC 9110: ranges 14, If-Range 13.1.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Literal, Protocol, Self

from videostat.clock import Backoff
from videostat.errors import (
    NotSaved,
    RateLimited,
    Retryable,
    ServerError,
    Unreachable,
    Unreadable,
    Untrusted,
    VideostatError,
)
from videostat.models import DOWNLOAD_AGAIN, NOT_SAVED_IN_TIME, Saved
from videostat.saving import container
from videostat.saving.destination import translate_disk_errors
from videostat.saving.film import NoFilm
from videostat.saving.partfile import STRONG_ETAG, Part, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from videostat.clock import Clock
    from videostat.models import Link
    from videostat.saving.destination import Destination

# Larger pieces are no faster, 64 KiB ones 7 % slower.
PIECE = 1 << 20
TRIES = 5  # without a byte more
BETWEEN_TRIES = Backoff(first=1, longest=5)
# A file server that is only busy says so in minutes: beyond, the person decides, not the server.
LONGEST_RETRY_AFTER = 600
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
    @property
    def retry_after(self) -> float | None: ...
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
    destination: Destination,
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
        with translate_disk_errors(destination):
            if saved := destination.saved(overwrite=overwrite):
                return saved
            with Part(destination) as part:
                # Another process may have finished it before we had the lock.
                if saved := destination.saved(overwrite=overwrite):
                    return saved
                saved = _Download(_Attempt(part, open, clock, deadline, transfer), resolve, sleep, rng).run(link)
    except VideostatError:
        transfer.state = "failed"
        raise
    transfer.state = "saved"
    return saved


@dataclass(slots=True)
class _Tries:
    """Count the tries of one download: `failures`, `pause` and `is_renewed` are since the file last grew."""

    furthest: int
    total: int = 0
    failures: int = 0
    pause: float = 0
    is_renewed: bool = False

    def count(self, size: int) -> None:
        """Count a failed try that left `size` bytes."""
        self.total += 1
        if size > self.furthest:
            self.furthest, self.failures, self.pause, self.is_renewed = size, 0, 0, False
        else:
            self.failures += 1


@dataclass(frozen=True, slots=True)
class _Download:
    """Try until the video is there, or until another try cannot help."""

    attempt: _Attempt
    resolve: Callable[[], Link]
    sleep: Callable[[float], object]
    rng: Random

    def run(self, link: Link | None) -> Saved:
        attempt, part = self.attempt, self.attempt.part
        attempt.transfer.show(part.size, part.version.total if part.version else None)
        tries = _Tries(part.size)
        while True:
            try:
                attempt.ensure_in_time()
                if link is None or (link.expires_at and attempt.clock.now() + EXPIRY_MARGIN >= link.expires_at):
                    link = self.resolve()
                resumed, extension = attempt.run(link.url)
            except _Refused as problem:
                tries.count(part.size)
                if tries.is_renewed:
                    gone = "The service gave a new address, and that was no better: the video may have expired there."
                    raise _not_saved(str(problem), gone) from problem
                _ensure_left(tries, problem)
                link, tries.is_renewed = None, True
            except Retryable as problem:
                tries.count(part.size)
                _ensure_left(tries, problem)
                self._pause(problem, tries)
            else:
                return Saved(file=part.publish(extension), bytes=part.size, resumed=resumed, retries=tries.total)

    def _pause(self, problem: Retryable, tries: _Tries) -> None:
        """Wait before the next try; raises NotSaved where no time is left for that."""
        self.attempt.transfer.state = "retrying"
        tries.pause = BETWEEN_TRIES.after(tries.pause)
        asked = problem.retry_after or 0
        pause = max(self.rng.uniform(0, tries.pause), asked)
        longest = LONGEST_LIMIT if isinstance(problem, RateLimited) else LONGEST_RETRY_AFTER
        if pause > longest or self.attempt.clock.monotonic() + pause >= self.attempt.deadline:
            if asked:
                raise _not_saved(
                    f"{problem}; retry after {asked:,.0f} seconds", "Run the same command again after that."
                ) from problem
            raise _not_saved(f"no time is left to try again: {problem}") from problem
        self.sleep(pause)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One request for the rest of the video, and the check of the whole file."""

    part: Part
    open: Open
    clock: Clock
    deadline: float
    transfer: Transfer

    def run(self, url: str) -> tuple[int, str]:
        """Return how many bytes were there already, and the extension of the video, which is now whole."""
        self.transfer.state = "downloading"
        resumed = self._fetch(url)
        self.transfer.state = "checking"
        return resumed, self._checked()

    def ensure_in_time(self) -> None:
        """Raise NotSaved after the deadline."""
        if self.clock.monotonic() >= self.deadline:
            raise NotSaved(NOT_SAVED_IN_TIME, hint=DOWNLOAD_AGAIN)

    def _fetch(self, url: str) -> int:
        """Bring the rest of the video; how many bytes were there already."""
        self.ensure_in_time()
        headers = {"Accept-Encoding": "identity"}
        if self.part.version:
            headers |= {"Range": f"bytes={self.part.size}-", "If-Range": self.part.version.etag}
        try:
            with self.open(url, headers) as body:
                return self._take(body)
        except Untrusted as error:
            raise _not_saved(str(error), error.hint) from error

    def _take(self, body: Body) -> int:
        part, status = self.part, body.status
        if status in _RETRIED or status >= 500:  # noqa: PLR2004  RFC 9110, 15.6
            raise ServerError(f"the server answered {status}", retry_after=body.retry_after)
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
                raise _not_saved(f"the server answered {status}")
        resumed = part.size
        self._append(pieces, total)
        return resumed

    def _begin(self, body: Body, pieces: Iterator[bytes]) -> tuple[int | None, Iterator[bytes]]:
        """Only now that it is seen to be a video does it replace what an earlier attempt left."""
        total, etag = _length(body), body.headers.get("etag", "")
        head = bytearray()
        for piece in pieces:
            head += piece
            if len(head) >= container.HEAD:
                break
        if not container.begins_like_a_film(bytes(head[: container.HEAD])):
            if total is not None and len(head) < min(total, container.HEAD):
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
            self.ensure_in_time()
            received += len(piece)
            now = self.clock.monotonic()
            if now - since >= STALL_SECONDS:
                if received < STALL_RATE * (now - since):
                    raise Unreachable("the transfer stalled")
                since, received = now, 0

    def _checked(self) -> str:
        """Its extension; a damaged video is not kept."""
        has_length = self.transfer.total is not None
        try:
            video = container.inspect(self.part.fd)
        except NoFilm:
            video = None
        if video and (has_length or video.proves_its_end):
            return video.extension
        self._discard()
        if video:
            raise _not_saved("the server does not say how long the video is, so nothing proves it whole")
        if has_length:
            raise _Refused("what the server sent is not a whole video")
        raise Unreachable("the connection was lost, or the video is not whole")

    def _discard(self) -> None:
        self.part.restart(None)
        self.transfer.show(0, None)


def _ensure_left(tries: _Tries, problem: Retryable) -> None:
    if tries.failures == TRIES:
        raise _not_saved(str(problem), problem.hint) from problem


def _not_saved(why: str, hint: str | None = None) -> NotSaved:
    return NotSaved(f"not saved: {why}", hint=hint or DOWNLOAD_AGAIN)


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
