"""Decide when a service may be asked: intervals between looks, gates and pauses. Times are monotonic seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from videostat.clock import Backoff

if TYPE_CHECKING:
    from datetime import datetime

    from videostat.errors import RateLimited
    from videostat.models import Job
    from videostat.providers.base import Polling

LONGEST_PAUSE = 60
LONGEST_EARLY_WAIT = 30
IN_FLIGHT = 32  # requests of one key group at once; more were never faster


def find_interval_range(polling: Polling, interval: float | None) -> tuple[float, float]:
    """Return the least and the most seconds between two looks.

    They come from the user, or else from the service, and are never below the floor.
    """
    low, high = polling.every if interval is None else (interval, interval)
    return max(low, polling.floor), max(high, polling.floor)


def choose_next_look(
    job: Job, polling: Polling, interval: float | None, now: datetime, jitter: float, *, is_watched: bool = False
) -> float:
    """Return the seconds until the next look; `jitter` is 0 to 1."""
    age = (now - job.created_at).total_seconds() if job.created_at else math.inf
    # A creation time further in the future comes from another time zone, not from a wrong clock.
    if abs(age) < polling.first:
        return max(polling.first - age, polling.floor)
    low, high = find_interval_range(polling, interval)
    wait = low + (high - low) * jitter
    if interval is None and not is_watched:
        # While even the quickest jobs still run, look when the age has doubled. This keeps the requests below those of
        # the services' own sample loops (tests/benchmarks/economy.py). A row on a live screen would stand still.
        wait = max(wait, min(age, polling.quickest - age, LONGEST_EARLY_WAIT))
    return wait if job.estimated_time is None else min(max(job.estimated_time, low), max(high, wait))


def add_next_look(job: Job, polling: Polling) -> Job:
    """Set `poll_after` of an ended job if another look can help."""
    if not job.ended or not job.retryable:
        return replace(job, poll_after=None) if job.ended else job
    asked = getattr(job.problem, "retry_after", None) or 0
    return replace(job, poll_after=max(job.poll_after or polling.every[0], polling.floor, asked))


@dataclass(slots=True, eq=False)
class Gate:
    """A limit of an endpoint: `width` requests at once, `spacing` seconds apart.

    `limit`: the error that began the last pause.
    """

    width: int
    spacing: float = 0
    limit: RateLimited | None = None
    paused_until: float = -math.inf
    in_flight: int = 0
    _paused_at: float = -math.inf
    _pause: float = 0
    _next_at: float = -math.inf

    @property
    def opens_at(self) -> float:
        """Return when the next request may be sent; infinity without a free place."""
        return max(self._next_at, self.paused_until) if self.in_flight < self.width else math.inf

    def on_sent(self, now: float) -> None:
        """Count a request that was just sent."""
        self.in_flight += 1
        self._next_at = now + self.spacing

    def on_answer(self, sent_at: float) -> None:
        """Reset the length of the pause after an answer to a later request."""
        if sent_at > self._paused_at:
            self._pause = 0

    def on_rate_limit(self, error: RateLimited, sent_at: float, now: float, least: float, jitter: float) -> None:
        """Begin a pause after a rate limit.

        It is as long as the service says, otherwise longer than the last one, from `least` seconds on.
        """
        wait = error.retry_after
        if wait is None:
            if sent_at <= self._paused_at:
                return  # it was sent before the pause began, so it says nothing of the pause's length
            self._pause = wait = Backoff(least, LONGEST_PAUSE).lengthen(self._pause)
        self.limit, self._paused_at = error, now
        self.paused_until = max(self.paused_until, now + wait + jitter)
