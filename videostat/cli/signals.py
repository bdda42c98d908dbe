r"""Handle Ctrl-C, SIGTERM and SIGHUP: the first asks, the second ends. Ctrl-Z and Ctrl-\: never without the cursor."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from videostat.clock import WAKE_UP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from queue import SimpleQueue
    from types import FrameType


# Of these, those that the system has.
SIGNALS = [each for each in signal.Signals if each.name in {"SIGINT", "SIGTERM", "SIGHUP"}]
OF_TERMINALS = [each for each in signal.Signals if each.name in {"SIGTSTP", "SIGQUIT"}]


@contextmanager
def forward_signals(inbox: SimpleQueue[Any]) -> Iterator[None]:
    """Put the number of the first signal into the inbox; the second ends the process at once."""
    # nohup and its like have started us with it ignored.
    ours = [each for each in SIGNALS if each.name != "SIGHUP" or signal.getsignal(each) is not signal.SIG_IGN]

    def handle(signum: int, _: FrameType | None) -> None:
        # Of all queues only SimpleQueue may be put into from a handler that interrupts its own put.
        inbox.put(signum)
        for each in ours:
            signal.signal(each, end)

    def end(signum: int, _: FrameType | None) -> None:
        from videostat.render.live import show_cursor

        show_cursor()
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)
        # Here a process that was stopped goes on; its next frame hides the cursor again.
        signal.signal(signum, end)
        # Before Python 3.13, a get() whose time ran out during the handler waits for ever.
        inbox.put(WAKE_UP)

    before = {signum: signal.signal(signum, handle) for signum in ours}
    # A shell without job control has them ignored.
    before |= {each: signal.signal(each, end) for each in OF_TERMINALS if signal.getsignal(each) is signal.SIG_DFL}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
