/* What no verdict may claim: where evidence is missing, a delay is rare, the machine busy, or
 * another cause looks alike. */
#include "probe_service.h"

/* ---- where evidence is missing ---- */

static void without_arms_the_server_is_not_blamed_for_nagle(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .server_nagle = true}, ROUNDS, 0);
    (void)state;
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
}

static void without_stamps_the_client_is_not_blamed_for_nagle(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS},
                    ROUNDS, ROUNDS);
    (void)state;
    evidence.stamps_acked = false;
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
}

/* A small last write that waits for the congestion window is let go by an ACK as well. */
static void a_congestion_window_is_not_nagle(void **state)
{
    for (size_t others = 0; others <= ROUNDS; others += ROUNDS) {
        struct probe_evidence evidence =
            evidence_of(&(struct service){.rtt_ns = 30 * MS, .wakeup_ns = 60 * US}, ROUNDS, others);
        (void)state;
        for (int arm = 0; arm < ARM_SMALL_MSS; arm++)
            for (size_t i = 0; i < evidence.arms[arm].count; i++) {
                store[arm][i].part_ns[RESULT_PART_SEND_HOLD] = store[arm][i].hold_ns = 60 * MS;
                store[arm][i].hold_small = true;
                store[arm][i].hold_after_ack_ns = 20 * US;
                store[arm][i].held_ack_delay_ns = 100 * US;
            }
        diagnose(&evidence);
        assert_null(found(FINDING_NAGLE_DELAYED_ACK));
        expect_verdict(FINDING_INCONCLUSIVE);
    }
}

/* Over a long way Nagle's algorithm alone costs a round trip, and nobody's ACK was delayed: then
 * nobody says so. */
static void nagle_without_a_delayed_ack(void **state)
{
    (void)state;
    expect(&(struct service){.rtt_ns = 60 * MS, .client_nagle = true, .server_ack_ns = 0},
           FINDING_NAGLE_ROUND_TRIP);
    assert_null(strstr(found(FINDING_NAGLE_ROUND_TRIP)->summary, "delayed ACK"));
    expect_cost(FINDING_NAGLE_ROUND_TRIP, RESULT_SIDE_CLIENT, 59 * MS, 64 * MS);
}

static void few_rounds_claim_little(void **state)
{
    (void)state;
    for (size_t rounds = 0; rounds < 5; rounds++) {
        struct probe_evidence evidence =
            evidence_of(&(struct service){LOOPBACK, .server_nagle = true}, rounds, rounds);
        diagnose(&evidence);
        assert_null(found(FINDING_NAGLE_DELAYED_ACK));
        expect_verdict(rounds >= 3 ? FINDING_INCONCLUSIVE : FINDING_NONE);
    }
}

/* ---- intermittent stalls ---- */

