#include "probe/store.h"

#include <math.h>
#include <stdlib.h>

struct store_round {
    float total, wire, hold, hold_after_ack, held_ack_delay, rwnd_limited, sndbuf_limited;
    float ack_delay, wait, gap, gap_ack_lag_min, gap_ack_lag_max;
    float part[RESULT_PARTS];
    uint32_t wait_after_bytes, sent_bytes, received_bytes;
    uint16_t retransmits, arrivals;
    bool hold_small : 1, zero_window : 1, gap_acked : 1, gap_watched : 1;
};

static float pack(int64_t ns)
{
    return ns == RESULT_UNKNOWN ? NAN : (float)ns;
}

static int64_t unpack(float ns)
{
    return isnan(ns) ? RESULT_UNKNOWN : (int64_t)llroundf(ns);
}

static uint32_t clip32(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static uint16_t clip16(uint32_t value)
{
    return value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
}

bool store_add(struct store *store, const struct round *round)
{
    if (store->count == store->alloc) {
        size_t alloc = store->alloc ? 2 * store->alloc : 10;
        struct store_round *rounds = realloc(store->rounds, alloc * sizeof *rounds);
        if (!rounds)
            return false;
        store->rounds = rounds;
        store->alloc = alloc;
    }
    struct store_round *kept = &store->rounds[store->count++];
    *kept = (struct store_round){.total = pack(round->total_ns),
                                 .wire = pack(round->wire_ns),
                                 .hold = pack(round->hold_ns),
                                 .hold_after_ack = pack(round->hold_after_ack_ns),
                                 .held_ack_delay = pack(round->held_ack_delay_ns),
                                 .rwnd_limited = pack(round->rwnd_limited_ns),
                                 .sndbuf_limited = pack(round->sndbuf_limited_ns),
                                 .ack_delay = pack(round->ack_delay_ns),
                                 .wait = pack(round->wait_ns),
                                 .gap = pack(round->gap_ns),
                                 .gap_ack_lag_min = pack(round->gap_ack_lag_min_ns),
                                 .gap_ack_lag_max = pack(round->gap_ack_lag_max_ns),
                                 .wait_after_bytes = clip32(round->wait_after_bytes),
                                 .sent_bytes = clip32(round->sent_bytes),
                                 .received_bytes = clip32(round->received_bytes),
                                 .retransmits = clip16(round->retransmits),
                                 .arrivals = clip16(round->arrivals),
                                 .hold_small = round->hold_small,
                                 .zero_window = round->zero_window,
                                 .gap_acked = round->gap_acked,
                                 .gap_watched = round->gap_watched};
    for (int part = 0; part < RESULT_PARTS; part++)
        kept->part[part] = pack(round->part_ns[part]);
    return true;
}

int64_t store_total_ns(const struct store *store, size_t index)
{
    return unpack(store->rounds[index].total);
}

static void expand(struct round *round, const struct store_round *kept)
{
    *round = (struct round){.total_ns = unpack(kept->total),
                            .wire_ns = unpack(kept->wire),
                            .hold_ns = unpack(kept->hold),
                            .hold_small = kept->hold_small,
                            .hold_after_ack_ns = unpack(kept->hold_after_ack),
                            .held_ack_delay_ns = unpack(kept->held_ack_delay),
                            .rwnd_limited_ns = unpack(kept->rwnd_limited),
                            .sndbuf_limited_ns = unpack(kept->sndbuf_limited),
                            .zero_window = kept->zero_window,
                            .ack_delay_ns = unpack(kept->ack_delay),
                            .wait_ns = unpack(kept->wait),
                            .wait_after_bytes = kept->wait_after_bytes,
                            .gap_ns = unpack(kept->gap),
                            .gap_acked = kept->gap_acked,
                            .gap_ack_lag_min_ns = unpack(kept->gap_ack_lag_min),
                            .gap_ack_lag_max_ns = unpack(kept->gap_ack_lag_max),
                            .gap_watched = kept->gap_watched,
                            .retransmits = kept->retransmits,
                            .arrivals = kept->arrivals,
                            .sent_bytes = kept->sent_bytes,
                            .received_bytes = kept->received_bytes};
    for (int part = 0; part < RESULT_PARTS; part++)
        round->part_ns[part] = unpack(kept->part[part]);
}

struct round *store_expand(const struct store *store)
{
    struct round *rounds = store->count ? malloc(store->count * sizeof *rounds) : NULL;

    for (size_t i = 0; rounds && i < store->count; i++)
        expand(&rounds[i], &store->rounds[i]);
    return rounds;
}

void store_free(struct store *store)
{
    free(store->rounds);
    *store = (struct store){0};
}
