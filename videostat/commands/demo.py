"""The command `videostat demo`: a complete example with simulated services."""

import os
from pathlib import Path

from videostat.errors import ExitCode, UsageError

SPEED = 10
FOLDER = Path("videostat-demo")

NEXT = """
Now try it with a job of your own:
  videostat config set-key jogg
  videostat status jogg proj_abc123
  videostat wait jogg proj_abc123
  videostat wait --download jogg proj_abc123
More: videostat --help"""
STOPPED = "videostat: the demo did not save every video; to run it again: videostat demo"


def demo() -> ExitCode:
    """Submit jobs, wait and save, with simulated services; needs no key and no network.

    For example:
      videostat demo

    Exit code: 0 if every video was saved.
    """
    from videostat.cli.display import Display
    from videostat.cli.hearing import Hearing
    from videostat.cli.run import Run, choose_exit_code, choose_wait_options
    from videostat.cli.save import plan_saving
    from videostat.cli.session import Session
    from videostat.client import Client
    from videostat.clock import Clock
    from videostat.config import Settings
    from videostat.history import History
    from videostat.hooks.address import parse_address
    from videostat.models import JobRef
    from videostat.providers.reading import dig
    from videostat.render.log import is_screen
    from videostat.render.messages import say
    from videostat.sandbox import ORDERS, Sandbox
    from videostat.saving.destination import Destination, ensure_writable
    from videostat.transport import Transport

    try:
        ensure_writable([Destination.from_template(JobRef("demo", "demo"), FOLDER)], overwrite=False)
    except UsageError as error:
        raise UsageError(str(error), hint="Run the demo in a folder that you may write to.") from error
    # A company's proxy cannot reach the loopback address of this machine. Lower case: this spelling is read first.
    os.environ["no_proxy"] = "127.0.0.1"
    display, clock = Display.from_options(), Clock(SPEED)
    with Sandbox(clock=clock) as sandbox:
        settings = Settings(FOLDER / "config.toml", sandbox.environment)
        client = Client(settings, Transport(clock.now), clock)
        this = Session(settings, clock, client, History(None, warn=say))
        hearing = Hearing(this, parse_address("0"))
        order = {"prompt": "waves", "webhook_url": hearing.url}
        refs = [JobRef(name, str(dig(client.submit(name, path, order), *where))) for name, path, where in ORDERS]
        hearing.expect(refs)
        say(f"Submitted {len(refs)} jobs to simulated services.")
        say(f"Time runs {SPEED} times faster. The videos go to {FOLDER}/.")
        if is_screen():
            say("JoggAI sends a webhook when a video is ready. The other services are polled.")
        options = choose_wait_options(this, refs, None, None, None)
        saving = plan_saving(this, refs, FOLDER)
        view = display.watch("waiting for", this, refs, options, saving)
        run = Run(session=this, refs=refs, options=options, view=view, saving=saving, hearing=hearing)
        ended = run.answer(display)
    code = choose_exit_code(job.exit_code for job in ended)
    say(STOPPED if code else NEXT)
    return code
