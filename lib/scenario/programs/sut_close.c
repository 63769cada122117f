/* How a program of the user's ends its connections, against a well-behaved peer.
 *
 * Nothing is right or wrong about who closes first. What is checked is what costs the other side
 * data or the program descriptors: an answer that RST destroys, a CLOSE-WAIT that never ends. The
 * rest is reported: FIN or RST, who sends it first, who gets TIME-WAIT. */
#include "scenario/programs/sut_close.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_NS (5 * NS_PER_SEC)
#define LOOK_NS   (10 * NS_PER_MS)
/* More than any server reads of a request that it has already answered. */
#define EXCESS_BYTES 65536

struct sut_close_facts {
    struct sut subject;
    struct act_reply answer; /* what netkit's client got */
    struct act_reply end;    /* what it read at the end */
    struct sut_sockets sockets;
    int64_t patience_ns;
    bool ended_first; /* the program ended the connection before netkit's side did anything */
};

/* ---- A server of the user's ---- */

static struct act_reply ask(struct testbed *bed)
{
    struct stub_peer_question question = {&sut_request(bed)->peer, 1000, false};
    struct act *act = &STUB_PEER_ACT(stub_peer_ask, question);

    act->timeout_ns = ANSWER_NS;
    return agent_do(testbed_client(bed), act);
}

static bool meet(struct testbed *bed, struct sut_close_facts *facts)
{
    if (!sut_listens(bed, &facts->subject))
        return false;
    struct act_reply reply = DO(testbed_client(bed), ACT_CONNECT, .port = sut_request(bed)->port);
    if (reply.rc)
        sut_decline(bed, "cannot connect to the server: %s", act_rc_name(reply.rc, "0"));
    return !testbed_failed(bed);
}

/* Until the server's socket is gone or in TIME-WAIT, or the patience is over. */
static void let_it_end(struct testbed *bed, struct sut_close_facts *facts)
{
    int64_t end_ns = clock_mono_ns() + sut_request(bed)->patience_ns;

    do {
        facts->sockets = sut_sockets(bed, sut_request(bed)->port);
        const int64_t *by = facts->sockets.by_state;
        if (!by[TCP_ESTABLISHED] && !by[TCP_CLOSE_WAIT] && !by[TCP_LAST_ACK] &&
            !by[TCP_FIN_WAIT1] && !by[TCP_FIN_WAIT2] && !by[TCP_CLOSING])
            return;
    } while (!sut_has_ended(bed, &facts->subject, LOOK_NS) && clock_mono_ns() < end_ns &&
             !testbed_failed(bed));
}

static void finish(struct testbed *bed, struct sut_close_facts *facts)
{
    let_it_end(bed, facts);
    sut_has_ended(bed, &facts->subject, 0);
    sut_stop(bed, &facts->subject);
}

/* A client that asks, reads all, then closes. */
static void run_polite(struct testbed *bed)
{
    struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    if (!meet(bed, facts))
        return;
    facts->answer = ask(bed);
    facts->ended_first = DO(testbed_client(bed), ACT_POLL, .number = POLLIN).rc > 0;
    DO(testbed_client(bed), ACT_CLOSE);
    finish(bed, facts);
}

/* One that ends its half right after the request, and waits for the answer. */
static void run_half_close(struct testbed *bed)
{
    struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);
    struct stub_peer_question question = {&sut_request(bed)->peer, 1000, true};

    if (!meet(bed, facts))
        return;
    agent_do(testbed_client(bed), &STUB_PEER_ACT(stub_peer_ask, question));
    DO(testbed_client(bed), ACT_SHUTDOWN, .number = SHUT_WR);
    DO(testbed_client(bed), ACT_OPTION, .text = "SO_RCVTIMEO=5s");
    facts->answer = DO(testbed_client(bed), ACT_READ_ALL);
    DO(testbed_client(bed), ACT_CLOSE);
    finish(bed, facts);
}

/* One that goes on sending what nobody reads: a server that closes with that unread resets, and
 * what of its answer is still under way is destroyed. */
static void run_excess(struct testbed *bed)
{
    struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    if (!meet(bed, facts))
        return;
    facts->answer = ask(bed);
    DO(testbed_client(bed), ACT_WRITE_ALL, .bytes = EXCESS_BYTES, .flags = MSG_NOSIGNAL);
    DO(testbed_client(bed), ACT_SHUTDOWN, .number = SHUT_WR);
    DO(testbed_client(bed), ACT_OPTION, .text = "SO_RCVTIMEO=5s");
    facts->end = DO(testbed_client(bed), ACT_READ_ALL);
    DO(testbed_client(bed), ACT_CLOSE);
    finish(bed, facts);
}

