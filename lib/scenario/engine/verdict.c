/* From what happened on the testbed to the result: the exchange, the calls, the comparison. */
#include "scenario/engine/host_stall.h"
#include "scenario/engine/lab_result.h"
#include "scenario/engine/syscall_recorder.h"
#include "scenario/engine/testbed_internal.h"

#include "base/cleanup.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 400

/* ---- What the wire saw ---- */

int64_t testbed_connection_to(const struct testbed *bed, uint16_t port)
{
    const struct result_connection_list *list = &bed->result->connections;

    for (size_t i = 0; i < list->count; i++) {
        const char *colon = strrchr(list->items[i].server, ':');
        if (colon && strtol(colon + 1, NULL, 10) == port)
            return list->items[i].number;
    }
    return 0;
}

static const struct result_connection *subject_of(const struct testbed *bed)
{
    const struct result_connection_list *list = &bed->result->connections;
    int64_t number = bed->subject_port     ? testbed_connection_to(bed, bed->subject_port)
                     : bed->subject_number ? bed->subject_number
                                           : 1;

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

static void list_exchange(struct testbed *bed)
{
    static const char *const nothing[] = {NULL};
    struct result_scenario *result = bed->result;
    struct exchange exchange;

    exchange_begin(&exchange, bed->arena, bed->started_real_ns);
    for (size_t i = 0; i < bed->event_count; i++)
        exchange_feed(&exchange, &bed->events[i]);
    exchange_list(&exchange, &result->connections);
    if (bed->crowd) {
        keep_one(&result->connections, bed->crowd);
        bed->subject_number =
            result->connections.count ? (uint32_t)result->connections.items[0].number : 0;
    }
    bed->subject = subject_of(bed);
    if (result->captured)
        result->flags.items = nothing;
    if (!bed->subject)
        return;
    result->subject = bed->subject->number;
    if (bed->subject->flags.count)
        result->flags = bed->subject->flags;
    result->client_states = bed->subject->client_states;
    result->server_states = bed->subject->server_states;
}

static void list_calls(struct testbed *bed)
{
    struct result_scenario *result = bed->result;

    for (size_t i = 0; i < bed->event_count && result->call_count < CALLS_MAX; i++) {
        const struct trace_event *event = &bed->events[i];
        const struct trace_call *call = &event->call;
        if (event->kind != TRACE_CALL)
            continue;
        struct result_call *calls =
            arena_grow(bed->arena, result->calls, result->call_count, sizeof *calls);
        if (!calls)
            return;
        result->calls = calls;
        calls[result->call_count++] = (struct result_call){
            .side = event->side == TRACE_SERVER ? "server" : "client",
            .pid = call->pid,
            .fd = call->fd,
            .verb = arena_printf(bed->arena, "%.*s", TRACE_WORD_MAX, call->verb),
            .entered_ns = call->entered_mono_ns - bed->started_mono_ns,
            .duration_ns =
                call->pending ? RESULT_UNKNOWN : call->returned_mono_ns - call->entered_mono_ns,
            .result = call->pending ? RESULT_UNKNOWN : call->result,
            .number = call->pending ? 0 : call->error};
    }
}

static int read_events(struct testbed *bed)
{
    struct trace_event *events = NULL;
    size_t count = 0;
    int rc = trace_read(bed->trace, &events, &count, &bed->error);

    if (rc)
        return rc;
    syscall_recorder_number(events, count);
    struct trace_event *kept = arena_alloc(bed->arena, (count + 1) * sizeof *kept);
    if (kept && count)
        memcpy(kept, events, count * sizeof *kept);
    free(events);
    bed->events = kept;
    bed->event_count = kept ? count : 0;
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

static const char *value_text(struct arena *arena, const struct result_value *value)
{
    const char *text = "";

    switch (value ? value->kind : RESULT_NULL) {
    case RESULT_NULL:
        return "nothing";
    case RESULT_BOOL:
        return value->flag ? "yes" : "no";
    case RESULT_INTEGER:
        return arena_printf(arena, "%" PRId64, value->integer);
    case RESULT_REAL:
        return arena_printf(arena, "%g", value->real);
    case RESULT_TEXT:
        return value->text;
    case RESULT_RANGE:
        return arena_printf(arena, "%" PRId64 " to %" PRId64, value->range.min, value->range.max);
    case RESULT_TEXTS:
        for (size_t i = 0; i < value->texts.count; i++)
            text = arena_printf(arena, "%s%s%s", text, i ? "; " : "", value->texts.items[i]);
        return value->texts.count ? text : "nothing";
    }
    return text;
}

static void set_verdict(struct testbed *bed, enum result_verdict verdict, const char *why)
{
    struct result_scenario *result = bed->result;

    result->verdict = verdict;
    result->why = why;
    result->error = (struct result_error){
        .code = verdict == RESULT_DIFFERS ? FINDING_SCENARIO_DIFFERS : FINDING_INCONCLUSIVE,
        .message = why};
}

/* A wire later than this decides nothing where something differs. One that is late both ways must
 * not have made a side send again before its timeout, unless that is longer than usual. */
static int64_t most_lateness_ns(const struct testbed *bed)
{
    const struct lab_host_config *host = bed->config.host;

    if (bed->scenario->lateness_ns)
        return bed->scenario->lateness_ns;
    return host[LAB_CLIENT].rto_min_ms && host[LAB_SERVER].rto_min_ms ? SCENARIO_LATENESS_NS
                                                                      : SCENARIO_LATENESS_NS / 2;
}

/* A call that failed since this machine had no memory or descriptor for it, which nobody expected,
 * and which would explain any difference. */
static const char *refused_call(const struct testbed *bed)
{
    static const int shortages[] = {ENOMEM, EMFILE, ENFILE, ENOBUFS};
    const struct result_scenario *result = bed->result;

    for (size_t i = 0; i < result->call_count; i++) {
        const struct result_call *call = &result->calls[i];
        bool refused = call->number && !strcmp(call->verb, "socket");
        for (size_t k = 0; k < ARRAY_SIZE(shortages); k++)
            refused |= call->number == shortages[k];
        if (refused && !bed->scenario->exhausts)
            return arena_printf(bed->arena, "%s: %s", call->verb, strerror(call->number));
    }
    return NULL;
}

static void judge_difference(struct testbed *bed, const struct result_value *expected,
                             const struct lab_stats *stats)
{
    struct arena *arena = bed->arena;
    struct result_scenario *result = bed->result;
    int64_t most_ns = most_lateness_ns(bed);
    const char *wanted = value_text(arena, expected);
    const char *got = value_text(arena, result_get(&result->observed, expected->key));

    if (stats->late_max_ns > most_ns)
        set_verdict(bed, RESULT_INCONCLUSIVE,
                    arena_printf(arena,
                                 "The wire was %" PRId64 " ms late, so that %s = %s instead of %s "
                                 "says nothing.",
                                 stats->late_max_ns / NS_PER_MS, expected->key, got, wanted));
    else if (bed->stalled_ns > HOST_STALL_MOST_NS)
        set_verdict(bed, RESULT_INCONCLUSIVE,
                    arena_printf(arena,
                                 "The machine let a process wait for %" PRId64 " ms, so that %s = "
                                 "%s instead of %s says nothing.",
                                 bed->stalled_ns / NS_PER_MS, expected->key, got, wanted));
    else if (refused_call(bed))
        set_verdict(bed, RESULT_INCONCLUSIVE,
                    arena_printf(arena,
                                 "This machine refused a call (%s), so that %s = %s instead of %s "
                                 "says nothing.",
                                 refused_call(bed), expected->key, got, wanted));
    else if (bed->blame != FINDING_NONE)
        set_verdict(bed, RESULT_DIFFERS, bed->blame_text);
    else
        set_verdict(
            bed, RESULT_DIFFERS,
            arena_printf(arena, "%s: expected %s, observed %s.", expected->key, wanted, got));
    if (result->verdict != RESULT_DIFFERS || bed->blame == FINDING_NONE)
        return;
    result->error.code = bed->blame;
    result->side = bed->side;
    result->remedy = bed->remedy;
}

static void judge(struct testbed *bed, const struct lab_stats *stats)
{
    struct result_scenario *result = bed->result;
    const struct result_value *different = first_difference(result);

    if (bed->unsupported) {
        result->verdict = RESULT_UNSUPPORTED;
        result->why = arena_copy(bed->arena, bed->error.text);
    } else if (testbed_failed(bed))
        set_verdict(bed, RESULT_INCONCLUSIVE,
                    arena_printf(bed->arena, "The run was not completed: %s.", bed->error.text));
    else if (stats->lost || stats->trace_lost)
        set_verdict(bed, RESULT_INCONCLUSIVE,
                    arena_printf(bed->arena, "The wire itself lost %" PRIu64 " packets.",
                                 stats->lost + stats->trace_lost));
    else if (!result->expected.count)
        set_verdict(bed, RESULT_INCONCLUSIVE, "Nothing was expected.");
    else if (different)
        judge_difference(bed, different, stats);
    else if (bed->scenario->differs) {
        result->differs_from_book = true;
        result->why = result->why ? result->why : bed->scenario->differs;
    }
}

void testbed_read_trace(struct testbed *bed)
{
    if (read_events(bed))
        testbed_fail(bed, "the trace cannot be read");
    list_exchange(bed);
    list_calls(bed);
}

void testbed_conclude(struct testbed *bed)
{
    struct result_scenario *result = bed->result;
    const struct lab_stats *stats = &bed->stats;

    testbed_observe_trace(bed);
    result->wire = lab_result_wire(stats);
    judge(bed, stats);
    result->events = bed->events;
    result->event_count = bed->event_count;
    result->events_lost = stats->trace_lost;
}
