"""Play stories drawn from a seed with the real engine, history and saving, and check what must be so.

    .venv/bin/python tests/simulate.py [--seeds N] [--seed S]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count

from simulation.invariants import broken
from simulation.play import play
from simulation.story import Story, draw


def try_story(story: Story) -> tuple[str, str] | None:
    """Return the first invariant that a story breaks, and how."""
    return next(broken(play(story)), None)


def try_seeds(seeds: range) -> list[tuple[int, str, str]]:
    """Return the seeds whose stories break an invariant."""
    found = ((seed, try_story(draw(seed))) for seed in seeds)
    return [(seed, *broke) for seed, broke in found if broke]


def shrink(story: Story, sentence: str) -> Story:
    """Drop what can be dropped while the story breaks the same invariant."""
    for shorter in story.shorter():
        broke = try_story(shorter)
        if broke and broke[0] == sentence:
            return shrink(shorter, sentence)
    return story


def report(seed: int) -> Iterator[str]:
    """Yield the lines that tell a failure: the shortest story, and what it breaks."""
    broke = try_story(draw(seed))
    if not broke:
        yield f"seed {seed}: nothing is broken"
        return
    story = shrink(draw(seed), broke[0])
    again = try_story(story)
    assert again
    yield f"BROKEN: {again[0]} {again[1]}\n  {story}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
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
