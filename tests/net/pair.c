#include "pair.h"

#include "base/clock.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

struct sock_address loopback(int family)
{
    struct sock_address address;

    assert_int_equal(sock_address_literal(&address, family == AF_INET6 ? "::1" : "127.0.0.1", 0),
                     0);
    return address;
}

void pair_open(struct pair *pair, int family)
{
    const struct sock_listen_options options = {.backlog = 8, .reuse_address = true};
    const struct sock_address any = loopback(family);
    struct error error;

    *pair = (struct pair){.listener = SOCK_INIT, .client = SOCK_INIT, .server = SOCK_INIT};
    if (sock_listen(&pair->listener, &any, &options, &pair->address, &error))
        fail_msg("%s", error.text);
    assert_int_equal(sock_open(&pair->client, family, 0), 0);
    assert_int_equal(sock_connect(&pair->client, &pair->address), 0);
    assert_int_equal(sock_accept(&pair->listener, &pair->server, NULL, 0), 0);
}

void pair_close(struct pair *pair)
{
    sock_close(&pair->client);
    sock_close(&pair->server);
    sock_close(&pair->listener);
}

/* A listener's TCP_INFO has the queue's length in `unacked` and its limit in `sacked`; the queue
 * takes one more than the limit. */
static bool is_full(void *context)
{
    struct full_listener *full = context;
    struct sock_tcp_info info;

    assert_int_equal(sock_tcp_info(full->listener.fd, &info), 0);
    return info.unacked > info.sacked;
}

void full_listener_open(struct full_listener *full, int family)
{
    const struct sock_listen_options options = {.backlog = 0, .reuse_address = true};
    const struct sock_address any = loopback(family);
    struct error error;

    *full = (struct full_listener){.listener = SOCK_INIT, .filler = SOCK_INIT};
    if (sock_listen(&full->listener, &any, &options, &full->address, &error))
        fail_msg("%s", error.text);
    assert_int_equal(sock_open(&full->filler, family, 0), 0);
    assert_int_equal(sock_connect(&full->filler, &full->address), 0);
    wait_for("a full accept queue", is_full, full);
}

void full_listener_close(struct full_listener *full)
{
    sock_close(&full->filler);
    sock_close(&full->listener);
}

void wait_for(const char *what, bool (*condition)(void *context), void *context)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t deadline_ns = sock_deadline(10 * NS_PER_SEC);

    while (!condition(context)) {
        if (clock_mono_ns() > deadline_ns)
            fail_msg("waited 10 s in vain: %s", what);
        nanosleep(&pause, NULL);
    }
}
