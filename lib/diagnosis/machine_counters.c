/* The kernel's counters of what it refused or dropped, and the interfaces.
 *
 * A counter runs since its network namespace was made, so one that is not zero is history: a note.
 * One that rises while it is looked at is a problem now. */
#include "diagnosis/machine_internal.h"

#include "base/cleanup.h"
#include "diagnosis/counters.h"
#include "diagnosis/verdict_thresholds.h"
#include <inttypes.h>
#include <string.h>

#define COUNTERS     "Counters"
#define INTERFACES   "Interfaces"
#define MTU_OF_IPV6  1280 /* RFC 8200 section 5 */
#define HEADERS_IPV4 52   /* IPv4 20, TCP 20, time stamps 12 */

struct counter {
    const char *group, *name;
    bool problem; /* while it rises */
    const char *meaning, *remedy;
};

static const struct counter counters[] = {
    {"TcpExt", "ListenOverflows", true, "handshakes met a full accept queue",
     "The server calls accept() too slowly, or its backlog is too short: ss -ltn shows the queue "
     "(Recv-Q) and its limit (Send-Q)."},
    {"TcpExt", "ListenDrops", true,
     "SYNs or handshakes were dropped at a listener: a full queue, or no memory",
     "As for ListenOverflows; if that stays 0, the SYN queue was full, or memory was short."},
    {"TcpExt", "TCPReqQFullDrop", true,
     "SYNs were dropped because a listener had too many half-open connections",
     "sysctl -w net.ipv4.tcp_syncookies=1 and a larger backlog; it may be a SYN flood."},
    {"TcpExt", "TCPReqQFullDoCookies", false,
     "SYNs were answered with cookies because a listener had too many half-open connections",
     "A larger backlog in the server; it may be a SYN flood."},
    {"TcpExt", "TCPBacklogDrop", true,
     "segments were dropped because the application kept its socket busy",
     "Larger receive buffers, or fewer system calls on one socket."},
    {"TcpExt", "TCPRcvQDrop", true, "segments were dropped because receive memory ran out",
     "The application reads too slowly, or net.ipv4.tcp_mem is too small."},
    {"TcpExt", "TCPOFODrop", true, "out-of-order segments were dropped because there was no room",
     "A larger net.ipv4.tcp_rmem."},
    {"TcpExt", "PruneCalled", false, "receive buffers were full and had to be compacted",
     "The application reads too slowly, or net.ipv4.tcp_rmem is too small."},
    {"TcpExt", "TCPMemoryPressures", true, "TCP came near the end of its memory",
     "A larger net.ipv4.tcp_mem, or smaller buffers."},
    {"TcpExt", "TCPAbortOnMemory", true,
     "orphaned connections were reset because memory ran out or there were too many",
     "net.ipv4.tcp_max_orphans and net.ipv4.tcp_mem; peers that vanish without a FIN."},
    {"TcpExt", "TCPTimeWaitOverflow", true, "connections skipped TIME-WAIT because it was full",
     "A larger net.ipv4.tcp_max_tw_buckets, or connections that are reused."},
    {"TcpExt", "TCPWqueueTooBig", true, "a send queue of too many small segments was refused",
     "A larger SO_SNDBUF, or larger writes."},
    {"TcpExt", "IPReversePathFilter", false,
     "packets were dropped because replies would leave by another interface",
     "On a host with several uplinks: sysctl -w net.ipv4.conf.all.rp_filter=2"},
    {"Tcp", "InCsumErrors", false, "segments with a wrong checksum arrived",
     "A bad device, cable or tunnel; or a program that injects segments."},
};

static bool find(const struct machine_counters *texts, const struct counter *counter, uint64_t *out)
{
    const char *text = strcmp(counter->group, "Tcp") ? texts->netstat : texts->snmp;
    return text && counters_find(text, counter->group, counter->name, out);
}

/* What names a rise: the difference between the two readings. */
static uint64_t rise(const struct machine *machine, const struct counter *counter, uint64_t before)
{
    uint64_t after;
    return find(&machine->after, counter, &after) && after > before ? after - before : 0;
}

static const char *since(struct arena *arena, const struct machine *machine)
{
    return machine->uptime_ns > 0 ? arena_printf(arena, " (in at most %s)",
                                                 machine_duration(arena, machine->uptime_ns))
                                  : "";
}

static void examine_counter(const struct machine *machine, const struct counter *counter,
                            struct report *report)
{
    struct machine_line line = machine_line_begin(report);
    uint64_t count, risen;

