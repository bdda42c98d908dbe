"""The inputs of the poll loop, and the messages that it receives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from videostat.models import Job, JobRef
    from videostat.providers.base import Polling

# The limits of a command that does not wait.
ATTEMPTS = 3  # looks
TIME_LIMIT = 15  # seconds for each job


class Phase(StrEnum):
    """A phase of a job: two send a request, then two work here."""

    LOOK = "look"
    URL = "url"
    SAVE = "save"
    EXEC = "exec"

    @property
    def is_request(self) -> bool:
        """Tell whether the phase sends a request to the service."""
        return self in {Phase.LOOK, Phase.URL}


@dataclass(frozen=True, slots=True)
class Target:
    """A job to poll.

    `key_group`: the jobs that share its limits. `polling`: how often its service wants to be asked. `saved`: the job,
    if its video is already on disk; then the service is not asked. `known`: the job as it is known already. `address`:
    the service's address, for messages. `worked`, `account_worked`: this job or its account was answered there on an
    earlier day. `announces`: the service has webhooks.
    """

    ref: JobRef
    key_group: str
    polling: Polling
    max_requests_per_second: float = math.inf
    saved: Job | None = None
    known: Job | None = None
    address: str = "its address"
    worked: bool = False
    account_worked: bool = False
    announces: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of a step: the job as it is now, or an error."""

    ref: JobRef
    outcome: Job | Exception


@dataclass(frozen=True, slots=True)
class Hint:
    """A message that these jobs may have changed. It may be false."""

    refs: tuple[JobRef, ...]


# Wakes the loop, so that the caller gets a turn.
NUDGE = Hint(())


@dataclass(frozen=True, slots=True)
class Door:
    """The result of a test whether webhooks can reach us."""

    is_open: bool


# What the loop receives. A Target is one more job, a number is a signal.
Message = Reply | Target | Hint | Door | int


@dataclass(frozen=True, slots=True, kw_only=True)
class PollOptions:
    """How long and how often to poll, in seconds.

    `timeout`: for all jobs; 0 is no limit. `interval`: between two looks at a job, instead of the service's own.
    `attempts`: look at most so many times instead of waiting, and at most TIME_LIMIT seconds for each job.
    `steps`: the phases after a success. `parallel`: how many videos are saved at once. `wants_urls`: fetch the URL of a
    success that has none. `stop_when`: a job for which this is true ends all others. `is_watched`: whether a person is
    watching a live screen. `stays`: continue without jobs until a signal.
    """

    timeout: float = 0
    interval: float | None = None
    attempts: int | None = None
    steps: tuple[Phase, ...] = ()
    parallel: int = 3
    wants_urls: bool = True
    stop_when: Callable[[Job], bool] = lambda _: False
    is_watched: Callable[[], bool] = lambda: False
    stays: bool = False
