"""The parts of a simulated service: its routes, its limits and its error replies."""

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
    """The reason why a service refuses a request."""

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
    """A rate limit: at most `requests` in `seconds`."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Quota:
    """The state of a limit: `remaining` requests until it starts again at `reset_at`."""

    remaining: int
    reset_at: datetime
    is_exceeded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request with all that a dialect needs to answer it. `kind` is None if no route matches."""

    request: Request
    kind: Kind | None
    quota: Quota
    base_url: str
    videos: Videos

    @property
    def now(self) -> datetime:
        """The time of the request."""
        return self.request.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path for one job. GET reads the job with the path's `{id}`; POST submits a new job."""

    method: str
    path: str
    kind: Kind
    answer: Callable[[Job, Call], Reply]
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A GET path for a list. `answer` gets all jobs of `kind`, newest first."""

    path: str
    kind: Kind
    answer: Callable[[Sequence[Job], Call], Reply]
    limit: Limit
    method: str = "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One simulated service. Its own `limit` counts for paths that match no route."""

    name: str
    key_header: str
    key_prefix: str = ""
    limit: Limit
    routes: tuple[Route | Listing, ...]
    refuse: Callable[[Refusal, Call], Reply]

    @property
    def key(self) -> str:
        """The API key that works."""
        return f"sandbox-{self.name}-key-0001"

    @property
    def exhausted_key(self) -> str:
        """An API key without credit."""
        return f"sandbox-{self.name}-key-without-credit"
