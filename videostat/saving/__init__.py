"""Download a video, though network and server may fail in any way.

This module decides whether to try again and at which URL. `Attempt` makes one request and checks the result.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from videostat.clock import Backoff
from videostat.errors import NotSaved, RateLimited, Retryable, Unreadable, VideostatError
from videostat.models import DOWNLOAD_AGAIN, Saved
from videostat.saving.attempt import Attempt, Missing, Open, Refused, Transfer, Unfit
from videostat.saving.destination import translate_disk_errors
from videostat.saving.partfile import Busy, Part, remove_orphan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from videostat.clock import Clock
    from videostat.models import Link
    from videostat.saving.destination import Destination

__all__ = ["Transfer", "download"]

BETWEEN_TRIES = Backoff(first=1, longest=30)
# Without a deadline, give up after this many seconds without a new byte.
PATIENCE = 600
# An unreadable answer is requested once more, then it is final.
UNREADABLE_TRIES = 2
# Pauses before a new video is requested again from its URL: three minutes in all. One service needs 150 s.
FRESH_PAUSES = (2, 5, 10, 20, 30, 30, 30, 30, 23)
# The longest Retry-After to obey. A longer one is left to the user.
LONGEST_RETRY_AFTER = 600
# The same for a rate limit. ReelBot limits downloads per hour.
LONGEST_LIMIT = 3600
# Do not use a URL that could expire during the request.
EXPIRY_MARGIN = timedelta(minutes=1)
# Wait for another process that saves the same file, unless its file has not grown for this long.
LOCK_PATIENCE = 120

NO_SLOT = nullcontext()
_GONE = "A new URL from the service did not work either: the video may have expired there."
_LATER = "The video is not ready yet. Do not generate it again: run the same command again in a few minutes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A link to a video, and a way to get a new one.

    `resolve` asks the service for a new link; `floor` is the minimum of seconds between two calls.
    `most_links`: the number of links to use, with the first. `is_fresh`: the video is so new that its file may not be
    available yet.
    """

    link: Link
    resolve: Callable[[], Link]
    floor: float = 0
    most_links: int = 3
    is_fresh: bool = False


def download(
    source: Source,
    destination: Destination,
    *,
    open: Open,  # noqa: A002  it opens a URL
    clock: Clock,
    sleep: Callable[[float], object],
    deadline: float,
    rng: Random,
    transfer: Transfer,
    overwrite: bool = False,
    slot: AbstractContextManager[object] = NO_SLOT,
    known_hosts: set[str],
) -> Saved:
    """Download a video, or resume where an earlier run stopped. A video that is already saved is skipped.

    `deadline` is in monotonic seconds, inf for none. `slot` is held during transfers, not during the check of the file.
    `known_hosts`: the hosts that have answered in this run.
    Raises NotSaved if downloading again may help, and the final errors of `source.resolve`.
    """
    try:
        with translate_disk_errors(destination):
            if saved := destination.find_saved(overwrite=overwrite):
                remove_orphan(destination)
                return saved
            with _wait_for_part(destination, clock, sleep, deadline) as part:
                # Another process may have finished it before we got the lock.
                if saved := destination.find_saved(overwrite=overwrite):
                    return saved
                attempt = Attempt(part, open, clock, deadline, transfer, known_hosts)
                with _mention_kept_files(part), translate_disk_errors(destination):
                    saved = _Download(attempt, source, sleep, rng, slot).run()
    except VideostatError:
        transfer.state = "failed"
        raise
    transfer.state = "saved"
    return saved


def _wait_for_part(destination: Destination, clock: Clock, sleep: Callable[[float], object], deadline: float) -> Part:
    """Lock and return the part file. Wait for another process while its file grows."""
    size, grown_at = -1, clock.monotonic()
    while True:
        try:
            return Part(destination, sleep)
        except Busy as busy:
            now = clock.monotonic()
            if busy.size != size:
                size, grown_at = busy.size, now
            if now + 1 >= min(deadline, grown_at + LOCK_PATIENCE):
                raise
        sleep(1)


@contextmanager
def _mention_kept_files(part: Part) -> Iterator[None]:
    """Add the names of the kept files to the message of a failure."""
    try:
        yield
    except NotSaved as error:
        if not part.kept:
            raise
        files = " and ".join(str(file) for file in part.kept)
        raise NotSaved(f"{error}; the received bytes are kept as {files}", hint=error.hint, code=error.code) from error


class _NoUrlError(Exception):
    """The service has no URL at the moment."""

    def __init__(self, problem: Retryable) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(slots=True)
