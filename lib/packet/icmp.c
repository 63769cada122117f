#include "packet/icmp.h"

#include <string.h>

static const struct icmp_name names[] = {
    {"host-unreachable", "address-unreachable", "host unreachable", 3, 1, 1, 3, true},
    {"net-unreachable", "no-route", "network unreachable", 3, 0, 1, 0, true},
    {"port-unreachable", NULL, "port unreachable", 3, 3, 1, 4, true},
    {"proto-unreachable", "protocol-unreachable", "protocol unreachable", 3, 2, 4, 1, true},
    {"admin-prohibited", NULL, "communication prohibited by a filter", 3, 13, 1, 1, true},
    {"net-prohibited", NULL, "network prohibited by a filter", 3, 9, -1, -1, true},
    {"host-prohibited", NULL, "host prohibited by a filter", 3, 10, -1, -1, true},
    {"policy-failed", NULL, "source address failed the policy", -1, -1, 1, 5, true},
    {"reject-route", NULL, "reject route to the destination", -1, -1, 1, 6, true},
    {"beyond-scope", NULL, "beyond the scope of the source address", -1, -1, 1, 2, true},
    {"frag-needed", "packet-too-big", "packet too big for the next link", 3, 4, 2, 0, true},
    {"source-route-failed", NULL, "source route failed", 3, 5, -1, -1, true},
    {"net-unknown", NULL, "network unknown", 3, 6, -1, -1, true},
    {"host-unknown", NULL, "host unknown", 3, 7, -1, -1, true},
    {"ttl-exceeded", "hop-limit-exceeded", "hop limit exceeded on the way", 11, 0, 3, 0, true},
    {"reassembly-timeout", NULL, "fragments did not all arrive", 11, 1, 3, 1, true},
    {"parameter-problem", NULL, "bad field in the IP header", 12, 0, 4, 0, true},
    {"unknown-option", NULL, "unknown IPv6 option", -1, -1, 4, 2, true},
    {"source-quench", NULL, "source quench (obsolete, RFC 6633)", 4, 0, -1, -1, true},
    {"echo-request", NULL, "echo request", 8, 0, 128, 0, false},
    {"echo-reply", NULL, "echo reply", 0, 0, 129, 0, false},
};

#define NAME_COUNT (sizeof names / sizeof *names)

const struct icmp_name *icmp_names(size_t *count)
{
    *count = NAME_COUNT;
    return names;
}

const struct icmp_name *icmp_by_name(const char *name)
{
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (!strcmp(names[i].name, name) || (names[i].alias && !strcmp(names[i].alias, name)))
            return &names[i];
    return NULL;
}

const struct icmp_name *icmp_by_type(uint8_t family, uint8_t type, uint8_t code)
{
    for (size_t i = 0; i < NAME_COUNT; i++) {
        const struct icmp_name *row = &names[i];
        if (family == 4 ? row->v4_type == type && row->v4_code == code
                        : row->v6_type == type && row->v6_code == code)
            return row;
    }
    return NULL;
}
