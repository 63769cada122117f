/* What works here, found out by doing it: a conversation over loopback, and a descriptor of a
 * child.
 *
 * The kernel switches arrival stamps on in the background when the first socket asks for them, so
 * the conversation goes on until every kind of stamp has come, or the time is up. */
#include "probe/machine_probe.h"

#include "base/buf.h"
#include "base/clock.h"
#include "netkit/sock.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

struct talk {
    struct sock listener, client, server;
    int64_t deadline_ns;
    const volatile sig_atomic_t *stop;
};

static int open_talk(struct talk *talk, const char *host, struct error *error)
{
    static const struct sock_listen_options one = {.backlog = 1};
    struct sock_address address;
    int rc = sock_address_literal(&address, host, 0);

    if (!rc)
        rc = sock_listen(&talk->listener, &address, &one, &address, error);
    if (rc)
        return rc;
    rc = sock_open(&talk->client, sock_family(&address), 0);
    if (!rc)
        rc = sock_connect(&talk->client, &address);
    if (!rc)
        rc = sock_accept(&talk->listener, &talk->server, NULL, 0);
    return rc ? error_sys(error, -rc, "a connection over %s", host) : 0;
}

static void close_talk(struct talk *talk)
{
    struct sock *const all[] = {&talk->client, &talk->server, &talk->listener};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i]->fd >= 0)
            sock_close(all[i]);
}

/* Each answer carries the acknowledgement, so nothing waits for a delayed one. */
static int exchange(struct talk *talk, struct machine_stamps *out)
{
    char byte = '?';
    int64_t arrived_ns = SOCK_NO_TIME;
    int rc = sock_write_all(&talk->client, &byte, 1, talk->deadline_ns, NULL);

    if (!rc)
        rc = sock_read_exact(&talk->server, &byte, 1, talk->deadline_ns, NULL);
    if (!rc)
        rc = sock_write_all(&talk->server, &byte, 1, talk->deadline_ns, NULL);
    if (rc)
        return rc;
    ssize_t got = sock_read_stamped(&talk->client, &byte, 1, 0, &arrived_ns);
    out->rx |= got == 1 && arrived_ns != SOCK_NO_TIME;
    return got < 0 ? (int)got : 0;
}

static int take_stamps(struct talk *talk, struct machine_stamps *out)
{
    struct sock_stamp stamps[16];
    int got = sock_stamps_drain(&talk->client, stamps, ARRAY_SIZE(stamps));

    for (int i = 0; i < got; i++) {
        out->sched |= stamps[i].kind == SOCK_STAMP_SCHED;
        out->snd |= stamps[i].kind == SOCK_STAMP_SND;
        out->ack |= stamps[i].kind == SOCK_STAMP_ACK;
    }
    return got < 0 ? got : 0;
}

static bool complete(const struct machine_stamps *stamps)
{
    return stamps->sched && stamps->snd && stamps->ack && stamps->rx;
}

static void try_stamps(struct talk *talk, struct machine_stamps *out)
{
    unsigned granted;
    int rc = sock_stamps_enable(&talk->client, SOCK_STAMP_ALL, &granted, &out->error);
    bool talked = false;

    while (!rc && !complete(out) && clock_mono_ns() < talk->deadline_ns &&
           !(talk->stop && *talk->stop)) {
        rc = exchange(talk, out);
        talked |= !rc;
        if (!rc)
            rc = take_stamps(talk, out);
    }
    if (!rc && !talked)
        error_set(&out->error, ETIMEDOUT, "nothing was tried: the time was up");
    if (rc && !out->error.code)
        error_sys(&out->error, -rc, "a conversation over loopback");
}

static void try_diag(struct talk *talk, struct machine_answer *out)
{
    struct sock_diag *diag = NULL;
    struct sock_diag_entry entry;
    struct sock_address local, peer;

    out->tried = true;
    int rc = sock_diag_open(&diag, &out->error);
    if (!rc)
        rc = sock_local_address(talk->client.fd, &local);
    if (!rc)
        rc = sock_peer_address(talk->client.fd, &peer);
    if (!rc)
        rc = sock_diag_lookup(diag, &local, &peer, &entry, &out->error);
    if (rc && !out->error.code)
        error_sys(&out->error, -rc, "a socket's addresses");
    sock_diag_close(diag);
}

