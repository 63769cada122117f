/* The model of the kernel's schedules, against what Linux 6.18 was seen to do and what
 * Documentation/networking/ip-sysctl.rst says of it. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "diagnosis/kernel_timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S  NS_PER_SEC
#define MS NS_PER_MS

static void assert_seconds(const struct kernel_timers *schedule, const int64_t *seconds,
                           size_t count)
{
    assert_int_equal(schedule->sent_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(schedule->sent_ns[i], seconds[i] * S);
}

#define assert_sent_at(schedule, ...)                                                              \
    do {                                                                                           \
        const int64_t wanted_[] = {__VA_ARGS__};                                                   \
        assert_seconds(schedule, wanted_, ARRAY_SIZE(wanted_));                                    \
    } while (0)

/* A measured time: what the kernel did can only be later than planned, and not much. */
static void assert_explains(int64_t planned_ns, int64_t measured_ns)
{
    assert_in_range(measured_ns, planned_ns,
                    kernel_timers_latest_ns(&kernel_timers_defaults, planned_ns));
}

static void a_connect_fails_after_131_seconds(void **state)
{
    struct kernel_timers schedule;

    (void)state;
    kernel_timers_connect(&schedule, &kernel_timers_defaults, NULL);
    assert_sent_at(&schedule, 0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67);
    assert_int_equal(schedule.failed_ns, 131 * S);
    assert_explains(schedule.failed_ns, 134 * S);
}

static void without_linear_timeouts_after_127(void **state)
{
    struct kernel_timers_settings old = kernel_timers_defaults;
    struct kernel_timers schedule;

    (void)state;
    old.syn_linear_timeouts = 0;
    kernel_timers_connect(&schedule, &old, NULL);
    assert_sent_at(&schedule, 0, 1, 3, 7, 15, 31, 63);
    assert_int_equal(schedule.failed_ns, 127 * S);
}

/* The time of so many doublings decides before the count does. */
static void a_small_count_of_syns_is_a_time(void **state)
{
    static const struct {
        int64_t count, measured_ms;
        size_t sent;
    } seen[] = {{1, 3100, 3}, {2, 7100, 6}, {3, 19400, 8}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
        struct kernel_timers_socket socket = {.syn_count = seen[i].count};
        struct kernel_timers schedule;
        kernel_timers_connect(&schedule, &kernel_timers_defaults, &socket);
        assert_int_equal(schedule.sent_count, seen[i].sent);
        assert_explains(schedule.failed_ns, seen[i].measured_ms * MS);
    }
}

static void a_user_timeout_ends_a_connect_after_the_first_timer(void **state)
{
    static const struct {
        int64_t timeout_ms, planned_ms, measured_ms;
    } seen[] = {{500, 1004, 1030}, {2500, 2500, 2530}, {10000, 10000, 10180}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
        struct kernel_timers_socket socket = {.user_timeout_ns = seen[i].timeout_ms * MS};
        struct kernel_timers schedule;
        kernel_timers_connect(&schedule, &kernel_timers_defaults, &socket);
        assert_int_equal(schedule.failed_ns, seen[i].planned_ms * MS);
        assert_explains(schedule.failed_ns, seen[i].measured_ms * MS);
    }
}

static void the_longest_wait_bounds_the_syns_too(void **state)
{
    struct kernel_timers_settings settings = kernel_timers_defaults;
    struct kernel_timers schedule;

    (void)state;
    settings.rto_max_ns = 4 * S;
    settings.syn_retries = 4;
    settings.syn_linear_timeouts = 0;
    kernel_timers_connect(&schedule, &settings, NULL);
    assert_sent_at(&schedule, 0, 1, 3, 7, 11);
    assert_int_equal(schedule.failed_ns, 15 * S);
}

static void a_half_open_request_is_forgotten_after_63_seconds(void **state)
{
    struct kernel_timers schedule;

    (void)state;
    kernel_timers_accept(&schedule, &kernel_timers_defaults);
    assert_sent_at(&schedule, 0, 1, 3, 7, 15, 31);
    assert_int_equal(schedule.failed_ns, 63 * S);
}

