"""The command `videostat list`: list the jobs that a service knows."""

from collections.abc import Iterator
from typing import Annotated

import typer

from videostat.cli.options import All, Config, Debug, Fields, InState, Json, Limit, NoHistory, Quiet, Since
from videostat.errors import ExitCode
from videostat.models import Job


def list_(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="A provider or account that has a list.")],
    *,
    state: InState = None,
    since: Since = None,
    limit: Limit = 20,
    everything: All = False,
    json: Json = False,
    fields: Fields = None,
    quiet: Quiet = False,
    no_history: NoHistory = False,
    debug: Debug = False,
    config: Config = None,
) -> ExitCode:
    """List the jobs a service still keeps, the newest first.

    For example:
      videostat list jogg
      videostat list jogg --state succeeded --all --quiet

    Exit code: 0, or 3 if the key is missing or refused, 6 if there was no answer.
    """
    import sys
    from itertools import islice

    from videostat.cli.jobs import Choice, keep_newer
    from videostat.cli.options import choose_fields
    from videostat.cli.session import open_session
    from videostat.render.answers import choose_line, format_id, list_json_fields
    from videostat.render.tables import (
        LIST_HEADERS,
        make_list_row,
        print_lines,
        print_table,
        say_list_is_cut,
        show_progress,
    )

    names = choose_fields(fields, list_json_fields())
    line = choose_line(json=json, quiet=quiet, bare=format_id, names=names)
    with open_session(config, keep=not no_history, debug=debug) as this:
        account = this.client.get_account(provider)
        retention = account.provider.retention
        # A filter may have to read many jobs to find a few.
        wanted = None if everything or state or since else limit
        after = Choice(since=since).after
        listed = keep_newer(this.client.list_jobs(provider, this.clock.sleep, wanted), after)
        # Do not show progress between lines on the same screen.
        found = show_progress(listed, shown=everything and not quiet and not (line and sys.stdout.isatty()))
        chosen = ((job, total) for job, total in found if state in (None, job.state))
        totals: list[int | None] = []

        def remember() -> Iterator[Job]:
            for job, total in chosen if everything else islice(chosen, limit):
                this.history.update(job, this.clock.now(), base_url=account.base_url)
                totals.append(total)
                yield job

        if line:
            print_lines(map(line, remember()))
        else:
            print_table(LIST_HEADERS, (make_list_row(job, retention, this.clock.now()) for job in remember()))
        if len(totals) == limit and not everything and not quiet:
            # The total of the service saves a request, but it counts all states.
            total = totals[-1] if state is None and since is None else None
            if next(chosen, None) if total is None else total > limit:
                say_list_is_cut(limit, total)
    return ExitCode.OK
