/* A listener in a namespace, whose queues and counters a test plays, for the tests of what they
 * amount to. */
#ifndef TESTS_LISTENER_PLAY_H
#define TESTS_LISTENER_PLAY_H

#include "base/cleanup.h"
#include "diagnosis/listener.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 128

/* A namespace with one watched listener, that somebody plays. */
struct play {
    struct listener_watch watch;
    struct listener_context context;
    struct listener_counters before, now;
    int64_t at_ns, interval_ns, limit;
    int64_t own; /* the listener's counter */
    bool has_own;
    struct report report;
    struct result_listener *out;
};

static inline void begin(struct play *play)
{
    *play = (struct play){.interval_ns = 100 * NS_PER_MS, .limit = LIMIT, .has_own = true};
    play->context.settings = (struct listener_settings){
        .somaxconn = 4096, .max_syn_backlog = 1024, .syncookies = 1, .abort_on_overflow = 0};
    play->context.alone = true;
    play->at_ns = 5 * NS_PER_SEC;
    for (size_t i = 0; i < LISTENER_COUNTERS; i++)
        play->now.value[i] = 1000 * (int64_t)i; /* history */
    listener_watch_begin(&play->watch);
}

static inline void rise(struct play *play, enum listener_counter counter, int64_t by)
{
    play->now.value[counter] += by;
}

/* At this listener, for a full accept queue. */
static inline void overflow(struct play *play, int64_t count)
{
    rise(play, LISTENER_OVERFLOWS, count);
    rise(play, LISTENER_DROPS, count);
    play->own += count;
}

static inline void sample(struct play *play, int64_t queue, int64_t half_open)
{
    const struct listener_sample taken = {.at_ns = play->at_ns,
                                          .queue = queue,
                                          .limit = play->limit,
                                          .half_open = half_open,
                                          .drops = play->has_own ? play->own : RESULT_UNKNOWN,
                                          .before = &play->before,
                                          .after = &play->now};
    if (!play->watch.samples)
        play->before = play->now;
    assert_true(listener_watch_feed(&play->watch, &taken));
    play->before = play->now;
    play->at_ns += play->interval_ns;
}

static inline void samples(struct play *play, int64_t queue, int count)
{
    for (int i = 0; i < count; i++)
        sample(play, queue, 0);
}

static inline void bursts(struct play *play)
{
    for (int i = 0; i < 4; i++) {
        samples(play, 0, 8);
        overflow(play, 40);
        rise(play, LISTENER_PASSIVE_OPENS, play->limit + 1);
        sample(play, play->limit + 1, 0);
        sample(play, 3, 0);
    }
    samples(play, 0, 5);
}

static inline void conclude(struct play *play)
{
    struct result *result = report_add(&play->report, RESULT_LISTENER);

    assert_non_null(result);
    play->out = &result->listener;
    play->out->listener = "0.0.0.0:80";
    listener_conclude(&play->watch, &play->context, play->out, &play->report);
    play->report.verdict = finding_verdict(&play->report.findings);
}

static inline void end(struct play *play)
{
    report_free(&play->report);
}

static inline const struct finding *found(const struct play *play, enum finding_code code)
{
    for (size_t i = 0; i < play->report.findings.count; i++)
        if (play->report.findings.items[i].code == code)
            return &play->report.findings.items[i];
    return NULL;
}

static inline void assert_code(const struct play *play, enum finding_code code)
{
    assert_string_equal(finding_entry(play->report.verdict)->name, finding_entry(code)->name);
    assert_int_equal(play->out->ok, code == FINDING_NONE);
    assert_int_equal(play->out->error.code, code);
}

static inline void assert_binds(const struct play *play, const char *what)
{
    if (!what)
        assert_null(play->out->binds);
    else if (!play->out->binds)
        fail_msg("nothing binds, instead of %s", what);
    else
        assert_string_equal(play->out->binds, what);
}

static inline void assert_says(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("'%s' is missing in: %s", part, text ? text : "nothing");
}

#endif
