/* When is an answer complete, and what does it say of itself: the protocols of the presets imap,
 * pop3, ftp, ssh and dns. */
#include "framing_feed.h"
#include <errno.h>

static void imap_ends_with_the_tagged_line(void **state)
{
    (void)state;
    succeeds("imap", "n OK NOOP completed.\r\n", 0);
    succeeds("imap", "* 23 EXISTS\r\n* 1 FETCH (FLAGS (\\Seen))\r\nn OK done\r\n", 0);
    succeeds("imap", "+ go on\r\n", 0);
    fails("imap", "n NO [LIMIT] not now\r\n", 0, "n NO [LIMIT] not now");
    fails("imap", "* OK still here\r\nn BAD what?\r\n", 0, "n BAD what?");
    check("imap", "* OK but no end\r\n", 0, 17);
    check("imap", "n MAYBE\r\n", -EPROTO, 9);
    check("imap", "+OK POP3 ready\r\n", -EPROTO, 16);
    check("imap", "-ERR unknown command\r\n", -EPROTO, 22);
    check("imap", "220 mail ESMTP\r\n", -EPROTO, 16);
    check("imap", "SSH-2.0-OpenSSH\r\n", -EPROTO, 17);
    check("imap", "\r\n", -EPROTO, 2);
    check("imap", " OK\r\n", -EPROTO, 5);
    check_all("imap", "\0 OK\r\n", 6, -EPROTO, 6);
}

/* What a line announces may look like the end of it all. */
static void imap_reads_over_literals(void **state)
{
    (void)state;
    succeeds("imap", "* 1 FETCH (BODY[] {9}\r\nn OK no\r\n)\r\nn OK yes\r\n", 0);
    succeeds("imap", "* 1 FETCH (A {3}\r\n{9} B {0}\r\n C {2}\r\n\r\n)\r\nn OK yes\r\n", 0);
    succeeds("imap", "* LIST () \"/\" a{5}b\r\nn OK yes\r\n", 0);
    /* Words for people announce nothing. */
    succeeds("imap", "* OK see {500}\r\nn OK also {500}\r\n", 0);
    check("imap", "* 1 FETCH {99999999999999999999}\r\n", -EPROTO, 21);
    check("imap", "* 1 FETCH {2147483647}\r\nn OK\r\n", 0, 30);
}

/* Bytes, and then the end of the connection. */
static int closed_after(const char *kind, const char *text)
{
    static struct framing_reader reader;
    struct framing framing;

    assert_int_equal(framing_parse(kind, &framing, NULL), 0);
    assert_int_equal(feed(&framing, text, strlen(text), 3, 5, &reader).rc, 0);
    return framing_closed(&reader);
}

static void imap_may_say_goodbye(void **state)
{
    static struct framing_reader reader;
    static const char text[] = "* 1 EXISTS\r\n* BYE idle too long\r\n";
    const struct framing framing = {.kind = FRAMING_IMAP};
    struct framing_answer answer;
    (void)state;
    assert_int_equal(closed_after("imap", text), 1);
    assert_int_equal(closed_after("imap", "* OK\r\n"), 0);
    assert_int_equal(closed_after("imap", "* BYE"), 0);
    feed(&framing, text, strlen(text), 0, 1, &reader);
    framing_judge(&reader, text, strlen(text), &answer);
    assert_true(answer.known && !answer.success);
    assert_int_equal(answer.text_bytes, strlen("* BYE idle too long"));
    assert_memory_equal(answer.text, "* BYE idle too long", answer.text_bytes);
}

/* Of an answer too long to keep, the reader has the beginning of its last line. */
static void the_last_line_is_shown_as_far_as_it_is_known(void **state)
{
    static struct framing_reader reader;
    static const char text[] = "* 1 EXISTS\r\nn NO not now\r\n";
    const struct framing framing = {.kind = FRAMING_IMAP};
    struct framing_answer answer;
    (void)state;
    feed(&framing, text, strlen(text), 0, 1, &reader);
    framing_judge(&reader, text, 5, &answer);
    assert_int_equal(answer.text_bytes, 12);
    assert_memory_equal(answer.text, "n NO not now", 12);
}

static void pop3_answers_in_one_line_or_up_to_a_dot(void **state)
{
    (void)state;
    succeeds("pop3", "+OK ready\r\n", 0);
    succeeds("pop3", "+OK\n", 0);
    fails("pop3", "-ERR [AUTH] no\r\n", 0, "-ERR [AUTH] no");
    check("pop3", "* OK IMAP\r\n", -EPROTO, 11);
    check("pop3", "+PONG\r\n", -EPROTO, 7);
    succeeds("pop3-lines", "+OK\r\nCAPA\r\nUIDL\r\n.\r\n", 0);
    succeeds("pop3-lines", "+OK\r\n..\r\n. \r\n-ERR\r\n\r\n.\r\n", 0);
    fails("pop3-lines", "-ERR unknown command\r\n", 0, "-ERR unknown command");
    check("pop3-lines", "+OK\r\nfor ever\r\n", 0, 15);
    check("pop3-lines", ".\r\n", -EPROTO, 3);
    check("pop3-lines", "220 smtp\r\n", -EPROTO, 10);
}

