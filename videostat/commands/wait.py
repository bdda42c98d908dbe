"""The command `videostat wait`: wait until jobs have ended."""

from dataclasses import replace
from typing import Annotated

import typer

from videostat.cli.options import (
    SAVING,
    WAITING,
    AllowPrivate,
    Config,
    Debug,
    Exec,
    Fields,
    InState,
    Interval,
    Jobs,
    Json,
    Listen,
    Name,
    NoHistory,
    OfProvider,
    Output,
    OutputDir,
    Overwrite,
    Parallel,
    Progress,
    Quiet,
    Since,
    Source,
    Timeout,
    Unfinished,
    Url,
)
from videostat.errors import ExitCode, Stopped, UsageError
from videostat.render.views import ProgressMode


def wait(
    context: typer.Context,
    jobs: Jobs = None,
    *,
    source: Source = None,
    unfinished: Unfinished = False,
    provider: OfProvider = None,
    state: InState = None,
    since: Since = None,
    timeout: Timeout = None,
    interval: Interval = None,
    listen: Listen = None,
    url: Url = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first job that fails.", rich_help_panel=WAITING)
    ] = False,
    first: Annotated[
        bool, typer.Option("--any", help="Stop at the first success, and exit 0.", rich_help_panel=WAITING)
    ] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Save each video as its job ends.", rich_help_panel=SAVING)
    ] = False,
    output_dir: OutputDir = None,
    output: Output = None,
    name: Name = None,
    parallel: Parallel = None,
    overwrite: Overwrite = False,
    allow_private: AllowPrivate = False,
    execute: Exec = None,
    json: Json = False,
    fields: Fields = None,
    quiet: Quiet = False,
    progress: Progress = ProgressMode.AUTO,
    no_history: NoHistory = False,
    debug: Debug = False,
    config: Config = None,
) -> ExitCode:
    """Wait until jobs have ended; exit 0 if each has its video.

    For example:
      videostat wait jogg proj_abc123 --timeout 20m
      videostat wait jogg:proj_abc123 reelbot:reel_42 --download
      videostat wait --unfinished --download
      videostat wait jogg proj_abc123 --listen 8080

    Exit code: 0 every job has its video, 5 one failed, 9 not saved, 124 the timeout; the README lists all.
    """
    from functools import partial

    from videostat.cli.ci import report_to_ci
    from videostat.cli.display import Display
    from videostat.cli.exec import parse_execution
    from videostat.cli.jobs import Choice, resolve_jobs
    from videostat.cli.resume import make_resume_command, print_resume_hint, print_save_hint
    from videostat.cli.run import Run, choose_exit_code, choose_wait_options
    from videostat.cli.save import plan_saving
    from videostat.cli.session import open_session

    if fail_fast and first:
        raise UsageError("--any and --fail-fast contradict each other", hint="Leave one of them out.")
    saves = bool(download or output_dir or output or name or parallel or overwrite)
    display = Display.from_options(json=json, fields=fields, quiet=quiet, progress=progress, debug=debug, saving=saves)
    execution = parse_execution(execute, saving=saves) if execute is not None else None
    choice = Choice(unfinished=unfinished, provider=provider, state=state, since=since)
    with open_session(config, keep=not no_history, debug=debug, allow_private=allow_private) as this:
        refs = resolve_jobs(this, context, jobs, source, choice, saving=saves, quiet=quiet)
        options = choose_wait_options(this, refs, timeout, interval, parallel, quiet=quiet)
        if first:
            options = replace(options, stop_when=lambda job: job.exit_code is ExitCode.OK)
        elif fail_fast:
            options = replace(options, stop_when=lambda job: job.exit_code is not ExitCode.OK)
        saving = hearing = None
        if saves:
            saving = plan_saving(this, refs, output_dir, output, name, overwrite=overwrite, timeout=options.timeout)
        resume = partial(make_resume_command, context, source=source)
        view = display.watch("waiting for", this, refs, options, saving, resume=resume)
        if listen is not None or url is not None:
            from videostat.cli.hearing import hear_webhooks

            hearing = hear_webhooks(this, refs, listen, url, quiet=quiet)
        run = Run(
            session=this, refs=refs, options=options, view=view, saving=saving, execution=execution, hearing=hearing
        )
        ended = run.answer(display)
    report_to_ci(ended)
    # A job that was stopped because of another one does not count.
    codes = [job.exit_code for job in ended if type(job.problem) is not Stopped]
    code = ExitCode.OK if first and ExitCode.OK in codes else choose_exit_code(codes)
    if not saves and not quiet:
        print_save_hint(ended, context, this.clock.now())
    if code or not quiet:
        print_resume_hint(ended, context, source, this.clock.now())
    return code
