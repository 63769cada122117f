/* Nothing comes back, and each way of bounding the wait: what the caller sees, after how long, what
 * went out meanwhile, what is left of the socket.
 *
 * Each attempt has a process of its own (an alarm is the process's), its own port of the server, by
 * which its SYNs are told from the others', and all run at once. A method is tried with a limit
 * below the kernel's own, and with one above it: that is how it is seen whether it can shorten the
 * wait, or lengthen it. */
#include "scenario/connect/connect.h"
#include "scenario/engine/agent_self.h"
#include <string.h>

#define SHORT_NS     (1500 * NS_PER_MS) /* between two SYNs of any schedule */
#define BEYOND_NS    (3 * NS_PER_SEC)   /* what the long limit adds to the kernel's latest end */
#define ATTEMPTS_MAX (2 * SOCK_CONNECT_METHOD_COUNT)

/* What ends the wait. */
enum bound {
    BOUND_NONE,   /* the kernel's own limit alone */
    BOUND_CALLER, /* the caller stops waiting; the kernel goes on until the socket is closed */
    BOUND_KERNEL, /* an option moves the kernel's own limit */
};

static const struct method {
    enum bound bound;
    const char *sees; /* what its own limit makes the last call return */
    const char *error;
} methods[SOCK_CONNECT_METHOD_COUNT] = {
    [SOCK_CONNECT_BLOCKING] = {BOUND_NONE, "-1 ETIMEDOUT", "ETIMEDOUT"},
    [SOCK_CONNECT_ALARM] = {BOUND_CALLER, "-1 EINTR", "EINTR"},
    [SOCK_CONNECT_SELECT] = {BOUND_CALLER, "select 0", "EINPROGRESS"},
    [SOCK_CONNECT_POLL] = {BOUND_CALLER, "poll 0", "EINPROGRESS"},
    [SOCK_CONNECT_EPOLL] = {BOUND_CALLER, "epoll_wait 0", "EINPROGRESS"},
    [SOCK_CONNECT_SNDTIMEO] = {BOUND_CALLER, "-1 EINPROGRESS", "EINPROGRESS"},
    [SOCK_CONNECT_USER_TIMEOUT] = {BOUND_KERNEL, "-1 ETIMEDOUT", "ETIMEDOUT"},
    [SOCK_CONNECT_SYNCNT] = {BOUND_KERNEL, "-1 ETIMEDOUT", "ETIMEDOUT"},
};

struct attempt {
    enum sock_connect_method method;
    bool longer;
    struct act_reply reply;
    struct agent *agent;
    struct kernel_timers_socket socket; /* what the method sets, for the model */
    struct kernel_timers plan;
    int64_t limit_ns; /* RESULT_UNKNOWN: it has none, or none in time */
    int64_t retries;
};

struct attempts {
    struct attempt of[ATTEMPTS_MAX];
    size_t count;
};

static uint32_t chosen(const struct testbed *bed)
{
    const struct connect_methods *own = bed->request->own;
    return own && own->chosen ? own->chosen : UINT32_MAX;
}

/* The socket is closed at once, which stops the kernel from trying on. */
static AGENT_CALL(attempt_call)
{
    struct act timed = *act;

    timed.verb = ACT_CONNECT_TIMED;
    int64_t rc = agent_self_do(self, &timed, reply);
    if (self->slots[act->slot].fd >= 0)
        sock_close(&self->slots[act->slot]);
    return rc;
}

static void plan_attempt(const struct connect_attempt *own, struct attempt *attempt)
{
    const struct kernel_timers_settings *settings = &own->settings;
    int64_t limit_ns = attempt->longer
                           ? kernel_timers_latest_ns(settings, own->plan.failed_ns) + BEYOND_NS
                           : SHORT_NS;

    attempt->limit_ns = limit_ns;
    if (attempt->method == SOCK_CONNECT_USER_TIMEOUT)
        attempt->socket.user_timeout_ns = limit_ns;
    if (attempt->method == SOCK_CONNECT_SYNCNT) {
        attempt->retries = attempt->longer ? settings->syn_retries + 1 : 1;
        attempt->socket.syn_count = attempt->retries;
        attempt->limit_ns = RESULT_UNKNOWN;
    }
    kernel_timers_connect(&attempt->plan, settings, &attempt->socket);
}

static void plan_attempts(struct testbed *bed, struct attempts *attempts)
{
    struct connect_attempt own = connect_plan(bed);

    for (unsigned m = 0; m < SOCK_CONNECT_METHOD_COUNT; m++) {
        if (!(chosen(bed) >> m & 1) || methods[m].bound == BOUND_NONE)
            continue;
        for (int longer = 0; longer < 2; longer++) {
            struct attempt *attempt = &attempts->of[attempts->count++];
            *attempt =
                (struct attempt){.method = (enum sock_connect_method)m, .longer = longer != 0};
            plan_attempt(&own, attempt);
        }
    }
}

