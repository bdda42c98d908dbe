"""The values everything speaks in: a job's state, its name, and what is known of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
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
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

# The transfer and the wait say the same: which of them notices first is chance.
NOT_SAVED_IN_TIME = "not saved: the timeout was reached first"
DOWNLOAD_AGAIN = "Do not generate it again: run the same command again."

# What a video is called in its folder, where nobody says otherwise.
DEFAULT_NAME = "{provider}-{id}.{ext}"

# What asking again cannot change, where the service itself has said it.
_FINAL = (KeyRefused, OutOfCredit, NotFound, Gone)

# The ids the services hand out, and nothing that could leave a folder, a URL path or an option.
_ID = re.compile(r"(?!-)(?!\.+\Z)[A-Za-z0-9._~=+-]{1,256}", re.ASCII)


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
        if not self.is_id(self.id):
            raise UsageError(
                f"{self.id!a} is not a job id",
                hint="An id has 1 to 256 letters, digits or . _ ~ = + - and does not start with '-'.",
            )

    def __str__(self) -> str:
        return f"{self.provider} {self.id}"

    @classmethod
    def parse(cls, text: str) -> JobRef:
        """Of PROVIDER:ID; raises UsageError."""
        provider, colon, job_id = text.partition(":")
        if not colon:
            raise UsageError(f"{text!a} is not PROVIDER:ID")
        return cls(provider, job_id)

    @staticmethod
    def is_id(text: str) -> bool:
        return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Link:
    """Where the video is, for a while; the URL may be signed, so it is in no repr."""

    url: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A video on disk; `resumed` counts the bytes that an earlier attempt had left."""

    file: Path
    bytes: int
    resumed: int = 0
    skipped: bool = False
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is known of a job: `progress` in percent 0-100, durations in seconds, times in UTC.

    `needs_url`: the service hands out the video's URL at another endpoint, which has not been asked yet.
    `problem`: why the state could not be learnt, the wait ended early, or the video is not on disk.
    `ended`: the command that asked has done with it; what it says now is its answer.
    `sure`: the state is the service's own documented word; only then is it recorded.
    `alternative_urls`: other places that may hold the same video. `further_urls`: further videos of the job.
    `kept_until`: when the service deletes the video. `seen_at`: when the service said this. `poll_after`: the seconds
    until the next look is welcome. `extra`: documented fields that have no place here, under the service's own names.
    """

    ref: JobRef
    state: State = State.UNKNOWN
    status: str | None = None
    progress: float | None = None
    message: str | None = None
    title: str | None = None
    video_url: str | None = None
    thumbnail_url: str | None = None
    expires_at: datetime | None = None
    duration: float | None = None
    resolution: str | None = None
    credits: float | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    estimated_time: float | None = None
    error: str | None = None
    error_code: str | None = None
    alternative_urls: tuple[str, ...] = field(default=(), repr=False)
    further_urls: tuple[str, ...] = field(default=(), repr=False)
    kept_until: datetime | None = None
    seen_at: datetime | None = None
    poll_after: float | None = None
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)
    sure: bool = True
    needs_url: bool = False
    saved: Saved | None = None
    problem: VideostatError | None = None
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
    def terminal(self) -> bool:
        """Whether the service has said its last word about the job."""
        return self.state.is_terminal or (isinstance(self.problem, NotFound | Gone) and self.problem.sure)

    @property
    def retryable(self) -> bool | None:
        """Whether asking again can help; None where there is nothing left to ask for."""
        if self.problem:
            is_final = isinstance(self.problem, _FINAL) and self.problem.sure
            return not is_final and not isinstance(self.problem, UsageError | KeyMissing | ServiceError)
        if self.exit_code is ExitCode.OK:
            return None
        return self.state is not State.FAILED or not self.sure

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
        }.get(self.exit_code)
        return f"videostat {command} {self.ref}" if command else None
