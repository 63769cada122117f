/* The user's server, and how it ends its connections with netkit's clients. */
#include "scenario/programs/sut_close.h"

#include "base/units.h"
#include <errno.h>
#include <poll.h>
#include <string.h>

#define LOOK_NS (10 * NS_PER_MS)
/* A server that closes when it has answered does so within that time. */
#define CLOSE_NS (200 * NS_PER_MS)
/* More than any server reads of a request that it has already answered. */
#define EXCESS_BYTES 65536

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
static bool close_client(struct testbed *bed, struct sut *sut, struct sut_ending *ending)
{
    const struct sut_request *request = sut_request(bed);
    int64_t end_ns = clock_mono_ns() + request->patience_ns;
    struct sut_sockets sockets;

    DO(testbed_client(bed), ACT_CLOSE);
    do {
        sockets = sut_sockets(bed, request->port);
    } while (sut_sockets_open(&sockets) && !sut_has_ended(bed, sut, LOOK_NS) &&
             clock_mono_ns() < end_ns && !testbed_failed(bed));
    if (!sut_close_finish(bed, sut, ending))
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

/* ---- What became of an answer ---- */

struct outcome {
    struct act_reply answer;
    struct sut_ending ending;
};

static const struct stub_peer_written *written_of(const struct outcome *outcome)
{
    return (const void *)outcome->answer.data;
}

/* Whether the server's kernel took the whole request. */
static bool is_taken(const struct testbed *bed, const struct outcome *outcome)
{
    const struct stub_peer_written *written = written_of(outcome);
    return written->bytes == written->of && sut_close_all_acknowledged(bed);
}

/* Whether the server answered and reset without having read the whole request. */
static bool is_early(const struct testbed *bed, const struct outcome *outcome)
{
    enum reset_cause cause = outcome->ending.cause;
    return cause != RESET_NONE && outcome->answer.bytes > 0 &&
           (cause == RESET_UNREAD || !is_taken(bed, outcome));
}

static void blame_early_answer(struct testbed *bed, const struct outcome *outcome)
{
    const struct stub_peer_written *written = written_of(outcome);
    char failed[96] = "";

    if (written->rc)
        snprintf(failed, sizeof failed,
                 " The client's write failed with %s after %lld of %lld bytes.",
                 act_rc_name(written->rc, "0"), (long long)written->bytes, (long long)written->of);
    testbed_blame(bed, FINDING_EARLY_ANSWER_RESET,
                  "The server answered before it had read the whole request, and ended the "
                  "connection with RST: %s.%s %lld bytes of its answer had arrived before the RST; "
                  "a client that stops at a failed write never sees them.",
                  reset_cause_text(outcome->ending.cause), failed,
                  (long long)outcome->answer.bytes);
    testbed_remedy(bed, RESULT_SIDE_SERVER, "%s",
                   finding_entry(FINDING_EARLY_ANSWER_RESET)->remedy);
}

static void blame_reset(struct testbed *bed, const struct outcome *outcome)
{
    static const char *const remedies[] = {
        [RESET_NONE] = "",
        [RESET_UNREAD] = "Read everything that the client sends before close: shutdown(SHUT_WR), "
                         "then read to the end or a time limit.",
        [RESET_LINGER_ZERO] = "Leave SO_LINGER alone: with time 0, close throws away what the "
                              "client's kernel has not acknowledged yet.",
        [RESET_AFTER_CLOSE] = "Close only when the client has nothing more to send: "
                              "shutdown(SHUT_WR), then read to the end or a time limit.",
        [RESET_OTHER] = "Look for what destroys the server's connections: ss -K, a crash, another "
                        "socket of its address.",
    };

    if (is_early(bed, outcome)) {
        blame_early_answer(bed, outcome);
        return;
    }
    testbed_blame(bed, FINDING_CONNECTION_RESET,
                  "The server ended the connection with RST: %s. %lld bytes of an answer arrived.",
                  reset_cause_text(outcome->ending.cause), (long long)outcome->answer.bytes);
    testbed_remedy(bed, RESULT_SIDE_SERVER, "%s", remedies[outcome->ending.cause]);
}

/* The answer was not whole, and there was no RST. */
static void blame_no_answer(struct testbed *bed, const struct outcome *outcome)
{
    const struct stub_peer_written *written = written_of(outcome);
    long long bytes = outcome->answer.bytes;

    if (written->rc == -ETIME) {
        testbed_blame(bed, FINDING_NO_RESPONSE,
                      "The server stopped reading, and kept the connection: after %lld of the "
                      "request's %lld bytes its kernel and the client's took no more. A client "
                      "that writes before it reads waits for ever. %lld bytes of an answer came.",
                      (long long)written->bytes, (long long)written->of, bytes);
        testbed_remedy(bed, RESULT_SIDE_SERVER,
                       "Read the rest of the request, or close the connection after the answer "
                       "(shutdown(SHUT_WR), read to the end or a time limit, close).");
    } else if (outcome->answer.rc == 0) {
        testbed_blame(bed, FINDING_RESPONSE_TRUNCATED,
                      "The server closed the connection (FIN) after %lld bytes of a response.",
                      bytes);
    } else {
        testbed_blame(bed, FINDING_NO_RESPONSE,
                      "No whole response to the request came in time: %lld bytes.", bytes);
        testbed_remedy(bed, RESULT_SIDE_SERVER,
                       "Is it what the server speaks (--request)? Is the server stuck?");
    }
}

/* Of a response that has to be whole, and no RST before the client had closed: one after it costs
 * the client nothing. */
static void judge_answer(struct testbed *bed, const struct outcome *outcome)
{
    bool reset = outcome->ending.cause != RESET_NONE && !outcome->ending.peer_was_done;

    testbed_check_bool(bed, "whole_answer", true, outcome->answer.rc == 1);
    testbed_observe(bed, INTEGER("answer_bytes", outcome->answer.bytes));
    testbed_check_bool(bed, "server_resets", false, reset);
    if (reset)
        blame_reset(bed, outcome);
    else
        blame_no_answer(bed, outcome);
}

/* ---- The scenarios ---- */

static void play_answered(struct testbed *bed)
{
    struct outcome outcome;
    struct sut sut;

    if (!connect_to_server(bed, &sut))
        return;
    outcome.answer = SUT_ASK(bed, testbed_client(bed));
    bool ended_first =
        DO(testbed_client(bed), ACT_POLL, .number = POLLIN, .timeout_ns = CLOSE_NS).rc > 0;
    if (!close_client(bed, &sut, &outcome.ending))
        return;
    testbed_observe(bed, BOOL("closes_after_answer", ended_first));
    judge_answer(bed, &outcome);
}

static const struct scenario answered = {
    .name = "answered",
    .title = "a client asks, reads the whole response, and closes",
    .play = play_answered,
};

/* The client writes everything before it reads, as most do, and reads what is there even after a
 * write that failed, as few do. */
static void play_early_answer(struct testbed *bed)
{
    const struct stub_peer_plan *plan = &sut_request(bed)->peer;
    bool http = !plan->request && plan->ask == PRESET_HTTP;
    struct outcome outcome;
    struct sut sut;

    if (!connect_to_server(bed, &sut))
        return;
    outcome.answer = SUT_ASK(bed, testbed_client(bed), .upload = http);
    DO(testbed_client(bed), ACT_POLL, .number = POLLIN, .timeout_ns = CLOSE_NS);
    if (!close_client(bed, &sut, &outcome.ending))
        return;
    if (!http)
        testbed_explain(bed, "Uploads are HTTP's, so the request was sent as it was given "
                             "(--request).");
    testbed_check_bool(bed, "request_taken", true, written_of(&outcome)->rc != -ETIME);
    testbed_observe(bed, INTEGER("request_bytes", written_of(&outcome)->of),
                    TEXT("write", act_rc_name(written_of(&outcome)->rc, "0")),
                    BOOL("whole_request_acknowledged", is_taken(bed, &outcome)));
    judge_answer(bed, &outcome);
}

static const struct scenario early_answer = {
    .name = "early-answer",
    .title = "a client uploads 2 MiB, which a server may refuse before it has read them",
    .play = play_early_answer,
};

static void play_half_closed(struct testbed *bed)
{
    struct outcome outcome;
    struct sut sut;

    if (!connect_to_server(bed, &sut))
        return;
    struct act_reply asked = SUT_ASK(bed, testbed_client(bed), .no_answer = true);
    outcome.answer = read_to_end(bed);
    memcpy(outcome.answer.data, asked.data, sizeof(struct stub_peer_written));
    if (!close_client(bed, &sut, &outcome.ending))
        return;
    testbed_check_text(bed, "read_to_end", "EOF", act_rc_name(outcome.answer.rc, "EOF"));
    testbed_check_range(bed, "answer_bytes", 1, INT64_MAX, outcome.answer.bytes);
    if (outcome.ending.cause != RESET_NONE && outcome.answer.bytes > 0)
        blame_reset(bed, &outcome);
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
    struct outcome outcome;
    struct sut sut;

    if (!connect_to_server(bed, &sut))
        return;
    outcome.answer = SUT_ASK(bed, testbed_client(bed));
    DO(testbed_client(bed), ACT_WRITE_ALL, .bytes = EXCESS_BYTES, .flags = MSG_NOSIGNAL);
    struct act_reply end = read_to_end(bed);
    if (!close_client(bed, &sut, &outcome.ending))
        return;
    testbed_check_bool(bed, "whole_answer", true, outcome.answer.rc == 1);
    testbed_observe(bed, TEXT("read_to_end", act_rc_name(end.rc, "EOF")),
                    BOOL("server_resets", outcome.ending.cause != RESET_NONE));
    if (outcome.ending.cause == RESET_UNREAD || outcome.ending.cause == RESET_AFTER_CLOSE)
        testbed_explain(
            bed, "The server closed with bytes unread, so its kernel sent RST: a client that reads "
                 "slowly would lose the end of the response. Read to the end, or "
                 "shutdown(SHUT_WR) and read, before close.");
    if (outcome.ending.cause != RESET_NONE && outcome.answer.rc < 0 && outcome.answer.rc != -ETIME)
        blame_reset(bed, &outcome);
    else
        blame_no_answer(bed, &outcome);
}

static const struct scenario unread_bytes = {
    .name = "unread-bytes",
    .title = "a client sends more than the server reads",
    .play = play_unread_bytes,
};

static void play_silent(struct testbed *bed)
{
    struct sut_ending ending;
    struct sut sut;

    if (connect_to_server(bed, &sut))
        close_client(bed, &sut, &ending);
}

static const struct scenario silent = {
    .name = "silent",
    .title = "a client connects, sends nothing, and closes",
    .play = play_silent,
};

static const struct scenario *const servers[] = {&answered,     &early_answer, &half_closed,
                                                 &unread_bytes, &silent,       NULL};

const struct scenario_set sut_close_servers = {.command = "linger-test", .items = servers};
