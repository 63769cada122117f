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
    *round = (struct round){.total_ns = span(false),
                            .wire_ns = span(true),
                            .hold_ns = span(false),
                            .hold_small = chance(2),
                            .hold_after_ack_ns = span(true),
                            .held_ack_delay_ns = span(true),
                            .rwnd_limited_ns = span(false),
                            .sndbuf_limited_ns = span(false),
                            .zero_window = chance(2),
                            .ack_delay_ns = span(true),
                            .wait_ns = span(false),
                            .wait_after_bytes = (uint64_t)chance(1 << 30),
                            .gap_ns = span(false),
                            .gap_acked = chance(2),
                            .gap_ack_lag_min_ns = span(true),
                            .gap_ack_lag_max_ns = span(true),
                            .gap_watched = chance(2),
                            .retransmits = (uint32_t)chance(5),
                            .arrivals = (uint32_t)chance(1000),
                            .sent_bytes = (uint64_t)chance(1 << 30),
                            .received_bytes = (uint64_t)chance(1 << 30)};
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
    assert_near(was->total_ns, is->total_ns);
    for (int part = 0; part < RESULT_PARTS; part++)
        assert_near(was->part_ns[part], is->part_ns[part]);
    assert_near(was->wire_ns, is->wire_ns);
    assert_near(was->hold_ns, is->hold_ns);
    assert_near(was->hold_after_ack_ns, is->hold_after_ack_ns);
    assert_near(was->held_ack_delay_ns, is->held_ack_delay_ns);
    assert_near(was->rwnd_limited_ns, is->rwnd_limited_ns);
    assert_near(was->sndbuf_limited_ns, is->sndbuf_limited_ns);
    assert_near(was->ack_delay_ns, is->ack_delay_ns);
    assert_near(was->wait_ns, is->wait_ns);
    assert_near(was->gap_ns, is->gap_ns);
    assert_near(was->gap_ack_lag_min_ns, is->gap_ack_lag_min_ns);
    assert_near(was->gap_ack_lag_max_ns, is->gap_ack_lag_max_ns);
    assert_int_equal(was->wait_after_bytes, is->wait_after_bytes);
    assert_int_equal(was->sent_bytes, is->sent_bytes);
    assert_int_equal(was->received_bytes, is->received_bytes);
    assert_int_equal(was->retransmits, is->retransmits);
    assert_int_equal(was->arrivals, is->arrivals);
    assert_int_equal(was->hold_small, is->hold_small);
    assert_int_equal(was->zero_window, is->zero_window);
    assert_int_equal(was->gap_acked, is->gap_acked);
    assert_int_equal(was->gap_watched, is->gap_watched);
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
        struct round round = {.total_ns = 40000 + chance(5000),
                              .wire_ns = 20000 + chance(5000),
                              .hold_after_ack_ns = RESULT_UNKNOWN,
                              .held_ack_delay_ns = RESULT_UNKNOWN,
                              .ack_delay_ns = RESULT_UNKNOWN,
                              .gap_ack_lag_min_ns = RESULT_UNKNOWN,
                              .gap_ack_lag_max_ns = RESULT_UNKNOWN,
                              .wait_ns = 20000 + chance(5000),
                              .arrivals = 1,
                              .sent_bytes = 64,
                              .received_bytes = 64};
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
