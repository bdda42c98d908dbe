"""Videos saved by the whole command, with every check and fsync, against curl, wget and aria2c, which have neither."""

from __future__ import annotations

import argparse
import shutil
import sys
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Row, Usage, in_turn, show, usage
from service import VIDEOSTAT, Service, service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIB = 1 << 20
PARALLEL = 3
MEMORY = 80


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=1024, metavar="MiB", help="the size of the large file")
    parser.add_argument("--files", type=int, default=200, help="of 8 MiB")
    parser.add_argument("--folder", type=Path, help="on the disk to be written to")
    parser.add_argument("--all", action="store_true", help="the many files over https too")
    show(_rows(parser.parse_args()))


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    for name in ("curl", "wget", "aria2c"):
        if not shutil.which(name):
            print(f"{name} is not installed: left out", file=sys.stderr)
    large, small = [f"{options.large * MIB}-0"], [f"{8 * MIB}-{at}" for at in range(options.files)]
    for tls in (False, True):
        scheme = "https" if tls else "http"
        with service(tls=tls) as there, TemporaryDirectory(dir=options.folder) as folder:
            compared = partial(_compared, there, Path(folder), options.rounds)
            yield from compared(f"{options.large} MiB, {scheme}", large, at_least=0.9 if tls else 1)
            if options.all or not tls:
                yield from compared(f"{len(small)} x 8 MiB, {scheme}", small, at_least=None if tls else 1)


def _compared(
    there: Service, folder: Path, rounds: int, what: str, jobs: Sequence[str], *, at_least: float | None
) -> Iterator[Row]:
    commands = {name: command for name, command in _commands(there, folder, jobs).items() if shutil.which(command[0])}
    ways = [partial(_saved, there, folder, jobs, command) for command in commands.values()]
    runs = dict(zip(commands, in_turn(rounds, *ways), strict=True))
    rate = {name: _size(jobs) / MIB / median(run.seconds for run in each) for name, each in runs.items()}
    ours = rate.pop("videostat")
    for name, peer in rate.items():
        limit = at_least if name == "curl" else None
        yield Row(what=f"{what}, {name}", peer=peer, ours=ours, unit="MiB/s", at_least=limit)
    peak = max(run.peak for run in runs["videostat"])
    yield Row(what=f"{what}, peak memory", ours=peak, unit="MiB", at_most=MEMORY)


def _commands(there: Service, folder: Path, jobs: Sequence[str]) -> dict[str, list[str]]:
    """As many files at once as videostat has, where the tool can."""
    ca, into = str(there.ca), str(folder)
    urls = [f"{there.base_url}/media/{job}.mp4" for job in jobs]
    files = [word for job, url in zip(jobs, urls, strict=True) for word in ("-o", f"{folder}/{job}.mp4", url)]
    return {
        "curl": ["curl", "-sSf", "--cacert", ca, "--parallel", "--parallel-max", str(PARALLEL), *files],
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


def _saved(there: Service, folder: Path, jobs: Sequence[str], command: Sequence[str]) -> Usage:
    used = usage(*command, env=there.env)
    assert sum(file.stat().st_size for file in folder.iterdir()) == _size(jobs), f"{command[0]} has not saved it all"
    for file in folder.iterdir():
        file.unlink()
    return used


def _size(jobs: Sequence[str]) -> int:
    return sum(int(job.partition("-")[0]) for job in jobs)


if __name__ == "__main__":
    main()
