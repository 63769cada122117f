/* What was observed, and what had to be: how scenarios fill in their result. */
#include "scenario/stage.h"

#include "base/cleanup.h"
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* How much later than planned something may be noticed on a machine that has other things to do. */
#define LOAD_NS (600 * NS_PER_MS)

#define OBSERVED(stage) (stage)->arena, &(stage)->result->observed
#define EXPECTED(stage) (stage)->arena, &(stage)->result->expected

void stage_observe_text(struct stage *stage, const char *key, const char *value)
{
    result_set_text(OBSERVED(stage), key, value);
}

void stage_observe_integer(struct stage *stage, const char *key, int64_t value)
{
    result_set_integer(OBSERVED(stage), key, value);
}

void stage_observe_bool(struct stage *stage, const char *key, bool value)
{
    result_set_bool(OBSERVED(stage), key, value);
}

void stage_expect_text(struct stage *stage, const char *key, const char *value)
{
    result_set_text(EXPECTED(stage), key, value);
}

void stage_expect_integer(struct stage *stage, const char *key, int64_t value)
{
    result_set_integer(EXPECTED(stage), key, value);
}

void stage_expect_bool(struct stage *stage, const char *key, bool value)
{
    result_set_bool(EXPECTED(stage), key, value);
}

void stage_expect_range(struct stage *stage, const char *key, int64_t min, int64_t max)
{
    result_set_range(EXPECTED(stage), key, min, max);
}

void stage_expect_time(struct stage *stage, const char *key,
                       const struct schedule_settings *settings, int64_t planned_ns)
{
    int64_t min_ns = planned_ns - 2 * settings->tick_ns;

    stage_expect_range(stage, key, min_ns > 0 ? min_ns : 0,
                       schedule_latest_ns(settings, planned_ns) + LOAD_NS);
}

void stage_check_text(struct stage *stage, const char *key, const char *expected,
                      const char *observed)
{
    stage_expect_text(stage, key, expected);
    stage_observe_text(stage, key, observed);
}

void stage_check_integer(struct stage *stage, const char *key, int64_t expected, int64_t observed)
{
    stage_expect_integer(stage, key, expected);
    stage_observe_integer(stage, key, observed);
}

void stage_check_bool(struct stage *stage, const char *key, bool expected, bool observed)
{
    stage_expect_bool(stage, key, expected);
    stage_observe_bool(stage, key, observed);
}

void stage_check_rc(struct stage *stage, const char *key, const char *expected,
                    const struct act_reply *reply, const char *zero)
{
    stage_check_text(stage, key, expected, reply->died ? "killed" : act_rc_name(reply->rc, zero));
}

void stage_explain(struct stage *stage, const char *why)
{
    stage->explained = true;
    stage->result->why = arena_copy(stage->arena, why);
}

void stage_blame(struct stage *stage, enum finding_code code, const char *summary)
{
    stage->blame_counts = stage->blame == FINDING_NONE;
    if (!stage->blame_counts)
        return;
    stage->blame = code;
    stage->blame_text = arena_copy(stage->arena, summary);
}

void stage_remedy(struct stage *stage, enum result_side side, const char *remedy)
{
    if (!stage->blame_counts)
        return;
    stage->side = side;
    stage->remedy = arena_copy(stage->arena, remedy);
}

/* ---- The exchange ---- */

#define WORDS_MAX 64

static size_t collect(const char **out, const char *first, va_list rest)
{
    size_t count = 0;

    for (const char *word = first; word && count < WORDS_MAX; word = va_arg(rest, const char *))
        out[count++] = word;
    return count;
}

static void observe_texts(struct stage *stage, const char *key, const struct result_texts *texts,
                          size_t most)
{
    size_t count = texts->count < most ? texts->count : most;
    result_set_texts(OBSERVED(stage), key, texts->items, count);
}

static const struct result_texts none;

static const struct result_texts *flags_of(const struct stage *stage)
{
    return stage->subject ? &stage->subject->flags : &none;
}

void stage_expect_flags(struct stage *stage, const char *first, ...)
{
    const char *words[WORDS_MAX];
    va_list rest;

    if (!stage->result->captured)
        return;
    va_start(rest, first);
    size_t count = collect(words, first, rest);
    va_end(rest);
    result_set_texts(EXPECTED(stage), "flags", words, count);
    observe_texts(stage, "flags", flags_of(stage), SIZE_MAX);
}

