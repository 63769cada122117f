/* Who plays on the testbed: starting agents on its hosts, and giving them up. */
#include "scenario/engine/agent_internal.h"
#include "scenario/engine/agent_self.h"
#include "scenario/engine/testbed_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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
static void start_plain(struct testbed *bed, struct agent *agent, const struct agent_start *start)
{
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

static void start_in_lab(struct testbed *bed, struct agent *agent, const struct agent_start *start)
{
    struct lab_program program = {.role = agent_main, .arg = start, .arg_bytes = sizeof *start};
    struct error error = {0};

    if (lab_start(bed->lab, agent->host, &program, &agent->process, &error)) {
        testbed_take_error(bed, &error, "starting a process");
        return;
    }
    agent->channel = lab_process_channel(agent->process);
}

struct agent *testbed_agent(struct testbed *bed, enum lab_host host)
{
    static struct agent nobody = {.channel = -1, .ended = true};
    struct agent *agent = arena_alloc(bed->arena, sizeof *agent);
    struct agent_start start = start_of(bed, host);

    if (!agent) {
        testbed_fail(bed, "out of memory");
        nobody.failure = &bed->error;
        return &nobody;
    }
    *agent =
        (struct agent){.failure = &bed->error, .host = host, .channel = -1, .next = bed->agents};
    bed->agents = agent;
    if (testbed_failed(bed))
        return agent;
    if (bed->lab)
        start_in_lab(bed, agent, &start);
    else
        start_plain(bed, agent, &start);
    return agent;
}

static struct agent *started(struct testbed *bed, struct agent **agent, enum lab_host host)
{
    if (!*agent)
        *agent = testbed_agent(bed, host);
    return *agent;
}

struct agent *testbed_client(struct testbed *bed)
{
    return started(bed, &bed->first[LAB_CLIENT], LAB_CLIENT);
}

struct agent *testbed_server(struct testbed *bed)
{
    return started(bed, &bed->first[LAB_SERVER], LAB_SERVER);
}

struct agent *testbed_watcher(struct testbed *bed, enum lab_host host)
{
    return started(bed, &bed->watcher[host], host);
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
