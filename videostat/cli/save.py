"""Where videos go, and the step that saves one."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from videostat.errors import NotSaved, UsageError
from videostat.models import Job, JobRef, Link, State
from videostat.saving import NO_SLOT, Source, Transfer, download
from videostat.saving.destination import Destination, ensure_distinct, ensure_writable, join_saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from videostat.cli.session import Session
    from videostat.client import Client
    from videostat.clock import Clock
    from videostat.history import History
    from videostat.models import Saved

# A file may reach its place a little later than its job ends: so long after the end, or else after the beginning.
FRESH = timedelta(minutes=15)
RECENT = timedelta(hours=1)


def plan_saving(
    session: Session,
    refs: list[JobRef],
    *,
    output_dir: Path | None,
    output: str | None = None,
    name: str | None = None,
    overwrite: bool = False,
    timeout: float = 0,
) -> Saving:
    """Saving as the options say, else the configuration; until `timeout` seconds from now, 0 for ever.

    Raises UsageError for names that would leave the folder or meet, and for what is in the way already.
    """
    defaults, clock = session.settings.defaults, session.clock
    if output is None:
        folder = output_dir or defaults.output_dir
        destinations = {ref: Destination.from_template(ref, folder, name or defaults.name) for ref in refs}
        ensure_distinct(destinations.values())
    elif name:
        raise UsageError("-o and --name both say what the file is called", hint="Leave one of them out.")
    elif len(refs) > 1:
        raise UsageError(f"-o names one file, and there are {len(refs)} jobs", hint="For several: --output-dir DIR")
    else:
        typed = os.path.join(output_dir or "", output)  # noqa: PTH118 - a Path would lose a slash at the end
        destinations = {ref: Destination.from_path(ref, typed, known=session.history.file(ref)) for ref in refs}
        for each in destinations.values():
            _ensure_free(each, overwrite=overwrite)
    ensure_writable(destinations.values(), overwrite=overwrite)
    return Saving(
        client=session.client,
        clock=clock,
        history=session.history,
        destinations=destinations,
        overwrite=overwrite,
        deadline=clock.monotonic() + (timeout or math.inf),
    )


def _ensure_free(destination: Destination, *, overwrite: bool) -> None:
    try:
        destination.saved(overwrite=overwrite)
    except NotSaved as error:
        raise UsageError(str(error), hint=error.hint) from error


@dataclass(kw_only=True)
class Saving:
    """Saves jobs' videos; a view reads `transfers` meanwhile. `deadline` is on the monotonic clock.

    `recent`: the jobs that were submitted, or else first seen here, within the last hour. `worked`: the hosts that have
    sent something in this run.
    """

    client: Client
    clock: Clock
    destinations: Mapping[JobRef, Destination]
    history: History
    overwrite: bool
    deadline: float
    transfers: dict[JobRef, Transfer] = field(default_factory=dict)
    recent: set[JobRef] = field(default_factory=set)
    worked: set[str] = field(default_factory=set)

    def note_recent(self, history: History) -> None:
        """Learn which jobs are new here; call it when they are in the history, from the thread that has it."""
        with suppress(UsageError):
            self.recent = {seen.job.ref for seen in history.jobs(since=self.clock.now() - RECENT)}
            if not self.recent and not any(history.jobs(limit=1)):
                self.recent = set(self.destinations)

    def already(self) -> Iterable[Job]:
        """The jobs whose videos are there: they have succeeded, and nobody need be asked."""
        for ref, destination in self.destinations.items():
            saved = None
            # What is in the way ends one job, when its turn comes, and not the others.
            with suppress(NotSaved):
                saved = None if self.overwrite else destination.all_saved()
            if saved:
                # What the service has said of it before is shown again.
                seen = self.history.last(ref)
                known = seen.job if seen else Job(ref=ref)
                yield replace(known, state=State.SUCCEEDED, saved=saved, problem=None)

    def save(self, job: Job, slot: AbstractContextManager[object] = NO_SLOT) -> Job:
        """Save the job's video, or all of several, holding the slot while bytes come.

        Raises the first problem when each has been tried.
        """
        if job.saved:
            return job
        first = self.destinations[job.ref]
        links = job.links or (Link(""),)
        places = [first, *(first.further(number) for number in range(2, len(links) + 1))]
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
        provider = self.client.account(job.ref.provider).provider
        source = Source(
            link=link,
            resolve=partial(self.client.link, job, number),
            floor=provider.polling.floor,
            # Where another endpoint gives the address, it has a quota of its own.
            most_links=2 if provider.video else 3,
            is_fresh=self._is_fresh(job),
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
            worked=self.worked,
        )

    def _is_fresh(self, job: Job) -> bool:
        """Tell whether the job is so young that its video may not be where it is to be yet."""
        now = self.clock.now()
        if job.completed_at:
            return now - job.completed_at <= FRESH
        return now - job.created_at <= RECENT if job.created_at else job.ref in self.recent
