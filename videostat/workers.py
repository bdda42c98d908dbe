"""Daemon threads, as many as there is work for at once: concurrent.futures joins its own at exit."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Workers:
    """Whoever submits bounds their number: there are never more than pieces of work in flight."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = Semaphore(0)

    def submit(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        if not self._idle.acquire(blocking=False):
            Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._work.get()()
            self._idle.release()
