/* Idle connections: those that --interval left idle, and those that were left so on purpose. */
#include "diagnosis/rules.h"

#include "diagnosis/idle_search.h"

static const char *describe_end(enum idle_end end)
{
    switch (end) {
    case IDLE_FIN:
        return "closed (FIN)";
    case IDLE_RST:
        return "reset (RST)";
    case IDLE_RST_ON_USE:
        return "gone: the next request was answered by a reset";
    case IDLE_SILENCE:
        return "gone without a word: the next request was not even acknowledged";
    case IDLE_KEPT:
        break;
    }
    return "gone";
}

/* By FIN the server closed, or a proxy that is one. A reset or silence may be anybody's. */
static struct finding *add(const struct rules *rules, enum idle_end end, size_t count)
{
    enum result_side side = end == IDLE_FIN ? RESULT_SIDE_SERVER : RESULT_SIDE_NONE;
    struct finding *finding = rules_add(rules, FINDING_IDLE_CLOSE, side, count, RESULT_UNKNOWN);

    if (end != IDLE_FIN)
        finding->severity = FINDING_WARNING;
    result_set_text(rules->arena, &finding->evidence, "end", idle_end_name(end));
    return finding;
}

static void judge_interval(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    enum idle_end end = (enum idle_end)evidence->idle_close;
    struct finding *finding = add(rules, end, evidence->idle_closes);

    finding->summary = arena_printf(
        rules->arena,
        "A connection that rested between two rounds (--interval) was %s after %s%s; %u of %u "
        "connections ended so.",
        describe_end(end), end == IDLE_RST_ON_USE ? "at most " : "",
        arena_duration(rules->arena, evidence->idle_close_ns), evidence->idle_closes,
        evidence->connections);
    rules_prove(rules, finding, "dropped_ns", evidence->idle_close_ns);
}

static const char *describe_keepalive(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;

    if (evidence->idle_keepalive_ns <= 0)
        return "";
    return arena_printf(rules->arena, " With keepalive every %s it was %s.",
                        arena_duration(rules->arena, evidence->idle_keepalive_ns),
                        evidence->idle_keepalive_end == 1 ? "kept"
                                                          : "dropped nevertheless, as by an "
                                                            "application that waits for data");
}

static void judge_search(const struct rules *rules)
{
    const struct probe_evidence *evidence = rules->evidence;
    enum idle_end end = (enum idle_end)evidence->idle_end;
    struct finding *finding = add(rules, end, 1);
    const char *kept = "";

    if (evidence->idle_varies)
        kept =
            arena_printf(rules->arena, "; another was kept for %s, so that there is no one limit",
                         arena_duration(rules->arena, evidence->idle_kept_ns));
    else if (evidence->idle_kept_ns && evidence->idle_kept_ns < evidence->idle_dropped_ns * 9 / 10)
        kept = arena_printf(rules->arena, ", and after %s it still answered",
                            arena_duration(rules->arena, evidence->idle_kept_ns));
    finding->summary =
        arena_printf(rules->arena, "After %s without traffic a connection was %s%s.%s",
                     arena_duration(rules->arena, evidence->idle_dropped_ns), describe_end(end),
                     kept, describe_keepalive(rules));
    rules_prove(rules, finding, "dropped_ns", evidence->idle_dropped_ns);
    rules_prove(rules, finding, "kept_ns", evidence->idle_kept_ns);
}

void rules_idle(const struct rules *rules)
{
    if (rules->evidence->idle_closes)
        judge_interval(rules);
    if (rules->evidence->idle_dropped_ns > 0) /* not even in an old recording, which lacks it */
        judge_search(rules);
}
