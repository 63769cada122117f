/* What agents do: a function for each verb, and the loop that calls them. */
#include "scenario/engine/agent_self.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATTERN_BYTES 65536

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

/* ---- Sockets ---- */

static enum lab_host peer_of(enum lab_host host)
{
    return host == LAB_CLIENT ? LAB_SERVER : LAB_CLIENT;
}

int agent_self_address(const struct agent_self *self, enum act_to to, uint16_t port,
                       struct sock_address *out)
{
    int family = self->start.family;
    const char *loop = family == AF_INET ? "127.0.0.1" : "::1", *text = loop;

    switch (to) {
    case ACT_TO_PEER:
        text = self->start.lab ? lab_address_text(peer_of(self->host), family) : loop;
        break;
    case ACT_TO_SELF:
        text = self->start.lab ? lab_address_text(self->host, family) : loop;
        break;
    case ACT_TO_NOBODY:
        if (!self->start.lab)
            return -EADDRNOTAVAIL;
        text = lab_nobody_text(family);
        break;
    case ACT_TO_LOOP:
        break;
    }
    return sock_address_literal(out, text, agent_self_port(self, port));
}

/* "SO_LINGER=on,1s" */
static int64_t set_option(struct agent_self *self, int fd, const char *text)
{
    const char *equals = strchr(text, '=');
    char name[ACT_WORDS_MAX];

    if (!equals)
        return -EINVAL;
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    int64_t rc = sock_option_set(fd, name, equals + 1, NULL);
    syscall_recorder_note(&self->recorder, text, fd, rc);
    return rc;
}

int64_t agent_self_prepare(struct agent_self *self, int fd)
{
    int64_t rc = 0;

    for (size_t i = 0; !rc && i < self->start.option_count; i++)
        rc = set_option(self, fd, self->start.options[i].text);
    return rc;
}

struct sock *agent_self_socket(struct agent_self *self, int slot, int flags, int64_t *rc)
{
    if (slot < 0 || slot >= AGENT_SLOTS) {
        *rc = -EBADSLT;
        return NULL;
    }
    struct sock *sock = &self->slots[slot];
    sock->observer = &self->recorder.observer;
    if (sock->fd >= 0)
        return sock;
    *rc = sock_open(sock, self->start.family, flags);
    if (!*rc)
        *rc = agent_self_prepare(self, sock->fd);
    return *rc ? NULL : sock;
}

static AGENT_CALL(do_open)
{
    int64_t rc = 0;

    agent_self_socket(self, act->slot, act->flags, &rc);
    return rc;
}

static AGENT_CALL(do_bind)
{
    int64_t rc = 0;
    struct sock *sock = agent_self_socket(self, act->slot, 0, &rc);
    struct sock_address address;

    if (!sock)
        return rc;
    rc = act->wildcard
             ? sock_address_literal(&address, self->start.family == AF_INET ? "0.0.0.0" : "::",
                                    agent_self_port(self, act->port))
             : agent_self_address(self, ACT_TO_SELF, act->port, &address);
    return rc ? rc : sock_bind(sock, &address);
}

/* listen(2) is no verb of its own in the library: it belongs to sock_listen(), which binds. */
static AGENT_CALL(do_listen)
{
    int64_t rc = 0;
    struct sock *sock = agent_self_socket(self, act->slot, 0, &rc);

    if (sock && act->port)
        rc = do_bind(self, act, reply);
    if (!sock || rc)
        return rc;
    rc = listen(sock->fd, act->number) ? -errno : 0;
    syscall_recorder_note(&self->recorder, "listen", sock->fd, rc);
    return rc;
}

static AGENT_CALL(do_connect)
{
    bool start = act->verb == ACT_CONNECT_START;
    int64_t rc = 0;
    struct sock *sock = agent_self_socket(self, act->slot, start ? SOCK_NONBLOCK : 0, &rc);
    struct sock_address address;

    if (sock && start)
        rc = sock_set_nonblocking(sock, true);
    if (sock && !rc)
        rc = agent_self_address(self, act->to, act->port, &address);
    return rc ? rc : sock_connect(sock, &address);
}

