#include "base/cleanup.h"
#include "base/text.h"
#include "report/ladder.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define T0 INT64_C(1760000000000000000)
#define MS NS_PER_MS

static struct trace_event call(int64_t at_ns, enum trace_side side, const char *verb,
                               int64_t result, int64_t took_ns)
{
    struct trace_event event = {
        .at_real_ns = T0 + at_ns, .kind = TRACE_CALL, .side = side, .connection = 1};
    snprintf(event.call.verb, sizeof event.call.verb, "%s", verb);
    event.call.entered_real_ns = T0 + at_ns - took_ns;
    event.call.entered_mono_ns = 7;
    event.call.returned_mono_ns = 7 + took_ns;
    event.call.result = result;
    return event;
}

static struct trace_event segment(int64_t at_ns, bool from_client, uint16_t flags, uint32_t seq,
                                  uint32_t ack, uint32_t len, int64_t delay_ns)
{
    struct trace_event event = {
        .at_real_ns = T0 + at_ns, .kind = TRACE_SEGMENT, .side = TRACE_WIRE, .connection = 1};
    event.segment = (struct trace_segment){.family = 4,
                                           .protocol = IPPROTO_TCP,
                                           .flags = flags,
                                           .from_client = from_client,
                                           .sequence = seq,
                                           .acknowledgement = ack,
                                           .payload_bytes = len,
                                           .window_bytes = 500,
                                           .window_scale = -1,
                                           .departed_real_ns = T0 + at_ns + delay_ns};
    return event;
}

static struct trace_event stamp(int64_t at_ns, enum trace_stamp_kind what, uint64_t end)
{
    return (struct trace_event){.at_real_ns = T0 + at_ns,
                                .kind = TRACE_STAMP,
                                .connection = 1,
                                .stamp = {.what = what, .end_bytes = end}};
}

static struct ladder built(const struct trace_event *events, size_t count)
{
    struct ladder ladder;
    struct error error = {0};
    struct ladder_source source = {.events = events, .count = count};

    assert_int_equal(ladder_build(&ladder, &source, &error), 0);
    return ladder;
}

static const struct ladder_row *row_of(const struct ladder *ladder, enum ladder_kind kind,
                                       const char *label)
{
    for (size_t i = 0; i < ladder->count; i++)
        if (ladder->rows[i].kind == kind && !strcmp(ladder->rows[i].label, label))
            return &ladder->rows[i];
    for (size_t i = 0; i < ladder->count; i++)
        print_message("%d %s\n", (int)ladder->rows[i].kind, ladder->rows[i].label);
    fail_msg("no row of kind %d: %s", (int)kind, label);
    return NULL;
}

static void rows_are_in_order_and_ends_are_linked(void **state)
{
    /* Not in the order of time; two segments cross. */
    const struct trace_event events[] = {
        segment(3 * MS, false, 0x10, 900, 101, 0, 20 * MS),
        segment(0, true, 0x18, 100, 900, 1, 10 * MS),
        segment(1 * MS, true, 0x18, 101, 900, 9, 0),
    };
    struct ladder ladder = built(events, ARRAY_SIZE(events));
    (void)state;
    for (size_t i = 0; i < ladder.count; i++) {
        const struct ladder_row *row = &ladder.rows[i];
        assert_true(!i || row->kind == LADDER_GAP || row->at_ns >= ladder.rows[i - 1].at_ns);
        assert_true(row->other < ladder.count);
        assert_int_equal(ladder.rows[row->other].other, i);
    }
    const struct ladder_row *first = row_of(&ladder, LADDER_ARROW, "PSH,ACK seq 1:2 ack 1 len 1");
    const struct ladder_row *arrival = &ladder.rows[first->other];
    assert_int_equal(arrival->kind, LADDER_ARRIVAL);
    assert_int_equal(arrival->at_ns - first->at_ns, 10 * MS);
    const struct ladder_row *at_once =
        row_of(&ladder, LADDER_ARROW, "PSH,ACK seq 2:11 ack 1 len 9");
    assert_int_equal(at_once->other, at_once - ladder.rows);
    ladder_free(&ladder);
}

