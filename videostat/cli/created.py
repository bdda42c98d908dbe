"""Read a service's answer to a new job, and keep texts in private files."""

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

# The reasons to refuse a new job; all other meanings are about a job that exists.
_REFUSALS = {Meaning.KEY, Meaning.CREDIT, Meaning.LIMIT, Meaning.BUSY}


def read_created(provider: Provider, body: object) -> str | None:
    """Return the created job's id, or None if the answer has another shape.

    Raises the error that the answer describes: KeyRefused, OutOfCredit, RateLimited, ServerError or ServiceError.
    """
    job_id = provider.created(body)
    if job_id and JobRef.is_id(job_id):
        return job_id
    codes = refusals.read_codes(body)
    if not codes:
        return None
    # The body does not show the HTTP status: assume the one that is documented for this code.
    documented = (code.partition(" ") for code in provider.codes)
    status = next((int(status) for status, _, code in documented if code == codes[0]), 0)
    answer = Answer(status=0, headers={}, body=body, received_at=datetime.now(UTC))
    meaning, sure, _ = course.read(replace(answer, status=status), provider, provider.job, "")
    if meaning not in _REFUSALS:
        meaning = Meaning.BROKEN
        # An answer with more than an error may be a job in another shape.
        is_error = reading.read_first(reading.read_text, reading.unwrap(body), refusals.MESSAGES) is not None
        if not is_error or any(reading.dig(body, name) for name in reading.ENVELOPES):
            return None
    raise course.make_error(answer, provider, meaning, "ID", sure=sure)


def keep_text(name: str, text: str, suffix: str) -> Path | None:
    """Write a text to a private file beside the history.

    Returns its path, or None if that fails. A hash follows the name: the same text uses the same file.
    """
    file = locate_history().with_name(f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}{suffix}")
    with suppress(OSError):
        if not is_without_home(file):
            write_private_file(file, text)
            return file
    return None
