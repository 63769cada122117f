# What connect-timeout refuses about live targets, and how it says so; the prediction; loopback.

load helpers

refused() { # message, then the arguments
    local message=$1
    shift
    run --separate-stderr "$NETKIT" connect-timeout "$@"
    assert_status 2
    assert_equal "$output" ""
    assert_stderr_has "netkit connect-timeout: $message"
}

# field EXPRESSION: of the last run's JSON, as Python has it in `report`.
field() {
    python3 -c 'import json, sys; report = json.loads(sys.argv[1]); print(eval(sys.argv[2]))' \
        "$output" "$1"
}

@test "targets say what they want" {
    refused "'db': the port is missing (write host:port)" --target db
    refused "--targets /dev/null: the file is empty" --targets /dev/null
    refused "--targets /nowhere: No such file or directory" --targets /nowhere
    refused "--resolve wants HOST:PORT:ADDRESS, got 'a:80'" --target a:80 --resolve a:80
    refused "--tries wants a whole number from 1 to 100, got '0'" --target :80 --tries 0
    refused "--max-hops wants a whole number from 1 to 64, got '65'" --target :80 --path \
        --max-hops 65
    refused "--connect-timeout wants a duration" --target :80 --connect-timeout 0
}

@test "options that need others, and what does not go together" {
    refused "--path needs --target or --targets" --path
    refused "--hop-timeout needs --path" --target :80 --hop-timeout 1s
    refused "--tries needs --target or --targets" --tries 4 refused
    refused "--kernel-setting needs --schedule" --kernel-setting tcp_syn_retries=1
    refused "--schedule and --target cannot be combined" --schedule --target :80
    refused "--target and --all cannot be combined" --target :80 --all
    refused "refused is for scenarios in a lab" --target :80 refused
    refused "--repeat is for scenarios in a lab" --target :80 --repeat 2
    refused "a fault is for scenarios in a lab" --target :80 --drop syn
    refused "a diagram is for scenarios in a lab" --schedule --diagram
    refused "--pcap is for scenarios in a lab" --schedule --pcap x
}

@test "kernel settings are known and in range" {
    refused "--kernel-setting wants NAME=VALUE with one of tcp_syn_retries, tcp_syn_linear_timeouts" \
        --schedule --kernel-setting tcp_syn_retry=3
    refused "--kernel-setting tcp_syn_retries wants a whole number from 1 to 127, got '0'" \
        --schedule --kernel-setting tcp_syn_retries=0
    refused "--kernel-setting TCP_SYNCNT wants a whole number from 0 to 127, got 'x'" \
        --schedule --kernel-setting TCP_SYNCNT=x
}

@test "the schedule is that of the settings" {
    local old=(--kernel-setting tcp_syn_retries=6 --kernel-setting tcp_syn_linear_timeouts=0)
    run --separate-stderr "$NETKIT" connect-timeout --schedule "${old[@]}" --json
    assert_status 0
    assert_equal "$(field '[s["at_ns"] // 10**9 for s in report["results"][0]["syns"]]')" \
        "[0, 1, 3, 7, 15, 31, 63]"
    assert_equal "$(field 'report["results"][0]["failed_ns"]')" 127000000000
    assert_equal "$(field 'report["results"][0]["sources"]["tcp_syn_retries"]')" "as given"
    run --separate-stderr "$NETKIT" connect-timeout --schedule "${old[@]}" \
        --kernel-setting TCP_SYNCNT=1 --json
    assert_equal "$(field 'report["results"][0]["failed_ns"]')" 3000000000
}

@test "without settings the schedule is this kernel's" {
    local retries
    retries=$(cat /proc/sys/net/ipv4/tcp_syn_retries)
    run --separate-stderr "$NETKIT" connect-timeout --schedule --json
    assert_equal "$(field 'report["results"][0]["settings"]["tcp_syn_retries"]')" "$retries"
    assert_equal "$(field 'report["results"][0]["sources"]["tcp_syn_retries"]')" "this kernel's"
    run --separate-stderr "$NETKIT" connect-timeout --schedule
    assert_has "tcp_syn_retries = $retries"
    assert_has "ETIMEDOUT"
}

@test "loopback: accepted, refused, and names that nobody has" {
    "$NETKIT_FIXTURE_SERVER" --die-with-parent one-write > "$BATS_TEST_TMPDIR/port" 3>&- &
    local server=$! tries=400
    until grep -q PORT "$BATS_TEST_TMPDIR/port" || [ $((tries -= 1)) -eq 0 ]; do sleep 0.05; done
    local port
    port=$(cut -d' ' -f2 "$BATS_TEST_TMPDIR/port")
    # Port 1 is nobody's.
    printf '127.0.0.1:%s # a comment\nno-such-name.invalid 80\n\nhalf a line\n' "$port" |
        { run --separate-stderr "$NETKIT" connect-timeout --json --target 127.0.0.1:1 --targets -
          kill "$server"
          assert_status 0
          assert_equal "$(field 'sorted(r["case"] for r in report["results"])')" \
              "['accepted', 'no-name', 'no-name', 'refused']"
          assert_stderr_has "127.0.0.1:1: This host answered with RST: nothing listens"
          assert_equal "$(field 'all(r["route"]["local"] for r in report["results"] if r["route"])')" True
        }
}

@test "statuses: 4 when nobody accepts, --fail-on otherwise" {
    run --separate-stderr "$NETKIT" connect-timeout --target 127.0.0.1:1 --quiet
    assert_status 4
    assert_has "127.0.0.1:1: connection-refused (server): This host answered with RST"
    run --separate-stderr "$NETKIT" connect-timeout --target no-such-name.invalid:80 --json
    assert_status 4
    assert_equal "$(field 'report["verdict"]')" name-not-found
}

@test "results are lines, where that is asked for" {
    run --separate-stderr "$NETKIT" connect-timeout --target 127.0.0.1:1 --timeout 10s \
        --format ndjson
    assert_status 4
    assert_has '"case":"refused"'
}
