"""Measure the processor time of a look at a job, of a new TLS connection, and of a wait for 10,000 jobs."""

from __future__ import annotations

import argparse
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from measure import Row, compute_medians, measure_process, show
from service import KEY, VIDEOSTAT, run_service

from videostat.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from service import Service

    from videostat.models import Job
    from videostat.polling.options import Phase

WORKERS = 32
TIMED_OUT = 124


def main() -> None:
    """Read the options, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--looks", type=int, default=1000, help="looks in each round")
    parser.add_argument("--jobs", type=int, default=10_000, help="to wait for at once")
    parser.add_argument("--seconds", type=int, default=10, help="to wait for them")
    show(_measure(parser.parse_args()))


def _measure(options: argparse.Namespace) -> Iterator[Row]:
    # Measure the wait first, while this process is small: on Linux, its peak counts for its children.
    yield from _measure_wait(options.jobs, options.seconds)
    ids = [f"running-{at}" for at in range(options.looks)]
    yield from _measure_looks(ids, options.rounds)
    yield from _measure_connections(ids[:50], options.rounds)


def _measure_looks(ids: list[str], rounds: int) -> Iterator[Row]:
    with run_service() as there, ThreadPoolExecutor(WORKERS) as pool:
        ways = _make_session_look(there), _make_client_look(there)
        peer, client, loop = compute_medians(
            rounds,
            *(partial(_measure_cpu, len(ids), partial(_look_at_all, pool, way, ids)) for way in ways),
            partial(_measure_cpu, len(ids), partial(_poll_all, ways[1], ids)),
        )
    what = f"processor time a look, {WORKERS} threads, against requests.Session"
    yield Row(what=f"{what}: Client.look", peer=peer, ours=client, unit="ms", at_most=0.65)
    yield Row(what=f"{what}: poll, Workers, Client.look", peer=peer, ours=loop, unit="ms", at_most=0.65)


def _measure_connections(ids: list[str], rounds: int) -> Iterator[Row]:
    """Measure one thread with and without keep-alive. The difference is the cost of a connection."""
    looks = []
    for keep_alive in (True, False):
        with run_service(tls=True, keep_alive=keep_alive) as there:
            # This replaces certificates that the user may have set.
            os.environ["REQUESTS_CA_BUNDLE"] = str(there.ca)
            ways = _make_session_look(there), _make_client_look(there)
            looks.append(
                compute_medians(
                    rounds, *(partial(_measure_cpu, len(ids), partial(_look_at_all, None, way, ids)) for way in ways)
                )
            )
    peer, ours = (new - kept for kept, new in zip(*looks, strict=True))
    what = "processor time a new TLS connection, against requests.Session"
    # 2 ms to 18 ms on one machine, written as a ratio, because machines differ.
    yield Row(what=what, peer=peer, ours=ours, unit="ms", at_most=0.11)


def _make_session_look(there: Service) -> Callable[[str], object]:
    """Make a function that looks at a job with a plain Session per thread."""
    import requests

    threads = threading.local()

    def look(job: str) -> object:
        if not hasattr(threads, "session"):
            threads.session = requests.Session()
            threads.session.headers["Authorization"] = f"Bearer {KEY}"
        return threads.session.get(f"{there.base_url}/v1/video/generations/{job}", timeout=30).json()

    return look


def _make_client_look(there: Service) -> Callable[[str], Job]:
    """Make a function that looks at a job with videostat's Client."""
    from videostat.client import Client
    from videostat.config import load
    from videostat.models import Job, JobRef
    from videostat.transport import Transport

    client = Client(load(environ=there.env), Transport(Clock().now))
    return lambda job: client.look(Job(ref=JobRef("doubao", job)))


def _look_at_all(pool: ThreadPoolExecutor | None, way: Callable[[str], object], ids: Iterable[str]) -> None:
    for _ in pool.map(way, ids) if pool else map(way, ids):
        pass


def _poll_all(look: Callable[[str], Job], ids: Iterable[str]) -> None:
    """Look at each job once, with poll() and Workers, as a command does."""
    from videostat.models import JobRef
    from videostat.polling import poll
    from videostat.polling.options import Message, PollOptions, Reply, Target
    from videostat.polling.workers import Workers
    from videostat.providers import PROVIDERS

    inbox: SimpleQueue[Message] = SimpleQueue()
    workers = Workers(inbox.put)

    def submit(_: Phase, job: Job) -> None:
        workers.submit(lambda: Reply(job.ref, look(job.ref.id)))

    targets = [Target(JobRef("doubao", job), "doubao", PROVIDERS["doubao"].polling) for job in ids]
    with closing(workers):
        for _ in poll(targets, submit, inbox, Clock(), PollOptions(attempts=1)):
            pass


def _measure_cpu(count: int, way: Callable[[], None]) -> float:
    """Measure the processor time of all threads, in milliseconds for one of `count`."""
    began = time.process_time()
    way()
    return (time.process_time() - began) * 1000 / count


def _measure_wait(jobs: int, seconds: int) -> Iterator[Row]:
    what = f"{jobs:,} waiting jobs"
    with run_service() as there:
        folder = Path(there.env["HOME"])
        listed = folder / "jobs"
        listed.write_text("".join(f"doubao running-{at}\n" for at in range(jobs)), encoding="utf-8")
        # Without the benchmark's configuration, the account keeps its 50 looks a second.
        env = {name: value for name, value in there.env.items() if name != "VIDEOSTAT_CONFIG"}
        wait = [str(VIDEOSTAT), "wait", "--from", str(listed), "--quiet", "--timeout"]
        short, long = (measure_process(*wait, f"{time}s", env=env, code=TIMED_OUT) for time in (5, 5 + seconds))
    yield Row(what=f"{what}, the whole command, peak memory", ours=long.peak, unit="MiB", at_most=150)
    share = 100 * (long.cpu - short.cpu) / (long.seconds - short.seconds)
    yield Row(what=f"{what}, the whole command, 50 looks a second, of a core", ours=share, unit="%")
    yield Row(what=f"{what}, poll() between looks, of a core", ours=_measure_idle(jobs, seconds), unit="%", at_most=5)


def _measure_idle(jobs: int, seconds: int) -> float:
    """Measure poll() between looks. Return the percentage of a core."""
    from videostat.models import Job, JobRef, State
    from videostat.polling import poll
    from videostat.polling.options import Message, PollOptions, Reply, Target
    from videostat.providers import PROVIDERS

    clock, inbox = Clock(), SimpleQueue[Message]()
    targets = [Target(JobRef("doubao", str(at)), "doubao", PROVIDERS["doubao"].polling) for at in range(jobs)]

    def submit(_: Phase, job: Job) -> None:
        inbox.put(Reply(job.ref, Job(ref=job.ref, state=State.RUNNING)))

    looks = poll(targets, submit, inbox, clock, PollOptions(interval=600))
    while next(looks):
        pass
    began, used = clock.monotonic(), time.process_time()
    while clock.monotonic() < began + seconds:
        next(looks)
    return 100 * (time.process_time() - used) / (clock.monotonic() - began)


if __name__ == "__main__":
    main()
