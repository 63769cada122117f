/* What a listener's queues and counters amount to: made-up shapes, each with the verdict that a
 * person who knows the kernel would give. */
#include "listener_play.h"

/* ---- nothing wrong ---- */

static void a_quiet_listener_is_ok(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 50);
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    assert_int_equal(play.out->drops.most, 0);
    assert_int_equal(play.out->arrived.most, 0);
    assert_int_equal(play.out->accept_queue.capacity, LIMIT + 1);
    assert_int_equal(play.out->watched_ns, 4900 * NS_PER_MS);
    assert_int_equal(play.out->closed_ns, RESULT_UNKNOWN);
    end(&play);
}

static void a_busy_listener_is_ok(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    for (int i = 0; i < 100; i++) {
        rise(&play, LISTENER_PASSIVE_OPENS, 500);
        sample(&play, i % 7, i % 3);
    }
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    assert_int_equal(play.out->arrived.least, 99 * 500);
    assert_int_equal(play.out->accepted.least, 99 * 500 - 99 % 7);
    assert_int_equal(play.out->half_open.most, 2);
    end(&play);
}

/* A queue that was full for a moment, and lost nobody. */
static void full_without_a_loss_is_only_noted(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 10);
    rise(&play, LISTENER_PASSIVE_OPENS, 5000);
    samples(&play, LIMIT + 1, 1);
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    assert_int_equal(play.out->note_count, 1);
    assert_says(play.out->notes[0], "nothing was dropped");
    end(&play);
}

/* ---- the accept queue ---- */

static void bursts_that_drain_need_a_longer_backlog(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    bursts(&play);
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, "backlog");
    assert_says(play.out->setting, "listen(…, 256)"); /* 129 that fitted and 40 that did not */
    assert_int_equal(found(&play, FINDING_ACCEPT_QUEUE_OVERFLOW)->count, 160);
    assert_says(found(&play, FINDING_ACCEPT_QUEUE_OVERFLOW)->summary, "drained within 200 ms");
    end(&play);
}

/* Shorter than the interval: no sample ever sees the queue full. */
static void bursts_between_samples_count_as_such(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 10);
    overflow(&play, 7);
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, "backlog");
    end(&play);
}

static void somaxconn_binds_where_the_limit_equals_it(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.context.settings.somaxconn = LIMIT;
    bursts(&play);
    conclude(&play);
    assert_binds(&play, "somaxconn");
    assert_says(play.out->setting, "net.core.somaxconn=256");
    end(&play);
    begin(&play);
    play.context.settings.somaxconn = 200; /* the backlog binds, but 256 needs both */
    bursts(&play);
    conclude(&play);
    assert_binds(&play, "backlog");
    assert_says(play.out->setting, "net.core.somaxconn=256");
    end(&play);
}

static void an_application_that_never_accepts_is_named(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 3);
    rise(&play, LISTENER_PASSIVE_OPENS, LIMIT + 1);
    overflow(&play, 20);
    for (int i = 0; i < 30; i++) {
        if (i % 10 == 9)
            overflow(&play, 20);
        sample(&play, LIMIT + 1, 0);
    }
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, "application");
    assert_says(found(&play, FINDING_ACCEPT_QUEUE_OVERFLOW)->summary,
                "The application accepted none");
    assert_null(found(&play, FINDING_SLOW_ACCEPT));
    end(&play);
}

/* Never full twice in a row, but never drained either. */
static void an_application_that_is_too_slow_is_named(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 3);
    for (int i = 0; i < 40; i++) {
        rise(&play, LISTENER_PASSIVE_OPENS, 10);
        overflow(&play, 5);
        sample(&play, LIMIT + 1 - i % 2 * 60, 0);
    }
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, "application");
    end(&play);
}

static void an_overflow_that_is_not_seen_whole_is_undecided(void **state)
{
    struct play play;

    (void)state;
    begin(&play); /* the watch ends too soon */
    samples(&play, 0, 10);
    rise(&play, LISTENER_PASSIVE_OPENS, LIMIT + 10);
    overflow(&play, 20);
    samples(&play, LIMIT + 1, 5);
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, NULL);
    assert_says(found(&play, FINDING_ACCEPT_QUEUE_OVERFLOW)->summary, "is not clear");
    end(&play);
    begin(&play); /* it began too late */
    samples(&play, LIMIT + 1, 2);
    overflow(&play, 20);
    samples(&play, LIMIT + 1, 2);
    samples(&play, 0, 20);
    conclude(&play);
    assert_binds(&play, NULL);
    end(&play);
    begin(&play); /* samples are too far apart */
    play.interval_ns = 2 * NS_PER_SEC;
    samples(&play, 0, 5);
    overflow(&play, 20);
    samples(&play, 0, 5);
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, NULL);
    end(&play);
}

