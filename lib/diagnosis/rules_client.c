/* What happens to our own writes: held by Nagle's algorithm, by the peer's window, or otherwise. */
#include "diagnosis/inquiry.h"

/* The kernel's stamps: a small write left our queue only when an earlier one was acknowledged. That
 * is Nagle's algorithm or a full congestion window; if the acknowledgement had been delayed, it is
 * hardly the window. */
struct hold {
    size_t rounds, by_ack, by_delayed_ack;
};

static struct hold hold_of(const struct inquiry *inquiry)
{
    struct arm_rounds rounds = inquiry->evidence->arms[ARM_BASELINE];
    int64_t stall = inquiry->evidence->stall_ns;
    struct hold hold = {0};

    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        if (inquiry_measure(round, MEASURE_HOLD) < stall)
            continue;
        bool by_ack = round->hold_small && round->hold_after_ack_ns != RESULT_UNKNOWN &&
                      round->hold_after_ack_ns > -SERVICE_RELEASE_NS &&
                      round->hold_after_ack_ns < SERVICE_RELEASE_NS;
        hold.rounds++;
        hold.by_ack += by_ack;
        hold.by_delayed_ack += by_ack && round->held_ack_delay_ns >= stall;
    }
    return hold;
}

static bool most_of(size_t part, size_t whole)
{
    return whole && 5 * part >= 3 * whole;
}

static void blame_client_nagle(const struct inquiry *inquiry, const struct delay *delay,
                               const struct change *change, const struct hold *hold)
{
    int64_t cost = change->effect == EFFECT_CLEAR ? change->removed_ns : delay->typical_ns;
    struct finding *finding =
        inquiry_add(inquiry, FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_CLIENT, delay->affected, cost);

    finding->summary = arena_printf(
        inquiry->arena,
        "In %zu of %zu rounds a small write of the client stayed in its send queue for %s, until "
        "the server's %s of the write before it came in%s.",
        delay->affected, inquiry_rounds(inquiry), inquiry_span(inquiry, delay->typical_ns),
        most_of(hold->by_delayed_ack, hold->rounds) ? "delayed ACK" : "acknowledgement",
        change->effect == EFFECT_CLEAR ? "; with TCP_NODELAY it did not" : "");
    finding->remedy = "In the client: send the whole request with one write (writev, a buffer that "
                      "is flushed once), or set TCP_NODELAY on its socket.";
    inquiry_prove(inquiry, finding, "hold_ns", delay->typical_ns);
    result_set_real(inquiry->arena, &finding->evidence, "released_by_ack_share",
                    (double)hold->by_ack / (double)hold->rounds);
    inquiry_prove_change(inquiry, finding, ARM_NODELAY, change);
}

/* A receive window that was closed or small while we had data. */
bool inquire_window(const struct inquiry *inquiry, struct arm_rounds rounds)
{
    struct delay delay = inquiry_delay(inquiry, rounds, MEASURE_RWND);
    size_t closed = 0;

    if (!delay.present)
        return false;
    for (size_t i = 0; i < rounds.count; i++)
        closed += rounds.rounds[i].zero_window;
    bool zero = 2 * closed >= delay.affected;
    struct finding *finding =
        inquiry_add(inquiry, zero ? FINDING_ZERO_WINDOW : FINDING_RECEIVE_WINDOW_LIMITED,
                    RESULT_SIDE_SERVER, delay.affected, delay.typical_ns);
    finding->summary =
        arena_printf(inquiry->arena,
                     "In %zu of %zu rounds the request waited %s because the server's receive "
                     "window was %s: it does not read fast enough.",
                     delay.affected, rounds.count, inquiry_span(inquiry, delay.typical_ns),
                     zero ? "closed" : "full");
    inquiry_prove(inquiry, finding, "rwnd_limited_ns", delay.typical_ns);
    inquiry_prove(inquiry, finding, "zero_window_rounds", (int64_t)closed);
    return true;
}

void inquire_hold(const struct inquiry *inquiry)
{
    const struct probe_evidence *evidence = inquiry->evidence;
    struct arm_rounds baseline = evidence->arms[ARM_BASELINE];
    struct delay delay = inquiry_delay(inquiry, baseline, MEASURE_HOLD);

    if (inquire_window(inquiry, baseline) || !delay.present)
        return;
    struct change nodelay = inquiry_change(inquiry, ARM_NODELAY, MEASURE_HOLD, &delay);
    struct hold hold = hold_of(inquiry);
    bool stamps = evidence->stamps_queued && evidence->stamps_acked;
    bool mechanism = stamps && most_of(hold.by_ack, hold.rounds);
    bool delayed = stamps && most_of(hold.by_delayed_ack, hold.rounds);

    if ((mechanism && nodelay.effect == EFFECT_CLEAR) ||
        (delayed && nodelay.effect == EFFECT_UNKNOWN)) {
        blame_client_nagle(inquiry, &delay, &nodelay, &hold);
    } else if (mechanism && nodelay.effect == EFFECT_UNKNOWN) {
        inquiry_inconclusive(
            inquiry,
            "Small writes were held for %s until an acknowledgement came: by Nagle's algorithm, or "
            "by a full congestion window. The arms baseline and nodelay would tell.",
            inquiry_span(inquiry, delay.typical_ns));
    } else if (!mechanism && nodelay.effect == EFFECT_CLEAR) {
        inquiry_inconclusive(
            inquiry,
            "Writes were held for %s and TCP_NODELAY removes that, but the kernel's stamps "
            "do not show an acknowledgement that released them.",
            inquiry_span(inquiry, delay.typical_ns));
    } else if (mechanism) {
        inquiry_inconclusive(inquiry,
                             "Small writes were held for %s until an acknowledgement came, yet "
                             "TCP_NODELAY does not change that.",
                             inquiry_span(inquiry, delay.typical_ns));
    } else {
        struct finding *finding =
            inquiry_add(inquiry, FINDING_CONGESTION_WINDOW_LIMITED, RESULT_SIDE_NETWORK,
                        delay.affected, delay.typical_ns);
        finding->summary = arena_printf(
            inquiry->arena,
            "In %zu of %zu rounds part of the request waited %s in the send queue for the "
            "congestion window or the device, not for Nagle's algorithm.",
            delay.affected, baseline.count, inquiry_span(inquiry, delay.typical_ns));
    }
}
