/* What the presets of lines of text say before their rounds: each turn is played, and its answer
 * given, without a server. */
#include "base/cleanup.h"
#include "probe/preset.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TLS "(TLS)"

/* Plays the preamble against these answers, one a turn. Gives what is said in it, and how it ends:
 * PREAMBLE_OVER or an error. */
static int play(const struct preset *preset, const struct preset_ask *ask, bool starttls,
                const char *const *answers, struct buf *said, struct error *error)
{
    struct preamble_talk talk = {.ask = ask, .starttls = starttls};
    cleanup(buf) struct buf say = {0};
    struct framing_reader reader;
    struct framing framing;
    size_t used;

    buf_reset(said);
    for (;;) {
        buf_reset(&say);
        talk.say = &say;
        int rc = preset->preamble->next(&talk, error);
        talk.step++;
        if (rc == PREAMBLE_TLS) {
            buf_add_str(said, TLS);
            talk.heard = NULL;
            continue;
        }
        if (rc != PREAMBLE_AWAIT)
            return rc;
        buf_add(said, say.data, say.len_bytes);
        assert_non_null(*answers);
        talk.heard = *answers++;
        talk.heard_bytes = strlen(talk.heard);
        assert_int_equal(framing_parse(talk.await, &framing, NULL), 0);
        framing_begin(&reader, &framing);
        assert_int_equal(framing_feed(&reader, talk.heard, talk.heard_bytes, &used, error), 1);
        assert_int_equal(used, talk.heard_bytes);
        framing_judge(&reader, talk.heard, talk.heard_bytes, &talk.answer);
    }
}

#define ANSWERS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void says(const struct preset *preset, const struct preset_ask *ask, bool starttls,
                 const char *const *answers, const char *expected)
{
    cleanup(buf) struct buf said = {0};
    struct error error = {0};

    assert_int_equal(play(preset, ask, starttls, answers, &said, &error), PREAMBLE_OVER);
    assert_string_equal(buf_str(&said), expected);
}

static void gives_up(const struct preset *preset, const struct preset_ask *ask, bool starttls,
                     const char *const *answers, int rc, const char *words)
{
    cleanup(buf) struct buf said = {0};
    struct error error = {0};

    assert_int_equal(play(preset, ask, starttls, answers, &said, &error), rc);
    if (!strstr(error.text, words))
        fail_msg("\"%s\" lacks \"%s\"", error.text, words);
}

static const struct preset_ask nobody = {0}, anna = {.user = "anna", .password = "s e\"c\\ret"};

static void imap_logs_in(void **state)
{
    const struct preset *imap = preset_at(PRESET_IMAP);
    (void)state;
    says(imap, &nobody, false, ANSWERS("* OK ready\r\n"), "");
    says(imap, &anna, false, ANSWERS("* OK ready\r\n", "* CAPABILITY x\r\nl OK in\r\n"),
         "l LOGIN \"anna\" \"s e\\\"c\\\\ret\"\r\n");
    says(imap, &nobody, true, ANSWERS("* OK ready\r\n", "t OK go\r\n"), "t STARTTLS\r\n" TLS);
    says(imap, &anna, true, ANSWERS("* OK ready\r\n", "t OK go\r\n", "l OK in\r\n"),
         "t STARTTLS\r\n" TLS "l LOGIN \"anna\" \"s e\\\"c\\\\ret\"\r\n");
    says(imap, &anna, false, ANSWERS("* PREAUTH as anna\r\n"), "");
    gives_up(imap, &anna, true, ANSWERS("* PREAUTH as anna\r\n"), -EPROTO, "IMAP");
    gives_up(imap, &nobody, false, ANSWERS("* BYE full\r\n"), -EACCES, "* BYE full");
    gives_up(imap, &nobody, false, ANSWERS("220 smtp\r\n"), -EPROTO, "not a greeting of IMAP");
    gives_up(imap, &nobody, true, ANSWERS("* OK ready\r\n", "t BAD no\r\n"), -EACCES, "t BAD no");
    gives_up(imap, &anna, false, ANSWERS("* OK ready\r\n", "* OK x\r\nl NO [AUTH] wrong\r\n"),
             -EACCES, "l NO [AUTH] wrong");
}

static void pop3_logs_in(void **state)
{
    const struct preset *pop3 = preset_at(PRESET_POP3);
    (void)state;
    says(pop3, &nobody, false, ANSWERS("+OK ready\r\n"), "");
    says(pop3, &anna, false, ANSWERS("+OK ready\r\n", "+OK\r\n", "+OK in\r\n"),
         "USER anna\r\nPASS s e\"c\\ret\r\n");
    says(pop3, &anna, true, ANSWERS("+OK ready\r\n", "+OK go\r\n", "+OK\r\n", "+OK in\r\n"),
         "STLS\r\n" TLS "USER anna\r\nPASS s e\"c\\ret\r\n");
    gives_up(pop3, &nobody, false, ANSWERS("-ERR full\r\n"), -EACCES, "-ERR full");
    gives_up(pop3, &nobody, true, ANSWERS("+OK\r\n", "-ERR no\r\n"), -EACCES, "-ERR no");
    gives_up(pop3, &anna, false, ANSWERS("+OK\r\n", "+OK\r\n", "-ERR wrong\r\n"), -EACCES,
             "-ERR wrong");
}

