"""stdout, the answer: for people a table, for programs a line a job."""

from __future__ import annotations

import io
import json
import math
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from videostat.clock import format_duration
from videostat.errors import ExitCode, OutputClosed, Stopped, UsageError
from videostat.models import FIELDS, SAVING_FIELDS
from videostat.render.columns import print_columns
from videostat.render.messages import silence
from videostat.render.text import COLOURS, ago, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from videostat.models import Job
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
    text = json.dumps({name: _json_value(value) for name, value in chosen.items()}, allow_nan=False)
    # The same JSON, and no command to a CI agent that reads along.
    return text.replace("##", "#\\u0023")


def fields(job: Job, *, saving: bool = False) -> dict[str, object]:
    """Return the JSON fields of a job, always the same in the same order, None where nothing is known."""
    return {field.name: _json_value(field.read(job)) for field in (FIELDS + SAVING_FIELDS if saving else FIELDS)}


def _json_value(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case float():
            return value if math.isfinite(value) else None
        case Path():
            return str(value)
        case list():
            return [*map(_json_value, value)]
        case dict():
            return {name: _json_value(each) for name, each in value.items()}
    return value


def tab_line(job: Job) -> str:
    """Provider, id, state and video URL (or the file it was saved to), between tabs."""
    return "\t".join((job.ref.provider, job.ref.id, job.state, bare_video(job) or ""))


def bare_video(job: Job) -> str | None:
    """The file a video was saved to, else its URL; whole."""
    video = str(job.saved.file) if job.saved else job.video_url
    return clean(video, longest=None) if video else None


def bare_state(job: Job) -> str:
    return job.state


def bare_id(job: Job) -> str:
    return job.ref.id


@dataclass
class Answers:
    """Where jobs are answered: by `line` at once, or where that is None by a table at the end."""

    line: Callable[[Job], str | None] | None
    now: Callable[[], datetime]
    jobs: list[Job] = field(default_factory=list)

    def show(self, job: Job) -> None:
        if self.line is None:
            self.jobs.append(job)
        elif (text := self.line(job)) is not None:
            with output():
                print(text)

    def finish(self) -> None:
        if self.jobs:
            with output():
                print_columns(_HEADERS, [_row(job, self.now()) for job in self.jobs])
                for job in self.jobs:
                    if job.video_url and not job.saved:
                        video = clean(job.video_url, longest=None)
                        print(video if len(self.jobs) == 1 else f"{job.ref}  {video}")


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


_HEADERS = ("PROVIDER", "ID", "STATE", "PROGRESS", "LENGTH", "CREATED", "TITLE", "MESSAGE", "FILE")


def _row(job: Job, now: datetime) -> list[Cell]:
    return [
        job.ref.provider,
        job.ref.id,
        (job.state, COLOURS[job.state]),
        "" if job.progress is None or job.state.is_terminal else f"{job.progress:.0f}%",
        "" if job.duration is None else format_duration(job.duration),
        "" if job.created_at is None else ago(job.created_at, now),
        clean(job.title or "", longest=60),
        _message(job),
        clean(str(job.saved.file), longest=None) if job.saved else "",
    ]


def _message(job: Job) -> str:
    """Why it failed, or what it is doing; what else a success has to say is noise."""
    if job.exit_code is ExitCode.OK:
        return ""
    problem = None if isinstance(job.problem, Stopped) else job.problem
    return clean(str(problem or job.error or job.message or ""), longest=200)
