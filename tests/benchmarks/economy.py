"""Requests for a job, and seconds between "done" and "noticed", simulated: poll() and the loops the services document.

The durations are the documented ones (JoggAI 3-4 minutes, the others 1-5: of nine in ten jobs, eight are inside)
with one job in ten from a long tail. The wait begins when the job is submitted, or at some moment of its life. Where a
service has webhooks, polling is compared with being told of 98 of 100 ends, half a second after them.
"""

from __future__ import annotations

import argparse
import math
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from operator import itemgetter
from queue import SimpleQueue
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from measure import Row, show

from videostat.clock import Clock
from videostat.models import Job, JobRef, State
from videostat.polling import poll
from videostat.polling.options import Door, Hint, Message, Phase, PollOptions, Reply, Target
from videostat.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from videostat.providers.base import Polling

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
LOST, ON_ITS_WAY = 0.02, 0.5  # of the deliveries; seconds


class Sample(NamedTuple):
    """A service's documented loop: sleep, look, and look again; and how long its jobs take."""

    first: float
    every: float
    takes: tuple[float, float]


# Product videos take 10 to 20 minutes; no loop is documented for them.
PRODUCT = Sample(30, 15, (600, 1200))
SAMPLES = {
    "jogg": Sample(30, 15, (180, 240)),
    "doubao": Sample(0, 5, (60, 300)),
    "reelbot": Sample(0, 5, (60, 300)),
}


class Life(NamedTuple):
    """When a job is done and how old it is when the wait begins, in seconds."""

    takes: float
    age: float


class Outcome(NamedTuple):
    """Medians and means over all jobs."""

    requests: float
    delay: float
    mean_delay: float


class FakeClock(Clock):
    """Moves only when somebody waits; `coming` is what is delivered then."""

    def __init__(self, coming: Sequence[tuple[float, Message]] = ()) -> None:
        super().__init__()
        self.time = 0.0
        self.coming = deque(sorted(coming, key=itemgetter(0)))

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.time)

    def wait(self, inbox: SimpleQueue[Any], seconds: float) -> Any:
        if not inbox.empty():
            return inbox.get()
        until = self.time + max(seconds, 0)
        if self.coming and self.coming[0][0] <= until:
            self.time, item = self.coming.popleft()
            return item
        self.time = until
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--curve", action="store_true", help="what fixed intervals would give, too")
    options = parser.parse_args()
    show(_rows(options.jobs))
    if options.curve:
        _show_curve(options.jobs)


def _rows(jobs: int) -> Iterator[Row]:
    for name, sample in SAMPLES.items():
        polling = PROVIDERS[name].polling
        # The documented loops are written to begin at submission; a wait that begins later is for information.
        for what, limit in (("from submission", 1), ("from later on", None)):
            lives = _lives(sample, jobs, polling.timeout, is_late=limit is None)
            loop, ours = _loop(sample, lives), _poll(polling, lives)
            yield Row(
                what=f"{name}, {what}: requests a job",
                peer=loop.requests,
                ours=ours.requests,
                unit="",
                at_most=limit,
            )
            yield Row(what=f"{name}, {what}: median delay", peer=loop.delay, ours=ours.delay, unit="s", at_most=limit)
            yield Row(what=f"{name}, {what}: mean delay", peer=loop.mean_delay, ours=ours.mean_delay, unit="s")
    for name, sample in (SAMPLES | {"jogg-product": PRODUCT}).items():
        if PROVIDERS[name].webhook:
            polling, lives = PROVIDERS[name].polling, _lives(sample, jobs, polling.timeout, is_late=False)
            ours, told = _poll(polling, lives), _poll(polling, lives, is_told=True)
            what = f"{name}, told by webhooks: "
            yield Row(what=f"{what}requests a job", peer=ours.requests, ours=told.requests, unit="", at_most=0.5)
            yield Row(what=f"{what}median delay", peer=ours.delay, ours=told.delay, unit="s", at_most=0.5)
            yield Row(what=f"{what}mean delay", peer=ours.mean_delay, ours=told.mean_delay, unit="s")


