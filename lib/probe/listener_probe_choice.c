/* Which sockets a choice means, and the list of all listeners of the namespace.
 *
 * An address means the socket that a connection to it would reach: the one that is bound to it,
 * else the one on the wildcard address of its family, else an IPv6 wildcard that takes IPv4, too.
 * The rules that come of it are addresses, so that a restarted server is found again. */
#include "probe/listener_probe_internal.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "probe/resolve.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

/* ---- all listeners ---- */

static int by_cookie(const void *a, const void *b)
{
    uint64_t x = ((const struct listener_known *)a)->cookie;
    uint64_t y = ((const struct listener_known *)b)->cookie;

    return (x > y) - (x < y);
}

static int note_listener(void *context, const struct sock_diag_entry *entry)
{
    struct listener_census *census = context;

    if (!(census->count & (census->count - 1))) {
        size_t room = census->count ? 2 * census->count : 1;
        struct listener_known *items = realloc(census->items, room * sizeof *items);
        if (!items)
            return -ENOMEM;
        census->items = items;
    }
    census->items[census->count++] = (struct listener_known){.local = entry->local,
                                                             .cookie = entry->cookie,
                                                             .drops = entry->drops,
                                                             .inode = entry->inode,
                                                             .has_drops = entry->has_drops,
                                                             .v6_only = entry->v6_only};
    return 0;
}

int listener_census_take(struct listener_census *out, struct sock_diag *diag, struct error *error)
{
    const struct sock_diag_filter filter = {.states = 1 << TCP_LISTEN, .want_drops = true};
    size_t kept = 0;

    *out = (struct listener_census){0};
    int rc = sock_diag_list(diag, &filter, note_listener, out, error);
    if (rc == -ENOMEM)
        error_sys(error, ENOMEM, "the list of listeners");
    if (rc)
        return rc;
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_cookie);
    for (size_t i = 0; i < out->count; i++) /* one can come twice in a walk */
        if (!kept || out->items[kept - 1].cookie != out->items[i].cookie)
            out->items[kept++] = out->items[i];
    out->count = kept;
    return 0;
}

void listener_census_free(struct listener_census *census)
{
    free(census->items);
    *census = (struct listener_census){0};
}

const struct listener_known *listener_census_find(const struct listener_census *census,
                                                  uint64_t cookie)
{
    const struct listener_known key = {.cookie = cookie};

    return census->count ? bsearch(&key, census->items, census->count, sizeof key, by_cookie)
                         : NULL;
}

/* ---- one listener ---- */

int listener_look_up(struct listener_probe *probe, const struct listener_socket *socket,
                     struct sock_diag_entry *out)
{
    *out = (struct sock_diag_entry){.local = socket->local,
                                    .remote = {.any = {.sa_family = socket->local.any.sa_family}},
                                    .interface = socket->interface,
                                    .cookie = socket->cookie};
    int rc = sock_diag_refresh(probe->diag, out, NULL);
    return rc ? rc : out->state == TCP_LISTEN ? 0 : -ENOENT;
}

/* ---- rules ---- */

bool listener_same_address(const struct sock_address *a, const struct sock_address *b)
{
    if (sock_family(a) != sock_family(b))
        return false;
    return sock_family(a) == AF_INET6
               ? !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr)
               : a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
}

bool listener_is_wildcard(const struct sock_address *address)
{
    return sock_family(address) == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)
                                            : address->v4.sin_addr.s_addr == INADDR_ANY;
}

static bool same_place(const struct sock_address *a, const struct sock_address *b)
{
    return sock_address_port(a) == sock_address_port(b) && listener_same_address(a, b);
}

static int add_rule(struct listener_rules *rules, const struct listener_rule *rule,
                    struct error *error)
{
    struct listener_rule *items = realloc(rules->items, (rules->count + 1) * sizeof *rules->items);

    if (!items)
        return error_sys(error, ENOMEM, "a choice of listeners");
    rules->items = items;
    items[rules->count++] = *rule;
    return 0;
}

enum { HERE, WILDCARD, WILDCARD_OF_BOTH, PLACES };

/* The place where a connection to an address would arrive, as its sockets are bound. */
static void place_of(struct sock_address *out, const struct sock_address *address, int place)
{
    uint16_t port = sock_address_port(address);

    *out = *address;
    if (place == HERE)
        sock_address_unmap(out);
    else
        sock_address_literal(
            out, place == WILDCARD && sock_family(address) == AF_INET ? "0.0.0.0" : "::", port);
}

