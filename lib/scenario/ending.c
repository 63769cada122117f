/* How a program of the user's ends its connections, against a well-behaved peer.
 *
 * Nothing is right or wrong about who closes first. What is checked is what costs the other side
 * data or the program descriptors: an answer that RST destroys, a CLOSE-WAIT that never ends. The
 * rest is reported: FIN or RST, who sends it first, who gets TIME-WAIT. */
#include "scenario/ending.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_NS (5 * NS_PER_SEC)
#define LOOK_NS   (10 * NS_PER_MS)
/* More than any server reads of a request that it has already answered. */
#define EXCESS_BYTES 65536

struct ending_facts {
    struct subject subject;
    struct act_reply answer; /* what netkit's client got */
    struct act_reply end;    /* what it read at the end */
    struct subject_sockets sockets;
    int64_t patience_ns;
    bool ended_first; /* the program ended the connection before netkit's side did anything */
};

/* ---- A server of the user's ---- */

static struct act_reply ask(struct stage *stage)
{
    struct peer_question question = {&subject_request(stage)->peer, 1000, false};
    struct act *act = &PEER_ACT(peer_ask, question);

    act->timeout_ns = ANSWER_NS;
    return actor_do(stage_client(stage), act);
}

static bool meet(struct stage *stage, struct ending_facts *facts)
{
    if (!subject_listens(stage, &facts->subject))
        return false;
    struct act_reply reply =
        DO(stage_client(stage), ACT_CONNECT, .port = subject_request(stage)->port);
    if (reply.rc)
        subject_decline(stage, "cannot connect to the server: %s", act_rc_name(reply.rc, "0"));
    return !stage_failed(stage);
}

/* Until the server's socket is gone or in TIME-WAIT, or the patience is over. */
static void let_it_end(struct stage *stage, struct ending_facts *facts)
{
    int64_t end_ns = clock_mono_ns() + subject_request(stage)->patience_ns;

    do {
        facts->sockets = subject_sockets(stage, subject_request(stage)->port);
        const int64_t *by = facts->sockets.by_state;
        if (!by[TCP_ESTABLISHED] && !by[TCP_CLOSE_WAIT] && !by[TCP_LAST_ACK] &&
            !by[TCP_FIN_WAIT1] && !by[TCP_FIN_WAIT2] && !by[TCP_CLOSING])
            return;
    } while (!subject_has_ended(stage, &facts->subject, LOOK_NS) && clock_mono_ns() < end_ns &&
             !stage_failed(stage));
}

static void finish(struct stage *stage, struct ending_facts *facts)
{
    let_it_end(stage, facts);
    subject_has_ended(stage, &facts->subject, 0);
    subject_stop(stage, &facts->subject);
}

/* A client that asks, reads all, then closes. */
static void run_polite(struct stage *stage)
{
    struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    if (!meet(stage, facts))
        return;
    facts->answer = ask(stage);
    facts->ended_first = DO(stage_client(stage), ACT_POLL, .number = POLLIN).rc > 0;
    DO(stage_client(stage), ACT_CLOSE);
    finish(stage, facts);
}

/* One that ends its half right after the request, and waits for the answer. */
static void run_half_close(struct stage *stage)
{
    struct ending_facts *facts = stage_facts(stage, sizeof *facts);
    struct peer_question question = {&subject_request(stage)->peer, 1000, true};

    if (!meet(stage, facts))
        return;
    actor_do(stage_client(stage), &PEER_ACT(peer_ask, question));
    DO(stage_client(stage), ACT_SHUTDOWN, .number = SHUT_WR);
    DO(stage_client(stage), ACT_OPTION, .text = "SO_RCVTIMEO=5s");
    facts->answer = DO(stage_client(stage), ACT_READ_ALL);
    DO(stage_client(stage), ACT_CLOSE);
    finish(stage, facts);
}

/* One that goes on sending what nobody reads: a server that closes with that unread resets, and
 * what of its answer is still under way is destroyed. */
static void run_excess(struct stage *stage)
{
    struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    if (!meet(stage, facts))
        return;
    facts->answer = ask(stage);
    DO(stage_client(stage), ACT_WRITE_ALL, .bytes = EXCESS_BYTES, .flags = MSG_NOSIGNAL);
    DO(stage_client(stage), ACT_SHUTDOWN, .number = SHUT_WR);
    DO(stage_client(stage), ACT_OPTION, .text = "SO_RCVTIMEO=5s");
    facts->end = DO(stage_client(stage), ACT_READ_ALL);
    DO(stage_client(stage), ACT_CLOSE);
    finish(stage, facts);
}

