#include "flow/track.h"

#include "base/clock.h"
#include "flow/limits.h"
#include "packet/seq.h"
#include <string.h>

/* ---- What is in flight */

static struct flow_sent *newest(struct flow_side *side)
{
    return side->sent_count ? &side->sent[side->sent_count - 1] : NULL;
}

static void forget(struct flow_side *side, unsigned place)
{
    side->sent_count--;
    for (unsigned i = place; i < side->sent_count; i++)
        side->sent[i] = side->sent[i + 1];
}

/* The oldest but one makes room: the first in flight is what a timer waits for. */
static void remember(struct flow_side *side, const struct flow_sent *sent)
{
    if (side->sent_count == FLOW_SENT)
        forget(side, 1);
    side->sent[side->sent_count++] = *sent;
}

uint32_t flow_full_segment(const struct flow_connection *connection, int side)
{
    const struct flow_side *mine = &connection->side[side], *theirs = &connection->side[!side];
    uint32_t mss = theirs->mss;

    if (mine->mss && mine->mss < mss)
        mss = mine->mss; /* a middle box that clamps one way clamps the path */
    /* Timestamps take 12 bytes of every segment (RFC 6691). */
    return mss > 12 && mine->timestamps ? mss - 12u : mss;
}

/* Whether its last packet was less than full. Without a known MSS only what no path makes full. */
static bool is_small(const struct flow_connection *connection, int from, uint32_t len)
{
    uint32_t full = flow_full_segment(connection, from);

    if (!full)
        return len < FLOW_SMALL_BYTES;
    return len < full || (len > full && len % full);
}

/* ---- The other side's acknowledgement of what `side` sent */

/* Takes what is acknowledged out of flight; the last of it, or zeros. */
static struct flow_sent take_acked(struct flow_side *side, uint32_t ack, bool *repeated)
{
    struct flow_sent last = {0};

    while (side->sent_count && seq_le(side->sent[0].end, ack)) {
        last = side->sent[0];
        *repeated |= last.repeated;
        forget(side, 0);
    }
    return last;
}

static unsigned smalls_in_flight(const struct flow_side *side)
{
    unsigned count = 0;

    for (unsigned i = 0; i < side->sent_count; i++)
        count += side->sent[i].small;
    return count;
}

/* The receiver had what was sent again. */
static void not_needed(struct flow_side *side)
{
    if (side->again_kind >= FLOW_REPEATS || side->again_kind == FLOW_REPEAT_SPURIOUS)
        return;
    side->repeats[side->again_kind]--;
    side->repeats[FLOW_REPEAT_SPURIOUS]++;
    side->again_kind = FLOW_REPEATS;
}

/* A DSACK is a first block that is acknowledged, or lies inside the second (RFC 2883 §4). */
static void note_sack(struct flow_side *side, const struct segment *segment)
{
    const struct tcp_options *options = &segment->options;

    side->sacked = false;
    if (!options->sack_count)
        return;
    const struct tcp_sack *first = &options->sack[0];
    bool inside = options->sack_count > 1 && seq_le(options->sack[1].left, first->left) &&
                  seq_le(first->right, options->sack[1].right);
    if (!seq_lt(first->left, segment->ack) && !inside) {
        side->sacked = true;
        return;
    }
    side->sacked = options->sack_count > 1;
    if (side->again_kind < FLOW_REPEATS && seq_le(first->left, side->again_start) &&
        seq_lt(side->again_start, first->right))
        not_needed(side);
}

/* What was acknowledged and not seen is the capture's loss. */
static void note_missed(struct flow_side *side, uint32_t ack)
{
    if (side->sent_any && seq_lt(side->next, ack)) {
        side->missed++;
        side->next = ack;
    }
    for (unsigned i = 0; i < side->hole_count;) {
        if (seq_lt(ack, side->holes[i].end)) {
            i++;
            continue;
        }
        side->missed++;
        side->holes[i] = side->holes[--side->hole_count];
    }
}

