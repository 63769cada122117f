/* What was observed, and what had to be: how scenarios fill in their result. */
#include "scenario/engine/testbed_internal.h"

#include "base/cleanup.h"
#include "lab/flag_word.h"
#include <stdarg.h>

/* How much later than planned something may be noticed on a machine that has other things to do. */
#define LOAD_NS (600 * NS_PER_MS)

#define OBSERVED(bed) (bed)->arena, &(bed)->result->observed
#define EXPECTED(bed) (bed)->arena, &(bed)->result->expected

static void set(struct arena *arena, struct result_map *map, const struct result_value *fields)
{
    for (; fields->key; fields++)
        if (fields->kind == RESULT_TEXT)
            result_set_text(arena, map, fields->key, fields->text);
        else if (fields->kind == RESULT_BOOL)
            result_set_bool(arena, map, fields->key, fields->flag);
        else
            result_set_integer(arena, map, fields->key, fields->integer);
}

void testbed_observe_fields(struct testbed *bed, const struct result_value *fields)
{
    set(OBSERVED(bed), fields);
}

void testbed_summary_fields(struct testbed *bed, const struct result_value *fields)
{
    set(bed->arena, &bed->result->summary, fields);
}

void testbed_expect_integer(struct testbed *bed, const char *key, int64_t value)
{
    result_set_integer(EXPECTED(bed), key, value);
}

void testbed_expect_range(struct testbed *bed, const char *key, int64_t min, int64_t max)
{
    result_set_range(EXPECTED(bed), key, min, max);
}

void testbed_expect_time(struct testbed *bed, const char *key,
                         const struct kernel_timers_settings *settings, int64_t planned_ns)
{
    int64_t min_ns = planned_ns - 2 * settings->tick_ns;

    testbed_expect_range(bed, key, min_ns > 0 ? min_ns : 0,
                         kernel_timers_latest_ns(settings, planned_ns) + LOAD_NS);
}

void testbed_check_text(struct testbed *bed, const char *key, const char *expected,
                        const char *observed)
{
    result_set_text(EXPECTED(bed), key, expected);
    result_set_text(OBSERVED(bed), key, observed);
}

void testbed_check_integer(struct testbed *bed, const char *key, int64_t expected, int64_t observed)
{
    result_set_integer(EXPECTED(bed), key, expected);
    result_set_integer(OBSERVED(bed), key, observed);
}

void testbed_check_bool(struct testbed *bed, const char *key, bool expected, bool observed)
{
    result_set_bool(EXPECTED(bed), key, expected);
    result_set_bool(OBSERVED(bed), key, observed);
}

void testbed_check_range(struct testbed *bed, const char *key, int64_t min, int64_t max,
                         int64_t observed)
{
    testbed_expect_range(bed, key, min, max);
    result_set_integer(OBSERVED(bed), key, observed);
}

void testbed_check_time(struct testbed *bed, const char *key,
                        const struct kernel_timers_settings *settings, int64_t planned_ns,
                        int64_t measured_ns)
{
    testbed_expect_time(bed, key, settings, planned_ns);
    result_set_integer(OBSERVED(bed), key, measured_ns);
}

void testbed_check_rc(struct testbed *bed, const char *key, const char *expected,
                      const struct act_reply *reply, const char *zero)
{
    testbed_check_text(bed, key, expected, reply->died ? "killed" : act_rc_name(reply->rc, zero));
}

struct act_reply testbed_check_act(struct testbed *bed, const char *key, const char *expected,
                                   struct agent *agent, const struct act *act)
{
    struct act_reply reply = agent_do(agent, act);

    testbed_check_rc(bed, key, expected, &reply, act->verb == ACT_READ ? "EOF" : "0");
    return reply;
}

struct act_reply testbed_check_number(struct testbed *bed, const char *key, int64_t expected,
                                      struct agent *agent, const struct act *act)
{
    struct act_reply reply = agent_do(agent, act);

    testbed_check_integer(bed, key, expected, reply.rc);
    return reply;
}

void testbed_check_state(struct testbed *bed, const char *key, int expected, int observed)
{
    testbed_check_text(bed, key, testbed_state_name(expected), testbed_state_name(observed));
}

void testbed_explain(struct testbed *bed, const char *why)
{
    bed->result->why = arena_copy(bed->arena, why);
}

void testbed_blame(struct testbed *bed, enum finding_code code, const char *summary, ...)
{
    va_list args;

    bed->blame_counts = bed->blame == FINDING_NONE;
    if (!bed->blame_counts)
        return;
    va_start(args, summary);
    bed->blame = code;
    bed->blame_text = arena_vprintf(bed->arena, summary, args);
    va_end(args);
}

void testbed_remedy(struct testbed *bed, enum result_side side, const char *remedy, ...)
{
    va_list args;

    if (!bed->blame_counts)
        return;
    va_start(args, remedy);
    bed->side = side;
    bed->remedy = arena_vprintf(bed->arena, remedy, args);
    va_end(args);
}

/* ---- The whole trace ---- */

/* A number of segments that waits for the whole trace. */
struct testbed_count {
    struct testbed_count *next;
    const char *key, *word;
    enum lab_direction direction;
};

void testbed_expect_count(struct testbed *bed, const char *key, const char *word,
                          enum lab_direction direction, int64_t count)
{
    struct testbed_count *item = arena_alloc(bed->arena, sizeof *item);

    if (!item || !bed->result->captured)
        return;
    *item = (struct testbed_count){bed->counts, key, word, direction};
    bed->counts = item;
    testbed_expect_integer(bed, key, count);
}

