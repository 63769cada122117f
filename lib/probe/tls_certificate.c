#include "probe/tls_certificate.h"

#include "base/input.h"
#include "base/shortage.h"
#include "base/text.h"
#include "probe/tls_memory.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 4 /* of a certificate that has others than the one that was wanted */
#define TRUSTED_MAX (64 << 20)
#define FILE_MAX    (1 << 20) /* of ours: a certificate, its chain and its key take a few KiB */

/* ---- the server's ---- */

static void add_name(struct buf *out, const X509_NAME *name)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (memory &&
        X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        long len = BIO_get_mem_data(memory, &text);
        text_escape(out, text, len > 0 ? (size_t)len : 0);
    }
    BIO_free(memory);
}

static void add_time(struct buf *out, const ASN1_TIME *time)
{
    struct tm tm;
    char text[32];

    if (ASN1_TIME_to_tm(time, &tm) == 1 && strftime(text, sizeof text, "%F %T UTC", &tm))
        buf_add_str(out, text);
    else
        buf_add_str(out, "an unreadable time");
}

static void add_alternative(struct buf *out, const GENERAL_NAME *name)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    char address[INET6_ADDRSTRLEN];

    if (type == GEN_DNS)
        text_escape(out, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    else if (type == GEN_IPADD && ASN1_STRING_length(value) == 4)
        buf_add_str(out, inet_ntop(AF_INET, ASN1_STRING_get0_data(value), address, sizeof address));
    else if (type == GEN_IPADD && ASN1_STRING_length(value) == 16)
        buf_add_str(out,
                    inet_ntop(AF_INET6, ASN1_STRING_get0_data(value), address, sizeof address));
    else
        buf_add_str(out, "a name of another kind");
}

static void add_names(struct buf *out, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(names);

    for (int i = 0; i < count && i < NAMES_SHOWN; i++) {
        buf_add_str(out, i ? ", " : "");
        add_alternative(out, sk_GENERAL_NAME_value(names, i));
    }
    if (count > NAMES_SHOWN)
        buf_printf(out, " and %d more", count - NAMES_SHOWN);
    if (count <= 0)
        add_name(out, X509_get_subject_name(certificate));
    GENERAL_NAMES_free(names);
}

void tls_certificate_rejected(struct buf *out, X509_STORE_CTX *store)
{
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int code = X509_STORE_CTX_get_error(store);

    buf_add_str(out, X509_verify_cert_error_string(code));
    if (!certificate)
        return;
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        buf_add_str(out, ": it was valid until ");
        add_time(out, X509_get0_notAfter(certificate));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        buf_add_str(out, ": it is valid from ");
        add_time(out, X509_get0_notBefore(certificate));
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        buf_add_str(out, ": it is for ");
        add_names(out, certificate);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        buf_add_str(out, ": issued by ");
        add_name(out, X509_get_issuer_name(certificate));
        break;
    default:
        buf_add_str(out, ": ");
        add_name(out, X509_get_subject_name(certificate));
        break;
    }
}

/* ---- ours ---- */

struct tls_identity {
    X509 *certificate;
    STACK_OF(X509) * chain; /* intermediate certificates, in the file's order */
    EVP_PKEY *key;
};

static const char *last_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "the TLS library gives no reason";
}

static int read_certificates(struct tls_identity *identity, const char *file, struct buf *pem,
                             struct error *error)
{
    BIO *memory = BIO_new_mem_buf(pem->data, (int)pem->len_bytes);
    X509 *one = NULL;

    identity->chain = sk_X509_new_null();
    if (!memory || !identity->chain) {
        BIO_free(memory);
        return error_sys(error, ENOMEM, "--cert %s", file);
    }
    identity->certificate = PEM_read_bio_X509_AUX(memory, NULL, NULL, NULL);
    while (identity->certificate && (one = PEM_read_bio_X509(memory, NULL, NULL, NULL)))
        if (!sk_X509_push(identity->chain, one))
            X509_free(one);
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(memory);
    if (!identity->certificate)
        return at_end
                   ? error_set(error, EINVAL, "--cert %s: holds no certificate in PEM form", file)
                   : error_set(error, EINVAL, "--cert %s: its certificate cannot be read: %s", file,
                               last_reason());
    if (!at_end)
        return error_set(error, EINVAL,
                         "--cert %s: a certificate after the first cannot be read: %s", file,
                         last_reason());
    return 0;
}

/* Nobody is asked for a passphrase. */
static int no_passphrase(char *out, int size, int writes, void *wanted)
{
    (void)out;
    (void)size;
    (void)writes;
    *(bool *)wanted = true;
    return -1;
}

static int read_key(struct tls_identity *identity, const char *option, const char *file,
                    struct buf *pem, struct error *error)
{
    bool encrypted = false;
    BIO *memory = BIO_new_mem_buf(pem->data, (int)pem->len_bytes);

