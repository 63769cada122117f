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

#define HALF_OPEN_SHARE 400 /* the walk for half-open connections: at most a 400th of the time */
#define LISTENERS_SHARE 400 /* the same for the walk through the listeners */
#define SAMPLES_SHARE   50  /* or a 50th where there is no other way */
#define SINGLE_MAX      32  /* up to this many sockets are looked up one by one between two walks */

static void note_cost(struct walk_cost *cost, int64_t started_ns)
{
    int64_t now_ns = listener_cpu_ns() - started_ns;

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
    socket->watch.tries.wanted = probe->tries;
    *first = probe->count + 1;
    probe->by_cookie[slot_of(probe, entry->cookie)] = ++probe->count;
    *(sock_family(&entry->local) == AF_INET6 ? &probe->v6 : &probe->v4) = true;
    probe->changed = true;
    return 0;
}

/* ---- the sample: listeners ---- */

static void take_numbers(struct listener_socket *socket, const struct sock_diag_entry *entry)
{
    socket->waited = socket->present && socket->sample.queue && entry->rqueue;
    socket->present = socket->seen = true;
    socket->sample = (struct listener_sample){
        .queue = entry->rqueue,
        .limit = entry->wqueue,
        .half_open = RESULT_UNKNOWN,
        .gone = RESULT_UNKNOWN,
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
    int64_t started_ns = listener_cpu_ns();

    for (size_t i = 0; i < probe->count; i++)
        probe->sockets[i].seen = false;
    int rc = sock_diag_list(probe->diag, &filter, take_listener, probe, error);
    for (size_t i = 0; i < probe->count; i++)
        probe->sockets[i].present = probe->sockets[i].seen;
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
        struct sock_diag_entry entry;
        if (!socket->present)
            continue;
        if (listener_look_up(probe, socket, &entry))
            return false;
        take_numbers(socket, &entry);
    }
    return true;
}

/* ---- the sample: half-open connections ---- */

/* The half-open connections of an IPv6 socket that takes IPv4, too, have its family, and mapped
 * addresses. */
struct listener_socket *listener_owner_of(struct listener_probe *probe,
                                          const struct sock_diag_entry *entry)
{
    struct listener_socket *wildcard = NULL;

    for (size_t at = probe->by_port[sock_address_port(&entry->local)]; at;) {
        struct listener_socket *socket = &probe->sockets[at - 1];
        at = socket->next_on_port;
        if (!socket->present)
            continue;
        if (listener_same_address(&socket->local, &entry->local))
            return socket;
        if (sock_family(&socket->local) == sock_family(&entry->local) &&
            listener_is_wildcard(&socket->local))
            wildcard = socket;
    }
    return wildcard;
}

static int count_half_open(void *context, const struct sock_diag_entry *entry)
{
    struct listener_socket *owner = listener_owner_of(context, entry);

    if (!owner || owner->shared)
        return 0;
    if (entry->state == TCP_SYN_RECV)
        owner->sample.half_open++;
    else if (!entry->inode) /* not accepted yet, and its client has closed it */
        owner->sample.gone++;
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
            socket->shared |= other != socket && other->present &&
                              listener_same_address(&other->local, &socket->local);
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
        .states = 1 << TCP_SYN_RECV | 1 << TCP_CLOSE_WAIT,
        .local_ports = probe->ports,
        .local_port_count = probe->port_count,
    };
    int64_t started_ns = listener_cpu_ns();

    if (clock_mono_ns() < probe->half_open_due_ns)
        return 0;
    for (size_t i = 0; i < probe->count; i++)
        if (probe->sockets[i].present && !probe->sockets[i].shared)
            probe->sockets[i].sample.half_open = probe->sockets[i].sample.gone = 0;
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
            socket->waited = false;
            listener_watch_close(&socket->watch, probe->sampled_ns);
            probe->changed = true;
        }
    }
}

/* Those that hold a socket in whose queue something has waited since the last sample. */
static int look_at_holders(struct listener_probe *probe)
{
    cleanup(mem) uint32_t *inodes = NULL;
    size_t count = 0;
    int rc = 0;

    if (probe->sampled_ns < probe->look_due_ns)
        return 0;
    for (size_t i = 0; i < probe->count; i++)
        count += probe->sockets[i].chosen && probe->sockets[i].waited;
    if (!count)
        return 0;
    inodes = calloc(count, sizeof *inodes);
    count = 0;
    for (size_t i = 0; i < probe->count && inodes; i++)
        if (probe->sockets[i].chosen && probe->sockets[i].waited)
            inodes[count++] = probe->sockets[i].inode;
    rc = inodes ? listener_holders_find(&probe->holders, inodes, count) : -ENOMEM;
    int64_t started_ns = listener_cpu_ns();
    for (size_t i = 0; !rc && i < probe->count; i++) {
        struct listener_socket *socket = &probe->sockets[i];
        if (socket->chosen && socket->waited)
            rc = listener_holders_look(&probe->holders, socket->inode, socket->uid,
                                       &socket->watch.looks);
    }
    probe->look_due_ns =
        clock_mono_ns() + LISTENER_HOLDERS_SHARE * (listener_cpu_ns() - started_ns);
    return rc;
}

int listener_probe_sample(struct listener_probe *probe, struct error *error)
{
    int64_t started_ns = listener_cpu_ns();

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
    if (look_at_holders(probe))
        return error_sys(error, ENOMEM, "the processes of a listener");
    for (size_t i = 0; i < probe->count && probe->tries; i++)
        if (probe->sockets[i].chosen && probe->sockets[i].waited)
            listener_try(probe, &probe->sockets[i]);
    probe->cost.samples++;
    probe->cost.cpu_ns += listener_cpu_ns() - started_ns;
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
    probe->tries = choice->tries;
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
    listener_holders_free(&probe->holders);
    for (size_t i = 0; i < probe->own.count; i++)
        close(probe->own.fds[i]);
    free(probe->sockets);
    free(probe->by_cookie);
    free(probe);
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
