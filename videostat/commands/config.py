"""The command `videostat config`: show, store and check settings and keys."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videostat.cli.options import Config, Debug, Fields, Json
from videostat.errors import ConfigError, ExitCode, KeyMissing, Unreachable, UsageError, VideostatError

if TYPE_CHECKING:
    from videostat.cli.session import Session

KEY_SECONDS = 10  # the longest wait for the answer about a new key

SHOWN = ("account", "setting", "value", "from")
CHECKED = ("account", "key", "works", "error", "hint", "exit_code")

app = typer.Typer(no_args_is_help=True, help="Set up keys and defaults, and check whether they work.")

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="A provider, or an account of your own.")]


@app.command()
def init(*, config: Config = None) -> ExitCode:
    """Write a commented config.toml to fill in; an existing file is not changed.

    For example:
      videostat config init

    Exit code: 0, or 2 if it cannot be done.
    """
    from importlib.resources import files

    from videostat.config import locate
    from videostat.config.file import write_file
    from videostat.render.tables import print_lines

    path = locate(config)
    if os.path.lexists(path):  # Path.exists() raises for a name too long
        raise ConfigError(f"{path} already exists and was not changed", hint=f"Edit it: {path}")
    package = files("videostat")
    # A checkout has the file at the top, a wheel in the package.
    example = package / "config.example.toml"
    try:
        text = (example if example.is_file() else package / ".." / example.name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"this installation lacks {example.name}",
            hint="Install videostat again; for PyInstaller: --collect-data videostat",
        ) from None
    write_file(path, text)
    print_lines([str(path)])
    return ExitCode.OK


@app.command()
def path(*, config: Config = None) -> ExitCode:
    """Print where config.toml is, or would be.

    For example:
      videostat config path

    Exit code: 0, or 2 if it cannot be done.
    """
    from videostat.config import locate
    from videostat.render.tables import print_lines

    print_lines([str(locate(config))])
    return ExitCode.OK


@app.command()
def show(*, json: Json = False, fields: Fields = None, config: Config = None) -> ExitCode:
    """Show every setting and where it comes from; keys are masked.

    For example:
      videostat config show

    Exit code: 0, or 2 if it cannot be done.
    """
    from videostat.cli.options import choose_fields
    from videostat.config import load
    from videostat.render.answers import format_json_values
    from videostat.render.tables import print_lines, print_table

    names = choose_fields(fields, SHOWN)
    records = [dict(zip(SHOWN, value, strict=True)) for value in load(config).list_values()]
    if json or names is not None:
        print_lines(format_json_values(record, names) for record in records)
    else:
        print_table([name.upper() for name in SHOWN], [[value or "" for value in each.values()] for each in records])
    return ExitCode.OK


@app.command(context_settings={"allow_extra_args": True})
def set_key(context: typer.Context, account: Account, *, config: Config = None) -> ExitCode:
    """Store the key of an account: typed hidden, or read from stdin if that is not a terminal.

    For example:
      videostat config set-key jogg

    Exit code: 0, or 2 if it cannot be done.
    """
    from getpass import getpass

    from videostat.config import load
    from videostat.render.messages import say

    if context.args:
        raise UsageError(
            "a key cannot be an argument: it would stay in the shell's history",
            hint=f"Type it when asked: videostat config set-key {account}",
        )
    settings = load(config)
    group = settings.get_key_group(account)
    if sys.stdin is None:
        raise UsageError("stdin is closed: there is no key to read", hint="Type the key on a terminal, or pipe it in.")
    try:
        given = getpass(f"Key for {group} (not shown): ") if sys.stdin.isatty() else _read_piped()
    except EOFError:
        say("")  # below the prompt
        given = ""
    if not given.strip():
        raise UsageError("no key was given", hint=f"Get the key from {settings.get_provider(account).key_source}.")
    settings.set_key(account, given)
    say(f"The key for {group} is in {settings.credentials_path}.")
    used = next(value for value in load(config).list_values() if (value.account, value.key) == (group, "api_key"))
    if used.source != settings.credentials_path.name:
        say(f"videostat: this key is not used: {used.source} takes precedence; remove the key there")
    elif sys.stdin.isatty():
        _try_key(group, config)
    return ExitCode.OK


def _try_key(account: str, config: Path | None) -> None:
    """Print whether the stored key works; keep the key in any case."""
    from queue import Empty, SimpleQueue
    from threading import Thread

    from videostat.cli.session import open_session
    from videostat.render.messages import format_error, say

    outcome: SimpleQueue[VideostatError | None] = SimpleQueue()

    def ask() -> None:
        try:
            this.client.check(account)
        except VideostatError as error:
            outcome.put(error)
        else:
            outcome.put(None)

    with open_session(config, keep=False) as this:
        Thread(target=ask, daemon=True).start()
        try:
            error = outcome.get(timeout=KEY_SECONDS)
        except Empty:
            error = Unreachable(f"no answer within {KEY_SECONDS} s", hint="Later: videostat config check")
        if error:
            for line in format_error(error, f"the key is stored, but {account}"):
                say(line)
        else:
            say(f"It works at {this.client.get_account(account).base_url}.")


def _read_piped() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise ConfigError(
            "this is not a key: a key is printable ASCII", hint="Copy it once more from the service's page."
        ) from None


@app.command()
def check(
    account: Annotated[str | None, typer.Argument(metavar="[ACCOUNT]", help="Only this account.")] = None,
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the facts for a bug report, without keys and user names.")
    ] = False,
    json: Json = False,
    fields: Fields = None,
    debug: Debug = False,
    config: Config = None,
) -> ExitCode:
    """Check the key of each account with one cheap request.

    For example:
      videostat config check
      videostat config check --verbose

    Exit code: 0 if every key works, 3 if one is missing or refused.
    """
    from videostat.cli.options import choose_fields
    from videostat.cli.run import choose_exit_code
    from videostat.cli.session import open_session
    from videostat.render.answers import format_json_values
    from videostat.render.messages import format_error, say
    from videostat.render.tables import print_lines

    names = choose_fields(fields, CHECKED)
    codes = []
    with open_session(config, keep=False, debug=debug) as this:
        settings = this.settings
        if verbose:
            return _describe(this, account, as_json=json)
        sources = {
            value.account: value.source for value in settings.list_values() if value.key == "api_key" and value.value
        }
        accounts = [settings.get_key_group(account)] if account else sorted(sources)
        if not accounts:
            raise KeyMissing("no account has a key", hint="Store one: videostat config set-key jogg")
        for name in accounts:
            error = None
            try:
                this.client.check(name)
            except VideostatError as found:
                error = found
                about = f"{name}, with the key from {sources[name]}" if name in sources else name
                for line in format_error(error, about):
                    say(line)
            codes.append(error.exit_code if error else ExitCode.OK)
            if json or names is not None:
                values = (name, sources.get(name), error is None, error and str(error), error and error.hint, codes[-1])
                print_lines([format_json_values(dict(zip(CHECKED, values, strict=True)), names)])
            elif not error:
                base_url = this.client.get_account(name).base_url
                print_lines([f"{name}: the key from {sources[name]} works at {base_url}"])
    return choose_exit_code(codes)


def _describe(this: "Session", account: str | None, *, as_json: bool) -> ExitCode:
    """Print the facts for a bug report."""
    from videostat.cli.bugreport import describe
    from videostat.cli.run import choose_exit_code
    from videostat.render.answers import format_json_values
    from videostat.render.tables import print_lines
    from videostat.render.text import clean_text

    settings = this.settings
    groups = dict.fromkeys(map(settings.get_key_group, [account] if account else settings.list_names()))
    facts, codes = describe(this, [*groups])
    if as_json:
        print_lines([format_json_values(facts)])
        return choose_exit_code(codes)
    lines = []
    for section, values in facts.items():
        lines += [
            section,
            *(f"  {name}: {clean_text(_format_value(value), longest=None)}" for name, value in values.items()),
        ]
    print_lines(lines)
    return choose_exit_code(codes)


def _format_value(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
    return str(value)
