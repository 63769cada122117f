/* The reduction of a round: its parts are disjoint and add up, whatever comes in whatever order,
 * and the facts that verdicts rest on are those that happened. Times are microseconds here. */
#include "diagnosis/round.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define US     INT64_C(1000)
#define MS     (1000 * US)
#define START  (INT64_C(1700000000) * 1000000000)
#define AT(us) (START + (us)*US)
#define MSS    1448
#define NONE   RESULT_UNKNOWN

static const struct round_counters none;

static int64_t sum(const struct round *round)
{
    int64_t total = 0;
    for (int part = 0; part < RESULT_PARTS; part++) {
        if (round->part_ns[part] < 0)
            fail_msg("%s is %lld", result_part_key((enum result_part)part),
                     (long long)round->part_ns[part]);
        total += round->part_ns[part];
    }
    return total;
}

#define assert_part(round, part, us) assert_int_equal((round).part_ns[RESULT_PART_##part], (us)*US)

static struct round_builder builder;

static void begin(int64_t rtt_us)
{
    struct round_write *owned = builder.more;

    memset(&builder, 0x5a, sizeof builder); /* what was there before does not matter */
    builder.more = owned;
    round_first(&builder);
    round_begin(&builder, rtt_us * US, MSS, MSS, none);
}

static void write_at(int64_t us, uint64_t end)
{
    round_write(&builder, AT(us), AT(us + 5), end);
}

static void stamp(enum round_stamp_kind kind, uint64_t end, int64_t us)
{
    round_stamp(&builder, kind, end, AT(us));
}

static void leaves(uint64_t end, int64_t us)
{
    stamp(ROUND_QUEUED, end, us);
    stamp(ROUND_SENT, end, us);
}

static void read_at(int64_t arrived_us, int64_t returned_us, uint64_t bytes)
{
    round_read(&builder, AT(arrived_us), AT(returned_us), bytes);
}

static struct round end(void)
{
    struct round round;
    round_end(&builder, none, &round);
    assert_int_equal(sum(&round), round.total_ns);
    return round;
}

/* ---- what was said and heard ---- */

static void an_ordinary_round(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 2);
    read_at(302, 350, 20);
    stamp(ROUND_ACKED, 10, 302);
    struct round round = end();
    assert_int_equal(round.total_ns, 350 * US);
    assert_part(round, OTHER, 2);
    assert_part(round, SEND_HOLD, 0);
    assert_part(round, NETWORK, 100);
    assert_part(round, SERVER, 200);
    assert_part(round, GAP, 0);
    assert_part(round, WAKEUP, 48);
    assert_int_equal(round.wire_ns, 300 * US);
    assert_int_equal(round.arrivals, 1);
    assert_int_equal(round.sent_bytes, 10);
    assert_int_equal(round.received_bytes, 20);
    assert_int_equal(round.wait_ns, 300 * US);
    assert_int_equal(round.wait_after_bytes, 0);
    /* The acknowledgement rode on the answer. */
    assert_true(round.ack_delay_ns == NONE);
}

static void a_write_that_an_ack_released(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    write_at(20, 30);
    stamp(ROUND_ACKED, 10, 42001);
    leaves(30, 42010);
    read_at(42200, 42250, 7);
    stamp(ROUND_ACKED, 30, 42200);
    struct round round = end();
    assert_int_equal(round.hold_ns, 41990 * US);
    assert_true(round.hold_small);
    assert_int_equal(round.hold_after_ack_ns, 9 * US);
    assert_int_equal(round.held_ack_delay_ns, 41900 * US);
    assert_part(round, SEND_HOLD, 41990);
    assert_part(round, OTHER, 20);
    assert_part(round, NETWORK, 100);
    assert_part(round, SERVER, 90);
    assert_part(round, WAKEUP, 50);
}

/* The answer came before the server had all of the request: the rest of it is not acknowledged when
 * the next request is written. */
static void a_write_that_waited_for_the_ack_of_the_round_before(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    write_at(20, 30);
    stamp(ROUND_ACKED, 10, 200);
    leaves(30, 201);
    read_at(200, 250, 7);
    end();
    round_begin(&builder, 100 * US, MSS, MSS, none);
    write_at(300, 10);
    stamp(ROUND_ACKED, 0, 41201);
    leaves(10, 41203);
    read_at(41400, 41450, 7);
    struct round round = end();
    assert_int_equal(round.hold_ns, 40903 * US);
    assert_true(round.hold_small);
    assert_int_equal(round.hold_after_ack_ns, 2 * US);
    assert_int_equal(round.held_ack_delay_ns, 40900 * US);
}

