# What linger-test adds to the commands that reproduce, and what it refuses. What the scenarios say is
# tests/net/scenarios'.

load helpers

try() {
    run --separate-stderr "$NETKIT" linger-test "$@"
}

@test "what cannot be is refused, with the remedy" {
    try
    assert_status 2
    assert_stderr_has "--list shows them"
    try linger-zeor
    assert_status 2
    assert_stderr_has "there is no scenario 'linger-zeor'"
    try close --bytes
    assert_status 2
    assert_stderr_has "--bytes"
    try close --bytes many
    assert_status 2
    assert_stderr_has "--bytes"
    try close --bytes 0
    assert_status 2
    assert_stderr_has "--bytes"
    try close --bytes 2M
    assert_status 2
    assert_stderr_has "1M"
    try close --delay soon
    assert_status 2
    assert_stderr_has "--delay"
    try close --delay 2s
    assert_status 2
    assert_stderr_has "100ms"
    try close --socket-option client:SO_LINGER=on,half
    assert_status 2
    assert_stderr_has "SO_LINGER"
    try close --no-lab
    assert_status 2
    assert_stderr_has "needs the lab"
}

@test "the table of all says what became of the data, for scripts too" {
    try close linger-zero --json -4
    assert_status 0
    python3 - "$output" << 'PYTHON'
import json, sys
close, zero = (result["summary"] for result in json.loads(sys.argv[1])["results"])
assert close["delivered"] == 1000 and close["lost"] == 0, close
assert close["call_returns"] == "at once" and close["known_to_have_it"] == "nobody", close
assert close["peer_sees"] == "EOF" and close["local_end"] == "TIME-WAIT", close
assert close["TIME-WAIT_at"] == "client" and zero["TIME-WAIT_at"] == "nobody"
assert zero["lost"] > 0 and zero["delivered"] + zero["lost"] == 102400, zero
assert zero["peer_sees"] == "ECONNRESET" and zero["local_end"] == "none", zero
PYTHON
    try close linger-nonblocking
    assert_status 0
    assert_has "TIME-WAIT"
    assert_has "* linger-nonblocking: Linux ignores O_NONBLOCK in close."
}

@test "--bytes is what is written before the call, and --delay is the link's" {
    for family in 4 6; do
        try close linger-timeout --bytes 300k --delay 5ms -o "$BATS_TEST_TMPDIR/report" --json -$family
        assert_status 0
        python3 - "$BATS_TEST_TMPDIR/report" << 'PYTHON'
import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
assert report["parameters"]["bytes"] == 300 * 1024
for result in report["results"]:
    assert result["observed"]["delivered_bytes"] == 300 * 1024, result["observed"]
PYTHON
    done
}

@test "on loopback what loopback can show" {
    for family in 4 6; do
        try linger-zero close-unread half-close send-after-shutdown --no-lab --json -$family
        assert_status 0
        python3 - "$output" << 'PYTHON'
import json, sys
for result in json.loads(sys.argv[1])["results"]:
    assert result["ok"] is True and result["flags"] is None, result
PYTHON
    done
}
