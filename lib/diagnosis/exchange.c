/* Segments stand in the order in which they reached the wire, which is the order of sending of each
 * side. */
#include "diagnosis/exchange.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "diagnosis/verdict_thresholds.h"
#include "packet/icmp.h"
#include "packet/packet.h"
#include "packet/seq.h"
#include <string.h>

void exchange_begin(struct exchange *exchange, struct arena *arena, int64_t start_real_ns)
{
    *exchange = (struct exchange){
        .arena = arena, .start_real_ns = start_real_ns, .flags_max = EXCHANGE_FLAGS_DEFAULT};
}

static struct exchange_connection *connection_of(struct exchange *exchange, uint32_t number)
{
    while (exchange->numbers <= number) {
        struct exchange_connection **room =
            arena_grow(exchange->arena, exchange->by_number, exchange->numbers, sizeof *room);
        if (!room)
            return NULL;
        exchange->by_number = room;
        room[exchange->numbers++] = NULL;
    }
    struct exchange_connection *connection = exchange->by_number[number];
    if (connection)
        return connection;
    connection = arena_alloc(exchange->arena, sizeof *connection);
    if (!connection)
        return NULL;
    *connection = (struct exchange_connection){.number = number, .opener = -1};
    for (int side = 0; side < 2; side++) {
        connection->side[side].departed_max_ns = CLOCK_NONE;
        connection->side[side].zero_since_ns = CLOCK_NONE;
    }
    exchange->connections++;
    return exchange->by_number[number] = connection;
}

/* ---- The exchange in words */

static const char *flags_text(struct arena *arena, const struct trace_segment *segment)
{
    char flags[SEGMENT_FLAGS_TEXT_MAX];
    const struct icmp_name *icmp =
        icmp_by_type(segment->family, segment->icmp_type, segment->icmp_code);
    bool made = segment->fate == TRACE_MADE;
    bool lost = segment->fate == TRACE_DROPPED || segment->fate == TRACE_ANSWERED;
    const char *way = segment->from_client ? (made ? "W>S" : "C>S") : (made ? "W>C" : "S>C");

    if (segment->protocol == TRACE_TCP)
        return arena_printf(arena, "%s %s%s", way,
                            segment_flags_text(flags, sizeof flags, segment->flags),
                            lost ? " x" : "");
    if (icmp)
        return arena_printf(arena, "%s ICMP %s%s", way, icmp->name, lost ? " x" : "");
    return arena_printf(arena, "%s ICMP type %d code %d%s", way, segment->icmp_type,
                        segment->icmp_code, lost ? " x" : "");
}

static void note_flags(struct exchange *exchange, struct exchange_connection *connection,
                       const struct trace_segment *segment)
{
    if (connection->flag_count >= exchange->flags_max) {
        connection->flags_omitted++;
        return;
    }
    const char **room =
        arena_grow(exchange->arena, connection->flags, connection->flag_count, sizeof *room);
    if (!room)
        return;
    connection->flags = room;
    room[connection->flag_count++] = flags_text(exchange->arena, segment);
}

/* An ICMP error travels to the sender of what it quotes, from an address that may be a router's. */
static void note_ends(struct exchange_connection *connection, const struct trace_segment *segment)
{
    int from = segment->from_client ? 0 : 1;

    if (connection->family || segment->protocol != TRACE_TCP)
        return;
    connection->family = segment->family;
    memcpy(connection->address[from], segment->source, sizeof segment->source);
    memcpy(connection->address[!from], segment->destination, sizeof segment->destination);
    connection->port[from] = segment->source_port;
    connection->port[!from] = segment->destination_port;
}

/* ---- Losses */

static bool is_lost(const struct trace_segment *segment)
{
    switch (segment->fate) {
    case TRACE_DROPPED:
    case TRACE_ANSWERED:
    case TRACE_CORRUPTED:
        return true;
    case TRACE_DELIVERED:
    case TRACE_HELD: /* what is still kept at the end never arrived */
    case TRACE_DUPLICATED:
        return segment->departed_real_ns == CLOCK_NONE;
    case TRACE_MADE:
    case TRACE_OBSERVED:
        return false;
    }
    return false;
}

