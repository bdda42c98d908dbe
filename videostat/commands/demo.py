"""videostat demo: everything once, against the sandbox."""

import os
from pathlib import Path

from videostat.errors import ExitCode

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
    """Show it all, with no key and no network: submit, wait, save, against simulated services.

    For example:
      videostat demo

    Exit code: 0 if every video was saved.
    """
    from videostat.cli.hearing import Hearing
    from videostat.cli.run import Run, usual_times, wait_options, worst_exit_code
    from videostat.cli.save import plan_saving
    from videostat.cli.session import Session
    from videostat.client import Client
    from videostat.clock import Clock
    from videostat.config import Settings
    from videostat.history import History
    from videostat.hooks.address import parse_address
    from videostat.models import JobRef
    from videostat.providers.reading import dig
    from videostat.render.answers import Answers, choose_line, format_video
    from videostat.render.board import Work
    from videostat.render.log import is_screen
    from videostat.render.messages import say
    from videostat.render.views import choose_view
    from videostat.sandbox import ORDERS, Sandbox
    from videostat.transport import Transport

    # A company's proxy does not know this machine's loopback; and this spelling is read first.
    os.environ["no_proxy"] = "127.0.0.1"
    clock = Clock(SPEED)
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
        options = wait_options(this, refs, None, None)
        saving = plan_saving(this, refs, output_dir=FOLDER)
        line = choose_line(json=False, quiet=False, bare=format_video)
        work = Work(
            activity="waiting for",
            usual=usual_times(this, refs),
            timeout=options.timeout,
            transfers=saving.transfers,
        )
        seen = choose_view(work, clock, answers_for_people=line is None)
        run = Run(session=this, refs=refs, options=options, view=seen, saving=saving, hearing=hearing)
        ended = run.answer(Answers(line, clock.now, refs))
    code = worst_exit_code(job.exit_code for job in ended)
    say(STOPPED if code else NEXT)
    return code
