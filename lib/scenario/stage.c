/* The stage: what scenarios do with the lab, and how they wait for what happens on it. */
#include "scenario/stage.h"

#include "base/cleanup.h"
#include "probe/machine.h"
#include "scenario/stage_internal.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Failure ---- */

void stage_take_error(struct stage *stage, const struct error *error, const char *doing)
{
    if (stage_failed(stage))
        return;
    stage->error = *error;
    if (!stage->error.code)
        stage->error.code = EIO;
    error_add(&stage->error, "%s", doing);
}

void stage_fail(struct stage *stage, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;

    if (stage_failed(stage))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(&stage->error, EIO, "%s", text);
}

void *stage_facts(struct stage *stage, size_t size_bytes)
{
    static _Alignas(64) unsigned char scratch[STAGE_FACTS_MAX];

    if (!stage->facts)
        stage->facts = arena_alloc(stage->arena, STAGE_FACTS_MAX);
    if (!stage->facts || size_bytes > STAGE_FACTS_MAX)
        stage_fail(stage, "no memory for the scenario's facts");
    return stage->facts ? stage->facts : scratch;
}

/* ---- The wire ---- */

int stage_fault(struct stage *stage, const char *line)
{
    struct lab_fault fault;
    struct error error = {0};

    if (stage_failed(stage))
        return 0;
    if (!stage->lab) {
        stage_fail(stage, "'%s' needs the lab", line);
        return 0;
    }
    int rc = lab_fault_parse(&fault, line, &error);
    if (rc >= 0)
        rc = lab_fault_add(stage->lab, &fault, &error);
    if (rc < 0)
        stage_take_error(stage, &error, line);
    return rc < 0 ? 0 : rc;
}

void stage_unfault(struct stage *stage, int number)
{
    struct error error = {0};
    if (!stage_failed(stage) && lab_fault_remove(stage->lab, number, &error) < 0)
        stage_take_error(stage, &error, "taking a fault back");
}

void stage_release(struct stage *stage, int number)
{
    struct error error = {0};
    if (!stage_failed(stage) && lab_fault_release(stage->lab, number, &error) < 0)
        stage_take_error(stage, &error, "releasing what was held");
}

static void record_process(struct stage *stage, const char *what)
{
    struct trace_event event = {
        .at_real_ns = clock_real_ns(), .kind = TRACE_MARK, .side = TRACE_WIRE};

    snprintf(event.text, sizeof event.text, "%s", what);
    trace_append(stage->trace, &event);
}

void stage_cut(struct stage *stage)
{
    struct error error = {0};
    if (stage_failed(stage))
        return;
    if (!stage->lab)
        stage_fail(stage, "cutting the link needs the lab");
    else if (lab_cut(stage->lab, &error))
        stage_take_error(stage, &error, "cutting the link");
    record_process(stage, "the link is cut");
}

void stage_restore(struct stage *stage)
{
    struct error error = {0};
    if (stage_failed(stage))
        return;
    if (lab_restore(stage->lab, &error))
        stage_take_error(stage, &error, "restoring the link");
    record_process(stage, "the link is back");
}

void stage_reboot(struct stage *stage, enum lab_host host)
{
    struct error error = {0};

    if (stage_failed(stage))
        return;
    if (!stage->lab) {
        stage_fail(stage, "a reboot needs the lab");
        return;
    }
    if (lab_reboot(stage->lab, host, NULL, 0, STAGE_LIMIT_NS, NULL, &error))
        stage_take_error(stage, &error, "rebooting the host");
    stage->first[host] = stage->watcher[host] = NULL;
    for (struct actor *actor = stage->actors; actor; actor = actor->next)
        if (actor->host == host)
            actor->ended = true;
    record_process(stage,
                   host == LAB_CLIENT ? "the client has rebooted" : "the server has rebooted");
}

