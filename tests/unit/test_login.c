/* Logins: what the presets say before the rounds to servers that take, refuse or want more, and to
 * those that mean no good. No socket: the server's side is written here. */
#include "base/cleanup.h"
#include "probe/preset.h"
#include "probe/scram.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (text), sizeof(text) - 1

/* ---- SCRAM ---- */

#define SERVER_NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

/* RFC 7677 section 3. */
static const struct scram vector = {.nonce = "rOprNGfwEbeRWgbNEkqO", .user = "user"};

static int answer(struct scram *scram, struct buf *out, const char *heard, size_t bytes)
{
    struct error error = {0};
    int rc;

    *scram = vector;
    buf_reset(out);
    rc = scram_answer(scram, "pencil", heard, bytes, out, &error);
    assert_true(!rc || error.text[0]);
    return rc;
}

static void scram_agrees_with_its_rfc(void **state)
{
    static const char last[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    cleanup(buf) struct buf out = {0};
    struct scram scram = vector;
    (void)state;
    scram_begin(&scram, &out);
    assert_string_equal(buf_str(&out), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_int_equal(
        answer(&scram, &out, BYTES("r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")), 0);
    assert_string_equal(buf_str(&out),
                        "c=biws,r=" SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_int_equal(scram_check(&scram, BYTES(last), NULL), 0);
    assert_int_equal(scram_check(&scram, last, sizeof last - 6, NULL), -EPROTO);
    assert_int_equal(
        scram_check(&scram, BYTES("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95H4="), NULL),
        -EPROTO);
    assert_int_equal(scram_check(&scram, BYTES("e=invalid-proof"), NULL), -EPROTO);
    assert_int_equal(scram_check(&scram, BYTES(""), NULL), -EPROTO);
}

static void scram_refuses_what_it_does_not_know(void **state)
{
    static const char *const bad[] = {
        "",
        "r=" SERVER_NONCE,
        "r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==",
        "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "m=new,r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=" SERVER_NONCE ",s=,i=4096",
        "r=" SERVER_NONCE ",s=W22,i=4096",
        "r=" SERVER_NONCE ",s=!!!!,i=4096",
        "r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        "r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
        "r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
        "r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1x",
        "r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000", /* it would take an hour */
    };
    cleanup(buf) struct buf out = {0};
    struct scram scram;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(answer(&scram, &out, bad[i], strlen(bad[i])), -EPROTO);
    assert_int_equal(
        answer(&scram, &out, BYTES("r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1\0,")),
        -EPROTO);
}

/* ---- a conversation ---- */

struct talk {
    const struct preset *preset;
    struct preset_ask ask;
    struct preamble_talk talk;
    struct buf said;
    struct error error;
};

static void begin(struct talk *talk, enum preset_id id, const struct preset_ask *ask)
{
    free(talk->talk.state);
    talk->preset = preset_at(id);
    talk->ask = *ask;
    talk->talk = (struct preamble_talk){.ask = &talk->ask, .say = &talk->said};
    talk->talk.state = calloc(1, talk->preset->preamble->state_bytes + 1);
    assert_non_null(talk->talk.state);
}

static void end(struct talk *talk)
{
    free(talk->talk.state);
    buf_free(&talk->said);
}

static int next(struct talk *talk)
{
    buf_reset(&talk->said);
    talk->error = (struct error){0};
    int rc = talk->preset->preamble->next(&talk->talk, &talk->error);
    assert_true(rc >= 0 || talk->error.text[0]);
    talk->talk.step++;
    talk->talk.heard = NULL;
    return rc;
}

/* The server says what is awaited. */
static int hears(struct talk *talk, const char *bytes, size_t len_bytes)
{
    struct framing_reader reader;
    struct framing framing;
    size_t used = 0;

    /* At the end of its memory, so that nothing behind it is read. */
    cleanup(mem) char *copy = malloc(len_bytes);
    assert_non_null(copy);
    memcpy(copy, bytes, len_bytes);
    assert_int_equal(framing_parse(talk->talk.await, &framing, NULL), 0);
    framing_begin(&reader, &framing);
    assert_int_equal(framing_feed(&reader, copy, len_bytes, &used, NULL), 1);
    assert_int_equal(used, len_bytes);
    framing_judge(&reader, copy, len_bytes, &talk->talk.answer);
    talk->talk.heard = copy;
    talk->talk.heard_bytes = len_bytes;
    return next(talk);
}

static void says(const struct talk *talk, const char *bytes, size_t len_bytes)
{
    assert_int_equal(talk->said.len_bytes, len_bytes);
    assert_memory_equal(talk->said.data, bytes, len_bytes);
}

static void tells(const struct talk *talk, const char *words)
{
    if (!strstr(talk->error.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, talk->error.text);
}

/* ---- PostgreSQL ---- */

static const struct preset_ask jo = {.user = "jo", .password = "secret"};

#define PG_READY "R\0\0\0\x08\0\0\0\0Z\0\0\0\5I"

static void postgres_logs_in(void **state)
{
    struct talk talk = {0};
    struct preset_ask ask = {.user = "jo", .database = "db"};
    (void)state;
    begin(&talk, PRESET_POSTGRES, &ask);
    assert_int_equal(next(&talk), PREAMBLE_AWAIT);
    says(&talk, BYTES("\0\0\0\x35\0\3\0\0user\0jo\0database\0db\0application_name\0netkit\0\0"));
    assert_int_equal(hears(&talk, BYTES(PG_READY)), PREAMBLE_OVER);
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x08\0\0\0\3")), PREAMBLE_AWAIT);
    says(&talk, BYTES("p\0\0\0\x0bsecret\0"));
    assert_int_equal(hears(&talk, BYTES(PG_READY)), PREAMBLE_OVER);
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x0c\0\0\0\5\1\2\3\4")), PREAMBLE_AWAIT);
    says(&talk, BYTES("p\0\0\0\x28md5e3694eadace8959b6fbf30ffbdb98652\0"));
    assert_int_equal(hears(&talk, BYTES(PG_READY)), PREAMBLE_OVER);
    end(&talk);
}

static void postgres_refuses(void **state)
{
    struct talk talk = {0};
    struct preset_ask ask = {.user = "jo"};
    (void)state;
    begin(&talk, PRESET_POSTGRES, &ask);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("E\0\0\0\x1aSFATAL\0VFATAL\0Mno\tjo\0\0")), -EACCES);
    assert_string_equal(talk.error.text, "no\\tjo");
    begin(&talk, PRESET_POSTGRES, &ask);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x08\0\0\0\3")), -EINVAL);
    tells(&talk, "wants a password for the user \"jo\"");
    begin(&talk, PRESET_POSTGRES, &(struct preset_ask){0});
    assert_int_equal(next(&talk), -EINVAL);
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x08\0\0\0\7")), -EINVAL);
    tells(&talk, "number 7");
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x0d\0\0\0\x0aPLAIN")), -EINVAL);
    end(&talk);
}

static void postgres_is_asked_for_no_password_twice(void **state)
{
    struct talk talk = {0};
    (void)state;
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x08\0\0\0\3")), PREAMBLE_AWAIT);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x08\0\0\0\3")), -EPROTO);
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x0a\0\0\0\5\1\2")), -EPROTO);
    end(&talk);
}

