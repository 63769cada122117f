/* How a program of the user's ends its connections, with a well-behaved peer.
 *
 * Nothing is right or wrong about who closes first. What is checked is what costs the other side
 * data or the program descriptors: a response that an RST destroys, a CLOSE-WAIT that never ends.
 * The rest is reported: FIN or RST, who sends it first, who gets TIME-WAIT. */
#include "scenario/programs/sut.h"

#include <poll.h>
#include <string.h>

#define LOOK_NS (10 * NS_PER_MS)
/* More than any server reads of a request that it has already answered. */
#define EXCESS_BYTES 65536

/* ---- How the connection ended ---- */

static bool sent_by(const char *flags, bool client, const char *flag)
{
    return *flags == (client ? 'C' : 'S') && strstr(flags, flag) && !strstr(flags, " x");
}

static bool resets(const struct testbed *bed, bool client)
{
    for (size_t i = 0; bed->subject && i < bed->subject->flags.count; i++)
        if (sent_by(bed->subject->flags.items[i], client, "RST"))
            return true;
    return false;
}

/* "client FIN, server FIN", "server RST", "nothing"; *first_out is who was first. */
static const char *how_ended(struct testbed *bed, const char **first_out)
{
    static const struct {
        bool client;
        const char *name, *flag;
    } ends[] = {{true, "client", "FIN"},
                {true, "client", "RST"},
                {false, "server", "FIN"},
                {false, "server", "RST"}};
    const char *text = NULL;
    bool said[4] = {false};

    *first_out = NULL;
    for (size_t i = 0; bed->subject && i < bed->subject->flags.count; i++)
        for (size_t k = 0; k < 4; k++) {
            if (said[k] || !sent_by(bed->subject->flags.items[i], ends[k].client, ends[k].flag))
                continue;
            said[k] = true;
            *first_out = *first_out ? *first_out : ends[k].name;
            text = arena_printf(bed->arena, "%s%s%s %s", text ? text : "", text ? ", " : "",
                                ends[k].name, ends[k].flag);
        }
    return text ? text : "nothing";
}

static bool was_in_time_wait(const struct result_texts *states)
{
    for (size_t i = 0; i < states->count; i++)
        if (!strcmp(states->items[i], "TIME-WAIT"))
            return true;
    return false;
}

/* Ends the run, and observes that. False: the run failed. */
static bool finish_and_observe(struct testbed *bed, struct sut *sut)
{
    const char *first;

    sut_has_ended(bed, sut, 0);
    sut_stop(bed, sut);
    testbed_finish(bed);
    if (testbed_failed(bed))
        return false;
    const char *how = how_ended(bed, &first);
    const char *time_wait_at = was_in_time_wait(&bed->result->client_states)   ? "client"
                               : was_in_time_wait(&bed->result->server_states) ? "server"
                                                                               : "nobody";
    testbed_observe(bed, TEXT("ended_by", how), TEXT("first", first),
                    TEXT("time_wait_at", time_wait_at));
    sut_observe_end(bed, sut);
    testbed_summarize(bed, TEXT("ended by", how), TEXT("TIME-WAIT at", time_wait_at));
    return true;
}

/* ---- A server of the user's ---- */

/* Shuts the client's half down, and reads to the end. */
static struct act_reply read_to_end(struct testbed *bed)
{
    DO(testbed_client(bed), ACT_SHUTDOWN, .number = SHUT_WR);
    DO(testbed_client(bed), ACT_OPTION, .text = "SO_RCVTIMEO=5s");
    return DO(testbed_client(bed), ACT_READ_ALL);
}

static bool connect_to_server(struct testbed *bed, struct sut *sut)
{
    if (!sut_listens(bed, sut))
        return false;
    struct act_reply reply = DO(testbed_client(bed), ACT_CONNECT, .port = sut_request(bed)->port);
    if (reply.rc)
        sut_decline(bed, "cannot connect to the server: %s", act_rc_name(reply.rc, "0"));
    return !testbed_failed(bed);
}

/* The client closes; waits until the server's socket is gone or in TIME-WAIT, or the patience is
 * over. Ends the run. False: it failed. */
static bool close_client(struct testbed *bed, struct sut *sut)
{
    const struct sut_request *request = sut_request(bed);
    int64_t end_ns = clock_mono_ns() + request->patience_ns;
    struct sut_sockets sockets;

    DO(testbed_client(bed), ACT_CLOSE);
    do {
        sockets = sut_sockets(bed, request->port);
    } while (sut_sockets_open(&sockets) && !sut_has_ended(bed, sut, LOOK_NS) &&
             clock_mono_ns() < end_ns && !testbed_failed(bed));
    if (!finish_and_observe(bed, sut))
        return false;
    int64_t close_wait = sockets.by_state[TCP_CLOSE_WAIT];
    testbed_check_integer(bed, "close_wait", 0, close_wait);
    if (close_wait)
        testbed_blame(bed, FINDING_CLOSE_WAIT_LEAK,
                      "The client had closed, and the server's descriptor was still open "
                      "%lld s later: CLOSE-WAIT.",
                      (long long)(request->patience_ns / NS_PER_SEC));
    testbed_summarize(bed, INTEGER("CLOSE-WAIT", close_wait));
    return true;
}

