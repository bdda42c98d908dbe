"""Write the script for bash 3.2 and later. It does not need the package bash-completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videostat.completion import Script, Value, write_accounts_function

if TYPE_CHECKING:
    from collections.abc import Iterable

    from videostat.completion import Command, Takes


def write_script(program: Command, accounts: Iterable[str]) -> str:
    """Write the script. Raises ValueError if an option takes different values in different commands."""
    return _SCRIPT.substitute(
        accounts=write_accounts_function(accounts),
        commands="\n".join(map(_write_command, program.walk())),
        options="\n".join(_write_options(program)),
    )


def _write_command(command: Command) -> str:
    names = " ".join(name for option in command.options for name in option.names)
    argument = " ".join(each.last_word for each in command.commands) or _name_values(command.takes)
    kind = "commands" if command.commands else "argument"
    return f"        '{command.path}') options='{names}' {kind}='{argument}' ;;"


def _write_options(program: Command) -> Iterable[str]:
    meanings: dict[str, Takes] = {}
    for option in (option for command in program.walk() for option in command.options):
        for name in option.names:
            if meanings.setdefault(name, option.takes) != option.takes:
                raise ValueError(f"{name} takes different values in different commands")
    for takes in dict.fromkeys(takes for takes in meanings.values() if takes):
        names = " | ".join(name for name, other in meanings.items() if other == takes)
        yield f"        {names}) expected='{_name_values(takes)}' ;;"


def _name_values(takes: Takes) -> str:
    return takes.name if isinstance(takes, Value) else " ".join(takes or ())


_SCRIPT = Script(r"""# videostat in bash. Written by `videostat completion bash`; do not edit.
@@accounts
_videostat_command() {
    options='' commands='' argument=''
    case $1 in
@@commands
    esac
}

_videostat_option() {
    case $1 in
@@options
        *) expected='' ;;
    esac
}

_videostat() {
    local IFS=$' \t\n' command='' options commands argument expected='' provider='' prefix='' offered=''
    local piece=${COMP_WORDS[COMP_CWORD]} previous='' word words=()
    COMPREPLY=()

    # Bash has split PROVIDER:ID and --option=value. $2 is the last piece up to the cursor, without quotes.
    [[ $piece == [:=] ]] || piece=$2
    for piece in "${COMP_WORDS[@]:0:COMP_CWORD}" "$piece"; do
        if [[ $piece == [:=] || ($previous == [:=] && -n $piece) ]]; then
            words[${#words[@]} - 1]+=$piece
        else
            words+=("$piece")
        fi
        previous=$piece
    done

    _videostat_command ''
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $expected ]]; then
            expected=''
        elif [[ $word == -* ]]; then
            _videostat_option "$word"
        elif [[ $word == *[\<\>] ]]; then
            expected=FILE
        elif [[ " $commands " == *" $word "* ]]; then
            command+=${command:+ }$word
            _videostat_command "$command"
        elif [[ $argument != JOBS ]]; then
            argument=''
        elif [[ $word != *:* ]]; then
            provider=${provider:-$word}
        fi
    done

    word=${words[${#words[@]} - 1]}
    if [[ -n $expected ]]; then
        :
    elif [[ $word == --*=* ]]; then
        prefix=${word%%=*}=
        _videostat_option "${word%%=*}"
    elif [[ $word == -* ]]; then
        expected=$options
    else
        expected=$commands$argument
    fi

    if [[ $expected == JOBS && $word == *:* ]]; then
        provider=${word%%:*} prefix=${word%%:*}:
    fi
    case $expected in
        TEXT) ;;
        FILE) compopt -o default 2>/dev/null || { IFS=$'\n' && COMPREPLY=($(compgen -f -- "$2")); } ;;
        FOLDER) compopt -o dirnames 2>/dev/null || { IFS=$'\n' && COMPREPLY=($(compgen -d -- "$2")); } ;;
        JOBS)
            if [[ -n $provider ]]; then
                # Call the program as it was typed. It may not be on the PATH.
                offered=$("${1/#"~/"/$HOME/}" completion ids "$provider" 2>/dev/null)
                compopt -o nosort 2>/dev/null
            else
                offered=$(_videostat_accounts)
            fi
            ;;
        ACCOUNT) offered=$(_videostat_accounts) ;;
        *) offered=$expected ;;
    esac
    for piece in $offered; do
        piece=$prefix$piece
        [[ $piece != "$word"* ]] || COMPREPLY+=("${piece#"${word%"$2"}"}")
    done
}

complete -F _videostat videostat""")
