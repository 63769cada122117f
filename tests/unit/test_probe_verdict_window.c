/* Pauses behind full segments: the server's congestion window, or the server itself. */
#include "diagnosis/verdict_thresholds.h"
#include "probe_service.h"

#define MSS 1448u
#define RTT (50 * MS)

static int64_t control[ROUNDS];

/* An answer that pauses behind some full segments, in all arms, whenever we acknowledge. */
static struct probe_evidence paused(uint64_t after_bytes, int64_t gap_ns)
{
    struct service service = {.rtt_ns = RTT, .wakeup_ns = 60 * US};
    struct probe_evidence evidence = evidence_of(&service, ROUNDS, ROUNDS);

    evidence.peer_mss_bytes = MSS;
    for (size_t i = 0; i < ROUNDS; i++)
        control[i] = RTT + chance(MS);
    evidence.control_ns = control;
    evidence.control_count = ROUNDS;
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        for (size_t i = 0; i < evidence.arms[arm].count; i++) {
            struct round *round = &store[arm][i];
            round->arrivals = 2;
            round->first_bytes = after_bytes;
            round->received_bytes = after_bytes + 5000;
            round->gap_ns = gap_ns + chance(200 * US);
            round->flight_ms = (uint32_t)(round->gap_ns / MS + 1);
            round->gap_after_bytes = after_bytes;
            round->gap_release_bytes = 5000;
            round->pauses = 1;
            round->gap_watched = round->gap_acked = true;
            round->gap_ack_lag_min_ns = gap_ns - MS;
            round->gap_ack_lag_max_ns = gap_ns;
            if (round->gap_ns > round->wait_ns) {
                round->wait_ns = round->gap_ns;
                round->wait_after_bytes = after_bytes;
            }
        }
    return evidence;
}

static void expect_window(const struct probe_evidence *evidence)
{
    diagnose(evidence);
    assert_non_null(found(FINDING_CONGESTION_WINDOW_LIMITED));
    expect_verdict(FINDING_NONE);
}

static void expect_open(const struct probe_evidence *evidence, const char *says)
{
    diagnose(evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
    assert_null(found(FINDING_CONGESTION_WINDOW_LIMITED));
    assert_null(found(FINDING_SERVER_THINK_TIME));
    assert_non_null(strstr(found(FINDING_INCONCLUSIVE)->summary, says));
}

/* A connection in use has a window beyond ten segments; nothing but the server pauses behind them.
 * As long as a round trip that can't be seen from here. */
static void a_window_that_is_open(void **state)
{
    (void)state;
    struct probe_evidence evidence = paused(10 * MSS, 20 * MS);
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    expect_cost(FINDING_SERVER_THINK_TIME, RESULT_SIDE_SERVER, 19 * MS, 22 * MS);
    evidence = paused(10 * MSS, RTT);
    expect_open(&evidence, "about as long as");
    assert_non_null(strstr(found(FINDING_INCONCLUSIVE)->summary, "cwnd"));
    evidence = paused(10 * MSS, 2 * RTT);
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
}

static void behind_more_than_an_initial_window(void **state)
{
    (void)state;
    struct probe_evidence evidence = paused(10 * MSS, RTT);
    expect_open(&evidence, "about as long as");
    evidence = paused(11 * MSS, RTT);
    expect_window(&evidence);
}

static void a_window_that_is_new(void **state)
{
    (void)state;
    struct probe_evidence evidence = paused(10 * MSS, RTT);
    evidence.new_connections = true;
    evidence.fresh = evidence.arms[ARM_BASELINE];
    expect_window(&evidence);
    evidence.new_connections = false;
    evidence.persists = false;
    expect_window(&evidence);
}

/* The round trip of a round counts on both sides of the idle time, so it does not count. */
static void a_window_that_was_idle(void **state)
{
    (void)state;
    struct probe_evidence evidence = paused(10 * MSS, RTT);
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_BASELINE][i].wait_ns = RTT + 30 * MS;
    control[0] = RTT;
    evidence.interval_ns = RTO_MIN_NS - 30 * MS - 1;
    expect_open(&evidence, "about as long as");
    evidence.interval_ns++;
    expect_window(&evidence);
    for (size_t i = ROUNDS / 2; i < ROUNDS; i++) /* the others, after each rest, grow again */
        store[ARM_BASELINE][i].wait_ns = RTT;
    expect_window(&evidence);
    store[ARM_BASELINE][0].wait_ns = RTT;
    expect_open(&evidence, "about as long as");
    evidence.interval_ns = RESULT_UNKNOWN; /* an older recording */
    expect_window(&evidence);
}