static uint16_t port_of(size_t index)
{
    return (uint16_t)(TESTBED_PORT + 1 + index);
}

static int64_t longest_ns(const struct attempts *attempts)
{
    int64_t longest = 0;

    for (size_t i = 0; i < attempts->count; i++)
        if (attempts->of[i].plan.failed_ns > longest)
            longest = attempts->of[i].plan.failed_ns;
    return longest + longest / 4 + ACT_LIMIT_NS;
}

static void begin_attempts(struct testbed *bed, struct attempts *attempts)
{
    for (size_t i = 0; i < attempts->count; i++)
        attempts->of[i].agent = testbed_agent(bed, LAB_CLIENT);
    testbed_client(bed);
    testbed_subject_port(bed, TESTBED_PORT);
    for (size_t i = 0; i < attempts->count; i++) {
        const struct attempt *attempt = &attempts->of[i];
        BEGIN(attempt->agent, ACT_CALL, .function = attempt_call, .port = port_of(i),
              .number = (int)attempt->method,
              .timeout_ns = attempt->limit_ns == RESULT_UNKNOWN ? 0 : attempt->limit_ns,
              .flags = (int)attempt->retries);
    }
}

/* ---- What came of it ---- */

struct outcome {
    const char *error, *state;
    int64_t after_ns, syns;
};

/* What the kernel's schedule and the method's limit make of it: whichever comes first. */
static struct outcome predict(const struct attempt *attempt)
{
    const struct method *method = &methods[attempt->method];
    const struct kernel_timers *plan = &attempt->plan;
    struct outcome out = {"ETIMEDOUT", "CLOSED", plan->failed_ns, (int64_t)plan->sent_count};

    if (method->bound != BOUND_CALLER || attempt->limit_ns >= plan->failed_ns)
        return out;
    out = (struct outcome){method->error, "SYN-SENT", attempt->limit_ns, 0};
    for (size_t i = 0; i < plan->sent_count; i++)
        out.syns += plan->sent_ns[i] < attempt->limit_ns;
    return out;
}

static struct outcome observe(const struct testbed *bed, const struct attempt *attempt,
                              uint16_t port)
{
    const struct sock_connect_result *result = &attempt->reply.connect;

    return (struct outcome){
        act_rc_name(-result->error, "0"), testbed_state_name(result->state_left),
        result->elapsed_ns,
        testbed_count(bed, testbed_connection_to(bed, port), "syn", LAB_FROM_CLIENT)};
}

static const char *outcome_text(struct testbed *bed, const struct outcome *outcome)
{
    return arena_printf(bed->arena, "%s after %lld SYNs, socket in %s", outcome->error,
                        (long long)outcome->syns, outcome->state);
}

/* From the two attempts and the kernel's own time for the wait. */
static const char *ability(int64_t own_ns, int64_t short_ns, int64_t long_ns)
{
    bool shortens = short_ns<own_ns - NS_PER_SEC, lengthens = long_ns> own_ns + NS_PER_SEC;

    return shortens ? (lengthens ? "both" : "only shorten")
                    : (lengthens ? "only lengthen" : "neither");
}

/* What a limit of the caller's could not end comes by SO_ERROR, or from connect itself. */
static const char *seen_by_caller(struct testbed *bed, const struct attempt *attempt,
                                  const struct outcome *seen)
{
    const struct method *method = &methods[attempt->method];
    bool polled = attempt->method == SOCK_CONNECT_SELECT || attempt->method == SOCK_CONNECT_POLL ||
                  attempt->method == SOCK_CONNECT_EPOLL;

    if (!strcmp(seen->error, method->error))
        return method->sees;
    return arena_printf(bed->arena, "%s %s", polled ? "SO_ERROR" : "-1", seen->error);
}

static const char *limit_text(struct testbed *bed, const struct attempt *attempt)
{
    if (methods[attempt->method].bound == BOUND_NONE)
        return "none";
    if (attempt->retries)
        return arena_printf(bed->arena, "%lld %s", (long long)attempt->retries,
                            attempt->retries > 1 ? "retries" : "retry");
    return arena_printf(bed->arena, "%.1f s", (double)attempt->limit_ns / NS_PER_SEC);
}

static void add_row(struct testbed *bed, const struct attempt *attempt, const struct outcome *seen,
                    const char *can)
{
    testbed_row(bed, TEXT("method", sock_connect_methods[attempt->method].name),
                TEXT("limit", limit_text(bed, attempt)),
                TEXT("caller_sees", seen_by_caller(bed, attempt, seen)),
                INTEGER("after_ns", seen->after_ns), INTEGER("syns", seen->syns),
                TEXT("socket", seen->state), TEXT("can", can));
}

