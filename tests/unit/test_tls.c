/* TLS as a filter of bytes, against a server of OpenSSL's in the same process: what is fed in any
 * pieces comes out whole, and what is no answer is known for that. */
#include "base/arena.h"
#include "probe/tls.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOST  "service.example"
#define WHOLE 100000 /* more than any flight */

static SSL_CTX *server_context;
static SSL *server;
static const struct tls_settings settings = {.insecure = true};
static struct tls_context *context;
static struct tls client;
static struct error error;
static struct buf wire; /* what the server has written */

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:" HOST);

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)HOST, -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    assert_int_not_equal(X509_sign(certificate, key, EVP_sha256()), 0);
    return certificate;
}

static int open_server(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key);

    (void)state;
    assert_int_equal(tls_context_open(&context, &settings, &error), 0);
    server_context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server_context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return 0;
}

static int close_server(void **state)
{
    (void)state;
    SSL_CTX_free(server_context);
    tls_context_close(context);
    return 0;
}

/* ---- the wire, in memory ---- */

static void from_client(void)
{
    size_t len;
    const char *bytes = tls_pending(&client, &len);

    if (!bytes)
        return;
    assert_int_equal(BIO_write(SSL_get_rbio(server), bytes, (int)len), len);
    tls_written(&client, len);
}

static void from_server(void)
{
    char *bytes;
    long len = BIO_get_mem_data(SSL_get_wbio(server), &bytes);

    buf_reset(&wire);
    buf_add(&wire, bytes, (size_t)len);
    assert_int_equal(BIO_reset(SSL_get_wbio(server)), 1);
}

static void begin(int version)
{
    server = SSL_new(server_context);
    SSL_set_min_proto_version(server, version);
    SSL_set_max_proto_version(server, version);
    SSL_set_bio(server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(server);
    assert_int_equal(tls_start(&client, context, HOST, &error), 0);
}

static void finish(void)
{
    SSL_free(server);
    tls_free(&client);
    tls_free(&client);
    buf_free(&wire);
}

/* The client gets what comes in pieces of `step` bytes. In TLS 1.3 the tickets are left on the
 * wire. */
static void shake_hands(int version, size_t step)
{
    int over = 0;

    begin(version);
    assert_int_equal(tls_handshake(&client, &error), 0);
    while (!over) {
        from_client();
        SSL_do_handshake(server);
        from_server();
        assert_true(wire.len_bytes > 0);
        for (size_t at = 0; at < wire.len_bytes && !over; at += step) {
            size_t left = wire.len_bytes - at;
            tls_feed(&client, wire.data + at, left < step ? left : step);
            over = tls_handshake(&client, &error);
        }
        assert_true(over >= 0);
    }
    from_client();
    SSL_do_handshake(server);
    from_server();
}

static void handshakes_in_any_pieces(void **state)
{
    static const struct {
        int version;
        const char *name;
        int64_t round_trips;
    } versions[] = {{TLS1_2_VERSION, "TLSv1.2", 2}, {TLS1_3_VERSION, "TLSv1.3", 1}};
    static const size_t steps[] = {1, 5, 100, WHOLE};

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        struct arena arena = {0};
        shake_hands(versions[i / 4].version, steps[i % 4]);
        const struct result_tls *tls = tls_describe(&client, &arena);
        assert_string_equal(tls->version, versions[i / 4].name);
        assert_int_equal(tls->round_trips, versions[i / 4].round_trips);
        assert_false(tls->resumed);
        assert_false(tls->verified); /* signed by itself */
        assert_null(tls->alpn);
        arena_free(&arena);
        finish();
    }
}

