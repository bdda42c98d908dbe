"""Measure how long each kind of listing takes with a history of 100,000 jobs, without start-up."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Row, compute_medians, measure_process, show
from service import VIDEOSTAT

from videostat.history import History
from videostat.models import Job, JobRef, Saved, State

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTINGS = (
    "history",
    "history --json --limit 1000",
    "history --unfinished",
    "history --missing",
    "history --provider reelbot",
    "history --since 7d",
    "history --unfinished --provider jogg",
    "history --missing --provider doubao",
)
PROVIDERS = ("jogg", "doubao", "reelbot")
LIMIT = 300


def main() -> None:
    """Read the options, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--all", action="store_true", help="also list every row")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "XDG_STATE_HOME": folder,
            "VIDEOSTAT_DOUBAO_BASE_URL": "http://127.0.0.1",
        }
        _fill(Path(folder) / "videostat" / "history.db", options.rows)
        show(_measure(env, options.rounds, ("history --all --json",) if options.all else ()))


def _measure(env: dict[str, str], rounds: int, more: tuple[str, ...]) -> Iterator[Row]:
    def measure_call(call: str) -> float:
        return measure_process(VIDEOSTAT, *call.split(), env=env).seconds * 1000

    for call in LISTINGS + more:
        start, ours = compute_medians(rounds, partial(measure_call, "--version"), partial(measure_call, call))
        yield Row(
            what=f"{call}, above --version", ours=ours - start, unit="ms", at_most=None if call in more else LIMIT
        )


def _fill(path: Path, rows: int) -> None:
    """Fill the history with a job for every ten minutes.

    One in a hundred still runs, one in ten has failed, and only the oldest have no file.
    """
    history = History(path, warn=print)
    now = datetime.now(UTC)
    video = path.parent / "video.mp4"
    video.parent.mkdir()
    video.touch()
    refs = [JobRef(PROVIDERS[at % 3], f"job-{at:07}") for at in range(rows)]
    history.add(refs, now)
    for at, ref in enumerate(refs):
        created = now - timedelta(minutes=10 * at)
        if at % 100 == 0:
            job = Job(ref=ref, state=State.RUNNING, status="processing", created_at=created)
        elif at % 10 == 1:
            job = Job(ref=ref, state=State.FAILED, status="failed", created_at=created, error="no such picture")
        else:
            saved = Saved(file=video, bytes=1 << 20) if at < rows * 0.99 else None
            done = created + timedelta(minutes=3)
            job = Job(
                ref=ref,
                state=State.SUCCEEDED,
                status="success",
                title=f"Clip {at}",
                created_at=created,
                completed_at=done,
                saved=saved,
            )
        history.update(job, now)
    history.close()


if __name__ == "__main__":
    main()
