/* Recorded rounds: what is written comes back field for field, and damage is refused. */
#include "report/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;
static uint32_t seed = 1;

static int64_t chance(int64_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (int64_t)(seed >> 4) % below;
}

static int64_t some_time(void)
{
    static const int64_t odd[] = {RESULT_UNKNOWN, 0, -1, INT64_MAX, INT64_MIN + 1};
    return chance(3) ? chance(1 << 28) : odd[chance(5)];
}

/* A value of each kind of field. */
#define SOME_TEXT  (chance(2) ? "[fe80::1%eth0]:80 \"quoted\" \\ \xc3\xa9" : NULL)
#define SOME_BOOL  (bool)chance(2)
#define SOME_COUNT (uint32_t) chance(70000)
#define SOME_TIME  some_time()
#define SOME_STAMP some_time()
#define SOME_CODE  (enum finding_code) chance(FINDING_CODES)

static struct record_round some_round(void)
{
    struct record_round record;

    memset(&record, 0, sizeof record); /* padding too: the test compares bytes */
    record.target = "host:7";
    record.arm = (enum probe_arm)chance(PROBE_ARMS);
    record.first_of_connection = chance(2);
    record.new_connection = chance(2);
    record.warmup = chance(2);
    record.unfinished = chance(2);
    for (int part = 0; part < RESULT_PARTS; part++)
        record.round.part_ns[part] = chance(1 << 28);
#define SOME_BYTES               (chance(2) ? INT64_MAX : (uint64_t)chance(1 << 28))
#define SOME_ROUND(kind, member) record.round.member = SOME_##kind;
    ROUND_FIELDS(SOME_ROUND)
    return record;
}

static int parse(const char *line, struct record_round *round, struct probe_evidence *evidence)
{
    enum record_type type;
    struct error error = {0};
    int rc = record_parse(&arena, line, &type, round, evidence, &error);

    assert_true(!rc == !error.text[0]);
    return rc ? rc : (int)type;
}

static void rounds_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct record_round out = some_round(), in;
        cleanup(buf) struct buf line = {0};
        memset(&in, 0, sizeof in);
        assert_int_equal(record_round_line(&line, &out, NULL), 0);
        assert_int_equal(line.data[line.len_bytes - 1], '\n');
        assert_null(memchr(line.data, '\n', line.len_bytes - 1));
        assert_int_equal(parse(line.data, &in, NULL), RECORD_ROUND);
        assert_string_equal(in.target, out.target);
        in.target = out.target;
        assert_memory_equal(&in, &out, sizeof in);
    }
}

static struct probe_evidence some_evidence(void)
{
    struct probe_evidence evidence;

    memset(&evidence, 0, sizeof evidence);
#define SOME(kind, member) evidence.member = SOME_##kind;
    PROBE_EVIDENCE_FIELDS(SOME)
    static const int64_t control_ns[] = {0, 20000, INT64_C(3000000000)};
    evidence.control_ns = control_ns;
    evidence.control_count = ARRAY_SIZE(control_ns);
    return evidence;
}

static void evidence_comes_back(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct probe_evidence out = some_evidence(), in;
        cleanup(buf) struct buf line = {0};
        memset(&in, 0x5a, sizeof in);
        assert_int_equal(record_evidence_line(&line, &out, NULL), 0);
        assert_int_equal(parse(line.data, NULL, &in), RECORD_EVIDENCE);
#define COMPARE_TEXT(a, b)    assert_true(a == b || (a && b && !strcmp(a, b)))
#define COMPARE_NUMBER(a, b)  assert_true(a == b)
#define COMPARE_BOOL          COMPARE_NUMBER
#define COMPARE_COUNT         COMPARE_NUMBER
#define COMPARE_TIME          COMPARE_NUMBER
#define COMPARE_CODE          COMPARE_NUMBER
#define COMPARE(kind, member) COMPARE_##kind(in.member, out.member);
        PROBE_EVIDENCE_FIELDS(COMPARE)
        assert_int_equal(in.control_count, out.control_count);
        assert_memory_equal(in.control_ns, out.control_ns, 3 * sizeof(int64_t));
        assert_null(in.unfinished);
        assert_int_equal(in.arms[0].count + in.fresh.count, 0);
    }
}

