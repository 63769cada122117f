# What the commands that reproduce have in common, tried on connect-timeout: choosing, refusing,
# formats, repetition, interruption. What the scenarios themselves say is tests/net/scenarios'.

load helpers

try() {
    run --separate-stderr "$NETKIT" connect-timeout "$@"
}

@test "--list names every scenario with a line" {
    try --list
    assert_status 0
    assert_has "refused  "
    assert_has "accepted  "
    while read -r name rest; do
        [ -n "$name" ] && [ -n "$rest" ] || { echo "a bare line" >&2; return 1; }
    done <<< "$output"
}

@test "what cannot be is refused, with the remedy" {
    try
    assert_status 2
    assert_stderr_has "--list shows them"
    try refusde
    assert_status 2
    assert_stderr_has "did you mean 'refused'"
    try --all refused
    assert_status 2
    assert_stderr_has "leave out"
    try refused --sysctl tcp_syn_retries=2
    assert_status 2
    assert_stderr_has "client:NAME=VALUE"
    try refused --sysctl client:no_such_setting=2
    assert_status 3
    assert_stderr_has "no_such_setting"
    try refused --socket-option client:TCP_NOPE=1
    assert_status 2
    assert_stderr_has "TCP_NOPE"
    try refused --socket-option client:TCP_SYNCNT=many
    assert_status 2
    assert_stderr_has "TCP_SYNCNT"
    try refused --drop 'no such filter'
    assert_status 2
    assert_stderr_has "no such filter"
    try refused --repeat 2 --pcap x.pcap
    assert_status 2
    assert_stderr_has "--repeat"
    try refused --repeat 0
    assert_status 2
    try blackhole --method carrier-pigeon
    assert_status 2
    assert_stderr_has "user-timeout"
    try refused --method poll
    assert_status 2
    assert_stderr_has "blackhole"
    try --target 127.0.0.1:9 --method poll
    assert_status 2
    assert_stderr_has "--method"
    try blackhole --no-lab
    assert_status 2
    assert_stderr_has "needs the lab"
    try refused --no-lab --drop syn
    assert_status 2
    assert_stderr_has "need the lab"
}

@test "one scenario, as JSON, says what the contract asks for" {
    for family in 4 6; do
        try refused -$family --json
        assert_status 0
        python3 - "$output" "$family" << 'PYTHON'
import json, sys
report = json.loads(sys.argv[1])
assert report["host"]["lab"] is True and report["host"]["capture"] == "pcap"
assert report["verdict"] == "ok" and not report["findings"]
result, = report["results"]
assert result["scenario"] == "refused" and result["family"] == int(sys.argv[2])
assert result["ok"] is True and result["why"] is None and result["differs_from_book"] is False
assert result["book"] and result["title"] and result["duration_ns"] > 0
assert set(result["expected"]) <= set(result["observed"])
assert result["flags"] == ["C>S SYN", "S>C RST,ACK"], result["flags"]
assert result["states"]["client"] == ["SYN-SENT", "CLOSED"], result["states"]
connect, = [call for call in result["calls"] if call["call"] == "connect"]
assert connect["errno"] == "ECONNREFUSED" and connect["result"] == -1
PYTHON
    done
}

@test "a fault under which it differs makes a finding, and status 1" {
    try refused --drop rst --json
    assert_status 1
    python3 - "$output" << 'PYTHON'
import json, sys
report = json.loads(sys.argv[1])
finding, = report["findings"]
assert finding["code"] == report["verdict"] == "scenario-differs"
assert finding["scenario"] == "refused" and finding["severity"] == "error"
result, = report["results"]
assert result["ok"] is False and result["why"], result["why"]
fault, = result["faults"]
assert fault["acted"] >= 1
assert result["observed"]["connect"] == "ETIMEDOUT" and result["expected"]["connect"] == "ECONNREFUSED"
PYTHON
    try refused --drop rst --format junit
    assert_status 1
    assert_has '<failure type="scenario-differs"'
    try refused --drop rst --format tap
    assert_status 1
    assert_has "not ok 1 - refused (IPv4)"
}

