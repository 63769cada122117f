/* What the scenarios of accept-backlog share; see backlog.h. */
#include "scenario/backlog/backlog.h"

#include "base/cleanup.h"
#include "base/wait.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES 40

struct backlog_watch {
    struct backlog_sample samples[SAMPLES];
    size_t count;
    bool gave_up; /* what was waited for did not come: no more waiting */
};

const struct scenario_setting backlog_settings[] = {BACKLOG_SETTINGS, {0}};

static const char *const counter_names[BACKLOG_COUNTERS] = {
    [BACKLOG_OVERFLOWS] = "ListenOverflows",
    [BACKLOG_DROPS] = "ListenDrops",
    [BACKLOG_REQ_DROP] = "TCPReqQFullDrop",
    [BACKLOG_REQ_COOKIES] = "TCPReqQFullDoCookies",
    [BACKLOG_COOKIES_SENT] = "SyncookiesSent",
    [BACKLOG_COOKIES_RECV] = "SyncookiesRecv",
    [BACKLOG_COOKIES_FAIL] = "SyncookiesFailed",
    [BACKLOG_EMBRYONIC] = "EmbryonicRsts",
    [BACKLOG_DEFER_DROP] = "TCPDeferAcceptDrop",
    [BACKLOG_TFO_PASSIVE] = "TCPFastOpenPassive",
    [BACKLOG_TFO_OVERFLOW] = "TCPFastOpenListenOverflow",
    [BACKLOG_MIGRATED] = "TCPMigrateReqSuccess",
    [BACKLOG_MIGRATE_FAIL] = "TCPMigrateReqFailure",
};

/* ---- Looking ---- */

static int count_socket(void *context, const struct sock_diag_entry *entry)
{
    struct backlog_survey *survey = context;

    if (entry->state == TCP_LISTEN) {
        survey->listeners++;
        survey->queue += entry->rqueue;
        survey->limit += entry->wqueue;
    } else if (entry->state > 0 && entry->state < (int)ARRAY_SIZE(survey->states)) {
        survey->states[entry->state]++;
        survey->unread_bytes += entry->rqueue;
    }
    return 0;
}

/* In an agent. flags: whether the port is the own one (the server's), and whether to count. */
static AGENT_CALL(do_survey)
{
    struct backlog_survey survey = {0};
    uint16_t port = agent_self_port(self, act->port);
    bool own = self->host == LAB_SERVER;
    struct sock_diag_filter filter = {
        .family = self->start.family, .local_port = own ? port : 0, .remote_port = own ? 0 : port};
    int rc = agent_self_sockets(&filter, count_socket, &survey);

    for (size_t i = 0; act->flags && i < BACKLOG_COUNTERS; i++) {
        struct act ask = {.verb = ACT_COUNTER};
        snprintf(ask.text, sizeof ask.text, "TcpExt %s", counter_names[i]);
        int64_t value = agent_self_counter(self, &ask, reply);
        survey.counters[i] = value < 0 ? RESULT_UNKNOWN : value; /* an older kernel */
    }
    _Static_assert(sizeof survey <= ACT_DATA_MAX, "an answer holds it");
    memcpy(reply->data, &survey, sizeof survey);
    return rc;
}

static struct backlog_watch *watch_of(struct testbed *bed)
{
    static struct backlog_watch scratch;

    if (!bed->backlog)
        bed->backlog = arena_alloc(bed->arena, sizeof *bed->backlog);
    if (!bed->backlog)
        testbed_fail(bed, "out of memory");
    return bed->backlog ? bed->backlog : &scratch;
}

static struct backlog_survey survey(struct testbed *bed, enum lab_host host, uint16_t port,
                                    bool count)
{
    struct backlog_survey seen = {0};

    LOOK(bed, host, "the sockets", &seen, do_survey, .port = port, .flags = count);
    return seen;
}

struct backlog_survey backlog_survey(struct testbed *bed, uint16_t port)
{
    return survey(bed, LAB_SERVER, port, true);
}

const struct backlog_sample *backlog_look(struct testbed *bed, uint16_t port, const char *when)
{
    struct backlog_watch *watch = watch_of(bed);
    struct backlog_sample *sample = &watch->samples[watch->count];

    if (watch->count + 1 < SAMPLES)
        watch->count++;
    *sample = (struct backlog_sample){.when = when,
                                      .at_ns = clock_mono_ns() - bed->started_mono_ns,
                                      .server = survey(bed, LAB_SERVER, port, true),
                                      .client = survey(bed, LAB_CLIENT, port, false)};
    testbed_mark(bed, "%s: %d queued, limit %d", when, (int)sample->server.queue,
                 (int)sample->server.limit);
    return sample;
}

