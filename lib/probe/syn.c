#include "probe/syn.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "probe/witness.h"
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

const char *syn_host_text(char *out, const struct sock_address *address)
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

static void close_sock(struct syn *syn)
{
    loop_timer(syn->loop, &syn->task, INT64_MAX);
    loop_forget(syn->loop, &syn->task);
    if (syn->sock.fd >= 0)
        sock_close(&syn->sock);
    syn->going = false;
}

/* What the kernel has counted; it keeps the count when the connect has failed. */
static void take_counts(struct syn *syn)
{
    struct sock_tcp_info info;
    struct reach_try *result = &syn->result;

    result->took_ns = clock_mono_ns() - syn->started_ns;
    result->rtt_ns = RESULT_UNKNOWN;
    result->syn_retransmits = 0;
    if (syn->sock.fd < 0 || sock_tcp_info(syn->sock.fd, &info))
        return;
    result->syn_retransmits = info.total_retrans;
    /* With a retransmission it is not known which SYN was answered (Karn's algorithm). */
    if (result->answer == REACH_CONNECTED && !info.total_retrans && SOCK_TCP_HAS(&info, RTT))
        result->rtt_ns = info.rtt_ns;
}

/* What was captured until now. A SYN,ACK that came at the last moment says nothing of a kernel that
 * did not take it. */
static void take_captured(struct syn *syn)
{
    struct reach_wire *wire = &syn->result.wire;

    sniff_take(syn->sniff);
    wire->seen = syn->sniff && !sniff_failed(syn->sniff, NULL) && !sniff_lost(syn->sniff);
    if (syn->result.answer == REACH_SILENCE && wire->synacks &&
        clock_real_ns() - syn->first_synack_real_ns < TAKEN_NS)
        wire->synacks = 0;
}

static void end(struct syn *syn, enum reach_answer answer, int number)
{
    syn->result.answer = answer;
    syn->result.number = number;
    take_counts(syn);
    take_captured(syn);
    close_sock(syn);
    syn->ended(syn);
}

/* Our own port can be the one that we ask for: then two SYNs of one socket have met. */
static bool met_itself(const struct syn *syn)
{
    struct sock_address local, peer;

    return !sock_local_address(syn->sock.fd, &local) && !sock_peer_address(syn->sock.fd, &peer) &&
           sock_address_equal(&local, &peer);
}

