#include "probe/connect_try.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "probe/timestamping.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#define QUEUED_MAX 8 /* ICMP errors taken at a time */
/* A device on top of another one (a bridge, a VLAN) shows a segment twice; TCP sends it again after
 * 200 ms at the earliest. */
#define TWICE_NS (100 * NS_PER_MS)
/* The kernel takes a segment in the moment after it was captured. */
#define TAKEN_NS (100 * NS_PER_MS)

const char *connect_try_host_text(char *out, const struct sock_address *address)
{
    char text[SOCK_ADDRESS_TEXT_MAX];
    bool v6 = sock_family(address) == AF_INET6;

    sock_address_format(text, sizeof text, address);
    char *end = strrchr(text, v6 ? ']' : ':');
    if (end)
        *end = '\0';
    snprintf(out, SOCK_ADDRESS_TEXT_MAX, "%s", text + v6);
    return out;
}

static void close_sock(struct connect_try *try)
{
    loop_timer(try->loop, &try->task, INT64_MAX);
    loop_forget(try->loop, &try->task);
    if (try->sock.fd >= 0)
        sock_close(&try->sock);
    try->going = false;
}

/* What the kernel has counted; it keeps the count when the connect has failed. */
static void take_counts(struct connect_try *try)
{
    struct sock_tcp_info info;
    struct reach_try *result = &try->result;

    result->took_ns = clock_mono_ns() - try->started_ns;
    result->rtt_ns = result->echo_ns = RESULT_UNKNOWN;
    result->syn_retransmits = 0;
    if (try->sock.fd < 0 || sock_tcp_info(try->sock.fd, &info))
        return;
    result->syn_retransmits = info.total_retrans;
    if (result->answer != REACH_CONNECTED || !SOCK_TCP_HAS(&info, RTT))
        return;
    /* With a retransmission it is not known which SYN was answered (Karn's algorithm), unless a
     * timestamp tells: then it is what the kernel measures from (tcp_ack_update_rtt() in
     * net/ipv4/tcp_input.c). */
    if (!info.total_retrans)
        result->rtt_ns = info.rtt_ns;
    else if (info.options & SOCK_TCP_OPT_TIMESTAMPS)
        result->echo_ns = info.rtt_ns;
}

/* What was captured until now. A SYN,ACK that came at the last moment says nothing of a kernel that
 * did not take it. */
static void take_captured(struct connect_try *try)
{
    struct reach_wire *wire = &try->result.wire;

    live_capture_take(try->capture);
    wire->seen = try->capture && !live_capture_failed(try->capture, NULL) &&
                 !live_capture_lost(try->capture);
    if (try->result.answer == REACH_SILENCE && wire->synacks &&
        clock_real_ns() - try->first_synack_real_ns < TAKEN_NS)
        wire->synacks = 0;
}

static void end_try(struct connect_try *try, enum reach_answer answer, int number)
{
    try->result.answer = answer;
    try->result.number = number;
    take_counts(try);
    take_captured(try);
    close_sock(try);
    try->ended(try);
}

/* Our own port can be the one that we ask for: then two SYNs of one socket have met. */
static bool met_itself(const struct connect_try *try)
{
    struct sock_address local, peer;

    return !sock_local_address(try->sock.fd, &local) && !sock_peer_address(try->sock.fd, &peer) &&
           sock_address_equal(&local, &peer);
}

/* The first ICMP error on the queue; false when there is none. */
static bool take_icmp(struct connect_try *try)
{
    struct sock_stamp stamps[QUEUED_MAX];
    struct reach_icmp *icmp = &try->result.icmp;
    int count = sock_stamps_drain(&try->sock, stamps, QUEUED_MAX);

    for (int i = 0; i < count; i++) {
        const struct sock_stamp *stamp = &stamps[i];
        if (stamp->kind != SOCK_STAMP_ERROR || !stamp->icmp)
            continue;
        *icmp = (struct reach_icmp){.v6 = sock_family(&try->to) == AF_INET6,
                                    .type = stamp->icmp_type,
                                    .code = stamp->icmp_code};
        if (stamp->offender.len_bytes) {
            icmp->from = connect_try_host_text(try->from, &stamp->offender);
            icmp->ours = !strcmp(try->from, try->source);
        }
        try->result.number = stamp->error;
        return true;
    }
    return false;
}

