"""The command `videostat history`: list the jobs that this machine has seen."""

from typing import Annotated

import typer

from videostat.cli.options import SOURCE, All, Fields, InState, Jobs, Json, Limit, OfProvider, Quiet, Since
from videostat.errors import ExitCode, UsageError

app = typer.Typer(invoke_without_command=True)


@app.callback()
def history(
    context: typer.Context,
    *,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Only jobs that have not ended.", rich_help_panel=SOURCE)
    ] = False,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Only jobs that succeeded and have no file here.", rich_help_panel=SOURCE),
    ] = False,
    provider: OfProvider = None,
    state: InState = None,
    since: Since = None,
    limit: Limit = 100,
    everything: All = False,
    json: Json = False,
    fields: Fields = None,
    quiet: Quiet = False,
) -> ExitCode:
    """List the jobs this machine has seen, the newest first.

    For example:
      videostat history --unfinished
      videostat history --provider jogg --since 7d --json

    Exit code: 0, or 2 if it cannot be done.
    """
    from contextlib import closing
    from datetime import UTC, datetime, timedelta
    from itertools import islice

    if context.invoked_subcommand:
        _refuse_options(context)
        return ExitCode.OK

    from videostat.cli.options import choose_fields, read_duration
    from videostat.config import load
    from videostat.history import History, Which, locate_history
    from videostat.private import is_without_home
    from videostat.render.answers import choose_line, format_id, list_json_fields
    from videostat.render.messages import say
    from videostat.render.tables import HISTORY_HEADERS, make_history_row, print_lines, print_table, say_list_is_cut

    names = choose_fields(fields, list_json_fields(saving=True))
    now = datetime.now(UTC)
    after = now - timedelta(seconds=read_duration("--since", since)) if since is not None else None
    if is_without_home(path := locate_history()):
        say("videostat: there is no home folder, so nothing is remembered: set HOME")
    with closing(History(path, warn=say)) as remembered:
        if provider is not None and not any(remembered.find_jobs(provider=provider, limit=1)):
            load().get_provider(provider)  # an unknown name is an error, not an empty list
        which = Which.MISSING if missing else Which.UNFINISHED if unfinished else Which.ALL
        jobs = remembered.find_jobs(which=which, provider=provider, state=state, since=after)
        chosen = jobs if everything else islice(jobs, limit)
        if line := choose_line(json=json, quiet=quiet, bare=format_id, saving=True, names=names):
            print_lines(line(seen.job) for seen in chosen)
        else:
            print_table(HISTORY_HEADERS, (make_history_row(seen, now) for seen in chosen))
        if not everything and not quiet and (more := sum(1 for _ in jobs)):
            say_list_is_cut(limit, limit + more)
    return ExitCode.OK


def _refuse_options(context: typer.Context) -> None:
    """Raise UsageError for a filter of the list before another command."""
    for parameter in context.command.params:
        if parameter.name and context.params[parameter.name] != parameter.get_default(context):
            raise UsageError(
                f"{parameter.opts[0]} filters the list, and has no effect on {context.invoked_subcommand}",
                hint=f"See {context.command_path} {context.invoked_subcommand} --help",
            )


@app.command()
def forget(
    context: typer.Context,
    jobs: Jobs = None,
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="TIME",
            help="Jobs submitted longer ago than 90d, 12h or 30m.",
            rich_help_panel=SOURCE,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All jobs; does not ask first.", rich_help_panel=SOURCE)] = (
        False
    ),
) -> ExitCode:
    """Forget jobs; their files stay where they are.

    For example:
      videostat history forget jogg proj_abc123
      videostat history forget --older-than 90d

    Exit code: 0, or 2 if it cannot be done or a job is not in the history.
    """
    from contextlib import closing
    from datetime import UTC, datetime, timedelta

    from videostat.cli.jobs import parse_jobs
    from videostat.cli.options import read_duration
    from videostat.cli.resume import as_arguments
    from videostat.config import load
    from videostat.history import History, locate_history
    from videostat.render.messages import say
    from videostat.render.text import format_job_count

    if [bool(jobs), older_than is not None, everything].count(True) != 1:
        raise UsageError(
            "give one of PROVIDER ID..., --older-than TIME and --all",
            hint="For example: videostat history forget jogg proj_abc123",
        )
    refs = parse_jobs(context, jobs, load()) if jobs else []
    age = None if older_than is None else timedelta(seconds=read_duration("--older-than", older_than))
    before = None if age is None else datetime.now(UTC) - age
    with closing(History(locate_history(), warn=say)) as remembered:
        known = remembered.forget(refs)
        count = len(known) if jobs else remembered.forget_before(before)
    say(f"Forgotten: {format_job_count(count)}." if count else "Nothing was forgotten.")
    if unknown := [ref for ref in refs if ref not in {*known}]:
        raise UsageError(f"not in the history: {as_arguments(unknown)}", hint="See videostat history --all")
    return ExitCode.OK
