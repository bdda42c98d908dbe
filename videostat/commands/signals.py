"""Ctrl-C and SIGTERM: the first asks, the second ends."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from queue import SimpleQueue
    from types import FrameType


SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_put_into(inbox: SimpleQueue[Any]) -> Iterator[None]:
    """The first signal becomes a number in the inbox, the second ends the process at once."""

    def handle(signum: int, _: FrameType | None) -> None:
        # Of all queues only SimpleQueue may be put into from a handler that interrupts its own put.
        inbox.put(signum)
        for each in SIGNALS:
            signal.signal(each, end)

    def end(signum: int, _: FrameType | None) -> None:
        from videostat.render.live import show_cursor

        show_cursor()
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)

    before = {signum: signal.signal(signum, handle) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
