#include "diagnosis/failure.h"

#include "base/cleanup.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define HERE   RESULT_SIDE_CLIENT
#define NO_SYN ": no SYN left"
#define BACKEND                                                                                    \
    "Something accepted the connection and has no backend (docker-proxy, a balancer, ssh -L), or " \
    "it turns this client away (an access list, a limit of connections). Does the service behind " \
    "it run (ss -ltn where it should be), and what does the log of what accepts say?"

static const struct failure_entry entries[FAILURE_CAUSES] = {
    [FAILURE_NOT_KNOWN] = {"not-known", FINDING_NONE, RESULT_SIDE_NONE, NULL, NULL},
    [FAILURE_NO_ROUTE] = {"no-route", FINDING_NETWORK_UNREACHABLE, HERE,
                          "this host has no route to it" NO_SYN,
                          "ip route get ADDRESS; for IPv6, whether there is a global address and a "
                          "default route."},
    [FAILURE_ROUTE_UNREACHABLE] = {"route-unreachable", FINDING_NETWORK_UNREACHABLE, HERE,
                                   "this host's routing table says 'unreachable' for it" NO_SYN,
                                   "ip route show type unreachable; ip -6 route show type "
                                   "unreachable"},
    [FAILURE_ROUTE_BLACKHOLE] = {"route-blackhole", FINDING_NETWORK_UNREACHABLE, HERE,
                                 "this host's routing table says 'blackhole' for it" NO_SYN,
                                 "ip route show type blackhole; ip -6 route show type blackhole"},
    [FAILURE_NO_SCOPE] = {"no-scope", FINDING_NETWORK_UNREACHABLE, HERE,
                          "a link-local address needs the interface that it is reached by" NO_SYN,
                          "Write the address with its interface: fe80::1%eth0."},
    [FAILURE_ROUTE_PROHIBITED] =
        {"route-prohibited", FINDING_NOT_PERMITTED, HERE,
         "this host does not allow it, by a 'prohibit' route or a security "
         "policy" NO_SYN,
         "ip route show type prohibit; the policy's log (AppArmor, "
         "SELinux, Landlock)."},
    [FAILURE_NOT_PERMITTED] = {"not-permitted", FINDING_NOT_PERMITTED, HERE,
                               "this host does not allow it, by a firewall rule, a filter on the "
                               "process's control group, or a security policy" NO_SYN,
                               "nft list ruleset; systemctl show -p IPAddressDeny UNIT; the "
                               "policy's log."},
    [FAILURE_LOOPBACK_DOWN] = {"loopback-down", FINDING_NETWORK_UNREACHABLE, HERE,
                               "the interface lo of this host is down" NO_SYN,
                               "ip link set lo up (in a new network namespace it is down)."},
    [FAILURE_NO_PORT] = {"no-port", FINDING_NO_LOCAL_ADDRESS, HERE, NULL,
                         "ss -tan dst ADDRESS (many in TIME-WAIT?); net.ipv4.ip_local_port_range"},
    [FAILURE_NO_ADDRESS] = {"no-address", FINDING_NO_LOCAL_ADDRESS, HERE,
                            "this host has no address or port to connect from" NO_SYN, NULL},
    [FAILURE_SOURCE] = {"source-address", FINDING_NO_LOCAL_ADDRESS, HERE, NULL,
                        "Give --source an address that ip address shows, of the target's family."},
    [FAILURE_IPV6_OFF] = {"ipv6-off", FINDING_NO_LOCAL_ADDRESS, HERE, NULL,
                          "Set it to 0 with sysctl -w (and look in /etc/sysctl.d), or use IPv4: "
                          "-4."},
    [FAILURE_NO_IPV6] =
        {"no-ipv6", FINDING_NO_LOCAL_ADDRESS, HERE,
         "the kernel of this host has no IPv6 (ipv6.disable=1, or not built in)" NO_SYN,
         "Take ipv6.disable=1 from the kernel's command line (/proc/cmdline, "
         "/etc/modprobe.d), or use IPv4: -4."},
    [FAILURE_FAMILY_FORBIDDEN] =
        {"family-forbidden", FINDING_NOT_PERMITTED, HERE,
         "this process may not open a socket of that address family" NO_SYN,
         "systemctl show -p RestrictAddressFamilies UNIT; the seccomp "
         "profile of the container."},
    [FAILURE_NO_SOCKET] =
        {"no-socket", FINDING_NOT_PERMITTED, HERE,
         "this process may not open a socket for it, by a seccomp filter or a security "
         "policy" NO_SYN,
         "The seccomp profile of the container; systemctl show -p SystemCallFilter UNIT; the "
         "policy's log (AppArmor, SELinux)."},
    [FAILURE_SOCKET_SETTINGS] = {"socket-settings", FINDING_INCONCLUSIVE, HERE, NULL,
                                 "Check --interface, --socket-option, --source and the "
                                 "privileges that they need."},
    [FAILURE_NO_DESCRIPTOR] = {"no-descriptor", FINDING_MACHINE_REFUSES, HERE,
                               "this process may not open another descriptor",
                               "Raise the limit (ulimit -n, LimitNOFILE= of a unit), or take a "
                               "smaller --parallel."},
    [FAILURE_NO_FILE] = {"no-file", FINDING_MACHINE_REFUSES, HERE,
                         "no process of this host can open another descriptor",
                         "sysctl fs.file-nr fs.file-max; lsof shows who holds them."},
    [FAILURE_NO_MEMORY] = {"no-memory", FINDING_MACHINE_REFUSES, HERE,
                           "this host gives no memory for it",
                           "free -m; memory.max of the control group; ulimit -v; sysctl "
                           "net.ipv4.tcp_mem, against /proc/net/sockstat."},
    [FAILURE_NO_THREAD] =
        {"no-thread", FINDING_MACHINE_REFUSES, HERE,
         "this host lets no thread be started to look the name up",
         "ulimit -u; ulimit -v; TasksMax= of the unit; pids.max of the control group; or "
         "give the address instead of the name."},
    [FAILURE_NO_NAME] = {"no-name", FINDING_NAME_NOT_FOUND, HERE, NULL, NULL},
    [FAILURE_NO_NAME_SERVER] = {"no-name-server", FINDING_NAME_NOT_FOUND, HERE, NULL,
                                "Name a server in /etc/resolv.conf, or give the address."},
    [FAILURE_NAME_SERVER_SILENT] =
        {"name-server-silent", FINDING_NAME_NOT_FOUND, RESULT_SIDE_NONE, NULL,
         "The name may be right: no server said so or otherwise. Is the "
         "server right and up, and can it be reached (dig @SERVER NAME)?"},
    [FAILURE_TLS_WANTED] = {"tls-wanted", FINDING_NO_RESPONSE, HERE, NULL,
                            "Use --tls, or the port of the plain protocol."},
    [FAILURE_ENDS_UNASKED] = {"ends-unasked", FINDING_NONE, RESULT_SIDE_SERVER, NULL, BACKEND},
    [FAILURE_RESET_ON_REQUEST] = {"reset-on-request", FINDING_NONE, RESULT_SIDE_SERVER, NULL,
                                  "A server that closes before it has read all of a request sends "
                                  "RST, and so do SO_LINGER 0 and a crash. Is it the right "
                                  "protocol for this port (--preset, --send)? What does the "
                                  "server's log say of that moment?"},
    [FAILURE_CLOSED_ON_REQUEST] = {"closed-on-request", FINDING_NONE, RESULT_SIDE_SERVER, NULL,
                                   "Is it the right protocol for this port (--preset, --send)? "
                                   "What does the server's log say of that moment?"},
    [FAILURE_ANSWER_CUT_OFF] = {"answer-cut-off", FINDING_NONE, RESULT_SIDE_SERVER, NULL,
                                "A server that closes with SO_LINGER 0, or before it has read all "
                                "that was sent, destroys what is still on its way: it should read "
                                "to the end, or shutdown() and wait. Or it crashed: its log says."},
    [FAILURE_OPTIONS] =
        {"options", FINDING_NONE, HERE, NULL,
         "Give what the message names, or leave out what the server does not have."},
};

