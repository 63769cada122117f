#include "flow/division.h"

#include "base/clock.h"
#include "flow/limits.h"
#include <string.h>

struct wait {
    struct flow_connection *connection;
    const struct flow_step *step;
    struct flow_side *mine, *peer;
    int from;
    int64_t ns;
    struct flow_stall *stall;
    int64_t stall_ns; /* the shortest */
    bool told;
};

static int64_t min_ns(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t path_ns(const struct flow_side *side)
{
    return side->path.min_ns == CLOCK_NONE ? 0 : side->path.min_ns;
}

/* What releases a side's data shows this much before it at the latest. */
static int64_t release_ns(const struct flow_side *side)
{
    return FLOW_RELEASE_NS + path_ns(side) / 4 + 4 * (int64_t)side->path.deviation_ns;
}

static void put(struct wait *wait, enum flow_part part, int64_t ns)
{
    wait->connection->parts[part] += ns;
}

/* `at_least_ns` of it nobody can explain by the path. */
static void tell(struct wait *wait, enum flow_part part, enum flow_proof proof, int64_t wait_ns,
                 int64_t at_least_ns)
{
    if (at_least_ns < wait->stall_ns || wait->told)
        return;
    wait->told = true;
    *wait->stall = (struct flow_stall){
        .part = part,
        .proof = proof,
        .side = wait->from,
        .at_ns = wait->connection->mark_ns,
        .wait_ns = wait_ns,
        .at_least_ns = at_least_ns,
        .frames = {wait->connection->mark_frame, wait->mine->ack.frame, wait->step->frame},
    };
    if (wait->mine->ack.at_ns < wait->connection->mark_ns)
        wait->stall->frames[1] = 0;
}

static enum flow_part by_side(const struct wait *wait, enum flow_part of_client,
                              enum flow_part of_server)
{
    return wait->from == wait->connection->client ? of_client : of_server;
}

/* ---- Nagle */

static bool could_be_held(const struct wait *wait)
{
    const struct flow_connection *connection = wait->connection;
    const struct flow_ack *ack = &wait->mine->ack;
    const struct flow_step *step = wait->step;

    return connection->mark_side == wait->from && connection->mark_data && step->small &&
           ack->at_ns >= connection->mark_ns && ack->pure && ack->all && ack->was_small &&
           ack->of_frame == connection->mark_frame && wait->peer->frame == ack->frame &&
           step->segment->seq == wait->mine->acked && !wait->mine->recovering &&
           step->window_room >= step->segment->payload_len;
}

static bool divide_held(struct wait *wait)
{
    struct flow_side *mine = wait->mine;
    const struct flow_ack *ack = &mine->ack;

    if (!could_be_held(wait))
        return false;
    int64_t behind_ns = wait->step->at_ns - ack->at_ns - path_ns(mine);
    int64_t release = release_ns(mine), before_ns = ack->at_ns - wait->connection->mark_ns;
    if (2 * release > before_ns + path_ns(mine) && !ack->late)
        return false;
    if (behind_ns > release) {
        mine->near_holds += behind_ns <= release + FLOW_NEAR_NS && mine->near_holds < UINT16_MAX;
        return false;
    }
    if (2 * release > before_ns)
        return false;
    mine->holds += mine->holds < UINT16_MAX;
    enum flow_part part =
        ack->late ? by_side(wait, FLOW_NAGLE_DELAYED_ACK_CLIENT, FLOW_NAGLE_DELAYED_ACK_SERVER)
                  : by_side(wait, FLOW_NAGLE_ROUND_TRIP_CLIENT, FLOW_NAGLE_ROUND_TRIP_SERVER);
    put(wait, part, wait->ns);
    tell(wait, part, FLOW_IF_NO_DENIAL, wait->ns,
         ack->late ? min_ns((int64_t)ack->late_us * NS_PER_US, wait->ns)
                   : min_ns(path_ns(mine) + path_ns(wait->peer), wait->ns));
    return true;
}

/* A small segment while a small one is in flight: told at its acknowledgement (track.c). A window
 * that is nearly full makes small segments of large ones. */
static void note_denial(struct wait *wait)
{
    struct flow_side *mine = wait->mine;
    const struct flow_step *step = wait->step;

    if (!step->small || !step->small_in_flight || mine->denial_ns != CLOCK_NONE ||
        mine->recovering || step->segment->flags & (SEGMENT_FIN | SEGMENT_URG | SEGMENT_SYN) ||
        step->window_room < 2 * (uint32_t)(mine->largest ? mine->largest : FLOW_SMALL_BYTES))
        return;
    mine->denial_ns = step->at_ns;
    mine->denial_end = step->segment->seq;
}

enum flow_nagle flow_nagle(const struct flow_side *side)
{
    if (!side->holds || side->denials)
        return FLOW_NAGLE_NOT;
    if (side->near_holds * 4 > side->holds)
        return FLOW_NAGLE_NOT;
    return side->holds >= FLOW_HOLDS_MIN ? FLOW_NAGLE_PROVEN : FLOW_NAGLE_UNDECIDED;
}

/* ---- Windows */

/* The window was closed, and what is sent came when it opened. */
static bool divide_zero_window(struct wait *wait)
{
    const struct flow_side *peer = wait->peer;
    int64_t from_ns = wait->connection->mark_ns, start_ns, end_ns;

    start_ns = peer->zero_start_ns;
    end_ns = peer->closed_window ? wait->step->at_ns : peer->zero_end_ns;
    if (start_ns == CLOCK_NONE || end_ns == CLOCK_NONE ||
        (!peer->closed_window &&
         wait->step->at_ns - end_ns - path_ns(wait->mine) > release_ns(wait->mine)))
        return false;
    start_ns = start_ns > from_ns ? start_ns : from_ns;
    if (end_ns <= start_ns)
        return false;
    put(wait, FLOW_ZERO_WINDOW, end_ns - start_ns);
    put(wait, FLOW_NETWORK, wait->ns - (end_ns - start_ns));
    tell(wait, FLOW_ZERO_WINDOW, FLOW_PROVEN, end_ns - start_ns, end_ns - start_ns);
    if (wait->told)
        wait->stall->frames[1] = peer->zero_frame;
    return true;
}

/* The same amount in flight before each wait. */
static bool is_buffer(struct flow_side *mine, uint32_t full)
{
    uint32_t flight = mine->ack.in_flight;
    uint32_t apart =
        flight > mine->wait_flight ? flight - mine->wait_flight : mine->wait_flight - flight;

    if (apart > full || mine->recovering) {
        mine->waits_alike = 0;
        mine->wait_flight = flight;
    }
    mine->waits_alike += mine->waits_alike < UINT8_MAX;
    return mine->waits_alike > FLOW_BUFFER_WAITS;
}

/* Full segments that an ACK let go. */
static bool divide_released(struct wait *wait)
{
    struct flow_connection *connection = wait->connection;
    struct flow_side *mine = wait->mine;
    const struct flow_ack *ack = &mine->ack;
    uint32_t full = flow_full_segment(connection, wait->from);

    full = full ? full : mine->largest;
    if (connection->mark_side != wait->from || !connection->mark_data ||
        ack->at_ns < connection->mark_ns || (!connection->mark_full && !wait->step->full) ||
        (ack->all && connection->mark_pushed) ||
        wait->step->at_ns - ack->at_ns - path_ns(mine) > release_ns(mine))
        return false;
    enum flow_part part = FLOW_CONGESTION_WINDOW;
    if (ack->window_left < full)
        part = FLOW_RECEIVE_WINDOW;
    else if (2 * wait->ns < path_ns(mine) + path_ns(wait->peer))
        part = FLOW_LINK;
    else if (is_buffer(mine, full))
        part = FLOW_SEND_BUFFER;
    put(wait, part, wait->ns);
    tell(wait, part, FLOW_PROVEN, wait->ns, wait->ns);
    return true;
}

/* ---- Programs, and rest */

static bool is_rest(const struct wait *wait, int64_t ns)
{
    const struct flow_connection *connection = wait->connection;
    bool client = wait->from == connection->client;

    if (ns < FLOW_REST_NS)
        return false;
    if (connection->data_side > 1)
        return client;
    if (connection->data_side != wait->from)
        return client; /* the server owes an answer */
    return connection->mark_pushed && (!client || ns >= FLOW_MESSAGE_NS);
}

/* The sender's kernel kept a rest of what was written: the segment before it does not end a write,
 * and nothing of TCP was in the way. */
static bool is_cork(const struct wait *wait)
{
    const struct flow_connection *connection = wait->connection;

    return connection->mark_side == wait->from && connection->mark_data &&
           !connection->mark_pushed && wait->step->small && wait->mine->has_acked &&
           wait->mine->acked == wait->step->segment->seq && wait->ns >= FLOW_CORK_NS &&
           wait->ns < FLOW_CORK_MAX_NS;
}

static void divide_program(struct wait *wait)
{
    struct flow_connection *connection = wait->connection;
    bool own = connection->mark_side == wait->from;
    int64_t network_ns = own ? 0 : min_ns(wait->ns, path_ns(wait->mine));
    int64_t rest_ns = wait->ns - network_ns;
    bool client = wait->from == connection->client;

    put(wait, FLOW_NETWORK, network_ns);
    if (is_rest(wait, rest_ns)) {
        put(wait, FLOW_IDLE, rest_ns);
        return;
    }
    if (own && connection->mark_data && connection->mark_full && !connection->mark_pushed &&
        rest_ns < FLOW_LINK_NS && !wait->mine->recovering) {
        put(wait, FLOW_LINK, rest_ns);
        return;
    }
    if (is_cork(wait)) {
        put(wait, FLOW_CORK, rest_ns);
        tell(wait, FLOW_CORK, FLOW_PROVEN, rest_ns, rest_ns);
        return;
    }
    enum flow_part part = by_side(wait, FLOW_CLIENT_THINK, FLOW_SERVER_THINK);
    put(wait, part, rest_ns);
    /* A client may take its time between answer and request: that is no stall. */
    if (!client || (own && connection->data_side == wait->from))
        tell(wait, part, FLOW_PROVEN, rest_ns,
             rest_ns - 4 * (int64_t)wait->mine->path.deviation_ns);
}

static void divide_data(struct wait *wait)
{
    note_denial(wait);
    if (divide_zero_window(wait) || divide_held(wait) || divide_released(wait))
        return;
    divide_program(wait);
}

/* ---- The other ends of a wait */

static void divide_again(struct wait *wait)
{
    enum flow_part part = FLOW_RETRANSMISSION_TIMEOUT;

    switch (wait->step->repeat) {
    case FLOW_REPEAT_SYN:
    case FLOW_REPEAT_SYNACK:
    case FLOW_REPEAT_TIMEOUT:
    case FLOW_REPEAT_PROBE:
        break;
    case FLOW_REPEAT_FAST:
        part = FLOW_CONGESTION_WINDOW;
        break;
    case FLOW_REPEAT_SPURIOUS:
        part = wait->ns < FLOW_ACK_LATE_NS ? FLOW_NETWORK : FLOW_RETRANSMISSION_TIMEOUT;
        break;
    case FLOW_REPEATS:
        break;
    }
    /* What the window keeps back is sent again only to ask whether it has opened. */
    if (wait->peer->closed_window)
        part = FLOW_ZERO_WINDOW;
    put(wait, part, wait->ns);
    tell(wait, part, FLOW_PROVEN, wait->ns, wait->ns);
}

/* Who closes after the client's word waited for an answer that did not come. */
static void divide_end(struct wait *wait)
{
    struct flow_connection *connection = wait->connection;
    bool own = connection->mark_side == wait->from;
    int64_t network_ns = own ? 0 : min_ns(wait->ns, path_ns(wait->mine));
    int64_t rest_ns = wait->ns - network_ns;
    bool owed = connection->data_side == connection->client;

    put(wait, FLOW_NETWORK, network_ns);
    if (owed) {
        put(wait, FLOW_SERVER_THINK, rest_ns);
        tell(wait, FLOW_SERVER_THINK, FLOW_PROVEN, rest_ns,
             rest_ns - 4 * (int64_t)wait->mine->path.deviation_ns);
    } else if (rest_ns >= FLOW_REST_NS) {
        put(wait, FLOW_IDLE, rest_ns);
    } else {
        put(wait, by_side(wait, FLOW_CLIENT_THINK, FLOW_SERVER_THINK), rest_ns);
    }
}

static void divide(struct wait *wait)
{
    if (wait->connection->stepped && wait->step->stepped) {
        put(wait, FLOW_IDLE, wait->ns);
        return;
    }
    switch (wait->step->news) {
    case FLOW_NEWS_NONE:
        break;
    case FLOW_NEWS_SYN:
    case FLOW_NEWS_HANDSHAKE:
        put(wait, FLOW_NETWORK, wait->ns);
        break;
    case FLOW_NEWS_AGAIN:
        divide_again(wait);
        break;
    case FLOW_NEWS_DATA:
        divide_data(wait);
        break;
    case FLOW_NEWS_END:
        divide_end(wait);
        break;
    }
}

bool flow_divide(struct flow_connection *connection, const struct flow_step *step, int64_t stall_ns,
                 struct flow_stall *stall)
{
    struct wait wait = {
        .connection = connection,
        .step = step,
        .from = step->from,
        .mine = &connection->side[step->from],
        .peer = &connection->side[!step->from],
        .ns = step->at_ns - connection->mark_ns,
        .stall = stall,
        .stall_ns = stall_ns,
    };

    connection->stepped |= step->stepped;
    if (step->news == FLOW_NEWS_NONE)
        return false;
    divide(&wait);
    connection->mark_ns = step->at_ns;
    connection->mark_frame = step->frame;
    connection->mark_side = (uint8_t)step->from;
    connection->mark_data = step->segment->payload_len > 0;
    connection->mark_full = step->full;
    connection->mark_pushed = step->segment->flags & SEGMENT_PSH;
    return wait.told;
}

void flow_division_end(struct flow_connection *connection)
{
    const struct flow_side *side = connection->side;
    int64_t rest_ns = connection->last_ns - connection->mark_ns;
    int64_t network_ns = min_ns(rest_ns, path_ns(&side[0]) + path_ns(&side[1]));
    bool late = side[0].ack.late || side[1].ack.late;

    connection->parts[FLOW_NETWORK] += network_ns;
    connection->parts[late ? FLOW_DELAYED_ACK : FLOW_IDLE] += rest_ns - network_ns;
    connection->mark_ns = connection->last_ns;
    for (int i = 0; i < 2; i++) {
        bool client = i == connection->client;
        if (flow_nagle(&side[i]) == FLOW_NAGLE_PROVEN)
            continue;
        int64_t *delayed =
            &connection
                 ->parts[client ? FLOW_NAGLE_DELAYED_ACK_CLIENT : FLOW_NAGLE_DELAYED_ACK_SERVER];
        int64_t *held =
            &connection
                 ->parts[client ? FLOW_NAGLE_ROUND_TRIP_CLIENT : FLOW_NAGLE_ROUND_TRIP_SERVER];
        connection->parts[client ? FLOW_CLIENT_THINK : FLOW_SERVER_THINK] += *delayed + *held;
        *delayed = *held = 0;
    }
}
