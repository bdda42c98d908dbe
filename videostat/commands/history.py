"""videostat history: what this machine has seen."""

from typing import Annotated

import typer

from videostat.cli.options import SOURCE, All, Fields, InState, Json, Limit, OfProvider, Quiet, Since
from videostat.errors import ExitCode


def history(
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

    Exit code: 0, or 2 where it cannot be done.
    """
    from contextlib import closing
    from datetime import UTC, datetime, timedelta
    from itertools import islice

    from videostat.cli.options import choose_fields, read_duration
    from videostat.config import load
    from videostat.history import History, Which, default_path
    from videostat.render.answers import bare_id, choose_line, json_names
    from videostat.render.messages import say
    from videostat.render.tables import SEEN, seen_row, show_lines, show_table, tell_left_out

    names = choose_fields(fields, json_names(saving=True))
    now = datetime.now(UTC)
    after = now - timedelta(seconds=read_duration(since)) if since is not None else None
    with closing(History(default_path(), warn=say)) as remembered:
        if provider is not None and not any(remembered.jobs(provider=provider, limit=1)):
            load().provider(provider)  # a name that nothing bears is a mistake, not an empty list
        which = Which.MISSING if missing else Which.UNFINISHED if unfinished else Which.ALL
        jobs = remembered.jobs(which=which, provider=provider, state=state, since=after)
        chosen = jobs if everything else islice(jobs, limit)
        if line := choose_line(json=json, quiet=quiet, bare=bare_id, saving=True, names=names):
            show_lines(line(seen.job) for seen in chosen)
        else:
            show_table(SEEN, (seen_row(seen, now) for seen in chosen))
        if not everything and not quiet and (more := sum(1 for _ in jobs)):
            tell_left_out(limit, limit + more)
    return ExitCode.OK
