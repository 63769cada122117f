# netkit doctor: on this machine, as who we are and as an ordinary user; on copied and hostile files;
# and on machines that refuse something, which a namespace of our own plays.

load helpers

setup() {
    root=$BATS_TEST_TMPDIR/root
    ipv4=$root/proc/sys/net/ipv4
    mkdir -p "$ipv4" "$root/proc/net" "$root/proc/sys/kernel"
}

# as_nobody COMMAND…: without any privilege, where we have some.
as_nobody() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$@")
    else
        "$@"
    fi
}

# sound: the last run's JSON is whole, and agrees with itself and with the exit status.
sound() {
    [ -z "${stderr:-}" ] || [ "$status" -eq 3 ] || { echo "$stderr" >&2; return 1; }
    python3 - "$status" <<< "" 3<<< "$output" <<'PYTHON'
import json, os, sys
report = json.load(os.fdopen(3))
assert report["schema"] == "netkit/1" and report["command"] == "doctor"
checks = [result["check"] for result in report["results"]]
assert checks and len(checks) == len(set(checks)), checks
for result in report["results"]:
    assert result["status"] in ("ok", "note", "problem"), result
    assert result["meaning"] and result["group"] and result["source"], result
    assert (result["remedy"] is None) == (result["status"] == "ok"), result
    assert result["effect_ns"] is None or result["effect_ns"] > 0, result
problems = {result["check"]: result for result in report["results"] if result["status"] == "problem"}
assert set(problems) == {finding["target"] for finding in report["findings"]}, report["findings"]
for finding in report["findings"]:
    needed = problems[finding["target"]]["needed"]
    assert finding["code"] == ("machine-refuses" if needed else "machine-setting"), finding
    assert finding["remedy"] == problems[finding["target"]]["remedy"], finding
assert (sys.argv[1] == "3") == any(result["needed"] for result in problems.values()), sys.argv
PYTHON
}

# result CHECK FIELD: of the last run's JSON.
result() {
    python3 -c '
import json, sys
for result in json.loads(sys.argv[1])["results"]:
    if result["check"] == sys.argv[2]:
        print(result[sys.argv[3]])' "$output" "$1" "$2"
}

@test "this machine is examined as who we are" {
    run --separate-stderr "$NETKIT" doctor --json
    sound
    for check in namespaces "time stamps, IPv4" sock_diag TCP_INFO "live capture" pidfd_getfd HZ \
        tcp_retries2 tcp_syn_retries ip_local_port_range ListenOverflows lo locale; do
        [ -n "$(result "$check" status)" ] || { echo "no $check" >&2; return 1; }
    done
}

@test "this machine is examined as an ordinary user" {
    run --separate-stderr as_nobody "$NETKIT" doctor --json
    sound
    [ -n "$(result tcp_retries2 meaning)" ]
}

@test "values are this machine's" {
    run --separate-stderr "$NETKIT" doctor --json
    assert_equal "$(result tcp_retries2 value)" "$(cat /proc/sys/net/ipv4/tcp_retries2)"
    assert_equal "$(result tcp_rmem value)" "$(tr '\t' ' ' < /proc/sys/net/ipv4/tcp_rmem)"
    assert_equal "$(result kernel value)" "$(uname -r)"
    assert_equal "$(result lo value)" "MTU $(cat /sys/class/net/lo/mtu)"
}

@test "text fits 80 columns, and quiet says only problems" {
    run --separate-stderr env LC_ALL=C.UTF-8 "$NETKIT" doctor --verbose
    assert_has "Giving up on a peer"
    assert_has "from /proc/sys/net/ipv4/tcp_retries2"
    [ "$(LC_ALL=C.UTF-8 wc -L <<< "$output")" -le 80 ]
    run --separate-stderr "$NETKIT" doctor --quiet
    [[ ${lines[-1]} =~ ^[0-9]+\ problems?,\ [0-9]+\ notes?,\ [0-9]+\ ok ]]
    ! grep -qE '^ +(ok|note) ' <<< "$output"
}

@test "every format is written" {
    for format in ndjson junit tap; do
        run --separate-stderr "$NETKIT" doctor --format "$format"
        assert_has tcp_retries2
    done
}

