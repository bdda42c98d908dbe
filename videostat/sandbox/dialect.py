"""The contract of a simulated service: tables of routes whose answers are pure functions, and its refusals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from videostat.sandbox.exchange import Reply, Request
    from videostat.sandbox.jobs import Job, Kind
    from videostat.sandbox.videos import Videos


class Refusal(Enum):
    """Why a service does not answer what it was asked."""

    KEY_MISSING = auto()
    KEY_WRONG = auto()
    NO_CREDIT = auto()
    NO_SUCH_JOB = auto()
    NO_SUCH_PATH = auto()
    BAD_REQUEST = auto()
    RATE_LIMITED = auto()
    BROKEN = auto()


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in so many seconds."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit, and until when."""

    remaining: int
    reset_at: datetime
    is_exceeded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as a dialect sees it; `kind` is None where no route fits."""

    request: Request
    kind: Kind | None
    quota: Quota
    base_url: str
    videos: Videos

    @property
    def now(self) -> datetime:
        return self.request.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """GET asks for the job in the path's `{id}`, POST submits a new one."""

    method: str
    path: str
    kind: Kind
    answer: Callable[[Job, Call], Reply]
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A GET; `answer` is handed the jobs, newest first."""

    path: str
    kind: Kind
    answer: Callable[[Sequence[Job], Call], Reply]
    limit: Limit
    method: str = "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`limit` holds where no route fits."""

    name: str
    key_header: str
    key_prefix: str = ""
    limit: Limit
    routes: tuple[Route | Listing, ...]
    refuse: Callable[[Refusal, Call], Reply]

    @property
    def key(self) -> str:
        return f"sandbox-{self.name}-key-0001"

    @property
    def exhausted_key(self) -> str:
        return f"sandbox-{self.name}-key-without-credit"
