# bash completion for netkit. Written by netkit-generate from the option tables: do not edit.
# shellcheck shell=bash

_netkit_commands()
{
    echo 'tcp-probe doctor explain help'
}

_netkit_options() # command
{
    case $1 in
    tcp-probe) echo '--targets --parallel --all-addresses --resolve --source --interface --tos --dscp --socket-option --preset --path --host --send --send-file --until --split --gap --rounds -n --warmup --new-connection --interval --duration --arms --no-interventions --stall --connect-timeout --response-timeout --timeout --ipv4 -4 --ipv6 -6 --record --json --format --output -o --diagram --diagram-file --timeline --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    doctor) echo '--root --timeout --ipv4 -4 --ipv6 -6 --json --format --output -o --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    explain) echo '--help -h --version -V' ;;
    help) echo '--help -h --version -V' ;;
    esac
}

_netkit_optional() # command
{
    case $1 in
    tcp-probe) echo '--diagram' ;;
    doctor) echo '' ;;
    explain) echo '' ;;
    help) echo '' ;;
    esac
}

_netkit_value() # command, and option or "argument"
{
    case "$1 $2" in
    'tcp-probe --targets') echo 'file ' ;;
    'tcp-probe --parallel') echo 'nothing ' ;;
    'tcp-probe --resolve') echo 'nothing ' ;;
    'tcp-probe --source') echo 'nothing ' ;;
    'tcp-probe --interface') echo 'nothing ' ;;
    'tcp-probe --tos') echo 'nothing ' ;;
    'tcp-probe --dscp') echo 'nothing ' ;;
    'tcp-probe --socket-option') echo 'nothing ' ;;
    'tcp-probe --preset') echo 'words connect http redis memcached smtp echo' ;;
    'tcp-probe --path') echo 'nothing ' ;;
    'tcp-probe --host') echo 'host ' ;;
    'tcp-probe --send') echo 'nothing ' ;;
    'tcp-probe --send-file') echo 'file ' ;;
    'tcp-probe --until') echo 'nothing ' ;;
    'tcp-probe --split') echo 'nothing ' ;;
    'tcp-probe --gap') echo 'nothing ' ;;
    'tcp-probe --rounds' | 'tcp-probe -n') echo 'nothing ' ;;
    'tcp-probe --warmup') echo 'nothing ' ;;
    'tcp-probe --interval') echo 'nothing ' ;;
    'tcp-probe --duration') echo 'nothing ' ;;
    'tcp-probe --arms') echo 'list baseline nodelay quickack nodelay+quickack single-write' ;;
    'tcp-probe --stall') echo 'nothing ' ;;
    'tcp-probe --connect-timeout') echo 'nothing ' ;;
    'tcp-probe --response-timeout') echo 'nothing ' ;;
    'tcp-probe --timeout') echo 'nothing ' ;;
    'tcp-probe --record') echo 'file ' ;;
    'tcp-probe --format') echo 'words text json ndjson junit tap' ;;
    'tcp-probe --output' | 'tcp-probe -o') echo 'file ' ;;
    'tcp-probe --diagram') echo 'words text mermaid svg' ;;
    'tcp-probe --diagram-file') echo 'file ' ;;
    'tcp-probe --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout host-unreachable network-unreachable accept-queue-overflow syn-queue-overflow close-wait-leak half-open peer-aborted no-response response-truncated machine-refuses machine-setting regression inconclusive any' ;;
    'tcp-probe --color') echo 'words auto always never' ;;
    'tcp-probe argument') echo 'host ' ;;
    'doctor --root') echo 'directory ' ;;
    'doctor --timeout') echo 'nothing ' ;;
    'doctor --format') echo 'words text json ndjson junit tap' ;;
    'doctor --output' | 'doctor -o') echo 'file ' ;;
    'doctor --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout host-unreachable network-unreachable accept-queue-overflow syn-queue-overflow close-wait-leak half-open peer-aborted no-response response-truncated machine-refuses machine-setting regression inconclusive any' ;;
    'doctor --color') echo 'words auto always never' ;;
    'doctor argument') echo 'nothing ' ;;
    'explain argument') echo 'words nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout host-unreachable network-unreachable accept-queue-overflow syn-queue-overflow close-wait-leak half-open peer-aborted no-response response-truncated machine-refuses machine-setting regression inconclusive EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EHOSTUNREACH EINPROGRESS EINTR EINVAL EISCONN EMFILE EMSGSIZE ENETUNREACH ENFILE ENOBUFS ENOPROTOOPT ENOTCONN EPERM EPIPE EPROTO ETIMEDOUT ESTABLISHED SYN-SENT SYN-RECEIVED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT CLOSED CLOSE-WAIT LAST-ACK LISTEN CLOSING NEW-SYN-RECEIVED' ;;
    'help argument') echo 'words tcp-probe doctor explain help' ;;
    esac
}

_netkit_complete_value() # kind and words
{
    local kind=${1%% *} words=${1#* } before=''
    case $kind in
    file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2> /dev/null ;;
    directory) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); compopt -o filenames 2> /dev/null ;;
    host) mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur") ;;
    words) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
    list)
        [[ $cur != *,* ]] || before=${cur%,*},
        mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "${cur##*,}")
        compopt -o nospace 2> /dev/null
        ;;
    esac
}

_netkit()
{
    local cur=${COMP_WORDS[COMP_CWORD]} option='' first=1 command=${COMP_WORDS[0]##*/} i
    COMPREPLY=()
    if [[ -z $(_netkit_options "$command") ]]; then
        if ((COMP_CWORD == 1)); then
            mapfile -t COMPREPLY < <(compgen -W "$(_netkit_commands) --help --version" -- "$cur")
            return
        fi
        command=${COMP_WORDS[1]} first=2
    fi
    for ((i = first; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            _netkit_complete_value "$(_netkit_value "$command" argument)"
            return
        fi
    done
    if [[ $cur == --*=* ]]; then
        option=${cur%%=*} cur=${cur#*=}
        _netkit_complete_value "$(_netkit_value "$command" "$option")"
        COMPREPLY=("${COMPREPLY[@]/#/$option=}")
        return
    elif ((COMP_CWORD > first)) && [[ $cur == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 1]} cur=
    elif ((COMP_CWORD > first + 1)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    elif ((COMP_CWORD > first)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == -* ]]; then
        option=${COMP_WORDS[COMP_CWORD - 1]}
        # An optional value stands after "=" only.
        [[ " $(_netkit_optional "$command") " != *" $option "* ]] || option=
    fi
    if [[ -n $option && -n $(_netkit_value "$command" "$option") ]]; then
        _netkit_complete_value "$(_netkit_value "$command" "$option")"
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_netkit_options "$command")" -- "$cur")
    else
        _netkit_complete_value "$(_netkit_value "$command" argument)"
    fi
}

complete -F _netkit netkit tcp-probe
