/* One connection of a probe: the race of the addresses, TLS, the bytes, and the kernel's timestamps
 * of them. It knows neither rounds nor arms.
 *
 * Whoever uses it hears of it by the callbacks of struct conn_user, all from the loop's thread and
 * some from within the call that caused them. After `failed` nothing more comes until conn_open()
 * again. Four files: conn_open.c gets the connection, conn_proxy.c says on whose behalf, conn_tls.c
 * does the handshake, conn_io.c moves bytes; each calls only those behind it. */
#ifndef PROBE_CONN_H
#define PROBE_CONN_H

#include "base/arena.h"
#include "netkit/sock.h"
#include "probe/admission.h"
#include "probe/conn_race.h"
#include "probe/live_capture.h"
#include "probe/local_facts.h"
#include "probe/loop.h"
#include "probe/tls.h"
#include "result/result.h"
#include "trace/trace.h"

struct conn_option {
    const struct sock_option *option;
    struct sock_option_value value;
};

/* What the user wants of every connection. Memory is the caller's and must outlive the run. */
struct conn_settings {
    int64_t timeout_ns;                /* for connecting, and again for the TLS handshake */
    const struct sock_address *source; /* NULL: the kernel chooses */
    const char *interface;             /* SO_BINDTODEVICE; NULL: by route */
    int traffic_class;                 /* the TOS byte or IPv6 traffic class; -1: as it is */
    const struct conn_option *options;
    size_t option_count;
    bool tls_later;     /* TLS begins by conn_tls_start(), not at once */
    int proxy_protocol; /* the PROXY header that every connection begins with: 1, 2; 0: none */
};

/* What makes one connection different from the others. */
struct conn_variant {
    bool nodelay, quickack;
    bool late_ack;         /* our acknowledgements wait for their timer */
    int mss_bytes;         /* TCP_MAXSEG; 0: as the path has it */
    bool request_follows;  /* we speak first: TLS's last flight goes out with the request */
    bool closed_when_open; /* nothing is said: no timestamps are needed */
};

#define CONN_BUFFER_BYTES ((size_t)256 * 1024)

/* What all connections of a run share. */
struct conn_shared {
    const struct conn_settings *settings;
    struct loop *loop;
    struct arena *arena;
    struct admission *admission;
    struct live_capture *capture;   /* NULL: packets are not captured */
    struct tls_context *tls;        /* NULL: plain TCP */
    char buffer[CONN_BUFFER_BYTES]; /* of the read that is looked at */
    /* Its plain text, and that of the record that it completes. */
    char plain[CONN_BUFFER_BYTES + 2 * TLS_RECORD_MAX];
};

/* A read that brought bytes of the TCP stream. */
struct conn_arrival {
    int64_t arrived_ns; /* the kernel's stamp, or RESULT_UNKNOWN */
    int64_t returned_ns;
    size_t bytes;
};
#define CONN_ARRIVALS_MAX 4

/* What the peer's application said, and the arrivals that carried it. Valid until the next read. */
struct conn_input {
    const char *bytes;
    size_t len_bytes;
    bool closed; /* it said that this was all (TLS's close_notify) */
    const struct conn_arrival *arrivals;
    size_t arrival_count;
    /* Something came that was no application data, such as a session ticket; else RESULT_UNKNOWN */
    int64_t other_ns;
};

struct conn_user {
    /* The connection stands, TLS and all; with what the server has said behind the handshake. */
    void (*opened)(void *owner, const struct conn_input *input);
    void (*failed)(void *owner, const struct result_error *error);
    /* The descriptor is ready (EPOLL… bits), or the timer ran out (0). */
    void (*woken)(void *owner, uint32_t events);
    /* A write call returned: conn->entered_real_ns, returned_real_ns, sock.bytes_sent. */
    void (*wrote)(void *owner);
    /* A kernel timestamp of a byte that we sent. */
    void (*stamped)(void *owner, const struct sock_stamp *stamp);
};

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN };

