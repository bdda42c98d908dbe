"""Where videos go, and the step that saves one."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from videostat.errors import NotSaved, UsageError
from videostat.models import Job, JobRef, Link, State
from videostat.saving import Transfer, download
from videostat.saving.destination import Destination, ensure_distinct, ensure_writable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from videostat.cli.session import Session
    from videostat.client import Client
    from videostat.clock import Clock


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
    """Saves jobs' videos; a view reads `transfers` meanwhile. `deadline` is on the monotonic clock."""

    client: Client
    clock: Clock
    destinations: Mapping[JobRef, Destination]
    overwrite: bool
    deadline: float
    transfers: dict[JobRef, Transfer] = field(default_factory=dict)

    def already(self) -> Iterable[Job]:
        """The jobs whose video is there: they have succeeded, and nobody need be asked."""
        for ref, destination in self.destinations.items():
            saved = None
            # What is in the way ends one job, when its turn comes, and not the others.
            with suppress(NotSaved):
                saved = destination.saved(overwrite=self.overwrite)
            if saved:
                yield Job(ref=ref, state=State.SUCCEEDED, saved=saved)

    def save(self, job: Job) -> Job:
        destination = self.destinations[job.ref]
        transfer = self.transfers.setdefault(job.ref, Transfer(destination.path.name))
        saved = download(
            Link(job.video_url or "", job.expires_at),
            destination,
            open=partial(self.client.open, job.ref),
            resolve=lambda: self.client.link(job, timeout=self.deadline - self.clock.monotonic()),
            clock=self.clock,
            sleep=self.clock.sleep,
            deadline=self.deadline,
            rng=Random(),  # noqa: S311 - spreads pauses
            transfer=transfer,
            overwrite=self.overwrite,
        )
        return replace(job, saved=saved)
