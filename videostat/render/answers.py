"""Print jobs on stdout: a table for people, one line per job for programs."""

from __future__ import annotations

import io
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from videostat.clock import format_duration
from videostat.errors import ExitCode, OutputClosed, Stopped, UsageError
from videostat.models import FIELDS, SAVING_FIELDS, to_json
from videostat.render.card import print_card
from videostat.render.columns import (
    LAST_WIDTH,
    fit_columns,
    make_file_link,
    make_link,
    print_columns,
    print_headers,
    print_row,
)
from videostat.render.messages import format_reason, make_complaint, redirect_to_devnull
from videostat.render.text import COLOURS, clean_text, format_ago, format_length, format_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from videostat.models import Job, JobRef
    from videostat.render.columns import Cell


T = TypeVar("T")


def choose_line(
    *, json: bool, quiet: bool, bare: Callable[[Job], T], saving: bool = False, names: Sequence[str] | None
) -> Callable[[Job], T | str] | None:
    """Choose the function that formats a job; None for a person at a terminal.

    `bare`: for --quiet. `names`: the JSON fields to print. `saving`: add the fields about a saved file.
    """
    if json or names is not None:
        return partial(format_json, saving=saving, names=names)
    if quiet:
        return bare
    return None if sys.stdout.isatty() else format_tab_line


def list_json_fields(*, saving: bool = False) -> list[str]:
    """List the names of the JSON fields in their order."""
    return [field.name for field in (FIELDS + SAVING_FIELDS if saving else FIELDS)]


def format_json(job: Job, *, saving: bool = False, names: Sequence[str] | None = None) -> str:
    """Format a job as a line of ASCII JSON; `names` selects and orders fields."""
    return format_json_values(collect_fields(job, saving=saving), names)


def format_json_values(values: Mapping[str, object], names: Sequence[str] | None = None) -> str:
    """Format values as one line of ASCII JSON; `names` selects and orders them."""
    chosen = values if names is None else {name: values[name] for name in names}
    text = json.dumps({name: to_json(value) for name, value in chosen.items()}, allow_nan=False)
    # The JSON value is the same, but a CI agent finds no command in it.
    return text.replace("##", "#\\u0023")


def collect_fields(job: Job, *, saving: bool) -> dict[str, object]:
    """Collect all JSON fields of a job in their order; an unknown one is None."""
    return {field.name: to_json(field.read(job)) for field in (FIELDS + SAVING_FIELDS if saving else FIELDS)}


def format_tab_line(job: Job) -> str:
    """Format provider, id, state and video, separated by tabs.

    The video is the first saved file, or else the video URL.
    """
    return "\t".join((job.ref.provider, job.ref.id, job.state, (format_video(job) or "").partition("\n")[0]))


def format_video(job: Job) -> str | None:
    """Format a job's saved files, one per line, or its video URL; None if it has neither."""
    videos = map(str, job.saved.files) if job.saved else filter(None, [job.video_url])
    return "\n".join(clean_text(video, longest=None) for video in videos) or None


def format_state(job: Job) -> str:
    """Return the state of a job, for --quiet."""
    return job.state


def format_id(job: Job) -> str:
    """Return the id of a job, for --quiet."""
    return job.ref.id


