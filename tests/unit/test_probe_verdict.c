/* The verdicts, each from the service that must get it. */
#include "probe_service.h"

/* ---- the table ---- */

static void two_writes_with_nagle_on(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .server_nagle = true}, FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    assert_null(found(FINDING_SERVER_THINK_TIME));
    assert_non_null(result_get(&found(FINDING_NAGLE_DELAYED_ACK)->evidence, "p_value"));
    expect(&(struct service){.rtt_ns = 20 * MS, .server_nagle = true}, FINDING_NAGLE_DELAYED_ACK);
}

static void two_writes_with_nodelay(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK}, FINDING_NONE);
    assert_int_equal(findings.count, 0);
}

static void two_writes_on_new_connections(void **state)
{
    struct service service = {LOOPBACK, .server_nagle = true};
    (void)state;
    struct probe_evidence evidence = on_new_connections(&service, 20);
    diagnose(&evidence);
    expect_verdict(FINDING_STALL_WHEN_PERSISTENT);
    expect_cost(FINDING_STALL_WHEN_PERSISTENT, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    assert_null(found(FINDING_NAGLE_DELAYED_ACK));
    /* What was not tried is never plain ok, where it could stall. */
    evidence = on_new_connections(&service, 0);
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].arrivals = 2;
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
    /* A server that closes anyway has no persistent connections that could. */
    evidence.persists = false;
    diagnose(&evidence);
    expect_verdict(FINDING_NONE);
    /* And a client whose own writes stall. */
    service = (struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS};
    evidence = on_new_connections(&service, 20);
    diagnose(&evidence);
    expect_verdict(FINDING_STALL_WHEN_PERSISTENT);
    expect_cost(FINDING_STALL_WHEN_PERSISTENT, RESULT_SIDE_CLIENT, 39 * MS, 46 * MS);
}

/* TLS 1.3: the first answer of each connection waits for our ACK of the session tickets. */
static void tickets_on_new_connections(void **state)
{
    struct service service = {LOOPBACK, .server_nagle = true};
    static struct round quick[10];
    (void)state;
    struct probe_evidence evidence = on_new_connections(&(struct service){LOOPBACK}, 20);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct round *round = &store[PROBE_ARMS][i];
        *round = make(&service, ARM_BASELINE, false);
        round->arrivals = 1;
        round->wait_ns = round->gap_ns;
        round->wait_after_bytes = 0;
    }
    /* Without the intervention that could be the server itself. */
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
    for (size_t i = 0; i < 10; i++)
        quick[i] = make(&(struct service){LOOPBACK}, ARM_QUICKACK, false);
    evidence.fresh_quickack = (struct arm_rounds){quick, 10};
    diagnose(&evidence);
    expect_verdict(FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    assert_non_null(strstr(found(FINDING_NAGLE_DELAYED_ACK)->summary, "session tickets"));
    /* When acknowledging at once changes nothing, the server thinks. */
    for (size_t i = 0; i < 10; i++)
        quick[i] = store[PROBE_ARMS][i];
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    assert_non_null(strstr(found(FINDING_SERVER_THINK_TIME)->summary, "began to answer"));
    assert_null(found(FINDING_NAGLE_DELAYED_ACK));
}

static void think_time_on_new_connections(void **state)
{
    struct service service = {LOOPBACK, .think_ns = 40 * MS};
    (void)state;
    struct probe_evidence evidence = on_new_connections(&service, 20);
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    assert_int_equal(findings.count, 1);
}

/* Nothing was asked: no word of a request. */
static void a_greeting_that_is_late(void **state)
{
    struct service service = {LOOPBACK, .think_ns = 40 * MS};
    (void)state;
    struct probe_evidence evidence = on_new_connections(&service, 20);
    evidence.greets = true;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    assert_null(strstr(found(FINDING_SERVER_THINK_TIME)->summary, "request"));
    assert_null(strstr(found(FINDING_SERVER_THINK_TIME)->remedy, "request"));
}

static void a_request_in_two_writes(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS},
           FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_CLIENT, 39 * MS, 46 * MS);
    expect(&(struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 0}, FINDING_NONE);
}

/* The server of a busy machine wakes up late when it had to wait, and not where nothing is held. */
static void late_only_behind_our_hold(void **state)
{
    struct service service = {LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS,
                              .percent_late = 30, .late_ns = 45 * MS};
    (void)state;
    expect(&service, FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_CLIENT, 39 * MS, 46 * MS);
    assert_null(found(FINDING_SERVER_THINK_TIME));
    /* One that thinks, whether we hold or not, is still named. */
    service.think_ns = 40 * MS;
    expect(&service, FINDING_NAGLE_DELAYED_ACK);
    assert_non_null(found(FINDING_SERVER_THINK_TIME));
}

