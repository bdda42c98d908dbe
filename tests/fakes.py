"""Fake clocks, and services with scripted answers for tests of the poll loop."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count, repeat
from pathlib import Path
from queue import SimpleQueue
from types import EllipsisType
from typing import Any, NamedTuple, Self

from videostat.clock import Clock
from videostat.models import Job, JobRef, Saved, State
from videostat.polling import poll
from videostat.polling.keygroups import Group  # noqa: TC001 - a dataclass's field
from videostat.polling.options import Phase, PollOptions, Reply, Target
from videostat.providers import base as api
from videostat.providers.base import Polling
from videostat.transport.headers import read_retry_after


def api_answer(status: int, headers: Mapping[str, str], body: object, at: datetime) -> api.Answer:
    """Return the answer of an API as the transport would."""
    return api.Answer(
        status=status, headers=headers, body=body, received_at=at, retry_after=read_retry_after(headers, at)
    )


EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
VIDEO = "https://cdn.example/video.mp4"

JOGG = Polling(first=30, every=(10, 15), floor=10, usual=240)
GATEWAY = Polling(every=(5, 10), floor=5, usual=180)
REELBOT = Polling(every=(3, 5), floor=3, usual=180)


class FakeClock(Clock):
    """A clock that moves only when it is set or `sleep` is called.

    `time`: in seconds after `epoch`. `pauses`: the seconds of each sleep.
    """

    def __init__(self, epoch: datetime = EPOCH) -> None:
        super().__init__()
        self.epoch = epoch
        self.time = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return self.epoch + timedelta(seconds=self.time)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds

    def wait(self, inbox: SimpleQueue[Any], seconds: float) -> Any:
        """Wait, but return after 5 ms of real time, so that a loop in another thread sees when the time is set."""
        return super().wait(inbox, min(seconds, 0.005))


class Patient(Clock):
    """A faster real clock that stops while a request is answered: a slow machine does not shorten a wait."""

    longest = 0.5  # real seconds; a request that takes longer does not stop the clock further

    def __init__(self, speed: float) -> None:
        super().__init__(speed)
        self._lock = threading.Lock()
        self._answers = 0
        self._since = self._stood = 0.0

    def monotonic(self) -> float:
        return super().monotonic() - self._lost()

    def now(self) -> datetime:
        return super().now() - timedelta(seconds=self._lost())

    def _lost(self) -> float:
        with self._lock:
            return (self._stood + self._stands()) * self._speed

    def _stands(self) -> float:
        return min(time.monotonic() - self._since, self.longest) if self._answers else 0

    def awaiting(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """Stop the clock during calls of this function."""

        def patiently(*args: Any, **options: Any) -> Any:
            with self._lock:
                if not self._answers:
                    self._since = time.monotonic()
                self._answers += 1
            try:
                return ask(*args, **options)
            finally:
                with self._lock:
                    stood = self._stands()
                    self._answers -= 1
                    if not self._answers:
                        self._stood += stood

        return patiently


class Timeline(FakeClock):
    """A clock that `wait` moves. `wait` returns the next item to deliver; if the item is callable, its result."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0
        self._coming: list[tuple[float, int, Any]] = []
        self._order = count()

    def deliver(self, at: float, item: object) -> None:
        if at < math.inf:
            heappush(self._coming, (at, next(self._order), item))

    def wait(self, inbox: SimpleQueue[Any], seconds: float) -> Any:
        self.waits += 1
        until = self.time + max(seconds, 0)
        if self._coming and self._coming[0][0] <= until:
            at, _, item = heappop(self._coming)
            self.time = max(self.time, at)
            return item() if callable(item) else item
        assert until < math.inf, "it waits for ever"
        self.time = until
        return None


# An answer of a service: a job in its present state, or an error; at once, or later.

Answer = Callable[[Job], Job] | Exception


class After(NamedTuple):
    seconds: float
    answer: Answer


NEVER = After(math.inf, Exception())

Script = Sequence[Answer | After | EllipsisType]


def running(**known: Any) -> Answer:
    return lambda job: Job(ref=job.ref, state=State.RUNNING, **known)


def succeeded(video_url: str | None = VIDEO, **known: Any) -> Answer:
    return lambda job: Job(ref=job.ref, state=State.SUCCEEDED, video_url=video_url, **known)


def failed(**known: Any) -> Answer:
    return lambda job: Job(ref=job.ref, state=State.FAILED, **known)


def url_elsewhere() -> Answer:
    return succeeded(None, needs_url=True)


def url_given(video_url: str | None = VIDEO) -> Callable[[Job], Job]:
    return lambda job: replace(job, video_url=video_url, needs_url=False)


