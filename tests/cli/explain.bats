# netkit explain: every code has its entry, and misspelt ones a suggestion.

load helpers

@test "every finding, errno and state that is listed is explained" {
    run --separate-stderr "$NETKIT" explain
    assert_status 0
    assert_has "Findings:"
    assert_has "Errors of socket calls:"
    assert_has "TCP states:"
    local names count=0
    names=$(sed -n 's/^  \([^ ][^ ]*\)  *[^ ].*/\1/p' <<< "$output")
    for name in $names; do
        run --separate-stderr "$NETKIT" explain "$name"
        assert_status 0
        assert_equal "$stderr" ""
        [[ $output == "$name ("*"): "* ]] || {
            echo "$name: $output" >&2
            return 1
        }
        [ "${#output}" -gt 80 ] || {
            echo "$name says next to nothing: $output" >&2
            return 1
        }
        count=$((count + 1))
    done
    [ "$count" -ge 50 ]
}

@test "the codes of the contract are there" {
    for code in nagle-delayed-ack cork-hold delayed-ack server-think-time receive-window-limited \
        zero-window send-buffer-limited congestion-window-limited retransmission-timeout \
        fast-retransmit tail-loss-probe spurious-retransmit reordering syn-retransmission \
        synack-retransmission slow-resolve address-fallback high-rtt connection-refused \
        connection-reset connect-timeout host-unreachable network-unreachable \
        accept-queue-overflow syn-queue-overflow close-wait-leak half-open peer-aborted \
        no-response response-truncated early-answer-reset pacing-limited stall-when-persistent \
        inconclusive; do
        run "$NETKIT" explain "$code"
        assert_status 0
        assert_has "What to do"
    done
}

@test "errno names and states are found in any case" {
    run "$NETKIT" explain econnrefused time_wait
    assert_status 0
    assert_has "ECONNREFUSED ("
    assert_has "TIME-WAIT ("
}

@test "what is misspelt gets a suggestion, and status 2" {
    run --separate-stderr "$NETKIT" explain nagle-delayd-ack
    assert_status 2
    assert_equal "$output" ""
    assert_stderr_has "did you mean 'nagle-delayed-ack'?"
    run --separate-stderr "$NETKIT" explain $'\e[31mred'
    assert_status 2
    assert_stderr_has '\x1b[31mred'
}

@test "lines fit 80 columns" {
    for code in nagle-delayed-ack ECONNRESET TIME-WAIT; do
        run "$NETKIT" explain "$code"
        for line in "${lines[@]:1}"; do
            [ "${#line}" -le 80 ] || {
                echo "too long: $line" >&2
                return 1
            }
        done
    done
}

@test "a full disk is told" {
    [ -w /dev/full ] || cannot_run "there is no /dev/full"
    run bash -c '"$NETKIT" explain > /dev/full'
    assert_status 3
    assert_has "No space left on device"
}
