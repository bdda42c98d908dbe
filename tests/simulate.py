"""Play stories drawn from a seed with the real engine, history and saving, and check the invariants after each run.

    .venv/bin/python tests/simulate.py [--seeds N] [--seed S]

A story has some jobs and events: answers of their services, trouble of networks, stores and disks, limits, webhooks,
signals, kills, a machine that is stopped or asleep. `wait` is run, and then `wait --unfinished` until all trouble is
over. Everything is in one process, on a clock of its own; tests/simulation has the parts.

Invariants:

* A file with its final name is the whole video of its job.
* No id is lost: it is in the history before the first request, and stays there.
* No two looks at a job are closer than the floor.
* Nothing is asked inside a pause whose end was told.
* After a limit without an end, nothing is asked for an interval.
* No service is asked faster than its rate.
* Nothing is asked after the deadline, except one last look after a stop that went past it.
* The deadline holds within a second, and within four after such a stop.
* Each job ends exactly once in a run.
* An exit code says what the service has said.
* What the service has finished is saved by the next `wait --unfinished --download`.
* Only what is sure is recorded, and a failure word of the shared table seen twice.
* A key group behind a wall is asked a few times.
* Nothing ends in a traceback.

Prints the shortest story that it finds for each broken invariant; exits 1 if there is one. `--seed` alone tells the
story of that seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count
from typing import TYPE_CHECKING

from simulation.invariants import broken
from simulation.play import play
from simulation.story import Story, draw

if TYPE_CHECKING:
    from collections.abc import Iterator


def try_story(story: Story) -> tuple[str, str] | None:
    """Return the first invariant that a story breaks, and how."""
    return next(broken(play(story)), None)


def try_seeds(seeds: range) -> list[tuple[int, str, str]]:
    """Return the seeds whose stories break an invariant."""
    found = ((seed, try_story(draw(seed))) for seed in seeds)
    return [(seed, *broke) for seed, broke in found if broke]


def shrink(story: Story, sentence: str) -> Story:
    """Remove all that the story does not need to break the same invariant."""
    for shorter in story.shorter():
        broke = try_story(shorter)
        if broke and broke[0] == sentence:
            return shrink(shorter, sentence)
    return story


def report(seed: int) -> Iterator[str]:
    """Yield the lines that describe a failure: the broken invariant and the shortest story."""
    broke = try_story(draw(seed))
    if not broke:
        yield f"seed {seed}: nothing is broken"
        return
    story = shrink(draw(seed), broke[0])
    again = try_story(story)
    assert again
    yield f"BROKEN: {again[0]} {again[1]}\n  {story}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000, help="how many stories")
    parser.add_argument("--seed", type=int, help="this one alone, or the first one of --seeds")
    given = parser.parse_args()
    start = time.monotonic()
    if given.seed is not None and "--seeds" not in sys.argv:
        print(*report(given.seed))  # noqa: T201
        return 0
    first = given.seed or 0
    seeds, size = range(first, first + given.seeds), 50
    failures = []
    with ProcessPoolExecutor(cpu_count()) as pool:
        for found in pool.map(try_seeds, (seeds[at : at + size] for at in range(0, len(seeds), size))):
            failures += found
    for sentence in dict.fromkeys(sentence for _, sentence, _ in failures):
        those = [seed for seed, of, _ in failures if of == sentence]
        print(f"{len(those)} seeds, {those[:10]}")  # noqa: T201
        print(*report(those[0]), sep="\n")  # noqa: T201
    print(f"{len(seeds)} stories in {time.monotonic() - start:.1f} s: {len(failures)} break an invariant")  # noqa: T201
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
