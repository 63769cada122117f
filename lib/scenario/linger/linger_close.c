/* Ending a connection while data and FIN are unacknowledged: which calls wait, and for what. */
#include "scenario/linger/linger.h"

#include <errno.h>
#include <stdio.h>

enum way_call {
    WAY_CLOSE,
    WAY_SHUTDOWN,
    WAY_EXIT,
};

enum way_return {
    WAY_AT_ONCE,
    WAY_AFTER_ACK,
    WAY_TIME_UP,
};

struct way {
    enum way_call call;
    const char *option; /* SO_LINGER's value; NULL: as a socket begins */
    bool nonblocking;
    enum way_return returns;
};

#define LINGER_SECONDS 1 /* of linger-expired: the shortest there is */

static const char *const return_names[] = {
    [WAY_AT_ONCE] = "at once",
    [WAY_AFTER_ACK] = "after the ACK",
    [WAY_TIME_UP] = "time was up",
};

struct way_facts {
    struct linger_facts common;
    struct kernel_timers_settings settings;
    struct act_reply read; /* the client's, after shutdown */
    bool fin_seen;
    int64_t expected_ns;
};

/* ---- The call, and what it waits for ---- */

/* It may return while the ACKs are kept: how long we look for that. */
static int64_t patience_of(const struct way *way)
{
    return way->returns == WAY_AFTER_ACK ? LINGER_AT_ONCE_NS : LINGER_PATIENCE_NS;
}

static void begin_call(struct agent *client, const struct way *way)
{
    switch (way->call) {
    case WAY_CLOSE:
        BEGIN(client, ACT_CLOSE);
        return;
    case WAY_SHUTDOWN:
        BEGIN(client, ACT_SHUTDOWN, .number = SHUT_WR);
        return;
    case WAY_EXIT:
        BEGIN(client, ACT_EXIT, .number = 0);
        return;
    }
}

static bool call_returned(struct way_facts *facts, struct agent *client, const struct way *way)
{
    if (way->call == WAY_EXIT)
        return agent_ended(client, patience_of(way), NULL);
    facts->common.call = agent_try(client, patience_of(way));
    return !facts->common.call.late;
}

static void end_call(struct way_facts *facts, struct agent *client, const struct way *way)
{
    if (way->call == WAY_EXIT)
        agent_wait(client, ACT_LIMIT_NS, NULL);
    else if (facts->common.call.late)
        facts->common.call = agent_end(client, ACT_LIMIT_NS);
}

static void run_way(struct testbed *bed)
{
    const struct way *way = bed->scenario->arg;
    struct way_facts *facts = (struct way_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    facts->settings = testbed_settings(bed, LAB_CLIENT);
    if (way->option) {
        struct act act = {.verb = ACT_OPTION};
        snprintf(act.text, sizeof act.text, "SO_LINGER=%s", way->option);
        agent_do(client, &act);
    }
    if (way->nonblocking)
        linger_set_nonblocking(client, 0);
    linger_hold(bed, &facts->common);
    linger_write(bed, &facts->common);
    begin_call(client, way);
    facts->fin_seen =
        linger_is_small(&facts->common) && testbed_saw(bed, "c>s:fin", LINGER_PATIENCE_NS);
    /* The wire has the FIN's ACK, which may be a delayed one, in its hand. */
    if (way->returns == WAY_AFTER_ACK && facts->fin_seen)
        testbed_saw(bed, "s>c:ack#2", LINGER_PATIENCE_NS);
    facts->common.before_ack = call_returned(facts, client, way);
    linger_release(bed, &facts->common);
    facts->common.end = linger_read(server, 1);
    end_call(facts, client, way);
    facts->common.after = linger_state(bed, LAB_CLIENT, facts->common.port, TCP_FIN_WAIT2);
    linger_finish(bed, &facts->common, TCP_TIME_WAIT);
    if (way->call == WAY_SHUTDOWN) {
        facts->read = DO(client, ACT_READ, .bytes = 1, .flags = MSG_DONTWAIT);
        DO(client, ACT_CLOSE);
    }
}

static void check_exchange(struct testbed *bed)
{
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK",
                         "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK", "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
                          "TIME-WAIT", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK",
                          "CLOSED", NULL);
}

static void check_way(struct testbed *bed)
{
    const struct way *way = bed->scenario->arg;
    const struct way_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_bool(bed, "returned_before_the_ack", way->returns != WAY_AFTER_ACK,
                       common->before_ack);
    if (way->call != WAY_EXIT)
        testbed_check_rc(bed, way->call == WAY_CLOSE ? "close" : "shutdown", "0", &common->call,
                         "0");
    int64_t took_ns = common->call.returned_ns - common->call.entered_ns;
    if (way->call != WAY_EXIT)
        testbed_observe_integer(bed, "took_ns", took_ns);
    if (way->returns == WAY_TIME_UP)
        linger_expect_time(bed, "took_ns", &facts->settings, LINGER_SECONDS * NS_PER_SEC);
    if (way->call == WAY_SHUTDOWN)
        testbed_check_rc(bed, "client_reads_at_the_end", "EOF", &facts->read, "EOF");
    testbed_check_integer(bed, "delivered_bytes", common->bytes, common->end.bytes);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&common->end));
    testbed_check_text(bed, "state_after_the_ack", "FIN-WAIT-2", testbed_state_name(common->after));
    testbed_check_text(bed, "client_end", "TIME-WAIT", testbed_state_name(common->client));
    testbed_check_text(bed, "server_end", "none", testbed_state_name(common->server));
    /* Before Linux 6.11 (tcp_rto_min_us) what is held that long is sent again. */
    if (linger_is_small(common) &&
        (way->returns != WAY_TIME_UP || facts->settings.rto_min_ns > LINGER_SECONDS * NS_PER_SEC))
        check_exchange(bed);
    linger_summarise_facts(bed, common, return_names[way->returns]);
}