/* How the connection came about; after a failure, as far as it came. */
struct conn_opening {
    const struct sock_address *address; /* that won; of a failure, the one it is told about */
    struct sock_address local;
    int64_t connect_ns;             /* as this process saw it */
    int64_t wire_ns;                /* SYN to SYN,ACK by the kernel, or RESULT_UNKNOWN */
    int64_t rtt_ns;                 /* the kernel's estimate; 0: none */
    int64_t fallback_ns;            /* how long other addresses kept us from the one that won */
    const char *fallback;           /* what became of them, in the arena, or NULL */
    uint32_t syn_retransmits;       /* of a failure, of all addresses together */
    struct local_facts local_facts; /* of a failure that is our own kernel's */
    bool timestamps;                /* the option takes 12 bytes of each segment */
    unsigned stamps;                /* SOCK_STAMP_… that the kernel granted */
    int64_t tls_ns;                 /* the handshake; RESULT_UNKNOWN: none, or not over */
    int64_t tls_wait_ns;            /* of that, for the server */
    int64_t tls_bytes;              /* from the server, in the handshake */
};

struct conn {
    struct loop_task task; /* the first member */
    struct conn_shared *shared;
    const struct conn_user *user;
    void *owner;
    const char *host;          /* for TLS */
    struct trace_strip *strip; /* where reads and writes are recorded; NULL: nowhere */
    struct admission_place place;
    enum conn_state state;
    struct conn_variant variant;
    struct conn_opening opening;
    struct conn_race race;
    struct sock sock;
    uint32_t mss_bytes; /* of the segments that we send, as was known last; 0: never */
    struct sock_observer observer;
    int64_t entered_real_ns, returned_real_ns, returned_mono_ns; /* the last call */
    struct tls tls;
    int64_t tls_began_ns, tls_waits_ns;              /* CLOCK_MONOTONIC */
    struct conn_arrival arrivals[CONN_ARRIVALS_MAX]; /* which the user has not been told */
    size_t arrival_count;
};

/* ---- conn_open.c */

/* Sets a socket up as the user wants every one. 0 or a negative errno. */
int conn_prepare(const struct conn_settings *settings, struct sock *sock, int family);
void conn_init(struct conn *conn, struct conn_shared *shared, const char *host,
               struct trace_strip *strip);
/* Connects to one of the addresses, which must stay until it is closed. EMFILE as the failure's
 * number means that no descriptor was left. */
void conn_open(struct conn *conn, const struct sock_address *addresses, size_t count,
               const struct conn_variant *variant, const struct conn_user *user, void *owner);
/* From now on this one is told. */
void conn_use(struct conn *conn, const struct conn_user *user, void *owner);
/* May be called at any time, also twice. */
void conn_close(struct conn *conn);

/* ---- conn_tls.c */

/* Begins TLS on a connection that stands. Ends in `opened`, again, or in `failed`. */
void conn_tls_start(struct conn *conn);

/* ---- conn_io.c */

/* Tells the user that it failed. */
__attribute__((format(printf, 4, 5))) void conn_fail(struct conn *conn, enum finding_code code,
                                                     int number, const char *format, ...);
/* The same with a cause; the message comes from the arena or is static. */
void conn_fail_by(struct conn *conn, enum finding_code code, int number, enum failure_cause cause,
                  const char *message);
/* The code of an errno that the peer or the network caused, else `otherwise`. */
enum finding_code conn_code_of(int number, enum finding_code otherwise);
/* false when the descriptor cannot be watched: it has failed then. */
bool conn_watch(struct conn *conn, uint32_t interest);
void conn_unwatch(struct conn *conn);
void conn_timer(struct conn *conn, int64_t at_ns); /* INT64_MAX: none */
/* Something happens: the run is to have no more such connections than it can attend to. */
void conn_active(struct conn *conn);
/* For a variant with quickack or late_ack: neither sticks. */
void conn_quickack(struct conn *conn);
/* Drains the error queue into `stamped`. false: it was empty. */
bool conn_take_stamps(struct conn *conn);
/* Writes what the kernel takes, a record at a time with TLS. Returns how much of the bytes is
 * written, or a negative errno; after -EAGAIN the same bytes have to be given again. */
ssize_t conn_write(struct conn *conn, const char *bytes, size_t len_bytes);
/* One read: bytes of the TCP stream, 0 at its end, or a negative errno: -EAGAIN when there is
 * nothing to do, perhaps because TLS broke and the connection has failed. */
ssize_t conn_read(struct conn *conn, struct conn_input *input);
/* Takes what has come away. Returns whether the peer has closed or is gone. */
bool conn_clear(struct conn *conn, size_t *stale_bytes);

#endif
