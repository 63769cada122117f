/* What a TLS server sends: records of any bytes to a client in and after its handshake, the first
 * bytes alone, alerts, and certificates whose texts are shown.
 *
 * Input: a letter, and bytes. r: the stream from the server, fed in pieces of the size that the
 * byte after the letter says; c: a certificate (DER), a byte before it says why it is refused. */
#include "fuzz.h"

#include "base/arena.h"
#include "probe/tls.h"
#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/random.h>

/* The same hello each time, so that an input does the same each time. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    (void)flags;
    memset(buffer, 0x5a, length);
    return (ssize_t)length;
}

static void check_printable(const char *text)
{
    for (; *text; text++)
        FUZZ_PROMISE((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_first_bytes(const char *bytes, size_t size)
{
    bool answers = tls_answers_hello(bytes, size);

    FUZZ_PROMISE(!answers || tls_is_record(bytes, size));
    tls_is_wanted(bytes, size);
    if (!size)
        return;
    const char *name = tls_alert_name((unsigned char)bytes[0]);
    FUZZ_PROMISE(!name || *name);
    for (int ours = TLS_OURS_NOT_ASKED; ours <= TLS_OURS_GIVEN; ours++)
        FUZZ_PROMISE(tls_alert_hint((unsigned char)bytes[0], (enum tls_ours)ours));
}

/* Returns whether the connection goes on. */
static bool hear(struct tls *tls, const char *bytes, size_t size)
{
    struct error error = {0};
    char plain[300];
    ssize_t got = sizeof plain;

    tls_feed(tls, bytes, size);
    if (!tls->established) {
        int rc = tls_handshake(tls, &error);
        FUZZ_PROMISE(rc >= 0 ||
                     (error.text[0] && (rc == -EPROTO || rc == -EKEYREJECTED || rc == -ENOMEM)));
        if (rc < 0)
            check_printable(error.text);
        if (rc <= 0)
            return rc == 0;
    }
    while (got == sizeof plain && !tls->closed) {
        got = tls_take(tls, plain, sizeof plain, &error);
        FUZZ_PROMISE(got <= (ssize_t)sizeof plain && (got >= 0 || error.text[0]));
    }
    tls_partial(tls);
    return got >= 0 && !tls->closed;
}

static void play(size_t largest, const char *bytes, size_t size)
{
    static const struct tls_settings settings = {.insecure = true};
    static struct tls_context *context;
    struct arena arena = {0};
    struct tls tls = {0};
    struct error error = {0};
    bool on = true;

    if (!context)
        FUZZ_PROMISE(tls_context_open(&context, &settings, &error) == 0);
    FUZZ_PROMISE(tls_start(&tls, context, "service.example", &error) == 0);
    on = hear(&tls, "", 0);
    while (on && size) {
        size_t piece = size < largest ? size : largest, pending;
        char *copy = malloc(piece);
        FUZZ_PROMISE(copy != NULL);
        memcpy(copy, bytes, piece);
        on = hear(&tls, copy, piece);
        tls_keep(&tls);
        free(copy);
        if (tls_pending(&tls, &pending))
            tls_written(&tls, pending);
        bytes += piece;
        size -= piece;
    }
    tls_describe(&tls, &arena);
    check_printable(tls.rejected);
    tls_end(&tls);
    tls_free(&tls);
    arena_free(&arena);
}

static void show_certificate(int code, const uint8_t *der, size_t size)
{
    cleanup(buf) struct buf out = {0};
    X509 *certificate = d2i_X509(NULL, &der, (long)size);
    X509_STORE_CTX *store = X509_STORE_CTX_new();

    FUZZ_PROMISE(store != NULL);
    X509_STORE_CTX_set_error(store, code);
    X509_STORE_CTX_set_current_cert(store, certificate);
    tls_certificate_rejected(&out, store);
    FUZZ_PROMISE(out.len_bytes && strlen(buf_str(&out)) == out.len_bytes);
    check_printable(buf_str(&out));
    X509_STORE_CTX_free(store);
    X509_free(certificate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] == 'c') {
        show_certificate(data[1], data + 2, size - 2);
        return 0;
    }
    check_first_bytes((const char *)data + 2, size - 2);
    play(1 + (size_t)data[1], (const char *)data + 2, size - 2);
    return 0;
}
