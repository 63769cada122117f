/* The verbs, deadlines, listening, options and TCP_INFO on loopback, over IPv4 and IPv6. */
#include "pair.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int family_of(void **state)
{
    return *(int *)*state;
}

/* ---- the observer ---- */

struct heard {
    struct sock_call calls[64];
    char data[64]; /* the first byte of each call's data */
    size_t count;
};

static void hear(void *context, const struct sock_call *call)
{
    struct heard *heard = context;

    if (heard->count < 64) {
        heard->data[heard->count] = call->data ? *(const char *)call->data : '\0';
        heard->calls[heard->count++] = *call;
    }
    errno = EDOM; /* it may */
}

/* The n-th finished call of a verb, whose entry must come right before it. */
static const struct sock_call *finished(const struct heard *heard, enum sock_verb verb, int n)
{
    for (size_t i = 0; i < heard->count; i++) {
        const struct sock_call *call = &heard->calls[i];
        if (call->verb != verb || call->stage != SOCK_CALL_RETURNED || n--)
            continue;
        assert_true(i > 0 && call[-1].stage == SOCK_CALL_ENTERED && call[-1].verb == verb);
        assert_true(call[-1].serial == call->serial);
        assert_true(call[-1].returned_mono_ns == SOCK_NO_TIME);
        assert_true(call[-1].entered_mono_ns == call->entered_mono_ns);
        assert_true(call->returned_mono_ns >= call->entered_mono_ns);
        assert_int_equal(call->error != 0, call->result < 0);
        return call;
    }
    fail_msg("%s was not heard", sock_verb_name(verb));
    return NULL;
}

static void every_call_is_heard_twice(void **state)
{
    struct heard heard = {.count = 0};
    const struct sock_observer observer = {.call = hear, .context = &heard};
    const struct sock_listen_options options = {.backlog = 3, .reuse_address = true};
    const struct sock_address any = loopback(family_of(state));
    struct sock listener = SOCK_INIT, client = SOCK_INIT, server = SOCK_INIT;
    struct sock_address bound, peer, local;
    char buffer[16];

    listener.observer = client.observer = &observer;
    assert_int_equal(sock_listen(&listener, &any, &options, &bound, NULL), 0);
    assert_int_equal(finished(&heard, SOCK_VERB_LISTEN, 0)->requested_bytes, 3);
    finished(&heard, SOCK_VERB_BIND, 0);
    assert_int_equal(finished(&heard, SOCK_VERB_SETSOCKOPT, 0)->flags, SO_REUSEADDR);

    assert_int_equal(sock_open(&client, family_of(state), 0), 0);
    assert_int_equal(finished(&heard, SOCK_VERB_SOCKET, 1)->result, client.fd);
    assert_int_equal(sock_connect(&client, &bound), 0);
    assert_int_equal(finished(&heard, SOCK_VERB_CONNECT, 0)->fd, client.fd);
    assert_int_equal(sock_accept(&listener, &server, &peer, 0), 0);
    assert_int_equal(finished(&heard, SOCK_VERB_ACCEPT, 0)->result, server.fd);
    assert_ptr_equal(server.observer, &observer);
    assert_int_equal(sock_local_address(client.fd, &local), 0);
    assert_true(sock_address_equal(&local, &peer));

    assert_int_equal(sock_write(&client, "abc", 3, 0), 3);
    assert_int_equal(sock_write(&client, "de", 2, MSG_NOSIGNAL), 2);
    const struct sock_call *call = finished(&heard, SOCK_VERB_WRITE, 1);
    assert_int_equal(call->stream_offset, 3);
    assert_int_equal(call->result, 2);
    assert_int_equal(call->flags, MSG_NOSIGNAL);
    assert_int_equal(heard.data[call - heard.calls - 1], 'd');

    assert_int_equal(sock_poll(&server, POLLIN | POLLOUT, NS_PER_SEC), POLLIN | POLLOUT);
    assert_int_equal(finished(&heard, SOCK_VERB_POLL, 0)->result, POLLIN | POLLOUT);
    assert_int_equal(sock_read(&server, buffer, 2, MSG_PEEK), 2);
    assert_int_equal(server.bytes_received, 0);
    assert_int_equal(sock_read(&server, buffer, 2, 0), 2);
    assert_int_equal(sock_read(&server, buffer, sizeof buffer, 0), 3);
    call = finished(&heard, SOCK_VERB_READ, 2);
    assert_int_equal(call->stream_offset, 2);
    assert_int_equal(call->requested_bytes, sizeof buffer);
    assert_int_equal(heard.data[call - heard.calls], 'c');
    assert_int_equal(heard.data[call - heard.calls - 1], '\0');
    assert_int_equal(sock_read(&server, buffer, 1, MSG_DONTWAIT), -EAGAIN);
    assert_int_equal(finished(&heard, SOCK_VERB_READ, 3)->error, EAGAIN);

    assert_int_equal(sock_shutdown(&client, SHUT_WR), 0);
    assert_int_equal(finished(&heard, SOCK_VERB_SHUTDOWN, 0)->flags, SHUT_WR);
    assert_int_equal(sock_read(&server, buffer, 1, 0), 0);
    int fd = client.fd;
    assert_int_equal(sock_close(&client), 0);
    assert_int_equal(finished(&heard, SOCK_VERB_CLOSE, 0)->fd, fd);
    assert_int_equal(client.fd, -1);
    assert_int_equal(sock_close(&client), -EBADF);
    sock_close(&server);
    sock_close(&listener);
}