static void remember(struct arena *arena, struct exchange_direction *mine,
                     const struct exchange_sent *sent)
{
    if (mine->sent_count == mine->sent_room && mine->sent_room < EXCHANGE_SENT) {
        size_t room = mine->sent_room ? 4 * mine->sent_room : 16;
        struct exchange_sent *more = arena_alloc(arena, room * sizeof *more);
        if (!more)
            return;
        if (mine->sent_room)
            memcpy(more, mine->sent, mine->sent_room * sizeof *more);
        mine->sent = more;
        mine->sent_room = room;
    }
    mine->sent[mine->sent_count++ % mine->sent_room] = *sent;
}

/* The last sending of the byte at `sequence`, or NULL when that is too long ago. */
static const struct exchange_sent *find_sent(const struct exchange_direction *mine,
                                             uint32_t sequence)
{
    size_t kept = mine->sent_count < mine->sent_room ? mine->sent_count : mine->sent_room;

    for (size_t i = 0; i < kept; i++) {
        const struct exchange_sent *sent =
            &mine->sent[(mine->sent_count - 1 - i) % mine->sent_room];
        if (seq_within(sequence, sent->start, sent->end))
            return sent;
    }
    return NULL;
}

static enum exchange_loss kind_of(const struct exchange_direction *mine,
                                  const struct trace_event *event, uint32_t end,
                                  const struct exchange_sent *before)
{
    const struct trace_segment *segment = &event->segment;
    bool asked = mine->sacked || mine->duplicate_acks >= DUPLICATE_ACKS;
    int64_t waited_ns = before ? event->at_real_ns - before->at_ns : 0;

    if (segment->flags & SEGMENT_SYN)
        return segment->flags & SEGMENT_ACK ? EXCHANGE_SYNACK : EXCHANGE_SYN;
    if (before && !before->lost)
        return EXCHANGE_SPURIOUS;
    /* A repeated segment that is lost again has nobody to ask for it but the timer. */
    if (asked && !(before && before->again && waited_ns >= RTO_MIN_NS))
        return EXCHANGE_FAST;
    return end == mine->next && waited_ns < RTO_MIN_NS ? EXCHANGE_PROBE : EXCHANGE_TIMEOUT;
}

static void note_loss(struct exchange_direction *mine, const struct trace_event *event,
                      uint32_t end)
{
    const struct exchange_sent *before = find_sent(mine, event->segment.sequence);
    struct exchange_losses *losses = &mine->losses[kind_of(mine, event, end, before)];
    int64_t waited_ns = before ? event->at_real_ns - before->at_ns : 0;

    mine->retransmissions++;
    losses->count++;
    losses->wait_total_ns += waited_ns;
    losses->wait_max_ns = waited_ns > losses->wait_max_ns ? waited_ns : losses->wait_max_ns;
    uint32_t fault = before && before->fault ? before->fault : mine->ack_fault;
    if (fault) {
        losses->by_fault++;
        losses->fault = exchange_faults(losses->fault, fault);
    }
}

/* Whether all that takes up sequence numbers in it had been sent before. */
static void note_sequence(struct arena *arena, struct exchange_direction *mine,
                          const struct trace_event *event)
{
    const struct trace_segment *segment = &event->segment;
    uint32_t length = segment->payload_bytes + !!(segment->flags & SEGMENT_SYN) +
                      !!(segment->flags & SEGMENT_FIN);
    uint32_t end = segment->sequence + length;
    bool again = mine->sent_any && seq_le(end, mine->next);

    if (!length)
        return;
    if (again)
        note_loss(mine, event, end);
    else
        mine->next = end;
    mine->sent_any = true;
    remember(arena, mine,
             &(struct exchange_sent){.start = segment->sequence,
                                     .end = end,
                                     .at_ns = event->at_real_ns,
                                     .fault = segment->fault,
                                     .lost = is_lost(segment),
                                     .again = again});
}

/* What an ACK, if it arrives, tells the other side of its own data. */
static void note_ack(struct exchange_direction *theirs, const struct trace_segment *segment)
{
    if (!(segment->flags & SEGMENT_ACK) || !theirs->sent_any)
        return;
    if (is_lost(segment)) {
        theirs->ack_fault = exchange_faults(theirs->ack_fault, segment->fault);
        return;
    }
    bool same = segment->acknowledgement == theirs->acked;
    bool bare = !segment->payload_bytes && !(segment->flags & (SEGMENT_SYN | SEGMENT_FIN));

    theirs->duplicate_acks =
        same && bare && theirs->acked != theirs->next ? theirs->duplicate_acks + 1 : 0;
    theirs->acked = segment->acknowledgement;
    /* A SYN,ACK that crosses the repeated SYN does not undo why that was sent. */
    if (!(segment->flags & SEGMENT_SYN))
        theirs->ack_fault = 0;
    theirs->sacked = segment->sack_blocks > 0;
}

