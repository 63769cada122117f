#include "result/result.h"

#include "base/cleanup.h"
#include <math.h>
#include <string.h>

static struct result_value *slot(struct arena *arena, struct result_map *map, const char *key,
                                 enum result_kind kind)
{
    static struct result_value scratch;
    struct result_value *value = (struct result_value *)result_get(map, key);

    if (!value) {
        struct result_value *values =
            arena_grow(arena, map->values, map->count, sizeof *map->values);
        if (!values)
            return &scratch;
        map->values = values;
        value = &values[map->count++];
    }
    *value = (struct result_value){.key = key, .kind = kind};
    return value;
}

void result_set_null(struct arena *arena, struct result_map *map, const char *key)
{
    slot(arena, map, key, RESULT_NULL);
}

void result_set_bool(struct arena *arena, struct result_map *map, const char *key, bool value)
{
    slot(arena, map, key, RESULT_BOOL)->flag = value;
}

void result_set_integer(struct arena *arena, struct result_map *map, const char *key, int64_t value)
{
    if (value == RESULT_UNKNOWN)
        result_set_null(arena, map, key);
    else
        slot(arena, map, key, RESULT_INTEGER)->integer = value;
}

void result_set_real(struct arena *arena, struct result_map *map, const char *key, double value)
{
    slot(arena, map, key, RESULT_REAL)->real = value;
}

void result_set_text(struct arena *arena, struct result_map *map, const char *key,
                     const char *value)
{
    if (value)
        slot(arena, map, key, RESULT_TEXT)->text = arena_copy(arena, value);
    else
        result_set_null(arena, map, key);
}

void result_set_range(struct arena *arena, struct result_map *map, const char *key, int64_t min,
                      int64_t max)
{
    struct result_value *value = slot(arena, map, key, RESULT_RANGE);
    value->range.min = min;
    value->range.max = max;
}

void result_set_texts(struct arena *arena, struct result_map *map, const char *key,
                      const char *const *items, size_t count)
{
    struct result_value *value = slot(arena, map, key, RESULT_TEXTS);
    const char **copy = arena_alloc(arena, count * sizeof *copy);

    for (size_t i = 0; copy && i < count; i++)
        copy[i] = arena_copy(arena, items[i]);
    value->texts.items = copy;
    value->texts.count = copy ? count : 0;
}

void result_copy(struct arena *arena, struct result_map *map, const struct result_value *value)
{
    *slot(arena, map, value->key, value->kind) = *value;
}

static bool same_texts(const struct result_value *a, const struct result_value *b)
{
    if (a->texts.count != b->texts.count)
        return false;
    for (size_t i = 0; i < a->texts.count; i++)
        if (strcmp(a->texts.items[i], b->texts.items[i]) != 0)
            return false;
    return true;
}

bool result_value_matches(const struct result_value *expected, const struct result_value *observed)
{
    if (expected->kind == RESULT_RANGE)
        return observed->kind == RESULT_INTEGER && observed->integer >= expected->range.min &&
               observed->integer <= expected->range.max;
    if (expected->kind != observed->kind)
        return false;
    switch (expected->kind) {
    case RESULT_NULL:
        return true;
    case RESULT_BOOL:
        return expected->flag == observed->flag;
    case RESULT_INTEGER:
        return expected->integer == observed->integer;
    case RESULT_REAL: /* exact: computed the same way, or it is a range */
        return !(expected->real < observed->real) && !(expected->real > observed->real);
    case RESULT_TEXT:
        return !strcmp(expected->text, observed->text);
    case RESULT_TEXTS:
        return same_texts(expected, observed);
    case RESULT_RANGE:
        break;
    }
    return false;
}

const struct result_value *result_get(const struct result_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (!strcmp(map->values[i].key, key))
            return &map->values[i];
    return NULL;
}

const char *result_side_name(enum result_side side)
{
    switch (side) {
    case RESULT_SIDE_NONE:
        return NULL;
    case RESULT_SIDE_CLIENT:
        return "client";
    case RESULT_SIDE_SERVER:
        return "server";
    case RESULT_SIDE_NETWORK:
        return "network";
    }
    return NULL;
}

