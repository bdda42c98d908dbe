"""The description of a service: a `Provider` value with pure parse functions.

To add a service, follow the steps in .github/CONTRIBUTING.md. The contract test says what is missing, and where.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from videostat.models import Job, JobRef, State


class Meaning(Enum):
    """The meaning of an answer; polling/course decides what to do."""

    RUNNING = auto()
    SUCCESS = auto()
    FAILED = auto()
    GONE = auto()
    MISSING = auto()
    KEY = auto()
    CREDIT = auto()
    BROKEN = auto()
    LIMIT = auto()
    BUSY = auto()
    FOREIGN = auto()


REFUSALS = {Meaning.KEY, Meaning.CREDIT, Meaning.MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer. Header names are in lower case; `body` is decoded JSON, None without any.

    `status` is 0 if the body was read from a file. `retry_after` is in seconds.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: object = field(repr=False)
    received_at: datetime
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Auth:
    """The header with the API key, and the prefix of its value."""

    header: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A GET endpoint for one job. `{id}` in the path is replaced by the job's id.

    `parse` receives the task that was found in the answer. `is_video`: the answer contains only the video's URL.
    """

    path: str
    parse: Callable[[JobRef, Mapping[str, Any]], Job]
    is_video: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    `jobs`: those with an id and a known status; `apply_state` sets their states. `rows`: the rows of this page, also
    the unreadable ones. `total`: the jobs on all pages. If it is None, pages are fetched until one is empty.
    """

    jobs: tuple[Job, ...]
    total: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A GET endpoint that lists jobs.

    Its parameters are `page`, from 1, and `size_param`. `documented_size`: the page size in the service's own example.
    `parse` receives the provider's name and the body, and returns None if there is no list in it.
    """

    path: str
    size_param: str
    max_size: int
    parse: Callable[[str, object], Page | None]
    documented_size: int = 20


@dataclass(frozen=True, slots=True)
class Webhook:
    """The webhook by which a service announces the end of a job.

    `read` returns the id of the job in a delivery's JSON, None if there is none.
    `signature`: the header (in lower case) with the HMAC-SHA256 of the raw body in lower-case hexadecimal digits. None
    if the service does not document one.
    """

    read: Callable[[object], str | None]
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """The times that the service recommends for polling, in seconds.

    `first`: the age of a job at the first request. `every`: the shortest and longest pause between requests.
    `floor`: the minimum between two requests, which is always kept. `usual`: how long a job usually takes.
    `quickest`: how long the fastest jobs take.
    If it recommends nothing: every=(5, 10), floor=5, and the other two from a job that you have seen. If it recommends
    one number, that is the floor and the shortest pause.
    """

    first: float = 0
    every: tuple[float, float]
    floor: float
    usual: float
    quickest: float = 0
    timeout: float = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A service, or one of its kinds of job.

    `key_group`: names the section and the variables with the key. Several providers may share one.
    `key_variable`: the environment variable in the service's own documentation.
    `base_url`: scheme and host only; a version such as `/v1` belongs to the paths.
    `key_source`: the place where the user finds the key.
    `video`: the endpoint for the URL of a video, None if the job contains it.
    `retention`: how long the service keeps a job in a state, from its end or else its creation.
    `words`: the service's words for a state, in lower case.
    `codes`: the documented error codes, alone ("5001") or with an HTTP status ("401 new_api_error").
    `vague`: codes that mean "no such job" only in an answer about one job.
    `own_id`: the field of a task that repeats the id, if that is documented.
    `hints`: what the user can try. `{id}` is replaced by the job's id.
    `created`: returns the id in the answer to a request that creates a job.
    """

    name: str
    title: str
    key_group: str
    base_url: str | None
    auth: Auth
    key_variable: str
    key_source: str
    job: Endpoint
    polling: Polling
    video: Endpoint | None = None
    listing: Listing | None = None
    max_requests_per_second: float = 50
    retention: Mapping[State, timedelta] = field(default_factory=dict)
    words: Mapping[str, State]
    codes: Mapping[str, Meaning]
    vague: frozenset[str] = frozenset()
    own_id: str | None = None
    hints: Mapping[Meaning, str] = field(default_factory=dict)
    created: Callable[[object], str | None]
    webhook: Webhook | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all endpoints."""
        return tuple(each.path for each in (self.job, self.video, self.listing) if each)