/* What errno says where no ICMP came. */
static enum reach_answer answer_of(int number)
{
    static const struct {
        int number;
        enum reach_answer answer;
    } answers[] = {{0, REACH_CONNECTED},
                   {ECONNREFUSED, REACH_RST},
                   {ECONNRESET, REACH_RESET},
                   {EPIPE, REACH_RESET},
                   {ETIMEDOUT, REACH_SILENCE}};

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        if (answers[i].number == number)
            return answers[i].answer;
    return REACH_UNTRIED;
}

static void answered(struct connect_try *try)
{
    if (sock_tcp_state(try->sock.fd) == TCP_ESTABLISHED) {
        end_try(try, met_itself(try) ? REACH_ITSELF : REACH_CONNECTED, 0);
        return;
    }
    if (take_icmp(try)) {
        end_try(try, REACH_ICMP, try->result.number);
        return;
    }
    int rc = sock_connect_finish(&try->sock);
    if (rc != -EINPROGRESS)
        end_try(try, answer_of(-rc), -rc);
}

static bool is_answered(const struct connect_try *try)
{
    int state = sock_tcp_state(try->sock.fd);
    return state != TCP_SYN_SENT && state != TCP_SYN_RECV;
}

static void timed(struct connect_try *try)
{
    if (try->sock.fd < 0) { /* it failed at once */
        end_try(try, try->result.answer, try->result.number);
    } else if (is_answered(try)) { /* we wake up late */
        loop_timer(try->loop, &try->task, clock_mono_ns() + 10 * NS_PER_MS);
        answered(try);
    } else if (clock_mono_ns() >= try->deadline_ns) {
        end_try(try, REACH_SILENCE, 0);
    } else {
        loop_timer(try->loop, &try->task, try->deadline_ns);
        if (try->waits)
            try->waits(try);
    }
}

static void try_wakes(struct loop_task *task, uint32_t events)
{
    struct connect_try *try = (struct connect_try *)task;

    if (events)
        answered(try);
    else
        timed(try);
}

static void record_call(void *context, const struct sock_call *call)
{
    const struct connect_try *try = context;

    if (call->stage == SOCK_CALL_RETURNED &&
        (call->verb == SOCK_VERB_CONNECT || call->verb == SOCK_VERB_CONNECT_RESULT ||
         call->verb == SOCK_VERB_CLOSE))
        timestamping_record_call(try->strip, try->connection, call);
}

static int prepare_try(struct connect_try *try, int hop_limit)
{
    const int one = 1;
    bool v6 = sock_family(&try->to) == AF_INET6;
    int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    int rc = sock_open(&try->sock, sock_family(&try->to), SOCK_NONBLOCK);

    if (!rc)
        rc = sock_setsockopt(&try->sock, level, v6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof one);
    if (!rc && hop_limit)
        rc = sock_setsockopt(&try->sock, level, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &hop_limit,
                             sizeof hop_limit);
    return rc;
}

static int start_try(struct connect_try *try)
{
    struct sock_address local;

    try->started_ns = clock_mono_ns();
    int rc = sock_connect_start(&try->sock, &try->to);
    if (rc && rc != -EINPROGRESS)
        return rc;
    live_capture_connection(try->capture, try->sock.fd);
    if (!sock_local_address(try->sock.fd, &local)) {
        connect_try_host_text(try->source, &local);
        try->local_port = sock_address_port(&local);
    }
    return loop_watch(try->loop, &try->task, try->sock.fd, EPOLLOUT);
}

/* Whether a failure says something of the way, or only of this process. */
static enum reach_answer failure_of(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOBUFS ? REACH_UNTRIED
                                                                             : REACH_REFUSED;
}

void connect_try_begin(struct connect_try *try, struct loop *loop, const struct sock_address *to,
                       int hop_limit, int64_t deadline_ns)
{
    try->loop = loop;
    try->to = *to;
    try->going = true;
    try->sock = (struct sock)SOCK_INIT;
    try->observer = (struct sock_observer){record_call, try};
    if (try->strip)
        try->sock.observer = &try->observer;
    try->result = (struct reach_try){.answer = REACH_UNTRIED};
    try->source[0] = try->from[0] = try->wire_from[0] = '\0';
    try->local_port = 0;
    try->syn_real_ns = try->synack_real_ns = CLOCK_NONE;
    try->deadline_ns = deadline_ns;
    loop_task_init(&try->task, try_wakes);
    try->started_ns = clock_mono_ns();
    int rc = prepare_try(try, hop_limit);
    try->result.without_socket = rc != 0;
    if (!rc)
        rc = start_try(try);
    if (rc) {
        try->result.answer = failure_of(rc);
        try->result.number = -rc;
        if (try->sock.fd >= 0 && take_icmp(try))
            try->result.answer = REACH_ICMP;
        if (try->sock.fd >= 0)
            sock_close(&try->sock);
        loop_timer(loop, &try->task, 0);
        return;
    }
    int64_t look_ns = try->started_ns + CONNECT_TRY_LOOK_NS;
    loop_timer(loop, &try->task, try->waits && look_ns < deadline_ns ? look_ns : deadline_ns);
}

