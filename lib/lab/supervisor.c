/* The supervisor: parent of everything in a lab, single-threaded from its first to its last moment.
 *
 * It builds the namespaces, starts the wire and the inits, reboots hosts, and then waits for the
 * end: the caller's channel closed, for whatever reason. Then it kills the inits (and with them all
 * in their PID namespaces), destroys the sockets that are left as orphans, since each keeps its
 * namespace alive, lets the wire finish its files, and exits.
 *
 * It runs in a process group of its own, so that Ctrl-C reaches the caller alone, who decides. */
#include "base/cleanup.h"
#include "base/wait.h"
#include "lab/internal.h"
#include "netkit/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define WIRE_GRACE_NS (2 * NS_PER_SEC)
#define MTU_DEFAULT   1500

struct boot {
    pid_t init;
    int leash;
    int channel; /* the caller's end, until it is handed over */
    struct sock_diag *list, *destroy;
};

struct supervisor {
    const struct lab_plan *plan;
    int channel;
    struct namespaces namespaces;
    struct link_socket *link; /* in the wire's namespace */
    struct boot boot[LAB_HOSTS];
    pid_t wire;
    int wire_channel, wire_leash;
    int children_fd;
    struct lab_limits limits;
};

/* ---- Hosts ---- */

static int configure_host(struct supervisor *s, enum lab_host host, struct error *error)
{
    struct boot *boot = &s->boot[host];
    int rc = namespace_go(s->namespaces.host[host], error);

    if (!rc)
        rc = host_configure(s->plan, host, error);
    if (!rc)
        rc = sock_diag_open(&boot->list, error);
    if (!rc)
        rc = sock_diag_open(&boot->destroy, error);
    int back = namespace_go(s->namespaces.wire, rc ? NULL : error);
    if (!rc)
        rc = back;
    if (rc)
        return rc;
    rc = link_wait(s->link, lab_wire_device(host), error);
    if (rc)
        return rc;
    boot->init =
        init_start(s->plan, host, &s->namespaces, &boot->channel, &boot->leash, &s->limits, error);
    return boot->init < 0 ? namespace_explain(error) : 0;
}

static int prepare_host(struct supervisor *s, enum lab_host host, struct error *error)
{
    int rc = namespace_go(s->namespaces.host[host], error);

    if (!rc) {
        sysctl_pin_host(s->plan, &s->limits);
        rc = namespace_go(s->namespaces.wire, error);
    }
    return rc;
}

static int destroy_one(void *context, const struct sock_diag_entry *entry)
{
    sock_diag_destroy(context, entry, NULL);
    return 0;
}

