/* Measuring a round.
 *
 * Each call goes through the socket library, whose observer notes when it was entered and returned;
 * the kernel's stamps come through the socket's error queue, and what they say belongs to the round
 * by its byte offsets. While an answer is under way and nothing comes, TCP_INFO is looked at every
 * millisecond: the count of segments without data tells when our own delayed ACK left, which is
 * what a server with Nagle's algorithm waits for. */
#include "probe/transaction_internal.h"

#include "base/cleanup.h"
#include "probe/timestamping.h"
#include <netinet/tcp.h>
#include <stdlib.h>

#define CLOCK_STEP_NS NS_PER_MS

static struct round_counters counters_of(const struct sock_tcp_info *info)
{
    return (struct round_counters){.rwnd_limited_ns = info->rwnd_limited_ns,
                                   .sndbuf_limited_ns = info->sndbuf_limited_ns,
                                   .retransmits = info->total_retrans,
                                   .spurious = info->dsack_dups,
                                   .out_of_order = info->rcv_ooopack};
}

void transaction_round_look(struct transaction *transaction)
{
    struct sock_tcp_info info;

    if (sock_tcp_info(transaction->conn->sock.fd, &info))
        return;
    bool pending = transaction->sent_bytes < transaction->request_bytes || info.notsent_bytes > 0;
    round_look(&transaction->builder, clock_real_ns(), info.segs_out - info.data_segs_out,
               pending && SOCK_TCP_HAS(&info, SND_WND) && info.snd_wnd == 0);
}

/* Asks the kernel how the connection stands between two rounds. The byte that a FIN is counted as
 * also makes it differ from what was read. */
static void learn_counters(struct transaction *transaction, bool keep)
{
    const struct conn *conn = transaction->conn;
    struct sock_tcp_info info = {0};

    sock_tcp_info(conn->sock.fd, &info);
    if (SOCK_TCP_HAS(&info, MIN_RTT) && info.min_rtt_ns > 0 &&
        (transaction->min_rtt_ns == RESULT_UNKNOWN || info.min_rtt_ns < transaction->min_rtt_ns))
        transaction->min_rtt_ns = info.min_rtt_ns;
    if (keep) {
        transaction->info = info;
        transaction->has_info = true;
    }
    transaction->latest.known = true;
    transaction->latest.quiet = !conn->tls.ssl && info.state == TCP_ESTABLISHED &&
                                SOCK_TCP_HAS(&info, BYTES_RECEIVED) &&
                                info.bytes_received == (uint64_t)conn->sock.bytes_received;
    transaction->latest.snd_mss = info.snd_mss;
    transaction->peer_mss = info.advmss; /* less the options of each segment */
    transaction->latest.counters = counters_of(&info);
}

int64_t transaction_acked_bytes(const struct transaction *transaction, int64_t from_bytes)
{
    int64_t sent = transaction->conn->sock.bytes_sent;
    struct sock_tcp_info info;

    if (sock_tcp_info(transaction->conn->sock.fd, &info) || !SOCK_TCP_HAS(&info, BYTES_ACKED))
        return sent - from_bytes;
    int64_t acked = (int64_t)info.bytes_acked - 1; /* our SYN counts as one */
    acked = acked < sent ? acked : sent;
    return acked > from_bytes ? acked - from_bytes : 0;
}

void transaction_mark(struct conn *conn)
{
    live_capture_take(conn->shared->capture);
    if (conn->strip)
        trace_strip_reset(conn->strip);
}

void transaction_round_begin(struct transaction *transaction)
{
    struct conn *conn = transaction->conn;

    transaction_mark(conn);
    conn_quickack(conn);
    if (!transaction->latest.known) {
        conn_take_stamps(conn);
        learn_counters(transaction, false);
        transaction->clocks = clock_pair_now();
    }
    conn->mss_bytes = transaction->latest.snd_mss;
    int64_t rtt =
        transaction->min_rtt_ns != RESULT_UNKNOWN ? transaction->min_rtt_ns : transaction->rtt_ns;
    round_begin(&transaction->builder, rtt == RESULT_UNKNOWN ? 0 : rtt, transaction->latest.snd_mss,
                transaction->peer_mss, transaction->latest.counters);
    transaction->latest.known = false;
    transaction->base_bytes = conn->sock.bytes_sent;
    /* What the server says of its own is timed from the moment at which we can hear it. */
    if (!transaction->request_bytes) {
        int64_t now = clock_real_ns();
        round_write(&transaction->builder, now, now, 0);
    }
}

