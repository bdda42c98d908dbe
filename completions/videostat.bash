# videostat in bash. Written by `videostat completion bash`; do not edit.

_videostat_accounts() {
    printf '%s\n' jogg jogg-avatar jogg-product doubao reelbot
    if [ -n "${VIDEOSTAT_CONFIG-}" ]; then
        set -- "$VIDEOSTAT_CONFIG"
    else
        set -- "${XDG_CONFIG_HOME:-$HOME/.config}/videostat/config.toml" \
            "$HOME/Library/Application Support/videostat/config.toml"
    fi
    sed -n 's/^[[:space:]]*\[providers\."*\([a-z0-9][a-z0-9-]*\).*/\1/p' "$@" 2>/dev/null
}

_videostat_command() {
    options='' commands='' argument=''
    case $1 in
        '') options='--version -h --help' commands='status wait download list providers listen demo sandbox history config completion' ;;
        'status') options='--from --unfinished --provider --state --since -j --json --fields -q --quiet --exit-status --no-history --debug --config -h --help' argument='JOBS' ;;
        'wait') options='--from --unfinished --provider --state --since -t --timeout --interval --listen --url --fail-fast --any --download --output-dir -o --output --name --parallel --overwrite --allow-private --exec -j --json --fields -q --quiet --progress --no-history --debug --config -h --help' argument='JOBS' ;;
        'download') options='--from --missing --provider --state --since --output-dir -o --output --name --parallel --overwrite --allow-private --exec -j --json --fields -q --quiet --progress --no-history --debug --config -h --help' argument='JOBS' ;;
        'list') options='--state --since -n --limit --all -j --json --fields -q --quiet --no-history --debug --config -h --help' argument='ACCOUNT' ;;
        'providers') options='-j --json --fields --config -h --help' argument='' ;;
        'listen') options='--listen --download --output-dir --name --parallel --allow-private --exec -j --json -q --quiet --debug --config -h --help' argument='TEXT' ;;
        'demo') options='-h --help' argument='' ;;
        'sandbox') options='--port --speed --limits --fail-rate --expire --cut-after --bytes-per-second --ranges --no-ranges --webhook -h --help' argument='' ;;
        'history') options='--unfinished --missing --provider --state --since -n --limit --all -j --json --fields -q --quiet -h --help' commands='forget' ;;
        'history forget') options='--older-than --all -h --help' argument='JOBS' ;;
        'config') options='-h --help' commands='init path show set-key check' ;;
        'config init') options='--config -h --help' argument='' ;;
        'config path') options='--config -h --help' argument='' ;;
        'config show') options='-j --json --fields --config -h --help' argument='' ;;
        'config set-key') options='--config -h --help' argument='ACCOUNT' ;;
        'config check') options='-v --verbose -j --json --fields --debug --config -h --help' argument='ACCOUNT' ;;
        'completion') options='-h --help' commands='bash zsh fish' ;;
        'completion bash') options='-h --help' argument='' ;;
        'completion zsh') options='-h --help' argument='' ;;
        'completion fish') options='-h --help' argument='' ;;
    esac
}

_videostat_option() {
    case $1 in
        --from | --config | -o | --output | --exec) expected='FILE' ;;
        --provider) expected='ACCOUNT' ;;
        --state) expected='queued running succeeded failed unknown' ;;
        --since | --fields | -t | --timeout | --interval | --listen | --url | --name | --parallel | -n | --limit | --port | --speed | --fail-rate | --expire | --cut-after | --bytes-per-second | --webhook | --older-than) expected='TEXT' ;;
        --output-dir) expected='FOLDER' ;;
        --progress) expected='auto bars log json' ;;
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

complete -F _videostat videostat
