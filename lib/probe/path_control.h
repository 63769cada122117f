/* The control of a probe: handshakes on the same path at the same time, which only the peer's
 * kernel answers.
 *
 * A handshake here ends before it is complete. The client's last ACK is delayed (TCP_QUICKACK off
 * before connect: the kernel waits for data to send along, tcp_rcv_synsent_state_process() in
 * net/ipv4/tcp_input.c), and the socket is closed with a linger time of 0 as soon as SYN,ACK is in:
 * what goes out is an RST instead. So the peer's accept queue and its application never see it, and
 * a server that serves one connection at a time is not disturbed. The round trip is the kernel's
 * own measure (tcpi_rtt), without the wake-up of this process.
 *
 * All failures are silent: a control that cannot be had has no samples. */
#ifndef PROBE_PATH_CONTROL_H
#define PROBE_PATH_CONTROL_H

#include "netkit/sock.h"
#include "probe/loop.h"

#define PATH_CONTROL_AT_ONCE     4
#define PATH_CONTROL_SAMPLES_MAX 512

struct path_control;

struct path_handshake {
    struct loop_task task;
    struct path_control *control;
    struct sock sock;
};

/* All zero but for what is to be set before the first path_control_shake(). */
struct path_control {
    struct loop *loop;
    const struct sock_address *address; /* must stay */
    void *owner;
    /* Sets up a socket before it connects. 0 or a negative errno. */
    int (*prepare)(void *owner, struct sock *sock, int family);

    struct path_handshake handshakes[PATH_CONTROL_AT_ONCE];
    bool ready;
    int64_t *rtts_ns; /* the samples; the control's */
    size_t count, lost;
};

/* Begins one more handshake, unless as many as may be are under way. One that takes longer than
 * three seconds, or needs a second SYN, counts as lost and is no sample. */
void path_control_shake(struct path_control *control);
/* Gives up what is under way; the samples stay. Both may be called twice, and on one never used. */
void path_control_end(struct path_control *control);
void path_control_free(struct path_control *control);

#endif
