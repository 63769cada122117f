/* Connect with a limit, eight ways.
 *
 * Three families. Non-blocking: connect() says EINPROGRESS, one of three calls waits, SO_ERROR has
 * the verdict. Blocking and interrupted: a signal makes connect() return EINTR while the kernel
 * goes on, and calling it again with the same address takes up the same wait (that is also how
 * SA_RESTART resumes it); so a foreign signal costs nothing but a second call. Blocking with the
 * kernel's own limit: an option says when it gives up.
 *
 * Every setting that a method changes is saved before and put back after, whatever happened. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* ---- for event loops ---- */

int sock_connect_start(struct sock *sock, const struct sock_address *address)
{
    int rc = sock_connect(sock, address);

    /* Interrupted means started, too (POSIX connect: it is established asynchronously). */
    return rc == -EINTR ? -EINPROGRESS : rc;
}

int sock_connect_finish(struct sock *sock)
{
    int rc = take_error(sock);

    if (rc)
        return rc;
    int state = sock_tcp_state(sock->fd);
    if (state == -EOPNOTSUPP) /* a Unix-domain socket has none: it connects at once or not at all */
        return 0;
    if (state == TCP_SYN_SENT || state == TCP_SYN_RECV)
        return -EINPROGRESS;
    /* Closed without an error: somebody took the error before us, or it was never started. */
    return state == TCP_CLOSE ? -ENOTCONN : state < 0 ? state : 0;
}

/* ---- waiting ---- */

typedef int wait_call(int fd, int64_t deadline_ns);

static int wait_poll(int fd, int64_t deadline_ns)
{
    return wait_until(fd, POLLOUT, deadline_ns);
}

static int wait_select(int fd, int64_t deadline_ns)
{
    for (;;) {
        int64_t left = deadline_ns - clock_mono_ns();
        struct timeval limit = clock_to_timeval(left < 0 ? 0 : left);
        fd_set writable;
        FD_ZERO(&writable);
        FD_SET(fd, &writable);

        int rc = select(fd + 1, NULL, &writable, NULL, &limit);
        if (rc >= 0 || errno != EINTR)
            return rc < 0 ? -errno : rc ? POLLOUT : 0;
    }
}

static int wait_epoll(int fd, int64_t deadline_ns)
{
    struct epoll_event event = {.events = EPOLLOUT};
    cleanup(fd) int set = epoll_create1(EPOLL_CLOEXEC);

    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event))
        return -errno;
    for (;;) {
        int64_t left = deadline_ns - clock_mono_ns();
        int rc = epoll_wait(set, &event, 1, clock_to_poll_ms(left < 0 ? 0 : left));
        if (rc >= 0 || errno != EINTR)
            return rc < 0 ? -errno : rc ? (int)event.events : 0;
    }
}

/* The wait, told to the observer as one poll. */
static int observed_wait(struct sock *sock, wait_call *wait, int64_t deadline_ns)
{
    struct sock_call call = {.verb = SOCK_VERB_POLL, .flags = POLLOUT};

    call_begin(sock, &call);
    int rc = wait(sock->fd, deadline_ns);
    errno = rc < 0 ? -rc : 0;
    return (int)call_end(sock, &call, rc < 0 ? -1 : rc);
}

/* ---- the methods ---- */

/* Everything that one attempt needs; `expired` is the answer beside the return value. */
struct attempt {
    struct sock *sock;
    const struct sock_address *address;
    const struct sock_connect_options *options;
    int64_t deadline_ns;
    bool expired;
};

static int non_blocking(struct attempt *a, wait_call *wait)
{
    int rc = sock_connect_start(a->sock, a->address);

    while (rc == -EINPROGRESS) {
        int came = observed_wait(a->sock, wait, a->deadline_ns);
        if (came < 0)
            return came;
        if (!came) {
            a->expired = true;
            return -EINPROGRESS;
        }
        rc = sock_connect_finish(a->sock);
    }
    return rc;
}

static int by_blocking(struct attempt *a)
{
    int rc;

    do
        rc = sock_connect(a->sock, a->address);
    while (rc == -EINTR);
    /* A second call finds the connection that completed between the two. */
    return rc == -EISCONN ? 0 : rc;
}

static _Thread_local volatile sig_atomic_t alarm_rang;

static void on_alarm(int number)
{
    (void)number;
    alarm_rang = 1;
}

/* The alarm may ring between our look at `alarm_rang` and the entry into connect(), which would
 * then block as if there were none: so it rings again and again. */
#define ALARM_AGAIN_NS (5 * NS_PER_MS)