static void numbers_are_relative_and_repeats_are_named(void **state)
{
    struct trace_event syn = segment(0, true, 0x02, UINT32_MAX - 1, 0, 0, 0);
    syn.segment.fate = TRACE_DROPPED;
    struct trace_event again = segment(1000 * MS, true, 0x02, UINT32_MAX - 1, 0, 0, 0);
    /* The sequence number wraps between SYN and data. */
    const struct trace_event events[] = {syn, again,
                                         segment(1001 * MS, false, 0x12, 5000, UINT32_MAX, 0, 0),
                                         segment(1002 * MS, true, 0x18, UINT32_MAX, 5001, 10, 0),
                                         segment(1003 * MS, true, 0x10, 9, 5001, 0, 0)};
    struct ladder ladder = built(events, ARRAY_SIZE(events));
    (void)state;
    const struct ladder_row *drop = row_of(&ladder, LADDER_ARROW, "SYN seq 0 win 500 (dropped)");
    assert_int_equal(drop->to, LADDER_AT_WIRE);
    assert_int_equal(drop->tone, LADDER_TROUBLE);
    assert_int_equal(row_of(&ladder, LADDER_ARROW, "SYN seq 0 win 500 again")->tone,
                     LADDER_NOTABLE);
    row_of(&ladder, LADDER_ARROW, "SYN,ACK seq 0 ack 1 win 500");
    row_of(&ladder, LADDER_ARROW, "PSH,ACK seq 1:11 ack 1 len 10");
    row_of(&ladder, LADDER_ARROW, "ACK seq 11 ack 1");
    assert_int_equal(ladder.rows[1].kind, LADDER_GAP);
    assert_true(ladder.rows[1].gap_ns == 1000 * MS);
    ladder_free(&ladder);
}

static void windows_show_when_they_matter(void **state)
{
    struct trace_event events[] = {
        segment(0, true, 0x02, 10, 0, 0, 0),   segment(1, false, 0x12, 20, 11, 0, 0),
        segment(2, true, 0x10, 11, 21, 0, 0),  segment(3, false, 0x10, 21, 11, 0, 0),
        segment(4, false, 0x10, 21, 11, 0, 0), segment(5, false, 0x10, 21, 11, 0, 0),
    };
    (void)state;
    events[0].segment.window_scale = 7;
    events[1].segment.window_scale = 3;
    events[3].segment.window_bytes = 0;
    struct ladder ladder = built(events, ARRAY_SIZE(events));
    assert_string_equal(ladder.rows[1].label, "SYN,ACK seq 0 ack 1 win 500");
    assert_string_equal(ladder.rows[2].label, "ACK seq 1 ack 1");
    assert_string_equal(ladder.rows[3].label, "ACK seq 1 ack 1 win 0");
    assert_string_equal(ladder.rows[4].label, "ACK seq 1 ack 1 win 4000");
    assert_string_equal(ladder.rows[5].label, "ACK seq 1 ack 1");
    ladder_free(&ladder);
}

static void arrows_are_inferred_only_without_segments(void **state)
{
    struct trace_event events[] = {
        stamp(10000, TRACE_QUEUED, 5),          stamp(11000, TRACE_SENT, 5),
        stamp(40 * MS, TRACE_ACKED, 5),         stamp(41 * MS, TRACE_RECEIVED, 90),
        segment(12000, true, 0x18, 1, 1, 5, 0),
    };
    struct ladder ladder = built(events, 4);
    (void)state;
    const struct ladder_row *sent = row_of(&ladder, LADDER_ARROW, "up to byte 5");
    assert_true(sent->inferred);
    assert_int_equal(sent->witness, LADDER_AT_CLIENT);
    assert_int_equal(row_of(&ladder, LADDER_ARROW, "ACK up to byte 5")->from, LADDER_AT_SERVER);
    assert_int_equal(row_of(&ladder, LADDER_ARROW, "up to byte 90")->from, LADDER_AT_SERVER);
    assert_int_equal(ladder.count, 4); /* three arrows, a gap; the queueing says nothing */
    assert_true(ladder.unseen[1]);
    assert_int_equal(ladder.note_count, 1);
    assert_non_null(strstr(ladder.notes[0], "not captured"));
    ladder_free(&ladder);

    ladder = built(events, 5);
    assert_int_equal(ladder.count, 1);
    assert_false(ladder.unseen[1]);
    assert_int_equal(ladder.note_count, 0);
    ladder_free(&ladder);
}