    if (!find(&machine->before, counter, &count))
        return;
    risen = rise(machine, counter, count);
    line.value = arena_printf(&report->arena, "%" PRIu64, count + risen);
    line.source = strcmp(counter->group, "Tcp") ? "/proc/net/netstat" : "/proc/net/snmp";
    line.meaning = counter->meaning;
    if (risen) {
        line.meaning = arena_printf(&report->arena, "%s, %" PRIu64 " of them just now",
                                    counter->meaning, risen);
        line.health = counter->problem ? RESULT_HEALTH_PROBLEM : RESULT_HEALTH_NOTE;
    } else if (count) {
        line.meaning =
            arena_printf(&report->arena, "%s%s", counter->meaning, since(&report->arena, machine));
        line.health = RESULT_HEALTH_NOTE;
    } else {
        line.meaning = arena_printf(&report->arena, "never: %s", counter->meaning);
        line.detail = true;
    }
    line.remedy = line.health == RESULT_HEALTH_OK ? NULL : counter->remedy;
    machine_line_end(report, COUNTERS, counter->name, &line);
}

static void examine_retransmissions(const struct machine *machine, struct report *report)
{
    static const struct counter again = {.group = "Tcp", .name = "RetransSegs"};
    static const struct counter all = {.group = "Tcp", .name = "OutSegs"};
    struct machine_line line = machine_line_begin(report);
    uint64_t retransmitted, sent;

    if (!find(&machine->before, &again, &retransmitted) || !find(&machine->before, &all, &sent))
        return;
    double share = sent ? 100.0 * (double)retransmitted / (double)sent : 0;
    line.value = arena_printf(&report->arena, "%" PRIu64, retransmitted);
    line.source = "/proc/net/snmp";
    line.meaning = arena_printf(&report->arena, "%.2g %% of %" PRIu64 " segments were sent again%s",
                                share, sent, since(&report->arena, machine));
    if (sent > RETRANSMIT_SEGMENTS && share > 100 * RETRANSMIT_SHARE) {
        line.health = RESULT_HEALTH_NOTE;
        line.remedy = "Segments are lost, or connections to dead hosts are still open: see netkit "
                      "tcp-probe for one service, ss -ti for one connection.";
    }
    machine_line_end(report, COUNTERS, again.name, &line);
}

void machine_examine_counters(const struct machine *machine, struct report *report)
{
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
        examine_counter(machine, &counters[i], report);
    examine_retransmissions(machine, report);
}

/* ---- interfaces ---- */

/* "segmentation (TSO, GSO), coalescing (GRO)" */
static const char *offloads_of(struct arena *arena, const struct machine_interface *interface)
{
    const struct {
        int state;
        const char *name;
    } offloads[] = {{interface->tso, "TSO"}, {interface->gso, "GSO"}, {interface->gro, "GRO"}};
    const char *list = "";

    for (size_t i = 0; i < ARRAY_SIZE(offloads); i++)
        if (offloads[i].state > 0)
            list = arena_printf(arena, "%s%s%s", list, *list ? ", " : "", offloads[i].name);
    return list;
}

static void examine_interface(const struct machine_interface *interface, struct report *report)
{
    struct arena *arena = &report->arena;
    struct machine_line line = machine_line_begin(report);
    const char *offloads = offloads_of(arena, interface);

    line.source = "SIOCGIFMTU, SIOCETHTOOL";
    line.value = arena_printf(arena, "MTU %" PRId64, interface->mtu_bytes);
    line.meaning =
        arena_printf(arena, "segments of up to %" PRId64 " bytes over IPv4%s%s%s",
                     interface->mtu_bytes - HEADERS_IPV4,
                     interface->loopback ? ": on loopback nearly every write is a small one" : "",
                     *offloads ? arena_printf(arena, "; %s on", offloads) : "",
                     *offloads && !interface->loopback ? ": a capture here shows larger ones" : "");
    if (interface->mtu_bytes < MTU_OF_IPV6) {
        line.health = RESULT_HEALTH_NOTE;
        line.remedy = "IPv6 does not work below an MTU of 1280.";
    } else if (!interface->software_transmit) {
        line.health = RESULT_HEALTH_NOTE;
        line.remedy = "The driver gives no software transmit stamps: tcp-probe can't tell time in "
                      "the device's queue from time on the network.";
    }
    machine_line_end(report, INTERFACES, arena_copy(arena, interface->name), &line);
}

void machine_examine_interfaces(const struct machine *machine, struct report *report)
{
    struct machine_line line = machine_line_begin(report);

    for (size_t i = 0; i < machine->interface_count; i++)
        examine_interface(&machine->interfaces[i], report);
    if (!machine->interfaces_left_out)
        return;
    line.value = arena_printf(&report->arena, "%zu", machine->interfaces_left_out);
    line.meaning = "more interfaces are up, but not listed";
    machine_line_end(report, INTERFACES, "more interfaces", &line);
}