const struct failure_entry *failure_entry(enum failure_cause cause)
{
    return &entries[cause < FAILURE_CAUSES ? cause : FAILURE_NOT_KNOWN];
}

enum failure_cause failure_by_name(const char *name)
{
    for (size_t i = 0; i < FAILURE_CAUSES && name; i++)
        if (!strcmp(entries[i].name, name))
            return (enum failure_cause)i;
    return FAILURE_NOT_KNOWN;
}

/* ---- what our own kernel refuses ---- */

static const char *ports_in_use(struct arena *arena, const struct local_facts *facts)
{
    return arena_printf(arena,
                        "%" PRIu32 " of the %" PRIu32 " local ports (%" PRIu32 "-%" PRIu32
                        ", net.ipv4.ip_local_port_range) are in use%s",
                        facts->ports_taken, facts->port_last - facts->port_first + 1,
                        facts->port_first, facts->port_last, facts->source[0] ? "" : " towards it");
}

static const char *describe(struct arena *arena, enum failure_cause cause,
                            const struct local_facts *facts)
{
    if (cause == FAILURE_NO_PORT)
        return arena_printf(arena, "no local port is left to send a SYN from: %s",
                            ports_in_use(arena, facts));
    if (cause == FAILURE_NO_ADDRESS && facts->port_last)
        return arena_printf(arena, "this host has no address or port to connect from" NO_SYN "; %s",
                            ports_in_use(arena, facts));
    if (cause == FAILURE_SOURCE && facts->source_other_family)
        return arena_printf(arena,
                            "%s (--source) and the target are not of one address family" NO_SYN,
                            facts->source);
    if (cause == FAILURE_SOURCE)
        return arena_printf(arena,
                            "%s (--source) is no address of this host that can reach it" NO_SYN,
                            facts->source);
    if (cause == FAILURE_IPV6_OFF)
        return arena_printf(arena, "IPv6 is switched off on this host (%s is 1)" NO_SYN,
                            facts->ipv6_off);
    return entries[cause].clause;
}

