/* A sample is: the listeners of the watched ports, from one dump; the half-open connections to
 * them, from another, where it is due; then the namespace's counters. The census of all listeners
 * is taken before the first counters and after the last ones, so that what the others' counters
 * rose by covers the same time and more. */
#include "probe/listener_probe_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#define PORTS           65536
#define HALF_OPEN_SHARE 400 /* the walk for half-open connections: at most a 400th of the time */
#define LISTENERS_SHARE 400 /* the same for the walk through the listeners */
#define SAMPLES_SHARE   50  /* or a 50th where there is no other way */
#define SINGLE_MAX      32  /* up to this many sockets are looked up one by one between two walks */

/* CPU time of the last two walks. The lesser counts, so that one that was slow by chance (the
 * first, or a disturbed one) does not hold up the next samples. */
struct walk_cost {
    int64_t last_ns, least_ns;
};

struct listener_probe {
    struct sock_diag *diag;
    struct listener_rules rules;
    struct listener_files files;
    struct listener_settings settings;
    struct listener_census before;
    int64_t pid;

    struct listener_socket *sockets;
    size_t count;
    size_t *by_cookie; /* open addressing, 1 + index; a power of two of them, at most half full */
    size_t by_cookie_size;
    size_t by_port[PORTS]; /* 1 + index of the first one */
    uint16_t ports[SOCK_DIAG_PORTS_MAX];
    size_t port_count; /* 0: all */
    bool v4, v6;       /* families of the sockets */
    bool changed;      /* sockets came or went since `shared` was worked out */
    bool single;       /* few, each found by its address and port */

    struct listener_counters from, before_sample, now;
    int64_t sampled_ns, half_open_due_ns, listing_due_ns;
    struct walk_cost listing, half_open;
    struct listener_cost cost;
};

static int64_t cpu_ns(void)
{
    struct timespec time;

    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) ? 0 : clock_from_timespec(time);
}

static void note_cost(struct walk_cost *cost, int64_t started_ns)
{
    int64_t now_ns = cpu_ns() - started_ns;

    cost->least_ns = now_ns < cost->last_ns ? now_ns : cost->last_ns;
    cost->last_ns = now_ns;
}

/* ---- the table of sockets ---- */

static size_t slot_of(const struct listener_probe *probe, uint64_t cookie)
{
    size_t mask = probe->by_cookie_size - 1;
    size_t slot = (size_t)(cookie * UINT64_C(0x9e3779b97f4a7c15) >> 20) & mask;

    while (probe->by_cookie[slot] && probe->sockets[probe->by_cookie[slot] - 1].cookie != cookie)
        slot = (slot + 1) & mask;
    return slot;
}

static int make_room(struct listener_probe *probe)
{
    size_t room = probe->by_cookie_size ? 2 * probe->by_cookie_size : 64;

    if (2 * (probe->count + 1) <= probe->by_cookie_size)
        return 0;
    struct listener_socket *sockets = realloc(probe->sockets, room / 2 * sizeof *sockets);
    if (!sockets)
        return -ENOMEM;
    probe->sockets = sockets;
    size_t *by_cookie = calloc(room, sizeof *by_cookie);
    if (!by_cookie)
        return -ENOMEM;
    free(probe->by_cookie);
    probe->by_cookie = by_cookie;
    probe->by_cookie_size = room;
    for (size_t i = 0; i < probe->count; i++)
        by_cookie[slot_of(probe, probe->sockets[i].cookie)] = i + 1;
    return 0;
}

