"""Run the poll loop on threads; `wait` is the library's way in."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from types import MappingProxyType
from typing import TYPE_CHECKING

from videostat.models import JobRef
from videostat.polling import poll
from videostat.polling.options import Phase, PollOptions, Reply
from videostat.polling.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from videostat.client import Client
    from videostat.clock import Clock
    from videostat.models import Job


def wait(
    client: Client, jobs: Iterable[JobRef | str], *, timeout: float | None = None, interval: float | None = None
) -> Iterator[Job]:
    """Yield each job as it ends, in the order they end; `job.exit_code` tells how.

    A job is a JobRef or "PROVIDER:ID". `timeout`: seconds for all of them, 0 for ever, None as long as the
    slowest of their services advises; jobs still running then have a TimedOut problem. `interval`: seconds
    between two looks at a job, never less than its service allows. Raises UsageError for what is not a job
    and ConfigError for an unknown account; whatever else goes wrong is the `problem` of its job.
    """
    refs = [job if isinstance(job, JobRef) else JobRef.parse(job) for job in jobs]
    if timeout is None:
        timeout = advised_timeout(client, refs)
    options = PollOptions(timeout=timeout, interval=interval)
    for job in run(client, refs, {}, options, inbox=SimpleQueue(), clock=client.clock):
        if job and job.ended:
            yield job


def advised_timeout(client: Client, refs: Iterable[JobRef]) -> float:
    """Return the longest wait that the jobs' services advise, in seconds."""
    return max((client.account(ref.provider).provider.polling.timeout for ref in refs), default=0)


def run(
    client: Client,
    refs: Iterable[JobRef],
    steps: Mapping[Phase, Callable[[Job], Job]],
    options: PollOptions,
    *,
    inbox: SimpleQueue[Reply | int],
    clock: Clock,
    saved: Mapping[JobRef, Job] = MappingProxyType({}),
    worked: Collection[JobRef] = (),
) -> Iterator[Job | None]:
    """Yield what poll() yields, with looks and further steps carried out on threads."""
    all_steps = {Phase.LOOK: client.look, Phase.URL: client.look, **steps}
    workers = Workers()

    def take(phase: Phase, job: Job) -> None:
        try:
            inbox.put(Reply(job.ref, all_steps[phase](job)))
        except Exception as error:  # noqa: BLE001 - the loop tells ours from bugs, in the thread that listens
            inbox.put(Reply(job.ref, error))

    def submit(phase: Phase, job: Job) -> None:
        workers.submit(partial(take, phase, job))

    targets = [replace(target, saved=saved.get(target.ref)) for target in client.targets(refs, worked)]
    return poll(targets, submit, inbox, clock, options, groups=client.groups)
