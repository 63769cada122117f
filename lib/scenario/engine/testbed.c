/* The testbed: what scenarios do with the lab, and how they wait for what happens on it. */
#include "scenario/engine/testbed.h"

#include "scenario/engine/agent_internal.h"
#include "scenario/engine/agent_self.h"
#include "scenario/engine/testbed_internal.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The wire ---- */

int testbed_fault(struct testbed *bed, const char *format, ...)
{
    char line[256];
    va_list args;
    struct lab_fault fault;
    struct error error = {0};

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (testbed_failed(bed))
        return 0;
    if (!bed->lab) {
        testbed_fail(bed, "'%s' needs the lab", line);
        return 0;
    }
    int rc = lab_fault_parse(&fault, line, &error);
    if (rc >= 0)
        rc = lab_fault_add(bed->lab, &fault, &error);
    if (rc < 0)
        testbed_take_error(bed, &error, line);
    return rc < 0 ? 0 : rc;
}

void testbed_unfault(struct testbed *bed, int number)
{
    struct error error = {0};
    if (!testbed_failed(bed) && lab_fault_remove(bed->lab, number, &error) < 0)
        testbed_take_error(bed, &error, "taking a fault back");
}

void testbed_release(struct testbed *bed, int number)
{
    struct error error = {0};
    if (!testbed_failed(bed) && lab_fault_release(bed->lab, number, &error) < 0)
        testbed_take_error(bed, &error, "releasing what was held");
}

static void record_mark(struct testbed *bed, const char *what)
{
    struct trace_event event = {
        .at_real_ns = clock_real_ns(), .kind = TRACE_MARK, .side = TRACE_WIRE};

    snprintf(event.text, sizeof event.text, "%s", what);
    trace_append(bed->trace, &event);
}

void testbed_cut(struct testbed *bed)
{
    struct error error = {0};
    if (testbed_failed(bed))
        return;
    if (!bed->lab)
        testbed_fail(bed, "cutting the link needs the lab");
    else if (lab_cut(bed->lab, &error))
        testbed_take_error(bed, &error, "cutting the link");
    record_mark(bed, "the link is cut");
}

void testbed_restore(struct testbed *bed)
{
    struct error error = {0};
    if (testbed_failed(bed))
        return;
    if (lab_restore(bed->lab, &error))
        testbed_take_error(bed, &error, "restoring the link");
    record_mark(bed, "the link is back");
}

void testbed_reboot(struct testbed *bed, enum lab_host host)
{
    struct error error = {0};

    if (testbed_failed(bed))
        return;
    if (!bed->lab) {
        testbed_fail(bed, "a reboot needs the lab");
        return;
    }
    if (lab_reboot(bed->lab, host, NULL, 0, TESTBED_LIMIT_NS, NULL, &error))
        testbed_take_error(bed, &error, "rebooting the host");
    bed->first[host] = bed->watcher[host] = NULL;
    for (struct agent *agent = bed->agents; agent; agent = agent->next)
        if (agent->host == host)
            agent->ended = true;
    record_mark(bed, host == LAB_CLIENT ? "the client has rebooted" : "the server has rebooted");
}

