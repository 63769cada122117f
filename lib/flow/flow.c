/* A packet finds its connection, which is then tracked, divided, and, when it has ended and its
 * stragglers have passed, told. Nobody keeps a list by age, which would touch three connections a
 * packet: a hand goes round over the places, a few with each new connection and now and then
 * besides, and gives up what is over. */
#include "flow/division.h"
#include "flow/limits.h"
#include "flow/table.h"

#include "base/clock.h"
#include "packet/seq.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Places that the hand looks at, and packets between two of its steps. */
#define HAND_PLACES  4
#define HAND_PACKETS 16
/* Places that are compared to find who makes room. */
#define VICTIM_PLACES 64

#define TIME_MOST_NS (INT64_MAX / 4)

struct flow {
    struct flow_table table;
    struct flow_options options;
    struct flow_sink sink;
    struct flow_counts counts;
    size_t hand;
    int64_t now_ns;
};

int flow_open(struct flow **out, const struct flow_options *options, const struct flow_sink *sink,
              struct error *error)
{
    struct flow *flow = calloc(1, sizeof *flow);

    if (!flow || flow_table_open(&flow->table, options->seed)) {
        free(flow);
        return error_sys(error, ENOMEM, "cannot analyze");
    }
    flow->options = *options;
    flow->sink = *sink;
    if (!flow->options.max_connections)
        flow->options.max_connections = FLOW_CONNECTIONS_MAX;
    if (!flow->options.idle_ns)
        flow->options.idle_ns = FLOW_IDLE_NS;
    if (!flow->options.stall_ns)
        flow->options.stall_ns = FLOW_STALL_NS;
    flow->counts.first_ns = flow->counts.last_ns = flow->now_ns = CLOCK_NONE;
    *out = flow;
    return 0;
}

const struct flow_counts *flow_counts(const struct flow *flow)
{
    return &flow->counts;
}

/* ---- Ends */

/* Only SYNs of one side so far. */
static bool is_embryo(const struct flow_connection *connection)
{
    return !connection->established && !connection->closed &&
           (!connection->side[0].packets || !connection->side[1].packets);
}

static void end(struct flow *flow, struct flow_connection *connection, bool given_up)
{
    connection->expired = given_up && !connection->closed;
    flow->counts.expired += connection->expired;
    flow->counts.missed += connection->side[0].missed + connection->side[1].missed;
    flow_division_end(connection);
    flow->sink.ended(flow->sink.context, connection);
    flow_table_remove(&flow->table, connection);
    flow->counts.live = flow->table.count;
}

/* The hand moves on by so many places. */
static void look_round(struct flow *flow, unsigned places)
{
    for (unsigned i = 0; i < places && flow->table.places; i++) {
        flow->hand = flow->hand + 1 < flow->table.places ? flow->hand + 1 : 0;
        struct flow_connection *connection = flow_table_at(&flow->table, flow->hand);
        if (!connection)
            continue;
        int64_t silent_ns = flow->now_ns - connection->last_ns;
        if (silent_ns > (connection->closed ? FLOW_LINGER_NS : flow->options.idle_ns))
            end(flow, connection, true);
    }
}

/* How readily a connection gives up its place: the less is lost, the more. */
static int64_t readiness(const struct flow *flow, const struct flow_connection *connection)
{
    int64_t silent_ns = flow->now_ns - connection->last_ns;
    int64_t class = connection->closed ? 2 : is_embryo(connection);

    return (class << 60) + (silent_ns < INT64_C(1) << 59 ? silent_ns : INT64_C(1) << 59);
}

static void make_room(struct flow *flow)
{
    struct flow_connection *victim = NULL;
    int64_t most = -1;

    for (unsigned seen = 0; (seen < VICTIM_PLACES || !victim) && flow->table.count;) {
        flow->hand = flow->hand + 1 < flow->table.places ? flow->hand + 1 : 0;
        struct flow_connection *connection = flow_table_at(&flow->table, flow->hand);
        seen++;
        if (!connection || readiness(flow, connection) <= most)
            continue;
        victim = connection;
        most = readiness(flow, connection);
    }
    if (victim)
        end(flow, victim, true);
}

enum flow_end flow_end_of(const struct flow_connection *connection)
{
    const struct flow_side *side = connection->side;

    if (side[0].fin && side[1].fin)
        return FLOW_END_FIN;
    if (connection->reset == FLOW_RESET_REFUSED)
        return FLOW_END_REFUSED;
    if (connection->reset)
        return connection->reset_by == connection->client ? FLOW_END_RESET_CLIENT
                                                          : FLOW_END_RESET_SERVER;
    if (side[0].fin || side[1].fin)
        return FLOW_END_FIN;
    if (connection->from_start && !side[!connection->client].packets)
        return FLOW_END_NO_REPLY;
    return FLOW_END_OPEN;
}