static void tickets_are_no_answer(void **state)
{
    char out[64];

    (void)state;
    shake_hands(TLS1_3_VERSION, WHOLE);
    assert_true(wire.len_bytes > 10);
    for (size_t i = 0; i < wire.len_bytes; i++) {
        tls_feed(&client, wire.data + i, 1);
        assert_int_equal(tls_take(&client, out, sizeof out, &error), 0);
        enum tls_partial partial = tls_partial(&client);
        assert_true(partial == TLS_PARTIAL_PERHAPS || partial == TLS_PARTIAL_NONE);
    }
    assert_int_equal(tls_partial(&client), TLS_PARTIAL_NONE);
    assert_false(client.answered);
    finish();
}

static void an_answer_byte_by_byte(int version, enum tls_partial first)
{
    static const char answer[] = "an answer";
    char out[64];

    shake_hands(version, WHOLE);
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_take(&client, out, sizeof out, &error), 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(SSL_write(server, answer, sizeof answer), sizeof answer);
        from_server();
        for (size_t i = 0; i + 1 < wire.len_bytes; i++) {
            tls_feed(&client, wire.data + i, 1);
            assert_int_equal(tls_take(&client, out, sizeof out, &error), 0);
            assert_int_equal(tls_partial(&client), round ? TLS_PARTIAL_DATA : first);
        }
        tls_feed(&client, wire.data + wire.len_bytes - 1, 1);
        assert_int_equal(tls_take(&client, out, sizeof out, &error), sizeof answer);
        assert_string_equal(out, answer);
        assert_int_equal(tls_partial(&client), TLS_PARTIAL_NONE);
    }
    finish();
}

static void part_of_a_record_is_part_of_an_answer(void **state)
{
    (void)state;
    an_answer_byte_by_byte(TLS1_2_VERSION, TLS_PARTIAL_DATA);
    an_answer_byte_by_byte(TLS1_3_VERSION, TLS_PARTIAL_PERHAPS);
}

static void what_is_said_is_whole_records(void **state)
{
    static char said[3 * TLS_RECORD_MAX + 5], heard[sizeof said];
    size_t len, got = 0;

    (void)state;
    memset(said, 'x', sizeof said);
    shake_hands(TLS1_3_VERSION, WHOLE);
    assert_int_equal(tls_seal(&client, said, 7, &error), 0);
    assert_int_equal(client.out_plain_bytes, 7);
    tls_pending(&client, &len);
    assert_int_equal(len, 5 + 7 + 17); /* one record */
    from_client();
    assert_int_equal(SSL_read(server, heard, sizeof heard), 7);
    assert_int_equal(tls_seal(&client, said, sizeof said, &error), 0);
    assert_int_equal(client.out_plain_bytes, sizeof said);
    tls_pending(&client, &len);
    assert_int_equal(len, 4 * (5 + 17) + sizeof said);
    from_client();
    for (int rc; (rc = SSL_read(server, heard, sizeof heard)) > 0;)
        got += (size_t)rc;
    assert_int_equal(got, sizeof said);
    /* Memory for a lot is not kept. */
    assert_true(client.out.alloc_bytes <= 4096);
    finish();
}

static void only_so_much_is_sealed_at_once(void **state)
{
    size_t most = (size_t)TLS_RECORD_MAX * TLS_RECORDS_AT_ONCE;
    char *said = calloc(1, most + 1);

    (void)state;
    shake_hands(TLS1_2_VERSION, WHOLE);
    assert_int_equal(tls_seal(&client, said, most + 1, &error), 0);
    assert_int_equal(client.out_plain_bytes, most);
    free(said);
    finish();
}

/* An answer that comes in one piece with the end of the handshake. */
static void what_lies_behind_the_handshake(void **state)
{
    char out[64];

    (void)state;
    begin(TLS1_2_VERSION);
    tls_handshake(&client, &error);
    from_client();
    SSL_do_handshake(server);
    from_server();
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_handshake(&client, &error), 0);
    from_client();
    SSL_do_handshake(server);
    SSL_write(server, "220 hello", 9);
    from_server();
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_handshake(&client, &error), 1);
    tls_keep(&client);
    memset(wire.data, 0, wire.len_bytes);
    assert_int_equal(tls_take(&client, out, sizeof out, &error), 9);
    assert_memory_equal(out, "220 hello", 9);
    finish();
}

