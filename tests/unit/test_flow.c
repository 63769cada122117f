/* lib/flow's division and verdicts: each rule, and what looks like it and is not. */
#include "flow_play.h"

#define CLIENT_PATH (50 * US)
#define SERVER_PATH (200 * US)

/* A round of write-write-read whose second write waits for the server's ACK. */
static void held_round(struct flow_play *p, int64_t ack_ns, int64_t behind_ns)
{
    play(p, 5 * MS, C, DATA, 20);
    play(p, ack_ns, S, ACK, 0);
    play(p, behind_ns, C, DATA, 30);
    play(p, SERVER_PATH + 100 * US, S, DATA, 50);
    play(p, CLIENT_PATH, C, ACK, 0);
}

static void close_both(struct flow_play *p)
{
    play(p, 100 * US, C, SEGMENT_FIN | ACK, 0);
    play(p, SERVER_PATH, S, SEGMENT_FIN | ACK, 0);
    play(p, CLIENT_PATH, C, ACK, 0);
}

static void nagle_waits_for_a_delayed_ack(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    for (int i = 0; i < 5; i++)
        held_round(&p, 40 * MS + i * MS, CLIENT_PATH + 20 * US);
    close_both(&p);
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(flow_nagle(side_of(c, C)), FLOW_NAGLE_PROVEN);
    assert_int_equal(side_of(c, C)->holds, 5);
    assert_int_equal(flow_nagle(side_of(c, S)), FLOW_NAGLE_NOT);
    assert_int_equal(p.stall_count, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(p.stalls[i].part, FLOW_NAGLE_DELAYED_ACK_CLIENT);
        assert_true(p.stalls[i].at_least_ns >= 39 * MS && p.stalls[i].at_least_ns <= 44 * MS);
    }
    assert_true(c->parts[FLOW_NAGLE_DELAYED_ACK_CLIENT] > 200 * MS);
    assert_int_equal(c->parts[FLOW_NAGLE_DELAYED_ACK_SERVER], 0);
    assert_int_equal(flow_end_of(c), FLOW_END_FIN);
    assert_int_equal(c->requests, 5);
}

static void the_servers_second_write_waits(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    p.ipv6 = true;
    play_handshake(&p, SERVER_PATH, CLIENT_PATH);
    for (int i = 0; i < 4; i++) {
        play(&p, 5 * MS, C, DATA, 100);
        play(&p, 300 * US, S, DATA, 60);
        play(&p, 41 * MS, C, ACK, 0);
        play(&p, CLIENT_PATH, S, DATA, 70);
        play(&p, SERVER_PATH, C, ACK, 0);
    }
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(flow_nagle(side_of(c, S)), FLOW_NAGLE_PROVEN);
    assert_int_equal(flow_nagle(side_of(c, C)), FLOW_NAGLE_NOT);
    assert_true(c->parts[FLOW_NAGLE_DELAYED_ACK_SERVER] > 160 * MS);
}

/* With TCP_NODELAY the second small write leaves at once, once; so it is off. */
static void one_denial_is_enough(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    for (int i = 0; i < 6; i++)
        held_round(&p, 41 * MS, CLIENT_PATH);
    play(&p, 5 * MS, C, DATA, 20);
    play(&p, 30 * US, C, DATA, 30);
    play(&p, SERVER_PATH + 100 * US, S, DATA, 50);
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(side_of(c, C)->denials, 1);
    assert_int_equal(flow_nagle(side_of(c, C)), FLOW_NAGLE_NOT);
    assert_int_equal(c->parts[FLOW_NAGLE_DELAYED_ACK_CLIENT], 0);
    assert_true(c->parts[FLOW_CLIENT_THINK] > 240 * MS);
}

static void one_hold_is_chance(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    held_round(&p, 41 * MS, CLIENT_PATH);
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(flow_nagle(side_of(c, C)), FLOW_NAGLE_UNDECIDED);
    assert_int_equal(c->parts[FLOW_NAGLE_DELAYED_ACK_CLIENT], 0);
}

