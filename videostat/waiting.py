"""Wait for jobs and save their videos: the library's `wait` and `save`."""

from __future__ import annotations

import math
import os
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from videostat.client import Client
from videostat.clock import Clock
from videostat.errors import JobFailed, NotReady, NotSaved, Unreachable, UsageError
from videostat.models import Job, JobRef, Link, State
from videostat.polling import poll
from videostat.polling.options import ATTEMPTS, Message, Phase, PollOptions, Reply
from videostat.polling.pace import add_next_look
from videostat.polling.workers import Workers
from videostat.saving import NO_SLOT, Source, Transfer, download
from videostat.saving.destination import Destination, ensure_writable, join_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from videostat.history import History
    from videostat.models import Saved

# A video may appear at its URL a little after its job has ended. So long a 404 is believed to be temporary.
FRESH = timedelta(minutes=15)  # since the end of the job
RECENT = timedelta(hours=1)  # since its beginning, if the end is unknown


def wait(
    client: Client,
    jobs: Iterable[Job | JobRef | str] | Job | JobRef | str,
    *,
    timeout: float | None = None,
    interval: float | None = None,
    on_change: Callable[[Job], object] | None = None,
) -> Iterator[Job]:
    """Yield each job when it ends; `job.exit_code` tells how it ended.

    `jobs`: one job or several, each a Job, a JobRef or "PROVIDER:ID". `timeout`: seconds for all of them; 0 waits for
    ever, None waits as long as the slowest service advises. A job that still runs then has a TimedOut problem.
    `interval`: seconds between two looks at a job, but never less than its service allows. `on_change`: called with a
    job when something new is known of it, its end included.

    Raises at the call TypeError, UsageError for a wrong job or duration, and ConfigError for an unknown account. Any
    other error, a missing key too, is the `problem` of its job.
    """
    if not isinstance(client, Client):
        raise TypeError(f"wait() takes a Client and then the jobs, not {type(client).__name__}")
    if on_change is not None and not callable(on_change):
        raise TypeError(f"on_change is a function of a job, not {type(on_change).__name__}")
    refs = [JobRef.of(job) for job in ([jobs] if isinstance(jobs, Job | JobRef | str) else jobs)]
    for ref in refs:
        client.get_account(ref.provider)
    for name, seconds in (("timeout", timeout), ("interval", interval)):
        _check_seconds(name, seconds)
    options = PollOptions(timeout=find_longest_timeout(client, refs) if timeout is None else timeout, interval=interval)
    return _wait(run(client, refs, {}, options, inbox=SimpleQueue(), clock=client.clock), on_change or (lambda _: None))


def _wait(jobs: Iterator[Job | None], on_change: Callable[[Job], object]) -> Iterator[Job]:
    known: dict[JobRef, Job] = {}
    for job in jobs:
        if job is None:
            continue
        if job.ref not in known or known[job.ref].news != job.news:
            on_change(job)
        known[job.ref] = job
        if job.ended:
            yield job


def _check_seconds(name: str, seconds: float | None) -> None:
    if seconds is None:
        return
    if not isinstance(seconds, int | float):
        raise TypeError(f"{name} is a number of seconds, not {type(seconds).__name__}")
    # NaN is not at least 0 either.
    if not seconds >= 0:
        raise UsageError(f"{name} is a number of seconds, not {seconds}")


