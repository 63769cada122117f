/* Any bytes as a conversation: each sixteen are a packet of one of a few connections, with flags,
 * numbers, lengths and times that lie as they like.
 *
 * Beyond memory safety: every connection that begins ends once, its parts add up and none is
 * negative, and no more are live than there may be. */
#include "base/clock.h"
#include "flow/flow.h"
#include "fuzz.h"

#include <string.h>

#define LIVE_MAX 3

struct seen {
    uint64_t began, ended;
};

static void began(void *context, struct flow_connection *connection)
{
    (void)connection;
    ((struct seen *)context)->began++;
}

static void stalled(void *context, struct flow_connection *connection,
                    const struct flow_stall *stall)
{
    (void)context;
    (void)connection;
    FUZZ_PROMISE(stall->at_least_ns <= stall->wait_ns && stall->part < FLOW_PARTS);
}

static void ended(void *context, struct flow_connection *connection)
{
    int64_t sum_ns = 0;

    for (int i = 0; i < FLOW_PARTS; i++) {
        FUZZ_PROMISE(connection->parts[i] >= 0);
        sum_ns += connection->parts[i];
    }
    FUZZ_PROMISE(sum_ns == connection->last_ns - connection->first_ns);
    FUZZ_PROMISE(flow_end_name(flow_end_of(connection))[0] != '?');
    ((struct seen *)context)->ended++;
}

static void feed(struct flow *flow, const uint8_t *at, uint64_t number, int64_t *now_ns)
{
    struct segment segment = {
        .kind = at[0] & 0x40 ? PACKET_ICMP : PACKET_TCP,
        .family = at[0] & 0x20 ? 6 : 4,
        .protocol = 6,
        .flags = at[1],
        .source = {.address = {1}, .port = at[0] & 7},
        .destination = {.address = {2}, .port = 80},
        .seq = (uint32_t)(int32_t)(int8_t)at[2] * 300,
        .ack = (uint32_t)(int32_t)(int8_t)at[3] * 300,
        .payload_len = (uint32_t)at[4] * 100,
        .window = (uint16_t)(at[5] * 200),
        .ip_id = at[6],
        .options = {.has_mss = at[7] & 1,
                    .has_window_scale = at[7] & 2,
                    .has_timestamps = at[7] & 4,
                    .mss = (uint16_t)(at[8] * 20),
                    .window_scale = at[8],
                    .sack_count = at[7] >> 6,
                    .ts_value = at[9],
                    .ts_echo = at[10],
                    .sack = {{at[11] * 300u, at[12] * 300u}, {at[12] * 300u, at[11] * 300u}}},
        .icmp = {.is_error = true, .quote = {.family = 4, .protocol = 6, .has_ports = true}},
    };

    if (at[0] & 0x10) {
        struct packet_endpoint other = segment.source;
        segment.source = segment.destination;
        segment.destination = other;
    }
    segment.icmp.quote.source = segment.source;
    segment.icmp.quote.destination = segment.destination;
    *now_ns += (int8_t)at[13] * (INT64_C(1) << (at[14] & 31));
    struct flow_packet packet = {&segment,      at[15] == 255 ? CLOCK_NONE : *now_ns,
                                 number,        segment.payload_len,
                                 FLOW_OBSERVED, 0};
    FUZZ_PROMISE(!flow_feed(flow, &packet));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    struct flow_sink sink = {&seen, began, NULL, stalled, ended};
    struct flow_options options = {.max_connections = LIVE_MAX};
    struct flow *flow = NULL;
    int64_t now_ns = 0;

    FUZZ_PROMISE(!flow_open(&flow, &options, &sink, NULL));
    for (size_t at = 0; at + 16 <= size; at += 16)
        feed(flow, data + at, at / 16 + 1, &now_ns);
    FUZZ_PROMISE(flow_counts(flow)->live_most <= LIVE_MAX);
    flow_finish(flow);
    FUZZ_PROMISE(seen.began == seen.ended);
    flow_close(flow);
    return 0;
}
