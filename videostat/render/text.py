"""Make text from servers safe to show; format sizes, times and paths."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from videostat.clock import format_duration, to_local
from videostat.models import State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import TextIO

    from videostat.models import Job

COLOURS: Mapping[State, str] = {
    State.QUEUED: "blue",
    State.RUNNING: "cyan",
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.UNKNOWN: "yellow",
}

# Unicode counts these as letters or marks, but they are invisible: fillers, joiners and variation selectors (except
# those of emoji). They could hide text or make one name look like another.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
_HARMLESS = frozenset("\xa0\u3000")  # French and Chinese spaces; isprintable() is False for them
_LONGEST = 500

# Commands that CI agents run when they see them in the output: ##vso[...] of Azure, and similar ones of GitHub and
# TeamCity, anywhere in a line; ::... of GitHub at the beginning of a line.
_COMMANDS = re.compile(r"##(?=[\w.-]*\[)|^\s*::")


def clean_text(foreign: str, *, longest: int | None = _LONGEST) -> str:
    r"""Escape invisible characters in a server's text, as in \u202e, and cut it.

    The result is one line of at most `longest` characters; None does not cut. Escaped are control characters (C0, DEL,
    C1), line ends, bidirectional and zero-width formatting, lone surrogates and unassigned code points: they could
    control a terminal, forge a line or disguise the text.
    """
    # Cut first, because a service may send megabytes. Escaping never shortens a text.
    shown = "".join(map(_escape_invisible, foreign if longest is None else foreign[: longest + 1]))
    # Insert a space into each command that a CI agent would run.
    shown = _COMMANDS.sub(lambda found: f"{found[0][:-1]} {found[0][-1]}", shown)
    return shown if longest is None or len(shown) <= longest else shown[: longest - 3] + "..."


def _escape_invisible(character: str) -> str:
    if (character.isprintable() and character not in _INVISIBLE) or character in _HARMLESS:
        return character
    return character.encode("unicode_escape").decode()


def format_job_count(count: int) -> str:
    """Format a number of jobs: 1 job, 2 jobs."""
    return f"{count:,} job" + ("" if count == 1 else "s")


def format_progress(job: Job) -> str:
    """Format how far an unfinished job has come: 41%. The text is empty if that is unknown."""
    return "" if job.progress is None or job.state.is_terminal else f"{job.progress:.0f}%"


def format_ago(moment: datetime, now: datetime) -> str:
    """Format how long ago a moment was, in whole units: 3h ago."""
    seconds = (now - moment).total_seconds()
    for unit, length in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit} ago"
    return "just now"


def format_size(count: float) -> str:
    """Format bytes with at most three digits: 812 B, 4.2 MB, 131 GB."""
    unit, *larger = "B", "kB", "MB", "GB", "TB"
    while larger and count >= 999.5:  # noqa: PLR2004 - would be rounded to four digits
        count, unit, larger = count / 1000, larger[0], larger[1:]
    return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"  # noqa: PLR2004 - as above


def format_length(seconds: float) -> str:
    """Format the length of a video: 12.5s, 1m30s."""
    return f"{seconds:.1f}s" if seconds < 59.95 else format_duration(seconds)  # noqa: PLR2004 - would be 60.0s


def format_time(when: datetime, now: datetime) -> str:
    """Format a local date and time, and how long ago that was."""
    past = f" ({format_ago(when, now)})" if when <= now else ""
    return f"{to_local(when):%Y-%m-%d %H:%M}{past}"


def format_path(path: Path) -> str:
    """Format a path as a person would type it here.

    It is relative to the current folder, or begins with ~/ below the home folder.
    """
    for find, prefix in ((Path.cwd, ""), (Path.home, "~/")):
        try:
            folder = find()
        except (OSError, RuntimeError):  # the current folder was deleted, or there is no home folder
            continue
        if path.is_absolute() and path.is_relative_to(folder):
            return clean_text(f"{prefix}{path.relative_to(folder)}", longest=None)
    return clean_text(str(path), longest=None)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is open and a terminal."""
    return stream is not None and stream.isatty()


def is_in_ci() -> bool:
    """Return whether a CI system runs this process."""
    return os.environ.get("CI", "false") not in {"", "false"}