static void both_kinds_of_overflow_are_undecided(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    bursts(&play);
    overflow(&play, 160);
    samples(&play, LIMIT + 1, 15);
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, NULL);
    end(&play);
}

/* Clients whose SYN was dropped come again after a second, all at once: the queue fills each time,
 * and drains at once. Samples that see nothing else must not make a slow application of it. */
static void samples_in_step_with_the_retransmissions_decide_nothing(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.interval_ns = NS_PER_SEC;
    sample(&play, 0, 0);
    for (int i = 0; i < 5; i++) {
        overflow(&play, 50);
        rise(&play, LISTENER_PASSIVE_OPENS, LIMIT + 1);
        sample(&play, LIMIT + 1, 0);
    }
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, NULL);
    end(&play);
    begin(&play); /* the same, but nobody accepts: the counters decide */
    play.interval_ns = NS_PER_SEC;
    sample(&play, 0, 0);
    rise(&play, LISTENER_PASSIVE_OPENS, LIMIT + 1);
    for (int i = 0; i < 5; i++) {
        overflow(&play, 50);
        sample(&play, LIMIT + 1, 0);
    }
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, "application");
    end(&play);
}

/* ---- waiting, closing, odd input ---- */

static void waiting_without_a_loss_is_told(void **state)
{
    struct play play;

    (void)state;
    begin(&play); /* ten wait, nobody accepts */
    samples(&play, 10, 50);
    conclude(&play);
    assert_code(&play, FINDING_SLOW_ACCEPT);
    assert_int_equal(play.out->accepted.most, 0);
    assert_true(play.out->wait_ns == 4900 * NS_PER_MS);
    end(&play);
    begin(&play); /* the same, while others are busy: it never became shorter */
    play.context.alone = false;
    rise(&play, LISTENER_PASSIVE_OPENS, 1);
    for (int i = 0; i < 50; i++) {
        rise(&play, LISTENER_PASSIVE_OPENS, 10000);
        sample(&play, 10, 0);
    }
    conclude(&play);
    assert_code(&play, FINDING_SLOW_ACCEPT);
    end(&play);
    begin(&play); /* a queue that stays the same for half a second, and shrinks again */
    for (int i = 0; i < 50; i++) {
        rise(&play, LISTENER_PASSIVE_OPENS, 1000);
        sample(&play, i % 5 ? 3 : 2, 0);
    }
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    end(&play);
}

static void a_closed_listener_is_told(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    rise(&play, LISTENER_PASSIVE_OPENS, 1);
    samples(&play, 2, 5);
    rise(&play, LISTENER_PASSIVE_OPENS, 100);
    samples(&play, 0, 5);
    listener_watch_close(&play.watch, play.at_ns);
    conclude(&play);
    assert_code(&play, FINDING_LISTENER_CLOSED);
    assert_int_equal(play.out->closed_ns, NS_PER_SEC);
    end(&play);
    begin(&play); /* a restart that lost nobody */
    samples(&play, 0, 5);
    listener_watch_close(&play.watch, play.at_ns);
    play.context.replaced = true;
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    assert_int_equal(found(&play, FINDING_LISTENER_CLOSED)->severity, FINDING_INFO);
    end(&play);
}

static void a_watch_of_one_sample_says_nothing(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.own = 5000; /* history */
    sample(&play, LIMIT + 1, LIMIT + 1);
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    assert_int_equal(play.out->watched_ns, 0);
    end(&play);
}

static void unknown_counters_are_not_zero(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    for (size_t i = 0; i < LISTENER_COUNTERS; i++)
        play.now.value[i] = RESULT_UNKNOWN;
    play.context.settings =
        (struct listener_settings){RESULT_UNKNOWN, RESULT_UNKNOWN, RESULT_UNKNOWN, RESULT_UNKNOWN};
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    assert_int_equal(play.out->drops.most, RESULT_UNKNOWN);
    assert_int_equal(play.out->arrived.most, RESULT_UNKNOWN);
    assert_int_equal(play.out->wait_ns, RESULT_UNKNOWN);
    end(&play);
}