/* 0, -ETIME or another negative errno. */
static int wait_ready(struct sock *sock, short events, int64_t timeout_ns)
{
    int rc = sock_poll(sock, events, timeout_ns);
    return rc > 0 ? 0 : rc ? rc : -ETIME;
}

static AGENT_CALL(do_connect_finish)
{
    struct sock *sock = &self->slots[act->slot];
    int rc = wait_ready(sock, POLLOUT, act->timeout_ns);

    if (!rc)
        rc = sock_connect_finish(sock);
    return rc ? rc : sock_set_nonblocking(sock, false);
}

static AGENT_CALL(do_connect_timed)
{
    int64_t rc = 0;
    struct sock *sock = agent_self_socket(self, act->slot, 0, &rc);
    struct sock_address address;
    struct sock_connect_options options = {.method = (enum sock_connect_method)act->number,
                                           .timeout_ns = act->timeout_ns};

    if (options.method == SOCK_CONNECT_SYNCNT) {
        options.timeout_ns = 0;
        options.syn_retries = act->flags;
    }
    if (sock)
        rc = agent_self_address(self, act->to, act->port, &address);
    return rc ? rc : sock_connect_timed(sock, &address, &options, &reply->connect, NULL);
}

static AGENT_CALL(do_accept)
{
    struct sock *listener = &self->slots[act->slot];

    if (act->other < 0 || act->other >= AGENT_SLOTS)
        return -EBADSLT;
    int rc = act->timeout_ns > 0 ? wait_ready(listener, POLLIN, act->timeout_ns) : 0;
    return rc ? rc : sock_accept(listener, &self->slots[act->other], NULL, 0);
}

/* ---- Data ---- */

static const unsigned char *pattern(void)
{
    static unsigned char bytes[PATTERN_BYTES];

    if (!bytes[1])
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)i;
    return bytes;
}

static unsigned char sink[PATTERN_BYTES];

static size_t at_most(int64_t bytes)
{
    return bytes <= 0 || bytes > PATTERN_BYTES ? PATTERN_BYTES : (size_t)bytes;
}

static AGENT_CALL(do_read)
{
    ssize_t rc = sock_read(&self->slots[act->slot], sink, at_most(act->bytes), act->flags);

    reply->bytes = rc > 0 ? rc : 0;
    return rc;
}

static AGENT_CALL(do_read_all)
{
    struct sock *sock = &self->slots[act->slot];
    ssize_t rc = 1;

    while (rc > 0 && (!act->bytes || reply->bytes < act->bytes)) {
        int late = act->timeout_ns ? wait_ready(sock, POLLIN, act->timeout_ns) : 0;
        if (late)
            return late;
        rc = sock_read(sock, sink, at_most(act->bytes ? act->bytes - reply->bytes : 0), 0);
        reply->bytes += rc > 0 ? rc : 0;
    }
    return rc < 0 ? rc : 0;
}

static AGENT_CALL(do_write)
{
    ssize_t rc = sock_write(&self->slots[act->slot], pattern(), at_most(act->bytes), act->flags);

    reply->bytes = rc > 0 ? rc : 0;
    return rc;
}

static AGENT_CALL(do_write_all)
{
    struct sock *sock = &self->slots[act->slot];
    ssize_t rc = 0;

    while (rc >= 0 && reply->bytes < act->bytes) {
        rc = sock_write(sock, pattern(), at_most(act->bytes - reply->bytes), act->flags);
        reply->bytes += rc > 0 ? rc : 0;
    }
    return rc < 0 ? rc : 0;
}