/* One that connects, says nothing, and goes. */
static void run_silent(struct stage *stage)
{
    struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    if (!meet(stage, facts))
        return;
    DO(stage_client(stage), ACT_CLOSE);
    finish(stage, facts);
}

/* ---- A client of the user's ---- */

static void serve_it(struct stage *stage, struct ending_facts *facts, struct peer_point point)
{
    const struct subject_request *request = subject_request(stage);
    struct peer_job job = {&request->peer, point, request->port, false};

    actor_begin(stage_server(stage), &PEER_ACT(peer_serve, job));
    stage_wait_socket(stage, LAB_SERVER, request->port, 0, TCP_LISTEN);
    subject_start(stage, &facts->subject);
    if (subject_has_ended(stage, &facts->subject, request->patience_ns))
        stage_saw(stage, "seen c>s:fin", 300 * NS_PER_MS);
    facts->sockets = subject_sockets(stage, request->port);
    subject_stop(stage, &facts->subject);
}

/* A server that answers and keeps the connection. */
static void run_kept(struct stage *stage)
{
    struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    serve_it(stage, facts, (struct peer_point){.when = PEER_WHEN_TIME, .amount = INT64_MAX});
    if (!stage_failed(stage) && !stage_saw(stage, "seen c>s:syn", 0))
        subject_decline(stage, "the client never connected (%s)",
                        subject_end_text(stage, &facts->subject));
}

/* ---- What it amounts to ---- */

static bool sent_by(const char *flags, bool client, const char *flag)
{
    return *flags == (client ? 'C' : 'S') && strstr(flags, flag) && !strstr(flags, " x");
}

/* "client: FIN, then server: FIN", "server: RST", "nobody". */
static const char *how_ended(struct stage *stage, const char **first_out)
{
    const char *text = NULL, *first = NULL;
    bool said[2][2] = {{false}};

    for (size_t i = 0; stage->subject && i < stage->subject->flags.count; i++) {
        const char *flags = stage->subject->flags.items[i];
        for (int server = 0; server < 2; server++)
            for (int rst = 0; rst < 2; rst++) {
                const char *name = server ? "server" : "client";
                if (said[server][rst] || !sent_by(flags, !server, rst ? "RST" : "FIN"))
                    continue;
                said[server][rst] = true;
                first = first ? first : name;
                text = arena_printf(stage->arena, "%s%s%s %s", text ? text : "", text ? ", " : "",
                                    name, rst ? "RST" : "FIN");
            }
    }
    *first_out = first;
    return text ? text : "nothing";
}

static bool resets(const struct stage *stage, bool client)
{
    for (size_t i = 0; stage->subject && i < stage->subject->flags.count; i++)
        if (sent_by(stage->subject->flags.items[i], client, "RST"))
            return true;
    return false;
}

static const char *time_wait_of(const struct stage *stage)
{
    const struct result_texts *sides[2] = {&stage->result->client_states,
                                           &stage->result->server_states};

    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < sides[side]->count; i++)
            if (!strcmp(sides[side]->items[i], "TIME-WAIT"))
                return side ? "server" : "client";
    return "nobody";
}

static void observe_ending(struct stage *stage, const struct ending_facts *facts)
{
    struct result_map *summary = stage_summary(stage);
    const char *first, *how = how_ended(stage, &first);

    stage_observe_text(stage, "ended_by", how);
    stage_observe_text(stage, "first", first);
    stage_observe_text(stage, "time_wait_at", time_wait_of(stage));
    subject_observe_end(stage, &facts->subject);
    result_set_text(stage->arena, summary, "ended by", how);
    result_set_text(stage->arena, summary, "TIME-WAIT at", time_wait_of(stage));
}

static void check_leaks(struct stage *stage, const struct ending_facts *facts)
{
    int64_t close_wait = facts->sockets.by_state[TCP_CLOSE_WAIT];

    stage_check_integer(stage, "close_wait", 0, close_wait);
    if (close_wait)
        stage_blame(
            stage, FINDING_CLOSE_WAIT_LEAK,
            arena_printf(stage->arena,
                         "The client had closed, and the server's descriptor was still open "
                         "%lld s later: CLOSE-WAIT.",
                         (long long)(subject_request(stage)->patience_ns / NS_PER_SEC)));
    result_set_integer(stage->arena, stage_summary(stage), "CLOSE-WAIT", close_wait);
}