/* ---- The rows ---- */

const struct scenario linger_shutdown_write = {
    .name = "shutdown-write",
    .title = "SHUT_WR: what was written goes out, then FIN; reading goes on",
    .book = "No more sends; what is in the send buffer is sent, followed by FIN. The receive side "
            "is untouched, and the call does not wait (sections 6.6 and 7.5, figure 7.12).",
    .here = "The same. The call returns before anything is acknowledged.",
    .settings = linger_settings,
    .play = run_way,
    .check = check_way,
    .arg = &(const struct way){.call = WAY_SHUTDOWN, .returns = WAY_AT_ONCE},
};

const struct scenario linger_close = {
    .name = "close",
    .title = "close as it is by default: it returns at once, the kernel does the rest",
    .book = "close returns at once. What is in the send buffer is sent, followed by FIN; the "
            "caller does not learn what becomes of it (section 7.5).",
    .here = "The same. The socket goes on without an owner through FIN-WAIT-1 and FIN-WAIT-2 to "
            "TIME-WAIT.",
    .settings = linger_settings,
    .play = run_way,
    .check = check_way,
    .arg = &(const struct way){.call = WAY_CLOSE, .returns = WAY_AT_ONCE},
};

const struct scenario linger_off_explicit = {
    .name = "linger-off-explicit",
    .title = "SO_LINGER off, with a time: the time means nothing",
    .book = "With l_onoff 0 the value of l_linger is ignored, and TCP's default applies (section "
            "7.5).",
    .here = "The same.",
    .settings = linger_settings,
    .play = run_way,
    .check = check_way,
    .arg = &(const struct way){.call = WAY_CLOSE, .option = "off,10s", .returns = WAY_AT_ONCE},
};

const struct scenario linger_timeout = {
    .name = "linger-timeout",
    .title = "SO_LINGER with a time, acknowledged in time: close waits for the FIN's ACK",
    .book = "close sleeps until all data and the FIN are acknowledged: then the peer's TCP has "
            "them, which does not mean that its application has read them (section "
            "7.5).",
    .here = "The same. The FIN's ACK may itself be a delayed one.",
    .settings = linger_settings,
    .play = run_way,
    .check = check_way,
    .arg = &(const struct way){.call = WAY_CLOSE, .option = "on,10s", .returns = WAY_AFTER_ACK},
};

const struct scenario linger_expired = {
    .name = "linger-expired",
    .title = "SO_LINGER with a time, and the ACK comes later: close gives up waiting",
    .book = "close returns -1 with EWOULDBLOCK when the time is up, and what is left in the send "
            "buffer is discarded (section 7.5).",
    .here = "close returns 0, as if it had been acknowledged, and nothing is discarded: the kernel "
            "goes on sending as after a close without SO_LINGER. Only the time that it took tells "
            "the two apart.",
    .differs = "Linux returns 0 instead of EWOULDBLOCK, and keeps the data.",
    .settings = linger_settings,
    .play = run_way,
    .check = check_way,
    .arg = &(const struct way){.call = WAY_CLOSE, .option = "on,1s", .returns = WAY_TIME_UP},
};

const struct scenario linger_nonblocking = {
    .name = "linger-nonblocking",
    .title = "SO_LINGER with a time on a non-blocking socket: close waits nevertheless",
    .book = "With a non-blocking socket close does not wait, whatever the linger time (section "
            "7.5).",
    .here = "close does not look at O_NONBLOCK: it waits for the ACK or the time, and returns 0. "
            "An event loop that closes such a socket stands still.",
    .differs = "Linux ignores O_NONBLOCK in close.",
    .settings = linger_settings,
    .play = run_way,
    .check = check_way,
    .arg =
        &(const struct way){
            .call = WAY_CLOSE, .option = "on,10s", .nonblocking = true, .returns = WAY_AFTER_ACK},
};

const struct scenario linger_exit_without_close = {
    .name = "exit-without-close",
    .title = "the process ends with SO_LINGER set: exit does not linger",
    .book = "When a process ends, the kernel closes its descriptors; nothing is said of lingering.",
    .here = "The kernel closes the descriptors of a process that ends without waiting, even with "
            "SO_LINGER: the process is gone before anything is acknowledged. FIN follows the data "
            "as usual.",
    .settings = linger_settings,
    .play = run_way,
    .check = check_way,
    .arg = &(const struct way){.call = WAY_EXIT, .option = "on,10s", .returns = WAY_AT_ONCE},
};
