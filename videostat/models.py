"""Jobs, their states, and the fields that show a job to the user."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
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

# Used by the download and by the wait: either may notice the timeout first.
NOT_SAVED_IN_TIME = "not saved: the timeout was reached first"
DOWNLOAD_AGAIN = "Do not generate it again: run the same command again."

# The default file name of a video.
DEFAULT_NAME = "{provider}-{id}.{ext}"

# Errors that stay true when the service has documented them: asking again cannot change them.
_FINAL = (KeyRefused, OutOfCredit, NotFound, Gone)

# All ids that the services use. An id must not be able to leave a folder or a URL path.
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9._~=+:-]{1,512}", re.ASCII)
_SHOWN = 60  # characters of an invalid id in a message


class State(StrEnum):
    """The state of a job; Job.status has the service's own word."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has succeeded or failed."""
        return self in {State.SUCCEEDED, State.FAILED}


@dataclass(frozen=True, slots=True)
class JobRef:
    """The provider or account of a job as typed, and the service's id."""

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
        """Split PROVIDER:ID at the first colon. Raises UsageError."""
        provider, colon, job_id = text.partition(":")
        if not colon:
            raise UsageError(f"{text!a} is not PROVIDER:ID")
        return cls(provider, job_id)

    @classmethod
    def of(cls, job: Job | JobRef | str) -> JobRef:
        """Return the name of a job. Raises TypeError, and UsageError for a bad PROVIDER:ID."""
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
        """Return whether a text can be a job id."""
        return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Link:
    """The URL of a video, and alternatives.

    `others` may have the same video. The repr hides URLs because they may be signed.
    """

    url: str = field(repr=False)
    expires_at: datetime | None = None
    others: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The saved video of a job.

    `more`: the other files of a job with several videos; all numbers are sums then.
    `resumed`: the bytes that an earlier attempt had saved. `skipped`: the video was already on disk.
    """

    file: Path
    bytes: int
    resumed: int = 0
    skipped: bool = False
    retries: int = 0
    more: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All saved files of the job."""
        return (self.file, *self.more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that is known about a job. `FIELDS` describes most fields. Durations are in seconds, times in UTC.

    `needs_url`: the video's URL must still be requested from another endpoint.
    `advice`: what the service's document advises after a failure.
    `asked_again_at`: when the service will be asked about this job again, None if nothing is planned.
    `problem`: why the state is unknown, why the wait ended early, or why the video was not saved.
    `ended`: nothing more will happen to this job in this run.
    `sure`: the service used a documented word for the state, or a wait has confirmed the word by a second look. Only
    such states are recorded in the history.
    `alternative_urls`: other URLs of the same video. `further_urls`: the job's second and later videos.
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
    advice: str | None = None
    saved: Saved | None = None
    problem: VideostatError | None = None
    asked_again_at: datetime | None = None
    ended: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for this job alone."""
        if self.problem:
            return self.problem.exit_code
        if self.state is State.FAILED:
            return ExitCode.FAILED
        if self.state is not State.SUCCEEDED:
            return ExitCode.RUNNING
        return ExitCode.OK if self.video_url or self.saved else ExitCode.NOT_SAVED

    @property
    def news(self) -> tuple[object, ...]:
        """The fields whose changes are reported. Estimates change at every answer and are left out."""
        return self.state, self.status, self.progress, self.message, type(self.problem), self.saved, self.ended

    @property
    def terminal(self) -> bool:
        """Whether the service's answer about this job is final."""
        is_refused = isinstance(self.problem, NotFound | Gone) and self.problem.sure
        return self.state.is_terminal or (is_refused and not self._is_asked_again)

    @property
    def retryable(self) -> bool | None:
        """Whether asking again can help; None if nothing is left to ask."""
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
        """The command to type next, None if nothing is left to do."""
        if self.problem and self.problem.hint:
            return self.problem.hint
        if self.advice:
            return self.advice
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
        """The link of each video of the job."""
        if not self.video_url:
            return ()
        first = Link(self.video_url, self.expires_at, self.alternative_urls)
        return (first, *(Link(url, self.expires_at) for url in self.further_urls))


@dataclass(frozen=True, slots=True)
class Field:
    """One field in which a job is shown.

    It appears in JSON, `--fields`, `--exec`, the history and the README.
    `about` describes the field. `read` returns its value, which `to_json` converts.
    """

    name: str
    about: str
    read: Callable[[Job], object]


def _make_field(name: str, about: str) -> Field:
    return Field(name, about, attrgetter(name))


def to_json(value: object) -> object:
    """Convert a field's value to JSON. Times become ISO 8601, infinity and NaN null."""
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


# The JSON fields in their order. Names and order are public and never change.
FIELDS = (
    Field("provider", "the provider or account, as typed", lambda job: job.ref.provider),
    Field("id", "the service's id of the job", lambda job: job.ref.id),
    _make_field("state", "queued, running, succeeded, failed or unknown"),
    _make_field("status", "the service's own word for the state"),
    _make_field("progress", "percent, 0-100"),
    _make_field("message", "what the service says about the job now"),
    _make_field("title", "the job's title"),
    _make_field("video_url", "the URL of the video; it may be signed and expire"),
    _make_field("thumbnail_url", "the URL of a picture of the video"),
    _make_field("expires_at", "when `video_url` expires"),
    _make_field("kept_until", "when the service deletes the video, by its documented retention"),
    _make_field("duration", "the video's length"),
    _make_field("resolution", "the video's resolution, in the service's words"),
    _make_field("credits", "what the video cost, in the service's credits"),
    _make_field("created_at", "when the job was submitted"),
    _make_field("started_at", "when the service began to work on it"),
    _make_field("completed_at", "when it ended"),
    _make_field("estimated_time", "the service's estimate of the time that is left"),
    Field("error", "what went wrong", lambda job: str(job.problem) if job.problem else job.error),
    Field(
        "error_code",
        "the service's own code of the error",
        lambda job: job.problem.code if job.problem else job.error_code,
    ),
    Field("file", "the saved video; the first, if there are several", lambda job: job.saved and job.saved.file),
    Field("files", "all saved videos of the job", lambda job: job.saved and [*job.saved.files]),
    Field("exit_code", "the exit code of this job alone", lambda job: int(job.exit_code)),
    _make_field("retryable", "whether asking again can help; null if nothing is left to ask"),
    _make_field("terminal", "whether the service's answer about the job is final"),
    _make_field("hint", "what to type next"),
    _make_field("poll_after", "seconds until the service may be asked again"),
    _make_field("seen_at", "when the service gave this answer"),
    Field("extra", "other documented fields, under the service's own names", lambda job: dict(job.extra)),
)

# The fields that follow when videos are saved.
SAVING_FIELDS = (
    Field("bytes", "the size of the saved video", lambda job: job.saved and job.saved.bytes),
    Field(
        "resumed", "how many of these bytes an earlier attempt had saved", lambda job: job.saved and job.saved.resumed
    ),
    Field("skipped", "whether the video was already on disk", lambda job: job.saved and job.saved.skipped),
    Field("retries", "how many attempts failed before this one", lambda job: job.saved and job.saved.retries),
)
