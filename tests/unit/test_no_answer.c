/* Why a connection brought nothing, by what new ones did. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "diagnosis/no_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS(n) ((n)*NS_PER_MS)

static void causes(void **state)
{
    static const struct {
        struct no_answer facts;
        enum failure_cause cause;
        const char *words;
    } rows[] = {
        {{.ended = true}, FAILURE_ENDS_UNASKED, "no backend"},
        {{.ended = true, .asked = true}, FAILURE_NOT_KNOWN, "it ended"},
        {{.ended = true,
          .asked = true,
          .life_ns = MS(1),
          .waited = true,
          .unasked_ended = true,
          .unasked_ns = MS(2)},
         FAILURE_ENDS_UNASKED,
         "closed too, after 2.00 ms"},
        {{.ended = true,
          .asked = true,
          .life_ns = MS(1),
          .waited = true,
          .unasked_ended = true,
          .unasked_reset = true,
          .unasked_ns = MS(200)},
         FAILURE_NOT_KNOWN,
         "reset too, but only"},
        {{.ended = true,
          .asked = true,
          .reset = true,
          .life_ns = MS(1),
          .waited = true,
          .unasked_ns = MS(252)},
         FAILURE_RESET_ON_REQUEST,
         "stayed open"},
        {{.ended = true, .asked = true, .life_ns = MS(1), .waited = true, .unasked_ns = MS(252)},
         FAILURE_CLOSED_ON_REQUEST,
         "stayed open"},
        /* It did not stay open for long enough to say that. */
        {{.ended = true,
          .asked = true,
          .life_ns = MS(9000),
          .waited = true,
          .unasked_ns = MS(10000)},
         FAILURE_NOT_KNOWN,
         "it ended"},
        {{.asked = true}, FAILURE_NOT_KNOWN, "it ended"},
        {{.asked = true, .speaks_tls = true}, FAILURE_TLS_WANTED, "--tls"},
        {{.ended = true, .asked = true, .speaks_tls = true}, FAILURE_TLS_WANTED, "--tls"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        cleanup(arena) struct arena arena = {0};
        const char *message = "it ended";
        assert_int_equal(no_answer_cause(&arena, &rows[i].facts, &message), rows[i].cause);
        assert_non_null(strstr(message, rows[i].words));
        assert_true(no_answer_patience_ns(&rows[i].facts) > rows[i].facts.life_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(causes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