def save(
    job: Job | JobRef | str, to: str | os.PathLike[str], *, client: Client | None = None, overwrite: bool = False
) -> Saved:
    """Save the complete video of a succeeded job, and return where it is.

    `job`: a Job, a JobRef or "PROVIDER:ID". A Job with a video URL is not fetched again. `to`: a file if it has an
    extension or exists as a file, otherwise a folder, which is created if it is missing. In a folder the file is named
    PROVIDER-ID.EXT. A video that is already saved is not fetched again. `overwrite`: replace an existing file.
    `client`: without one, config.toml and the environment are read.

    Raises TypeError, UsageError for a wrong job or place, NotReady, JobFailed, NotSaved, or another VideostatError.
    """
    ref = JobRef.of(job)
    destination = _choose_destination(ref, os.fspath(to))
    if client is None:
        with Client() as client_of_its_own:
            return save(job, to, client=client_of_its_own, overwrite=overwrite)
    client.get_account(ref.provider)
    ensure_writable([destination], overwrite=overwrite)
    if not overwrite and (saved := destination.find_all_saved()):
        return saved
    saving = Saving(
        client=client, clock=Clock(), destinations={ref: destination}, overwrite=overwrite, deadline=math.inf
    )
    if not (isinstance(job, Job) and (job.video_url or job.state is State.FAILED)):
        job = _look(client, ref, saving.clock)
    if job.state is State.FAILED:
        raise JobFailed(f"{ref} failed: {job.error or 'the service does not say why'}", code=job.error_code)
    if job.state is not State.SUCCEEDED:
        raise NotReady(f"{ref} is {job.state}: there is no video yet", hint="Wait for it first.")
    if not job.video_url:
        raise NotSaved(f"{ref} succeeded, but the service returned no video URL")
    return cast("Saved", saving.save(job).saved)


def _choose_destination(ref: JobRef, to: str) -> Destination:
    if not to or "\0" in to:
        raise UsageError(f"{to!a} is no place to save to", hint="Name a file, such as clip.mp4, or a folder.")
    path = Path(to)
    is_file = path.suffix or os.path.lexists(path)
    if to.endswith(os.sep) or os.path.isdir(path) or not is_file:  # noqa: PTH112 - is_dir() raises for a name too long
        return Destination.from_template(ref, path)
    return Destination.from_path(ref, to)


def _look(client: Client, ref: JobRef, clock: Clock) -> Job:
    """Look at a job as `videostat status` does; raises its problem."""
    options = PollOptions(attempts=ATTEMPTS)
    *_, job = filter(None, run(client, [ref], {}, options, inbox=SimpleQueue(), clock=clock))
    if job.problem:
        raise job.problem
    return job


