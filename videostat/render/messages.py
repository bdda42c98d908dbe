"""stderr, the conversation: what went wrong, with which job, and what to type next."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from videostat.errors import ExitCode, KeyRefused, OutOfCredit, RateLimited, Stopped
from videostat.models import State
from videostat.render.text import clean

if TYPE_CHECKING:
    from typing import TextIO

    from videostat.errors import VideostatError
    from videostat.models import Job


def say(sentence: str) -> None:
    """One line on stderr, however long."""
    tell(f"{sentence}\n")


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


def complaint(job: Job) -> list[str]:
    """Why an ended job is not what was hoped for; nothing where it is, or where the wait ended for all."""
    if isinstance(job.problem, Stopped):
        return []
    if isinstance(job.problem, KeyRefused | OutOfCredit | RateLimited):
        return error_lines(job.problem, job.ref.provider)
    if job.problem:
        return error_lines(job.problem, str(job.ref))
    if job.state is State.FAILED:
        code = f" (code {clean(job.error_code)})" if job.error_code else ""
        return [f"videostat: {job.ref} failed: {clean(job.error or 'the service does not say why')}{code}"]
    if job.exit_code is ExitCode.NOT_SAVED and not job.needs_url:
        return [
            f"videostat: {job.ref} succeeded, but the service gives no address for its video",
            f"  It may come later: videostat status {job.ref}",
        ]
    return []


def passing(job: Job) -> str | None:
    """What a job that goes on has to say: its trouble, else the service's message, after a word we do not know."""
    if job.problem and not job.ended:
        return f"{clean(str(job.problem), longest=160)}; asking again"
    said = (job.status if job.state is State.UNKNOWN else None, job.message)
    return ": ".join(clean(text, longest=160) for text in said if text) or None
