#include "report/label.h"

#include "base/text.h"
#include "finding/finding.h"
#include "netkit/error.h"
#include "report/fields.h"
#include <inttypes.h>
#include <string.h>

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

/* Shorter calls are shown without their duration: it is what a call costs. */
#define LONG_CALL_NS NS_PER_MS

/* Fixed-size text of the trace need not end with a NUL when another process wrote it. */
static void add_word(struct buf *out, const char *word, size_t size)
{
    text_escape(out, word, strnlen(word, size));
}

static void add_duration(struct buf *out, int64_t ns)
{
    char text[32];
    buf_add_str(out, report_duration(text, sizeof text, ns, true));
}

/* ---- Segments */

static void add_flags(struct buf *out, uint16_t flags)
{
    static const struct {
        uint16_t bit;
        const char *name;
    } names[] = {{FIN, "FIN"},  {SYN, "SYN"}, {RST, "RST"},  {0x08, "PSH"},
                 {0x20, "URG"}, {ACK, "ACK"}, {0x40, "ECE"}, {0x80, "CWR"}};
    bool any = false;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (flags & names[i].bit) {
            buf_printf(out, "%s%s", any ? "," : "", names[i].name);
            any = true;
        }
    if (!any)
        buf_add_str(out, "no flags");
}

/* ICMP (RFC 792, RFC 1812) and ICMPv6 (RFC 4443) by the names that the faults use. */
static const struct {
    uint8_t protocol, type;
    int code; /* -1: any */
    const char *name;
} icmp_names[] = {
    {TRACE_ICMP, 3, 0, "net-unreachable"},      {TRACE_ICMP, 3, 1, "host-unreachable"},
    {TRACE_ICMP, 3, 2, "protocol-unreachable"}, {TRACE_ICMP, 3, 3, "port-unreachable"},
    {TRACE_ICMP, 3, 4, "fragmentation-needed"}, {TRACE_ICMP, 3, 9, "net-prohibited"},
    {TRACE_ICMP, 3, 10, "host-prohibited"},     {TRACE_ICMP, 3, 13, "admin-prohibited"},
    {TRACE_ICMP, 11, -1, "time-exceeded"},      {TRACE_ICMPV6, 1, 0, "no-route"},
    {TRACE_ICMPV6, 1, 1, "admin-prohibited"},   {TRACE_ICMPV6, 1, 3, "host-unreachable"},
    {TRACE_ICMPV6, 1, 4, "port-unreachable"},   {TRACE_ICMPV6, 1, 5, "policy-failed"},
    {TRACE_ICMPV6, 1, 6, "reject-route"},       {TRACE_ICMPV6, 2, -1, "packet-too-big"},
    {TRACE_ICMPV6, 3, -1, "time-exceeded"},
};

/* Whether the segment is no TCP; then its label is complete. */
static bool add_other_protocol(struct buf *out, const struct trace_segment *segment)
{
    if (segment->protocol == TRACE_TCP)
        return false;
    if (segment->protocol == TRACE_UDP) {
        buf_printf(out, "UDP len %" PRIu32, segment->payload_bytes);
        return true;
    }
    if (segment->protocol != TRACE_ICMP && segment->protocol != TRACE_ICMPV6) {
        buf_printf(out, "IP protocol %d len %" PRIu32, segment->protocol, segment->wire_bytes);
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(icmp_names); i++)
        if (icmp_names[i].protocol == segment->protocol &&
            icmp_names[i].type == segment->icmp_type &&
            (icmp_names[i].code < 0 || icmp_names[i].code == segment->icmp_code)) {
            buf_printf(out, "ICMP %s", icmp_names[i].name);
            return true;
        }
    buf_printf(out, "ICMP type %d code %d", segment->icmp_type, segment->icmp_code);
    return true;
}

static struct label_direction *direction_of(const struct label_memory *memory,
                                            const struct trace_event *event, bool from_client)
{
    return (struct label_direction *)&memory
        ->directions[event->connection % LABEL_CONNECTIONS][from_client];
}