#define SASL "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"

static void scram_of_postgres_is_not_left_half_done(void **state)
{
    struct talk talk = {0};
    (void)state;
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES(SASL)), PREAMBLE_AWAIT);
    assert_memory_equal(talk.said.data, "p\0\0\0\x36SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=", 31);
    assert_int_equal(talk.said.len_bytes, 1 + 0x36);
    /* Ready, though it proved nothing. */
    assert_int_equal(hears(&talk, BYTES(PG_READY)), -EPROTO);
    tells(&talk, "no proof");
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    hears(&talk, BYTES(SASL));
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x10\0\0\0\x0br=x,s=AA")), -EPROTO);
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x0a\0\0\0\x0bxx")), -EPROTO);
    begin(&talk, PRESET_POSTGRES, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("R\0\0\0\x0a\0\0\0\x0cxx" PG_READY)), -EPROTO);
    end(&talk);
}

static void postgres_begins_tls(void **state)
{
    struct talk talk = {0};
    (void)state;
    for (const char *answer = "SNx"; *answer; answer++) {
        begin(&talk, PRESET_POSTGRES, &jo);
        talk.talk.starttls = true;
        assert_int_equal(next(&talk), PREAMBLE_AWAIT);
        says(&talk, BYTES("\0\0\0\x08\4\xd2\x16\x2f"));
        assert_int_equal(hears(&talk, answer, 1), *answer == 'S'   ? PREAMBLE_TLS
                                                  : *answer == 'N' ? -EINVAL
                                                                   : -EPROTO);
        talk.talk.secure = true;
        assert_int_equal(next(&talk), PREAMBLE_AWAIT);
        assert_int_equal(hears(&talk, BYTES(PG_READY)), PREAMBLE_OVER);
    }
    end(&talk);
}

