# tcp-probe against the fixture server: outputs, files, signals, exit statuses.

load helpers

setup() {
    [ -x "$NETKIT_FIXTURE_SERVER" ]
    cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
    [ -z "${SERVER:-}" ] || kill "$SERVER" 2> /dev/null || true
}

# serve HABIT…: starts a server; PORT is where.
serve() {
    coproc FIXTURE { exec "$NETKIT_FIXTURE_SERVER" --die-with-parent "$@" 2> fixture.err; }
    SERVER=$FIXTURE_PID
    read -r -t 30 -u "${FIXTURE[0]}" _ PORT || {
        cat fixture.err >&2
        return 1
    }
}

has_ipv6() {
    [ -e /proc/net/if_inet6 ] && grep -q '^0\{31\}1 ' /proc/net/if_inet6
}

LINE=(--send 'hello\n' --until line)
FEW=(--rounds 4 --warmup 0 --no-interventions)

# shape FILE: the report is of the contract's shape.
shape() {
    /usr/bin/python3 - "$1" <<'PYTHON'
import json, re, sys

report = json.load(open(sys.argv[1]), parse_constant=lambda word: sys.exit(f"{word} is no JSON"))

def has(thing, keys, where):
    for key, kinds in keys.items():
        assert key in thing, f"{where} lacks {key}"
        assert isinstance(thing[key], kinds) and not (isinstance(thing[key], bool) and bool not in (
            kinds if isinstance(kinds, tuple) else (kinds,))), f"{where}.{key} is {thing[key]!r}"

NONE = type(None)
NUMBER, TEXT = (int, NONE), (str, NONE)
has(report, dict(schema=str, version=str, command=str, started=str, duration_ns=int, host=dict,
                 parameters=dict, results=list, findings=list, verdict=str), "report")
assert report["schema"] == "netkit/1" and report["command"] == "tcp-probe"
assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", report["started"])
has(report["host"], dict(kernel=str, lab=bool, capture=str, unprivileged=bool), "host")
assert report["host"]["lab"] is False and report["host"]["capture"] == "none"
assert len(report["results"]) == 1
for result in report["results"]:
    has(result, dict(target=str, address=TEXT, port=int, ok=bool, error=(dict, NONE), connect=dict,
                     rounds=int, latency=dict, breakdown=dict, arms=list, tcp_info=dict), "result")
    assert result["ok"] == (result["error"] is None and result["rounds"] > 0)
    if result["error"]:
        has(result["error"], dict(code=str, errno=TEXT, message=str), "error")
    has(result["connect"], dict(resolve_ns=NUMBER, connect_ns=NUMBER, rtt_ns=NUMBER,
                                syn_retransmits=int), "connect")
    names = ["min_ns", "p50_ns", "p90_ns", "p99_ns", "max_ns"]
    has(result["latency"], {name: NUMBER for name in names}, "latency")
    values = [result["latency"][name] for name in names]
    if result["rounds"]:
        assert values == sorted(values) and values[0] > 0
        parts = result["breakdown"]
        for name in ("network_ns", "send_hold_ns", "peer_ack_delay_ns", "server_ns",
                     "response_gap_ns", "other_ns"):
            assert parts[name] >= 0
        own = {name: ns for name, ns in parts.items()
               if not name.endswith(("_min_ns", "_max_ns"))}
        assert sum(own.values()) == result["latency"]["p50_ns"], parts
        for name, ns in own.items():
            low, high = (parts[name[:-3] + bound] for bound in ("_min_ns", "_max_ns"))
            assert low <= ns <= high, (name, parts)
    else:
        assert values == [None] * 5
    for arm in result["arms"]:
        has(arm, dict(name=str, rounds=int, p50_ns=int, p99_ns=int), "arm")
        assert arm["name"] in ("baseline", "nodelay", "quickack", "nodelay+quickack",
                               "single-write", "small-mss")
for finding in report["findings"]:
    has(finding, dict(code=str, severity=str, side=TEXT, target=TEXT, scenario=TEXT,
                      connection=TEXT, summary=str, remedy=str, count=int, cost_ns=NUMBER,
                      evidence=dict), "finding")
    assert finding["severity"] in ("info", "warning", "error")
    assert finding["side"] in ("client", "server", "network", None)
    assert finding["summary"] and finding["remedy"]
codes = [finding["code"] for finding in report["findings"]]
assert report["verdict"] == "ok" or report["verdict"] in codes
PYTHON
}

