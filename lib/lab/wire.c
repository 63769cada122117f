/* The wire: a process that forwards every frame between the hosts by hand.
 *
 * It is a process, not a thread of the supervisor, so that the supervisor stays single-threaded and
 * can fork the init of a rebooted host; nothing in it is shared but counters and the trace.
 *
 * Packets of both sides are taken in the order of their stamps: with one waiting on each side, the
 * older goes first, so that the trace and the capture file tell causes before effects. The one
 * timer is set to whatever is due next. */
#include "lab/wire.h"
#include "base/cleanup.h"
#include "base/sandbox.h"
#include "netkit/sock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* More slots than a window of tcp_rmem's maximum can have packets under way (sysctl.c pins that; a
 * packet costs the receiving socket at least 768 bytes), and that for both directions of a few
 * connections. */
#define RING_SLOTS      8192u
#define RING_SLOTS_MIN  512u
#define SLOT_MIN        2048u
#define SLOT_HEADER     128u
#define LINK_HEADER_MAX 32
#define MTU_DEFAULT     1500
#define LO_RING_BYTES   (2u << 20)
#define BATCH           64
#define SLACK_NS        1
#define CLOCK_STEP_NS   (1 * NS_PER_SEC)

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static int watch(struct wire *wire, int fd, struct error *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(wire->epoll, EPOLL_CTL_ADD, fd, &event) ? error_sys(error, errno, "epoll") : 0;
}

/* ---- Opening ---- */

/* Said aloud, because libpcap sizes the slots of a device that merges packets for 64 KiB. */
static uint32_t snap_len(const struct lab_plan *plan)
{
    return (uint32_t)(plan->link.mtu_bytes ? plan->link.mtu_bytes : MTU_DEFAULT) + LINK_HEADER_MAX;
}

/* Slots are powers of two, header included. Larger packets need fewer slots for the same window,
 * but not fewer bytes. */
static uint32_t ring_bytes(const struct lab_plan *plan)
{
    uint64_t slot = SLOT_MIN, slots = RING_SLOTS;

    while (slot < snap_len(plan) + SLOT_HEADER) {
        slot *= 2;
        slots /= 2;
    }
    return (uint32_t)((slots > RING_SLOTS_MIN ? slots : RING_SLOTS_MIN) * slot);
}

