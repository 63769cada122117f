/* Conversations for tests of lib/flow, as they pass a capture: time, who, flags, bytes. Sequence
 * and acknowledgement numbers keep themselves; a test sets what it needs otherwise. */
#ifndef TESTS_FLOW_PLAY_H
#define TESTS_FLOW_PLAY_H

#include "base/clock.h"
#include "flow/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>

#define US NS_PER_US
#define MS NS_PER_MS

#define STALLS_MAX 64
#define ENDED_MAX  64

struct flow_play {
    struct flow *flow;
    struct flow_stall stalls[STALLS_MAX];
    size_t stall_count;
    struct flow_connection ended[ENDED_MAX]; /* the first of them */
    size_t ended_count;
    /* The next of each end: 0 the client, 1 the server. */
    uint32_t seq[2];
    uint16_t ip_id[2];
    uint16_t port; /* of the client */
    uint16_t mss;
    uint16_t window;
    bool ipv6;
    bool no_handshake_options;
    uint64_t number;
    int64_t at_ns;           /* of the last packet */
    uint32_t stamp[2];       /* 0: no timestamps */
    struct tcp_options more; /* of the next packet: SACK blocks */
};

static inline void play_stall(void *context, struct flow_connection *connection,
                              const struct flow_stall *stall)
{
    struct flow_play *play = context;

    (void)connection;
    if (play->stall_count < STALLS_MAX)
        play->stalls[play->stall_count] = *stall;
    play->stall_count++;
}

static inline void play_ended(void *context, struct flow_connection *connection)
{
    struct flow_play *play = context;
    int64_t sum_ns = 0;

    /* Of every connection of every test: the parts add up. */
    for (int i = 0; i < FLOW_PARTS; i++) {
        assert_true(connection->parts[i] >= 0);
        sum_ns += connection->parts[i];
    }
    assert_int_equal(sum_ns, connection->last_ns - connection->first_ns);
    if (play->ended_count < ENDED_MAX)
        play->ended[play->ended_count] = *connection;
    play->ended_count++;
}

static inline void play_open_with(struct flow_play *play, const struct flow_options *options)
{
    const struct flow_sink sink = {.context = play, .stall = play_stall, .ended = play_ended};

    *play = (struct flow_play){
        .seq = {1000, 5000}, .ip_id = {100, 9000}, .port = 40000, .mss = 1460, .window = 64000};
    assert_int_equal(flow_open(&play->flow, options, &sink, NULL), 0);
}

static inline void play_open(struct flow_play *play)
{
    play_open_with(play, &(struct flow_options){0});
}

static inline struct segment play_segment(const struct flow_play *play, int from, uint16_t flags,
                                          uint32_t len)
{
    struct segment segment = {.kind = PACKET_TCP,
                              .family = play->ipv6 ? 6 : 4,
                              .protocol = 6,
                              .flags = flags,
                              .payload_len = len,
                              .payload_captured = len,
                              .window = play->window,
                              .ip_id = play->ipv6 ? 0 : play->ip_id[from],
                              .seq = play->seq[from],
                              .ack = flags & SEGMENT_ACK ? play->seq[!from] : 0,
                              .options = play->more};
    struct packet_endpoint client = {.address = {192, 0, 2, 1}, .port = play->port};
    struct packet_endpoint server = {.address = {192, 0, 2, 2}, .port = 80};

    segment.source = from ? server : client;
    segment.destination = from ? client : server;
    if (flags & SEGMENT_SYN) {
        segment.options.has_mss = true;
        segment.options.mss = play->mss;
    }
    if (play->stamp[from]) {
        segment.options.has_timestamps = true;
        segment.options.ts_value = play->stamp[from];
        segment.options.ts_echo = play->stamp[!from];
    }
    return segment;
}

/* As it is, whatever the play expects. */
static inline void play_raw(struct flow_play *play, int64_t at_ns, const struct segment *segment)
{
    struct flow_packet packet = {.segment = segment,
                                 .at_ns = at_ns,
                                 .number = ++play->number,
                                 .wire_len = segment->payload_len + 54};

    play->at_ns = at_ns;
    assert_int_equal(flow_feed(play->flow, &packet), 0);
}

/* The next packet of one end, `after_ns` later than the last one of the play. */
static inline void play(struct flow_play *play, int64_t after_ns, int from, uint16_t flags,
                        uint32_t len)
{
    struct segment segment = play_segment(play, from, flags, len);

    play->ip_id[from]++;
    play->seq[from] += segment_seq_len(&segment);
    play->more = (struct tcp_options){0};
    play_raw(play, play->at_ns + after_ns, &segment);
}

#define C    0
#define S    1
#define ACK  SEGMENT_ACK
#define DATA (SEGMENT_ACK | SEGMENT_PSH)

/* The handshake: half a round trip on each side of the capture. */
static inline void play_handshake(struct flow_play *p, int64_t client_path_ns,
                                  int64_t server_path_ns)
{
    play(p, 0, C, SEGMENT_SYN, 0);
    play(p, server_path_ns, S, SEGMENT_SYN | ACK, 0);
    play(p, client_path_ns, C, ACK, 0);
}

static inline void play_begin(struct flow_play *p)
{
    play_open(p);
    p->at_ns = 1700000000 * NS_PER_SEC;
}

static inline const struct flow_connection *play_end(struct flow_play *p)
{
    flow_finish(p->flow);
    flow_close(p->flow);
    p->flow = NULL;
    assert_true(p->ended_count > 0);
    return &p->ended[0];
}

static inline const struct flow_side *side_of(const struct flow_connection *connection, int from)
{
    return &connection->side[from == C ? connection->client : !connection->client];
}

#endif
