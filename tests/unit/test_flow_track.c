/* What lib/flow makes of sequence numbers: losses, order, damage of the capture, ends, the table.
 */
#include "flow/table.h"
#include "flow_play.h"

#define PATH (100 * US)

static void begin(struct flow_play *p)
{
    play_begin(p);
    play_handshake(p, PATH, PATH);
    play(p, 1 * MS, C, DATA, 20);
    play(p, PATH, S, ACK, 0);
}

/* The segment of `from` that began so many bytes before its next, with another IP id. */
static void again(struct flow_play *p, int64_t after_ns, int from, uint32_t back, uint32_t len)
{
    struct segment segment = play_segment(p, from, DATA, len);

    segment.seq -= back;
    p->ip_id[from]++;
    play_raw(p, p->at_ns + after_ns, &segment);
}

static void kinds_of_repeats(void **state)
{
    struct flow_play p;

    (void)state;
    begin(&p);
    play(&p, 1 * MS, S, DATA, 100);
    again(&p, 210 * MS, S, 100, 100); /* timeout */
    play(&p, PATH, C, ACK, 0);
    play(&p, 1 * MS, S, DATA, 100);
    play(&p, 10 * US, S, DATA, 100);
    again(&p, 20 * MS, S, 100, 100); /* the last, soon: a probe */
    play(&p, PATH, C, ACK, 0);
    for (int i = 0; i < 5; i++)
        play(&p, 10 * US, S, ACK, 1460);
    for (int i = 0; i < 4; i++) {
        struct segment same = play_segment(&p, C, ACK, 0);
        same.ack -= 5 * 1460;
        p.ip_id[C]++;
        play_raw(&p, p.at_ns + 20 * US, &same);
    }
    again(&p, 50 * US, S, 5 * 1460, 1460); /* asked for by duplicate ACKs */
    play(&p, PATH, C, ACK, 0);
    again(&p, 1 * MS, S, 1460, 1460); /* acknowledged before */
    const struct flow_side *server = side_of(play_end(&p), S);
    assert_int_equal(server->repeats[FLOW_REPEAT_TIMEOUT], 1);
    assert_int_equal(server->repeats[FLOW_REPEAT_PROBE], 1);
    assert_int_equal(server->repeats[FLOW_REPEAT_FAST], 1);
    assert_int_equal(server->repeats[FLOW_REPEAT_SPURIOUS], 1);
    assert_int_equal(server->out_of_order, 0);
    assert_true(p.ended[0].parts[FLOW_RETRANSMISSION_TIMEOUT] >= 230 * MS);
}

/* The receiver says that it had both. */
static void a_dsack_takes_it_back(void **state)
{
    struct flow_play p;

    (void)state;
    begin(&p);
    play(&p, 1 * MS, S, DATA, 100);
    again(&p, 210 * MS, S, 100, 100);
    p.more.sack_count = 1;
    p.more.sack[0] = (struct tcp_sack){p.seq[S] - 100, p.seq[S]};
    play(&p, PATH, C, ACK, 0);
    const struct flow_side *server = side_of(play_end(&p), S);
    assert_int_equal(server->repeats[FLOW_REPEAT_TIMEOUT], 0);
    assert_int_equal(server->repeats[FLOW_REPEAT_SPURIOUS], 1);
}

static void an_older_echo_takes_it_back(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    p.stamp[C] = 100;
    p.stamp[S] = 900;
    play_handshake(&p, PATH, PATH);
    play(&p, 1 * MS, S, DATA, 100);
    p.stamp[S] = 1110;
    again(&p, 210 * MS, S, 100, 100);
    p.stamp[S] = 900; /* what the client echoes */
    play(&p, PATH, C, ACK, 0);
    const struct flow_side *server = side_of(play_end(&p), S);
    assert_int_equal(server->repeats[FLOW_REPEAT_SPURIOUS], 1);
}

/* One that comes late although it was sent before, and one that was sent again because the first
 * was lost on the way to the capture. */
static void order_and_loss(void **state)
{
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        struct flow_play p;

        (void)state;
        play_begin(&p);
        p.ipv6 = ipv6;
        play_handshake(&p, 5 * MS, 5 * MS);
        struct segment late = play_segment(&p, S, DATA, 1000);
        p.ip_id[S]++;
        p.seq[S] += 1000;
        play(&p, 1 * MS, S, DATA, 1000);
        play_raw(&p, p.at_ns + 1 * MS, &late);
        play(&p, 5 * MS, C, ACK, 0);
        p.seq[S] += 1000; /* lost before the capture */
        play(&p, 1 * MS, S, DATA, 1000);
        again(&p, 30 * MS, S, 2000, 1000);
        play(&p, 5 * MS, C, ACK, 0);
        const struct flow_side *server = side_of(play_end(&p), S);
        assert_int_equal(server->out_of_order, 1);
        assert_int_equal(flow_repeats(server), 1);
    }
}

