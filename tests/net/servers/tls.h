/* The fixture server's connections over TLS: each write of a habit is one record and one call of
 * send(), so that a habit has over TLS the effect that it has without. */
#ifndef SERVERS_TLS_H
#define SERVERS_TLS_H

#include "conn.h"

struct tls_options {
    const char *file;    /* PEM: the certificate, those that signed it, and its key */
    const char *version; /* "1.2" or "1.3"; NULL: what the client prefers */
    bool ask;            /* demand a certificate of the client */
};

/* NULL after a message on standard error. The protocol http/1.1 is chosen where it is offered, and
 * an offer without it is refused. tls_close() releases it. */
struct ssl_ctx_st *tls_open(const struct tls_options *options);
void tls_close(struct ssl_ctx_st *context); /* NULL is allowed */

/* The handshake, on a blocking socket. */
bool tls_accept(struct conn *conn, struct ssl_ctx_st *context);
bool tls_send(struct conn *conn, const void *data, size_t len_bytes, int flags);
/* As recv(): what was read, or 0 at the end of the connection, however it came. */
ssize_t tls_receive(struct conn *conn, void *out, size_t size_bytes);
/* Says close_notify if `leave` says so, and releases what the connection has of TLS. */
void tls_end(struct conn *conn, bool leave);
/* Releases what OpenSSL keeps for the calling thread. */
void tls_leave_thread(void);

#endif