static void play_answered(struct testbed *bed)
{
    struct sut sut;

    if (!connect_to_server(bed, &sut))
        return;
    struct act_reply answer = sut_ask(bed, testbed_client(bed), 1000, false);
    bool ended_first = DO(testbed_client(bed), ACT_POLL, .number = POLLIN).rc > 0;
    if (!close_client(bed, &sut))
        return;
    testbed_observe(bed, BOOL("closes_after_answer", ended_first));
    testbed_check_bool(bed, "whole_answer", true, answer.rc == 1);
    testbed_observe(bed, INTEGER("answer_bytes", answer.bytes));
    testbed_check_bool(bed, "server_resets", false, resets(bed, false));
    testbed_blame(bed, FINDING_CONNECTION_RESET,
                  "The server ended the connection with RST, or gave no whole response.");
}

static const struct scenario answered = {
    .name = "answered",
    .title = "a client asks, reads the whole response, and closes",
    .play = play_answered,
};

static void play_half_closed(struct testbed *bed)
{
    struct sut sut;

    if (!connect_to_server(bed, &sut))
        return;
    sut_ask(bed, testbed_client(bed), 1000, true);
    struct act_reply answer = read_to_end(bed);
    if (!close_client(bed, &sut))
        return;
    testbed_check_text(bed, "read_to_end", "EOF", act_rc_name(answer.rc, "EOF"));
    testbed_check_range(bed, "answer_bytes", 1, INT64_MAX, answer.bytes);
    testbed_blame(bed, FINDING_RESPONSE_TRUNCATED,
                  "The client shut down its half of the connection after the request, and got no "
                  "whole response: the server takes end of file for the end of the connection.");
}

static const struct scenario half_closed = {
    .name = "half-closed",
    .title = "a client shuts down its half after the request, and waits for the response",
    .play = play_half_closed,
};

/* A server that closes with bytes unread resets, and what of its response is still under way is
 * lost. Whether the response survives is what counts; the RST itself is what Linux does. */
static void play_unread_bytes(struct testbed *bed)
{
    struct sut sut;

    if (!connect_to_server(bed, &sut))
        return;
    struct act_reply answer = sut_ask(bed, testbed_client(bed), 1000, false);
    DO(testbed_client(bed), ACT_WRITE_ALL, .bytes = EXCESS_BYTES, .flags = MSG_NOSIGNAL);
    struct act_reply end = read_to_end(bed);
    if (!close_client(bed, &sut))
        return;
    testbed_check_bool(bed, "whole_answer", true, answer.rc == 1);
    testbed_observe(bed, TEXT("read_to_end", act_rc_name(end.rc, "EOF")),
                    BOOL("server_resets", resets(bed, false)));
    if (resets(bed, false))
        testbed_explain(
            bed, "The server closed with bytes unread, so its kernel sent RST: a client that reads "
                 "slowly would lose the end of the response. Read to the end, or "
                 "shutdown(SHUT_WR) and read, before close.");
    testbed_blame(bed, FINDING_RESPONSE_TRUNCATED, "The client got no whole response.");
}

static const struct scenario unread_bytes = {
    .name = "unread-bytes",
    .title = "a client sends more than the server reads",
    .play = play_unread_bytes,
};

static void play_silent(struct testbed *bed)
{
    struct sut sut;

    if (connect_to_server(bed, &sut))
        close_client(bed, &sut);
}

static const struct scenario silent = {
    .name = "silent",
    .title = "a client connects, sends nothing, and closes",
    .play = play_silent,
};

/* ---- A client of the user's ---- */

/* The server never reaches its point: it answers, and keeps the connection. */
static void play_kept_open(struct testbed *bed)
{
    const struct sut_request *request = sut_request(bed);
    struct stub_peer_point never = {.when = STUB_PEER_WHEN_TIME, .amount = INT64_MAX};
    struct sut sut;

    sut_start_client(bed, &sut, never, false);
    if (sut_has_ended(bed, &sut, request->patience_ns))
        testbed_saw(bed, "seen c>s:fin", 300 * NS_PER_MS);
    if (!testbed_failed(bed) && !testbed_saw(bed, "seen c>s:syn", 0))
        sut_decline(bed, "the client never connected (%s)", sut_end_text(bed, &sut));
    if (!finish_and_observe(bed, &sut))
        return;
    testbed_check_bool(bed, "ended", true, sut.ended);
    testbed_check_bool(bed, "client_resets", false, resets(bed, true));
    if (!sut.ended)
        testbed_blame(bed, FINDING_PROGRAM_FAILED,
                      "The client had its response, and was still running when the time was up "
                      "(--timeout).");
    testbed_blame(bed, FINDING_PEER_ABORTED,
                  "The client ended the connection with RST: it closed with bytes unread, or with "
                  "SO_LINGER zero. What the server had sent last is lost.");
    testbed_summarize(bed, TEXT("client", sut_end_text(bed, &sut)));
}

static const struct scenario kept_open = {
    .name = "kept-open",
    .title = "the server responds, and leaves it to the client to end the connection",
    .play = play_kept_open,
};

/* ---- The sets ---- */

static const struct scenario *const servers[] = {&answered, &half_closed, &unread_bytes, &silent,
                                                 NULL};
static const struct scenario *const clients[] = {&kept_open, NULL};

const struct scenario_set sut_close_servers = {.command = "linger-test", .items = servers};
const struct scenario_set sut_close_clients = {.command = "linger-test", .items = clients};
