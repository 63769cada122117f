/* What a watch of listeners amounts to: how the listeners of the namespace changed over it, and a
 * result with its findings for each that was chosen. */
#include "probe/listener_probe_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

/* How the listeners of the namespace changed over the watch. */
struct change {
    struct listener_census after;
    int64_t rise;     /* of all counters of drops */
    size_t vanished;  /* sockets that were there before */
    size_t different; /* sockets that were there at any of the two times */
    bool known;
};

static void compare(struct change *change, const struct listener_census *before)
{
    change->known = true;
    change->different = before->count;
    for (size_t i = 0; i < change->after.count; i++) {
        const struct listener_known *now = &change->after.items[i];
        const struct listener_known *then = listener_census_find(before, now->cookie);
        change->known &= now->has_drops;
        change->rise += then ? (uint32_t)(now->drops - then->drops) : now->drops;
        change->different += !then;
    }
    for (size_t i = 0; i < before->count; i++)
        change->vanished += !listener_census_find(&change->after, before->items[i].cookie);
}

/* ---- who has gone ---- */

/* A connection that waits for accept() has no inode yet. */
static int count_alive(void *context, const struct sock_diag_entry *entry)
{
    struct listener_socket *owner = entry->inode ? NULL : listener_owner_of(context, entry);

    if (owner)
        owner->alive++;
    return 0;
}

static bool is_countable(const struct listener_socket *socket)
{
    return socket->chosen && socket->present && !socket->shared && socket->sample.queue;
}

/* Of each queue as it stands at the end. A connection that its client has reset is in no table of
 * the kernel, but in the queue still. Says nothing where something moves meanwhile. */
static int count_gone(struct listener_probe *probe, struct error *error)
{
    const struct sock_diag_filter filter = {.family = probe->rules.family,
                                            .states = 1 << TCP_ESTABLISHED,
                                            .local_ports = probe->ports,
                                            .local_port_count = probe->port_count};
    struct listener_counters counters;
    bool any = false;

    for (size_t i = 0; i < probe->count; i++)
        any |= is_countable(&probe->sockets[i]);
    if (!any)
        return 0;
    int rc = sock_diag_list(probe->diag, &filter, count_alive, probe, error);
    listener_files_read(&probe->files, &counters);
    if (rc || listener_rise(&probe->now, &counters, LISTENER_PASSIVE_OPENS))
        return rc;
    for (size_t i = 0; i < probe->count; i++) {
        struct listener_socket *socket = &probe->sockets[i];
        struct sock_diag_entry entry;
        int64_t gone = socket->sample.queue - socket->alive;
        if (is_countable(socket) && !listener_look_up(probe, socket, &entry) &&
            entry.rqueue == socket->sample.queue && gone > socket->watch.gone_max)
            socket->watch.gone_max = gone;
    }
    return 0;
}

/* ---- the report ---- */

static struct listener_context context_of(const struct listener_probe *probe,
                                          const struct change *change,
                                          const struct listener_socket *socket)
{
    const struct listener_known *then = listener_census_find(&probe->before, socket->cookie);
    const struct listener_known *now = listener_census_find(&change->after, socket->cookie);
    bool own_vanished = then && !now;
    struct listener_context context = {.settings = probe->settings,
                                       .alone = change->different == (then || now),
                                       .others_drops = RESULT_UNKNOWN};

    if (change->known && change->vanished == own_vanished)
        context.others_drops =
            change->rise - (now ? (uint32_t)(now->drops - (then ? then->drops : 0)) : 0);
    for (size_t at = probe->by_port[sock_address_port(&socket->local)]; at;) {
        const struct listener_socket *other = &probe->sockets[at - 1];
        at = other->next_on_port;
        context.replaced |= other != socket && other->present &&
                            (listener_same_address(&other->local, &socket->local) ||
                             listener_is_wildcard(&other->local));
    }
    return context;
}

/* Sockets that share an address are told apart by a number. */
static const char *name_of(const struct listener_probe *probe, const struct listener_socket *socket,
                           struct arena *arena)
{
    char text[SOCK_ADDRESS_TEXT_MAX];
    size_t number = 1, of = 0;

    sock_address_format(text, sizeof text, &socket->local);
    for (size_t at = probe->by_port[sock_address_port(&socket->local)]; at;) {
        const struct listener_socket *other = &probe->sockets[at - 1];
        at = other->next_on_port;
        if (!other->chosen || !listener_same_address(&other->local, &socket->local))
            continue;
        of++;
        number += other < socket;
    }
    return of > 1 ? arena_printf(arena, "%s (socket %zu)", text, number) : arena_copy(arena, text);
}

static void list_counters(const struct listener_probe *probe, struct result_map *map,
                          struct arena *arena)
{
    for (int i = 0; i < LISTENER_COUNTERS; i++) {
        enum listener_counter counter = (enum listener_counter)i;
        result_set_integer(arena, map, listener_counter_name(counter),
                           listener_rise(&probe->from, &probe->now, counter));
    }
}

/* The only process that was ever seen to hold the socket, where none was named by its number. */
static void name_process(struct result_listener *out, const struct listener_looks *looks,
                         struct arena *arena)
{
    if (out->pid != RESULT_UNKNOWN || looks->count != 1 || looks->hidden)
        return;
    out->pid = looks->kept[0].pid;
    out->process = *looks->kept[0].name ? arena_copy(arena, looks->kept[0].name) : NULL;
}

static int add_result(struct listener_probe *probe, struct listener_socket *socket,
                      const struct change *change, const struct result_map *counters,
                      struct report *report)
{
    struct listener_context context = context_of(probe, change, socket);
    struct result *result = report_add(report, RESULT_LISTENER);
    char name[64], address[SOCK_ADDRESS_TEXT_MAX];

    if (!result)
        return -ENOMEM;
    struct result_listener *out = &result->listener;
    out->listener = name_of(probe, socket, &report->arena);
    inet_ntop(sock_family(&socket->local),
              sock_family(&socket->local) == AF_INET6 ? (const void *)&socket->local.v6.sin6_addr
                                                      : &socket->local.v4.sin_addr,
              address, sizeof address);
    out->address = arena_copy(&report->arena, address);
    out->port = sock_address_port(&socket->local);
    out->uid = socket->uid;
    if (probe->pid) {
        listener_process_name(probe->pid, name, sizeof name);
        out->process = *name ? arena_copy(&report->arena, name) : NULL;
        out->pid = probe->pid;
    }
    name_process(out, &socket->watch.looks, &report->arena);
    out->counters = *counters;
    listener_conclude(&socket->watch, &context, out, report);
    return 0;
}

int listener_probe_conclude(struct listener_probe *probe, struct report *report,
                            struct error *error)
{
    struct change change = {0};
    struct result_map counters = {0};
    int rc = count_gone(probe, error);

    if (!rc)
        rc = listener_census_take(&change.after, probe->diag, error);
    if (rc)
        return rc;
    compare(&change, &probe->before);
    list_counters(probe, &counters, &report->arena);
    for (size_t i = 0; !rc && i < probe->count; i++)
        if (probe->sockets[i].chosen)
            rc = add_result(probe, &probe->sockets[i], &change, &counters, report);
    listener_census_free(&change.after);
    if (rc)
        return error_sys(error, -rc, "the report of a watch");
    listener_conclude_namespace(&probe->from, &probe->now, &probe->settings, report);
    return 0;
}
