/* The system's calls, each made once and told to an observer before and after.
 *
 * The entry is announced before the call is made: a connect that blocks for two minutes, or a
 * process that is killed inside write(), leaves its entry behind. On return the clocks are read
 * before anything else happens, and errno is saved before the observer can touch it. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

_Static_assert(SOCK_NO_TIME == CLOCK_NONE, "one value means that there is no time");

const char *sock_verb_name(enum sock_verb verb)
{
    static const char *const names[SOCK_VERB_COUNT] = {
        [SOCK_VERB_SOCKET] = "socket",     [SOCK_VERB_BIND] = "bind",
        [SOCK_VERB_LISTEN] = "listen",     [SOCK_VERB_CONNECT] = "connect",
        [SOCK_VERB_ACCEPT] = "accept",     [SOCK_VERB_CONNECT_RESULT] = "connect-result",
        [SOCK_VERB_READ] = "read",         [SOCK_VERB_WRITE] = "write",
        [SOCK_VERB_SHUTDOWN] = "shutdown", [SOCK_VERB_CLOSE] = "close",
        [SOCK_VERB_POLL] = "poll",         [SOCK_VERB_SETSOCKOPT] = "setsockopt"};

    return (unsigned)verb < SOCK_VERB_COUNT ? names[verb] : "?";
}

void call_begin(struct sock *sock, struct sock_call *call)
{
    if (!sock->observer)
        return;
    call->stage = SOCK_CALL_ENTERED;
    call->serial = ++sock->serial;
    call->fd = sock->fd;
    call->returned_mono_ns = call->returned_real_ns = SOCK_NO_TIME;
    call->entered_real_ns = clock_real_ns();
    call->entered_mono_ns = clock_mono_ns();
    sock->observer->call(sock->observer->context, call);
}

long call_end(struct sock *sock, struct sock_call *call, long rc)
{
    int error = rc < 0 ? errno : 0;

    /* serial 0: the entry was not announced. */
    if (sock->observer && call->serial) {
        call->returned_mono_ns = clock_mono_ns();
        call->returned_real_ns = clock_real_ns();
        call->stage = SOCK_CALL_RETURNED;
        call->result = rc;
        call->error = error;
        sock->observer->call(sock->observer->context, call);
    }
    return error ? -error : rc;
}

void sock_adopt(struct sock *sock, int fd)
{
    *sock = (struct sock){.fd = fd, .observer = sock->observer};
}

int sock_open(struct sock *sock, int family, int type_flags)
{
    int type = SOCK_STREAM | SOCK_CLOEXEC | type_flags;
    struct sock_call call = {.verb = SOCK_VERB_SOCKET, .flags = type};

    sock_adopt(sock, -1);
    call_begin(sock, &call);
    long rc = call_end(sock, &call, socket(family, type, family == AF_UNIX ? 0 : IPPROTO_TCP));
    if (rc < 0)
        return (int)rc;
    sock->fd = (int)rc;
    return 0;
}

int sock_set_nonblocking(struct sock *sock, bool on)
{
    int flags = fcntl(sock->fd, F_GETFL);

    if (flags < 0)
        return -errno;
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return wanted != flags && fcntl(sock->fd, F_SETFL, wanted) ? -errno : 0;
}

int sock_bind(struct sock *sock, const struct sock_address *address)
{
    struct sock_call call = {.verb = SOCK_VERB_BIND, .address = address};

    call_begin(sock, &call);
    return (int)call_end(sock, &call, bind(sock->fd, &address->any, address->len_bytes));
}

int sock_connect(struct sock *sock, const struct sock_address *address)
{
    struct sock_call call = {.verb = SOCK_VERB_CONNECT, .address = address};

    call_begin(sock, &call);
    return (int)call_end(sock, &call, connect(sock->fd, &address->any, address->len_bytes));
}

int sock_accept(struct sock *listener, struct sock *out, struct sock_address *peer, int type_flags)
{
    struct sock_call call = {.verb = SOCK_VERB_ACCEPT, .flags = type_flags};
    struct sock_address from = {.len_bytes = sizeof from.storage};

    call_begin(listener, &call);
    int fd = accept4(listener->fd, &from.any, &from.len_bytes, SOCK_CLOEXEC | type_flags);
    if (fd >= 0)
        call.address = &from;
    long rc = call_end(listener, &call, fd);
    if (rc < 0)
        return (int)rc;
    *out = (struct sock){.fd = fd, .observer = listener->observer};
    if (peer)
        *peer = from;
    return 0;
}

