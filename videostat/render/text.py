"""Foreign text made harmless, and our own values as people write them."""

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

# Letters and marks by their category, and yet nothing is seen of them: fillers, joiners, variation selectors
# (but for those of emoji), which could hide text or make one name look like another.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
_HARMLESS = frozenset("\xa0\u3000")  # spaces of French and Chinese, which isprintable() does not count as text
_LONGEST = 500

# What CI agents obey: Azure's ##vso[...] and GitHub's and TeamCity's like it anywhere in a line, GitHub's ::... at the
# beginning of one.
_COMMANDS = re.compile(r"##(?=[\w.-]*\[)|^\s*::")


def clean(foreign: str, *, longest: int | None = _LONGEST) -> str:
    r"""Text from a server, on one line, what is invisible written out, as in \u202e; `longest` in characters.

    Written out are control characters (C0, DEL, C1), line ends, bidirectional and zero-width formatting, lone
    surrogates and what has no meaning yet: whatever could drive a terminal, forge a line or read as what it is not.
    """
    # Cut first, for a service may send megabytes: no character is shown as less than one.
    shown = "".join(map(_visible, foreign if longest is None else foreign[: longest + 1]))
    shown = break_commands(shown)
    return shown if longest is None or len(shown) <= longest else shown[: longest - 3] + "..."


def break_commands(line: str) -> str:
    """Break up what a CI agent that reads our output would take for a command to itself."""
    return _COMMANDS.sub(lambda found: f"{found[0][:-1]} {found[0][-1]}", line)


def _visible(character: str) -> str:
    if (character.isprintable() and character not in _INVISIBLE) or character in _HARMLESS:
        return character
    return character.encode("unicode_escape").decode()


def number_of_jobs(count: int) -> str:
    """So many of them: 1 job, 2 jobs."""
    return f"{count:,} job" + ("" if count == 1 else "s")


def percent(job: Job) -> str:
    """Write how far a job has come that goes on; empty where that is not known."""
    return "" if job.progress is None or job.state.is_terminal else f"{job.progress:.0f}%"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest whole unit."""
    seconds = (now - moment).total_seconds()
    for unit, length in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit} ago"
    return "just now"


def size(count: float) -> str:
    """Bytes in at most three digits, and in units of 1000: 812 B, 4.2 MB, 131 GB."""
    unit, *larger = "B", "kB", "MB", "GB", "TB"
    while larger and count >= 999.5:  # noqa: PLR2004 - would be rounded to four digits
        count, unit, larger = count / 1000, larger[0], larger[1:]
    return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"  # noqa: PLR2004 - as above


def length(seconds: float) -> str:
    """How long a video is: below a minute with one decimal, as services tell it."""
    return f"{seconds:.1f}s" if seconds < 59.95 else format_duration(seconds)  # noqa: PLR2004 - would be 60.0s


def moment(when: datetime, now: datetime) -> str:
    """The local date and time, and how long ago that was."""
    past = f" ({ago(when, now)})" if when <= now else ""
    return f"{to_local(when):%Y-%m-%d %H:%M}{past}"


def place(path: Path) -> str:
    """A path as short as it can be typed here: relative to the current folder, or from the home folder on."""
    for find, prefix in ((Path.cwd, ""), (Path.home, "~/")):
        try:
            folder = find()
        except (OSError, RuntimeError):  # it has been deleted, or there is none
            continue
        if path.is_absolute() and path.is_relative_to(folder):
            path_there = path.relative_to(folder)
            return clean(f"{prefix}{path_there}", longest=None)
    return clean(str(path), longest=None)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether it is open, and a terminal."""
    return stream is not None and stream.isatty()


def in_ci() -> bool:
    """Whether this is a step of a CI system."""
    return os.environ.get("CI", "false") not in {"", "false"}
