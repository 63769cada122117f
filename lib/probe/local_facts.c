#include "probe/local_facts.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "probe/connect_try.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SERVERS_SHOWN 3 /* as many as the resolver asks (resolv.conf(5)) */

/* ---- ports ---- */

struct count {
    struct local_facts *facts;
    uint8_t seen[65536 / 8];
};

static int count_port(void *context, const struct sock_diag_entry *entry)
{
    struct count *count = context;
    uint16_t port = sock_address_port(&entry->local);
    uint8_t bit = (uint8_t)(1u << port % 8);

    if (port < count->facts->port_first || port > count->facts->port_last ||
        count->seen[port / 8] & bit)
        return 0;
    count->seen[port / 8] |= bit;
    count->facts->ports_taken++;
    return 0;
}

/* A bound port (bind(2) without IP_BIND_ADDRESS_NO_PORT) is taken whatever the destination. */
static void read_ports(struct local_facts *facts, const struct sock_address *to,
                       const struct sock_address *source)
{
    const struct sock_diag_filter filter = {.family = sock_family(to),
                                            .remote = source ? NULL : to};
    cleanup(file) FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    struct count count = {.facts = facts};
    struct sock_diag *diag;

    if (!file)
        return;
    if (fscanf(file, "%" SCNu32 " %" SCNu32, &facts->port_first, &facts->port_last) != 2)
        facts->port_first = facts->port_last = 0;
    if (!facts->port_last || sock_diag_open(&diag, NULL))
        return;
    sock_diag_list(diag, &filter, count_port, &count, NULL);
    sock_diag_close(diag);
}

/* ---- IPv6 ---- */

static bool is_loopback(const struct sock_address *to)
{
    return sock_family(to) == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&to->v6.sin6_addr)
                                       : ntohl(to->v4.sin_addr.s_addr) >> 24 == 127;
}

/* 1: switched off, 0: on, -1: not known. */
static int is_off(const char *interface)
{
    char path[128];
    int off = -1;

    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", interface);
    cleanup(file) FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%d", &off) != 1)
        off = -1;
    return off;
}

static void note_off(struct local_facts *facts, const char *interface)
{
    snprintf(facts->ipv6_off, sizeof facts->ipv6_off, "net.ipv6.conf.%s.disable_ipv6", interface);
}

/* On every interface that leads anywhere; where there is none but lo, on that. */
static void look_at_all(struct local_facts *facts)
{
    DIR *directory = opendir("/proc/sys/net/ipv6/conf");
    const struct dirent *entry;
    bool any = false, off = true;
    char last[IF_NAMESIZE] = "lo";

    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        const char *name = entry->d_name;
        if (name[0] == '.' || !strcmp(name, "all") || !strcmp(name, "default") ||
            !strcmp(name, "lo") || is_off(name) < 0)
            continue;
        any = true;
        off &= is_off(name) == 1;
        snprintf(last, sizeof last, "%s", name);
    }
    closedir(directory);
    if (any ? off : is_off("lo") == 1)
        note_off(facts, is_off("all") == 1 ? "all" : last);
}

static void read_ipv6(struct local_facts *facts, const struct sock_address *to)
{
    char name[IF_NAMESIZE];

    facts->v6 = true;
    facts->no_ipv6 = access("/proc/net/if_inet6", F_OK) && !access("/proc/net/tcp", F_OK);
    facts->without_scope = IN6_IS_ADDR_LINKLOCAL(&to->v6.sin6_addr) && !to->v6.sin6_scope_id;
    if (is_loopback(to)) {
        if (is_off("lo") == 1)
            note_off(facts, is_off("all") == 1 ? "all" : "lo");
    } else if (to->v6.sin6_scope_id && if_indextoname(to->v6.sin6_scope_id, name)) {
        if (is_off(name) == 1)
            note_off(facts, name);
    } else {
        look_at_all(facts);
    }
}

static bool loopback_is_down(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool down = fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &request) && !(request.ifr_flags & IFF_UP);

    if (fd >= 0)
        close(fd);
    return down;
}

void local_facts_read(struct local_facts *facts, int number, const struct sock_address *to,
                      const struct sock_address *source)
{
    *facts = (struct local_facts){0};
    if (sock_family(to) == AF_INET6)
        read_ipv6(facts, to);
    facts->loopback_down = is_loopback(to) && loopback_is_down();
    if (source) {
        char text[SOCK_ADDRESS_TEXT_MAX];
        snprintf(facts->source, sizeof facts->source, "%s", connect_try_host_text(text, source));
        facts->source_other_family = sock_family(source) != sock_family(to);
    }
    if (number == EADDRNOTAVAIL || number == EADDRINUSE)
        read_ports(facts, to, source);
}

/* ---- names ---- */

const char *local_facts_name_servers(struct arena *arena)
{
    cleanup(file) FILE *file = fopen("/etc/resolv.conf", "re");
    cleanup(buf) struct buf list = {0};
    char line[256], server[128];
    int count = 0;

    while (file && count < SERVERS_SHOWN && fgets(line, sizeof line, file)) {
        if (sscanf(line, " nameserver %127s", server) != 1)
            continue;
        buf_add_str(&list, count++ ? ", " : "");
        text_escape(&list, server, strlen(server));
    }
    return list.failed ? "" : arena_copy(arena, buf_str(&list));
}