static void a_stall_in_every_third_round(void **state)
{
    (void)state;
    seed = 11;
    expect(&(struct service){LOOPBACK, .server_nagle = true, .percent = 34},
           FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    assert_in_range(found(FINDING_NAGLE_DELAYED_ACK)->count, 6, 24);
}

static void a_rare_delay_is_no_finding(void **state)
{
    (void)state;
    seed = 5;
    expect(&(struct service){LOOPBACK, .think_ns = 90 * MS, .percent = 5}, FINDING_NONE);
}

/* ---- noise ---- */

static void a_busy_machine_does_not_blame_the_server(void **state)
{
    (void)state;
    for (seed = 1; seed < 40;) {
        uint32_t first = seed;
        struct service service = {.rtt_ns = 8 * US, .wakeup_ns = 30 * MS};
        struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
        for (size_t i = 0; i < ROUNDS; i++) /* the server is as late as we are */
            add_think(&store[ARM_BASELINE][i], chance(30 * MS));
        diagnose(&evidence);
        enum finding_code verdict = finding_verdict(&findings);
        if (verdict != FINDING_NONE && verdict != FINDING_INCONCLUSIVE)
            fail_msg("from %u: %s", first, findings.items[0].summary);
        seed = first + 1;
    }
}

static void a_stall_stands_out_of_some_noise(void **state)
{
    (void)state;
    for (seed = 1; seed < 40;) {
        uint32_t first = seed;
        expect(&(struct service){.rtt_ns = 8 * US, .wakeup_ns = 6 * MS, .server_nagle = true},
               FINDING_NAGLE_DELAYED_ACK);
        seed = first + 1;
    }
}

/* ---- never wrong ---- */

/* A server that sleeps, however long, however irregularly, in all rounds or some, in the middle of
 * its answer or before it, is never called Nagle's. */
static void random_sleeps_are_never_nagle(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 4000; number++) {
        seed = number * 2654435761u;
        struct service service = {.rtt_ns = chance(3) ? 8 * US : chance(40 * MS),
                                  .wakeup_ns = chance(2) ? 60 * US : chance(20 * MS),
                                  .pause_ns = 1 * MS + chance(250 * MS),
                                  .pause_spread_ns = chance(2) ? 2 * MS : chance(80 * MS),
                                  .think_ns = chance(3) ? 0 : chance(60 * MS),
                                  .percent = chance(2) ? 0 : 20 + (int)chance(80)};
        if (number % 4 == 0)
            service.pause_ns = 38 * MS + chance(8 * MS); /* where it looks most alike */
        size_t rounds = 10 + (size_t)chance(40), others = 10 + (size_t)chance(30);
        struct probe_evidence evidence = evidence_of(&service, rounds, others);
        diagnose(&evidence);
        if (found(FINDING_NAGLE_DELAYED_ACK) || found(FINDING_CORK_HOLD))
            fail_msg("number %u: %s, pause %lld us, spread %lld us, %d%%: %s", number,
                     found(FINDING_CORK_HOLD) ? "cork" : "nagle",
                     (long long)service.pause_ns / 1000, (long long)service.pause_spread_ns / 1000,
                     service.percent, findings.items[findings.count - 1].summary);
    }
}

/* With Nagle's algorithm on, and a sleep of its own: what Nagle is said to cost is never more than
 * it did cost. */
static void nagles_share_is_never_too_large(void **state)
{
    size_t named = 0;
    (void)state;
    for (uint32_t number = 1; number <= 1000; number++) {
        seed = number * 2654435761u;
        struct service service = {LOOPBACK, .server_nagle = true, .pause_ns = chance(90 * MS)};
        struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
        diagnose(&evidence);
        int64_t most = 44 * MS - service.pause_ns;
        const struct finding *nagle = found(FINDING_NAGLE_DELAYED_ACK);
        named += nagle != NULL;
        if (nagle && nagle->cost_ns > (most > 0 ? most : 0) + 2 * MS)
            fail_msg("number %u: pause %lld us, cost %lld us: %s", number,
                     (long long)service.pause_ns / 1000, (long long)nagle->cost_ns / 1000,
                     nagle->summary);
        if (!nagle)
            assert_true(service.pause_ns > 25 * MS);
        if (service.pause_ns > 12 * MS)
            assert_non_null(found(FINDING_SERVER_THINK_TIME));
    }
    assert_true(named > 200);
}

static void random_thought_is_never_the_clients_nagle(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 500; number++) {
        seed = number * 40503u;
        struct service service = {LOOPBACK, .client_nagle = true, .server_ack_ns = 0,
                                  .think_ns = chance(200 * MS)};
        struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
        diagnose(&evidence);
        assert_null(found(FINDING_NAGLE_DELAYED_ACK));
    }
}

/* ---- what looks like another cause ---- */

/* One connection a round, to a listener of this host that serves one after the other. */
static void waiting_to_be_accepted(void **state)
{
    struct service service = {LOOPBACK, .think_ns = 220 * MS};
    (void)state;
    struct probe_evidence evidence = on_new_connections(&service, 0);
    evidence.persists = false;
    evidence.local = true;
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].accept_queue = 11;
    diagnose(&evidence);
    expect_verdict(FINDING_SLOW_ACCEPT);
    expect_cost(FINDING_SLOW_ACCEPT, RESULT_SIDE_SERVER, 219 * MS, 222 * MS);
    assert_int_equal(findings.count, 1);
    assert_non_null(strstr(found(FINDING_SLOW_ACCEPT)->summary, "up to 11"));
    /* A queue that only a few of the late rounds met is not what makes the others late. */
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].accept_queue = i % 4 ? 0 : 11;
    diagnose(&evidence);
    assert_null(found(FINDING_SLOW_ACCEPT));
    /* Nor does a queue delay what is not late. */
    service.think_ns = 0;
    evidence = on_new_connections(&service, 0);
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].accept_queue = 11;
    diagnose(&evidence);
    assert_null(found(FINDING_SLOW_ACCEPT));
}