/* Fewer than half of the rounds, on a machine that is late itself: the stamps show the mechanism.
 */
static void some_holds_on_a_late_machine(void **state)
{
    const struct service service = {.rtt_ns = 8 * US,
                                    .wakeup_ns = 30 * MS,
                                    .client_nagle = true,
                                    .server_ack_ns = 40 * MS,
                                    .percent = 40};
    (void)state;
    expect(&service, FINDING_NAGLE_DELAYED_ACK);
}

static void a_server_that_thinks(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .think_ns = 40 * MS}, FINDING_SERVER_THINK_TIME);
    expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 39 * MS, 42 * MS);
    assert_int_equal(findings.count, 1);
}

static void half_an_answer_and_sleep(void **state)
{
    (void)state;
    for (int nagle = 0; nagle < 2; nagle++) {
        expect(&(struct service){LOOPBACK, .pause_ns = 65 * MS, .server_nagle = nagle},
               FINDING_SERVER_THINK_TIME);
        expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 64 * MS, 67 * MS);
        assert_int_equal(findings.count, 1);
        expect(&(struct service){LOOPBACK, .pause_ns = 41 * MS, .server_nagle = nagle},
               FINDING_SERVER_THINK_TIME);
        expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 40 * MS, 45 * MS);
        assert_null(found(FINDING_NAGLE_DELAYED_ACK));
    }
}

static void both_at_once(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .think_ns = 35 * MS, .server_nagle = true},
           FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 39 * MS, 46 * MS);
    expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 34 * MS, 38 * MS);
    /* A pause inside the answer of which Nagle's algorithm has made a longer one. */
    expect(&(struct service){LOOPBACK, .pause_ns = 20 * MS, .server_nagle = true},
           FINDING_NAGLE_DELAYED_ACK);
    expect_cost(FINDING_NAGLE_DELAYED_ACK, RESULT_SIDE_SERVER, 19 * MS, 26 * MS);
    expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 19 * MS, 22 * MS);
    /* Both sides' writes. */
    expect(&(struct service){LOOPBACK, .client_nagle = true, .server_ack_ns = 40 * MS,
                             .server_nagle = true},
           FINDING_NAGLE_DELAYED_ACK);
    assert_int_equal(findings.count, 2);
    assert_true(findings.items[0].side != findings.items[1].side);
}

static void a_cork(void **state)
{
    (void)state;
    expect(&(struct service){LOOPBACK, .cork_ns = 203 * MS, .answer_bytes = 300},
           FINDING_CORK_HOLD);
    expect_cost(FINDING_CORK_HOLD, RESULT_SIDE_SERVER, 200 * MS, 210 * MS);
    /* Too short to tell, and it says so. */
    expect(&(struct service){LOOPBACK, .cork_ns = 203 * MS, .answer_bytes = 60},
           FINDING_INCONCLUSIVE);
    assert_non_null(strstr(found(FINDING_INCONCLUSIVE)->summary, "TCP_CORK"));
    /* A server that thinks as long sends nothing earlier, however small a segment is. */
    expect(&(struct service){LOOPBACK, .think_ns = 203 * MS}, FINDING_SERVER_THINK_TIME);
    /* Our own delayed ACK can be as late: QUICKACK mends it, so it is no cork. */
    expect(&(struct service){LOOPBACK, .server_nagle = true, .our_ack_ns = 200 * MS},
           FINDING_NAGLE_DELAYED_ACK);
    /* Without arms nobody can tell. */
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .cork_ns = 203 * MS}, ROUNDS, 0);
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
}

static void a_server_that_does_not_read(void **state)
{
    struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, ROUNDS, ROUNDS);
    (void)state;
    for (int arm = 0; arm < ARM_SMALL_MSS; arm++)
        for (size_t i = 0; i < ROUNDS; i++) {
            store[arm][i].part_ns[RESULT_PART_SEND_HOLD] = 150 * MS;
            store[arm][i].rwnd_limited_ns = 149 * MS;
            store[arm][i].retransmits = i == 3;
        }
    diagnose(&evidence);
    expect_verdict(FINDING_RECEIVE_WINDOW_LIMITED);
    assert_null(found(FINDING_NAGLE_DELAYED_ACK));
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_BASELINE][i].zero_window = true;
    diagnose(&evidence);
    expect_verdict(FINDING_ZERO_WINDOW);
}

