"""Where videos go, and the step that saves one."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from videostat.download import Transfer, download
from videostat.errors import NotSaved, UsageError
from videostat.files import Place, ensure_distinct, exact_place, place_for
from videostat.models import Job, JobRef, Link, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from videostat.client import Client
    from videostat.clock import Clock
    from videostat.commands.session import Session


def places(refs: list[JobRef], folder: Path, name: str, output: Path | None) -> dict[JobRef, Place]:
    """Each job's file; raises UsageError for names that would leave the folder or meet."""
    if output is None:
        found = {ref: place_for(ref, folder, name) for ref in refs}
        ensure_distinct(found.values())
        return found
    if len(refs) > 1:
        raise UsageError(f"-o names one file, and there are {len(refs)} jobs", hint="For several: --output-dir DIR")
    return {ref: exact_place(ref, output) for ref in refs}


def saving_to(
    session: Session,
    refs: list[JobRef],
    *,
    output_dir: Path | None,
    output: Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
    timeout: float = 0,
) -> Saving:
    """Saving as the options say, else the configuration; until `timeout` seconds from now, 0 for ever."""
    defaults, clock = session.settings.defaults, session.clock
    if output and name:
        raise UsageError("-o and --name both say what the file is called", hint="Leave one of them out.")
    if output and output_dir:
        output = output_dir / output
    return Saving(
        client=session.client,
        clock=clock,
        places=places(refs, output_dir or defaults.output_dir, name or defaults.name, output),
        overwrite=overwrite,
        deadline=clock.monotonic() + (timeout or math.inf),
    )


@dataclass(kw_only=True)
class Saving:
    """Saves jobs' videos; a view reads `transfers` meanwhile. `deadline` is on the monotonic clock."""

    client: Client
    clock: Clock
    places: Mapping[JobRef, Place]
    overwrite: bool
    deadline: float
    transfers: dict[JobRef, Transfer] = field(default_factory=dict)

    def already(self) -> Iterable[Job]:
        """The jobs whose video is there: they have succeeded, and nobody need be asked."""
        for ref, place in self.places.items():
            saved = None
            # What is in the way ends one job, when its turn comes, and not the others.
            with suppress(NotSaved):
                saved = place.saved(overwrite=self.overwrite)
            if saved:
                yield Job(ref=ref, state=State.SUCCEEDED, saved=saved)

    def save(self, job: Job) -> Job:
        place = self.places[job.ref]
        transfer = self.transfers.setdefault(job.ref, Transfer(place.path.name))
        saved = download(
            Link(job.video_url or "", job.expires_at),
            place,
            open=partial(self.client.open, job.ref),
            resolve=partial(self.client.link, job),
            clock=self.clock,
            sleep=self.clock.sleep,
            deadline=self.deadline,
            rng=Random(),  # noqa: S311 - spreads pauses
            transfer=transfer,
            overwrite=self.overwrite,
        )
        return replace(job, saved=saved)
