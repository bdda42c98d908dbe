"""Save one video to one file, safely, over a network and from a server that may do anything.

Here is decided whether there is another try, and at which address; `Attempt` makes one request and checks what came.
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
from videostat.saving.attempt import Attempt, Body, Missing, Open, Refused, Transfer, Unfit
from videostat.saving.destination import translate_disk_errors
from videostat.saving.partfile import Busy, Part, remove_orphan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from videostat.clock import Clock
    from videostat.models import Link
    from videostat.saving.destination import Destination

__all__ = ["Body", "Open", "Transfer", "download"]

BETWEEN_TRIES = Backoff(first=1, longest=30)
# Where the wait has no deadline, a video has its own: so long without a byte more.
PATIENCE = 600
# An answer that makes no sense is asked for once more: the same verdict again is one.
SENSELESS_TRIES = 2
# The pauses before a fresh video is looked for again where it is to be: three minutes. One service needs 150 s.
NOT_YET = (2, 5, 10, 20, 30, 30, 30, 30, 23)
# A file server that is only busy says so in minutes: beyond, the person decides, not the server.
LONGEST_RETRY_AFTER = 600
# A service limits downloads by the hour, as ReelBot does.
LONGEST_LIMIT = 3600
# A URL that dies during the request is a wasted one.
EXPIRY_MARGIN = timedelta(minutes=1)
# Another run that saves the same file is waited for as long as its file grows at least so often.
LOCK_PATIENCE = 120

NO_SLOT = nullcontext()
_GONE = "The service gave a new address, and that was no better: the video may have expired there."
_LATER = "The video is not there yet. Do not generate it again: run the same command again in some minutes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a video comes from: the service's answer, and the way to a newer one.

    `resolve` asks the service for a new link, never within `floor` seconds of the last; `most_links`: so many are
    used, the first included. `is_fresh`: the video is so young that its file may not be there yet.
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
    open: Open,  # noqa: A002  what it does, seen from here
    clock: Clock,
    sleep: Callable[[float], object],
    deadline: float,
    rng: Random,
    transfer: Transfer,
    overwrite: bool = False,
    slot: AbstractContextManager[object] = NO_SLOT,
    known_hosts: set[str] | None = None,
) -> Saved:
    """Save the video, going on where an earlier run stopped; one that is already there is skipped.

    `deadline` is on the monotonic clock, inf for none. `slot` is held while bytes may come, and not while the file
    settles. `known_hosts`: the hosts that have sent something in this run.
    NotSaved, with the cause, where downloading again may help; what is final in `resolve` passes through.
    """
    try:
        with translate_disk_errors(destination):
            if saved := destination.find_saved(overwrite=overwrite):
                remove_orphan(destination)
                return saved
            with _wait_for_part(destination, clock, sleep, deadline) as part:
                # Another process may have finished it before we had the lock.
                if saved := destination.find_saved(overwrite=overwrite):
                    return saved
                attempt = Attempt(part, open, clock, deadline, transfer, set() if known_hosts is None else known_hosts)
                with _tell_what_is_kept(part), translate_disk_errors(destination):
                    saved = _Download(attempt, source, sleep, rng, slot).run()
    except VideostatError:
        transfer.state = "failed"
        raise
    transfer.state = "saved"
    return saved


def _wait_for_part(destination: Destination, clock: Clock, sleep: Callable[[float], object], deadline: float) -> Part:
    """Return the part file, locked; another run is waited for as long as its file grows."""
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
def _tell_what_is_kept(part: Part) -> Iterator[None]:
    """Add to the sentence about a failure where the bytes are that came."""
    try:
        yield
    except NotSaved as error:
        if not part.kept:
            raise
        files = " and ".join(str(file) for file in part.kept)
        raise NotSaved(f"{error}; what came is kept as {files}", hint=error.hint, code=error.code) from error


class _NoAddressError(Exception):
    """The service has no address for now."""

    def __init__(self, problem: Retryable) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(slots=True)
class _Download:
    """Try until the video is there, or until another try cannot help.

    `waiting` are the addresses of the present link that have not been tried in this round, `tried` those that have
    been, with what was wrong there. `senseless` and `pause` are since the file last grew, at `grown_at`.
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
    looks: Iterator[int] = field(default_factory=lambda: iter(NOT_YET))
    is_missing: bool = False
    tries: int = 0
    furthest: int = 0
    grown_at: float = 0
    senseless: int = 0
    pause: float = 0

    def run(self) -> Saved:
        attempt, part, clock = self.attempt, self.attempt.part, self.attempt.clock
        attempt.transfer.show(part.size, part.version.total)
        self.furthest, self.grown_at, self.asked_at = part.size, clock.monotonic(), clock.monotonic()
        self._use(self.source.link)
        while True:
            try:
                with self.slot:
                    attempt.ensure_in_time()
                    resumed, end_is_known = attempt.fetch(self._address())
                extension = attempt.check(end_is_known=end_is_known)
            except _NoAddressError as none:
                self._count()
                self._pause(none.problem)
            except Unfit as problem:
                self._count()
                self._leave(problem)
            except Retryable as problem:
                self._count()
                self._go_on(problem)
            else:
                return Saved(file=part.publish(extension), bytes=part.size, resumed=resumed, retries=self.tries)

    def _use(self, link: Link | None) -> None:
        self.link, self.unfit = link, None
        self.waiting, self.tried = deque(dict.fromkeys([link.url, *link.others]) if link else ()), {}
        if link:
            self.links += 1

    def _address(self) -> str:
        """Return the address to try; raises _NoAddressError where the service has none for now."""
        expires_at = self.link and self.link.expires_at
        if expires_at and self.attempt.clock.now() + EXPIRY_MARGIN >= expires_at:
            self._renew(Refused("the video's URL has expired"))
        if self.link is None:
            early = self.asked_at + self.source.floor - self.attempt.clock.monotonic()
            if early > 0:
                self._sleep(early, Refused("no new address may be asked for yet"))
            self.asked_at = self.attempt.clock.monotonic()
            try:
                self._use(self.source.resolve())
            except Retryable as problem:
                raise _NoAddressError(problem) from problem
        return self.waiting[0]

    def _count(self) -> None:
        """Count a failed try."""
        self.tries += 1
        if (size := self.attempt.part.size) > self.furthest:
            self.furthest, self.grown_at = size, self.attempt.clock.monotonic()
            self.senseless, self.pause, self.is_missing = 0, 0, False

    def _leave(self, problem: NotSaved) -> None:
        """Never try this address again."""
        self.unfit = self.unfit or problem
        self.waiting.popleft()
        self._end_round()

    def _go_on(self, problem: Retryable) -> None:
        """Try the next address, unless there are bytes of this one already: then it alone can go on with them."""
        if isinstance(problem, Unreadable):
            self.senseless += 1
            if self.senseless == SENSELESS_TRIES:
                return self._leave(_not_saved(str(problem), problem.hint))
            return self._pause(problem)
        if self.attempt.part.size and not isinstance(problem, Missing | Refused):
            return self._pause(problem)
        self.tried[self.waiting.popleft()] = problem
        return self._end_round()

    def _end_round(self) -> None:
        """Decide what to do when each address has been tried."""
        if self.waiting:
            return
        if not self.tried:
            raise self.unfit or _not_saved("there is no address")
        problems = [*self.tried.values()]
        self.waiting, self.tried = deque(self.tried), {}
        refusal = next((each for each in problems if isinstance(each, Refused)), None)
        trouble = next((each for each in problems if not isinstance(each, Refused | Missing)), None)
        if refusal:
            self._renew(refusal)
        elif trouble:
            self._pause(trouble)
        else:
            self._look_later(problems[0])

    def _look_later(self, problem: Retryable) -> None:
        """Look again where a fresh video is to be; any other may have a new address."""
        pause = next(self.looks, None) if self.source.is_fresh else None
        if pause is not None:
            self._sleep(pause, problem)
        elif self.is_missing:
            raise self.unfit or _not_saved(str(problem), _LATER if self.source.is_fresh else _GONE)
        else:
            self.is_missing = True
            self._renew(problem)

    def _renew(self, problem: Retryable) -> None:
        """Forget the link, so that the service is asked for another one."""
        if self.links >= self.source.most_links:
            raise self.unfit or _not_saved(str(problem), _GONE)
        self._use(None)

    def _pause(self, problem: Retryable) -> None:
        """Wait before the next try; raises NotSaved where no time is left for that, or too much of it is asked for."""
        self.pause = BETWEEN_TRIES.lengthen(self.pause)
        asked = problem.retry_after or 0
        longest = LONGEST_LIMIT if isinstance(problem, RateLimited) else LONGEST_RETRY_AFTER
        if asked > longest:
            raise _ask_later(problem)
        self._sleep(max(self.rng.uniform(self.pause / 2, self.pause), asked), problem)

    def _sleep(self, seconds: float, problem: Retryable) -> None:
        self.attempt.transfer.state = "retrying"
        deadline, now = self.attempt.deadline, self.attempt.clock.monotonic()
        if math.isinf(deadline):
            # What the server asked for is no silence of it.
            deadline = self.grown_at + PATIENCE + (problem.retry_after or 0)
        if now + seconds >= deadline:
            if problem.retry_after:
                raise _ask_later(problem)
            raise _not_saved(f"no time is left to try again: {problem}") from problem
        self.sleep(seconds)


def _ask_later(problem: Retryable) -> NotSaved:
    return _not_saved(
        f"{problem}; retry after {problem.retry_after:,.0f} seconds", "Run the same command again after that."
    )


def _not_saved(why: str, hint: str | None = None) -> NotSaved:
    return NotSaved(f"not saved: {why}", hint=hint or DOWNLOAD_AGAIN)