/* One that connects, says nothing, and goes. */
static void run_silent(struct testbed *bed)
{
    struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    if (!meet(bed, facts))
        return;
    DO(testbed_client(bed), ACT_CLOSE);
    finish(bed, facts);
}

/* ---- A client of the user's ---- */

static void serve_it(struct testbed *bed, struct sut_close_facts *facts,
                     struct stub_peer_point point)
{
    const struct sut_request *request = sut_request(bed);
    struct stub_peer_job job = {&request->peer, point, request->port, false};

    agent_begin(testbed_server(bed), &STUB_PEER_ACT(stub_peer_serve, job));
    testbed_wait_socket(bed, LAB_SERVER, request->port, 0, TCP_LISTEN);
    sut_start(bed, &facts->subject);
    if (sut_has_ended(bed, &facts->subject, request->patience_ns))
        testbed_saw(bed, "seen c>s:fin", 300 * NS_PER_MS);
    facts->sockets = sut_sockets(bed, request->port);
    sut_stop(bed, &facts->subject);
}

/* A server that answers and keeps the connection. */
static void run_kept(struct testbed *bed)
{
    struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    serve_it(bed, facts,
             (struct stub_peer_point){.when = STUB_PEER_WHEN_TIME, .amount = INT64_MAX});
    if (!testbed_failed(bed) && !testbed_saw(bed, "seen c>s:syn", 0))
        sut_decline(bed, "the client never connected (%s)", sut_end_text(bed, &facts->subject));
}

/* ---- What it amounts to ---- */

static bool sent_by(const char *flags, bool client, const char *flag)
{
    return *flags == (client ? 'C' : 'S') && strstr(flags, flag) && !strstr(flags, " x");
}

/* "client: FIN, then server: FIN", "server: RST", "nobody". */
static const char *how_ended(struct testbed *bed, const char **first_out)
{
    const char *text = NULL, *first = NULL;
    bool said[2][2] = {{false}};

    for (size_t i = 0; bed->subject && i < bed->subject->flags.count; i++) {
        const char *flags = bed->subject->flags.items[i];
        for (int server = 0; server < 2; server++)
            for (int rst = 0; rst < 2; rst++) {
                const char *name = server ? "server" : "client";
                if (said[server][rst] || !sent_by(flags, !server, rst ? "RST" : "FIN"))
                    continue;
                said[server][rst] = true;
                first = first ? first : name;
                text = arena_printf(bed->arena, "%s%s%s %s", text ? text : "", text ? ", " : "",
                                    name, rst ? "RST" : "FIN");
            }
    }
    *first_out = first;
    return text ? text : "nothing";
}

static bool resets(const struct testbed *bed, bool client)
{
    for (size_t i = 0; bed->subject && i < bed->subject->flags.count; i++)
        if (sent_by(bed->subject->flags.items[i], client, "RST"))
            return true;
    return false;
}

static const char *time_wait_of(const struct testbed *bed)
{
    const struct result_texts *sides[2] = {&bed->result->client_states,
                                           &bed->result->server_states};

    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < sides[side]->count; i++)
            if (!strcmp(sides[side]->items[i], "TIME-WAIT"))
                return side ? "server" : "client";
    return "nobody";
}

static void observe_ending(struct testbed *bed, const struct sut_close_facts *facts)
{
    struct result_map *summary = testbed_summary(bed);
    const char *first, *how = how_ended(bed, &first);

    testbed_observe_text(bed, "ended_by", how);
    testbed_observe_text(bed, "first", first);
    testbed_observe_text(bed, "time_wait_at", time_wait_of(bed));
    sut_observe_end(bed, &facts->subject);
    result_set_text(bed->arena, summary, "ended by", how);
    result_set_text(bed->arena, summary, "TIME-WAIT at", time_wait_of(bed));
}

static void check_leaks(struct testbed *bed, const struct sut_close_facts *facts)
{
    int64_t close_wait = facts->sockets.by_state[TCP_CLOSE_WAIT];

    testbed_check_integer(bed, "close_wait", 0, close_wait);
    if (close_wait)
        testbed_blame(
            bed, FINDING_CLOSE_WAIT_LEAK,
            arena_printf(bed->arena,
                         "The client had closed, and the server's descriptor was still open "
                         "%lld s later: CLOSE-WAIT.",
                         (long long)(sut_request(bed)->patience_ns / NS_PER_SEC)));
    result_set_integer(bed->arena, testbed_summary(bed), "CLOSE-WAIT", close_wait);
}

