"""Choose the files to save videos to."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from videostat.errors import NotSaved, UsageError
from videostat.models import JobRef
from videostat.saving.container import EXTENSIONS
from videostat.saving.destination import REPLACE, Destination, ensure_distinct, ensure_writable
from videostat.waiting import Saving

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from videostat.cli.session import Session
    from videostat.history import History


def plan_saving(
    session: Session,
    refs: list[JobRef],
    output_dir: Path | None,
    output: str | None = None,
    name: str | None = None,
    *,
    overwrite: bool = False,
    timeout: float = 0,
) -> Saving:
    """Plan the files from the options, else from the configuration. `timeout` in seconds, 0 for none.

    Raises UsageError for a name outside the folder, two jobs with one name, or a file that is in the way.
    """
    defaults, clock, history, dated = session.settings.defaults, session.clock, session.history, None
    known = {ref: history.find_file(ref) for ref in refs}
    if output is None:
        folder, template = output_dir or defaults.output_dir, name or defaults.name

        def place(ref: JobRef, moment: datetime | None = None) -> Destination:
            return Destination.from_template(ref, folder, template, moment, known=known[ref])

        dated = place if "{date}" in template else None
        destinations = {ref: place(ref, history.find_moment(ref) if dated else None) for ref in refs}
        ensure_distinct(destinations.values())
    elif name:
        raise UsageError("-o and --name contradict each other", hint="Leave one of them out.")
    elif len(refs) > 1:
        raise UsageError(f"-o names one file, but there are {len(refs)} jobs", hint="For several: --output-dir DIR")
    else:
        typed = os.path.join(output_dir or "", output)  # noqa: PTH118 - a Path would lose a slash at the end
        destinations = {ref: Destination.from_path(ref, typed, known=known[ref]) for ref in refs}
    for each in destinations.values() if not overwrite else ():
        _ensure_own(each, history)
        if each.is_exact:
            _ensure_free(each)
    ensure_writable(destinations.values(), overwrite=overwrite)
    return Saving(
        client=session.client,
        clock=clock,
        history=history,
        destinations=destinations,
        overwrite=overwrite,
        deadline=clock.monotonic() + (timeout or math.inf),
        dated=dated,
    )


def _ensure_own(destination: Destination, history: History) -> None:
    """Raise UsageError if the history knows the file as another job's."""
    for file in dict.fromkeys(map(destination.name_file, EXTENSIONS)):
        owner = history.find_owner(file) if os.path.lexists(file) else None
        if owner not in {None, destination.ref}:
            raise UsageError(
                f"{destination.ref} would be saved to {file}, but that is the video of {owner}", hint=REPLACE
            )


class Destinations(dict[JobRef, Destination]):
    """The destination of every job; that of a later job is made on demand."""

    def __init__(self, folder: Path, template: str) -> None:
        super().__init__()
        self._folder, self._template = folder, template
        ensure_writable([self[JobRef("a", "a")]], overwrite=False)

    def __missing__(self, ref: JobRef) -> Destination:
        return Destination.from_template(ref, self._folder, self._template)


def plan_saving_all(session: Session, refs: list[JobRef], output_dir: Path | None, name: str | None) -> Saving:
    """Plan the files of these and all later jobs; raises UsageError as plan_saving does."""
    defaults = session.settings.defaults
    places = Destinations(output_dir or defaults.output_dir, name or defaults.name)
    places |= {ref: places[ref] for ref in refs}
    return Saving(
        client=session.client,
        clock=session.clock,
        history=session.history,
        destinations=places,
        overwrite=False,
        deadline=math.inf,
    )


def _ensure_free(destination: Destination) -> None:
    try:
        destination.find_saved()
    except NotSaved as error:
        raise UsageError(str(error), hint=error.hint) from error
