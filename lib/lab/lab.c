/* The caller's side of a lab: what it asks of the supervisor, the inits and the wire. */
#include "base/cleanup.h"
#include "base/wait.h"
#include "lab/handle.h"
#include "trace/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MTU_MIN_V4       68
#define MTU_MIN_V6       1280
#define MTU_MAX          65535
#define OWN_TRACE_EVENTS (1u << 18)

static int check(const struct lab_config *config, struct error *error)
{
    const struct lab_link *link = &config->link;
    bool ipv6 = config->ipv6 || !config->ipv4;
    int mtu_min = ipv6 ? MTU_MIN_V6 : MTU_MIN_V4;

    if (link->delay_ns < 0 || link->rate_bytes_per_sec < 0)
        return error_set(error, EINVAL, "the delay and the rate of a link must not be negative");
    if (link->mtu_bytes && (link->mtu_bytes < mtu_min || link->mtu_bytes > MTU_MAX))
        return error_set(error, EINVAL, "an MTU of %d: %s needs %d to %d", link->mtu_bytes,
                         ipv6 ? "IPv6" : "IPv4", mtu_min, MTU_MAX);
    if (config->pcap_path && strlen(config->pcap_path) >= LAB_PATH_MAX)
        return error_set(error, ENAMETOOLONG, "the capture file's name is too long");
    for (int host = 0; host < LAB_HOSTS; host++)
        for (size_t i = 0; i < config->host[host].sysctls_count; i++) {
            const struct lab_sysctl *sysctl = &config->host[host].sysctls[i];
            int rc = !sysctl->name || !sysctl->value
                         ? error_set(error, EINVAL, "a setting without name or value")
                         : sysctl_check_name(sysctl->name, error);
            if (rc)
                return rc;
        }
    return 0;
}

/* The lab's processes are forked with this, so the caller's strings need no copy of theirs, but the
 * array they hang on may be on a stack that the role functions run over. */
