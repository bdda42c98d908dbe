"""Rows for people: what is listed on a terminal, and plain lines where it is not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from videostat.clock import format_duration
from videostat.render.answers import output
from videostat.render.columns import print_columns
from videostat.render.log import is_screen
from videostat.render.messages import say, tell
from videostat.render.text import ago, clean, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from videostat.history import Seen
    from videostat.models import Job, State
    from videostat.render.columns import Cell

SOON = 3  # days before the service deletes a video: time to save it


def show_table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Aligned columns on a terminal, else tab-separated lines without a header."""
    if not sys.stdout.isatty():
        with output():
            for row in rows:
                print("\t".join(clean(cell if isinstance(cell, str) else cell[0], longest=None) for cell in row))
        return
    with output():
        print_columns(headers, list(rows))


def tell_left_out(shown: int, total: int | None) -> None:
    """Say that a listing was cut, and how to see the rest."""
    which = f"the newest {shown:,}" if total is None else f"{shown:,} of {total:,}"
    say(f"videostat: {which}; --all shows the rest")


def show_lines(lines: Iterable[str]) -> None:
    """Each line as soon as it is there."""
    for line in lines:
        with output():
            print(line)


LISTED = ("ID", "STATE", "TITLE", "LENGTH", "CREATED", "DAYS LEFT")


def listed_row(job: Job, retention: Mapping[State, timedelta], now: datetime) -> list[Cell]:
    return [
        job.ref.id,
        job.state,
        clean(job.title or "", longest=60),
        "" if job.duration is None else format_duration(job.duration),
        ago(job.created_at, now) if job.created_at else "",
        _days_left(job, retention, now),
    ]


def _days_left(job: Job, retention: Mapping[State, timedelta], now: datetime) -> Cell:
    since, kept = job.completed_at or job.created_at, retention.get(job.state)
    if since is None or kept is None:
        return ""
    days = max((since + kept - now).total_seconds() / 86400, 0)
    return (f"{days:.1f} !", "bold red") if days < SOON else f"{days:.0f}"


SEEN = ("PROVIDER", "ID", "STATE", "SEEN", "FILE", "SIZE")


def seen_row(seen: Seen, now: datetime) -> list[Cell]:
    job = seen.job
    return [
        job.ref.provider,
        job.ref.id,
        job.state,
        ago(seen.last_seen, now),
        clean(str(job.saved.file)) if job.saved else "",
        size(job.saved.bytes) if job.saved else "",
    ]


def counted(jobs: Iterable[tuple[Job, int | None]], *, shown: bool) -> Iterator[tuple[Job, int | None]]:
    """Yield the jobs and the total; show how far a long list has come, on a terminal's stderr."""
    shown = shown and is_screen()
    try:
        for number, (job, total) in enumerate(jobs, 1):
            if shown and number % 100 == 1:
                tell(f"\r{number:,}" + (f" of {total:,}" if total else "") + "\x1b[K")
            yield job, total
    finally:
        if shown:
            tell("\r\x1b[K")
