#include "trace_text.h"

#include "base/cleanup.h"
#include "base/units.h"
#include "finding/finding.h"
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_NS INT64_C(1760000000000000000)
#define WORDS    24

struct reader {
    const char *path;
    int line;
    char *words[WORDS];
    int count;
    int at;
};

__attribute__((noreturn)) static void bad(const struct reader *reader, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", reader->path, reader->line, what);
    exit(2);
}

static char *next(struct reader *reader)
{
    if (reader->at == reader->count)
        bad(reader, "the line ends too early");
    return reader->words[reader->at++];
}

static int64_t duration(const struct reader *reader, const char *text)
{
    int64_t ns;
    if (units_parse_duration(text, &ns))
        bad(reader, text);
    return ns;
}

/* The value of "key=…" among the words, or NULL. */
static const char *option(const struct reader *reader, const char *key)
{
    size_t len = strlen(key);
    for (int i = reader->at; i < reader->count; i++)
        if (!strncmp(reader->words[i], key, len) && reader->words[i][len] == '=')
            return reader->words[i] + len + 1;
    return NULL;
}

static int64_t number(const struct reader *reader, const char *key, int64_t otherwise)
{
    const char *text = option(reader, key);
    int64_t value = otherwise;
    if (text && units_parse_integer(text, &value))
        bad(reader, key);
    return value;
}

static bool has(const struct reader *reader, const char *word)
{
    for (int i = reader->at; i < reader->count; i++)
        if (!strcmp(reader->words[i], word))
            return true;
    return false;
}

static int errno_of(const struct reader *reader, const char *name)
{
    const struct finding_term *term = finding_term_by_name(name);
    if (!term)
        bad(reader, name);
    return term->number;
}

static void read_call(struct reader *reader, struct trace_event *event)
{
    struct trace_call *call = &event->call;
    const char *took = option(reader, "took");

    event->kind = TRACE_CALL;
    snprintf(call->verb, sizeof call->verb, "%s", next(reader));
    for (char *p = call->verb; *p; p++)
        *p = *p == ':' ? ' ' : *p;
    call->requested_bytes = (uint64_t)number(reader, "len", 0);
    call->pending = has(reader, "pending");
    call->entered_mono_ns = 1;
    call->returned_mono_ns =
        call->pending ? CLOCK_NONE : 1 + (took ? duration(reader, took) : 5000);
    call->entered_real_ns = event->at_real_ns - (took ? duration(reader, took) : 0);
    if (call->pending)
        return;
    while (strcmp(next(reader), "="))
        ;
    const char *result = next(reader);
    if (units_parse_integer(result, &call->result))
        bad(reader, result);
    if (call->result < 0)
        call->error = errno_of(reader, next(reader));
}

static void read_stamp(struct reader *reader, struct trace_event *event)
{
    static const char *const kinds[] = {[TRACE_QUEUED] = "queued",
                                        [TRACE_SENT] = "sent",
                                        [TRACE_ACKED] = "acked",
                                        [TRACE_RECEIVED] = "received"};
    const char *word = next(reader);
    size_t kind = 0;

    while (kind < ARRAY_SIZE(kinds) && strcmp(kinds[kind], word))
        kind++;
    if (kind == ARRAY_SIZE(kinds))
        bad(reader, word);
    event->kind = TRACE_STAMP;
    event->stamp.what = (enum trace_stamp_kind)kind;
    event->stamp.end_bytes = (uint64_t)number(reader, "end", 0);
    event->stamp.length_bytes = (uint64_t)number(reader, "len", 0);
}

static uint16_t flags_of(const struct reader *reader, char *text)
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
    uint16_t flags = 0;

    for (char *save, *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        size_t bit = 0;
        while (bit < ARRAY_SIZE(names) && strcmp(names[bit], word))
            bit++;
        if (bit == ARRAY_SIZE(names))
            bad(reader, word);
        flags |= (uint16_t)(1u << bit);
    }
    return flags;
}

