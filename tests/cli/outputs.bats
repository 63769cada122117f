# Files that netkit writes: what becomes of those that were there, and when they are opened.

load helpers

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    umask 022
}

# schedule FILE: a report that nothing on a network can change.
schedule() {
    run --separate-stderr "$NETKIT" connect-timeout --schedule --json -o "$1"
}

whole() { # FILE
    /usr/bin/python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$1"
}

# What a closed port gives: status 4.
closed=(tcp-probe --json --timeout 5s 127.0.0.1:1)

@test "a new report is as the umask says, and nothing else is left beside it" {
    schedule new
    assert_status 0
    whole new
    assert_equal "$(stat -c %a new)" 644
    assert_equal "$(find . -name '*n*' ! -name 'separate*')" ./new
}

@test "an existing report keeps its mode, its links and its owner" {
    echo old > secret && chmod 600 secret
    schedule secret
    assert_status 0
    whole secret
    assert_equal "$(stat -c %a secret)" 600
    echo old > one && ln one two && ln -s two three
    for name in one two three; do
        schedule "$name"
        assert_status 0
        whole one && whole two
        assert_equal "$(stat -c '%h %i' one)" "2 $(stat -c %i two)"
        [ -L three ]
    done
    ln -s nothing dangling
    schedule dangling
    assert_status 0
    whole nothing && [ -L dangling ]
    [ "$(id -u)" -eq 0 ] || return 0
    chown 65534:65534 one
    schedule one
    whole two
    assert_equal "$(stat -c '%u:%g %h' one)" "65534:65534 2"
    assert_equal "$(find . -name '.netkit*')" ""
}

@test "a longer report that was there leaves nothing behind" {
    head -c 100000 /dev/zero > old && ln old other
    schedule old
    assert_status 0
    whole old
}

@test "a file in a folder that is not the user's can be written" {
    [ "$(id -u)" -eq 0 ] || cannot_run "only root can make a file for somebody else"
    mkdir theirs && echo old > theirs/report && chown 65534 theirs/report
    chmod 755 . theirs
    setpriv --reuid=65534 --regid=65534 --clear-groups "$NETKIT" connect-timeout --schedule \
        --json -o theirs/report
    whole theirs/report
}

@test "a name of 250 bytes can be written" {
    local name
    name=$(printf 'n%.0s' {1..250})
    for _ in new existing; do
        schedule "$name"
        assert_status 0
        whole "$name"
    done
}

@test "devices and FIFOs are written through" {
    schedule /dev/null
    assert_status 0
    schedule /dev/full
    assert_status 3
    mkfifo fifo
    cat fifo > got &
    schedule fifo
    assert_status 0
    wait
    whole got
    run --separate-stderr "$NETKIT" "${closed[@]}" --timeout 20ms -o fifo
    assert_status 3
    assert_stderr_has "nobody read it within --timeout"
}

@test "an output that cannot be written ends the run before it begins" {
    for words in "-o missing/x" "--diagram-file missing/x.svg" "--record missing/x" \
        "--pcap missing/x" "-o ." "--record ."; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr "$NETKIT" "${closed[@]}" $words
        assert_status 3
        assert_equal "$output" ""
        refute_stderr_has "refused"
    done
}

refute_stderr_has() {
    [[ $stderr != *"$1"* ]] || {
        echo "'$1' should not be in: $stderr" >&2
        return 1
    }
}

@test "a run that fails leaves what was there" {
    for name in report rounds packets; do
        echo old > "$name"
    done
    run "$NETKIT" "${closed[@]}" -o report --record missing/rounds
    assert_status 3
    run "$NETKIT" "${closed[@]}" -o report --record rounds --pcap missing/packets
    assert_status 3
    run setpriv --bounding-set=-all --inh-caps=-all "$NETKIT" connect-timeout --target 127.0.0.1:1 --pcap packets
    [ "$status" -eq 3 ] || [ "$status" -eq 4 ]
    [ "$status" -eq 4 ] || assert_equal "$(cat packets)" old
    assert_equal "$(cat report rounds)" $'old\nold'
}

@test "an output without a name is refused" {
    for option in --output --record --diagram-file; do
        run --separate-stderr "$NETKIT" "${closed[@]}" "$option" ""
        assert_status 2
        assert_stderr_has "$option: the name of the file is empty"
    done
    run --separate-stderr "$NETKIT" lab --client true --pcap ""
    assert_status 2
    assert_stderr_has "--pcap: the name of the file is empty"
}

@test "one file for two outputs is refused, whatever its names" {
    echo old > there && ln there hard && ln -s there soft && mkdir folder && ln -s . folder/up
    for pair in "-o x --record x" "-o x --record ./x" "-o there --record hard" \
        "-o there --diagram-file soft" "-o x --pcap folder/up/../x" "--record there --pcap soft"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr "$NETKIT" "${closed[@]}" $pair
        assert_status 2
        assert_stderr_has "name one file"
    done
    assert_equal "$(cat there)" old
    # Not so what nobody reads.
    run "$NETKIT" "${closed[@]}" -o /dev/null --record /dev/null
    assert_status 4
}

@test "a new recording that got nothing is not left behind" {
    run "$NETKIT" tcp-probe --json --tls --ca-file missing --record rounds 127.0.0.1:1
    assert_status 3
    [ ! -e rounds ]
}
