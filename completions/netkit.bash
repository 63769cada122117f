# bash completion for netkit (bash 4.2 and later): the program answers, see cli_complete() in cli.h.
# shellcheck shell=bash

_netkit()
{
    local program=${COMP_WORDS[0]/#\~/$HOME} words=() kind='' lead='' last cur i answer candidate
    COMPREPLY=()
    # A symbolic link is named after the command that it runs.
    [[ ${program##*/} == netkit ]] || { words=("${program##*/}") program=netkit; }
    for ((i = 1; i <= COMP_CWORD; i++)); do
        # bash splits --name=value at the "=".
        if [[ $i -gt 1 && ${COMP_WORDS[i]} == = || ${COMP_WORDS[i - 1]} == = ]]; then
            words[${#words[@]} - 1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
    done
    last=${words[${#words[@]} - 1]} cur=${COMP_WORDS[COMP_CWORD]#=}
    mapfile -t answer < <("$program" __complete "${words[@]}" 2> /dev/null)
    kind=${answer[0]-} lead=${answer[1]-}
    case $kind in
    file) mapfile -t answer < <(compgen -f -- "${last#"$lead"}") ;;
    directory) mapfile -t answer < <(compgen -d -- "${last#"$lead"}") ;;
    host) mapfile -t answer < <(compgen -A hostname -- "${last#"$lead"}") ;;
    *) answer=("${answer[@]:2}") ;;
    esac
    for candidate in "${answer[@]}"; do
        candidate=$lead${candidate%%$'\t'*}
        [[ $candidate != "$last"* ]] || COMPREPLY+=("${candidate#"${last%"$cur"}"}")
    done
    case $kind in
    file | directory) compopt -o filenames 2> /dev/null ;;
    list) compopt -o nospace 2> /dev/null ;;
    esac
}

complete -F _netkit netkit tcp-probe accept-backlog connect-timeout linger-test crash-sim lab doctor \
    explain
