/* The conversation on one connection, driven by the loop.
 *
 * Each call goes through the socket library, whose observer notes when it was entered and returned;
 * the kernel's stamps come through the socket's error queue, and what they say belongs to the round
 * by its byte offsets. While an answer is under way and nothing comes, TCP_INFO is looked at every
 * millisecond: the count of segments without data tells when our own delayed ACK left, which is
 * what a server with Nagle's algorithm waits for. */
#include "probe/target.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/units.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#define LOOK_NS       NS_PER_MS        /* inside an answer */
#define LOOK_SLOW_NS  (10 * NS_PER_MS) /* before it: only the window matters */
#define CLOCK_STEP_NS NS_PER_MS
#define SMALL_MSS     88 /* the smallest that Linux takes (TCP_MIN_MSS) */

/* ---- the loop's side ---- */

static void watch(struct target *target, uint32_t interest)
{
    loop_watch(&target->run->loop, &target->task, target->sock.fd, interest);
}

static void set_timer(struct target *target)
{
    int64_t at =
        target->phase_deadline_ns < target->look_ns ? target->phase_deadline_ns : target->look_ns;
    loop_timer(&target->run->loop, &target->task, at);
}

static void enter(struct target *target, enum talk_phase phase, int64_t timeout_ns)
{
    target->phase = phase;
    target->look_ns = INT64_MAX;
    target->phase_deadline_ns = timeout_ns == INT64_MAX ? INT64_MAX : clock_mono_ns() + timeout_ns;
    set_timer(target);
}

void talk_close(struct target *target)
{
    loop_timer(&target->run->loop, &target->task, INT64_MAX);
    loop_unwatch(&target->run->loop, &target->task);
    dial_stop(&target->dial);
    if (target->sock.fd >= 0)
        sock_close(&target->sock);
    target->phase = TALK_CLOSED;
}

/* ---- connecting ---- */

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
    enum service_arm arm = target->session.arm;
    const int small = SMALL_MSS;

    if (arm == SERVICE_NODELAY || arm == SERVICE_BOTH)
        set_flag(sock, TCP_NODELAY);
    if (arm == SERVICE_SMALL_MSS)
        sock_setsockopt(sock, IPPROTO_TCP, TCP_MAXSEG, &small, sizeof small);
}

