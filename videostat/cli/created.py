"""Read a service's answer to a request that creates a job, as curl prints it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from videostat.models import JobRef
from videostat.polling import course
from videostat.providers import reading, refusals
from videostat.providers.base import Answer, Meaning

if TYPE_CHECKING:
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
