"""Draw a story from one seed: jobs, events that happen to them, and how often `videostat wait` is run."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from simulation.answers import MEDIA, SAYINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

PROVIDERS = ("jogg", "doubao", "reelbot", "jogg-avatar")
ENDS = (*("success",) * 6, "failed", "shared failed", "shared success", "late url", "no url", "never", "unknown")
WITH_FILM = {"success", "shared success", "late url"}
WORDS = {
    "disk": [
        *("write ENOSPC", "write EIO", "open EIO", "fsync EINVAL", "fsync EIO", "replace EBUSY", "ftruncate EIO"),
    ],
    "signal": ["SIGINT", "SIGTERM", "SIGHUP"],
    "hint": ["true", "forged", "twice"],
    "door": ["open", "shut"],
}
EVENTS = (
    *("say",) * 8, *("media",) * 4, *("disk", "history", "stop", "asleep", "key", "door", "reader", "kill at step"),
    *("signal",) * 2, *("kill",) * 2, *("hint",) * 4,
)  # fmt: skip


class Plan(NamedTuple):
    """A job as its service has it, in seconds of the story.

    `known_from`: when the service begins to know the id. `film_at`: when the file can be loaded. `url_lives`: how long
    a URL works. `is_dated`: whether the service says when the job was created. `size` of the film in bytes. `tail`:
    further bytes outside any box, so only the length shows whether the file is complete.
    """

    provider: str
    id: str
    end: str
    ends_at: float
    known_from: float = -math.inf
    film_at: float = -math.inf
    url_lives: float = math.inf
    is_dated: bool = False
    size: int = 1000
    tail: int = 0

    @property
    def has_film(self) -> bool:
        is_named = not (self.end == "shared success" and self.provider == "reelbot")
        return self.end in WITH_FILM and is_named and self.ends_at < math.inf


class Event(NamedTuple):
    """Trouble during some time. `job`: the number of the job it happens to, None for all. `odds`: how often."""

    kind: str
    at: float
    until: float
    what: str = ""
    job: int | None = None
    odds: float = 1


class Story(NamedTuple):
    """Jobs, events and runs: one for all jobs, then one for unfinished jobs after each gap. The last has no trouble."""

    seed: int
    jobs: tuple[Plan, ...]
    events: tuple[Event, ...]
    timeout: float = 120
    interval: float | None = None
    saves: bool = True
    gaps: tuple[float, ...] = (1,)
    is_slow: bool = False

    @property
    def horizon(self) -> float:
        """Return when all trouble is over."""
        times = [each.until for each in self.events] + [max(job.ends_at, job.film_at) for job in self.jobs]
        return max((at for at in times if at < math.inf), default=0)

    def shorter(self) -> Iterator[Story]:
        """Yield the stories with one event, job, gap or property less."""
        for number in range(len(self.events)):
            yield self._replace(events=self.events[:number] + self.events[number + 1 :])
        for number in range(len(self.jobs) - 1, 0, -1):
            kept = [each for each in self.events if each.job != number]
            moved = [
                each if each.job is None or each.job < number else each._replace(job=each.job - 1) for each in kept
            ]
            yield self._replace(jobs=self.jobs[:number] + self.jobs[number + 1 :], events=tuple(moved))
        for number in range(len(self.gaps) - 1):
            yield self._replace(gaps=self.gaps[:number] + self.gaps[number + 1 :])
        for number, job in enumerate(self.jobs):
            plain = Plan(job.provider, job.id, job.end, job.ends_at)
            if job != plain:
                yield self._replace(jobs=(*self.jobs[:number], plain, *self.jobs[number + 1 :]))

    def __str__(self) -> str:
        about = f"seed {self.seed}: timeout {self.timeout:g}, {'saves' if self.saves else 'does not save'}, "
        lines = [about + f"interval {self.interval}, gaps {self.gaps}", *map(str, self.jobs), *map(str, self.events)]
        return "\n  ".join(lines)


def draw(seed: int) -> Story:
    """Draw a story; the same seed gives the same."""
    chance = Random(seed)
    timeout = chance.choice((20, 45, 90, 90, 200))
    group = chance.choice((PROVIDERS, PROVIDERS[:1], PROVIDERS[1:2], PROVIDERS[2:3]))
    count = chance.choice((1, 1, 1, 2, 2, 3, 4, 5))
    jobs = tuple(_job(chance, chance.choice(group), number, timeout) for number in range(count))
    events = [_event(chance, timeout, jobs) for _ in range(chance.choice((0, 1, 1, 2, 3, 4, 6)))]
    if chance.random() < 0.15:
        wall = chance.choice([name for name, said in SAYINGS.items() if not said.is_answer])
        events = [Event("say", 0, timeout * 3, wall)]
    return Story(
        seed,
        jobs,
        tuple(events),
        timeout,
        chance.choice((None, None, None, 20)),
        chance.random() < 0.6,
        tuple(round(chance.choice((0.1, 3, 30)), 1) for _ in range(chance.choice((1, 1, 2, 3)))),
        is_slow=chance.random() < 0.25,
    )


def _job(chance: Random, provider: str, number: int, timeout: float) -> Plan:
    ends_at = math.inf if (end := chance.choice(ENDS)) == "never" else round(chance.uniform(-100, timeout * 1.2), 1)
    is_late = chance.random() < 0.2
    return Plan(
        provider,
        f"{end.replace(' ', '-')}-{number}",
        end,
        ends_at,
        known_from=round(chance.uniform(0, 30), 1) if chance.random() < 0.15 else -math.inf,
        film_at=ends_at + round(chance.uniform(0, 150), 1) if is_late and ends_at < math.inf else -math.inf,
        url_lives=chance.choice((math.inf, math.inf, math.inf, 30, 300)),
        is_dated=chance.random() < 0.5,
        size=chance.choice((200, 1000, 3000)),
        tail=chance.choice((0, 300)),
    )


def _event(chance: Random, timeout: float, jobs: tuple[Plan, ...]) -> Event:
    kind = chance.choice(EVENTS)
    at = round(chance.uniform(-1, timeout * 1.2), 2)
    until = at + round(chance.choice((1, 5, 20, 60, timeout)) * chance.uniform(0.5, 1.2), 1)
    words = {"say": [*SAYINGS], "media": [*MEDIA], "kill at step": [*map(str, range(12))]} | WORDS
    what = chance.choice(words.get(kind, [""]))
    is_for_all = kind in {"say", "media", "hint"} and chance.random() < 0.5
    job = None if is_for_all or kind not in {"say", "media", "hint"} else chance.randrange(len(jobs))
    if kind == "media" and job is not None and jobs[job].ends_at < math.inf:
        # Let it happen while the video is loaded.
        at, until = max(jobs[job].ends_at, 0), max(jobs[job].ends_at, 0) + until - at
    return Event(kind, at, until, what, job, chance.choice((1, 1, 0.5)))
