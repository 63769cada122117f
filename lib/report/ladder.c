/* Builds the picture. Each event becomes a draft or two (a departure and an arrival, an entry and a
 * return), drafts are sorted by time, what says nothing is dropped, and gaps are put in between.
 * Pairs are linked by a number until the rows have their final places. */
#include "report/ladder_render.h"

#include "base/text.h"
#include "report/fields.h"
#include "report/label.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the wire holds for less counts as arriving at once: a wire without faults takes tens of
 * microseconds. */
#define SLANT_NS (500 * NS_PER_US)
/* A call that takes longer is drawn as a stay on its lifeline. */
#define STAY_NS NS_PER_MS
/* A gap is drawn from a twentieth of the picture on, within these bounds: a delayed ACK (40 ms and
 * more) shows in the longest picture. */
#define GAP_MIN_NS NS_PER_MS
#define GAP_MAX_NS (30 * NS_PER_MS)

/* Beyond this a picture counts in seconds. */
#define SECONDS_FROM_NS (10 * NS_PER_SEC)

enum { NO_PAIR = 0 };

struct draft {
    struct ladder_row row;
    int64_t at_real_ns;
    size_t order; /* of drafting, to keep the sort stable */
    size_t pair;  /* shared by the two ends of an arrow or a call, from 1 */
    bool entry;   /* of a call whose return follows */
    int stay;     /* +1: a call begins to keep its side busy; -1: it ends */
};

struct builder {
    struct ladder *ladder;
    const struct ladder_source *source;
    struct label_memory *memory;
    struct draft *drafts;
    struct draft scratch; /* takes what memory has no room for */
    size_t count;
    size_t pairs;
    bool captured; /* segments were seen: stamps say nothing more */
    bool observed; /* some by a capture that cannot tell when they arrived */
    bool inferred;
    bool many; /* several connections: each label names its own */
};

static struct draft *draft(struct builder *builder, int64_t at_real_ns, enum ladder_kind kind,
                           enum ladder_place from, enum ladder_place to)
{
    struct draft *drafts = arena_grow(&builder->ladder->arena, builder->drafts, builder->count,
                                      sizeof *builder->drafts);

    if (!drafts)
        return &builder->scratch;
    builder->drafts = drafts;
    struct draft *made = &drafts[builder->count];
    *made = (struct draft){.row = {.kind = kind, .from = from, .to = to, .label = ""},
                           .at_real_ns = at_real_ns,
                           .order = builder->count};
    builder->count++;
    return made;
}

static const char *keep(struct builder *builder, const struct trace_event *event, struct buf *text)
{
    const char *kept = builder->many && event->connection
                           ? arena_printf(&builder->ladder->arena, "#%" PRIu32 " %s",
                                          event->connection, buf_str(text))
                           : arena_copy(&builder->ladder->arena, buf_str(text));
    builder->ladder->arena.failed |= text->failed;
    buf_reset(text);
    return kept ? kept : "";
}

static enum ladder_place place_of(enum trace_side side)
{
    switch (side) {
    case TRACE_CLIENT:
        return LADDER_AT_CLIENT;
    case TRACE_SERVER:
        return LADDER_AT_SERVER;
    case TRACE_WIRE:
        return LADDER_AT_WIRE;
    }
    return LADDER_AT_WIRE;
}

static enum ladder_place opposite(enum ladder_place place)
{
    return place == LADDER_AT_CLIENT ? LADDER_AT_SERVER : LADDER_AT_CLIENT;
}

/* Where a call is drawn that has a row of its own. What a call sends can leave before it returns:
 * such a call stands at its entry, before its consequences; one that waits, at its return. */
enum call_place { CALL_AT_RETURN, CALL_AT_ENTRY, CALL_AT_BOTH };

