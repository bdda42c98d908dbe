"""Simulated jobs. The state of a job depends only on its id and the time.

Words in an id decide what happens to the job. They are separated by `-`, `_`, `.`, `~`, `=` or `+`. The first word
is the family: `demo` at every service, or the service's own (`proj`, `avatar`, `product`, `task`, `reel`). The words
of WORDS may follow: `demo-fail` fails, and `task_gemini_novideo_7` answers in the Gemini shape and has no video.

A job whose id begins with a family starts when somebody first asks for it. Jobs with other ids must be submitted.
To submit a job with words, put them into the field `sandbox` of the body.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

WORDS = {
    "done": "finished one hour ago",
    "stuck": "never finishes",
    "fail": "fails",
    "novideo": "succeeds, but has no video",
    "expired": "its video was deleted; at doubao, the video's URL has expired",
    "unknown": "does not exist",
    "webm": "has a transparent WebM video instead of an MP4",
    "gemini": "doubao answers in the shape of its Gemini channels",
    "reseller": "doubao answers in the shapes of its resellers",
    "content": "doubao gives a video URL of its own, which needs the API key",
    "twice": "its webhook is sent twice",
    "late": "its webhook is sent 20 seconds late",
    "early": "a forged webhook is sent before the job has finished",
    "lost": "its webhook is never sent",
}

_QUEUE_SHARE = 0.1  # of a job's duration


class Stage(Enum):
    """A step in the life of a job."""

    QUEUED = auto()
    RUNNING = auto()
    DONE = auto()
    FAILED = auto()

    @property
    def is_end(self) -> bool:
        """Whether the job has finished."""
        return self in {Stage.DONE, Stage.FAILED}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job at one service. `usual` is the usual duration in seconds."""

    name: str
    family: str
    usual: float


def split_words(text: str) -> list[str]:
    """Split an id, or a body's field `sandbox`, into words in lower case."""
    return re.split(r"[^a-z0-9]+", text.lower())


def hash_to_share(text: str) -> float:
    """Hash a text to a number in [0, 1). The same text always gives the same number."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


@dataclass(frozen=True, slots=True)
class Job:
    """A simulated job."""

    kind: Kind
    id: str
    submitted_at: datetime

    @property
    def words(self) -> frozenset[str]:
        """The words of the id after its family."""
        return frozenset(split_words(self.id)[1:])

    @property
    def exists_unsubmitted(self) -> bool:
        """Whether the job starts by itself when somebody first asks for it."""
        return split_words(self.id)[0] in {self.kind.family, "demo"}

    @property
    def duration(self) -> timedelta:
        """The time from submission to the end: the usual time, up to 20 % more or less."""
        return timedelta(seconds=self.kind.usual * (0.8 + 0.4 * hash_to_share(self.id)))

    @property
    def started_at(self) -> datetime:
        """The time when the job leaves the queue."""
        return self.submitted_at + _QUEUE_SHARE * self.duration

    @property
    def ended_at(self) -> datetime:
        """The time when the job finishes."""
        return self.submitted_at + self.duration


@dataclass(frozen=True, slots=True)
class Progress:
    """The stage of a job at one moment. `percent` is 0-100; `remaining` is in seconds."""

    stage: Stage
    percent: int
    remaining: float


def compute_progress(job: Job, now: datetime) -> Progress:
    """Compute how far a job is at a time."""
    share = (now - job.submitted_at) / job.duration
    if "stuck" in job.words:
        share = min(share, 0.5)
    if share >= 1:
        return Progress(Stage.FAILED if "fail" in job.words else Stage.DONE, 100, 0)
    stage = Stage.QUEUED if share < _QUEUE_SHARE else Stage.RUNNING
    percent = 0 if stage is Stage.QUEUED else int(100 * share)
    return Progress(stage, percent, (1 - share) * job.duration.total_seconds())
