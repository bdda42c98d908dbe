"""Write the script for fish 3.1 and later."""

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
    """Write the script."""
    return _SCRIPT.substitute(
        accounts=" ".join(accounts),
        sections=SECTIONS,
        inner=_join_paths(command for command in program.walk() if " " in command.path),
        account=_join_paths(command for command in program.walk() if command.takes is Value.ACCOUNT),
        jobs=_join_paths(command for command in program.walk() if command.takes is Value.JOBS),
        commands="\n".join(_write_commands(program)),
        options="\n".join(_write_options(program)),
    )


def _write_commands(program: Command) -> Iterator[str]:
    for group in program.walk():
        for command in group.commands:
            where = _write_condition([group])
            yield f"complete -c videostat -n {where} -a {command.last_word} -d {_quote(command.help)}"


def _write_options(program: Command) -> Iterator[str]:
    for option in dict.fromkeys(option for command in program.walk() for option in command.options):
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        where = _write_condition(command for command in program.walk() if option in command.options)
        what = f"{names} {_write_value(option.takes)}".rstrip()
        yield f"complete -c videostat -n {where} {what} -d {_quote(option.help)}"


def _write_value(takes: Takes) -> str:
    if isinstance(takes, Value):
        return _VALUES[takes]
    return f"-xa {_quote(' '.join(takes))}" if takes else ""


def _write_condition(commands: Iterable[Command]) -> str:
    return f'"__videostat_at {_join_paths(commands)}"'


def _join_paths(commands: Iterable[Command]) -> str:
    return " ".join(command.path if command.path.isalpha() else f"'{command.path}'" for command in commands)


def _quote(text: str) -> str:
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

# Print the account that was typed. It does no harm if this is the value of an option.
function __videostat_account
    set -l accounts (__videostat_accounts)
    for word in (commandline -opc)
        contains -- $word $accounts; and echo $word; and return
    end
    return 1
end

# Complete PROVIDER ID... or PROVIDER:ID. Fish also calls this for options; no id looks like one.
function __videostat_jobs
    set -l word (commandline -ct)
    string match -q -- '-*' "$word"; and return
    set word (string split -m 1 -- : "$word")
    # Call the program as it was typed. It may not be on the PATH.
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