@test "nothing of the machine is changed" {
    look() {
        cat /proc/sys/net/ipv4/* /proc/sys/net/core/* /proc/sys/user/* 2>/dev/null || true # some can't be read
        ls -l /sys/class/net
    }
    look > "$BATS_TEST_TMPDIR/before"
    run --separate-stderr "$NETKIT" doctor
    look > "$BATS_TEST_TMPDIR/after"
    cmp "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

@test "another machine's files are examined" {
    echo 15 > "$ipv4/tcp_retries2"
    echo 1000 > "$ipv4/tcp_rto_max_ms"
    echo '4096	131072	6291456' > "$ipv4/tcp_rmem"
    echo 5.4.0-99-generic > "$root/proc/sys/kernel/osrelease"
    mkdir "$root/boot"
    printf 'CONFIG_X=y\nCONFIG_HZ=1000\n' > "$root/boot/config-5.4.0-99-generic"
    printf 'TcpExt: A ListenOverflows\nTcpExt: 1 77\n' > "$root/proc/net/netstat"
    run --separate-stderr "$NETKIT" doctor --json --root "$root"
    assert_status 0
    sound
    assert_equal "$(result tcp_retries2 effect_ns)" 14400000000
    assert_equal "$(result tcp_rmem value)" "4096 131072 6291456"
    assert_equal "$(result kernel status)" note
    assert_equal "$(result HZ value)" 1000
    assert_equal "$(result ListenOverflows status)" note
    # What must be tried says nothing of another machine.
    refute_has '"namespaces"'
    refute_has '"lo"'
}

@test "a setting that is in the way is a finding" {
    echo 0 > "$ipv4/tcp_sack"
    run --separate-stderr "$NETKIT" doctor --root "$root"
    assert_status 0
    assert_has "problem tcp_sack"
    run --separate-stderr "$NETKIT" doctor --root "$root" --fail-on machine-setting
    assert_status 1
    run --separate-stderr "$NETKIT" doctor --root "$root" --fail-on machine-refuses
    assert_status 0
}

@test "a file that is there and cannot be read is a problem" {
    echo 6 > "$ipv4/tcp_syn_retries"
    ln -s /proc/self/mem "$ipv4/tcp_retries2"
    run --separate-stderr "$NETKIT" doctor --json --root "$root"
    assert_status 3
    assert_equal "$(result files status)" problem
    assert_stderr_has "tcp_retries2: Input/output error"
    run --separate-stderr "$NETKIT" doctor --root "$root"
    assert_status 3
    assert_has "1 problem"
}

@test "files that are missing, strange or hostile do no harm" {
    run --separate-stderr "$NETKIT" doctor --root "$root"
    assert_status 3
    assert_stderr_has "netkit doctor: $root: nothing there describes TCP"
    mkfifo "$ipv4/tcp_sack" "$root/proc/net/snmp"
    mkdir "$ipv4/tcp_retries1"
    ln -s /nowhere "$ipv4/tcp_rmem"
    ln -s tcp_wmem "$ipv4/tcp_wmem"
    : > "$ipv4/tcp_retries2"
    head -c 400000 /dev/zero | tr '\0' 9 > "$ipv4/tcp_syn_retries"
    head -c 400000 /dev/urandom > "$root/proc/net/netstat"
    head -c 4000 /dev/urandom > "$root/proc/net/sockstat"
    echo -9223372036854775808 > "$ipv4/tcp_keepalive_time"
    echo 9223372036854775807 > "$ipv4/tcp_fin_timeout"
    echo '../../../etc/passwd' > "$root/proc/sys/kernel/osrelease"
    printf '\033[31mred\xff' > "$ipv4/tcp_congestion_control"
    echo 5 > "$ipv4/tcp_synack_retries"
    run --separate-stderr timeout 20 "$NETKIT" doctor --json --root "$root"
    assert_status 0
    sound
    assert_equal "$(result tcp_synack_retries effect_ns)" 63000000000
    assert_equal "$(result tcp_congestion_control value)" '\x1b[31mred\xff'
    run --separate-stderr timeout 20 "$NETKIT" doctor --root "$root"
    assert_status 0
    [[ $output != *$'\033'* ]]
}

# in_user_namespace SCRIPT: as its root, where there is such a thing.
in_user_namespace() {
    unshare -Ur true 2>/dev/null || cannot_run "user namespaces are refused here"
    run --separate-stderr unshare "$@"
}

@test "a machine that refuses namespaces is told so, and what to do" {
    in_user_namespace -Ur sh -c 'echo 0 > /proc/sys/user/max_user_namespaces &&
        echo 0 > /proc/sys/user/max_net_namespaces && exec "$0" doctor --json' "$NETKIT"
    assert_status 3
    sound
    assert_equal "$(result namespaces status)" problem
    [[ $(result namespaces meaning) == *"user.max_user_namespaces is 0"* ]]
    [[ $(result namespaces remedy) == *"sysctl -w user.max_user_namespaces="* ]]
    assert_stderr_has "netkit doctor: namespaces: user namespaces are switched off"
}

@test "settings that are hidden from the hosts of a lab are named" {
    in_user_namespace -Urm sh -c 'mount -t tmpfs none /proc/sys/net && exec "$0" doctor --json' \
        "$NETKIT"
    assert_status 0
    sound
    assert_equal "$(result "settings of a lab" status)" note
    assert_equal "$(result "settings of a lab" value)" "net/core, net/ipv4/neigh"
    [[ $(result "settings of a lab" remedy) == *"as root"* ]]
}

@test "a machine whose loopback is down is told so" {
    in_user_namespace -Urn "$NETKIT" doctor --json
    assert_status 3
    sound
    assert_equal "$(result "time stamps, IPv4" status)" problem
    [[ $(result "time stamps, IPv4" remedy) == *"ip link set lo up"* ]]
}

@test "a family can be left out" {
    run --separate-stderr "$NETKIT" doctor -4 --json
    [ -z "$(result "time stamps, IPv6" status)" ]
    [ -n "$(result "time stamps, IPv4" status)" ]
}

@test "what is wrong on the command line is refused" {
    run --separate-stderr "$NETKIT" doctor here
    assert_status 2
    run --separate-stderr "$NETKIT" doctor --root "$root/nowhere"
    assert_status 2
    assert_stderr_has "--root $root/nowhere: No such file or directory"
    run --separate-stderr "$NETKIT" doctor --root /etc/passwd
    assert_status 2
    assert_stderr_has "Not a directory"
    run --separate-stderr "$NETKIT" doctor --pcap x
    assert_status 2
}
