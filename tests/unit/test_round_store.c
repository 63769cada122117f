/* Rounds that were put away come back as they were, but for the float's relative error, in order,
 * however much each differs from the first; and ordinary ones take little. */
#include "probe/round_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed;

static int64_t chance(int64_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (int64_t)(seed >> 33) % below;
}

/* Unknown, nothing, or anything up to an hour. */
static int64_t span(bool may_be_unknown)
{
    int64_t kind = chance(4);
    return kind == 0 && may_be_unknown ? RESULT_UNKNOWN
           : kind == 1                 ? 0
                                       : chance(1 << 30) * chance(3600);
}

static void random_round(struct round *round)
{
#define RANDOM_TIME          span(false)
#define RANDOM_STAMP         span(true)
#define RANDOM_BOOL          chance(2)
#define RANDOM_COUNT         (uint32_t) chance(1 << 16)
#define RANDOM_BYTES         (uint64_t) chance(1 << 30)
#define RANDOM(kind, member) .member = RANDOM_##kind,
    *round = (struct round){ROUND_FIELDS(RANDOM)};
    for (int part = 0; part < RESULT_PARTS; part++)
        round->part_ns[part] = span(false);
}

static void assert_near(int64_t was, int64_t is)
{
    if (was == RESULT_UNKNOWN || is == RESULT_UNKNOWN)
        assert_true(was == is);
    else
        assert_true(llabs(was - is) <= was / 10000000);
}

static void assert_same(const struct round *was, const struct round *is)
{
#define SAME_TIME          assert_near
#define SAME_STAMP         assert_near
#define SAME_BOOL          assert_int_equal
#define SAME_COUNT         assert_int_equal
#define SAME_BYTES         assert_int_equal
#define SAME(kind, member) SAME_##kind(was->member, is->member);
    ROUND_FIELDS(SAME)
    for (int part = 0; part < RESULT_PARTS; part++)
        assert_near(was->part_ns[part], is->part_ns[part]);
}

static void what_is_put_away_comes_back(void **state)
{
    struct round rounds[300];

    (void)state;
    for (size_t count = 0; count <= 300; count += count < 5 ? 1 : 59) {
        struct round_store store = {0};
        for (size_t i = 0; i < count; i++) {
            random_round(&rounds[i]);
            assert_true(round_store_add(&store, &rounds[i]));
            assert_near(rounds[i].total_ns, round_store_total_ns(&store, i));
        }
        struct round *back = round_store_expand(&store);
        assert_int_equal(store.count, count);
        assert_true(!back == !count);
        for (size_t i = 0; i < count; i++)
            assert_same(&rounds[i], &back[i]);
        free(back);
        round_store_free(&store);
        assert_int_equal(store.count, 0);
    }
}

static void ordinary_rounds_take_little(void **state)
{
    struct round_store store = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct round round;
        round_clear(&round);
        round.total_ns = 40000 + chance(5000);
        round.wire_ns = 20000 + chance(5000);
        round.wait_ns = 20000 + chance(5000);
        round.arrivals = 1;
        round.sent_bytes = round.received_bytes = 64;
        for (int part = 0; part < 4; part++)
            round.part_ns[part] = 5000 + chance(5000);
        assert_true(round_store_add(&store, &round));
    }
    size_t bytes =
        store.total_alloc * sizeof *store.totals + store.word_alloc * sizeof *store.words;
    assert_true(bytes < 100 * sizeof(struct round) / 4);
    round_store_free(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_away_comes_back),
        cmocka_unit_test(ordinary_rounds_take_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
