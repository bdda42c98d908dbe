"""videostat status: one look."""

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
    from videostat.cli.jobs import Choice, resolve_jobs
    from videostat.cli.options import choose_fields
    from videostat.cli.run import Run, tell_recalled, usual_times, worst_exit_code
    from videostat.cli.session import session
    from videostat.models import Job
    from videostat.polling.options import ATTEMPTS, PollOptions
    from videostat.render.answers import Answers, choose_line, format_state, list_json_fields
    from videostat.render.board import Work
    from videostat.render.log import ErrorsOnly
    from videostat.render.views import choose_status_view

    names = choose_fields(fields, list_json_fields())
    choice = Choice(unfinished=unfinished, provider=provider, state=state, since=since)
    with session(config, keep=not no_history, debug=debug) as this:
        refs = resolve_jobs(this, context, jobs, source, choice, quiet=quiet)
        line = choose_line(json=json, quiet=quiet, bare=format_state, names=names)
        work = Work(activity="looking at", usual=usual_times(this, refs))
        view = ErrorsOnly() if quiet or debug else choose_status_view(work, this.clock, answers_for_people=line is None)
        # The bare state needs no URL, and some services count those.
        options = PollOptions(attempts=ATTEMPTS, wants_urls=json or exit_status or not quiet)
        began = this.clock.now()
        run = Run(session=this, refs=refs, options=options, view=view, may_recall=True)
        seen = {job.ref: job for job in run}
        if not quiet:
            tell_recalled(seen.values(), began)
        shown = Answers(line, this.clock.now)
        for ref in refs:
            shown.show(seen[ref])
        shown.finish()

    def could_look(job: Job) -> bool:
        return job.problem is None or job.state.is_terminal

    return worst_exit_code(job.exit_code for job in seen.values() if exit_status or not could_look(job))
