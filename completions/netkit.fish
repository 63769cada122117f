# fish completion for netkit. Written by netkit-generate from the option tables: do not edit.

function __netkit_list --description 'the words of a comma-separated list'
    set -l before (string match -r '^(?:--[^=]*=)?(.*,)?' -- (commandline -ct))[2]
    for word in $argv
        echo $before$word
    end
end

function __netkit_command --description 'whether the command is the given one'
    set -l words (commandline -opc)
    test (count $words) -gt 1; and test "$words[2]" = "$argv[1]"
end

function __netkit_no_command --description 'whether the command is still to come'
    test (count (commandline -opc)) -eq 1
end

complete -c netkit -n __netkit_no_command -f
complete -c netkit -n __netkit_no_command -l help -s h -d 'List the commands.'
complete -c netkit -n __netkit_no_command -l version -s V -d 'Print the version.'
complete -c netkit -n __netkit_no_command -a tcp-probe -d 'time a live service part by part, and say whose each delay is'
complete -c netkit -n __netkit_no_command -a explain -d 'what a finding, an errno or a TCP state means, and what to do'
complete -c netkit -n __netkit_no_command -a help -d 'list the commands, or explain one'

complete -c netkit -n '__netkit_command tcp-probe' -f -a '(__fish_print_hostnames)'
complete -c netkit -n '__netkit_command tcp-probe' -l preset -x -a 'connect http redis memcached smtp echo' -d 'Speak a protocol that netkit knows: it says what is sent, and when the answer is complete. Without it and without --send, the port decides (80, 8000 and 8080: http; 6379: redis; 11211: memcached; 25 and 587: smtp; 7: echo), and elsewhere netkit only connects.'
complete -c netkit -n '__netkit_command tcp-probe' -l path -x -d 'What the http preset asks for.'
complete -c netkit -n '__netkit_command tcp-probe' -l host -x -a '(__fish_print_hostnames)' -d 'The Host header of the http preset, if not the target\'s name.'
complete -c netkit -n '__netkit_command tcp-probe' -l send -x -d 'Send this request, with C escapes: \'PING\\r\\n\', \'\\x00\\x01\'.'
complete -c netkit -n '__netkit_command tcp-probe' -l send-file -r -F -d 'Send what is in FILE, byte for byte.'
complete -c netkit -n '__netkit_command tcp-probe' -l until -x -d 'The response is complete with: line, bytes:N, text:STR (C escapes), close, idle:DUR (nothing for so long), reply (SMTP\'s), or http (by length or chunks). A preset brings its own; with --send the default is line.'
complete -c netkit -n '__netkit_command tcp-probe' -l split -x -d 'Cut the request into writes of these sizes, and what remains into one more, to play a client with that habit.'
complete -c netkit -n '__netkit_command tcp-probe' -l gap -x -d 'Wait this long between the writes of --split.'
complete -c netkit -n '__netkit_command tcp-probe' -l rounds -s n -x -d 'Exchanges to time in each arm.'
complete -c netkit -n '__netkit_command tcp-probe' -l warmup -x -d 'Exchanges before those, on every connection: Linux acknowledges at once in the beginning, which hides stalls.'
complete -c netkit -n '__netkit_command tcp-probe' -l new-connection -d 'A connection for every round, as a client without a pool does.'
complete -c netkit -n '__netkit_command tcp-probe' -l interval -x -d 'Wait this long between rounds.'
complete -c netkit -n '__netkit_command tcp-probe' -l duration -x -d 'Go on for this long, instead of a number of rounds.'
complete -c netkit -n '__netkit_command tcp-probe' -l arms -x -a '(__netkit_list baseline nodelay quickack nodelay+quickack single-write)' -d 'Run these variants of the client, in turns on fresh connections. What changes when one option changes is a cause.'
complete -c netkit -n '__netkit_command tcp-probe' -l no-interventions -d 'Run the baseline alone: faster, and less can be told apart.'
complete -c netkit -n '__netkit_command tcp-probe' -l stall -x -d 'The shortest delay that is worth a finding.'
complete -c netkit -n '__netkit_command tcp-probe' -l connect-timeout -x -d 'Give up connecting after this.'
complete -c netkit -n '__netkit_command tcp-probe' -l response-timeout -x -d 'Give up on a response after this.'
complete -c netkit -n '__netkit_command tcp-probe' -l timeout -x -d 'Bound on the whole run; what was measured until then is reported.'
complete -c netkit -n '__netkit_command tcp-probe' -l ipv4 -s 4 -d 'Use IPv4 only.'
complete -c netkit -n '__netkit_command tcp-probe' -l ipv6 -s 6 -d 'Use IPv6 only.'
complete -c netkit -n '__netkit_command tcp-probe' -l record -r -F -d 'Write the measurements of each round to FILE, one JSON object a line.'
complete -c netkit -n '__netkit_command tcp-probe' -l json -d 'Short for --format json: one JSON document on standard output, nothing else.'
complete -c netkit -n '__netkit_command tcp-probe' -l format -x -a 'text json ndjson junit tap' -d 'How to write the report.'
complete -c netkit -n '__netkit_command tcp-probe' -l output -s o -r -F -d 'Write the report to FILE, which changes only when all is written.'
complete -c netkit -n '__netkit_command tcp-probe' -l diagram -f -a 'text mermaid svg' -d 'Draw the ladder of calls and segments; text if no KIND is given.'
complete -c netkit -n '__netkit_command tcp-probe' -l diagram-file -r -F -d 'Draw it into FILE. Without --diagram, an ending of .svg, .mmd or .md chooses the kind.'
complete -c netkit -n '__netkit_command tcp-probe' -l timeline -d 'List every event, in order.'
complete -c netkit -n '__netkit_command tcp-probe' -l fail-on -x -a '(__netkit_list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout host-unreachable network-unreachable accept-queue-overflow syn-queue-overflow close-wait-leak half-open peer-aborted no-response response-truncated inconclusive any)' -d 'Exit with status 1 if one of these findings was made; \'any\' means any of severity warning or above.'
complete -c netkit -n '__netkit_command tcp-probe' -l quiet -s q -d 'Say only what matters: the verdict, and errors.'
complete -c netkit -n '__netkit_command tcp-probe' -l verbose -s v -d 'Say more: how each thing was measured.'
complete -c netkit -n '__netkit_command tcp-probe' -l color -x -a 'auto always never' -d 'Colour the report; auto does so on a terminal, unless NO_COLOR is set.'
complete -c netkit -n '__netkit_command tcp-probe' -l help -s h -d 'Explain this command.'
complete -c netkit -n '__netkit_command tcp-probe' -l version -s V -d 'Print the version.'