static int add_socket(struct listener_probe *probe, const struct sock_diag_entry *entry)
{
    size_t *first = &probe->by_port[sock_address_port(&entry->local)];

    if (make_room(probe))
        return -ENOMEM;
    struct listener_socket *socket = &probe->sockets[probe->count];
    *socket = (struct listener_socket){
        .local = entry->local,
        .cookie = entry->cookie,
        .inode = entry->inode,
        .uid = entry->uid,
        .interface = entry->interface,
        .chosen = listener_rules_match(&probe->rules, &entry->local, entry->inode),
        .next_on_port = *first,
    };
    listener_watch_begin(&socket->watch);
    *first = probe->count + 1;
    probe->by_cookie[slot_of(probe, entry->cookie)] = ++probe->count;
    *(sock_family(&entry->local) == AF_INET6 ? &probe->v6 : &probe->v4) = true;
    probe->changed = true;
    return 0;
}

/* ---- the sample: listeners ---- */

static void take_numbers(struct listener_socket *socket, const struct sock_diag_entry *entry)
{
    socket->present = true;
    socket->sample = (struct listener_sample){
        .queue = entry->rqueue,
        .limit = entry->wqueue,
        .half_open = RESULT_UNKNOWN,
        .drops = entry->has_drops ? (int64_t)entry->drops : RESULT_UNKNOWN,
    };
}

static int take_listener(void *context, const struct sock_diag_entry *entry)
{
    struct listener_probe *probe = context;

    if (probe->rules.family != AF_UNSPEC && probe->rules.family != sock_family(&entry->local))
        return 0;
    if ((!probe->by_cookie_size || !probe->by_cookie[slot_of(probe, entry->cookie)]) &&
        add_socket(probe, entry))
        return -ENOMEM;
    take_numbers(&probe->sockets[probe->by_cookie[slot_of(probe, entry->cookie)] - 1], entry);
    return 0;
}

static int list_listeners(struct listener_probe *probe, struct error *error)
{
    const struct sock_diag_filter filter = {.family = probe->rules.family,
                                            .states = 1 << TCP_LISTEN,
                                            .local_ports = probe->ports,
                                            .local_port_count = probe->port_count,
                                            .want_drops = true};
    int64_t started_ns = cpu_ns();

    for (size_t i = 0; i < probe->count; i++)
        probe->sockets[i].present = false;
    int rc = sock_diag_list(probe->diag, &filter, take_listener, probe, error);
    if (rc == -ENOMEM)
        error_sys(error, ENOMEM, "the list of listeners");
    note_cost(&probe->listing, started_ns);
    probe->listing_due_ns = clock_mono_ns() + LISTENERS_SHARE * probe->listing.least_ns;
    return rc;
}

/* Looks each socket up, where that is cheaper than a walk through thousands of them. False: it
 * takes a walk, because it is due, or a socket was not found. */
static bool look_up_listeners(struct listener_probe *probe)
{
    if (!probe->single || clock_mono_ns() >= probe->listing_due_ns)
        return false;
    for (size_t i = 0; i < probe->count; i++) {
        struct listener_socket *socket = &probe->sockets[i];
        struct sock_diag_entry entry = {
            .local = socket->local,
            .remote = {.any = {.sa_family = socket->local.any.sa_family}},
            .interface = socket->interface,
            .cookie = socket->cookie};
        if (!socket->present)
            continue;
        if (sock_diag_refresh(probe->diag, &entry, NULL) || entry.state != TCP_LISTEN)
            return false;
        take_numbers(socket, &entry);
    }
    return true;
}

/* ---- the sample: half-open connections ---- */

static bool same_address(const struct sock_address *a, const struct sock_address *b)
{
    if (sock_family(a) != sock_family(b))
        return false;
    return sock_family(a) == AF_INET6
               ? !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr)
               : a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
}

static bool is_wildcard(const struct sock_address *address)
{
    return sock_family(address) == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)
                                            : address->v4.sin_addr.s_addr == INADDR_ANY;
}

/* The half-open connections of an IPv6 socket that takes IPv4, too, have its family, and mapped
 * addresses. */