/* What the attribution of a delay rests on, and since when Linux has it. */
static void try_tcp_info(struct talk *talk, struct machine_answer *out)
{
    static const struct {
        enum sock_tcp_field field;
        const char *name;
    } wanted[] = {{SOCK_TCP_RTT, "rtt"},
                  {SOCK_TCP_TOTAL_RETRANS, "total_retrans"},
                  {SOCK_TCP_BYTES_ACKED, "bytes_acked (4.1)"},
                  {SOCK_TCP_NOTSENT, "notsent_bytes (4.6)"},
                  {SOCK_TCP_MIN_RTT, "min_rtt (4.6)"},
                  {SOCK_TCP_BUSY, "busy_time (4.10)"},
                  {SOCK_TCP_RWND_LIMITED, "rwnd_limited (4.10)"},
                  {SOCK_TCP_SNDBUF_LIMITED, "sndbuf_limited (4.10)"}};
    cleanup(buf) struct buf missing = {0};
    struct sock_tcp_info info;
    int rc = sock_tcp_info(talk->client.fd, &info);

    out->tried = true;
    if (rc) {
        error_sys(&out->error, -rc, "TCP_INFO");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        if (!(info.known >> wanted[i].field & 1))
            buf_printf(&missing, "%s%s", missing.len_bytes ? ", " : "", wanted[i].name);
    out->value = missing.len_bytes ? "incomplete" : "complete";
    if (missing.len_bytes)
        error_set(&out->error, EOPNOTSUPP, "this kernel's TCP_INFO lacks %s", buf_str(&missing));
}

void machine_try_sockets(struct machine *out, int family, int64_t deadline_ns,
                         const volatile sig_atomic_t *stop)
{
    static const struct {
        int family;
        const char *host;
    } hosts[MACHINE_FAMILIES] = {{4, "127.0.0.1"}, {6, "::1"}};

    for (size_t i = 0; i < MACHINE_FAMILIES; i++) {
        struct talk talk = {SOCK_INIT, SOCK_INIT, SOCK_INIT, deadline_ns, stop};
        struct machine_stamps *stamps = &out->stamps[i];
        if (family && family != hosts[i].family)
            continue;
        stamps->family = hosts[i].family;
        if (!open_talk(&talk, hosts[i].host, &stamps->error)) {
            try_stamps(&talk, stamps);
            if (!out->sock_diag.tried) {
                try_diag(&talk, &out->sock_diag);
                try_tcp_info(&talk, &out->tcp_info);
            }
        }
        close_talk(&talk);
    }
}

/* ---- pidfd_getfd ---- */

/* Has a socket with an option that no new one has, and waits until the parent is done. */
static void be_examined(int channel)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    fd = fd < 0 ? socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) : fd;
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        send(channel, &fd, sizeof fd, MSG_NOSIGNAL) < 0)
        _exit(1);
    while (recv(channel, &on, sizeof on, 0) < 0 && errno == EINTR)
        ;
    _exit(0);
}

static int examine(pid_t child, int channel, struct error *error)
{
    int number, on = 0;
    socklen_t len = sizeof on;
    ssize_t got;

    while ((got = recv(channel, &number, sizeof number, 0)) < 0 && errno == EINTR)
        ;
    if (got != sizeof number)
        return error_set(error, EIO, "the child process had no socket");
    cleanup(fd) int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (pidfd < 0)
        return error_sys(error, errno, "pidfd_open");
    cleanup(fd) int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    if (fd < 0)
        return error_sys(error, errno, "pidfd_getfd");
    if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) || !on)
        return error_set(error, EIO, "pidfd_getfd gave another socket");
    return 0;
}

void machine_try_pidfd(struct machine *out)
{
    struct machine_answer *answer = &out->pidfd_getfd;
    int ends[2];

    answer->tried = true;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
        error_sys(&answer->error, errno, "socketpair");
        return;
    }
    pid_t child = fork();
    if (!child) {
        close(ends[0]);
        be_examined(ends[1]);
    }
    close(ends[1]);
    if (child < 0)
        error_sys(&answer->error, errno, "fork");
    else
        examine(child, ends[0], &answer->error);
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}