static void check_method(struct testbed *bed, const struct connect_attempt *own,
                         const struct attempts *attempts, size_t index)
{
    const struct attempt *both = &attempts->of[index];
    const char *name = connect_key(bed, sock_connect_methods[both->method].name);
    struct outcome expected[2], seen[2];

    for (size_t i = 0; i < 2; i++) {
        expected[i] = predict(&both[i]);
        seen[i] = observe(bed, &both[i], port_of(index + i));
    }
    const char *can = ability(connect_took_ns(&own->connect), seen[0].after_ns, seen[1].after_ns);
    testbed_check_text(bed, name, outcome_text(bed, &expected[0]), outcome_text(bed, &seen[0]));
    testbed_check_time(bed, arena_printf(bed->arena, "%s_ns", name), &own->settings,
                       expected[0].after_ns, seen[0].after_ns);
    testbed_check_text(bed, arena_printf(bed->arena, "%s_can", name),
                       ability(own->plan.failed_ns, expected[0].after_ns, expected[1].after_ns),
                       can);
    for (size_t i = 0; i < 2; i++)
        add_row(bed, &both[i], &seen[i], can);
}

static void check_methods(struct testbed *bed, const struct connect_attempt *own,
                          const struct attempts *attempts)
{
    testbed_table(bed, "methods",
                  "Ways of bounding it: with a limit below the kernel's own and with one above it");
    if (chosen(bed) & 1u << SOCK_CONNECT_BLOCKING) {
        struct attempt blocking = {.method = SOCK_CONNECT_BLOCKING, .limit_ns = RESULT_UNKNOWN};
        struct outcome seen = {
            act_rc_name(own->connect.rc, "0"), testbed_state_name(own->state_left),
            connect_took_ns(&own->connect),
            testbed_count(bed, testbed_connection_to(bed, TESTBED_PORT), "syn", LAB_FROM_CLIENT)};
        add_row(bed, &blocking, &seen, "neither");
    }
    for (size_t i = 0; i < attempts->count; i += 2)
        check_method(bed, own, attempts, i);
}

/* The subject's SYNs against the plan: their number, the time of each, and when connect gave up. */
static void check_schedule(struct testbed *bed, const struct connect_attempt *attempt)
{
    const struct kernel_timers *plan = &attempt->plan, *host = &attempt->host;
    int64_t seen_ns[KERNEL_TIMERS_SENT_MAX];
    size_t seen = testbed_times(bed, "syn", LAB_FROM_CLIENT, seen_ns, KERNEL_TIMERS_SENT_MAX);

    testbed_check_integer(bed, "syns", (int64_t)plan->sent_count, (int64_t)seen);
    testbed_timings(bed, "SYN", plan, host, 0, seen_ns, seen);
    testbed_timing(bed, "connect fails", plan->failed_ns, connect_took_ns(&attempt->connect),
                   host->failed_ns);
    connect_check_took(bed, attempt, plan->failed_ns);
    if (seen == plan->sent_count && seen) {
        testbed_check_time(bed, "last_syn_ns", &attempt->settings, plan->sent_ns[seen - 1],
                           seen_ns[seen - 1] - seen_ns[0]);
    }
}

static void play_blackhole(struct testbed *bed)
{
    struct attempts attempts = {0};

    testbed_fault(bed, "drop syn dir c>s");
    plan_attempts(bed, &attempts);
    begin_attempts(bed, &attempts);
    /* The subject: a blocking connect, with nothing set. */
    struct connect_attempt own = connect_try(bed, ACT_TO_PEER);
    for (size_t i = 0; i < attempts.count; i++)
        attempts.of[i].reply = agent_end(attempts.of[i].agent, longest_ns(&attempts));
    testbed_check_rc(bed, "connect", "ETIMEDOUT", &own.connect, "0");
    connect_summary(bed, &own.connect);
    check_schedule(bed, &own);
    if (attempts.count)
        check_methods(bed, &own, &attempts);
}

const struct scenario connect_blackhole = {
    .name = "blackhole",
    .title = "nothing comes back: a dead host, or a filter that drops; and each way of bounding it",
    .book = "The SYN is sent again after 6 and 24 s, and ETIMEDOUT is returned after 75 s "
            "(section 4.3, for 4.4BSD). An alarm or select can make that shorter, and not longer; "
            "SO_SNDTIMEO is for output, where it gives EWOULDBLOCK (section 14.2).",
    .here = "SYNs at 0, 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s with the settings that Linux has "
            "since 6.5, and ETIMEDOUT after 131 s or more; before that at 0, 1, 3, 7, 15, 31 and "
            "63 s, and after 127 s. tcp_syn_retries, tcp_syn_linear_timeouts and TCP_SYNCNT "
            "decide. An alarm, select, poll, epoll and SO_SNDTIMEO (EINPROGRESS) stop the "
            "caller's wait only: the kernel goes on until the socket is closed. TCP_USER_TIMEOUT "
            "and TCP_SYNCNT stop the kernel, and only TCP_SYNCNT can make it try longer.",
    .differs = "Linux tries longer, at intervals that double, and lets settings decide.",
    .settings = connect_few_retries,
    .play = play_blackhole,
};
