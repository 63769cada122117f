/* What becomes of a connect, by what else is known: of this host, of the path, of other targets. */
#include "reach_sample.h"

/* ---- what this host knows ---- */

static void a_neighbour_that_is_not_there(void **state)
{
    (void)state;
    static const struct reach_try icmp[] = {OUR_ICMP(3, 1, EHOSTUNREACH)};
    static const struct reach_try brief[] = {SILENCE(0)};
    struct reach_evidence evidence = with(icmp, 1), short_of = with(brief, 1);
    struct diagnosed out;

    evidence.route = &on_link;
    diagnose(&out, &evidence);
    assert_string_equal(out.result.reach_case, "no-neighbour");
    assert_null(out.result.cannot_tell);
    arena_free(&out.arena);

    /* Without the neighbour's state a firewall of our own could have said the same. */
    evidence.route = &reachable;
    diagnose(&out, &evidence);
    assert_string_equal(out.result.reach_case, "no-neighbour");
    assert_non_null(strstr(out.result.cannot_tell, "firewall"));
    arena_free(&out.arena);

    /* Our patience was over before the kernel's. */
    short_of.route = &by_gateway;
    ASSERT_CASE(&short_of, "no-neighbour", HOST_UNREACHABLE, NETWORK);
    short_of.route = &reachable;
    ASSERT_CASE(&short_of, "silent", CONNECT_TIMEOUT, NONE);
}

static void a_listener_of_this_host(void **state)
{
    (void)state;
    static const struct reach_try silent[] = {SILENCE(7)}, again[] = {AGAIN(1)}, rst[] = {RST};
    struct reach_evidence evidence = with(silent, 1), retried = with(again, 1),
                          refused = with(rst, 1);
    struct diagnosed out;

    evidence.route = retried.route = refused.route = &here;
    evidence.listener = retried.listener =
        (struct reach_listener){.seen = true, .queue = 6, .limit = 5};
    ASSERT_CASE(&evidence, "listener-overloaded", ACCEPT_QUEUE_OVERFLOW, SERVER);
    ASSERT_CASE(&retried, "listener-overloaded", ACCEPT_QUEUE_OVERFLOW, SERVER);
    /* A queue that is just full takes one more. */
    evidence.listener.queue = retried.listener.queue = 5;
    ASSERT_CASE(&evidence, "silent", CONNECT_TIMEOUT, NONE);
    ASSERT_CASE(&retried, "answered-after-retries", SYN_RETRANSMISSION, NONE);

    diagnose(&out, &refused);
    assert_null(out.result.cannot_tell);
    arena_free(&out.arena);
    refused.listener = (struct reach_listener){.seen = true, .limit = 5};
    diagnose(&out, &refused);
    assert_non_null(strstr(out.result.cannot_tell, "firewall"));
    arena_free(&out.arena);
    /* One for IPv6 only explains the refusal. */
    refused.listener.v6_for_v4 = true;
    diagnose(&out, &refused);
    assert_null(out.result.cannot_tell);
    arena_free(&out.arena);
}

static void silence_has_its_prediction(void **state)
{
    (void)state;
    static const struct reach_try tries[] = {SILENCE(6)};
    struct reach_evidence evidence = with(tries, 1);
    struct diagnosed out;

    diagnose(&out, &evidence);
    assert_int_equal(out.result.syns_sent, 7);
    /* 0 1 2 3 4 5 7 s, and 11 s is over; with late timers the one of 7 s is at 8 s. */
    assert_int_equal(out.result.syns_most, 7);
    assert_int_equal(out.result.syns_least, 7);
    assert_int_equal(out.result.gives_up_ns, 131 * S);
    arena_free(&out.arena);
}

/* ---- the path ---- */

#define HOP(sender) ICMP(sender, 11, 0, EHOSTUNREACH)

static const char *end_of(struct diagnosed *out, struct reach_evidence *evidence,
                          const struct reach_try *hops, size_t count)
{
    evidence->hops = hops;
    evidence->hop_count = count;
    diagnose(out, evidence);
    assert_int_equal(out->result.path->hop_count, count);
    return out->result.path->end;
}

static void a_path_says_where_it_ends(void **state)
{
    (void)state;
    static const struct reach_try silent[] = {SILENCE(7)}, rejected[] = {ICMP(ROUTER, 3, 13, 1)};
    static const struct reach_try lost[] = {HOP("192.0.2.8"), HOP(ROUTER), SILENCE(2), SILENCE(2)};
    static const struct reach_try nothing[] = {SILENCE(2), SILENCE(2)};
    static const struct reach_try reject[] = {HOP("192.0.2.8"), SILENCE(2), HOP(ROUTER),
                                              ICMP(ROUTER, 3, 13, 1)};
    static const struct reach_try there[] = {HOP(ROUTER), SILENCE(2), CONNECTED(MS)};
    struct reach_evidence evidence = with(silent, 1), by_icmp = with(rejected, 1);
    struct diagnosed out;

    const char *end = end_of(&out, &evidence, lost, 4);
    assert_non_null(strstr(end, ROUTER " (hop 2)"));
    assert_non_null(strstr(end, "does not prove"));
    assert_null(out.result.path->hops[2].address);
    arena_free(&out.arena);

    assert_non_null(strstr(end_of(&out, &evidence, nothing, 2), "not even the first"));
    arena_free(&out.arena);

    assert_non_null(strstr(end_of(&out, &evidence, there, 3), "answers at hop 3"));
    assert_non_null(strstr(out.result.path->end, "prove nothing"));
    assert_string_equal(out.result.path->hops[2].address, TARGET);
    arena_free(&out.arena);

    /* It let the SYN with a shorter life die, and rejects the next: the same router. */
    assert_non_null(strstr(end_of(&out, &by_icmp, reject, 4), "the router at hop 3"));
    assert_non_null(strstr(out.findings.items[0].summary, "hop 3 of the path"));
    arena_free(&out.arena);
}

