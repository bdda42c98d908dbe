"""stderr, the conversation: what went wrong, with which job, and what to type next."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from videostat.clock import format_duration, to_local
from videostat.errors import ExitCode, KeyRefused, OutOfCredit, RateLimited, Stopped
from videostat.models import State
from videostat.render.text import clean

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TextIO

    from videostat.errors import VideostatError
    from videostat.models import Job


_is_muted = False


def mute_sentences(*, is_muted: bool = True) -> None:
    """Let `say` be silent: stderr belongs to JSON lines alone."""
    global _is_muted  # noqa: PLW0603 - as stderr, it is one for the process
    _is_muted = is_muted


def say(sentence: str) -> None:
    """Write one line to stderr, however long."""
    if not _is_muted:
        tell(f"{sentence}\n")


def say_address(url: str) -> None:
    """Write where deliveries are awaited; nobody else knows, so neither --quiet nor --progress json leave it out."""
    tell(json.dumps({"event": "listening", "url": url}) + "\n" if _is_muted else f"Listening at {url}\n")


def print_error(error: VideostatError, *, as_json: bool) -> None:
    """Write why a command could not be carried out; with `as_json` an object follows, for programs."""
    for line in error_lines(error):
        say(line)
    if as_json or _is_muted:
        described = {
            "code": error.name,
            "message": str(error),
            "hint": error.hint,
            "exit_code": int(error.exit_code),
            "retryable": error.is_retryable,
        }
        tell(json.dumps({"error": described}) + "\n")


def tell(text: str) -> None:
    """Write to stderr as it is; one that is closed, full or gone ends the conversation, not the work."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Let what could not be written go nowhere: Python would try it again at its exit, and exit 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def error_lines(error: VideostatError, about: str = "") -> list[str]:
    """`videostat: …`, and below it what to type."""
    first = f"videostat: {clean(about)}{': ' if about else ''}{clean(str(error))}"
    return [first, f"  {clean(error.hint)}"] if error.hint else [first]


class Complaint(NamedTuple):
    """Why an ended job is not what was hoped for: about which job or account, what happened, what to type next."""

    about: str
    said: str
    hint: str | None = None
    joint: str = ": "

    @property
    def lines(self) -> list[str]:
        first = f"videostat: {self.about}{self.joint}{self.said}"
        return [first, f"  {self.hint}"] if self.hint else [first]


def complain(job: Job) -> Complaint | None:
    """Say why an ended job is not what was hoped for; None where it is, or where the wait ended for all."""
    problem = job.problem
    if isinstance(problem, Stopped):
        return None
    if problem:
        is_accounts = isinstance(problem, KeyRefused | OutOfCredit | RateLimited) and not problem.about_job
        about = job.ref.provider if is_accounts else str(job.ref)
        return Complaint(clean(about), clean(str(problem)), problem.hint and clean(problem.hint))
    if job.state is State.FAILED:
        return Complaint(str(job.ref), f"failed: {why_failed(job)}", job.advice, joint=" ")
    if job.exit_code is ExitCode.NOT_SAVED and not job.needs_url:
        said = "succeeded, but the service gives no address for its video"
        return Complaint(str(job.ref), said, f"It may come later: videostat status {job.ref}", joint=" ")
    return None


def complaint(job: Job) -> list[str]:
    """The lines of what complain() says."""
    found = complain(job)
    return found.lines if found else []


def why_failed(job: Job) -> str:
    """The service's own reason, and its code."""
    code = f" (code {clean(job.error_code)})" if job.error_code else ""
    return clean(job.error or "the service does not say why") + code


def reason(job: Job) -> str:
    """Say in a cell why a job has no video, or is not on disk; what it is doing, where it goes on."""
    if job.exit_code is ExitCode.OK:
        return ""
    if isinstance(job.problem, Stopped):
        return f"not saved: {job.problem}" if job.state is State.SUCCEEDED else clean(job.message or "")
    if job.problem is None and job.state is State.SUCCEEDED:
        return "the service gives no address for its video"
    return clean(str(job.problem or job.error or job.message or ""))


def trouble(job: Job, now: datetime) -> tuple[str, str] | None:
    """What keeps a job that goes on from being answered; and its end: asking again, or until when it pauses."""
    if not job.problem or job.ended:
        return None
    sentence, again = clean(str(job.problem), longest=160), job.asked_again_at
    if isinstance(job.problem, RateLimited) and again and again > now:
        left = (again - now).total_seconds()
        at = f"{to_local(again):%H:%M}" if left >= 60 else f"{to_local(again):%H:%M:%S}"  # noqa: PLR2004 - a minute
        return sentence, f", until {at} (in {format_duration(left)})"
    return sentence, "; asking again"


def message(job: Job) -> str:
    """The service's message about a job, after its status where that is a word we do not know."""
    said = (job.status if job.state is State.UNKNOWN else None, job.message)
    return ": ".join(clean(text, longest=160) for text in said if text)
