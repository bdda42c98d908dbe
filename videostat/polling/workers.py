"""Run the steps of jobs in threads. They are daemons, because concurrent.futures would wait for its threads at exit."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from videostat.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable


Outcome = TypeVar("Outcome")


class Workers(Generic[Outcome]):
    """A pool of threads. It starts a thread only if no other is idle.

    `deliver` is called with the outcome of each step, in the thread of the step.
    """

    def __init__(self, deliver: Callable[[Outcome], object]) -> None:
        self._deliver = deliver
        self._steps: SimpleQueue[Callable[[], Outcome] | None] = SimpleQueue()
        self._lock = Lock()
        self._idle = 0  # threads without a step; below zero, steps without a thread
        self._has_threads = self._is_closed = False

    def submit(self, step: Callable[[], Outcome]) -> None:
        """Start a step. If the system refuses another thread, queue it; if it refuses the first, raise Unreachable."""
        with self._lock:
            if self._idle > 0 or not self._start():
                self._idle -= 1
        self._steps.put(step)

    def close(self) -> None:
        """End each thread after its current step, and drop the queued steps."""
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
            # Before the delivery, or the step that follows it would start another thread.
            with self._lock:
                self._idle += 1
            self._deliver(outcome)
        # Wake the next thread, which ends too.
        self._steps.put(None)