static enum call_place place_of_call(const struct trace_call *call)
{
    static const struct {
        const char *verb;
        enum call_place place;
    } places[] = {{"write", CALL_AT_ENTRY},
                  {"send", CALL_AT_ENTRY},
                  {"close", CALL_AT_ENTRY},
                  {"shut", CALL_AT_ENTRY},
                  {"connect", CALL_AT_BOTH}};
    int64_t duration_ns = label_call_duration(call);

    if (duration_ns == CLOCK_NONE || call->entered_real_ns == CLOCK_NONE)
        return CALL_AT_RETURN;
    if (duration_ns >= STAY_NS)
        return CALL_AT_BOTH;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (!strncmp(places[i].verb, call->verb, strlen(places[i].verb)))
            return places[i].place;
    return CALL_AT_RETURN;
}

static void draft_call(struct builder *builder, const struct trace_event *event)
{
    const struct trace_call *call = &event->call;
    enum call_place where = place_of_call(call);
    bool endless = label_call_duration(call) == CLOCK_NONE;
    enum ladder_place at = place_of(event->side);
    cleanup(buf) struct buf text = {0};
    size_t pair = NO_PAIR;

    if (where == CALL_AT_BOTH) {
        struct draft *entry = draft(builder, call->entered_real_ns, LADDER_EVENT, at, at);
        entry->entry = true;
        entry->stay = 1;
        entry->pair = pair = ++builder->pairs;
        label_call_entry(&text, call);
        entry->row.label = keep(builder, event, &text);
    }
    struct draft *end =
        draft(builder, where == CALL_AT_ENTRY ? call->entered_real_ns : event->at_real_ns,
              LADDER_EVENT, at, at);
    end->pair = pair;
    end->stay = pair ? -1 : endless;
    end->row.tone = call->error && call->error != EINPROGRESS && call->error != EAGAIN
                        ? LADDER_TROUBLE
                        : LADDER_NORMAL;
    label_call(&text, call);
    end->row.label = keep(builder, event, &text);
}

static enum ladder_tone segment_tone(const struct trace_segment *segment,
                                     const struct label_hint *hint)
{
    bool icmp = segment->protocol == TRACE_ICMP || segment->protocol == TRACE_ICMPV6;

    if (segment->fate == TRACE_DROPPED || segment->fate == TRACE_ANSWERED || icmp ||
        (segment->protocol == TRACE_TCP && (segment->flags & 0x04)))
        return LADDER_TROUBLE;
    if (hint->again || hint->zero_window || segment->fate == TRACE_DUPLICATED ||
        segment->fate == TRACE_CORRUPTED || segment->fate == TRACE_HELD)
        return LADDER_NOTABLE;
    return LADDER_NORMAL;
}

static void label_whole(struct buf *out, struct builder *builder, const struct trace_event *event,
                        struct label_hint *hint)
{
    cleanup(buf) struct buf fate = {0};

    label_segment(out, builder->memory, event, hint);
    label_fate(&fate, &event->segment, event->at_real_ns);
    if (fate.len_bytes)
        buf_printf(out, " (%s", buf_str(&fate));
    if (event->segment.fault)
        buf_printf(out, "%sfault %" PRIu32, fate.len_bytes ? " by " : " (", event->segment.fault);
    if (fate.len_bytes || event->segment.fault)
        buf_add_char(out, ')');
}