static void check_server(struct testbed *bed)
{
    const struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    observe_ending(bed, facts);
    check_leaks(bed, facts);
}

static void check_polite(struct testbed *bed)
{
    const struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    check_server(bed);
    testbed_observe_bool(bed, "closes_after_answer", facts->ended_first);
    testbed_check_bool(bed, "whole_answer", true, facts->answer.rc == 1);
    testbed_observe_integer(bed, "answer_bytes", facts->answer.bytes);
    testbed_check_bool(bed, "server_resets", false, resets(bed, false));
    testbed_blame(bed, FINDING_CONNECTION_RESET,
                  "The server ended the conversation with RST, or gave no whole answer.");
}

static void check_half_close(struct testbed *bed)
{
    const struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    check_server(bed);
    testbed_check_text(bed, "read_to_end", "EOF", act_rc_name(facts->answer.rc, "EOF"));
    testbed_expect_range(bed, "answer_bytes", 1, INT64_MAX);
    testbed_observe_integer(bed, "answer_bytes", facts->answer.bytes);
    testbed_blame(bed, FINDING_RESPONSE_TRUNCATED,
                  "The client had ended its half of the connection after the request, and got no "
                  "whole answer: the server takes end of stream for the end of the conversation.");
}

/* Whether the answer survives is what counts; the RST itself is what Linux does. */
static void check_excess(struct testbed *bed)
{
    const struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    check_server(bed);
    testbed_check_bool(bed, "whole_answer", true, facts->answer.rc == 1);
    testbed_observe_text(bed, "read_to_end", act_rc_name(facts->end.rc, "EOF"));
    testbed_observe_bool(bed, "server_resets", resets(bed, false));
    if (resets(bed, false))
        testbed_explain(
            bed, "The server closed with bytes unread, so that its kernel sent RST: a client "
                 "that is slow to read would lose the end of the answer. Read to the end, or "
                 "shutdown(SHUT_WR) and read, before close.");
    testbed_blame(bed, FINDING_RESPONSE_TRUNCATED, "The client got no whole answer.");
}

static void check_kept(struct testbed *bed)
{
    const struct sut_close_facts *facts = testbed_facts(bed, sizeof *facts);

    observe_ending(bed, facts);
    testbed_check_bool(bed, "ended", true, facts->subject.ended);
    testbed_check_bool(bed, "client_resets", false, resets(bed, true));
    if (!facts->subject.ended)
        testbed_blame(bed, FINDING_PROGRAM_FAILED,
                      "The client had its answer, and still ran when the time was up (--timeout).");
    testbed_blame(bed, FINDING_PEER_ABORTED,
                  "The client ended the connection with RST: it closed with bytes unread, or with "
                  "SO_LINGER zero. What the server had sent last is lost.");
    result_set_text(bed->arena, testbed_summary(bed), "client", sut_end_text(bed, &facts->subject));
}

/* ---- The rows ---- */

static const struct scenario sut_close_polite = {
    .name = "answered",
    .title = "a client asks, reads the whole answer, and closes",
    .play = run_polite,
    .check = check_polite,
};
static const struct scenario sut_close_half_close = {
    .name = "half-closed",
    .title = "a client ends its half after the request, and waits for the answer",
    .play = run_half_close,
    .check = check_half_close,
};
static const struct scenario sut_close_excess = {
    .name = "unread-bytes",
    .title = "a client sends more than the server reads",
    .play = run_excess,
    .check = check_excess,
};
static const struct scenario sut_close_silent = {
    .name = "silent",
    .title = "a client connects, says nothing, and goes",
    .play = run_silent,
    .check = check_server,
};
static const struct scenario sut_close_kept = {
    .name = "kept-open",
    .title = "the server answers, and leaves it to the client to end the connection",
    .play = run_kept,
    .check = check_kept,
};

static const struct scenario *const servers[] = {&sut_close_polite, &sut_close_half_close,
                                                 &sut_close_excess, &sut_close_silent, NULL};
static const struct scenario *const clients[] = {&sut_close_kept, NULL};

const struct scenario_set sut_close_servers = {.command = "linger-test", .items = servers};
const struct scenario_set sut_close_clients = {.command = "linger-test", .items = clients};