void connect_try_cut(struct connect_try *try)
{
    if (!try->going)
        return;
    if (try->sock.fd >= 0)
        try->result.answer = REACH_SILENCE;
    take_counts(try);
    take_captured(try);
    close_sock(try);
}

/* ---- what was captured ---- */

static bool is_peer(const struct connect_try *try, const struct packet_endpoint *end,
                    uint8_t family)
{
    struct sock_address to = try->to;

    sock_address_unmap(&to);
    bool v6 = sock_family(&to) == AF_INET6;
    const void *address = v6 ? (const void *)&to.v6.sin6_addr : &to.v4.sin_addr;
    return family == (v6 ? 6 : 4) && end->port == sock_address_port(&to) &&
           !memcmp(end->address, address, v6 ? 16 : 4);
}

static bool again(int64_t *last_real_ns, int64_t real_ns)
{
    bool twice = *last_real_ns != CLOCK_NONE && real_ns - *last_real_ns < TWICE_NS;

    if (!twice)
        *last_real_ns = real_ns;
    return twice;
}

static void saw_ours(struct connect_try *try, const struct segment *segment, int64_t real_ns)
{
    struct reach_wire *wire = &try->result.wire;

    if ((segment->flags & (SEGMENT_SYN | SEGMENT_ACK)) != SEGMENT_SYN ||
        again(&try->syn_real_ns, real_ns))
        return;
    try->sequence = segment->seq;
    wire->syns++;
}

static void saw_theirs(struct connect_try *try, const struct segment *segment, int64_t real_ns)
{
    struct reach_wire *wire = &try->result.wire;

    if (segment->flags & SEGMENT_RST) {
        wire->rst_ttl = wire->rst_ttl ? wire->rst_ttl : segment->ttl;
    } else if ((segment->flags & SEGMENT_SYN) && (segment->flags & SEGMENT_ACK) &&
               !again(&try->synack_real_ns, real_ns)) {
        if (!wire->synacks++)
            try->first_synack_real_ns = real_ns;
        wire->misfits |= wire->syns && segment->ack != try->sequence + 1;
        wire->synack_ttl = wire->synack_ttl ? wire->synack_ttl : segment->ttl;
    }
}

static void saw_icmp(struct connect_try *try, const struct segment *segment)
{
    struct reach_wire *wire = &try->result.wire;
    const struct packet_quote *quote = &segment->icmp.quote;

    if (wire->has_icmp || !quote->has_seq || !wire->syns || quote->seq != try->sequence)
        return;
    packet_address_text(try->wire_from, sizeof try->wire_from, segment->family,
                        segment->source.address);
    wire->has_icmp = true;
    wire->icmp = (struct reach_icmp){.v6 = segment->family == 6,
                                     .type = segment->icmp.type,
                                     .code = segment->icmp.code,
                                     .from = try->wire_from,
                                     .ours = !strcmp(try->wire_from, try->source)};
}

bool connect_try_has_peer(const struct connect_try *try, const struct live_capture_packet *packet)
{
    const struct segment *segment = packet->segment;

    if (segment->kind == PACKET_ICMP)
        return is_peer(try, &segment->icmp.quote.destination, segment->icmp.quote.family);
    return is_peer(try, packet->from_client ? &segment->destination : &segment->source,
                   segment->family);
}

bool connect_try_saw(struct connect_try *try, const struct live_capture_packet *packet)
{
    if (!try->going || !try->local_port || packet->local_port != try->local_port ||
        !connect_try_has_peer(try, packet))
        return false;
    if (packet->segment->kind == PACKET_ICMP)
        saw_icmp(try, packet->segment);
    else if (packet->from_client)
        saw_ours(try, packet->segment, packet->real_ns);
    else
        saw_theirs(try, packet->segment, packet->real_ns);
    return true;
}
