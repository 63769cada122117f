/* After the handshake OpenSSL writes into memory, and what is there is sent with the flags of the
 * habit. Reading stays with the socket. */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *argument)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;

    (void)ssl;
    (void)argument;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int accept_any(int good, X509_STORE_CTX *store)
{
    (void)good;
    (void)store;
    return 1;
}

static bool set_version(SSL_CTX *context, const char *version)
{
    int number = !version                  ? 0
                 : !strcmp(version, "1.2") ? TLS1_2_VERSION
                 : !strcmp(version, "1.3") ? TLS1_3_VERSION
                                           : -1;
    return number >= 0 && SSL_CTX_set_min_proto_version(context, number) &&
           SSL_CTX_set_max_proto_version(context, number);
}

SSL_CTX *tls_open(const struct tls_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context && SSL_CTX_use_certificate_chain_file(context, options->file) == 1 &&
        SSL_CTX_use_PrivateKey_file(context, options->file, SSL_FILETYPE_PEM) == 1 &&
        set_version(context, options->version)) {
        SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
        if (options->ask)
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                               accept_any);
        signal(SIGPIPE, SIG_IGN); /* the handshake writes with write() */
        return context;
    }
    fprintf(stderr, "fixture_server: --tls %s %s: ", options->file,
            options->version ? options->version : "");
    ERR_print_errors_fp(stderr);
    fputc('\n', stderr);
    SSL_CTX_free(context);
    return NULL;
}

void tls_close(SSL_CTX *context)
{
    SSL_CTX_free(context);
}

bool tls_accept(struct conn *conn, SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    BIO *memory = BIO_new(BIO_s_mem());

    ERR_clear_error();
    if (!ssl || !memory || !SSL_set_fd(ssl, conn->fd) || SSL_accept(ssl) != 1) {
        BIO_free(memory);
        SSL_free(ssl);
        return false;
    }
    SSL_set0_wbio(ssl, memory);
    conn->ssl = ssl;
    return true;
}

static bool flush(struct conn *conn, int flags)
{
    BIO *memory = SSL_get_wbio(conn->ssl);
    char *data;
    long len = BIO_get_mem_data(memory, &data);

    for (long done = 0; done < len;) {
        ssize_t sent = send(conn->fd, data + done, (size_t)(len - done), MSG_NOSIGNAL | flags);
        if (sent < 0 && errno != EINTR)
            return false;
        done += sent > 0 ? sent : 0;
    }
    BIO_reset(memory);
    return true;
}

bool tls_send(struct conn *conn, const void *data, size_t len_bytes, int flags)
{
    size_t written;

    ERR_clear_error();
    return len_bytes == 0 ||
           (SSL_write_ex(conn->ssl, data, len_bytes, &written) == 1 && flush(conn, flags));
}

ssize_t tls_receive(struct conn *conn, void *out, size_t size_bytes)
{
    size_t got;

    ERR_clear_error();
    return SSL_read_ex(conn->ssl, out, size_bytes, &got) == 1 ? (ssize_t)got : 0;
}

void tls_end(struct conn *conn, bool leave)
{
    if (!conn->ssl)
        return;
    ERR_clear_error();
    if (leave && SSL_shutdown(conn->ssl) >= 0)
        flush(conn, 0);
    SSL_free(conn->ssl);
    conn->ssl = NULL;
}

void tls_leave_thread(void)
{
    OPENSSL_thread_stop();
}
