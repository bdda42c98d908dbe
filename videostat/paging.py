"""A service's list, page by page, as one list."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from videostat.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from videostat.models import Job, JobRef
    from videostat.providers.base import Page

ATTEMPTS = 3
LONGEST_PAUSE = 30  # seconds; whoever lists is looking at the screen


def listed(page: Callable[[int], Page], sleep: Callable[[float], None]) -> Iterator[tuple[Job, int | None]]:
    """Each job once, with the total the service claims; pages are asked for as they are needed.

    Jobs that are made meanwhile shift the others to the next page, where they are passed over.
    """
    seen: set[JobRef] = set()
    for number in count(1):
        found = _patiently(page, number, sleep)
        fresh = {job.ref: job for job in found.jobs if job.ref not in seen}
        seen.update(fresh)
        for job in fresh.values():
            yield job, found.total
        # A total may be wrong or missing; a page without news is the end whatever it says.
        if not fresh or (found.total is not None and len(seen) >= found.total):
            return


def _patiently(page: Callable[[int], Page], number: int, sleep: Callable[[float], None]) -> Page:
    for attempt in range(1, ATTEMPTS):
        try:
            return page(number)
        except Retryable as error:
            pause = float(attempt) if error.retry_after is None else error.retry_after
            if pause > LONGEST_PAUSE:
                raise
            sleep(pause)
    return page(number)
