# bash completion for netkit. Written by netkit-generate from the option tables: do not edit.
# shellcheck shell=bash

_netkit_commands()
{
    echo 'tcp-probe connect-timeout linger-test crash-sim accept-backlog lab doctor explain help'
}

_netkit_options() # command
{
    case $1 in
    tcp-probe) echo '--targets --parallel --all-addresses --resolve --source --interface --tos --dscp --socket-option --tls --sni --alpn --ca-file --insecure --preset --path --host --send --send-file --until --split --gap --rounds -n --warmup --new-connection --interval --duration --arms --no-interventions --stall --max-p50 --max-p90 --max-p99 --max-connect --max-tls --min-success --baseline --connect-timeout --response-timeout --timeout --ipv4 -4 --ipv6 -6 --record --json --prometheus --format --output -o --diagram --diagram-file --timeline --pcap --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    connect-timeout) echo '--target --targets --tries --connect-timeout --parallel --resolve --path --max-hops --hop-timeout --schedule --kernel-setting --method --list --all --jobs --repeat --no-lab --real-time --delay --rate --mtu --drop --hold --late --duplicate --reorder --corrupt --answer-rst --answer-icmp --cut --count --nth --dir --probability --window --faults --seed --sysctl --socket-option --timeout --ipv4 -4 --ipv6 -6 --json --format --output -o --diagram --diagram-file --timeline --pcap --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    linger-test) echo '--bytes --client --server --port --serve --request --suite --list --all --jobs --repeat --no-lab --real-time --delay --rate --mtu --drop --hold --late --duplicate --reorder --corrupt --answer-rst --answer-icmp --cut --count --nth --dir --probability --window --faults --seed --sysctl --socket-option --timeout --ipv4 -4 --ipv6 -6 --json --format --output -o --diagram --diagram-file --timeline --pcap --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    crash-sim) echo '--matrix --client --server --port --serve --request --after --clients --max-detect --suite --list --all --jobs --repeat --no-lab --real-time --delay --rate --mtu --drop --hold --late --duplicate --reorder --corrupt --answer-rst --answer-icmp --cut --count --nth --dir --probability --window --faults --seed --sysctl --socket-option --timeout --ipv4 -4 --ipv6 -6 --json --format --output -o --diagram --diagram-file --timeline --pcap --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    accept-backlog) echo '--listener --pid --all-listeners --interval --server --port --request --connections --rate --backlog --list --all --jobs --repeat --no-lab --real-time --delay --mtu --drop --hold --late --duplicate --reorder --corrupt --answer-rst --answer-icmp --cut --count --nth --dir --probability --window --faults --seed --sysctl --socket-option --timeout --ipv4 -4 --ipv6 -6 --json --format --output -o --diagram --diagram-file --timeline --pcap --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    lab) echo '--server --client --wait-listen --no-wait --sysctl --delay --rate --mtu --drop --hold --late --duplicate --reorder --corrupt --answer-rst --answer-icmp --cut --count --nth --dir --probability --window --faults --seed --dual-stack --timeout --ipv4 -4 --ipv6 -6 --connection --json --prometheus --format --output -o --diagram --diagram-file --timeline --pcap --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    doctor) echo '--root --timeout --ipv4 -4 --ipv6 -6 --json --prometheus --format --output -o --fail-on --quiet -q --verbose -v --color --help -h --version -V' ;;
    explain) echo '--help -h --version -V' ;;
    help) echo '--help -h --version -V' ;;
    esac
}

