/* Bytes that came beyond the end of answers: the rounds are not what they seem, or not all was
 * timed. */
#include "diagnosis/verdict_thresholds.h"
#include "probe_service.h"

static struct probe_evidence over_a_path(size_t early)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){.rtt_ns = 20 * MS, .wakeup_ns = 60 * US, .think_ns = 40 * MS},
                    ROUNDS, ROUNDS);

    for (size_t i = 0; i < early; i++)
        store[ARM_BASELINE][i].wire_ns = 20 * MS - RELEASE_NS - 1;
    evidence.surplus_bytes = 4000;
    return evidence;
}

/* What comes sooner than a request can be answered is the rest of an earlier answer; then a late
 * one is nobody's fault. */
static void answers_that_overlap(void **state)
{
    struct probe_evidence evidence = over_a_path(AFFECTED_MIN);
    (void)state;
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
    assert_int_equal(findings.count, 1);
    assert_non_null(strstr(findings.items[0].summary, "4000 bytes"));
    assert_non_null(strstr(findings.items[0].summary, "--until"));
}

static void a_few_early_answers_prove_nothing(void **state)
{
    struct probe_evidence evidence = over_a_path(AFFECTED_MIN - 1);
    (void)state;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    evidence = over_a_path(AFFECTED_MIN);
    for (size_t i = 0; i < AFFECTED_MIN; i++)
        store[ARM_BASELINE][i].wire_ns = 20 * MS - RELEASE_NS;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    /* A stamp that is unknown is not early. */
    evidence = over_a_path(0);
    for (size_t i = 0; i < AFFECTED_MIN; i++)
        store[ARM_BASELINE][i].wire_ns = NONE;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
    /* Without bytes that were left over, an answer is the answer. */
    evidence = over_a_path(AFFECTED_MIN);
    evidence.surplus_bytes = 0;
    diagnose(&evidence);
    expect_verdict(FINDING_SERVER_THINK_TIME);
}

static void what_was_not_timed_is_not_ok(void **state)
{
    struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, ROUNDS, ROUNDS);
    (void)state;
    evidence.surplus_bytes = 1;
    diagnose(&evidence);
    expect_verdict(FINDING_INCONCLUSIVE);
    assert_non_null(strstr(findings.items[0].summary, "1 byte "));
    /* What the path does is no reason to be silent about it. */
    evidence.syn_retransmits = evidence.slow_connects = 1;
    diagnose(&evidence);
    assert_non_null(found(FINDING_SYN_RETRANSMISSION));
    assert_non_null(found(FINDING_INCONCLUSIVE));
    evidence.syn_retransmits = evidence.slow_connects = 0;
    evidence.surplus_bytes = 0;
    diagnose(&evidence);
    expect_verdict(FINDING_NONE);
}

/* Where something is found anyway, and where the conversation failed, that is said alone. */
static void what_is_found_stays(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){LOOPBACK, .server_nagle = true}, ROUNDS, ROUNDS);
    (void)state;
    evidence.surplus_bytes = 100;
    diagnose(&evidence);
    expect_verdict(FINDING_NAGLE_DELAYED_ACK);
    assert_null(found(FINDING_INCONCLUSIVE));
    evidence = evidence_of(&(struct service){LOOPBACK}, ROUNDS, ROUNDS);
    evidence.surplus_bytes = 100;
    evidence.error = FINDING_CONNECTION_RESET;
    evidence.error_message = "reset";
    diagnose(&evidence);
    expect_verdict(FINDING_CONNECTION_RESET);
    assert_null(found(FINDING_INCONCLUSIVE));
}

/* Where the path is too short to tell an early answer, a late one is nobody's fault. */
static void late_answers_of_a_short_path(void **state)
{
    static const struct {
        int64_t rtt_ns;
        enum finding_code verdict;
    } cases[] = {{RELEASE_NS, FINDING_INCONCLUSIVE}, {RELEASE_NS + 1, FINDING_SERVER_THINK_TIME}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_evidence evidence = evidence_of(
            &(struct service){.rtt_ns = cases[i].rtt_ns, .think_ns = 40 * MS}, ROUNDS, ROUNDS);
        evidence.surplus_bytes = 2000;
        diagnose(&evidence);
        expect_verdict(cases[i].verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_that_overlap),         TEST(a_few_early_answers_prove_nothing),
        TEST(what_was_not_timed_is_not_ok), TEST(what_is_found_stays),
        TEST(late_answers_of_a_short_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
