"""Write the script for zsh with its completion system, compinit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from videostat.completion import Script, Value, write_accounts_function

if TYPE_CHECKING:
    from collections.abc import Iterable

    from videostat.completion import Command, Option, Takes

_ACTIONS = {
    Value.TEXT: "value: ",
    Value.FILE: "file:_files",
    Value.FOLDER: "folder:_files -/",
    Value.ACCOUNT: "account:_videostat_account",
    Value.JOBS: "job:_videostat_job",
}


def write_script(program: Command, accounts: Iterable[str]) -> str:
    """Write the script."""
    functions = "".join(map(_write_function, program.walk()))
    return _SCRIPT.substitute(accounts=write_accounts_function(accounts), functions=functions)


def _write_function(command: Command) -> str:
    specs = [_write_option(option) for option in command.options]
    if command.takes:
        specs.append(_quote(f"{'*' if command.takes is Value.JOBS else '1'}:{_write_action(command.takes)}"))
    return (_GROUP if command.commands else _LEAF).substitute(
        name="-".join(["_videostat", *command.path.split()]),
        specs="".join(f" \\\n        {spec}" for spec in specs),
        commands="".join(f"\n        {_quote(f'{each.last_word}:{each.help}')}" for each in command.commands),
    )


def _write_option(option: Option) -> str:
    """Write an option, for example '(-t --timeout)'{-t+,--timeout=}'[How long to wait]:value: '."""
    value = f":{_write_action(option.takes)}" if option.takes else ""
    names = [name + ("" if not value else "=" if name.startswith("--") else "+") for name in option.names]
    text = re.sub(r"([][:\\])", r"\\\1", option.help)
    if len(names) == 1:
        return _quote(f"{names[0]}[{text}]{value}")
    return f"'({' '.join(option.names)})'{{{','.join(names)}}}{_quote(f'[{text}]{value}')}"


def _write_action(takes: Takes) -> str:
    return _ACTIONS[takes] if isinstance(takes, Value) else f"value:({' '.join(takes or ())})"


def _quote(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


_LEAF = Script(r"""
@@name() {
    _arguments -s -S :@@specs
}
""")

_GROUP = Script(r"""
@@name() {
    local curcontext=$curcontext state line
    local -A opt_args
    local -a commands=(@@commands
    )
    _arguments -C@@specs \
        '1: :{_describe command commands}' \
        '*:: :->command' && return
    [[ -n $state ]] && (( $+functions[@@name-$words[1]] )) && @@name-$words[1]
}
""")

_SCRIPT = Script(r"""#compdef videostat
# Written by `videostat completion zsh`; do not edit.
@@accounts
_videostat_account() {
    local expl
    local -aU names=(${(f)"$(_videostat_accounts)"})
    _wanted accounts expl account compadd "$@" -a names
}

# Complete PROVIDER ID... or PROVIDER:ID. Zsh also calls this for options; no id looks like one.
_videostat_job() {
    [[ $PREFIX != -* ]] || return
    local provider=${${(@)line:#*:*}[1]} expl
    if compset -P 1 '*:'; then
        provider=${IPREFIX%:}
    elif [[ $provider == "$PREFIX$SUFFIX" ]]; then
        _videostat_account
        return
    fi
    # Call the program as it was typed. It may not be on the PATH.
    local -a ids=(${(f)"$(${~_comp_command1:-videostat} completion ids $provider 2>/dev/null)"})
    _wanted -V jobs expl 'job, newest first' compadd -a ids
}
@@functions
if [[ $funcstack[1] == _videostat ]]; then
    _videostat "$@"
else
    compdef _videostat videostat
fi""")