static struct listener_socket *owner_of(struct listener_probe *probe,
                                        const struct sock_diag_entry *entry)
{
    struct listener_socket *wildcard = NULL;

    for (size_t at = probe->by_port[sock_address_port(&entry->local)]; at;) {
        struct listener_socket *socket = &probe->sockets[at - 1];
        at = socket->next_on_port;
        if (!socket->present)
            continue;
        if (same_address(&socket->local, &entry->local))
            return socket;
        if (sock_family(&socket->local) == sock_family(&entry->local) &&
            is_wildcard(&socket->local))
            wildcard = socket;
    }
    return wildcard;
}

static int count_half_open(void *context, const struct sock_diag_entry *entry)
{
    struct listener_socket *owner = owner_of(context, entry);

    if (owner && !owner->shared)
        owner->sample.half_open++;
    return 0;
}

/* Sockets that share an address and port; few do, so that each chain is short. */
static void find_shared(struct listener_probe *probe)
{
    for (size_t i = 0; probe->changed && i < probe->count; i++) {
        struct listener_socket *socket = &probe->sockets[i];
        socket->shared = false;
        for (size_t at = probe->by_port[sock_address_port(&socket->local)]; at;) {
            const struct listener_socket *other = &probe->sockets[at - 1];
            at = other->next_on_port;
            socket->shared |=
                other != socket && other->present && same_address(&other->local, &socket->local);
        }
    }
    probe->changed = false;
}

static void find_single(struct listener_probe *probe)
{
    probe->single = probe->count <= SINGLE_MAX;
    for (size_t i = 0; i < probe->count; i++)
        probe->single &= !probe->sockets[i].shared;
}

static int list_half_open(struct listener_probe *probe, struct error *error)
{
    const struct sock_diag_filter filter = {
        .family = probe->v4 && probe->v6 ? AF_UNSPEC
                  : probe->v6            ? AF_INET6
                                         : AF_INET,
        .states = 1 << TCP_SYN_RECV,
        .local_ports = probe->ports,
        .local_port_count = probe->port_count,
    };
    int64_t started_ns = cpu_ns();

    if (clock_mono_ns() < probe->half_open_due_ns)
        return 0;
    for (size_t i = 0; i < probe->count; i++)
        if (probe->sockets[i].present && !probe->sockets[i].shared)
            probe->sockets[i].sample.half_open = 0;
    int rc = sock_diag_list(probe->diag, &filter, count_half_open, probe, error);
    note_cost(&probe->half_open, started_ns);
    probe->half_open_due_ns = clock_mono_ns() + HALF_OPEN_SHARE * probe->half_open.least_ns;
    probe->cost.half_open_samples++;
    return rc;
}

/* ---- the sample ---- */

static void feed(struct listener_probe *probe)
{
    for (size_t i = 0; i < probe->count; i++) {
        struct listener_socket *socket = &probe->sockets[i];
        if (socket->present) {
            socket->sample.at_ns = probe->sampled_ns;
            socket->sample.before = &probe->before_sample;
            socket->sample.after = &probe->now;
            listener_watch_feed(&socket->watch, &socket->sample);
        } else if (socket->watch.closed_ns == RESULT_UNKNOWN) {
            listener_watch_close(&socket->watch, probe->sampled_ns);
            probe->changed = true;
        }
    }
}

int listener_probe_sample(struct listener_probe *probe, struct error *error)
{
    int64_t started_ns = cpu_ns();

    probe->sampled_ns = clock_mono_ns();
    int rc = look_up_listeners(probe) ? 0 : list_listeners(probe, error);
    find_shared(probe);
    find_single(probe);
    if (!rc)
        rc = list_half_open(probe, error);
    if (rc)
        return rc;
    probe->before_sample = probe->now;
    listener_files_read(&probe->files, &probe->now);
    feed(probe);
    probe->cost.samples++;
    probe->cost.cpu_ns += cpu_ns() - started_ns;
    return 0;
}

int64_t listener_probe_due(const struct listener_probe *probe, int64_t interval_ns)
{
    int64_t least_ns = probe->single ? 0 : SAMPLES_SHARE * probe->listing.least_ns;

    return probe->sampled_ns + (interval_ns > least_ns ? interval_ns : least_ns);
}