static void a_window_that_lost(void **state)
{
    (void)state;
    struct probe_evidence evidence = paused(10 * MSS, RTT);
    for (size_t i = 0; i < AFFECTED_MIN - 1; i++)
        store[ARM_BASELINE][i].out_of_order = 1;
    diagnose(&evidence);
    assert_null(found(FINDING_CONGESTION_WINDOW_LIMITED));
    assert_non_null(found(FINDING_INCONCLUSIVE));
    store[ARM_BASELINE][AFFECTED_MIN].out_of_order = 1;
    diagnose(&evidence);
    assert_non_null(found(FINDING_CONGESTION_WINDOW_LIMITED));
    assert_null(found(FINDING_INCONCLUSIVE));
}

/* Longer than our ACKs take it may still be one that we delayed; shorter it can't. */
static void without_the_arm(void **state)
{
    (void)state;
    struct probe_evidence evidence = paused(10 * MSS, 2 * RTT);
    evidence.arms[ARM_QUICKACK].count = 0;
    expect_open(&evidence, "The arm quickack");
    evidence = paused(10 * MSS, 20 * MS);
    evidence.arms[ARM_QUICKACK].count = 0;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
}

/* What our ACKs release ends a round trip after its flight began, however short the pause is. */
static void the_flight_counts(void **state)
{
    int64_t margin_ns = RELEASE_NS + 2 * MS;
    (void)state;
    struct probe_evidence evidence = paused(20 * MSS, 20 * MS);
    for (int known = 0; known < 2; known++) {
        for (size_t i = 0; i < ROUNDS; i++)
            store[ARM_BASELINE][i].flight_ms = known ? (uint32_t)(RTT / MS) : 0;
        expect_window(&evidence);
    }
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_BASELINE][i].flight_ms = (uint32_t)((RTT - margin_ns) / MS);
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    /* Behind another pause, that the path may have made, it does if the path varies less. */
    for (size_t i = 0; i < ROUNDS; i++)
        store[ARM_BASELINE][i].pauses = 2;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    for (size_t i = 0; i < ROUNDS; i++)
        control[i] = i % 4 ? RTT : RTT + 4 * MS;
    expect_open(&evidence, "perhaps less than");
}

/* A pause of a window is no cork: what comes after it are full segments. */
static void a_window_is_no_cork(void **state)
{
    (void)state;
    struct probe_evidence evidence = paused(10 * MSS, RTT);
    evidence.new_connections = true;
    evidence.fresh = evidence.arms[ARM_BASELINE];
    for (int full = 0; full < 2; full++) {
        evidence.rtt_ns = 4 * RTT;
        for (size_t i = 0; i < ROUNDS; i++) {
            control[i] = 4 * RTT + (int64_t)i;
            store[ARM_BASELINE][i].wire_ns = 4 * RTT;
            store[ARM_BASELINE][i].gap_ns = store[ARM_BASELINE][i].wait_ns = 4 * RTT + MS;
            store[ARM_BASELINE][i].flight_ms = (uint32_t)(4 * RTT / MS) + 1;
            store[ARM_BASELINE][i].wait_after_bytes = 10 * MSS;
            store[ARM_BASELINE][i].gap_release_bytes = full ? MSS : MSS - 1;
        }
        diagnose(&evidence);
        if (!full)
            assert_non_null(strstr(found(FINDING_INCONCLUSIVE)->summary, "TCP_CORK"));
        else
            assert_non_null(found(FINDING_CONGESTION_WINDOW_LIMITED));
    }
}

