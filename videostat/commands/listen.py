"""The command `videostat listen`: wait for the jobs that webhooks announce, until a signal."""

from typing import Annotated

import typer

from videostat.cli.options import (
    SAVING,
    WAITING,
    AllowPrivate,
    Config,
    Debug,
    Exec,
    Json,
    Name,
    OutputDir,
    Parallel,
    Quiet,
)
from videostat.errors import ExitCode


def listen(
    providers: Annotated[
        list[str], typer.Argument(metavar="PROVIDER...", help="The providers or accounts that send webhooks.")
    ],
    *,
    address: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="[HOST:]PORT[/PATH]",
            help="Receive webhooks there. A secret path is made if none is given.",
            rich_help_panel=WAITING,
        ),
    ] = "127.0.0.1:8080",
    download: Annotated[
        bool, typer.Option("--download", help="Save each video as its job ends.", rich_help_panel=SAVING)
    ] = False,
    output_dir: OutputDir = None,
    name: Name = None,
    parallel: Parallel = None,
    allow_private: AllowPrivate = False,
    execute: Exec = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    config: Config = None,
) -> ExitCode:
    """Wait for the jobs that webhooks announce, until a signal; with --download, save them.

    For example:
      videostat listen jogg jogg-avatar jogg-product --output-dir videos
      videostat listen jogg --listen 8080/hooks/k3JxT0p9QwEr7yUiOpAsDf --download

    Exit code: that of the signal that ends it, 2 if it cannot listen, 3 if a key is missing.
    """
    from videostat.cli.display import Display
    from videostat.cli.exec import parse_execution
    from videostat.cli.listening import Listening
    from videostat.cli.run import Run
    from videostat.cli.save import plan_saving_all
    from videostat.cli.session import open_session
    from videostat.history import Which
    from videostat.hooks.address import parse_address
    from videostat.polling.options import PollOptions
    from videostat.render.answers import Answers, format_tab_line
    from videostat.render.log import ErrorsOnly
    from videostat.render.messages import say_address
    from videostat.render.servicelog import ServiceLog

    saves = bool(download or output_dir or name or parallel)
    execution = parse_execution(execute, saving=saves) if execute is not None else None
    line = Display.from_options(json=json, quiet=quiet, saving=saves).line or format_tab_line
    with open_session(config, debug=debug, allow_private=allow_private) as this:
        wanted = [Which.UNFINISHED, Which.UNSAVED] if saves else [Which.UNFINISHED]
        known = {job.ref: job for which in wanted for job, _ in this.history.find_jobs(which=which)}
        refs = [ref for ref in known if ref.provider in providers]
        saving = plan_saving_all(this, refs, output_dir, name) if saves else None
        door = parse_address(address)
        hearing = Listening(this, list(dict.fromkeys(providers)), door)
        options = PollOptions(parallel=parallel or this.settings.defaults.parallel, stays=True)
        view = ErrorsOnly() if quiet else ServiceLog(this.clock)
        answers = Answers(line, this.clock.now, refs)
        if door.is_path_made:
            say_address(hearing.url)
        for job in Run(
            session=this, refs=refs, options=options, view=view, saving=saving, execution=execution, hearing=hearing
        ):
            answers.show(job)
    raise AssertionError("only a signal ends it")