static void retries2_is_924_6_seconds(void **state)
{
    struct kernel_timers_settings settings = kernel_timers_defaults;
    struct kernel_timers schedule;

    (void)state;
    assert_int_equal(kernel_timers_retries_ns(&settings, 15), 924600 * MS);
    assert_int_equal(kernel_timers_retries_ns(&settings, 8), 102200 * MS);
    assert_int_equal(kernel_timers_retries_ns(&settings, 3), 3000 * MS);
    assert_int_equal(kernel_timers_retries_ns(&settings, 0), 200 * MS);
    kernel_timers_send(&schedule, &settings, NULL);
    assert_in_range(schedule.failed_ns, 924600 * MS, 930000 * MS);
    /* RFC 1122 asks for at least 100 s; 8 is the smallest setting that gives them. */
    settings.retries2 = 8;
    kernel_timers_send(&schedule, &settings, NULL);
    assert_in_range(schedule.failed_ns, 102200 * MS, 105000 * MS);
}

static void a_lower_longest_wait_shortens_retries2(void **state)
{
    struct kernel_timers_settings settings = kernel_timers_defaults;
    struct kernel_timers schedule;

    (void)state;
    settings.rto_max_ns = 1 * S;
    /* 0.2, 0.4, 0.8, then a second each: (8 - 1) * 0.2 + 13 * 1. */
    assert_int_equal(kernel_timers_retries_ns(&settings, 15), 14400 * MS);
    kernel_timers_send(&schedule, &settings, NULL);
    assert_in_range(schedule.failed_ns, 14400 * MS, 16000 * MS);
}

/* As seen when a host crashed: a tail-loss probe, then retransmissions with back-off. */
static void retransmissions_come_when_they_were_seen(void **state)
{
    static const int64_t seen_ms[] = {0, 210, 420, 840, 1670, 3300, 6700, 13300};
    struct kernel_timers schedule;

    (void)state;
    kernel_timers_send(&schedule, &kernel_timers_defaults, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(seen_ms); i++)
        assert_explains(schedule.sent_ns[i], seen_ms[i] * MS);
    for (size_t i = 1; i < schedule.sent_count; i++)
        assert_true(schedule.sent_ns[i] > schedule.sent_ns[i - 1]);
    assert_true(schedule.failed_ns > schedule.sent_ns[schedule.sent_count - 1]);
}

static void a_user_timeout_runs_from_the_first_retransmission(void **state)
{
    struct kernel_timers_socket socket = {.user_timeout_ns = 3 * S};
    struct kernel_timers schedule;

    (void)state;
    kernel_timers_send(&schedule, &kernel_timers_defaults, &socket);
    assert_int_equal(schedule.failed_ns, 3408 * MS);
    assert_explains(schedule.failed_ns, 3420 * MS);
}

/* RFC 6069 as Linux has it: as seen over 103 s, when a router answered every segment. */
static void an_unreachable_host_undoes_the_back_off(void **state)
{
    struct kernel_timers_settings settings = kernel_timers_defaults;
    struct kernel_timers_socket socket = {.rtt_ns = 60 * MS, .unreachable_v4 = true};
    struct kernel_timers schedule;

    (void)state;
    settings.retries2 = 2;
    kernel_timers_send(&schedule, &settings, &socket);
    assert_int_equal(schedule.sent_count, 8);
    for (size_t i = 1; i < schedule.sent_count; i++)
        assert_int_equal(schedule.sent_ns[i] - schedule.sent_ns[i - 1], 264 * MS);
    assert_int_equal(schedule.failed_ns, 8 * 264 * MS);
    /* After 256 of them the kernel's counter is 0 again, and one back-off stays. */
    settings.retries2 = 8;
    kernel_timers_send(&schedule, &settings, &socket);
    assert_in_range(schedule.sent_count, 321, 325);
    assert_int_equal(schedule.sent_ns[259] - schedule.sent_ns[258], 2 * 264 * MS);
    assert_in_range(schedule.failed_ns, 102728 * MS, 104 * S);
}

/* A round trip of 800 ms that was measured once: 0.8 s, and four times half of it. */
static void a_known_timeout_is_not_computed(void **state)
{
    struct kernel_timers_settings settings = kernel_timers_defaults;
    struct kernel_timers_socket socket = {.rtt_ns = 800 * MS, .rto_ns = 2400 * MS};
    struct kernel_timers schedule;

    (void)state;
    settings.tail_loss_probe = false;
    kernel_timers_send(&schedule, &settings, &socket);
    assert_int_equal(schedule.sent_ns[1], 2400 * MS);
    assert_int_equal(schedule.sent_ns[2], 3 * 2400 * MS);
    socket.rto_ns = 500 * S;
    kernel_timers_send(&schedule, &settings, &socket);
    assert_int_equal(schedule.sent_ns[1], 120 * S);
}

