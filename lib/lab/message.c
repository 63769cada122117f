#include "lab/message.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
};

int message_pair(int fds[2], struct error *error)
{
    int size = 2 * MESSAGE_BYTES_MAX;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
        return error_sys(error, errno, "socket pair");
    for (int i = 0; i < 2; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return 0;
}

int message_send(int fd, const void *data, size_t len_bytes, const int *fds, size_t fds_count)
{
    union control control = {0};
    struct iovec iov = {.iov_base = (void *)data, .iov_len = len_bytes};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fds_count > MESSAGE_FDS_MAX)
        return -E2BIG;
    if (fds_count) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(fds_count * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(fds_count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, fds_count * sizeof(int));
    }
    while (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int message_wait(int fd, int64_t timeout_ns)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    int64_t end_ns = timeout_ns < 0 ? 0 : clock_mono_ns() + timeout_ns;

    for (;;) {
        int64_t left_ns = timeout_ns < 0 ? -1 : end_ns - clock_mono_ns();
        if (timeout_ns >= 0 && left_ns < 0)
            left_ns = 0;
        int n = poll(&pfd, 1, clock_to_poll_ms(left_ns));
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0 && left_ns >= 0 && clock_mono_ns() >= end_ns)
            return -ETIMEDOUT;
    }
}

static size_t take_fds(struct msghdr *msg, int *out)
{
    size_t count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(out, CMSG_DATA(c), count * sizeof(int));
    }
    return count;
}

ssize_t message_receive(int fd, void *data, size_t size_bytes, int *fds, size_t *fds_count,
                        int64_t timeout_ns)
{
    union control control = {0};
    struct iovec iov = {.iov_base = data, .iov_len = size_bytes};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    int got_fds[MESSAGE_FDS_MAX];
    ssize_t got;

    int rc = message_wait(fd, timeout_ns);
    if (rc)
        return rc;
    while ((got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR)
            return errno == ECONNRESET ? 0 : -errno;

    size_t count = take_fds(&msg, got_fds), room = fds_count ? *fds_count : 0;
    if (count > room || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < count; i++)
            close(got_fds[i]);
        return -EMSGSIZE;
    }
    if (fds_count)
        *fds_count = count;
    if (count)
        memcpy(fds, got_fds, count * sizeof(int));
    return got;
}

int message_receive_first(int fd, void *data, size_t size_bytes, int *fds, size_t *fds_count,
                          int64_t timeout_ns, const char *who, struct error *error)
{
    ssize_t got = message_receive(fd, data, size_bytes, fds, fds_count, timeout_ns);

    if (got == (ssize_t)size_bytes)
        return 0;
    if (got == -ETIMEDOUT)
        return error_set(error, ETIMEDOUT, "%s did not start within %lld s", who,
                         (long long)(timeout_ns / NS_PER_SEC));
    if (got < 0)
        return error_sys(error, (int)-got, "the beginning of %s", who);
    return error_set(error, EIO, "%s died while it started", who);
}

int reply_rc(const struct reply *reply, struct error *error)
{
    if (reply->rc < 0 && error)
        *error = reply->error;
    return reply->rc;
}

int message_call(int fd, const void *request, size_t len_bytes, const int *fds, size_t fds_count,
                 int *out_fds, size_t out_fds_count, struct error *error)
{
    struct reply reply;
    int got_fds[MESSAGE_FDS_MAX];
    size_t got_count = MESSAGE_FDS_MAX;

    int rc = message_send(fd, request, len_bytes, fds, fds_count);
    if (rc)
        return error_sys(error, -rc, "a request to the lab");
    ssize_t got = message_receive(fd, &reply, sizeof reply, got_fds, &got_count, LAB_CALL_LIMIT_NS);
    if (got == 0)
        return error_set(error, EPIPE, "a process of the lab has died");
    if (got < 0)
        return error_sys(error, (int)-got, "a reply from the lab");
    if (got != sizeof reply || (reply.rc >= 0 && got_count != out_fds_count)) {
        for (size_t i = 0; i < got_count; i++)
            close(got_fds[i]);
        return error_set(error, EPROTO, "a reply from the lab is malformed");
    }
    if (reply.rc >= 0 && got_count)
        memcpy(out_fds, got_fds, got_count * sizeof(int));
    return reply_rc(&reply, error);
}

int message_reply(int fd, int rc, const struct error *error, const int *fds, size_t fds_count)
{
    struct reply reply = {.rc = rc};

    if (rc < 0 && error)
        reply.error = *error;
    rc = message_send(fd, &reply, sizeof reply, fds, fds_count);
    if (rc)
        shutdown(fd, SHUT_RDWR);
    return rc;
}