static void learn_bases(struct label_direction *mine, struct label_direction *peer,
                        const struct trace_segment *segment)
{
    /* A SYN with another number begins a new connection between the same ends. */
    if ((segment->flags & SYN) && (!mine->synced || segment->sequence != mine->base))
        *mine = (struct label_direction){.based = true,
                                         .base = segment->sequence,
                                         .synced = true,
                                         .window_scale = segment->window_scale};
    if (!mine->based)
        *mine = (struct label_direction){
            .based = true, .base = segment->sequence - 1, .window_scale = -1};
    if ((segment->flags & ACK) && !peer->based)
        *peer = (struct label_direction){
            .based = true, .base = segment->acknowledgement - 1, .window_scale = -1};
}

/* Whether all that takes up sequence numbers in it had been sent before. */
static bool sent_before(struct label_direction *mine, const struct trace_segment *segment)
{
    uint32_t length = segment->payload_bytes + !!(segment->flags & SYN) + !!(segment->flags & FIN);
    uint32_t end = segment->sequence + length;

    if (!length)
        return false;
    if (mine->sent && (int32_t)(end - mine->next) <= 0)
        return true;
    mine->sent = true;
    mine->next = end;
    return false;
}

/* The window, where it says something: at the start, closed, and opened again. */
static void add_window(struct buf *out, struct label_direction *mine,
                       const struct label_direction *peer, const struct trace_segment *segment)
{
    bool syn = segment->flags & SYN, zero = !segment->window_bytes;
    /* RFC 7323: scaled only when both SYNs offered it, and never in a SYN itself. */
    bool scaled =
        !syn && mine->window_scale >= 0 && peer->window_scale >= 0 && mine->synced && peer->synced;
    int shift = mine->window_scale < 14 ? mine->window_scale : 14;

    if (segment->flags & RST)
        return;
    if (syn || zero || mine->zero_window)
        buf_printf(out, " win %" PRIu64, (uint64_t)segment->window_bytes << (scaled ? shift : 0));
    mine->zero_window = zero;
}

void label_segment(struct buf *out, struct label_memory *memory, const struct trace_event *event,
                   struct label_hint *hint)
{
    const struct trace_segment *segment = &event->segment;
    struct label_direction *mine = direction_of(memory, event, segment->from_client);
    struct label_direction *peer = direction_of(memory, event, !segment->from_client);
    struct label_hint found = {0};

    if (!add_other_protocol(out, segment)) {
        learn_bases(mine, peer, segment);
        uint32_t sequence = segment->sequence - mine->base;
        add_flags(out, segment->flags);
        buf_printf(out, " seq %" PRIu32, sequence);
        if (segment->payload_bytes)
            buf_printf(out, ":%" PRIu32, sequence + segment->payload_bytes);
        if (segment->flags & ACK)
            buf_printf(out, " ack %" PRIu32, segment->acknowledgement - peer->base);
        if (segment->payload_bytes)
            buf_printf(out, " len %" PRIu32, segment->payload_bytes);
        add_window(out, mine, peer, segment);
        if (segment->mss)
            buf_printf(out, " mss %d", segment->mss);
        for (int i = 0; i < segment->sack_blocks && i < 3; i++)
            buf_printf(out, " sack %" PRIu32 ":%" PRIu32, segment->sack[i][0] - peer->base,
                       segment->sack[i][1] - peer->base);
        found.again = sent_before(mine, segment);
        found.zero_window = mine->zero_window && !(segment->flags & SYN);
        if (found.again)
            buf_add_str(out, " again");
    }
    if (hint)
        *hint = found;
}

void label_segment_short(struct buf *out, const struct label_memory *memory,
                         const struct trace_event *event)
{
    const struct trace_segment *segment = &event->segment;

    if (add_other_protocol(out, segment))
        return;
    add_flags(out, segment->flags);
    buf_printf(out, " seq %" PRIu32,
               segment->sequence - direction_of(memory, event, segment->from_client)->base);
}