static void samples_that_do_not_fit_are_left_out(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 1, 2);
    struct listener_sample bad = {.at_ns = play.at_ns - 2 * play.interval_ns,
                                  .queue = 1,
                                  .limit = 1,
                                  .before = &play.before,
                                  .after = &play.now};
    assert_false(listener_watch_feed(&play.watch, &bad));
    bad.at_ns = play.at_ns;
    bad.queue = -1;
    assert_false(listener_watch_feed(&play.watch, &bad));
    assert_int_equal(play.watch.samples, 2);
    end(&play);
}

/* However long the watch, the chart has at most its columns, and keeps the peaks. */
static void the_chart_grows_coarser(void **state)
{
    struct play play;
    int64_t most = 0, drops = 0;

    (void)state;
    begin(&play);
    for (int i = 0; i < 10000; i++) {
        if (i == 7777)
            overflow(&play, 5);
        sample(&play, i == 3333 ? 99 : 1, 0);
    }
    conclude(&play);
    assert_in_range(play.out->chart_count, LISTENER_COLUMNS / 2, LISTENER_COLUMNS);
    for (size_t i = 0; i < play.out->chart_count; i++) {
        most = play.out->chart[i].most > most ? play.out->chart[i].most : most;
        drops += play.out->chart[i].drops;
    }
    assert_int_equal(most, 99);
    assert_int_equal(drops, 5);
    end(&play);
}

static void counters_are_read(void **state)
{
    static const char netstat[] = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\n"
                                  "TcpExt: 3 4 5\n"
                                  "IpExt: InNoRoutes\nIpExt: 9\n";
    static const char snmp[] = "Tcp: RtoAlgorithm PassiveOpens\nTcp: 1 77\n";
    struct listener_counters counters, later;

    (void)state;
    listener_counters_read(&counters, netstat, snmp);
    assert_int_equal(counters.value[LISTENER_COOKIES_SENT], 3);
    assert_int_equal(counters.value[LISTENER_OVERFLOWS], 4);
    assert_int_equal(counters.value[LISTENER_DROPS], 5);
    assert_int_equal(counters.value[LISTENER_SYN_DROPS], RESULT_UNKNOWN);
    assert_int_equal(counters.value[LISTENER_PASSIVE_OPENS], 77);
    later = counters;
    later.value[LISTENER_DROPS] = 4; /* counters do not fall: somebody moved us elsewhere */
    assert_int_equal(listener_rise(&counters, &later, LISTENER_DROPS), RESULT_UNKNOWN);
    listener_counters_read(&counters, NULL, "\xff\x00 Tcp:");
    for (size_t i = 0; i < LISTENER_COUNTERS; i++)
        assert_int_equal(counters.value[i], RESULT_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_listener_is_ok),
        cmocka_unit_test(a_busy_listener_is_ok),
        cmocka_unit_test(full_without_a_loss_is_only_noted),
        cmocka_unit_test(bursts_that_drain_need_a_longer_backlog),
        cmocka_unit_test(bursts_between_samples_count_as_such),
        cmocka_unit_test(somaxconn_binds_where_the_limit_equals_it),
        cmocka_unit_test(an_application_that_never_accepts_is_named),
        cmocka_unit_test(an_application_that_is_too_slow_is_named),
        cmocka_unit_test(an_overflow_that_is_not_seen_whole_is_undecided),
        cmocka_unit_test(both_kinds_of_overflow_are_undecided),
        cmocka_unit_test(samples_in_step_with_the_retransmissions_decide_nothing),
        cmocka_unit_test(waiting_without_a_loss_is_told),
        cmocka_unit_test(a_closed_listener_is_told),
        cmocka_unit_test(a_watch_of_one_sample_says_nothing),
        cmocka_unit_test(unknown_counters_are_not_zero),
        cmocka_unit_test(samples_that_do_not_fit_are_left_out),
        cmocka_unit_test(the_chart_grows_coarser),
        cmocka_unit_test(counters_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
