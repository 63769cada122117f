/* OpenSSL reads from and writes to a BIO of ours, which has no socket behind it: reading takes from
 * the bytes that were fed and asks for more when they are used up, writing adds to `out`. OpenSSL
 * takes what it is given into its own buffer of one record, so nothing grows with what a peer
 * sends.
 */
#include "probe/tls.h"

#include "base/shortage.h"
#include "base/text.h"
#include "probe/tls_memory.h"
#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES 4096 /* of memory between writes */

struct tls_context {
    const struct tls_settings *settings;
    SSL_CTX *ssl;
    BIO_METHOD *filter;
};

/* ---- settings ---- */

int tls_parse_alpn(const char *list, struct tls_settings *settings, struct error *error)
{
    settings->alpn_bytes = 0;
    for (const char *p = list;; p++) {
        size_t len = strcspn(p, ",");
        if (!len || len > 255)
            return error_set(error, EINVAL,
                             "wants names of protocols, separated by commas: h2,http/1.1");
        if (settings->alpn_bytes + 1 + len > sizeof settings->alpn)
            return error_set(error, EINVAL, "takes up to %d bytes in all", TLS_ALPN_MAX);
        settings->alpn[settings->alpn_bytes] = (unsigned char)len;
        memcpy(settings->alpn + settings->alpn_bytes + 1, p, len);
        settings->alpn_bytes += 1 + len;
        p += len;
        if (!*p)
            return 0;
    }
}

static bool is_address(const char *name)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
    ASN1_OCTET_STRING_free(address);
    return address != NULL;
}

bool tls_is_name(const char *name)
{
    size_t len = strlen(name);

    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
            return false;
    return len && len <= 253 && !is_address(name);
}

/* ---- bytes to and from OpenSSL ---- */

static int filter_read(BIO *bio, char *out, size_t size, size_t *done)
{
    struct tls *tls = BIO_get_data(bio);
    size_t count = size < tls->in_bytes ? size : tls->in_bytes;

    BIO_clear_retry_flags(bio);
    *done = count;
    if (!count) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(out, tls->in, count);
    tls->in += count;
    tls->in_bytes -= count;
    return 1;
}

static int filter_write(BIO *bio, const char *bytes, size_t len_bytes, size_t *done)
{
    struct tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *done = 0;
    tls->flooded |= tls->out.len_bytes + len_bytes > TLS_OUT_MAX;
    if (tls->flooded)
        return 0;
    buf_add(&tls->out, bytes, len_bytes);
    *done = tls->out.failed ? 0 : len_bytes;
    tls->flight_sent = true;
    return !tls->out.failed;
}

static long filter_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *make_filter(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "bytes");

    if (method && BIO_meth_set_read_ex(method, filter_read) &&
        BIO_meth_set_write_ex(method, filter_write) && BIO_meth_set_ctrl(method, filter_control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* ---- certificates ---- */

/* Called for each certificate; the first complaint counts. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *tls = ssl ? SSL_get_app_data(ssl) : NULL;
    cleanup(buf) struct buf text = {0};

    if (good || !tls || tls->rejected[0])
        return good;
    tls_certificate_rejected(&text, store);
    snprintf(tls->rejected, sizeof tls->rejected, "%s", buf_str(&text));
    return good;
}

/* The server has asked for a certificate of ours. */
static int on_asked(SSL *ssl, void *context)
{
    struct tls *tls = SSL_get_app_data(ssl);

    (void)context;
    if (tls)
        tls->asked = true;
    return 1;
}

/* ---- what failed ---- */

static void on_event(const SSL *ssl, int where, int value)
{
    struct tls *tls = SSL_get_app_data(ssl);

    if (tls && where & SSL_CB_READ && where & SSL_CB_ALERT && value >> 8 == SSL3_AL_FATAL)
        tls->alert = value & 0xff;
}

static int alert_failed(const struct tls *tls, struct error *error)
{
    const char *name = tls_alert_name(tls->alert);
    const char *hint = tls_alert_hint(tls->alert, tls_ours(tls));

    return error_set(error, EPROTO, "the server sent the alert %s (%d)%s%s",
                     name ? name : "of an unknown kind", tls->alert, *hint ? "; " : "", hint);
}

static int tls_failed(const struct tls *tls, struct error *error)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);

    if (tls->flooded)
        return error_set(error, EPROTO,
                         "the server asks for key updates without reading the answers");
    if (shortage())
        return error_sys(error, shortage(), "TLS");
    if (tls->alert >= 0)
        return alert_failed(tls, error);
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return error_set(error, EKEYREJECTED, "%s",
                         tls->rejected[0] ? tls->rejected : "it was not accepted");
    return error_set(error, EPROTO, "%s", reason ? reason : "the TLS library gives no reason");
}

static int context_failed(struct error *error, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    if (shortage())
        return error_sys(error, shortage(), "%s", what);
    return error_set(error, EIO, "%s: %s", what, reason ? reason : "no reason given");
}