static void the_end(void **state)
{
    char out[64];

    (void)state;
    shake_hands(TLS1_3_VERSION, WHOLE);
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_take(&client, out, sizeof out, &error), 0);
    SSL_write(server, "last", 4);
    SSL_shutdown(server);
    from_server();
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_take(&client, out, sizeof out, &error), 4);
    assert_true(client.closed);
    tls_end(&client);
    from_client();
    assert_int_equal(SSL_shutdown(server), 1); /* it has heard ours */
    finish();
}

/* A peer may ask for any number of key updates, and need not read our answers. */
static void a_flood_of_key_updates_is_an_error(void **state)
{
    ssize_t taken = 0;
    char out[64];

    (void)state;
    shake_hands(TLS1_3_VERSION, WHOLE);
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_take(&client, out, sizeof out, &error), 0);
    for (int i = 0; i < 100000 && taken >= 0; i++) {
        assert_int_equal(SSL_key_update(server, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(server), 1);
        from_server();
        tls_feed(&client, wire.data, wire.len_bytes);
        taken = tls_take(&client, out, sizeof out, &error);
    }
    assert_int_equal(taken, -EPROTO);
    assert_non_null(strstr(error.text, "key updates"));
    assert_true(client.out.len_bytes <= TLS_OUT_MAX);
    finish();
}

static void changed_records_are_an_error(void **state)
{
    char out[64];

    (void)state;
    shake_hands(TLS1_3_VERSION, WHOLE);
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_take(&client, out, sizeof out, &error), 0);
    SSL_write(server, "answer", 6);
    from_server();
    wire.data[wire.len_bytes - 1] ^= 1;
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_take(&client, out, sizeof out, &error), -EPROTO);
    assert_non_null(strstr(error.text, "mac"));
    finish();
}

/* Any bytes at any time: an error or a wait for more, and no harm. */
static void noise(void **state)
{
    char bytes[600], out[1024];
    uint32_t seed = 1;

    (void)state;
    for (int run = 0; run < 400; run++) {
        int rc = 0;
        if (run % 2)
            shake_hands(run % 4 == 1 ? TLS1_2_VERSION : TLS1_3_VERSION, WHOLE);
        else
            begin(TLS1_3_VERSION);
        for (int times = 0; times < 5 && !rc; times++) {
            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (char)((seed = seed * 1664525u + 1013904223u) >> 20);
            if (run % 3) { /* well begun */
                bytes[0] = (char)(20 + run % 4);
                bytes[1] = bytes[2] = 3;
                bytes[3] = (char)(run % 5 ? 0 : 2);
            }
            tls_feed(&client, bytes, 1 + seed % sizeof bytes);
            rc = run % 2 ? (int)tls_take(&client, out, sizeof out, &error)
                         : tls_handshake(&client, &error);
            tls_partial(&client);
            from_client();
        }
        assert_true(rc <= 0);
        finish();
    }
}

/* ---- certificates ---- */

static void a_certificate_is_checked(void **state)
{
    static const struct tls_settings strict;
    struct tls_context *lenient = context;

    (void)state;
    assert_int_equal(tls_context_open(&context, &strict, &error), 0);
    begin(TLS1_3_VERSION);
    tls_handshake(&client, &error);
    from_client();
    SSL_do_handshake(server);
    from_server();
    tls_feed(&client, wire.data, wire.len_bytes);
    assert_int_equal(tls_handshake(&client, &error), -EKEYREJECTED);
    assert_non_null(strstr(error.text, "self-signed certificate: CN=" HOST));
    from_client(); /* the alert */
    assert_true(SSL_do_handshake(server) <= 0);
    finish();
    tls_context_close(context);
    context = lenient;
}

