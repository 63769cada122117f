# --client and --server of crash-sim and linger-test: what is refused. What they say of programs is
# tests/services/test_programs.py's.

load helpers

refused() { # text on standard error, arguments…
    local wanted=$1
    shift
    run --separate-stderr "$NETKIT" "$@"
    assert_status 2
    assert_stderr_has "$wanted"
}

@test "your own program: options that make no sense are refused" {
    refused "nothing to run" crash-sim --client true
    refused "--port" crash-sim --suite --server true
    refused "--client" crash-sim --suite --server true --client true --port 80
    refused "the command is empty" crash-sim --suite --client ''
    refused "there is no scenario" crash-sim no-such --client true
    refused "leave out" crash-sim --suite host-crash-idle --client true
    refused "--no-lab" crash-sim --suite --client true --no-lab
    refused "http, redis, echo or raw:FILE" crash-sim --suite --client true --serve gopher
    refused "connect, bytes:N" crash-sim --suite --client true --after noon
    refused "at least 1" crash-sim --suite --client true --after bytes:0
    refused "hexadecimal" crash-sim --suite --server true --port 80 --request hex:0g
    refused "hexadecimal" crash-sim --suite --server true --port 80 --request hex:012
    refused "http, redis, echo, hex" crash-sim --suite --server true --port 80 --request gopher
    refused "--clients" crash-sim --suite --server true --port 80 --clients 0
    refused "--max-detect" crash-sim --suite --client true --max-detect -1s
    refused "--after" linger-test --suite --client true --after connect
    refused "no scenario 'host-crash-idle'" linger-test host-crash-idle --client true
}

@test "files that cannot be read are named" {
    run --separate-stderr "$NETKIT" crash-sim --suite --client true --serve raw:/no/such
    assert_status 3
    assert_stderr_has "/no/such"
    : > "$BATS_TEST_TMPDIR/empty"
    refused "is empty" crash-sim --suite --server true --port 80 --request "@$BATS_TEST_TMPDIR/empty"
}

@test "--list names what applies to the program" {
    run "$NETKIT" crash-sim --list --client true
    assert_status 0
    assert_has "network-pause"
    refute_has "client-vanishes"
    run "$NETKIT" crash-sim --list --server true --port 80
    assert_status 0
    assert_has "client-vanishes"
    refute_has "network-pause"
}
