"""The command `videostat completion`: print completion scripts for shells."""

from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videostat.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from videostat.completion import Command, Option, Takes

IDS = 50

app = typer.Typer(no_args_is_help=True, help="Print the script that lets a shell complete videostat's command lines.")


@app.command()
def bash(context: typer.Context) -> ExitCode:
    """Print the script for bash; source it in ~/.bashrc.

    For example:
      videostat completion bash > ~/.videostat.bash

    Exit code: 0, or 2 if it cannot be done.
    """
    from videostat.completion.bash import write_script

    return _print_script(write_script, context)


@app.command()
def zsh(context: typer.Context) -> ExitCode:
    """Print the script for zsh; save it as _videostat in a folder of $fpath.

    For example:
      videostat completion zsh > ~/.zfunc/_videostat

    Exit code: 0, or 2 if it cannot be done.
    """
    from videostat.completion.zsh import write_script

    return _print_script(write_script, context)


@app.command()
def fish(context: typer.Context) -> ExitCode:
    """Print the script for fish; save it as ~/.config/fish/completions/videostat.fish.

    For example:
      videostat completion fish > ~/.config/fish/completions/videostat.fish

    Exit code: 0, or 2 if it cannot be done.
    """
    from videostat.completion.fish import write_script

    return _print_script(write_script, context)


@app.command(hidden=True)
def ids(provider: Annotated[str, typer.Argument(metavar="PROVIDER")]) -> ExitCode:
    """Print the newest ids of the history, for the scripts."""
    from videostat.history import History, locate_history
    from videostat.render.messages import say
    from videostat.render.tables import print_lines

    # At the Tab key, a short wait for the lock must be enough.
    history = History(locate_history(), warn=say, lock_timeout=0.2)
    print_lines(history.find_ids(provider, IDS))
    history.close()
    return ExitCode.OK


def _print_script(write_script: "Callable[[Command, Iterable[str]], str]", context: typer.Context) -> ExitCode:
    from videostat.providers import PROVIDERS
    from videostat.render.tables import print_lines

    root = context.find_root()
    print_lines([write_script(_describe(root.command, root), PROVIDERS)])
    return ExitCode.OK


def _describe(command: Any, context: Any, path: str = "") -> "Command":
    from videostat.completion import Command

    parameters = command.get_params(context)
    children = [child for child in getattr(command, "commands", {}).values() if not child.hidden]
    return Command(
        path=path,
        help=_shorten_help(command.help),
        options=tuple(chain.from_iterable(map(_list_options, parameters))),
        takes=next((_choose_value(each) for each in parameters if each.param_type_name == "argument"), None),
        commands=tuple(
            _describe(child, typer.Context(child, parent=context), f"{path} {child.name}".strip()) for child in children
        ),
    )


def _list_options(parameter: Any) -> "Iterator[Option]":
    """List an option, and its --no- form if it has one."""
    from videostat.completion import Option

    if parameter.param_type_name == "option" and not parameter.hidden:
        takes = None if parameter.is_flag else _choose_value(parameter)
        for names in filter(None, (parameter.opts, parameter.secondary_opts)):
            # Click keeps the names of --help in a set, without an order.
            yield Option(tuple(sorted(names, key=len)), _shorten_help(parameter.help), takes)


def _choose_value(parameter: Any) -> "Takes":
    """Choose the kind of completion from the option's metavar."""
    from videostat.completion import Value

    words = {
        "FILE": Value.FILE,
        "COMMAND": Value.FILE,
        "DIR": Value.FOLDER,
        "NAME": Value.ACCOUNT,
        "PROVIDER": Value.ACCOUNT,
        "ACCOUNT": Value.ACCOUNT,
        "[ACCOUNT]": Value.ACCOUNT,
        "PROVIDER ID...": Value.JOBS,
    }
    return getattr(parameter.type, "choices", None) or words.get(parameter.metavar, Value.TEXT)


def _shorten_help(text: str | None) -> str:
    """Shorten a help text to its first part, for a narrow list."""
    import re

    first = (text or "").partition("\n\n")[0]
    return re.split(r"[.:;]\s", f"{first} ")[0].strip()