static enum trace_fate fate_of(const struct reader *reader)
{
    static const char *const names[] = {
        [TRACE_DELIVERED] = "delivered", [TRACE_DROPPED] = "dropped",
        [TRACE_HELD] = "held",           [TRACE_DUPLICATED] = "twice",
        [TRACE_CORRUPTED] = "corrupted", [TRACE_ANSWERED] = "answered",
        [TRACE_MADE] = "made",           [TRACE_OBSERVED] = "observed"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (has(reader, names[i]))
            return (enum trace_fate)i;
    return TRACE_DELIVERED;
}

static void read_segment(struct reader *reader, struct trace_event *event, bool from_client)
{
    struct trace_segment *segment = &event->segment;
    const char *left = option(reader, "left"), *sack = option(reader, "sack");
    char *what = next(reader);

    event->kind = TRACE_SEGMENT;
    event->side = TRACE_WIRE;
    segment->from_client = from_client;
    segment->family = has(reader, "v6") ? 6 : 4;
    segment->protocol = IPPROTO_TCP;
    segment->fate = fate_of(reader);
    segment->fault = (uint32_t)number(reader, "fault", 0);
    segment->departed_real_ns = left ? START_NS + duration(reader, left) : CLOCK_NONE;
    if (!strcmp(what, "icmp")) {
        segment->protocol = segment->family == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
        segment->icmp_type = (uint8_t)number(reader, "type", 0);
        segment->icmp_code = (uint8_t)number(reader, "code", 0);
        return;
    }
    segment->flags = flags_of(reader, what);
    segment->sequence = (uint32_t)number(reader, "seq", 0);
    segment->acknowledgement = (uint32_t)number(reader, "ack", 0);
    segment->payload_bytes = (uint32_t)number(reader, "len", 0);
    segment->window_bytes = (uint32_t)number(reader, "win", 64240);
    segment->mss = (uint16_t)number(reader, "mss", 0);
    segment->window_scale = (int8_t)number(reader, "scale", -1);
    if (sack && sscanf(sack, "%u:%u", &segment->sack[0][0], &segment->sack[0][1]) == 2)
        segment->sack_blocks = 1;
}

static void read_state(struct reader *reader, struct trace_event *event)
{
    event->kind = TRACE_STATE;
    event->state.state = errno_of(reader, next(reader));
    event->state.receive_queue_bytes = (uint32_t)number(reader, "unread", 0);
    event->state.send_queue_bytes = (uint32_t)number(reader, "unacked", 0);
}

static void read_mark(struct reader *reader, struct trace_event *event)
{
    size_t used = 0;
    event->kind = TRACE_MARK;
    while (reader->at < reader->count && used < sizeof event->text)
        used += (size_t)snprintf(event->text + used, sizeof event->text - used, "%s%s",
                                 used ? " " : "", next(reader));
}

static void read_side(struct reader *reader, struct trace_event *event, const char *word)
{
    static const char *const sides[] = {
        [TRACE_CLIENT] = "client", [TRACE_SERVER] = "server", [TRACE_WIRE] = "wire"};
    static const struct {
        const char *name;
        void (*read)(struct reader *reader, struct trace_event *event);
    } kinds[] = {
        {"call", read_call}, {"stamp", read_stamp}, {"state", read_state}, {"mark", read_mark}};
    size_t side = 0;

    while (side < ARRAY_SIZE(sides) && strcmp(sides[side], word))
        side++;
    if (side == ARRAY_SIZE(sides))
        bad(reader, word);
    event->side = (enum trace_side)side;
    const char *what = next(reader);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!strcmp(kinds[i].name, what)) {
            kinds[i].read(reader, event);
            return;
        }
    bad(reader, what);
}

static void read_event(struct reader *reader, struct trace_event *event)
{
    *event = (struct trace_event){.connection = 1};
    event->at_real_ns = START_NS + duration(reader, next(reader));
    char *word = next(reader);
    if (*word == '#') {
        event->connection = (uint32_t)atoi(word + 1);
        word = next(reader);
    }
    if (!strcmp(word, "C>S") || !strcmp(word, "S>C"))
        read_segment(reader, event, *word == 'C');
    else
        read_side(reader, event, word);
}

/* "title", "client", "server" and "lost"; false for other lines. */
static bool read_head(struct trace_text *out, const char *line)
{
    char rest[128];
    if (sscanf(line, "title %127[^\n]", rest) == 1)
        snprintf(out->title, sizeof out->title, "%s", rest);
    else if (sscanf(line, "client %127[^\n]", rest) == 1)
        snprintf(out->client, sizeof out->client, "%.63s", rest);
    else if (sscanf(line, "server %127[^\n]", rest) == 1)
        snprintf(out->server, sizeof out->server, "%.63s", rest);
    else if (sscanf(line, "lost %zu", &out->lost) != 1)
        return false;
    return true;
}

void trace_text_read(struct trace_text *out, const char *path)
{
    struct reader reader = {.path = path};
    cleanup(file) FILE *file = fopen(path, "re");
    char line[512];

    *out = (struct trace_text){0};
    if (!file)
        bad(&reader, "cannot be opened");
    while (fgets(line, sizeof line, file)) {
        reader.line++;
        reader.count = reader.at = 0;
        if (*line == '#' || *line == '\n' || read_head(out, line))
            continue;
        char *save;
        for (char *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
            if (reader.count == WORDS)
                bad(&reader, "too many words");
            reader.words[reader.count++] = word;
        }
        out->events = reallocarray(out->events, out->count + 1, sizeof *out->events);
        if (!out->events)
            bad(&reader, "out of memory");
        read_event(&reader, &out->events[out->count++]);
    }
}

void trace_text_free(struct trace_text *text)
{
    free(text->events);
    *text = (struct trace_text){0};
}
