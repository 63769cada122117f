/* Whose the dropped connections are that a namespace counts, and those of the SYN queue. */
#include "listener_play.h"

/* ---- whose drops are they? ---- */

static void the_drops_of_others_are_not_this_listeners(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.context.alone = false;
    play.context.others_drops = 50;
    samples(&play, 0, 10);
    rise(&play, LISTENER_OVERFLOWS, 50);
    rise(&play, LISTENER_DROPS, 50);
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    assert_int_equal(play.out->drops.most, 0);
    end(&play);
}

/* A listener's own counter rises for stray RSTs, too. */
static void stray_segments_are_no_drops(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 10);
    play.own += 500;
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    end(&play);
    /* Not even together with another listener's overflows, unless they come at the same time. */
    begin(&play);
    play.context.alone = false;
    play.context.others_drops = 30;
    samples(&play, 0, 10);
    play.own += 500;
    samples(&play, 0, 10);
    rise(&play, LISTENER_OVERFLOWS, 30);
    rise(&play, LISTENER_DROPS, 30);
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    end(&play);
    begin(&play);
    play.context.alone = false;
    play.context.others_drops = 30;
    samples(&play, 0, 10);
    play.own += 500;
    rise(&play, LISTENER_OVERFLOWS, 30);
    rise(&play, LISTENER_DROPS, 30);
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_INCONCLUSIVE);
    assert_int_equal(play.out->drops.least, 0);
    assert_int_equal(play.out->drops.most, 30);
    end(&play);
}

/* The others can account for some of the drops only. */
static void what_the_others_cannot_account_for_is_ours(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.context.alone = false;
    play.context.others_drops = 10;
    samples(&play, 0, 10);
    overflow(&play, 20);
    rise(&play, LISTENER_OVERFLOWS, 10);
    rise(&play, LISTENER_DROPS, 10);
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_int_equal(play.out->overflows.least, 20);
    end(&play);
}

/* Nobody knows the others' drops, but the queue was seen full while both counters rose. */
static void a_full_queue_speaks_for_itself(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.context.alone = false;
    play.context.others_drops = RESULT_UNKNOWN;
    samples(&play, 0, 5);
    for (int i = 0; i < 20; i++) {
        overflow(&play, 2);
        sample(&play, LIMIT + 1, 0);
    }
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, "application");
    assert_says(found(&play, FINDING_ACCEPT_QUEUE_OVERFLOW)->summary, "up to 40");
    end(&play);
}

static void without_a_counter_of_its_own_several_listeners_are_not_told_apart(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.has_own = false;
    play.context.alone = false;
    play.context.others_drops = RESULT_UNKNOWN;
    samples(&play, 0, 5);
    overflow(&play, 20);
    samples(&play, 0, 5);
    conclude(&play);
    assert_code(&play, FINDING_INCONCLUSIVE);
    end(&play);
    begin(&play);
    play.has_own = false;
    bursts(&play);
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_binds(&play, "backlog");
    assert_int_equal(play.out->overflows.least, 160);
    end(&play);
}

/* Drops without overflows: neither queue. */
static void drops_of_another_kind_are_not_explained(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 10);
    rise(&play, LISTENER_DROPS, 19);
    play.own += 19;
    samples(&play, 0, 10);
    conclude(&play);
    assert_code(&play, FINDING_INCONCLUSIVE);
    assert_says(found(&play, FINDING_INCONCLUSIVE)->summary, "a queue was full");
    end(&play);
}

/* ---- the SYN queue ---- */

static void syn_drops(struct play *play)
{
    samples(play, 0, 5);
    for (int i = 0; i < 10; i++) {
        rise(play, LISTENER_DROPS, 30);
        rise(play, LISTENER_SYN_DROPS, 30);
        play->own += 30;
        sample(play, 0, play->limit + 1);
    }
}

static void dropped_syns_are_named(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.context.settings.syncookies = 0;
    syn_drops(&play);
    conclude(&play);
    assert_code(&play, FINDING_SYN_QUEUE_OVERFLOW);
    assert_binds(&play, "backlog");
    assert_says(found(&play, FINDING_SYN_QUEUE_OVERFLOW)->remedy, "tcp_syncookies=1");
    assert_int_equal(found(&play, FINDING_SYN_QUEUE_OVERFLOW)->count, 300);
    end(&play);
}