/* Waiting for the init means waiting for all of its namespace: the kernel reaps them first. */
static void end_boot(struct boot *boot)
{
    if (boot->init > 0) {
        kill(boot->init, SIGKILL);
        while (waitpid(boot->init, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (boot->list && boot->destroy)
        sock_diag_list(boot->list, &(struct sock_diag_filter){0}, destroy_one, boot->destroy, NULL);
    sock_diag_close(boot->list);
    sock_diag_close(boot->destroy);
    if (boot->leash >= 0)
        close(boot->leash);
    *boot = (struct boot){.init = -1, .leash = -1, .channel = -1};
}

/* The device moves with its MAC; its addresses and neighbours stay behind and are given anew. */
static int replace_namespace(struct supervisor *s, enum lab_host host, struct error *error)
{
    cleanup(link) struct link_socket *old = NULL;
    cleanup(fd) int fresh = namespace_new(s->namespaces.wire, error);
    int rc = fresh < 0 ? fresh : namespace_go(s->namespaces.host[host], error);

    if (!rc)
        rc = link_open(&old, error);
    int back = namespace_go(s->namespaces.wire, rc ? NULL : error);
    if (!rc)
        rc = back;
    if (rc)
        return rc;
    int fd = s->namespaces.host[host];
    s->namespaces.host[host] = take_fd(&fresh);
    rc = prepare_host(s, host, error);
    if (!rc)
        rc = link_move(old, LAB_DEVICE, s->namespaces.host[host], error);
    close(fd);
    return rc;
}

/* The device goes before the processes die: a host without power says nothing, not even FIN. */
static int reboot(struct supervisor *s, enum lab_host host, struct error *error)
{
    int rc = replace_namespace(s, host, error);

    end_boot(&s->boot[host]);
    if (!rc)
        rc = configure_host(s, host, error);
    return rc ? error_add(error, "reboot") : 0;
}

/* ---- The wire ---- */

static int add_link(struct supervisor *s, enum lab_host host, struct error *error)
{
    const char *device = lab_wire_device(host);
    int mtu = s->plan->link.mtu_bytes ? s->plan->link.mtu_bytes : MTU_DEFAULT;
    int rc = link_add_pair(s->link, device, host, s->namespaces.host[host], mtu, error);

    if (!rc)
        rc = link_offloads_off(device, error);
    if (!rc)
        link_keep_order(s->link, device);
    return rc ? rc : link_up(s->link, device, error);
}

static int start_wire(struct supervisor *s, struct error *error)
{
    int pair[2], leash[2];
    int rc = message_pair(pair, error);

    if (rc)
        return rc;
    if (pipe2(leash, O_CLOEXEC))
        return error_sys(error, errno, "pipe");
    s->wire = fork();
    if (!s->wire) {
        const struct namespaces *n = &s->namespaces;
        int keep[] = {pair[1], leash[0], n->wire, n->host[LAB_CLIENT], n->host[LAB_SERVER]};
        descriptors_keep(keep, ARRAY_SIZE(keep));
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "netkit-wire");
        wire_run(s->plan, n, pair[1], leash[0]);
    }
    close(pair[1]);
    close(leash[0]);
    if (s->wire < 0)
        return error_sys(error, errno, "fork");
    s->wire_channel = pair[0];
    s->wire_leash = leash[1];
    return 0;
}

static int wait_for_wire(struct supervisor *s, struct error *error)
{
    struct reply reply;
    int rc = message_receive_first(s->wire_channel, &reply, sizeof reply, NULL, NULL,
                                   LAB_CALL_LIMIT_NS, "the wire", error);
    return rc ? rc : reply_rc(&reply, error);
}

/* ---- Beginning and end ---- */

static int build(struct supervisor *s, struct error *error)
{
    int rc = namespaces_enter(&s->namespaces, error);

    if (!rc) {
        sysctl_pin_wire();
        rc = link_open(&s->link, error);
    }
    for (int host = 0; !rc && host < LAB_HOSTS; host++) {
        rc = prepare_host(s, host, error);
        if (!rc)
            rc = add_link(s, host, error);
    }
    if (rc)
        return namespace_explain(error);
    rc = start_wire(s, error);
    /* The wire opens its captures meanwhile, which takes longest. */
    for (int host = 0; !rc && host < LAB_HOSTS; host++)
        rc = configure_host(s, host, error);
    return rc ? rc : wait_for_wire(s, error);
}

static void end_wire(struct supervisor *s)
{
    if (s->wire <= 0)
        return;
    if (s->wire_leash >= 0)
        close(s->wire_leash);
    if (s->wire_channel >= 0)
        close(s->wire_channel);
    if (wait_until(waitpid(s->wire, NULL, WNOHANG), clock_mono_ns() + WIRE_GRACE_NS))
        return;
    kill(s->wire, SIGKILL);
    waitpid(s->wire, NULL, 0);
}

static _Noreturn void supervisor_finish(struct supervisor *s)
{
    for (int host = 0; host < LAB_HOSTS; host++)
        end_boot(&s->boot[host]);
    end_wire(s);
    _exit(0);
}

/* The wire has no right any more to go into a namespace. */
static int open_for_wire(struct supervisor *s, enum lab_host host, struct link_socket **link,
                         struct sock_diag **states, struct error *error)
{
    int rc = namespace_go(s->namespaces.host[host], error);

    if (!rc)
        rc = link_open(link, error);
    if (!rc)
        rc = sock_diag_open(states, error);
    int back = namespace_go(s->namespaces.wire, rc ? NULL : error);
    return rc ? rc : back;
}

static int set_setting(struct supervisor *s, const struct supervisor_request *request,
                       struct error *error)
{
    int rc = namespace_go(s->namespaces.host[request->host], error);

    if (!rc)
        rc = sysctl_set(request->name, request->value, error);
    int back = namespace_go(s->namespaces.wire, rc ? NULL : error);
    return rc ? rc : back;
}

static void handle_reboot(struct supervisor *s, const struct supervisor_request *request)
{
    struct boot *boot = &s->boot[request->host];
    struct error error = {0};
    int rc = reboot(s, request->host, &error);
    cleanup(link) struct link_socket *link = NULL;
    struct sock_diag *states = NULL;

    if (!rc)
        rc = open_for_wire(s, request->host, &link, &states, &error);
    const int fds[REBOOT_FDS] = {[REBOOT_INIT] = boot->channel,
                                 [REBOOT_LINK] = rc ? -1 : link_fd(link),
                                 [REBOOT_STATES] = rc ? -1 : sock_diag_fd(states)};
    message_reply(s->channel, rc, &error, fds, rc ? 0 : REBOOT_FDS);
    sock_diag_close(states);
    if (!rc)
        close(take_fd(&boot->channel));
}

static void handle(struct supervisor *s, const struct supervisor_request *request)
{
    struct error error = {0};

    if (!*request->name) {
        handle_reboot(s, request);
        return;
    }
    int rc = set_setting(s, request, &error);
    message_reply(s->channel, rc, &error, NULL, 0);
}

static void wire_may_have_died(struct supervisor *s)
{
    int status;

    if (s->wire > 0 && waitpid(s->wire, &status, WNOHANG) == s->wire) {
        s->wire = -1;
        if (status)
            atomic_fetch_add(&s->plan->shared->lost, 1);
    }
}

static _Noreturn void serve(struct supervisor *s)
{
    struct pollfd polled[] = {{.fd = s->channel, .events = POLLIN},
                              {.fd = s->children_fd, .events = POLLIN}};

    for (;;) {
        struct supervisor_request request;
        if (poll(polled, ARRAY_SIZE(polled), -1) < 0 && errno != EINTR)
            supervisor_finish(s);
        if (polled[0].revents) {
            ssize_t got = message_receive(s->channel, &request, sizeof request, NULL, NULL, 0);
            if (got == sizeof request)
                handle(s, &request);
            else if (got != -ETIMEDOUT)
                supervisor_finish(s);
        }
        if (polled[1].revents) {
            children_seen(polled[1].fd);
            wire_may_have_died(s);
        }
    }
}

static void own_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU};

    signals_default();
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        signal(ignored[i], SIG_IGN);
    setpgid(0, 0);
}

