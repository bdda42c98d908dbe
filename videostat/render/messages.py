"""Write messages to stderr: what happened, to which job, what to type next."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from videostat.clock import format_duration, to_local
from videostat.errors import ExitCode, KeyRefused, OutOfCredit, RateLimited, Stopped
from videostat.models import State
from videostat.render.text import clean_text

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TextIO

    from videostat.errors import VideostatError
    from videostat.models import Job


NO_URL = "the service returned no video URL"

_is_muted = False


def mute_sentences(*, is_muted: bool = True) -> None:
    """Turn `say` off, because stderr must contain only JSON lines."""
    global _is_muted  # noqa: PLW0603 - one for the process, as stderr is
    _is_muted = is_muted


def say(sentence: str) -> None:
    """Write one line to stderr, unless sentences are muted."""
    if not _is_muted:
        write_stderr(f"{sentence}\n")


def say_address(url: str) -> None:
    """Write the URL for webhooks to stderr, with --progress json as JSON.

    It is also written with --quiet, because a person can learn it nowhere else.
    """
    write_stderr(json.dumps({"event": "listening", "url": url}) + "\n" if _is_muted else f"Listening at {url}\n")


def write_error(error: VideostatError, *, as_json: bool) -> None:
    """Write to stderr why a command failed; `as_json` adds a JSON object for programs."""
    for line in format_error(error):
        say(line)
    if as_json or _is_muted:
        described = {
            "code": error.name,
            "message": str(error),
            "hint": error.hint,
            "exit_code": int(error.exit_code),
            "retryable": error.is_retryable,
        }
        write_stderr(json.dumps({"error": described}) + "\n")


def write_stderr(text: str) -> None:
    """Write text to stderr unchanged; after a failed write, write nothing more."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        redirect_to_devnull(sys.stderr)


def redirect_to_devnull(stream: TextIO) -> None:
    """Send the rest of a broken stream to /dev/null.

    Otherwise Python would try to write it again at exit, and exit with 120.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def format_error(error: VideostatError, subject: str = "") -> list[str]:
    """Format an error as `videostat: subject: message`, and its hint as a second line."""
    first = f"videostat: {clean_text(subject)}{': ' if subject else ''}{clean_text(str(error))}"
    return [first, f"  {clean_text(error.hint)}"] if error.hint else [first]


class Complaint(NamedTuple):
    """A message about an ended job or its account, and what to type next."""

    subject: str
    text: str
    hint: str | None
    separator: str = ": "


def make_complaint(job: Job) -> Complaint | None:
    """Make the complaint about an ended job; None after a success or a stop."""
    problem = job.problem
    if isinstance(problem, Stopped):
        return None
    if problem:
        is_accounts = isinstance(problem, KeyRefused | OutOfCredit | RateLimited) and not problem.about_job
        subject = job.ref.provider if is_accounts else str(job.ref)
        return Complaint(clean_text(subject), clean_text(str(problem)), problem.hint and clean_text(problem.hint))
    if job.state is State.FAILED:
        return Complaint(str(job.ref), f"failed: {format_failure(job)}", job.advice, separator=" ")
    if job.exit_code is ExitCode.NOT_SAVED and not job.needs_url:
        hint = f"The URL may come later. To check again: videostat status {job.ref}"
        return Complaint(str(job.ref), f"succeeded, but {NO_URL}", hint, separator=" ")
    return None


def format_complaint(job: Job) -> list[str]:
    """Format the complaint about an ended job as lines for stderr."""
    if not (complaint := make_complaint(job)):
        return []
    first = f"videostat: {complaint.subject}{complaint.separator}{complaint.text}"
    return [first, f"  {complaint.hint}"] if complaint.hint else [first]


def format_failure(job: Job) -> str:
    """Format the service's reason and error code for a failed job."""
    code = f" (code {clean_text(job.error_code)})" if job.error_code else ""
    return clean_text(job.error or "the service does not say why") + code


def format_reason(job: Job) -> str:
    """Format for a table why a job has no video or no file.

    For an unfinished job, this is the service's message.
    """
    if job.exit_code is ExitCode.OK:
        return ""
    if isinstance(job.problem, Stopped):
        return f"not saved: {job.problem}" if job.state is State.SUCCEEDED else clean_text(job.message or "")
    if job.problem is None and job.state is State.SUCCEEDED:
        return NO_URL
    return clean_text(str(job.problem or job.error or job.message or ""))


def format_trouble(job: Job, now: datetime) -> tuple[str, str] | None:
    """Format why an unfinished job has no answer: a sentence and its end.

    The end says when the job is asked again.
    """
    if not job.problem or job.ended:
        return None
    sentence, again = clean_text(str(job.problem), longest=160), job.asked_again_at
    if isinstance(job.problem, RateLimited) and again and again > now:
        left = (again - now).total_seconds()
        at = f"{to_local(again):%H:%M}" if left >= 60 else f"{to_local(again):%H:%M:%S}"  # noqa: PLR2004 - a minute
        return sentence, f", until {at} (in {format_duration(left)})"
    return sentence, "; asking again"


def format_message(job: Job) -> str:
    """Format the service's message about a job, after an unknown status."""
    texts = (job.status if job.state is State.UNKNOWN else None, job.message)
    return ": ".join(clean_text(text, longest=160) for text in texts if text)
