/* Half of a connection: what each kind of shutdown leaves, and descriptors that are shared. */
#include "scenario/linger/linger.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define OTHER_BYTES 100

/* ---- shutdown-read, receive-after-shutdown-read ---- */

static void send_to_client(struct linger_scene *s)
{
    testbed_from_here(s->bed);
    DO(s->server, ACT_WRITE_ALL, .slot = 1, .bytes = s->bytes);
    DO(s->client, ACT_POLL, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    linger_saw(s, "delivered c>s:ack");
}

/* The half that is still open is used. */
static void check_sending(struct linger_scene *s)
{
    testbed_from_here(s->bed);
    DO(s->client, ACT_WRITE, .bytes = OTHER_BYTES, .flags = MSG_NOSIGNAL);
    DO(s->server, ACT_POLL, .slot = 1, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    struct act_reply heard =
        DO(s->server, ACT_READ, .slot = 1, .bytes = OTHER_BYTES, .flags = MSG_DONTWAIT);
    testbed_check_integer(s->bed, "peer_reads_bytes", OTHER_BYTES, heard.bytes);
    linger_saw(s, "delivered s>c:ack");
}

static void play_read(struct testbed *bed)
{
    bool data_first = bed->scenario == &linger_shutdown_read; /* before the shutdown */
    struct linger_scene s = linger_begin(bed, LINGER_BYTES);

    if (data_first)
        send_to_client(&s);
    CHECK(bed, "shutdown", "0", s.client, ACT_SHUTDOWN, .number = SHUT_RD);
    int state = linger_state(bed, LAB_CLIENT, s.port, TCP_ESTABLISHED);
    testbed_check_state(bed, "state_after_shutdown", TCP_ESTABLISHED, state);
    if (!data_first) {
        CHECK(bed, "read_with_nothing_there", "EOF", s.client, ACT_READ, .bytes = 1);
        send_to_client(&s);
    }
    struct linger_end got = linger_read(s.client, 0);
    testbed_check_integer(bed, "delivered_bytes", s.bytes, got.bytes);
    testbed_check_text(bed, "read_after_the_data", "EOF", linger_sees(&got));
    check_sending(&s);
    DO(s.client, ACT_CLOSE);
    struct linger_end end = linger_read(s.server, 1);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&end));
    linger_state(bed, LAB_CLIENT, s.port, TCP_FIN_WAIT2);
    linger_finish(&s, TCP_TIME_WAIT);
    s.end = got;
    s.peer_sees = "nothing";
    s.client_end = state; /* shutdown has ended nothing */
    linger_summarize(&s, "at once", "nobody");
}

#define READ_FLAGS                                                                                 \
    FLAGS(HANDSHAKE, "S>C PSH,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C ACK", \
          "S>C FIN,ACK", "C>S ACK")

const struct scenario linger_shutdown_read = {
    .name = "shutdown-read",
    .title = "SHUT_RD with data unread: nothing is sent, nothing is discarded",
    .book = "No more receives; what is in the receive buffer is discarded, and so is what comes "
            "later. Sending still works, and the peer is told nothing (sections 6.6 and 7.5, "
            "figure 7.12).",
    .here = "The buffer is kept: read returns what is there, and end of stream where it would "
            "wait. Nothing is sent to the peer.",
    .differs = "Linux discards nothing.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_read,
    .flags = READ_FLAGS,
};

const struct scenario linger_receive_after_shutdown_read = {
    .name = "receive-after-shutdown-read",
    .title = "the peer keeps sending after shutdown(SHUT_RD): the data is received",
    .book = "What arrives is acknowledged and silently discarded (section 6.6).",
    .here = "It is acknowledged and can be read; only where nothing is there, read returns end of "
            "stream instead of waiting.",
    .differs = "Linux delivers what it should discard.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_read,
    .flags = READ_FLAGS,
};

/* ---- shutdown-both ---- */