static void what_the_capture_missed_is_no_loss(void **state)
{
    struct flow_play p;

    (void)state;
    begin(&p);
    p.seq[S] += 1000;
    play(&p, 1 * MS, C, ACK, 0);
    p.seq[S] += 1000;
    play(&p, 1 * MS, S, DATA, 100);
    play(&p, PATH, C, ACK, 0);
    const struct flow_side *server = side_of(play_end(&p), S);
    assert_int_equal(flow_repeats(server), 0);
    assert_int_equal(server->out_of_order, 0);
    assert_int_equal(server->missed, 2);
}

static void a_mirror_shows_it_twice(void **state)
{
    struct flow_play p;

    (void)state;
    begin(&p);
    for (int i = 0; i < 10; i++) {
        struct segment segment = play_segment(&p, S, DATA, 100);
        play(&p, 1 * MS, S, DATA, 100);
        play_raw(&p, p.at_ns + 3 * US, &segment);
        segment = play_segment(&p, C, ACK, 0);
        play(&p, PATH, C, ACK, 0);
        play_raw(&p, p.at_ns + 3 * US, &segment);
    }
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(side_of(c, S)->mirrored, 10);
    assert_int_equal(flow_repeats(side_of(c, S)), 0);
    assert_int_equal(side_of(c, C)->duplicate_acks, 0);
    assert_int_equal(side_of(c, S)->payload_bytes, 1000);
}

static void keepalives_are_no_repeats(void **state)
{
    struct flow_play p;

    (void)state;
    begin(&p);
    for (int i = 0; i < 3; i++) {
        struct segment probe = play_segment(&p, C, ACK, 0);
        probe.seq--;
        p.ip_id[C]++;
        play_raw(&p, p.at_ns + 75 * NS_PER_SEC, &probe);
        play(&p, PATH, S, ACK, 0);
    }
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(side_of(c, C)->keepalives, 3);
    assert_int_equal(flow_repeats(side_of(c, C)), 0);
    assert_true(c->parts[FLOW_IDLE] > 224 * NS_PER_SEC);
}

static void syns_again(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play(&p, 0, C, SEGMENT_SYN, 0);
    for (int i = 0; i < 2; i++) {
        struct segment syn = play_segment(&p, C, SEGMENT_SYN, 0);
        syn.seq--;
        p.ip_id[C]++;
        play_raw(&p, p.at_ns + 1000 * MS, &syn);
    }
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(side_of(c, C)->repeats[FLOW_REPEAT_SYN], 2);
    assert_int_equal(flow_end_of(c), FLOW_END_NO_REPLY);
    assert_int_equal(c->parts[FLOW_RETRANSMISSION_TIMEOUT], 2000 * MS);
}

/* ---- Ends */

static void ends(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play(&p, 0, C, SEGMENT_SYN, 0);
    p.seq[S] = 0;
    play(&p, PATH, S, SEGMENT_RST | ACK, 0);
    assert_int_equal(flow_end_of(play_end(&p)), FLOW_END_REFUSED);

    begin(&p);
    play(&p, 1 * MS, S, SEGMENT_RST | ACK, 0);
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(flow_end_of(c), FLOW_END_RESET_SERVER);
    assert_int_equal(c->reset, FLOW_RESET_UNREAD);

    begin(&p);
    play(&p, 1 * MS, S, SEGMENT_FIN | ACK, 0);
    play(&p, 1 * MS, C, DATA, 10);
    play(&p, PATH, S, SEGMENT_RST, 0);
    c = play_end(&p);
    assert_int_equal(c->reset, FLOW_RESET_AFTER_CLOSE);
    assert_int_equal(flow_end_of(c), FLOW_END_RESET_SERVER);

    begin(&p);
    play(&p, 1 * MS, C, DATA, 10);
    play(&p, PATH, S, SEGMENT_RST, 0);
    c = play_end(&p);
    assert_int_equal(c->reset, FLOW_RESET_UNKNOWN);

    play_begin(&p);
    play(&p, 0, C, SEGMENT_SYN, 0);
    play(&p, PATH, S, SEGMENT_SYN | ACK, 0);
    play(&p, PATH, C, SEGMENT_RST, 0);
    c = play_end(&p);
    assert_int_equal(c->reset, FLOW_RESET_HALF_OPEN);
}