static void note_progress(struct flow_connection *connection, int acked_side,
                          const struct flow_step *step)
{
    struct flow_side *side = &connection->side[acked_side];
    struct flow_side *peer = &connection->side[!acked_side];
    const struct segment *segment = step->segment;
    struct flow_sent *last = newest(side);
    bool pure = !segment->payload_len && !(segment->flags & (SEGMENT_SYN | SEGMENT_FIN));
    bool repeated = false;

    side->ack = (struct flow_ack){
        .at_ns = step->at_ns,
        .frame = step->frame,
        .in_flight = side->next - side->acked,
        .window_left =
            peer->window > side->next - side->acked ? peer->window - (side->next - side->acked) : 0,
        .pure = pure,
        .was_small = last && last->small && smalls_in_flight(side) == 1 && !side->recovering,
    };
    struct flow_sent of = take_acked(side, segment->ack, &repeated);
    side->acked = segment->ack;
    side->ack.all = side->acked == side->next;
    side->ack.of_frame = of.frame;
    side->same_acks = 0;
    if (side->recovering && seq_le(side->recovery_end, segment->ack))
        side->recovering = false;
    if (!of.frame || repeated)
        return;
    int64_t took_ns = flow_tick_since(step->at_ns, of.at);
    struct flow_path before = peer->path;
    flow_path_add(&peer->path, took_ns, step->frame);
    if (before.min_ns == CLOCK_NONE)
        return;
    int64_t late_ns = took_ns > before.min_ns ? took_ns - before.min_ns : 0;
    side->ack.late_us = (uint32_t)(late_ns / NS_PER_US);
    side->ack.late = late_ns >= FLOW_ACK_LATE_NS &&
                     late_ns >= FLOW_ACK_LATE_TIMES * (int64_t)before.deviation_ns;
}

/* A small segment left while an earlier small one was in flight, and its ACK came later than any
 * disorder of the capture: Nagle's algorithm was off. */
static void settle_denial(struct flow_side *side, const struct flow_step *step)
{
    if (side->denial_ns == CLOCK_NONE || seq_lt(step->segment->ack, side->denial_end))
        return;
    side->denials += step->at_ns - side->denial_ns > FLOW_DENIAL_NS && side->denials < UINT8_MAX;
    side->denial_ns = CLOCK_NONE;
}

static void note_ack(struct flow_connection *connection, const struct flow_step *step)
{
    struct flow_side *mine = &connection->side[step->from], *side = &connection->side[!step->from];
    const struct segment *segment = step->segment;
    bool bare = !segment->payload_len && !(segment->flags & (SEGMENT_SYN | SEGMENT_FIN));

    if (!(segment->flags & SEGMENT_ACK) || (segment->flags & SEGMENT_RST))
        return;
    if (!side->sent_any) { /* begins in the middle: it tells where the other side is */
        if (!side->has_acked || seq_lt(side->acked, segment->ack))
            side->acked = side->next = segment->ack;
        side->has_acked = true;
        return;
    }
    settle_denial(side, step);
    note_sack(side, segment);
    note_missed(side, segment->ack);
    if (side->again_kind < FLOW_REPEATS && seq_lt(side->again_start, segment->ack)) {
        const struct tcp_options *options = &segment->options;
        if (options->has_timestamps && side->again_stamp &&
            seq_lt(options->ts_echo, side->again_stamp) && options->ts_echo)
            not_needed(side);
        else if (!side->sacked)
            side->again_kind = FLOW_REPEATS;
    }
    if (!side->has_acked || seq_lt(side->acked, segment->ack)) {
        note_progress(connection, !step->from, step);
        side->has_acked = true;
        return;
    }
    if (bare && segment->ack == side->acked && side->acked != side->next &&
        segment->window == mine->last_window) {
        side->same_acks += side->same_acks < UINT8_MAX;
        mine->duplicate_acks++;
    }
}

/* ---- Windows */

