"""What GitHub shows of a run beside its log: a table in the step's summary, annotations for what went wrong.

Both are read by more people than the log: addresses are without user and query, where signatures are.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from videostat.errors import ExitCode, Stopped, TimedOut
from videostat.models import State
from videostat.render.messages import complaint
from videostat.render.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from videostat.models import Job

ROWS = 500  # GitHub drops a step's summary that is larger than 1 MiB
LONGEST = 300  # characters of a cell
NAMED = 10  # jobs in one annotation

_ADDRESS = re.compile(r"(https?://)(?:[^\s/?#@]*@)?([^\s?#]*)(?:[?#]\S*)?", re.IGNORECASE)
# CommonMark lets every ASCII punctuation mark be escaped; and what is escaped is no link, mention or tag either.
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation})
# https://docs.github.com/actions/reference/workflow-commands-for-github-actions, as its toolkit does it.
_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _MESSAGE | str.maketrans({":": "%3A", ",": "%2C"})


def format_step_summary(jobs: Collection[Job]) -> str:
    """A Markdown table; what has no video comes first."""
    good = sum(job.exit_code is ExitCode.OK for job in jobs)
    ordered = sorted(jobs, key=lambda job: job.exit_code is ExitCode.OK)
    lines = [
        f"### videostat: {good:,} of {len(jobs):,} succeeded",
        "",
        "| Job | State | Video | Message |",
        "|---|---|---|---|",
        *("| " + " | ".join(map(_cell, _row(job))) + " |" for job in ordered[:ROWS]),
    ]
    if len(jobs) > ROWS:
        lines += ["", f"and {len(jobs) - ROWS:,} more"]
    return "\n".join([*lines, "", ""])


def format_annotations(jobs: Collection[Job]) -> Iterator[str]:
    """A workflow command for each job that ended badly; one where the same is wrong with many, and for all the late."""
    told: dict[str, str] = {}
    for job in jobs:
        if lines := complaint(job):
            told.setdefault(_public("\n".join(lines)).removeprefix("videostat: "), job.ref.provider)
    for message, provider in told.items():
        yield command("error", message, title=f"videostat: {provider}")
    if late := [job for job in jobs if isinstance(job.problem, TimedOut)]:
        named = ", ".join(str(job.ref) for job in late[:NAMED]) + (", ..." if len(late) > NAMED else "")
        yield command("warning", f"not finished at the deadline: {named}", title="videostat")


def command(name: str, message: str, **properties: str) -> str:
    """A line that GitHub's runner obeys."""
    given = ",".join(f"{key}={value.translate(_PROPERTY)}" for key, value in properties.items())
    return f"::{name} {given}::{message.translate(_MESSAGE)}"


def _row(job: Job) -> tuple[str, str, str, str]:
    video = str(job.saved.file) if job.saved else job.video_url
    wrong = "" if job.exit_code is ExitCode.OK else _wrong(job)
    return str(job.ref), job.state, video or "", wrong


def _wrong(job: Job) -> str:
    unsaved = "not saved: " if job.state is State.SUCCEEDED and isinstance(job.problem, Stopped) else ""
    return unsaved + str(job.problem or job.error or job.message or "")


def _cell(text: str) -> str:
    return _public(clean_text(text, longest=LONGEST)).translate(_MARKDOWN)


def _public(text: str) -> str:
    return _ADDRESS.sub(r"\1\2", text)