/* The client pauses between its writes anyway: of a hold of 40 ms, 30 are lost. */
static void a_hold_costs_what_the_round_loses(void **state)
{
    struct service service = {LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS};
    (void)state;
    struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_NODELAY][i].total_ns += 10 * MS;
    diagnose(&evidence);
    expect_verdict(FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_CLIENT, 29 * MS, 34 * MS);
}

/* A large request takes a slow link's time, and so does its acknowledgement. */
static void an_upload_is_not_acknowledged_late(void **state)
{
    struct service service = {LOOPBACK};
    (void)state;
    struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);
    for (size_t i = 0; i < ROUNDS; i++) {
        store[ARM_BASELINE][i].sent_bytes = 100000;
        store[ARM_BASELINE][i].ack_ns = store[ARM_BASELINE][i].ack_delay_ns = 160 * MS;
    }
    diagnose(&evidence);
    assert_null(found(FINDING_DELAYED_ACK));
    /* Of one segment it is late only where the path does not do the same to handshakes. */
    int64_t control[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        store[ARM_BASELINE][i].sent_bytes = 100;
        control[i] = i ? 160 * MS : service.rtt_ns;
    }
    diagnose(&evidence);
    assert_non_null(found(FINDING_DELAYED_ACK));
    evidence.control_ns = control;
    evidence.control_count = ROUNDS;
    diagnose(&evidence);
    assert_null(found(FINDING_DELAYED_ACK));
}

/* What stalls between a proxy and its upstream looks like thought: then the proxy is named. */
static void a_proxy_is_named(void **state)
{
    static const struct {
        const char *proxy, *server, *said;
    } cases[] = {
        {"Via: 1.1 varnish", "Server: Apache", "through a proxy (Via: 1.1 varnish)"},
        {NULL, "Server: nginx/1.26", "may come through a proxy (Server: nginx/1.26)"},
        {NULL, "Server: Apache", NULL},
        {NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_evidence evidence =
            evidence_of(&(struct service){LOOPBACK, .think_ns = 42 * MS}, ROUNDS, ROUNDS);
        evidence.http_proxy = cases[i].proxy;
        evidence.http_server = cases[i].server;
        diagnose(&evidence);
        const struct finding *think = found(FINDING_SERVER_THINK_TIME);
        assert_non_null(think);
        assert_non_null(strstr(think->remedy, "its upstream"));
        if (cases[i].said)
            assert_non_null(strstr(think->remedy, cases[i].said));
        else
            assert_null(strstr(think->remedy, "through a proxy"));
    }
}

static void one_late_round_of_five(void **state)
{
    static const struct service late[] = {
        {LOOPBACK, .think_ns = 60 * MS},
        {LOOPBACK, .pause_ns = 60 * MS},
        {LOOPBACK, .server_nagle = true},
        {LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS},
        {LOOPBACK, .cork_ns = 200 * MS},
    };
    const struct service healthy = {LOOPBACK};
    (void)state;
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        struct probe_evidence evidence = evidence_of(&healthy, 5, 10);
        store[ARM_BASELINE][2] = make(&late[i], ARM_BASELINE, false);
        diagnose(&evidence);
        assert_int_equal(findings.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_arms_the_server_is_not_blamed_for_nagle),
        TEST(without_stamps_the_client_is_not_blamed_for_nagle),
        TEST(a_congestion_window_is_not_nagle),
        TEST(nagle_without_a_delayed_ack),
        TEST(few_rounds_claim_little),
        TEST(a_stall_in_every_third_round),
        TEST(a_rare_delay_is_no_finding),
        TEST(a_busy_machine_does_not_blame_the_server),
        TEST(a_stall_stands_out_of_some_noise),
        TEST(random_sleeps_are_never_nagle),
        TEST(nagles_share_is_never_too_large),
        TEST(random_thought_is_never_the_clients_nagle),
        TEST(waiting_to_be_accepted),
        TEST(a_hold_costs_what_the_round_loses),
        TEST(an_upload_is_not_acknowledged_late),
        TEST(a_proxy_is_named),
        TEST(one_late_round_of_five),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