static void vectors_move_the_offsets(void **state)
{
    struct pair pair;
    char a[3], b[4];
    struct iovec out[] = {{(char[]){"abc"}, 3}, {(char[]){"defg"}, 4}}, in[] = {{a, 3}, {b, 4}};

    pair_open(&pair, family_of(state));
    assert_int_equal(sock_writev(&pair.client, out, 2, 0), 7);
    assert_int_equal(pair.client.bytes_sent, 7);
    assert_int_equal(sock_readv(&pair.server, in, 2, MSG_WAITALL), 7);
    assert_int_equal(pair.server.bytes_received, 7);
    assert_memory_equal(a, "abc", 3);
    assert_memory_equal(b, "defg", 4);
    pair_close(&pair);
}

/* ---- deadlines ---- */

static void exact_transfers_keep_deadlines(void **state)
{
    struct pair pair;
    char buffer[8];
    size_t done = 99;

    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        pair_open(&pair, family_of(state));
        sock_set_nonblocking(&pair.client, nonblocking);
        sock_set_nonblocking(&pair.server, nonblocking);
        assert_int_equal(sock_write_all(&pair.client, "abc", 3, SOCK_NO_DEADLINE, &done), 0);
        assert_int_equal(done, 3);
        int64_t deadline_ns = sock_deadline(20 * NS_PER_MS);
        assert_int_equal(sock_read_exact(&pair.server, buffer, 4, deadline_ns, &done), -ETIME);
        assert_true(clock_mono_ns() >= deadline_ns);
        assert_int_equal(done, 3);
        /* What can be had at once is had, however late it is. */
        sock_write_all(&pair.client, "d", 1, 0, NULL);
        sock_poll(&pair.server, POLLIN, -1);
        assert_int_equal(sock_read_exact(&pair.server, buffer, 1, 0, &done), 0);
        sock_shutdown(&pair.client, SHUT_WR);
        assert_int_equal(sock_read_exact(&pair.server, buffer, 1, SOCK_NO_DEADLINE, &done),
                         -ENODATA);
        assert_int_equal(done, 0);
        pair_close(&pair);
    }
    assert_true(sock_deadline(-1) == SOCK_NO_DEADLINE);
    assert_true(sock_deadline(INT64_MAX) == SOCK_NO_DEADLINE);
}

static void a_write_that_nobody_reads_ends(void **state)
{
    const size_t large = 64 << 20;
    cleanup(mem) char *bytes = calloc(1, large);
    struct pair pair;
    size_t done = 0;

    pair_open(&pair, family_of(state));
    assert_int_equal(
        sock_write_all(&pair.client, bytes, large, sock_deadline(50 * NS_PER_MS), &done), -ETIME);
    assert_true(done > 0 && done < large);
    assert_int_equal(done, pair.client.bytes_sent);
    /* Closing with unread data resets; no SIGPIPE comes of it. */
    sock_close(&pair.server);
    int rc = sock_write_all(&pair.client, bytes, large, sock_deadline(5 * NS_PER_SEC), &done);
    assert_true(rc == -ECONNRESET || rc == -EPIPE);
    rc = sock_write_all(&pair.client, bytes, 1, SOCK_NO_DEADLINE, NULL);
    assert_true(rc == -ECONNRESET || rc == -EPIPE);
    sock_close(&pair.client);
    sock_close(&pair.listener);
}

