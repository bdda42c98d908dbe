"""Print the command that resumes a wait."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from videostat.errors import KeyRefused, OutOfCredit, Retryable, Stopped, Untrusted
from videostat.render.messages import say
from videostat.render.text import number_of_jobs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import typer

    from videostat.models import Job, JobRef


_REFUSED = (KeyRefused, OutOfCredit)
_NOT_ENDED = (Stopped, Retryable, Untrusted, *_REFUSED)


def as_arguments(refs: Iterable[JobRef]) -> str:
    """Write jobs as one types them."""
    listed = list(refs)
    if len({ref.provider for ref in listed}) == 1:
        return " ".join([listed[0].provider, *(ref.id for ref in listed)])
    return " ".join(f"{ref.provider}:{ref.id}" for ref in listed)


def print_resume_hint(jobs: Iterable[Job], context: typer.Context, source: Path | None) -> None:
    """Say that the wait is over and the jobs are not, and what to type to go on waiting."""
    # Neither trouble nor a refused key has ended the job; what was refused goes last.
    dropped = (job for job in jobs if isinstance(job.problem, _NOT_ENDED))
    stopped = sorted(dropped, key=lambda job: isinstance(job.problem, _REFUSED))
    if not stopped:
        return
    reason = next((job.problem for job in stopped if isinstance(job.problem, Stopped)), "no good answer in time")
    running = [job for job in stopped if not job.state.is_terminal]
    # Of a job that nobody ever saw, nothing can be promised.
    go = ("goes" if len(running) == 1 else "go") if all(job.status for job in running) else "may go"
    left = {
        f"{go} on at the service": len(running),
        "succeeded, but not fully processed yet": len(stopped) - len(running),
    }
    said = ", ".join(f"{number_of_jobs(count)} {what}" for what, count in left.items() if count)
    say(f"videostat: {reason}; {said}. To go on:")
    say(f"  {resume_command(context, (job.ref for job in stopped), source)}")


def resume_command(
    context: typer.Context, refs: Iterable[JobRef], source: Path | None = None, *, command: str | None = None
) -> str:
    """Return the command that goes on with these jobs, with its options as they were typed."""
    named_otherwise = context.params.get("jobs") or context.params.get("unfinished") or context.params.get("missing")
    # Ten thousand ids fit into a file, but not into a command line; and a pipe is read only once.
    from_file = source is not None and str(source) != "-" and source.is_file() and not named_otherwise
    which = f"--from {shlex.quote(str(source))}" if from_file else as_arguments(refs)
    return " ".join(filter(None, [command or context.command_path, which, shlex.join(_typed_options(context))]))


def _typed_options(context: typer.Context) -> list[str]:
    """Return the options of the command line, except those that say which jobs."""
    words = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if parameter.param_type_name != "option" or name in {"source", "unfinished", "missing"}:
            continue
        if source is not None and source.name == "COMMANDLINE":
            value = context.params[name]
            if isinstance(value, bool):
                words.append((parameter.opts if value else parameter.secondary_opts)[0])
            else:
                words += [parameter.opts[0], str(value)]
    return words