static void ftp_writes_between_its_lines_as_it_likes(void **state)
{
    (void)state;
    succeeds("reply", "220-Welcome\r\n\r\n  220 indented\r\nto all\r\n220 done\r\n", 220);
    succeeds("reply", "211-Features:\r\n EPRT\r\n MDTM\r\n211 End\r\n", 211);
    fails("reply", "530 Please login with USER and PASS.\r\n", 530,
          "530 Please login with USER and PASS.");
    check("reply", "220-for\r\never\r\n", 0, 15);
    check("reply", "SSH-2.0-x\r\n", -EPROTO, 11);
}

static void ssh_may_say_lines_before_its_own(void **state)
{
    (void)state;
    completes("ssh", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    completes("ssh", "SSH-1.99-x\n");
    completes("ssh", "Authorized use only.\r\n\r\n\tNo SSH-2.0 here\r\nSSH-2.0-x\r\n");
    assert_true(judged("ssh", "hi\r\nSSH-2.0-x y\r\n").success);
    assert_memory_equal(judged("ssh", "hi\r\nSSH-2.0-x y\r\n").text, "SSH-2.0-x y", 11);
    check("ssh", "SSH-2.0-no end", 0, 14);
    check("ssh", "one\r\nof endlessly many\r\n", 0, 24);
    check("ssh", "220 mail ESMTP\r\n", -EPROTO, 16);
    check("ssh", "220-mail\r\n", -EPROTO, 10);
    check("ssh", "+OK POP3\r\n", -EPROTO, 10);
    check("ssh", "* OK IMAP\r\n", -EPROTO, 11);
    check("ssh", "HTTP/1.1 400 Bad Request\r\n", -EPROTO, 26);
    check_all("ssh", "J\0\0\0\n8.0.36\0", 12, -EPROTO, 2);
    check_all("ssh", "SSH-2.0-\0x\r\n", 12, -EPROTO, 9);
}

#define ID  "nk"
#define QNA "\0\1\0\0\0\0\0\0" /* a question, no answers */

static void dns_has_a_length_and_a_code(void **state)
{
    static struct framing_reader reader;
    static const char refused[] = "\0\21" ID "\201\205" QNA "\0\0\2\0\1",
                      none[] = "\0\14" ID "\204\0" QNA;
    const struct framing framing = {.kind = FRAMING_DNS};
    struct framing_answer answer;
    (void)state;
    check_all("dns", refused, 19, 1, 19);
    check_all("dns", refused, 18, 0, 18);
    check_all("dns", none, 14, 1, 14);
    for (size_t largest = 0; largest < 12; largest++) {
        feed(&framing, refused, 19, largest, 3, &reader);
        framing_judge(&reader, refused, 19, &answer);
        assert_true(answer.known && !answer.success && answer.status == 5);
        assert_memory_equal(answer.text, "REFUSED", 7);
        feed(&framing, none, 14, largest, 3, &reader);
        framing_judge(&reader, none, 14, &answer);
        assert_true(answer.known && answer.success && !answer.status);
        assert_memory_equal(answer.text, "NOERROR", 7);
    }
    /* A message of 64 KiB, all of which is awaited. */
    check_all("dns", "\377\377" ID "\200\0" QNA "...", 17, 0, 17);
}

static void dns_is_no_other_protocol(void **state)
{
    (void)state;
    check_all("dns", "\0\13" ID "\200\0", 6, -EPROTO, 2);    /* no room for a header */
    check_all("dns", "\0\21" ID "\1\0" QNA, 14, -EPROTO, 5); /* our query, come back */
    check("dns", "HTTP/1.1 400 Bad Request\r\n", -EPROTO, 5);
    check("dns", "SSH-2.0-x\r\n", -EPROTO, 5);
    check("dns", "+OK ready\r\n", -EPROTO, 5);
    check_all("dns", "\25\3\3\0\2\2\50", 7, -EPROTO, 5); /* an alert of TLS */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imap_ends_with_the_tagged_line),
        cmocka_unit_test(imap_reads_over_literals),
        cmocka_unit_test(imap_may_say_goodbye),
        cmocka_unit_test(the_last_line_is_shown_as_far_as_it_is_known),
        cmocka_unit_test(pop3_answers_in_one_line_or_up_to_a_dot),
        cmocka_unit_test(ftp_writes_between_its_lines_as_it_likes),
        cmocka_unit_test(ssh_may_say_lines_before_its_own),
        cmocka_unit_test(dns_has_a_length_and_a_code),
        cmocka_unit_test(dns_is_no_other_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