_Noreturn void supervisor_run(const struct lab_plan *plan, int channel)
{
    struct supervisor s = {
        .plan = plan,
        .channel = channel,
        .namespaces = {-1, {-1, -1}, false},
        .boot = {{.init = -1, .leash = -1, .channel = -1},
                 {.init = -1, .leash = -1, .channel = -1}},
        .wire = -1,
        .wire_channel = -1,
        .wire_leash = -1,
        .children_fd = -1,
    };
    struct supervisor_ready ready = {0};

    own_signals();
    prctl(PR_SET_NAME, "netkit-lab");
    descriptors_keep(&channel, 1);
    s.children_fd = children_watch(&ready.reply.error);
    ready.reply.rc =
        s.children_fd < 0 ? namespace_explain(&ready.reply.error) : build(&s, &ready.reply.error);
    ready.limits = s.limits;
    int fds[READY_FDS] = {[READY_CLIENT] = s.boot[LAB_CLIENT].channel,
                          [READY_SERVER] = s.boot[LAB_SERVER].channel,
                          [READY_WIRE] = s.wire_channel};
    if (message_send(channel, &ready, sizeof ready, fds, ready.reply.rc ? 0 : READY_FDS) ||
        ready.reply.rc)
        supervisor_finish(&s);
    for (int i = 0; i < READY_FDS; i++)
        close(fds[i]);
    s.boot[LAB_CLIENT].channel = s.boot[LAB_SERVER].channel = s.wire_channel = -1;
    serve(&s);
}
