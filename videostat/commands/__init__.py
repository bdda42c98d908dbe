"""Register the commands, one module each; run one of them, and set the exit code."""

import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn

import typer

from videostat.cli.options import refuse_lone_unit
from videostat.commands import completion, config, demo, download, history, listen, providers, sandbox, status, wait
from videostat.commands import list as list_module
from videostat.errors import ExitCode, Interrupted, OutputClosed, UsageError, VideostatError
from videostat.render.messages import mute_sentences, say, write_error


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer hands it over like this
    if asked:
        from videostat import __version__

        typer.echo(f"videostat {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="videostat",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def videostat(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", hidden=True)] = False,
) -> None:
    """Wait for AI-generated videos and save them."""
    refuse_lone_unit(sys.argv[1:])
    if debug:
        # --debug before a command means the same as after it.
        on = {"debug": True}
        context.default_map = {**dict.fromkeys(_DEBUGGED, on), "config": {"check": on}}
    if sys.stdout is None:
        raise UsageError("stdout is closed: the answer cannot be printed", hint="To discard the answer: > /dev/null")


_DEBUGGED = ("status", "wait", "download", "list")

app.command()(status.status)
app.command()(wait.wait)
app.command()(download.download)
app.command("list")(list_module.list_)
app.add_typer(history.app, name="history")
app.add_typer(config.app, name="config")
app.command()(providers.providers)
app.command()(listen.listen)
app.command()(demo.demo)
app.command()(sandbox.sandbox)
app.add_typer(completion.app, name="completion")


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    code = _run()
    if code in _SIGNALS:
        _end_by_signal(_SIGNALS[code])
    sys.exit(code)


_SIGNALS = {128 + signum: signum for signum in signal.Signals}


def _run() -> int:
    mute_sentences(is_muted=False)
    try:
        # Typer returns the code of an Exit, or the value of a command.
        return int(app(standalone_mode=False) or ExitCode.OK)
    except VideostatError as error:
        return error.exit_code if isinstance(error, OutputClosed) else _report(error)
    except typer.TyperException as error:
        hint = _hint(error, getattr(error, "ctx", None))
        return _report(UsageError(error.format_message(), hint=hint)) if str(error) else ExitCode.USAGE
    except SystemExit:
        # Typer exits like this if its help or message meets a broken pipe.
        return ExitCode.BROKEN_PIPE
    except (KeyboardInterrupt, typer.Abort):
        return Interrupted(signal.SIGINT).exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence instead of a traceback
        return _report_unexpected(error)


def _hint(error: typer.TyperException, context: typer.Context | None) -> str | None:
    """Return the hint for a wrong command line: where the option belongs, else which help to read."""
    if context is None:
        return None
    see = f"See {context.command_path} --help"
    option = str(getattr(error, "option_name", ""))
    if re.fullmatch(r"-[^-].*", option) and "jobs" in {parameter.name for parameter in context.command.params}:
        return f"{see}. An id that begins with '-' is written PROVIDER:ID."
    children: Mapping[str, Any] = getattr(context.command, "commands", {})
    owner = next((name for name, each in children.items() for one in each.params if option in one.opts), None)
    return f"{option} comes after the command: {context.command_path} {owner} {option}" if owner else see


def _report_unexpected(error: Exception) -> ExitCode:
    if isinstance(error, FileNotFoundError) and _is_folder_gone():
        gone = "the folder you are in has been deleted"
        return _report(UsageError(gone, hint="Go to another folder: cd"))
    if isinstance(error, OSError) and _locate(error).startswith(("typer.", "rich.")):
        # Typer and rich write the help themselves.
        return _report(UsageError(f"the answer cannot be written to stdout: {error.strerror}"))
    if "--debug" in sys.argv:
        # The call stack only: values and the message of a foreign error may be secret.
        say("".join(traceback.format_tb(error.__traceback__)).rstrip())
    bug = f"this is a bug in videostat, please report it: {type(error).__name__} in {_locate(error)}"
    return _report(VideostatError(bug, hint="Add what this prints: videostat config check --verbose"))


def _is_folder_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - Path.cwd() is the same
    except OSError:
        return True
    return False


def _report(error: VideostatError) -> ExitCode:
    write_error(error, as_json=_asks_for_json(sys.argv[1:]))
    return error.exit_code


def _asks_for_json(words: Sequence[str]) -> bool:
    """Search the words for --json, also if the command line cannot be parsed."""
    options = words[: words.index("--")] if "--" in words else words
    return any(re.fullmatch(r"--json|-[jq]*j[jq]*|--fields(=.*)?|--progress=json", word) for word in options)


def _locate(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else "?"


def _end_by_signal(signum: signal.Signals) -> NoReturn:
    """End the process by the signal, so that a shell's loop stops too."""
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    sys.exit(128 + signum)