static void note_window(struct flow_connection *connection, const struct flow_step *step)
{
    struct flow_side *mine = &connection->side[step->from];
    const struct segment *segment = step->segment;
    bool scaled = !(segment->flags & SEGMENT_SYN) && mine->window_scale > 0 &&
                  connection->side[!step->from].window_scale >= 0;

    if (segment->flags & SEGMENT_RST)
        return;
    mine->window = (uint32_t)segment->window << (scaled ? mine->window_scale : 0);
    if (segment->flags & SEGMENT_SYN)
        return;
    if (!segment->window && !mine->closed_window) {
        mine->zero_start_ns = step->at_ns;
        mine->zero_end_ns = CLOCK_NONE;
        mine->zero_frame = step->frame;
        mine->zero_windows++;
    } else if (segment->window && mine->closed_window) {
        mine->zero_end_ns = step->at_ns;
    }
    mine->closed_window = !segment->window;
}

/* The sender's own clock, in ticks of a length that the connection has shown before. */
static bool clock_stepped_since(const struct flow_side *mine, const struct flow_step *step)
{
    const struct tcp_options *options = &step->segment->options;

    if (!options->has_timestamps || !mine->timestamps)
        return false;
    int64_t since_ns = step->at_ns - mine->at_ns;
    if (since_ns < FLOW_STEP_NS)
        return false;
    int64_t known_ns = mine->at_ns - mine->stamp_first_ns;
    int64_t known_ticks = seq_diff(mine->stamp_last, mine->stamp_first);
    int64_t ticks = seq_diff(options->ts_value, mine->stamp_last);
    if (known_ticks < FLOW_STEP_TICKS || known_ns <= 0 || ticks < 0)
        return false;
    return (ticks + 1) * (known_ns / known_ticks) < since_ns / 2;
}

static void note_options(struct flow_side *mine, const struct flow_step *step)
{
    const struct tcp_options *options = &step->segment->options;

    if (options->has_mss)
        mine->mss = options->mss;
    if (options->has_window_scale)
        mine->window_scale = (int8_t)(options->window_scale < 14 ? options->window_scale : 14);
    if (!options->has_timestamps)
        return;
    if (!mine->timestamps) {
        mine->timestamps = true;
        mine->stamp_first = options->ts_value;
        mine->stamp_first_ns = step->at_ns;
    }
}

/* ---- What it sent: new, again, or out of order */

static void add_hole(struct flow_side *mine, uint32_t start, uint32_t end,
                     const struct flow_step *step)
{
    if (mine->hole_count == FLOW_HOLES)
        mine->holes[0] = mine->holes[--mine->hole_count];
    mine->holes[mine->hole_count++] =
        (struct flow_hole){start, end, flow_tick_of(step->at_ns), step->segment->ip_id};
}

static struct flow_hole *hole_of(struct flow_side *mine, uint32_t start)
{
    for (unsigned i = 0; i < mine->hole_count; i++)
        if (seq_within(start, mine->holes[i].start, mine->holes[i].end))
            return &mine->holes[i];
    return NULL;
}

static void fill_hole(struct flow_side *mine, struct flow_hole *hole, uint32_t start, uint32_t end)
{
    if (seq_le(hole->end, end) && start == hole->start)
        *hole = mine->holes[--mine->hole_count];
    else if (start == hole->start)
        hole->start = end;
    else
        hole->end = start; /* what is behind it stays unseen, and is forgotten */
}

/* Whether what fills a hole was sent before what came too early. */
static bool is_out_of_order(const struct flow_connection *connection, const struct flow_step *step,
                            const struct flow_hole *hole)
{
    const struct flow_side *mine = &connection->side[step->from],
                           *peer = &connection->side[!step->from];
    int16_t ids = (int16_t)(step->segment->ip_id - hole->ip_id);
    int64_t waited_ns = flow_tick_since(step->at_ns, hole->at);

    if (step->segment->family == 4 && step->segment->ip_id && hole->ip_id && ids)
        return ids < 0;
    if (mine->path.min_ns == CLOCK_NONE || peer->path.min_ns == CLOCK_NONE)
        return waited_ns < FLOW_DISORDER_NS;
    return waited_ns < mine->path.min_ns + peer->path.min_ns;
}