void testbed_mark(struct testbed *bed, const char *format, ...)
{
    char text[TRACE_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    record_mark(bed, text);
}

/* ---- Waiting ---- */

static int wait_for(struct testbed *bed, const char *text, int64_t timeout_ns, struct error *error)
{
    struct lab_condition condition;
    int rc = lab_condition_parse(&condition, text, error);

    if (rc)
        return rc;
    condition.since = bed->since;
    if (!bed->lab)
        return error_set(error, ENOTSUP, "waiting for %s needs the lab", text);
    return lab_wait(bed->lab, &condition, timeout_ns, error);
}

bool testbed_wait(struct testbed *bed, const char *condition)
{
    struct error error = {0};

    if (testbed_failed(bed))
        return false;
    int rc = wait_for(bed, condition, TESTBED_LIMIT_NS, &error);
    if (rc == -ETIMEDOUT)
        testbed_fail(bed, "%s did not come", condition);
    else if (rc)
        testbed_take_error(bed, &error, "waiting");
    return !rc;
}

bool testbed_saw(struct testbed *bed, const char *condition, int64_t timeout_ns)
{
    struct error error = {0};

    if (testbed_failed(bed))
        return false;
    int rc = wait_for(bed, condition, timeout_ns, &error);
    if (rc && rc != -ETIMEDOUT)
        testbed_take_error(bed, &error, "looking");
    return !rc;
}

void testbed_from_here(struct testbed *bed)
{
    bed->since = trace_reserved(bed->trace);
}

void testbed_pass(struct testbed *bed, int64_t ns)
{
    int64_t end_ns = clock_mono_ns() + ns, left_ns;

    while (!testbed_failed(bed) && (left_ns = end_ns - clock_mono_ns()) > 0)
        poll(NULL, 0, clock_to_poll_ms(left_ns));
}

/* ---- Looking at a host ---- */

struct kernel_timers_settings testbed_settings(struct testbed *bed, enum lab_host host)
{
    struct act_reply reply = DO(testbed_watcher(bed, host), ACT_SETTINGS);

    if (reply.rc && !testbed_failed(bed))
        testbed_fail(bed, "cannot read the settings of the %s", lab_host_name(host));
    if (testbed_failed(bed))
        return kernel_timers_defaults;
    if (bed->config.host[host].rto_min_ms)
        reply.settings.rto_min_ns = bed->config.host[host].rto_min_ms * NS_PER_MS;
    return reply.settings;
}

static int64_t read_number(struct testbed *bed, enum lab_host host, enum act_verb verb,
                           const char *name)
{
    struct act act = {.verb = verb};

    snprintf(act.text, sizeof act.text, "%s", name);
    struct act_reply reply = agent_do(testbed_watcher(bed, host), &act);
    if (reply.rc < 0)
        testbed_fail(bed, "cannot read %s of the %s: %s", name, lab_host_name(host),
                     strerror((int)-reply.rc));
    return reply.rc;
}

int64_t testbed_setting(struct testbed *bed, enum lab_host host, const char *name)
{
    return read_number(bed, host, ACT_SETTING, name);
}

int64_t testbed_listen_limit(struct testbed *bed, enum lab_host host)
{
    struct act_reply reply =
        DO(testbed_watcher(bed, host), ACT_CALL, .function = agent_self_listen_limit);

    if (reply.rc < 0)
        testbed_fail(bed, "a listener of the %s: %s", lab_host_name(host),
                     strerror((int)-reply.rc));
    return reply.rc;
}

int64_t testbed_own_seconds_ns(const char *name)
{
    char text[128];

    return agent_self_read_setting(name, text, sizeof text) > 0
               ? strtoll(text, NULL, 10) * NS_PER_SEC
               : RESULT_UNKNOWN;
}

void testbed_look(struct testbed *bed, enum lab_host host, const char *what, const struct act *act,
                  void *out, size_t size_bytes)
{
    struct act_reply reply = agent_do(testbed_watcher(bed, host), act);

    if (reply.rc >= 0)
        memcpy(out, reply.data, size_bytes);
    else
        testbed_fail(bed, "%s of the %s: %s", what, lab_host_name(host), strerror((int)-reply.rc));
}

int64_t testbed_counter(struct testbed *bed, enum lab_host host, const char *name)
{
    return read_number(bed, host, ACT_COUNTER, name);
}

struct act_socket testbed_socket_of(struct testbed *bed, enum lab_host host, uint16_t local_port,
                                    uint16_t remote_port)
{
    struct act_reply reply =
        DO(testbed_watcher(bed, host), ACT_DIAG, .port = local_port, .number = remote_port);

    if (reply.rc < 0 && !testbed_failed(bed))
        testbed_fail(bed, "sock_diag on the %s: %s", lab_host_name(host), strerror((int)-reply.rc));
    return testbed_failed(bed) ? (struct act_socket){0} : reply.socket;
}

const char *testbed_state_name(int state)
{
    return state ? sock_tcp_state_name(state) : "none";
}

/* ---- Common beginnings ---- */

struct act_reply testbed_must(struct testbed *bed, const char *failure, struct agent *agent,
                              const struct act *act)
{
    struct act_reply reply = agent_do(agent, act);

    if (reply.rc)
        testbed_fail(bed, "%s: %s", failure, act_rc_name(reply.rc, "0"));
    return reply;
}

void testbed_connect(struct testbed *bed, struct agent *client, int slot, uint16_t port,
                     struct agent *server, int listener, int other)
{
    MUST(bed, "the client cannot connect", client, ACT_CONNECT, .slot = slot, .port = port);
    MUST(bed, "the server cannot accept", server, ACT_ACCEPT, .slot = listener, .other = other,
         .timeout_ns = TESTBED_LIMIT_NS);
}

void testbed_connected(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    MUST(bed, "the server cannot listen", server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    testbed_connect(bed, client, 0, TESTBED_PORT, server, 0, 1);
}

void testbed_subject(struct testbed *bed, uint32_t number)
{
    bed->subject_number = number;
}

void testbed_subject_port(struct testbed *bed, uint16_t port)
{
    bed->subject_port = port;
}
