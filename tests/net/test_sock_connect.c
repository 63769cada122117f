/* Connect by every method: accepted, refused, and never answered (a full accept queue drops the
 * SYNs), with signals coming in. */
#include "pair.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <time.h>

#include <cmocka.h>

static int family_of(void **state)
{
    return *(int *)*state;
}

/* Everything that a method may change and must put back. */
struct settings {
    int flags, user_timeout, syncnt;
    struct timeval sndtimeo;
    struct sigaction alarm;
    sigset_t mask;
};

static struct settings settings_of(int fd)
{
    struct settings s;
    socklen_t len = sizeof(int);

    memset(&s, 0, sizeof s);
    s.flags = fcntl(fd, F_GETFL);
    getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &s.user_timeout, &len);
    getsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &s.syncnt, &len);
    len = sizeof s.sndtimeo;
    getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &s.sndtimeo, &len);
    sigaction(SIGALRM, NULL, &s.alarm);
    sigprocmask(SIG_SETMASK, NULL, &s.mask);
    return s;
}

static void assert_same_settings(const struct settings *a, const struct settings *b)
{
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->user_timeout, b->user_timeout);
    assert_int_equal(a->syncnt, b->syncnt);
    assert_memory_equal(&a->sndtimeo, &b->sndtimeo, sizeof a->sndtimeo);
    assert_true(a->alarm.sa_handler == b->alarm.sa_handler);
    assert_int_equal(sigismember(&a->mask, SIGALRM), sigismember(&b->mask, SIGALRM));
}

static int attempt(enum sock_connect_method method, const struct sock_address *address,
                   int type_flags, int64_t timeout_ns, struct sock_connect_result *result)
{
    const struct sock_connect_options options = {
        .method = method, .timeout_ns = timeout_ns, .syn_retries = 1};
    const struct timeval sndtimeo = {.tv_sec = 77};
    struct sock sock = SOCK_INIT;
    struct error error = {0};

    assert_int_equal(sock_open(&sock, sock_family(address), type_flags), 0);
    setsockopt(sock.fd, SOL_SOCKET, SO_SNDTIMEO, &sndtimeo, sizeof sndtimeo);
    struct settings before = settings_of(sock.fd);
    int rc = sock_connect_timed(&sock, address, &options, result, &error);
    struct settings after = settings_of(sock.fd);
    assert_same_settings(&before, &after);
    assert_int_equal(error.code, -rc);
    assert_int_equal(rc != 0, error.text[0] != '\0');
    sock_close(&sock);
    return rc;
}

static void all_methods_connect(void **state)
{
    struct sock_connect_result result;
    struct pair pair;

    pair_open(&pair, family_of(state));
    for (int method = 0; method < SOCK_CONNECT_METHOD_COUNT; method++)
        for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
            struct sock server = SOCK_INIT;
            assert_int_equal(attempt((enum sock_connect_method)method, &pair.address, flags,
                                     5 * NS_PER_SEC, &result),
                             0);
            assert_int_equal(result.error, 0);
            assert_int_equal(result.state_left, TCP_ESTABLISHED);
            assert_int_equal(result.syn_retransmits, 0);
            assert_true(!result.expired && result.elapsed_ns > 0);
            assert_int_equal(sock_accept(&pair.listener, &server, NULL, 0), 0);
            sock_close(&server);
        }
    pair_close(&pair);
}

static void all_methods_are_refused(void **state)
{
    struct sock_connect_result result;
    struct pair pair;

    pair_open(&pair, family_of(state));
    struct sock_address dead = pair.address;
    pair_close(&pair);
    for (int method = 0; method < SOCK_CONNECT_METHOD_COUNT; method++) {
        assert_int_equal(
            attempt((enum sock_connect_method)method, &dead, 0, 5 * NS_PER_SEC, &result),
            -ECONNREFUSED);
        assert_int_equal(result.error, ECONNREFUSED);
        assert_int_equal(result.state_left, TCP_CLOSE);
        assert_false(result.expired);
    }
}

static const struct {
    enum sock_connect_method method;
    int error, state_left;
} silent[] = {{SOCK_CONNECT_ALARM, EINTR, TCP_SYN_SENT},
              {SOCK_CONNECT_SELECT, EINPROGRESS, TCP_SYN_SENT},
              {SOCK_CONNECT_POLL, EINPROGRESS, TCP_SYN_SENT},
              {SOCK_CONNECT_EPOLL, EINPROGRESS, TCP_SYN_SENT},
              {SOCK_CONNECT_SNDTIMEO, EINPROGRESS, TCP_SYN_SENT},
              {SOCK_CONNECT_USER_TIMEOUT, ETIMEDOUT, TCP_CLOSE},
              {SOCK_CONNECT_SYNCNT, ETIMEDOUT, TCP_CLOSE}};

static void silence_ends_by_each_method(void **state)
{
    const int64_t limit_ns = 60 * NS_PER_MS;
    struct sock_connect_result result;
    struct full_listener full;

    full_listener_open(&full, family_of(state));
    for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
        assert_int_equal(attempt(silent[i].method, &full.address, 0, limit_ns, &result), -ETIME);
        assert_int_equal(result.error, silent[i].error);
        assert_int_equal(result.state_left, silent[i].state_left);
        assert_true(result.expired && result.elapsed_ns >= limit_ns);
        /* The first SYN goes again after a second at the earliest. */
        if (result.state_left == TCP_CLOSE)
            assert_int_equal(result.syn_retransmits, -1);
        else if (result.elapsed_ns < NS_PER_SEC)
            assert_int_equal(result.syn_retransmits, 0);
    }
    full_listener_close(&full);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

