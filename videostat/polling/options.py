"""Define the inputs of the poll loop and the messages it hears."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from videostat.models import Job, JobRef
    from videostat.providers.base import Polling

ATTEMPTS = 3  # of a command that only looks


class Phase(StrEnum):
    """Name one step on a job's way: two that ask the service, then two of our own."""

    LOOK = "look"
    URL = "url"
    SAVE = "save"
    EXEC = "exec"

    @property
    def is_request(self) -> bool:
        return self in {Phase.LOOK, Phase.URL}


@dataclass(frozen=True, slots=True)
class Target:
    """Name a job to poll, how its service wants to be asked, and the key group whose limits it shares.

    `saved`: the job, if its video is already on disk: the service is not asked, the later steps follow at once.
    `known`: what is known of the job, where that is something. `address`: where the service is, in words for a person.
    `worked`, `account_worked`: this job, its account was answered there on an earlier day.
    `announces`: the service has webhooks.
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
    """Tell what came of a step: the job as it is now, or the error."""

    ref: JobRef
    outcome: Job | Exception


@dataclass(frozen=True, slots=True)
class Hint:
    """Somebody says that something happened to these jobs."""

    refs: tuple[JobRef, ...]


# Wakes the loop itself, which then gives its caller a turn.
NUDGE = Hint(())


@dataclass(frozen=True, slots=True)
class Door:
    """Whether deliveries can come in, as far as we know: we have just tried it from outside."""

    is_open: bool


# What the loop hears; a Target is one job more, a number is a signal.
Message = Reply | Target | Hint | Door | int


@dataclass(frozen=True, slots=True, kw_only=True)
class PollOptions:
    """Say how long and how often to poll, in seconds.

    `timeout`: for everything; 0 is no limit. `interval`: between looks, in place of the service's own.
    `attempts`: look at most this many times instead of waiting, within `time_limit` for each job.
    `steps`: the phases that follow a success. `parallel`: how many videos are saved at once.
    `wants_urls`: whether a success that names no URL is asked for it.
    `stop_when`: a job that ended like this ends all others. `is_watched`: a person looks at a live screen now.
    `stays`: goes on without jobs too, until a signal.
    """

    timeout: float = 0
    interval: float | None = None
    attempts: int | None = None
    time_limit: float = 15
    steps: tuple[Phase, ...] = ()
    parallel: int = 3
    wants_urls: bool = True
    stop_when: Callable[[Job], bool] = lambda _: False
    is_watched: Callable[[], bool] = lambda: False
    stays: bool = False