/* A program that waits on its own comes at any time behind the ACK. */
static void a_client_that_waits(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    for (int i = 0; i < 12; i++)
        held_round(&p, 40 * MS + (i % 4) * MS, 4 * MS - (i % 4) * MS + CLIENT_PATH);
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(flow_nagle(side_of(c, C)), FLOW_NAGLE_NOT);
    assert_int_equal(c->parts[FLOW_NAGLE_DELAYED_ACK_CLIENT], 0);
    assert_true(c->parts[FLOW_CLIENT_THINK] > 480 * MS);
}

static void a_server_that_takes_40_ms(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    for (int i = 0; i < 5; i++) {
        play(&p, 5 * MS, C, DATA, 20);
        play(&p, 40 * MS, S, ACK, 0);
        play(&p, 100 * US, S, DATA, 30);
        play(&p, CLIENT_PATH, C, ACK, 0);
    }
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(flow_nagle(side_of(c, C)), FLOW_NAGLE_NOT);
    assert_int_equal(flow_nagle(side_of(c, S)), FLOW_NAGLE_NOT);
    assert_int_equal(p.stall_count, 5);
    assert_int_equal(p.stalls[0].part, FLOW_SERVER_THINK);
    assert_true(c->parts[FLOW_SERVER_THINK] > 195 * MS);
}

/* A path of 40 ms with answers at once: nobody is blamed for it. */
static void a_long_path(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, 40 * MS);
    for (int i = 0; i < 5; i++) {
        play(&p, 5 * MS, C, DATA, 20);
        play(&p, 40 * MS + 200 * US, S, DATA, 30);
        play(&p, CLIENT_PATH, C, ACK, 0);
    }
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(p.stall_count, 0);
    assert_true(c->parts[FLOW_NETWORK] >= 240 * MS);
    assert_true(c->parts[FLOW_SERVER_THINK] <= 2 * MS);
}

/* The same path, and small writes that wait for it. */
static void nagle_waits_for_a_round_trip(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, 40 * MS);
    for (int i = 0; i < 5; i++) {
        play(&p, 5 * MS, C, DATA, 20);
        play(&p, 40 * MS + 20 * US, S, ACK, 0);
        play(&p, CLIENT_PATH + 10 * US, C, DATA, 30);
        play(&p, 40 * MS + 100 * US, S, DATA, 50);
        play(&p, CLIENT_PATH, C, ACK, 0);
    }
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(flow_nagle(side_of(c, C)), FLOW_NAGLE_PROVEN);
    assert_int_equal(c->parts[FLOW_NAGLE_DELAYED_ACK_CLIENT], 0);
    assert_true(c->parts[FLOW_NAGLE_ROUND_TRIP_CLIENT] >= 200 * MS);
}

static void a_delayed_ack_that_held_nothing(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    play(&p, 1 * MS, C, DATA, 20);
    play(&p, 300 * US, S, DATA, 30);
    play(&p, 41 * MS, C, ACK, 0);
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(p.stall_count, 0);
    assert_true(c->parts[FLOW_DELAYED_ACK] > 40 * MS);
}

/* Full segments that an ACK lets go are no Nagle. */
static void full_segments_wait_for_windows(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, 50 * MS);
    play(&p, 1 * MS, C, DATA, 20);
    for (int flight = 10; flight <= 40; flight *= 2) {
        for (int i = 0; i < flight; i++)
            play(&p, 10 * US, C, ACK, 1460);
        play(&p, 50 * MS, S, ACK, 0);
    }
    play(&p, CLIENT_PATH, C, DATA, 100);
    const struct flow_connection *c = play_end(&p);
    assert_true(c->parts[FLOW_CONGESTION_WINDOW] >= 100 * MS);
    assert_int_equal(flow_nagle(side_of(c, C)), FLOW_NAGLE_NOT);
}