complete -c tcp-probe -f -a '(__fish_print_hostnames)'
complete -c tcp-probe -l preset -x -a 'connect http redis memcached smtp echo' -d 'Speak a protocol that netkit knows: it says what is sent, and when the answer is complete. Without it and without --send, the port decides (80, 8000 and 8080: http; 6379: redis; 11211: memcached; 25 and 587: smtp; 7: echo), and elsewhere netkit only connects.'
complete -c tcp-probe -l path -x -d 'What the http preset asks for.'
complete -c tcp-probe -l host -x -a '(__fish_print_hostnames)' -d 'The Host header of the http preset, if not the target\'s name.'
complete -c tcp-probe -l send -x -d 'Send this request, with C escapes: \'PING\\r\\n\', \'\\x00\\x01\'.'
complete -c tcp-probe -l send-file -r -F -d 'Send what is in FILE, byte for byte.'
complete -c tcp-probe -l until -x -d 'The response is complete with: line, bytes:N, text:STR (C escapes), close, idle:DUR (nothing for so long), reply (SMTP\'s), or http (by length or chunks). A preset brings its own; with --send the default is line.'
complete -c tcp-probe -l split -x -d 'Cut the request into writes of these sizes, and what remains into one more, to play a client with that habit.'
complete -c tcp-probe -l gap -x -d 'Wait this long between the writes of --split.'
complete -c tcp-probe -l rounds -s n -x -d 'Exchanges to time in each arm.'
complete -c tcp-probe -l warmup -x -d 'Exchanges before those, on every connection: Linux acknowledges at once in the beginning, which hides stalls.'
complete -c tcp-probe -l new-connection -d 'A connection for every round, as a client without a pool does.'
complete -c tcp-probe -l interval -x -d 'Wait this long between rounds.'
complete -c tcp-probe -l duration -x -d 'Go on for this long, instead of a number of rounds.'
complete -c tcp-probe -l arms -x -a '(__netkit_list baseline nodelay quickack nodelay+quickack single-write)' -d 'Run these variants of the client, in turns on fresh connections. What changes when one option changes is a cause.'
complete -c tcp-probe -l no-interventions -d 'Run the baseline alone: faster, and less can be told apart.'
complete -c tcp-probe -l stall -x -d 'The shortest delay that is worth a finding.'
complete -c tcp-probe -l connect-timeout -x -d 'Give up connecting after this.'
complete -c tcp-probe -l response-timeout -x -d 'Give up on a response after this.'
complete -c tcp-probe -l timeout -x -d 'Bound on the whole run; what was measured until then is reported.'
complete -c tcp-probe -l ipv4 -s 4 -d 'Use IPv4 only.'
complete -c tcp-probe -l ipv6 -s 6 -d 'Use IPv6 only.'
complete -c tcp-probe -l record -r -F -d 'Write the measurements of each round to FILE, one JSON object a line.'
complete -c tcp-probe -l json -d 'Short for --format json: one JSON document on standard output, nothing else.'
complete -c tcp-probe -l format -x -a 'text json ndjson junit tap' -d 'How to write the report.'
complete -c tcp-probe -l output -s o -r -F -d 'Write the report to FILE, which changes only when all is written.'
complete -c tcp-probe -l diagram -f -a 'text mermaid svg' -d 'Draw the ladder of calls and segments; text if no KIND is given.'
complete -c tcp-probe -l diagram-file -r -F -d 'Draw it into FILE. Without --diagram, an ending of .svg, .mmd or .md chooses the kind.'
complete -c tcp-probe -l timeline -d 'List every event, in order.'
complete -c tcp-probe -l fail-on -x -a '(__netkit_list nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout host-unreachable network-unreachable accept-queue-overflow syn-queue-overflow close-wait-leak half-open peer-aborted no-response response-truncated inconclusive any)' -d 'Exit with status 1 if one of these findings was made; \'any\' means any of severity warning or above.'
complete -c tcp-probe -l quiet -s q -d 'Say only what matters: the verdict, and errors.'
complete -c tcp-probe -l verbose -s v -d 'Say more: how each thing was measured.'
complete -c tcp-probe -l color -x -a 'auto always never' -d 'Colour the report; auto does so on a terminal, unless NO_COLOR is set.'
complete -c tcp-probe -l help -s h -d 'Explain this command.'
complete -c tcp-probe -l version -s V -d 'Print the version.'