/* ---- the context ---- */

/* The places that OpenSSL was built with; its own function for that would ask the environment. */
static int load_system_certificates(X509_STORE *store)
{
    int file = X509_STORE_load_file(store, X509_get_default_cert_file());
    int path = X509_STORE_load_path(store, X509_get_default_cert_dir());

    ERR_clear_error();
    return file || path;
}

static int set_up(struct tls_context *context, struct error *error)
{
    const struct tls_settings *settings = context->settings;
    SSL_CTX *ssl = context->ssl;

    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ssl, settings->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_cert_cb(ssl, on_asked, NULL);
    SSL_CTX_set_info_callback(ssl, on_event);
    /* Older versions cut a record in two (RFC 5246 appendix D), and a piece would be two writes. */
    if (!SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION))
        return context_failed(error, "TLS 1.2");
    if (settings->alpn_bytes &&
        SSL_CTX_set_alpn_protos(ssl, settings->alpn, (unsigned)settings->alpn_bytes))
        return context_failed(error, "--alpn");
    if (settings->identity && tls_identity_use(settings->identity, ssl, error))
        return -EINVAL;
    if (settings->ca_file) {
        int rc = tls_trust(SSL_CTX_get_cert_store(ssl), settings->ca_file, error);
        if (rc)
            return rc;
    } else if (!load_system_certificates(SSL_CTX_get_cert_store(ssl))) {
        return context_failed(error, "the system's certificates");
    }
    return 0;
}

int tls_context_open(struct tls_context **out, const struct tls_settings *settings,
                     struct error *error)
{
    struct tls_context *context = calloc(1, sizeof *context);

    if (!context)
        return error_sys(error, ENOMEM, "TLS");
    context->settings = settings;
    tls_library_open();
    context->filter = make_filter();
    context->ssl = SSL_CTX_new(TLS_client_method());
    int rc = context->filter && context->ssl ? set_up(context, error)
                                             : context_failed(error, "cannot set TLS up");
    if (rc) {
        tls_context_close(context);
        return rc;
    }
    *out = context;
    return 0;
}

void tls_context_close(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->filter);
    free(context);
}

/* ---- a connection ---- */

/* The name as the certificate and SNI have it: without the zone of an address, without the dot at
 * the end of a full name. */
static int set_name(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    char name[256];

    snprintf(name, sizeof name, "%s", host[0] ? host : "localhost");
    size_t len = strlen(name);
    if (strchr(name, ':'))
        name[strcspn(name, "%")] = '\0';
    else if (name[len - 1] == '.')
        name[len - 1] = '\0';
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name))
        return 1;
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) && SSL_set_tlsext_host_name(ssl, name);
}

int tls_start(struct tls *tls, struct tls_context *context, const char *host, struct error *error)
{
    const char *wanted = context->settings->server_name;

    *tls = (struct tls){.alert = -1, .has_certificate = context->settings->identity != NULL};
    ERR_clear_error();
    SSL *ssl = SSL_new(context->ssl);
    BIO *bio = ssl ? BIO_new(context->filter) : NULL;
    if (!bio) {
        SSL_free(ssl);
        return error_sys(error, ENOMEM, "TLS");
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, tls);
    SSL_set_connect_state(ssl);
    tls->ssl = ssl;
    if (!set_name(ssl, wanted ? wanted : host))
        return tls_failed(tls, error);
    return 0;
}

int tls_client_hello(struct buf *out, const char *host)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context ? SSL_new(context) : NULL;
    BIO *in = BIO_new(BIO_s_mem()), *written = BIO_new(BIO_s_mem());
    char *bytes = NULL;

    if (ssl && in && written) {
        SSL_set_bio(ssl, in, written);
        SSL_set_connect_state(ssl);
        set_name(ssl, host);
        SSL_do_handshake(ssl);
        long len = BIO_get_mem_data(written, &bytes);
        buf_add(out, bytes, len > 0 ? (size_t)len : 0);
    } else {
        BIO_free(in);
        BIO_free(written);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    return out->len_bytes ? 0 : -ENOMEM;
}

void tls_free(struct tls *tls)
{
    SSL_free(tls->ssl);
    buf_free(&tls->out);
    buf_free(&tls->kept);
    tls->ssl = NULL;
    tls->in_bytes = 0;
}

/* Follows the headers of the records, whatever is in them. */
static void follow_records(struct tls_records *records, const unsigned char *bytes, size_t count)
{
    while (count) {
        if (records->body_bytes) {
            size_t part = count < records->body_bytes ? count : records->body_bytes;
            records->body_bytes -= (uint32_t)part;
            bytes += part;
            count -= part;
            continue;
        }
        if (records->header_bytes == TLS_RECORD_HEADER)
            records->header_bytes = 0;
        if (records->header_bytes == 0)
            records->type = *bytes;
        if (records->header_bytes == 3)
            records->length_high = *bytes;
        if (records->header_bytes == 4)
            records->body_bytes = (uint32_t)records->length_high << 8 | *bytes;
        records->header_bytes++;
        bytes++;
        count--;
    }
}

