"""Format a run for GitHub Actions: a step summary, and annotations of errors.

More people can read these than the log, so user names and query strings (signatures) are removed from URLs.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from videostat.errors import ExitCode, Stopped, TimedOut
from videostat.models import State
from videostat.render.messages import format_complaint
from videostat.render.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from videostat.models import Job

ROWS = 500  # GitHub drops a step's summary that is larger than 1 MiB
LONGEST = 300  # characters of a cell
NAMED = 10  # jobs named in one annotation

_ADDRESS = re.compile(r"(https?://)(?:[^\s/?#@]*@)?([^\s?#]*)(?:[?#]\S*)?", re.IGNORECASE)
# CommonMark can escape every ASCII punctuation mark; an escaped one starts no link, mention or tag.
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation})
# https://docs.github.com/actions/reference/workflow-commands-for-github-actions; escapes as in GitHub's toolkit.
_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _MESSAGE | str.maketrans({":": "%3A", ",": "%2C"})


def format_step_summary(jobs: Collection[Job]) -> str:
    """Format a Markdown table of the jobs; those that went wrong come first."""
    good = sum(job.exit_code is ExitCode.OK for job in jobs)
    ordered = sorted(jobs, key=lambda job: job.exit_code is ExitCode.OK)
    lines = [
        f"### videostat: {good:,} of {len(jobs):,} succeeded",
        "",
        "| Job | State | Video | Message |",
        "|---|---|---|---|",
        *("| " + " | ".join(map(_format_cell, _make_row(job))) + " |" for job in ordered[:ROWS]),
    ]
    if len(jobs) > ROWS:
        lines += ["", f"and {len(jobs) - ROWS:,} more"]
    return "\n".join([*lines, "", ""])


def format_annotations(jobs: Collection[Job]) -> Iterator[str]:
    """Format a workflow command per error, and one for all jobs that timed out."""
    providers: dict[str, str] = {}  # by message
    for job in jobs:
        if lines := format_complaint(job):
            providers.setdefault(_redact_urls("\n".join(lines)).removeprefix("videostat: "), job.ref.provider)
    for message, provider in providers.items():
        yield format_command("error", message, title=f"videostat: {provider}")
    if late := [job for job in jobs if isinstance(job.problem, TimedOut)]:
        named = ", ".join(str(job.ref) for job in late[:NAMED]) + (", ..." if len(late) > NAMED else "")
        yield format_command("warning", f"not finished at the deadline: {named}", title="videostat")


def format_command(name: str, message: str, **properties: str) -> str:
    """Format a workflow command, a line that GitHub's runner executes."""
    escaped = ",".join(f"{key}={value.translate(_PROPERTY)}" for key, value in properties.items())
    return f"::{name} {escaped}::{message.translate(_MESSAGE)}"


def _make_row(job: Job) -> tuple[str, str, str, str]:
    video = str(job.saved.file) if job.saved else job.video_url
    reason = "" if job.exit_code is ExitCode.OK else _format_reason(job)
    return str(job.ref), job.state, video or "", reason


def _format_reason(job: Job) -> str:
    unsaved = "not saved: " if job.state is State.SUCCEEDED and isinstance(job.problem, Stopped) else ""
    return unsaved + str(job.problem or job.error or job.message or "")


def _format_cell(text: str) -> str:
    return _redact_urls(clean_text(text, longest=LONGEST)).translate(_MARKDOWN)


def _redact_urls(text: str) -> str:
    return _ADDRESS.sub(r"\1\2", text)
