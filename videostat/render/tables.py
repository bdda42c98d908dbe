"""Rows for people: what is listed on a terminal, and plain lines where it is not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from videostat.models import State
from videostat.render.answers import output
from videostat.render.columns import linked, plain, print_columns
from videostat.render.cursor import TO_LINE_END
from videostat.render.log import is_screen
from videostat.render.messages import say, tell, why_failed
from videostat.render.text import COLOURS, ago, clean, length, percent, place, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from videostat.history.record import Seen
    from videostat.models import Job
    from videostat.render.columns import Cell

SOON = 3  # days before the service deletes a video: time to save it


def show_table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Aligned columns on a terminal, else tab-separated lines without a header."""
    if not sys.stdout.isatty():
        with output():
            for row in rows:
                print("\t".join(clean(plain(cell), longest=None) for cell in row))
        return
    with output():
        print_columns(headers, [[_short(cell) for cell in row] for row in rows])


def _short(cell: Cell) -> Cell:
    """A variable's name alone: its capitals say what it is."""
    return cell.removeprefix("environment variable ") if isinstance(cell, str) else cell


def tell_left_out(shown: int, total: int | None) -> None:
    """Say that a listing was cut, and how to see the rest."""
    which = f"the newest {shown:,}" if total is None else f"{shown:,} of {total:,}"
    say(f"videostat: {which}; --all shows the rest")


def show_lines(lines: Iterable[str]) -> None:
    """Each line as soon as it is there."""
    for line in lines:
        with output():
            print(line)


LISTED = ("ID", "STATE", "PROGRESS", "TITLE", "LENGTH", "CREATED", "DAYS LEFT", "MESSAGE")


def listed_row(job: Job, retention: Mapping[State, timedelta], now: datetime) -> list[Cell]:
    return [
        linked(job.ref.id, job.video_url) if job.video_url else job.ref.id,
        (job.state, COLOURS[job.state]),
        percent(job),
        clean(job.title or "", longest=60),
        "" if job.duration is None else length(job.duration),
        ago(job.created_at, now) if job.created_at else "",
        _days_left(job, retention, now),
        why_failed(job) if job.state is State.FAILED else "",
    ]


def _days_left(job: Job, retention: Mapping[State, timedelta], now: datetime) -> Cell:
    since, kept = job.completed_at or job.created_at, retention.get(job.state)
    if since is None or kept is None:
        return ""
    days = max((since + kept - now).total_seconds() / 86400, 0)
    return (f"{days:.1f} !", "bold red") if days < SOON else f"{days:.0f}"


SEEN = ("PROVIDER", "ID", "STATE", "SEEN", "SIZE", "RESULT")


def seen_row(seen: Seen, now: datetime) -> list[Cell]:
    job = seen.job
    return [
        job.ref.provider,
        job.ref.id,
        (job.state, COLOURS[job.state]),
        ago(seen.last_seen, now),
        size(job.saved.bytes) if job.saved else "",
        linked(place(job.saved.file), job.saved.file) if job.saved else _why(job),
    ]


def _why(job: Job) -> str:
    return why_failed(job) if job.state is State.FAILED else clean(job.error or "")


def counted(jobs: Iterable[tuple[Job, int | None]], *, shown: bool) -> Iterator[tuple[Job, int | None]]:
    """Yield the jobs and the total; show how far a long list has come, on a terminal's stderr."""
    shown = shown and is_screen()
    try:
        for number, (job, total) in enumerate(jobs, 1):
            if shown and number % 100 == 1:
                tell(f"\r{number:,}" + (f" of {total:,}" if total else "") + TO_LINE_END)
            yield job, total
    finally:
        if shown:
            tell("\r" + TO_LINE_END)
