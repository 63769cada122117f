# The commands that the pages in docs/ show with what they print ("$ netkit …"): they run, in the lab,
# and end with the status that the page gives ("# status N", else 0).

load helpers

setup() {
    export LC_ALL=C.UTF-8 NO_COLOR=1
    mkdir "$BATS_TEST_TMPDIR/bin"
    ln -s "$NETKIT" "$BATS_TEST_TMPDIR/bin/netkit"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
    cd "$BATS_TEST_TMPDIR" || return 1
}

# The commands of a page, a line each.
commands() { # page
    sed -n '/^```console$/,/^```$/{/^```/d;p}' "$1" | sed ':a;/\\$/{N;s/\\\n *//;ba}' |
        sed -n 's/^\$ //p'
}

run_page() { # name, how many commands it has at least
    local line wanted count=0
    need curl
    need python3
    while read -r line; do
        wanted=0
        [[ ! $line =~ '# status '([0-9]+)$ ]] || wanted=${BASH_REMATCH[1]}
        run bash -c "$line"
        assert_status "$wanted" || { echo "of: $line" >&2; return 1; }
        count=$((count + 1))
    done < <(commands "$NETKIT_SOURCE/docs/$1.md")
    [ "$count" -ge "$2" ]
}

@test "the commands of docs/connect-timeout.md" {
    run_page connect-timeout 2
    assert_has "tcp_syn_retries"
}

@test "the commands of docs/linger-test.md" {
    run_page linger-test 2
}

@test "the commands of docs/crash-sim.md" {
    run_page crash-sim 2
}

@test "the commands of docs/accept-backlog.md" {
    run_page accept-backlog 3
}

@test "the commands of docs/lab.md" {
    run_page lab 2
}

@test "the commands of docs/doctor.md" {
    run_page doctor 1
}
