/* TLS as a filter of bytes: what the peer sent goes in, what is to be sent comes out, and no socket
 * is known here. Whoever owns the socket decides when a record is written, so that each record is
 * one write of ours and the kernel's stamps say which bytes were held.
 *
 * TLS 1.2 and 1.3 (RFC 5246, RFC 8446), by OpenSSL; neither its configuration file nor the
 * environment has a say. Sessions are not resumed: each connection is like every other. Nobody may
 * renegotiate. What a peer can make us keep is one record and its handshake messages, which OpenSSL
 * bounds (SSL_CTX_set_max_cert_list(3): 100 KiB).
 *
 * Errors: -EKEYREJECTED where the certificate is the reason, -ENOMEM, else -EPROTO; the message
 * says what OpenSSL, or the peer's alert, gives as the reason. */
#ifndef PROBE_TLS_H
#define PROBE_TLS_H

#include "base/arena.h"
#include "base/buf.h"
#include "netkit/error.h"
#include "probe/tls_alert.h"
#include "probe/tls_certificate.h"
#include "result/result.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_MAX 16384 /* of plain text (RFC 8446 section 5.1) */
/* Records that are written at once, when there is that much to send. */
#define TLS_RECORDS_AT_ONCE 16
/* What may wait to be written: those, and what a handshake or key updates (RFC 8446 section 4.6.3)
 * ask of us. A peer could ask without end. */
#define TLS_OUT_MAX  ((size_t)2 * TLS_RECORD_MAX * TLS_RECORDS_AT_ONCE)
#define TLS_ALPN_MAX 256

/* What the user wants of TLS. Memory belongs to the caller and must outlive the context. */
struct tls_settings {
    const char *server_name; /* for SNI and the certificate; NULL: the host that is connected to */
    unsigned char alpn[TLS_ALPN_MAX];    /* as the extension has it (RFC 7301 section 3.1) */
    size_t alpn_bytes;                   /* 0: not offered */
    const char *ca_file;                 /* PEM; NULL: the system's certificates */
    bool insecure;                       /* go on whatever the certificate is */
    const struct tls_identity *identity; /* shown to a server that asks for one; NULL: none */
};

/* "h2,http/1.1" into settings->alpn. -EINVAL. */
int tls_parse_alpn(const char *list, struct tls_settings *settings, struct error *error);
/* Whether this can be a server's name: SNI has no addresses (RFC 6066 section 3). */
bool tls_is_name(const char *name);

/* What all connections of a run share. */
struct tls_context;

int tls_context_open(struct tls_context **out, const struct tls_settings *settings,
                     struct error *error);
void tls_context_close(struct tls_context *context); /* NULL is allowed */

/* Where the peer's stream of records stands, by the record headers alone. */
struct tls_records {
    uint8_t type;         /* of the record that is under way, or of the last one */
    uint8_t header_bytes; /* of its header: that have come */
    uint8_t length_high;
    uint32_t body_bytes; /* of its body: still to come */
};

struct tls {
    void *ssl; /* NULL: not begun, or closed */
    struct buf out;
    size_t out_done_bytes;  /* of `out`: already written */
    size_t out_plain_bytes; /* what the caller gave to be sealed in it */
    const char *in;         /* what was fed and not taken yet */
    size_t in_bytes;
    struct buf kept; /* by tls_keep() */
    struct tls_records records;
    bool flight_sent; /* ours, and nothing has come since */
    bool established;
    bool answered;        /* application data has come */
    bool closed;          /* the peer said close_notify */
    bool flooded;         /* it wants more of our answers than it reads */
    int64_t round_trips;  /* of the handshake */
    bool has_certificate; /* of ours, from the settings */
    bool asked;           /* the server wants a certificate of ours */
    int alert;            /* that the peer sent, or -1 */
    char rejected[256];   /* why the certificate was not accepted; "" when it was */
};

/* Begins a connection to `host`, which is the empty string for this host. */
int tls_start(struct tls *tls, struct tls_context *context, const char *host, struct error *error);
/* Releases all. May be called at any time, also twice, also on {0}. */
void tls_free(struct tls *tls);

/* Appends a ClientHello for `host`, as one who speaks TLS would begin. -ENOMEM. */
int tls_client_hello(struct buf *out, const char *host);

/* What has come from the peer. The bytes are borrowed until tls_handshake() or tls_take()
 * have used them up, which they have when they ask for more. */
void tls_feed(struct tls *tls, const char *bytes, size_t len_bytes);
/* Borrowed no longer: what is not used up is copied. */
void tls_keep(struct tls *tls);

/* Goes on with the handshake. 1: it is over, 0: more has to come from the peer, or an error. In any
 * case there may be something to write. What was fed and lies behind the handshake stays, for
 * tls_take(). */
int tls_handshake(struct tls *tls, struct error *error);

/* Seals up to TLS_RECORDS_AT_ONCE records; out_plain_bytes tells how much went in. To be called
 * when all that came before is written. */
int tls_seal(struct tls *tls, const char *bytes, size_t len_bytes, struct error *error);
/* What is to be written, and that so much of it was. */
const char *tls_pending(const struct tls *tls, size_t *len_bytes);
void tls_written(struct tls *tls, size_t len_bytes);
/* Says close_notify, if there is still anybody to hear it. */
void tls_end(struct tls *tls);

/* The plain text of what was fed. Returns its length, at most `size`, or an error; less than `size`
 * means that more has to come from the peer, or that it said close_notify (tls->closed). */
ssize_t tls_take(struct tls *tls, char *out, size_t size, struct error *error);

/* A record has begun to come and is not complete: it carries, or in TLS 1.3 may carry, application
 * data. */
enum tls_partial { TLS_PARTIAL_NONE, TLS_PARTIAL_PERHAPS, TLS_PARTIAL_DATA };
enum tls_partial tls_partial(const struct tls *tls);

/* Whether the server asked for a certificate of ours, and there was one. */
enum tls_ours tls_ours(const struct tls *tls);
/* What was agreed, in the arena; NULL when memory is out. */
struct result_tls *tls_describe(const struct tls *tls, struct arena *arena);

#endif