static AGENT_CALL(do_fill)
{
    struct sock *sock = &self->slots[act->slot];
    ssize_t rc = 1;

    while (rc > 0 && (!act->bytes || reply->bytes < act->bytes)) {
        size_t most = at_most(act->bytes ? act->bytes - reply->bytes : 0);
        rc = sock_write(sock, pattern(), most, MSG_DONTWAIT | MSG_NOSIGNAL);
        reply->bytes += rc > 0 ? rc : 0;
    }
    return rc < 0 && rc != -EAGAIN ? rc : reply->bytes;
}

/* ---- Ends, options, questions ---- */

static AGENT_CALL(do_shutdown)
{
    return sock_shutdown(&self->slots[act->slot], act->number);
}

static AGENT_CALL(do_close)
{
    return sock_close(&self->slots[act->slot]);
}

static AGENT_CALL(do_poll)
{
    return sock_poll(&self->slots[act->slot], (short)act->number, act->timeout_ns);
}

static AGENT_CALL(do_option)
{
    int64_t rc = 0;
    struct sock *sock = agent_self_socket(self, act->slot, 0, &rc);

    return sock ? set_option(self, sock->fd, act->text) : rc;
}

static AGENT_CALL(do_option_read)
{
    return sock_option_get(self->slots[act->slot].fd, act->text, reply->text, sizeof reply->text,
                           NULL);
}

static AGENT_CALL(do_error)
{
    int failure = 0, fd = self->slots[act->slot].fd;
    socklen_t len = sizeof failure;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len))
        return -errno;
    syscall_recorder_note(&self->recorder, "getsockopt SO_ERROR", fd, failure);
    return -failure;
}

static AGENT_CALL(do_peer)
{
    struct sock_address address;
    int fd = self->slots[act->slot].fd, rc = sock_peer_address(fd, &address);

    syscall_recorder_note(&self->recorder, "getpeername", fd, rc);
    return rc;
}

static AGENT_CALL(do_info)
{
    int rc = sock_tcp_info(self->slots[act->slot].fd, &reply->info);

    if (rc)
        return rc;
    return act->verb == ACT_BACKLOG ? reply->info.unacked : reply->info.state;
}

/* ---- Processes ---- */

static AGENT_CALL(do_dup)
{
    int fd = self->slots[act->slot].fd;

    if (act->other < 0 || act->other >= AGENT_SLOTS)
        return -EBADSLT;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    syscall_recorder_note(&self->recorder, "dup", fd, copy < 0 ? -errno : copy);
    if (copy < 0)
        return -errno;
    self->slots[act->other].observer = &self->recorder.observer;
    sock_adopt(&self->slots[act->other], copy);
    if (copy < SYSCALL_RECORDER_FDS && fd < SYSCALL_RECORDER_FDS)
        self->recorder.ports[copy] = self->recorder.ports[fd];
    return 0;
}

static AGENT_CALL(do_fork)
{
    pid_t parent = getpid(), pid = fork();

    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent)
            pause();
        _exit(0);
    }
    syscall_recorder_note(&self->recorder, "fork", -1, pid < 0 ? -errno : pid);
    return pid < 0 ? -errno : pid;
}

static AGENT_CALL(do_kill_child)
{
    if (kill(act->number, SIGKILL) || waitpid(act->number, NULL, 0) < 0)
        return -errno;
    return 0;
}

static AGENT_CALL(do_signal)
{
    static const struct sigaction actions[] = {
        [AGENT_SIGNAL_DEFAULT] = {.sa_handler = SIG_DFL},
        [AGENT_SIGNAL_IGNORE] = {.sa_handler = SIG_IGN},
        [AGENT_SIGNAL_COUNT] = {.sa_handler = count_signal},
        [AGENT_SIGNAL_RESTART] = {.sa_handler = count_signal, .sa_flags = SA_RESTART}};
    int rc = sigaction(act->number, &actions[act->flags], NULL) ? -errno : 0;
    syscall_recorder_note(&self->recorder, "sigaction", -1, rc);
    return rc;
}