static void nothing_is_known_before_the_first_round_of_a_connection(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    read_at(200, 250, 7);
    end();
    round_first(&builder);
    round_begin(&builder, 100 * US, MSS, MSS, none);
    write_at(300, 10);
    stamp(ROUND_ACKED, 0, 41201);
    leaves(10, 41203);
    read_at(41400, 41450, 7);
    struct round round = end();
    assert_true(round.hold_after_ack_ns == NONE);
    assert_true(round.held_ack_delay_ns == NONE);
}

static void a_hold_that_no_ack_released(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    write_at(20, 30);
    leaves(30, 200000); /* a cork's 200 ms */
    stamp(ROUND_ACKED, 10, 240000);
    read_at(200200, 200250, 7);
    struct round round = end();
    assert_true(round.hold_ns > 190 * MS);
    assert_true(round.hold_after_ack_ns == NONE);
    assert_true(round.held_ack_delay_ns == NONE);
}

static void what_takes_long_but_is_full_is_not_small(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    write_at(20, 10 + MSS);
    stamp(ROUND_ACKED, 10, 42001);
    leaves(10 + MSS, 42010);
    read_at(42200, 42250, 7);
    assert_false(end().hold_small);
}

static void merged_writes_share_the_last_ones_stamps(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    write_at(20, 20);
    write_at(30, 30); /* the kernel sends both in one segment, and stamps its last byte */
    stamp(ROUND_ACKED, 10, 42000);
    leaves(30, 42010);
    read_at(42200, 42250, 7);
    struct round round = end();
    assert_part(round, SEND_HOLD, 42010 - 20);
    assert_int_equal(round.hold_ns, (42010 - 20) * US);
    assert_int_equal(round.hold_after_ack_ns, 10 * US);
}

static void more_writes_than_the_table_holds(void **state)
{
    (void)state;
    begin(100);
    for (int i = 0; i < 3 * ROUND_WRITES_MAX; i++) {
        write_at(10 * i, 10 * (uint64_t)(i + 1));
        leaves(10 * (uint64_t)(i + 1), 10 * i + 1);
    }
    read_at(5000, 5001, 1);
    struct round round = end();
    assert_int_equal(round.sent_bytes, 30 * ROUND_WRITES_MAX);
    assert_true(round.hold_ns < 1 * MS);
}

static void stamps_of_other_rounds_are_ignored(void **state)
{
    (void)state;
    begin(100);
    stamp(ROUND_QUEUED, 1, 0);
    write_at(0, 10);
    stamp(ROUND_QUEUED, 0, 99000);
    stamp(ROUND_QUEUED, 11, 99000);
    stamp(ROUND_QUEUED, UINT64_MAX, 99000);
    leaves(10, 2);
    read_at(302, 350, 20);
    assert_part(end(), OTHER, 2);
}

static void without_stamps_nothing_is_guessed(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    write_at(40000, 20);
    round_read(&builder, NONE, AT(41000), 5);
    struct round round = end();
    assert_part(round, SEND_HOLD, 0);
    assert_part(round, OTHER, 40005);
    assert_part(round, NETWORK, 100);
    assert_part(round, SERVER, 895);
    assert_part(round, WAKEUP, 0);
    assert_true(round.wire_ns == NONE && round.ack_delay_ns == NONE);
    assert_int_equal(round.hold_ns, 0);
}

static void a_late_ack_that_held_nothing_is_only_noted(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    stamp(ROUND_ACKED, 10, 41101);
    read_at(65000, 65010, 7);
    struct round round = end();
    assert_int_equal(round.ack_delay_ns, 41000 * US);
    assert_part(round, PEER_ACK, 0);
    assert_part(round, SERVER, 65000 - 1 - 100);
}

/* ---- gaps ---- */

static void gap_of(int64_t rtt_us)
{
    begin(rtt_us);
    write_at(0, 10);
    leaves(10, 1);
}

