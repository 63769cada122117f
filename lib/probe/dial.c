/* Getting a connection: the addresses of the target one after the other until one takes us, with
 * what the session's arm wants set on the socket before it connects. */
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

static void apply_arm(struct target *target)
{
    enum service_arm arm = target->session.arm;
    int one = 1, small = SMALL_MSS;

    if (arm == SERVICE_NODELAY || arm == SERVICE_BOTH)
        sock_setsockopt(&target->sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (arm == SERVICE_SMALL_MSS)
        sock_setsockopt(&target->sock, IPPROTO_TCP, TCP_MAXSEG, &small, sizeof small);
}

static void connect_failed(struct target *target, int rc);

static void connected(struct target *target)
{
    struct sock_tcp_info info;
    struct sock_address local;
    int64_t took = clock_mono_ns() - target->connect_started_ns;
    bool first = !target->connections++;

    target->rounds_on_connection = 0;
    if (!sock_tcp_info(target->sock.fd, &info)) {
        if (first) {
            target->connect_ns = took;
            target->syn_retransmits = info.total_retrans;
        }
        if (info.rtt_ns && (first || info.rtt_ns < target->handshake_rtt_ns))
            target->handshake_rtt_ns = info.rtt_ns;
        target->send_mss_bytes = info.snd_mss;
        if (target->session.arm == SERVICE_SMALL_MSS)
            target->small_mss_bytes = SMALL_MSS - (info.options & SOCK_TCP_OPT_TIMESTAMPS ? 12 : 0);
    }
    if (first && !sock_local_address(target->sock.fd, &local)) {
        char from[SOCK_ADDRESS_TEXT_MAX], to[SOCK_ADDRESS_TEXT_MAX];
        snprintf(target->connection, sizeof target->connection, "%s > %s",
                 sock_address_format(from, sizeof from, &local),
                 sock_address_format(to, sizeof to, address_of(target)));
    }
    if (target->run->plan->connect_only) {
        struct round round = {.total_ns = took,
                              .ack_delay_ns = RESULT_UNKNOWN,
                              .wire_ns = RESULT_UNKNOWN,
                              .hold_after_ack_ns = RESULT_UNKNOWN};
        int64_t travel = target->handshake_rtt_ns < took ? target->handshake_rtt_ns : took;
        round.part_ns[RESULT_PART_NETWORK] = travel;
        round.part_ns[RESULT_PART_WAKEUP] = took - travel;
        target_round_done(target, &round);
        return;
    }
    unsigned got = 0;
    sock_stamps_enable(&target->sock, SOCK_STAMP_ALL, &got, NULL);
    target->stamps = first ? got : target->stamps & got;
    talk_acknowledge_at_once(target);
    if (target->run->plan->greeting.kind == UNTIL_NOTHING) {
        talk_next_round(target);
        return;
    }
    until_begin(&target->reader, &target->run->plan->greeting);
    talk_enter(target, TALK_GREETING, target->run->plan->response_timeout_ns);
    talk_watch(target, EPOLLIN);
}

void talk_open(struct target *target)
{
    const struct sock_address *address = address_of(target);

    target->observer = (struct sock_observer){witness_call, target};
    target->sock = (struct sock)SOCK_INIT;
    int rc = sock_open(&target->sock, sock_family(address), SOCK_NONBLOCK);
    if (rc) {
        connect_failed(target, rc);
        return;
    }
    target->sock.observer = &target->observer;
    apply_arm(target);
    target->connect_started_ns = clock_mono_ns();
    talk_enter(target, TALK_CONNECTING, target->run->plan->connect_timeout_ns);
    rc = sock_connect_start(&target->sock, address);
    if (rc && rc != -EINPROGRESS) {
        connect_failed(target, rc);
        return;
    }
    talk_watch(target, EPOLLOUT);
}

static void connect_failed(struct target *target, int rc)
{
    char text[SOCK_ADDRESS_TEXT_MAX];
    enum finding_code code = finding_of_errno(-rc);

    talk_close(target);
    if (target->address_index + 1 < target->addresses.count && !target->connections) {
        target->address_index++;
        talk_open(target);
        return;
    }
    target_failed(target, code == FINDING_NONE ? FINDING_INCONCLUSIVE : code, -rc,
                  "cannot connect to %s: %s",
                  sock_address_format(text, sizeof text, address_of(target)), strerrordesc_np(-rc));
}

void dial_timed_out(struct target *target)
{
    char text[SOCK_ADDRESS_TEXT_MAX], span[UNITS_TEXT_MAX];
    struct sock_tcp_info info = {0};

    sock_tcp_info(target->sock.fd, &info);
    target->syn_retransmits = info.total_retrans;
    sock_address_format(text, sizeof text, address_of(target));
    talk_close(target);
    if (target->address_index + 1 < target->addresses.count && !target->connections) {
        target->address_index++;
        talk_open(target);
        return;
    }
    target_failed(
        target, FINDING_CONNECT_TIMEOUT, ETIMEDOUT, "no answer from %s to %u SYNs within %s", text,
        info.total_retrans + 1,
        units_format_duration(span, sizeof span, target->run->plan->connect_timeout_ns, "u"));
}

void dial_finish(struct target *target)
{
    int rc = sock_connect_finish(&target->sock);

    if (rc == -EINPROGRESS)
        return;
    if (rc)
        connect_failed(target, rc);
    else
        connected(target);
}
