/* Requests and replies between the caller and the lab's processes.
 *
 * Every channel is an AF_UNIX SOCK_SEQPACKET pair: messages keep their boundaries, descriptors ride
 * along (SCM_RIGHTS), and the death of either side is seen as end of file. On each channel there is
 * at most one request under way, and each gets exactly one reply. Both sides are the same binary,
 * so structures travel as they are. */
#ifndef LAB_MESSAGE_H
#define LAB_MESSAGE_H

#include "netkit/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MESSAGE_FDS_MAX   16
#define MESSAGE_BYTES_MAX (160 * 1024)
/* No request takes this long, not on an emulated machine with one CPU for eight labs either. A
 * process that died is noticed at once: its channel closes. */
#define LAB_CALL_LIMIT_NS INT64_C(60000000000)

/* A connected pair, close-on-exec, with buffers that take a whole message. */
int message_pair(int fds[2], struct error *error);

/* Sends one message; never raises SIGPIPE. */
int message_send(int fd, const void *data, size_t len_bytes, const int *fds, size_t fds_count);

/* Waits until the descriptor can be read: 0, -ETIMEDOUT, or another negative errno. timeout_ns
 * below 0: for ever. */
int message_wait(int fd, int64_t timeout_ns);

/* Receives one message within timeout_ns (below 0: for ever). Returns its length, 0 when the other
 * side is gone, -ETIMEDOUT, or another negative errno. Received descriptors are close-on-exec and
 * the caller's; when more come than fds has room for (fds_count in: room, out: number), or the
 * message does not fit, all are closed and the answer is -EMSGSIZE. */
ssize_t message_receive(int fd, void *data, size_t size_bytes, int *fds, size_t *fds_count,
                        int64_t timeout_ns);

/* The same for the first message of `who`, a process that was just started: 0, or the reason why it
 * did not come whole. */
int message_receive_first(int fd, void *data, size_t size_bytes, int *fds, size_t *fds_count,
                          int64_t timeout_ns, const char *who, struct error *error);

/* How every request is answered. */
struct reply {
    int32_t rc;
    struct error error;
};

/* Sends a request and waits for its reply; descriptors of the reply go to out_fds, which must
 * expect exactly that many. Returns what reply_rc() does, or -EPIPE when the other side has died.
 */
int message_call(int fd, const void *request, size_t len_bytes, const int *fds, size_t fds_count,
                 int *out_fds, size_t out_fds_count, struct error *error);

/* The reply's rc; below 0 its error is passed on. */
int reply_rc(const struct reply *reply, struct error *error);

/* Answers a request. An answer that cannot be sent ends the channel, for both sides: nobody waits for
 * it. */
int message_reply(int fd, int rc, const struct error *error, const int *fds, size_t fds_count);

#endif
