#include "diagnosis/rules.h"

#include "diagnosis/verdict_thresholds.h"
#include <stdarg.h>

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
