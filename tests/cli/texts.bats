# What users read names only what exists.

load helpers

@test "commands, options, files and settings that a text names exist, and findings have a page" {
    run "$NETKIT_SOURCE/tests/cli/texts"
    assert_equal "$output" ""
    assert_status 0
}

@test "what does not exist is found" {
    export REAL=$NETKIT NETKIT=$BATS_TEST_TMPDIR/netkit
    cat > "$NETKIT" << 'SCRIPT'
#!/bin/sh
"$REAL" "$@" || exit
[ "$*" != "explain retransmission" ] ||
    echo 'See netkit nonsense, tcp-probe --nonsense and lib/nonsense/x.c; --rounds, net.ipv4.tcp_nonsense.'
[ "$*" != "explain" ] || echo '  nonsense-finding  before the errors'
[ "$*" != "tcp-probe --help" ] || echo 'Or --runs-of-nonsense, or netkit-nonsense(1), or tcp_nonsense.'
SCRIPT
    chmod +x "$NETKIT"
    # An entry of the list has to have an explanation.
    run "$NETKIT_SOURCE/tests/cli/texts"
    assert_status 1
    assert_has "nonsense-finding"
    sed -i '/nonsense-finding/d' "$NETKIT"
    run "$NETKIT_SOURCE/tests/cli/texts"
    assert_status 1
    assert_has "explain retransmission: there is no command 'netkit nonsense'"
    assert_has "explain retransmission: --nonsense is not tcp-probe's"
    assert_has "explain retransmission: there is no lib/nonsense/x.c"
    assert_has "explain retransmission: this kernel has no setting tcp_nonsense"
    assert_has "tcp-probe --help: tcp-probe has no --runs-of-nonsense"
    assert_has "tcp-probe --help: there is no manual page netkit-nonsense"
    assert_has "tcp-probe --help: this kernel has no setting tcp_nonsense"
}

@test "a finding that no manual page describes is found" {
    local tree=$BATS_TEST_TMPDIR/tree page
    mkdir -p "$tree/tests/net/scenarios" "$tree/tests/net/lab" "$tree"/tests/{bench,survey} "$tree/docs"
    cp -r "$NETKIT_SOURCE"/{README.md,CONTRIBUTING.md,CHANGELOG.md,man,scripts} "$tree"
    cp -r "$NETKIT_SOURCE/tests/cli" "$tree/tests"
    for page in "$NETKIT_SOURCE"/docs/*.md; do
        [ ! -e "$page" ] || cp "$page" "$tree/docs"
    done
    for page in tests/net/{verdicts,crowd,scenarios/check,lab/leftovers} tests/{bench,survey}/run; do
        cp "$NETKIT_SOURCE/$page" "$tree/$page"
    done
    find "$tree" -name '*.md' -o -name '*.1' | xargs sed -i 's/nagle[\\]*-delayed[\\]*-ack/a stall/g'
    run "$tree/tests/cli/texts"
    assert_status 1
    assert_has "no manual page describes the finding nagle-delayed-ack"
}
