#include "probe/route.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include "probe/connect_try.h"
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

struct route_table {
    struct mnl_socket *netlink;
    uint32_t sequence;
    char answer[8192];
};

int route_open(struct route_table **out, struct error *error)
{
    struct route_table *table = shortage_calloc(1, sizeof *table);

    if (!table)
        return error_sys(error, ENOMEM, "routes");
    table->netlink = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (!table->netlink || mnl_socket_bind(table->netlink, 0, MNL_SOCKET_AUTOPID)) {
        int code = errno;
        route_close(table);
        return error_sys(error, code, "routes: netlink");
    }
    *out = table;
    return 0;
}

void route_close(struct route_table *table)
{
    if (!table)
        return;
    if (table->netlink)
        mnl_socket_close(table->netlink);
    free(table);
}

/* One question, one answer. */
static int route_request(struct route_table *table, struct nlmsghdr *request, mnl_cb_t each,
                         void *context)
{
    ssize_t got;

    request->nlmsg_flags = NLM_F_REQUEST;
    request->nlmsg_seq = ++table->sequence;
    if (mnl_socket_sendto(table->netlink, request, request->nlmsg_len) < 0)
        return -errno;
    do
        got = mnl_socket_recvfrom(table->netlink, table->answer, sizeof table->answer);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    int rc = mnl_cb_run(table->answer, (size_t)got, request->nlmsg_seq,
                        mnl_socket_get_portid(table->netlink), each, context);
    return rc < 0 ? -errno : 0;
}

static void put_address(struct nlmsghdr *request, uint16_t type, const struct sock_address *address)
{
    if (sock_family(address) == AF_INET6)
        mnl_attr_put(request, type, sizeof address->v6.sin6_addr, &address->v6.sin6_addr);
    else
        mnl_attr_put(request, type, sizeof address->v4.sin_addr, &address->v4.sin_addr);
}

struct found {
    struct arena *arena;
    struct result_route *route;
};

/* An attribute's address as text; NULL when it is none. */
static const char *address_in(struct arena *arena, const struct nlattr *attribute)
{
    char text[INET6_ADDRSTRLEN];
    size_t length = mnl_attr_get_payload_len(attribute);
    int family = length == 4 ? AF_INET : length == 16 ? AF_INET6 : AF_UNSPEC;

    if (family == AF_UNSPEC ||
        !inet_ntop(family, mnl_attr_get_payload(attribute), text, sizeof text))
        return NULL;
    return arena_copy(arena, text);
}

static int take_route(const struct nlmsghdr *header, void *context)
{
    const struct rtmsg *message = mnl_nlmsg_get_payload(header);
    struct found *found = context;
    const struct nlattr *attribute;
    char name[IF_NAMESIZE];

    if (header->nlmsg_type != RTM_NEWROUTE)
        return MNL_CB_OK;
    found->route->local = message->rtm_type == RTN_LOCAL;
    mnl_attr_for_each(attribute, header, sizeof *message)
    {
        switch (mnl_attr_get_type(attribute)) {
        case RTA_GATEWAY:
            found->route->gateway = address_in(found->arena, attribute);
            break;
        case RTA_PREFSRC:
            found->route->source = address_in(found->arena, attribute);
            break;
        case RTA_OIF:
            if (mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0 &&
                if_indextoname(mnl_attr_get_u32(attribute), name))
                found->route->device = arena_copy(found->arena, name);
            break;
        }
    }
    return MNL_CB_OK;
}

int route_find(struct route_table *table, const struct sock_address *to, struct arena *arena,
               struct result_route *out)
{
    char buffer[256] __attribute__((aligned(8)));
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
    struct rtmsg *message = mnl_nlmsg_put_extra_header(request, sizeof *message);
    struct result_route route = {0};
    struct found found = {arena, &route};
    bool v6 = sock_family(to) == AF_INET6;

    request->nlmsg_type = RTM_GETROUTE;
    message->rtm_family = (unsigned char)sock_family(to);
    message->rtm_dst_len = v6 ? 128 : 32;
    put_address(request, RTA_DST, to);
    if (v6 && to->v6.sin6_scope_id)
        mnl_attr_put_u32(request, RTA_OIF, to->v6.sin6_scope_id);
    int rc = route_request(table, request, take_route, &found);
    if (!rc)
        *out = route;
    return rc;
}

static int take_state(const struct nlmsghdr *header, void *context)
{
    static const struct {
        uint16_t state;
        const char *name;
    } states[] = {{NUD_INCOMPLETE, "INCOMPLETE"}, {NUD_REACHABLE, "REACHABLE"},
                  {NUD_STALE, "STALE"},           {NUD_DELAY, "DELAY"},
                  {NUD_PROBE, "PROBE"},           {NUD_FAILED, "FAILED"},
                  {NUD_NOARP, "NOARP"},           {NUD_PERMANENT, "PERMANENT"}};
    const struct ndmsg *message = mnl_nlmsg_get_payload(header);
    const char **out = context;

    if (header->nlmsg_type != RTM_NEWNEIGH)
        return MNL_CB_OK;
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (message->ndm_state & states[i].state)
            *out = states[i].name;
    return MNL_CB_OK;
}

const char *route_neighbour(struct route_table *table, const struct sock_address *to,
                            const struct result_route *route)
{
    char buffer[256] __attribute__((aligned(8)));
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
    struct ndmsg *message = mnl_nlmsg_put_extra_header(request, sizeof *message);
    struct sock_address next = *to;
    const char *state = NULL;

    if (!route->device || route->local)
        return NULL;
    if (route->gateway && sock_address_literal(&next, route->gateway, 0))
        return NULL;
    request->nlmsg_type = RTM_GETNEIGH;
    message->ndm_family = (unsigned char)sock_family(&next);
    message->ndm_ifindex = (int)if_nametoindex(route->device);
    put_address(request, NDA_DST, &next);
    return route_request(table, request, take_state, &state) ? NULL : state;
}
