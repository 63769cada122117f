# How netkit finds its commands, explains them, and ends.

load helpers

@test "netkit alone says what to try first, on standard output" {
    run --separate-stderr "$NETKIT"
    assert_status 0
    assert_has "Try first:"
    assert_has "netkit tcp-probe"
    assert_has "netkit help"
    assert_equal "$stderr" ""
}

@test "the version has one form" {
    for word in --version -V; do
        run "$NETKIT" "$word"
        assert_status 0
        [[ $output =~ ^netkit\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    done
    run "$NETKIT" tcp-probe --version
    assert_status 0
    assert_equal "$output" "$("$NETKIT" --version)"
}

@test "the version tells, if asked, what this build was made without" {
    run "$NETKIT" --version --verbose
    assert_status 0
    [[ ${lines[0]} =~ ^netkit\ [0-9.]+$ ]]
    [[ ${lines[1]} =~ ^"filter of system calls: "(seccomp|none.*)$ ]]
    [[ ${lines[2]} =~ ^"captures in gzip: "(zlib\ [0-9.]+|none.*)$ ]]
    [[ ${lines[3]} =~ ^"captures in zstd: "(libzstd\ [0-9.]+|none.*)$ ]]
    [[ ${lines[4]} =~ ^"captures in lz4: "(liblz4\ [0-9.]+|none.*)$ ]]
}

@test "netkit help lists every command, and explains each as --help does" {
    run "$NETKIT" help
    assert_status 0
    assert_equal "$output" "$("$NETKIT" --help)"
    local names
    names=$(sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' <<< "$output")
    [[ $names == *tcp-probe* && $names == *help* ]]
    for name in $names; do
        run "$NETKIT" help "$name"
        assert_status 0
        assert_has "netkit $name - "
        assert_has "Usage:"
        assert_equal "$output" "$("$NETKIT" "$name" --help)"
        assert_equal "$output" "$("$NETKIT" "$name" -h)"
    done
}

@test "help fits 80 columns and has no colour where it is no terminal" {
    run "$NETKIT" help tcp-probe
    # Examples are not broken, so that they can be copied.
    assert_equal "$(grep -v '^  netkit ' <<< "$output" | grep -E '.{81}')" ""
    refute_has $'\033'
}

@test "help has colour on a terminal, unless NO_COLOR or TERM refuse it" {
    need script
    run env -u NO_COLOR TERM=xterm script -qec "'$NETKIT' help" /dev/null
    assert_has $'\033[1m'
    run env NO_COLOR=1 TERM=xterm script -qec "'$NETKIT' help" /dev/null
    refute_has $'\033[1m'
    run env -u NO_COLOR TERM=dumb script -qec "'$NETKIT' help" /dev/null
    refute_has $'\033[1m'
}

@test "a symbolic link with a command's name is that command" {
    ln -s "$NETKIT" "$BATS_TEST_TMPDIR/tcp-probe"
    run "$BATS_TEST_TMPDIR/tcp-probe" --help
    assert_status 0
    assert_equal "$output" "$("$NETKIT" tcp-probe --help)"
    run --separate-stderr "$BATS_TEST_TMPDIR/tcp-probe" --nonsense
    assert_status 2
    assert_stderr_has "netkit tcp-probe: unknown option '--nonsense'"
}

@test "a link with another name is netkit" {
    ln -s "$NETKIT" "$BATS_TEST_TMPDIR/nk"
    run "$BATS_TEST_TMPDIR/nk" --version
    assert_status 0
    assert_has "netkit "
}

@test "misspelt words suggest the nearest and end with status 2, nothing on standard output" {
    run --separate-stderr "$NETKIT" tcp-prbe
    assert_status 2
    assert_equal "$output" ""
    assert_stderr_has "there is no command 'tcp-prbe'; did you mean 'tcp-probe'?"

    run --separate-stderr "$NETKIT" help tcp-porbe
    assert_status 2
    assert_stderr_has "did you mean 'tcp-probe'?"

    run --separate-stderr "$NETKIT" --vresion
    assert_status 2
    assert_stderr_has "did you mean '--version'?"

    run --separate-stderr "$NETKIT" tcp-probe --ronds 3 :80
    assert_status 2
    assert_equal "$output" ""
    assert_stderr_has "netkit tcp-probe: unknown option '--ronds'; did you mean --rounds?"
}

@test "what was mistyped is shown escaped" {
    run --separate-stderr "$NETKIT" $'\033[2Jx'
    assert_status 2
    assert_stderr_has "'\\x1b[2Jx'"
    run --separate-stderr "$NETKIT" tcp-probe --rounds $'\033[2J' :80
    assert_status 2
    assert_stderr_has "'\\x1b[2J'"
}

@test "a full disk is an error" {
    [ -w /dev/full ] || cannot_run "/dev/full is missing"
    run --separate-stderr bash -c '"$NETKIT" help tcp-probe > /dev/full'
    assert_status 3
    assert_equal "$stderr" "netkit help: cannot write to standard output: No space left on device"
    run --separate-stderr bash -c '"$NETKIT" > /dev/full'
    assert_status 3
    assert_equal "$stderr" "netkit: cannot write to standard output: No space left on device"
}

@test "a closed pipe is an error, not a signal" {
    # The reader has closed its end when netkit starts: the fifo is opened for both, then only one
    # end stays.
    mkfifo "$BATS_TEST_TMPDIR/pipe"
    exec 7<> "$BATS_TEST_TMPDIR/pipe"
    exec 8> "$BATS_TEST_TMPDIR/pipe"
    exec 7>&-
    run --separate-stderr bash -c '"$NETKIT" help tcp-probe >&8'
    exec 8>&-
    assert_status 3
    assert_equal "$stderr" "netkit help: cannot write to standard output: Broken pipe"
}

@test "standard output that is closed is an error" {
    run --separate-stderr bash -c '"$NETKIT" help >&-'
    assert_status 3
    assert_stderr_has "cannot write to standard output"
}

@test "it works as an ordinary user, without an environment" {
    run env -i "$NETKIT" help
    assert_status 0
    [ "$(id -u)" -eq 0 ] || return 0
    need setpriv
    local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "${nobody[@]}" test -x "$NETKIT" || cannot_run "$NETKIT is out of reach for others"
    run "${nobody[@]}" "$NETKIT" help tcp-probe
    assert_status 0
    assert_has "netkit tcp-probe - "
}

@test "numbers have a point, whatever the locale" {
    need localedef
    printf 'LC_NUMERIC\ndecimal_point ","\nthousands_sep ""\nEND LC_NUMERIC\n' >"$BATS_TEST_TMPDIR/comma"
    localedef -c -i "$BATS_TEST_TMPDIR/comma" "$BATS_TEST_TMPDIR/here" 2>/dev/null || true
    export LOCPATH=$BATS_TEST_TMPDIR LC_ALL=here
    run /usr/bin/printf %.1f 0,5
    [ "$output" = 0,5 ]
    run "$NETKIT" tcp-probe 127.0.0.1:1 --format prometheus
    assert_has "netkit_run_duration_seconds 0."
}