static enum flow_reset reset_of(const struct flow_connection *connection,
                                const struct segment *segment, int from)
{
    const struct flow_side *mine = &connection->side[from], *peer = &connection->side[!from];

    if (mine->fin)
        return FLOW_RESET_AFTER_CLOSE;
    if (!connection->established && peer->syn && !mine->syn && from != connection->client)
        return FLOW_RESET_REFUSED;
    if (!connection->established && mine->syn && peer->syn && from == connection->client)
        return FLOW_RESET_HALF_OPEN;
    if (!(segment->flags & SEGMENT_ACK))
        return FLOW_RESET_UNKNOWN;
    return connection->data_side == !from ? FLOW_RESET_UNREAD : FLOW_RESET_ABORT;
}

static void note_end(struct flow_connection *connection, const struct segment *segment, int from)
{
    const struct flow_side *side = connection->side;

    if (segment->flags & SEGMENT_RST && !connection->reset) {
        connection->reset = (uint8_t)reset_of(connection, segment, from);
        connection->reset_by = (uint8_t)from;
        connection->closed = true;
    }
    if (side[0].fin && side[1].fin && seq_le(side[0].next, side[0].acked) &&
        seq_le(side[1].next, side[1].acked))
        connection->closed = true;
}

/* ---- Beginnings */

static void begin_side(struct flow_side *side)
{
    side->at_ns = CLOCK_NONE;
    side->zero_start_ns = side->zero_end_ns = CLOCK_NONE;
    side->window_scale = -1;
    side->again_kind = FLOW_REPEATS;
    side->path.min_ns = CLOCK_NONE;
    side->ack.at_ns = CLOCK_NONE;
    side->denial_ns = CLOCK_NONE;
}

static struct flow_connection *begin(struct flow *flow, const struct flow_key *key, uint32_t hash,
                                     const struct flow_packet *packet, int from)
{
    if (flow->table.count >= flow->options.max_connections)
        make_room(flow);
    look_round(flow, HAND_PLACES);
    struct flow_connection *connection = flow_table_add(&flow->table, key, hash);
    while (!connection && flow->table.count) {
        make_room(flow);
        connection = flow_table_add(&flow->table, key, hash);
    }
    if (!connection)
        return NULL;
    begin_side(&connection->side[0]);
    begin_side(&connection->side[1]);
    connection->number = ++flow->counts.connections;
    connection->client = (uint8_t)from;
    connection->data_side = 2;
    connection->handshake_ns = CLOCK_NONE;
    connection->first_ns = connection->last_ns = connection->mark_ns = flow->now_ns;
    connection->first_frame = connection->mark_frame =
        packet->number < UINT32_MAX ? (uint32_t)packet->number : UINT32_MAX;
    connection->mark_side = (uint8_t)from;
    flow->counts.live = flow->table.count;
    if (flow->counts.live > flow->counts.live_most)
        flow->counts.live_most = flow->counts.live;
    if (flow->sink.began)
        flow->sink.began(flow->sink.context, connection);
    return connection;
}

/* The same ports again, for another connection: a SYN with another number, after an end or instead
 * of the connection that is known. */
static bool is_reuse(const struct flow_connection *connection, const struct segment *segment,
                     int from)
{
    const struct flow_side *mine = &connection->side[from];

    if (!(segment->flags & SEGMENT_SYN) || segment->flags & (SEGMENT_ACK | SEGMENT_RST))
        return false;
    if (mine->syn && mine->first_seq == segment->seq)
        return false;
    return connection->closed || connection->established || mine->syn;
}

static void note_client(struct flow_connection *connection, const struct segment *segment, int from)
{
    if (connection->client_known)
        return;
    if (segment->flags & SEGMENT_SYN) {
        connection->client = (uint8_t)(segment->flags & SEGMENT_ACK ? !from : from);
        connection->client_known = connection->from_start = true;
    } else if (segment->payload_len) {
        connection->client = (uint8_t)from;
        connection->client_known = true;
    }
}

/* The handshake's last ACK, which carries nothing, or whatever says that it came. */
static void note_handshake(struct flow_connection *connection, struct flow_step *step)
{
    const struct segment *segment = step->segment;
    const struct flow_side *side = connection->side;

    if (connection->established || segment->flags & (SEGMENT_SYN | SEGMENT_RST))
        return;
    if (side[0].syn && side[1].syn) {
        if (step->from != connection->client || !(segment->flags & SEGMENT_ACK))
            return;
        connection->established = true;
        connection->handshake_ns = step->at_ns - connection->first_ns;
        if (step->news == FLOW_NEWS_NONE)
            step->news = FLOW_NEWS_HANDSHAKE;
        return;
    }
    connection->established = side[0].packets && side[1].packets;
}

/* ---- Packets */

static void note_data(struct flow_connection *connection, const struct flow_step *step)
{
    if (step->news != FLOW_NEWS_DATA &&
        !(step->news == FLOW_NEWS_END && step->segment->payload_len))
        return;
    if (step->from == connection->client && connection->data_side != step->from)
        connection->requests++;
    connection->data_side = (uint8_t)step->from;
}

