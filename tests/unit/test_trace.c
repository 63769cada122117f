#include "trace/trace.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct trace_event mark(int64_t at, const char *text)
{
    struct trace_event event = {.at_real_ns = at, .kind = TRACE_MARK};
    strncpy(event.text, text, TRACE_TEXT_MAX - 1);
    return event;
}

static void events_come_back_by_time(void **state)
{
    struct trace *trace;
    struct trace_event *events;
    size_t count;
    (void)state;
    assert_int_equal(trace_open(&trace, 16, NULL), 0);
    assert_int_equal(trace_read(trace, &events, &count, NULL), 0);
    assert_null(events);
    trace_append(trace, &(struct trace_event){.at_real_ns = 30, .kind = TRACE_MARK});
    for (int i = 0; i < 2; i++) {
        struct trace_event same = mark(20, i ? "second" : "first");
        trace_append(trace, &same);
    }
    assert_int_equal(trace_read(trace, &events, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_string_equal(events[0].text, "first");
    assert_string_equal(events[1].text, "second");
    assert_true(events[2].at_real_ns == 30);
    free(events);
    trace_close(trace);
}

static void a_full_trace_counts_what_it_drops(void **state)
{
    struct trace *trace;
    struct trace_event event = mark(1, "x"), *events;
    size_t count;
    (void)state;
    assert_int_equal(trace_open(&trace, 4, NULL), 0);
    for (int i = 0; i < 7; i++)
        trace_append(trace, &event);
    assert_int_equal(trace_dropped(trace), 3);
    assert_int_equal(trace_read(trace, &events, &count, NULL), 0);
    assert_int_equal(count, 4);
    free(events);
    trace_append(NULL, &event);
    trace_close(trace);
    trace_close(NULL);
}

static void a_writer_that_dies_leaves_a_hole(void **state)
{
    struct trace *trace;
    struct trace_event *events, after = mark(2, "after");
    size_t count;
    int status;
    (void)state;
    assert_int_equal(trace_open(&trace, 16, NULL), 0);
    pid_t pid = fork();
    if (!pid) {
        struct trace_event before = mark(1, "before");
        trace_append(trace, &before);
        trace_reserve(trace);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    trace_append(trace, &after);
    assert_int_equal(trace_reserved(trace), 3);
    assert_null(trace_slot(trace, 1));
    assert_int_equal(trace_read(trace, &events, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_string_equal(events[0].text, "before");
    assert_string_equal(events[1].text, "after");
    free(events);
    trace_close(trace);
}

static void several_processes_write_at_once(void **state)
{
    enum { WRITERS = 4, EACH = 1000 };
    struct trace *trace;
    struct trace_event *events;
    size_t count;
    int seen[WRITERS] = {0};
    (void)state;
    assert_int_equal(trace_open(&trace, WRITERS * EACH, NULL), 0);
    for (int w = 0; w < WRITERS; w++)
        if (!fork()) {
            for (int i = 0; i < EACH; i++) {
                struct trace_event event = mark(i, "w");
                event.connection = (uint32_t)w;
                trace_append(trace, &event);
            }
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    assert_int_equal(trace_read(trace, &events, &count, NULL), 0);
    assert_int_equal(count, WRITERS * EACH);
    for (size_t i = 0; i < count; i++)
        seen[events[i].connection]++;
    for (int w = 0; w < WRITERS; w++)
        assert_int_equal(seen[w], EACH);
    free(events);
    trace_close(trace);
}

static void a_strip_is_bounded(void **state)
{
    static struct trace_strip strip;
    struct trace_event event = mark(1, "x");
    (void)state;
    for (int i = 0; i < TRACE_STRIP_MAX + 5; i++)
        trace_strip_append(&strip, &event);
    assert_int_equal(strip.count, TRACE_STRIP_MAX);
    assert_int_equal(strip.dropped, 5);
    trace_strip_reset(&strip);
    assert_int_equal(strip.count, 0);
    trace_strip_append(NULL, &event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_back_by_time),
        cmocka_unit_test(a_full_trace_counts_what_it_drops),
        cmocka_unit_test(a_writer_that_dies_leaves_a_hole),
        cmocka_unit_test(several_processes_write_at_once),
        cmocka_unit_test(a_strip_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