int64_t backlog_rise(const struct backlog_sample *from, const struct backlog_sample *to,
                     enum backlog_counter counter)
{
    int64_t before = from->server.counters[counter], after = to->server.counters[counter];
    return before == RESULT_UNKNOWN || after == RESULT_UNKNOWN ? RESULT_UNKNOWN : after - before;
}

void backlog_check_rise(struct testbed *bed, const char *key, int64_t expected,
                        const struct backlog_sample *from, const struct backlog_sample *to,
                        enum backlog_counter counter)
{
    testbed_check_integer(bed, key, expected, backlog_rise(from, to, counter));
}

/* ---- Tables ---- */

static void list_queues(struct testbed *bed, const struct backlog_watch *watch)
{
    testbed_table(bed, "queues", "The queues over time");
    for (size_t i = 0; i < watch->count; i++) {
        const struct backlog_sample *sample = &watch->samples[i];
        testbed_row(bed, TEXT("when", sample->when), INTEGER("at_ns", sample->at_ns),
                    INTEGER("accept_queue", sample->server.queue),
                    INTEGER("limit", sample->server.limit),
                    INTEGER("half_open", sample->server.states[TCP_SYN_RECV]),
                    INTEGER("clients_connected", sample->client.states[TCP_ESTABLISHED]),
                    INTEGER("clients_waiting", sample->client.states[TCP_SYN_SENT]));
    }
}

static void list_counters(struct testbed *bed, const struct backlog_watch *watch)
{
    const struct backlog_sample *first = &watch->samples[0];
    const struct backlog_sample *last = &watch->samples[watch->count - 1];

    bool moved = false;

    for (enum backlog_counter i = 0; i < BACKLOG_COUNTERS; i++) {
        if (!backlog_rise(first, last, i))
            continue;
        if (!moved)
            testbed_table(bed, "counters", "The server's counters that moved");
        moved = true;
        testbed_row(bed, TEXT("counter", counter_names[i]),
                    INTEGER("before", first->server.counters[i]),
                    INTEGER("after", last->server.counters[i]));
    }
}

/* The scenario's row in the summary of all. */
static void summarize(struct testbed *bed, const struct backlog_watch *watch)
{
    const struct backlog_sample *first = &watch->samples[0];
    const struct backlog_sample *last = &watch->samples[watch->count - 1];
    int64_t queue = 0, half_open = 0;
    const char *moved = "";

    for (size_t i = 0; i < watch->count; i++) {
        const struct backlog_survey *server = &watch->samples[i].server;
        queue = server->queue > queue ? server->queue : queue;
        half_open =
            server->states[TCP_SYN_RECV] > half_open ? server->states[TCP_SYN_RECV] : half_open;
    }
    for (enum backlog_counter i = 0; i < BACKLOG_COUNTERS; i++)
        if (backlog_rise(first, last, i) > 0)
            moved = arena_printf(bed->arena, "%s%s%s +%d", moved, *moved ? ", " : "",
                                 counter_names[i], (int)backlog_rise(first, last, i));
    testbed_summarize(bed, INTEGER("most_queued", queue), INTEGER("most_half_open", half_open),
                      TEXT("counters", *moved ? moved : "-"));
}

/* "1, 2, 3": the accept queue in each sample. */
static const char *lengths(struct testbed *bed, const struct backlog_watch *watch)
{
    const char *text = "";

    for (size_t i = 0; i < watch->count; i++)
        text = arena_printf(bed->arena, "%s%s%d", text, i ? ", " : "",
                            (int)watch->samples[i].server.queue);
    return text;
}

void backlog_tables(struct testbed *bed, const char *queues)
{
    const struct backlog_watch *watch = watch_of(bed);

    if (queues)
        testbed_check_text(bed, "accept_queue", queues, lengths(bed, watch));
    if (!watch->count)
        return;
    list_queues(bed, watch);
    list_counters(bed, watch);
    if (testbed_runs_for(bed, "accept-backlog"))
        summarize(bed, watch);
}

/* ---- Waiting ---- */

