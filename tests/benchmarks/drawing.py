"""Measure how much of one core the live view takes on a terminal, with four frames a second."""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from itertools import cycle
from typing import TYPE_CHECKING

from measure import Row, show

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME = 0.25
LOOKS = 50  # a second: an account's default limit


def main() -> None:
    """Read the options, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--draw", nargs=2, metavar=("VIEW", "JOBS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.draw:
        view, jobs = options.draw
        print({"live": _draw_live, "progress": _draw_progress}[view](int(jobs), options.seconds))
    else:
        show(_measure(options.seconds))


def _measure(seconds: float) -> Iterator[Row]:
    progress, live = _measure_view("progress", 1000, seconds), _measure_view("live", 1000, seconds)
    yield Row(what="1,000 jobs, rich.Progress with a row each, of a core", peer=progress, ours=live, unit="%")
    yield Row(what="20 jobs, of a core", ours=_measure_view("live", 20, seconds), unit="%", at_most=5)
    yield Row(what="1,000 jobs, of a core", ours=live, unit="%", at_most=5)
    yield Row(what="10,000 jobs, of a core", ours=_measure_view("live", 10_000, seconds), unit="%", at_most=5)


def _measure_view(view: str, jobs: int, seconds: float) -> float:
    """Draw in another process, on a terminal that is read. Return the percentage of a core."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    threading.Thread(target=_read, args=(screen,), daemon=True).start()
    drawn = subprocess.run(
        [sys.executable, __file__, "--seconds", str(seconds), "--draw", view, str(jobs)],
        env=os.environ | {"TERM": "xterm-256color"},
        stdout=subprocess.PIPE,
        stderr=terminal,
        check=True,
    )
    os.close(terminal)
    return float(drawn.stdout)


def _read(screen: int) -> None:
    try:
        while os.read(screen, 1 << 16):
            pass
    except OSError:
        os.close(screen)


def _draw_live(count: int, seconds: float) -> float:
    from datetime import UTC, datetime

    from videostat.clock import Clock
    from videostat.models import Job, JobRef, State
    from videostat.render.board import Work
    from videostat.render.live import Live

    now = datetime.now(UTC)
    # Every second job has no progress, so its row shows a moving pulse.
    jobs = [
        Job(ref=JobRef("jogg", f"{at}"), state=State.RUNNING, progress=40 if at % 2 else None, created_at=now)
        for at in range(count)
    ]
    with Live(Work(activity="waiting for", usual={job.ref: 180 for job in jobs}, timeout=600), Clock()) as view:
        for job in jobs:
            view.update(job)
        return _measure_updates(map(view.update, cycle(jobs)), seconds)


def _draw_progress(count: int, seconds: float) -> float:
    from rich.console import Console
    from rich.progress import Progress

    progress = Progress(console=Console(stderr=True), refresh_per_second=1 / FRAME)
    # Add the rows before the view starts, because each later one would draw them all.
    tasks = [progress.add_task(f"job-{at}", total=100, start=False) for at in range(count)]

    def update_rows() -> Iterator[None]:
        for task in cycle(tasks):
            yield
            progress.update(task, completed=40)

    with progress:
        return _measure_updates(update_rows(), seconds)


def _measure_updates(updates: Iterator[None], seconds: float) -> float:
    """Make as many updates as an account allows. Return the percentage of a core that they took."""
    used, began = time.process_time(), time.perf_counter()
    while time.perf_counter() < began + seconds:
        next(updates)
        time.sleep(1 / LOOKS)
    return 100 * (time.process_time() - used) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
