/* The kernel's stamps on loopback, over IPv4 and IPv6. */
#include "pair.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STAMPS_MAX 4096

struct collected {
    struct sock *sock;
    struct sock_stamp *stamps;
    size_t count, wanted;
};

static bool collect(void *context)
{
    struct collected *c = context;
    int rc = sock_stamps_drain(c->sock, c->stamps + c->count, STAMPS_MAX - c->count);

    assert_true(rc >= 0);
    c->count += (size_t)rc;
    return c->count >= c->wanted;
}

static void collect_until(struct collected *c, size_t wanted)
{
    c->wanted = wanted;
    wait_for("stamps", collect, c);
}

static int64_t stamp_of(const struct collected *c, enum sock_stamp_kind kind, int64_t offset)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->stamps[i].kind == kind && c->stamps[i].offset == offset)
            return c->stamps[i].real_ns;
    return SOCK_NO_TIME;
}

static void enable(struct sock *sock)
{
    struct error error;
    unsigned got = 0;

    if (sock_stamps_enable(sock, SOCK_STAMP_ALL, &got, &error))
        fail_msg("%s", error.text);
    assert_int_equal(got, SOCK_STAMP_ALL);
}

static int family_of(void **state)
{
    return *(int *)*state;
}

static void read_all(struct sock *sock, size_t len_bytes)
{
    cleanup(mem) char *buffer = malloc(len_bytes);

    assert_int_equal(sock_read_exact(sock, buffer, len_bytes, sock_deadline(10 * NS_PER_SEC), NULL),
                     0);
}

/* One byte each way until arrivals are stamped: the kernel switches that on in the background. */
static void warm_up(struct pair *pair)
{
    int64_t rx_ns = SOCK_NO_TIME;
    char byte;

    for (int i = 0; rx_ns == SOCK_NO_TIME; i++) {
        if (i == 10000)
            fail_msg("arrivals are never stamped");
        assert_int_equal(sock_write(&pair->server, "x", 1, 0), 1);
        assert_int_equal(sock_read_stamped(&pair->client, &byte, 1, 0, &rx_ns), 1);
    }
}

static void a_write_is_scheduled_sent_and_acknowledged(void **state)
{
    struct sock_stamp stamps[STAMPS_MAX];
    struct pair pair;
    struct collected c = {.sock = &pair.client, .stamps = stamps};
    int64_t rx_ns;
    char buffer[16];

    pair_open(&pair, family_of(state));
    enable(&pair.client);
    warm_up(&pair);
    enable(&pair.server);
    int64_t before_ns = clock_real_ns();
    assert_int_equal(sock_write(&pair.client, "0123456789", 10, 0), 10);
    assert_int_equal(sock_read_stamped(&pair.server, buffer, sizeof buffer, 0, &rx_ns), 10);
    int64_t read_ns = clock_real_ns();
    assert_int_equal(sock_write(&pair.server, "answer", 6, 0), 6);
    collect_until(&c, 3);
    assert_int_equal(c.count, 3);

    int64_t sched = stamp_of(&c, SOCK_STAMP_SCHED, 9), snd = stamp_of(&c, SOCK_STAMP_SND, 9),
            ack = stamp_of(&c, SOCK_STAMP_ACK, 9);
    assert_true(before_ns <= sched && sched <= snd && snd <= ack);
    assert_true(snd <= rx_ns && rx_ns <= read_ns);
    assert_int_equal(sock_read(&pair.client, buffer, sizeof buffer, 0), 6);
    pair_close(&pair);
}

