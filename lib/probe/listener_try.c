/* Connections of our own to a listener whose queue stands still: how many of those that wait does
 * one release?
 *
 * A server that accepts now and then for reasons of its own must not look like one that was woken
 * by us. So nothing may move for a while before a try, and these whiles are of different lengths,
 * further apart than a try lasts: no period fits all of them. During a try the namespace must count
 * one new connection, ours; otherwise it says nothing. */
#include "probe/listener_probe_internal.h"

#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define WINDOW_NS  (200 * NS_PER_MS) /* for the handshake and for accept(), each */
#define BEGUN_MOST 8                 /* tries at a listener, those that say nothing included */

/* In samples and in tenths of a second, for the first try, the second, the third. */
static const int64_t quiet_before[LISTENER_TRIES] = {3, 8, 13};

static int64_t opens_now(struct listener_probe *probe)
{
    struct listener_counters counters;

    listener_files_read(&probe->files, &counters);
    return counters.value[LISTENER_PASSIVE_OPENS];
}

static void begin_quiet(struct listener_quiet *quiet, int64_t queue, int64_t opens)
{
    *quiet = (struct listener_quiet){clock_mono_ns(), 0, queue, opens};
}

static int64_t queue_now(struct listener_probe *probe, const struct listener_socket *socket)
{
    struct sock_diag_entry entry;

    return listener_look_up(probe, socket, &entry) ? RESULT_UNKNOWN : (int64_t)entry.rqueue;
}

/* An address of this host that reaches the listener. */
static void place_to_connect(struct sock_address *out, const struct listener_socket *socket)
{
    uint16_t port = sock_address_port(&socket->local);

    *out = socket->local;
    if (listener_is_wildcard(out))
        sock_address_literal(out, sock_family(out) == AF_INET6 ? "::1" : "127.0.0.1", port);
    if (sock_family(out) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&out->v6.sin6_addr))
        out->v6.sin6_scope_id = socket->interface;
}

/* Whether a handshake was completed, and nothing interrupted the wait after it. The descriptor is
 * kept. */
static bool connect_once(struct listener_own *own, const struct sock_address *address)
{
    int fd = socket(sock_family(address), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = 0;
    socklen_t len = sizeof error;

    if (fd < 0)
        return false;
    own->fds[own->count++] = fd;
    if (connect(fd, &address->any, address->len_bytes) && errno != EINPROGRESS)
        return false;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    return poll(&ready, 1, clock_to_poll_ms(WINDOW_NS)) == 1 &&
           !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) && !error &&
           !poll(NULL, 0, clock_to_poll_ms(WINDOW_NS));
}

static void note_release(struct listener_tries *tries, int64_t released)
{
    tries->none += released == 0;
    tries->one += released == 1;
    tries->more += released > 1;
}

/* Ours is in the queue, too, so that it grows by one if none of the others was taken. */
static void try_once(struct listener_probe *probe, struct listener_socket *socket)
{
    struct listener_quiet *quiet = &socket->quiet;
    struct listener_tries *tries = &socket->watch.tries;
    struct sock_address address;
    int64_t queue = RESULT_UNKNOWN;

    if (queue_now(probe, socket) != quiet->queue || opens_now(probe) != quiet->opens)
        return;
    tries->begun++;
    place_to_connect(&address, socket);
    if (connect_once(&probe->own, &address))
        queue = queue_now(probe, socket);
    if (queue != RESULT_UNKNOWN && opens_now(probe) == quiet->opens + 1)
        note_release(tries, quiet->queue + 1 - queue);
    begin_quiet(quiet, queue, opens_now(probe));
}

static bool may_try(const struct listener_probe *probe, const struct listener_socket *socket)
{
    const struct listener_tries *tries = &socket->watch.tries;

    return tries->one < LISTENER_TRIES && !tries->none && !tries->more &&
           tries->begun < BEGUN_MOST && !socket->shared && socket->sample.queue > 0 &&
           socket->sample.queue <= socket->sample.limit && probe->own.count < LISTENER_TRIES_OPEN;
}

void listener_try(struct listener_probe *probe, struct listener_socket *socket)
{
    struct listener_quiet *quiet = &socket->quiet;
    int64_t opens = probe->now.value[LISTENER_PASSIVE_OPENS];

    if (opens == RESULT_UNKNOWN || !may_try(probe, socket))
        return;
    if (!quiet->since_ns || quiet->queue != socket->sample.queue || quiet->opens != opens) {
        begin_quiet(quiet, socket->sample.queue, opens);
        return;
    }
    int64_t wanted = quiet_before[socket->watch.tries.one];
    if (++quiet->samples >= wanted && clock_mono_ns() - quiet->since_ns >= wanted * 100 * NS_PER_MS)
        try_once(probe, socket);
}
