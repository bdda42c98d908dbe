"""The whole contract: a service is a value, its parse functions are pure.

To add one: .github/CONTRIBUTING.md has the steps; tests/providers/test_providers.py is the contract, and says what is
missing.
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
    """What an answer says about a job, its key or its service; polling/course decides what follows."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer: header names in lower case; `body` is decoded JSON, None where there was none.

    `status` is 0 where a person has kept the body alone.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: object = field(repr=False)
    received_at: datetime
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Auth:
    """The header that carries the key, and what stands before it."""

    header: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A GET; `{id}` in the path is the job's.

    `parse` reads the task that was found in the answer's body. `is_video`: it answers with the video's URL alone.
    """

    path: str
    parse: Callable[[JobRef, Mapping[str, Any]], Job]
    is_video: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and how many jobs the service says there are in all; `rows` counts unreadable ones too."""

    jobs: tuple[Job, ...]
    total: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A GET of `page` (from 1) and `size_param`; `parse` is told what the jobs' provider is called.

    `documented_size`: how many jobs a page has in the service's own example. `parse` returns None where the body holds
    no list.
    """

    path: str
    size_param: str
    max_size: int
    parse: Callable[[str, object], Page | None]
    documented_size: int = 20


@dataclass(frozen=True, slots=True)
class Webhook:
    """How the service announces that a job has ended.

    `read`: the id of the job that a delivery's JSON is about, None if it is about something else.
    `signature`: the header, in lower case, with the HMAC-SHA256 of the raw body in lower-case hexadecimal digits; None
    if the service signs nothing, or in a way that is not documented.
    """

    read: Callable[[object], str | None]
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Polling:
    """How the service wants to be asked, in seconds.

    `first`: the age a job should have at its first look. `floor`: never two looks closer than this.
    `usual`: how long a job typically takes. `quickest`: how long the quick ones do.
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

    `key_group`: the section and the variables that hold its key; several providers may share one.
    `key_variable`: the environment variable the service's own documentation uses.
    `key_source`: where a person finds the key.
    `video`: where a succeeded job's URL is had, if not in the job itself.
    `retention`: how long the service keeps a job in that state.
    `words`: its own status words, in lower case. `codes`: its documented codes, alone ("5001") or with the HTTP status
    they need ("401 new_api_error"). `vague`: codes that mean a missing job only where an id was asked for.
    `own_id`: the field of a task that is documented to repeat the id. `hints`: what to try, `{id}` is the job's.
    `created`: reads the id from the service's answer to a create call.
    `webhook`: None if the service announces nothing.
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
        """Return the paths that are added to the base URL."""
        return tuple(each.path for each in (self.job, self.video, self.listing) if each)
