r"""Handle signals. The first Ctrl-C, SIGTERM or SIGHUP stops the run, the second ends the process.

Ctrl-Z and Ctrl-\ show the cursor first.
"""

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
    """Put the first signal's number into the inbox; the second ends the process."""
    # nohup starts programs with SIGHUP ignored.
    handled = [each for each in SIGNALS if each.name != "SIGHUP" or signal.getsignal(each) is not signal.SIG_IGN]

    def handle(signum: int, _: FrameType | None) -> None:
        # Only SimpleQueue allows a put in a handler that has interrupted another put.
        inbox.put(signum)
        for each in handled:
            signal.signal(each, end)

    def end(signum: int, _: FrameType | None) -> None:
        from videostat.render.live import show_cursor

        show_cursor()
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)
        # A stopped process continues here; its next frame hides the cursor again.
        signal.signal(signum, end)
        # Before Python 3.13, a get() whose timeout passes during the handler waits for ever.
        inbox.put(WAKE_UP)

    before = {signum: signal.signal(signum, handle) for signum in handled}
    # A shell without job control ignores them.
    before |= {each: signal.signal(each, end) for each in OF_TERMINALS if signal.getsignal(each) is signal.SIG_DFL}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