static void check_server(struct stage *stage)
{
    const struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    observe_ending(stage, facts);
    check_leaks(stage, facts);
}

static void check_polite(struct stage *stage)
{
    const struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    check_server(stage);
    stage_observe_bool(stage, "closes_after_answer", facts->ended_first);
    stage_check_bool(stage, "whole_answer", true, facts->answer.rc == 1);
    stage_observe_integer(stage, "answer_bytes", facts->answer.bytes);
    stage_check_bool(stage, "server_resets", false, resets(stage, false));
    stage_blame(stage, FINDING_CONNECTION_RESET,
                "The server ended the conversation with RST, or gave no whole answer.");
}

static void check_half_close(struct stage *stage)
{
    const struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    check_server(stage);
    stage_check_text(stage, "read_to_end", "EOF", act_rc_name(facts->answer.rc, "EOF"));
    stage_expect_range(stage, "answer_bytes", 1, INT64_MAX);
    stage_observe_integer(stage, "answer_bytes", facts->answer.bytes);
    stage_blame(stage, FINDING_RESPONSE_TRUNCATED,
                "The client had ended its half of the connection after the request, and got no "
                "whole answer: the server takes end of stream for the end of the conversation.");
}

/* Whether the answer survives is what counts; the RST itself is what Linux does. */
static void check_excess(struct stage *stage)
{
    const struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    check_server(stage);
    stage_check_bool(stage, "whole_answer", true, facts->answer.rc == 1);
    stage_observe_text(stage, "read_to_end", act_rc_name(facts->end.rc, "EOF"));
    stage_observe_bool(stage, "server_resets", resets(stage, false));
    if (resets(stage, false))
        stage_explain(stage,
                      "The server closed with bytes unread, so that its kernel sent RST: a client "
                      "that is slow to read would lose the end of the answer. Read to the end, or "
                      "shutdown(SHUT_WR) and read, before close.");
    stage_blame(stage, FINDING_RESPONSE_TRUNCATED, "The client got no whole answer.");
}

static void check_kept(struct stage *stage)
{
    const struct ending_facts *facts = stage_facts(stage, sizeof *facts);

    observe_ending(stage, facts);
    stage_check_bool(stage, "ended", true, facts->subject.ended);
    stage_check_bool(stage, "client_resets", false, resets(stage, true));
    if (!facts->subject.ended)
        stage_blame(stage, FINDING_PROGRAM_FAILED,
                    "The client had its answer, and still ran when the time was up (--timeout).");
    stage_blame(stage, FINDING_PEER_ABORTED,
                "The client ended the connection with RST: it closed with bytes unread, or with "
                "SO_LINGER zero. What the server had sent last is lost.");
    result_set_text(stage->arena, stage_summary(stage), "client",
                    subject_end_text(stage, &facts->subject));
}

/* ---- The rows ---- */

static const struct scenario ending_polite = {
    .name = "answered",
    .title = "a client asks, reads the whole answer, and closes",
    .run = run_polite,
    .check = check_polite,
};
static const struct scenario ending_half_close = {
    .name = "half-closed",
    .title = "a client ends its half after the request, and waits for the answer",
    .run = run_half_close,
    .check = check_half_close,
};
static const struct scenario ending_excess = {
    .name = "unread-bytes",
    .title = "a client sends more than the server reads",
    .run = run_excess,
    .check = check_excess,
};
static const struct scenario ending_silent = {
    .name = "silent",
    .title = "a client connects, says nothing, and goes",
    .run = run_silent,
    .check = check_server,
};
static const struct scenario ending_kept = {
    .name = "kept-open",
    .title = "the server answers, and leaves it to the client to end the connection",
    .run = run_kept,
    .check = check_kept,
};

static const struct scenario *const servers[] = {&ending_polite, &ending_half_close, &ending_excess,
                                                 &ending_silent, NULL};
static const struct scenario *const clients[] = {&ending_kept, NULL};

const struct scenario_set ending_servers = {.command = "linger-test", .items = servers};
const struct scenario_set ending_clients = {.command = "linger-test", .items = clients};
