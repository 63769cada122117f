/* How many connections a listener holds: against what include/net/sock.h says and what systems were
 * seen to do. */
#include "diagnosis/backlog_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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
    for (int backlog = 0; backlog <= 14; backlog++)
        assert_int_equal(backlog_model_believed_before_4_10(backlog),
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
    /* Either formula of the backlog, as long as nothing else binds. */
    assert_half_open(backlog_model_half_open(4, 256, false), 4, 5);
    assert_half_open(backlog_model_half_open(0, 256, false), 0, 1);
    assert_half_open(backlog_model_half_open(64, 8, false), 7, 7);
    assert_half_open(backlog_model_half_open(6, 8, false), 6, 7);
    assert_half_open(backlog_model_half_open(64, 8, true), 64, 65);
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
        cmocka_unit_test(listen_cuts_the_backlog),
        cmocka_unit_test(one_more_than_the_limit_is_queued),
        cmocka_unit_test(older_kernels_let_two_more_believe),
        cmocka_unit_test(the_smaller_limit_binds_half_open_ones),
        cmocka_unit_test(other_systems_multiply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
