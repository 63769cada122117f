#include "diagnosis/rules.h"
#include "base/shortage.h"

#include "base/cleanup.h"
#include "diagnosis/verdict_thresholds.h"
#include <stdarg.h>
#include <stdlib.h>

const char *rules_share(const struct rules *rules, size_t affected, size_t of)
{
    return arena_printf(rules->arena, "In %zu of %zu rounds", affected, of);
}

void rules_want(const struct rules *rules, enum probe_arm arm)
{
    if (rules->evidence->arms[arm].count < ROUNDS_ENOUGH)
        *rules->wanted |= 1u << arm;
}

struct finding *rules_add(const struct rules *rules, enum finding_code code, enum result_side side,
                          size_t count, int64_t cost_ns)
{
    struct finding *finding = finding_add(rules->arena, rules->findings, code, side);

    finding->target = rules->evidence->target;
    finding->connection = rules->evidence->connection;
    finding->count = (int64_t)count;
    finding->cost_ns = cost_ns;
    return finding;
}

void rules_prove(const struct rules *rules, struct finding *finding, const char *key, int64_t value)
{
    result_set_integer(rules->arena, &finding->evidence, key, value);
}

void rules_prove_change(const struct rules *rules, struct finding *finding, enum probe_arm arm,
                        const struct change *change)
{
    if (change->effect == EFFECT_UNKNOWN)
        return;
    result_set_text(rules->arena, &finding->evidence, "arm", probe_arm_name(arm));
    rules_prove(rules, finding, "arm_removes_ns", change->removed_ns);
    rules_prove(rules, finding, "arm_leaves_ns", change->remaining_ns);
    result_set_real(rules->arena, &finding->evidence, "p_value", change->p_value);
}

void rules_inconclusive(const struct rules *rules, const char *format, ...)
{
    va_list args;

    struct finding *finding =
        rules_add(rules, FINDING_INCONCLUSIVE, RESULT_SIDE_NONE, 1, RESULT_UNKNOWN);
    va_start(args, format);
    finding->summary = arena_vprintf(rules->arena, format, args);
    va_end(args);
}

bool rules_found(const struct rules *rules, enum finding_code code)
{
    return finding_listed(rules->findings, code);
}

struct lateness rules_lateness(const struct rules *rules, struct arm_rounds rounds,
                               int64_t (*took_ns)(const struct rules *, const struct round *))
{
    cleanup(mem) int64_t *took = shortage_calloc(rounds.count + 1, sizeof *took);

    if (!took)
        return (struct lateness){0};
    for (size_t i = 0; i < rounds.count; i++)
        took[i] = took_ns(rules, &rounds.rounds[i]);
    return path_model_lateness(rules->path, took, rounds.count, rules->evidence->stall_ns, 2,
                               DELAY_SHARE);
}

static size_t request_segments(const struct rules *rules, const struct round *round)
{
    uint32_t mss = rules->evidence->mss_bytes;
    return mss && round->sent_bytes > mss ? (size_t)((round->sent_bytes + mss - 1) / mss) : 1;
}

bool rules_unacknowledged(const struct rules *rules, const struct round *round)
{
    return rules->evidence->stamps_acked && round->ack_ns == RESULT_UNKNOWN &&
           round->ack_delay_ns == RESULT_UNKNOWN && request_segments(rules, round) == 1 &&
           round->wire_ns >= rules->path->high_ns + UNACKNOWLEDGED_NS;
}

int64_t rules_wait_ns(const struct rules *rules, const struct round *round)
{
    uint32_t mss = rules->evidence->peer_mss_bytes;
    int64_t base_ns = rules->path->base_ns;
    int64_t wait_ns = round->wire_ns != RESULT_UNKNOWN
                          ? round->wire_ns
                          : base_ns + round->part_ns[RESULT_PART_SERVER];

    if (round->retransmits || rules_unacknowledged(rules, round) ||
        round->rwnd_limited_ns >= rules->evidence->stall_ns)
        return base_ns;
    if (request_segments(rules, round) > 1)
        wait_ns = round->ack_ns != RESULT_UNKNOWN ? wait_ns - round->ack_ns + base_ns : base_ns;
    if (rules->segment_ns != RESULT_UNKNOWN && mss)
        wait_ns -= rules->segment_ns *
                   (int64_t)(round->first_bytes < mss ? round->first_bytes : mss) / (int64_t)mss;
    return wait_ns;
}
