"""videostat status: one look."""

from typing import Annotated

import typer

from videostat.cli.options import ANSWER, Config, Debug, Jobs, Json, NoHistory, Quiet, Source, Unfinished
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
    from videostat.cli.jobs import resolve_jobs
    from videostat.cli.run import Run, worst_exit_code
    from videostat.cli.session import session
    from videostat.models import Job
    from videostat.polling import ATTEMPTS
    from videostat.polling.options import PollOptions
    from videostat.render.answers import Answers, bare_state, choose_line
    from videostat.render.log import ErrorsOnly

    with session(config, keep=not no_history, debug=debug) as this:
        refs = resolve_jobs(this, jobs, source, unfinished=unfinished, quiet=quiet)
        # The bare state needs no URL, and some services count those.
        options = PollOptions(attempts=ATTEMPTS, wants_urls=json or exit_status or not quiet)
        run = Run(session=this, refs=refs, options=options, view=ErrorsOnly())
        seen = {job.ref: job for job in run}
        shown = Answers(choose_line(json=json, quiet=quiet, bare=bare_state), this.clock.now)
        for ref in refs:
            shown.show(seen[ref])
        shown.finish()

    def could_look(job: Job) -> bool:
        return job.problem is None or job.state.is_terminal

    return worst_exit_code(job.exit_code for job in seen.values() if exit_status or not could_look(job))