/* ---- slow start ---- */

/* An answer of 60 segments, three flights, on new connections; in use they don't pause. */
static struct probe_evidence slow_start(uint32_t pauses)
{
    struct probe_evidence evidence = paused(10 * MSS, RTT);

    for (size_t i = 0; i < ROUNDS; i++) {
        store[PROBE_ARMS][i] = store[ARM_BASELINE][i];
        store[PROBE_ARMS][i].received_bytes = 60 * MSS;
        store[PROBE_ARMS][i].pauses = store[PROBE_ARMS][i].window_pauses = pauses;
        store[ARM_BASELINE][i] = store[ARM_NODELAY][i] = quiet(&(struct service){.rtt_ns = RTT});
    }
    evidence.new_connections = true;
    evidence.fresh = (struct arm_rounds){store[PROBE_ARMS], ROUNDS};
    return evidence;
}

static void expect_trips(const struct probe_evidence *evidence, int64_t trips)
{
    diagnose(evidence);
    expect_verdict(FINDING_NONE);
    assert_null(found(FINDING_CONGESTION_WINDOW_LIMITED));
    const struct finding *finding = found(FINDING_SLOW_START_ROUND_TRIPS);
    assert_non_null(finding);
    assert_int_equal(result_get(&finding->evidence, "round_trips")->integer, trips);
    assert_int_equal(finding->severity, FINDING_INFO);
    assert_in_range(finding->cost_ns, (trips - 1) * (RTT - MS), (trips - 1) * (RTT + MS));
}

static void an_answer_in_slow_start(void **state)
{
    (void)state;
    struct probe_evidence evidence = slow_start(2);
    expect_trips(&evidence, 3);
    assert_non_null(strstr(found(FINDING_SLOW_START_ROUND_TRIPS)->remedy, "Reuse connections"));
    evidence = slow_start(1); /* a larger first window */
    expect_trips(&evidence, 2);
    /* No more than slow start needs for that size. */
    evidence = slow_start(3);
    expect_window(&evidence);
    assert_null(found(FINDING_SLOW_START_ROUND_TRIPS));
    /* Other pauses beside them, and loss, are not its. */
    evidence = slow_start(2);
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].pauses++;
    expect_window(&evidence);
    assert_null(found(FINDING_SLOW_START_ROUND_TRIPS));
    /* In half of the rounds, or not. */
    evidence = slow_start(2);
    for (size_t i = 0; i < ROUNDS / 2; i++)
        store[PROBE_ARMS][i].pauses++;
    expect_trips(&evidence, 3);
    store[PROBE_ARMS][ROUNDS / 2].pauses++;
    expect_window(&evidence);
    assert_null(found(FINDING_SLOW_START_ROUND_TRIPS));
}

/* A server that pauses as long does so on connections in use, too. */
static void pauses_of_connections_in_use(void **state)
{
    (void)state;
    struct probe_evidence evidence = slow_start(2);
    for (size_t i = 0; i < ROUNDS / 2; i++)
        store[ARM_BASELINE][i].window_pauses = 2;
    expect_trips(&evidence, 3);
    store[ARM_BASELINE][ROUNDS / 2].window_pauses = 1;
    expect_trips(&evidence, 3);
    store[ARM_BASELINE][ROUNDS / 2].window_pauses = 2;
    expect_open(&evidence, "about as long as");
    assert_null(found(FINDING_SLOW_START_ROUND_TRIPS));
    /* Those that have rested have a small window again. */
    evidence.interval_ns = 400 * MS;
    expect_trips(&evidence, 3);
}

