"""Compare poll() with the loops that the services document, in a simulation.

It counts the requests for each job, and the seconds between the end of a job and its discovery. The durations are the
documented ones: JoggAI 3-4 minutes, the others 1-5 minutes. Eight of ten jobs lie inside, one outside, and one comes
from a long tail. The wait begins when the job is submitted, or at a random moment of its life. For a service with
webhooks, polling is compared with webhooks that announce 98 of 100 ends half a second later.
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
LOST, ON_ITS_WAY = 0.02, 0.5  # share of the webhooks; seconds


class Sample(NamedTuple):
    """A service's documented loop: the seconds of the first sleep and of each other sleep, and of its jobs."""

    first: float
    every: float
    takes: tuple[float, float]


# Product videos take 10 to 20 minutes. No loop is documented for them.
PRODUCT = Sample(30, 15, (600, 1200))
SAMPLES = {
    "jogg": Sample(30, 15, (180, 240)),
    "doubao": Sample(0, 5, (60, 300)),
    "reelbot": Sample(0, 5, (60, 300)),
}


class Life(NamedTuple):
    """The duration of a job and its age when the wait begins, in seconds."""

    takes: float
    age: float


class Outcome(NamedTuple):
    """The mean requests, and the median and mean delay in seconds, of all jobs."""

    requests: float
    delay: float
    mean_delay: float


class FakeClock(Clock):
    """A clock that moves only during a wait. `coming` has the messages with their times."""

    def __init__(self, coming: Sequence[tuple[float, Message]] = ()) -> None:
        super().__init__()
        self.time = 0.0
        self.coming = deque(sorted(coming, key=itemgetter(0)))

    def monotonic(self) -> float:
        """Return the simulated time in seconds."""
        return self.time

    def now(self) -> datetime:
        """Return the simulated time as a date."""
        return EPOCH + timedelta(seconds=self.time)

    def wait(self, inbox: SimpleQueue[Any], seconds: float) -> Any:
        """Return the next message, or move the time forward and return None."""
        if not inbox.empty():
            return inbox.get()
        until = self.time + max(seconds, 0)
        if self.coming and self.coming[0][0] <= until:
            self.time, item = self.coming.popleft()
            return item
        self.time = until
        return None


def main() -> None:
    """Read the options, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--curve", action="store_true", help="also show what fixed intervals would give")
    options = parser.parse_args()
    show(_measure(options.jobs))
    if options.curve:
        _show_curve(options.jobs)


def _measure(jobs: int) -> Iterator[Row]:
    for name, sample in SAMPLES.items():
        polling = PROVIDERS[name].polling
        # The documented loops begin at submission, so a wait that begins later has no target.
        for what, limit in (("from submission", 1), ("from later on", None)):
            lives = _draw_lives(sample, jobs, polling.timeout, is_late=limit is None)
            loop, ours = _run_loop(sample, lives), _run_poll(polling, lives)
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
            polling, lives = PROVIDERS[name].polling, _draw_lives(sample, jobs, polling.timeout, is_late=False)
            ours, hinted = _run_poll(polling, lives), _run_poll(polling, lives, has_webhooks=True)
            what = f"{name}, with webhooks: "
            yield Row(what=f"{what}requests a job", peer=ours.requests, ours=hinted.requests, unit="", at_most=0.5)
            yield Row(what=f"{what}median delay", peer=ours.delay, ours=hinted.delay, unit="s", at_most=0.5)
            yield Row(what=f"{what}mean delay", peer=ours.mean_delay, ours=hinted.mean_delay, unit="s")


def _show_curve(jobs: int) -> None:
    print("\n| service | every | requests a job | median delay |\n|---|---|---|---|")
    for name, sample in SAMPLES.items():
        polling = PROVIDERS[name].polling
        lives = _draw_lives(sample, jobs, polling.timeout, is_late=False)
        low, high = polling.every
        for every in [low + (high - low) * step / 5 for step in range(6)] + [high * 1.5, high * 2]:
            found = _run_poll(replace(polling, every=(every, every)), lives)
            print(f"| {name} | {every:g} s | {found.requests:.1f} | {found.delay:.1f} s |")


def _draw_lives(sample: Sample, jobs: int, timeout: float, *, is_late: bool) -> list[Life]:
    """Draw random jobs. All end at least 10 s before the loops give up."""
    random = Random(7)
    low, high = sample.takes
    # A normal distribution has eight of ten values within 1.28 deviations.
    body = math.log(low * high) / 2, math.log(high / low) / 2 / 1.2816
    tail = math.log(1.5 * high), 0.3
    drawn = (random.lognormvariate(*(tail if random.random() < 0.1 else body)) for _ in count())
    takes = islice((each for each in drawn if each < timeout - 10), jobs)
    return [Life(each, random.uniform(0, each) if is_late else 0) for each in takes]


def _run_loop(sample: Sample, lives: Sequence[Life]) -> Outcome:
    """Simulate `sleep(first)`, then a look and `sleep(every)` until the job is done."""
    looks = [max(math.ceil((takes - age - sample.first) / sample.every), 0) for takes, age in lives]
    delays = [age + sample.first + n * sample.every - takes for n, (takes, age) in zip(looks, lives, strict=True)]
    return _summarise([n + 1 for n in looks], delays)


def _plan_hints(life: Mapping[JobRef, Life]) -> list[tuple[float, Message]]:
    """Plan the messages for the webhooks that are not lost."""
    random = Random(7)
    hints = [(each.takes - each.age + ON_ITS_WAY, Hint((ref,))) for ref, each in life.items()]
    return [each for each in hints if random.random() >= LOST]


def _run_poll(polling: Polling, lives: Sequence[Life], *, has_webhooks: bool = False) -> Outcome:
    """Simulate poll(), and check that it never asks too early."""
    life = {JobRef("job", str(at)): each for at, each in enumerate(lives)}
    clock, inbox = FakeClock(_plan_hints(life) if has_webhooks else ()), SimpleQueue[Message]()
    if has_webhooks:
        inbox.put(Door(is_open=True))  # before the first look
    looks = dict.fromkeys(life, 0)
    delays: dict[JobRef, float] = {}
    asked: dict[JobRef, float] = {}

    def submit(_: Phase, job: Job) -> None:
        ref = job.ref
        takes, age = life[ref]
        assert clock.time - asked.get(ref, -math.inf) >= polling.floor - 1e-6, "asked too early"
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
        [Target(ref, "job", polling, announces=has_webhooks) for ref in life],
        submit,
        inbox,
        clock,
        PollOptions(),
        jitter=Random(7).random,
    ):
        pass
    return _summarise(list(looks.values()), list(delays.values()))


def _summarise(looks: Sequence[int], delays: Sequence[float]) -> Outcome:
    return Outcome(sum(looks) / len(looks), median(delays), sum(delays) / len(delays))


if __name__ == "__main__":
    main()