static bool somebody_is_at(const struct listener_census *census, const struct sock_address *place,
                           bool both)
{
    for (size_t i = 0; i < census->count; i++)
        if (same_place(&census->items[i].local, place) && !(both && census->items[i].v6_only))
            return true;
    return false;
}

/* *found is set when somebody listens for the address. */
static int rule_for_address(struct listener_rules *rules, const struct sock_address *address,
                            const struct listener_census *census, bool *found, struct error *error)
{
    for (int place = HERE; place < PLACES; place++) {
        struct listener_rule rule = {.port = sock_address_port(address)};
        place_of(&rule.local, address, place);
        if (!somebody_is_at(census, &rule.local, place == WILDCARD_OF_BOTH))
            continue;
        *found = true;
        return add_rule(rules, &rule, error);
    }
    return 0;
}

static int rule_for_port(struct listener_rules *rules, uint16_t port,
                         const struct listener_census *census, bool *found, struct error *error)
{
    const struct listener_rule rule = {.port = port};

    for (size_t i = 0; i < census->count && !*found; i++)
        *found =
            sock_address_port(&census->items[i].local) == port &&
            (rules->family == AF_UNSPEC || rules->family == sock_family(&census->items[i].local));
    return *found ? add_rule(rules, &rule, error) : 0;
}

static int look_up(const struct sock_target *target, int family, const struct wait_limit *limit,
                   struct sock_address_list *out, struct error *error)
{
    cleanup(arena) struct arena arena = {0};
    struct result_error failure;
    int rc = resolve_now(&arena, target, family, limit, out, &failure);

    if (!rc)
        return 0;
    /* For want of a thread, too. */
    if (failure_is_local(&failure))
        rc = -ENOBUFS;
    return error_set(error, -rc, "%s: %s", target->host, failure.message);
}

static int rule_for_target(struct listener_rules *rules, const struct sock_target *target,
                           const struct wait_limit *limit, const struct listener_census *census,
                           struct error *error)
{
    struct sock_address_list list = {0};
    bool found = false;
    int rc = 0;

    if (!*target->host) {
        rc = rule_for_port(rules, target->port, census, &found, error);
    } else {
        rc = look_up(target, rules->family, limit, &list, error);
        for (size_t i = 0; !rc && i < list.count; i++)
            rc = rule_for_address(rules, &list.items[i], census, &found, error);
        sock_address_list_free(&list);
    }
    if (!rc && !found)
        rc = error_set(error, ENOENT,
                       "nothing listens on %s:%u in this network namespace; 'ss -ltn' shows what "
                       "does",
                       target->host, (unsigned)target->port);
    return rc;
}

static int rules_for_process(struct listener_rules *rules, int64_t pid,
                             const struct listener_census *census, struct error *error)
{
    int rc = listener_process_inodes(pid, &rules->inodes, &rules->inode_count, error);

    for (size_t i = 0; !rc && i < census->count; i++)
        if (listener_rules_match(rules, &census->items[i].local, census->items[i].inode))
            return 0;
    return rc ? rc
              : error_set(error, ENOENT,
                          "process %lld listens on no TCP port; is it a child or the parent of "
                          "the one that does? 'ss -ltnp' shows which",
                          (long long)pid);
}

int listener_rules_make(struct listener_rules *out, const struct listener_choice *choice,
                        const struct listener_census *census, struct error *error)
{
    int rc = 0;

    *out = (struct listener_rules){.all = choice->all, .family = choice->family};
    if (choice->pid)
        rc = rules_for_process(out, choice->pid, census, error);
    for (size_t i = 0; !rc && i < choice->target_count; i++)
        rc = rule_for_target(out, &choice->targets[i], &choice->limit, census, error);
    if (!rc && choice->all && !census->count)
        rc = error_set(error, ENOENT, "nothing listens in this network namespace");
    if (rc)
        listener_rules_free(out);
    return rc;
}

void listener_rules_free(struct listener_rules *rules)
{
    free(rules->items);
    free(rules->inodes);
    *rules = (struct listener_rules){0};
}

bool listener_rules_match(const struct listener_rules *rules, const struct sock_address *local,
                          uint32_t inode)
{
    if (rules->family != AF_UNSPEC && rules->family != sock_family(local))
        return false;
    if (rules->all)
        return true;
    for (size_t low = 0, high = rules->inode_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (rules->inodes[middle] == inode)
            return true;
        if (rules->inodes[middle] < inode)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = 0; i < rules->count; i++)
        if (rules->items[i].local.len_bytes ? same_place(&rules->items[i].local, local)
                                            : rules->items[i].port == sock_address_port(local))
            return true;
    return false;
}