static void stamps_begin_in_mid_stream_too(void **state)
{
    struct sock_stamp stamps[STAMPS_MAX];
    struct pair pair;
    struct collected c = {.sock = &pair.client, .stamps = stamps};

    pair_open(&pair, family_of(state));
    sock_write(&pair.client, "unseen", 6, 0);
    read_all(&pair.server, 6);
    enable(&pair.client);
    sock_write(&pair.client, "abc", 3, 0);
    read_all(&pair.server, 3);
    sock_write(&pair.server, "x", 1, 0);
    collect_until(&c, 3);
    assert_true(stamp_of(&c, SOCK_STAMP_ACK, 8) != SOCK_NO_TIME);
    /* Asked for again, with other kinds: the ids go on as they were. */
    unsigned got;
    assert_int_equal(sock_stamps_enable(&pair.client, SOCK_STAMP_SCHED, &got, NULL), 0);
    assert_int_equal(got, SOCK_STAMP_SCHED);
    sock_write(&pair.client, "de", 2, 0);
    read_all(&pair.server, 2);
    collect_until(&c, 4);
    assert_true(stamp_of(&c, SOCK_STAMP_SCHED, 10) != SOCK_NO_TIME);
    pair_close(&pair);
}

static void many_writes_fit_one_drain(void **state)
{
    struct sock_stamp stamps[STAMPS_MAX];
    const int writes = 40; /* 120 stamps: about what the default receive buffer holds is 157 */
    struct pair pair;
    struct collected c = {.sock = &pair.client, .stamps = stamps};
    char byte;

    pair_open(&pair, family_of(state));
    enable(&pair.client);
    for (int i = 0; i < writes; i++) {
        assert_int_equal(sock_write(&pair.client, "1234567", 7, 0), 7);
        read_all(&pair.server, 7);
        assert_int_equal(sock_write(&pair.server, "x", 1, 0), 1);
        assert_int_equal(sock_read(&pair.client, &byte, 1, 0), 1);
    }
    /* A short array first: what does not fit stays on the queue. */
    assert_int_equal(sock_stamps_drain(&pair.client, stamps, 5), 5);
    c.count = 5;
    collect_until(&c, (size_t)writes * 3);
    assert_int_equal(c.count, writes * 3);
    for (int i = 0; i < writes; i++) {
        int64_t end = (int64_t)i * 7 + 6;
        assert_true(stamp_of(&c, SOCK_STAMP_SCHED, end) <= stamp_of(&c, SOCK_STAMP_SND, end));
        assert_true(stamp_of(&c, SOCK_STAMP_SND, end) <= stamp_of(&c, SOCK_STAMP_ACK, end));
        assert_true(stamp_of(&c, SOCK_STAMP_SCHED, end) != SOCK_NO_TIME);
    }
    pair_close(&pair);
}