@dataclass(kw_only=True)
class Saving:
    """The videos of a run, which are saved one by one. A view reads `transfers` meanwhile.

    `deadline`: monotonic seconds. `dated`: makes the destination of a job with its own date, if file names have a date.
    `recent`: jobs that were submitted, or first seen here, within the last hour. `worked`: hosts that have sent data
    in this run.
    """

    client: Client
    clock: Clock
    destinations: Mapping[JobRef, Destination]
    overwrite: bool
    deadline: float
    history: History | None = None
    dated: Callable[..., Destination] | None = None
    transfers: dict[JobRef, Transfer] = field(default_factory=dict)
    recent: set[JobRef] = field(default_factory=set)
    worked: set[str] = field(default_factory=set)

    def note_recent(self, history: History) -> None:
        """Read from the history which jobs are recent. Add the jobs first, and call this in the history's thread."""
        with suppress(UsageError):
            self.recent = {seen.job.ref for seen in history.find_jobs(since=self.clock.now() - RECENT)}
            if not self.recent and not any(history.find_jobs(limit=1)):
                self.recent = set(self.destinations)

    def find_saved(self) -> Iterable[Job]:
        """Yield the jobs whose videos are already saved, as succeeded."""
        for ref, destination in self.destinations.items():
            saved = None
            # A file in the way ends only its own job, when its turn comes.
            with suppress(NotSaved):
                saved = None if self.overwrite else destination.find_all_saved()
            if saved:
                # The answer shows what the service has said of the job before.
                known = self.history.find_job(ref) if self.history else None
                yield replace(known or Job(ref=ref), state=State.SUCCEEDED, saved=saved, problem=None)

    def save(self, job: Job, slot: AbstractContextManager[object] = NO_SLOT) -> Job:
        """Save all videos of the job, and hold the slot during each transfer.

        Raises the first problem, after each video has been tried.
        """
        if job.saved:
            return job
        first, moment = self.destinations[job.ref], job.completed_at or job.created_at
        if self.dated and moment:
            first = self.dated(job.ref, moment=moment)
        links = job.links or (Link(""),)
        places = [first, *(first.with_number(number) for number in range(2, len(links) + 1))]
        for place in places[1:]:
            place.reserve()
        videos, problems = [], []
        for number, (link, place) in enumerate(zip(links, places, strict=True), 1):
            try:
                videos.append(self._save_one(job, number, link, place, slot))
            except NotSaved as error:
                which = f"video {number} of {len(links)}: " if len(links) > 1 else ""
                problems.append(NotSaved(f"{which}{error}", hint=error.hint, code=error.code))
            finally:
                if number > 1:
                    place.reserve()
        if problems:
            raise problems[0]
        return replace(job, saved=join_saved(videos))

    def _save_one(
        self, job: Job, number: int, link: Link, destination: Destination, slot: AbstractContextManager[object]
    ) -> Saved:
        transfer = self.transfers.setdefault(job.ref, Transfer(destination.path.name))
        transfer.name = destination.path.name
        provider = self.client.get_account(job.ref.provider).provider
        source = Source(
            link=link,
            resolve=lambda: self.client.fetch_link(job, number, timeout=self.deadline - self.clock.monotonic()),
            floor=provider.polling.floor,
            # An endpoint that gives only URLs has a low quota.
            most_links=2 if provider.video else 3,
            is_fresh=self._may_lack_video_yet(job),
        )
        return download(
            source,
            destination,
            open=partial(self.client.open, job.ref),
            clock=self.clock,
            sleep=self.clock.sleep,
            deadline=self.deadline,
            rng=Random(),  # noqa: S311 - spreads pauses
            transfer=transfer,
            overwrite=self.overwrite,
            slot=slot,
            known_hosts=self.worked,
        )

    def _may_lack_video_yet(self, job: Job) -> bool:
        """Tell whether the video may be missing because the job is so young."""
        now = self.clock.now()
        if job.completed_at:
            return now - job.completed_at <= FRESH
        return now - job.created_at <= RECENT if job.created_at else job.ref in self.recent


def find_longest_timeout(client: Client, refs: Iterable[JobRef]) -> float:
    """Return the longest timeout in seconds that the services of these jobs advise."""
    return max((client.get_account(ref.provider).provider.polling.timeout for ref in refs), default=0)


def run(
    client: Client,
    refs: Iterable[JobRef],
    steps: Mapping[Phase, Callable[[Job], Job]],
    options: PollOptions,
    *,
    inbox: SimpleQueue[Message],
    clock: Clock,
    saved: Mapping[JobRef, Job] = MappingProxyType({}),
    known: Mapping[JobRef, Job] = MappingProxyType({}),
    worked: Collection[JobRef] = (),
) -> Iterator[Job | None]:
    """Run poll() with threads for its steps, and yield what it yields. The threads end with the generator.

    `saved`: jobs whose videos are on disk. `known`: running jobs that another process has just looked at.
    """
    all_steps = {Phase.LOOK: client.look, Phase.URL: client.look, **steps}
    workers = Workers(inbox.put)

    def take(phase: Phase, job: Job) -> Reply:
        try:
            return Reply(job.ref, all_steps[phase](job))
        except Exception as error:  # noqa: BLE001 - the loop raises it again unless it is a VideostatError
            return Reply(job.ref, error)

    def submit(phase: Phase, job: Job) -> None:
        try:
            workers.submit(partial(take, phase, job))
        except Unreachable as error:
            inbox.put(Reply(job.ref, error))

    targets = [
        replace(target, saved=saved.get(target.ref), known=known.get(target.ref))
        for target in client.make_targets(refs, worked)
    ]
    jobs = poll(targets, submit, inbox, clock, options, groups=client.groups)
    return _close_after(
        workers, (job and add_next_look(job, client.get_account(job.ref.provider).provider.polling) for job in jobs)
    )


def _close_after(workers: Workers[Message], jobs: Iterator[Job | None]) -> Iterator[Job | None]:
    with closing(workers):
        yield from jobs
