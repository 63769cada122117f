/* From what happened on the stage to the result: the exchange, the calls, the comparison. */
#include "base/cleanup.h"
#include "scenario/recorder.h"
#include "scenario/stage_internal.h"
#include "scenario/stall.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 400

/* ---- What the wire saw ---- */

static const struct result_connection *subject_of(const struct stage *stage)
{
    const struct result_connection_list *list = &stage->result->connections;
    int64_t number = stage->subject_number ? stage->subject_number : 1;

    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].number == number)
            return &list->items[i];
    return NULL;
}

/* Of a crowd the first one whose SYN was sent again, or the first, alone. */
static void keep_one(struct result_connection_list *list, size_t crowd)
{
    size_t chosen = 0;

    for (size_t i = 0; i < list->count && i < crowd; i++) {
        const struct result_texts *flags = &list->items[i].flags;
        if (flags->count > 1 && !strncmp(flags->items[1], "C>S SYN", 7) &&
            !strchr(flags->items[1], ',')) {
            chosen = i;
            break;
        }
    }
    if (list->count)
        list->items[0] = list->items[chosen];
    list->count = list->count > 0;
}

static void list_exchange(struct stage *stage)
{
    static const char *const nothing[] = {NULL};
    struct result_scenario *result = stage->result;
    struct exchange exchange;

    exchange_begin(&exchange, stage->arena, stage->started_real_ns);
    for (size_t i = 0; i < stage->event_count; i++)
        exchange_feed(&exchange, &stage->events[i]);
    exchange_list(&exchange, &result->connections);
    if (stage->crowd) {
        keep_one(&result->connections, stage->crowd);
        stage->subject_number =
            result->connections.count ? (uint32_t)result->connections.items[0].number : 0;
    }
    stage->subject = subject_of(stage);
    result->captured = stage->config.trace != NULL;
    if (result->captured)
        result->flags.items = nothing;
    if (!stage->subject)
        return;
    result->subject = stage->subject->number;
    if (stage->subject->flags.count)
        result->flags = stage->subject->flags;
    result->client_states = stage->subject->client_states;
    result->server_states = stage->subject->server_states;
}

static void list_calls(struct stage *stage)
{
    struct result_scenario *result = stage->result;

    for (size_t i = 0; i < stage->event_count && result->call_count < CALLS_MAX; i++) {
        const struct trace_event *event = &stage->events[i];
        const struct trace_call *call = &event->call;
        if (event->kind != TRACE_CALL)
            continue;
        struct result_call *calls =
            arena_grow(stage->arena, result->calls, result->call_count, sizeof *calls);
        if (!calls)
            return;
        result->calls = calls;
        calls[result->call_count++] = (struct result_call){
            .side = event->side == TRACE_SERVER ? "server" : "client",
            .pid = call->pid,
            .fd = call->fd,
            .verb = arena_printf(stage->arena, "%.*s", TRACE_WORD_MAX, call->verb),
            .entered_ns = call->entered_mono_ns - stage->started_mono_ns,
            .duration_ns =
                call->pending ? RESULT_UNKNOWN : call->returned_mono_ns - call->entered_mono_ns,
            .result = call->pending ? RESULT_UNKNOWN : call->result,
            .number = call->pending ? 0 : call->error};
    }
}

static int read_events(struct stage *stage)
{
    struct trace_event *events = NULL;
    size_t count = 0;
    int rc = trace_read(stage->trace, &events, &count, &stage->error);

    if (rc)
        return rc;
    recorder_number(events, count);
    struct trace_event *kept = arena_alloc(stage->arena, (count + 1) * sizeof *kept);
    if (kept && count)
        memcpy(kept, events, count * sizeof *kept);
    free(events);
    stage->events = kept;
    stage->event_count = kept ? count : 0;
    return 0;
}

/* ---- Verdict ---- */

static const struct result_value *first_difference(const struct result_scenario *result)
{
    for (size_t i = 0; i < result->expected.count; i++) {
        const struct result_value *expected = &result->expected.values[i];
        const struct result_value *observed = result_get(&result->observed, expected->key);
        if (!observed || !result_value_matches(expected, observed))
            return expected;
    }
    return NULL;
}

