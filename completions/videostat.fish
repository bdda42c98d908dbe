# videostat in fish. Written by `videostat completion fish`; do not edit.

function __videostat_accounts
    string split ' ' 'jogg jogg-avatar jogg-product doubao reelbot'
    set -l files $VIDEOSTAT_CONFIG
    if test -z "$files"
        set -l folder $XDG_CONFIG_HOME
        test -n "$folder"; or set folder ~/.config
        set files $folder/videostat/config.toml ~/'Library/Application Support/videostat/config.toml'
    end
    sed -n 's/^[[:space:]]*\[providers\."*\([a-z0-9][a-z0-9-]*\).*/\1/p' $files 2>/dev/null
end

# Is the cursor in one of these commands?
function __videostat_at
    set -l words (string match -v -- '-*' (commandline -opc))
    set -l path $words[2]
    contains -- "$words[2..3]" 'history forget' 'config init' 'config path' 'config show' 'config set-key' 'config check' 'completion bash' 'completion zsh' 'completion fish'; and set path "$words[2..3]"
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
complete -c videostat -n "__videostat_at list 'config set-key' 'config check'; and not __videostat_account" -a '(__videostat_accounts)'
complete -c videostat -n "__videostat_at status wait download 'history forget'" -ka '(__videostat_jobs)'
complete -c videostat -n "__videostat_at ''" -a status -d 'Look at jobs once and print their state'
complete -c videostat -n "__videostat_at ''" -a wait -d 'Wait until jobs have ended'
complete -c videostat -n "__videostat_at ''" -a download -d 'Save the videos of jobs that have succeeded'
complete -c videostat -n "__videostat_at ''" -a list -d 'List the jobs a service still keeps, the newest first'
complete -c videostat -n "__videostat_at ''" -a providers -d 'Show the services and accounts'
complete -c videostat -n "__videostat_at ''" -a listen -d 'Wait for the jobs that webhooks announce, until a signal'
complete -c videostat -n "__videostat_at ''" -a demo -d 'Submit jobs, wait and save, with simulated services'
complete -c videostat -n "__videostat_at ''" -a sandbox -d 'Simulate the services on this machine, to try commands and scripts without a key'
complete -c videostat -n "__videostat_at ''" -a history -d 'List the jobs this machine has seen, the newest first'
complete -c videostat -n "__videostat_at ''" -a config -d 'Set up keys and defaults, and check whether they work'
complete -c videostat -n "__videostat_at ''" -a completion -d 'Print the script that lets a shell complete videostat\'s command lines'
complete -c videostat -n "__videostat_at history" -a forget -d 'Forget jobs'
complete -c videostat -n "__videostat_at config" -a init -d 'Write a commented config.toml to fill in'
complete -c videostat -n "__videostat_at config" -a path -d 'Print where config.toml is, or would be'
complete -c videostat -n "__videostat_at config" -a show -d 'Show every setting and where it comes from'
complete -c videostat -n "__videostat_at config" -a set-key -d 'Store the key of an account'
complete -c videostat -n "__videostat_at config" -a check -d 'Check the key of each account with one cheap request'
complete -c videostat -n "__videostat_at completion" -a bash -d 'Print the script for bash'
complete -c videostat -n "__videostat_at completion" -a zsh -d 'Print the script for zsh'
complete -c videostat -n "__videostat_at completion" -a fish -d 'Print the script for fish'
complete -c videostat -n "__videostat_at ''" -l version -d 'Print the version'
complete -c videostat -n "__videostat_at '' status wait download list providers listen demo sandbox history 'history forget' config 'config init' 'config path' 'config show' 'config set-key' 'config check' completion 'completion bash' 'completion zsh' 'completion fish'" -s h -l help -d 'Show this message and exit'
complete -c videostat -n "__videostat_at status wait download" -l from -rF -d 'Read jobs from a file, or - for stdin'
complete -c videostat -n "__videostat_at status wait" -l unfinished -d 'The jobs of the history that have not ended'
complete -c videostat -n "__videostat_at status wait download history" -l provider -xa '(__videostat_accounts)' -d 'Only this provider or account'
complete -c videostat -n "__videostat_at status wait download list history" -l state -xa 'queued running succeeded failed unknown' -d 'Only jobs in this state'
complete -c videostat -n "__videostat_at status wait download list history" -l since -x -d 'Only jobs submitted within this time, such as 7d or 12h'
complete -c videostat -n "__videostat_at status wait download list providers listen history 'config show' 'config check'" -s j -l json -d 'Print one JSON object per job'
complete -c videostat -n "__videostat_at status wait download list providers history 'config show' 'config check'" -l fields -x -d 'Print only these JSON fields'
complete -c videostat -n "__videostat_at status wait download list listen history" -s q -l quiet -d 'Print only the URL, path, state or id'
complete -c videostat -n "__videostat_at status" -l exit-status -d 'Exit with the code of the jobs'
complete -c videostat -n "__videostat_at status wait download list" -l no-history -d 'Do not write these jobs to the history'
complete -c videostat -n "__videostat_at status wait download list listen 'config check'" -l debug -d 'Show requests and answers on stderr, without keys and signatures'
complete -c videostat -n "__videostat_at status wait download list providers listen 'config init' 'config path' 'config show' 'config set-key' 'config check'" -l config -rF -d 'Use this config.toml'
complete -c videostat -n "__videostat_at wait" -s t -l timeout -x -d 'How long to wait'
complete -c videostat -n "__videostat_at wait" -l interval -x -d 'Time between two requests for a job'
complete -c videostat -n "__videostat_at wait listen" -l listen -x -d 'Receive webhooks there'
complete -c videostat -n "__videostat_at wait" -l url -x -d 'The public address of --listen'
complete -c videostat -n "__videostat_at wait" -l fail-fast -d 'Stop at the first job that fails'
complete -c videostat -n "__videostat_at wait" -l any -d 'Stop at the first success, and exit 0'
complete -c videostat -n "__videostat_at wait listen" -l download -d 'Save each video as its job ends'
complete -c videostat -n "__videostat_at wait download listen" -l output-dir -xa '(__fish_complete_directories)' -d 'The folder for videos'
complete -c videostat -n "__videostat_at wait download" -s o -l output -rF -d 'The file for one video, in --output-dir if given'
complete -c videostat -n "__videostat_at wait download listen" -l name -x -d 'Names in the folder'
complete -c videostat -n "__videostat_at wait download listen" -l parallel -x -d 'How many videos are saved at once'
complete -c videostat -n "__videostat_at wait download" -l overwrite -d 'Save again and replace existing files'
complete -c videostat -n "__videostat_at wait download listen" -l allow-private -d 'Allow videos from a private network, also unencrypted'
complete -c videostat -n "__videostat_at wait download listen" -l exec -rF -d 'Run this for each job that succeeds'
complete -c videostat -n "__videostat_at wait download" -l progress -xa 'auto bars log json' -d 'Live bars, log lines, or a JSON object a line'
complete -c videostat -n "__videostat_at download" -l missing -d 'Finished jobs in the history whose file is missing'
complete -c videostat -n "__videostat_at list history" -s n -l limit -x -d 'How many jobs to show'
complete -c videostat -n "__videostat_at list history" -l all -d 'Show all jobs'
complete -c videostat -n "__videostat_at sandbox" -l port -x -d 'The port'
complete -c videostat -n "__videostat_at sandbox" -l speed -x -d 'How many times faster than real time its jobs run'
complete -c videostat -n "__videostat_at sandbox" -l limits -d 'Apply the services\' rate limits'
complete -c videostat -n "__videostat_at sandbox" -l fail-rate -x -d 'The share of answers that are errors'
complete -c videostat -n "__videostat_at sandbox" -l expire -x -d 'Seconds until a video\'s URL expires'
complete -c videostat -n "__videostat_at sandbox" -l cut-after -x -d 'Cut the first transfer of each video after so many bytes'
complete -c videostat -n "__videostat_at sandbox" -l bytes-per-second -x -d 'The speed at which videos are sent'
complete -c videostat -n "__videostat_at sandbox" -l ranges -d 'Support resumed downloads (Range requests)'
complete -c videostat -n "__videostat_at sandbox" -l no-ranges -d 'Support resumed downloads (Range requests)'
complete -c videostat -n "__videostat_at sandbox" -l webhook -x -d 'Send a webhook to this URL when a JoggAI job ends'
complete -c videostat -n "__videostat_at history" -l unfinished -d 'Only jobs that have not ended'
complete -c videostat -n "__videostat_at history" -l missing -d 'Only jobs that succeeded and have no file here'
complete -c videostat -n "__videostat_at 'history forget'" -l older-than -x -d 'Jobs submitted longer ago than 90d, 12h or 30m'
complete -c videostat -n "__videostat_at 'history forget'" -l all -d 'All jobs'
complete -c videostat -n "__videostat_at 'config check'" -s v -l verbose -d 'Print the facts for a bug report, without keys and user names'