void label_fate(struct buf *out, const struct trace_segment *segment, int64_t at_real_ns)
{
    switch (segment->fate) {
    case TRACE_DELIVERED:
    case TRACE_MADE:
    case TRACE_OBSERVED:
        break;
    case TRACE_DROPPED:
        buf_add_str(out, "dropped");
        break;
    case TRACE_ANSWERED:
        buf_add_str(out, "dropped, answered");
        break;
    case TRACE_HELD:
        buf_add_str(out, "held");
        if (segment->departed_real_ns != CLOCK_NONE) {
            buf_add_char(out, ' ');
            add_duration(out, segment->departed_real_ns - at_real_ns);
        }
        break;
    case TRACE_DUPLICATED:
        buf_add_str(out, "delivered twice");
        break;
    case TRACE_CORRUPTED:
        buf_add_str(out, "corrupted");
        break;
    }
}

/* ---- Calls */

int64_t label_call_duration(const struct trace_call *call)
{
    if (call->pending || call->returned_mono_ns == CLOCK_NONE)
        return CLOCK_NONE;
    return call->returned_mono_ns - call->entered_mono_ns;
}

/* "setsockopt TCP_NODELAY" is a call with an argument. */
static void add_call(struct buf *out, const struct trace_call *call)
{
    size_t size = strnlen(call->verb, sizeof call->verb);
    const char *space = memchr(call->verb, ' ', size);
    size_t verb = space ? (size_t)(space - call->verb) : size;

    add_word(out, call->verb, verb);
    buf_add_char(out, '(');
    if (space)
        add_word(out, space + 1, size - verb - 1);
    if (call->requested_bytes)
        buf_printf(out, "%s%" PRIu64, space ? ", " : "", call->requested_bytes);
    buf_add_char(out, ')');
}

void label_call_entry(struct buf *out, const struct trace_call *call)
{
    add_call(out, call);
    buf_add_str(out, " …");
}

void label_call(struct buf *out, const struct trace_call *call)
{
    int64_t duration_ns = label_call_duration(call);

    add_call(out, call);
    if (duration_ns == CLOCK_NONE) {
        buf_add_str(out, " has not returned");
        return;
    }
    buf_printf(out, " = %" PRId64, call->result);
    if (call->error)
        buf_printf(out, " %s", error_name(call->error));
    if (duration_ns >= LONG_CALL_NS) {
        buf_add_str(out, " after ");
        add_duration(out, duration_ns);
    }
}

/* ---- The rest */

void label_state(struct buf *out, const struct trace_state *state)
{
    buf_add_str(out, finding_state_name(state->state));
    if (state->receive_queue_bytes)
        buf_printf(out, ", %" PRIu32 " B unread", state->receive_queue_bytes);
    if (state->send_queue_bytes)
        buf_printf(out, ", %" PRIu32 " B unacknowledged", state->send_queue_bytes);
}

static void add_bytes(struct buf *out, const struct trace_stamp *stamp)
{
    if (stamp->length_bytes)
        buf_printf(out, "%" PRIu64 " B, to byte %" PRIu64, stamp->length_bytes, stamp->end_bytes);
    else
        buf_printf(out, "up to byte %" PRIu64, stamp->end_bytes);
}

void label_stamp_arrow(struct buf *out, const struct trace_stamp *stamp)
{
    switch (stamp->what) {
    case TRACE_QUEUED:
    case TRACE_SENT:
    case TRACE_RECEIVED:
        add_bytes(out, stamp);
        return;
    case TRACE_ACKED:
        buf_printf(out, "ACK up to byte %" PRIu64, stamp->end_bytes);
        return;
    }
}

void label_stamp(struct buf *out, const struct trace_stamp *stamp)
{
    static const char *const words[] = {
        [TRACE_QUEUED] = "left the send queue: ",
        [TRACE_SENT] = "handed to the device: ",
        [TRACE_ACKED] = "acknowledged: ",
        [TRACE_RECEIVED] = "arrived: ",
    };

    if ((unsigned)stamp->what < ARRAY_SIZE(words))
        buf_add_str(out, words[stamp->what]);
    add_bytes(out, stamp);
}