static void draft_segment(struct builder *builder, const struct trace_event *event)
{
    const struct trace_segment *segment = &event->segment;
    bool lost = segment->fate == TRACE_DROPPED || segment->fate == TRACE_ANSWERED;
    enum ladder_place source = segment->from_client ? LADDER_AT_CLIENT : LADDER_AT_SERVER;
    enum ladder_place to = lost ? LADDER_AT_WIRE : opposite(source);
    enum ladder_place from = segment->fate == TRACE_MADE ? LADDER_AT_WIRE : source;
    int64_t left_ns = segment->departed_real_ns;
    bool slanted = !lost && left_ns != CLOCK_NONE &&
                   (left_ns - event->at_real_ns >= SLANT_NS ||
                    (segment->fate == TRACE_HELD && left_ns > event->at_real_ns));
    struct label_hint hint;
    cleanup(buf) struct buf text = {0};

    struct draft *arrow = draft(builder, event->at_real_ns, LADDER_ARROW, from, to);
    label_whole(&text, builder, event, &hint);
    arrow->row.label = keep(builder, event, &text);
    arrow->row.tone = segment_tone(segment, &hint);
    builder->ladder->wire |= lost || slanted || from == LADDER_AT_WIRE;
    builder->observed |= segment->fate == TRACE_OBSERVED;
    if (!slanted)
        return;
    enum ladder_tone tone = arrow->row.tone;
    arrow->pair = ++builder->pairs;
    struct draft *arrival = draft(builder, left_ns, LADDER_ARRIVAL, from, to);
    arrival->pair = builder->pairs;
    arrival->row.tone = tone;
    label_segment_short(&text, builder->memory, event);
    arrival->row.label = keep(builder, event, &text);
}

/* Whether the byte that was queued has a stamp of being sent at about the same time. */
static bool sent_too(const struct builder *builder, const struct trace_event *queued)
{
    for (size_t i = 0; i < builder->source->count; i++) {
        const struct trace_event *event = &builder->source->events[i];
        if (event->kind == TRACE_STAMP && event->stamp.what == TRACE_SENT &&
            event->side == queued->side && event->connection == queued->connection &&
            event->stamp.end_bytes == queued->stamp.end_bytes)
            return event->at_real_ns - queued->at_real_ns < NS_PER_MS;
    }
    return false;
}

static void draft_stamp(struct builder *builder, const struct trace_event *event)
{
    const struct trace_stamp *stamp = &event->stamp;
    enum ladder_place here = place_of(event->side);
    cleanup(buf) struct buf text = {0};
    struct draft *made = NULL;

    if (builder->captured || here == LADDER_AT_WIRE)
        return;
    switch (stamp->what) {
    case TRACE_QUEUED:
        if (sent_too(builder, event))
            return;
        made = draft(builder, event->at_real_ns, LADDER_EVENT, here, here);
        label_stamp(&text, stamp);
        made->row.label = keep(builder, event, &text);
        return;
    case TRACE_SENT:
        made = draft(builder, event->at_real_ns, LADDER_ARROW, here, opposite(here));
        break;
    case TRACE_ACKED:
    case TRACE_RECEIVED:
        made = draft(builder, event->at_real_ns, LADDER_ARROW, opposite(here), here);
        break;
    }
    if (!made)
        return;
    label_stamp_arrow(&text, stamp);
    made->row.label = keep(builder, event, &text);
    made->row.inferred = true;
    made->row.witness = here;
    builder->inferred = true;
}

static void draft_text(struct builder *builder, const struct trace_event *event,
                       enum ladder_kind kind, struct buf *text)
{
    enum ladder_place at = place_of(event->side);
    struct draft *made =
        draft(builder, event->at_real_ns, at == LADDER_AT_WIRE ? LADDER_REMARK : kind, at, at);
    made->row.label = keep(builder, event, text);
}

static void draft_event(struct builder *builder, const struct trace_event *event)
{
    cleanup(buf) struct buf text = {0};

    switch (event->kind) {
    case TRACE_CALL:
        draft_call(builder, event);
        return;
    case TRACE_STAMP:
        draft_stamp(builder, event);
        return;
    case TRACE_STATE:
        label_state(&text, &event->state);
        draft_text(builder, event, LADDER_STATE, &text);
        return;
    case TRACE_SEGMENT:
        draft_segment(builder, event);
        return;
    case TRACE_MARK:
        text_escape(&text, event->text, strnlen(event->text, sizeof event->text));
        draft_text(builder, event, LADDER_REMARK, &text);
        return;
    }
}

