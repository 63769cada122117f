/* What the matrix of crash-sim makes of its cells. */
#include "scenario/crash/crash_matrix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* All cells are ok but one of each verdict that is given. */
static enum result_verdict overview_of(enum result_verdict one, enum result_verdict other)
{
    struct report report = {0};

    for (size_t i = 0; scenario_crash_matrix.items[i]; i++) {
        struct result_scenario *cell = &report_add(&report, RESULT_SCENARIO)->scenario;
        cell->scenario = scenario_crash_matrix.items[i]->name;
        cell->family = 4;
        cell->verdict = i == 3 ? one : i == 7 ? other : RESULT_OK;
    }
    crash_matrix_tables(&report);
    const struct result_scenario *overview = &report.results[report.result_count - 1]->scenario;
    assert_true(overview->overview);
    assert_int_equal(overview->error.code == FINDING_NONE, overview->verdict == RESULT_OK);
    enum result_verdict verdict = overview->verdict;
    report_free(&report);
    return verdict;
}

static void a_cell_that_differs_decides(void **state)
{
    (void)state;
    assert_int_equal(overview_of(RESULT_OK, RESULT_OK), RESULT_OK);
    assert_int_equal(overview_of(RESULT_OK, RESULT_DIFFERS), RESULT_DIFFERS);
    assert_int_equal(overview_of(RESULT_INCONCLUSIVE, RESULT_DIFFERS), RESULT_DIFFERS);
}

static void inconclusive_cells_are_no_difference(void **state)
{
    (void)state;
    assert_int_equal(overview_of(RESULT_OK, RESULT_INCONCLUSIVE), RESULT_INCONCLUSIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cell_that_differs_decides),
        cmocka_unit_test(inconclusive_cells_are_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