static void an_orphan_lasts_for_a_hundred_seconds(void **state)
{
    struct kernel_timers_settings settings = kernel_timers_defaults;
    struct kernel_timers schedule;

    (void)state;
    kernel_timers_orphan(&schedule, &settings, NULL);
    assert_explains(schedule.failed_ns, 107 * S);
    settings.orphan_retries = 1;
    kernel_timers_orphan(&schedule, &settings, NULL);
    /* 600 ms since the first retransmission, looked at when one is due: 408 + 408 + 816. */
    assert_int_equal(schedule.failed_ns, 1632 * MS);
    /* With the back-off at its end the kernel takes it for dead: 0 is 0 then. */
    settings.orphan_retries = 0;
    settings.rto_max_ns = 1 * S;
    kernel_timers_orphan(&schedule, &settings, NULL);
    assert_in_range(schedule.failed_ns, 1000 * MS, 3000 * MS);
}

static void keepalive_gives_up_after_two_hours_and_eleven_minutes(void **state)
{
    struct kernel_timers_socket quick = {
        .keepalive_time_ns = 2 * S, .keepalive_intvl_ns = 1 * S, .keepalive_probes = 3};
    struct kernel_timers schedule;

    (void)state;
    kernel_timers_keepalive(&schedule, &kernel_timers_defaults, NULL);
    assert_int_equal(schedule.sent_count, 9);
    assert_int_equal(schedule.failed_ns, (7200 + 75 * 9) * S);
    kernel_timers_keepalive(&schedule, &kernel_timers_defaults, &quick);
    assert_sent_at(&schedule, 2, 3, 4);
    assert_int_equal(schedule.failed_ns, 5 * S);
    /* A user timeout takes the place of the count. */
    quick.user_timeout_ns = 1 * S;
    kernel_timers_keepalive(&schedule, &kernel_timers_defaults, &quick);
    assert_sent_at(&schedule, 2);
    assert_int_equal(schedule.failed_ns, 3 * S);
}

static void the_timeout_is_the_round_trip_above_the_least(void **state)
{
    (void)state;
    assert_int_equal(kernel_timers_rto_ns(&kernel_timers_defaults, 0), 204 * MS);
    assert_int_equal(kernel_timers_rto_ns(&kernel_timers_defaults, 50 * MS), 252 * MS);
    assert_int_equal(kernel_timers_rto_ns(&kernel_timers_defaults, 500 * S), 120 * S);
}

/* Whatever a file said that was read as a setting. */
static void nonsense_ends_too(void **state)
{
    static const int64_t values[] = {INT64_MIN, -1, 0, 1, 255, INT64_MAX};
    struct kernel_timers schedule;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        int64_t v = values[i];
        struct kernel_timers_settings settings = {v, v, v, v, v, v, v, v, v, v, v, v, i % 2};
        struct kernel_timers_socket socket = {0, v, v, v, v, v, v, i % 2};
        kernel_timers_connect(&schedule, &settings, &socket);
        assert_in_range(schedule.sent_count, 1, 2 * 255 + 2);
        kernel_timers_accept(&schedule, &settings);
        assert_in_range(schedule.sent_count, 1, 256);
        kernel_timers_send(&schedule, &settings, &socket);
        assert_true(schedule.failed_ns > 0);
        kernel_timers_orphan(&schedule, &settings, &socket);
        assert_true(schedule.failed_ns > 0);
        kernel_timers_keepalive(&schedule, &settings, &socket);
        assert_true(schedule.failed_ns > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_fails_after_131_seconds),
        cmocka_unit_test(without_linear_timeouts_after_127),
        cmocka_unit_test(a_small_count_of_syns_is_a_time),
        cmocka_unit_test(a_user_timeout_ends_a_connect_after_the_first_timer),
        cmocka_unit_test(the_longest_wait_bounds_the_syns_too),
        cmocka_unit_test(a_half_open_request_is_forgotten_after_63_seconds),
        cmocka_unit_test(retries2_is_924_6_seconds),
        cmocka_unit_test(a_lower_longest_wait_shortens_retries2),
        cmocka_unit_test(retransmissions_come_when_they_were_seen),
        cmocka_unit_test(a_user_timeout_runs_from_the_first_retransmission),
        cmocka_unit_test(an_unreachable_host_undoes_the_back_off),
        cmocka_unit_test(a_known_timeout_is_not_computed),
        cmocka_unit_test(an_orphan_lasts_for_a_hundred_seconds),
        cmocka_unit_test(keepalive_gives_up_after_two_hours_and_eleven_minutes),
        cmocka_unit_test(the_timeout_is_the_round_trip_above_the_least),
        cmocka_unit_test(nonsense_ends_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
