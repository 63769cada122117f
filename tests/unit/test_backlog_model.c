/* How many connections a listener holds: against what include/net/sock.h says and what systems were
 * seen to do. */
#include "diagnosis/backlog_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW BACKLOG_MODEL_RELEASE(6, 18)

static void releases_grow(void **state)
{
    (void)state;
    assert_true(backlog_model_release("4.9.337") < backlog_model_release("4.10.0-42-generic"));
    assert_true(backlog_model_release("4.19.0") < backlog_model_release("5.4"));
    assert_int_equal(backlog_model_release("6.18.44-fc"), NOW);
    assert_int_equal(backlog_model_release("Linux"), 0);
    assert_int_equal(backlog_model_release(""), 0);
    assert_int_equal(backlog_model_release("6"), 0);
}

static void listen_cuts_the_backlog(void **state)
{
    (void)state;
    assert_int_equal(backlog_model_limit(0, 4096), 0);
    assert_int_equal(backlog_model_limit(511, 4096), 511);
    assert_int_equal(backlog_model_limit(4097, 4096), 4096);
    assert_int_equal(backlog_model_limit(-1, 4096), 4096);
    assert_int_equal(backlog_model_limit(511, 128), 128);
}

static void one_more_than_the_limit_is_queued(void **state)
{
    (void)state;
    assert_int_equal(backlog_model_queued(0), 1);
    assert_int_equal(backlog_model_queued(14), 15);
}

static void older_kernels_let_two_more_believe(void **state)
{
    (void)state;
    assert_int_equal(backlog_model_believed(NOW, 5), 6);
    assert_int_equal(backlog_model_believed(BACKLOG_MODEL_RELEASE(4, 10), 5), 6);
    assert_int_equal(backlog_model_believed(BACKLOG_MODEL_RELEASE(4, 9), 5), 8);
    assert_int_equal(backlog_model_believed(0, 5), 6); /* unknown: like today's */
    for (int backlog = 0; backlog <= 14; backlog++)
        assert_int_equal(backlog_model_believed(BACKLOG_MODEL_RELEASE(2, 6), backlog),
                         backlog_model_of(BACKLOG_MODEL_LINUX_24, backlog));
}

static void assert_half_open(struct backlog_model_range range, int64_t min, int64_t max)
{
    assert_int_equal(range.min, min);
    assert_int_equal(range.max, max);
}

static void the_smaller_limit_binds_half_open_ones(void **state)
{
    (void)state;
    assert_half_open(backlog_model_half_open(NOW, 4, 256, false), 5, 5);
    assert_half_open(backlog_model_half_open(NOW, 64, 8, false), 7, 7);
    assert_half_open(backlog_model_half_open(NOW, 64, 8, true), 65, 65);
    assert_half_open(backlog_model_half_open(NOW, 0, 256, false), 1, 1);
    /* 6.12 may have the correction, or not */
    assert_half_open(backlog_model_half_open(BACKLOG_MODEL_RELEASE(6, 12), 4, 256, false), 4, 5);
    assert_half_open(backlog_model_half_open(BACKLOG_MODEL_RELEASE(6, 12), 64, 8, false), 7, 7);
}

static void other_systems_multiply(void **state)
{
    static const struct {
        int backlog, linux_24, bsd, hpux, freebsd;
    } rows[] = {
        {0, 3, 1, 1, 1}, {1, 4, 2, 1, 2}, {2, 5, 4, 3, 3}, {5, 8, 8, 7, 6}, {14, 17, 22, 21, 15}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(backlog_model_of(BACKLOG_MODEL_LINUX_24, rows[i].backlog),
                         rows[i].linux_24);
        assert_int_equal(backlog_model_of(BACKLOG_MODEL_BSD, rows[i].backlog), rows[i].bsd);
        assert_int_equal(backlog_model_of(BACKLOG_MODEL_HPUX, rows[i].backlog), rows[i].hpux);
        assert_int_equal(backlog_model_of(BACKLOG_MODEL_FREEBSD, rows[i].backlog), rows[i].freebsd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(releases_grow),
        cmocka_unit_test(listen_cuts_the_backlog),
        cmocka_unit_test(one_more_than_the_limit_is_queued),
        cmocka_unit_test(older_kernels_let_two_more_believe),
        cmocka_unit_test(the_smaller_limit_binds_half_open_ones),
        cmocka_unit_test(other_systems_multiply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
