# fish completion for netkit: the program answers, see cli_complete() in cli.h.

function __netkit_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    # A symbolic link is named after the command that it runs.
    if test (string split / -- $program)[-1] != netkit
        set words (string split / -- $program)[-1] $words
        set program netkit
    end
    set -l answer ($program __complete $words "$last" 2>/dev/null)
    set -l kind $answer[1]
    set -l lead "$answer[2]"
    set -l value (string sub -s (math (string length -- "$lead") + 1) -- "$last")
    set -e answer[1..2]
    switch "$kind"
        case file
            set answer (__fish_complete_path "$value")
        case directory
            set answer (__fish_complete_directories "$value")
        case host
            set answer (__fish_print_hostnames)
    end
    for candidate in $answer
        printf '%s\n' $lead$candidate
    end
end

for command in netkit tcp-probe accept-backlog connect-timeout linger-test crash-sim lab doctor explain
    complete -c $command -f -a '(__netkit_complete)'
end