json() { # FILE EXPRESSION: of `r`, the report
    /usr/bin/python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}

@test "JSON is of the contract's shape, with a stall and without" {
    serve two-writes
    "$NETKIT" tcp-probe --json "${LINE[@]}" --rounds 12 "127.0.0.1:$PORT" > stall.json 2> errors
    assert_equal "$(cat errors)" ""
    shape stall.json
    assert_equal "$(json stall.json 'r["verdict"], r["findings"][0]["side"], r["results"][0]["rounds"]')" \
        "('nagle-delayed-ack', 'server', 12)"
    assert_equal "$(json stall.json 'len(r["results"][0]["arms"])')" 5
    "$NETKIT" tcp-probe --json "${FEW[@]}" "${LINE[@]}" "127.0.0.1:$PORT" > alone.json
    shape alone.json
    assert_equal "$(json alone.json 'len(r["results"][0]["arms"])')" 1
    "$NETKIT" tcp-probe --json --rounds 3 "127.0.0.1:$PORT" > connect.json
    shape connect.json
    assert_equal "$(json connect.json 'r["parameters"]["preset"], r["verdict"]')" "('connect', 'ok')"
}

@test "IPv4 and IPv6, each by its option" {
    has_ipv6 || cannot_run "no IPv6 on loopback"
    serve one-write
    for family in 4 6; do
        "$NETKIT" tcp-probe "-$family" --json "${FEW[@]}" "${LINE[@]}" ":$PORT" > report.json
        shape report.json
        assert_equal "$(json report.json 'r["results"][0]["address"]')" \
            "$([ $family = 4 ] && echo 127.0.0.1 || echo ::1)"
    done
    "$NETKIT" tcp-probe --json "${FEW[@]}" "${LINE[@]}" "[::1]:$PORT" > report.json
    assert_equal "$(json report.json 'r["results"][0]["address"]')" "::1"
    "$NETKIT" tcp-probe --json "${FEW[@]}" "${LINE[@]}" 127.0.0.1 "$PORT" > report.json
    assert_equal "$(json report.json 'r["results"][0]["target"]')" "127.0.0.1:$PORT"
}

@test "an address of the other family cannot be resolved" {
    for words in "-6 127.0.0.1:9" "-4 [::1]:9"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$NETKIT" tcp-probe --json $words
        assert_status 4
        printf '%s' "$output" > report.json
        shape report.json
        assert_equal "$(json report.json 'r["verdict"]')" name-not-found
    done
}

@test "an ordinary user sees the same" {
    [ "$(id -u)" = 0 ] || cannot_run "not root: every other test is this one"
    need setpriv
    serve two-writes
    setpriv --reuid=65534 --regid=65534 --clear-groups \
        "$NETKIT" tcp-probe --json "${LINE[@]}" --rounds 12 "127.0.0.1:$PORT" > report.json
    shape report.json
    assert_equal "$(json report.json 'r["verdict"], r["host"]["unprivileged"]')" \
        "('nagle-delayed-ack', True)"
    assert_equal "$(json report.json 'r["results"][0]["notes"]')" "[]"
}