static void a_full_receive_window(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    p.window = 14600;
    play_handshake(&p, CLIENT_PATH, 50 * MS);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 10; i++)
            play(&p, 10 * US, C, ACK, 1460);
        play(&p, 50 * MS, S, ACK, 0);
    }
    play(&p, CLIENT_PATH, C, DATA, 100);
    const struct flow_connection *c = play_end(&p);
    assert_true(c->parts[FLOW_RECEIVE_WINDOW] >= 150 * MS);
    assert_int_equal(p.stalls[0].part, FLOW_RECEIVE_WINDOW);
}

static void a_closed_window(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    play(&p, 1 * MS, C, ACK, 1460);
    p.window = 0;
    play(&p, SERVER_PATH, S, ACK, 0);
    p.window = 64000;
    play(&p, 300 * MS, S, ACK, 0);
    play(&p, CLIENT_PATH, C, DATA, 1000);
    const struct flow_connection *c = play_end(&p);
    assert_int_equal(side_of(c, S)->zero_windows, 1);
    assert_int_equal(c->parts[FLOW_ZERO_WINDOW], 300 * MS);
    assert_int_equal(p.stalls[0].part, FLOW_ZERO_WINDOW);
    assert_int_equal(p.stalls[0].frames[1], 5);
}

/* A write whose rest the kernel keeps: what was sent before does not end it. */
static void a_corked_rest(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    play(&p, 1 * MS, C, DATA, 20);
    play(&p, 1 * MS, S, ACK, 1460);
    play(&p, CLIENT_PATH, C, ACK, 0);
    play(&p, 203 * MS, S, DATA, 100);
    const struct flow_connection *c = play_end(&p);
    assert_true(c->parts[FLOW_CORK] > 200 * MS);
}

static void rest_is_nobodys(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    play(&p, 1 * MS, C, DATA, 20);
    play(&p, 1 * MS, S, DATA, 20);
    play(&p, CLIENT_PATH, C, ACK, 0);
    play(&p, 30000 * MS, C, DATA, 20);
    play(&p, 2000 * MS, S, DATA, 20);
    play(&p, 40000 * MS, S, SEGMENT_FIN | ACK, 0);
    const struct flow_connection *c = play_end(&p);
    assert_true(c->parts[FLOW_IDLE] > 69990 * MS);
    assert_true(c->parts[FLOW_SERVER_THINK] > 1990 * MS);
    assert_int_equal(p.stall_count, 1);
}

/* The capture's clock is set by a minute; the sender's own says that no time passed. */
static void a_clock_step(void **state)
{
    struct flow_play p;

    (void)state;
    play_begin(&p);
    p.stamp[C] = 100;
    p.stamp[S] = 900;
    play_handshake(&p, CLIENT_PATH, SERVER_PATH);
    for (int i = 0; i < 10; i++) {
        play(&p, 5 * MS, C, DATA, 20);
        play(&p, 1 * MS, S, DATA, 20);
        p.stamp[C] += 6;
        p.stamp[S] += 6;
    }
    play(&p, 5 * MS, C, DATA, 20);
    p.stamp[S] += 2;
    play(&p, 60001 * MS, S, DATA, 20);
    const struct flow_connection *c = play_end(&p);
    assert_true(c->stepped);
    assert_int_equal(p.stall_count, 0);
    assert_true(c->parts[FLOW_IDLE] > 60000 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nagle_waits_for_a_delayed_ack),
        cmocka_unit_test(the_servers_second_write_waits),
        cmocka_unit_test(one_denial_is_enough),
        cmocka_unit_test(one_hold_is_chance),
        cmocka_unit_test(a_client_that_waits),
        cmocka_unit_test(a_server_that_takes_40_ms),
        cmocka_unit_test(a_long_path),
        cmocka_unit_test(nagle_waits_for_a_round_trip),
        cmocka_unit_test(a_delayed_ack_that_held_nothing),
        cmocka_unit_test(full_segments_wait_for_windows),
        cmocka_unit_test(a_full_receive_window),
        cmocka_unit_test(a_closed_window),
        cmocka_unit_test(a_corked_rest),
        cmocka_unit_test(rest_is_nobodys),
        cmocka_unit_test(a_clock_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