static struct sock_call transfer(enum sock_verb verb, size_t len_bytes, int flags, int64_t offset)
{
    return (struct sock_call){.verb = verb,
                              .flags = flags,
                              .requested_bytes = (int64_t)len_bytes,
                              .stream_offset = offset};
}

static ssize_t end_receive(struct sock *sock, struct sock_call *call, ssize_t got,
                           const void *buffer)
{
    /* MSG_TRUNC makes TCP drop bytes instead of copying them (tcp(7)). */
    call->data = got > 0 && !(call->flags & MSG_TRUNC) ? buffer : NULL;
    ssize_t rc = call_end(sock, call, got);
    if (rc > 0 && !(call->flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)))
        sock->bytes_received += rc;
    return rc;
}

static ssize_t end_send(struct sock *sock, struct sock_call *call, ssize_t sent)
{
    ssize_t rc = call_end(sock, call, sent);

    if (rc > 0)
        sock->bytes_sent += rc;
    return rc;
}

ssize_t sock_read(struct sock *sock, void *buffer, size_t len_bytes, int flags)
{
    struct sock_call call = transfer(SOCK_VERB_READ, len_bytes, flags, sock->bytes_received);

    call_begin(sock, &call);
    return end_receive(sock, &call, recv(sock->fd, buffer, len_bytes, flags), buffer);
}

ssize_t receive_message(struct sock *sock, struct msghdr *message, size_t len_bytes, int flags,
                        const void *buffer)
{
    struct sock_call call = transfer(SOCK_VERB_READ, len_bytes, flags, sock->bytes_received);

    call_begin(sock, &call);
    return end_receive(sock, &call, recvmsg(sock->fd, message, flags), buffer);
}

static size_t iov_bytes(const struct iovec *iov, size_t count)
{
    size_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += iov[i].iov_len;
    return sum;
}

ssize_t sock_readv(struct sock *sock, const struct iovec *iov, size_t count, int flags)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};

    return receive_message(sock, &message, iov_bytes(iov, count), flags, NULL);
}

ssize_t sock_write(struct sock *sock, const void *bytes, size_t len_bytes, int flags)
{
    struct sock_call call = transfer(SOCK_VERB_WRITE, len_bytes, flags, sock->bytes_sent);

    call.data = bytes;
    call_begin(sock, &call);
    return end_send(sock, &call, send(sock->fd, bytes, len_bytes, flags));
}

ssize_t sock_writev(struct sock *sock, const struct iovec *iov, size_t count, int flags)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};
    struct sock_call call =
        transfer(SOCK_VERB_WRITE, iov_bytes(iov, count), flags, sock->bytes_sent);

    call_begin(sock, &call);
    return end_send(sock, &call, sendmsg(sock->fd, &message, flags));
}

int sock_shutdown(struct sock *sock, int how)
{
    struct sock_call call = {.verb = SOCK_VERB_SHUTDOWN, .flags = how};

    call_begin(sock, &call);
    return (int)call_end(sock, &call, shutdown(sock->fd, how));
}

int sock_close(struct sock *sock)
{
    struct sock_call call = {.verb = SOCK_VERB_CLOSE};

    if (sock->fd < 0)
        return -EBADF;
    call_begin(sock, &call);
    /* Linux releases the descriptor even when close() reports EINTR: never try again. */
    int rc = (int)call_end(sock, &call, close(sock->fd));
    sock->fd = -1;
    return rc;
}

int sock_poll(struct sock *sock, short events, int64_t timeout_ns)
{
    struct sock_call call = {.verb = SOCK_VERB_POLL, .flags = events};
    struct timespec limit = clock_to_timespec(timeout_ns < 0 ? 0 : timeout_ns);
    struct pollfd entry = {.fd = sock->fd, .events = events};

    call_begin(sock, &call);
    int rc = ppoll(&entry, 1, timeout_ns < 0 ? NULL : &limit, NULL);
    return (int)call_end(sock, &call, rc > 0 ? (unsigned short)entry.revents : rc);
}

int sock_setsockopt(struct sock *sock, int level, int option, const void *value, socklen_t len)
{
    struct sock_call call = {.verb = SOCK_VERB_SETSOCKOPT, .level = level, .flags = option};

    call_begin(sock, &call);
    return (int)call_end(sock, &call, setsockopt(sock->fd, level, option, value, len));
}

int take_error(struct sock *sock)
{
    struct sock_call call = {.verb = SOCK_VERB_CONNECT_RESULT};
    int pending = 0;
    socklen_t len = sizeof pending;

    call_begin(sock, &call);
    int rc = getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &pending, &len);
    if (!rc && pending) {
        errno = pending;
        rc = -1;
    }
    return (int)call_end(sock, &call, rc);
}