static void play_both(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, LINGER_BYTES));

    linger_hold(&s);
    linger_write(&s);
    BEGIN(s.client, ACT_SHUTDOWN, .number = SHUT_RDWR);
    struct act_reply call = agent_try(s.client, LINGER_PATIENCE_NS);
    testbed_check_rc(bed, "shutdown", "0", &call, "0");
    testbed_check_bool(bed, "returned_before_the_ack", true, !call.late);
    if (s.bytes <= LINGER_BYTES)
        linger_saw(&s, "c>s:fin");
    linger_release(&s);
    CHECK(bed, "own_read", "EOF", s.client, ACT_READ, .bytes = 1);
    linger_check_delivered(&s, "EOF");
    linger_check_state(&s, "state_after_the_ack", LAB_CLIENT, TCP_FIN_WAIT2);
    CHECK(bed, "peer_writes_then", "ok", s.server, ACT_WRITE, .slot = 1, .bytes = OTHER_BYTES,
          .flags = MSG_NOSIGNAL);
    s.server_end = linger_state(bed, LAB_SERVER, s.port, 0);
    CHECK(bed, "peer_writes_again", "EPIPE", s.server, ACT_WRITE, .slot = 1, .bytes = 1,
          .flags = MSG_NOSIGNAL);
    s.client_end = linger_state(bed, LAB_CLIENT, s.port, 0);
    testbed_check_state(bed, "client_end", 0, s.client_end);
    DO(s.client, ACT_CLOSE);
    DO(s.server, ACT_CLOSE, .slot = 1);
    linger_summarize(&s, "at once", call.late ? "peer's TCP" : "nobody");
}

const struct scenario linger_shutdown_both = {
    .name = "shutdown-both",
    .title = "SHUT_RDWR: FIN as with SHUT_WR, and what the peer sends is refused",
    .book = "The same as SHUT_RD and SHUT_WR, one after the other (section 6.6).",
    .here = "FIN is sent. Nobody can read data that arrive after both halves are shut, so the "
            "kernel answers them with RST (with SHUT_RD alone it accepts them); the peer learns of "
            "it by EPIPE. The descriptor stays open until close.",
    .differs = "After both shutdowns Linux resets the connection when data arrive, instead of "
               "silently discarding them.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_both,
    .flags = FLAGS(HANDSHAKE, "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C ACK", "S>C PSH,ACK",
                   "C>S RST"),
};

/* ---- half-close ---- */

static void play_half(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, LINGER_BYTES));

    linger_write(&s);
    CHECK(bed, "shutdown", "0", s.client, ACT_SHUTDOWN, .number = SHUT_WR);
    linger_check_delivered(&s, "EOF");
    linger_check_state(&s, "state_after_the_ack", LAB_CLIENT, TCP_FIN_WAIT2);
    testbed_from_here(bed);
    DO(s.server, ACT_WRITE_ALL, .slot = 1, .bytes = OTHER_BYTES);
    linger_saw(&s, "delivered c>s:ack");
    linger_finish(&s, TCP_TIME_WAIT);
    testbed_check_state(bed, "client_end", TCP_TIME_WAIT, s.client_end);
    struct linger_end answer = linger_read(s.client, 0);
    testbed_check_integer(bed, "answer_bytes", OTHER_BYTES, answer.bytes);
    testbed_check_text(bed, "after_the_answer", "EOF", linger_sees(&answer));
    DO(s.client, ACT_CLOSE);
    bool answered = answer.bytes == OTHER_BYTES && !answer.rc;
    linger_summarize(&s, "the answer", answered ? "application" : "nobody");
}