static void a_long_call_keeps_its_side_busy(void **state)
{
    struct trace_event pending = call(50 * MS, TRACE_SERVER, "read", 0, 0);
    pending.call.pending = true;
    pending.call.returned_mono_ns = CLOCK_NONE;
    const struct trace_event events[] = {
        call(1 * MS, TRACE_CLIENT, "write", 5, 1000),
        stamp(20 * MS, TRACE_ACKED, 5),
        call(42 * MS, TRACE_CLIENT, "read", 9, 40 * MS),
        pending,
        stamp(60 * MS, TRACE_ACKED, 6),
    };
    struct ladder ladder = built(events, ARRAY_SIZE(events));
    (void)state;
    assert_false(row_of(&ladder, LADDER_EVENT, "read() …")->busy[0]);
    assert_true(row_of(&ladder, LADDER_ARROW, "ACK up to byte 5")->busy[0]);
    assert_true(row_of(&ladder, LADDER_EVENT, "read() = 9 after 40.0 ms")->busy[0]);
    row_of(&ladder, LADDER_EVENT, "read() has not returned");
    assert_false(row_of(&ladder, LADDER_ARROW, "ACK up to byte 6")->busy[0]);
    assert_true(row_of(&ladder, LADDER_ARROW, "ACK up to byte 6")->busy[1]);
    ladder_free(&ladder);

    /* Nothing happened meanwhile: one row says it. */
    ladder = built(events + 2, 1);
    assert_int_equal(ladder.count, 1);
    assert_false(ladder.rows[0].busy[0]);
    ladder_free(&ladder);
}

static void a_call_stands_before_what_it_sends(void **state)
{
    const struct trace_event events[] = {
        stamp(3000, TRACE_SENT, 5),
        call(9000, TRACE_CLIENT, "write", 5, 8000),
        stamp(20000, TRACE_RECEIVED, 7),
        call(21000, TRACE_CLIENT, "read", 7, 8000),
        segment(0, true, 0x02, 9, 0, 0, 1000),
        call(2000, TRACE_CLIENT, "connect", 0, 2500),
    };
    struct ladder ladder = built(events, 4);
    (void)state;
    assert_string_equal(ladder.rows[0].label, "write() = 5");
    assert_string_equal(ladder.rows[1].label, "up to byte 5");
    assert_string_equal(ladder.rows[3].label, "read() = 7");
    ladder_free(&ladder);
    ladder = built(events + 4, 2);
    assert_string_equal(ladder.rows[0].label, "connect() …");
    assert_string_equal(ladder.rows[1].label, "SYN seq 0 win 500");
    assert_string_equal(ladder.rows[2].label, "connect() = 0");
    ladder_free(&ladder);
}

static void only_the_wanted_connection_is_drawn(void **state)
{
    struct trace_event events[] = {call(0, TRACE_CLIENT, "socket", 3, 0),
                                   call(1, TRACE_CLIENT, "connect", 0, 0),
                                   call(2, TRACE_CLIENT, "write", 1, 0)};
    struct ladder_source source = {.events = events, .count = 3, .connection = 2, .lost = 4};
    struct ladder ladder;
    (void)state;
    events[0].connection = 0;
    events[2].connection = 2;
    assert_int_equal(ladder_build(&ladder, &source, NULL), 0);
    assert_int_equal(ladder.count, 2);
    assert_string_equal(ladder.notes[0], "4 events did not fit and are missing.");
    ladder_free(&ladder);
    source = (struct ladder_source){.events = events, .count = 3, .max_rows = 2};
    assert_int_equal(ladder_build(&ladder, &source, NULL), 0);
    assert_int_equal(ladder.count, 2);
    assert_string_equal(ladder.rows[1].label, "#1 connect() = 0");
    assert_string_equal(ladder.notes[0], "1 later rows are not drawn.");
    ladder_free(&ladder);
}

static void assert_shape(const struct buf *text, const struct report_style *style)
{
    const char *end;

    for (const char *line = buf_str(text); (end = strchr(line, '\n')); line = end + 1) {
        char copy[2048];
        snprintf(copy, sizeof copy, "%.*s", (int)(end - line), line);
        if (text_width(copy) > style->width)
            fail_msg("%d columns, not %d: %s", text_width(copy), style->width, copy);
        for (const char *p = copy; *p; p++)
            if ((unsigned char)*p < 0x20 || (!style->unicode && (unsigned char)*p > 0x7e))
                fail_msg("byte %02x in: %s", (unsigned char)*p, copy);
    }
}