void tls_feed(struct tls *tls, const char *bytes, size_t len_bytes)
{
    tls->in = bytes;
    tls->in_bytes = len_bytes;
    follow_records(&tls->records, (const unsigned char *)bytes, len_bytes);
}

void tls_keep(struct tls *tls)
{
    buf_add(&tls->kept, tls->in, tls->in_bytes);
    tls->in = tls->kept.data;
    tls->in_bytes = tls->kept.len_bytes;
}

enum tls_partial tls_partial(const struct tls *tls)
{
    const struct tls_records *records = &tls->records;

    if (!records->header_bytes ||
        (records->header_bytes == TLS_RECORD_HEADER && !records->body_bytes))
        return TLS_PARTIAL_NONE;
    if (records->type != TLS_RECORD_DATA || !tls->established)
        return TLS_PARTIAL_NONE;
    /* TLS 1.3 calls everything that is encrypted application data; session tickets come before it,
     * and servers send theirs before their first answer. */
    return SSL_version(tls->ssl) < TLS1_3_VERSION || tls->answered ? TLS_PARTIAL_DATA
                                                                   : TLS_PARTIAL_PERHAPS;
}

int tls_handshake(struct tls *tls, struct error *error)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(tls->ssl);

    if (rc == 1) {
        tls->established = true;
        return 1;
    }
    int why = SSL_get_error(tls->ssl, rc);
    if (why == SSL_ERROR_ZERO_RETURN)
        return error_set(error, EPROTO, "the server closed in the middle of it");
    if (why != SSL_ERROR_WANT_READ)
        return tls_failed(tls, error);
    tls->round_trips += tls->flight_sent;
    tls->flight_sent = false;
    return 0;
}

int tls_seal(struct tls *tls, const char *bytes, size_t len_bytes, struct error *error)
{
    size_t most = (size_t)TLS_RECORD_MAX * TLS_RECORDS_AT_ONCE;

    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, bytes, len_bytes < most ? len_bytes : most, &tls->out_plain_bytes) ==
        1)
        return 0;
    return tls_failed(tls, error);
}

const char *tls_pending(const struct tls *tls, size_t *len_bytes)
{
    *len_bytes = tls->out.len_bytes - tls->out_done_bytes;
    return *len_bytes ? tls->out.data + tls->out_done_bytes : NULL;
}

void tls_written(struct tls *tls, size_t len_bytes)
{
    tls->out_done_bytes += len_bytes;
    if (tls->out_done_bytes < tls->out.len_bytes)
        return;
    tls->out_done_bytes = 0;
    if (tls->out.alloc_bytes > KEEP_BYTES)
        buf_free(&tls->out);
    else
        buf_reset(&tls->out);
}

void tls_end(struct tls *tls)
{
    if (!tls->ssl || !tls->established)
        return;
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

ssize_t tls_take(struct tls *tls, char *out, size_t size, struct error *error)
{
    size_t taken = 0, got;

    while (taken < size && !tls->closed) {
        ERR_clear_error();
        int rc = SSL_read_ex(tls->ssl, out + taken, size - taken, &got);
        if (rc == 1) {
            taken += got;
            tls->answered = true;
            continue;
        }
        int why = SSL_get_error(tls->ssl, rc);
        if (why == SSL_ERROR_WANT_READ)
            break;
        if (why != SSL_ERROR_ZERO_RETURN)
            return tls_failed(tls, error);
        tls->closed = true;
    }
    return (ssize_t)taken;
}

enum tls_ours tls_ours(const struct tls *tls)
{
    if (!tls->asked)
        return TLS_OURS_NOT_ASKED;
    return tls->has_certificate ? TLS_OURS_GIVEN : TLS_OURS_LACKING;
}

struct result_tls *tls_describe(const struct tls *tls, struct arena *arena)
{
    struct result_tls *out = arena_alloc(arena, sizeof *out);
    static const char *const ours[] = {[TLS_OURS_LACKING] = "asked", [TLS_OURS_GIVEN] = "given"};
    const unsigned char *alpn;
    unsigned alpn_bytes;
    cleanup(buf) struct buf name = {0};

    if (!out)
        return NULL;
    SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_bytes);
    text_escape(&name, alpn, alpn_bytes);
    *out = (struct result_tls){
        .version = SSL_get_version(tls->ssl),
        .cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(tls->ssl)),
        .alpn = alpn_bytes ? arena_copy(arena, buf_str(&name)) : NULL,
        .round_trips = tls->round_trips,
        .resumed = SSL_session_reused(tls->ssl),
        .client_certificate = ours[tls_ours(tls)],
        .verified = !tls->rejected[0] && SSL_get_verify_result(tls->ssl) == X509_V_OK &&
                    SSL_get0_peer_certificate(tls->ssl),
    };
    return out;
}