/* Ten segments, a round trip of nothing, and more of them: how a window opens. */
static void flights_and_the_pauses_between(void **state)
{
    (void)state;
    begin(50000);
    write_at(0, 10);
    leaves(10, 5);
    read_at(50000, 50010, 5 * MSS);
    read_at(60000, 60010, 5 * MSS); /* less than half a round trip later: the same flight */
    read_at(100000, 100010, 20 * MSS);
    read_at(130000, 130010, 40 * MSS);
    read_at(230000, 230010, 40 * MSS); /* too long for a window that opens */
    struct round round = end();
    assert_int_equal(round.pauses, 4);
    assert_int_equal(round.window_pauses, 2);
    assert_int_equal(round.gap_ns, 100 * MS);
    assert_int_equal(round.flight_ms, 100);
    begin(50000);
    write_at(0, 10);
    leaves(10, 5);
    read_at(50000, 50010, 5 * MSS);
    read_at(60000, 60010, 5 * MSS);
    read_at(99001, 100010, 20 * MSS);
    round = end();
    assert_int_equal(round.window_pauses, 1);
    assert_int_equal(round.flight_ms, 50); /* from the first byte on, rounded up */
}

static void a_gap_and_the_window_of_our_ack(void **state)
{
    (void)state;
    gap_of(50);
    round_look(&builder, AT(190), 7, false);
    read_at(200, 210, 100);
    round_look(&builder, AT(1000), 7, false);
    round_look(&builder, AT(39000), 7, false);
    round_look(&builder, AT(40100), 8, false);
    round_look(&builder, AT(41500), 8, false);
    read_at(42000, 42020, 200);
    struct round round = end();
    assert_int_equal(round.gap_ns, 41800 * US);
    assert_part(round, GAP, 41800);
    assert_true(round.gap_watched && round.gap_acked);
    assert_int_equal(round.gap_ack_lag_min_ns, 1900 * US);
    assert_int_equal(round.gap_ack_lag_max_ns, 3000 * US);
    assert_int_equal(round.wait_ns, 41800 * US);
    assert_int_equal(round.wait_after_bytes, 100);
    assert_int_equal(round.arrivals, 2);
}

static void a_gap_without_an_ack_of_ours(void **state)
{
    (void)state;
    gap_of(50);
    round_look(&builder, AT(190), 7, false);
    read_at(200, 210, 100);
    round_look(&builder, AT(1000), 7, false);
    round_look(&builder, AT(30000), 7, false);
    read_at(30100, 30120, 200);
    struct round round = end();
    assert_true(round.gap_watched);
    assert_false(round.gap_acked);
}

/* An ACK that left before the gap, between the looks around the first arrival, is not the gap's. */
static void an_ack_before_the_gap_is_not_the_gaps(void **state)
{
    (void)state;
    gap_of(50);
    round_look(&builder, AT(100), 7, false);
    round_look(&builder, AT(190), 8, false);
    read_at(200, 210, 100);
    round_look(&builder, AT(30000), 8, false);
    read_at(30100, 30120, 200);
    assert_false(end().gap_acked);
}

static void a_gap_that_nobody_watched(void **state)
{
    (void)state;
    gap_of(50);
    read_at(200, 210, 100);
    read_at(30100, 30120, 200);
    struct round round = end();
    assert_false(round.gap_watched || round.gap_acked);
    assert_int_equal(round.gap_ns, 29900 * US);
}

static void the_longest_gap_counts(void **state)
{
    (void)state;
    gap_of(50);
    read_at(200, 210, 1);
    read_at(10200, 10210, 1);
    read_at(50200, 50210, 1);
    read_at(60200, 60210, 1);
    struct round round = end();
    assert_int_equal(round.gap_ns, 40000 * US);
    assert_part(round, GAP, 60000);
    assert_int_equal(round.wait_after_bytes, 2);
}

static void bursts_a_round_trip_apart_are_the_network(void **state)
{
    (void)state;
    gap_of(20000);
    read_at(20100, 20101, 10 * MSS);
    read_at(40100, 40101, 20 * MSS);
    read_at(60100, 60101, 40 * MSS);
    struct round round = end();
    assert_part(round, GAP, 0);
    assert_int_equal(round.gap_ns, 20000 * US);
    assert_int_equal(round.gap_after_bytes, 10 * MSS);
    assert_int_equal(round.pauses, 2);
    assert_part(round, NETWORK, 20000 + 40000);
}

/* The awaited end of the connection is the end of the answer, and no bytes. */
static void the_close_ends_an_answer(void **state)
{
    (void)state;
    gap_of(50);
    read_at(200, 210, 5);
    round_read(&builder, NONE, AT(50210), 0);
    struct round round = end();
    assert_int_equal(round.total_ns, 50210 * US);
    assert_part(round, GAP, 50010);
    assert_int_equal(round.arrivals, 1);
    gap_of(50);
    round_read(&builder, NONE, AT(50001), 0);
    round = end();
    assert_int_equal(round.total_ns, 50001 * US);
    assert_part(round, SERVER, 49950);
    assert_int_equal(round.received_bytes, 0);
}

