/* Connecting to one of several addresses, by Happy Eyeballs (RFC 8305).
 *
 * The addresses are tried in an order that alternates between the families, each a little after the
 * one before it, or as soon as that has failed; the first that connects wins, and the others are
 * closed. One address is a race of one. */
#ifndef PROBE_CONN_RACE_H
#define PROBE_CONN_RACE_H

#include "netkit/sock.h"
#include "probe/loop.h"

#define CONN_RACE_DELAY_NS     INT64_C(250000000) /* RFC 8305 section 5: the recommended delay */
#define CONN_RACE_ATTEMPTS_MAX 8

enum conn_race_outcome {
    CONN_RACE_WAITING, /* not begun */
    CONN_RACE_TRYING,
    CONN_RACE_CONNECTED,
    CONN_RACE_FAILED,   /* by `rc` */
    CONN_RACE_REFUSED,  /* by our own kernel, with `rc`: nothing was sent */
    CONN_RACE_UNSET,    /* the socket could not be set up as the user wants it: `rc` */
    CONN_RACE_EXPIRED,  /* nothing came back in time */
    CONN_RACE_ABANDONED /* another was faster */
};

struct conn_race;

struct conn_race_attempt {
    struct loop_task task;
    struct conn_race *race;
    struct sock sock;
    const struct sock_address *address;
    enum conn_race_outcome outcome;
    int rc;              /* a negative errno value, of a failure */
    bool without_socket; /* CONN_RACE_REFUSED: already by socket() */
    int64_t started_ns;  /* CLOCK_MONOTONIC */
    int64_t ended_ns;
    struct sock_tcp_info info; /* at the end, where the kernel told */
    uint32_t syn_retransmits;
};

struct conn_race {
    struct loop *loop;
    struct loop_task timer;
    struct conn_race_attempt *attempts;
    size_t count, begun;
    int64_t started_ns, deadline_ns;
    void *owner;
    /* Sets up a socket before it connects. 0 or a negative errno. */
    int (*prepare)(void *owner, struct sock *sock, int family);
    /* A socket has begun to connect: it has its local port. May be NULL. */
    void (*begun_one)(void *owner, const struct sock *sock);
    /* Called once, from the loop or from conn_race_start(): an attempt has connected, whose sock
     * now belongs to the owner, or (NULL) all have failed or expired. The attempts stay readable
     * until conn_race_stop(). The loop still watches the winner's descriptor for its task. */
    void (*ended)(void *owner, struct conn_race_attempt *winner);
};

/* Begins. `addresses` must stay until the race has ended. -ENOMEM, and `ended` is then not called.
 */
int conn_race_start(struct conn_race *race, struct loop *loop, const struct sock_address *addresses,
                    size_t count, int64_t timeout_ns);
/* Closes what is still trying and frees the attempts. May be called at any time, also twice. */
void conn_race_stop(struct conn_race *race);

/* The order of trying: the first stays, then the families alternate as long as both last. */
void conn_race_order(struct sock_address *addresses, size_t count);

#endif