const char *result_health_name(enum result_health health)
{
    switch (health) {
    case RESULT_HEALTH_OK:
        return "ok";
    case RESULT_HEALTH_NOTE:
        return "note";
    case RESULT_HEALTH_PROBLEM:
        return "problem";
    }
    return "?";
}

struct finding *finding_add(struct arena *arena, struct finding_list *list, enum finding_code code,
                            enum result_side side)
{
    static struct finding scratch;
    struct finding *items = arena_grow(arena, list->items, list->count, sizeof *items);
    struct finding *finding = &scratch;

    if (items) {
        list->items = items;
        finding = &items[list->count++];
    }
    *finding = (struct finding){.code = code,
                                .severity = finding_entry(code)->severity,
                                .side = side,
                                .remedy = finding_entry(code)->remedy,
                                .summary = finding_entry(code)->title,
                                .count = 1,
                                .cost_ns = RESULT_UNKNOWN};
    return finding;
}

static double weight(const struct finding *finding)
{
    return finding->cost_ns == RESULT_UNKNOWN ? 0
                                              : (double)finding->cost_ns * (double)finding->count;
}

enum finding_code finding_verdict(const struct finding_list *list)
{
    const struct finding *worst = NULL;

    for (size_t i = 0; i < list->count; i++) {
        const struct finding *finding = &list->items[i];
        if (finding->severity < FINDING_WARNING)
            continue;
        if (!worst || finding->severity > worst->severity ||
            (finding->severity == worst->severity && weight(finding) > weight(worst)))
            worst = finding;
    }
    return worst ? worst->code : FINDING_NONE;
}

bool finding_listed(const struct finding_list *list, enum finding_code code)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].code == code)
            return true;
    return false;
}

void result_check_add(struct arena *arena, struct result_check_list *list,
                      const struct result_check *check)
{
    struct result_check *items = arena_grow(arena, list->items, list->count, sizeof *items);

    if (!items)
        return;
    list->items = items;
    items[list->count++] = *check;
}

size_t result_checks_exceeded(const struct result_check_list *list)
{
    size_t exceeded = 0;

    for (size_t i = 0; i < list->count; i++)
        exceeded += !list->items[i].ok;
    return exceeded;
}

static const struct {
    const char *key, *label;
} parts[RESULT_PARTS] = {
    [RESULT_PART_OTHER] = {"other_ns", "our own calls and pauses"},
    [RESULT_PART_SEND_HOLD] = {"send_hold_ns", "held in our send queue"},
    [RESULT_PART_NETWORK] = {"network_ns", "network"},
    [RESULT_PART_PEER_ACK] = {"peer_ack_delay_ns", "peer's delayed ACK"},
    [RESULT_PART_SERVER] = {"server_ns", "server, before the answer"},
    [RESULT_PART_GAP] = {"response_gap_ns", "gaps inside the answer"},
    [RESULT_PART_WAKEUP] = {"wakeup_ns", "waking up our process"},
};

const char *result_part_key(enum result_part part)
{
    return parts[part].key;
}

const char *result_part_label(enum result_part part)
{
    return parts[part].label;
}

int64_t result_bucket_ns(size_t bucket)
{
    return (int64_t)llround(exp2((double)bucket / 4));
}

void result_histogram_add(struct result_histogram *histogram, int64_t ns)
{
    size_t bucket = ns < 1 ? 0 : (size_t)(log2((double)ns) * 4);

    bucket = bucket < RESULT_BUCKETS ? bucket : RESULT_BUCKETS - 1;
    /* The logarithm may be off by one at a bound, and the lowest bounds coincide. */
    while (bucket && ns < result_bucket_ns(bucket))
        bucket--;
    while (bucket + 1 < RESULT_BUCKETS && ns >= result_bucket_ns(bucket + 1))
        bucket++;
    histogram->counts[bucket]++;
}

static const struct result_bounds no_bounds = {RESULT_UNKNOWN, RESULT_UNKNOWN};
static const struct result_queue no_queue = {RESULT_UNKNOWN, RESULT_UNKNOWN, RESULT_UNKNOWN, 0, 0};