static void ports_are_used_again(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    for (int i = 0; i < 3; i++) {
        play_handshake(&p, PATH, PATH);
        play(&p, 1 * MS, C, DATA, 10);
        play(&p, 1 * MS, S, DATA, 10);
        play(&p, 1 * MS, C, SEGMENT_FIN | ACK, 0);
        play(&p, PATH, S, SEGMENT_FIN | ACK, 0);
        play(&p, PATH, C, ACK, 0);
        p.seq[C] += 100000;
        p.seq[S] += 100000;
    }
    play_end(&p);
    assert_int_equal(p.ended_count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(flow_end_of(&p.ended[i]), FLOW_END_FIN);
}

static void begins_in_the_middle(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play(&p, 0, S, ACK, 0);
    play(&p, 1 * MS, C, DATA, 100);
    play(&p, 1 * MS, S, DATA, 100);
    const struct flow_connection *c = play_end(&p);
    assert_false(c->from_start);
    assert_int_equal(c->end[c->client].port, 40000);
    assert_int_equal(flow_end_of(c), FLOW_END_OPEN);
    assert_int_equal(flow_repeats(side_of(c, C)), 0);
}

static void one_direction_only(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    for (int i = 0; i < 20; i++) {
        p.seq[C] += 17;
        play(&p, 45 * MS, S, DATA, 50);
    }
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(flow_repeats(&c->side[0]) + flow_repeats(&c->side[1]), 0);
    assert_int_equal(
        c->parts[FLOW_NAGLE_DELAYED_ACK_CLIENT] + c->parts[FLOW_NAGLE_DELAYED_ACK_SERVER], 0);
}

static void time_never_goes_backwards(void **state)
{
    struct flow_play p;

    (void)state;
    begin(&p);
    play(&p, -500 * MS, S, DATA, 10);
    play(&p, 600 * MS, C, ACK, 0);
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(c->backwards, 1);
    assert_true(c->last_ns >= c->first_ns);
}

/* ---- The table */

static void a_connection_is_below_1_kb(void **state)
{
    (void)state;
    assert_true(sizeof(struct flow_connection) + 4 * sizeof(struct flow_slot) < 1000);
}

/* Half-open ones make room for each other, and what is established stays. */
static void a_flood_displaces_itself(void **state)
{
    struct flow_play p;
    uint64_t number = 0;

    (void)state;
    play_open_with(&p, &(struct flow_options){.max_connections = 100});
    p.at_ns = NS_PER_SEC;
    play_handshake(&p, PATH, PATH);
    play(&p, 1 * MS, C, DATA, 10);
    uint16_t port = p.port;
    for (int i = 0; i < 5000; i++) {
        p.port = (uint16_t)(1 + i);
        struct segment syn = play_segment(&p, C, SEGMENT_SYN, 0);
        play_raw(&p, p.at_ns + 10 * US, &syn);
    }
    assert_int_equal(flow_counts(p.flow)->live_most, 100);
    p.port = port;
    play(&p, 1 * MS, S, DATA, 10);
    assert_int_equal(flow_counts(p.flow)->connections, 5001);
    assert_int_equal(flow_counts(p.flow)->expired, 4901);
    for (size_t i = 0; i < ENDED_MAX; i++)
        number += p.ended[i].number == 1;
    assert_int_equal(number, 0);
    play_end(&p);
    assert_int_equal(p.ended_count, 5001);
}

static void idle_ones_expire(void **state)
{
    struct flow_play p;

    (void)state;
    play_open_with(&p, &(struct flow_options){.idle_ns = 10 * NS_PER_SEC});
    p.at_ns = NS_PER_SEC;
    play_handshake(&p, PATH, PATH);
    p.port++;
    p.at_ns += 60 * NS_PER_SEC;
    for (int i = 0; i < 200; i++)
        play(&p, 1 * MS, C, DATA, 10);
    assert_int_equal(p.ended_count, 1);
    assert_true(p.ended[0].expired);
    play_end(&p);
}

static void many_come_and_go(void **state)
{
    struct flow_table table;
    static struct flow_connection *kept[4000];
    struct flow_key key = {.family = 4};
    size_t found = 0;

    (void)state;
    assert_int_equal(flow_table_open(&table, 7), 0);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 4000; i++) {
            key.end[0].port = (uint16_t)i;
            key.end[1].port = (uint16_t)(i * 7);
            uint32_t hash = flow_table_hash(&table, &key);
            assert_null(flow_table_find(&table, &key, hash));
            kept[i] = flow_table_add(&table, &key, hash);
            assert_non_null(kept[i]);
        }
        for (uint32_t i = 0; i < 4000; i += 2)
            flow_table_remove(&table, kept[i]);
        for (uint32_t i = 0; i < 4000; i++) {
            key.end[0].port = (uint16_t)i;
            key.end[1].port = (uint16_t)(i * 7);
            struct flow_connection *one =
                flow_table_find(&table, &key, flow_table_hash(&table, &key));
            assert_ptr_equal(one, i % 2 ? kept[i] : NULL);
            found += one != NULL;
        }
        for (uint32_t i = 1; i < 4000; i += 2)
            flow_table_remove(&table, kept[i]);
        assert_int_equal(table.count, 0);
    }
    assert_int_equal(found, 6000);
    assert_true(table.places <= 4000);
    flow_table_close(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_repeats),
        cmocka_unit_test(a_dsack_takes_it_back),
        cmocka_unit_test(an_older_echo_takes_it_back),
        cmocka_unit_test(order_and_loss),
        cmocka_unit_test(what_the_capture_missed_is_no_loss),
        cmocka_unit_test(a_mirror_shows_it_twice),
        cmocka_unit_test(keepalives_are_no_repeats),
        cmocka_unit_test(syns_again),
        cmocka_unit_test(ends),
        cmocka_unit_test(ports_are_used_again),
        cmocka_unit_test(begins_in_the_middle),
        cmocka_unit_test(one_direction_only),
        cmocka_unit_test(time_never_goes_backwards),
        cmocka_unit_test(a_connection_is_below_1_kb),
        cmocka_unit_test(a_flood_displaces_itself),
        cmocka_unit_test(idle_ones_expire),
        cmocka_unit_test(many_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