/* Three quarters of tcp_max_syn_backlog are less than the listener's limit. */
static void tcp_max_syn_backlog_binds_without_cookies(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.limit = 4096;
    play.context.settings.syncookies = 0;
    samples(&play, 0, 5);
    for (int i = 0; i < 10; i++) {
        rise(&play, LISTENER_DROPS, 30);
        play.own += 30;
        sample(&play, 0, 768);
    }
    conclude(&play);
    assert_code(&play, FINDING_SYN_QUEUE_OVERFLOW);
    assert_binds(&play, "tcp_max_syn_backlog");
    assert_says(play.out->setting, "tcp_max_syn_backlog=2048");
    end(&play);
}

static void cookies_are_named(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 5);
    for (int i = 0; i < 10; i++) {
        rise(&play, LISTENER_SYN_COOKIES, 8);
        rise(&play, LISTENER_COOKIES_SENT, 8);
        sample(&play, 2, LIMIT + 1);
    }
    conclude(&play);
    assert_code(&play, FINDING_SYN_QUEUE_OVERFLOW);
    assert_says(found(&play, FINDING_SYN_QUEUE_OVERFLOW)->summary, "80 answered with cookies");
    end(&play);
}

/* With tcp_syncookies 2 every SYN counts. */
static void cookies_for_everybody_say_nothing(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.context.settings.syncookies = 2;
    samples(&play, 0, 5);
    rise(&play, LISTENER_SYN_COOKIES, 80);
    rise(&play, LISTENER_COOKIES_SENT, 80);
    samples(&play, 0, 5);
    conclude(&play);
    listener_conclude_namespace(&play.watch.from, &play.watch.to, &play.context.settings,
                                &play.report);
    assert_code(&play, FINDING_NONE);
    assert_int_equal(play.report.findings.count, 0);
    end(&play);
}

/* Cookies of a namespace with several listeners: this one's only if it was at its limit. */
static void cookies_of_somebody_are_not_this_listeners(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    play.context.alone = false;
    samples(&play, 0, 5);
    rise(&play, LISTENER_SYN_COOKIES, 80);
    samples(&play, 0, 5);
    conclude(&play);
    assert_code(&play, FINDING_NONE);
    listener_conclude_namespace(&play.watch.from, &play.watch.to, &play.context.settings,
                                &play.report);
    assert_non_null(found(&play, FINDING_INCONCLUSIVE));
    end(&play);
    begin(&play);
    play.context.alone = false;
    samples(&play, 0, 5);
    sample(&play, 0, LIMIT + 1);
    rise(&play, LISTENER_SYN_COOKIES, 80);
    sample(&play, 0, LIMIT + 1);
    samples(&play, 0, 5);
    conclude(&play);
    listener_conclude_namespace(&play.watch.from, &play.watch.to, &play.context.settings,
                                &play.report);
    assert_code(&play, FINDING_SYN_QUEUE_OVERFLOW);
    assert_null(found(&play, FINDING_INCONCLUSIVE));
    end(&play);
}

/* Behind a full accept queue handshakes can't end, and the SYN queue fills up, too. */
static void a_syn_queue_behind_a_full_accept_queue_is_no_cause(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    samples(&play, 0, 3);
    for (int i = 0; i < 20; i++) {
        overflow(&play, 3);
        rise(&play, LISTENER_SYN_COOKIES, 3);
        sample(&play, LIMIT + 1, LIMIT + 1);
    }
    conclude(&play);
    assert_code(&play, FINDING_ACCEPT_QUEUE_OVERFLOW);
    assert_null(found(&play, FINDING_SYN_QUEUE_OVERFLOW));
    assert_says(play.out->notes[0], "a consequence");
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_drops_of_others_are_not_this_listeners),
        cmocka_unit_test(stray_segments_are_no_drops),
        cmocka_unit_test(what_the_others_cannot_account_for_is_ours),
        cmocka_unit_test(a_full_queue_speaks_for_itself),
        cmocka_unit_test(without_a_counter_of_its_own_several_listeners_are_not_told_apart),
        cmocka_unit_test(drops_of_another_kind_are_not_explained),
        cmocka_unit_test(dropped_syns_are_named),
        cmocka_unit_test(tcp_max_syn_backlog_binds_without_cookies),
        cmocka_unit_test(cookies_are_named),
        cmocka_unit_test(cookies_for_everybody_say_nothing),
        cmocka_unit_test(cookies_of_somebody_are_not_this_listeners),
        cmocka_unit_test(a_syn_queue_behind_a_full_accept_queue_is_no_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
