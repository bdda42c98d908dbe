"""videostat status: one look."""

from typing import Annotated

import typer

from videostat.commands.options import ANSWER, Config, Debug, Jobs, Json, NoHistory, Quiet, Source, Unfinished
from videostat.errors import ExitCode


def status(
    jobs: Jobs = None,
    *,
    source: Source = None,
    unfinished: Unfinished = False,
    json: Json = False,
    quiet: Quiet = False,
    exit_status: Annotated[
        bool,
        typer.Option("--exit-status", help="Let the exit code tell of the jobs: 8 is running.", rich_help_panel=ANSWER),
    ] = False,
    no_history: NoHistory = False,
    debug: Debug = False,
    config: Config = None,
) -> ExitCode:
    """Look at jobs once, and say where they stand.

    For example:
      videostat status jogg proj_abc123
      videostat status jogg:proj_abc123 reelbot:reel_42 --json

    Exit code: 0 if it could look; with --exit-status also 5 failed, 8 not finished, 9 no video.
    """
    from videostat.commands.answering import answers, worst
    from videostat.commands.naming import named
    from videostat.commands.running import run
    from videostat.commands.session import session
    from videostat.models import Job
    from videostat.poll import ATTEMPTS
    from videostat.render.answers import bare_state
    from videostat.render.views import ErrorsOnly
    from videostat.terms import Terms

    with session(config, keep=not no_history, debug=debug) as this:
        refs = named(this, jobs, source, unfinished=unfinished, quiet=quiet)
        seen = {job.ref: job for job in run(this, refs, {}, Terms(attempts=ATTEMPTS), ErrorsOnly())}
        shown = answers(this, json=json, quiet=quiet, bare=bare_state)
        for ref in refs:
            shown.show(seen[ref])
        shown.finish()

    def could_look(job: Job) -> bool:
        return job.problem is None or job.state.is_terminal

    return worst(job.exit_code for job in seen.values() if exit_status or not could_look(job))