static _Noreturn int64_t do_exit(struct agent_self *self, const struct act *act,
                                 struct act_reply *reply)
{
    (void)self;
    (void)reply;
    _exit(act->number);
}

static AGENT_CALL(do_call)
{
    return act->function(self, act, reply);
}

/* ---- The loop ---- */

static int64_t (*const verbs[ACT_VERBS])(struct agent_self *, const struct act *,
                                         struct act_reply *) = {
    [ACT_OPEN] = do_open,
    [ACT_BIND] = do_bind,
    [ACT_LISTEN] = do_listen,
    [ACT_CONNECT] = do_connect,
    [ACT_CONNECT_START] = do_connect,
    [ACT_CONNECT_FINISH] = do_connect_finish,
    [ACT_CONNECT_TIMED] = do_connect_timed,
    [ACT_ACCEPT] = do_accept,
    [ACT_READ] = do_read,
    [ACT_READ_ALL] = do_read_all,
    [ACT_WRITE] = do_write,
    [ACT_WRITE_ALL] = do_write_all,
    [ACT_FILL] = do_fill,
    [ACT_SHUTDOWN] = do_shutdown,
    [ACT_CLOSE] = do_close,
    [ACT_POLL] = do_poll,
    [ACT_OPTION] = do_option,
    [ACT_OPTION_READ] = do_option_read,
    [ACT_ERROR] = do_error,
    [ACT_PEER] = do_peer,
    [ACT_INFO] = do_info,
    [ACT_BACKLOG] = do_info,
    [ACT_DUP] = do_dup,
    [ACT_FORK] = do_fork,
    [ACT_KILL_CHILD] = do_kill_child,
    [ACT_SIGNAL] = do_signal,
    [ACT_EXIT] = do_exit,
    [ACT_SETTINGS] = agent_self_settings,
    [ACT_SETTING] = agent_self_setting,
    [ACT_COUNTER] = agent_self_counter,
    [ACT_DIAG] = agent_self_diag,
    [ACT_CALL] = do_call,
};

int64_t agent_self_do(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    if (act->slot < 0 || act->slot >= AGENT_SLOTS || act->verb >= ACT_VERBS)
        return -EBADSLT;
    return verbs[act->verb](self, act, reply);
}

/* An agent that ends looks like one that was killed, so it waits until there is memory for a
 * message: the director has a limit. */
static bool answer(int channel, const struct act_reply *reply)
{
    ssize_t sent;

    while ((sent = send(channel, reply, sizeof *reply, MSG_NOSIGNAL)) < 0 &&
           (errno == EINTR || errno == ENOBUFS || errno == ENOMEM))
        if (errno != EINTR)
            poll(NULL, 0, 1);
    return sent == (ssize_t)sizeof *reply;
}

int agent_main(const struct lab_role *role)
{
    static struct agent_self self;
    static struct act act;
    static struct act_reply reply;
    ssize_t got;

    if (role->arg_bytes != sizeof self.start)
        return 2;
    memcpy(&self.start, role->arg, sizeof self.start);
    self.host = role->host;
    syscall_recorder_init(&self.recorder, role->trace, role->host);
    for (size_t i = 0; i < AGENT_SLOTS; i++)
        self.slots[i] = (struct sock)SOCK_INIT;
    pattern();
    for (;;) {
        while ((got = recv(role->channel, &act, sizeof act, 0)) < 0 && errno == EINTR)
            ;
        if (got != (ssize_t)sizeof act)
            return 0;
        memset(&reply, 0, sizeof reply);
        reply.rc = agent_self_do(&self, &act, &reply);
        reply.entered_ns = self.recorder.entered_mono_ns;
        reply.returned_ns = self.recorder.returned_mono_ns;
        reply.signals = signals_seen;
        if (!answer(role->channel, &reply))
            return 0;
    }
}