/* IPv6 that is switched off is found out as the lack of an address, or of a route. */
static enum failure_cause without_address(const struct local_facts *facts)
{
    uint32_t all = facts->port_last - facts->port_first + 1;

    if (facts->source_other_family)
        return FAILURE_SOURCE;
    if (facts->port_last && facts->ports_taken >= all)
        return FAILURE_NO_PORT;
    if (facts->ipv6_off[0])
        return FAILURE_IPV6_OFF;
    if (facts->loopback_down)
        return FAILURE_LOOPBACK_DOWN;
    return facts->source[0] ? FAILURE_SOURCE : FAILURE_NO_ADDRESS;
}

static enum failure_cause without_route(const struct local_facts *facts)
{
    if (facts->ipv6_off[0])
        return FAILURE_IPV6_OFF;
    return facts->loopback_down ? FAILURE_LOOPBACK_DOWN : FAILURE_NO_ROUTE;
}

enum failure_cause failure_of_shortage(int number)
{
    switch (number) {
    case EMFILE:
        return FAILURE_NO_DESCRIPTOR;
    case ENFILE:
        return FAILURE_NO_FILE;
    case ENOMEM:
    case ENOBUFS:
        return FAILURE_NO_MEMORY;
    default:
        return FAILURE_NOT_KNOWN;
    }
}

static enum failure_cause cause_of(int number, const struct local_facts *facts)
{
    switch (number) {
    case ENETUNREACH:
        return without_route(facts);
    case EHOSTUNREACH:
        return FAILURE_ROUTE_UNREACHABLE;
    case EINVAL:
        return facts->without_scope ? FAILURE_NO_SCOPE : FAILURE_ROUTE_BLACKHOLE;
    case EACCES:
        return facts->without_socket ? FAILURE_NO_SOCKET : FAILURE_ROUTE_PROHIBITED;
    case EPERM:
        return facts->without_socket ? FAILURE_NO_SOCKET : FAILURE_NOT_PERMITTED;
    case EADDRNOTAVAIL:
        return without_address(facts);
    case EADDRINUSE:
        return facts->source[0] && !facts->port_last ? FAILURE_NO_ADDRESS : FAILURE_NO_PORT;
    case EAFNOSUPPORT:
        return facts->v6 && facts->no_ipv6 ? FAILURE_NO_IPV6 : FAILURE_FAMILY_FORBIDDEN;
    default:
        return failure_of_shortage(number);
    }
}

enum failure_cause failure_of_refusal(struct arena *arena, int number,
                                      const struct local_facts *facts, const char **clause)
{
    enum failure_cause cause = cause_of(number, facts);

    if (cause == FAILURE_NO_PORT && !facts->port_last)
        cause = FAILURE_NO_ADDRESS;
    *clause = describe(arena, cause, facts);
    return cause;
}

enum failure_cause failure_of_name(int number, const char *servers)
{
    if (failure_of_shortage(number) != FAILURE_NOT_KNOWN)
        return failure_of_shortage(number);
    if (number != EAGAIN)
        return FAILURE_NO_NAME;
    return *servers ? FAILURE_NAME_SERVER_SILENT : FAILURE_NO_NAME_SERVER;
}

bool failure_is_local(const struct result_error *error)
{
    if (failure_by_name(error->cause) == FAILURE_SOCKET_SETTINGS)
        return true;
    return error->code == FINDING_NO_LOCAL_ADDRESS || error->code == FINDING_NOT_PERMITTED ||
           error->code == FINDING_MACHINE_REFUSES ||
           failure_of_shortage(error->number) != FAILURE_NOT_KNOWN;
}

void failure_blame(struct arena *arena, struct finding *finding, enum failure_cause cause)
{
    const struct failure_entry *entry = failure_entry(cause);

    if (cause == FAILURE_NOT_KNOWN)
        return;
    finding->side = entry->side;
    if (entry->remedy)
        finding->remedy = entry->remedy;
    result_set_text(arena, &finding->evidence, "cause", entry->name);
}

const char *failure_sentence(struct arena *arena, const char *clause)
{
    return clause ? arena_printf(arena, "%c%s.", toupper((unsigned char)*clause), clause + 1)
                  : NULL;
}
