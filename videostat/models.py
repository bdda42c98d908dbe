"""Define the values that everything speaks in: a job, its state, and the fields in which it is shown."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from videostat.errors import (
    ExitCode,
    Gone,
    KeyMissing,
    KeyRefused,
    NotFound,
    OutOfCredit,
    ServiceError,
    UsageError,
    VideostatError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The transfer and the wait say the same: which of them notices first is chance.
NOT_SAVED_IN_TIME = "not saved: the timeout was reached first"
DOWNLOAD_AGAIN = "Do not generate it again: run the same command again."

# What a video is called in its folder, where nobody says otherwise.
DEFAULT_NAME = "{provider}-{id}.{ext}"

# What asking again cannot change, where the service itself has said it.
_FINAL = (KeyRefused, OutOfCredit, NotFound, Gone)

# The ids the services hand out, and nothing that could leave a folder or a URL path.
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9._~=+:-]{1,512}", re.ASCII)
_SHOWN = 60  # characters of what is no id


class State(StrEnum):
    """Where a job stands, in our words; the service's own word is Job.status."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        return self in {State.SUCCEEDED, State.FAILED}


@dataclass(frozen=True, slots=True)
class JobRef:
    """A job's name: the provider or account as it was typed, and the service's id."""

    provider: str
    id: str

    def __post_init__(self) -> None:
        if not (isinstance(self.id, str) and self.is_id(self.id)):
            is_long = isinstance(self.id, str) and len(self.id) > _SHOWN
            shown = f"{self.id[:_SHOWN]}..." if is_long else self.id
            raise UsageError(f"{shown!a} is not a job id", hint="An id has 1 to 512 letters, digits or . _ ~ = + - :")

    def __str__(self) -> str:
        return f"{self.provider} {self.id}"

    @classmethod
    def parse(cls, text: str) -> JobRef:
        """Split PROVIDER:ID at its first colon; raises UsageError."""
        provider, colon, job_id = text.partition(":")
        if not colon:
            raise UsageError(f"{text!a} is not PROVIDER:ID")
        return cls(provider, job_id)

    @classmethod
    def of(cls, job: Job | JobRef | str) -> JobRef:
        """Return the name of a job, however it is given; raises TypeError, and UsageError for a bad PROVIDER:ID."""
        match job:
            case JobRef():
                return job
            case Job():
                return job.ref
            case str():
                return cls.parse(job)
        raise TypeError(f"a job is a Job, a JobRef or 'PROVIDER:ID', not {type(job).__name__}")

    @staticmethod
    def is_id(text: str) -> bool:
        return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Link:
    """Where the video is, for a while, and other places that may hold it; a URL may be signed, so it is in no repr."""

    url: str = field(repr=False)
    expires_at: datetime | None = None
    others: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A job's video on disk, and where it has several, `more`; the numbers are of all of them.

    `resumed` counts the bytes that an earlier attempt had left.
    """

    file: Path
    bytes: int
    resumed: int = 0
    skipped: bool = False
    retries: int = 0
    more: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.file, *self.more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is known of a job; `FIELDS` describes each part. Durations are seconds, times are in UTC.

    `needs_url`: the service hands out the video's URL at another endpoint, which has not been asked yet.
    `kept_until`: when the service deletes the video. `asked_again_at`: when the next look at a running job is due.
    `problem`: why the state could not be learnt, the wait ended early, or the video is not on disk.
    `ended`: nothing more will happen to this job in this run. `sure`: the state is the service's own documented word,
    or has been believed; only then is it recorded.
    `alternative_urls`: other places that may hold the same video. `further_urls`: further videos of the job.
    """

    ref: JobRef
    state: State = State.UNKNOWN
    status: str | None = None
    progress: float | None = None
    message: str | None = None
    title: str | None = None
    video_url: str | None = field(default=None, repr=False)
    thumbnail_url: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    kept_until: datetime | None = None
    duration: float | None = None
    resolution: str | None = None
    credits: float | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    estimated_time: float | None = None
    error: str | None = None
    error_code: str | None = None
    poll_after: float | None = None
    seen_at: datetime | None = None
    extra: Mapping[str, object] = field(default_factory=dict, hash=False, repr=False)
    sure: bool = True
    alternative_urls: tuple[str, ...] = field(default=(), repr=False)
    further_urls: tuple[str, ...] = field(default=(), repr=False)
    needs_url: bool = False
    saved: Saved | None = None
    problem: VideostatError | None = None
    asked_again_at: datetime | None = None
    ended: bool = False

    @property
    def exit_code(self) -> ExitCode:
        if self.problem:
            return self.problem.exit_code
        if self.state is State.FAILED:
            return ExitCode.FAILED
        if self.state is not State.SUCCEEDED:
            return ExitCode.RUNNING
        return ExitCode.OK if self.video_url or self.saved else ExitCode.NOT_SAVED

    @property
    def news(self) -> tuple[object, ...]:
        """Return what makes a change that is told: not an estimate, which differs at every look."""
        return self.state, self.status, self.progress, self.message, type(self.problem), self.saved, self.ended

    @property
    def terminal(self) -> bool:
        """Whether the service has said its last word about the job."""
        is_refused = isinstance(self.problem, NotFound | Gone) and self.problem.sure
        return self.state.is_terminal or (is_refused and not self._is_asked_again)

    @property
    def retryable(self) -> bool | None:
        """Whether asking again can help; None where there is nothing left to ask for."""
        if self._is_asked_again:
            return True
        if self.problem:
            is_final = isinstance(self.problem, _FINAL) and self.problem.sure
            return not is_final and not isinstance(self.problem, UsageError | KeyMissing | ServiceError)
        if self.exit_code is ExitCode.OK:
            return None
        return self.state is not State.FAILED or not self.sure

    @property
    def _is_asked_again(self) -> bool:
        return self.asked_again_at is not None and not self.ended

    @property
    def hint(self) -> str | None:
        """What to type next."""
        if self.problem and self.problem.hint:
            return self.problem.hint
        command = {
            ExitCode.RUNNING: "wait",
            ExitCode.TIMEOUT: "wait",
            ExitCode.CREDIT: "wait",
            ExitCode.UNKNOWN: "status",
            ExitCode.NOT_SAVED: "download",
            ExitCode.OK: "download" if self.video_url and not self.saved else None,
        }.get(self.exit_code) or ("status" if self.retryable else None)
        return f"videostat {command} {self.ref}" if command else None

    @property
    def links(self) -> tuple[Link, ...]:
        """Say where each of the job's videos is."""
        if not self.video_url:
            return ()
        first = Link(self.video_url, self.expires_at, self.alternative_urls)
        return (first, *(Link(url, self.expires_at) for url in self.further_urls))


