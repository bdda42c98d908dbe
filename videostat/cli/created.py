"""Read a service's own answer to a create call, as curl prints it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from videostat.history import locate_history
from videostat.models import JobRef
from videostat.polling import course
from videostat.private import is_without_home, write_private_file
from videostat.providers import reading, refusals
from videostat.providers.base import Answer, Meaning

if TYPE_CHECKING:
    from pathlib import Path

    from videostat.providers.base import Provider

# What an order can be refused for; the other meanings are about a job, which there is none of.
_REFUSALS = {Meaning.KEY, Meaning.CREDIT, Meaning.LIMIT, Meaning.BUSY}


def read_created(provider: Provider, body: object) -> str | None:
    """Return the id of the job that was created; None where the answer has another shape.

    Raises what the service says went wrong: KeyRefused, OutOfCredit, RateLimited, ServerError, ServiceError.
    """
    job_id = provider.created(body)
    if job_id and JobRef.is_id(job_id):
        return job_id
    codes = refusals.read_codes(body)
    if not codes:
        return None
    # The HTTP status is not in the body: where a code needs one, it is taken to have had it.
    documented = (code.partition(" ") for code in provider.codes)
    status = next((int(status) for status, _, code in documented if code == codes[0]), 0)
    answer = Answer(status=0, headers={}, body=body, received_at=datetime.now(UTC))
    meaning, sure, _ = course.read(replace(answer, status=status), provider, provider.job, "")
    if meaning not in _REFUSALS:
        meaning = Meaning.BROKEN
        # Where there is more than an error, it may be a job in another shape.
        is_error = reading.read_first(reading.read_text, reading.unwrap(body), refusals.MESSAGES) is not None
        if not is_error or any(reading.dig(body, name) for name in reading.ENVELOPES):
            return None
    raise course.refuse(answer, provider, meaning, "ID", sure=sure)


def keep_answer(text: str) -> Path | None:
    """Put an answer into a private file beside the history, and say where; None where that cannot be done."""
    history = locate_history()
    file = history.with_name(f"answer-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json")
    with suppress(OSError):
        if not is_without_home(history):
            write_private_file(file, text)
            return file
    return None