/* ---- MySQL ---- */

#define MY_OK(n) "\7\0\0" n "\0\0\0\2\0\0\0"
/* Version, thread, salt, capabilities with TLS and plugins, and the rest of the salt. */
#define MY_GREETING(length, plugin)                                                                \
    length "\0\0\0\x0a"                                                                            \
           "8.0\0\1\2\3\4"                                                                         \
           "01234567\0\xff\xff\x21\2\0\xff\xff\x15"                                                \
           "\0\0\0\0\0\0\0\0\0\0"                                                                  \
           "89abcdefghij\0" plugin "\0"
#define MY_NATIVE     MY_GREETING("\x47", "mysql_native_password")
#define MY_SHA2       MY_GREETING("\x47", "caching_sha2_password")
#define MY_BEGIN(can) can "\0\xff\xff\xff\0\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static void mysql_logs_in(void **state)
{
    struct talk talk = {0};
    struct preset_ask ask = {.user = "jo", .database = "db"};
    (void)state;
    begin(&talk, PRESET_MYSQL, &jo);
    assert_int_equal(next(&talk), PREAMBLE_AWAIT);
    assert_int_equal(talk.said.len_bytes, 0);
    assert_int_equal(hears(&talk, BYTES(MY_NATIVE)), PREAMBLE_AWAIT);
    says(&talk,
         BYTES("\x4e\0\0\1" MY_BEGIN("\x01\xa2\x08") "jo\0\x14"
                                                     "\xf5\xca\xc3\xf3\xb3\xdf\x21\x33\xfe\xb5\x7d"
                                                     "\xb6\x82\xc7\x1e\x6e\xd4\x33\xa9"
                                                     "\x88"
                                                     "mysql_native_password\0"));
    assert_int_equal(hears(&talk, BYTES(MY_OK("\2"))), PREAMBLE_OVER);
    /* Without a password, with a database. */
    begin(&talk, PRESET_MYSQL, &ask);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES(MY_NATIVE)), PREAMBLE_AWAIT);
    says(&talk, BYTES("\x3d\0\0\1" MY_BEGIN("\x09\xa2\x08") "jo\0\0db\0mysql_native_password\0"));
    end(&talk);
}

