"""A clock whose time passes only while all threads wait, and threads that take turns on it."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from fakes import EPOCH

from videostat.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from queue import SimpleQueue

SILENT = object()  # the result of an event that gives the loop no message


class Killed(BaseException):
    """The process was killed, so nothing of the program runs any more."""


class Turn:
    """A step on a thread of its own, which runs while the main thread waits for it to sleep or to end."""

    def __init__(self, time: Time, step: Callable[[], object]) -> None:
        self._time, self._step = time, step
        self._go, self._back = Lock(), Lock()
        self._go.acquire()
        self._back.acquire()
        self._outcome: object = SILENT
        self.is_over = False
        self._is_dead = False
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def go_on(self) -> object:
        """Let the step run until it sleeps or ends; return its result, or SILENT while it has none."""
        self._time.turn = self
        self._go.release()
        self._back.acquire()
        self._time.turn = None
        if isinstance(self._outcome, Killed):
            raise self._outcome
        return self._outcome if self.is_over else SILENT

    def sleep(self) -> None:
        """Give the turn back to the main thread; the thread of the step calls this."""
        if self._is_dead:
            raise Killed
        self._back.release()
        self._go.acquire()
        if self._is_dead:
            raise Killed

    def kill(self) -> None:
        """End the thread."""
        self._is_dead = True
        self._go.release()
        self._thread.join()

    def _run(self) -> None:
        self._go.acquire()
        if self._is_dead:
            return
        try:
            self._outcome = self._step()
        except Killed as killed:
            self._outcome = killed
        self.is_over = True
        if not self._is_dead:
            self._back.release()


class Time(Clock):
    """A clock for the main thread and its turns. `sleeps`: when the machine fell asleep, and for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.sleeps: list[tuple[float, float]] = []
        self.turn: Turn | None = None
        self.turns: list[Turn] = []
        self._coming: list[tuple[float, int, Any]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return self.at(self.time)

    def wall(self, time: float) -> float:
        """Return the seconds of a clock that goes on while the machine is asleep."""
        return time + sum(seconds for at, seconds in self.sleeps if at <= time)

    def at(self, time: float) -> datetime:
        return EPOCH + timedelta(seconds=self.wall(time))

    def deliver(self, at: float, item: object) -> None:
        """Let `wait` return the item at that time, or the result of calling it if it is a function."""
        if at < math.inf:
            heappush(self._coming, (at, next(self._order), item))

    def begin(self, step: Callable[[], object]) -> None:
        """Run a step on a thread that takes turns."""
        turn = Turn(self, step)
        self.turns.append(turn)
        self.deliver(self.time, turn.go_on)

    def sleep(self, seconds: float) -> None:
        if self.turn is None:
            self.time += seconds
        else:
            self.deliver(self.time + seconds, self.turn.go_on)
            self.turn.sleep()

    def wait(self, inbox: SimpleQueue[Any], seconds: float) -> Any:
        if self.turn is not None:
            if inbox.empty():
                self.sleep(max(seconds, 0))
            return None if inbox.empty() else inbox.get()
        until = self.time + max(seconds, 0)
        while self._coming and self._coming[0][0] <= until:
            at, _, item = heappop(self._coming)
            self.time = max(self.time, at)
            found = item() if callable(item) else item
            if found is not SILENT:
                return found
        assert until < math.inf, "it waits for ever"
        self.time = max(self.time, until)
        return None

    def end(self) -> None:
        """Drop all later events and end the threads, as the end of a process does."""
        self._coming.clear()
        for turn in self.turns:
            if not turn.is_over:
                turn.kill()
        self.turns.clear()
