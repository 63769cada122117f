/* Agents from the director's side: telling, waiting, killing. */
#include "scenario/engine/agent_internal.h"

#include "base/wait.h"
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* ---- Telling ---- */

void agent_begin(struct agent *agent, const struct act *act)
{
    if (agent->failure->code)
        return;
    if (agent->busy) {
        error_set(agent->failure, EIO, "the %s was told something while it was busy",
                  lab_host_name(agent->host));
        return;
    }
    agent->limit_ns = ACT_LIMIT_NS + (act->timeout_ns > 0 ? act->timeout_ns : 0);
    agent->busy = true;
    if (agent->channel >= 0 && send(agent->channel, act, sizeof *act, MSG_NOSIGNAL) >= 0)
        return;
    if (agent->channel < 0 || errno == EPIPE || errno == ECONNRESET)
        agent->ended = true; /* the reply will say so */
    else
        error_sys(agent->failure, errno, "what the %s is told", lab_host_name(agent->host));
}

static struct act_reply reply_of_dead(struct agent *agent)
{
    agent->busy = false;
    agent->ended = agent->ended || agent->process != NULL;
    return (struct act_reply){.rc = -ESRCH, .died = true};
}

/* 0 when the agent is dead; its channel says so. */
static ssize_t receive_reply(struct agent *agent, struct act_reply *reply)
{
    ssize_t got;

    do
        got = recv(agent->channel, reply, sizeof *reply, 0);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof *reply || !got || (got < 0 && errno == ECONNRESET))
        return got > 0 ? got : 0;
    error_sys(agent->failure, got < 0 ? errno : EPROTO, "the reply of the %s",
              lab_host_name(agent->host));
    return -1;
}

struct act_reply agent_try(struct agent *agent, int64_t limit_ns)
{
    struct pollfd polled = {.fd = agent->channel, .events = POLLIN};
    struct act_reply reply = {.rc = -ECANCELED};
    int64_t end_ns = clock_mono_ns() + limit_ns;
    int ready;

    if (agent->failure->code || !agent->busy)
        return reply;
    do {
        int64_t left_ns = end_ns - clock_mono_ns();
        ready =
            agent->channel < 0 ? 1 : poll(&polled, 1, clock_to_poll_ms(left_ns > 0 ? left_ns : 0));
    } while (ready < 0 && errno == EINTR);
    if (!ready)
        return (struct act_reply){.rc = -ETIME, .late = true};
    ssize_t got = agent->channel < 0 ? 0 : receive_reply(agent, &reply);
    if (!got)
        return reply_of_dead(agent);
    agent->busy = false;
    return got > 0 ? reply : (struct act_reply){.rc = -ECANCELED};
}

struct act_reply agent_end(struct agent *agent, int64_t limit_ns)
{
    struct act_reply reply = agent_try(agent, limit_ns);

    if (!reply.late)
        return reply;
    error_set(agent->failure, EIO, "a call of the %s did not return within %lld s",
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
    struct lab_exit end = {0};

    if (agent->process) {
        if (lab_process_wait(agent->process, limit_ns, &end))
            return false;
        agent->status = end.status;
    }
    if (agent->pid && !agent->ended &&
        !wait_until(waitpid(agent->pid, &agent->status, WNOHANG) == agent->pid,
                    clock_mono_ns() + limit_ns))
        return false;
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
    if (!agent->failure->code)
        error_set(agent->failure, EIO, "the %s's process did not end", lab_host_name(agent->host));
    return false;
}

void agent_signal(struct agent *agent, int signal)
{
    if (agent->failure->code || agent->ended)
        return;
    if (agent->process)
        lab_process_signal(agent->process, signal);
    else if (agent->pid)
        kill(agent->pid, signal);
    if (signal == SIGKILL)
        agent_wait(agent, ACT_LIMIT_NS, NULL);
}

const char *act_rc_name(int64_t rc, const char *zero)
{
    return rc < 0 ? error_name((int)-rc) : rc ? "ok" : zero;
}