/* The first ICMP error on the queue; false when there is none. */
static bool take_icmp(struct syn *syn)
{
    struct sock_stamp stamps[QUEUED_MAX];
    struct reach_icmp *icmp = &syn->result.icmp;
    int count = sock_stamps_drain(&syn->sock, stamps, QUEUED_MAX);

    for (int i = 0; i < count; i++) {
        const struct sock_stamp *stamp = &stamps[i];
        if (stamp->kind != SOCK_STAMP_ERROR || !stamp->icmp)
            continue;
        *icmp = (struct reach_icmp){.v6 = sock_family(&syn->to) == AF_INET6,
                                    .type = stamp->icmp_type,
                                    .code = stamp->icmp_code};
        if (stamp->offender.len_bytes) {
            icmp->from = syn_host_text(syn->from, &stamp->offender);
            icmp->ours = !strcmp(syn->from, syn->source);
        }
        syn->result.number = stamp->error;
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

static void answered(struct syn *syn)
{
    if (sock_tcp_state(syn->sock.fd) == TCP_ESTABLISHED) {
        end(syn, met_itself(syn) ? REACH_ITSELF : REACH_CONNECTED, 0);
        return;
    }
    if (take_icmp(syn)) {
        end(syn, REACH_ICMP, syn->result.number);
        return;
    }
    int rc = sock_connect_finish(&syn->sock);
    if (rc != -EINPROGRESS)
        end(syn, answer_of(-rc), -rc);
}

static bool is_answered(const struct syn *syn)
{
    int state = sock_tcp_state(syn->sock.fd);
    return state != TCP_SYN_SENT && state != TCP_SYN_RECV;
}

static void timed(struct syn *syn)
{
    if (syn->sock.fd < 0) { /* it failed at once */
        end(syn, syn->result.answer, syn->result.number);
    } else if (is_answered(syn)) { /* we wake up late */
        loop_timer(syn->loop, &syn->task, clock_mono_ns() + 10 * NS_PER_MS);
        answered(syn);
    } else if (clock_mono_ns() >= syn->deadline_ns) {
        end(syn, REACH_SILENCE, 0);
    } else {
        loop_timer(syn->loop, &syn->task, syn->deadline_ns);
        if (syn->waits)
            syn->waits(syn);
    }
}

static void wakes(struct loop_task *task, uint32_t events)
{
    struct syn *syn = (struct syn *)task;

    if (events)
        answered(syn);
    else
        timed(syn);
}

static void record(void *context, const struct sock_call *call)
{
    const struct syn *syn = context;

    if (call->stage == SOCK_CALL_RETURNED &&
        (call->verb == SOCK_VERB_CONNECT || call->verb == SOCK_VERB_CONNECT_RESULT ||
         call->verb == SOCK_VERB_CLOSE))
        witness_record(syn->strip, syn->connection, call);
}

static int prepare(struct syn *syn, int hop_limit)
{
    const int one = 1;
    bool v6 = sock_family(&syn->to) == AF_INET6;
    int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    int rc = sock_open(&syn->sock, sock_family(&syn->to), SOCK_NONBLOCK);

    if (!rc)
        rc = sock_setsockopt(&syn->sock, level, v6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof one);
    if (!rc && hop_limit)
        rc = sock_setsockopt(&syn->sock, level, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &hop_limit,
                             sizeof hop_limit);
    return rc;
}

static int start(struct syn *syn)
{
    struct sock_address local;

    syn->started_ns = clock_mono_ns();
    int rc = sock_connect_start(&syn->sock, &syn->to);
    if (rc && rc != -EINPROGRESS)
        return rc;
    sniff_connection(syn->sniff, syn->sock.fd);
    if (!sock_local_address(syn->sock.fd, &local)) {
        syn_host_text(syn->source, &local);
        syn->local_port = sock_address_port(&local);
    }
    return loop_watch(syn->loop, &syn->task, syn->sock.fd, EPOLLOUT);
}

/* Whether a failure says something of the way, or only of this process. */
static enum reach_answer failure_of(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOBUFS ? REACH_UNTRIED
                                                                             : REACH_REFUSED;
}

void syn_begin(struct syn *syn, struct loop *loop, const struct sock_address *to, int hop_limit,
               int64_t deadline_ns)
{
    syn->loop = loop;
    syn->to = *to;
    syn->going = true;
    syn->sock = (struct sock)SOCK_INIT;
    syn->observer = (struct sock_observer){record, syn};
    if (syn->strip)
        syn->sock.observer = &syn->observer;
    syn->result = (struct reach_try){.answer = REACH_UNTRIED};
    syn->source[0] = syn->from[0] = syn->wire_from[0] = '\0';
    syn->local_port = 0;
    syn->syn_real_ns = syn->synack_real_ns = CLOCK_NONE;
    syn->deadline_ns = deadline_ns;
    loop_task_init(&syn->task, wakes);
    syn->started_ns = clock_mono_ns();
    int rc = prepare(syn, hop_limit);
    if (!rc)
        rc = start(syn);
    if (rc) {
        syn->result.answer = failure_of(rc);
        syn->result.number = -rc;
        if (syn->sock.fd >= 0 && take_icmp(syn))
            syn->result.answer = REACH_ICMP;
        if (syn->sock.fd >= 0)
            sock_close(&syn->sock);
        loop_timer(loop, &syn->task, 0);
        return;
    }
    int64_t look_ns = syn->started_ns + SYN_LOOK_NS;
    loop_timer(loop, &syn->task, syn->waits && look_ns < deadline_ns ? look_ns : deadline_ns);
}

void syn_cut(struct syn *syn)
{
    if (!syn->going)
        return;
    if (syn->sock.fd >= 0)
        syn->result.answer = REACH_SILENCE;
    take_counts(syn);
    take_captured(syn);
    close_sock(syn);
}

/* ---- what was captured ---- */

static bool is_peer(const struct syn *syn, const struct packet_endpoint *end, uint8_t family)
{
    struct sock_address to = syn->to;

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

static void saw_ours(struct syn *syn, const struct segment *segment, int64_t real_ns)
{
    struct reach_wire *wire = &syn->result.wire;

    if ((segment->flags & (SEGMENT_SYN | SEGMENT_ACK)) != SEGMENT_SYN ||
        again(&syn->syn_real_ns, real_ns))
        return;
    syn->sequence = segment->seq;
    wire->syns++;
}

static void saw_theirs(struct syn *syn, const struct segment *segment, int64_t real_ns)
{
    struct reach_wire *wire = &syn->result.wire;

    if (segment->flags & SEGMENT_RST) {
        wire->rst_ttl = wire->rst_ttl ? wire->rst_ttl : segment->ttl;
    } else if ((segment->flags & SEGMENT_SYN) && (segment->flags & SEGMENT_ACK) &&
               !again(&syn->synack_real_ns, real_ns)) {
        if (!wire->synacks++)
            syn->first_synack_real_ns = real_ns;
        wire->misfits |= wire->syns && segment->ack != syn->sequence + 1;
        wire->synack_ttl = wire->synack_ttl ? wire->synack_ttl : segment->ttl;
    }
}

static void saw_icmp(struct syn *syn, const struct segment *segment)
{
    struct reach_wire *wire = &syn->result.wire;
    const struct packet_quote *quote = &segment->icmp.quote;

    if (wire->has_icmp || !quote->has_seq || !wire->syns || quote->seq != syn->sequence)
        return;
    packet_address_text(syn->wire_from, sizeof syn->wire_from, segment->family,
                        segment->source.address);
    wire->has_icmp = true;
    wire->icmp = (struct reach_icmp){.v6 = segment->family == 6,
                                     .type = segment->icmp.type,
                                     .code = segment->icmp.code,
                                     .from = syn->wire_from,
                                     .ours = !strcmp(syn->wire_from, syn->source)};
}

bool syn_has_peer(const struct syn *syn, const struct sniff_packet *packet)
{
    const struct segment *segment = packet->segment;

    if (segment->kind == PACKET_ICMP)
        return is_peer(syn, &segment->icmp.quote.destination, segment->icmp.quote.family);
    return is_peer(syn, packet->from_client ? &segment->destination : &segment->source,
                   segment->family);
}

bool syn_saw(struct syn *syn, const struct sniff_packet *packet)
{
    if (!syn->going || !syn->local_port || packet->local_port != syn->local_port ||
        !syn_has_peer(syn, packet))
        return false;
    if (packet->segment->kind == PACKET_ICMP)
        saw_icmp(syn, packet->segment);
    else if (packet->from_client)
        saw_ours(syn, packet->segment, packet->real_ns);
    else
        saw_theirs(syn, packet->segment, packet->real_ns);
    return true;
}