static void expect_list(struct testbed *bed, const char *key, const char *const *list)
{
    size_t count = 0;

    while (list && list[count])
        count++;
    if (list && bed->result->captured && !result_get(&bed->result->expected, key))
        result_set_texts(EXPECTED(bed), key, (const char *const *)list, count);
}

void testbed_expect_flags(struct testbed *bed, const char *const *flags)
{
    expect_list(bed, "flags", flags);
}

void testbed_observe_trace(struct testbed *bed)
{
    static const struct result_texts none;
    const struct result_connection *subject = bed->subject;
    const struct {
        const char *key;
        const struct result_texts *texts;
        bool beginning; /* no more than was expected */
    } lists[] = {{"flags", subject ? &subject->flags : &none, false},
                 {"flags_begin", subject ? &subject->flags : &none, true},
                 {"client_states", subject ? &subject->client_states : &none, false},
                 {"server_states", subject ? &subject->server_states : &none, false}};

    if (!bed->any_exchange) {
        expect_list(bed, "flags", bed->scenario->flags);
        expect_list(bed, "flags_begin", bed->scenario->flags_begin);
    }
    expect_list(bed, "client_states", bed->scenario->client_states);
    expect_list(bed, "server_states", bed->scenario->server_states);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const struct result_value *expected = result_get(&bed->result->expected, lists[i].key);
        size_t count = lists[i].texts->count;
        if (!expected)
            continue;
        if (lists[i].beginning && count > expected->texts.count)
            count = expected->texts.count;
        result_set_texts(OBSERVED(bed), lists[i].key, lists[i].texts->items, count);
    }
    for (const struct testbed_count *item = bed->counts; item; item = item->next)
        testbed_observe(bed, INTEGER(item->key, (int64_t)testbed_times(bed, item->word,
                                                                       item->direction, NULL, 0)));
}

void testbed_any_exchange(struct testbed *bed)
{
    bed->any_exchange = true;
}

static size_t times_of(const struct testbed *bed, int64_t connection, const char *word,
                       enum lab_direction direction, int64_t *out_ns, size_t max)
{
    enum flag_word what = flag_word_of(word);
    size_t count = 0;

    for (size_t i = 0; i < bed->event_count; i++) {
        const struct trace_event *event = &bed->events[i];
        const struct trace_segment *segment = &event->segment;
        if (event->kind != TRACE_SEGMENT || segment->protocol != TRACE_TCP ||
            event->connection != (uint32_t)connection ||
            (direction == LAB_FROM_CLIENT && !segment->from_client) ||
            (direction == LAB_FROM_SERVER && segment->from_client) ||
            !flag_word_matches(what, true, segment->flags, segment->payload_bytes))
            continue;
        if (count < max)
            out_ns[count] = event->at_real_ns - bed->started_real_ns;
        count++;
    }
    return count;
}

size_t testbed_times(const struct testbed *bed, const char *word, enum lab_direction direction,
                     int64_t *out_ns, size_t max)
{
    return bed->subject ? times_of(bed, bed->subject->number, word, direction, out_ns, max) : 0;
}

int64_t testbed_count(const struct testbed *bed, int64_t connection, const char *word,
                      enum lab_direction direction)
{
    return (int64_t)times_of(bed, connection, word, direction, NULL, 0);
}

/* ---- Lists ---- */

void testbed_timing(struct testbed *bed, const char *what, int64_t predicted_ns,
                    int64_t measured_ns, int64_t host_ns)
{
    struct result_scenario *result = bed->result;
    struct result_timing *timings =
        arena_grow(bed->arena, result->timings, result->timing_count, sizeof *timings);

    if (!timings)
        return;
    result->timings = timings;
    timings[result->timing_count++] =
        (struct result_timing){arena_copy(bed->arena, what), predicted_ns, measured_ns, host_ns};
}

void testbed_timings(struct testbed *bed, const char *what, const struct kernel_timers *plan,
                     const struct kernel_timers *host, size_t first, const int64_t *seen_ns,
                     size_t seen)
{
    for (size_t i = first; i < plan->sent_count && i < KERNEL_TIMERS_SENT_MAX; i++)
        testbed_timing(bed, arena_printf(bed->arena, "%s %zu", what, i + 1), plan->sent_ns[i],
                       i < seen ? seen_ns[i] - seen_ns[0] : RESULT_UNKNOWN,
                       i < host->sent_count ? host->sent_ns[i] : RESULT_UNKNOWN);
}

void testbed_table(struct testbed *bed, const char *name, const char *title)
{
    struct result_scenario *result = bed->result;
    struct result_table *tables =
        arena_grow(bed->arena, result->tables, result->table_count, sizeof *tables);

    if (!tables) {
        testbed_fail(bed, "out of memory");
        return;
    }
    result->tables = tables;
    tables[result->table_count++] = (struct result_table){.name = name, .title = title};
}

struct result_map *testbed_row_fields(struct testbed *bed, const struct result_value *fields)
{
    static struct result_map scratch;
    struct result_scenario *result = bed->result;
    struct result_table *table =
        result->table_count ? &result->tables[result->table_count - 1] : NULL;
    struct result_map *rows =
        table ? arena_grow(bed->arena, table->rows, table->row_count, sizeof *rows) : NULL;

    if (!rows) {
        testbed_fail(bed, "out of memory");
        scratch = (struct result_map){0};
        return &scratch;
    }
    table->rows = rows;
    rows[table->row_count] = (struct result_map){0};
    set(bed->arena, &rows[table->row_count], fields);
    return &rows[table->row_count++];
}