@dataclass(frozen=True, slots=True)
class Field:
    """One field in which a job is shown: in JSON, in `--fields`, in `--exec`, in the history and in the README.

    `read` returns a JSON value, or a datetime, Path or float that the writer turns into one.
    """

    name: str
    about: str
    read: Callable[[Job], object]


def _attribute(name: str, about: str) -> Field:
    return Field(name, about, attrgetter(name))


def _saved(name: str, job: Job) -> object:
    return getattr(job.saved, name) if job.saved else None


def to_json(value: object) -> object:
    """Return a field's value as JSON has it: times in ISO 8601, no number that is not finite."""
    match value:
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case float():
            return value if math.isfinite(value) else None
        case Path():
            return str(value)
        case list():
            return [*map(to_json, value)]
        case dict():
            return {name: to_json(each) for name, each in value.items()}
    return value


# The JSON fields, in their order. Public: names and order stay.
FIELDS = (
    Field("provider", "what was typed: the provider or account", lambda job: job.ref.provider),
    Field("id", "the service's id of the job", lambda job: job.ref.id),
    _attribute("state", "queued, running, succeeded, failed or unknown"),
    _attribute("status", "the service's own word for the state"),
    _attribute("progress", "percent, 0-100"),
    _attribute("message", "what the service says about the job now"),
    _attribute("title", "the job's title"),
    _attribute("video_url", "where the video is; it may be signed and expire"),
    _attribute("thumbnail_url", "where a picture of the video is"),
    _attribute("expires_at", "when `video_url` stops to work"),
    _attribute("kept_until", "when the service deletes the video, by its documented retention"),
    _attribute("duration", "the video's length"),
    _attribute("resolution", "the video's resolution, in the service's words"),
    _attribute("credits", "what the video cost, in the service's credits"),
    _attribute("created_at", "when the job was submitted"),
    _attribute("started_at", "when the service began to work on it"),
    _attribute("completed_at", "when it ended"),
    _attribute("estimated_time", "how long it will still take, as the service estimates"),
    Field("error", "what went wrong", lambda job: str(job.problem) if job.problem else job.error),
    Field(
        "error_code",
        "the service's own code of the error",
        lambda job: job.problem.code if job.problem else job.error_code,
    ),
    Field("file", "the saved video; the first, if there are several", lambda job: job.saved and job.saved.file),
    Field("files", "all saved videos of the job", lambda job: [job.saved.file, *job.saved.more] if job.saved else None),
    Field("exit_code", "the exit code of this job alone", lambda job: int(job.exit_code)),
    _attribute("retryable", "whether asking again can help; null where there is nothing left to ask for"),
    _attribute("terminal", "whether the service has said its last word about the job"),
    _attribute("hint", "what to type next"),
    _attribute("poll_after", "seconds until the next look is welcome"),
    _attribute("seen_at", "when the service said this"),
    Field(
        "extra", "documented fields that have no place here, by the service's own names", lambda job: dict(job.extra)
    ),
)

# Where videos are saved, these follow.
SAVING_FIELDS = tuple(
    Field(name, about, partial(_saved, name))
    for name, about in (
        ("bytes", "the size of the saved video"),
        ("resumed", "how many of them an earlier attempt had left"),
        ("skipped", "whether the video was there already"),
        ("retries", "how many attempts failed before"),
    )
)