static void note_window(struct exchange_direction *mine, const struct trace_event *event)
{
    const struct trace_segment *segment = &event->segment;

    if (segment->flags & (SEGMENT_SYN | SEGMENT_RST))
        return;
    if (!segment->window_bytes && mine->zero_since_ns == CLOCK_NONE) {
        mine->zero_since_ns = event->at_real_ns;
        mine->zero_windows++;
    } else if (segment->window_bytes && mine->zero_since_ns != CLOCK_NONE) {
        mine->zero_total_ns += event->at_real_ns - mine->zero_since_ns;
        mine->zero_since_ns = CLOCK_NONE;
    }
}

static void note_order(struct exchange_direction *mine, const struct trace_segment *segment)
{
    if (segment->departed_real_ns == CLOCK_NONE)
        return;
    if (segment->departed_real_ns < mine->departed_max_ns)
        mine->overtaken++;
    else
        mine->departed_max_ns = segment->departed_real_ns;
}

/* ---- How it ended */

static void note_reset(struct exchange_connection *connection, const struct trace_segment *segment,
                       int from)
{
    bool closed = connection->side[0].fin && connection->side[1].fin;

    if (closed || connection->reset || connection->refused)
        return;
    connection->refused =
        connection->opener >= 0 && from != connection->opener && !connection->synack;
    connection->reset = !connection->refused;
    connection->reset_by = from;
    connection->by_wire = segment->fate == TRACE_MADE;
    connection->end_fault = segment->fault;
}

static void note_life(struct exchange_connection *connection, const struct trace_segment *segment,
                      int from)
{
    bool lost = is_lost(segment);

    if ((segment->flags & SEGMENT_SYN) && !(segment->flags & SEGMENT_ACK) && connection->opener < 0)
        connection->opener = from;
    connection->replied |= !lost && connection->opener >= 0 && from != connection->opener;
    connection->synack |= (segment->flags & SEGMENT_SYN) && (segment->flags & SEGMENT_ACK) && !lost;
    connection->side[from].fin |= (segment->flags & SEGMENT_FIN) != 0;
    if ((segment->flags & SEGMENT_RST) && !lost)
        note_reset(connection, segment, from);
}

static void note_icmp(struct exchange_connection *connection, const struct trace_segment *segment)
{
    const struct icmp_name *icmp =
        icmp_by_type(segment->family, segment->icmp_type, segment->icmp_code);

    if (connection->icmp || !icmp || is_lost(segment))
        return;
    connection->icmp = icmp->name;
    connection->end_fault = segment->fault;
    connection->by_wire = segment->fate == TRACE_MADE;
}

/* ---- Events */

static void feed_segment(struct exchange *exchange, const struct trace_event *event)
{
    const struct trace_segment *segment = &event->segment;
    int from = segment->from_client ? 0 : 1;
    struct exchange_connection *connection = connection_of(exchange, event->connection);

    if (!connection)
        return;
    note_ends(connection, segment);
    note_flags(exchange, connection, segment);
    connection->first_ns = connection->first_ns ? connection->first_ns : event->at_real_ns;
    connection->last_ns =
        segment->departed_real_ns != CLOCK_NONE && segment->departed_real_ns > event->at_real_ns
            ? segment->departed_real_ns
            : event->at_real_ns;
    if (segment->protocol != TRACE_TCP) {
        note_icmp(connection, segment);
        return;
    }
    note_life(connection, segment, from);
    if (segment->fate == TRACE_MADE)
        return;
    struct exchange_direction *mine = &connection->side[from];
    mine->segments++;
    mine->payload_bytes += segment->payload_bytes;
    mine->lost += is_lost(segment);
    mine->lost_fault = exchange_faults(mine->lost_fault, is_lost(segment) ? segment->fault : 0);
    note_sequence(exchange->arena, mine, event);
    note_ack(&connection->side[!from], segment);
    note_window(mine, event);
    note_order(mine, segment);
}

static void feed_state(struct exchange *exchange, const struct trace_event *event)
{
    struct exchange_connection *connection = connection_of(exchange, event->connection);

    if (!connection)
        return;
    struct exchange_direction *side = &connection->side[event->side == TRACE_SERVER];
    const char *name = finding_state_name(event->state.state);
    if (side->state_count == EXCHANGE_STATES ||
        (side->state_count && !strcmp(side->states[side->state_count - 1], name)))
        return;
    side->states[side->state_count++] = name;
}

