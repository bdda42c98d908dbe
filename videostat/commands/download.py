"""The command `videostat download`: save finished videos."""

from typing import Annotated

import typer

from videostat.cli.options import (
    SOURCE,
    AllowPrivate,
    Config,
    Debug,
    Exec,
    Fields,
    InState,
    Jobs,
    Json,
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
)
from videostat.errors import ExitCode
from videostat.render.views import ProgressMode


def download(
    context: typer.Context,
    jobs: Jobs = None,
    *,
    source: Source = None,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Finished jobs in the history whose file is missing.", rich_help_panel=SOURCE),
    ] = False,
    provider: OfProvider = None,
    state: InState = None,
    since: Since = None,
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
    """Save the videos of jobs that have succeeded; skip what is saved already.

    For example:
      videostat download jogg proj_abc123 proj_def456 --output-dir videos
      videostat download reelbot reel_42 -o clip.mp4
      videostat download --missing

    Exit code: 0 every video is saved, 5 the job failed, 8 not finished, 9 not saved; the README lists all.
    """
    from functools import partial

    from videostat.cli.ci import report_to_ci
    from videostat.cli.display import Display
    from videostat.cli.exec import parse_execution
    from videostat.cli.jobs import Choice, resolve_jobs
    from videostat.cli.resume import make_resume_command, print_download_hints
    from videostat.cli.run import Run, choose_exit_code
    from videostat.cli.save import plan_saving
    from videostat.cli.session import open_session
    from videostat.polling.options import ATTEMPTS, PollOptions

    display = Display.from_options(json=json, fields=fields, quiet=quiet, progress=progress, debug=debug, saving=True)
    execution = parse_execution(execute, saving=True) if execute is not None else None
    choice = Choice(missing=missing, provider=provider, state=state, since=since)
    with open_session(config, keep=not no_history, debug=debug, allow_private=allow_private) as this:
        refs = resolve_jobs(this, context, jobs, source, choice, quiet=quiet)
        options = PollOptions(attempts=ATTEMPTS, parallel=parallel or this.settings.defaults.parallel)
        saving = plan_saving(this, refs, output_dir, output, name, overwrite=overwrite)
        resume = partial(make_resume_command, context, source=source)
        view = display.watch("saving", this, refs, options, saving, resume=resume)
        run = Run(session=this, refs=refs, options=options, view=view, saving=saving, execution=execution)
        ended = run.answer(display)
    report_to_ci(ended)
    print_download_hints(ended, context, source)
    return choose_exit_code(job.exit_code for job in ended)
