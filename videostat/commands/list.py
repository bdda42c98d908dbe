"""videostat list: what the service knows."""

from typing import Annotated

import typer

from videostat.cli.options import SOURCE, All, Config, Debug, Json, Limit, NoHistory, Quiet
from videostat.errors import ExitCode
from videostat.models import State


def list_(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="A provider or account that has a list.")],
    *,
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.", rich_help_panel=SOURCE)] = None,
    limit: Limit = 20,
    everything: All = False,
    json: Json = False,
    quiet: Quiet = False,
    no_history: NoHistory = False,
    debug: Debug = False,
    config: Config = None,
) -> ExitCode:
    """List the jobs a service still keeps, the newest first.

    For example:
      videostat list jogg
      videostat list jogg --state succeeded --all --quiet

    Exit code: 0, or 3 where the key is missing or refused, 6 where there was no answer.
    """
    import sys
    from itertools import islice

    from videostat.cli.session import session
    from videostat.models import Job
    from videostat.render.answers import bare_id, choose_line
    from videostat.render.tables import LISTED, counted, listed_row, show_lines, show_table

    line = choose_line(json=json, quiet=quiet, bare=bare_id)
    with session(config, keep=not no_history, debug=debug) as this:
        retention = this.client.account(provider).provider.retention
        found = counted(
            this.client.list_jobs(provider, this.clock.sleep),
            # Not between lines that come to the same screen.
            shown=everything and not quiet and not (line and sys.stdout.isatty()),
        )
        chosen = (job for job in found if state in (None, job.state))

        def remembered(job: Job) -> Job:
            this.history.update(job, this.clock.now())
            return job

        jobs = map(remembered, chosen if everything else islice(chosen, limit))
        if line:
            show_lines(map(line, jobs))
        else:
            show_table(LISTED, [listed_row(job, retention, this.clock.now()) for job in jobs])
    return ExitCode.OK
