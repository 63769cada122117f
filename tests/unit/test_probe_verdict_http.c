/* What only HTTP has: early answers, bodies that wait to be asked for, h2. */
#include "diagnosis/verdict_thresholds.h"
#include "probe_service.h"

static struct probe_evidence healthy(void)
{
    struct probe_evidence evidence = evidence_of(&(struct service){LOOPBACK}, ROUNDS, ROUNDS);

    evidence.answers = 2 * ROUNDS;
    return evidence;
}

static void early_answers_that_a_reset_follows(void **state)
{
    struct probe_evidence evidence = healthy();
    (void)state;
    evidence.early_resets = 3;
    evidence.early_lost = 2;
    evidence.answer = "413 Content Too Large";
    diagnose(&evidence);
    expect_verdict(FINDING_EARLY_ANSWER_RESET);
    assert_int_equal(findings.items[0].side, RESULT_SIDE_SERVER);
    assert_non_null(strstr(findings.items[0].summary, "413 Content Too Large"));
    assert_non_null(strstr(findings.items[0].summary, "in 2 tries the reset came without one"));
    assert_int_equal(result_get(&findings.items[0].evidence, "tries")->integer, 2 * ROUNDS + 2);
    evidence.early_resets = 0; /* nothing says that there was an answer */
    diagnose(&evidence);
    expect_verdict(FINDING_NONE);
}

static void continue_is_missing_in(size_t count)
{
    for (size_t i = 0; i < count; i++)
        store[ARM_BASELINE][i].continue_missing = true;
}

static void bodies_that_are_not_asked_for(void **state)
{
    struct probe_evidence evidence = healthy();
    (void)state;
    evidence.continue_ns = 1000 * MS;
    diagnose(&evidence);
    expect_verdict(FINDING_NONE);
    continue_is_missing_in(7);
    diagnose(&evidence);
    expect_verdict(FINDING_EXPECT_CONTINUE_WAIT);
    assert_int_equal(findings.items[0].count, 7);
    assert_int_equal(findings.items[0].cost_ns, 1000 * MS);
    store[ARM_BASELINE][0].retransmits = 1; /* perhaps the header was lost */
    diagnose(&evidence);
    assert_int_equal(found(FINDING_EXPECT_CONTINUE_WAIT)->count, 6);
}

static void a_wait_of_a_round_trip_says_nothing(void **state)
{
    struct probe_evidence evidence =
        evidence_of(&(struct service){.rtt_ns = 200 * MS}, ROUNDS, ROUNDS);
    (void)state;
    continue_is_missing_in(ROUNDS);
    evidence.continue_ns = 200 * MS;
    diagnose(&evidence);
    assert_null(found(FINDING_EXPECT_CONTINUE_WAIT));
    assert_non_null(found(FINDING_INCONCLUSIVE));
    evidence.continue_ns = 2000 * MS;
    diagnose(&evidence);
    assert_non_null(found(FINDING_EXPECT_CONTINUE_WAIT));
}

static void h2_is_what_we_offered(void **state)
{
    struct probe_evidence evidence = {.error = FINDING_UNEXPECTED_ANSWER,
                                      .error_message = "h2",
                                      .chose_http2 = true,
                                      .rtt_ns = NONE,
                                      .resolve_ns = NONE};
    (void)state;
    diagnose(&evidence);
    expect_verdict(FINDING_UNEXPECTED_ANSWER);
    assert_int_equal(findings.items[0].side, RESULT_SIDE_CLIENT);
    evidence.chose_http2 = false;
    diagnose(&evidence);
    assert_int_equal(findings.items[0].side, RESULT_SIDE_SERVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(early_answers_that_a_reset_follows),
        TEST(bodies_that_are_not_asked_for),
        TEST(a_wait_of_a_round_trip_says_nothing),
        TEST(h2_is_what_we_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
