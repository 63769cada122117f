/* What the files of lib/sock share and nobody else sees. */
#ifndef SOCK_INTERNAL_H
#define SOCK_INTERNAL_H

#include "netkit/sock.h"

/* A call in flight: call_begin() stamps and announces it, call_end() takes what the system call
 * returned (-1: errno), announces it, and returns the result or the negative errno value. Without
 * an observer both are a branch. */
void call_begin(struct sock *sock, struct sock_call *call);
long call_end(struct sock *sock, struct sock_call *call, long rc);

/* recvmsg(2) of `len_bytes` as a read that the observer sees; the bytes are in `buffer` (NULL: in
 * several places). */
ssize_t receive_message(struct sock *sock, struct msghdr *message, size_t len_bytes, int flags,
                        const void *buffer);

/* Waits for events on any descriptor until a CLOCK_MONOTONIC deadline, through signals: the
 * events, 0 when the deadline passed, or a negative errno value. */
int wait_until(int fd, short events, int64_t deadline_ns);

/* One getsockopt SO_ERROR that the observer sees: 0, or the negative pending error. */
int take_error(struct sock *sock);

/* The errno value (positive) that stands for a getaddrinfo code. glibc calls a name unknown also
 * when it had no memory or descriptor to look it up with; only errno, 0 before, then says so. */
int resolve_errno(int code, int system_errno);

/* What belongs to a kind of option. */
struct option_kind {
    const char *form;    /* what a value looks like, for messages */
    int64_t unit_ns;     /* of the kernel's unit; 0: not a duration */
    socklen_t raw_bytes; /* what getsockopt(2) gives at most */
};
extern const struct option_kind option_kinds[];

/* sock_option_find(), or NULL and an error that suggests the nearest name. */
const struct sock_option *option_find_or_say(const char *name, struct error *error);

/* Control messages of the kernel's stamps, as pure functions of bytes. */
struct stamp_control {
    int64_t software_ns; /* SCM_TIMESTAMPING's first stamp, CLOCK_REALTIME; SOCK_NO_TIME: none */
    bool has_error;      /* a sock_extended_err was there */
    int ee_errno;
    uint8_t ee_origin, ee_type, ee_code;
    uint32_t ee_info, ee_data;
    struct sock_address offender; /* len_bytes 0: none */
};
void stamp_control_parse(struct stamp_control *out, const void *control, size_t len_bytes);

/* The 64-bit value nearest to `near` whose low 32 bits are `id`. */
int64_t stamp_unwrap(uint32_t id, int64_t near);

/* Makes a stamp of a parsed message: false when it is neither a stamp nor an error. `base` and
 * `sent` are stream offsets: what id 0 means, and how far the application has written. */
bool stamp_from_control(struct sock_stamp *out, const struct stamp_control *control, int64_t base,
                        int64_t sent);

#endif
