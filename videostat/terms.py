"""What the poll loop is told, and what it hears."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from videostat.models import Job, JobRef
    from videostat.providers.base import Polling


class Phase(StrEnum):
    """A step of a job's way."""

    LOOK = "look"
    URL = "url"
    SAVE = "save"
    EXEC = "exec"


@dataclass(frozen=True, slots=True)
class Target:
    """A job to be asked about, its service's manners, and the account whose limits it shares.

    `saved`: the job, if its video is known to be on disk already: nobody is asked, and what follows begins.
    """

    ref: JobRef
    account: str
    polling: Polling
    max_requests_per_second: float = math.inf
    saved: Job | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a step: the job as it is now, or why not."""

    ref: JobRef
    outcome: Job | Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long and how often, in seconds.

    `timeout`: for everything; 0 is no limit. `interval`: between looks, in place of the service's own.
    `attempts`: a job is not waited for, only looked at: so often at most, and within its `patience` in all.
    `then`: what follows a success. `parallel`: how many videos are saved at once.
    `enough`: a job that ended like this ends everything.
    """

    timeout: float = 0
    interval: float | None = None
    attempts: int | None = None
    patience: float = 15
    then: tuple[Phase, ...] = ()
    parallel: int = 3
    enough: Callable[[Job], bool] = lambda _: False
