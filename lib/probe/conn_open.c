/* Getting a connection: what every socket is set up with, the race of the addresses (conn_race.c),
 * and what is learned from the one that won and from those that did not. */
#include "probe/conn_internal.h"

#include "base/units.h"
#include "diagnosis/no_answer.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

/* ---- sockets ---- */

static void apply_variant(const struct conn_variant *variant, struct sock *sock)
{
    const int one = 1;

    if (variant->nodelay)
        sock_setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (variant->mss_bytes)
        sock_setsockopt(sock, IPPROTO_TCP, TCP_MAXSEG, &variant->mss_bytes, sizeof(int));
}

int conn_prepare(const struct conn_settings *settings, struct sock *sock, int family)
{
    int rc = 0;

    if (family == AF_UNIX) /* of what is set here it knows nothing */
        return 0;
    if (settings->traffic_class >= 0)
        rc = family == AF_INET6
                 ? sock_setsockopt(sock, IPPROTO_IPV6, IPV6_TCLASS, &settings->traffic_class,
                                   sizeof(int))
                 : sock_setsockopt(sock, IPPROTO_IP, IP_TOS, &settings->traffic_class, sizeof(int));
    if (!rc && settings->interface)
        rc = sock_setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, settings->interface,
                             (socklen_t)strlen(settings->interface));
    for (size_t i = 0; i < settings->option_count && !rc; i++) {
        const struct conn_option *set = &settings->options[i];
        if (sock_option_applies(set->option, family))
            rc = sock_option_write(sock->fd, set->option, &set->value, NULL);
    }
    if (!rc && settings->source)
        rc = sock_family(settings->source) == family ? sock_bind(sock, settings->source)
                                                     : -EADDRNOTAVAIL;
    return rc;
}

static int prepare_sock(void *owner, struct sock *sock, int family)
{
    const struct conn *conn = owner;
    int rc = conn_prepare(conn->shared->settings, sock, family);

    if (family != AF_UNIX)
        apply_variant(&conn->variant, sock);
    return rc;
}

static void begun_one(void *owner, const struct sock *sock)
{
    const struct conn *conn = owner;
    live_capture_connection(conn->shared->capture, sock->fd);
}

/* ---- what became of the addresses ---- */

static const char *describe_attempt(struct arena *arena, const struct conn_race_attempt *attempt)
{
    char address[SOCK_ADDRESS_TEXT_MAX], span[UNITS_TEXT_MAX];

    sock_address_format(address, sizeof address, attempt->address);
    units_format_duration(span, sizeof span, attempt->ended_ns - attempt->started_ns, "u");
    switch (attempt->outcome) {
    case CONN_RACE_WAITING:
    case CONN_RACE_TRYING:
    case CONN_RACE_CONNECTED:
        break;
    case CONN_RACE_REFUSED:
        return arena_printf(arena, "%s: %s, no SYN left", address, strerror(-attempt->rc));
    case CONN_RACE_UNSET:
    case CONN_RACE_FAILED:
        return arena_printf(arena, "%s: %s after %s", address, strerror(-attempt->rc), span);
    case CONN_RACE_EXPIRED:
        return arena_printf(arena, "%s: no answer to %u SYNs within %s", address,
                            attempt->syn_retransmits + 1, span);
    case CONN_RACE_ABANDONED:
        return arena_printf(arena, "%s: no answer within %s, when another connected", address,
                            span);
    }
    return address[0] ? arena_copy(arena, address) : "?";
}

static const char *describe_others(const struct conn *conn, const struct conn_race_attempt *winner)
{
    struct arena *arena = conn->shared->arena;
    const char *text = NULL;

    for (size_t i = 0; i < conn->race.begun; i++) {
        const struct conn_race_attempt *attempt = &conn->race.attempts[i];
        if (attempt == winner)
            continue;
        const char *one = describe_attempt(arena, attempt);
        text = text ? arena_printf(arena, "%s; %s", text, one) : one;
    }
    return text;
}

/* Our own kernel, or our own settings. */
static void refused_here(struct conn *conn, const struct conn_race_attempt *attempt)
{
    const struct sock_address *source = conn->shared->settings->source;
    struct local_facts *facts = &conn->opening.local_facts;
    struct arena *arena = conn->shared->arena;
    char address[SOCK_ADDRESS_TEXT_MAX];
    const char *clause = NULL;
    int number = -attempt->rc;
    enum failure_cause cause = FAILURE_SOCKET_SETTINGS;

    sock_address_format(address, sizeof address, attempt->address);
    if (attempt->outcome == CONN_RACE_REFUSED) {
        local_facts_read(facts, number, attempt->address, source);
        facts->without_socket = attempt->without_socket;
        cause = failure_of_refusal(arena, number, facts, &clause);
    }
    enum finding_code code = failure_entry(cause)->code;
    if (!clause)
        clause = arena_printf(
            arena, "%s%s", cause == FAILURE_SOCKET_SETTINGS ? "the socket cannot be set up: " : "",
            strerror(number));
    const char *others = conn->race.begun > 1 ? describe_others(conn, attempt) : NULL;
    conn_fail_by(conn, code == FINDING_NONE ? FINDING_INCONCLUSIVE : code, number, cause,
                 arena_printf(arena, "cannot connect to %s: %s%s%s", address, clause,
                              others ? "; " : "", others ? others : ""));
}

