/* When an answer of a binary protocol is complete, and what it says of itself: whole, cut, refused,
 * and by servers that mean no good or speak something else. */
#include "framing_feed.h"
#include <errno.h>

#define BYTES(text) (text), sizeof(text) - 1

/* Complete with its last byte, and not before. Returns what it says of itself. */
static struct framing_answer judged_bytes(const char *kind, const char *bytes, size_t len)
{
    static struct framing_reader reader;
    struct framing framing;
    struct framing_answer answer;

    check_all(kind, bytes, len, 1, len);
    for (size_t cut = 1; cut < len; cut++)
        check_all(kind, bytes, cut, 0, cut);
    assert_int_equal(framing_parse(kind, &framing, NULL), 0);
    feed(&framing, bytes, len, 3, 5, &reader);
    framing_judge(&reader, bytes, len, &answer);
    assert_true(answer.known);
    return answer;
}

static void succeeds_bytes(const char *kind, const char *bytes, size_t len)
{
    assert_true(judged_bytes(kind, bytes, len).success);
}

static void fails_bytes(const char *kind, const char *bytes, size_t len, int status,
                        const char *words)
{
    struct framing_answer answer = judged_bytes(kind, bytes, len);

    assert_false(answer.success);
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.text_bytes, strlen(words));
    assert_memory_equal(answer.text, words, strlen(words));
}

/* Is refused with that byte. */
static void refused_bytes(const char *kind, const char *bytes, size_t len, size_t at)
{
    check_all(kind, bytes, len, -EPROTO, at);
}

#define READY      "Z\0\0\0\5I"
#define ERROR_BODY "SERREUR\0VERROR\0C42601\0Mno such thing\0\0"

static void postgres_answers_until_it_is_ready(void **state)
{
    (void)state;
    succeeds_bytes("postgres", BYTES(READY));
    succeeds_bytes("postgres", BYTES("T\0\0\0\6\0\0D\0\0\0\013\0\1\0\0\0\1"
                                     "1C\0\0\0\rSELECT 1\0" READY));
    succeeds_bytes("postgres", BYTES("R\0\0\0\x08\0\0\0\0S\0\0\0\010a\0b\0" READY));
    /* It waits for a password. */
    succeeds_bytes("postgres", BYTES("R\0\0\0\x08\0\0\0\3"));
    succeeds_bytes("postgres", BYTES("R\0\0\0\014\0\0\0\5salt"));
    fails_bytes("postgres", BYTES("E\0\0\0\x2a" ERROR_BODY READY), 0, "no such thing");
    fails_bytes("postgres", BYTES("E\0\0\0\x1bSFATAL\0VFATAL\0Mgone\0\0\0\0"), 0, "gone");
    fails_bytes("postgres", BYTES("E\0\0\0\4" READY), 0, "an error after other messages");
}

static void an_error_of_postgres_may_end_the_connection(void **state)
{
    static struct framing_reader reader;
    struct framing framing;
    (void)state;
    assert_int_equal(framing_parse("postgres", &framing, NULL), 0);
    feed(&framing, BYTES("E\0\0\0\x2a" ERROR_BODY), 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 1);
    feed(&framing, BYTES("E\0\0\0\x2a" ERROR_BODY "Z"), 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 0);
    feed(&framing, BYTES("C\0\0\0\rSELECT 1\0"), 0, 1, &reader);
    assert_int_equal(framing_closed(&reader), 0);
}

static void postgres_is_no_other_protocol(void **state)
{
    (void)state;
    refused_bytes("postgres", BYTES("HTTP/1.1 400 Bad Request\r\n"), 5);
    refused_bytes("postgres", BYTES("-ERR unknown command\r\n"), 1);
    refused_bytes("postgres", BYTES("SSH-2.0-OpenSSH\r\n"), 5);
    refused_bytes("postgres", BYTES("\0\0\0\0\0"), 1);
    refused_bytes("postgres", BYTES("Z\0\0\0\3"), 5);
    refused_bytes("postgres", BYTES("D\x7f\xff\xff\xff"), 5);
    refused_bytes("postgres", BYTES("R\0\0\0\6\0\0"), 7);
    refused_bytes("postgres", BYTES("G\0\0\0\7\0\0\0"), 8); /* COPY from us */
}

#define OK_PACKET(n)  "\7\0\0" n "\0\0\0\2\0\0\0"
#define END_PACKET(n) "\5\0\0" n "\xfe\0\0\2\0"

static void mysql_answers_a_packet_or_a_result_set(void **state)
{
    (void)state;
    succeeds_bytes("mysql", BYTES(OK_PACKET("\1")));
    succeeds_bytes("mysql", BYTES("\2\0\0\4\1\3"));
    succeeds_bytes("mysql", BYTES("\5\0\0\2\xfename"));
    succeeds_bytes("mysql", BYTES("\1\0\0\1\1"
                                  "\4\0\0\2\3def" END_PACKET("\3") "\2\0\0\4\1x" END_PACKET("\5")));
    /* Ten columns are no greeting; a count may have two bytes. A row may begin with any length. */
    succeeds_bytes("mysql", BYTES("\1\0\0\1\n" END_PACKET("\2") END_PACKET("\3")));
    succeeds_bytes("mysql", BYTES("\3\0\0\1\xfc\0\1" END_PACKET(
                                "\2") "\x9\0\0\3\xfe\0\0\0\0\0\0\0\0" END_PACKET("\4")));
    fails_bytes("mysql", BYTES("\x0b\0\0\1\xff\x15\4#28000no"), 1045, "no");
    fails_bytes("mysql", BYTES("\7\0\0\0\xff\x10\4many"), 1040, "many");
    fails_bytes("mysql", BYTES("\1\0\0\1\1" END_PACKET("\2") "\x0b\0\0\3\xff\1\0#28000no"), 1,
                "no");
}