static void ftp_logs_in(void **state)
{
    const struct preset *ftp = preset_at(PRESET_FTP);
    const struct preset_ask anonymous = {.user = "anonymous"}, bare = {.user = "anna"};
    (void)state;
    says(ftp, &nobody, false, ANSWERS("220-hello\r\nall\r\n220 ready\r\n"), "");
    says(ftp, &anna, false, ANSWERS("220 ready\r\n", "331 password\r\n", "230 in\r\n"),
         "USER anna\r\nPASS s e\"c\\ret\r\n");
    says(ftp, &anonymous, false, ANSWERS("220 ready\r\n", "331 password\r\n", "230 in\r\n"),
         "USER anonymous\r\nPASS anonymous@\r\n");
    says(ftp, &bare, false, ANSWERS("220 ready\r\n", "230 in\r\n"), "USER anna\r\n");
    says(ftp, &nobody, true, ANSWERS("220 ready\r\n", "234 go\r\n"), "AUTH TLS\r\n" TLS);
    gives_up(ftp, &bare, false, ANSWERS("220 ready\r\n", "331 password\r\n"), -EINVAL,
             "--password-file");
    gives_up(ftp, &nobody, false, ANSWERS("421 too many\r\n"), -EACCES, "421 too many");
    gives_up(ftp, &anna, false, ANSWERS("220 x\r\n", "331 p\r\n", "332 account\r\n"), -EACCES,
             "332 after the password");
    gives_up(ftp, &anna, false, ANSWERS("220 x\r\n", "331 p\r\n", "530 wrong\r\n"), -EACCES,
             "530 wrong");
}

static void smtp_says_hello_before_tls(void **state)
{
    const struct preset *smtp = preset_at(PRESET_SMTP);
    (void)state;
    says(smtp, &nobody, false, ANSWERS("220-mail\r\n220 ready\r\n"), "");
    says(smtp, &nobody, true, ANSWERS("220 ready\r\n", "250-x\r\n250 y\r\n", "220 go\r\n"),
         "EHLO localhost\r\nSTARTTLS\r\n" TLS);
    gives_up(smtp, &nobody, false, ANSWERS("554 no\r\n"), -EACCES, "554 no");
    gives_up(smtp, &nobody, false, ANSWERS("421-busy\r\n421 later\r\n"), -EACCES, "421-busy");
    gives_up(smtp, &nobody, true, ANSWERS("220 x\r\n", "250 y\r\n", "454 no\r\n"), -EACCES,
             "454 no");
}

static void refuses(const struct preset *preset, struct preset_ask ask, const char *words)
{
    struct error error = {0};

    assert_int_equal(preset->check(&ask, &error), -EINVAL);
    if (!strstr(error.text, words))
        fail_msg("\"%s\" lacks \"%s\"", error.text, words);
}

static void a_login_is_whole_and_of_one_line(void **state)
{
    const struct preset *all[] = {preset_at(PRESET_IMAP), preset_at(PRESET_POP3),
                                  preset_at(PRESET_FTP)};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        assert_int_equal(all[i]->check(&nobody, NULL), 0);
        assert_int_equal(all[i]->check(&anna, NULL), 0);
        refuses(all[i], (struct preset_ask){.password = "x"}, "--user");
        refuses(all[i], (struct preset_ask){.user = "", .password = "x"}, "--user wants");
        refuses(all[i], (struct preset_ask){.user = "a\r\nQUIT", .password = "x"}, "control");
    }
    refuses(all[0], (struct preset_ask){.user = "anna"}, "--password-file");
    refuses(all[1], (struct preset_ask){.user = "anna"}, "--password-file");
}

static void dns_asks_for_a_name_and_a_type(void **state)
{
    const struct preset *dns = preset_at(PRESET_DNS);
    static const struct {
        const char *query;
        size_t length;
        const char *bytes; /* behind the header */
    } cases[] = {{NULL, 5, "\0\0\2\0\1"},
                 {".", 5, "\0\0\1\0\1"},
                 {"a.bc", 10, "\1a\2bc\0\0\1\0\1"},
                 {"a.bc. mx", 10, "\1a\2bc\0\0\17\0\1"},
                 {"x  AAAA", 7, "\1x\0\0\34\0\1"}};
    char name[300];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct preset_ask ask = {.query = cases[i].query};
        cleanup(buf) struct buf request = {0};
        size_t body_at;
        assert_int_equal(dns->check(&ask, NULL), 0);
        preset_request(&request, dns, &ask, &body_at);
        assert_int_equal(request.len_bytes, 14 + cases[i].length);
        assert_memory_equal(request.data + 4, "\1\0\0\1\0\0\0\0\0\0", 10);
        assert_int_equal(request.data[1], 12 + (int)cases[i].length);
        assert_memory_equal(request.data + 14, cases[i].bytes, cases[i].length);
    }
    refuses(dns, (struct preset_ask){.query = ""}, "a name");
    refuses(dns, (struct preset_ask){.query = "a..b"}, "1 to 63");
    refuses(dns, (struct preset_ask){.query = "a WHAT"}, "a type");
    memset(name, 'a', sizeof name);
    name[64] = '\0';
    refuses(dns, (struct preset_ask){.query = name}, "1 to 63");
    for (size_t i = 0; i < 256; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[256] = '\0';
    refuses(dns, (struct preset_ask){.query = name}, "255");
    name[254] = '\0';
    assert_int_equal(dns->check(&(struct preset_ask){.query = name}, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imap_logs_in),
        cmocka_unit_test(pop3_logs_in),
        cmocka_unit_test(ftp_logs_in),
        cmocka_unit_test(smtp_says_hello_before_tls),
        cmocka_unit_test(a_login_is_whole_and_of_one_line),
        cmocka_unit_test(dns_asks_for_a_name_and_a_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