static int by_time(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;

    if (x->at_real_ns != y->at_real_ns)
        return x->at_real_ns < y->at_real_ns ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The entry of a call is worth a row only when something happened before its return. */
static void drop_idle_entries(struct builder *builder)
{
    size_t kept = 0;

    for (size_t i = 0; i < builder->count; i++) {
        struct draft *draft = &builder->drafts[i];
        bool idle = draft->entry && i + 1 < builder->count && draft[1].pair == draft->pair;
        if (idle)
            draft[1].stay = 0;
        else
            builder->drafts[kept++] = *draft;
    }
    builder->count = kept;
}

static void add_row(struct ladder *ladder, struct ladder_row row)
{
    struct ladder_row *rows = arena_grow(&ladder->arena, ladder->rows, ladder->count, sizeof *rows);

    if (!rows)
        return;
    ladder->rows = rows;
    row.other = ladder->count;
    rows[ladder->count++] = row;
}

static int64_t gap_threshold(int64_t span_ns)
{
    int64_t threshold_ns = span_ns / 20;
    return threshold_ns < GAP_MIN_NS   ? GAP_MIN_NS
           : threshold_ns > GAP_MAX_NS ? GAP_MAX_NS
                                       : threshold_ns;
}

static void lay_rows(struct builder *builder, size_t count)
{
    struct ladder *ladder = builder->ladder;
    int64_t threshold_ns = gap_threshold(ladder->span_ns), before_ns = 0;
    size_t *first = arena_alloc(&ladder->arena, (builder->pairs + 1) * sizeof *first);
    int busy[2] = {0, 0};

    for (size_t i = 0; first && i < count; i++) {
        struct draft *draft = &builder->drafts[i];
        int64_t at_ns = draft->at_real_ns - ladder->start_real_ns;
        struct ladder_row row = draft->row;

        row.at_ns = at_ns;
        row.busy[0] = busy[0] > 0;
        row.busy[1] = busy[1] > 0;
        if (at_ns - before_ns >= threshold_ns) {
            struct ladder_row gap = {.kind = LADDER_GAP, .gap_ns = at_ns - before_ns, .label = ""};
            gap.at_ns = before_ns;
            memcpy(gap.busy, row.busy, sizeof gap.busy);
            add_row(ladder, gap);
        }
        add_row(ladder, row);
        before_ns = at_ns;
        if (row.from != LADDER_AT_WIRE)
            busy[row.from == LADDER_AT_SERVER] += draft->stay;
        if (!draft->pair || row.kind == LADDER_EVENT || ladder->arena.failed)
            continue;
        if (first[draft->pair]) {
            ladder->rows[ladder->count - 1].other = first[draft->pair] - 1;
            ladder->rows[first[draft->pair] - 1].other = ladder->count - 1;
        }
        first[draft->pair] = ladder->count;
    }
}

static void add_note(struct ladder *ladder, const char *text)
{
    const char **notes =
        arena_grow(&ladder->arena, ladder->notes, ladder->note_count, sizeof *notes);

    if (!notes)
        return;
    ladder->notes = notes;
    notes[ladder->note_count++] = text;
}

static void add_notes(struct builder *builder, size_t cut)
{
    struct ladder *ladder = builder->ladder;

    if (builder->inferred)
        add_note(ladder, "Segments were not captured. Dotted arrows are what this kernel's "
                         "timestamps say: when data left or arrived here, and when an "
                         "acknowledgement came. What happened at the other end is not known.");
    if (builder->observed)
        add_note(ladder, "Segments were captured on one host: arrows stand where they passed "
                         "there, not where they left or arrived at the other.");
    if (!ladder->count)
        add_note(ladder, "Nothing was recorded.");
    if (builder->source->lost)
        add_note(ladder, arena_printf(&ladder->arena, "%zu events did not fit and are missing.",
                                      builder->source->lost));
    if (cut)
        add_note(ladder, arena_printf(&ladder->arena, "%zu later rows are not drawn.", cut));
}

struct trace_event *ladder_events(const struct ladder_source *source, size_t *count)
{
    struct trace_event *events = calloc(source->count + 1, sizeof *events);

    *count = 0;
    for (size_t i = 0; events && i < source->count; i++) {
        const struct trace_event *event = &source->events[i];
        if (!source->connection || !event->connection || event->connection == source->connection)
            events[(*count)++] = *event;
    }
    if (events && trace_sort(events, *count)) {
        free(events);
        return NULL;
    }
    return events;
}

bool ladder_has_many(const struct trace_event *events, size_t count)
{
    uint32_t connection = 0;

    for (size_t i = 0; i < count; i++) {
        if (connection && events[i].connection && events[i].connection != connection)
            return true;
        connection = events[i].connection ? events[i].connection : connection;
    }
    return false;
}

/* What the whole picture depends on. */
static void survey(struct builder *builder, const struct trace_event *events, size_t count)
{
    bool *unseen = builder->ladder->unseen;

    unseen[0] = unseen[1] = true;
    builder->many = ladder_has_many(events, count);
    for (size_t i = 0; i < count; i++)
        if (events[i].kind == TRACE_SEGMENT) {
            builder->captured = true;
            unseen[0] = unseen[1] = false;
        } else if (events[i].side != TRACE_WIRE) {
            unseen[events[i].side == TRACE_SERVER] = false;
        }
}

static const char *name_of(struct ladder *ladder, const char *side, const char *address)
{
    cleanup(buf) struct buf escaped = {0};

    if (!address)
        return side;
    text_escape(&escaped, address, strlen(address));
    return arena_printf(&ladder->arena, "%s %s", side, buf_str(&escaped));
}

static void build(struct builder *builder, const struct trace_event *events, size_t count)
{
    struct ladder *ladder = builder->ladder;
    const struct ladder_source *source = builder->source;
    size_t most = source->max_rows ? source->max_rows : LADDER_ROWS_DEFAULT;

    survey(builder, events, count);
    for (size_t i = 0; i < count && !ladder->arena.failed; i++)
        draft_event(builder, &events[i]);
    if (builder->count)
        qsort(builder->drafts, builder->count, sizeof *builder->drafts, by_time);
    drop_idle_entries(builder);
    size_t shown = builder->count < most ? builder->count : most;
    if (shown) {
        ladder->start_real_ns = builder->drafts[0].at_real_ns;
        ladder->span_ns = builder->drafts[shown - 1].at_real_ns - ladder->start_real_ns;
        lay_rows(builder, shown);
    }
    ladder->title = arena_copy(&ladder->arena, source->title);
    ladder->names[0] = name_of(ladder, "client", source->client);
    ladder->names[1] = name_of(ladder, "server", source->server);
    add_notes(builder, builder->count - shown);
}

int ladder_build(struct ladder *out, const struct ladder_source *source, struct error *error)
{
    size_t count;
    cleanup(mem) struct trace_event *events = ladder_events(source, &count);
    cleanup(mem) struct label_memory *memory = calloc(1, sizeof *memory);
    struct builder builder = {.ladder = out, .source = source, .memory = memory};

    *out = (struct ladder){0};
    if (events && memory) {
        build(&builder, events, count);
        if (!out->arena.failed)
            return 0;
        ladder_free(out);
    }
    return error_sys(error, ENOMEM, "cannot draw the ladder");
}

void ladder_free(struct ladder *ladder)
{
    arena_free(&ladder->arena);
    *ladder = (struct ladder){0};
}

const char *ladder_time(char *out, size_t size, int64_t at_ns, int64_t span_ns)
{
    int64_t unit_ns = span_ns < SECONDS_FROM_NS ? NS_PER_MS : NS_PER_SEC;
    snprintf(out, size, "%.3f", (double)at_ns / (double)unit_ns);
    return out;
}

const char *ladder_time_unit(int64_t span_ns)
{
    return span_ns < SECONDS_FROM_NS ? "ms" : "s";
}