void exchange_feed(struct exchange *exchange, const struct trace_event *event)
{
    if (!event->connection)
        return;
    switch (event->kind) {
    case TRACE_SEGMENT:
        if (event->side == TRACE_WIRE)
            feed_segment(exchange, event);
        return;
    case TRACE_STATE:
        if (event->side != TRACE_WIRE)
            feed_state(exchange, event);
        return;
    case TRACE_CALL:
    case TRACE_STAMP:
    case TRACE_MARK:
        return;
    }
}

/* ---- Results */

enum exchange_end exchange_end_of(const struct exchange_connection *connection)
{
    if (connection->refused)
        return EXCHANGE_REFUSED;
    if (connection->reset)
        return EXCHANGE_RESET;
    if (connection->icmp && !connection->synack)
        return EXCHANGE_UNREACHABLE;
    if (connection->side[0].fin && connection->side[1].fin)
        return EXCHANGE_FIN;
    return connection->opener >= 0 && !connection->replied ? EXCHANGE_NO_REPLY : EXCHANGE_OPEN;
}

static const char *end_name(const struct exchange_connection *connection)
{
    switch (exchange_end_of(connection)) {
    case EXCHANGE_OPEN:
        return "open";
    case EXCHANGE_NO_REPLY:
        return "no-reply";
    case EXCHANGE_REFUSED:
        return "refused";
    case EXCHANGE_UNREACHABLE:
        return "unreachable";
    case EXCHANGE_RESET:
        return connection->reset_by ? "reset-by-server" : "reset-by-client";
    case EXCHANGE_FIN:
        return "fin";
    }
    return "?";
}

static const char *endpoint(struct arena *arena, const struct exchange_connection *connection,
                            int side)
{
    struct packet_endpoint end = {.port = connection->port[side]};
    char text[PACKET_ENDPOINT_TEXT_MAX];

    if (!connection->family)
        return NULL;
    memcpy(end.address, connection->address[side], sizeof end.address);
    return arena_copy(arena, packet_endpoint_text(text, sizeof text, connection->family, &end));
}

static void exchange_fill_connection(struct result_connection *out, struct arena *arena,
                                     int64_t start_real_ns,
                                     const struct exchange_connection *connection)
{
    const struct exchange_direction *client = &connection->side[0], *server = &connection->side[1];

    *out = (struct result_connection){
        .number = connection->number,
        .client = endpoint(arena, connection, 0),
        .server = endpoint(arena, connection, 1),
        .started_ns = connection->first_ns ? connection->first_ns - start_real_ns : RESULT_UNKNOWN,
        .duration_ns = connection->last_ns - connection->first_ns,
        .flags = {connection->flags, connection->flag_count},
        .flags_omitted = connection->flags_omitted,
        .client_states = {client->states, client->state_count},
        .server_states = {server->states, server->state_count},
        .segments = {client->segments, server->segments},
        .payload_bytes = {client->payload_bytes, server->payload_bytes},
        .retransmissions = {client->retransmissions, server->retransmissions},
        .end = end_name(connection),
    };
    bool backwards = connection->opener == 1;
    if (connection->family)
        out->name = arena_printf(arena, "%s > %s", backwards ? out->server : out->client,
                                 backwards ? out->client : out->server);
}

void exchange_list(const struct exchange *exchange, struct result_connection_list *out)
{
    *out = (struct result_connection_list){
        .items = arena_alloc(exchange->arena, (exchange->connections + 1) * sizeof *out->items)};
    for (size_t i = 0; out->items && i < exchange->numbers; i++)
        if (exchange->by_number[i])
            exchange_fill_connection(&out->items[out->count++], exchange->arena,
                                     exchange->start_real_ns, exchange->by_number[i]);
}

uint32_t exchange_busiest(const struct exchange *exchange)
{
    int64_t most = 0;
    uint32_t busiest = 0;

    for (size_t i = 0; i < exchange->numbers; i++) {
        const struct exchange_connection *connection = exchange->by_number[i];
        int64_t segments =
            connection ? connection->side[0].segments + connection->side[1].segments : 0;
        if (segments > most) {
            most = segments;
            busiest = connection->number;
        }
    }
    return busiest;
}
