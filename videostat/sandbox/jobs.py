"""A simulated job: where it stands is a pure function of the job and the time.

An id chooses its own fate. It is read as words between `-`, `_`, `.`, `~`, `=` and `+`: the first names
the family (`demo` at every service, or the service's own: `proj`, `avatar`, `product`, `task`, `reel`),
and each word of WORDS that follows has its effect, so that `demo-fail` fails and `task_gemini_novideo_7`
answers in the Gemini shape and has no video. Such an id exists from the moment it is first asked for;
any other must have been submitted. To submit a job with words, put them into the body's field `sandbox`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

WORDS = {
    "done": "ended an hour before it was first asked for",
    "stuck": "runs for ever",
    "fail": "fails",
    "novideo": "succeeds without a video",
    "expired": "the video is gone; at the gateway its URL has expired",
    "unknown": "does not exist",
    "webm": "a transparent WebM instead of an MP4",
    "gemini": "the gateway answers in the shape of its Gemini channels",
    "reseller": "the gateway answers in the shapes of the resellers",
    "content": "the gateway hands out a URL of its own, which needs the key",
    "twice": "its webhook is delivered twice",
    "late": "its webhook is delivered 20 s late",
    "early": "somebody forges a webhook for it before it has ended",
    "lost": "its webhook is lost",
}

# The share of its time that a job spends in the queue.
_QUEUED = 0.1


class Stage(Enum):
    QUEUED = auto()
    RUNNING = auto()
    DONE = auto()
    FAILED = auto()

    @property
    def is_end(self) -> bool:
        return self in {Stage.DONE, Stage.FAILED}


@dataclass(frozen=True, slots=True)
class Kind:
    """A service's kind of job; `usual` is how long one takes, in seconds."""

    name: str
    family: str
    usual: float


def words_of(text: str) -> list[str]:
    """The words of an id, or of a submitted body's field `sandbox`."""
    return re.split(r"[^a-z0-9]+", text.lower())


def spread(text: str) -> float:
    """A number in [0, 1) that is always the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


@dataclass(frozen=True, slots=True)
class Job:
    kind: Kind
    id: str
    submitted_at: datetime

    @property
    def words(self) -> frozenset[str]:
        return frozenset(words_of(self.id)[1:])

    @property
    def exists_unsubmitted(self) -> bool:
        return words_of(self.id)[0] in {self.kind.family, "demo"}

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=self.kind.usual * (0.8 + 0.4 * spread(self.id)))

    @property
    def started_at(self) -> datetime:
        return self.submitted_at + _QUEUED * self.duration

    @property
    def ended_at(self) -> datetime:
        return self.submitted_at + self.duration


@dataclass(frozen=True, slots=True)
class Progress:
    """`percent` 0-100; `remaining` in seconds."""

    stage: Stage
    percent: int
    remaining: float


def progress(job: Job, now: datetime) -> Progress:
    share = (now - job.submitted_at) / job.duration
    if "stuck" in job.words:
        share = min(share, 0.5)
    if share >= 1:
        return Progress(Stage.FAILED if "fail" in job.words else Stage.DONE, 100, 0)
    stage = Stage.QUEUED if share < _QUEUED else Stage.RUNNING
    percent = 0 if stage is Stage.QUEUED else int(100 * share)
    return Progress(stage, percent, (1 - share) * job.duration.total_seconds())
