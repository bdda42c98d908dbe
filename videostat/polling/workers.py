"""Run steps on daemon threads. concurrent.futures would join its own at exit."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from videostat.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable


Outcome = TypeVar("Outcome")


class Workers(Generic[Outcome]):
    """A pool that starts a thread only when none is idle: never more threads than steps in flight.

    `deliver` gets the outcome of each step, in the step's thread.
    """

    def __init__(self, deliver: Callable[[Outcome], object]) -> None:
        self._deliver = deliver
        self._steps: SimpleQueue[Callable[[], Outcome] | None] = SimpleQueue()
        self._lock = Lock()
        self._idle = 0  # threads without a step; below zero, steps without a thread
        self._has_threads = self._is_closed = False

    def submit(self, step: Callable[[], Outcome]) -> None:
        """Start a step, or queue it where the system gives no further thread; raises Unreachable if it gave none."""
        with self._lock:
            if self._idle > 0 or not self._start():
                self._idle -= 1
        self._steps.put(step)

    def close(self) -> None:
        """End the threads, each after the step it is in; what is queued is dropped."""
        self._is_closed = True
        self._steps.put(None)

    def _start(self) -> bool:
        try:
            Thread(target=self._run, daemon=True).start()
        except RuntimeError as error:
            if not self._has_threads:
                raise Unreachable("the system starts no further thread, so nothing can be asked") from error
            return False
        self._has_threads = True
        return True

    def _run(self) -> None:
        while (step := self._steps.get()) and not self._is_closed:
            outcome = step()
            # First, or the step that the outcome leads to would start another thread.
            with self._lock:
                self._idle += 1
            self._deliver(outcome)
        # For the next thread.
        self._steps.put(None)