static enum flow_repeat repeat_of(struct flow_side *mine, const struct flow_step *step,
                                  uint32_t end, int64_t waited_ns)
{
    const struct segment *segment = step->segment;

    if (segment->flags & SEGMENT_SYN)
        return segment->flags & SEGMENT_ACK ? FLOW_REPEAT_SYNACK : FLOW_REPEAT_SYN;
    if (mine->has_acked && seq_le(end, mine->acked))
        return FLOW_REPEAT_SPURIOUS;
    bool asked = mine->sacked || mine->same_acks >= FLOW_SAME_ACKS || mine->recovering;
    if (asked && waited_ns < FLOW_RTO_MIN_NS)
        return FLOW_REPEAT_FAST;
    /* Asked for long ago, and lost again: only a timer is left to send it. */
    if (asked && !mine->recovering)
        return FLOW_REPEAT_FAST;
    return end == mine->next && waited_ns < FLOW_RTO_MIN_NS ? FLOW_REPEAT_PROBE
                                                            : FLOW_REPEAT_TIMEOUT;
}

static void note_again(struct flow_side *mine, struct flow_step *step, uint32_t start, uint32_t end)
{
    /* Where nothing of these bytes is kept: at least since its last packet. */
    int64_t waited_ns = mine->at_ns == CLOCK_NONE ? 0 : step->at_ns - mine->at_ns;

    for (unsigned i = 0; i < mine->sent_count; i++) {
        struct flow_sent *sent = &mine->sent[i];
        if (seq_lt(start, sent->end) && seq_lt(sent->end - sent->len, end)) {
            waited_ns = flow_tick_since(step->at_ns, sent->at);
            sent->repeated = true;
            sent->at = flow_tick_of(step->at_ns);
        }
    }
    step->repeat_wait_ns = waited_ns;
    step->repeat = repeat_of(mine, step, end, step->repeat_wait_ns);
    step->news = step->segment->flags & SEGMENT_RST ? FLOW_NEWS_END : FLOW_NEWS_AGAIN;
    mine->repeats[step->repeat]++;
    mine->again_kind = (uint8_t)step->repeat;
    mine->again_start = start;
    mine->again_stamp = step->segment->options.has_timestamps ? step->segment->options.ts_value : 0;
    if (!mine->recovering && step->repeat != FLOW_REPEAT_SPURIOUS) {
        mine->recovering = true;
        mine->recovery_end = mine->next;
    }
}

static void note_new(struct flow_connection *connection, struct flow_step *step, uint32_t start,
                     uint32_t end)
{
    struct flow_side *mine = &connection->side[step->from], *peer = &connection->side[!step->from];
    const struct segment *segment = step->segment;
    struct flow_sent *last = newest(mine);

    if (mine->sent_any && seq_lt(mine->next, start))
        add_hole(mine, mine->next, start, step);
    uint32_t flight = mine->has_acked ? mine->next - mine->acked : 0;
    step->window_room = peer->window > flight ? peer->window - flight : 0;
    step->small = segment->payload_len && is_small(connection, step->from, segment->payload_len);
    step->full = segment->payload_len && !step->small;
    step->small_in_flight = last && last->small && start == mine->next;
    if (!mine->sent_any) {
        mine->first_seq = start;
        if (!mine->has_acked)
            mine->acked = start;
    }
    mine->next = end;
    mine->sent_any = true;
    remember(mine, &(struct flow_sent){
                       .at = flow_tick_of(step->at_ns),
                       .end = end,
                       .frame = step->frame,
                       .len = end - start,
                       .small = step->small,
                   });
    if (segment->payload_len > mine->largest)
        mine->largest =
            (uint16_t)(segment->payload_len < UINT16_MAX ? segment->payload_len : UINT16_MAX);
}

/* The byte before the next once more, with nothing in flight; or nothing at that place (RFC 9293
 * §3.8.4). */
