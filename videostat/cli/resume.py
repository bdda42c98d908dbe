"""Print the commands that continue after a run has ended."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from videostat.cli.kept import keep_text
from videostat.errors import ExitCode, KeyMissing, KeyRefused, OutOfCredit, Retryable, Stopped, Untrusted
from videostat.render.messages import say
from videostat.render.summary import format_deletion, format_retention
from videostat.render.text import format_job_count

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    import typer

    from videostat.models import Job, JobRef

# Characters of jobs in one command: more is hard to copy, though shells accept it.
LONGEST = 2000

# The options that choose jobs; all others say what to do with them.
_CHOOSING = {"source", "unfinished", "missing", "provider", "state", "since"}


def get_program_name() -> str:
    """Return the name of this program as it was typed."""
    program = sys.argv[0]
    if Path(program).name == "__main__.py":
        return f"{shlex.quote(sys.orig_argv[0])} -m videostat"
    name = Path(program).name
    # A shell passes the whole path of a program that it finds on the PATH.
    return name if program in {name, shutil.which(name)} else shlex.quote(program)


def get_typed_command(context: typer.Context) -> str:
    """Return program and command as they were typed, without arguments."""
    program = context.find_root().info_name or ""
    return f"{get_program_name()}{context.command_path.removeprefix(program)}"


_REFUSED = (KeyRefused, OutOfCredit)
_NOT_ENDED = (Stopped, Retryable, Untrusted, *_REFUSED)


def as_arguments(refs: Iterable[JobRef]) -> str:
    """Return the words that name these jobs in a command: `jogg ID ID`, or `jogg:ID reelbot:ID`."""
    listed = list(refs)
    is_plain = not any(ref.id.startswith("-") or ":" in ref.id for ref in listed)
    if is_plain and len({ref.provider for ref in listed}) == 1:
        return shlex.join([listed[0].provider, *(ref.id for ref in listed)])
    return shlex.join(f"{ref.provider}:{ref.id}" for ref in listed)


def find_resumable(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs that may continue at the service, refused ones last."""
    # Neither an error nor a refused key ends a job at the service.
    dropped = [job for job in jobs if isinstance(job.problem, _NOT_ENDED)]
    # Without a key there was no wait.
    if all(isinstance(job.problem, KeyMissing) for job in dropped):
        return []
    return sorted(dropped, key=lambda job: isinstance(job.problem, _REFUSED))


def _introduce_command(dropped: Iterable[Job], usual: str) -> str:
    """Return the words before a command: it is useless while the key or the credit is refused."""
    are_refused = all(isinstance(job.problem, _REFUSED) for job in dropped)
    return "When the key or the credit is repaired:" if are_refused else usual


def print_resume_hint(jobs: Iterable[Job], context: typer.Context, source: Path | None, now: datetime) -> None:
    """Print why the wait ended early, and the command that continues it."""
    stopped = find_resumable(jobs)
    if not stopped:
        return
    reason = next((job.problem for job in stopped if isinstance(job.problem, Stopped)), "no usable answer")
    running = [job for job in stopped if not job.state.is_terminal]
    # A job that was never seen may not exist.
    verb = ("continues" if len(running) == 1 else "continue") if all(job.status for job in running) else "may continue"
    left = {
        f"{verb} at the service": len(running),
        "succeeded, but not fully processed yet": len(stopped) - len(running),
    }
    counts = ", ".join(f"{format_job_count(count)} {what}" for what, count in left.items() if count)
    lead = _introduce_command(stopped, "To keep waiting:")
    say(f"videostat: {' '.join(filter(None, (f'{reason}; {counts}.', format_deletion(running, now), lead)))}")
    say(f"  {make_resume_command(context, (job.ref for job in stopped), source)}")


def print_save_hint(jobs: Iterable[Job], context: typer.Context, now: datetime) -> None:
    """Print until when unsaved videos are kept, and how to save them."""
    unsaved = [job for job in jobs if job.exit_code is ExitCode.OK and not job.saved]
    if unsaved:
        command = get_typed_command(context).removesuffix("wait") + "download"
        say(format_retention(unsaved, now))
        say(f"  {command} {as_arguments(job.ref for job in unsaved)}")


def print_download_hints(jobs: Collection[Job], context: typer.Context, source: Path | None) -> None:
    """Print which jobs are unfinished or unsaved, and how to continue."""
    unfinished = [job.ref for job in jobs if job.problem is None and not job.state.is_terminal]
    if unfinished:
        say(f"videostat: {len(unfinished)} of {len(jobs)} not finished yet. To wait and save:")
        wait = get_typed_command(context).removesuffix("download") + "wait --download"
        say(f"  {make_resume_command(context, unfinished, command=wait)}")
    if dropped := find_resumable(jobs):
        reason = next((f"{job.problem}; " for job in dropped if isinstance(job.problem, Stopped)), "")
        lead = _introduce_command(dropped, "To try again:")
        say(f"videostat: {reason}{len(dropped)} of {len(jobs)} not saved. {lead}")
        say(f"  {make_resume_command(context, (job.ref for job in dropped), source)}")


def make_resume_command(
    context: typer.Context, refs: Iterable[JobRef], source: Path | None = None, *, command: str | None = None
) -> str:
    """Return the command that continues with these jobs and the typed options."""
    named_otherwise = context.params.get("jobs") or context.params.get("unfinished") or context.params.get("missing")
    # Ten thousand ids fit into a file, but not into a command line. A pipe cannot be read twice.
    from_file = source is not None and str(source) != "-" and source.is_file() and not named_otherwise
    which = f"--from {shlex.quote(str(source))}" if from_file else _shorten(as_arguments(refs := list(refs)), refs)
    return " ".join(
        filter(None, [command or get_typed_command(context), which, shlex.join(_get_typed_options(context))])
    )


def _shorten(arguments: str, refs: list[JobRef]) -> str:
    """Write a long list of ids to a private file. If that fails, keep the long arguments."""
    lines = "".join(f"{ref.provider}:{ref.id}\n" for ref in refs)
    file = keep_text("resume", lines, ".txt") if len(arguments) > LONGEST else None
    return f"--from {shlex.quote(str(file))}" if file else arguments


def _get_typed_options(context: typer.Context) -> list[str]:
    """Return the typed options, except those that choose jobs."""
    words = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if parameter.param_type_name != "option" or name in _CHOOSING:
            continue
        if source is not None and source.name == "COMMANDLINE":
            value = context.params[name]
            if isinstance(value, bool):
                words.append((parameter.opts if value else parameter.secondary_opts)[0])
            else:
                words += [parameter.opts[0], str(value)]
    return words
