/* Actors from the director's side: starting, telling, waiting, killing. */
#include "scenario/actor.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "scenario/cast.h"
#include "scenario/stage_internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Starting ---- */

static struct cast_start start_of(const struct stage *stage, enum lab_host host)
{
    const struct scenario_request *request = stage->request;
    struct cast_start start = {
        .family = stage->family, .lab = stage->lab != NULL, .ports = stage->ports};

    for (size_t i = 0; i < request->option_count && start.option_count < CAST_OPTIONS_MAX; i++)
        if (request->options[i].host == host)
            snprintf(start.options[start.option_count++].text, ACT_WORDS_MAX, "%s=%s",
                     request->options[i].name, request->options[i].value);
    return start;
}

/* On this machine itself: a child of the director. */
static void start_plain(struct actor *actor, const struct cast_start *start)
{
    struct stage *stage = actor->stage;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        stage_fail(stage, "socketpair: %s", strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (!pid) {
        struct lab_role role = {.host = actor->host,
                                .channel = pair[1],
                                .arg = start,
                                .arg_bytes = sizeof *start,
                                .trace = stage->trace};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        close(pair[0]);
        _exit(cast_main(&role));
    }
    close(pair[1]);
    if (pid < 0) {
        stage_fail(stage, "fork: %s", strerror(errno));
        close(pair[0]);
        return;
    }
    actor->pid = pid;
    actor->channel = pair[0];
}

static void start_in_lab(struct actor *actor, const struct cast_start *start)
{
    struct stage *stage = actor->stage;
    struct lab_program program = {.role = cast_main, .arg = start, .arg_bytes = sizeof *start};
    struct error error = {0};

    if (lab_start(stage->lab, actor->host, &program, &actor->process, &error)) {
        stage_take_error(stage, &error, "starting a process");
        return;
    }
    actor->channel = lab_process_channel(actor->process);
}

struct actor *stage_actor(struct stage *stage, enum lab_host host)
{
    static struct actor nobody = {.channel = -1, .ended = true};
    struct actor *actor = arena_alloc(stage->arena, sizeof *actor);
    struct cast_start start = start_of(stage, host);

    if (!actor) {
        stage_fail(stage, "out of memory");
        nobody.stage = stage;
        return &nobody;
    }
    *actor = (struct actor){.stage = stage, .host = host, .channel = -1, .next = stage->actors};
    stage->actors = actor;
    if (stage_failed(stage))
        return actor;
    if (stage->lab)
        start_in_lab(actor, &start);
    else
        start_plain(actor, &start);
    return actor;
}

static struct actor *first_of(struct stage *stage, enum lab_host host)
{
    if (!stage->first[host])
        stage->first[host] = stage_actor(stage, host);
    return stage->first[host];
}

struct actor *stage_client(struct stage *stage)
{
    return first_of(stage, LAB_CLIENT);
}

struct actor *stage_server(struct stage *stage)
{
    return first_of(stage, LAB_SERVER);
}

void actors_free(struct stage *stage)
{
    for (struct actor *actor = stage->actors; actor; actor = actor->next) {
        if (!actor->pid || actor->ended)
            continue;
        kill(actor->pid, SIGKILL);
        waitpid(actor->pid, NULL, 0);
        actor->ended = true;
    }
}

/* ---- Telling ---- */

void actor_begin(struct actor *actor, const struct act *act)
{
    struct stage *stage = actor->stage;

    if (stage_failed(stage))
        return;
    if (actor->busy) {
        stage_fail(stage, "the %s was told something while it was busy",
                   lab_host_name(actor->host));
        return;
    }
    actor->limit_ns = ACT_LIMIT_NS + (act->timeout_ns > 0 ? act->timeout_ns : 0);
    if (actor->channel < 0 ||
        send(actor->channel, act, sizeof *act, MSG_NOSIGNAL) != (ssize_t)sizeof *act)
        actor->ended = true; /* the reply will say so */
    actor->busy = true;
}

static struct act_reply dead(struct actor *actor)
{
    actor->busy = false;
    actor->ended = actor->ended || actor->process != NULL;
    return (struct act_reply){.rc = -ESRCH, .died = true};
}

struct act_reply actor_try(struct actor *actor, int64_t limit_ns)
{
    struct pollfd polled = {.fd = actor->channel, .events = POLLIN};
    struct act_reply reply = {.rc = -ECANCELED};
    int64_t end_ns = clock_mono_ns() + limit_ns;
    int ready;

    if (stage_failed(actor->stage) || !actor->busy)
        return reply;
    do {
        int64_t left_ns = end_ns - clock_mono_ns();
        ready =
            actor->channel < 0 ? 1 : poll(&polled, 1, clock_to_poll_ms(left_ns > 0 ? left_ns : 0));
    } while (ready < 0 && errno == EINTR);
    if (!ready)
        return (struct act_reply){.rc = -ETIME, .late = true};
    if (actor->channel < 0 ||
        recv(actor->channel, &reply, sizeof reply, 0) != (ssize_t)sizeof reply)
        return dead(actor);
    actor->busy = false;
    return reply;
}

struct act_reply actor_end(struct actor *actor, int64_t limit_ns)
{
    struct act_reply reply = actor_try(actor, limit_ns);

    if (!reply.late)
        return reply;
    stage_fail(actor->stage, "a call of the %s did not return within %lld s",
               lab_host_name(actor->host), (long long)(limit_ns / NS_PER_SEC));
    return (struct act_reply){.rc = -ECANCELED};
}

struct act_reply actor_do(struct actor *actor, const struct act *act)
{
    actor_begin(actor, act);
    return actor_end(actor, actor->limit_ns);
}

bool actor_busy(struct actor *actor)
{
    struct pollfd polled = {.fd = actor->channel, .events = POLLIN};

    return actor->busy && !actor->ended && poll(&polled, 1, 0) == 0;
}

/* ---- Ending ---- */

bool actor_ended(struct actor *actor, int64_t limit_ns, int *status)
{
    int64_t end_ns = clock_mono_ns() + limit_ns;
    struct lab_exit end = {0};

    if (actor->process) {
        if (lab_process_wait(actor->process, limit_ns, &end))
            return false;
        actor->status = end.status;
    }
    while (actor->pid && !actor->ended) {
        if (waitpid(actor->pid, &actor->status, WNOHANG) == actor->pid)
            break;
        if (clock_mono_ns() >= end_ns)
            return false;
        poll(NULL, 0, 1);
    }
    actor->ended = true;
    actor->busy = false;
    if (status)
        *status = actor->status;
    return true;
}

bool actor_wait(struct actor *actor, int64_t limit_ns, int *status)
{
    if (status)
        *status = actor->status;
    if (actor_ended(actor, limit_ns, status))
        return true;
    stage_fail(actor->stage, "the %s's process did not end", lab_host_name(actor->host));
    return false;
}

void actor_signal(struct actor *actor, int signal)
{
    if (stage_failed(actor->stage) || actor->ended)
        return;
    if (actor->process)
        lab_process_signal(actor->process, signal);
    else if (actor->pid)
        kill(actor->pid, signal);
    if (signal == SIGKILL)
        actor_wait(actor, ACT_LIMIT_NS, NULL);
}

int64_t actor_pid(const struct actor *actor)
{
    return actor->pid;
}

const char *act_rc_name(int64_t rc, const char *zero)
{
    return rc < 0 ? error_name((int)-rc) : rc ? "ok" : zero;
}