static int ringing(struct attempt *a)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    struct itimerspec when = {.it_value = clock_to_timespec(a->options->timeout_ns),
                              .it_interval = clock_to_timespec(ALARM_AGAIN_NS)};
    timer_t timer;
    int rc;

    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer))
        return -errno;
    alarm_rang = 0;
    rc = timer_settime(timer, 0, &when, NULL) ? -errno : 0;
    if (!rc) {
        do
            rc = sock_connect(a->sock, a->address);
        while (rc == -EINTR && !alarm_rang);
        a->expired = rc == -EINTR;
    }
    timer_delete(timer);
    return rc == -EISCONN ? 0 : rc;
}

static int by_alarm(struct attempt *a)
{
    struct sigaction mine = {.sa_handler = on_alarm}, before; /* no SA_RESTART: that is the point */
    sigset_t set, mask;

    sigemptyset(&mine.sa_mask);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    if (sigaction(SIGALRM, &mine, &before))
        return -errno;
    pthread_sigmask(SIG_UNBLOCK, &set, &mask);
    int rc = ringing(a);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGALRM, &before, NULL);
    return rc;
}

/* A second call says EALREADY where the first says EINPROGRESS. */
static bool still_trying(int rc)
{
    return rc == -EINPROGRESS || rc == -EALREADY;
}

