/* Ending a connection while data and FIN are unacknowledged: which calls wait, and for what. */
#include "scenario/engine/agent_self.h"
#include "scenario/linger/linger.h"

enum way_return {
    WAY_AT_ONCE,
    WAY_AFTER_ACK,
    WAY_TIME_UP,
};

struct way {
    struct act end;    /* close, shutdown, or the end of the process */
    struct act option; /* SO_LINGER; empty: as a socket begins */
    bool nonblocking;
    enum way_return returns;
};

#define LINGER_SECONDS 1 /* of linger-expired: the shortest there is */

static const char *const return_names[] = {
    [WAY_AT_ONCE] = "at once",
    [WAY_AFTER_ACK] = "after the ACK",
    [WAY_TIME_UP] = "time was up",
};

/* It may return while the ACKs are held: how long we look for that. Of a process it is the end. */
static bool call_returned(struct agent *client, const struct way *way, struct act_reply *call)
{
    int64_t limit_ns = way->returns == WAY_AFTER_ACK ? LINGER_AT_ONCE_NS : LINGER_PATIENCE_NS;

    if (way->end.verb == ACT_EXIT)
        return agent_ended(client, limit_ns, NULL);
    *call = agent_try(client, limit_ns);
    return !call->late;
}

static void check_call(struct testbed *bed, struct agent *client, const struct act_reply *call)
{
    const struct way *way = bed->scenario->arg;
    struct act_reply last = call->late ? agent_end(client, ACT_LIMIT_NS) : *call;
    int64_t took_ns = last.returned_ns - last.entered_ns;

    testbed_check_rc(bed, way->end.verb == ACT_CLOSE ? "close" : "shutdown", "0", &last, "0");
    testbed_observe(bed, INTEGER("took_ns", took_ns));
    if (way->returns != WAY_TIME_UP)
        return;
    struct kernel_timers_settings settings = testbed_settings(bed, LAB_CLIENT);
    linger_check_time(bed, "took_ns", &settings, LINGER_SECONDS * NS_PER_SEC, took_ns);
    /* What is held that long is sent again, with --real-time or without a lab. */
    if (settings.rto_min_ns <= LINGER_SECONDS * NS_PER_SEC)
        testbed_any_exchange(bed);
}

static AGENT_CALL(do_set_nonblocking)
{
    int rc = sock_set_nonblocking(&self->slots[act->slot], true);
    syscall_recorder_note(&self->recorder, "fcntl O_NONBLOCK", self->slots[act->slot].fd, rc);
    return rc;
}

static void play_way(struct testbed *bed)
{
    const struct way *way = bed->scenario->arg;
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, LINGER_BYTES));
    struct act_reply call = {0};

    if (way->option.verb)
        agent_do(s.client, &way->option);
    if (way->nonblocking)
        DO(s.client, ACT_CALL, .function = do_set_nonblocking);
    linger_hold(&s);
    linger_write(&s);
    agent_begin(s.client, &way->end);
    bool fin = s.bytes <= LINGER_BYTES && linger_saw(&s, "c>s:fin");
    /* Now the wire holds the FIN's ACK, too, which may be a delayed one. */
    if (way->returns == WAY_AFTER_ACK && fin)
        linger_saw(&s, "s>c:ack#2");
    bool before_ack = call_returned(s.client, way, &call);
    testbed_check_bool(bed, "returned_before_the_ack", way->returns != WAY_AFTER_ACK, before_ack);
    linger_release(&s);
    s.end = linger_read(s.server, 1);
    if (way->end.verb == ACT_EXIT)
        agent_wait(s.client, ACT_LIMIT_NS, NULL);
    else
        check_call(bed, s.client, &call);
    linger_check_state(&s, "state_after_the_ack", LAB_CLIENT, TCP_FIN_WAIT2);
    linger_finish(&s, TCP_TIME_WAIT);
    testbed_check_integer(bed, "delivered_bytes", s.bytes, s.end.bytes);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&s.end));
    linger_check_ends(&s, TCP_TIME_WAIT, 0);
    if (way->end.verb == ACT_SHUTDOWN) {
        CHECK(bed, "client_reads_at_the_end", "EOF", s.client, ACT_READ, .bytes = 1,
              .flags = MSG_DONTWAIT);
        DO(s.client, ACT_CLOSE);
    }
    linger_summarize(&s, return_names[way->returns], before_ack ? "nobody" : "peer's TCP");
}

/* ---- The rows ---- */

