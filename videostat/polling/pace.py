"""How fast a service may be asked: the time between two looks, gates, pauses, and what a key group has met.

Times are monotonic seconds. A Group belongs to a client: all waits of one process share it, from any thread.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from videostat.clock import Backoff
from videostat.providers.base import Meaning

if TYPE_CHECKING:
    from datetime import datetime

    from videostat.errors import RateLimited, VideostatError
    from videostat.models import Job, JobRef
    from videostat.providers.base import Polling

T = TypeVar("T")

LONGEST_PAUSE = 60
LONGEST_EARLY_WAIT = 30
IN_FLIGHT = 32  # more workers on one key group never made it faster
SECOND_CONTACT = 5  # seconds that the first look may take before a second one goes out
THREE = 3  # jobs in a row that meet the same speak of the key group
REMEMBERED = 1000  # jobs whose last answer is remembered for their floor
PATIENCE = 120  # seconds with an address that has never worked


def between_looks(polling: Polling, interval: float | None) -> tuple[float, float]:
    """The least and the most, as the service advises or the person wishes, but never below the floor."""
    low, high = polling.every if interval is None else (interval, interval)
    return max(low, polling.floor), max(high, polling.floor)


def until_next_look(
    job: Job, polling: Polling, interval: float | None, now: datetime, jitter: float, *, is_watched: bool = False
) -> float:
    """How long to leave a running job alone; `jitter` is 0 to 1."""
    age = (now - job.created_at).total_seconds() if job.created_at else math.inf
    # Further in the future than that is no disagreement of clocks: the service writes another time zone.
    if abs(age) < polling.first:
        return max(polling.first - age, polling.floor)
    low, high = between_looks(polling, interval)
    wait = low + (high - low) * jitter
    if interval is None and not is_watched:
        # Until the quickest are done, when its age has doubled: so no more requests are made than the services' own
        # sample loops make (tests/benchmarks/economy.py). On a live screen a row would stand still for that long.
        wait = max(wait, min(age, polling.quickest - age, LONGEST_EARLY_WAIT))
    return wait if job.estimated_time is None else min(max(job.estimated_time, low), max(high, wait))


def with_next_look(job: Job, polling: Polling) -> Job:
    """Say of an ended job when the next look is welcome, where asking again can help, and only there."""
    if not job.ended or not job.retryable:
        return replace(job, poll_after=None) if job.ended else job
    asked = getattr(job.problem, "retry_after", None) or 0
    return replace(job, poll_after=max(job.poll_after or polling.every[0], polling.floor, asked))


@dataclass(slots=True, eq=False)
class Gate:
    """What shares a limit: at most `width` requests at once, `spacing` seconds between two, none in a pause.

    `limit`: the reason of the last pause.
    """

    width: int
    spacing: float = 0
    limit: RateLimited | None = None
    paused_until: float = -math.inf
    in_flight: int = 0
    _paused_at: float = -math.inf
    _pause: float = 0
    _next_at: float = -math.inf

    @property
    def opens_at(self) -> float:
        """When the next request may go out; never, while all of the width is in use."""
        return max(self._next_at, self.paused_until) if self.in_flight < self.width else math.inf

    def sent(self, now: float) -> None:
        self.in_flight += 1
        self._next_at = now + self.spacing

    def answered(self, sent_at: float) -> None:
        """A pause was long enough if what was sent after it is answered."""
        if sent_at > self._paused_at:
            self._pause = 0

    def limited(self, error: RateLimited, sent_at: float, now: float, least: float, jitter: float) -> None:
        """Pause: as long as the service says, else longer than the last time, `least` at first."""
        wait = error.retry_after
        if wait is None:
            if sent_at <= self._paused_at:
                return  # under way when the pause began: it knows nothing of the pause's length
            self._pause = wait = Backoff(least, LONGEST_PAUSE).after(self._pause)
        self.limit, self._paused_at = error, now
        self.paused_until = max(self.paused_until, now + wait + jitter)


@dataclass(slots=True, eq=False)
class Lane(Generic[T]):
    """A queue before a gate."""

    gate: Gate
    group: Group | None = None
    ready: deque[T] = field(default_factory=deque)
    in_flight: set[T] = field(default_factory=set)

    @property
    def opens_at(self) -> float:
        """When the next in the queue may go out: never, while the queue is empty."""
        if not self.ready:
            return math.inf
        return max(self.gate.opens_at, self.group.opens_at if self.group else -math.inf)

    def sent(self, entry: T, now: float) -> None:
        self.in_flight.add(entry)
        self.gate.sent(now)

    def left(self, entry: T) -> None:
        """Free the place of what has been answered or given up."""
        if entry in self.in_flight:
            self.in_flight.remove(entry)
            self.gate.in_flight -= 1


class Mode(Enum):
    """How a key group is asked: freely, or one job at a time."""

    OPEN = auto()
    TROUBLE = auto()
    REFUSED = auto()


REFUSALS = {Meaning.KEY, Meaning.CREDIT, Meaning.MISSING}
TROUBLES = {Meaning.BUSY, Meaning.FOREIGN}


@dataclass(slots=True, eq=False)
class Group:
    """What the jobs of one key have met: what three different jobs in a row meet concerns them all.

    `ever`: the account has worked, now or on an earlier day. `answered`: in this process. `left`: jobs still waited
    for. `verdict`: the end of all jobs that were there at that time. `refusals`: the first of each kind, which is told
    once for all.
    """

    ever: bool = False
    answered: bool = False
    left: int = 0
    mode: Mode = Mode.OPEN
    pause: float = 0
    verdict: tuple[float, VideostatError] | None = None
    lock: Lock = field(default_factory=Lock)
    gates: dict[str, Gate] = field(default_factory=dict)
    heard_at: dict[JobRef, float] = field(default_factory=dict)
    trouble: VideostatError | None = None
    sightings: int = 0
    turns: int = 0
    refusals: dict[tuple[type, str | None], VideostatError] = field(default_factory=dict)
    _most_remembered: int = REMEMBERED
    _answered_at: float = -math.inf
    _foreign_since: float = math.inf
    _row: list[JobRef] = field(default_factory=list)
    _row_of: frozenset[Meaning] = frozenset()
    _sent: dict[JobRef, float] = field(default_factory=dict)
    _turn_at: float = math.inf
    _turn_of: JobRef | None = None

    @property
    def opens_at(self) -> float:
        """When a request may go out freely: until the first answer one at a time, a second if that takes long."""
        if self.mode is not Mode.OPEN:
            return math.inf
        if self.answered or not self._sent:
            return -math.inf
        return min(self._sent.values()) + SECOND_CONTACT if len(self._sent) == 1 else math.inf

    @property
    def turn_at(self) -> float:
        """When the one job that asks for all of a group in trouble may do so."""
        return math.inf if self.mode is Mode.OPEN or self._turn_of else self._turn_at

    @property
    def gives_up_at(self) -> float:
        """When an address that has never worked is no longer asked."""
        return math.inf if self.ever or self.answered else self._foreign_since + PATIENCE

    def begin_anew(self) -> None:
        """Forget trouble whose end nobody has waited for; pauses and what was answered stay known."""
        self.mode, self.pause, self.verdict, self.sightings, self.turns = Mode.OPEN, 0, None, 0, 0
        self._foreign_since, self._row = math.inf, []

    def is_in_row(self, ref: JobRef) -> bool:
        return ref in self._row

    def sent(self, ref: JobRef, now: float) -> None:
        self._sent[ref] = now
        if self.mode is not Mode.OPEN:
            self._turn_of = ref

    def gave_up(self, ref: JobRef, now: float) -> None:
        """Forget a request that nobody waits for any more."""
        self._sent.pop(ref, None)
        if self._turn_of == ref:
            self._turn_of, self._turn_at = None, max(now, self._turn_at)

    def heard(
        self, ref: JobRef, meaning: Meaning, now: float, *, sure: bool, is_answer: bool, floor: float, least: float
    ) -> None:
        """Learn from an answer to one job; `floor` and `least`, the shortest interval, are its service's."""
        self._sent.pop(ref, None)
        if len(self.heard_at) > self._most_remembered:
            self.heard_at = {each: at for each, at in self.heard_at.items() if now - at < LONGEST_PAUSE}
            self._most_remembered = 2 * len(self.heard_at) + REMEMBERED
        self.heard_at[ref] = now
        is_turn, self._turn_of = self._turn_of == ref, None if self._turn_of == ref else self._turn_of
        if is_answer:
            self.answered = self.ever = True
            self._answered_at, self._foreign_since, self._row = now, math.inf, []
            self.sightings = 0
            if sure or self.mode is Mode.REFUSED:
                self.mode, self.pause = Mode.OPEN, 0
        elif meaning in REFUSALS and (meaning is not Meaning.MISSING or not self.ever):
            self._refused(ref, now, floor, is_turn=is_turn)
        elif meaning in TROUBLES:
            self._troubled(ref, meaning, now, floor, least, is_turn=is_turn)
        if is_turn and self.mode is not Mode.OPEN:
            self.turns += 1
            self.pause = Backoff(least, LONGEST_PAUSE).after(self.pause)
            self._turn_at = now + self.pause

    def _refused(self, ref: JobRef, now: float, floor: float, *, is_turn: bool) -> None:
        if self.mode is Mode.REFUSED and is_turn:
            self.mode, self._row, self.pause = Mode.OPEN, [], 0
            self.verdict = (now, self.trouble) if self.trouble else None
        elif self._in_a_row(ref, REFUSALS) >= THREE and self.mode is not Mode.REFUSED:
            self.mode, self.pause, self._turn_at = Mode.REFUSED, floor, now + floor

    def _troubled(
        self, ref: JobRef, meaning: Meaning, now: float, floor: float, least: float, *, is_turn: bool
    ) -> None:
        if meaning is Meaning.FOREIGN:
            self._foreign_since = min(self._foreign_since, now)
            self.sightings += 1
        if self.mode is Mode.REFUSED and is_turn:
            self.mode = Mode.OPEN
        is_long = not self.answered or now - self._answered_at >= floor
        if self._in_a_row(ref, TROUBLES) >= min(THREE, self.left) and is_long and self.mode is Mode.OPEN:
            self.mode, self.pause, self._turn_at, self.turns = Mode.TROUBLE, least, now + least, 0

    def _in_a_row(self, ref: JobRef, kind: set[Meaning]) -> int:
        if self._row_of != kind:
            self._row, self._row_of = [], frozenset(kind)
        self._row = [*(each for each in self._row if each != ref), ref][-THREE:]
        return len(self._row)