/* Writes larger than the send buffer, most of them partial: each is stamped where it ended. */
static void a_large_write_is_stamped_at_its_end(void **state)
{
    struct sock_stamp stamps[STAMPS_MAX];
    const size_t large = 3000000;
    cleanup(mem) char *bytes = calloc(1, large);
    const int small = 8192;
    struct pair pair;
    struct collected c = {.sock = &pair.client, .stamps = stamps};

    pair_open(&pair, family_of(state));
    setsockopt(pair.client.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    sock_set_nonblocking(&pair.client, true);
    enable(&pair.client);

    size_t sent = 0, calls = 0;
    cleanup(mem) int64_t *ends = calloc(large, sizeof *ends);
    while (sent < large) {
        ssize_t rc = sock_write(&pair.client, bytes + sent, large - sent, 0);
        if (rc == -EAGAIN) {
            char sink[65536];
            /* Nothing to read: the acknowledgement that frees the buffer is on its way. */
            if (sock_read(&pair.server, sink, sizeof sink, MSG_DONTWAIT) <= 0)
                sock_poll(&pair.client, POLLOUT, NS_PER_MS);
            collect(&c);
            continue;
        }
        assert_true(rc > 0);
        sent += (size_t)rc;
        ends[calls++] = (int64_t)sent - 1;
    }
    assert_true(calls > 1); /* otherwise no write was partial */
    read_all(&pair.server, large - (size_t)pair.server.bytes_received);
    do
        collect_until(&c, c.count + 1);
    while (stamp_of(&c, SOCK_STAMP_ACK, (int64_t)large - 1) == SOCK_NO_TIME);
    /* Every stamp is at the end of some write, and never elsewhere. */
    for (size_t i = 0; i < c.count; i++) {
        bool known = false;
        for (size_t j = 0; j < calls; j++)
            known |= ends[j] == c.stamps[i].offset;
        assert_true(known);
    }
    pair_close(&pair);
}

/* A blocking write that sleeps many times for buffer space is still one write: one stamp a kind. */
static void a_blocking_write_is_stamped_once(void **state)
{
    struct sock_stamp stamps[STAMPS_MAX];
    const size_t large = 3000000;
    cleanup(mem) char *bytes = calloc(1, large);
    const int small = 8192;
    struct pair pair;
    struct collected c = {.sock = &pair.client, .stamps = stamps};
    int status;

    pair_open(&pair, family_of(state));
    setsockopt(pair.client.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    enable(&pair.client);
    pid_t reader = fork();
    assert_true(reader >= 0);
    if (!reader)
        _exit(sock_read_exact(&pair.server, bytes, large, sock_deadline(30 * NS_PER_SEC), NULL) ||
              sock_write(&pair.server, "x", 1, 0) != 1);
    assert_int_equal(sock_write(&pair.client, bytes, large, 0), large);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    collect_until(&c, 3);
    collect(&c);
    assert_int_equal(c.count, 3);
    assert_true(stamp_of(&c, SOCK_STAMP_ACK, (int64_t)large - 1) != SOCK_NO_TIME);
    pair_close(&pair);
}

static void held_writes_share_the_last_stamp(void **state)
{
    struct sock_stamp stamps[STAMPS_MAX];
    struct pair pair;
    struct collected c = {.sock = &pair.client, .stamps = stamps};
    int one = 1, zero = 0;

    pair_open(&pair, family_of(state));
    enable(&pair.client);
    setsockopt(pair.client.fd, IPPROTO_TCP, TCP_CORK, &one, sizeof one);
    sock_write(&pair.client, "abc", 3, 0);
    sock_write(&pair.client, "defg", 4, 0);
    setsockopt(pair.client.fd, IPPROTO_TCP, TCP_CORK, &zero, sizeof zero);
    read_all(&pair.server, 7);
    sock_write(&pair.server, "x", 1, 0);
    collect_until(&c, 3);
    collect(&c);
    assert_int_equal(c.count, 3);
    assert_true(stamp_of(&c, SOCK_STAMP_SND, 6) != SOCK_NO_TIME);
    assert_true(stamp_of(&c, SOCK_STAMP_SND, 2) == SOCK_NO_TIME);
    pair_close(&pair);
}

static void without_asking_there_are_none(void **state)
{
    struct sock_stamp stamp;
    struct pair pair;
    int64_t rx_ns = 0;
    char byte;

    pair_open(&pair, family_of(state));
    sock_write(&pair.client, "x", 1, 0);
    assert_int_equal(sock_read_stamped(&pair.server, &byte, 1, 0, &rx_ns), 1);
    assert_true(rx_ns == SOCK_NO_TIME);
    assert_int_equal(sock_stamps_drain(&pair.client, &stamp, 1), 0);
    assert_int_equal(sock_stamps_enable(&pair.client, 0, NULL, NULL), -EINVAL);
    assert_int_equal(sock_stamps_enable(&pair.listener, SOCK_STAMP_ALL, NULL, NULL), -ENOTCONN);
    pair_close(&pair);
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
        BOTH(a_write_is_scheduled_sent_and_acknowledged),
        BOTH(stamps_begin_in_mid_stream_too),
        BOTH(many_writes_fit_one_drain),
        BOTH(a_large_write_is_stamped_at_its_end),
        BOTH(a_blocking_write_is_stamped_once),
        BOTH(held_writes_share_the_last_stamp),
        BOTH(without_asking_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