bool backlog_gave_up(struct testbed *bed)
{
    return testbed_failed(bed) || watch_of(bed)->gave_up;
}

void backlog_give_up_if(struct testbed *bed, bool now)
{
    watch_of(bed)->gave_up |= now;
}

static int64_t field_now(struct testbed *bed, uint16_t port, size_t offset)
{
    struct backlog_survey now = survey(bed, LAB_SERVER, port, false);
    int64_t value;

    memcpy(&value, (const char *)&now + offset, sizeof value);
    return value;
}

bool backlog_await_field(struct testbed *bed, uint16_t port, size_t offset, int64_t value)
{
    struct backlog_watch *watch = watch_of(bed);
    bool met = false;

    if (watch->gave_up)
        return false;
    if (!wait_until(testbed_failed(bed) || (met = field_now(bed, port, offset) == value),
                    clock_mono_ns() + TESTBED_LIMIT_NS))
        watch->gave_up = true;
    return met;
}

bool backlog_await(struct testbed *bed, const char *condition)
{
    struct backlog_watch *watch = watch_of(bed);

    if (testbed_saw(bed, condition, watch->gave_up ? 0 : TESTBED_LIMIT_NS))
        return true;
    watch->gave_up = true;
    return false;
}

/* ---- Doing ---- */

int backlog_fill(struct testbed *bed, uint16_t port, int first, int count)
{
    struct backlog_watch *watch = watch_of(bed);
    struct agent *client = testbed_client(bed);
    int64_t before = survey(bed, LAB_SERVER, port, false).queue;
    int connected = 0;

    for (int i = 0; i < count; i++) {
        bool good = DO(client, ACT_CONNECT, .slot = first + i, .port = port).rc == 0;
        connected += good;
        watch->gave_up |= !good;
        backlog_await_queue(bed, port, before + i + 1);
    }
    return connected;
}

int backlog_accept(struct testbed *bed, struct agent *server, int listener, int first, int count)
{
    struct backlog_watch *watch = watch_of(bed);
    int accepted = 0;

    for (int i = 0; i < count; i++) {
        struct act_reply reply = DO(server, ACT_ACCEPT, .slot = listener, .other = first + i,
                                    .timeout_ns = watch->gave_up ? NS_PER_MS : TESTBED_LIMIT_NS);
        accepted += reply.rc == 0;
        watch->gave_up |= reply.rc == -ETIME;
    }
    return accepted;
}

int64_t backlog_read(struct testbed *bed, int slot, int64_t bytes)
{
    return backlog_gave_up(bed)
               ? 0
               : DO(testbed_server(bed), ACT_READ_ALL, .slot = slot, .bytes = bytes).bytes;
}

void backlog_set(struct testbed *bed, enum lab_host host, const char *path, const char *value)
{
    struct error error = {0};

    if (!testbed_failed(bed) && lab_set(bed->lab, host, path, value, &error))
        testbed_fail(bed, "%s", error.text);
}

bool backlog_migrates(struct testbed *bed)
{
    struct agent *server = testbed_server(bed);

    return DO(server, ACT_SETTING, .text = "tcp_migrate_req").rc >= 0 &&
           DO(server, ACT_COUNTER, .text = "TcpExt TCPMigrateReqSuccess").rc >= 0;
}

const char *backlog_state_of(struct agent *client, int slot)
{
    struct act_reply reply =
        DO(client, ACT_READ, .slot = slot, .bytes = 1, .flags = MSG_DONTWAIT | MSG_PEEK);

    return reply.rc == -EAGAIN ? "open" : reply.rc > 0 ? "data" : act_rc_name(reply.rc, "EOF");
}

const char *backlog_end_of(struct testbed *bed, struct agent *client, int slot)
{
    struct backlog_watch *watch = watch_of(bed);
    struct act_reply reply = DO(client, ACT_POLL, .slot = slot, .number = POLLIN,
                                .timeout_ns = watch->gave_up ? NS_PER_MS : TESTBED_LIMIT_NS);

    watch->gave_up |= reply.rc == 0;
    return backlog_state_of(client, slot);
}

/* ---- Processes, inside an agent ---- */

/* 'S' and the like; 0: there is no such process. */
static char state_of_process(pid_t pid)
{
    char path[40], text[128];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    const char *end = strrchr(text, ')');
    return end && end[1] ? end[2] : 0;
}

bool backlog_sleeps(pid_t pid)
{
    return state_of_process(pid) == 'S';
}