/* Random events with random bytes: whatever a broken or hostile witness may have written into the
 * shared trace is drawn within bounds. */
static void anything_can_be_drawn(void **state)
{
    enum { EVENTS = 60 };
    cleanup(mem) struct trace_event *events = calloc(EVENTS, sizeof *events);
    unsigned seed = 1;
    (void)state;
    assert_non_null(events);
    for (int round = 0; round < 60; round++) {
        for (size_t i = 0; i < EVENTS; i++) {
            for (size_t j = 0; j < sizeof events[i]; j++)
                ((unsigned char *)&events[i])[j] = (unsigned char)(rand_r(&seed) >> 8);
            events[i].kind = (enum trace_kind)(i % (TRACE_MARK + 1));
            events[i].side = (enum trace_side)(i % 3);
            events[i].at_real_ns = T0 + rand_r(&seed) % (100 * MS);
            events[i].connection = (uint32_t)i % 3;
            if (events[i].kind == TRACE_CALL) {
                events[i].call.pending = i % 2;
                events[i].call.entered_mono_ns = 0;
                events[i].call.returned_mono_ns = rand_r(&seed) % (100 * MS);
                events[i].call.entered_real_ns =
                    events[i].at_real_ns - events[i].call.returned_mono_ns;
            } else if (events[i].kind == TRACE_STAMP) {
                events[i].stamp.what = (enum trace_stamp_kind)(i % 4);
            } else if (events[i].kind == TRACE_SEGMENT) {
                events[i].segment.from_client = i % 2;
                events[i].segment.protocol = i % 4 ? IPPROTO_TCP : events[i].segment.protocol;
                events[i].segment.fate = (enum trace_fate)(rand_r(&seed) % 8);
                events[i].segment.departed_real_ns =
                    i % 5 ? events[i].at_real_ns + rand_r(&seed) % (50 * MS) : CLOCK_NONE;
            }
        }
        struct ladder ladder = built(events, EVENTS);
        for (int format = LADDER_TEXT; format < LADDER_FORMATS; format++) {
            struct report_style style = {.width = 60 + round, .unicode = round % 2};
            struct buf out = {0}, table = {0};
            assert_int_equal(ladder_render(&out, (enum ladder_format)format, &ladder, &style, NULL),
                             0);
            if (format == LADDER_TEXT)
                assert_shape(&out, &style);
            struct ladder_source source = {.events = events, .count = EVENTS};
            assert_int_equal(ladder_timeline(&table, &source, &style, NULL), 0);
            assert_shape(&table, &style);
            buf_free(&out);
            buf_free(&table);
        }
        ladder_free(&ladder);
    }
}

static void a_report_without_a_round_says_so(void **state)
{
    struct report report = {0};
    struct trace_strip strip = {0};
    struct error error = {0};
    struct buf out = {0};
    (void)state;
    struct result_probe *probe = &report_add(&report, RESULT_PROBE)->probe;
    assert_int_equal(report_ladder(&out, LADDER_TEXT, &report, NULL, &error), -ENOENT);
    assert_int_equal(report_timeline(&out, &report, NULL, &error), -ENOENT);
    struct trace_event event = call(0, TRACE_CLIENT, "write", 5, 1000);
    trace_strip_append(&strip, &event);
    probe->slow_round = &strip;
    probe->target = "a:1";
    probe->slow_round_ns = 41 * MS;
    assert_int_equal(report_ladder(&out, LADDER_TEXT, &report, NULL, &error), 0);
    assert_non_null(strstr(buf_str(&out), "a:1: one slow round of 41.0 ms"));
    assert_non_null(strstr(buf_str(&out), "write() = 5"));
    buf_free(&out);
    report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_in_order_and_ends_are_linked),
        cmocka_unit_test(numbers_are_relative_and_repeats_are_named),
        cmocka_unit_test(windows_show_when_they_matter),
        cmocka_unit_test(arrows_are_inferred_only_without_segments),
        cmocka_unit_test(a_long_call_keeps_its_side_busy),
        cmocka_unit_test(a_call_stands_before_what_it_sends),
        cmocka_unit_test(only_the_wanted_connection_is_drawn),
        cmocka_unit_test(anything_can_be_drawn),
        cmocka_unit_test(a_report_without_a_round_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
