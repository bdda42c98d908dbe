"""videostat wait: until all have ended."""

from dataclasses import replace
from typing import Annotated

import typer

from videostat.commands.options import (
    SAVING,
    WAITING,
    AllowPrivate,
    Config,
    Debug,
    Exec,
    Interval,
    Jobs,
    Json,
    Name,
    NoHistory,
    Output,
    OutputDir,
    Overwrite,
    Parallel,
    Progress,
    Quiet,
    Source,
    Timeout,
    Unfinished,
)
from videostat.errors import ExitCode, Stopped, UsageError


def wait(
    context: typer.Context,
    jobs: Jobs = None,
    *,
    source: Source = None,
    unfinished: Unfinished = False,
    timeout: Timeout = None,
    interval: Interval = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop at the first bad end.", rich_help_panel=WAITING)
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
    quiet: Quiet = False,
    progress: Progress = True,
    no_history: NoHistory = False,
    debug: Debug = False,
    config: Config = None,
) -> ExitCode:
    """Wait until jobs have ended; exit 0 if every one has its video.

    For example:
      videostat wait jogg proj_abc123 --timeout 20m
      videostat wait jogg:proj_abc123 reelbot:reel_42 --download
      videostat wait --unfinished --download

    Exit code: 0 every job has its video, 5 one failed, 9 not saved, 124 the timeout; all are in the README.
    """
    from videostat.commands.answering import answers, goes_on, worst
    from videostat.commands.executing import executing
    from videostat.commands.naming import named
    from videostat.commands.reporting import report
    from videostat.commands.running import follow, terms_of
    from videostat.commands.saving import saving_to
    from videostat.commands.session import session

    if fail_fast and first:
        raise UsageError("--any and --fail-fast contradict each other", hint="Leave one of them out.")
    saves = bool(download or output_dir or output or name or parallel or overwrite)
    execution = executing(execute, saving=saves) if execute is not None else None
    with session(config, keep=not no_history, debug=debug, allow_private=allow_private) as this:
        refs = named(this, jobs, source, unfinished=unfinished, quiet=quiet)
        terms = terms_of(this, refs, timeout, interval, quiet=quiet)
        saving = None
        if saves:
            saving = saving_to(
                this,
                refs,
                output_dir=output_dir,
                output=output,
                name=name,
                overwrite=overwrite,
                timeout=terms.timeout,
            )
        ended = follow(
            this,
            refs,
            replace(
                terms,
                parallel=parallel or this.settings.defaults.parallel,
                enough=lambda job: (fail_fast and job.exit_code != 0) or (first and job.exit_code == 0),
            ),
            doing="waiting for",
            shown=answers(this, json=json, quiet=quiet, saving=saves),
            quiet=quiet,
            progress=progress and not debug,
            saving=saving,
            execution=execution,
        )
    report(ended)
    # What was stopped because another job decided does not decide.
    codes = [job.exit_code for job in ended if type(job.problem) is not Stopped]
    code = ExitCode.OK if first and ExitCode.OK in codes else worst(codes)
    if code or not quiet:
        goes_on(ended, context, source)
    return code