static int plan_from(struct lab *lab, const struct lab_config *config, struct error *error)
{
    struct lab_plan *plan = &lab->plan;

    *plan = (struct lab_plan){
        .link = config->link,
        .host = {config->host[0], config->host[1]},
        .ipv4 = config->ipv4 || !config->ipv6,
        .ipv6 = config->ipv6 || !config->ipv4,
        .resolve_neighbours = config->resolve_neighbours,
        .no_states = config->no_states,
        .seed = config->seed,
        .rights = config->rights,
        .trace = config->trace,
    };
    if (config->pcap_path)
        snprintf(plan->pcap_path, sizeof plan->pcap_path, "%s", config->pcap_path);
    privilege_user_of(&plan->wire_user, &config->pcap_path, 1);
    plan->shared =
        mmap(NULL, sizeof *plan->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (plan->shared == MAP_FAILED) {
        plan->shared = NULL;
        return error_sys(error, errno, "shared memory");
    }
    /* Conditions are asked of the trace, so there always is one. */
    if (!plan->trace) {
        int rc = trace_open(&lab->own_trace, OWN_TRACE_EVENTS, error);
        if (rc)
            return rc;
        plan->trace = lab->own_trace;
    }
    plan->first_event = trace_reserved(plan->trace);
    return 0;
}

static int fork_supervisor(struct lab *lab, struct error *error)
{
    int pair[2];
    int rc = message_pair(pair, error);

    if (rc)
        return rc;
    lab->supervisor_pid = fork();
    if (!lab->supervisor_pid)
        supervisor_run(&lab->plan, pair[1]);
    close(pair[1]);
    lab->supervisor = pair[0];
    return lab->supervisor_pid < 0 ? error_sys(error, errno, "fork") : 0;
}

static int receive_ready(struct lab *lab, struct error *error)
{
    struct supervisor_ready ready;
    int fds[READY_FDS];
    size_t fds_count = READY_FDS;
    /* Its own steps have bounds. */
    int rc = message_receive_first(lab->supervisor, &ready, sizeof ready, fds, &fds_count,
                                   5 * LAB_CALL_LIMIT_NS, "the supervisor", error);

    if (!rc)
        rc = reply_rc(&ready.reply, error);
    if (rc)
        return rc;
    lab->host[LAB_CLIENT] = fds[READY_CLIENT];
    lab->host[LAB_SERVER] = fds[READY_SERVER];
    lab->wire = fds[READY_WIRE];
    lab->limits = ready.limits;
    return 0;
}

static int open_lab(const struct lab_config *config, struct lab **out, struct error *error)
{
    struct lab *lab = calloc(1, sizeof *lab);

    if (!lab)
        return error_sys(error, ENOMEM, "lab");
    lab->supervisor = lab->wire = lab->host[0] = lab->host[1] = -1;
    lab->supervisor_pid = -1;
    int rc = plan_from(lab, config, error);
    if (!rc)
        rc = fork_supervisor(lab, error);
    if (!rc)
        rc = receive_ready(lab, error);
    if (rc) {
        lab_close(lab, NULL);
        return rc;
    }
    *out = lab;
    return 0;
}

int lab_open(const struct lab_config *config, struct lab **out, struct error *error)
{
    int rc = check(config, error);

    if (rc)
        return rc;
    rc = open_lab(config, out, error);
    if (rc)
        error_add(error, "cannot open the lab");
    return rc;
}

int lab_possible(char *notes, size_t size_bytes, struct error *error)
{
    struct lab *lab;
    int rc = open_lab(&(struct lab_config){0}, &lab, error);

    if (rc)
        return rc;
    if (notes)
        snprintf(notes, size_bytes, "%s", lab->limits.notes);
    lab_close(lab, NULL);
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void lab_close(struct lab *lab, struct lab_stats *out)
{
    if (!lab)
        return;
    struct wire_request request = {.op = WIRE_FINISH};
    if (lab->wire >= 0 && wire_call(lab, &request, NULL))
        atomic_fetch_add(&lab->plan.shared->lost, 1);
    while (lab->processes)
        process_release(lab->processes);
    close_fd(&lab->supervisor);
    close_fd(&lab->host[LAB_CLIENT]);
    close_fd(&lab->host[LAB_SERVER]);
    close_fd(&lab->wire);
    while (lab->supervisor_pid > 0 && waitpid(lab->supervisor_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    /* Of a run that never began; the wire may remove no file any more. */
    if (lab->plan.shared && lab->plan.shared->pcap_created && !lab->plan.shared->begun)
        unlink(lab->plan.pcap_path);
    if (out && lab->plan.shared)
        lab_stats(lab, out);
    if (lab->plan.shared)
        munmap(lab->plan.shared, sizeof *lab->plan.shared);
    trace_close(lab->own_trace);
    free(lab);
}

void lab_stats(const struct lab *lab, struct lab_stats *out)
{
    const struct lab_shared *shared = lab->plan.shared;

    *out = (struct lab_stats){
        .seen = shared->seen,
        .delivered = shared->delivered,
        .dropped = shared->dropped,
        .answered = shared->answered,
        .lost = shared->lost,
        .late_max_ns = shared->late_max_ns,
        .trace_lost = lab->plan.trace ? trace_dropped(lab->plan.trace) : 0,
        .pcap = shared->pcap,
    };
}

bool lab_wire_died(const struct lab *lab)
{
    struct pollfd pfd = {.fd = lab->wire};

    return poll(&pfd, 1, 0) > 0;
}

const char *lab_notes(const struct lab *lab)
{
    return lab->limits.notes;
}

bool lab_has_names(const struct lab *lab)
{
    return !lab->limits.nameless;
}

/* ---- What the inits do for the caller ---- */

static int listening(struct lab *lab, enum lab_host host, int family, uint16_t port,
                     struct error *error)
{
    struct init_request request = {.op = INIT_LISTENING,
                                   .listening = {.family = family, .port = port}};
    return message_call(lab->host[host], &request, sizeof request, NULL, 0, NULL, 0, error);
}

int lab_listening_port(struct lab *lab, enum lab_host host, struct error *error)
{
    return listening(lab, host, AF_UNSPEC, 0, error);
}

int lab_wait_listen(struct lab *lab, enum lab_host host, int family, uint16_t port,
                    int64_t timeout_ns, struct error *error)
{
    int rc;

    if (!wait_until((rc = listening(lab, host, family, port, error)) != -ENOENT,
                    clock_mono_ns() + timeout_ns))
        return error_set(error, ETIMEDOUT, "nothing listens on port %u of the %s", port,
                         lab_host_name(host));
    return rc > 0 ? 0 : rc;
}

/* ---- What the wire does for the caller ---- */

int wire_call(struct lab *lab, const struct wire_request *request, struct error *error)
{
    return message_call(lab->wire, request, sizeof *request, NULL, 0, NULL, 0, error);
}

int lab_cut(struct lab *lab, struct error *error)
{
    return wire_call(lab, &(struct wire_request){.op = WIRE_CUT}, error);
}

int lab_restore(struct lab *lab, struct error *error)
{
    return wire_call(lab, &(struct wire_request){.op = WIRE_RESTORE}, error);
}

int lab_set(struct lab *lab, enum lab_host host, const char *name, const char *value,
            struct error *error)
{
    struct supervisor_request request = {.host = host};
    int rc = sysctl_check_name(name, error);

    if (rc)
        return rc;
    if (strlen(name) >= sizeof request.name || strlen(value) >= sizeof request.value)
        return error_set(error, ENAMETOOLONG, "the setting %.40s is too long", name);
    snprintf(request.name, sizeof request.name, "%s", name);
    snprintf(request.value, sizeof request.value, "%s", value);
    return message_call(lab->supervisor, &request, sizeof request, NULL, 0, NULL, 0, error);
}

static int reboot_host(struct lab *lab, enum lab_host host, struct error *error)
{
    struct supervisor_request request = {.host = host};
    struct wire_request moved = {.op = WIRE_HOST, .host = host};
    int fds[REBOOT_FDS];

    /* The old init ends when its channel does, and its processes then say FIN: not before the
     * supervisor has taken the device away. */
    int rc =
        message_call(lab->supervisor, &request, sizeof request, NULL, 0, fds, REBOOT_FDS, error);
    close_fd(&lab->host[host]);
    lab->boots[host]++;
    if (rc)
        return rc;
    lab->host[host] = fds[REBOOT_INIT];
    rc = message_call(lab->wire, &moved, sizeof moved, &fds[REBOOT_LINK], REBOOT_FDS - REBOOT_LINK,
                      NULL, 0, error);
    close(fds[REBOOT_LINK]);
    close(fds[REBOOT_STATES]);
    return rc;
}

int lab_reboot(struct lab *lab, enum lab_host host, const struct lab_program *service,
               uint16_t listen_port, int64_t timeout_ns, struct lab_process **out,
               struct error *error)
{
    struct lab_process *process = NULL;
    int rc = lab_cut(lab, error);

    if (!rc)
        rc = reboot_host(lab, host, error);
    if (!rc && service)
        rc = lab_start(lab, host, service, &process, error);
    if (!rc && listen_port)
        rc = lab_wait_listen(lab, host, AF_UNSPEC, listen_port, timeout_ns, error);
    if (!rc)
        rc = lab_restore(lab, error);
    if (rc) {
        lab_process_free(process);
        return rc;
    }
    if (out)
        *out = process;
    return 0;
}