/* What the user wants of every connection, then what this arm changes. */
static int prepare_sock(void *owner, struct sock *sock)
{
    const struct target *target = owner;
    const struct probe_plan *plan = target->run->plan;
    int family = 0, rc = 0;
    socklen_t len = sizeof family;

    getsockopt(sock->fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
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

/* TCP_QUICKACK does not stick (tcp(7)): the kernel falls back by itself, so it is set again before
 * and after everything that could make it do so. */
static void acknowledge_at_once(struct target *target)
{
    const int one = 1;

    if (target->session.arm == SERVICE_QUICKACK || target->session.arm == SERVICE_BOTH)
        setsockopt(target->sock.fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

static const char *describe_attempt(const struct target *target, const struct dial_attempt *attempt)
{
    char address[SOCK_ADDRESS_TEXT_MAX], span[UNITS_TEXT_MAX];
    struct arena *arena = target->run->arena;

    sock_address_format(address, sizeof address, attempt->address);
    units_format_duration(span, sizeof span, attempt->ended_ns - attempt->started_ns, "u");
    switch (attempt->outcome) {
    case DIAL_WAITING:
    case DIAL_TRYING:
    case DIAL_CONNECTED:
        break;
    case DIAL_FAILED:
        return arena_printf(arena, "%s: %s after %s", address, strerrordesc_np(-attempt->rc), span);
    case DIAL_EXPIRED:
        return arena_printf(arena, "%s: no answer to %u SYNs within %s", address,
                            attempt->syn_retransmits + 1, span);
    case DIAL_ABANDONED:
        return arena_printf(arena, "%s: no answer within %s, when another connected", address,
                            span);
    }
    return address[0] ? arena_copy(arena, address) : "?";
}

static const char *describe_others(const struct target *target, const struct dial_attempt *winner)
{
    const char *text = NULL;

    for (size_t i = 0; i < target->dial.begun; i++) {
        const struct dial_attempt *attempt = &target->dial.attempts[i];
        if (attempt == winner)
            continue;
        const char *one = describe_attempt(target, attempt);
        text = text ? arena_printf(target->run->arena, "%s; %s", text, one) : one;
    }
    return text;
}

/* The failure that says most: of several addresses, an answer rather than silence. */
static void dial_failed(struct target *target)
{
    const struct dial_attempt *worst = &target->dial.attempts[0];

    for (size_t i = 0; i < target->dial.begun; i++) {
        const struct dial_attempt *attempt = &target->dial.attempts[i];
        target->syn_retransmits += attempt->syn_retransmits;
        if (attempt->rc == -EMFILE || attempt->rc == -ENFILE) {
            target_postpone(target);
            return;
        }
        if (worst->outcome != DIAL_FAILED && attempt->outcome == DIAL_FAILED)
            worst = attempt;
    }
    int number = worst->outcome == DIAL_FAILED ? -worst->rc : ETIMEDOUT;
    enum finding_code code = finding_of_errno(number);
    target->address_index = (size_t)(worst->address - target->addresses.items);
    target_failed(target, code == FINDING_NONE ? FINDING_INCONCLUSIVE : code, number,
                  "cannot connect to %s", describe_others(target, NULL));
}

/* A client whose ephemeral port is the port it asks for can meet itself by simultaneous open: there
 * is a connection, and nobody listens. */
static bool met_itself(const struct target *target)
{
    struct sock_address local, peer;

    return !sock_local_address(target->sock.fd, &local) &&
           !sock_peer_address(target->sock.fd, &peer) && sock_address_equal(&local, &peer);
}

static void learn_connection(struct target *target, const struct dial_attempt *winner)
{
    struct sock_tcp_info info;
    bool first = !target->connections++;

    if (first) {
        target->connect_ns = winner->ended_ns - winner->started_ns;
        target->fallback_ns = winner->started_ns - target->dial.started_ns;
        target->fallback = describe_others(target, winner);
        sock_local_address(target->sock.fd, &target->local);
    }
    if (sock_tcp_info(target->sock.fd, &info))
        return;
    target->syn_retransmits += info.total_retrans;
    target->slow_connects += info.total_retrans > 0;
    if (info.rtt_ns &&
        (target->handshake_rtt_ns == RESULT_UNKNOWN || info.rtt_ns < target->handshake_rtt_ns))
        target->handshake_rtt_ns = info.rtt_ns;
    target->send_mss_bytes = info.snd_mss;
    if (target->session.arm == SERVICE_SMALL_MSS)
        target->small_mss_bytes = SMALL_MSS - (info.options & SOCK_TCP_OPT_TIMESTAMPS ? 12 : 0);
}

/* A round of connecting alone lasts as long as the kernel says the handshake took: the
 * application's own clock would count how long its process took to look. */
static void finish_connect_round(struct target *target, int64_t took_ns)
{
    struct sock_tcp_info info;
    struct round round = {.total_ns = took_ns,
                          .ack_delay_ns = RESULT_UNKNOWN,
                          .wire_ns = RESULT_UNKNOWN,
                          .hold_after_ack_ns = RESULT_UNKNOWN,
                          .held_ack_delay_ns = RESULT_UNKNOWN,
                          .gap_ack_lag_min_ns = RESULT_UNKNOWN,
                          .gap_ack_lag_max_ns = RESULT_UNKNOWN};

    if (!sock_tcp_info(target->sock.fd, &info) && info.rtt_ns > 0 && !info.total_retrans &&
        info.rtt_ns < took_ns)
        round.total_ns = round.wire_ns = info.rtt_ns;
    round.part_ns[RESULT_PART_NETWORK] = round.total_ns;
    target_round_done(target, &round);
}

static void connected(void *owner, struct dial_attempt *winner)
{
    struct target *target = owner;
    const struct probe_plan *plan = target->run->plan;

    if (!winner) {
        dial_failed(target);
        return;
    }
    int64_t took = winner->ended_ns - winner->started_ns;
    target->sock = winner->sock;
    target->sock.observer = &target->observer;
    winner->sock = (struct sock)SOCK_INIT;
    target->address_index = (size_t)(winner->address - target->addresses.items);
    target->rounds_on_connection = 0;
    if (met_itself(target)) {
        target_failed(target, FINDING_CONNECTION_REFUSED, ECONNREFUSED,
                      "the connection met itself: the kernel chose the target's own port for our "
                      "end, and nobody listens there");
        return;
    }
    learn_connection(target, winner);
    dial_stop(&target->dial);
    if (plan->connect_only) {
        finish_connect_round(target, took);
        return;
    }
    unsigned got = 0;
    sock_stamps_enable(&target->sock, SOCK_STAMP_ALL, &got, NULL);
    target->stamps = target->connections == 1 ? got : target->stamps & got;
    acknowledge_at_once(target);
    if (plan->greeting.kind == UNTIL_NOTHING) {
        talk_next_round(target);
        return;
    }
    until_begin(&target->reader, &plan->greeting);
    enter(target, TALK_GREETING, plan->response_timeout_ns);
    watch(target, EPOLLIN);
}

void talk_open(struct target *target)
{
    bool known = target->connections > 0;
    const struct sock_address *from = known ? address_of(target) : target->addresses.items;

    target->observer = (struct sock_observer){witness_call, target};
    target->phase = TALK_DIALLING;
    target->dial.owner = target;
    target->dial.prepare = prepare_sock;
    target->dial.ended = connected;
    int rc = dial_start(&target->dial, &target->run->loop, from,
                        known ? 1 : target->addresses.count, target->run->plan->connect_timeout_ns);
    if (rc)
        target_failed(target, FINDING_INCONCLUSIVE, -rc, "out of memory for a connection");
}

/* ---- rounds ---- */

static struct round_counters counters_of(const struct sock_tcp_info *info)
{
    return (struct round_counters){.rwnd_limited_ns = info->rwnd_limited_ns,
                                   .sndbuf_limited_ns = info->sndbuf_limited_ns,
                                   .retransmits = info->total_retrans};
}

static void note_rtt(struct target *target, const struct sock_tcp_info *info)
{
    if (SOCK_TCP_HAS(info, MIN_RTT) && info->min_rtt_ns > 0 &&
        (target->min_rtt_ns == RESULT_UNKNOWN || info->min_rtt_ns < target->min_rtt_ns))
        target->min_rtt_ns = info->min_rtt_ns;
}

static void look(struct target *target)
{
    struct sock_tcp_info info;

    if (sock_tcp_info(target->sock.fd, &info))
        return;
    bool pending =
        target->request_sent_bytes < target->run->plan->request_bytes || info.notsent_bytes > 0;
    round_look(&target->builder, clock_real_ns(), info.segs_out - info.data_segs_out,
               pending && SOCK_TCP_HAS(&info, SND_WND) && info.snd_wnd == 0);
}

static size_t piece_size(const struct target *target)
{
    const struct probe_plan *plan = target->run->plan;
    size_t left = plan->request_bytes - target->request_sent_bytes + target->piece_sent_bytes;

    if (target->session.arm == SERVICE_SINGLE_WRITE || target->piece >= plan->piece_count)
        return left;
    return plan->pieces[target->piece] < left ? plan->pieces[target->piece] : left;
}

static void send_pieces(struct target *target);

/* The peer ended the connection, by EOF (number 0) or an error. */
static void peer_ended(struct target *target, int number)
{
    char awaited[UNTIL_TEXT_MAX * 4 + 64];
    const struct until *until =
        target->phase == TALK_GREETING ? &target->run->plan->greeting : &target->run->plan->until;
    uint64_t got = target->reader.seen_bytes;

    if (!got && target->rounds_on_connection && !target->round_retried &&
        target->phase != TALK_GREETING) {
        target->round_retried = true;
        target_closed_between(target, number);
        return;
    }
    until_describe(awaited, sizeof awaited, until);
    enum finding_code code = number ? finding_of_errno(number) : FINDING_RESPONSE_TRUNCATED;
    if (number)
        target_failed(target, code == FINDING_NONE ? FINDING_PEER_ABORTED : code, number,
                      "the server aborted the connection after %llu bytes of the answer, waiting "
                      "for %s: %s",
                      (unsigned long long)got, awaited, strerrordesc_np(number));
    else
        target_failed(
            target, code, 0,
            "the server closed the connection after %llu bytes of the answer, waiting for "
            "%s",
            (unsigned long long)got, awaited);
}

static void begin_round(struct target *target)
{
    const struct probe_plan *plan = target->run->plan;
    struct sock_tcp_info info = {0};

    if (target->strip)
        trace_strip_reset(target->strip);
    acknowledge_at_once(target);
    witness_stamps(target);
    sock_tcp_info(target->sock.fd, &info);
    note_rtt(target, &info);
    int64_t rtt =
        target->min_rtt_ns != RESULT_UNKNOWN ? target->min_rtt_ns : target->handshake_rtt_ns;
    target->send_mss_bytes = info.snd_mss;
    round_begin(&target->builder, rtt == RESULT_UNKNOWN ? 0 : rtt, info.snd_mss,
                counters_of(&info));
    until_begin(&target->reader, &plan->until);
    target->round_base_bytes = target->sock.bytes_sent;
    target->piece = 0;
    target->piece_sent_bytes = target->request_sent_bytes = 0;
    target->round_clock = clock_pair_now();
    enter(target, TALK_SENDING, plan->response_timeout_ns);
    target->look_ns = clock_mono_ns() + LOOK_SLOW_NS;
    send_pieces(target);
}

/* A server that closes after its answer is met here, before anything is said in vain. */
static bool closed_meanwhile(struct target *target)
{
    char byte;
    ssize_t got = recv(target->sock.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

void talk_next_round(struct target *target)
{
    if (target->rounds_on_connection && closed_meanwhile(target)) {
        target_closed_between(target, 0);
        return;
    }
    if (target->rounds_on_connection && target->run->plan->interval_ns) {
        enter(target, TALK_RESTING, target->run->plan->interval_ns);
        watch(target, 0);
        return;
    }
    begin_round(target);
}

static void finish_round(struct target *target)
{
    struct clock_pair now = clock_pair_now();
    struct sock_tcp_info info = {0};
    struct round round;

    witness_stamps(target);
    sock_tcp_info(target->sock.fd, &info);
    note_rtt(target, &info);
    if (target->session.arm == SERVICE_BASELINE) {
        target->info = info;
        target->has_info = true;
    }
    round_end(&target->builder, counters_of(&info), &round);
    target->rounds_on_connection++;
    target->round_retried = false;
    target->phase = TALK_RESTING;
    loop_timer(&target->run->loop, &target->task, INT64_MAX);
    if (clock_stepped(target->round_clock, now, CLOCK_STEP_NS)) {
        target->clock_steps++; /* stamps and calls of this round cannot be compared */
        if (target->clock_steps < 100) {
            talk_next_round(target);
            return;
        }
    }
    target_round_done(target, &round);
}

static void begin_receiving(struct target *target)
{
    target->phase = TALK_RECEIVING;
    watch(target, EPOLLIN);
    /* No answer is awaited: the round ends here, by the timer, so that rounds do not nest. */
    if (target->run->plan->until.kind == UNTIL_NOTHING)
        target->look_ns = clock_mono_ns();
    set_timer(target);
}

static void send_pieces(struct target *target)
{
    const struct probe_plan *plan = target->run->plan;

    while (target->request_sent_bytes < plan->request_bytes) {
        size_t left = piece_size(target) - target->piece_sent_bytes;
        ssize_t sent = sock_write(&target->sock, plan->request + target->request_sent_bytes, left,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == -EAGAIN) {
            watch(target, EPOLLIN | EPOLLOUT);
            set_timer(target);
            return;
        }
        if (sent < 0) {
            peer_ended(target, (int)-sent);
            return;
        }
        target->request_sent_bytes += (size_t)sent;
        target->piece_sent_bytes += (size_t)sent;
        round_write(&target->builder, target->entered_real_ns, target->returned_real_ns,
                    target->request_sent_bytes);
        if (target->piece_sent_bytes < piece_size(target))
            continue;
        target->piece++;
        target->piece_sent_bytes = 0;
        if (plan->gap_ns && target->request_sent_bytes < plan->request_bytes &&
            target->session.arm != SERVICE_SINGLE_WRITE) {
            int64_t deadline = target->phase_deadline_ns;
            enter(target, TALK_PAUSING, plan->gap_ns);
            target->phase_deadline_ns = deadline;
            target->look_ns = clock_mono_ns() + plan->gap_ns;
            set_timer(target);
            watch(target, EPOLLIN);
            return;
        }
    }
    begin_receiving(target);
}

/* Bytes came. Those before the request is out (a server that answers early) count as answer too. */
static void receive(struct target *target)
{
    struct run *run = target->run;
    bool greeting = target->phase == TALK_GREETING;
    struct error error;
    int64_t arrived;
    size_t used = 0;

    if (!greeting)
        look(target);
    ssize_t got =
        sock_read_stamped(&target->sock, run->buffer, sizeof run->buffer, MSG_DONTWAIT, &arrived);
    if (got == -EAGAIN)
        return;
    acknowledge_at_once(target);
    if (got <= 0) {
        bool complete = !got && until_closed(&target->reader);
        if (complete && !greeting && target->request_sent_bytes == run->plan->request_bytes)
            finish_round(target);
        else
            peer_ended(target, (int)-got);
        return;
    }
    int rc = until_feed(&target->reader, run->buffer, (size_t)got, &used, &error);
    if (!greeting) {
        if (arrived != SOCK_NO_TIME)
            witness_arrival(target, arrived, (uint64_t)target->reader.seen_bytes, (uint64_t)got);
        round_read(&target->builder, arrived == SOCK_NO_TIME ? RESULT_UNKNOWN : arrived,
                   target->returned_real_ns, (uint64_t)got);
        target->look_ns = clock_mono_ns() + LOOK_NS;
    }
    if (rc < 0) {
        target_failed(target, FINDING_NO_RESPONSE, EPROTO,
                      "the answer is not what was expected: %s", error.text);
        return;
    }
    target->surplus_bytes += got - (ssize_t)used;
    if (run->plan->until.kind == UNTIL_IDLE && !greeting) {
        target->look_ns = clock_mono_ns() + run->plan->until.idle_ns;
        set_timer(target);
    } else if (rc && greeting) {
        talk_next_round(target);
    } else if (rc && target->request_sent_bytes == run->plan->request_bytes) {
        finish_round(target);
    } else {
        set_timer(target);
    }
}

static void response_timed_out(struct target *target)
{
    char awaited[UNTIL_TEXT_MAX * 4 + 64], span[UNITS_TEXT_MAX];
    const struct probe_plan *plan = target->run->plan;
    bool greeting = target->phase == TALK_GREETING;
    const struct until *until = greeting ? &plan->greeting : &plan->until;
    uint64_t got = target->reader.seen_bytes;

    until_describe(awaited, sizeof awaited, until);
    units_format_duration(span, sizeof span, plan->response_timeout_ns, "u");
    if (!greeting)
        talk_abandon(target);
    if (target->request_sent_bytes < plan->request_bytes && !greeting)
        target_failed(target, FINDING_NO_RESPONSE, ETIMEDOUT,
                      "the server took %zu of the request's %zu bytes within %s and answered "
                      "nothing complete",
                      target->request_sent_bytes, plan->request_bytes, span);
    else
        target_failed(target, FINDING_NO_RESPONSE, ETIMEDOUT, "waited %s for %s; %llu bytes came%s",
                      span, awaited, (unsigned long long)got, greeting ? " as a greeting" : "");
}

void talk_abandon(struct target *target)
{
    struct sock_tcp_info info = {0};

    if (target->phase != TALK_SENDING && target->phase != TALK_PAUSING &&
        target->phase != TALK_RECEIVING)
        return;
    look(target);
    witness_stamps(target);
    sock_tcp_info(target->sock.fd, &info);
    target->info = info;
    target->has_info = true;
    round_abandon(&target->builder, clock_real_ns(), counters_of(&info), &target->unfinished);
    target->has_unfinished = true;
}

/* The timer ran out: the phase's deadline, or time for another look. */
static void timer(struct target *target)
{
    int64_t now = clock_mono_ns();
    bool over = now >= target->phase_deadline_ns;

    switch (target->phase) {
    case TALK_CLOSED:
        return;
    case TALK_DIALLING:
        return;
    case TALK_RESTING:
        if (closed_meanwhile(target))
            target_closed_between(target, 0);
        else
            begin_round(target);
        return;
    case TALK_PAUSING:
        target->phase = TALK_SENDING;
        target->look_ns = now + LOOK_SLOW_NS;
        send_pieces(target);
        return;
    case TALK_GREETING:
    case TALK_SENDING:
    case TALK_RECEIVING:
        break;
    }
    if (over) {
        response_timed_out(target);
        return;
    }
    enum until_kind until = target->run->plan->until.kind;
    if (target->phase == TALK_RECEIVING &&
        (until == UNTIL_NOTHING || (until == UNTIL_IDLE && target->reader.seen_bytes))) {
        if (until == UNTIL_NOTHING)
            target->builder.last_returned_ns = target->returned_real_ns;
        finish_round(target);
        return;
    }
    look(target);
    target->look_ns = now + (target->reader.seen_bytes ? LOOK_NS : LOOK_SLOW_NS);
    set_timer(target);
}

void talk_wake(struct loop_task *task, uint32_t events)
{
    struct target *target = (struct target *)task;

    if (!events) {
        timer(target);
        return;
    }
    if (events & EPOLLERR)
        witness_stamps(target);
    if (events & EPOLLOUT && target->phase == TALK_SENDING) {
        send_pieces(target);
        return;
    }
    switch (target->phase) {
    case TALK_CLOSED:
    case TALK_DIALLING:
        return;
    case TALK_RESTING:
        if (events & (EPOLLHUP | EPOLLERR) && closed_meanwhile(target))
            target_closed_between(target, 0);
        return;
    case TALK_GREETING:
    case TALK_SENDING:
    case TALK_PAUSING:
    case TALK_RECEIVING:
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(target);
        return;
    }
}