static void an_answer_after_a_rest(void **state)
{
    (void)state;
    struct probe_evidence evidence = paused(10 * MSS, RTT);
    for (size_t i = 0; i < ROUNDS; i++) {
        store[ARM_BASELINE][i].received_bytes = 60 * MSS;
        store[ARM_BASELINE][i].window_pauses = 1;
    }
    evidence.interval_ns = 400 * MS;
    expect_trips(&evidence, 2);
    assert_non_null(strstr(found(FINDING_SLOW_START_ROUND_TRIPS)->remedy, "slow_start_after_idle"));
    evidence.interval_ns = 0;
    diagnose(&evidence);
    assert_null(found(FINDING_SLOW_START_ROUND_TRIPS));
}

/* A request of 60 segments: the last of them leaves two round trips later, to a few milliseconds.
 */
static void a_request_in_slow_start(void **state)
{
    (void)state;
    struct service service = {.rtt_ns = RTT, .wakeup_ns = 60 * US};
    struct probe_evidence evidence = on_new_connections(&service, 20);
    evidence.mss_bytes = MSS;
    for (size_t i = 0; i < ROUNDS; i++) {
        struct round *round = &store[PROBE_ARMS][i];
        round->sent_bytes = 60 * MSS;
        round->hold_ns = round->part_ns[RESULT_PART_SEND_HOLD] = 2 * RTT + RELEASE_NS;
    }
    expect_trips(&evidence, 3);
    assert_non_null(strstr(found(FINDING_SLOW_START_ROUND_TRIPS)->remedy, "at this host"));
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].hold_ns++;
    expect_window(&evidence);
    assert_null(found(FINDING_SLOW_START_ROUND_TRIPS));
    /* Nor on a connection in use. */
    evidence.new_connections = false;
    evidence.arms[ARM_BASELINE] = evidence.fresh;
    evidence.arms[ARM_NODELAY].count = 0;
    for (size_t i = 0; i < ROUNDS; i++)
        store[PROBE_ARMS][i].hold_ns = 2 * RTT;
    expect_window(&evidence);
    assert_null(found(FINDING_SLOW_START_ROUND_TRIPS));
}

/* Full segments whose time is known from one pause alone, before several that were read together:
 * that is not how long the link takes for one. */
static void a_pause_is_no_segment_time(void **state)
{
    (void)state;
    for (uint64_t together = 2; together <= 4; together++) {
        struct probe_evidence evidence = paused(3 * MSS, 30 * MS);
        for (int arm = 0; arm < PROBE_ARMS; arm++)
            for (size_t i = 0; i < evidence.arms[arm].count; i++) {
                store[arm][i].gap_release_bytes = together * MSS + 600;
                store[arm][i].segment_ns =
                    store[arm][i].gap_ns * MSS / (int64_t)store[arm][i].gap_release_bytes;
            }
        bool known = together < 3; /* two that follow each other may be a link's */
        if (known)
            assert_int_not_equal(evidence_segment_ns(&evidence), RESULT_UNKNOWN);
        else
            assert_int_equal(evidence_segment_ns(&evidence), RESULT_UNKNOWN);
        evidence.interval_ns = 300 * MS;
        diagnose(&evidence);
        assert_null(found(FINDING_CONGESTION_WINDOW_LIMITED));
        if (!known)
            expect_verdict(FINDING_SERVER_THINK_TIME);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_window_that_is_open),      TEST(behind_more_than_an_initial_window),
        TEST(a_window_that_is_new),       TEST(a_window_that_was_idle),
        TEST(a_window_that_lost),         TEST(without_the_arm),
        TEST(the_flight_counts),          TEST(a_window_is_no_cork),
        TEST(an_answer_in_slow_start),    TEST(pauses_of_connections_in_use),
        TEST(an_answer_after_a_rest),     TEST(a_request_in_slow_start),
        TEST(a_pause_is_no_segment_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
