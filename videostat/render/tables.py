"""Print lists on stdout: tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from videostat.models import State
from videostat.render.answers import guard_stdout
from videostat.render.columns import get_cell_text, make_link, print_columns
from videostat.render.cursor import TO_LINE_END
from videostat.render.log import is_screen
from videostat.render.messages import format_failure, say, write_stderr
from videostat.render.text import (
    COLOURS,
    clean_text,
    format_ago,
    format_length,
    format_path,
    format_progress,
    format_size,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from videostat.history.record import Record
    from videostat.models import Job
    from videostat.render.columns import Cell

SOON = 3  # days before the service deletes a video; fewer are marked


def print_table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print aligned columns on a terminal, else tab-separated lines without a header.

    If reading the rows fails, those before the failure are printed.
    """
    if not sys.stdout.isatty():
        with guard_stdout():
            for row in rows:
                print("\t".join(clean_text(get_cell_text(cell), longest=None) for cell in row))
        return
    shown: list[list[Cell]] = []
    try:
        for row in rows:
            shown.append([_shorten_cell(cell) for cell in row])  # noqa: PERF401  it keeps what came before an error
    finally:
        if shown:
            with guard_stdout():
                print_columns(headers, shown)
    if not shown:
        say("There is nothing to show.")


def _shorten_cell(cell: Cell) -> Cell:
    """Shorten "environment variable NAME" to NAME; the capitals show what it is."""
    return cell.removeprefix("environment variable ") if isinstance(cell, str) else cell


def say_list_is_cut(shown: int, total: int | None) -> None:
    """Say that a list was cut, and how to see the rest."""
    count = f"the newest {shown:,}" if total is None else f"{shown:,} of {total:,}"
    say(f"videostat: {count}; --all shows the rest")


def print_lines(lines: Iterable[str]) -> None:
    """Print each line as soon as it is available."""
    for line in lines:
        with guard_stdout():
            print(line)


LIST_HEADERS = ("ID", "STATE", "PROGRESS", "TITLE", "LENGTH", "CREATED", "DAYS LEFT", "MESSAGE")


def make_list_row(job: Job, retention: Mapping[State, timedelta], now: datetime) -> list[Cell]:
    """Make the row of a job that a service lists.

    `retention`: how long the service keeps a job in each state.
    """
    return [
        make_link(job.ref.id, job.video_url) if job.video_url else job.ref.id,
        (job.state, COLOURS[job.state]),
        format_progress(job),
        clean_text(job.title or "", longest=60),
        "" if job.duration is None else format_length(job.duration),
        format_ago(job.created_at, now) if job.created_at else "",
        _format_days_left(job, retention, now),
        format_failure(job) if job.state is State.FAILED else "",
    ]


def _format_days_left(job: Job, retention: Mapping[State, timedelta], now: datetime) -> Cell:
    since, kept = job.completed_at or job.created_at, retention.get(job.state)
    if since is None or kept is None:
        return ""
    days = max((since + kept - now).total_seconds() / 86400, 0)
    return (f"{days:.1f} !", "bold red") if days < SOON else f"{days:.0f}"


HISTORY_HEADERS = ("PROVIDER", "ID", "STATE", "SEEN", "SIZE", "RESULT")


def make_history_row(seen: Record, now: datetime) -> list[Cell]:
    """Make the row of a job from the history."""
    job = seen.job
    return [
        job.ref.provider,
        job.ref.id,
        (job.state, COLOURS[job.state]),
        format_ago(seen.last_seen, now),
        format_size(job.saved.bytes) if job.saved else "",
        make_link(format_path(job.saved.file), job.saved.file) if job.saved else _format_reason(job),
    ]


def _format_reason(job: Job) -> str:
    return format_failure(job) if job.state is State.FAILED else clean_text(job.error or "")


def show_progress(jobs: Iterable[tuple[Job, int | None]], *, shown: bool) -> Iterator[tuple[Job, int | None]]:
    """Yield the jobs with their total, and count them on stderr.

    The count is shown only on a terminal in the foreground.
    """
    shown = shown and is_screen()
    try:
        for number, (job, total) in enumerate(jobs, 1):
            if shown and number % 100 == 1:
                write_stderr(f"\r{number:,}" + (f" of {total:,}" if total else "") + TO_LINE_END)
            yield job, total
    finally:
        if shown:
            write_stderr("\r" + TO_LINE_END)