#define LINGER(value) .verb = ACT_OPTION, .text = "SO_LINGER=" value
#define WAY_ROW(...)                                                                               \
    .arg = &(const struct way){__VA_ARGS__}, .settings = linger_settings, .play = play_way,        \
    .flags = FLAGS(HANDSHAKE, "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK",   \
                   "C>S ACK"),                                                                     \
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"),   \
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED")

const struct scenario linger_shutdown_write = {
    .name = "shutdown-write",
    .title = "SHUT_WR: what was written goes out, then FIN; reading goes on",
    .book = "No more sends; what is in the send buffer is sent, followed by FIN. The receiving "
            "half stays open, and the call does not wait (sections 6.6 and 7.5, figure 7.12).",
    .here = "The same. The call returns before anything is acknowledged.",
    WAY_ROW(.end = {.verb = ACT_SHUTDOWN, .number = SHUT_WR}, .returns = WAY_AT_ONCE),
};

const struct scenario linger_close = {
    .name = "close",
    .title = "a plain close: it returns at once, and the kernel does the rest",
    .book = "close returns at once. What is in the send buffer is sent, followed by FIN; the "
            "caller does not learn what becomes of it (section 7.5).",
    .here = "The same. The socket has no owner any more, and goes through FIN-WAIT-1 and "
            "FIN-WAIT-2 to TIME-WAIT.",
    WAY_ROW(.end = {.verb = ACT_CLOSE}, .returns = WAY_AT_ONCE),
};

const struct scenario linger_off_explicit = {
    .name = "linger-off-explicit",
    .title = "SO_LINGER off, but with a time: the time is ignored",
    .book = "With l_onoff 0 the value of l_linger is ignored, and TCP's default applies (section "
            "7.5).",
    .here = "The same.",
    WAY_ROW(.end = {.verb = ACT_CLOSE}, .option = {LINGER("off,10s")}, .returns = WAY_AT_ONCE),
};

const struct scenario linger_timeout = {
    .name = "linger-timeout",
    .title = "SO_LINGER with a time, and the ACK comes in time: close waits for the FIN's ACK",
    .book = "close sleeps until all data and the FIN are acknowledged: then the peer's TCP has "
            "them, which does not mean that its application has read them (section 7.5).",
    .here = "The same. The FIN's ACK may itself be a delayed one.",
    WAY_ROW(.end = {.verb = ACT_CLOSE}, .option = {LINGER("on,10s")}, .returns = WAY_AFTER_ACK),
};

const struct scenario linger_expired = {
    .name = "linger-expired",
    .title = "SO_LINGER with a time, and the ACK comes later: close gives up waiting",
    .book = "close returns -1 with EWOULDBLOCK when the time is up, and what is left in the send "
            "buffer is discarded (section 7.5).",
    .here = "close returns 0, as if it had been acknowledged, and nothing is discarded: the "
            "kernel keeps sending, as after a close without SO_LINGER. Only the time that close "
            "took tells the two apart.",
    .differs = "Linux returns 0 instead of EWOULDBLOCK, and keeps the data.",
    WAY_ROW(.end = {.verb = ACT_CLOSE}, .option = {LINGER("on,1s")}, .returns = WAY_TIME_UP),
};

const struct scenario linger_nonblocking = {
    .name = "linger-nonblocking",
    .title = "SO_LINGER with a time on a non-blocking socket: close waits all the same",
    .book = "With a non-blocking socket close does not wait, whatever the linger time (section "
            "7.5).",
    .here = "close does not look at O_NONBLOCK: it waits for the ACK or the time, and returns 0. "
            "An event loop that closes such a socket is blocked meanwhile.",
    .differs = "Linux ignores O_NONBLOCK in close.",
    WAY_ROW(.end = {.verb = ACT_CLOSE}, .option = {LINGER("on,10s")}, .nonblocking = true,
            .returns = WAY_AFTER_ACK),
};

const struct scenario linger_exit_without_close = {
    .name = "exit-without-close",
    .title = "the process ends with SO_LINGER set: exit does not linger",
    .book = "When a process ends, the kernel closes its descriptors; lingering is not mentioned.",
    .here = "The kernel closes the descriptors of a process that ends and does not wait, even with "
            "SO_LINGER: the process is gone before anything is acknowledged. The FIN follows the "
            "data as usual.",
    WAY_ROW(.end = {.verb = ACT_EXIT}, .option = {LINGER("on,10s")}, .returns = WAY_AT_ONCE),
};