static void mysql_changes_the_plugin(void **state)
{
    static const char change[] = "\x2c\0\0\2\xfe"
                                 "caching_sha2_password\0"
                                 "0123456789abcdefghij\0";
    struct talk talk = {0};
    (void)state;
    begin(&talk, PRESET_MYSQL, &jo);
    next(&talk);
    hears(&talk, BYTES(MY_NATIVE));
    assert_int_equal(hears(&talk, BYTES(change)), PREAMBLE_AWAIT);
    says(&talk, BYTES("\x20\0\0\3\x7e\x4a\xdd\xa2\xf2\xd5\xef\x09\xb4\x14\x75\x18\xbe\xcb\x0c\xee"
                      "\x29\x39\x37\x62\x03\x65\x0a\x8c\x2b\xb2\x81\x59\x59\x36\x4b\xd0"));
    assert_int_equal(hears(&talk, BYTES("\2\0\0\4\1\3")), PREAMBLE_AWAIT);
    assert_int_equal(talk.said.len_bytes, 0);
    assert_int_equal(hears(&talk, BYTES(MY_OK("\5"))), PREAMBLE_OVER);
    /* Again and again. */
    begin(&talk, PRESET_MYSQL, &jo);
    next(&talk);
    hears(&talk, BYTES(MY_NATIVE));
    hears(&talk, BYTES(change));
    assert_int_equal(hears(&talk, BYTES(change)), -EPROTO);
    begin(&talk, PRESET_MYSQL, &jo);
    next(&talk);
    hears(&talk, BYTES(MY_NATIVE));
    assert_int_equal(hears(&talk, BYTES("\x0e\0\0\2\xfe"
                                        "client_\x1b"
                                        "five\0")),
                     -EINVAL);
    tells(&talk, "by client_\\x1bfive;");
    begin(&talk, PRESET_MYSQL, &jo);
    next(&talk);
    hears(&talk, BYTES(MY_NATIVE));
    assert_int_equal(hears(&talk, BYTES("\1\0\0\2\xfe")), -EPROTO);
    end(&talk);
}

/* The whole password goes out over TLS only. */
static void mysql_says_a_password_only_over_tls(void **state)
{
    struct talk talk = {0};
    (void)state;
    begin(&talk, PRESET_MYSQL, &jo);
    next(&talk);
    hears(&talk, BYTES(MY_SHA2));
    assert_int_equal(hears(&talk, BYTES("\2\0\0\2\1\4")), -EINVAL);
    tells(&talk, "--starttls");
    begin(&talk, PRESET_MYSQL, &jo);
    talk.talk.starttls = true;
    next(&talk);
    assert_int_equal(hears(&talk, BYTES(MY_SHA2)), PREAMBLE_AWAIT);
    says(&talk, BYTES("\x20\0\0\1" MY_BEGIN("\x01\xaa\x08")));
    assert_string_equal(talk.talk.await, "nothing");
    assert_int_equal(next(&talk), PREAMBLE_TLS);
    talk.talk.secure = true;
    assert_int_equal(next(&talk), PREAMBLE_AWAIT);
    assert_int_equal(talk.said.data[3], 2);
    assert_int_equal(hears(&talk, BYTES("\2\0\0\3\1\4")), PREAMBLE_AWAIT);
    says(&talk, BYTES("\7\0\0\4secret\0"));
    assert_int_equal(hears(&talk, BYTES(MY_OK("\5"))), PREAMBLE_OVER);
    end(&talk);
}

static void mysql_refuses(void **state)
{
    static const char greeting[] = MY_NATIVE;
    struct talk talk = {0};
    (void)state;
    begin(&talk, PRESET_MYSQL, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("\7\0\0\0\xff\x69\4none")), -EACCES);
    tells(&talk, "none");
    begin(&talk, PRESET_MYSQL, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES(MY_OK("\1"))), -EPROTO); /* instead of a greeting */
    /* A greeting that ends anywhere. */
    for (size_t length = 30; length < 4 + 45; length++) {
        char cut[sizeof greeting];
        memcpy(cut, greeting, sizeof greeting);
        cut[0] = (char)length;
        begin(&talk, PRESET_MYSQL, &jo);
        next(&talk);
        int rc = hears(&talk, cut, 4 + length);
        assert_true(rc == -EPROTO || rc == -EINVAL || rc == PREAMBLE_AWAIT);
        assert_true(length >= 44 || rc == -EPROTO);
    }
    end(&talk);
}

