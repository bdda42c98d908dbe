"""Choose how a command shows progress and prints its jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from videostat.cli.options import choose_fields
from videostat.errors import UsageError
from videostat.render.answers import choose_line, format_video, list_json_fields
from videostat.render.board import Work
from videostat.render.log import ErrorsOnly
from videostat.render.views import ProgressMode, choose_status_view, choose_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from videostat.cli.session import Session
    from videostat.models import Job, JobRef
    from videostat.polling.options import PollOptions
    from videostat.waiting import Saving


@dataclass(frozen=True)
class Display:
    """What --json, --fields, --quiet, --progress and --debug mean together.

    `line` writes one job for a program; it is None if a person reads the answer on a terminal.
    """

    line: Callable[[Job], str | None] | None
    progress: ProgressMode
    quiet: bool

    @classmethod
    def from_options(
        cls,
        *,
        json: bool = False,
        fields: str | None = None,
        quiet: bool = False,
        progress: ProgressMode = ProgressMode.AUTO,
        debug: bool = False,
        saving: bool = False,
        bare: Callable[[Job], str | None] = format_video,
    ) -> Self:
        """Read the options; `bare` writes a job for --quiet.

        Raises UsageError if two options contradict each other, or for an unknown field.
        """
        for name, is_given in (("--quiet", quiet), ("--debug", debug)):
            if progress is ProgressMode.JSON and is_given:
                raise UsageError(f"--progress json and {name} contradict each other", hint="Leave one of them out.")
        names = choose_fields(fields, list_json_fields(saving=saving))
        line = choose_line(json=json, quiet=quiet, bare=bare, saving=saving, names=names)
        return cls(line, ProgressMode.LOG if debug else progress, quiet)

    def watch(
        self,
        activity: str,
        session: Session,
        refs: list[JobRef],
        options: PollOptions,
        saving: Saving | None,
        *,
        resume: Callable[[Sequence[JobRef]], str] = str,
    ) -> ErrorsOnly:
        """Return the view that shows a run's progress on stderr.

        `resume`: returns the command that continues the given jobs.
        """
        transfers = saving.transfers if saving else None
        work = Work(
            activity=activity, usual=_get_usual_times(session, refs), timeout=options.timeout, transfers=transfers
        )
        is_person = self.line is None
        return choose_view(
            work, session.clock, self.progress, quiet=self.quiet, answers_for_people=is_person, resume=resume
        )

    def glance(self, session: Session, refs: list[JobRef]) -> ErrorsOnly:
        """Return the view that shows the progress of a command that looks only once."""
        if self.quiet or self.progress is ProgressMode.LOG:
            return ErrorsOnly()
        work = Work(activity="looking at", usual=_get_usual_times(session, refs))
        return choose_status_view(work, session.clock, answers_for_people=self.line is None)


def _get_usual_times(session: Session, refs: Iterable[JobRef]) -> dict[JobRef, float]:
    """Return how many seconds each job usually takes, as its service says."""
    return {ref: session.client.get_account(ref.provider).provider.polling.usual for ref in refs}