/* ---- listening ---- */

static void listeners_say_what_failed(void **state)
{
    const struct sock_listen_options options = {.backlog = 1};
    struct sock second = SOCK_INIT;
    struct error error;
    struct pair pair;

    pair_open(&pair, family_of(state));
    assert_int_equal(sock_listen(&second, &pair.address, &options, NULL, &error), -EADDRINUSE);
    assert_non_null(strstr(error.text, "bind: Address already in use"));
    assert_int_equal(second.fd, -1);
    pair_close(&pair);
}

static void dual_stack_is_explicit(void **state)
{
    struct sock_listen_options options = {.backlog = 1};
    struct sock listener = SOCK_INIT, client = SOCK_INIT, server = SOCK_INIT;
    struct sock_address any, bound, v4, peer;
    (void)state;

    sock_address_literal(&any, "::", 0);
    assert_int_equal(sock_listen(&listener, &any, &options, &bound, NULL), 0);
    sock_address_literal(&v4, "127.0.0.1", sock_address_port(&bound));
    assert_int_equal(sock_open(&client, AF_INET, 0), 0);
    assert_int_equal(sock_connect(&client, &v4), 0);
    assert_int_equal(sock_accept(&listener, &server, &peer, 0), 0);
    assert_int_equal(sock_family(&peer), AF_INET6);
    sock_address_unmap(&peer);
    assert_int_equal(sock_family(&peer), AF_INET);
    sock_close(&client);
    sock_close(&server);
    sock_close(&listener);

    options.v6_only = true;
    assert_int_equal(sock_listen(&listener, &any, &options, &bound, NULL), 0);
    sock_address_set_port(&v4, sock_address_port(&bound));
    assert_int_equal(sock_open(&client, AF_INET, 0), 0);
    assert_int_equal(sock_connect(&client, &v4), -ECONNREFUSED);
    sock_close(&client);
    sock_close(&listener);
}

/* ---- options ---- */

/* What a get gives, a set takes, and the value stays: for each row that this kernel knows. */
static void options_survive_a_round_trip(void **state)
{
    struct pair pair;
    size_t seen = 0;

    pair_open(&pair, family_of(state));
    for (size_t i = 0; i < sock_option_count; i++) {
        const struct sock_option *row = &sock_options[i];
        char before[SOCK_OPTION_TEXT_MAX], after[SOCK_OPTION_TEXT_MAX];
        struct error error;

        if (!row->readable || !sock_option_applies(row, family_of(state)))
            continue;
        int rc = sock_option_get(pair.client.fd, row->name, before, sizeof before, &error);
        if (rc == -ENOPROTOOPT || rc == -EOPNOTSUPP)
            continue; /* newer than this kernel, or not built in */
        /* The path MTU is that of the cached route, which setting some options drops. */
        if (rc == -ENOTCONN && strstr(row->name, "_MTU"))
            continue;
        if (rc)
            fail_msg("%s", error.text);
        seen++;
        /* Buffers double, a string may be empty, and the rest needs privileges or has states. */
        if (!row->writable || row->kind == SOCK_OPTION_STRING || row->kind == SOCK_OPTION_BYTES)
            continue;
        rc = sock_option_set(pair.client.fd, row->name, before, &error);
        if (rc == -EINVAL && strstr(error.text, "takes"))
            fail_msg("what was read cannot be set: %s", error.text);
        if (rc)
            continue;
        assert_int_equal(sock_option_get(pair.client.fd, row->name, after, sizeof after, NULL), 0);
        assert_string_equal(before, after);
    }
    assert_true(seen > 50);
    pair_close(&pair);
}