_netkit_optional() # command
{
    case $1 in
    tcp-probe) echo '--diagram' ;;
    connect-timeout) echo '--diagram' ;;
    linger-test) echo '--diagram' ;;
    crash-sim) echo '--diagram' ;;
    accept-backlog) echo '--diagram' ;;
    lab) echo '--diagram' ;;
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
    'tcp-probe --sni') echo 'nothing ' ;;
    'tcp-probe --alpn') echo 'nothing ' ;;
    'tcp-probe --ca-file') echo 'file ' ;;
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
    'tcp-probe --max-p50') echo 'nothing ' ;;
    'tcp-probe --max-p90') echo 'nothing ' ;;
    'tcp-probe --max-p99') echo 'nothing ' ;;
    'tcp-probe --max-connect') echo 'nothing ' ;;
    'tcp-probe --max-tls') echo 'nothing ' ;;
    'tcp-probe --min-success') echo 'nothing ' ;;
    'tcp-probe --baseline') echo 'file ' ;;
    'tcp-probe --connect-timeout') echo 'nothing ' ;;
    'tcp-probe --response-timeout') echo 'nothing ' ;;
    'tcp-probe --timeout') echo 'nothing ' ;;
    'tcp-probe --record') echo 'file ' ;;
    'tcp-probe --format') echo 'words text json ndjson junit tap prometheus' ;;
    'tcp-probe --output' | 'tcp-probe -o') echo 'file ' ;;
    'tcp-probe --diagram') echo 'words text mermaid svg' ;;
    'tcp-probe --diagram-file') echo 'file ' ;;
    'tcp-probe --pcap') echo 'file ' ;;
    'tcp-probe --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout filtered answer-not-taken syn-not-sent connection-rejected host-unreachable network-unreachable routing-loop not-permitted no-local-address late-synack accept-queue-overflow syn-queue-overflow slow-accept listener-closed close-wait-leak half-open peer-aborted no-response response-truncated program-failed machine-refuses machine-setting regression tls-handshake-failed tls-certificate dead-peer-unnoticed truncation-accepted descriptor-leak zombie-processes scenario-differs inconclusive any' ;;
    'tcp-probe --color') echo 'words auto always never' ;;
    'tcp-probe argument') echo 'host ' ;;
    'connect-timeout --target') echo 'host ' ;;
    'connect-timeout --targets') echo 'file ' ;;
    'connect-timeout --tries') echo 'nothing ' ;;
    'connect-timeout --connect-timeout') echo 'nothing ' ;;
    'connect-timeout --parallel') echo 'nothing ' ;;
    'connect-timeout --resolve') echo 'nothing ' ;;
    'connect-timeout --max-hops') echo 'nothing ' ;;
    'connect-timeout --hop-timeout') echo 'nothing ' ;;
    'connect-timeout --kernel-setting') echo 'nothing ' ;;
    'connect-timeout --method') echo 'list blocking alarm select poll epoll sndtimeo user-timeout syncnt' ;;
    'connect-timeout --jobs') echo 'nothing ' ;;
    'connect-timeout --repeat') echo 'nothing ' ;;
    'connect-timeout --delay') echo 'nothing ' ;;
    'connect-timeout --rate') echo 'nothing ' ;;
    'connect-timeout --mtu') echo 'nothing ' ;;
    'connect-timeout --drop') echo 'nothing ' ;;
    'connect-timeout --hold') echo 'nothing ' ;;
    'connect-timeout --late') echo 'nothing ' ;;
    'connect-timeout --duplicate') echo 'nothing ' ;;
    'connect-timeout --reorder') echo 'nothing ' ;;
    'connect-timeout --corrupt') echo 'nothing ' ;;
    'connect-timeout --answer-rst') echo 'nothing ' ;;
    'connect-timeout --answer-icmp') echo 'nothing ' ;;
    'connect-timeout --cut') echo 'nothing ' ;;
    'connect-timeout --count') echo 'nothing ' ;;
    'connect-timeout --nth') echo 'nothing ' ;;
    'connect-timeout --dir') echo 'words c>s s>c' ;;
    'connect-timeout --probability') echo 'nothing ' ;;
    'connect-timeout --window') echo 'nothing ' ;;
    'connect-timeout --faults') echo 'file ' ;;
    'connect-timeout --seed') echo 'nothing ' ;;
    'connect-timeout --sysctl') echo 'nothing ' ;;
    'connect-timeout --socket-option') echo 'nothing ' ;;
    'connect-timeout --timeout') echo 'nothing ' ;;
    'connect-timeout --format') echo 'words text json ndjson junit tap prometheus' ;;
    'connect-timeout --output' | 'connect-timeout -o') echo 'file ' ;;
    'connect-timeout --diagram') echo 'words text mermaid svg' ;;
    'connect-timeout --diagram-file') echo 'file ' ;;
    'connect-timeout --pcap') echo 'file ' ;;
    'connect-timeout --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout filtered answer-not-taken syn-not-sent connection-rejected host-unreachable network-unreachable routing-loop not-permitted no-local-address late-synack accept-queue-overflow syn-queue-overflow slow-accept listener-closed close-wait-leak half-open peer-aborted no-response response-truncated program-failed machine-refuses machine-setting regression tls-handshake-failed tls-certificate dead-peer-unnoticed truncation-accepted descriptor-leak zombie-processes scenario-differs inconclusive any' ;;
    'connect-timeout --color') echo 'words auto always never' ;;
    'connect-timeout argument') echo 'words accepted refused blackhole unreachable-net unreachable-host unreachable-port prohibited no-neighbour syn-lost synack-lost last-ack-lost synack-late accept-queue-full reset-late simultaneous-open self-connect interrupted reuse-after-failure nonblocking address-exhausted deferred-accept fast-open' ;;
    'linger-test --bytes') echo 'nothing ' ;;
    'linger-test --client') echo 'nothing ' ;;
    'linger-test --server') echo 'nothing ' ;;
    'linger-test --port') echo 'nothing ' ;;
    'linger-test --serve') echo 'nothing ' ;;
    'linger-test --request') echo 'nothing ' ;;
    'linger-test --jobs') echo 'nothing ' ;;
    'linger-test --repeat') echo 'nothing ' ;;
    'linger-test --delay') echo 'nothing ' ;;
    'linger-test --rate') echo 'nothing ' ;;
    'linger-test --mtu') echo 'nothing ' ;;
    'linger-test --drop') echo 'nothing ' ;;
    'linger-test --hold') echo 'nothing ' ;;
    'linger-test --late') echo 'nothing ' ;;
    'linger-test --duplicate') echo 'nothing ' ;;
    'linger-test --reorder') echo 'nothing ' ;;
    'linger-test --corrupt') echo 'nothing ' ;;
    'linger-test --answer-rst') echo 'nothing ' ;;
    'linger-test --answer-icmp') echo 'nothing ' ;;
    'linger-test --cut') echo 'nothing ' ;;
    'linger-test --count') echo 'nothing ' ;;
    'linger-test --nth') echo 'nothing ' ;;
    'linger-test --dir') echo 'words c>s s>c' ;;
    'linger-test --probability') echo 'nothing ' ;;
    'linger-test --window') echo 'nothing ' ;;
    'linger-test --faults') echo 'file ' ;;
    'linger-test --seed') echo 'nothing ' ;;
    'linger-test --sysctl') echo 'nothing ' ;;
    'linger-test --socket-option') echo 'nothing ' ;;
    'linger-test --timeout') echo 'nothing ' ;;
    'linger-test --format') echo 'words text json ndjson junit tap prometheus' ;;
    'linger-test --output' | 'linger-test -o') echo 'file ' ;;
    'linger-test --diagram') echo 'words text mermaid svg' ;;
    'linger-test --diagram-file') echo 'file ' ;;
    'linger-test --pcap') echo 'file ' ;;
    'linger-test --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout filtered answer-not-taken syn-not-sent connection-rejected host-unreachable network-unreachable routing-loop not-permitted no-local-address late-synack accept-queue-overflow syn-queue-overflow slow-accept listener-closed close-wait-leak half-open peer-aborted no-response response-truncated program-failed machine-refuses machine-setting regression tls-handshake-failed tls-certificate dead-peer-unnoticed truncation-accepted descriptor-leak zombie-processes scenario-differs inconclusive any' ;;
    'linger-test --color') echo 'words auto always never' ;;
    'linger-test argument') echo 'words shutdown-read shutdown-write close linger-zero linger-timeout shutdown-both linger-off-explicit linger-expired linger-nonblocking exit-without-close close-unread shutdown-then-close-unread close-with-unsent unsent-abandoned close-peer-dead shared-descriptor half-close ack-wait application-ack time-wait time-wait-reopened reset-time-wait fin-wait-2-timeout simultaneous-close send-after-shutdown receive-after-shutdown-read' ;;
    'crash-sim --client') echo 'nothing ' ;;
    'crash-sim --server') echo 'nothing ' ;;
    'crash-sim --port') echo 'nothing ' ;;
    'crash-sim --serve') echo 'nothing ' ;;
    'crash-sim --request') echo 'nothing ' ;;
    'crash-sim --after') echo 'nothing ' ;;
    'crash-sim --clients') echo 'nothing ' ;;
    'crash-sim --max-detect') echo 'nothing ' ;;
    'crash-sim --jobs') echo 'nothing ' ;;
    'crash-sim --repeat') echo 'nothing ' ;;
    'crash-sim --delay') echo 'nothing ' ;;
    'crash-sim --rate') echo 'nothing ' ;;
    'crash-sim --mtu') echo 'nothing ' ;;
    'crash-sim --drop') echo 'nothing ' ;;
    'crash-sim --hold') echo 'nothing ' ;;
    'crash-sim --late') echo 'nothing ' ;;
    'crash-sim --duplicate') echo 'nothing ' ;;
    'crash-sim --reorder') echo 'nothing ' ;;
    'crash-sim --corrupt') echo 'nothing ' ;;
    'crash-sim --answer-rst') echo 'nothing ' ;;
    'crash-sim --answer-icmp') echo 'nothing ' ;;
    'crash-sim --cut') echo 'nothing ' ;;
    'crash-sim --count') echo 'nothing ' ;;
    'crash-sim --nth') echo 'nothing ' ;;
    'crash-sim --dir') echo 'words c>s s>c' ;;
    'crash-sim --probability') echo 'nothing ' ;;
    'crash-sim --window') echo 'nothing ' ;;
    'crash-sim --faults') echo 'file ' ;;
    'crash-sim --seed') echo 'nothing ' ;;
    'crash-sim --sysctl') echo 'nothing ' ;;
    'crash-sim --socket-option') echo 'nothing ' ;;
    'crash-sim --timeout') echo 'nothing ' ;;
    'crash-sim --format') echo 'words text json ndjson junit tap prometheus' ;;
    'crash-sim --output' | 'crash-sim -o') echo 'file ' ;;
    'crash-sim --diagram') echo 'words text mermaid svg' ;;
    'crash-sim --diagram-file') echo 'file ' ;;
    'crash-sim --pcap') echo 'file ' ;;
    'crash-sim --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout filtered answer-not-taken syn-not-sent connection-rejected host-unreachable network-unreachable routing-loop not-permitted no-local-address late-synack accept-queue-overflow syn-queue-overflow slow-accept listener-closed close-wait-leak half-open peer-aborted no-response response-truncated program-failed machine-refuses machine-setting regression tls-handshake-failed tls-certificate dead-peer-unnoticed truncation-accepted descriptor-leak zombie-processes scenario-differs inconclusive any' ;;
    'crash-sim --color') echo 'words auto always never' ;;
    'crash-sim argument') echo 'words process-crash-idle process-crash-unread process-crash-reading process-crash-writing process-crash-select close-wait host-crash-sending host-crash-closing host-crash-receiving host-crash-idle host-crash-idle-keepalive host-crash-user-timeout host-unreachable-sending host-reboot-sending host-reboot-reading host-reboot-idle-keepalive host-shutdown network-pause nat-timeout client-crash-in-queue client-crash-mid-request client-vanishes zombie-children' ;;
    'accept-backlog --listener') echo 'host ' ;;
    'accept-backlog --pid') echo 'nothing ' ;;
    'accept-backlog --interval') echo 'nothing ' ;;
    'accept-backlog --server') echo 'nothing ' ;;
    'accept-backlog --port') echo 'nothing ' ;;
    'accept-backlog --request') echo 'nothing ' ;;
    'accept-backlog --connections') echo 'nothing ' ;;
    'accept-backlog --rate') echo 'nothing ' ;;
    'accept-backlog --backlog') echo 'nothing ' ;;
    'accept-backlog --jobs') echo 'nothing ' ;;
    'accept-backlog --repeat') echo 'nothing ' ;;
    'accept-backlog --delay') echo 'nothing ' ;;
    'accept-backlog --mtu') echo 'nothing ' ;;
    'accept-backlog --drop') echo 'nothing ' ;;
    'accept-backlog --hold') echo 'nothing ' ;;
    'accept-backlog --late') echo 'nothing ' ;;
    'accept-backlog --duplicate') echo 'nothing ' ;;
    'accept-backlog --reorder') echo 'nothing ' ;;
    'accept-backlog --corrupt') echo 'nothing ' ;;
    'accept-backlog --answer-rst') echo 'nothing ' ;;
    'accept-backlog --answer-icmp') echo 'nothing ' ;;
    'accept-backlog --cut') echo 'nothing ' ;;
    'accept-backlog --count') echo 'nothing ' ;;
    'accept-backlog --nth') echo 'nothing ' ;;
    'accept-backlog --dir') echo 'words c>s s>c' ;;
    'accept-backlog --probability') echo 'nothing ' ;;
    'accept-backlog --window') echo 'nothing ' ;;
    'accept-backlog --faults') echo 'file ' ;;
    'accept-backlog --seed') echo 'nothing ' ;;
    'accept-backlog --sysctl') echo 'nothing ' ;;
    'accept-backlog --socket-option') echo 'nothing ' ;;
    'accept-backlog --timeout') echo 'nothing ' ;;
    'accept-backlog --format') echo 'words text json ndjson junit tap prometheus' ;;
    'accept-backlog --output' | 'accept-backlog -o') echo 'file ' ;;
    'accept-backlog --diagram') echo 'words text mermaid svg' ;;
    'accept-backlog --diagram-file') echo 'file ' ;;
    'accept-backlog --pcap') echo 'file ' ;;
    'accept-backlog --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout filtered answer-not-taken syn-not-sent connection-rejected host-unreachable network-unreachable routing-loop not-permitted no-local-address late-synack accept-queue-overflow syn-queue-overflow slow-accept listener-closed close-wait-leak half-open peer-aborted no-response response-truncated program-failed machine-refuses machine-setting regression tls-handshake-failed tls-certificate dead-peer-unnoticed truncation-accepted descriptor-leak zombie-processes scenario-differs inconclusive any' ;;
    'accept-backlog --color') echo 'words auto always never' ;;
    'accept-backlog argument') echo 'words sweep somaxconn-clamp accept-queue-full full-with-abort ack-dropped syn-queue-full syn-cookies synack-retries deferred-accept fast-open-queue emfile nonblocking-accept edge-triggered-accept reuseport graceful-restart herd bind' ;;
    'lab --server') echo 'nothing ' ;;
    'lab --client') echo 'nothing ' ;;
    'lab --wait-listen') echo 'nothing ' ;;
    'lab --sysctl') echo 'nothing ' ;;
    'lab --delay') echo 'nothing ' ;;
    'lab --rate') echo 'nothing ' ;;
    'lab --mtu') echo 'nothing ' ;;
    'lab --drop') echo 'nothing ' ;;
    'lab --hold') echo 'nothing ' ;;
    'lab --late') echo 'nothing ' ;;
    'lab --duplicate') echo 'nothing ' ;;
    'lab --reorder') echo 'nothing ' ;;
    'lab --corrupt') echo 'nothing ' ;;
    'lab --answer-rst') echo 'nothing ' ;;
    'lab --answer-icmp') echo 'nothing ' ;;
    'lab --cut') echo 'nothing ' ;;
    'lab --count') echo 'nothing ' ;;
    'lab --nth') echo 'nothing ' ;;
    'lab --dir') echo 'words c>s s>c' ;;
    'lab --probability') echo 'nothing ' ;;
    'lab --window') echo 'nothing ' ;;
    'lab --faults') echo 'file ' ;;
    'lab --seed') echo 'nothing ' ;;
    'lab --timeout') echo 'nothing ' ;;
    'lab --connection') echo 'nothing ' ;;
    'lab --format') echo 'words text json ndjson junit tap prometheus' ;;
    'lab --output' | 'lab -o') echo 'file ' ;;
    'lab --diagram') echo 'words text mermaid svg' ;;
    'lab --diagram-file') echo 'file ' ;;
    'lab --pcap') echo 'file ' ;;
    'lab --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout filtered answer-not-taken syn-not-sent connection-rejected host-unreachable network-unreachable routing-loop not-permitted no-local-address late-synack accept-queue-overflow syn-queue-overflow slow-accept listener-closed close-wait-leak half-open peer-aborted no-response response-truncated program-failed machine-refuses machine-setting regression tls-handshake-failed tls-certificate dead-peer-unnoticed truncation-accepted descriptor-leak zombie-processes scenario-differs inconclusive any' ;;
    'lab --color') echo 'words auto always never' ;;
    'lab argument') echo 'nothing ' ;;
    'doctor --root') echo 'directory ' ;;
    'doctor --timeout') echo 'nothing ' ;;
    'doctor --format') echo 'words text json ndjson junit tap prometheus' ;;
    'doctor --output' | 'doctor -o') echo 'file ' ;;
    'doctor --fail-on') echo 'list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout filtered answer-not-taken syn-not-sent connection-rejected host-unreachable network-unreachable routing-loop not-permitted no-local-address late-synack accept-queue-overflow syn-queue-overflow slow-accept listener-closed close-wait-leak half-open peer-aborted no-response response-truncated program-failed machine-refuses machine-setting regression tls-handshake-failed tls-certificate dead-peer-unnoticed truncation-accepted descriptor-leak zombie-processes scenario-differs inconclusive any' ;;
    'doctor --color') echo 'words auto always never' ;;
    'doctor argument') echo 'nothing ' ;;
    'explain argument') echo 'words nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout filtered answer-not-taken syn-not-sent connection-rejected host-unreachable network-unreachable routing-loop not-permitted no-local-address late-synack accept-queue-overflow syn-queue-overflow slow-accept listener-closed close-wait-leak half-open peer-aborted no-response response-truncated program-failed machine-refuses machine-setting regression tls-handshake-failed tls-certificate dead-peer-unnoticed truncation-accepted descriptor-leak zombie-processes scenario-differs inconclusive EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EHOSTUNREACH EINPROGRESS EINTR EINVAL EISCONN EMFILE EMSGSIZE ENETUNREACH ENFILE ENOBUFS ENOPROTOOPT ENOTCONN EPERM EPIPE EPROTO ETIMEDOUT ESTABLISHED SYN-SENT SYN-RECEIVED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT CLOSED CLOSE-WAIT LAST-ACK LISTEN CLOSING NEW-SYN-RECEIVED' ;;
    'help argument') echo 'words tcp-probe connect-timeout linger-test crash-sim accept-backlog lab doctor explain help' ;;
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

complete -F _netkit netkit tcp-probe connect-timeout linger-test
