"""Compare start-up with the smallest Typer program, and one look with the shortest script that does the same."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from measure import Row, compute_medians, measure_process, show
from service import VIDEOSTAT, Service, run_service

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALLEST = """
from typing import Annotated
import typer
def shown(asked: bool) -> None:
    if asked:
        print("smallest 1.0")
        raise typer.Exit
def smallest(version: Annotated[bool, typer.Option("--version", callback=shown, is_eager=True)] = False) -> None:
    "The smallest program."
typer.run(smallest)
"""

SESSION = """
import os
import requests
import typer
def status(provider: str, job: str) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {os.environ['DOUBAO_API_KEY']}"
    url = f"{os.environ['VIDEOSTAT_DOUBAO_BASE_URL']}/v1/video/generations/{job}"
    answer = session.get(url, timeout=30)
    answer.raise_for_status()
    task = answer.json()["data"]
    print(provider, job, task["status"], task["fail_reason"], sep="\\t")
typer.run(status)
"""

CALLS = {"--version": SMALLEST, "--help": SMALLEST, "status doubao 1048576-1": SESSION}
LIMIT = 1.25


def main() -> None:
    """Read the options, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with run_service() as there, TemporaryDirectory() as folder:
        for row in show(_measure(there, Path(folder), rounds)):
            _explain(there, Path(folder), row.what)


def _measure(there: Service, folder: Path, rounds: int) -> Iterator[Row]:
    for call, program in CALLS.items():
        script = folder / "peer.py"
        script.write_text(program, encoding="utf-8")
        peer, ours = compute_medians(
            rounds,
            partial(_measure_time, there, sys.executable, script, *_split_call(call)),
            partial(_measure_time, there, VIDEOSTAT, *call.split()),
        )
        yield Row(what=call, peer=peer, ours=ours, unit="ms", at_most=LIMIT)


def _split_call(call: str) -> list[str]:
    """Split a call into words for the peer, which has only one command."""
    return call.removeprefix("status ").split()


def _measure_time(there: Service, *command: str | Path) -> float:
    return measure_process(*command, env=there.env).seconds * 1000


def _explain(there: Service, folder: Path, call: str) -> None:
    """Print the packages that cost videostat more import time than the peer."""
    script = folder / "peer.py"
    script.write_text(CALLS[call], encoding="utf-8")
    more = _measure_imports(there, VIDEOSTAT, *call.split())
    more.subtract(_measure_imports(there, script, *_split_call(call)))
    print(f"\n{call}: import time above the peer's, in ms:", end=" ")
    print(", ".join(f"{name} {cost / 1000:.1f}" for name, cost in more.most_common(8)))


def _measure_imports(there: Service, *command: str | Path) -> Counter[str]:
    """Measure the microseconds that each package's own modules take to import."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *command], env=there.env, capture_output=True, text=True, check=True
    )
    costs: Counter[str] = Counter()
    for line in run.stderr.splitlines():
        spent, _, name = line.removeprefix("import time:").split("|") if line.count("|") == 2 else ("", "", "")
        if spent.strip().isdigit():
            costs[name.strip().partition(".")[0]] += int(spent)
    return costs


if __name__ == "__main__":
    main()
