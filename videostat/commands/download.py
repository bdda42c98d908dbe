"""videostat download: the finished videos."""

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
    check_progress,
    choose_fields,
)
from videostat.errors import ExitCode, Stopped
from videostat.render.views import ProgressMode


def download(
    context: typer.Context,
    jobs: Jobs = None,
    *,
    source: Source = None,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="The history's finished jobs without their file.", rich_help_panel=SOURCE),
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
    """Save the videos of jobs that have succeeded; what is there already is not fetched again.

    For example:
      videostat download jogg proj_abc123 proj_def456 --output-dir videos
      videostat download reelbot reel_42 -o clip.mp4
      videostat download --missing

    Exit code: 0 every video is saved, 5 the job failed, 8 not finished, 9 not saved; all are in the README.
    """
    from functools import partial

    from videostat.cli.ci import report_to_ci
    from videostat.cli.exec import parse_execution
    from videostat.cli.jobs import Choice, resolve_jobs
    from videostat.cli.resume import find_dropped, resume_command, typed_command
    from videostat.cli.run import Run, usual_times, worst_exit_code
    from videostat.cli.save import plan_saving
    from videostat.cli.session import session
    from videostat.polling.options import ATTEMPTS, PollOptions
    from videostat.render.answers import Answers, choose_line, format_video, list_json_fields
    from videostat.render.board import Work
    from videostat.render.messages import say
    from videostat.render.views import choose_view

    check_progress(progress, quiet=quiet, debug=debug)
    names = choose_fields(fields, list_json_fields(saving=True))
    execution = parse_execution(execute, saving=True) if execute is not None else None
    choice = Choice(missing=missing, provider=provider, state=state, since=since)
    with session(config, keep=not no_history, debug=debug, allow_private=allow_private) as this:
        refs = resolve_jobs(this, context, jobs, source, choice, quiet=quiet)
        options = PollOptions(attempts=ATTEMPTS, parallel=parallel or this.settings.defaults.parallel)
        saving = plan_saving(this, refs, output_dir=output_dir, output=output, name=name, overwrite=overwrite)
        line = choose_line(json=json, quiet=quiet, bare=format_video, saving=True, names=names)
        work = Work(
            activity="saving", usual=usual_times(this, refs), timeout=options.timeout, transfers=saving.transfers
        )
        seen = choose_view(
            work,
            this.clock,
            ProgressMode.LOG if debug else progress,
            quiet=quiet,
            answers_for_people=line is None,
            resume=partial(resume_command, context, source=source),
        )
        run = Run(session=this, refs=refs, options=options, view=seen, saving=saving, execution=execution)
        ended = run.answer(Answers(line, this.clock.now, refs), quiet=quiet)
    report_to_ci(ended)
    unfinished = [job.ref for job in ended if job.problem is None and not job.state.is_terminal]
    if unfinished:
        say(f"videostat: {len(unfinished)} of {len(ended)} not finished yet. To wait, and save:")
        wait = typed_command(context).removesuffix("download") + "wait --download"
        say(f"  {resume_command(context, unfinished, command=wait)}")
    if dropped := find_dropped(ended):
        reason = next((f"{job.problem}; " for job in dropped if isinstance(job.problem, Stopped)), "")
        say(f"videostat: {reason}{len(dropped)} of {len(ended)} not saved. To go on:")
        say(f"  {resume_command(context, (job.ref for job in dropped), source)}")
    return worst_exit_code(job.exit_code for job in ended)
