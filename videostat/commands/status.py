"""The command `videostat status`: look at jobs once."""

from typing import Annotated

import typer

from videostat.cli.options import (
    ANSWER,
    Config,
    Debug,
    Fields,
    InState,
    Jobs,
    Json,
    NoHistory,
    OfProvider,
    Quiet,
    Since,
    Source,
    Unfinished,
)
from videostat.errors import ExitCode


def status(
    context: typer.Context,
    jobs: Jobs = None,
    *,
    source: Source = None,
    unfinished: Unfinished = False,
    provider: OfProvider = None,
    state: InState = None,
    since: Since = None,
    json: Json = False,
    fields: Fields = None,
    quiet: Quiet = False,
    exit_status: Annotated[
        bool,
        typer.Option("--exit-status", help="Exit with the code of the jobs: 8 is running.", rich_help_panel=ANSWER),
    ] = False,
    no_history: NoHistory = False,
    debug: Debug = False,
    config: Config = None,
) -> ExitCode:
    """Look at jobs once and print their state.

    For example:
      videostat status jogg proj_abc123
      videostat status jogg:proj_abc123 reelbot:reel_42 --json

    Exit code: 0 if it could look; with --exit-status also 5 failed, 8 not finished, 9 no video.
    """
    from videostat.cli.display import Display
    from videostat.cli.jobs import Choice, resolve_jobs
    from videostat.cli.run import Run, choose_exit_code, print_recalled
    from videostat.cli.session import open_session
    from videostat.polling.options import ATTEMPTS, PollOptions
    from videostat.render.answers import Answers, format_state

    display = Display.from_options(json=json, fields=fields, quiet=quiet, debug=debug, bare=format_state)
    choice = Choice(unfinished=unfinished, provider=provider, state=state, since=since)
    with open_session(config, keep=not no_history, debug=debug) as this:
        refs = resolve_jobs(this, context, jobs, source, choice, quiet=quiet)
        # The bare state needs no URL, and some services count requests for URLs.
        options = PollOptions(attempts=ATTEMPTS, wants_urls=json or exit_status or not quiet)
        began, view = this.clock.now(), display.glance(this, refs)
        seen = {job.ref: job for job in Run(session=this, refs=refs, options=options, view=view, may_recall=True)}
        if not quiet:
            print_recalled(seen.values(), began)
        answers = Answers(display.line, this.clock.now)
        for ref in refs:
            answers.show(seen[ref])
        answers.finish()
    unanswered = [job for job in seen.values() if job.problem is not None and not job.state.is_terminal]
    return choose_exit_code(job.exit_code for job in (seen.values() if exit_status else unanswered))
