/* The init of a host: process 1 of the host's PID namespace, with a mount namespace of its own in
 * which /etc/hosts names the two hosts and no resolver of the machine can be reached.
 *
 * It starts what the caller asks for, reaps, and writes each child's end into the descriptor that
 * came with the request. When the caller's channel or the supervisor's leash is closed it exits,
 * and the kernel kills everything in its namespace (pid_namespaces(7)). It is never itself a role:
 * process 1 ignores signals whose action is the default, so SIGPIPE would not kill it. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "lab/internal.h"
#include "netkit/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CHILDREN_MAX 1024

struct child {
    pid_t pid;
    int exit_fd;
    int64_t started_ns;
};

struct init {
    const struct lab_plan *plan;
    enum lab_host host;
    bool plain;
    int channel;
    int children_fd;
    struct sock_diag *diag;
    struct child children[CHILDREN_MAX];
    size_t children_count;
    char message[MESSAGE_BYTES_MAX];
};

/* ---- Mounts ---- */

static int write_hosts_file(const struct lab_plan *plan, const char *path, struct error *error)
{
    cleanup(file) FILE *file = fopen(path, "we");

    if (!file)
        return error_sys(error, errno, "%s", path);
    fputs("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n", file);
    for (int host = 0; host < LAB_HOSTS; host++) {
        if (plan->ipv4)
            fprintf(file, "%s\t%s\n", lab_address_text(host, AF_INET), lab_host_name(host));
        if (plan->ipv6)
            fprintf(file, "%s\t%s\n", lab_address_text(host, AF_INET6), lab_host_name(host));
    }
    /* Whatever the umask is: a program need not be who runs netkit. */
    return fflush(file) || fchmod(fileno(file), 0644) ? error_sys(error, errno, "%s", path) : 0;
}

/* A bind mount keeps its file system alive, so the temporary mount under which the file is made can
 * go at once, and /tmp is everybody's again. */
static int mount_names(const struct lab_plan *plan, struct error *error)
{
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755"))
        return error_sys(error, errno, "mounting the names of the hosts");
    int rc = write_hosts_file(plan, "/tmp/hosts", error);
    if (!rc && mount("/tmp/hosts", "/etc/hosts", "none", MS_BIND, NULL))
        rc = error_sys(error, errno, "mounting /etc/hosts");
    umount2("/tmp", MNT_DETACH);
    return rc;
}

/* Resolvers of the machine answer through sockets in the file system, which no network namespace
 * hides. */
static void mask_resolvers(void)
{
    static const char *const directories[] = {"/run/nscd", "/run/systemd/resolve", "/var/run/nscd",
                                              "/run/avahi-daemon"};
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
        mount("tmpfs", directories[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k");
}

static void mount_all(const struct lab_plan *plan, struct lab_limits *limits)
{
    struct error error = {0};

    /* Nothing of this may reach the machine's own mounts (shared is the usual default). */
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL)) {
        error_sys(&error, errno, "private mounts");
    } else {
        /* Programs should find themselves by their own pid; a container may refuse that. */
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
        mask_resolvers();
        mount_names(plan, &error);
    }
    limits->nameless = error.code != 0;
    if (limits->nameless)
        lab_note(limits, "the names client and server are not known in the lab (%s)", error.text);
}

/* ---- Requests ---- */

static void record_end(struct init *init, size_t index, int status)
{
    struct child *child = &init->children[index];
    struct lab_exit record = {
        .status = status, .started_ns = child->started_ns, .ended_ns = clock_mono_ns()};

    while (write(child->exit_fd, &record, sizeof record) < 0 && errno == EINTR)
        ;
    close(child->exit_fd);
    *child = init->children[--init->children_count];
}

static void reap(struct init *init)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < init->children_count; i++)
            if (init->children[i].pid == pid) {
                record_end(init, i, status);
                break;
            }
}

static int handle_spawn(struct init *init, size_t len_bytes, int *fds, size_t fds_count,
                        struct error *error)
{
    struct init_request request;
    memcpy(&request, init->message, sizeof request);
    struct spawn spawn = {
        .request = &request,
        .payload = init->message + sizeof request,
        .payload_bytes = len_bytes - sizeof request,
        .fds = fds,
        .fds_count = fds_count,
        .plan = init->plan,
        .host = init->host,
        .plain = init->plain,
    };

    if (init->children_count == CHILDREN_MAX)
        return error_set(error, EAGAIN, "%d processes run on this host", CHILDREN_MAX);
    if (!fds_count)
        return error_set(error, EPROTO, "a request without its descriptors");
    int64_t started_ns = clock_mono_ns();
    pid_t pid = spawn_child(&spawn, error);
    if (pid > 0) {
        init->children[init->children_count++] =
            (struct child){.pid = pid, .exit_fd = fds[0], .started_ns = started_ns};
        fds[0] = -1;
    }
    return pid;
}

static int handle_signal(struct init *init, const struct init_request *request)
{
    pid_t pid = request->signal.pid;

    if (request->signal.group)
        return kill(-pid, request->signal.signal) ? -errno : 0;
    /* A pid is ours until it is reaped; afterwards it may be anybody's. */
    for (size_t i = 0; i < init->children_count; i++)
        if (init->children[i].pid == pid)
            return kill(pid, request->signal.signal) ? -errno : 0;
    return -ESRCH;
}

struct listening {
    const struct init_request *request;
    uint16_t port;
};

