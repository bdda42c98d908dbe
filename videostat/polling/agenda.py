"""Keep entries, each with the time at which it is due, in monotonic seconds."""

from __future__ import annotations

import math
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

T = TypeVar("T", bound="Hashable")


class Agenda(Generic[T]):
    """Entries with the time at which each is due. A new time of an entry replaces the old one."""

    def __init__(self) -> None:
        self._due: dict[T, tuple[float, int]] = {}
        # A replaced or removed time stays in the heap until it comes to the top.
        self._heap: list[tuple[float, int, T]] = []
        self._order = count()

    def __contains__(self, entry: T) -> bool:
        return entry in self._due

    def get_due(self, entry: T) -> float:
        """Return when an entry is due; infinity if it is not in the agenda."""
        return self._due[entry][0] if entry in self._due else math.inf

    def put(self, entry: T, due: float) -> None:
        """Set the time of an entry."""
        order = next(self._order)
        self._due[entry] = (due, order)
        heappush(self._heap, (due, order, entry))

    def bring_forward(self, entry: T, due: float) -> None:
        """Make an entry due at this time, if it is due later now."""
        if due < self.get_due(entry) < math.inf:
            self.put(entry, due)

    def remove(self, entry: T) -> None:
        """Remove an entry, if it is in the agenda."""
        self._due.pop(entry, None)

    def get_next_due(self) -> float:
        """Return the earliest time; infinity if the agenda is empty."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][:2]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def take_due(self, now: float) -> Iterator[T]:
        """Remove and yield the entries that are due, the earliest first."""
        while self.get_next_due() <= now and self._heap:
            entry = heappop(self._heap)[2]
            del self._due[entry]
            yield entry