void stage_expect_flags_begin(struct stage *stage, const char *first, ...)
{
    const char *words[WORDS_MAX];
    va_list rest;

    if (!stage->result->captured)
        return;
    va_start(rest, first);
    size_t count = collect(words, first, rest);
    va_end(rest);
    result_set_texts(EXPECTED(stage), "flags_begin", words, count);
    observe_texts(stage, "flags_begin", flags_of(stage), count);
}

void stage_expect_states(struct stage *stage, enum lab_host host, const char *first, ...)
{
    const char *key = host == LAB_CLIENT ? "client_states" : "server_states";
    const char *words[WORDS_MAX];
    va_list rest;

    if (!stage->result->captured)
        return;
    va_start(rest, first);
    size_t count = collect(words, first, rest);
    va_end(rest);
    result_set_texts(EXPECTED(stage), key, words, count);
    observe_texts(stage, key,
                  !stage->subject      ? &none
                  : host == LAB_CLIENT ? &stage->subject->client_states
                                       : &stage->subject->server_states,
                  SIZE_MAX);
}

static bool word_matches(const char *word, const struct trace_segment *segment)
{
    static const struct {
        const char *word;
        uint16_t mask, value;
        int data; /* 1: with payload, 0: without, -1: either */
    } words[] = {{"syn", 0x12, 0x02, -1}, {"syn-ack", 0x12, 0x12, -1}, {"fin", 0x01, 0x01, -1},
                 {"rst", 0x04, 0x04, -1}, {"ack", 0x17, 0x10, 0},      {"data", 0, 0, 1},
                 {"", 0, 0, -1}};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(words[i].word, word))
            return (segment->flags & words[i].mask) == words[i].value &&
                   (words[i].data < 0 || words[i].data == (segment->payload_bytes > 0));
    return false;
}

size_t stage_times(const struct stage *stage, const char *word, enum lab_direction direction,
                   int64_t *out_ns, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < stage->event_count; i++) {
        const struct trace_event *event = &stage->events[i];
        const struct trace_segment *segment = &event->segment;
        if (event->kind != TRACE_SEGMENT || segment->protocol != TRACE_TCP || !stage->subject ||
            event->connection != (uint32_t)stage->subject->number ||
            (direction == LAB_FROM_CLIENT && !segment->from_client) ||
            (direction == LAB_FROM_SERVER && segment->from_client) || !word_matches(word, segment))
            continue;
        if (count < max)
            out_ns[count] = event->at_real_ns - stage->started_real_ns;
        count++;
    }
    return count;
}

/* ---- Lists ---- */

void stage_timing(struct stage *stage, const char *what, int64_t predicted_ns, int64_t measured_ns,
                  int64_t host_ns)
{
    struct result_scenario *result = stage->result;
    struct result_timing *timings =
        arena_grow(stage->arena, result->timings, result->timing_count, sizeof *timings);

    if (!timings)
        return;
    result->timings = timings;
    timings[result->timing_count++] =
        (struct result_timing){arena_copy(stage->arena, what), predicted_ns, measured_ns, host_ns};
}

struct result_table *stage_table(struct stage *stage, const char *name, const char *title)
{
    struct result_scenario *result = stage->result;
    struct result_table *tables =
        arena_grow(stage->arena, result->tables, result->table_count, sizeof *tables);

    if (!tables) {
        stage_fail(stage, "out of memory");
        return NULL;
    }
    result->tables = tables;
    tables[result->table_count] = (struct result_table){.name = name, .title = title};
    return &tables[result->table_count++];
}

struct result_map *stage_row(struct stage *stage)
{
    static struct result_map scratch;
    struct result_scenario *result = stage->result;
    struct result_table *table =
        result->table_count ? &result->tables[result->table_count - 1] : NULL;
    struct result_map *rows =
        table ? arena_grow(stage->arena, table->rows, table->row_count, sizeof *rows) : NULL;

    if (!rows) {
        stage_fail(stage, "out of memory");
        scratch = (struct result_map){0};
        return &scratch;
    }
    table->rows = rows;
    rows[table->row_count] = (struct result_map){0};
    return &rows[table->row_count++];
}