/* ---- LDAP, MQTT ---- */

static void ldap_binds(void **state)
{
    struct talk talk = {0};
    (void)state;
    begin(&talk, PRESET_LDAP, &(struct preset_ask){0});
    assert_int_equal(next(&talk), PREAMBLE_OVER);
    begin(&talk, PRESET_LDAP, &jo);
    talk.talk.starttls = true;
    assert_int_equal(next(&talk), PREAMBLE_AWAIT);
    says(&talk, BYTES("\x30\x1d\2\1\1\x77\x18\x80\x16"
                      "1.3.6.1.4.1.1466.20037"));
    assert_int_equal(hears(&talk, BYTES("\x30\x0c\2\1\1\x78\7\n\1\0\4\0\4\0")), PREAMBLE_TLS);
    talk.talk.secure = true;
    assert_int_equal(next(&talk), PREAMBLE_AWAIT);
    says(&talk, BYTES("\x30\x14\2\1\2\x60\x0f\2\1\3\4\2jo\x80\6secret"));
    assert_int_equal(hears(&talk, BYTES("\x30\x0c\2\1\2\x61\7\n\1\0\4\0\4\0")), PREAMBLE_OVER);
    begin(&talk, PRESET_LDAP, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("\x30\x0c\2\1\2\x61\7\n\1\x31\4\0\4\0")), -EACCES);
    tells(&talk, "invalidCredentials");
    end(&talk);
}

static void mqtt_connects(void **state)
{
    struct talk talk = {0};
    (void)state;
    begin(&talk, PRESET_MQTT, &jo);
    assert_int_equal(next(&talk), PREAMBLE_AWAIT);
    assert_int_equal(talk.said.len_bytes, 2 + 10 + 24 + 4 + 8);
    assert_memory_equal(talk.said.data, "\x10\x2e\0\4MQTT\4\xc2\0\0\0\x16netkit", 20);
    assert_memory_equal(talk.said.data + 36, "\0\2jo\0\6secret", 12);
    assert_int_equal(hears(&talk, BYTES("\x20\2\0\0")), PREAMBLE_OVER);
    begin(&talk, PRESET_MQTT, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("\x20\2\0\4")), -EACCES);
    tells(&talk, "bad user name or password");
    begin(&talk, PRESET_MQTT, &jo);
    next(&talk);
    assert_int_equal(hears(&talk, BYTES("\xd0\0")), -EPROTO);
    end(&talk);
}

static void half_a_login_is_none(void **state)
{
    static const struct {
        struct preset_ask ask;
        int ldap, mqtt;
    } cases[] = {{{0}, 0, 0},
                 {{.user = "jo"}, -EINVAL, 0},
                 {{.password = "secret"}, -EINVAL, -EINVAL},
                 {{.user = "jo", .password = ""}, -EINVAL, 0},
                 {{.user = "jo", .password = "secret"}, 0, 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(preset_at(PRESET_LDAP)->check(&cases[i].ask, NULL), cases[i].ldap);
        assert_int_equal(preset_at(PRESET_MQTT)->check(&cases[i].ask, NULL), cases[i].mqtt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scram_agrees_with_its_rfc),
        cmocka_unit_test(scram_refuses_what_it_does_not_know),
        cmocka_unit_test(postgres_logs_in),
        cmocka_unit_test(postgres_refuses),
        cmocka_unit_test(postgres_is_asked_for_no_password_twice),
        cmocka_unit_test(scram_of_postgres_is_not_left_half_done),
        cmocka_unit_test(postgres_begins_tls),
        cmocka_unit_test(mysql_logs_in),
        cmocka_unit_test(mysql_changes_the_plugin),
        cmocka_unit_test(mysql_says_a_password_only_over_tls),
        cmocka_unit_test(mysql_refuses),
        cmocka_unit_test(ldap_binds),
        cmocka_unit_test(mqtt_connects),
        cmocka_unit_test(half_a_login_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