complete -c netkit -n '__netkit_command explain' -f -a 'nagle-delayed-ack cork-hold delayed-ack server-think-time stall-when-persistent receive-window-limited zero-window send-buffer-limited congestion-window-limited pacing-limited retransmission retransmission-timeout fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission synack-retransmission slow-resolve address-fallback high-rtt name-not-found connection-refused connection-reset connect-timeout host-unreachable network-unreachable accept-queue-overflow syn-queue-overflow close-wait-leak half-open peer-aborted no-response response-truncated inconclusive EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EHOSTUNREACH EINPROGRESS EINTR EINVAL EISCONN EMFILE EMSGSIZE ENETUNREACH ENFILE ENOBUFS ENOPROTOOPT ENOTCONN EPERM EPIPE EPROTO ETIMEDOUT ESTABLISHED SYN-SENT SYN-RECEIVED FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT CLOSED CLOSE-WAIT LAST-ACK LISTEN CLOSING NEW-SYN-RECEIVED'
complete -c netkit -n '__netkit_command explain' -l help -s h -d 'Explain this command.'
complete -c netkit -n '__netkit_command explain' -l version -s V -d 'Print the version.'

complete -c netkit -n '__netkit_command help' -f -a 'tcp-probe explain help'
complete -c netkit -n '__netkit_command help' -l help -s h -d 'Explain this command.'
complete -c netkit -n '__netkit_command help' -l version -s V -d 'Print the version.'