@test "repetitions are counted, and several scenarios share a run" {
    try refused accepted --repeat 3 --json
    assert_status 0
    python3 - "$output" << 'PYTHON'
import json, sys
results = json.loads(sys.argv[1])["results"]
assert [r["scenario"] for r in results] == ["refused", "accepted"]
for result in results:
    assert result["runs"] == 3 and result["outcomes"] == [{"outcome": "ok", "count": 3}], result
PYTHON
}

@test "packets of several runs have a file each" {
    try refused accepted --pcap "$BATS_TEST_TMPDIR/x.pcap"
    assert_status 0
    [ -s "$BATS_TEST_TMPDIR/x-refused-4.pcap" ] && [ -s "$BATS_TEST_TMPDIR/x-accepted-4.pcap" ]
}

@test "on loopback what loopback can show" {
    for family in 4 6; do
        try accepted refused --no-lab --json -$family
        assert_status 0
        python3 - "$output" << 'PYTHON'
import json, sys
report = json.loads(sys.argv[1])
assert report["host"]["lab"] is False and report["host"]["capture"] == "none"
for result in report["results"]:
    assert result["ok"] is True and result["flags"] is None, result
PYTHON
    done
}

@test "an interrupted run reports what it has, and leaves nothing behind" {
    "$NETKIT" connect-timeout accepted blackhole > "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/err" 3>&- &
    local pid=$! tries=400 status=0
    # Both runs are under way when there are two processes below it.
    until [ "$(pgrep -c -P "$pid")" -ge 1 ] || [ $((tries -= 1)) -eq 0 ]; do sleep 0.02; done
    kill -TERM "$pid"
    wait "$pid" || status=$?
    assert_equal "$status" 143
    grep -q "interrupted" "$BATS_TEST_TMPDIR/err"
    run pgrep -P "$pid"
    assert_equal "$output" ""
}

@test "what cannot be written is an error" {
    [ -w /dev/full ] || cannot_run "there is no /dev/full"
    "$NETKIT" connect-timeout refused > /dev/full 2> "$BATS_TEST_TMPDIR/err" && return 1
    grep -q "standard output" "$BATS_TEST_TMPDIR/err"
}

@test "every scenario stands in the list of a command" {
    local defined listed
    defined=$(sed -n 's/^const struct scenario \([a-z0-9_]*\) = {.*/\1/p' \
        "$NETKIT_SOURCE"/lib/scenario/*/*.c | sort -u)
    listed=$(grep -hoE '&[a-z0-9_]+' "$NETKIT_SOURCE"/lib/scenario/*/*_set.c | tr -d '&' | sort -u)
    [ -n "$defined" ]
    assert_equal "$(comm -23 <(echo "$defined") <(echo "$listed"))" ""
}

# hidden ARGUMENT...: crash-sim where /proc/sys/net is empty, as parts of it are on older kernels.
hidden() {
    unshare -Urm true 2>/dev/null || cannot_run "user namespaces are refused here"
    run --separate-stderr unshare -Urm sh -c 'mount -t tmpfs none /proc/sys/net && exec "$@"' sh \
        "$NETKIT" crash-sim "$@"
}

@test "a setting that is hidden concerns the scenario that pins it, and is no failure" {
    hidden process-crash-idle host-crash-idle --json
    assert_status 0
    assert_has '"verdict": "ok"'
    assert_has '"verdict": "unsupported"'
    assert_has "tcp_retries2: this kernel hides it from unprivileged user namespaces"
    hidden process-crash-idle host-crash-idle host-reboot-sending
    assert_status 0
    assert_has "2 of 2 scenarios did what was expected; this kernel cannot show 1"
}

@test "what was refused or not run is not ok" {
    try refused --sysctl client:no_such_setting=2 --json
    assert_status 3
    assert_has '"verdict": "machine-refuses"'
    try refused --timeout 1ms --json
    assert_status 1
    assert_has '"verdict": "inconclusive"'
    assert_has "1 scenario has no result"
}
