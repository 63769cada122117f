/* Whole transfers with a deadline, and listening.
 *
 * Each attempt is made with MSG_DONTWAIT, so that O_NONBLOCK does not matter and no call outlives
 * the deadline; between attempts poll waits for what is left of it. A transfer that can proceed is
 * never refused for the time: the deadline is looked at only when there would be waiting. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <unistd.h>

int64_t sock_deadline(int64_t timeout_ns)
{
    int64_t now = clock_mono_ns();

    if (timeout_ns < 0 || timeout_ns > INT64_MAX - now)
        return SOCK_NO_DEADLINE;
    return now + timeout_ns;
}

int wait_until(int fd, short events, int64_t deadline_ns)
{
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = events};
        int64_t left = deadline_ns == SOCK_NO_DEADLINE ? 0 : deadline_ns - clock_mono_ns();
        struct timespec limit = clock_to_timespec(left < 0 ? 0 : left);

        int rc = ppoll(&entry, 1, deadline_ns == SOCK_NO_DEADLINE ? NULL : &limit, NULL);
        if (rc >= 0)
            return rc ? (unsigned short)entry.revents : 0;
        if (errno != EINTR)
            return -errno;
    }
}

/* What to do about a transfer's result: 1 go on, negative: stop with that. */
static int after(struct sock *sock, ssize_t rc, short events, int64_t deadline_ns)
{
    if (rc > 0 || rc == -EINTR)
        return 1;
    if (rc != -EAGAIN)
        return (int)rc;
    int came = wait_until(sock->fd, events, deadline_ns);
    return came > 0 ? 1 : came ? came : -ETIME;
}

int sock_read_exact(struct sock *sock, void *buffer, size_t len_bytes, int64_t deadline_ns,
                    size_t *done_bytes)
{
    size_t done = 0;
    int go = 1;

    while (done < len_bytes && go > 0) {
        ssize_t rc = sock_read(sock, (char *)buffer + done, len_bytes - done, MSG_DONTWAIT);
        done += rc > 0 ? (size_t)rc : 0;
        go = rc ? after(sock, rc, POLLIN, deadline_ns) : -ENODATA;
    }
    if (done_bytes)
        *done_bytes = done;
    return go < 0 ? go : 0;
}

int sock_write_all(struct sock *sock, const void *bytes, size_t len_bytes, int64_t deadline_ns,
                   size_t *done_bytes)
{
    size_t done = 0;
    int go = 1;

    while (done < len_bytes && go > 0) {
        ssize_t rc = sock_write(sock, (const char *)bytes + done, len_bytes - done,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
        done += rc > 0 ? (size_t)rc : 0;
        /* send() of something never takes nothing; if it did, this must not spin. */
        go = rc ? after(sock, rc, POLLOUT, deadline_ns) : -EIO;
    }
    if (done_bytes)
        *done_bytes = done;
    return go < 0 ? go : 0;
}

static int listen_step(struct sock *sock, int backlog)
{
    struct sock_call call = {.verb = SOCK_VERB_LISTEN, .requested_bytes = backlog};

    call_begin(sock, &call);
    return (int)call_end(sock, &call, listen(sock->fd, backlog));
}

static int listen_options(struct sock *sock, int family, const struct sock_listen_options *options)
{
    const struct {
        bool apply;
        int level, option, value;
    } steps[] = {
        {options->reuse_address, SOL_SOCKET, SO_REUSEADDR, 1},
        {options->reuse_port, SOL_SOCKET, SO_REUSEPORT, 1},
        {family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only},
    };

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        int rc = !steps[i].apply ? 0
                                 : sock_setsockopt(sock, steps[i].level, steps[i].option,
                                                   &steps[i].value, sizeof steps[i].value);
        if (rc)
            return rc;
    }
    return 0;
}

int sock_listen(struct sock *sock, const struct sock_address *address,
                const struct sock_listen_options *options, struct sock_address *bound,
                struct error *error)
{
    char text[SOCK_ADDRESS_TEXT_MAX];
    struct sock_address real = *address;
    const char *step = "socket";
    int rc = sock_open(sock, sock_family(address), options->type_flags);

    if (!rc && (step = "socket options"))
        rc = listen_options(sock, sock_family(address), options);
    if (!rc && (step = "bind"))
        rc = sock_bind(sock, address);
    if (!rc && (step = "listen"))
        rc = listen_step(sock, options->backlog);
    if (!rc && bound)
        rc = sock_local_address(sock->fd, &real);
    if (rc) {
        if (sock->fd >= 0)
            sock_close(sock);
        return error_sys(error, -rc, "cannot listen on %s: %s",
                         sock_address_format(text, sizeof text, address), step);
    }
    if (bound)
        *bound = real;
    return 0;
}