/* [::] stands for both families, as it does unless IPV6_V6ONLY is set. */
static int each_listener(void *context, const struct sock_diag_entry *entry)
{
    struct listening *listening = context;
    const struct sock_address *local = &entry->local;
    int family = listening->request->listening.family;
    uint16_t port = sock_address_port(local);
    bool v6 = sock_family(local) == AF_INET6;
    bool loopback = v6 ? IN6_IS_ADDR_LOOPBACK(&local->v6.sin6_addr)
                       : ntohl(local->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    bool fits = family == AF_UNSPEC || family == sock_family(local) ||
                (v6 && IN6_IS_ADDR_UNSPECIFIED(&local->v6.sin6_addr));

    if (loopback || !fits)
        return 0;
    listening->port = port;
    return 1;
}

static int handle_listening(struct init *init, const struct init_request *request,
                            struct error *error)
{
    struct listening listening = {.request = request};
    struct sock_diag_filter filter = {.states = 1u << TCP_LISTEN,
                                      .local_port = request->listening.port};

    int rc = sock_diag_list(init->diag, &filter, each_listener, &listening, error);
    if (rc < 0)
        return rc;
    return rc ? listening.port : error_set(error, ENOENT, "nothing listens");
}

static void handle(struct init *init, size_t len_bytes, int *fds, size_t fds_count)
{
    struct init_request request;
    struct error error = {0};
    int rc = -EPROTO;

    if (len_bytes >= sizeof request) {
        memcpy(&request, init->message, sizeof request);
        switch (request.op) {
        case INIT_SPAWN:
            rc = handle_spawn(init, len_bytes, fds, fds_count, &error);
            break;
        case INIT_SIGNAL:
            rc = handle_signal(init, &request);
            if (rc)
                error_sys(&error, -rc, "signal %d", request.signal.signal);
            break;
        case INIT_LISTENING:
            rc = handle_listening(init, &request, &error);
            break;
        }
    }
    message_reply(init->channel, rc, &error, NULL, 0);
    for (size_t i = 0; i < fds_count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* ---- Life ---- */

static _Noreturn void init_run(struct init *init, int leash)
{
    struct pollfd polled[] = {{.fd = init->channel, .events = POLLIN},
                              {.fd = leash, .events = POLLIN},
                              {.fd = init->children_fd, .events = POLLIN}};

    for (;;) {
        if (poll(polled, ARRAY_SIZE(polled), -1) < 0 && errno != EINTR)
            _exit(1);
        if (polled[1].revents)
            _exit(0);
        if (polled[2].revents) {
            children_seen(polled[2].fd);
            reap(init);
        }
        if (polled[0].revents) {
            int fds[MESSAGE_FDS_MAX];
            size_t fds_count = MESSAGE_FDS_MAX;
            ssize_t got = message_receive(init->channel, init->message, sizeof init->message, fds,
                                          &fds_count, 0);
            if (got > 0)
                handle(init, (size_t)got, fds, fds_count);
            else if (got != -ETIMEDOUT)
                _exit(0);
        }
    }
}

static _Noreturn void init_main(const struct lab_plan *plan, enum lab_host host,
                                const struct namespaces *namespaces, int channel, int leash)
{
    struct supervisor_ready ready = {0};

    /* The supervisor may have died between the fork and this: the leash tells then. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, host == LAB_CLIENT ? "netkit-client" : "netkit-server");
    ready.reply.rc = namespace_go(namespaces->host[host], &ready.reply.error);
    struct init *init = calloc(1, sizeof *init);
    if (!init)
        ready.reply.rc = error_sys(&ready.reply.error, ENOMEM, "init");
    descriptors_keep((int[]){channel, leash}, 2);
    if (!ready.reply.rc)
        ready.reply.rc = sock_diag_open(&init->diag, &ready.reply.error);
    if (!ready.reply.rc) {
        init->children_fd = children_watch(&ready.reply.error);
        ready.reply.rc = init->children_fd < 0 ? init->children_fd : 0;
    }
    if (!ready.reply.rc)
        mount_all(plan, &ready.limits);
    if (message_send(channel, &ready, sizeof ready, NULL, 0) || ready.reply.rc)
        _exit(1);
    init->plan = plan;
    init->host = host;
    init->plain = namespaces->plain;
    init->channel = channel;
    init_run(init, leash);
}

pid_t init_start(const struct lab_plan *plan, enum lab_host host,
                 const struct namespaces *namespaces, int *channel, int *leash,
                 struct lab_limits *limits, struct error *error)
{
    struct supervisor_ready ready;
    int pair[2], leashes[2];

    int rc = message_pair(pair, error);
    if (rc)
        return rc;
    if (pipe2(leashes, O_CLOEXEC)) {
        rc = error_sys(error, errno, "pipe");
        close(pair[0]);
        close(pair[1]);
        return rc;
    }
    pid_t pid = namespace_fork(CLONE_NEWPID | CLONE_NEWNS, error);
    if (!pid)
        init_main(plan, host, namespaces, pair[1], leashes[0]);
    if (pid < 0)
        error_add(error, "PID and mount namespaces");
    close(pair[1]);
    close(leashes[0]);
    rc = pid < 0 ? pid
                 : message_receive_first(pair[0], &ready, sizeof ready, NULL, NULL,
                                         LAB_CALL_LIMIT_NS, "the init", error);
    if (!rc)
        rc = reply_rc(&ready.reply, error);
    if (rc) {
        /* Without its leash it ends; the supervisor is on its way out and reaps. */
        close(pair[0]);
        close(leashes[1]);
        error_add(error, "%s", lab_host_name(host));
        return rc;
    }
    limits->nameless |= ready.limits.nameless;
    if (*ready.limits.notes)
        lab_note(limits, "%s", ready.limits.notes);
    *channel = pair[0];
    *leash = leashes[1];
    return pid;
}
