/* echo-times HOST:PORT [TEXT]: what became of one write, by the witness of the kernel.
 *
 *     cc -o echo-times echo-times.c $(pkg-config --cflags --libs netkit-sock)
 *     ./echo-times localhost:echo hello
 *
 * Connects, sends TEXT, reads one answer, and prints when each call was made, when the bytes left
 * the send queue, reached the device and were acknowledged, and when the answer arrived. Without a
 * target it talks to itself over loopback. Exit status 0: the answer came; 1: it did not. */
#include <netkit/sock.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static int64_t begun_ns; /* CLOCK_REALTIME of the first call: times are printed from there */

static void print_time(int64_t real_ns, const char *what)
{
    printf("%10.3f ms  %s\n", (double)(real_ns - begun_ns) / 1e6, what);
}

/* The observer: called before and after each system call. */
static void print_call(void *context, const struct sock_call *call)
{
    char line[160];

    (void)context;
    if (!begun_ns)
        begun_ns = call->entered_real_ns;
    if (call->stage == SOCK_CALL_ENTERED)
        snprintf(line, sizeof line, "%s …", sock_verb_name(call->verb));
    else if (call->error)
        snprintf(line, sizeof line, "%s failed: %s", sock_verb_name(call->verb),
                 error_name(call->error));
    else
        snprintf(line, sizeof line, "%s returned %lld", sock_verb_name(call->verb),
                 (long long)call->result);
    print_time(call->stage == SOCK_CALL_ENTERED ? call->entered_real_ns : call->returned_real_ns,
               line);
}

static void print_stamps(struct sock *sock)
{
    struct sock_stamp stamps[16];
    int count = sock_stamps_drain(sock, stamps, 16);

    for (int i = 0; i < count; i++) {
        const char *what = stamps[i].kind == SOCK_STAMP_SCHED ? "left the send queue"
                           : stamps[i].kind == SOCK_STAMP_SND ? "reached the device"
                           : stamps[i].kind == SOCK_STAMP_ACK ? "was acknowledged"
                                                              : NULL;
        char line[80];
        snprintf(line, sizeof line, "kernel: byte %lld %s", (long long)stamps[i].offset, what);
        if (what)
            print_time(stamps[i].real_ns, line);
    }
}

/* Sends, waits for an answer, prints what the kernel noted. */
static int exchange(struct sock *sock, const char *text, struct error *error)
{
    struct sock_tcp_info info;
    char answer[4096];
    int64_t arrived_ns;
    unsigned kinds;
    int rc;

    if ((rc = sock_stamps_enable(sock, SOCK_STAMP_ALL, &kinds, error)))
        return rc;
    if ((rc = sock_option_set(sock->fd, "nodelay", "on", error)))
        return rc;
    rc = sock_write_all(sock, text, strlen(text), sock_deadline(5 * SECOND), NULL);
    if (rc)
        return error_sys(error, -rc, "cannot write");
    /* Stamps on the error queue end a poll with POLLERR: take them, and wait on. */
    do {
        rc = sock_poll(sock, POLLIN, 5 * SECOND);
        print_stamps(sock);
    } while (rc > 0 && !(rc & POLLIN));
    if (rc <= 0)
        return error_sys(error, rc ? -rc : ETIME, "no answer");
    ssize_t got = sock_read_stamped(sock, answer, sizeof answer, 0, &arrived_ns);
    if (got < 0)
        return error_sys(error, (int)-got, "cannot read");
    print_stamps(sock);
    if (arrived_ns != SOCK_NO_TIME)
        print_time(arrived_ns, "kernel: the answer arrived");
    if (!sock_tcp_info(sock->fd, &info))
        printf("%s, round trip %.3f ms, %u retransmitted\n", sock_tcp_state_name(info.state),
               (double)info.rtt_ns / 1e6, info.total_retrans);
    return got > 0 ? 0 : error_set(error, ENODATA, "the peer closed without an answer");
}

static int connect_to(struct sock *sock, const char *name, struct error *error)
{
    const struct sock_connect_options options = {.method = SOCK_CONNECT_POLL,
                                                 .timeout_ns = 3 * SECOND};
    struct sock_address_list list;
    struct sock_target target;
    int rc;

    if ((rc = sock_target_parse(&target, name, NULL, 0, error)) ||
        (rc = sock_resolve(&target, AF_UNSPEC, &list, error)))
        return rc;
    for (size_t i = 0; i < list.count; i++) {
        if ((rc = sock_open(sock, sock_family(&list.items[i]), 0)))
            error_sys(error, -rc, "cannot make a socket");
        else if (!(rc = sock_connect_timed(sock, &list.items[i], &options, NULL, error)))
            break;
        else
            sock_close(sock);
    }
    sock_address_list_free(&list);
    return rc;
}

/* Both ends in one process: the peer's part is played by a child. */
static int connect_to_myself(struct sock *sock, const char *text, struct error *error)
{
    const struct sock_listen_options options = {.backlog = 1};
    struct sock listener = SOCK_INIT, peer = SOCK_INIT;
    struct sock_address address;
    int rc;

    sock_address_literal(&address, "127.0.0.1", 0);
    if ((rc = sock_listen(&listener, &address, &options, &address, error)))
        return rc;
    if ((rc = sock_open(sock, AF_INET, 0)) || (rc = sock_connect(sock, &address)) ||
        (rc = sock_accept(&listener, &peer, NULL, 0)))
        return error_sys(error, -rc, "cannot connect to myself");
    sock_close(&listener);
    if (!fork()) {
        char copy[4096];
        size_t len = strlen(text) < sizeof copy ? strlen(text) : sizeof copy;
        rc = sock_read_exact(&peer, copy, len, sock_deadline(5 * SECOND), NULL);
        _exit(rc || sock_write_all(&peer, copy, len, sock_deadline(5 * SECOND), NULL));
    }
    sock_close(&peer);
    return 0;
}

int main(int argc, char **argv)
{
    const struct sock_observer observer = {.call = print_call};
    const char *text = argc > 2 ? argv[2] : "hello";
    struct sock sock = SOCK_INIT;
    struct error error = {0};
    int rc;

    sock.observer = &observer;
    rc = argc > 1 ? connect_to(&sock, argv[1], &error) : connect_to_myself(&sock, text, &error);
    if (!rc)
        rc = exchange(&sock, text, &error);
    if (sock.fd >= 0)
        sock_close(&sock);
    if (rc)
        fprintf(stderr, "echo-times: %s\n", error.text);
    return rc ? 1 : 0;
}