bool listener_probe_alive(const struct listener_probe *probe)
{
    for (size_t i = 0; i < probe->count; i++)
        if (probe->sockets[i].chosen && probe->sockets[i].present)
            return true;
    return !probe->rules.inode_count;
}

/* ---- begin and end ---- */

/* The ports of what is chosen, unless they are too many. */
static void collect_ports(struct listener_probe *probe)
{
    for (size_t i = 0; i < probe->before.count; i++) {
        const struct listener_known *known = &probe->before.items[i];
        uint16_t port = sock_address_port(&known->local);
        size_t at = 0;
        if (!listener_rules_match(&probe->rules, &known->local, known->inode))
            continue;
        while (at < probe->port_count && probe->ports[at] != port)
            at++;
        if (at < probe->port_count)
            continue;
        if (probe->rules.all || probe->port_count == SOCK_DIAG_PORTS_MAX) {
            probe->port_count = 0;
            return;
        }
        probe->ports[probe->port_count++] = port;
    }
}

static int begin(struct listener_probe *probe, const struct listener_choice *choice,
                 struct error *error)
{
    int rc = sock_diag_open(&probe->diag, error);

    if (!rc)
        rc = listener_census_take(&probe->before, probe->diag, error);
    if (!rc)
        rc = listener_rules_make(&probe->rules, choice, &probe->before, error);
    if (rc)
        return rc;
    collect_ports(probe);
    probe->pid = choice->pid;
    listener_settings_read(&probe->settings);
    listener_files_open(&probe->files);
    listener_files_read(&probe->files, &probe->now);
    probe->from = probe->now;
    return 0;
}

int listener_probe_open(struct listener_probe **out, const struct listener_choice *choice,
                        struct error *error)
{
    struct listener_probe *probe = calloc(1, sizeof *probe);

    if (!probe)
        return error_sys(error, ENOMEM, "a watch of listeners");
    probe->files = (struct listener_files){-1, -1};
    int rc = begin(probe, choice, error);
    if (rc) {
        listener_probe_close(probe);
        return rc;
    }
    *out = probe;
    return 0;
}

void listener_probe_close(struct listener_probe *probe)
{
    if (!probe)
        return;
    sock_diag_close(probe->diag);
    listener_rules_free(&probe->rules);
    listener_census_free(&probe->before);
    listener_files_close(&probe->files);
    free(probe->sockets);
    free(probe->by_cookie);
    free(probe);
}

/* ---- what it amounts to ---- */

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
        context.replaced |=
            other != socket && other->present &&
            (same_address(&other->local, &socket->local) || is_wildcard(&other->local));
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
        if (!other->chosen || !same_address(&other->local, &socket->local))
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
    out->counters = *counters;
    listener_conclude(&socket->watch, &context, out, report);
    return 0;
}

int listener_probe_conclude(struct listener_probe *probe, struct report *report,
                            struct error *error)
{
    struct change change = {0};
    struct result_map counters = {0};
    int rc = listener_census_take(&change.after, probe->diag, error);

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

/* ---- for those who look on ---- */

bool listener_probe_next(const struct listener_probe *probe, size_t *at, struct listener_view *out)
{
    while (*at < probe->count) {
        const struct listener_socket *socket = &probe->sockets[(*at)++];
        if (!socket->chosen)
            continue;
        *out = (struct listener_view){&socket->local, &socket->sample, &socket->watch,
                                      socket->present};
        return true;
    }
    return false;
}

const struct listener_counters *listener_probe_from(const struct listener_probe *probe)
{
    return &probe->from;
}

const struct listener_counters *listener_probe_now(const struct listener_probe *probe)
{
    return &probe->now;
}

struct listener_cost listener_probe_cost(const struct listener_probe *probe)
{
    return probe->cost;
}
