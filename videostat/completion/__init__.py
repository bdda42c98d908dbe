"""Describe the command line, for scripts that complete it in three shells.

The scripts start Python only to complete job ids. Each shell has a module with `write_script(program, accounts)`;
`program` describes the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Value(Enum):
    """The kind of value that an option or an argument takes."""

    TEXT = "text"
    FILE = "file"
    FOLDER = "folder"
    ACCOUNT = "account"
    JOBS = "jobs"


# A kind of value, a choice of words, or nothing.
Takes = Value | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command. All `names` mean the same; a flag takes nothing."""

    names: tuple[str, ...]
    help: str
    takes: Takes


@dataclass(frozen=True, slots=True)
class Command:
    """A command or a group of `commands`. `path` holds the words to type after the name of the program."""

    path: str
    help: str
    options: tuple[Option, ...]
    takes: Takes = None
    commands: tuple[Command, ...] = ()

    @property
    def last_word(self) -> str:
        """Return the last word of the command: `set-key` for `config set-key`."""
        return self.path.rpartition(" ")[2]

    def walk(self) -> Iterator[Command]:
        """Yield this command and all commands below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


class Script(Template):
    """A template of a script, with names such as @@options. Shells use the dollar sign themselves."""

    delimiter = "@@"


# A command for sed, in single quotes. It prints the accounts in config.toml.
SECTIONS = r's/^[[:space:]]*\[providers\."*\([a-z0-9][a-z0-9-]*\).*/\1/p'


def write_accounts_function(accounts: Iterable[str]) -> str:
    """Write the function for bash and zsh that prints the accounts.

    It reads config.toml in the default folders of both Linux and macOS, because the script can run on either.
    """
    return _ACCOUNTS.substitute(accounts=" ".join(accounts), sections=SECTIONS)


_ACCOUNTS = Script(r"""
_videostat_accounts() {
    printf '%s\n' @@accounts
    if [ -n "${VIDEOSTAT_CONFIG-}" ]; then
        set -- "$VIDEOSTAT_CONFIG"
    else
        set -- "${XDG_CONFIG_HOME:-$HOME/.config}/videostat/config.toml" \
            "$HOME/Library/Application Support/videostat/config.toml"
    fi
    sed -n '@@sections' "$@" 2>/dev/null
}
""")
