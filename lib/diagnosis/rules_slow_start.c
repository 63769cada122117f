/* A congestion window begins with about ten segments and doubles with every round trip: what is
 * larger takes several, on a new connection, and again on one that has rested. How many they are at
 * the most follows from the size, and so do the places where nothing comes for a round trip; more
 * waits than that, and waits of another length, are something else. */
#include "diagnosis/rules.h"

#include "base/cleanup.h"
#include "base/shortage.h"
#include "base/stats.h"
#include "diagnosis/verdict_thresholds.h"
#include <stdlib.h>

static bool rested(const struct rules *rules, const struct round *round)
{
    int64_t idle_ns = round->wait_ns - rules->path->base_ns + rules->evidence->interval_ns;
    return idle_ns >= RTO_MIN_NS;
}

enum window_age rules_window_age(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    struct arm_rounds rounds = evidence->arms[ARM_BASELINE];
    size_t idle = 0, lossy = 0;

    if (evidence->new_connections || !evidence->persists)
        return WINDOW_NEW;
    if (evidence->interval_ns == RESULT_UNKNOWN)
        return WINDOW_UNKNOWN;
    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        lossy += round->retransmits > round->spurious || round->out_of_order;
        idle += rested(rules, round);
    }
    if (is_share((int64_t)idle, (int64_t)rounds.count, DELAY_COMMON_SHARE))
        return WINDOW_RESTED;
    return lossy >= AFFECTED_MIN ? WINDOW_UNKNOWN : WINDOW_IN_USE;
}

/* Round trips that slow start needs at the most for so many bytes. */
static int64_t flights(uint64_t bytes, uint32_t mss)
{
    uint64_t left = mss ? (bytes + mss - 1) / mss : 0, window = INITIAL_WINDOW + 1;
    int64_t count = 0;

    for (; left; window *= 2, count++)
        left -= left < window ? left : window;
    return count;
}

static const char *remedy_of(const struct rules *rules, enum window_age age, const char *what,
                             const char *whose)
{
    if (age == WINDOW_RESTED)
        return arena_printf(
            rules->arena,
            "%s: net.ipv4.tcp_slow_start_after_idle=0 keeps the window while a connection rests "
            "(for IPv6, too). Or use the connection more often, make the %s smaller (compression), "
            "or shorten the way.",
            whose, what);
    return arena_printf(
        rules->arena,
        "Reuse connections: the window of one in use is open. Or begin with a larger window (%s: "
        "ip route change ... initcwnd N), make the %s smaller (compression), or shorten the way.",
        whose, what);
}

static void tell_slow_start(const struct rules *rules, const char *what, const char *whose,
                            enum window_age age, int64_t *trips, size_t affected, uint64_t bytes)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    int64_t typical = stats_median(trips, affected);
    struct finding *finding = rules_add(rules, FINDING_SLOW_START_ROUND_TRIPS, RESULT_SIDE_NETWORK,
                                        affected, (typical - 1) * rules->path->base_ns);

    finding->summary = arena_printf(
        rules->arena,
        "%s the %s, of %llu bytes, took %lld round trips of %s: %s the sender's congestion window "
        "is small, and opens as ACKs come in.",
        rules_share(rules, affected, rounds.count), what, (unsigned long long)bytes,
        (long long)typical, arena_duration(rules->arena, rules->path->base_ns),
        age == WINDOW_RESTED ? "on a connection that has rested" : "on a new connection");
    finding->remedy = remedy_of(rules, age, what, whose);
    rules_prove(rules, finding, "round_trips", typical);
    rules_prove(rules, finding, "bytes", (int64_t)bytes);
    rules_prove(rules, finding, "rtt_ns", rules->path->base_ns);
}

/* Whether the answers of connections in use pause as often: then the window's age is not why. */
static bool pauses_when_reused(const struct rules *rules, int64_t pauses)
{
    struct arm_rounds rounds = rules->reused;
    size_t as_many = 0;

    for (size_t i = 0; i < rounds.count; i++)
        as_many += rounds.rounds[i].window_pauses >= pauses && !rested(rules, &rounds.rounds[i]);
    return 2 * as_many > rounds.count;
}

enum slow_start rules_slow_start_answer(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    uint32_t mss = rules->evidence->peer_mss_bytes;
    enum window_age age = rules_window_age(rules);
    cleanup(mem) int64_t *trips = shortage_calloc(rounds.count + 1, sizeof *trips);
    size_t affected = 0;
    uint64_t bytes = 0;

    if (!trips || (age != WINDOW_NEW && age != WINDOW_RESTED))
        return SLOW_START_NOT_SEEN;
    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        if (!round->window_pauses || round->window_pauses != round->pauses || round->retransmits ||
            round->out_of_order || round->gap_ns < rules->evidence->stall_ns ||
            round->window_pauses >= flights(round->received_bytes, mss))
            continue;
        trips[affected++] = round->window_pauses + 1;
        bytes = round->received_bytes;
    }
    if (affected < AFFECTED_MIN ||
        !is_share((int64_t)affected, (int64_t)rounds.count, DELAY_COMMON_SHARE))
        return SLOW_START_NOT_SEEN;
    if (pauses_when_reused(rules, stats_median(trips, affected) - 1))
        return SLOW_START_DOUBTFUL;
    tell_slow_start(rules, "answer", "at the server", age, trips, affected, bytes);
    return SLOW_START_TOLD;
}

/* The round trips that the request's last byte was held, if they are as many as slow start makes;
 * else 0: the device, or a link, held it. */
static int64_t held_trips(const struct rules *rules, const struct round *round)
{
    int64_t trips = flights(round->sent_bytes, rules->evidence->mss_bytes) - 1;
    int64_t off_ns = round->hold_ns - trips * rules->path->base_ns;

    return off_ns >= -RELEASE_NS && off_ns <= RELEASE_NS ? trips : 0;
}

bool rules_slow_start_request(const struct rules *rules)
{
    struct arm_rounds rounds = rules->evidence->arms[ARM_BASELINE];
    enum window_age age = rules_window_age(rules);
    cleanup(mem) int64_t *trips = shortage_calloc(rounds.count + 1, sizeof *trips);
    size_t affected = 0;
    uint64_t bytes = 0;

    if (!trips || (age != WINDOW_NEW && age != WINDOW_RESTED) ||
        rules->path->base_ns < 4 * RELEASE_NS)
        return false;
    for (size_t i = 0; i < rounds.count; i++) {
        const struct round *round = &rounds.rounds[i];
        int64_t held = held_trips(rules, round);
        if (held <= 0 || round->retransmits)
            continue;
        trips[affected++] = held + 1;
        bytes = round->sent_bytes;
    }
    if (affected < AFFECTED_MIN ||
        !is_share((int64_t)affected, (int64_t)rounds.count, DELAY_COMMON_SHARE))
        return false;
    tell_slow_start(rules, "request", "at this host", age, trips, affected, bytes);
    return true;
}