def saved() -> Answer:
    return lambda job: replace(job, saved=Saved(file=Path(f"{job.ref.id}.mp4"), bytes=1))


def executed() -> Answer:
    return lambda job: job


class Request(NamedTuple):
    at: float
    phase: Phase
    name: str


class Heard(NamedTuple):
    at: float
    phase: Phase
    name: str
    outcome: Job | Exception


def ref(name: str) -> JobRef:
    """Make a job reference: `a` is a job of the account `one`, `two:a` of `two`."""
    account, _, id_ = name.rpartition(":")
    return JobRef(account or "one", id_)


def name(ref: JobRef) -> str:
    return ref.id if ref.provider == "one" else f"{ref.provider}:{ref.id}"


def targets(names: Sequence[str], polling: Polling = JOGG, rate: float = math.inf) -> list[Target]:
    return [Target(ref(name), ref(name).provider, polling, rate, announces=True) for name in names]


@dataclass
class Scene:
    """Jobs with the answers that each of them will get; `...` repeats the answer before it for ever.

    `steps`: the answer in a phase, for every job. `heard`: the outcomes that came before the end of their job.
    """

    scripts: Mapping[str, Script]
    polling: Polling = JOGG
    options: PollOptions = field(default_factory=PollOptions)
    rate: float = math.inf
    jitter: Callable[[], float] = lambda: 0.0
    steps: Mapping[Phase, Answer | After] = field(default_factory=dict)
    past: Mapping[str, Any] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    clock: Timeline = field(default_factory=Timeline)
    requests: list[Request] = field(default_factory=list)
    sent: list[Job] = field(default_factory=list)
    told: list[Job] = field(default_factory=list)
    told_at: list[float] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    most_at_once: Counter[Phase] = field(default_factory=Counter)

    def play(self, then: Callable[[Job | None], None] = lambda _: None, *, names: Sequence[str] | None = None) -> Self:
        """Poll until all jobs have ended, or those of `names`; call `then` with each item that the loop yields."""
        answers = {name: _endless(script) for name, script in self.scripts.items()}
        in_flight: dict[str, Phase] = {}
        over: set[str] = set()

        def submit(phase: Phase, job: Job) -> None:
            asked, at = name(job.ref), self._time()
            answer = self.steps.get(phase) or next(answers[asked], None)
            assert answer is not None, f"{phase} of {asked} at {at} is not in the script"
            assert asked not in in_flight, f"{asked} is asked while it is being asked"
            in_flight[asked] = phase
            self.requests.append(Request(at, phase, asked))
            self.sent.append(job)
            self.most_at_once[phase] = max(self.most_at_once[phase], [*in_flight.values()].count(phase))
            late, answer = answer if isinstance(answer, After) else After(0, answer)

            def reply() -> Reply:
                outcome = answer if isinstance(answer, Exception) else answer(job)
                del in_flight[asked]
                if asked not in over:
                    self.heard.append(Heard(self._time(), phase, asked, outcome))
                return Reply(job.ref, outcome)

            self.clock.deliver(self.clock.time + late, reply)

        jobs = [replace(target, **self.past) for target in targets(names or [*self.scripts], self.polling, self.rate)]
        told = poll(jobs, submit, SimpleQueue(), self.clock, self.options, groups=self.groups, jitter=self.jitter)
        for job in told:
            if job is not None:
                self.told.append(job)
                self.told_at.append(self._time())
                over |= {name(job.ref)} if job.ended else set()
            then(job)
        return self

    def _time(self) -> float:
        return round(self.clock.time, 6)

    def times(self, asked: str = "a", phase: Phase = Phase.LOOK) -> list[float]:
        return [request.at for request in self.requests if request.name == asked and request.phase is phase]

    @property
    def ended(self) -> dict[str, Job]:
        """Return the last state of each job; check that each job has ended exactly once."""
        ended = [name(job.ref) for job in self.told if job.ended]
        assert sorted(ended) == sorted(self.scripts), "a job must end once"
        last = {name(job.ref): job for job in self.told}
        assert all(job.ended for job in last.values()), "nothing comes after the end"
        return last

    @property
    def ended_at(self) -> dict[str, float]:
        return {name(job.ref): at for at, job in zip(self.told_at, self.told, strict=True) if job.ended}

    @property
    def codes(self) -> dict[str, int]:
        return {asked: int(job.exit_code) for asked, job in self.ended.items()}


def _endless(script: Script) -> Iterator[Answer | After]:
    last: Answer | After = NEVER
    for answer in script:
        if isinstance(answer, EllipsisType):
            yield from repeat(last)
        else:
            last = answer
            yield last
