/* One connection of the fixture server: requests in, answers out.
 *
 * A connection is served by one thread with blocking calls, so that a habit reads like the code of
 * the servers that have it. The socket is left as the kernel makes it (Nagle on, delayed
 * acknowledgements) unless the habit says otherwise. The settings are constant once the first
 * connection was accepted. Every function returns false when the connection is over: the peer
 * closed or reset it, or the server is stopping. */
#ifndef SERVERS_CONN_H
#define SERVERS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum framing {
    FRAMING_LINE,  /* a request ends with \n */
    FRAMING_BYTES, /* a request has settings.request_bytes */
    FRAMING_HTTP,  /* a request ends with a blank line and the body that Content-Length announces */
};

#define FOREVER INT64_MAX

struct params {
    int64_t duration_ns;
    int64_t size_bytes;
    int64_t chunk_bytes;
    int64_t count;
    bool nodelay; /* TCP_NODELAY on the accepted socket */
};

/* What every answer consists of, built once. The first header_bytes are what a careless server
 * sends in a write of its own; only the last byte is \n, unless the framing is HTTP. */
struct answer {
    char *data;
    size_t header_bytes;
    size_t len_bytes;
};

struct settings {
    const struct habit *habit;
    struct params params;
    enum framing framing;
    int64_t request_bytes;
    int64_t response_bytes;
    int64_t header_bytes;
    struct answer answer;
    struct ssl_ctx_st *tls; /* NULL: plain TCP */
    bool bare_close;        /* end TLS by FIN alone, without close_notify */
    int stop_fd;            /* readable when the server is stopping */
};

#define CONN_LINE_MAX 256

struct ssl_st;
struct ssl_ctx_st;

struct conn {
    int fd;
    struct ssl_st *ssl; /* NULL: plain TCP */
    bool aborted;
    const struct settings *settings;
    uint64_t round;              /* of the request being answered, from 1 */
    char request[CONN_LINE_MAX]; /* how its first line starts */
    bool expects_continue;       /* HTTP: the client waits for 100 Continue */
    bool quickack;               /* acknowledge at once whatever is read */
    int64_t pause_after_bytes;   /* stop reading in mid-request; -1: never */
    bool paused;                 /* it was done in this request */
    int64_t request_read_bytes;
    size_t start, end; /* of what is unread in `in` */
    char in[65536];
    struct conn *next, **link; /* the server's list of live connections */
};

/* The whole of the next request is read and dropped, but for its first line. */
bool conn_read_request(struct conn *conn);

bool conn_write(struct conn *conn, const void *data, size_t len_bytes);
bool conn_send(struct conn *conn, const void *data, size_t len_bytes, int flags);

/* Does nothing for that long. FOREVER ends when the peer closes. */
bool conn_hold(struct conn *conn, int64_t duration_ns);

/* Sets a TCP option to 0 or 1. */
void conn_set(struct conn *conn, int option, int value);

/* Closes the connection with RST instead of FIN once the caller returns. */
void conn_abort(struct conn *conn);

/* -ENOMEM, or -EINVAL when the header does not fit. The caller frees answer->data. */
int answer_build(struct answer *answer, const struct settings *settings, bool last);

#endif