    identity->key =
        memory ? PEM_read_bio_PrivateKey(memory, NULL, no_passphrase, &encrypted) : NULL;
    BIO_free(memory);
    if (identity->key)
        return 0;
    if (encrypted)
        return error_set(error, EINVAL,
                         "%s %s: the key is encrypted: give a copy without a passphrase (openssl "
                         "pkey -in FILE -out COPY)",
                         option, file);
    if (!strstr(pem->data, "PRIVATE KEY-----"))
        return error_set(error, EINVAL, "%s %s: holds no private key in PEM form%s", option, file,
                         strcmp(option, "--cert") ? "" : ": give --key FILE");
    return error_set(error, EINVAL, "%s %s: its private key cannot be read: %s", option, file,
                     last_reason());
}

/* What one entry of a PEM file holds for a store: a certificate, a list of revoked ones, or other
 * things. */
static int trust_entry(X509_STORE *store, const X509_INFO *entry)
{
    if (entry->crl && !X509_STORE_add_crl(store, entry->crl))
        return -ENOMEM;
    if (!entry->x509)
        return 0;
    return X509_STORE_add_cert(store, entry->x509) ? 1 : -ENOMEM;
}

int tls_trust(X509_STORE *store, const char *file, struct error *error)
{
    cleanup(buf) struct buf pem = {0};
    int rc = input_read_text(&pem, "--ca-file", file, TRUSTED_MAX, error), trusted = 0;

    if (rc)
        return rc;
    BIO *memory = BIO_new_mem_buf(pem.data, (int)pem.len_bytes);
    STACK_OF(X509_INFO) *entries = memory ? PEM_X509_INFO_read_bio(memory, NULL, NULL, NULL) : NULL;
    for (int i = 0; rc >= 0 && i < sk_X509_INFO_num(entries); i++) {
        rc = trust_entry(store, sk_X509_INFO_value(entries, i));
        trusted += rc > 0;
    }
    sk_X509_INFO_pop_free(entries, X509_INFO_free);
    BIO_free(memory);
    if (shortage())
        rc = -shortage();
    if (rc < 0)
        return error_sys(error, -rc, "--ca-file %s", file);
    return trusted ? 0 : error_set(error, EINVAL, "--ca-file %s: no certificate found", file);
}

static void wipe(struct buf *pem)
{
    if (pem->data)
        OPENSSL_cleanse(pem->data, pem->len_bytes);
    buf_free(pem);
}

static int read_both(struct tls_identity *identity, const char *cert_file, const char *key_file,
                     struct error *error)
{
    struct buf cert = {0}, key = {0};
    int rc = input_read_text(&cert, "--cert", cert_file, FILE_MAX, error);

    if (!rc)
        rc = read_certificates(identity, cert_file, &cert, error);
    if (!rc && key_file)
        rc = input_read_text(&key, "--key", key_file, FILE_MAX, error);
    if (!rc)
        rc = key_file ? read_key(identity, "--key", key_file, &key, error)
                      : read_key(identity, "--cert", cert_file, &cert, error);
    wipe(&cert);
    wipe(&key);
    return rc;
}

/* Also what OpenSSL finds too weak is found out here, before anything is sent. */
static int check(const struct tls_identity *identity, const char *cert_file, const char *key_file,
                 struct error *error)
{
    cleanup(buf) struct buf name = {0};
    SSL_CTX *ssl;

    if (X509_check_private_key(identity->certificate, identity->key) != 1) {
        add_name(&name, X509_get_subject_name(identity->certificate));
        return error_set(error, EINVAL, "%s %s: the key does not fit the %scertificate in %s (%s)",
                         key_file ? "--key" : "--cert", key_file ? key_file : cert_file,
                         sk_X509_num(identity->chain) ? "first " : "", cert_file, buf_str(&name));
    }
    ssl = SSL_CTX_new(TLS_client_method());
    if (!ssl)
        return error_sys(error, ENOMEM, "--cert %s", cert_file);
    int rc = tls_identity_use(identity, ssl, error);
    SSL_CTX_free(ssl);
    return rc ? error_add(error, "--cert %s", cert_file) : 0;
}

int tls_identity_open(struct tls_identity **out, const char *cert_file, const char *key_file,
                      struct error *error)
{
    struct tls_identity *identity = calloc(1, sizeof *identity);

    if (!identity)
        return error_sys(error, ENOMEM, "--cert %s", cert_file);
    tls_library_open();
    int rc = read_both(identity, cert_file, key_file, error);
    if (!rc)
        rc = check(identity, cert_file, key_file, error);
    ERR_clear_error();
    if (rc) {
        tls_identity_close(identity);
        return rc;
    }
    *out = identity;
    return 0;
}

void tls_identity_close(struct tls_identity *identity)
{
    if (!identity)
        return;
    X509_free(identity->certificate);
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    free(identity);
}

int tls_identity_use(const struct tls_identity *identity, SSL_CTX *ssl, struct error *error)
{
    if (SSL_CTX_use_cert_and_key(ssl, identity->certificate, identity->key, identity->chain, 1) ==
        1)
        return 0;
    return error_set(error, EINVAL, "the certificate cannot be used: %s", last_reason());
}