@test "exit statuses of what went wrong" {
    serve silent
    run --separate-stderr "$NETKIT" tcp-probe "${LINE[@]}" --response-timeout 200ms "127.0.0.1:$PORT"
    assert_status 4
    assert_has no-response
    kill "$SERVER"
    wait "$SERVER" || true
    run --separate-stderr "$NETKIT" tcp-probe --json "127.0.0.1:$PORT"
    assert_status 4
    assert_stderr_has "netkit tcp-probe: 127.0.0.1:$PORT: cannot connect"
    printf '%s' "$output" > report.json
    shape report.json
    assert_equal "$(json report.json 'r["verdict"], r["results"][0]["error"]["errno"]')" \
        "('connection-refused', 'ECONNREFUSED')"
    long=$(printf 'a%.0s' {1..64})
    run --separate-stderr "$NETKIT" tcp-probe --json "$long.invalid:80"
    assert_status 4
    printf '%s' "$output" > report.json
    shape report.json
    assert_equal "$(json report.json 'r["verdict"]')" name-not-found
    run --separate-stderr "$NETKIT" tcp-probe --json 127.0.0.1:99999
    assert_status 2
    assert_equal "$output" ""
    run --separate-stderr "$NETKIT" tcp-probe --send abc --split 2,2 127.0.0.1:80
    assert_status 2
    assert_stderr_has "--split adds up to 4 bytes, but the request has 3"
}

@test "--fail-on makes a finding a failure" {
    serve two-writes
    run "$NETKIT" tcp-probe "${LINE[@]}" --rounds 12 --fail-on nagle-delayed-ack "127.0.0.1:$PORT"
    assert_status 1
    run "$NETKIT" tcp-probe "${LINE[@]}" --rounds 12 --fail-on any "127.0.0.1:$PORT"
    assert_status 1
    run "$NETKIT" tcp-probe "${LINE[@]}" --rounds 12 --fail-on cork-hold "127.0.0.1:$PORT"
    assert_status 0
    run "$NETKIT" tcp-probe --fail-on any --rounds 3 "127.0.0.1:$PORT"
    assert_status 0
}

@test "--timeout bounds the run" {
    serve silent
    run --separate-stderr "$NETKIT" tcp-probe "${LINE[@]}" --timeout 300ms "127.0.0.1:$PORT"
    assert_status 4
    assert_has "within --timeout"
}

@test "a report goes to its file whole, or not at all" {
    serve one-write
    run --separate-stderr "$NETKIT" tcp-probe --json -o report.json "${FEW[@]}" "${LINE[@]}" "127.0.0.1:$PORT"
    assert_status 0
    assert_equal "$output$stderr" ""
    shape report.json
    run --separate-stderr "$NETKIT" tcp-probe --json -o missing/report.json "${FEW[@]}" "${LINE[@]}" "127.0.0.1:$PORT"
    assert_status 3
    assert_stderr_has "missing/report.json: No such file or directory"
    assert_equal "$(find . -name 'report*' -o -name missing)" ./report.json
}

@test "a full disk and a closed pipe are told" {
    [ -w /dev/full ] || cannot_run "there is no /dev/full"
    serve one-write
    export PORT
    for words in "> /dev/full" "-o /dev/full" "--record /dev/full"; do
        run bash -c "\"\$NETKIT\" tcp-probe -n4 --no-interventions --send 'x\n' 127.0.0.1:$PORT $words"
        assert_status 3
        assert_has "No space left on device"
    done
    run bash -c "\"\$NETKIT\" tcp-probe -n4 --no-interventions --send 'x\n' 127.0.0.1:$PORT >&-"
    assert_status 3
    run bash -c "set -o pipefail; \"\$NETKIT\" tcp-probe -n4 --no-interventions --send 'x\n' 127.0.0.1:$PORT | :"
    [ "$status" -eq 3 ] || [ "$status" -eq 0 ] # the pipe's buffer may have taken it all
}

@test "the limit of a file's size is an error with status 3, and nothing is left" {
    serve one-write
    for words in "-o report" "> report" "--record report"; do
        run bash -c "set -o pipefail; (ulimit -f 0; exec \"\$NETKIT\" tcp-probe --json -n4 --warmup 0 --no-interventions --send 'hello\n' --until line 127.0.0.1:$PORT $words) 2>&1 | cat"
        assert_status 3
        assert_has "File too large"
    done
    rm report
    assert_equal "$(find . -type f ! -name fixture.err)" ""
}

