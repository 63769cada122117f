/* What becomes of a connect: measurements in, a case and a finding out. */
#include "reach_sample.h"

static void what_connects(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum finding_code code;
        enum result_side side;
        struct reach_try tries[3];
    } rows[] = {
        {"accepted",
         FINDING_NONE,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), CONNECTED(2 * MS), CONNECTED(MS)}},
        /* Slow, but not by enough; uneven, but by little. */
        {"accepted",
         FINDING_NONE,
         RESULT_SIDE_NONE,
         {CONNECTED(99 * MS), CONNECTED(99 * MS), CONNECTED(140 * MS)}},
        {"accepted",
         FINDING_NONE,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), CONNECTED(90 * MS), CONNECTED(MS)}},
        {"slow-path",
         FINDING_HIGH_RTT,
         RESULT_SIDE_NETWORK,
         {CONNECTED(100 * MS), CONNECTED(180 * MS), CONNECTED(120 * MS)}},
        {"answered-late",
         FINDING_LATE_SYNACK,
         RESULT_SIDE_NONE,
         {CONNECTED(2 * MS), CONNECTED(300 * MS), CONNECTED(2 * MS)}},
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {AGAIN(1), CONNECTED(MS), CONNECTED(MS)}},
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {AGAIN(2), AGAIN(1), AGAIN(3)}},
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), CONNECTED(MS), SILENCE(6)}},
        /* The answer to the first SYN is late, not lost: always, or once. */
        {"answered-late",
         FINDING_LATE_SYNACK,
         RESULT_SIDE_NONE,
         {ECHOED(1200 * MS, 1200 * MS), ECHOED(1203 * MS, 1201 * MS),
          ECHOED(1900 * MS, 1900 * MS)}},
        {"answered-late",
         FINDING_LATE_SYNACK,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), ECHOED(1200 * MS, 1199 * MS), CONNECTED(2 * MS)}},
        /* The second SYN was answered: the first one was lost, or dropped. */
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {ECHOED(1200 * MS, 200 * MS), ECHOED(1200 * MS, 200 * MS), ECHOED(1200 * MS, 200 * MS)}},
        /* The first SYN was answered, and that answer lost: the next one came with the second SYN,
         * a round trip later. */
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {ECHOED(1060 * MS, 1060 * MS), ECHOED(1060 * MS, 1060 * MS),
          ECHOED(1061 * MS, 1060 * MS)}},
        {"answered-after-retries",
         FINDING_SYN_RETRANSMISSION,
         RESULT_SIDE_NONE,
         {CONNECTED(180 * MS), ECHOED(1200 * MS, 1200 * MS), CONNECTED(185 * MS)}},
        {"unsteady",
         FINDING_CONNECTION_REFUSED,
         RESULT_SIDE_SERVER,
         {CONNECTED(MS), RST, CONNECTED(MS)}},
        {"unsteady",
         FINDING_INCONCLUSIVE,
         RESULT_SIDE_NONE,
         {CONNECTED(MS), CONNECTED(MS), ICMP(ROUTER, 3, 1, EHOSTUNREACH)}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct reach_evidence evidence = with(rows[i].tries, 3);
        assert_case(&evidence, rows[i].name, rows[i].code, rows[i].side);
    }
}

static void the_ports_of_this_host(void **state)
{
    static const struct reach_try attempt = LOCAL(EADDRNOTAVAIL);
    struct reach_evidence evidence = with(&attempt, 1);
    struct diagnosed out;

    (void)state;
    evidence.local.port_first = 40000;
    evidence.local.port_last = 40019;
    for (uint32_t taken = 19; taken <= 20; taken++) {
        evidence.local.ports_taken = taken;
        diagnose(&out, &evidence);
        assert_string_equal(out.result.reach_case, "no-local-address");
        assert_non_null(strstr(out.findings.items[0].summary, "of the 20 local ports"));
        assert_true(!out.result.cannot_tell == (taken == 20));
        arena_free(&out.arena);
    }
}