static bool is_keepalive(const struct flow_side *mine, const struct segment *segment)
{
    return mine->sent_any && segment->seq == mine->next - 1 && segment->payload_len <= 1 &&
           mine->has_acked && mine->acked == mine->next &&
           !(segment->flags & (SEGMENT_SYN | SEGMENT_FIN | SEGMENT_RST));
}

static void note_sequence(struct flow_connection *connection, struct flow_step *step)
{
    struct flow_side *mine = &connection->side[step->from];
    const struct segment *segment = step->segment;
    uint32_t start = segment->seq, end = start + segment_seq_len(segment);

    if (is_keepalive(mine, segment)) {
        mine->keepalives += mine->keepalives < UINT16_MAX;
        return;
    }
    if (start == end || segment->flags & SEGMENT_RST)
        return;
    if (mine->sent_any && seq_le(end, mine->next)) {
        struct flow_hole *hole = hole_of(mine, start);
        if (!hole) {
            note_again(mine, step, start, end);
            return;
        }
        bool late = is_out_of_order(connection, step, hole);
        fill_hole(mine, hole, start, end);
        if (!late) {
            note_again(mine, step, start, end);
            return;
        }
        mine->out_of_order++;
        step->news = FLOW_NEWS_DATA;
        return;
    }
    note_new(connection, step, start, end);
    step->news = segment->flags & SEGMENT_SYN   ? FLOW_NEWS_SYN
                 : segment->flags & SEGMENT_FIN ? FLOW_NEWS_END
                                                : FLOW_NEWS_DATA;
}

/* ---- The whole step */

/* What makes a packet the same one again. The time keeps chance away. */
static uint32_t print_of(const struct segment *segment)
{
    uint64_t print = (uint64_t)segment->seq << 32 | segment->ack;

    print *= UINT64_C(0x9e3779b97f4a7c15);
    print ^=
        (uint64_t)segment->payload_len << 32 | (uint32_t)segment->flags << 16 | segment->window;
    print *= UINT64_C(0xd6e8feb86659fd93);
    print ^= (uint64_t)segment->ip_id << 32 | segment->options.ts_value;
    print *= UINT64_C(0xa0761d6478bd642f);
    return (uint32_t)(print >> 32);
}

bool flow_track_mirrored(const struct flow_side *side, const struct flow_packet *packet,
                         int64_t at_ns)
{
    const struct segment *segment = packet->segment;

    if (!side->packets || print_of(segment) != side->print)
        return false;
    int64_t since_ns = at_ns - side->at_ns;
    if (segment->family == 4 && segment->ip_id)
        return since_ns < FLOW_MIRROR_NS;
    /* Without an id only data that cannot have been sent twice in this time. */
    return segment->payload_len && segment->options.has_timestamps &&
           since_ns < FLOW_MIRROR_NO_ID_NS;
}

static void note_packet(struct flow_side *mine, const struct flow_packet *packet,
                        const struct flow_step *step)
{
    const struct segment *segment = packet->segment;

    mine->packets++;
    mine->bytes += packet->wire_len;
    mine->payload_bytes += segment->payload_len;
    mine->frame = step->frame;
    mine->at_ns = step->at_ns;
    mine->print = print_of(segment);
    mine->last_window = segment->window;
    mine->syn |= !!(segment->flags & SEGMENT_SYN);
    mine->rst |= !!(segment->flags & SEGMENT_RST);
    mine->fin |= !!(segment->flags & SEGMENT_FIN);
    if (segment->options.has_timestamps)
        mine->stamp_last = segment->options.ts_value;
}

void flow_track(struct flow_connection *connection, const struct flow_packet *packet, int64_t at_ns,
                int from, struct flow_step *step)
{
    struct flow_side *mine = &connection->side[from];

    *step = (struct flow_step){
        .segment = packet->segment,
        .at_ns = at_ns,
        .frame = packet->number < UINT32_MAX ? (uint32_t)packet->number : UINT32_MAX,
        .from = from,
    };
    step->stepped = clock_stepped_since(mine, step);
    note_options(mine, step);
    note_ack(connection, step);
    note_sequence(connection, step);
    note_window(connection, step);
    note_packet(mine, packet, step);
}