class _Download:
    """A download with its retries.

    `waiting`: the URLs of the current link that are still to be tried in this round. `tried`: the others, with the
    problem of each. `unreadable` (a count) and `pause` are reset when the file grows, at `grown_at`.
    """

    attempt: Attempt
    source: Source
    sleep: Callable[[float], object]
    rng: Random
    slot: AbstractContextManager[object]
    waiting: deque[str] = field(default_factory=deque)
    tried: dict[str, Retryable] = field(default_factory=dict)
    unfit: NotSaved | None = None
    link: Link | None = None
    links: int = 0
    asked_at: float = -math.inf
    fresh_pauses: Iterator[int] = field(default_factory=lambda: iter(FRESH_PAUSES))
    is_missing: bool = False
    tries: int = 0
    furthest: int = 0
    grown_at: float = 0
    unreadable: int = 0
    pause: float = 0

    def run(self) -> Saved:
        attempt, part, clock = self.attempt, self.attempt.part, self.attempt.clock
        attempt.transfer.set_progress(part.size, part.version.total)
        self.furthest, self.grown_at, self.asked_at = part.size, clock.monotonic(), clock.monotonic()
        self._use_link(self.source.link)
        while True:
            try:
                with self.slot:
                    attempt.ensure_in_time()
                    resumed, end_is_known = attempt.fetch(self._find_url())
                extension = attempt.check(end_is_known=end_is_known)
            except _NoUrlError as none:
                self._count_try()
                self._pause(none.problem)
            except Unfit as problem:
                self._count_try()
                self._drop_url(problem)
            except Retryable as problem:
                self._count_try()
                self._handle_problem(problem)
            else:
                return Saved(file=part.publish(extension), bytes=part.size, resumed=resumed, retries=self.tries)

    def _use_link(self, link: Link | None) -> None:
        self.link, self.unfit = link, None
        self.waiting, self.tried = deque(dict.fromkeys([link.url, *link.others]) if link else ()), {}
        if link:
            self.links += 1

    def _find_url(self) -> str:
        """Return the URL to try. Raises _NoUrlError if the service has none at the moment."""
        expires_at = self.link and self.link.expires_at
        if expires_at and self.attempt.clock.now() + EXPIRY_MARGIN >= expires_at:
            self._drop_link(Refused("the video's URL has expired"))
        if self.link is None:
            early = self.asked_at + self.source.floor - self.attempt.clock.monotonic()
            if early > 0:
                self._sleep(early, Refused("it is too early to ask for a new URL"))
            self.asked_at = self.attempt.clock.monotonic()
            try:
                self._use_link(self.source.resolve())
            except Retryable as problem:
                raise _NoUrlError(problem) from problem
        return self.waiting[0]

    def _count_try(self) -> None:
        """Count a failed attempt. If the file has grown, reset the other counters."""
        self.tries += 1
        if (size := self.attempt.part.size) > self.furthest:
            self.furthest, self.grown_at = size, self.attempt.clock.monotonic()
            self.unreadable, self.pause, self.is_missing = 0, 0, False

    def _drop_url(self, problem: NotSaved) -> None:
        """Remove a URL for the rest of the download."""
        self.unfit = self.unfit or problem
        self.waiting.popleft()
        self._end_round()

    def _handle_problem(self, problem: Retryable) -> None:
        """Decide after a problem whether to try the same URL again or the next one.

        If the part has bytes, only the same URL can continue them.
        """
        if isinstance(problem, Unreadable):
            self.unreadable += 1
            if self.unreadable == UNREADABLE_TRIES:
                return self._drop_url(_make_error(str(problem), problem.hint))
            return self._pause(problem)
        if self.attempt.part.size and not isinstance(problem, Missing | Refused):
            return self._pause(problem)
        self.tried[self.waiting.popleft()] = problem
        return self._end_round()

    def _end_round(self) -> None:
        """Decide how to go on when all URLs have been tried."""
        if self.waiting:
            return
        if not self.tried:
            raise self.unfit or _make_error("the service gave no URL for the video")
        problems = [*self.tried.values()]
        self.waiting, self.tried = deque(self.tried), {}
        refusal = next((each for each in problems if isinstance(each, Refused)), None)
        trouble = next((each for each in problems if not isinstance(each, Refused | Missing)), None)
        if refusal:
            self._drop_link(refusal)
        elif trouble:
            self._pause(trouble)
        else:
            self._handle_missing(problems[0])

    def _handle_missing(self, problem: Retryable) -> None:
        """Wait until a new video appears at its URL. For any other video, ask for a new URL."""
        pause = next(self.fresh_pauses, None) if self.source.is_fresh else None
        if pause is not None:
            self._sleep(pause, problem)
        elif self.is_missing:
            raise self.unfit or _make_error(str(problem), _LATER if self.source.is_fresh else _GONE)
        else:
            self.is_missing = True
            self._drop_link(problem)

    def _drop_link(self, problem: Retryable) -> None:
        """Drop the link, so that a new one is requested. Raises NotSaved after the last link."""
        if self.links >= self.source.most_links:
            raise self.unfit or _make_error(str(problem), _GONE)
        self._use_link(None)

    def _pause(self, problem: Retryable) -> None:
        """Wait before the next try. Raises NotSaved if the pause would be too long."""
        self.pause = BETWEEN_TRIES.lengthen(self.pause)
        asked = problem.retry_after or 0
        longest = LONGEST_LIMIT if isinstance(problem, RateLimited) else LONGEST_RETRY_AFTER
        if asked > longest:
            raise _make_later_error(problem)
        self._sleep(max(self.rng.uniform(self.pause / 2, self.pause), asked), problem)

    def _sleep(self, seconds: float, problem: Retryable) -> None:
        self.attempt.transfer.state = "retrying"
        deadline, now = self.attempt.deadline, self.attempt.clock.monotonic()
        if math.isinf(deadline):
            # A pause that the server asked for does not count as silence.
            deadline = self.grown_at + PATIENCE + (problem.retry_after or 0)
        if now + seconds >= deadline:
            if problem.retry_after:
                raise _make_later_error(problem)
            raise _make_error(f"no time is left to try again: {problem}") from problem
        self.sleep(seconds)


def _make_later_error(problem: Retryable) -> NotSaved:
    return _make_error(
        f"{problem}; retry after {problem.retry_after:,.0f} seconds", "Run the same command again after that."
    )


def _make_error(why: str, hint: str | None = None) -> NotSaved:
    return NotSaved(f"not saved: {why}", hint=hint or DOWNLOAD_AGAIN)
