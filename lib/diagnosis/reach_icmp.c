/* ICMP and ICMPv6 errors by name. RFC 792, RFC 1812 section 5.2.7, RFC 4443 section 3. */
#include "diagnosis/reach.h"

#include "base/cleanup.h"

#define ANY_CODE 255 /* no code that a message about a SYN can have */

static const struct {
    bool v6;
    uint8_t type, code;
    enum reach_icmp_kind kind;
    const char *name;
} messages[] = {
    {false, 3, 0, REACH_ICMP_NO_ROUTE, "net-unreachable"},
    {false, 3, 1, REACH_ICMP_NO_HOST, "host-unreachable"},
    {false, 3, 2, REACH_ICMP_PROHIBITED, "protocol-unreachable"},
    {false, 3, 3, REACH_ICMP_PROHIBITED, "port-unreachable"},
    {false, 3, 5, REACH_ICMP_NO_ROUTE, "source-route-failed"},
    {false, 3, 6, REACH_ICMP_NO_ROUTE, "net-unknown"},
    {false, 3, 7, REACH_ICMP_NO_HOST, "host-unknown"},
    {false, 3, 8, REACH_ICMP_NO_HOST, "host-isolated"},
    {false, 3, 9, REACH_ICMP_PROHIBITED, "net-prohibited"},
    {false, 3, 10, REACH_ICMP_PROHIBITED, "host-prohibited"},
    {false, 3, 11, REACH_ICMP_NO_ROUTE, "net-unreachable-for-tos"},
    {false, 3, 12, REACH_ICMP_NO_HOST, "host-unreachable-for-tos"},
    {false, 3, 13, REACH_ICMP_PROHIBITED, "admin-prohibited"},
    {false, 3, 14, REACH_ICMP_PROHIBITED, "precedence-violation"},
    {false, 3, 15, REACH_ICMP_PROHIBITED, "precedence-cutoff"},
    {false, 11, 0, REACH_ICMP_TTL, "ttl-exceeded"},
    {false, 11, ANY_CODE, REACH_ICMP_OTHER, "reassembly-time-exceeded"},
    {false, 12, ANY_CODE, REACH_ICMP_OTHER, "parameter-problem"},
    {true, 1, 0, REACH_ICMP_NO_ROUTE, "no-route"},
    {true, 1, 1, REACH_ICMP_PROHIBITED, "admin-prohibited"},
    {true, 1, 2, REACH_ICMP_NO_ROUTE, "beyond-scope"},
    {true, 1, 3, REACH_ICMP_NO_HOST, "address-unreachable"},
    {true, 1, 4, REACH_ICMP_PROHIBITED, "port-unreachable"},
    {true, 1, 5, REACH_ICMP_PROHIBITED, "source-policy-failed"},
    {true, 1, 6, REACH_ICMP_PROHIBITED, "reject-route"},
    {true, 3, 0, REACH_ICMP_TTL, "hop-limit-exceeded"},
    {true, 3, ANY_CODE, REACH_ICMP_OTHER, "reassembly-time-exceeded"},
    {true, 4, ANY_CODE, REACH_ICMP_OTHER, "parameter-problem"},
};

static size_t find(const struct reach_icmp *icmp)
{
    size_t i = 0;

    while (i < ARRAY_SIZE(messages) &&
           (messages[i].v6 != icmp->v6 || messages[i].type != icmp->type ||
            (messages[i].code != icmp->code && messages[i].code != ANY_CODE)))
        i++;
    return i;
}

enum reach_icmp_kind reach_icmp_kind(const struct reach_icmp *icmp)
{
    size_t i = find(icmp);
    return i < ARRAY_SIZE(messages) ? messages[i].kind : REACH_ICMP_OTHER;
}

const char *reach_icmp_name(const struct reach_icmp *icmp)
{
    size_t i = find(icmp);
    return i < ARRAY_SIZE(messages) ? messages[i].name : "unknown";
}

const struct result_icmp *reach_icmp_result(struct arena *arena, const struct reach_icmp *icmp)
{
    struct result_icmp *result = arena_alloc(arena, sizeof *result);

    if (result)
        *result = (struct result_icmp){.from = arena_copy(arena, icmp->from),
                                       .name = reach_icmp_name(icmp),
                                       .type = icmp->type,
                                       .code = icmp->code,
                                       .ours = icmp->ours};
    return result;
}