def _show_curve(jobs: int) -> None:
    print("\n| service | every | requests a job | median delay |\n|---|---|---|---|")
    for name, sample in SAMPLES.items():
        polling = PROVIDERS[name].polling
        lives = _lives(sample, jobs, polling.timeout, is_late=False)
        low, high = polling.every
        for every in [low + (high - low) * step / 5 for step in range(6)] + [high * 1.5, high * 2]:
            found = _poll(replace(polling, every=(every, every)), lives)
            print(f"| {name} | {every:g} s | {found.requests:.1f} | {found.delay:.1f} s |")


def _lives(sample: Sample, jobs: int, timeout: float, *, is_late: bool) -> list[Life]:
    """Draw jobs that end 10 s before the loops give up, at the latest."""
    random = Random(7)
    low, high = sample.takes
    # Eight of ten inside: a normal distribution has them within 1.28 deviations.
    body = math.log(low * high) / 2, math.log(high / low) / 2 / 1.2816
    tail = math.log(1.5 * high), 0.3
    drawn = (random.lognormvariate(*(tail if random.random() < 0.1 else body)) for _ in count())
    takes = islice((each for each in drawn if each < timeout - 10), jobs)
    return [Life(each, random.uniform(0, each) if is_late else 0) for each in takes]


def _loop(sample: Sample, lives: Sequence[Life]) -> Outcome:
    """`sleep(first)`, then look and `sleep(every)` until it is done; how old the job is it does not ask."""
    looks = [max(math.ceil((takes - age - sample.first) / sample.every), 0) for takes, age in lives]
    delays = [age + sample.first + n * sample.every - takes for n, (takes, age) in zip(looks, lives, strict=True)]
    return _outcome([n + 1 for n in looks], delays)


def _told(life: Mapping[JobRef, Life]) -> list[tuple[float, Message]]:
    """Return what comes in: nearly every end."""
    random = Random(7)
    hints = [(each.takes - each.age + ON_ITS_WAY, Hint((ref,))) for ref, each in life.items()]
    return [each for each in hints if random.random() >= LOST]


def _poll(polling: Polling, lives: Sequence[Life], *, is_told: bool = False) -> Outcome:
    life = {JobRef("job", str(at)): each for at, each in enumerate(lives)}
    clock, inbox = FakeClock(_told(life) if is_told else ()), SimpleQueue[Message]()
    if is_told:
        inbox.put(Door(is_open=True))  # found out before the first look goes out
    looks = dict.fromkeys(life, 0)
    delays: dict[JobRef, float] = {}
    asked: dict[JobRef, float] = {}

    def submit(_: Phase, job: Job) -> None:
        ref = job.ref
        takes, age = life[ref]
        assert clock.time - asked.get(ref, -math.inf) >= polling.floor - 1e-6, "under the floor"
        asked[ref] = clock.time
        looks[ref] += 1
        created_at = EPOCH - timedelta(seconds=age)
        done = age + clock.time >= takes
        if done:
            delays[ref] = age + clock.time - takes
        state = State.SUCCEEDED if done else State.RUNNING
        video_url = "https://cdn.example/video.mp4" if done else None
        inbox.put(Reply(ref, Job(ref=ref, state=state, video_url=video_url, created_at=created_at)))

    for _ in poll(
        [Target(ref, "job", polling, announces=is_told) for ref in life],
        submit,
        inbox,
        clock,
        PollOptions(),
        jitter=Random(7).random,
    ):
        pass
    return _outcome(list(looks.values()), list(delays.values()))


def _outcome(looks: Sequence[int], delays: Sequence[float]) -> Outcome:
    return Outcome(sum(looks) / len(looks), median(delays), sum(delays) / len(delays))


if __name__ == "__main__":
    main()