@test "--record keeps every round, and what the diagnosis rests on" {
    serve one-write
    "$NETKIT" tcp-probe --json -q --rounds 6 --warmup 2 --arms baseline,nodelay --record rounds \
        "${LINE[@]}" "127.0.0.1:$PORT" > report.json
    /usr/bin/python3 - <<'PYTHON'
import collections, json
records = [json.loads(line) for line in open("rounds")]
assert [r["type"] for r in records].count("evidence") == 1 and records[-1]["type"] == "evidence"
arms = collections.Counter(r["arm"] for r in records[:-1] if not r["warmup"])
assert arms == {"baseline": 6, "nodelay": 10}, arms  # an arm needs ten for its test
assert any(r["warmup"] for r in records[:-1])
for record in records[:-1]:
    assert sum(record["parts"].values()) == record["total_ns"] > 0
    assert record["sent_bytes"] == 6 and record["received_bytes"] > 0 and record["arrivals"] > 0
PYTHON
}

# interrupted SIGNAL STATUS: in the middle of a long run, when some rounds are had.
interrupted() {
    serve one-write
    "$NETKIT" tcp-probe --json --interval 10ms --rounds 100000 --warmup 0 --no-interventions \
        --record rounds "${LINE[@]}" "127.0.0.1:$PORT" > report.json &
    local probe=$! tries=0
    # Rounds are written through stdio: wait for its first block.
    until [ -s rounds ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 3000 ]
        sleep 0.01
    done
    kill -s "$1" "$probe"
    status=0
    wait "$probe" || status=$?
    output=$(cat report.json)
    assert_status "$2"
    shape report.json
    assert_equal "$(json report.json 'r["interrupted"], r["results"][0]["rounds"] > 0')" "(True, True)"
}

@test "Ctrl-C gives the report so far, and 130" {
    interrupted INT 130
}

@test "SIGTERM gives the report so far, and 143" {
    interrupted TERM 143
}

@test "a terminal that hangs up gives the report so far, and 129" {
    interrupted HUP 129
}

@test "nohup keeps a run from the terminal's end" {
    serve one-write
    nohup "$NETKIT" tcp-probe --json --interval 10ms --rounds 100000 --warmup 0 \
        --no-interventions --record rounds "${LINE[@]}" "127.0.0.1:$PORT" > report.json &
    local probe=$! tries=0 written=0 signal
    for signal in HUP TERM; do
        until [ "$(stat -c %s rounds 2> /dev/null || echo 0)" -gt "$written" ]; do
            tries=$((tries + 1))
            [ "$tries" -lt 3000 ]
            sleep 0.01
        done
        written=$(stat -c %s rounds)
        kill -s "$signal" "$probe"
    done
    status=0
    wait "$probe" || status=$?
    assert_status 143
}

