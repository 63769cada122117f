#include "probe/local_ports.h"

#include "probe/connect_try.h"
#include <inttypes.h>
#include <stdio.h>

struct count {
    struct local_ports *ports;
    uint8_t seen[65536 / 8];
};

static int count_port(void *context, const struct sock_diag_entry *entry)
{
    struct count *count = context;
    uint16_t port = sock_address_port(&entry->local);
    uint8_t bit = (uint8_t)(1u << port % 8);

    if (port < count->ports->first || port > count->ports->last || count->seen[port / 8] & bit)
        return 0;
    count->seen[port / 8] |= bit;
    count->ports->taken++;
    return 0;
}

/* A bound port (bind(2) without IP_BIND_ADDRESS_NO_PORT) is taken whatever the destination. */
void local_ports_read(struct local_ports *ports, const struct sock_address *to,
                      const struct sock_address *source)
{
    const struct sock_diag_filter filter = {.family = sock_family(to),
                                            .remote = source ? NULL : to};
    struct count count = {.ports = ports};
    struct sock_diag *diag;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

    *ports = (struct local_ports){0};
    if (!file)
        return;
    if (fscanf(file, "%" SCNu32 " %" SCNu32, &ports->first, &ports->last) != 2)
        *ports = (struct local_ports){0};
    fclose(file);
    if (!ports->last || sock_diag_open(&diag, NULL))
        return;
    sock_diag_list(diag, &filter, count_port, &count, NULL);
    sock_diag_close(diag);
}

const char *local_ports_describe(struct arena *arena, const struct local_ports *ports,
                                 const struct sock_address *source)
{
    uint32_t all = ports->last - ports->first + 1;
    char text[SOCK_ADDRESS_TEXT_MAX];
    const char *use = ports->last
                          ? arena_printf(arena,
                                         "%" PRIu32 " of the %" PRIu32 " local ports (%" PRIu32
                                         "-%" PRIu32 ", net.ipv4.ip_local_port_range) are in use%s",
                                         ports->taken, all, ports->first, ports->last,
                                         source ? "" : " towards it")
                          : NULL;

    if (use && ports->taken >= all)
        return arena_printf(arena, "no local port is left: %s", use);
    if (source)
        return arena_printf(arena, "%s (--source) is no address of this host that can reach it",
                            connect_try_host_text(text, source));
    return arena_printf(arena, "this host has no address or port to connect from%s%s",
                        use ? "; " : "", use ? use : "");
}
