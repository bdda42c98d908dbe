"""For fish 3.1 and later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videostat.completion import SECTIONS, Script, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from videostat.completion import Command, Takes

_VALUES = {
    Value.TEXT: "-x",
    Value.FILE: "-rF",
    Value.FOLDER: "-xa '(__fish_complete_directories)'",
    Value.ACCOUNT: "-xa '(__videostat_accounts)'",
}


def write_script(program: Command, accounts: Iterable[str]) -> str:
    return _SCRIPT.substitute(
        accounts=" ".join(accounts),
        sections=SECTIONS,
        inner=_paths(command for command in program.walk() if " " in command.path),
        account=_paths(command for command in program.walk() if command.takes is Value.ACCOUNT),
        jobs=_paths(command for command in program.walk() if command.takes is Value.JOBS),
        commands="\n".join(_commands(program)),
        options="\n".join(_options(program)),
    )


def _commands(program: Command) -> Iterator[str]:
    for group in program.walk():
        for command in group.commands:
            yield f"complete -c videostat -n {_at([group])} -a {command.name} -d {_quoted(command.help)}"


def _options(program: Command) -> Iterator[str]:
    for option in dict.fromkeys(option for command in program.walk() for option in command.options):
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        where = _at(command for command in program.walk() if option in command.options)
        what = f"{names} {_value(option.takes)}".rstrip()
        yield f"complete -c videostat -n {where} {what} -d {_quoted(option.help)}"


def _value(takes: Takes) -> str:
    if isinstance(takes, Value):
        return _VALUES[takes]
    return f"-xa {_quoted(' '.join(takes))}" if takes else ""


def _at(commands: Iterable[Command]) -> str:
    return f'"__videostat_at {_paths(commands)}"'


def _paths(commands: Iterable[Command]) -> str:
    return " ".join(command.path if command.path.isalpha() else f"'{command.path}'" for command in commands)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", r"\\").replace("'", r"\'") + "'"


_SCRIPT = Script(r"""# videostat in fish. Written by `videostat completion fish`; do not edit.

function __videostat_accounts
    string split ' ' '@@accounts'
    set -l files $VIDEOSTAT_CONFIG
    if test -z "$files"
        set -l folder $XDG_CONFIG_HOME
        test -n "$folder"; or set folder ~/.config
        set files $folder/videostat/config.toml ~/'Library/Application Support/videostat/config.toml'
    end
    sed -n '@@sections' $files 2>/dev/null
end

# Is the cursor in one of these commands?
function __videostat_at
    set -l words (string match -v -- '-*' (commandline -opc))
    set -l path $words[2]
    contains -- "$words[2..3]" @@inner; and set path "$words[2..3]"
    contains -- "$path" $argv
end

# The account that has been typed; an option's value that happens to be one would do no harm.
function __videostat_account
    set -l accounts (__videostat_accounts)
    for word in (commandline -opc)
        contains -- $word $accounts; and echo $word; and return
    end
    return 1
end

# PROVIDER ID..., or PROVIDER:ID. Fish comes here for an option too, which no id looks like.
function __videostat_jobs
    set -l word (commandline -ct)
    string match -q -- '-*' "$word"; and return
    set word (string split -m 1 -- : "$word")
    # As it is called here: it need not be on the PATH.
    set -l program (string replace -r '^~/' $HOME/ -- (commandline -opc)[1])
    if set -q word[2]
        $program completion ids $word[1] 2>/dev/null | string replace -r '^' $word[1]:
    else if set -l account (__videostat_account)
        $program completion ids $account 2>/dev/null
    else
        __videostat_accounts
    end
end

complete -c videostat -f
complete -c videostat -n "__videostat_at @@account; and not __videostat_account" -a '(__videostat_accounts)'
complete -c videostat -n "__videostat_at @@jobs" -ka '(__videostat_jobs)'
@@commands
@@options""")