static void what_fails(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum finding_code code;
        enum result_side side;
        struct reach_try attempt;
    } rows[] = {
        {"refused", FINDING_CONNECTION_REFUSED, RESULT_SIDE_SERVER, RST},
        {"silent", FINDING_CONNECT_TIMEOUT, RESULT_SIDE_NONE, SILENCE(7)},
        {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_NETWORK,
         ICMP(ROUTER, 3, 13, EHOSTUNREACH)},
        /* The errno of an RST, and yet none. */
        {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_NETWORK,
         ICMP(ROUTER, 3, 3, ECONNREFUSED)},
        {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_SERVER,
         ICMP(TARGET, 3, 3, ECONNREFUSED)},
        {"rejected", FINDING_CONNECTION_REJECTED, RESULT_SIDE_CLIENT, OUR_ICMP(3, 3, ECONNREFUSED)},
        {"host-unreachable", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE,
         ICMP(ROUTER, 3, 1, EHOSTUNREACH)},
        {"host-unreachable", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE,
         ICMP(TARGET, 3, 1, EHOSTUNREACH)},
        {"no-neighbour", FINDING_HOST_UNREACHABLE, RESULT_SIDE_NONE, OUR_ICMP(3, 1, EHOSTUNREACH)},
        {"network-unreachable", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_NETWORK,
         ICMP(ROUTER, 3, 0, ENETUNREACH)},
        {"routing-loop", FINDING_ROUTING_LOOP, RESULT_SIDE_NETWORK,
         ICMP(ROUTER, 11, 0, EHOSTUNREACH)},
        {"icmp-error", FINDING_INCONCLUSIVE, RESULT_SIDE_NETWORK, ICMP(ROUTER, 12, 0, EPROTO)},
        {"icmp-error", FINDING_INCONCLUSIVE, RESULT_SIDE_NETWORK, ICMP(ROUTER, 99, 9, EPROTO)},
        {"no-route", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_CLIENT, LOCAL(ENETUNREACH)},
        {"no-route", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_CLIENT, LOCAL(EHOSTUNREACH)},
        {"no-route", FINDING_NETWORK_UNREACHABLE, RESULT_SIDE_CLIENT, LOCAL(EINVAL)},
        {"not-permitted", FINDING_NOT_PERMITTED, RESULT_SIDE_CLIENT, LOCAL(EACCES)},
        {"not-permitted", FINDING_NOT_PERMITTED, RESULT_SIDE_CLIENT, LOCAL(EPERM)},
        {"no-local-address", FINDING_NO_LOCAL_ADDRESS, RESULT_SIDE_CLIENT, LOCAL(EADDRNOTAVAIL)},
        {"untried", FINDING_INCONCLUSIVE, RESULT_SIDE_NONE, LOCAL(EIO)},
        {"machine-refuses",
         FINDING_MACHINE_REFUSES,
         RESULT_SIDE_CLIENT,
         {.answer = REACH_UNTRIED, .number = EMFILE, .rtt_ns = RESULT_UNKNOWN}},
        {"reset-at-once",
         FINDING_CONNECTION_RESET,
         RESULT_SIDE_SERVER,
         {.answer = REACH_RESET, .number = ECONNRESET, .rtt_ns = RESULT_UNKNOWN}},
        {"met-itself",
         FINDING_CONNECTION_REFUSED,
         RESULT_SIDE_SERVER,
         {.answer = REACH_ITSELF, .rtt_ns = RESULT_UNKNOWN}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct reach_evidence evidence = with(&rows[i].attempt, 1);
        assert_case(&evidence, rows[i].name, rows[i].code, rows[i].side);
    }
}

/* An ICMP message names its sender; it says more than an RST, and both more than silence. */
static void what_proves_more_decides(void **state)
{
    (void)state;
    static const struct reach_try tries[] = {RST, ICMP(ROUTER, 3, 13, EHOSTUNREACH)};
    static const struct reach_try others[] = {RST, SILENCE(3)};
    struct reach_evidence evidence = with(tries, 2), other = with(others, 2);

    ASSERT_CASE(&evidence, "rejected", CONNECTION_REJECTED, NETWORK);
    ASSERT_CASE(&other, "refused", CONNECTION_REFUSED, SERVER);
}

static void nothing_was_tried(void **state)
{
    (void)state;
    struct reach_evidence evidence = with(NULL, 0), nameless = with(NULL, 0);

    ASSERT_CASE(&evidence, "untried", INCONCLUSIVE, NONE);
    nameless.address = NULL;
    nameless.resolve_error = "cannot resolve 'db': no such host";
    ASSERT_CASE(&nameless, "no-name", NAME_NOT_FOUND, CLIENT);
}

static void a_slow_name_is_a_finding_of_its_own(void **state)
{
    (void)state;
    static const struct reach_try tries[] = {CONNECTED(MS)};
    struct reach_evidence evidence = with(tries, 1);

    evidence.resolve_ns = 499 * MS;
    ASSERT_CASE(&evidence, "accepted", NONE, NONE);
    evidence.resolve_ns = 500 * MS;
    ASSERT_CASE(&evidence, "accepted", SLOW_RESOLVE, CLIENT);
}

