"""videostat download: the finished videos."""

from typing import Annotated

import typer

from videostat.commands.options import (
    SOURCE,
    AllowPrivate,
    Config,
    Debug,
    Exec,
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
)
from videostat.errors import ExitCode, Stopped


def download(
    context: typer.Context,
    jobs: Jobs = None,
    *,
    source: Source = None,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="The history's finished jobs without their file.", rich_help_panel=SOURCE),
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
    """Save the videos of jobs that have succeeded; what is there already is not fetched again.

    For example:
      videostat download jogg proj_abc123 proj_def456 --output-dir videos
      videostat download reelbot reel_42 -o clip.mp4
      videostat download --missing

    Exit code: 0 every video is saved, 5 the job failed, 8 not finished, 9 not saved; all are in the README.
    """
    from videostat.commands.answering import again, answers, worst
    from videostat.commands.executing import executing
    from videostat.commands.naming import named
    from videostat.commands.reporting import report
    from videostat.commands.running import follow
    from videostat.commands.saving import saving_to
    from videostat.commands.session import session
    from videostat.poll import ATTEMPTS
    from videostat.render.messages import say
    from videostat.terms import Terms

    execution = executing(execute, saving=True) if execute is not None else None
    with session(config, keep=not no_history, debug=debug, allow_private=allow_private) as this:
        refs = named(this, jobs, source, missing=missing, quiet=quiet)
        ended = follow(
            this,
            refs,
            Terms(attempts=ATTEMPTS, parallel=parallel or this.settings.defaults.parallel),
            doing="saving",
            shown=answers(this, json=json, quiet=quiet, saving=True),
            quiet=quiet,
            progress=progress and not debug,
            saving=saving_to(this, refs, output_dir=output_dir, output=output, name=name, overwrite=overwrite),
            execution=execution,
        )
    report(ended)
    unfinished = [job.ref for job in ended if job.problem is None and not job.state.is_terminal]
    if unfinished:
        say(f"videostat: {len(unfinished)} of {len(ended)} not finished yet. To wait, and save:")
        wait = context.command_path.removesuffix("download") + "wait --download"
        say(f"  {again(context, unfinished, command=wait)}")
    stopped = [job for job in ended if isinstance(job.problem, Stopped)]
    if stopped:
        say(f"videostat: {stopped[0].problem}; {len(stopped)} of {len(ended)} not saved. To go on:")
        say(f"  {again(context, (job.ref for job in stopped), source)}")
    return worst(job.exit_code for job in ended)
