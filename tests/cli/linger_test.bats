# What linger-test adds to the commands that reproduce, and what it refuses. What the scenarios say is
# tests/net/scenarios'.

load helpers

try() {
    run --separate-stderr "$NETKIT" linger-test "$@"
}

@test "what cannot be is refused, with the remedy" {
    try
    assert_status 2
    assert_stderr_has "--list has them"
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
    try close --socket-option client:SO_LINGER=on,half
    assert_status 2
    assert_stderr_has "SO_LINGER"
    try close --no-lab
    assert_status 2
    assert_stderr_has "needs the lab"
}