void stage_mark(struct stage *stage, const char *format, ...)
{
    char text[TRACE_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    record_process(stage, text);
}

/* ---- Waiting ---- */

static int wait_for(struct stage *stage, const char *text, int64_t timeout_ns, struct error *error)
{
    struct lab_condition condition;
    int rc = lab_condition_parse(&condition, text, error);

    if (rc)
        return rc;
    condition.since = stage->since;
    if (!stage->lab)
        return error_set(error, ENOTSUP, "waiting for %s needs the lab", text);
    return lab_wait(stage->lab, &condition, timeout_ns, error);
}

bool stage_wait(struct stage *stage, const char *condition)
{
    struct error error = {0};

    if (stage_failed(stage))
        return false;
    int rc = wait_for(stage, condition, STAGE_LIMIT_NS, &error);
    if (rc == -ETIMEDOUT)
        stage_fail(stage, "waited in vain for %s", condition);
    else if (rc)
        stage_take_error(stage, &error, "waiting");
    return !rc;
}

bool stage_saw(struct stage *stage, const char *condition, int64_t timeout_ns)
{
    struct error error = {0};

    if (stage_failed(stage))
        return false;
    int rc = wait_for(stage, condition, timeout_ns, &error);
    if (rc && rc != -ETIMEDOUT)
        stage_take_error(stage, &error, "looking");
    return !rc;
}

void stage_from_here(struct stage *stage)
{
    stage->since = trace_reserved(stage->trace);
}

void stage_pass(struct stage *stage, int64_t ns)
{
    int64_t end_ns = clock_mono_ns() + ns, left_ns;

    while (!stage_failed(stage) && (left_ns = end_ns - clock_mono_ns()) > 0)
        poll(NULL, 0, clock_to_poll_ms(left_ns));
}

/* ---- Looking at a host ---- */

struct actor *stage_watcher(struct stage *stage, enum lab_host host)
{
    if (!stage->watcher[host])
        stage->watcher[host] = stage_actor(stage, host);
    return stage->watcher[host];
}

struct schedule_settings stage_settings(struct stage *stage, enum lab_host host)
{
    struct act_reply reply = DO(stage_watcher(stage, host), ACT_SETTINGS);

    if (reply.rc && !stage_failed(stage))
        stage_fail(stage, "cannot read the settings of the %s", lab_host_name(host));
    return stage_failed(stage) ? schedule_defaults : reply.settings;
}

struct schedule_settings stage_host_settings(struct stage *stage)
{
    cleanup(arena) struct arena arena = {0};
    cleanup(mem) struct machine *machine = calloc(1, sizeof *machine);

    (void)stage;
    if (!machine)
        return schedule_defaults;
    machine_read_files(machine, "", &arena);
    machine_read_limits(machine);
    return machine_schedule(machine);
}

int64_t stage_setting(struct stage *stage, enum lab_host host, const char *name)
{
    struct act act = {.verb = ACT_SETTING};

    snprintf(act.text, sizeof act.text, "%s", name);
    struct act_reply reply = actor_do(stage_watcher(stage, host), &act);
    if (reply.rc < 0)
        stage_fail(stage, "cannot read %s of the %s: %s", name, lab_host_name(host),
                   strerror((int)-reply.rc));
    return reply.rc;
}

int64_t stage_counter(struct stage *stage, enum lab_host host, const char *name)
{
    struct act act = {.verb = ACT_COUNTER};

    snprintf(act.text, sizeof act.text, "%s", name);
    struct act_reply reply = actor_do(stage_watcher(stage, host), &act);
    if (reply.rc < 0)
        stage_fail(stage, "cannot read the counter %s of the %s", name, lab_host_name(host));
    return reply.rc;
}

struct act_socket stage_socket_of(struct stage *stage, enum lab_host host, uint16_t local_port,
                                  uint16_t remote_port)
{
    struct act_reply reply =
        DO(stage_watcher(stage, host), ACT_DIAG, .port = local_port, .number = remote_port);

    if (reply.rc < 0 && !stage_failed(stage))
        stage_fail(stage, "sock_diag on the %s: %s", lab_host_name(host), strerror((int)-reply.rc));
    return stage_failed(stage) ? (struct act_socket){0} : reply.socket;
}

bool stage_wait_socket(struct stage *stage, enum lab_host host, uint16_t local_port,
                       uint16_t remote_port, int state)
{
    int64_t end_ns = clock_mono_ns() + STAGE_LIMIT_NS;

    while (!stage_failed(stage)) {
        int now = stage_socket_of(stage, host, local_port, remote_port).state;
        if (now == state)
            return !stage_failed(stage);
        if (clock_mono_ns() >= end_ns)
            stage_fail(stage, "the %s's socket stays in %s, waited for %s", lab_host_name(host),
                       stage_state_name(now), stage_state_name(state));
        poll(NULL, 0, 2);
    }
    return false;
}

const char *stage_state_name(int state)
{
    return state ? sock_tcp_state_name(state) : "none";
}

/* ---- Common beginnings ---- */

void stage_connected(struct stage *stage)
{
    struct actor *client = stage_client(stage), *server = stage_server(stage);
    struct act_reply listened = DO(server, ACT_LISTEN, .port = STAGE_PORT, .number = 16);

    if (listened.rc)
        stage_fail(stage, "the server cannot listen: %s", act_rc_name(listened.rc, "0"));
    struct act_reply connected = DO(client, ACT_CONNECT, .port = STAGE_PORT);
    if (connected.rc)
        stage_fail(stage, "the client cannot connect: %s", act_rc_name(connected.rc, "0"));
    struct act_reply accepted =
        DO(server, ACT_ACCEPT, .slot = 0, .other = 1, .timeout_ns = STAGE_LIMIT_NS);
    if (accepted.rc)
        stage_fail(stage, "the server cannot accept: %s", act_rc_name(accepted.rc, "0"));
}

void stage_warm_up(struct stage *stage)
{
    for (int i = 0; i < 2; i++) {
        DO(stage_client(stage), ACT_WRITE, .slot = 0, .bytes = 10);
        DO(stage_server(stage), ACT_READ_ALL, .slot = 1, .bytes = 10);
        DO(stage_server(stage), ACT_WRITE, .slot = 1, .bytes = 10);
        DO(stage_client(stage), ACT_READ_ALL, .slot = 0, .bytes = 10);
    }
}

void stage_subject(struct stage *stage, uint32_t number)
{
    stage->subject_number = number;
}