/* How much a failure says of the way: an answer most, silence less, and nothing what never left
 * this host. */
static int weight(const struct conn_race_attempt *attempt)
{
    switch (attempt->outcome) {
    case CONN_RACE_FAILED:
        return 3;
    case CONN_RACE_WAITING:
    case CONN_RACE_TRYING:
    case CONN_RACE_CONNECTED:
    case CONN_RACE_EXPIRED:
    case CONN_RACE_ABANDONED:
        return 2;
    case CONN_RACE_REFUSED:
        return 1;
    case CONN_RACE_UNSET:
        return 0;
    }
    return 0;
}

static enum finding_code code_of(const struct sock_address *address, int number)
{
    if (sock_family(address) == AF_UNIX)
        switch (number) {
        case ENOENT:
            return FINDING_NAME_NOT_FOUND;
        case EACCES:
            return FINDING_NOT_PERMITTED;
        case EAGAIN:
            return FINDING_ACCEPT_QUEUE_OVERFLOW;
        }
    return conn_code_of(number, FINDING_INCONCLUSIVE);
}

static void failed_on_the_way(struct conn *conn, const struct conn_race_attempt *attempt)
{
    int number = attempt->outcome == CONN_RACE_FAILED ? -attempt->rc : ETIMEDOUT;
    const char *attempts = describe_others(conn, NULL);

    /* Before the handshake was complete, an RST is ECONNREFUSED. */
    if (number == ECONNRESET || number == EPIPE)
        conn_fail_by(conn, FINDING_CONNECTION_RESET, number, FAILURE_ENDS_UNASKED,
                     arena_printf(conn->shared->arena,
                                  "the connection was reset right after the handshake (%s), before "
                                  "anything was sent: " NO_ANSWER_BACKEND,
                                  attempts));
    else
        conn_fail(conn, code_of(attempt->address, number), number, "cannot connect to %s",
                  attempts);
}

/* The failure that says most, of several addresses. */
static void race_failed(struct conn *conn)
{
    const struct conn_race_attempt *most = &conn->race.attempts[0];

    for (size_t i = 0; i < conn->race.begun; i++) {
        const struct conn_race_attempt *attempt = &conn->race.attempts[i];
        conn->opening.syn_retransmits += attempt->syn_retransmits;
        if (attempt->rc == -EMFILE || attempt->rc == -ENFILE) {
            refused_here(conn, attempt);
            return;
        }
        if (weight(attempt) > weight(most))
            most = attempt;
    }
    conn->opening.address = most->address;
    if (most->outcome == CONN_RACE_REFUSED || most->outcome == CONN_RACE_UNSET) {
        refused_here(conn, most);
        return;
    }
    failed_on_the_way(conn, most);
}

/* A client whose ephemeral port is the port it asks for can meet itself by simultaneous open: there
 * is a connection, and nobody listens. */
static bool met_itself(const struct conn *conn)
{
    const struct conn_opening *opening = &conn->opening;
    struct sock_address peer;

    return sock_family(opening->address) != AF_UNIX &&
           sock_address_port(&opening->local) == sock_address_port(opening->address) &&
           !sock_peer_address(conn->sock.fd, &peer) && sock_address_equal(&opening->local, &peer);
}

static void learn_opening(struct conn *conn, const struct conn_race_attempt *winner)
{
    const struct sock_tcp_info *info = &winner->info;
    struct conn_opening *opening = &conn->opening;

    opening->address = winner->address;
    sock_local_address(conn->sock.fd, &opening->local);
    opening->connect_ns = winner->ended_ns - winner->started_ns;
    opening->fallback_ns = winner->started_ns - conn->race.started_ns;
    opening->fallback = describe_others(conn, winner);
    opening->syn_retransmits = info->total_retrans;
    opening->rtt_ns = info->rtt_ns;
    if (info->rtt_ns > 0 && !info->total_retrans && info->rtt_ns < opening->connect_ns)
        opening->wire_ns = info->rtt_ns;
    conn->mss_bytes = info->snd_mss;
    opening->timestamps = info->options & SOCK_TCP_OPT_TIMESTAMPS;
}