static int by_sndtimeo(struct attempt *a)
{
    struct timeval before, limit;
    socklen_t len = sizeof before;
    int64_t left = a->options->timeout_ns;
    int rc;

    if (getsockopt(a->sock->fd, SOL_SOCKET, SO_SNDTIMEO, &before, &len))
        return -errno;
    /* The kernel counts in ticks (4 ms at 250 Hz), and a wait that was taken up again can end
     * within a tick before its time: so the end is checked here. A limit of 0 would mean none at
     * all. */
    do {
        limit = clock_to_timeval(left < NS_PER_US ? NS_PER_US : left);
        rc = sock_setsockopt(a->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (!rc)
            rc = sock_connect(a->sock, a->address);
        left = a->deadline_ns - clock_mono_ns();
    } while (rc == -EINTR || (still_trying(rc) && left > 0));
    a->expired = still_trying(rc);
    if (setsockopt(a->sock->fd, SOL_SOCKET, SO_SNDTIMEO, &before, sizeof before) && !rc)
        rc = -errno;
    return rc == -EISCONN ? 0 : a->expired ? -EINPROGRESS : rc;
}

/* A blocking connect under one changed TCP option; ETIMEDOUT is then that option's doing. */
static int with_tcp_option(struct attempt *a, int option, int value)
{
    int before;
    socklen_t len = sizeof before;
    int rc;

    if (getsockopt(a->sock->fd, IPPROTO_TCP, option, &before, &len))
        return -errno;
    if ((rc = sock_setsockopt(a->sock, IPPROTO_TCP, option, &value, sizeof value)))
        return rc;
    rc = by_blocking(a);
    a->expired = rc == -ETIMEDOUT;
    if (setsockopt(a->sock->fd, IPPROTO_TCP, option, &before, sizeof before) && !rc)
        rc = -errno;
    return rc;
}

static int by_user_timeout(struct attempt *a)
{
    return with_tcp_option(a, TCP_USER_TIMEOUT, clock_to_poll_ms(a->options->timeout_ns));
}

static int by_syncnt(struct attempt *a)
{
    return with_tcp_option(a, TCP_SYNCNT, a->options->syn_retries);
}

const struct sock_connect_method_info sock_connect_methods[SOCK_CONNECT_METHOD_COUNT] = {
    {SOCK_CONNECT_BLOCKING, "blocking", "blocking connect, the kernel's own limit"},
    {SOCK_CONNECT_ALARM, "alarm", "blocking connect interrupted by SIGALRM"},
    {SOCK_CONNECT_SELECT, "select", "non-blocking connect, select"},
    {SOCK_CONNECT_POLL, "poll", "non-blocking connect, poll"},
    {SOCK_CONNECT_EPOLL, "epoll", "non-blocking connect, epoll"},
    {SOCK_CONNECT_SNDTIMEO, "sndtimeo", "blocking connect bounded by SO_SNDTIMEO"},
    {SOCK_CONNECT_USER_TIMEOUT, "user-timeout", "blocking connect bounded by TCP_USER_TIMEOUT"},
    {SOCK_CONNECT_SYNCNT, "syncnt", "blocking connect bounded by TCP_SYNCNT retries"},
};

/* A blocking connect by `run`, or a non-blocking one that waits by `wait`. */
static const struct {
    int (*run)(struct attempt *);
    wait_call *wait;
    bool wants_timeout;
} methods[SOCK_CONNECT_METHOD_COUNT] = {
    [SOCK_CONNECT_BLOCKING] = {by_blocking, NULL, false},
    [SOCK_CONNECT_ALARM] = {by_alarm, NULL, true},
    [SOCK_CONNECT_SELECT] = {NULL, wait_select, true},
    [SOCK_CONNECT_POLL] = {NULL, wait_poll, true},
    [SOCK_CONNECT_EPOLL] = {NULL, wait_epoll, true},
    [SOCK_CONNECT_SNDTIMEO] = {by_sndtimeo, NULL, true},
    [SOCK_CONNECT_USER_TIMEOUT] = {by_user_timeout, NULL, true},
    [SOCK_CONNECT_SYNCNT] = {by_syncnt, NULL, false},
};

int sock_connect_method_parse(enum sock_connect_method *out, const char *name)
{
    for (size_t i = 0; i < SOCK_CONNECT_METHOD_COUNT; i++)
        if (!strcmp(sock_connect_methods[i].name, name)) {
            *out = sock_connect_methods[i].method;
            return 0;
        }
    return -EINVAL;
}

static int check_options(const struct sock *sock, const struct sock_connect_options *options,
                         struct error *error)
{
    if ((unsigned)options->method >= SOCK_CONNECT_METHOD_COUNT)
        return error_set(error, EINVAL, "no such connect method: %d", (int)options->method);
    if (methods[options->method].wants_timeout && options->timeout_ns <= 0)
        return error_set(error, EINVAL, "connect by %s needs a timeout above 0",
                         sock_connect_methods[options->method].name);
    if (options->method == SOCK_CONNECT_SYNCNT &&
        (options->syn_retries < 1 || options->syn_retries > 127))
        return error_set(error, EINVAL, "connect by syncnt needs 1 to 127 retries");
    if (options->method == SOCK_CONNECT_SELECT && sock->fd >= FD_SETSIZE)
        return error_set(error, EINVAL,
                         "select cannot watch descriptor %d: its sets end at %d (use poll)",
                         sock->fd, FD_SETSIZE - 1);
    return 0;
}

static int run_method(struct attempt *a)
{
    wait_call *wait = methods[a->options->method].wait;
    int flags = fcntl(a->sock->fd, F_GETFL);

    if (flags < 0)
        return -errno;
    int rc = sock_set_nonblocking(a->sock, wait);
    if (rc)
        return rc;
    rc = wait ? non_blocking(a, wait) : methods[a->options->method].run(a);
    if (fcntl(a->sock->fd, F_SETFL, flags) && !rc)
        rc = -errno;
    return rc;
}

static void fill_result(struct sock_connect_result *result, const struct attempt *a, int rc,
                        int64_t elapsed_ns)
{
    struct sock_tcp_info info;
    bool known = !sock_tcp_info(a->sock->fd, &info);
    /* A connect() that returns the failure itself also disconnects, which clears the counters. */
    bool counted = known && SOCK_TCP_HAS(&info, SEGS_OUT) && info.segs_out > 0;

    *result = (struct sock_connect_result){
        .error = -rc,
        .expired = a->expired,
        .elapsed_ns = elapsed_ns,
        .state_left = known ? info.state : -1,
        .syn_retransmits = counted ? (int)info.total_retrans : -1,
    };
}

int sock_connect_timed(struct sock *sock, const struct sock_address *address,
                       const struct sock_connect_options *options,
                       struct sock_connect_result *result, struct error *error)
{
    char where[SOCK_ADDRESS_TEXT_MAX], limit[UNITS_TEXT_MAX];
    struct attempt a = {.sock = sock, .address = address, .options = options};
    int rc = check_options(sock, options, error);

    if (rc) {
        if (result)
            *result =
                (struct sock_connect_result){.error = -rc, .state_left = -1, .syn_retransmits = -1};
        return rc;
    }
    int64_t begun_ns = clock_mono_ns();
    a.deadline_ns = sock_deadline(options->timeout_ns);
    rc = run_method(&a);
    if (result)
        fill_result(result, &a, rc, clock_mono_ns() - begun_ns);
    if (!rc)
        return 0;
    sock_address_format(where, sizeof where, address);
    if (!a.expired)
        return error_sys(error, -rc, "cannot connect to %s", where);
    if (options->method == SOCK_CONNECT_SYNCNT)
        return error_set(error, ETIME, "cannot connect to %s: no answer to %d SYN retries", where,
                         options->syn_retries);
    units_format_duration(limit, sizeof limit, options->timeout_ns, "u");
    return error_set(error, ETIME, "cannot connect to %s: no answer within %s (%s)", where, limit,
                     sock_connect_methods[options->method].name);
}