/* Recordings of earlier versions. */
static void what_is_missing_is_unknown(void **state)
{
    struct record_round round;
    struct probe_evidence evidence;

    (void)state;
    memset(&evidence, 0x5a, sizeof evidence);
    assert_int_equal(parse("{\"type\":\"evidence\",\"target\":\"a:1\"}", NULL, &evidence),
                     RECORD_EVIDENCE);
    assert_int_equal(evidence.rtt_ns, RESULT_UNKNOWN);
    assert_int_equal(evidence.connections, 0);
    assert_int_equal(evidence.error, FINDING_NONE);
    assert_null(evidence.error_message);
    assert_false(evidence.persists);
    struct record_round whole = some_round();
    cleanup(buf) struct buf line = {0};
    record_round_line(&line, &whole, NULL);
#define UNKNOWN_TIME  RESULT_UNKNOWN
#define UNKNOWN_STAMP RESULT_UNKNOWN
#define UNKNOWN_BOOL  0
#define UNKNOWN_COUNT 0
#define UNKNOWN_BYTES 0
#define WITHOUT(kind, member)                                                                      \
    if (strcmp(#member, "total_ns") != 0) {                                                        \
        char *key = strstr(line.data, "\"" #member "\":");                                         \
        assert_non_null(key);                                                                      \
        key[1] ^= 1; /* another letter */                                                          \
        memset(&round, 0x5a, sizeof round);                                                        \
        assert_int_equal(parse(line.data, &round, NULL), RECORD_ROUND);                            \
        assert_true(round.round.member == UNKNOWN_##kind);                                         \
        key[1] ^= 1;                                                                               \
    }
    ROUND_FIELDS(WITHOUT)
}

/* Command lines may hold any bytes, JSON may not. */
static void targets_that_are_no_utf8(void **state)
{
    struct record_round out = some_round(), in;
    struct probe_evidence evidence = some_evidence();
    cleanup(buf) struct buf lines = {0};
    (void)state;
    out.target = evidence.target = evidence.error_message = "h\xff\n\xc3:80";
    assert_int_equal(record_round_line(&lines, &out, NULL), 0);
    assert_int_equal(parse(lines.data, &in, NULL), RECORD_ROUND);
    assert_string_equal(in.target, "h\\xff\\n\\xc3:80");
    buf_reset(&lines);
    assert_int_equal(record_evidence_line(&lines, &evidence, NULL), 0);
    assert_int_equal(parse(lines.data, NULL, &evidence), RECORD_EVIDENCE);
    assert_string_equal(evidence.error_message, "h\\xff\\n\\xc3:80");
}

/* Takes a good line, replaces one thing in it, and expects a refusal. */
static void refuse(const char *line, const char *from, const char *to)
{
    struct record_round round;
    struct probe_evidence evidence;
    cleanup(buf) struct buf damaged = {0};
    const char *at = strstr(line, from);

    if (!at)
        fail_msg("no %s in %s", from, line);
    buf_add(&damaged, line, (size_t)(at - line));
    buf_add_str(&damaged, to);
    buf_add_str(&damaged, at + strlen(from));
    if (parse(damaged.data, &round, &evidence) != -EINVAL)
        fail_msg("%s for %s is accepted", to, from);
}

static void damage_is_refused(void **state)
{
    struct record_round round = some_round();
    struct probe_evidence evidence = some_evidence();
    cleanup(buf) struct buf line = {0};
    (void)state;
    round.round.retransmits = 7;
    round.arm = ARM_QUICKACK;
    record_round_line(&line, &round, NULL);
    refuse(line.data, "\"round\"", "\"square\"");
    refuse(line.data, "\"round\"", "7");
    refuse(line.data, "quickack", "quickjack");
    refuse(line.data, "\"retransmits\":7", "\"retransmits\":-7");
    refuse(line.data, "\"retransmits\":7", "\"retransmits\":4294967296");
    refuse(line.data, "\"retransmits\":7", "\"retransmits\":null");
    refuse(line.data, "\"retransmits\":7", "\"retransmits\":\"7\"");
    refuse(line.data, "\"total_ns\":", "\"total_ms\":");
    refuse(line.data, "\"parts\":{", "\"parts\":7,\"p\":{");
    refuse(line.data, "\"server_ns\":", "\"servant_ns\":");
    refuse(line.data, "\"hold_small\":", "\"hold_small\":0,\"no\":");
    refuse(line.data, "}}", "}");
    refuse(line.data, "{", "");
    refuse(line.data, line.data, "");
    refuse(line.data, line.data, "[]");
    refuse(line.data, line.data, "{}");
    buf_reset(&line);
    evidence.error = FINDING_NO_RESPONSE;
    record_evidence_line(&line, &evidence, NULL);
    refuse(line.data, "\"no-response\"", "\"no-such-code\"");
    refuse(line.data, "\"no-response\"", "null");
    refuse(line.data, "\"target\":", "\"target\":1,\"t\":");
}

static int tidy(void **state)
{
    (void)state;
    arena_free(&arena);
    arena = (struct arena){0};
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(rounds_come_back, tidy),
        cmocka_unit_test_teardown(evidence_comes_back, tidy),
        cmocka_unit_test_teardown(what_is_missing_is_unknown, tidy),
        cmocka_unit_test_teardown(targets_that_are_no_utf8, tidy),
        cmocka_unit_test_teardown(damage_is_refused, tidy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
