"""Compare the speed of `videostat download` with curl, wget and aria2c.

videostat checks each video and calls fsync; the others do not. No file is deleted between two runs, because ext4 does
part of that work in the next run, which then takes 1.5 to 3 times as long.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Row, Usage, measure_process, run_in_turn, show
from service import VIDEOSTAT, Service, run_service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MIB = 1 << 20
PARALLEL = 3
MEMORY = 80
SYNCED = "curl, then fsync each"
FSYNC = "import os, sys\nfor name in sys.argv[1:]: os.fsync(os.open(name, os.O_RDONLY))"


def main() -> None:
    """Read the options, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=1024, metavar="MiB", help="the size of the large file")
    parser.add_argument("--files", type=int, default=200, help="of 8 MiB")
    parser.add_argument("--clips", type=int, default=2000, help="of 256 KiB")
    parser.add_argument("--folder", type=Path, help="on the disk to be written to")
    parser.add_argument("--only", choices=["large", "files", "clips", "far"], help="one of the tables")
    show(_measure(parser.parse_args()))


def _measure(options: argparse.Namespace) -> Iterator[Row]:
    for name in ("curl", "wget", "aria2c"):
        if not shutil.which(name):
            print(f"{name} is not installed, so it is not compared", file=sys.stderr)
    large, files, clips = options.large * MIB, options.files, options.clips
    whole, small = _make_ids(files, 8 * MIB), _make_ids(clips, MIB // 4)
    for table, what, jobs, tls, delay, goals in (
        ("large", f"{options.large} MiB, http", [f"{large}-0"], False, 0.0, {"curl": 1.2}),
        ("large", f"{options.large} MiB, https", [f"{large}-0"], True, 0.0, {"curl": 1.0}),
        ("files", f"{files} x 8 MiB, http", whole, False, 0.0, {"curl": 1.0, SYNCED: 1.3}),
        ("files", f"{files} x 8 MiB, https", whole, True, 0.0, {"curl": 0.85, SYNCED: 1.2}),
        ("clips", f"{clips:,} clips of 256 KiB, http", small, False, 0.0, {}),
        ("far", f"{clips:,} clips of 256 KiB through 20 ms, http", small, False, 0.02, {"curl": 0.95}),
    ):
        if options.only in {None, table}:
            with run_service(tls=tls, delay=delay) as there, TemporaryDirectory(dir=options.folder) as folder:
                yield from _compare(there, Path(folder), what, jobs, rounds=options.rounds, goals=goals)


def _make_ids(count: int, size: int) -> list[str]:
    return [f"{size}-{at}" for at in range(count)]


def _compare(
    there: Service, folder: Path, what: str, jobs: Sequence[str], *, rounds: int, goals: Mapping[str, float]
) -> Iterator[Row]:
    into, kept = folder / "into", folder / "kept"
    into.mkdir()
    kept.mkdir()
    commands = {
        name: command for name, command in _write_commands(there, into, jobs).items() if shutil.which(command[0])
    }
    ways = [partial(_save, there, into, kept, jobs, command) for command in commands.values()]
    runs = dict(zip(commands, run_in_turn(rounds, *ways), strict=True))
    rates = {name: _sum_sizes(jobs) / MIB / median(run.seconds for run in each) for name, each in runs.items()}
    costs = {name: 1000 * median(run.cpu for run in each) / len(jobs) for name, each in runs.items()}
    ours, cost = rates.pop("videostat"), costs.pop("videostat")
    for name, peer in rates.items():
        yield Row(what=f"{what}, {name}", peer=peer, ours=ours, unit="MiB/s", at_least=goals.get(name))
        yield Row(what=f"{what}, {name}: processor time of a file", peer=costs[name], ours=cost, unit="ms")
    if _sum_sizes(jobs) < len(jobs) * MIB:
        yield Row(what=f"{what}: processor time of a clip", ours=cost, unit="ms", at_most=2.5)
    peak = max(run.peak for run in runs["videostat"])
    yield Row(what=f"{what}, peak memory", ours=peak, unit="MiB", at_most=MEMORY)


def _write_commands(there: Service, folder: Path, jobs: Sequence[str]) -> dict[str, list[str]]:
    """Write the command of each tool. It loads as many files at once as videostat does, if the tool can."""
    ca, into = str(there.ca), str(folder)
    urls = [f"{there.base_url}/media/{job}.mp4" for job in jobs]
    files = [f"{folder}/{job}.mp4" for job in jobs]
    pairs = [word for file, url in zip(files, urls, strict=True) for word in ("-o", file, url)]
    curl = ["curl", "-sSf", "--cacert", ca, "--parallel", "--parallel-max", str(PARALLEL), *pairs]
    return {
        "curl": curl,
        SYNCED: ["sh", "-c", f"{shlex.join(curl)} && {shlex.join([sys.executable, '-c', FSYNC, *files])}"],
        "wget": ["wget", "-q", "--ca-certificate", ca, "-P", into, *urls],
        "aria2c": [
            "aria2c",
            "-q",
            f"--ca-certificate={ca}",
            "--file-allocation=none",
            f"-j{PARALLEL}",
            "-Z",
            "-d",
            into,
            *urls,
        ],
        "videostat": [str(VIDEOSTAT), "download", "doubao", *jobs, "--quiet", "--output-dir", into],
    }


def _save(there: Service, folder: Path, kept: Path, jobs: Sequence[str], command: Sequence[str]) -> Usage:
    """Run a command and check the sizes of its files. Empty the files and move them away."""
    used = measure_process(*command, env=there.env)
    assert sum(file.stat().st_size for file in folder.iterdir()) == _sum_sizes(jobs), (
        f"{command[0]} did not save everything"
    )
    for file in folder.iterdir():
        os.truncate(file, 0)
        file.rename(kept / str(next(_numbers)))
    os.sync()
    return used


_numbers = count()


def _sum_sizes(jobs: Sequence[str]) -> int:
    return sum(int(job.partition("-")[0]) for job in jobs)


if __name__ == "__main__":
    main()