static void take(struct flow *flow, struct flow_connection *connection,
                 const struct flow_packet *packet, int from)
{
    struct flow_step step;
    struct flow_stall stall;

    note_client(connection, packet->segment, from);
    flow_track(connection, packet, flow->now_ns, from, &step);
    if (packet->segment->flags & SEGMENT_RST)
        step.news = FLOW_NEWS_END;
    connection->last_ns = step.at_ns;
    connection->last_frame = step.frame;
    note_handshake(connection, &step);
    bool stalled = flow_divide(connection, &step, flow->options.stall_ns, &stall);
    note_end(connection, packet->segment, from);
    note_data(connection, &step);
    if (flow->sink.packet)
        flow->sink.packet(flow->sink.context, connection, packet, from);
    if (!stalled)
        return;
    connection->stalls++;
    if (flow->sink.stall)
        flow->sink.stall(flow->sink.context, connection, &stall);
}

/* An ICMP error about a connection that is known. */
static void take_icmp(struct flow *flow, const struct segment *segment)
{
    const struct packet_quote *quote = &segment->icmp.quote;
    struct flow_key key;

    if (!segment->icmp.is_error || quote->protocol != 6 || !quote->has_ports)
        return;
    int from = flow_key_of(&key, quote->family, &quote->source, &quote->destination);
    struct flow_connection *connection =
        flow_table_find(&flow->table, &key, flow_table_hash(&flow->table, &key));
    if (!connection || connection->icmp_seen)
        return;
    connection->icmp_seen = true;
    connection->icmp_type = segment->icmp.type;
    connection->icmp_code = segment->icmp.code;
    connection->icmp_to_client = from == connection->client;
}

static void note_time(struct flow *flow, const struct flow_packet *packet)
{
    /* No file is from before 1970 or from the far future; differences never overflow. */
    if (packet->at_ns < 0 || packet->at_ns > TIME_MOST_NS)
        return;
    if (flow->now_ns != CLOCK_NONE && packet->at_ns < flow->now_ns) {
        flow->counts.backwards++;
        return;
    }
    flow->now_ns = flow->counts.last_ns = packet->at_ns;
    if (flow->counts.first_ns == CLOCK_NONE)
        flow->counts.first_ns = packet->at_ns;
}

static int take_tcp(struct flow *flow, const struct flow_packet *packet)
{
    const struct segment *segment = packet->segment;
    struct flow_key key;
    int from = flow_key_of(&key, segment->family, &segment->source, &segment->destination);
    uint32_t hash = flow_table_hash(&flow->table, &key);
    struct flow_connection *connection = flow_table_find(&flow->table, &key, hash);

    if (connection && is_reuse(connection, segment, from)) {
        end(flow, connection, false);
        connection = NULL;
    }
    if (!connection && segment->flags & SEGMENT_RST) {
        flow->counts.stray++;
        return 0;
    }
    if (!connection)
        connection = begin(flow, &key, hash, packet, from);
    if (!connection)
        return -ENOMEM;
    if (flow_track_mirrored(&connection->side[from], packet, flow->now_ns)) {
        connection->side[from].mirrored += connection->side[from].mirrored < UINT16_MAX;
        flow->counts.mirrored++;
        return 0;
    }
    flow->counts.tcp++;
    connection->backwards += packet->at_ns >= 0 && packet->at_ns < flow->now_ns;
    take(flow, connection, packet, from);
    return 0;
}

int flow_feed(struct flow *flow, const struct flow_packet *packet)
{
    flow->counts.packets++;
    note_time(flow, packet);
    if (flow->now_ns == CLOCK_NONE)
        flow->now_ns = 0;
    if (flow->counts.packets % HAND_PACKETS == 0)
        look_round(flow, 1);
    switch (packet->segment->kind) {
    case PACKET_TCP:
        return take_tcp(flow, packet);
    case PACKET_ICMP:
        take_icmp(flow, packet->segment);
        break;
    case PACKET_FRAGMENT:
        flow->counts.unusable += packet->segment->protocol == 6;
        break;
    case PACKET_OTHER_IP:
        flow->counts.unusable += packet->segment->protocol == 6;
        break;
    case PACKET_OTHER:
    case PACKET_UDP:
    case PACKET_ARP:
    case PACKET_ND:
    case PACKET_MLD:
        break;
    }
    flow->counts.other++;
    return 0;
}

void flow_finish(struct flow *flow)
{
    for (size_t i = 0; i < flow->table.places; i++) {
        struct flow_connection *connection = flow_table_at(&flow->table, i);
        if (connection)
            end(flow, connection, false);
    }
}

void flow_close(struct flow *flow)
{
    if (!flow)
        return;
    flow_table_close(&flow->table);
    free(flow);
}