# Root in a container may lack the right; then only the refusal can be tested.
may_capture() {
    local mask
    mask=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
    ((16#$mask >> 13 & 1))
}

@test "--pcap keeps every packet once, from the SYN on, and the diagram shows segments" {
    may_capture || cannot_run "not allowed to capture (CAP_NET_RAW)"
    need tshark
    serve two-writes
    "$NETKIT" tcp-probe --json --diagram --timeline --pcap kept.pcap "${LINE[@]}" "${FEW[@]}" \
        "127.0.0.1:$PORT" > report.json
    assert_equal "$(json report.json 'r["host"]["capture"]')" pcap
    assert_equal "$(json report.json 'r["results"][0]["notes"]')" "[]"
    run json report.json 'r["diagram"]'
    assert_has "PSH,ACK seq 1:7 ack 1 len 6"
    assert_has "Segments were captured on one host"
    refute_has "up to byte 6"
    run json report.json 'r["timeline"]'
    assert_has "C>S PSH,ACK seq 1:7 ack 1 len 6"
    assert_has "acknowledged: up to byte 6"

    # A second look at the same packet would count as a retransmission or a duplicate ACK.
    tshark -r kept.pcap -T fields -e tcp.flags -e tcp.len -e tcp.dstport > packets 2> /dev/null
    assert_equal "$(head -3 packets | cut -f1 | tr '\n' ' ')" "0x0002 0x0012 0x0010 "
    assert_equal "$(awk -v port="$PORT" '$3 == port { sum += $2 } END { print sum }' packets)" 24
    assert_equal "$(awk -v port="$PORT" '$3 != port { sum += $2 } END { print sum }' packets)" 1200
    assert_equal "$(tshark -r kept.pcap -Y tcp.analysis.retransmission 2> /dev/null)" ""
}

@test "connecting alone is drawn as its handshake" {
    may_capture || cannot_run "not allowed to capture (CAP_NET_RAW)"
    serve two-writes
    run "$NETKIT" tcp-probe --diagram --preset connect --rounds 2 "127.0.0.1:$PORT"
    assert_status 0
    assert_has "SYN seq 0"
    assert_has "SYN,ACK seq 0 ack 1"
}

@test "connections of others to the same server are not kept" {
    may_capture || cannot_run "not allowed to capture (CAP_NET_RAW)"
    need tshark
    serve two-writes
    exec 9<> "/dev/tcp/127.0.0.1/$PORT"
    "$NETKIT" tcp-probe --json --pcap kept.pcap --interval 100ms "${LINE[@]}" "${FEW[@]}" \
        --record rounds "127.0.0.1:$PORT" > report.json &
    local probe=$!
    # While the probe runs, the other connection talks again and again.
    while kill -0 "$probe" 2> /dev/null; do
        echo other >&9
        head -c 300 <&9 > /dev/null
    done
    wait "$probe"
    exec 9>&-
    assert_equal "$(tshark -r kept.pcap -T fields -e tcp.stream 2> /dev/null | sort -u)" 0
}

@test "without the right to capture the run goes on, and says so" {
    local drop=()
    if may_capture; then
        need setpriv
        drop=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
    serve two-writes
    chmod 777 .
    run --separate-stderr "${drop[@]}" "$NETKIT" tcp-probe --json --diagram --pcap kept.pcap \
        "${LINE[@]}" "${FEW[@]}" "127.0.0.1:$PORT"
    assert_status 3
    assert_stderr_has "--pcap kept.pcap: cannot capture on lo: this user may not"
    [ ! -e kept.pcap ]
    printf '%s\n' "$output" > report.json
    assert_equal "$(json report.json 'r["host"]["capture"], r["results"][0]["rounds"]')" "('none', 4)"
    run json report.json 'r["results"][0]["notes"][0]'
    assert_has "Segments were not captured: cannot capture on lo: this user may not."
    run json report.json 'r["diagram"]'
    assert_has "up to byte 6"

    run --separate-stderr "${drop[@]}" "$NETKIT" tcp-probe --diagram "${LINE[@]}" "${FEW[@]}" \
        "127.0.0.1:$PORT"
    assert_status 0
    assert_equal "$stderr" ""
    assert_has "Segments were not captured."
}

@test "a capture file that cannot be written is told" {
    may_capture || cannot_run "not allowed to capture (CAP_NET_RAW)"
    serve two-writes
    run --separate-stderr "$NETKIT" tcp-probe --pcap no/such/kept.pcap "${LINE[@]}" "${FEW[@]}" \
        "127.0.0.1:$PORT"
    assert_status 3
    assert_stderr_has "no/such/kept.pcap"
    assert_equal "$output" "" # nothing was measured
    run --separate-stderr "$NETKIT" tcp-probe --pcap /dev/full "${LINE[@]}" "${FEW[@]}" \
        "127.0.0.1:$PORT"
    assert_status 3
    assert_stderr_has "No space left on device"
}