const struct scenario linger_half_close = {
    .name = "half-close",
    .title = "the request ends with shutdown(SHUT_WR), and the answer still comes",
    .book = "The server takes the end of stream as the end of the request, and can send its answer "
            "on the half that is still open (sections 6.6 and 6.7).",
    .here = "The same. The client waits in FIN-WAIT-2 without a time limit: only an orphan has a "
            "timer.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_half,
    .flags = FLAGS(HANDSHAKE, "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C ACK", "S>C PSH,ACK",
                   "C>S ACK", "S>C FIN,ACK", "C>S ACK"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"),
};

/* ---- send-after-shutdown ---- */

static void check_killed(struct linger_scene *s)
{
    int status = 0;
    struct act_reply killed = DO(s->client, ACT_WRITE, .bytes = 1);

    agent_ended(s->client, LINGER_PATIENCE_NS, &status);
    testbed_check_text(s->bed, "write_by_default", "SIGPIPE",
                       WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE ? "SIGPIPE"
                       : killed.died                                      ? "ended"
                                     : act_rc_name(killed.rc, "0"));
}

static void play_send(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, 0);

    DO(s.client, ACT_SIGNAL, .number = SIGPIPE, .flags = AGENT_SIGNAL_COUNT);
    DO(s.client, ACT_SHUTDOWN, .number = SHUT_WR);
    linger_state(bed, LAB_CLIENT, s.port, TCP_FIN_WAIT2);
    struct act_reply quiet = CHECK(bed, "write_with_msg_nosignal", "EPIPE", s.client, ACT_WRITE,
                                   .bytes = 1, .flags = MSG_NOSIGNAL);
    testbed_check_integer(bed, "signals_with_msg_nosignal", 0, quiet.signals);
    struct act_reply handled =
        CHECK(bed, "write_with_a_handler", "EPIPE", s.client, ACT_WRITE, .bytes = 1);
    testbed_check_integer(bed, "signals_with_a_handler", 1, handled.signals);
    DO(s.client, ACT_SIGNAL, .number = SIGPIPE, .flags = AGENT_SIGNAL_DEFAULT);
    check_killed(&s);
    linger_check_delivered(&s, "EOF");
    linger_finish(&s, TCP_TIME_WAIT);
    linger_summarize(&s, "EPIPE", "nobody");
}

const struct scenario linger_send_after_shutdown = {
    .name = "send-after-shutdown",
    .title = "write after shutdown(SHUT_WR): EPIPE, and SIGPIPE kills",
    .book = "A write to a socket whose sending half is shut raises SIGPIPE, and fails with EPIPE "
            "if the signal does not kill (sections 5.13 and 6.6).",
    .here = "The same, by the local kernel and without a segment; MSG_NOSIGNAL suppresses the "
            "signal.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_send,
    .flags = FLAGS(HANDSHAKE, "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK", "C>S ACK"),
};

/* ---- shared-descriptor ---- */

static void play_shared(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, LINGER_BYTES));
    struct act_reply forked = DO(s.client, ACT_FORK);

    DO(s.client, ACT_DUP, .slot = 0, .other = 1);
    testbed_from_here(bed);
    CHECK(bed, "close", "0", s.client, ACT_CLOSE);
    /* What the copy sends is on the wire after whatever close sent. */
    CHECK(bed, "write_through_the_copy", "0", s.client, ACT_WRITE_ALL, .slot = 1, .bytes = s.bytes);
    linger_saw(&s, "delivered s>c:ack");
    int after_close = linger_state(bed, LAB_CLIENT, s.port, TCP_ESTABLISHED);
    testbed_check_state(bed, "state_after_close", TCP_ESTABLISHED, after_close);
    CHECK(bed, "shutdown_through_the_copy", "0", s.client, ACT_SHUTDOWN, .slot = 1,
          .number = SHUT_WR);
    linger_check_delivered(&s, "EOF");
    linger_check_state(&s, "state_after_shutdown", LAB_CLIENT, TCP_FIN_WAIT2);
    linger_finish(&s, TCP_TIME_WAIT);
    DO(s.client, ACT_CLOSE, .slot = 1);
    if (forked.rc > 0)
        DO(s.client, ACT_KILL_CHILD, .number = (int)forked.rc);
    s.peer_sees = "nothing";
    s.client_end = after_close; /* close has ended nothing */
    linger_summarize(&s, "at once", "nobody");
}

const struct scenario linger_shared_descriptor = {
    .name = "shared-descriptor",
    .title = "fork or dup shares the socket: close sends nothing, shutdown sends FIN",
    .book = "close drops one reference, and FIN is sent with the last; shutdown sends FIN however "
            "many there are (sections 4.8 and 6.6).",
    .here = "The same. A child that inherited the descriptor by mistake keeps the connection open.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_shared,
    .flags = FLAGS(HANDSHAKE, "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK",
                   "C>S ACK"),
};
