# What accept-backlog refuses when it is to reproduce something.

load helpers

try() {
    run --separate-stderr "$NETKIT" accept-backlog "$@"
}

@test "without anything to do it says what there is" {
    try
    assert_status 2
    assert_stderr_has "--list shows them"
    try swep
    assert_status 2
    assert_stderr_has "did you mean 'sweep'"
}

@test "--list names every scenario with a line" {
    try --list
    assert_status 0
    assert_has "sweep  "
    assert_has "accept-queue-full  "
}

@test "--backlog takes numbers and ranges, and says so" {
    for bad in x -2 3-1 1,,2 "" 5- 99999999999 0-64; do
        try sweep "--backlog=$bad"
        assert_status 2
        assert_stderr_has "--backlog"
    done
    try sweep --backlog 4-2
    assert_stderr_has "from the smaller to the larger"
    try sweep --backlog 0-99
    assert_stderr_has "at most 64"
}

@test "--backlog is for sweep" {
    try accept-queue-full --backlog 5
    assert_status 2
    assert_stderr_has "'sweep'"
}

@test "a live listener and a scenario are two things" {
    try --listener :80 sweep
    assert_status 2
    assert_stderr_has "sweep is for scenarios in a lab"
    try --listener :80 --backlog 5
    assert_status 2
    assert_stderr_has "--backlog is for scenarios in a lab"
    try --listener :80 --sysctl server:net.core.somaxconn=5
    assert_status 2
    assert_stderr_has "--sysctl is for scenarios in a lab"
}

@test "--duration is how long to watch, and --timeout still bounds it" {
    try --listener :80 --duration 0
    assert_status 2
    assert_stderr_has "--duration"
    try sweep --duration 5s
    assert_status 2
    assert_stderr_has "--timeout bounds it"
    python3 - "$NETKIT" << 'EOF'
import json, socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
port = str(listener.getsockname()[1])
for given in ("--duration 20ms", "--timeout 20ms", "--duration 20ms --timeout 1m",
              "--duration 1m --timeout 20ms"):
    done = subprocess.run([sys.argv[1], "accept-backlog", "--listener", "127.0.0.1:" + port,
                           "--json", *given.split()], capture_output=True, check=True)
    assert json.loads(done.stdout)["parameters"]["duration_ns"] == 20_000_000, given
EOF
}

@test "the sweep of one backlog" {
    try sweep --backlog 3 --json
    assert_status 0
    python3 - "$output" << 'EOF'
import json, sys
table = json.loads(sys.argv[1])["results"][0]["tables"][0]
assert [(row["backlog"], row["queued"]) for row in table["rows"]] == [(3, 4)], table
EOF
}

@test "a burst wants a server, its port, and sensible numbers" {
    try --connections 10
    assert_status 2
    assert_stderr_has "--server"
    try --server true
    assert_status 2
    assert_stderr_has "--port"
    for bad in --connections=0 --connections=4001 --connections=x --rate=0 --rate=100001 --rate=x; do
        try --server true --port 80 "$bad"
        assert_status 2
        assert_stderr_has "${bad%%=*}"
    done
    try --server '' --port 80
    assert_status 2
    assert_stderr_has "command is empty"
}

@test "a burst, a live listener and the scenarios are three things" {
    try --server true --port 80 --listener :80
    assert_status 2
    assert_stderr_has "cannot be combined with a live listener"
    try --server true --port 80 --backlog 4
    assert_status 2
    assert_stderr_has "cannot be combined with --backlog"
    try --server true --port 80 sweep
    assert_status 2
    assert_stderr_has "no scenario 'sweep'"
    try --server true --port 80 --no-lab
    assert_status 2
    assert_stderr_has "--no-lab"
    try --listener :80 --rate 1k
    assert_status 2
    assert_stderr_has "--rate is for scenarios in a lab"
}
