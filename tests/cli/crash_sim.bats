# What crash-sim refuses; what its scenarios say is tests/net/scenarios'.

load helpers

try() {
    run --separate-stderr "$NETKIT" crash-sim "$@"
}

@test "crash-sim refuses what cannot be, with the remedy" {
    try
    assert_status 2
    assert_stderr_has "--list shows them"
    try host-crash-sendign
    assert_status 2
    assert_stderr_has "did you mean 'host-crash-sending'"
    try process-crash-idle --socket-option client:SO_KEEPALIVE=perhaps
    assert_status 2
    assert_stderr_has "SO_KEEPALIVE"
    try host-crash-sending --no-lab
    assert_status 2
    assert_stderr_has "needs the lab"
}

@test "the cells of --matrix are a run of their own" {
    try --matrix process-crash-idle
    assert_status 2
    assert_stderr_has "leave out the scenario"
    try --matrix --all
    assert_status 2
    assert_stderr_has "separate runs"
    try --matrix --no-lab
    assert_status 2
    assert_stderr_has "needs the lab"
    try --matrix --client true
    assert_status 2
    assert_stderr_has "not with --client or --server"
    try matrix-idle-proces
    assert_status 2
    assert_stderr_has "there is no scenario"
}
