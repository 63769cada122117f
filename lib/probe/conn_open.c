/* Getting a connection for the conversation: what every socket is set up with, the race of the
 * addresses (dial.c), and what is learned from the one that won and from those that did not. */
#include "probe/target.h"

#include "base/units.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define SMALL_MSS 88 /* the smallest that Linux takes (TCP_MIN_MSS) */

static const struct sock_address *address_of(const struct target *target)
{
    return &target->addresses.items[target->address_index];
}

static void set_flag(struct sock *sock, int option)
{
    const int one = 1;
    sock_setsockopt(sock, IPPROTO_TCP, option, &one, sizeof one);
}

static void apply_arm(const struct target *target, struct sock *sock)
{
    enum probe_arm arm = target->session.arm;
    const int small = SMALL_MSS;

    if (arm == ARM_NODELAY || arm == ARM_BOTH)
        set_flag(sock, TCP_NODELAY);
    if (arm == ARM_SMALL_MSS)
        sock_setsockopt(sock, IPPROTO_TCP, TCP_MAXSEG, &small, sizeof small);
}

/* What the user wants of every connection, then what this arm changes. */
static int prepare_sock(void *owner, struct sock *sock, int family)
{
    const struct target *target = owner;
    const struct probe_plan *plan = target->run->plan;
    int rc = 0;

    if (plan->traffic_class >= 0)
        rc = family == AF_INET6
                 ? sock_setsockopt(sock, IPPROTO_IPV6, IPV6_TCLASS, &plan->traffic_class,
                                   sizeof(int))
                 : sock_setsockopt(sock, IPPROTO_IP, IP_TOS, &plan->traffic_class, sizeof(int));
    if (!rc && plan->interface)
        rc = sock_setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, plan->interface,
                             (socklen_t)strlen(plan->interface));
    for (size_t i = 0; i < plan->option_count && !rc; i++)
        if (sock_option_applies(plan->options[i].option, family))
            rc =
                sock_option_write(sock->fd, plan->options[i].option, &plan->options[i].value, NULL);
    apply_arm(target, sock);
    if (!rc && plan->source)
        rc = sock_family(plan->source) == family ? sock_bind(sock, plan->source) : -EADDRNOTAVAIL;
    return rc;
}

static void begun_one(void *owner, const struct sock *sock)
{
    const struct target *target = owner;
    live_capture_connection(target->run->capture, sock->fd);
}

static const char *describe_attempt(const struct target *target,
                                    const struct conn_race_attempt *attempt)
{
    char address[SOCK_ADDRESS_TEXT_MAX], span[UNITS_TEXT_MAX];
    struct arena *arena = target->run->arena;

    sock_address_format(address, sizeof address, attempt->address);
    units_format_duration(span, sizeof span, attempt->ended_ns - attempt->started_ns, "u");
    switch (attempt->outcome) {
    case CONN_RACE_WAITING:
    case CONN_RACE_TRYING:
    case CONN_RACE_CONNECTED:
        break;
    case CONN_RACE_FAILED:
        return arena_printf(arena, "%s: %s after %s", address, strerrordesc_np(-attempt->rc), span);
    case CONN_RACE_EXPIRED:
        return arena_printf(arena, "%s: no answer to %u SYNs within %s", address,
                            attempt->syn_retransmits + 1, span);
    case CONN_RACE_ABANDONED:
        return arena_printf(arena, "%s: no answer within %s, when another connected", address,
                            span);
    }
    return address[0] ? arena_copy(arena, address) : "?";
}

static const char *describe_others(const struct target *target,
                                   const struct conn_race_attempt *winner)
{
    const char *text = NULL;

    for (size_t i = 0; i < target->race.begun; i++) {
        const struct conn_race_attempt *attempt = &target->race.attempts[i];
        if (attempt == winner)
            continue;
        const char *one = describe_attempt(target, attempt);
        text = text ? arena_printf(target->run->arena, "%s; %s", text, one) : one;
    }
    return text;
}

/* The failure that says most: of several addresses, an answer rather than silence. */
static void race_failed(struct target *target)
{
    const struct conn_race_attempt *worst = &target->race.attempts[0];

    for (size_t i = 0; i < target->race.begun; i++) {
        const struct conn_race_attempt *attempt = &target->race.attempts[i];
        target->syn_retransmits += attempt->syn_retransmits;
        if (attempt->rc == -EMFILE || attempt->rc == -ENFILE) {
            target_postpone(target);
            return;
        }
        if (worst->outcome != CONN_RACE_FAILED && attempt->outcome == CONN_RACE_FAILED)
            worst = attempt;
    }
    int number = worst->outcome == CONN_RACE_FAILED ? -worst->rc : ETIMEDOUT;
    enum finding_code code = finding_of_errno(number);
    target->address_index = (size_t)(worst->address - target->addresses.items);
    target_failed(target, code == FINDING_NONE ? FINDING_INCONCLUSIVE : code, number,
                  "cannot connect to %s", describe_others(target, NULL));
}

/* A client whose ephemeral port is the port it asks for can meet itself by simultaneous open: there
 * is a connection, and nobody listens. */
static bool met_itself(const struct target *target, const struct sock_address *local)
{
    struct sock_address peer;

    return sock_address_port(local) == sock_address_port(address_of(target)) &&
           !sock_peer_address(target->sock.fd, &peer) && sock_address_equal(local, &peer);
}