static void a_window_that_stays_closed(void **state)
{
    struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, 0, 0);
    struct round unfinished = {.rwnd_limited_ns = 600 * MS, .zero_window = true};
    (void)state;
    evidence.unfinished = &unfinished;
    evidence.error = FINDING_NO_RESPONSE;
    evidence.error_message = "nothing came";
    diagnose(&evidence);
    expect_verdict(FINDING_NO_RESPONSE);
    assert_non_null(found(FINDING_ZERO_WINDOW));
    assert_int_equal(found(FINDING_NO_RESPONSE)->severity, FINDING_ERROR);
}

static void failures_are_told_as_errors(void **state)
{
    static const struct {
        enum finding_code code;
        enum result_side side;
    } cases[] = {{FINDING_CONNECTION_REFUSED, RESULT_SIDE_SERVER},
                 {FINDING_NAME_NOT_FOUND, RESULT_SIDE_CLIENT},
                 {FINDING_HOST_UNREACHABLE, RESULT_SIDE_NETWORK},
                 {FINDING_CONNECT_TIMEOUT, RESULT_SIDE_NONE},
                 {FINDING_PATH_MTU, RESULT_SIDE_NETWORK},
                 {FINDING_NO_LOCAL_ADDRESS, RESULT_SIDE_CLIENT},
                 {FINDING_RESPONSE_TRUNCATED, RESULT_SIDE_SERVER}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, 0, 0);
        evidence.error = cases[i].code;
        evidence.error_message = "it failed";
        diagnose(&evidence);
        expect_verdict(cases[i].code);
        assert_int_equal(findings.count, 1);
        assert_int_equal(findings.items[0].side, cases[i].side);
        assert_string_equal(findings.items[0].summary, "it failed");
    }
}

/* A failure after some rounds does not hide what those showed. */
static void a_failure_in_the_middle(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .server_nagle = true}, ROUNDS, ROUNDS);
    (void)state;
    evidence.error = FINDING_CONNECTION_RESET;
    evidence.error_message = "reset";
    diagnose(&evidence);
    expect_verdict(FINDING_CONNECTION_RESET);
    assert_non_null(found(FINDING_NAGLE_DELAYED_ACK));
}

static void around_the_rounds(void **state)
{
    struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, ROUNDS, ROUNDS);
    (void)state;
    evidence.syn_retransmits = 2;
    evidence.slow_connects = 1;
    evidence.resolve_ns = 5000 * MS;
    evidence.rtt_ns = 180 * MS;
    store[ARM_BASELINE][3].retransmits = 1;
    diagnose(&evidence);
    assert_non_null(found(FINDING_SYN_RETRANSMISSION));
    assert_non_null(found(FINDING_SLOW_RESOLVE));
    assert_non_null(found(FINDING_HIGH_RTT));
    assert_non_null(found(FINDING_RETRANSMISSION));
    evidence.resolve_ns = evidence.rtt_ns = NONE;
    evidence.syn_retransmits = evidence.slow_connects = 0;
    store[ARM_BASELINE][3].total_ns = 210 * MS;
    diagnose(&evidence);
    assert_int_equal(findings.count, 1);
    assert_non_null(found(FINDING_RETRANSMISSION_TIMEOUT));
}

static void a_late_ack_that_held_nothing(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .think_ns = 60 * MS}, ROUNDS, ROUNDS);
    (void)state;
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_BASELINE][i].ack_delay_ns = 41 * MS;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    assert_int_equal(found(FINDING_DELAYED_ACK)->cost_ns, 0);
}

static void arms_have_names(void **state)
{
    (void)state;
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        assert_int_equal(probe_arm_by_name(probe_arm_name((enum probe_arm)arm)), arm);
    assert_int_equal(probe_arm_by_name("none"), PROBE_ARMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_writes_with_nagle_on),
        TEST(two_writes_with_nodelay),
        TEST(two_writes_on_new_connections),
        TEST(tickets_on_new_connections),
        TEST(think_time_on_new_connections),
        TEST(a_greeting_that_is_late),
        TEST(a_request_in_two_writes),
        TEST(late_only_behind_our_hold),
        TEST(some_holds_on_a_late_machine),
        TEST(a_server_that_thinks),
        TEST(half_an_answer_and_sleep),
        TEST(both_at_once),
        TEST(a_cork),
        TEST(a_server_that_does_not_read),
        TEST(a_window_that_stays_closed),
        TEST(failures_are_told_as_errors),
        TEST(a_failure_in_the_middle),
        TEST(around_the_rounds),
        TEST(a_late_ack_that_held_nothing),
        TEST(arms_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
