"""Run steps on daemon threads. concurrent.futures would join its own at exit."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Workers:
    """A pool that starts a thread only when none is idle: never more threads than steps in flight."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle: SimpleQueue[None] = SimpleQueue()

    def submit(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        try:
            self._idle.get_nowait()
        except Empty:
            Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._work.get()()
            self._idle.put(None)
