"""The poll loop at work: a client's requests on threads, and `wait`, the library's way in."""

from __future__ import annotations

from functools import partial
from queue import SimpleQueue
from types import MappingProxyType
from typing import TYPE_CHECKING

from videostat.clock import Clock
from videostat.models import JobRef
from videostat.poll import poll
from videostat.terms import Phase, Reply, Target, Terms
from videostat.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from videostat.client import Client
    from videostat.models import Job


def wait(
    client: Client, jobs: Iterable[JobRef | str], *, timeout: float | None = None, interval: float | None = None
) -> Iterator[Job]:
    """Each job as it ends, in the order they end; `job.exit_code` tells how.

    A job is a JobRef or "PROVIDER:ID". `timeout`: seconds for all of them, 0 for ever, None as long as the
    slowest of their services advises; jobs still running then are given with a TimedOut problem. `interval`:
    seconds between two looks at a job, never less than its service allows. Raises UsageError for what is no
    job, ConfigError for an account that is unknown; whatever else goes wrong is the `problem` of its job.
    """
    refs = [job if isinstance(job, JobRef) else JobRef.parse(job) for job in jobs]
    if timeout is None:
        timeout = advised_timeout(client, refs)
    terms = Terms(timeout=timeout, interval=interval)
    for job in drive(client, refs, {}, terms, inbox=SimpleQueue(), clock=Clock()):
        if job and job.ended:
            yield job


def advised_timeout(client: Client, refs: Iterable[JobRef]) -> float:
    """As long as the slowest of the jobs' services advises to wait, in seconds."""
    return max((client.account(ref.provider).provider.polling.timeout for ref in refs), default=0)


def drive(
    client: Client,
    refs: Iterable[JobRef],
    steps: Mapping[Phase, Callable[[Job], Job]],
    terms: Terms,
    *,
    inbox: SimpleQueue[Reply | int],
    clock: Clock,
    saved: Mapping[JobRef, Job] = MappingProxyType({}),
) -> Iterator[Job | None]:
    """What poll() gives, the looks and the further steps carried out by threads."""
    all_steps = {Phase.LOOK: client.look, Phase.URL: client.look, **steps}
    workers = Workers()

    def take(phase: Phase, job: Job) -> None:
        try:
            inbox.put(Reply(job.ref, all_steps[phase](job)))
        except Exception as error:  # noqa: BLE001 - the loop tells ours from bugs, in the thread that listens
            inbox.put(Reply(job.ref, error))

    def submit(phase: Phase, job: Job) -> None:
        workers.submit(partial(take, phase, job))

    return poll([_target(client, ref, saved.get(ref)) for ref in refs], submit, inbox, clock, terms)


def _target(client: Client, ref: JobRef, saved: Job | None) -> Target:
    account = client.account(ref.provider)
    return Target(ref, account.group, account.provider.polling, account.max_requests_per_second, saved)
