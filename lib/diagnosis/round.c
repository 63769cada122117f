/* The reduction goes along the critical path with a cursor that never moves back: each stretch of
 * time is given to one part, so the parts are disjoint whatever the order in which stamps came.
 * Where the kernel gives no stamp, the application's own times stand in, and the part that needed
 * the stamp shrinks to nothing rather than being guessed. */
#include "diagnosis/round.h"

#include "diagnosis/verdict_thresholds.h"

#include <stdlib.h>

static int64_t at_least_zero(int64_t ns)
{
    return ns > 0 ? ns : 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static struct round_write *write_at(struct round_builder *builder, uint32_t index)
{
    return index < ROUND_WRITES_FEW ? &builder->few[index]
                                    : &builder->more[index - ROUND_WRITES_FEW];
}

static const struct round_write *peek_at(const struct round_builder *builder, uint32_t index)
{
    return write_at((struct round_builder *)builder, index);
}

static const struct round_write *last_write(const struct round_builder *builder)
{
    return peek_at(builder, builder->write_count - 1);
}

/* The next one, or the last again when there is no room. */
static struct round_write *next_write(struct round_builder *builder)
{
    if (builder->write_count == ROUND_WRITES_FEW && !builder->more)
        builder->more = malloc((ROUND_WRITES_MAX - ROUND_WRITES_FEW) * sizeof *builder->more);
    if (builder->write_count < (builder->more ? ROUND_WRITES_MAX : ROUND_WRITES_FEW))
        *write_at(builder, builder->write_count++) =
            (struct round_write){.entered_ns = RESULT_UNKNOWN};
    return write_at(builder, builder->write_count - 1);
}

void round_free(struct round_builder *builder)
{
    free(builder->more);
    builder->more = NULL;
}

void round_clear(struct round *round)
{
#define CLEAR_TIME          0
#define CLEAR_STAMP         RESULT_UNKNOWN
#define CLEAR_BOOL          false
#define CLEAR_COUNT         0
#define CLEAR_BYTES         0
#define CLEAR(kind, member) .member = CLEAR_##kind,
    *round = (struct round){ROUND_FIELDS(CLEAR)};
#undef CLEAR
}

void round_first(struct round_builder *builder)
{
    builder->write_count = 0;
}

void round_begin(struct round_builder *builder, int64_t rtt_ns, uint32_t mss_bytes,
                 uint32_t peer_mss_bytes, struct round_counters before)
{
    builder->rtt_ns = rtt_ns;
    builder->peer_mss_bytes = peer_mss_bytes;
    builder->mss_bytes = mss_bytes;
    for (int i = 0; i < ROUND_STAMP_KINDS; i++)
        builder->earlier_stamp_ns[i] =
            builder->write_count ? last_write(builder)->stamp_ns[i] : RESULT_UNKNOWN;
    builder->write_count = 0;
    builder->before = before;
    builder->zero_window = false;
    builder->first_entered_ns = RESULT_UNKNOWN;
    builder->noticed_ns = RESULT_UNKNOWN;
    builder->first_arrival_ns = builder->last_arrival_ns = RESULT_UNKNOWN;
    builder->last_returned_ns = RESULT_UNKNOWN;
    builder->gaps_ns = 0;
    builder->acks_known = builder->looked_since_arrival = false;
    builder->ack_after_ns = builder->ack_before_ns = RESULT_UNKNOWN;
    round_clear(&builder->round);
}

void round_write(struct round_builder *builder, int64_t entered_ns, int64_t returned_ns,
                 uint64_t end_bytes)
{
    struct round_write *write = next_write(builder);

    if (builder->first_entered_ns == RESULT_UNKNOWN)
        builder->first_entered_ns = entered_ns;
    if (write->entered_ns == RESULT_UNKNOWN)
        write->entered_ns = entered_ns;
    write->end_bytes = end_bytes;
    write->returned_ns = returned_ns;
    for (int i = 0; i < ROUND_STAMP_KINDS; i++)
        write->stamp_ns[i] = RESULT_UNKNOWN;
    builder->round.sent_bytes = end_bytes;
}

void round_stamp(struct round_builder *builder, enum round_stamp_kind kind, uint64_t end_bytes,
                 int64_t at_ns)
{
    uint64_t start = 0;

    if (end_bytes > builder->round.sent_bytes)
        return;
    if (!end_bytes)
        builder->earlier_stamp_ns[kind] = at_ns;
    /* Writes that the kernel merged share the last one's stamp; the byte asked for may also lie
     * inside a write that was extended beyond the table's end. The stamp belongs to the write
     * whose range holds the byte, and to those before it that have none. */
    for (uint32_t i = 0; i < builder->write_count; i++) {
        struct round_write *write = write_at(builder, i);
        bool holds = end_bytes > start && end_bytes <= write->end_bytes;
        if (write->end_bytes == end_bytes || (holds && kind != ROUND_ACKED))
            write->stamp_ns[kind] = at_ns;
        start = write->end_bytes;
    }
}

bool round_acknowledged(const struct round_builder *builder)
{
    return builder->write_count && last_write(builder)->stamp_ns[ROUND_ACKED] != RESULT_UNKNOWN;
}

void round_look(struct round_builder *builder, int64_t at_ns, uint32_t pure_acks, bool zero_window)
{
    /* The first one since the last arrival: the kernel may have acknowledged the next one already.
     */
    if (builder->acks_known && pure_acks != builder->pure_acks &&
        builder->ack_before_ns == RESULT_UNKNOWN) {
        builder->ack_after_ns = builder->acks_seen_ns;
        builder->ack_before_ns = at_ns;
    }
    builder->acks_known = true;
    builder->looked_since_arrival = true;
    builder->pure_acks = pure_acks;
    builder->acks_seen_ns = at_ns;
    builder->zero_window |= zero_window;
}

/* A gap just ended with an arrival. Whether our own ACK came before it, and how long, is known from
 * the looks within it: the ACK left after the last look that did not count it, and before the first
 * that did. */
static void note_gap(struct round_builder *builder, int64_t gap_ns, int64_t arrived_ns,
                     uint64_t bytes)
{
    struct round *round = &builder->round;

    if (gap_ns <= round->gap_ns)
        return;
    round->gap_ns = gap_ns;
    round->flight_ms = (uint32_t)((arrived_ns - builder->flight_ns + NS_PER_MS - 1) / NS_PER_MS);
    round->gap_after_bytes = round->received_bytes;
    round->gap_release_bytes = bytes;
    round->gap_watched = builder->looked_since_arrival;
    round->gap_acked = builder->ack_before_ns != RESULT_UNKNOWN &&
                       builder->ack_before_ns > builder->last_arrival_ns &&
                       builder->ack_after_ns < arrived_ns;
    if (round->gap_acked) {
        int64_t after = later(builder->ack_after_ns, builder->last_arrival_ns);
        round->gap_ack_lag_min_ns = at_least_zero(arrived_ns - builder->ack_before_ns);
        round->gap_ack_lag_max_ns = later(round->gap_ack_lag_min_ns, arrived_ns - after);
    }
}

/* How long a full segment takes on this path, by those that came one behind the other. A read may
 * bring several; the stamp is the last one's. */
static void note_segment_time(struct round_builder *builder, int64_t gap_ns, uint64_t bytes)
{
    struct round *round = &builder->round;

    if (!builder->peer_mss_bytes || bytes < builder->peer_mss_bytes)
        return;
    int64_t one_ns = gap_ns * (int64_t)builder->peer_mss_bytes / (int64_t)bytes;
    if (round->segment_ns == RESULT_UNKNOWN || one_ns < round->segment_ns)
        round->segment_ns = one_ns;
}

void round_notice(struct round_builder *builder, int64_t arrived_ns)
{
    if (builder->first_arrival_ns != RESULT_UNKNOWN || !builder->write_count)
        return;
    builder->noticed_ns = arrived_ns;
    builder->ack_after_ns = builder->ack_before_ns = RESULT_UNKNOWN;
    builder->looked_since_arrival = false;
}

void round_continue_missing(struct round_builder *builder)
{
    builder->round.continue_missing = true;
}

/* The answer begins. Whether our acknowledgement of what came before it has released it. */
static void begin_answer(struct round_builder *builder, int64_t at)
{
    struct round *round = &builder->round;
    int64_t noticed_ns = builder->noticed_ns == RESULT_UNKNOWN ? at : builder->noticed_ns;
    int64_t gap = at_least_zero(at - noticed_ns);

    builder->first_arrival_ns = builder->flight_ns = at;
    if (gap < ROUND_PAUSE_NS)
        return;
    builder->last_arrival_ns = builder->noticed_ns;
    note_gap(builder, gap, at, 0);
    if (round->gap_acked && round->gap_ack_lag_min_ns <= builder->rtt_ns + RELEASE_NS) {
        builder->first_arrival_ns = builder->noticed_ns;
        builder->gaps_ns += gap;
        round->wait_ns = gap;
    } else {
        round->gap_ns = 0;
        round->gap_watched = round->gap_acked = false;
        round->gap_ack_lag_min_ns = round->gap_ack_lag_max_ns = RESULT_UNKNOWN;
    }
}

/* Full segments, and more of them a round trip later, are how a congestion window opens: that is
 * the network's time, not a pause. */
static bool opens_window(const struct round_builder *builder, int64_t gap_ns)
{
    uint64_t mss = builder->peer_mss_bytes, received = builder->round.received_bytes;

    return mss && received >= mss && (received % mss == 0 || received >= INITIAL_WINDOW * mss) &&
           gap_ns <= builder->rtt_ns + builder->rtt_ns / 2 + HOLD_FLOOR_NS;
}

void round_read(struct round_builder *builder, int64_t arrived_ns, int64_t returned_ns,
                uint64_t bytes)
{
    struct round *round = &builder->round;
    int64_t at = arrived_ns != RESULT_UNKNOWN ? arrived_ns : returned_ns;

    if (builder->first_arrival_ns == RESULT_UNKNOWN) {
        begin_answer(builder, at);
    } else {
        int64_t gap = at_least_zero(at - builder->last_arrival_ns);
        if (gap >= ROUND_PAUSE_NS) {
            bool opens = opens_window(builder, gap);
            builder->gaps_ns += opens ? 0 : gap;
            round->pauses++;
            /* Less than half a round trip is how paced segments follow each other. */
            round->window_pauses += opens && gap >= builder->rtt_ns / 2;
        }
        if (gap >= HOLD_FLOOR_NS)
            note_gap(builder, gap, at, bytes);
        if (gap >= ROUND_PAUSE_NS && gap >= builder->rtt_ns / 2)
            builder->flight_ns = at;
        note_segment_time(builder, gap, bytes);
        if (gap > round->wait_ns) {
            round->wait_ns = gap;
            round->wait_after_bytes = round->received_bytes;
        }
    }
    builder->last_arrival_ns =
        builder->last_arrival_ns == RESULT_UNKNOWN ? at : later(builder->last_arrival_ns, at);
    builder->last_returned_ns = returned_ns;
    builder->ack_after_ns = builder->ack_before_ns = RESULT_UNKNOWN;
    builder->looked_since_arrival = false;
    if (!round->arrivals)
        round->first_bytes = bytes;
    round->arrivals += bytes > 0;
    round->received_bytes += bytes;
}

/* The stamp of a write; of those that were merged into a later one, the later one's. */
static int64_t stamp_of(const struct round_builder *builder, uint32_t index,
                        enum round_stamp_kind kind)
{
    for (uint32_t i = index; i < builder->write_count; i++)
        if (peek_at(builder, i)->stamp_ns[kind] != RESULT_UNKNOWN)
            return peek_at(builder, i)->stamp_ns[kind];
    return RESULT_UNKNOWN;
}

static uint64_t start_of(const struct round_builder *builder, uint32_t index)
{
    return index ? peek_at(builder, index - 1)->end_bytes : 0;
}

/* The newest acknowledgement of bytes before the held ones that came in before they left (with a
 * little slack: both stamps are taken on the way of one incoming segment). The round before counts
 * for its last byte, if the kernel said when that was sent. */
static void note_release(struct round_builder *builder, uint32_t held, int64_t left_ns)
{
    struct round *round = &builder->round;

    for (uint32_t i = held + 1; i-- > 0;) {
        const int64_t *stamps = i ? peek_at(builder, i - 1)->stamp_ns : builder->earlier_stamp_ns;
        int64_t acked = stamps[ROUND_ACKED], sent = stamps[ROUND_SENT];
        if (acked == RESULT_UNKNOWN || acked > left_ns + HOLD_FLOOR_NS ||
            (!i && sent == RESULT_UNKNOWN))
            continue;
        round->hold_after_ack_ns = left_ns - acked;
        if (sent != RESULT_UNKNOWN)
            round->held_ack_delay_ns = at_least_zero(acked - sent - builder->rtt_ns);
        return;
    }
}

/* How long between the first write and `until` some written byte waited in the send queue. */
static int64_t hold_time(struct round_builder *builder, int64_t until)
{
    struct round *round = &builder->round;
    int64_t held_ns = 0, covered = builder->first_entered_ns;

    for (uint32_t i = 0; i < builder->write_count; i++) {
        const struct round_write *write = peek_at(builder, i);
        int64_t left = stamp_of(builder, i, ROUND_QUEUED);
        if (left == RESULT_UNKNOWN || left - write->entered_ns < HOLD_FLOOR_NS)
            continue;
        int64_t from = later(write->entered_ns, covered), to = earlier(left, until);
        if (to > from) {
            held_ns += to - from;
            covered = to;
        }
        if (left - write->entered_ns > round->hold_ns) {
            round->hold_ns = left - write->entered_ns;
            round->hold_small = write->end_bytes - start_of(builder, i) < builder->mss_bytes;
            round->hold_after_ack_ns = round->held_ack_delay_ns = RESULT_UNKNOWN;
            note_release(builder, i, left);
        }
    }
    return held_ns;
}

/* From first write to the last byte's departure. Returns where the cursor is then. */
static int64_t account_sending(struct round_builder *builder, int64_t end)
{
    struct round *round = &builder->round;
    uint32_t last = builder->write_count - 1;
    int64_t start = builder->first_entered_ns;
    int64_t queued = stamp_of(builder, last, ROUND_QUEUED);
    int64_t sent = stamp_of(builder, last, ROUND_SENT);
    int64_t left = queued != RESULT_UNKNOWN ? queued : sent;

    if (left == RESULT_UNKNOWN)
        left = last_write(builder)->returned_ns;
    left = earlier(later(left, start), end);
    int64_t hold = hold_time(builder, left);
    round->part_ns[RESULT_PART_SEND_HOLD] = hold;
    round->part_ns[RESULT_PART_OTHER] = left - start - hold;
    if (sent != RESULT_UNKNOWN && builder->first_arrival_ns != RESULT_UNKNOWN &&
        builder->first_arrival_ns >= sent)
        round->wire_ns = builder->first_arrival_ns - sent;
    return left;
}

/* From the last byte's departure to the end: the network's round trip, the server, the gaps. */
static void account_answer(struct round_builder *builder, int64_t cursor, int64_t end)
{
    struct round *round = &builder->round;
    int64_t first = builder->first_arrival_ns;

    if (first == RESULT_UNKNOWN) {
        round->part_ns[RESULT_PART_SERVER] += at_least_zero(end - cursor);
        round->wait_ns = at_least_zero(end - cursor);
        round->wait_after_bytes = 0;
        return;
    }
    int64_t before = at_least_zero(first - cursor);
    int64_t travel = earlier(before, builder->rtt_ns);
    if (before > round->wait_ns) {
        round->wait_ns = before;
        round->wait_after_bytes = 0;
    }
    round->part_ns[RESULT_PART_NETWORK] += travel;
    round->part_ns[RESULT_PART_SERVER] += before - travel;
    cursor = later(cursor, first);

    int64_t last = later(cursor, builder->last_arrival_ns);
    int64_t gaps = earlier(builder->gaps_ns, last - cursor);
    round->part_ns[RESULT_PART_GAP] += gaps;
    round->part_ns[RESULT_PART_NETWORK] += last - cursor - gaps;
    round->part_ns[RESULT_PART_WAKEUP] += at_least_zero(end - last);
    if (end < last) /* the application's clock was read before the kernel's stamp: never mind */
        round->total_ns = last - builder->first_entered_ns;
}

/* The pure acknowledgement of the request's last byte, if it came before the answer. */
static void note_request_ack(struct round_builder *builder)
{
    const struct round_write *last = last_write(builder);
    int64_t acked = last->stamp_ns[ROUND_ACKED], sent = last->stamp_ns[ROUND_SENT];

    if (acked == RESULT_UNKNOWN || sent == RESULT_UNKNOWN)
        return;
    if (builder->first_arrival_ns != RESULT_UNKNOWN &&
        acked > builder->first_arrival_ns - HOLD_FLOOR_NS / 10)
        return;
    builder->round.ack_ns = at_least_zero(acked - sent);
    builder->round.ack_delay_ns = at_least_zero(acked - sent - builder->rtt_ns);
}

/* After a retransmission the wait up to the request's acknowledgement was the network's. */
static void give_loss_to_network(struct round_builder *builder)
{
    struct round *round = &builder->round;
    const struct round_write *last = last_write(builder);
    int64_t acked = last->stamp_ns[ROUND_ACKED], sent = last->stamp_ns[ROUND_SENT];

    if (!round->retransmits || acked == RESULT_UNKNOWN || sent == RESULT_UNKNOWN)
        return;
    int64_t lost =
        earlier(round->part_ns[RESULT_PART_SERVER], at_least_zero(acked - sent - builder->rtt_ns));
    round->part_ns[RESULT_PART_SERVER] -= lost;
    round->part_ns[RESULT_PART_NETWORK] += lost;
}

static uint32_t rise(uint32_t before, uint32_t after)
{
    return after > before ? after - before : 0;
}

static void finish_round(struct round_builder *builder, int64_t end, struct round_counters after,
                         struct round *out)
{
    struct round *round = &builder->round;

    if (builder->write_count) {
        end = later(end, builder->first_entered_ns);
        round->total_ns = at_least_zero(end - builder->first_entered_ns);
        int64_t cursor = account_sending(builder, end);
        account_answer(builder, cursor, end);
        note_request_ack(builder);
    }
    round->rwnd_limited_ns = at_least_zero(after.rwnd_limited_ns - builder->before.rwnd_limited_ns);
    round->sndbuf_limited_ns =
        at_least_zero(after.sndbuf_limited_ns - builder->before.sndbuf_limited_ns);
    round->retransmits = rise(builder->before.retransmits, after.retransmits);
    round->spurious = rise(builder->before.spurious, after.spurious);
    round->out_of_order = rise(builder->before.out_of_order, after.out_of_order);
    if (builder->write_count)
        give_loss_to_network(builder);
    round->zero_window = builder->zero_window;
    *out = *round;
}

void round_end(struct round_builder *builder, struct round_counters after, struct round *out)
{
    int64_t end = builder->last_returned_ns;

    if (end == RESULT_UNKNOWN && builder->write_count) /* no answer was awaited */
        end = last_write(builder)->returned_ns;
    finish_round(builder, end, after, out);
}

void round_abandon(struct round_builder *builder, int64_t at_ns, struct round_counters after,
                   struct round *out)
{
    finish_round(builder, at_ns, after, out);
}
