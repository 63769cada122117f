/* One connect, as far as its first answer: a SYN, and what comes back.
 *
 * The socket is an ordinary one with IP_RECVERR, so that an ICMP error names its sender. That also
 * makes the error final on sockets that are connected; here they are not yet, and the kernel ends a
 * connect with the first ICMP error anyway, but for one case: an error that arrives while the
 * system call still holds the socket is only noted, and the connect goes on. It is taken for the
 * answer nevertheless, for it is one. */
#ifndef PROBE_CONNECT_TRY_H
#define PROBE_CONNECT_TRY_H

#include "diagnosis/reach.h"
#include "netkit/sock.h"
#include "probe/live_capture.h"

struct connect_try {
    struct loop_task task; /* the first member */
    struct loop *loop;
    struct sock sock;
    struct sock_address to;
    struct live_capture *capture; /* NULL: none; kept by connect_try_begin() */
    bool going;
    int64_t started_ns, deadline_ns;
    struct reach_try result;               /* when it has ended; the senders of ICMP are here: */
    char from[SOCK_ADDRESS_TEXT_MAX];      /* of the one that the socket reported */
    char wire_from[SOCK_ADDRESS_TEXT_MAX]; /* of the one that was captured */
    char source[SOCK_ADDRESS_TEXT_MAX];    /* our own address, once the kernel has chosen; or "" */
    struct trace_strip *strip; /* its calls go there, as those of `connection`; NULL: nowhere */
    uint32_t connection;
    struct sock_observer observer;
    uint16_t local_port;                 /* 0: none yet */
    uint32_t sequence;                   /* of our SYN, once it was captured */
    int64_t syn_real_ns, synack_real_ns; /* of the last ones that were captured */
    int64_t first_synack_real_ns;
    void *owner;
    /* Called once, from the loop: the socket is closed, and `result` is filled. The try may be
     * begun again or freed. */
    void (*ended)(struct connect_try *try);
    /* No answer within CONNECT_TRY_LOOK_NS. NULL is allowed. */
    void (*waits)(struct connect_try *try);
};

#define CONNECT_TRY_LOOK_NS INT64_C(200000000)

/* Begins; the outcome always comes from the loop, never from here. hop_limit 0: the system's. */
void connect_try_begin(struct connect_try *try, struct loop *loop, const struct sock_address *to,
                       int hop_limit, int64_t deadline_ns);
/* Ends it at once, as silence so far; `ended` is not called. Nothing when it is not going. */
void connect_try_cut(struct connect_try *try);

/* A captured packet. Whether it belongs to this connect, or is an ICMP error about it: then it is
 * counted. */
bool connect_try_saw(struct connect_try *try, const struct live_capture_packet *packet);
/* Whether it is from or to the same peer, or about that. */
bool connect_try_has_peer(const struct connect_try *try, const struct live_capture_packet *packet);

/* An address without its port. Returns out, which has SOCK_ADDRESS_TEXT_MAX bytes. */
const char *connect_try_host_text(char *out, const struct sock_address *address);

#endif