static void mysql_is_no_other_protocol(void **state)
{
    (void)state;
    refused_bytes("mysql", BYTES("HTTP/1.1 400 Bad Request\r\n"), 5);
    refused_bytes("mysql", BYTES("SSH-2.0-OpenSSH\r\n"), 5);
    refused_bytes("mysql", BYTES("220 mail ESMTP\r\n"), 5);
    refused_bytes("mysql", BYTES("+OK\r\n"), 5);
    refused_bytes("mysql", BYTES("\0\0\0\1"), 4);
    refused_bytes("mysql", BYTES("\6\0\0\1\0"), 5);
    refused_bytes("mysql", BYTES("\1\0\0\1\1\4\0\0\3"), 9); /* the second packet is not there */
    refused_bytes("mysql",
                  BYTES("\5\0\0\1\xfb"
                        "/etc"),
                  9); /* LOAD DATA LOCAL */
}

/* A packet of 2^24 - 1 bytes goes on in the next one, whose first byte means nothing. */
static void a_long_packet_of_mysql_goes_on(void **state)
{
    static struct framing_reader reader;
    size_t row = 4 + 0xffffff, head = 5 + 9;
    static const char begin[] = "\1\0\0\1\1" END_PACKET("\2") "\xff\xff\xff\3\xfe";
    static const char end[] = "\1\0\0\4\xff" END_PACKET("\5");
    cleanup(mem) char *bytes = calloc(1, head + row + sizeof end);
    struct framing framing = {.kind = FRAMING_MYSQL};
    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, begin, sizeof begin - 1);
    memcpy(bytes + head + row, end, sizeof end - 1);
    struct end got = feed(&framing, bytes, head + row + sizeof end - 1, 0, 1, &reader);
    assert_int_equal(got.rc, 1);
    assert_int_equal(got.used, head + row + sizeof end - 1);
    assert_false(reader.message.refused);
}

#define ENTRY  "\x30\x0d\2\1\3\x64\x08\4\0\x30\4\x30\2\4\0"
#define RESULT "\x30\x0c\2\1\3\x65\7\n\1\0\4\0\4\0"

static void ldap_answers_up_to_a_result(void **state)
{
    (void)state;
    succeeds_bytes("ldap", BYTES(RESULT));
    succeeds_bytes("ldap", BYTES(ENTRY RESULT));
    succeeds_bytes("ldap", BYTES("\x30\x84\0\0\0\x0c\2\1\3\x61\7\n\1\0\4\0\4\0"));
    succeeds_bytes("ldap", BYTES("\x30\x81\x0c\2\1\3\x78\7\n\1\0\4\0\4\0"));
    fails_bytes("ldap", BYTES("\x30\x0c\2\1\2\x61\7\n\1\x31\4\0\4\0"), 49, "invalidCredentials");
    fails_bytes("ldap", BYTES(ENTRY "\x30\x0e\2\1\3\x65\x09\n\1\x34\4\0\4\2no"), 52, "no");
    fails_bytes("ldap", BYTES("\x30\x0c\2\1\3\x65\7\n\1\x7f\4\0\4\0"), 127,
                "a result that is no success");
}

static void ldap_is_no_other_protocol(void **state)
{
    (void)state;
    refused_bytes("ldap", BYTES("HTTP/1.1 400 Bad Request\r\n"), 1);
    refused_bytes("ldap", BYTES("0123456789"), 3);
    refused_bytes("ldap", BYTES("\x30\x80\2\1"), 2);
    refused_bytes("ldap", BYTES("\x30\x85\0\0\0\0\1"), 2);
    refused_bytes("ldap", BYTES("\x30\x84\xff\xff\xff\xff\2"), 6);
    refused_bytes("ldap", BYTES("\x30\2\2\0"), 2);
    refused_bytes("ldap", BYTES("\x30\x5\2\1\3\x60\0"), 7);     /* a request */
    refused_bytes("ldap", BYTES("\x30\x7\2\1\3\x65\2\n\0"), 9); /* a result without a code */
    refused_bytes("ldap", BYTES("\x30\x3\2\x84\xff"), 5);       /* a length beyond the end */
}

static void mqtt_answers_in_two_kinds(void **state)
{
    (void)state;
    succeeds_bytes("mqtt", BYTES("\x20\2\0\0"));
    succeeds_bytes("mqtt", BYTES("\xd0\0"));
    fails_bytes("mqtt", BYTES("\x20\2\0\5"), 5, "not authorized");
    fails_bytes("mqtt", BYTES("\x20\2\0\x63"), 99, "connection refused");
    refused_bytes("mqtt", BYTES("\x20\3\0\0\0"), 2);
    refused_bytes("mqtt", BYTES("\xd0\1x"), 2);
    refused_bytes("mqtt", BYTES("220 mail ESMTP\r\n"), 1);
    refused_bytes("mqtt", BYTES("HTTP/1.1 400 Bad Request\r\n"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(postgres_answers_until_it_is_ready),
        cmocka_unit_test(an_error_of_postgres_may_end_the_connection),
        cmocka_unit_test(postgres_is_no_other_protocol),
        cmocka_unit_test(mysql_answers_a_packet_or_a_result_set),
        cmocka_unit_test(mysql_is_no_other_protocol),
        cmocka_unit_test(a_long_packet_of_mysql_goes_on),
        cmocka_unit_test(ldap_answers_up_to_a_result),
        cmocka_unit_test(ldap_is_no_other_protocol),
        cmocka_unit_test(mqtt_answers_in_two_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
