/* Faults and conditions as people write them. */
#include "fixture.h"

static void conditions_are_read(void **state)
{
    static const struct {
        const char *text;
        struct lab_condition expected;
    } cases[] = {
        {"syn", {.kind = LAB_SEGMENT, .match.text = "syn"}},
        {"s>c:syn-ack",
         {.kind = LAB_SEGMENT, .match = {.text = "syn-ack", .direction = LAB_FROM_SERVER}}},
        {"delivered c>s:fin#3",
         {.kind = LAB_SEGMENT,
          .match = {.text = "fin", .direction = LAB_FROM_CLIENT},
          .stage = LAB_DELIVERED,
          .nth = 3}},
        {"dropped any", {.kind = LAB_SEGMENT, .match.text = "any", .stage = LAB_DROPPED}},
        {"client=ESTABLISHED", {.kind = LAB_STATE, .host = LAB_CLIENT, .state = TCP_ESTABLISHED}},
        {"server=close-wait", {.kind = LAB_STATE, .host = LAB_SERVER, .state = TCP_CLOSE_WAIT}},
        {"server.close#2", {.kind = LAB_CALL, .host = LAB_SERVER, .word = "close", .nth = 2}},
        {"mark=phase two", {.kind = LAB_MARK, .word = "phase two"}},
    };
    static const char *const wrong[] = {
        "",      "sin",  "c>s:",        "c>c:syn", "syn#0", "syn#x",   "client=OPEN", "client.",
        "mark=", "seen", "tcp port 80", "server=", "syn#",  "client=", "delivered",   " syn"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct lab_condition out;
        struct error error = {0};
        const struct lab_condition *want = &cases[i].expected;
        assert_ok(lab_condition_parse(&out, cases[i].text, &error), &error);
        assert_int_equal(out.kind, want->kind);
        assert_string_equal(out.match.text, want->match.text);
        assert_int_equal(out.match.direction, want->match.direction);
        assert_int_equal(out.stage, want->stage);
        assert_int_equal(out.host, want->host);
        assert_int_equal(out.state, want->state);
        assert_string_equal(out.word, want->word);
        assert_int_equal(out.nth, want->nth);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct lab_condition out;
        struct error error = {0};
        if (lab_condition_parse(&out, wrong[i], &error) != -EINVAL || !*error.text)
            fail_msg("'%s' was accepted", wrong[i]);
    }
}

static void faults_are_read(void **state)
{
    static const struct {
        const char *line;
        struct lab_fault expected;
    } cases[] = {
        {"drop syn", {.action = LAB_DROP, .match.text = "syn"}},
        {"--drop syn --count 1", {.action = LAB_DROP, .match.text = "syn", .count = 1}},
        {"drop s>c:data nth 3 # the third",
         {.action = LAB_DROP, .match = {.text = "data", .direction = LAB_FROM_SERVER}, .nth = 3}},
        {"drop \"tcp[tcpflags] & tcp-fin != 0\"",
         {.action = LAB_DROP, .match.text = "tcp[tcpflags] & tcp-fin != 0"}},
        {"late \"len = 60=5ms\" dir c>s",
         {.action = LAB_LATE,
          .match = {.text = "len = 60", .direction = LAB_FROM_CLIENT},
          .duration_ns = 5 * NS_PER_MS}},
        {"late data=1ms+2ms",
         {.action = LAB_LATE,
          .match.text = "data",
          .duration_ns = NS_PER_MS,
          .jitter_ns = 2 * NS_PER_MS}},
        {"hold fin", {.action = LAB_HOLD, .match.text = "fin"}},
        {"hold fin=2", {.action = LAB_HOLD, .match.text = "fin", .hold_count = 2}},
        {"hold ack=2s", {.action = LAB_HOLD, .match.text = "ack", .duration_ns = 2 * NS_PER_SEC}},
        {"hold ack=until:server=CLOSE-WAIT",
         {.action = LAB_HOLD,
          .match.text = "ack",
          .until = {.kind = LAB_STATE, .host = LAB_SERVER, .state = TCP_CLOSE_WAIT}}},
        {"answer-icmp syn=host-unreachable",
         {.action = LAB_ANSWER_ICMP, .match.text = "syn", .icmp = "host-unreachable"}},
        {"cut any window 1s..2s probability 0.5",
         {.action = LAB_CUT,
          .match.text = "any",
          .from_ns = NS_PER_SEC,
          .to_ns = 2 * NS_PER_SEC,
          .by_chance = true,
          .probability = 0.5}},
        {"corrupt data window ..1s",
         {.action = LAB_CORRUPT, .match.text = "data", .to_ns = NS_PER_SEC}},
    };
    static const char *const wrong[] = {
        "count 1",
        "drop",
        "drop syn drop fin",
        "drop syn count 0",
        "drop syn count -1",
        "drop syn nth many",
        "drop syn dir up",
        "drop syn probability 1.5",
        "drop syn window 2s..1s",
        "drop syn window 1s",
        "drop syn colour red",
        "late syn",
        "late syn=soon",
        "hold syn=until:never",
        "hold syn=-1s",
        "answer-icmp syn",
        "answer-icmp syn=nonsense",
        "drop \"syn",
        "hold =5ms",
        "explode syn",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct lab_fault out;
        struct error error = {0};
        const struct lab_fault *want = &cases[i].expected;
        int rc = lab_fault_parse(&out, cases[i].line, &error);
        if (rc != 1)
            fail_msg("'%s': %s", cases[i].line, error.text);
        assert_int_equal(out.action, want->action);
        assert_string_equal(out.match.text, want->match.text);
        assert_int_equal(out.match.direction, want->match.direction);
        assert_int_equal(out.nth, want->nth);
        assert_int_equal(out.count, want->count);
        assert_int_equal(out.by_chance, want->by_chance);
        assert_true(out.probability == want->probability);
        assert_int_equal(out.from_ns, want->from_ns);
        assert_int_equal(out.to_ns, want->to_ns);
        assert_int_equal(out.duration_ns, want->duration_ns);
        assert_int_equal(out.jitter_ns, want->jitter_ns);
        assert_int_equal(out.hold_count, want->hold_count);
        assert_int_equal(out.until.kind, want->until.kind);
        assert_int_equal(out.until.state, want->until.state);
        assert_string_equal(out.icmp, want->icmp);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct lab_fault out;
        struct error error = {0};
        if (lab_fault_parse(&out, wrong[i], &error) >= 0 || !*error.text)
            fail_msg("'%s' was accepted", wrong[i]);
    }
}

static void empty_lines_say_nothing(void **state)
{
    struct lab_fault out;
    (void)state;
    assert_int_equal(lab_fault_parse(&out, "", NULL), 0);
    assert_int_equal(lab_fault_parse(&out, "  \t\n", NULL), 0);
    assert_int_equal(lab_fault_parse(&out, "# drop syn", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_read),
        cmocka_unit_test(faults_are_read),
        cmocka_unit_test(empty_lines_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