static void contexts_that_cannot_be(void **state)
{
    static const struct tls_settings nowhere = {.ca_file = "/nowhere/at/all"};
    struct tls_context *none = NULL;

    (void)state;
    assert_int_equal(tls_context_open(&none, &nowhere, &error), -ENOENT);
    assert_non_null(strstr(error.text, "/nowhere/at/all"));
    assert_null(none);
    tls_context_close(NULL);
}

/* ---- words ---- */

static void protocols_are_listed(void **state)
{
    struct tls_settings out = {0};
    char longest[600];

    (void)state;
    assert_int_equal(tls_parse_alpn("h2,http/1.1", &out, &error), 0);
    assert_int_equal(out.alpn_bytes, 12);
    assert_memory_equal(out.alpn, "\2h2\10http/1.1", 12);
    assert_int_equal(tls_parse_alpn("", &out, &error), -EINVAL);
    assert_int_equal(tls_parse_alpn("h2,", &out, &error), -EINVAL);
    assert_int_equal(tls_parse_alpn(",h2", &out, &error), -EINVAL);
    memset(longest, 'x', sizeof longest);
    longest[256] = '\0';
    assert_int_equal(tls_parse_alpn(longest, &out, &error), -EINVAL);
    longest[255] = '\0';
    assert_int_equal(tls_parse_alpn(longest, &out, &error), 0);
    memset(longest, 'x', sizeof longest);
    longest[200] = ',';
    longest[300] = '\0';
    assert_int_equal(tls_parse_alpn(longest, &out, &error), -EINVAL);
}

static void names_and_addresses(void **state)
{
    (void)state;
    assert_true(tls_is_name("localhost"));
    assert_true(tls_is_name("a-b.example.com."));
    assert_true(tls_is_name("_sip.example"));
    assert_false(tls_is_name(""));
    assert_false(tls_is_name("127.0.0.1"));
    assert_false(tls_is_name("::1"));
    assert_false(tls_is_name("two words"));
    assert_false(tls_is_name("b\xc3\xbc"
                             "cher.example"));
}

static bool wanted(const char *text)
{
    return tls_is_wanted(text, strlen(text));
}

static void tls_where_none_is_expected(void **state)
{
    (void)state;
    assert_true(tls_is_record("\x16\3\1", 3));
    assert_true(tls_is_record("\x15", 1));
    assert_false(tls_is_record("HTTP/1.1 400", 12));
    assert_false(tls_is_record("\x16\2", 2));
    assert_true(tls_is_wanted("\x15\3\1\0\2\2\x46", 7));
    assert_false(tls_is_wanted("\x15\3\1\0\2\3\x46", 7));
    assert_false(tls_is_wanted("\x15\3\1\0\2", 5));
    assert_true(wanted("HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to "
                       "HTTPS port</center>"));
    assert_true(wanted("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS "
                       "server.\n"));
    assert_false(wanted("HTTP/1.1 200 OK\r\n\r\nThe plain HTTP request was sent to HTTPS port"));
    assert_false(wanted("HTTP/1.1 400 Bad Request\r\n\r\nno"));
    assert_false(wanted("HTTP/1.1"));
    assert_false(wanted(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_in_any_pieces),
        cmocka_unit_test(tickets_are_no_answer),
        cmocka_unit_test(part_of_a_record_is_part_of_an_answer),
        cmocka_unit_test(what_is_said_is_whole_records),
        cmocka_unit_test(only_so_much_is_sealed_at_once),
        cmocka_unit_test(what_lies_behind_the_handshake),
        cmocka_unit_test(the_end),
        cmocka_unit_test(a_flood_of_key_updates_is_an_error),
        cmocka_unit_test(changed_records_are_an_error),
        cmocka_unit_test(noise),
        cmocka_unit_test(a_certificate_is_checked),
        cmocka_unit_test(contexts_that_cannot_be),
        cmocka_unit_test(protocols_are_listed),
        cmocka_unit_test(names_and_addresses),
        cmocka_unit_test(tls_where_none_is_expected),
    };

    return cmocka_run_group_tests(tests, open_server, close_server);
}