/* ---- whatever comes ---- */

static uint32_t random_below(uint32_t *seed, uint32_t bound)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % bound;
}

static struct reach_try random_try(uint32_t *seed)
{
    static const char *const senders[] = {NULL, TARGET, ROUTER, OURS};
    static const int numbers[] = {0, ECONNREFUSED, ETIMEDOUT, EACCES, EIO, ENETUNREACH, EINVAL};
    struct reach_try attempt = {.answer = (enum reach_answer)random_below(seed, REACH_ANSWERS),
                                .number = numbers[random_below(seed, ARRAY_SIZE(numbers))],
                                .took_ns = (int64_t)random_below(seed, 1 << 24) * 1000,
                                .rtt_ns = random_below(seed, 2) ? RESULT_UNKNOWN
                                                                : random_below(seed, 1 << 24),
                                .syn_retransmits = random_below(seed, 4)};

    attempt.icmp = (struct reach_icmp){.v6 = random_below(seed, 2),
                                       .type = (uint8_t)random_below(seed, 14),
                                       .code = (uint8_t)random_below(seed, 17),
                                       .from = senders[random_below(seed, 4)],
                                       .ours = random_below(seed, 2)};
    attempt.wire = (struct reach_wire){.seen = random_below(seed, 2),
                                       .syns = random_below(seed, 3),
                                       .synacks = random_below(seed, 2),
                                       .misfits = random_below(seed, 2),
                                       .synack_ttl = (uint8_t)random_below(seed, 256),
                                       .rst_ttl = (uint8_t)random_below(seed, 256),
                                       .has_icmp = random_below(seed, 2),
                                       .icmp = attempt.icmp};
    return attempt;
}

static void any_evidence_has_a_case(void **state)
{
    (void)state;
    static const struct result_route *const routes[] = {NULL, &here, &on_link, &by_gateway};
    uint32_t seed = 1;

    for (int i = 0; i < 20000; i++) {
        struct reach_try tries[4], hops[6];
        struct diagnosed out;
        for (size_t j = 0; j < 4; j++)
            tries[j] = random_try(&seed);
        for (size_t j = 0; j < 6; j++)
            hops[j] = random_try(&seed);
        struct reach_evidence evidence = with(tries, random_below(&seed, 5));
        evidence.hops = hops;
        evidence.hop_count = random_below(&seed, 7);
        evidence.route = routes[random_below(&seed, 4)];
        evidence.listener = (struct reach_listener){.seen = random_below(&seed, 2),
                                                    .queue = random_below(&seed, 3),
                                                    .limit = random_below(&seed, 3)};
        if (random_below(&seed, 2))
            evidence.other = (struct reach_other){.target = "db:80",
                                                  .answer = REACH_CONNECTED,
                                                  .at_once = random_below(&seed, 2),
                                                  .hop = random_below(&seed, 8),
                                                  .ttl = (uint8_t)random_below(&seed, 256)};
        diagnose(&out, &evidence);
        /* What connects is never said not to, and the other way round. */
        bool connected = false;
        for (size_t j = 0; j < evidence.try_count; j++)
            connected |= tries[j].answer == REACH_CONNECTED;
        assert_true(out.result.ok == connected);
        assert_false(out.arena.failed);
        arena_free(&out.arena);
    }
}

static void every_message_has_a_name(void **state)
{
    (void)state;
    for (int v6 = 0; v6 < 2; v6++)
        for (int type = 0; type < 256; type++)
            for (int code = 0; code < 256; code++) {
                struct reach_icmp icmp = {.v6 = v6, .type = (uint8_t)type, .code = (uint8_t)code};
                assert_true(*reach_icmp_name(&icmp));
                assert_true(reach_icmp_kind(&icmp) <= REACH_ICMP_TTL);
            }
    /* The numbers of one protocol are not those of the other. */
    assert_int_equal(reach_icmp_kind(&(struct reach_icmp){.type = 3}), REACH_ICMP_NO_ROUTE);
    assert_int_equal(reach_icmp_kind(&(struct reach_icmp){.v6 = true, .type = 3}), REACH_ICMP_TTL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_connects),
        cmocka_unit_test(the_ports_of_this_host),
        cmocka_unit_test(what_fails),
        cmocka_unit_test(what_proves_more_decides),
        cmocka_unit_test(nothing_was_tried),
        cmocka_unit_test(a_slow_name_is_a_finding_of_its_own),
        cmocka_unit_test(any_evidence_has_a_case),
        cmocka_unit_test(every_message_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