/* ---- ends ---- */

/* A session ticket of TLS comes before the answer: it is none of it, whatever follows. */
static void ticket(int64_t after_us, int64_t acked_us, int64_t answer_us)
{
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    round_notice(&builder, AT(after_us));
    for (int64_t us = after_us + 100; us < answer_us; us += 1000)
        round_look(&builder, AT(us), us >= acked_us ? 5 : 4, false);
    read_at(answer_us, answer_us + 20, 30);
}

static void an_answer_behind_a_ticket(void **state)
{
    (void)state;
    /* It came when our ACK of the ticket was there. */
    ticket(301, 41000, 41500);
    struct round round = end();
    assert_int_equal(round.total_ns, 41520 * US);
    assert_part(round, NETWORK, 100);
    assert_part(round, SERVER, 200);
    assert_part(round, GAP, 41199);
    assert_int_equal(round.gap_ns, 41199 * US);
    assert_true(round.gap_watched && round.gap_acked);
    assert_true(round.gap_ack_lag_min_ns <= 500 * US);
    assert_int_equal(round.wait_ns, round.gap_ns);
    assert_int_equal(round.wait_after_bytes, 0);
    assert_int_equal(round.received_bytes, 30);
    assert_int_equal(round.arrivals, 1);
    /* Long after it: the server took its time. */
    ticket(301, 41000, 80000);
    round = end();
    assert_part(round, GAP, 0);
    assert_part(round, SERVER, 79899);
    assert_int_equal(round.gap_ns, 0);
    assert_false(round.gap_acked);
    assert_int_equal(round.wire_ns, 79999 * US);
    /* And what comes with the ticket, or right behind it, has not waited. */
    ticket(301, 41000, 400);
    round = end();
    assert_part(round, GAP, 0);
    assert_part(round, SERVER, 299);
    /* A ticket behind the beginning of the answer is nothing. */
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    read_at(301, 310, 5);
    round_notice(&builder, AT(400));
    read_at(500, 510, 5);
    round = end();
    assert_part(round, GAP, 0);
    assert_part(round, SERVER, 200);
}

static void no_answer_is_awaited(void **state)
{
    (void)state;
    begin(100);
    write_at(0, 10);
    leaves(10, 2);
    struct round round = end();
    assert_int_equal(round.total_ns, 5 * US);
    begin(100);
    round = end(); /* nothing was written at all */
    assert_int_equal(round.total_ns, 0);
}

static void a_round_that_was_given_up(void **state)
{
    struct round round;
    (void)state;
    begin(100);
    round_look(&builder, AT(1), 1, true);
    write_at(0, 10);
    leaves(10, 1);
    round_abandon(&builder, AT(900000), none, &round);
    assert_int_equal(round.total_ns, 900000 * US);
    assert_int_equal(sum(&round), round.total_ns);
    assert_part(round, SERVER, 899999);
    assert_true(round.zero_window);
    begin(100);
    write_at(0, 10);
    leaves(10, 1);
    read_at(300, 310, 5);
    round_abandon(&builder, AT(900000), none, &round);
    assert_int_equal(sum(&round), round.total_ns);
    assert_int_equal(round.total_ns, 900000 * US);
}

static void counters_are_differences(void **state)
{
    struct round_counters before = {
        .rwnd_limited_ns = 5 * MS, .sndbuf_limited_ns = 1, .retransmits = 3};
    struct round_counters after = {
        .rwnd_limited_ns = 9 * MS, .sndbuf_limited_ns = 4, .retransmits = 5};
    struct round round;
    (void)state;
    round_begin(&builder, 100 * US, MSS, MSS, before);
    write_at(0, 10);
    leaves(10, 1);
    stamp(ROUND_ACKED, 10, 250001);
    read_at(250101, 250110, 5);
    round_end(&builder, after, &round);
    assert_int_equal(round.rwnd_limited_ns, 4 * MS);
    assert_int_equal(round.sndbuf_limited_ns, 3);
    assert_int_equal(round.retransmits, 2);
    /* Waiting for the retransmission is the network's, not the server's. */
    assert_int_equal(sum(&round), round.total_ns);
    assert_part(round, SERVER, 100);
    assert_part(round, NETWORK, 250000);
    /* Counters that could not be read again are no wrap-around. */
    round_begin(&builder, 100 * US, MSS, MSS, before);
    write_at(0, 10);
    read_at(300, 310, 5);
    round_end(&builder, none, &round);
    assert_int_equal(round.retransmits, 0);
    assert_int_equal(round.rwnd_limited_ns, 0);
}