static void value_text(struct arena *arena, const char **out, const struct result_value *value)
{
    if (!value) {
        *out = "nothing";
        return;
    }
    switch (value->kind) {
    case RESULT_NULL:
        *out = "nothing";
        return;
    case RESULT_BOOL:
        *out = value->flag ? "yes" : "no";
        return;
    case RESULT_INTEGER:
        *out = arena_printf(arena, "%" PRId64, value->integer);
        return;
    case RESULT_REAL:
        *out = arena_printf(arena, "%g", value->real);
        return;
    case RESULT_TEXT:
        *out = value->text;
        return;
    case RESULT_RANGE:
        *out = arena_printf(arena, "%" PRId64 " to %" PRId64, value->range.min, value->range.max);
        return;
    case RESULT_TEXTS:
        *out = value->texts.count ? "" : "nothing";
        for (size_t i = 0; i < value->texts.count; i++)
            *out = arena_printf(arena, "%s%s%s", *out, i ? "; " : "", value->texts.items[i]);
        return;
    }
}

static void set_verdict(struct stage *stage, enum result_verdict verdict, const char *why)
{
    struct result_scenario *result = stage->result;

    result->verdict = verdict;
    result->why = why;
    result->error = (struct result_error){
        .code = verdict == RESULT_DIFFERS ? FINDING_SCENARIO_DIFFERS : FINDING_INCONCLUSIVE,
        .message = why};
}

static void judge_difference(struct stage *stage, const struct result_value *expected,
                             const struct lab_stats *stats)
{
    struct arena *arena = stage->arena;
    struct result_scenario *result = stage->result;
    int64_t most_ns =
        stage->scenario->lateness_ns ? stage->scenario->lateness_ns : SCENARIO_LATENESS_NS;
    const char *wanted, *got;

    value_text(arena, &wanted, expected);
    value_text(arena, &got, result_get(&stage->result->observed, expected->key));
    if (stats->late_max_ns > most_ns)
        set_verdict(stage, RESULT_INCONCLUSIVE,
                    arena_printf(arena,
                                 "The wire was %" PRId64 " ms late, so that %s = %s instead of %s "
                                 "says nothing.",
                                 stats->late_max_ns / NS_PER_MS, expected->key, got, wanted));
    else if (stage->stalled_ns > STALL_MOST_NS)
        set_verdict(stage, RESULT_INCONCLUSIVE,
                    arena_printf(arena,
                                 "The machine let a process wait for %" PRId64 " ms, so that %s = "
                                 "%s instead of %s says nothing.",
                                 stage->stalled_ns / NS_PER_MS, expected->key, got, wanted));
    else if (stage->blame != FINDING_NONE)
        set_verdict(stage, RESULT_DIFFERS, stage->blame_text);
    else
        set_verdict(
            stage, RESULT_DIFFERS,
            arena_printf(arena, "%s: expected %s, observed %s.", expected->key, wanted, got));
    if (result->verdict != RESULT_DIFFERS || stage->blame == FINDING_NONE)
        return;
    result->error.code = stage->blame;
    result->side = stage->side;
    result->remedy = stage->remedy;
}

static void judge(struct stage *stage, const struct lab_stats *stats)
{
    struct result_scenario *result = stage->result;
    const struct result_value *different = first_difference(result);

    if (stage_failed(stage))
        set_verdict(
            stage, RESULT_INCONCLUSIVE,
            arena_printf(stage->arena, "The run was not completed: %s.", stage->error.text));
    else if (stats->lost || stats->trace_lost)
        set_verdict(stage, RESULT_INCONCLUSIVE,
                    arena_printf(stage->arena, "The wire itself lost %" PRIu64 " packets.",
                                 stats->lost + stats->trace_lost));
    else if (!result->expected.count)
        set_verdict(stage, RESULT_INCONCLUSIVE, "Nothing was expected.");
    else if (different)
        judge_difference(stage, different, stats);
    else if (stage->scenario->differs) {
        result->differs_from_book = true;
        result->why = result->why ? result->why : stage->scenario->differs;
    }
}

void stage_conclude(struct stage *stage, const struct lab_stats *stats)
{
    struct result_scenario *result = stage->result;

    if (read_events(stage))
        stage_fail(stage, "the trace cannot be read");
    list_exchange(stage);
    list_calls(stage);
    if (!stage_failed(stage) && stage->scenario->check)
        stage->scenario->check(stage);
    result->wire = (struct result_wire){.seen = (int64_t)stats->seen,
                                        .delivered = (int64_t)stats->delivered,
                                        .dropped = (int64_t)stats->dropped,
                                        .answered = (int64_t)stats->answered,
                                        .lost = (int64_t)stats->lost,
                                        .late_max_ns = stats->late_max_ns};
    judge(stage, stats);
    result->events = stage->events;
    result->event_count = stage->event_count;
    result->events_lost = stats->trace_lost;
}
