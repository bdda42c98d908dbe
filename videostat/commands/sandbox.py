"""The command `videostat sandbox`: simulate the services."""

import math
import re
from typing import TYPE_CHECKING, Annotated

import typer

from videostat.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from videostat.sandbox import Sandbox


def sandbox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 0 takes any free one.")] = 8765,
    speed: Annotated[
        float,
        typer.Option(min=0.1, max=1000, metavar="0.1-1000", help="How many times faster than real time its jobs run."),
    ] = 1,
    limits: Annotated[bool, typer.Option("--limits", help="Apply the services' rate limits.")] = False,
    fail_rate: Annotated[
        float, typer.Option(min=0, max=1, metavar="0-1", help="The share of answers that are errors.")
    ] = 0,
    expire: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Seconds until a video's URL expires.")
    ] = 3600,
    cut_after: Annotated[
        int | None,
        typer.Option(min=1, metavar="BYTES", help="Cut the first transfer of each video after so many bytes."),
    ] = None,
    bytes_per_second: Annotated[
        int | None, typer.Option(min=1, metavar="BYTES", help="The speed at which videos are sent.")
    ] = None,
    ranges: Annotated[bool, typer.Option(help="Support resumed downloads (Range requests).")] = True,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Send a webhook to this URL when a JoggAI job ends.")
    ] = None,
) -> ExitCode:
    """Simulate the services on this machine, to try commands and scripts without a key.

    For example:
      videostat sandbox --speed 10
      videostat sandbox --port 0 --fail-rate 0.2 --limits
      videostat sandbox --webhook http://127.0.0.1:8080/hooks

    Exit code: 130 when Ctrl-C ends it, 2 if the port is taken.
    """
    from queue import SimpleQueue

    from videostat.cli.signals import forward_signals
    from videostat.clock import Clock
    from videostat.sandbox import Sandbox

    if not all(map(math.isfinite, (speed, fail_rate, expire))):
        raise UsageError("--speed, --fail-rate and --expire must be finite numbers", hint="For example: --speed 10")
    if limits and speed != 1:
        raise UsageError("--limits works only at the normal speed", hint="Leave --speed out.")
    if webhook is not None and not re.match(r"https?://[^/]", webhook):
        raise UsageError(f"--webhook {webhook!a} is not a URL", hint="For example: --webhook http://127.0.0.1:8080/x")
    simulated = Sandbox(
        clock=Clock(speed),
        port=port,
        limits=limits,
        fail_rate=fail_rate,
        url_lifetime=expire,
        ranges=ranges,
        cut_after=cut_after,
        bytes_per_second=bytes_per_second,
        webhook=webhook,
    )
    inbox: SimpleQueue[int] = SimpleQueue()
    with forward_signals(inbox), simulated as server:
        _print_instructions(server)
        while not (signum := inbox.get()):
            pass  # a wake-up
    return ExitCode(128 + signum)


def _print_instructions(server: "Sandbox") -> None:
    """Print `export` lines for another shell on stdout, and on stderr what to type in that shell."""
    from videostat.render.answers import guard_stdout
    from videostat.render.messages import say
    from videostat.sandbox import WORDS

    say("A job exists if its id begins with demo-. Words after that change what happens to it, as in demo-fail-late:")
    for word, effect in WORDS.items():
        say(f"  {word:9} {effect}")
    say(f"Serving on {server.get_base_url()} until you press Ctrl-C.")
    say("Paste these lines into another shell, and then try there (the history is off in it):")
    say("  videostat wait jogg demo-1")
    with guard_stdout():
        # Without a history: `wait --unfinished` would ask the real services about simulated jobs.
        for name, value in (server.environment | {"VIDEOSTAT_NO_HISTORY": "1"}).items():
            typer.echo(f"export {name}={value}")