static void a_time_with_two_syns_is_no_time(void **state)
{
    (void)state;
    static const struct reach_try silent[] = {SILENCE(7)};
    struct reach_try hops[] = {HOP(ROUTER), HOP(ROUTER)};
    struct reach_evidence evidence = with(silent, 1);
    struct diagnosed out;

    hops[1].syn_retransmits = 1;
    end_of(&out, &evidence, hops, 2);
    assert_int_equal(out.result.path->hops[0].rtt_ns, MS);
    assert_true(out.result.path->hops[1].rtt_ns == RESULT_UNKNOWN);
    arena_free(&out.arena);
}

/* ---- other targets ---- */

static void other_ports_show_that_a_host_is_alive(void **state)
{
    (void)state;
    static const struct reach_try silent[] = {SILENCE(7)}, connects[] = {CONNECTED(MS)},
                                  rst[] = {RST}, again[] = {AGAIN(1)};
    struct reach_evidence quiet = with(silent, 1), open = with(connects, 1), refused = with(rst, 1),
                          elsewhere = with(connects, 1), twin = with(silent, 1),
                          late = with(again, 1);
    struct diagnosed out;

    open.port = 80;
    open.target = "db:80";
    refused.port = 81;
    refused.target = "db:81";
    late.port = 82;
    elsewhere.address = "192.0.2.99";
    elsewhere.port = 80;

    /* The same port again says nothing, nor does another host. */
    struct reach_evidence *strangers[] = {&quiet, &elsewhere, &twin};
    reach_find_others(strangers, 3);
    ASSERT_CASE(&quiet, "silent", CONNECT_TIMEOUT, NONE);

    /* An RST could be a firewall's; a connection says more. */
    struct reach_evidence *some[] = {&quiet, &refused};
    reach_find_others(some, 2);
    diagnose(&out, &quiet);
    assert_string_equal(out.result.reach_case, "filtered");
    assert_non_null(strstr(out.findings.items[0].summary, "unless a firewall"));
    arena_free(&out.arena);

    struct reach_evidence *all[] = {&refused, &late, &quiet, &open, &elsewhere};
    reach_find_others(all, 5);
    assert_string_equal(quiet.other.target, "db:80");
    diagnose(&out, &quiet);
    assert_non_null(strstr(out.findings.items[0].summary, "db:80, on the same address, connected"));
    arena_free(&out.arena);
    diagnose(&out, &late);
    assert_non_null(strstr(out.findings.items[0].summary, "proves neither"));
    arena_free(&out.arena);
    assert_ptr_not_equal(open.other.target, open.target);
}

static void distances_tell_who_sends_an_rst(void **state)
{
    (void)state;
    static const struct reach_try rst[] = {RST}, silent[] = {SILENCE(7)};
    static const struct reach_try near[] = {HOP(ROUTER), RST};
    static const struct reach_try vanished[] = {HOP("192.0.2.8"), HOP(ROUTER), SILENCE(2)};
    struct reach_evidence refused = with(rst, 1), quiet = with(silent, 1);

    refused.hops = near;
    refused.hop_count = 2;
    refused.other = (struct reach_other){.target = "db:80", .answer = REACH_CONNECTED, .hop = 3};
    ASSERT_CASE(&refused, "refused-on-the-way", CONNECTION_REJECTED, NETWORK);
    /* As far away, or not known how far. */
    refused.other.hop = 2;
    ASSERT_CASE(&refused, "refused", CONNECTION_REFUSED, SERVER);
    refused.other.hop = 0;
    ASSERT_CASE(&refused, "refused", CONNECTION_REFUSED, SERVER);

    struct diagnosed out;
    quiet.other = (struct reach_other){.target = "db:80", .answer = REACH_CONNECTED, .hop = 3};
    assert_non_null(strstr(end_of(&out, &quiet, vanished, 3), "the last router before the host"));
    arena_free(&out.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_neighbour_that_is_not_there),
        cmocka_unit_test(a_listener_of_this_host),
        cmocka_unit_test(silence_has_its_prediction),
        cmocka_unit_test(a_path_says_where_it_ends),
        cmocka_unit_test(a_time_with_two_syns_is_no_time),
        cmocka_unit_test(other_ports_show_that_a_host_is_alive),
        cmocka_unit_test(distances_tell_who_sends_an_rst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
