/* Actors from the director's side: starting, telling, waiting, killing. */
#include "scenario/engine/agent.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "scenario/engine/agent_self.h"
#include "scenario/engine/testbed_internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Starting ---- */

static struct agent_start start_of(const struct testbed *bed, enum lab_host host)
{
    const struct scenario_request *request = bed->request;
    struct agent_start start = {
        .family = bed->family, .lab = bed->lab != NULL, .ports = bed->ports};

    for (size_t i = 0; i < request->option_count && start.option_count < AGENT_OPTIONS_MAX; i++)
        if (request->options[i].host == host)
            snprintf(start.options[start.option_count++].text, ACT_WORDS_MAX, "%s=%s",
                     request->options[i].name, request->options[i].value);
    return start;
}

/* On this machine itself: a child of the director. */
static void start_plain(struct agent *agent, const struct agent_start *start)
{
    struct testbed *bed = agent->bed;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        testbed_fail(bed, "socketpair: %s", strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (!pid) {
        struct lab_role role = {.host = agent->host,
                                .channel = pair[1],
                                .arg = start,
                                .arg_bytes = sizeof *start,
                                .trace = bed->trace};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        close(pair[0]);
        _exit(agent_main(&role));
    }
    close(pair[1]);
    if (pid < 0) {
        testbed_fail(bed, "fork: %s", strerror(errno));
        close(pair[0]);
        return;
    }
    agent->pid = pid;
    agent->channel = pair[0];
}

static void start_in_lab(struct agent *agent, const struct agent_start *start)
{
    struct testbed *bed = agent->bed;
    struct lab_program program = {.role = agent_main, .arg = start, .arg_bytes = sizeof *start};
    struct error error = {0};

    if (lab_start(bed->lab, agent->host, &program, &agent->process, &error)) {
        testbed_take_error(bed, &error, "starting a process");
        return;
    }
    agent->channel = lab_process_channel(agent->process);
}

struct agent *testbed_actor(struct testbed *bed, enum lab_host host)
{
    static struct agent nobody = {.channel = -1, .ended = true};
    struct agent *agent = arena_alloc(bed->arena, sizeof *agent);
    struct agent_start start = start_of(bed, host);

    if (!agent) {
        testbed_fail(bed, "out of memory");
        nobody.bed = bed;
        return &nobody;
    }
    *agent = (struct agent){.bed = bed, .host = host, .channel = -1, .next = bed->agents};
    bed->agents = agent;
    if (testbed_failed(bed))
        return agent;
    if (bed->lab)
        start_in_lab(agent, &start);
    else
        start_plain(agent, &start);
    return agent;
}

static struct agent *first_of(struct testbed *bed, enum lab_host host)
{
    if (!bed->first[host])
        bed->first[host] = testbed_actor(bed, host);
    return bed->first[host];
}

struct agent *testbed_client(struct testbed *bed)
{
    return first_of(bed, LAB_CLIENT);
}

struct agent *testbed_server(struct testbed *bed)
{
    return first_of(bed, LAB_SERVER);
}

void agents_free(struct testbed *bed)
{
    for (struct agent *agent = bed->agents; agent; agent = agent->next) {
        if (!agent->pid || agent->ended)
            continue;
        kill(agent->pid, SIGKILL);
        waitpid(agent->pid, NULL, 0);
        agent->ended = true;
    }
}

/* ---- Telling ---- */

void agent_begin(struct agent *agent, const struct act *act)
{
    struct testbed *bed = agent->bed;

    if (testbed_failed(bed))
        return;
    if (agent->busy) {
        testbed_fail(bed, "the %s was told something while it was busy",
                     lab_host_name(agent->host));
        return;
    }
    agent->limit_ns = ACT_LIMIT_NS + (act->timeout_ns > 0 ? act->timeout_ns : 0);
    if (agent->channel < 0 ||
        send(agent->channel, act, sizeof *act, MSG_NOSIGNAL) != (ssize_t)sizeof *act)
        agent->ended = true; /* the reply will say so */
    agent->busy = true;
}

static struct act_reply dead(struct agent *agent)
{
    agent->busy = false;
    agent->ended = agent->ended || agent->process != NULL;
    return (struct act_reply){.rc = -ESRCH, .died = true};
}

struct act_reply agent_try(struct agent *agent, int64_t limit_ns)
{
    struct pollfd polled = {.fd = agent->channel, .events = POLLIN};
    struct act_reply reply = {.rc = -ECANCELED};
    int64_t end_ns = clock_mono_ns() + limit_ns;
    int ready;

    if (testbed_failed(agent->bed) || !agent->busy)
        return reply;
    do {
        int64_t left_ns = end_ns - clock_mono_ns();
        ready =
            agent->channel < 0 ? 1 : poll(&polled, 1, clock_to_poll_ms(left_ns > 0 ? left_ns : 0));
    } while (ready < 0 && errno == EINTR);
    if (!ready)
        return (struct act_reply){.rc = -ETIME, .late = true};
    if (agent->channel < 0 ||
        recv(agent->channel, &reply, sizeof reply, 0) != (ssize_t)sizeof reply)
        return dead(agent);
    agent->busy = false;
    return reply;
}

struct act_reply agent_end(struct agent *agent, int64_t limit_ns)
{
    struct act_reply reply = agent_try(agent, limit_ns);

    if (!reply.late)
        return reply;
    testbed_fail(agent->bed, "a call of the %s did not return within %lld s",
                 lab_host_name(agent->host), (long long)(limit_ns / NS_PER_SEC));
    return (struct act_reply){.rc = -ECANCELED};
}

struct act_reply agent_do(struct agent *agent, const struct act *act)
{
    agent_begin(agent, act);
    return agent_end(agent, agent->limit_ns);
}

bool agent_busy(struct agent *agent)
{
    struct pollfd polled = {.fd = agent->channel, .events = POLLIN};

    return agent->busy && !agent->ended && poll(&polled, 1, 0) == 0;
}

/* ---- Ending ---- */

bool agent_ended(struct agent *agent, int64_t limit_ns, int *status)
{
    int64_t end_ns = clock_mono_ns() + limit_ns;
    struct lab_exit end = {0};

    if (agent->process) {
        if (lab_process_wait(agent->process, limit_ns, &end))
            return false;
        agent->status = end.status;
    }
    while (agent->pid && !agent->ended) {
        if (waitpid(agent->pid, &agent->status, WNOHANG) == agent->pid)
            break;
        if (clock_mono_ns() >= end_ns)
            return false;
        poll(NULL, 0, 1);
    }
    agent->ended = true;
    agent->busy = false;
    if (status)
        *status = agent->status;
    return true;
}

bool agent_wait(struct agent *agent, int64_t limit_ns, int *status)
{
    if (status)
        *status = agent->status;
    if (agent_ended(agent, limit_ns, status))
        return true;
    testbed_fail(agent->bed, "the %s's process did not end", lab_host_name(agent->host));
    return false;
}

void agent_signal(struct agent *agent, int signal)
{
    if (testbed_failed(agent->bed) || agent->ended)
        return;
    if (agent->process)
        lab_process_signal(agent->process, signal);
    else if (agent->pid)
        kill(agent->pid, signal);
    if (signal == SIGKILL)
        agent_wait(agent, ACT_LIMIT_NS, NULL);
}

int64_t agent_pid(const struct agent *agent)
{
    return agent->pid;
}

const char *act_rc_name(int64_t rc, const char *zero)
{
    return rc < 0 ? error_name((int)-rc) : rc ? "ok" : zero;
}