static int open_port(struct wire *wire, enum lab_host host, struct error *error)
{
    struct capture_live live = {
        .device = lab_wire_device(host),
        .snap_len = snap_len(wire->plan),
        .ring_bytes = ring_bytes(wire->plan),
        .direction = CAPTURE_IN,
    };
    int on = 1;
    int rc = capture_open_live(&wire->port[host], &live, error);

    if (rc)
        return rc;
    /* Linux 4.20; before it what the wire injects takes a slot and a wake-up, and is filtered. */
    setsockopt(capture_fd(wire->port[host]), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    return watch(wire, capture_fd(wire->port[host]), error);
}

/* What the wire looks at in a host's namespace. A host that boots anew is no longer captured on its
 * loopback: that would take rights. */
static void attach(struct wire *wire, enum lab_host host, struct link_socket *link,
                   struct sock_diag *states)
{
    sock_sampler_attach(wire->sampler, host, states);
    link_close(wire->links[host]);
    wire->links[host] = link;
    link_drops(link, LAB_DEVICE, &wire->drops_before[host]);
    capture_close(wire->loopback[host]);
    wire->loopback[host] = NULL;
}

static int attach_sent(struct wire *wire, enum lab_host host, const int fds[], size_t fds_count,
                       struct error *error)
{
    struct link_socket *link = NULL;
    struct sock_diag *states = NULL;

    if (fds_count != REBOOT_FDS - REBOOT_LINK)
        return error_set(error, EPROTO, "a host without its sockets");
    int rc = link_adopt(&link, fds[0], error);
    if (rc)
        close(fds[0]);
    else
        rc = sock_diag_adopt(&states, fds[1], error);
    if (rc) {
        close(fds[1]);
        link_close(link);
        return rc;
    }
    attach(wire, host, link, states);
    return 0;
}

static int capture_loopback(struct wire *wire, enum lab_host host, struct error *error)
{
    static const struct capture_live live = {
        .device = "lo", .ring_bytes = LO_RING_BYTES, .direction = CAPTURE_IN};
    /* The supervisor configures the host meanwhile, and may not have come to it yet. */
    int rc = link_up(wire->links[host], live.device, error);

    if (!rc)
        rc = capture_open_live(&wire->loopback[host], &live, error);
    return rc ? rc : watch(wire, capture_fd(wire->loopback[host]), error);
}

static int attach_new(struct wire *wire, enum lab_host host, int namespace, struct error *error)
{
    struct link_socket *link = NULL;
    struct sock_diag *states = NULL;
    int rc = namespace_go(namespace, error);

    if (!rc)
        rc = link_open(&link, error);
    if (!rc)
        rc = sock_diag_open(&states, error);
    if (rc) {
        link_close(link);
    } else {
        attach(wire, host, link, states);
        if (wire->plan->host[host].capture_lo)
            rc = capture_loopback(wire, host, error);
    }
    int back = namespace_go(wire->own_namespace, rc ? NULL : error);
    return rc ? rc : back;
}

static int open_file(struct wire *wire, struct error *error)
{
    const char *path = wire->plan->pcap_path;

    int rc = *path ? capture_writer_open(&wire->writer, path, PACKET_LINK_ETHERNET, error) : 0;

    wire->shared->pcap_created = wire->writer && capture_writer_is_new(wire->writer);
    return rc;
}

/* The file belongs to the user for whom this runs, if there is one. */
static int give_up_rights(struct wire *wire, bool plain, struct error *error)
{
    const struct privilege_user *user = plain ? &wire->plan->wire_user : NULL;
    bool becomes = user && user->uid;
    int rc = becomes ? 0 : open_file(wire, error);

    if (!rc)
        rc = privilege_drop(user, 0, error);
    /* Another user's process has lost that. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return rc || !becomes ? rc : open_file(wire, error);
}

static int open_all(struct wire *wire, const struct namespaces *namespaces, struct error *error)
{
    wire->epoll = epoll_create1(EPOLL_CLOEXEC);
    wire->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (wire->epoll < 0 || wire->timer < 0)
        return error_sys(error, errno, "epoll and timer");
    int rc = sock_sampler_open(&wire->sampler, wire->plan, error);
    for (int host = 0; !rc && host < LAB_HOSTS; host++)
        rc = open_port(wire, host, error);
    for (int host = 0; !rc && host < LAB_HOSTS; host++)
        rc = attach_new(wire, host, namespaces->host[host], error);
    close(namespaces->host[LAB_CLIENT]);
    close(namespaces->host[LAB_SERVER]);
    close(namespaces->wire);
    if (!rc)
        rc = give_up_rights(wire, namespaces->plain, error);
    const int fds[] = {wire->timer, wire->channel, wire->leash};
    for (size_t i = 0; !rc && i < ARRAY_SIZE(fds); i++)
        rc = watch(wire, fds[i], error);
    if (!rc)
        rc = sandbox_enter(SANDBOX_WIRE, error);
    return rc ? error_add(error, "cannot open the wire") : 0;
}

/* ---- The end ---- */

/* Besides the rings, a device can drop: the host's, when its queue or its peer's is full. */
static void check_losses(struct wire *wire)
{
    for (int host = 0; host < LAB_HOSTS; host++) {
        uint64_t drops;
        if (!link_drops(wire->links[host], LAB_DEVICE, &drops) && drops > wire->drops_before[host])
            wire->shared->lost += drops - wire->drops_before[host];
    }
    for (int host = 0; host < LAB_HOSTS; host++) {
        struct capture_stats stats = {0};
        if (wire->port[host] && !capture_get_stats(wire->port[host], &stats, NULL))
            wire->shared->lost += stats.dropped + stats.device_dropped;
        stats = (struct capture_stats){0};
        if (wire->loopback[host] && !capture_get_stats(wire->loopback[host], &stats, NULL))
            wire->shared->lost += stats.dropped + stats.device_dropped;
    }
}

static void wire_finish(struct wire *wire)
{
    if (wire->finished)
        return;
    wire->finished = true;
    sock_sampler_last(wire->sampler);
    check_losses(wire);
    if (wire->shared->begun)
        capture_writer_close(wire->writer, &wire->shared->pcap);
    else
        capture_writer_drop(wire->writer);
    wire->writer = NULL;
}

/* ---- Requests ---- */

static struct rule *rule_of(struct wire *wire, int64_t number)
{
    if (number < 1 || number > wire->rules_count || !wire->rules[number - 1].used)
        return NULL;
    return &wire->rules[number - 1];
}

static int add_rule(struct wire *wire, const struct lab_fault *fault, const void *program,
                    size_t program_bytes, struct error *error)
{
    struct capture_filter *filter = NULL;

    if (wire->rules_count == LAB_FAULTS_MAX)
        return error_set(error, EINVAL, "a lab takes at most %d faults", LAB_FAULTS_MAX);
    uint32_t number = wire->rules_count + 1;
    int rc =
        program_bytes ? capture_filter_from_program(&filter, program, program_bytes, error) : 0;
    if (!rc)
        rc = rule_init(&wire->rules[number - 1], fault, filter, number, wire, error);
    if (rc)
        return rc;
    wire->rules_count = number;
    return (int)number;
}

/* What came in wire->message. */
static int handle(struct wire *wire, size_t len_bytes, const int fds[], size_t fds_count,
                  struct error *error)
{
    const struct wire_request *request = (const void *)wire->message;
    struct rule *rule;

    switch (request->op) {
    case WIRE_CUT:
        wire->cut = true;
        wire_drop_all(wire);
        return 0;
    case WIRE_RESTORE:
        wire->cut = false;
        return 0;
    case WIRE_FAULT_ADD:
        return add_rule(wire, &request->fault, wire->message + sizeof *request,
                        len_bytes - sizeof *request, error);
    case WIRE_FAULT_REMOVE:
    case WIRE_FAULT_RELEASE:
        rule = rule_of(wire, request->number);
        if (!rule)
            return error_set(error, ENOENT, "there is no fault %d", (int)request->number);
        wire_release(wire, rule);
        if (request->op == WIRE_FAULT_REMOVE)
            rule_end(rule);
        wire_due(wire, clock_mono_ns());
        return 0;
    case WIRE_HOST:
        return attach_sent(wire, request->host, fds, fds_count, error);
    case WIRE_FINISH:
        wire_finish(wire);
        return 0;
    }
    return error_set(error, EPROTO, "an unknown request");
}

/* Whatever arrived before the request is dealt with before it: a fault acts on what comes after. */
static void drain(struct wire *wire);

static void serve(struct wire *wire)
{
    struct error error = {0};
    int fds[2];
    size_t fds_count = ARRAY_SIZE(fds);
    ssize_t got =
        message_receive(wire->channel, wire->message, sizeof wire->message, fds, &fds_count, 0);

    if (got == -ETIMEDOUT)
        return;
    if (got < (ssize_t)sizeof(struct wire_request)) {
        wire_finish(wire);
        return;
    }
    drain(wire);
    int rc = handle(wire, (size_t)got, fds, fds_count, &error);
    message_reply(wire->channel, rc, &error, NULL, 0);
}

/* ---- Forwarding ---- */

struct pending {
    bool there;
    struct capture_packet packet;
};

static void next_packet(struct wire *wire, enum lab_host host, struct pending *pending)
{
    int rc = 0;

    if (pending->there)
        return;
    do
        rc = capture_next(wire->port[host], &pending->packet, NULL);
    while (rc == -EINTR);
    pending->there = rc > 0;
}

/* A packet that was stamped on one CPU can come into sight after a younger one of the other side.
 * What the wire dealt with first is told first, in the trace and in the capture. A clock that was
 * set back is another matter. */
static void tell_in_order(struct wire *wire, struct capture_packet *packet)
{
    int64_t last_ns = wire->last_real_ns;

    if (packet->real_ns == CLOCK_NONE)
        return;
    if (packet->real_ns <= last_ns && packet->real_ns > last_ns - CLOCK_STEP_NS)
        packet->real_ns = last_ns + 1;
    wire->last_real_ns = packet->real_ns;
}

/* Takes at most `limit` packets; returns how many. One that was looked at is always taken. */
static int forward(struct wire *wire, int limit)
{
    struct pending pending[LAB_HOSTS] = {0};
    int taken = 0;

    for (;;) {
        if (taken < limit)
            for (int host = 0; host < LAB_HOSTS; host++)
                next_packet(wire, host, &pending[host]);
        if (!pending[0].there && !pending[1].there)
            return taken;
        int from = !pending[0].there ||
                   (pending[1].there && pending[1].packet.real_ns < pending[0].packet.real_ns);
        wire_due(wire, clock_mono_ns());
        tell_in_order(wire, &pending[from].packet);
        wire_arrived(wire, from, &pending[from].packet);
        pending[from].there = false;
        taken++;
    }
}

static void drain(struct wire *wire)
{
    while (forward(wire, BATCH))
        ;
}

static void observe(struct wire *wire)
{
    for (int host = 0; host < LAB_HOSTS; host++) {
        struct capture_packet packet;
        while (wire->loopback[host] && capture_next(wire->loopback[host], &packet, NULL) > 0)
            wire_observed(wire, host, &packet);
    }
}

/* Returns how long to wait, as epoll_wait() takes it: for ever, as the timer rings; without a timer
 * what is due is looked for. */
static int set_timer(struct wire *wire, int64_t *set_ns)
{
    int64_t next_ns = wire_next_ns(wire);
    struct itimerspec spec = {0};

    if (next_ns == *set_ns)
        return -1;
    if (next_ns != INT64_MAX)
        spec.it_value = clock_to_timespec(next_ns > 0 ? next_ns : 1);
    if (timerfd_settime(wire->timer, TFD_TIMER_ABSTIME, &spec, NULL))
        return next_ns == INT64_MAX ? -1 : 1;
    *set_ns = next_ns;
    return -1;
}

static void run(struct wire *wire)
{
    int64_t timer_ns = INT64_MAX;

    while (!wire->finished) {
        struct epoll_event events[8];
        int n = epoll_wait(wire->epoll, events, ARRAY_SIZE(events), set_timer(wire, &timer_ns));
        bool asked = false;
        for (int i = 0; i < n; i++) {
            uint64_t expired;
            if (events[i].data.fd == wire->channel)
                asked = true;
            else if (events[i].data.fd == wire->leash)
                wire_finish(wire);
            else if (events[i].data.fd == wire->timer &&
                     read(wire->timer, &expired, sizeof expired) > 0)
                timer_ns = INT64_MAX;
        }
        forward(wire, BATCH);
        wire_due(wire, clock_mono_ns());
        observe(wire);
        if (asked && !wire->finished)
            serve(wire);
    }
}

_Noreturn void wire_run(const struct lab_plan *plan, const struct namespaces *namespaces,
                        int channel, int leash)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct error error = {0};
    int rc = -ENOMEM;

    prctl(PR_SET_TIMERSLACK, SLACK_NS);
    if (!wire) {
        error_sys(&error, ENOMEM, "wire");
    } else {
        wire->plan = plan;
        wire->shared = plan->shared;
        wire->trace = plan->trace;
        wire->first_event = plan->first_event;
        wire->channel = channel;
        wire->leash = leash;
        wire->own_namespace = namespaces->wire;
        wire->opened_ns = clock_mono_ns();
        wire->clocks = clock_pair_now();
        rc = open_all(wire, namespaces, &error);
    }
    message_reply(channel, rc, &error, NULL, 0);
    if (rc) {
        capture_writer_drop(wire ? wire->writer : NULL);
        _exit(1);
    }
    run(wire);
    _exit(0);
}
