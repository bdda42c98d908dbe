"""Keep, for each API key, what its jobs have met, and the queues of its requests. Times are monotonic seconds.

A Group belongs to a client. All waits of one process share it, from any thread.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from videostat.clock import Backoff
from videostat.polling.pace import LONGEST_PAUSE, Gate
from videostat.providers.base import REFUSALS, Meaning

if TYPE_CHECKING:
    from videostat.errors import VideostatError
    from videostat.models import JobRef

T = TypeVar("T")

SECOND_CONTACT = 5  # seconds without an answer to the first look, before a second look is sent
IN_A_ROW = 3  # different jobs in a row that meet the same trouble: it concerns the whole key group
REMEMBERED = 1000  # jobs whose last answer is remembered, because of their floor
PATIENCE = 120  # seconds until an address that has never worked is given up


@dataclass(slots=True, eq=False)
class Lane(Generic[T]):
    """A queue before a gate."""

    gate: Gate
    group: Group | None = None
    ready: deque[T] = field(default_factory=deque)
    in_flight: set[T] = field(default_factory=set)

    @property
    def opens_at(self) -> float:
        """Return when the next entry may be sent; infinity while the queue is empty."""
        if not self.ready:
            return math.inf
        return max(self.gate.opens_at, self.group.opens_at if self.group else -math.inf)

    def on_sent(self, entry: T, now: float) -> None:
        """Count an entry that was just sent."""
        self.in_flight.add(entry)
        self.gate.on_sent(now)

    def free_place(self, entry: T) -> None:
        """Free the place of an entry that was answered or given up."""
        if entry in self.in_flight:
            self.in_flight.remove(entry)
            self.gate.in_flight -= 1


class Mode(Enum):
    """How a key group is asked."""

    OPEN = auto()  # freely
    TROUBLE = auto()  # one job at a time, because its service is in trouble
    REFUSED = auto()  # one job at a time, because its key or its jobs were refused


TROUBLES = {Meaning.BUSY, Meaning.FOREIGN}


@dataclass(slots=True, eq=False)
class Group:
    """The shared state of the jobs of one key. If three jobs in a row fail alike, the whole key is in trouble.

    `ever`: the account has worked, in this process (`answered`) or on an earlier day. `left`: how many jobs are still
    waited for. `verdict`: a time, and the error that ends all jobs from before it. `heard_at`: when each job was last
    answered. `refusals`: the first refusal of each kind, which the other jobs repeat.
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
        """Return when a request may be sent freely: first one, a second if no answer comes, then all."""
        if self.mode is not Mode.OPEN:
            return math.inf
        sent = [*self._sent.values()]  # a copy, because another thread may change it meanwhile
        if self.answered or not sent:
            return -math.inf
        return sent[0] + SECOND_CONTACT if len(sent) == 1 else math.inf

    @property
    def turn_at(self) -> float:
        """Return when one job may ask for a group in trouble."""
        return math.inf if self.mode is Mode.OPEN or self._turn_of else self._turn_at

    @property
    def gives_up_at(self) -> float:
        """Return when an address that has never worked is given up."""
        return math.inf if self.ever or self.answered else self._foreign_since + PATIENCE

    def begin_anew(self) -> None:
        """Forget the trouble of an earlier wait, but not the pauses and answers."""
        self.mode, self.verdict, self.sightings, self.turns = Mode.OPEN, None, 0, 0
        self._foreign_since, self._row = math.inf, []

    def is_in_row(self, ref: JobRef) -> bool:
        """Tell whether the job is one of those in a row that met trouble."""
        return ref in self._row

    def on_sent(self, ref: JobRef, now: float) -> None:
        """Remember a request that was just sent."""
        self._sent[ref] = now
        if self.mode is not Mode.OPEN:
            self._turn_of = ref

    def on_given_up(self, ref: JobRef, now: float) -> None:
        """Forget a request whose job was given up."""
        self._sent.pop(ref, None)
        if self._turn_of == ref:
            self._turn_of, self._turn_at = None, max(now, self._turn_at)

    def on_answer(
        self, ref: JobRef, meaning: Meaning, now: float, *, sure: bool, is_answer: bool, floor: float, least: float
    ) -> None:
        """Learn from an answer; `floor` and `least`, the shortest interval, are the service's."""
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
                self.mode = Mode.OPEN
        elif meaning in REFUSALS and (meaning is not Meaning.MISSING or not self.ever):
            self._on_refusal(ref, now, floor, is_turn=is_turn)
        elif meaning in TROUBLES:
            self._on_trouble(ref, meaning, now, floor, least, is_turn=is_turn)
        if is_turn and self.mode is not Mode.OPEN:
            self.turns += 1
            self.pause = Backoff(least, LONGEST_PAUSE).lengthen(self.pause)
            self._turn_at = now + self.pause

    def _on_refusal(self, ref: JobRef, now: float, floor: float, *, is_turn: bool) -> None:
        if self.mode is Mode.REFUSED and is_turn:
            self.mode, self._row = Mode.OPEN, []
            self.verdict = (now, self.trouble) if self.trouble else None
        elif self._count_in_row(ref, REFUSALS) >= IN_A_ROW and self.mode is not Mode.REFUSED:
            self.mode, self.pause, self._turn_at = Mode.REFUSED, floor, now + floor

    def _on_trouble(
        self, ref: JobRef, meaning: Meaning, now: float, floor: float, least: float, *, is_turn: bool
    ) -> None:
        if meaning is Meaning.FOREIGN:
            self._foreign_since = min(self._foreign_since, now)
            self.sightings += 1
        if self.mode is Mode.REFUSED and is_turn:
            self.mode = Mode.OPEN
        is_long = not self.answered or now - self._answered_at >= floor
        if self._count_in_row(ref, TROUBLES) >= min(IN_A_ROW, self.left) and is_long and self.mode is Mode.OPEN:
            self.mode, self.pause, self._turn_at, self.turns = Mode.TROUBLE, least, now + least, 0

    def _count_in_row(self, ref: JobRef, kind: set[Meaning]) -> int:
        if self._row_of != kind:
            self._row, self._row_of = [], frozenset(kind)
        self._row = [*(each for each in self._row if each != ref), ref][-IN_A_ROW:]
        return len(self._row)