static void options_take_effect(void **state)
{
    static const char *const v4[] = {"tos", "0x10", "16"}, *const v6[] = {"tclass", "0x20", "32"};
    static const char *const cases[][3] = {{"nodelay", "on", "on"},
                                           {"SO_LINGER", "on,5s", "on,5s"},
                                           {"SO_LINGER", "off", "off"},
                                           {"TCP_USER_TIMEOUT", "1500ms", "1500ms"},
                                           {"TCP_KEEPIDLE", "7s", "7s"},
                                           {"SO_SNDTIMEO", "40ms", "40ms"},
                                           {"TCP_CONGESTION", "reno", "reno"},
                                           {"TCP_NOTSENT_LOWAT", "16k", "16384"},
                                           {"TCP_SYNCNT", "3", "3"},
                                           {"max_pacing_rate", "10M", "10485760"},
                                           {"keepalive", "yes", "on"}};
    struct pair pair;
    char text[SOCK_OPTION_TEXT_MAX];
    struct error error;
    int raw = 0;
    socklen_t len = sizeof raw;

    pair_open(&pair, family_of(state));
    for (size_t i = 0; i <= ARRAY_SIZE(cases); i++) {
        const char *const *c = i < ARRAY_SIZE(cases)         ? cases[i]
                               : family_of(state) == AF_INET ? v4
                                                             : v6;
        if (sock_option_set(pair.client.fd, c[0], c[1], &error) ||
            sock_option_get(pair.client.fd, c[0], text, sizeof text, &error))
            fail_msg("%s", error.text);
        assert_string_equal(text, c[2]);
    }
    getsockopt(pair.client.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &raw, &len);
    assert_int_equal(raw, 1500);
    assert_int_equal(sock_option_set(pair.client.fd, "TCP_CONGESTION", "nonesuch", &error),
                     -ENOENT);
    assert_int_equal(sock_option_set(pair.client.fd, "SO_TYPE", "1", &error), -EACCES);
    assert_int_equal(sock_option_get(pair.client.fd, "SO_DOMAIN", text, sizeof text, NULL), 0);
    assert_int_equal(atoi(text), family_of(state));
    pair_close(&pair);
}

/* ---- TCP_INFO ---- */

static void tcp_info_describes_the_connection(void **state)
{
    struct pair pair;
    struct sock_tcp_info info;
    char byte;

    pair_open(&pair, family_of(state));
    assert_int_equal(sock_tcp_info(pair.listener.fd, &info), 0);
    assert_int_equal(info.state, TCP_LISTEN);
    assert_int_equal(info.unacked, 0);
    assert_int_equal(info.sacked, 8);

    sock_write(&pair.client, "0123456789", 10, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(sock_read(&pair.server, &byte, 1, 0), 1);
    sock_write(&pair.server, "x", 1, 0);
    assert_int_equal(sock_read(&pair.client, &byte, 1, 0), 1);
    assert_int_equal(sock_tcp_info(pair.client.fd, &info), 0);
    assert_int_equal(info.state, TCP_ESTABLISHED);
    assert_int_equal(info.bytes_acked, 11); /* the SYN counts one */
    assert_int_equal(info.bytes_received, 1);
    assert_int_equal(info.data_segs_out, 1);
    assert_true(info.snd_mss > 0 && info.rtt_ns > 0 && info.pmtu > info.snd_mss);
    assert_true(SOCK_TCP_HAS(&info, MIN_RTT) && info.min_rtt_ns <= info.rtt_ns);
    assert_int_equal(info.total_retrans, 0);
    sock_shutdown(&pair.server, SHUT_WR);
    assert_int_equal(sock_read(&pair.client, &byte, 1, 0), 0);
    assert_int_equal(sock_tcp_state(pair.client.fd), TCP_CLOSE_WAIT);
    pair_close(&pair);
    assert_int_equal(sock_tcp_state(-1), -EBADF);
}

static int v4 = AF_INET, v6 = AF_INET6;

#define BOTH(test)                                                                                 \
    {#test "/4", test, NULL, NULL, &v4},                                                           \
    {                                                                                              \
#test "/6", test, NULL, NULL, &v6                                                          \
    }

int main(void)
{
    /* Whoever started this may ignore it; then nothing here would show that it was raised. */
    signal(SIGPIPE, SIG_DFL);
    const struct CMUnitTest tests[] = {
        BOTH(every_call_is_heard_twice),         BOTH(vectors_move_the_offsets),
        BOTH(exact_transfers_keep_deadlines),    BOTH(a_write_that_nobody_reads_ends),
        BOTH(listeners_say_what_failed),         cmocka_unit_test(dual_stack_is_explicit),
        BOTH(options_survive_a_round_trip),      BOTH(options_take_effect),
        BOTH(tcp_info_describes_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
