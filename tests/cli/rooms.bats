# The include rule between the rooms.

load helpers

@test "every include points to a room further down" {
    run "$NETKIT_SOURCE/tests/cli/rooms" "$NETKIT_SOURCE"
    assert_equal "$output" ""
    assert_status 0
}

# breaks FILE INCLUDE: the rule refuses that include in that file.
breaks() {
    local tree=$BATS_TEST_TMPDIR/tree
    rm -rf "$tree"
    mkdir -p "$tree/cmd" "$tree/lib" "$tree/$(dirname "$1")"
    printf '#include %s\n' "$2" > "$tree/$1"
    run "$NETKIT_SOURCE/tests/cli/rooms" "$tree"
    [ "$status" -ne 0 ] && [[ $output == "$1:"* ]] || {
        echo "$1 may include $2" >&2
        return 1
    }
}

allows() {
    local tree=$BATS_TEST_TMPDIR/tree
    rm -rf "$tree"
    mkdir -p "$tree/cmd" "$tree/lib" "$tree/$(dirname "$1")"
    printf '#include %s\n' "$2" > "$tree/$1"
    run "$NETKIT_SOURCE/tests/cli/rooms" "$tree"
    assert_equal "$output" ""
    assert_status 0
}

@test "the rule refuses what it should" {
    breaks lib/base/x.c '"cli/cli.h"'
    breaks lib/cli/x.h '"trace/trace.h"'
    breaks lib/packet/x.c '"trace/trace.h"'
    breaks lib/trace/x.c '"netkit/sock.h"'
    breaks lib/sock/x.c '"trace/trace.h"'
    breaks lib/sock/x.c '<pcap.h>'
    breaks lib/lab/x.c '<pcap/pcap.h>'
    breaks lib/finding/x.c '"result/result.h"'
    breaks lib/finding/x.c '"packet/segment.h"'
    breaks lib/result/x.h '"diagnosis/rules.h"'
    breaks lib/result/x.c '<sys/socket.h>'
    breaks lib/diagnosis/x.c '"sock/internal.h"'
    breaks lib/diagnosis/x.c '<netinet/tcp.h>'
    breaks lib/diagnosis/x.c '"capture/capture.h"'
    breaks lib/diagnosis/x.c '"netkit/sock.h"'
    breaks lib/probe/x.c '"lab/lab.h"'
    breaks lib/probe/x.c '"report/report.h"'
    breaks lib/scenario/x.c '"report/report.h"'
    breaks lib/report/x.c '"probe/probe.h"'
    breaks lib/report/x.c '"scenario/scenario.h"'
    breaks lib/report/x.c '"lab/lab.h"'
    breaks lib/report/x.c '"sock/x.h"'
    breaks cmd/x.c '"packet/segment.h"'
    breaks cmd/x.c '<libmnl/libmnl.h>'
    breaks lib/trace/x.c '"../report/report.h"'
    breaks lib/attic/x.c '"base/buf.h"'
}

@test "the rule allows what it should" {
    allows lib/cli/x.c '"base/buf.h"'
    allows lib/cli/x.c '"internal.h"'
    allows lib/capture/x.c '<pcap.h>'
    allows lib/probe/x.c '"netkit/sock.h"'
    allows lib/probe/x.c '<sys/epoll.h>'
    allows lib/report/x.c '"trace/trace.h"'
    allows lib/finding/x.c '"trace/trace.h"'
    allows lib/base/x.c '"netkit/error.h"'
    allows cmd/x.c '"report/report.h"'
    allows cmd/x.c '"common.h"'
    allows cmd/x.c '<sys/socket.h>'
}