static void race_ended(void *owner, struct conn_race_attempt *winner)
{
    struct conn *conn = owner;
    struct conn_shared *shared = conn->shared;
    const struct conn_variant *variant = &conn->variant;

    conn_active(conn);
    if (!winner) {
        race_failed(conn);
        return;
    }
    /* A connection that is only opened is closed before the loop's next turn. */
    if (variant->closed_when_open && !shared->tls)
        loop_forget(shared->loop, &winner->task);
    else
        loop_unwatch(shared->loop, &winner->task);
    conn->sock = winner->sock;
    conn->sock.observer = &conn->observer;
    winner->sock = (struct sock)SOCK_INIT;
    learn_opening(conn, winner);
    if (met_itself(conn)) {
        conn_fail(conn, FINDING_CONNECTION_REFUSED, ECONNREFUSED,
                  "the connection met itself: the kernel chose the target's own port for our end, "
                  "and nobody listens there");
        return;
    }
    live_capture_connection(shared->capture, conn->sock.fd);
    conn_race_stop(&conn->race);
    if (!variant->closed_when_open && sock_family(conn->opening.address) != AF_UNIX)
        sock_stamps_enable(&conn->sock, SOCK_STAMP_ALL, &conn->opening.stamps, NULL);
    int rc = shared->settings->proxy_protocol ? conn_proxy_header(conn) : 0;
    if (rc) {
        conn_fail(conn, conn_code_of(-rc, FINDING_INCONCLUSIVE), -rc,
                  "cannot send the PROXY header: %s", strerror(-rc));
        return;
    }
    if (shared->tls && !shared->settings->tls_later) {
        conn_tls_start(conn);
        return;
    }
    const struct conn_input nothing = {.other_ns = RESULT_UNKNOWN};
    conn->state = CONN_OPEN;
    conn->user->opened(conn->owner, &nothing);
}

/* ---- the connection ---- */

static void conn_wakes(struct loop_task *task, uint32_t events)
{
    struct conn *conn = (struct conn *)task;

    if (events)
        conn_active(conn);
    /* Stamps come as errors. An error of the connection comes with EPOLLIN and EPOLLHUP. */
    if (events & EPOLLERR && conn_take_stamps(conn)) {
        events &= ~(uint32_t)EPOLLERR;
        if (!events)
            return;
    }
    switch (conn->state) {
    case CONN_CLOSED:
    case CONN_CONNECTING:
        return;
    case CONN_HANDSHAKE:
        conn_tls_woken(conn, events);
        return;
    case CONN_OPEN:
        conn->user->woken(conn->owner, events);
        return;
    }
}

void conn_init(struct conn *conn, struct conn_shared *shared, const char *host,
               struct trace_strip *strip)
{
    *conn = (struct conn){.shared = shared, .host = host, .strip = strip, .sock = SOCK_INIT};
    loop_task_init(&conn->task, conn_wakes);
}

void conn_use(struct conn *conn, const struct conn_user *user, void *owner)
{
    conn->user = user;
    conn->owner = owner;
}

void conn_open(struct conn *conn, const struct sock_address *addresses, size_t count,
               const struct conn_variant *variant, const struct conn_user *user, void *owner)
{
    const struct conn_shared *shared = conn->shared;

    conn_active(conn);
    conn_use(conn, user, owner);
    conn->state = CONN_CONNECTING;
    conn->variant = *variant;
    conn->arrival_count = 0;
    conn->observer = (struct sock_observer){conn_observe, conn};
    conn->opening = (struct conn_opening){
        .address = addresses, .wire_ns = RESULT_UNKNOWN, .tls_ns = RESULT_UNKNOWN};
    conn->race.owner = conn;
    conn->race.prepare = prepare_sock;
    conn->race.begun_one = begun_one;
    conn->race.ended = race_ended;
    int rc =
        conn_race_start(&conn->race, shared->loop, addresses, count, shared->settings->timeout_ns);
    if (rc)
        conn_fail(conn, FINDING_INCONCLUSIVE, -rc, "out of memory for a connection");
}

void conn_close(struct conn *conn)
{
    conn_timer(conn, INT64_MAX);
    loop_forget(conn->shared->loop, &conn->task);
    conn_race_stop(&conn->race);
    if (conn->sock.fd >= 0) {
        if (conn->tls.ssl) { /* takes leave, as TLS wants it */
            tls_end(&conn->tls);
            conn_flush(conn, false);
            tls_free(&conn->tls);
        }
        sock_close(&conn->sock);
    }
    conn->state = CONN_CLOSED;
}
