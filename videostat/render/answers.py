"""stdout, the answer: for people a table, for programs a line a job."""

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
from videostat.render.columns import LEAST, fit_columns, linked, print_columns, print_headers, print_line
from videostat.render.messages import complain, reason, silence
from videostat.render.text import COLOURS, ago, clean, length, percent, place, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from videostat.models import Job, JobRef
    from videostat.render.columns import Cell


T = TypeVar("T")


def choose_line(
    *, json: bool, quiet: bool, bare: Callable[[Job], T], saving: bool = False, names: Sequence[str] | None = None
) -> Callable[[Job], T | str] | None:
    """Return how a job is written for programs; None on a terminal, where people read. `names`: of JSON fields."""
    if json or names is not None:
        return partial(json_line, saving=saving, names=names)
    if quiet:
        return bare
    return None if sys.stdout.isatty() else tab_line


def json_names(*, saving: bool = False) -> list[str]:
    """Return the names of the JSON fields, in their order."""
    return [field.name for field in (FIELDS + SAVING_FIELDS if saving else FIELDS)]


def json_line(job: Job, *, saving: bool = False, names: Sequence[str] | None = None) -> str:
    """Write a job as one JSON object in ASCII; `names` chooses fields and their order."""
    return json_text(fields(job, saving=saving), names)


def json_text(values: Mapping[str, object], names: Sequence[str] | None = None) -> str:
    """Write values as one JSON object in ASCII; `names` chooses fields and their order."""
    chosen = values if names is None else {name: values[name] for name in names}
    text = json.dumps({name: to_json(value) for name, value in chosen.items()}, allow_nan=False)
    # The same JSON, and no command to a CI agent that reads along.
    return text.replace("##", "#\\u0023")


def fields(job: Job, *, saving: bool = False) -> dict[str, object]:
    """Return the JSON fields of a job, always the same in the same order, None where nothing is known."""
    return {field.name: to_json(field.read(job)) for field in (FIELDS + SAVING_FIELDS if saving else FIELDS)}


def tab_line(job: Job) -> str:
    """Write provider, id, state and video URL, or the first file it was saved to, between tabs."""
    return "\t".join((job.ref.provider, job.ref.id, job.state, (bare_video(job) or "").partition("\n")[0]))


def bare_video(job: Job) -> str | None:
    """Return the files that a job's videos were saved to, one a line, else its URL; whole."""
    videos = map(str, job.saved.files) if job.saved else filter(None, [job.video_url])
    return "\n".join(clean(video, longest=None) for video in videos) or None


def bare_state(job: Job) -> str:
    return job.state


def bare_id(job: Job) -> str:
    return job.ref.id


@dataclass
class Answers:
    """Where jobs are answered: by `line` at once, or where that is None for people on a terminal.

    There one job is a card, and several are a table. Its rows come as the jobs of `refs` end, or where that is None all
    together at the end.
    """

    line: Callable[[Job], str | None] | None
    now: Callable[[], datetime]
    refs: Sequence[JobRef] | None = None
    jobs: list[Job] = field(default_factory=list)
    _widths: dict[str, int] = field(default_factory=dict)
    _hinted: set[str] = field(default_factory=set)

    def show(self, job: Job) -> None:
        if self.line is None and self.refs is not None and len(self.refs) > 1:
            with output():
                self._print_row(job)
        elif self.line is None:
            self.jobs.append(job)
        elif (text := self.line(job)) is not None:
            with output():
                print(text)

    def finish(self) -> None:
        if not self.jobs:
            return
        with output():
            if len(self.jobs) == 1:
                print_card(self.jobs[0], self.now())
                return
            print_columns(_HEADERS, [_row(job, self.now()) for job in self.jobs])
            for job in self.jobs:
                self._print_more(job, str(job.ref))

    def _print_row(self, job: Job) -> None:
        """Below the header, in columns that are as wide as the longest names."""
        row = dict(zip(_ENDED, _ended_row(job), strict=True))
        if not self._widths:
            refs = self.refs or ()
            names = (max(len(getattr(ref, name)) for ref in refs) for name in ("provider", "id"))
            widths = dict(zip(_ENDED, (*names, len("+ succeeded"), len("59m59s"), len("59m59s"), LEAST), strict=True))
            widths = {header: max(len(header), width) for header, width in widths.items()}
            self._widths = {header: widths[header] for header in fit_columns(widths)}
            print_headers(self._widths)
        print_line([row[header] for header in self._widths], self._widths.values())
        self._print_more(job)

    def _print_more(self, job: Job, name: str = "") -> None:
        """What stands on a line of its own: what to type next, and the URL, which people copy."""
        complaint = complain(job)
        if complaint and complaint.hint and complaint.hint not in self._hinted:
            print_line([f"  {complaint.hint}"], [])
            self._hinted.add(complaint.hint)
        if job.video_url and not job.saved and not isinstance(job.problem, Stopped):
            url = linked(clean(job.video_url, longest=None), job.video_url)
            print_line([name, url] if name else [url], [])


@contextmanager
def output() -> Iterator[None]:
    """Everything written to stdout; raises OutputClosed when its reader is gone, UsageError when it is full."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a letter of a title is shown its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise OutputClosed("nobody reads the answer") from error
    except OSError as error:
        silence(sys.stdout)
        raise UsageError(f"the answer cannot be written to stdout: {error.strerror}") from error


# As wait and download give them.
_ENDED = ("PROVIDER", "ID", "STATE", "TOOK", "LENGTH", "RESULT")


def _ended_row(job: Job) -> list[Cell]:
    took = job.completed_at and job.created_at and (job.completed_at - job.created_at).total_seconds()
    sign, bad = ("\u2713", "\u2717") if "utf" in sys.stdout.encoding.lower() else ("+", "x")
    if job.exit_code is not ExitCode.OK:
        sign = " " if isinstance(job.problem, Stopped) else bad
    return [
        job.ref.provider,
        job.ref.id,
        (f"{sign} {job.state}", "red" if sign == bad else COLOURS[job.state]),
        format_duration(took) if took and took > 0 else "",
        "" if job.duration is None else length(job.duration),
        _file(job) if job.exit_code is ExitCode.OK else _why(job),
    ]


def _file(job: Job) -> Cell:
    if job.saved is None:
        return ""
    text = linked(place(job.saved.file), job.saved.file)
    return text.append(f" ({size(job.saved.bytes)})" + (", already saved" if job.saved.skipped else ""))


def _why(job: Job) -> str:
    code = f" (code {clean(job.error_code)})" if job.error_code and job.problem is None else ""
    return reason(job) + code


_HEADERS = ("PROVIDER", "ID", "STATE", "PROGRESS", "TIME LEFT", "LENGTH", "CREATED", "TITLE", "MESSAGE")


def _row(job: Job, now: datetime) -> list[Cell]:
    return [
        job.ref.provider,
        job.ref.id,
        (job.state, COLOURS[job.state]),
        percent(job),
        "" if job.estimated_time is None or job.state.is_terminal else format_duration(job.estimated_time),
        "" if job.duration is None else length(job.duration),
        "" if job.created_at is None else ago(job.created_at, now),
        clean(job.title or "", longest=60),
        _why(job),
    ]