static void forget_listener(struct result_listener *listener)
{
    listener->port = listener->pid = listener->uid = RESULT_UNKNOWN;
    listener->watched_ns = listener->limit = RESULT_UNKNOWN;
    listener->wait_ns = listener->closed_ns = listener->gone = RESULT_UNKNOWN;
    listener->accept_queue = listener->half_open = no_queue;
    listener->drops = listener->overflows = listener->arrived = listener->accepted = no_bounds;
}

static const struct result_latency no_latency = {RESULT_UNKNOWN, RESULT_UNKNOWN, RESULT_UNKNOWN,
                                                 RESULT_UNKNOWN, RESULT_UNKNOWN};

/* What was never measured is unknown, not 0. */
static void forget(struct result *result)
{
    switch (result->type) {
    case RESULT_PROBE:
        result->probe.resolve_ns = RESULT_UNKNOWN;
        result->probe.connect_ns = RESULT_UNKNOWN;
        result->probe.rtt_ns = RESULT_UNKNOWN;
        result->probe.tls_ns = RESULT_UNKNOWN;
        result->probe.preamble_ns = RESULT_UNKNOWN;
        result->probe.syn_retransmits = RESULT_UNKNOWN;
        result->probe.slow_round_ns = RESULT_UNKNOWN;
        result->probe.latency = no_latency;
        result->probe.wire = no_latency;
        for (size_t i = 0; i < RESULT_PARTS; i++)
            result->probe.breakdown.part_ns[i] = result->probe.breakdown.min_ns[i] =
                result->probe.breakdown.max_ns[i] = RESULT_UNKNOWN;
        break;
    case RESULT_LAB:
        break;
    case RESULT_MACHINE:
        result->machine.effect_ns = RESULT_UNKNOWN;
        break;
    case RESULT_REACH:
        result->reach.resolve_ns = RESULT_UNKNOWN;
        result->reach.connect_ns = RESULT_UNKNOWN;
        result->reach.rtt_ns = RESULT_UNKNOWN;
        result->reach.syn_retransmits = RESULT_UNKNOWN;
        result->reach.syns_least = RESULT_UNKNOWN;
        result->reach.syns_most = RESULT_UNKNOWN;
        result->reach.syns_sent = RESULT_UNKNOWN;
        result->reach.gives_up_ns = RESULT_UNKNOWN;
        break;
    case RESULT_SCHEDULE:
        result->schedule.failed_ns = RESULT_UNKNOWN;
        result->schedule.failed_latest_ns = RESULT_UNKNOWN;
        break;
    case RESULT_SCENARIO:
        result->scenario.duration_ns = RESULT_UNKNOWN;
        break;
    case RESULT_LISTENER:
        forget_listener(&result->listener);
        break;
    }
}

const char *result_program_end_name(enum result_program_end end)
{
    switch (end) {
    case RESULT_PROGRAM_NOT_STARTED:
        return "not-started";
    case RESULT_PROGRAM_EXITED:
        return "exited";
    case RESULT_PROGRAM_SIGNALLED:
        return "signalled";
    case RESULT_PROGRAM_STOPPED:
        return "stopped";
    }
    return "?";
}

const char *result_verdict_name(enum result_verdict verdict)
{
    switch (verdict) {
    case RESULT_OK:
        return "ok";
    case RESULT_DIFFERS:
        return "differs";
    case RESULT_INCONCLUSIVE:
        return "inconclusive";
    case RESULT_UNSUPPORTED:
        return "unsupported";
    }
    return "?";
}

struct result *report_add(struct report *report, enum result_type type)
{
    struct result **results =
        arena_grow(&report->arena, report->results, report->result_count, sizeof(struct result *));
    struct result *result = arena_alloc(&report->arena, sizeof *result);

    if (!results || !result)
        return NULL;
    result->type = type;
    forget(result);
    report->results = results;
    results[report->result_count++] = result;
    return result;
}

void report_free(struct report *report)
{
    arena_free(&report->arena);
    *report = (struct report){0};
}