/* A foreign signal every 7 ms must neither end an attempt nor stretch it. */
static void signals_do_not_end_an_attempt(void **state)
{
    const int64_t limit_ns = 100 * NS_PER_MS;
    struct sigaction interrupt = {.sa_handler = count_signal}, before;
    struct sock_connect_result result;
    struct full_listener full;

    full_listener_open(&full, family_of(state));
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec when = {{.tv_nsec = 7000000}, {.tv_nsec = 7000000}};
    timer_t timer;
    sigaction(SIGUSR1, &interrupt, &before);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    timer_settime(timer, 0, &when, NULL);
    for (size_t i = 0; i + 2 < ARRAY_SIZE(silent); i++) {
        signals = 0;
        assert_int_equal(attempt(silent[i].method, &full.address, 0, limit_ns, &result), -ETIME);
        assert_int_equal(result.error, silent[i].error);
        if (!signals || result.elapsed_ns < limit_ns)
            fail_msg("%s: %d signals, %" PRId64 " ns", sock_connect_methods[silent[i].method].name,
                     (int)signals, result.elapsed_ns);
        assert_true(result.elapsed_ns < 20 * limit_ns);
    }
    timer_delete(timer);
    sigaction(SIGUSR1, &before, NULL);
    full_listener_close(&full);
}

static void an_alarm_rings_through_a_mask(void **state)
{
    struct sock_connect_result result;
    struct full_listener full;
    sigset_t set, before;

    full_listener_open(&full, family_of(state));
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, &before);
    assert_int_equal(attempt(SOCK_CONNECT_ALARM, &full.address, 0, 20 * NS_PER_MS, &result),
                     -ETIME);
    sigpending(&set);
    assert_false(sigismember(&set, SIGALRM));
    sigprocmask(SIG_SETMASK, &before, NULL);
    full_listener_close(&full);
}

static void select_refuses_high_descriptors(void **state)
{
    const struct sock_connect_options options = {SOCK_CONNECT_SELECT, NS_PER_SEC, 0};
    struct rlimit limit;
    struct error error;
    struct pair pair;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max <= FD_SETSIZE) {
        print_message("SKIP: the descriptor limit is %d\n", (int)limit.rlim_max);
        skip();
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    pair_open(&pair, family_of(state));
    struct sock high = {.fd = fcntl(pair.server.fd, F_DUPFD_CLOEXEC, FD_SETSIZE)};
    assert_true(high.fd >= FD_SETSIZE);
    assert_int_equal(sock_connect_timed(&high, &pair.address, &options, NULL, &error), -EINVAL);
    assert_non_null(strstr(error.text, "select cannot watch descriptor"));
    sock_close(&high);
    pair_close(&pair);
}

static void options_are_checked(void **state)
{
    const struct sock_connect_options bad[] = {{SOCK_CONNECT_POLL, 0, 0},
                                               {SOCK_CONNECT_POLL, -5, 0},
                                               {SOCK_CONNECT_SYNCNT, NS_PER_SEC, 0},
                                               {SOCK_CONNECT_SYNCNT, NS_PER_SEC, 128},
                                               {(enum sock_connect_method)99, NS_PER_SEC, 1}};
    const struct sock_address address = loopback(family_of(state));
    struct sock sock = SOCK_INIT;
    struct error error;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(sock_connect_timed(&sock, &address, &bad[i], NULL, &error), -EINVAL);
}

static void start_and_finish_in_an_event_loop(void **state)
{
    struct sock client = SOCK_INIT;
    struct full_listener full;
    struct pair pair;

    pair_open(&pair, family_of(state));
    assert_int_equal(sock_open(&client, family_of(state), SOCK_NONBLOCK), 0);
    int rc = sock_connect_start(&client, &pair.address);
    assert_true(rc == 0 || rc == -EINPROGRESS);
    assert_true(sock_poll(&client, POLLOUT, 5 * NS_PER_SEC) & POLLOUT);
    assert_int_equal(sock_connect_finish(&client), 0);
    sock_close(&client);
    struct sock_address dead = pair.address;
    pair_close(&pair);

    assert_int_equal(sock_open(&client, family_of(state), SOCK_NONBLOCK), 0);
    assert_int_equal(sock_connect_finish(&client), -ENOTCONN);
    rc = sock_connect_start(&client, &dead);
    if (rc == -EINPROGRESS) {
        assert_true(sock_poll(&client, POLLOUT, 5 * NS_PER_SEC) > 0);
        rc = sock_connect_finish(&client);
        assert_int_equal(sock_connect_finish(&client), -ENOTCONN); /* the error is read once */
    }
    assert_int_equal(rc, -ECONNREFUSED);
    sock_close(&client);

    full_listener_open(&full, family_of(state));
    assert_int_equal(sock_open(&client, family_of(state), SOCK_NONBLOCK), 0);
    assert_int_equal(sock_connect_start(&client, &full.address), -EINPROGRESS);
    assert_int_equal(sock_connect_finish(&client), -EINPROGRESS);
    sock_close(&client);
    full_listener_close(&full);
}

static int v4 = AF_INET, v6 = AF_INET6;

#define BOTH(test)                                                                                 \
    {#test "/4", test, NULL, NULL, &v4},                                                           \
    {                                                                                              \
#test "/6", test, NULL, NULL, &v6                                                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(all_methods_connect),           BOTH(all_methods_are_refused),
        BOTH(silence_ends_by_each_method),   BOTH(signals_do_not_end_an_attempt),
        BOTH(an_alarm_rings_through_a_mask), BOTH(select_refuses_high_descriptors),
        BOTH(options_are_checked),           BOTH(start_and_finish_in_an_event_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