static void learn_connection(struct target *target, const struct conn_race_attempt *winner,
                             const struct sock_address *local)
{
    const struct sock_tcp_info *info = &winner->info;
    bool first = !target->connections++;

    target->connect_took_ns = winner->ended_ns - winner->started_ns;
    target->connect_wire_ns = RESULT_UNKNOWN;
    if (first) {
        target->connect_ns = target->connect_took_ns;
        target->fallback_ns = winner->started_ns - target->race.started_ns;
        target->fallback = describe_others(target, winner);
        target->local = *local;
    }
    target->syn_retransmits += info->total_retrans;
    target->slow_connects += info->total_retrans > 0;
    if (info->rtt_ns > 0 && !info->total_retrans && info->rtt_ns < target->connect_took_ns)
        target->connect_wire_ns = info->rtt_ns;
    if (info->rtt_ns &&
        (target->handshake_rtt_ns == RESULT_UNKNOWN || info->rtt_ns < target->handshake_rtt_ns))
        target->handshake_rtt_ns = info->rtt_ns;
    target->send_mss_bytes = info->snd_mss;
    if (target->session.arm == ARM_SMALL_MSS)
        target->small_mss_bytes = SMALL_MSS - (info->options & SOCK_TCP_OPT_TIMESTAMPS ? 12 : 0);
}

/* A round of connecting alone lasts as long as the kernel says the handshake took: the
 * application's own clock would count how long its process took to look. TLS has only that clock:
 * its round trips are the network's, the rest of the time that we waited the server's, and what is
 * left our own. */
void opening_finish_round(struct target *target)
{
    bool known = target->connect_wire_ns != RESULT_UNKNOWN;
    int64_t span = known ? target->connect_wire_ns : target->connect_took_ns, took = 0, waited = 0,
            travelled = 0;

    if (target->tls.ssl) {
        took = target->tls_took_ns;
        waited = target->tls_waited_ns < took ? target->tls_waited_ns : took;
        travelled = target->tls.round_trips * span;
        travelled = travelled < waited ? travelled : waited;
    }
    struct round round = {.total_ns = span + took,
                          .ack_delay_ns = RESULT_UNKNOWN,
                          .wire_ns = RESULT_UNKNOWN,
                          .hold_after_ack_ns = RESULT_UNKNOWN,
                          .held_ack_delay_ns = RESULT_UNKNOWN,
                          .gap_ack_lag_min_ns = RESULT_UNKNOWN,
                          .gap_ack_lag_max_ns = RESULT_UNKNOWN};
    round.part_ns[RESULT_PART_NETWORK] = span + travelled;
    round.part_ns[RESULT_PART_SERVER] = waited - travelled;
    round.part_ns[RESULT_PART_OTHER] = took - waited;
    if (!took)
        round.wire_ns = target->connect_wire_ns;
    live_capture_take(target->run->capture);
    target_round_done(target, &round);
}

static void connected(void *owner, struct conn_race_attempt *winner)
{
    struct target *target = owner;
    const struct probe_plan *plan = target->run->plan;

    admission_note(&target->run->admission, &target->place);
    if (!winner) {
        race_failed(target);
        return;
    }
    /* A connection that is only opened is closed before the loop's next turn. */
    if (plan->connect_only && !target->run->tls)
        loop_forget(&target->run->loop, &winner->task);
    else
        loop_unwatch(&target->run->loop, &winner->task);
    target->sock = winner->sock;
    target->sock.observer = &target->observer;
    winner->sock = (struct sock)SOCK_INIT;
    target->address_index = (size_t)(winner->address - target->addresses.items);
    target->rounds_on_connection = 0;
    struct sock_address local = {0};
    sock_local_address(target->sock.fd, &local);
    if (met_itself(target, &local)) {
        target_failed(target, FINDING_CONNECTION_REFUSED, ECONNREFUSED,
                      "the connection met itself: the kernel chose the target's own port for our "
                      "end, and nobody listens there");
        return;
    }
    live_capture_connection(target->run->capture, target->sock.fd);
    learn_connection(target, winner, &local);
    conn_race_stop(&target->race);
    if (!plan->connect_only) {
        unsigned got = 0;
        sock_stamps_enable(&target->sock, SOCK_STAMP_ALL, &got, NULL);
        target->stamps = target->connections == 1 ? got : target->stamps & got;
    }
    if (target->run->tls)
        securing_begin(target);
    else if (plan->connect_only)
        opening_finish_round(target);
    else
        talk_begin(target);
}

void talk_open(struct target *target)
{
    bool known = target->connections > 0;
    const struct sock_address *from = known ? address_of(target) : target->addresses.items;

    admission_note(&target->run->admission, &target->place);
    if (target->run->plan->connect_only)
        timestamping_begin(target);
    target->observer = (struct sock_observer){timestamping_call, target};
    target->phase = TALK_DIALLING;
    target->race.owner = target;
    target->race.prepare = prepare_sock;
    target->race.begun_one = begun_one;
    target->race.ended = connected;
    int rc =
        conn_race_start(&target->race, &target->run->loop, from,
                        known ? 1 : target->addresses.count, target->run->plan->connect_timeout_ns);
    if (rc)
        target_failed(target, FINDING_INCONCLUSIVE, -rc, "out of memory for a connection");
}