/* ---- any order, any clock ---- */

static uint32_t seed;

static int64_t chance(int64_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (int64_t)(seed >> 4) % below;
}

/* Mostly forward, sometimes far back: stamps come late, and clocks are read out of order. */
static int64_t some_time(int64_t *now_us)
{
    *now_us += chance(3) ? chance(500) : chance(50000);
    return chance(8) ? *now_us : *now_us - chance(100000);
}

static void random_round(bool sane)
{
    uint64_t written = 0;
    int64_t now_us = 0;

    begin(chance(2) ? chance(1000) : chance(60000));
    for (int64_t events = 1 + chance(60); events; events--) {
        int64_t at = sane ? (now_us += chance(9000)) : some_time(&now_us);
        switch (chance(7)) {
        case 0:
        case 1:
            written += (uint64_t)(1 + chance(3000));
            round_write(&builder, AT(at), AT(at + chance(50)), written);
            break;
        case 2:
        case 3:
            round_stamp(&builder, (enum round_stamp_kind)chance(3),
                        (uint64_t)chance(2 + (int64_t)written + 5), AT(at));
            if (written)
                round_stamp(&builder, (enum round_stamp_kind)chance(3), written, AT(at));
            break;
        case 4:
            round_look(&builder, AT(at), (uint32_t)chance(4), !chance(9));
            break;
        case 5:
            round_read(&builder, chance(4) ? AT(at) : NONE, AT(at + chance(300)),
                       (uint64_t)chance(9000));
            break;
        case 6:
            round_notice(&builder, AT(at));
            break;
        }
    }
}

static void parts_add_up_in_every_order(void **state)
{
    (void)state;
    for (uint32_t first = 1; first <= 60000; first++) {
        struct round_counters after = {.retransmits = first % 3 == 0};
        struct round round;
        seed = first * 2654435761u;
        random_round(first % 2);
        if (first % 5)
            round_end(&builder, after, &round);
        else
            round_abandon(&builder, AT(chance(1000000)), after, &round);
        int64_t total = sum(&round);
        if (total != round.total_ns)
            fail_msg("seed %u: the parts are %lld, the round %lld", first, (long long)total,
                     (long long)round.total_ns);
        assert_true(round.gap_ns >= 0 && round.hold_ns >= 0 && round.wait_ns >= 0);
        assert_true(round.part_ns[RESULT_PART_GAP] <= round.total_ns);
        assert_true(!round.gap_acked || (round.gap_ack_lag_min_ns >= 0 &&
                                         round.gap_ack_lag_min_ns <= round.gap_ack_lag_max_ns));
        assert_true(round.ack_delay_ns == NONE || round.ack_delay_ns >= 0);
        assert_true(round.held_ack_delay_ns == NONE || round.held_ack_delay_ns >= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordinary_round),
        cmocka_unit_test(a_write_that_an_ack_released),
        cmocka_unit_test(a_write_that_waited_for_the_ack_of_the_round_before),
        cmocka_unit_test(nothing_is_known_before_the_first_round_of_a_connection),
        cmocka_unit_test(a_hold_that_no_ack_released),
        cmocka_unit_test(what_takes_long_but_is_full_is_not_small),
        cmocka_unit_test(merged_writes_share_the_last_ones_stamps),
        cmocka_unit_test(more_writes_than_the_table_holds),
        cmocka_unit_test(stamps_of_other_rounds_are_ignored),
        cmocka_unit_test(without_stamps_nothing_is_guessed),
        cmocka_unit_test(a_late_ack_that_held_nothing_is_only_noted),
        cmocka_unit_test(flights_and_the_pauses_between),
        cmocka_unit_test(a_gap_and_the_window_of_our_ack),
        cmocka_unit_test(a_gap_without_an_ack_of_ours),
        cmocka_unit_test(an_ack_before_the_gap_is_not_the_gaps),
        cmocka_unit_test(a_gap_that_nobody_watched),
        cmocka_unit_test(the_longest_gap_counts),
        cmocka_unit_test(bursts_a_round_trip_apart_are_the_network),
        cmocka_unit_test(the_close_ends_an_answer),
        cmocka_unit_test(an_answer_behind_a_ticket),
        cmocka_unit_test(no_answer_is_awaited),
        cmocka_unit_test(a_round_that_was_given_up),
        cmocka_unit_test(counters_are_differences),
        cmocka_unit_test(parts_add_up_in_every_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