@dataclass
class Answers:
    """A printer of jobs on stdout.

    `line` formats a job for programs; each line is printed at once. If `line` is None, people on a terminal see one job
    as a card and several as a table. A row is printed as soon as its job ends if `refs` gives the jobs in advance;
    otherwise all rows are printed together at the end.
    """

    line: Callable[[Job], str | None] | None
    now: Callable[[], datetime]
    refs: Sequence[JobRef] | None = None
    jobs: list[Job] = field(default_factory=list)
    _widths: dict[str, int] = field(default_factory=dict)
    _hinted: set[str] = field(default_factory=set)

    def show(self, job: Job) -> None:
        """Print a job now, or keep it until `finish`."""
        if self.line is None and self.refs is not None and len(self.refs) > 1:
            with guard_stdout():
                self._print_row(job)
        elif self.line is None:
            self.jobs.append(job)
        elif (text := self.line(job)) is not None:
            with guard_stdout():
                print(text)

    def finish(self) -> None:
        """Print the jobs that `show` has kept."""
        if not self.jobs:
            return
        with guard_stdout():
            if len(self.jobs) == 1:
                print_card(self.jobs[0], self.now())
                return
            print_columns(_HEADERS, [_make_row(job, self.now()) for job in self.jobs])
            for job in self.jobs:
                self._print_more(job, str(job.ref))

    def _print_row(self, job: Job) -> None:
        """Print the row of an ended job, the first time below a header."""
        row = dict(zip(_ENDED_HEADERS, _make_ended_row(job), strict=True))
        if not self._widths:
            refs = self.refs or ()
            names = (max(len(getattr(ref, name)) for ref in refs) for name in ("provider", "id"))
            widths = dict(
                zip(_ENDED_HEADERS, (*names, len("+ succeeded"), len("59m59s"), len("59m59s"), LAST_WIDTH), strict=True)
            )
            widths = {header: max(len(header), width) for header, width in widths.items()}
            self._widths = {header: widths[header] for header in fit_columns(widths)}
            print_headers(self._widths)
        print_row([row[header] for header in self._widths], self._widths.values())
        self._print_more(job)

    def _print_more(self, job: Job, name: str = "") -> None:
        """Print the hint and the video URL, each on its own line."""
        complaint = make_complaint(job)
        if complaint and complaint.hint and complaint.hint not in self._hinted:
            print_row([f"  {complaint.hint}"], [])
            self._hinted.add(complaint.hint)
        if job.video_url and not job.saved and not isinstance(job.problem, Stopped):
            url = make_link(clean_text(job.video_url, longest=None), job.video_url)
            print_row([name, url] if name else [url], [])


@contextmanager
def guard_stdout() -> Iterator[None]:
    """Flush stdout after the block, and translate its errors.

    Raises OutputClosed if the reader is gone, UsageError if the output cannot be written.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the encoding lacks is printed as its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise OutputClosed("the reader of the answer is gone") from error
    except OSError as error:
        redirect_to_devnull(sys.stdout)
        raise UsageError(f"the answer cannot be written to stdout: {error.strerror}") from error


# The table of wait and download.
_ENDED_HEADERS = ("PROVIDER", "ID", "STATE", "TOOK", "LENGTH", "RESULT")


def _make_ended_row(job: Job) -> list[Cell]:
    seconds = job.completed_at and job.created_at and (job.completed_at - job.created_at).total_seconds()
    sign, bad = ("\u2713", "\u2717") if "utf" in sys.stdout.encoding.lower() else ("+", "x")
    if job.exit_code is not ExitCode.OK:
        sign = " " if isinstance(job.problem, Stopped) else bad
    return [
        job.ref.provider,
        job.ref.id,
        (f"{sign} {job.state}", "red" if sign == bad else COLOURS[job.state]),
        format_duration(seconds) if seconds and seconds > 0 else "",
        "" if job.duration is None else format_length(job.duration),
        _format_file(job) if job.exit_code is ExitCode.OK else _format_reason(job),
    ]


def _format_file(job: Job) -> Cell:
    if job.saved is None:
        return ""
    return make_file_link(job.saved).append(", already saved" if job.saved.skipped else "")


def _format_reason(job: Job) -> str:
    code = f" (code {clean_text(job.error_code)})" if job.error_code and job.problem is None else ""
    return format_reason(job) + code


_HEADERS = ("PROVIDER", "ID", "STATE", "PROGRESS", "TIME LEFT", "LENGTH", "CREATED", "TITLE", "MESSAGE")


def _make_row(job: Job, now: datetime) -> list[Cell]:
    return [
        job.ref.provider,
        job.ref.id,
        (job.state, COLOURS[job.state]),
        format_progress(job),
        "" if job.estimated_time is None or job.state.is_terminal else format_duration(job.estimated_time),
        "" if job.duration is None else format_length(job.duration),
        "" if job.created_at is None else format_ago(job.created_at, now),
        clean_text(job.title or "", longest=60),
        _format_reason(job),
    ]
