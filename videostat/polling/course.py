"""Decide what an outcome means for one job. Pure: no clock, no queue, no HTTP.

Two tables hold the rules. `ON_ERROR` says what an error of a request means; the first class in the error's family that
stands in the table counts. `NEXT_PHASE` says where a job goes after a good answer, by what is known of it now. A step
of our own, saving or a command, is not repeated here: its error ends the job.

`after_error` and `after_answer` apply the tables and return one decision: Again, Next, End, EndGroup or Pause. The
poll loop carries it out. Everything that can change what is believed belongs into this file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from videostat.clock import Backoff
from videostat.errors import (
    KeyRefused,
    NoConnection,
    NotFound,
    OutOfCredit,
    RateLimited,
    Retryable,
    VideostatError,
)
from videostat.models import State
from videostat.polling.options import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videostat.models import Job
    from videostat.providers.base import Polling

LONGEST_PAUSE = 60  # seconds between two tries of one job
LOOKS_UNTIL_MISSING = 2  # a fresh id can take a moment to be known


@dataclass(frozen=True, slots=True)
class Past:
    """What has happened to a job since its last good answer: how often it was missing, its last pause in seconds."""

    missing: int = 0
    pause: float = 0


FRESH = Past()


@dataclass(frozen=True, slots=True)
class Again:
    """Ask again in `wait` seconds, because of `problem`."""

    problem: VideostatError
    wait: float
    past: Past


@dataclass(frozen=True, slots=True)
class Next:
    """Go on with this phase; LOOK means: when the next look is due."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class End:
    """The job has ended."""

    problem: VideostatError | None = None


@dataclass(frozen=True, slots=True)
class EndGroup:
    """All jobs of the key group that are still to be asked have ended."""

    problem: VideostatError


@dataclass(frozen=True, slots=True)
class Pause:
    """The lane pauses; the job is asked again when it opens."""

    problem: RateLimited


Decision = Again | Next | End | EndGroup | Pause


class Reaction(Enum):
    """What an error of a request leads to."""

    END = auto()
    END_GROUP = auto()
    PAUSE = auto()
    CONFIRM = auto()
    BACK_OFF = auto()


ON_ERROR: Mapping[type[VideostatError], Reaction] = {
    KeyRefused: Reaction.END_GROUP,
    OutOfCredit: Reaction.END_GROUP,
    RateLimited: Reaction.PAUSE,
    NotFound: Reaction.CONFIRM,
    Retryable: Reaction.BACK_OFF,
    VideostatError: Reaction.END,
}


class Stand(Enum):
    """What is known of a job after a good answer."""

    NEEDS_URL = auto()
    UNFINISHED = auto()
    WITHOUT_VIDEO = auto()
    HAS_VIDEO = auto()


# None ends the job. A job with a video goes on to the steps that were asked for.
NEXT_PHASE: Mapping[Stand, Phase | None] = {
    Stand.NEEDS_URL: Phase.URL,
    Stand.UNFINISHED: Phase.LOOK,
    Stand.WITHOUT_VIDEO: None,
}


def after_error(
    error: VideostatError, phase: Phase, past: Past, polling: Polling, *, waits: bool, jitter: float
) -> Decision:
    """Decide what an error means; `waits` is False for a command that only looks, `jitter` is 0 to 1."""
    reaction = next(ON_ERROR[kind] for kind in type(error).__mro__ if kind in ON_ERROR)
    if not phase.is_request:
        return End(error)
    match reaction, error:
        case Reaction.END_GROUP, _:
            return EndGroup(error)
        case Reaction.PAUSE, RateLimited():
            return Pause(error)
        case Reaction.CONFIRM, _ if waits and past.missing + 1 < LOOKS_UNTIL_MISSING:
            return Again(error, polling.floor, replace(past, missing=past.missing + 1))
        case Reaction.BACK_OFF, Retryable():
            # A look that never reached the service does not count for its floor.
            floor = 0 if isinstance(error, NoConnection) else polling.floor
            pause = Backoff(max(floor, 1), LONGEST_PAUSE).after(past.pause)
            wait = max(pause * (1 + jitter) / 2, floor, error.retry_after or 0)
            return Again(error, wait, replace(past, pause=pause))
    return End(error)


def after_answer(job: Job, phase: Phase, steps: tuple[Phase, ...], *, waits: bool) -> Decision:
    """Decide where a job goes after a good answer."""
    stand = _stand(job)
    if stand is Stand.HAS_VIDEO:
        following = (*steps, None)[steps.index(phase) + 1 if phase in steps else 0]
    elif stand is Stand.UNFINISHED and not waits:
        following = None
    else:
        following = NEXT_PHASE[stand]
    return Next(following) if following else End()


def _stand(job: Job) -> Stand:
    if job.needs_url:
        return Stand.NEEDS_URL
    if not job.state.is_terminal:
        return Stand.UNFINISHED
    has_video = job.state is State.SUCCEEDED and (job.video_url or job.saved)
    return Stand.HAS_VIDEO if has_video else Stand.WITHOUT_VIDEO
