"""Completion scripts, made from a description of the command line, so that Tab starts no Python.

Each shell's module has `script(program, accounts)`; who describes the program is none of its business.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Value(Enum):
    """What an option or an argument takes, where it is not one of a few words."""

    TEXT = "text"
    FILE = "file"
    FOLDER = "folder"
    ACCOUNT = "account"
    JOBS = "jobs"


Takes = Value | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Option:
    """`names` all mean the same; a flag takes nothing."""

    names: tuple[str, ...]
    help: str
    takes: Takes


@dataclass(frozen=True, slots=True)
class Command:
    """`path` is what is typed after the program's name; it leads to `commands`, or takes arguments."""

    path: str
    help: str
    options: tuple[Option, ...]
    takes: Takes = None
    commands: tuple[Command, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition(" ")[2]

    def walk(self) -> Iterator[Command]:
        yield self
        for command in self.commands:
            yield from command.walk()


class Script(Template):
    delimiter = "@@"  # shells have uses for a dollar


# For sed, in single quotes: the accounts in config.toml, which no Python reads here.
SECTIONS = r's/^[[:space:]]*\[providers\."*\([a-z0-9][a-z0-9-]*\).*/\1/p'


def accounts_function(accounts: Iterable[str]) -> str:
    """For bash and zsh; both default places are read, since a script does not know the system it runs on."""
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