void transaction_round_wrote(void *owner)
{
    struct transaction *transaction = owner;
    const struct conn *conn = transaction->conn;

    round_write(&transaction->builder, conn->entered_real_ns, conn->returned_real_ns,
                (uint64_t)(conn->sock.bytes_sent - transaction->base_bytes));
}

void transaction_round_stamped(void *owner, const struct sock_stamp *stamp)
{
    static const struct {
        enum sock_stamp_kind from;
        enum round_stamp_kind to;
        enum trace_stamp_kind trace;
    } kinds[] = {{SOCK_STAMP_SCHED, ROUND_QUEUED, TRACE_QUEUED},
                 {SOCK_STAMP_SND, ROUND_SENT, TRACE_SENT},
                 {SOCK_STAMP_ACK, ROUND_ACKED, TRACE_ACKED}};
    struct transaction *transaction = owner;
    struct trace_strip *strip = transaction->conn->strip;
    int64_t end = stamp->offset + 1 - transaction->base_bytes;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (stamp->kind != kinds[i].from || end < 0)
            continue;
        round_stamp(&transaction->builder, kinds[i].to, (uint64_t)end, stamp->real_ns);
        if (strip && end)
            timestamping_record_stamp(strip, kinds[i].trace, stamp->real_ns, (uint64_t)end, 0);
    }
}

void transaction_round_read(struct transaction *transaction, const struct conn_input *input)
{
    struct trace_strip *strip = transaction->conn->strip;

    for (size_t i = 0; i < input->arrival_count; i++) {
        const struct conn_arrival *arrival = &input->arrivals[i];
        round_read(&transaction->builder, arrival->arrived_ns, arrival->returned_ns,
                   arrival->bytes);
        if (strip && arrival->arrived_ns != RESULT_UNKNOWN)
            timestamping_record_stamp(strip, TRACE_RECEIVED, arrival->arrived_ns,
                                      transaction->builder.round.received_bytes, arrival->bytes);
    }
}

bool transaction_round_heard(const struct transaction *transaction)
{
    return transaction->builder.round.arrivals || transaction->builder.noticed_ns != RESULT_UNKNOWN;
}

/* The last call's clocks say for nothing whether one of them jumped. They are not read in one
 * instant, though, so a suspicion is looked into. */
static bool clock_was_stepped(struct transaction *transaction)
{
    const struct conn *conn = transaction->conn;
    struct clock_pair now = {.mono_ns = conn->returned_mono_ns, .real_ns = conn->returned_real_ns};

    if (!clock_stepped(transaction->clocks, now, CLOCK_STEP_NS))
        return false;
    now = clock_pair_now();
    bool stepped = clock_stepped(transaction->clocks, now, CLOCK_STEP_NS);
    transaction->clocks = now;
    return stepped;
}

bool transaction_round_end(struct transaction *transaction, struct round *out)
{
    live_capture_take(transaction->conn->shared->capture);
    if (!round_acknowledged(&transaction->builder))
        conn_take_stamps(transaction->conn);
    learn_counters(transaction, transaction->keep_info);
    round_end(&transaction->builder, transaction->latest.counters, out);
    return !clock_was_stepped(transaction);
}

void transaction_abandon(struct transaction *transaction)
{
    if (transaction->phase == TRANSACTION_IDLE)
        return;
    transaction_round_look(transaction);
    conn_take_stamps(transaction->conn);
    transaction->info = (struct sock_tcp_info){0};
    sock_tcp_info(transaction->conn->sock.fd, &transaction->info);
    transaction->has_info = true;
    if (!transaction->unfinished)
        transaction->unfinished = malloc(sizeof *transaction->unfinished);
    if (transaction->unfinished)
        round_abandon(&transaction->builder, clock_real_ns(), counters_of(&transaction->info),
                      transaction->unfinished);
}
