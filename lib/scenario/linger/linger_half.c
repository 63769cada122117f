/* Half of a connection: what each kind of shutdown leaves, and descriptors that are shared. */
#include "scenario/linger/linger.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define OTHER_BYTES 100

/* ---- shutdown-read, receive-after-shutdown-read ---- */

struct read_way {
    bool before; /* the data come before the shutdown */
};

struct read_facts {
    struct linger_facts common;
    struct act_reply empty; /* a read when nothing is there */
    struct linger_end got;
    struct act_reply answered, heard;
    int state;
};

static void send_to_client(struct testbed *bed, const struct linger_facts *common)
{
    testbed_from_here(bed);
    DO(testbed_server(bed), ACT_WRITE_ALL, .slot = 1, .bytes = common->bytes);
    DO(testbed_client(bed), ACT_POLL, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    if (bed->lab)
        testbed_saw(bed, "delivered c>s:ack", LINGER_PATIENCE_NS);
}

static void run_read(struct testbed *bed)
{
    const struct read_way *way = bed->scenario->arg;
    struct read_facts *facts = (struct read_facts *)linger_begin(bed, sizeof *facts, 0);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    common->bytes = LINGER_BYTES;
    if (way->before)
        send_to_client(bed, common);
    common->call = DO(client, ACT_SHUTDOWN, .number = SHUT_RD);
    facts->state = linger_state(bed, LAB_CLIENT, common->port, TCP_ESTABLISHED);
    if (!way->before) {
        facts->empty = DO(client, ACT_READ, .bytes = 1);
        send_to_client(bed, common);
    }
    facts->got = linger_read(client, 0);
    testbed_from_here(bed);
    facts->answered = DO(client, ACT_WRITE, .bytes = OTHER_BYTES, .flags = MSG_NOSIGNAL);
    DO(server, ACT_POLL, .slot = 1, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    facts->heard = DO(server, ACT_READ, .slot = 1, .bytes = OTHER_BYTES, .flags = MSG_DONTWAIT);
    if (bed->lab)
        testbed_saw(bed, "delivered s>c:ack", LINGER_PATIENCE_NS);
    DO(client, ACT_CLOSE);
    common->end = linger_read(server, 1);
    linger_state(bed, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    linger_finish(bed, common, TCP_TIME_WAIT);
}

static void check_read(struct testbed *bed)
{
    const struct read_way *way = bed->scenario->arg;
    const struct read_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_rc(bed, "shutdown", "0", &common->call, "0");
    testbed_check_text(bed, "state_after_shutdown", "ESTABLISHED",
                       testbed_state_name(facts->state));
    if (!way->before)
        testbed_check_rc(bed, "read_with_nothing_there", "EOF", &facts->empty, "EOF");
    testbed_check_integer(bed, "delivered_bytes", common->bytes, facts->got.bytes);
    testbed_check_text(bed, "read_after_the_data", "EOF", linger_sees(&facts->got));
    testbed_check_integer(bed, "peer_reads_bytes", OTHER_BYTES, facts->heard.bytes);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&common->end));
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C PSH,ACK", "C>S ACK",
                         "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK",
                         "C>S ACK", NULL);
    linger_summarise(bed, &(struct linger_row){.returned = "at once",
                                               .delivered_bytes = facts->got.bytes,
                                               .lost_bytes = common->bytes - facts->got.bytes,
                                               .peer_sees = "nothing",
                                               .client = facts->state});
}

const struct scenario linger_shutdown_read = {
    .name = "shutdown-read",
    .title = "SHUT_RD with data unread: nothing is sent, nothing is discarded",
    .book = "No more receives; what is in the receive buffer is discarded, and what comes later, "
            "too. Sending goes on, and the peer is told nothing (sections 6.6 and 7.5, figure "
            "7.12).",
    .here = "The buffer is kept: read gives what is there, and the end of stream where it would "
            "wait. Nothing goes to the peer.",
    .differs = "Linux discards nothing.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_read,
    .check = check_read,
    .arg = &(const struct read_way){.before = true},
};

const struct scenario linger_receive_after_shutdown_read = {
    .name = "receive-after-shutdown-read",
    .title = "the peer goes on sending after shutdown(SHUT_RD): it is received",
    .book = "What arrives is acknowledged and silently discarded (section 6.6).",
    .here = "It is acknowledged and can be read; only where nothing is there read gives the end of "
            "stream instead of waiting.",
    .differs = "Linux delivers what it should discard.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_read,
    .check = check_read,
    .arg = &(const struct read_way){.before = false},
};

/* ---- shutdown-both ---- */

struct both_facts {
    struct linger_facts common;
    struct act_reply read, first, second;
    bool reset;
};

static void run_both(struct testbed *bed)
{
    struct both_facts *facts = (struct both_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    linger_hold(bed, common);
    linger_write(bed, common);
    BEGIN(client, ACT_SHUTDOWN, .number = SHUT_RDWR);
    common->call = agent_try(client, LINGER_PATIENCE_NS);
    common->before_ack = !common->call.late;
    if (bed->lab && linger_is_small(common))
        testbed_saw(bed, "c>s:fin", LINGER_PATIENCE_NS);
    linger_release(bed, common);
    facts->read = DO(client, ACT_READ, .bytes = 1);
    common->end = linger_read(server, 1);
    common->after = linger_state(bed, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    facts->first = DO(server, ACT_WRITE, .slot = 1, .bytes = OTHER_BYTES, .flags = MSG_NOSIGNAL);
    common->server = linger_state(bed, LAB_SERVER, common->port, 0);
    facts->second = DO(server, ACT_WRITE, .slot = 1, .bytes = 1, .flags = MSG_NOSIGNAL);
    common->client = linger_state(bed, LAB_CLIENT, common->port, 0);
    DO(client, ACT_CLOSE);
    DO(server, ACT_CLOSE, .slot = 1);
}

static void check_both(struct testbed *bed)
{
    const struct both_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_rc(bed, "shutdown", "0", &common->call, "0");
    testbed_check_bool(bed, "returned_before_the_ack", true, common->before_ack);
    testbed_check_rc(bed, "own_read", "EOF", &facts->read, "EOF");
    testbed_check_integer(bed, "delivered_bytes", common->bytes, common->end.bytes);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&common->end));
    testbed_check_text(bed, "state_after_the_ack", "FIN-WAIT-2", testbed_state_name(common->after));
    testbed_check_rc(bed, "peer_writes_then", "ok", &facts->first, "0");
    testbed_check_rc(bed, "peer_writes_again", "EPIPE", &facts->second, "0");
    testbed_check_text(bed, "client_end", "none", testbed_state_name(common->client));
    if (linger_is_small(common))
        testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK",
                             "C>S FIN,ACK", "S>C ACK", "S>C PSH,ACK", "C>S RST", NULL);
    linger_summarise_facts(bed, common, "at once");
}

const struct scenario linger_shutdown_both = {
    .name = "shutdown-both",
    .title = "SHUT_RDWR: FIN as with SHUT_WR, and what the peer sends is refused",
    .book = "The same as SHUT_RD and SHUT_WR, one after the other (section 6.6).",
    .here = "FIN is sent. Data that come after both halves are shut cannot be read by anybody, so "
            "the kernel answers them with RST, although with SHUT_RD alone it takes them; the peer "
            "learns of it by EPIPE. The descriptor is still open, and close is still due.",
    .differs = "After both shutdowns Linux resets the connection when data arrive, instead of "
               "discarding them silently.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_both,
    .check = check_both,
};

/* ---- half-close ---- */

struct half_facts {
    struct linger_facts common;
    struct linger_end answer;
};

static void run_half(struct testbed *bed)
{
    struct half_facts *facts = (struct half_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    testbed_from_here(bed);
    linger_write(bed, common);
    common->call = DO(client, ACT_SHUTDOWN, .number = SHUT_WR);
    common->end = linger_read(server, 1);
    common->after = linger_state(bed, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    testbed_from_here(bed);
    DO(server, ACT_WRITE_ALL, .slot = 1, .bytes = OTHER_BYTES);
    if (bed->lab)
        testbed_saw(bed, "delivered c>s:ack", LINGER_PATIENCE_NS);
    linger_finish(bed, common, TCP_TIME_WAIT);
    facts->answer = linger_read(client, 0);
    DO(client, ACT_CLOSE);
}

static void check_half(struct testbed *bed)
{
    const struct half_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_rc(bed, "shutdown", "0", &common->call, "0");
    testbed_check_integer(bed, "delivered_bytes", common->bytes, common->end.bytes);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&common->end));
    testbed_check_text(bed, "state_after_the_ack", "FIN-WAIT-2", testbed_state_name(common->after));
    testbed_check_integer(bed, "answer_bytes", OTHER_BYTES, facts->answer.bytes);
    testbed_check_text(bed, "after_the_answer", "EOF", linger_sees(&facts->answer));
    testbed_check_text(bed, "client_end", "TIME-WAIT", testbed_state_name(common->client));
    if (linger_is_small(common))
        testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK",
                             "C>S FIN,ACK", "S>C ACK", "S>C PSH,ACK", "C>S ACK", "S>C FIN,ACK",
                             "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
                          "TIME-WAIT", NULL);
    bool answered = facts->answer.bytes == OTHER_BYTES && !facts->answer.rc;
    linger_summarise(bed, &(struct linger_row){.returned = "the answer",
                                               .peer_has_it = answered,
                                               .application_has_it = answered,
                                               .delivered_bytes = common->end.bytes,
                                               .lost_bytes = common->bytes - common->end.bytes,
                                               .peer_sees = linger_sees(&common->end),
                                               .client = common->client,
                                               .server = common->server});
}

const struct scenario linger_half_close = {
    .name = "half-close",
    .title = "the request ends with shutdown(SHUT_WR), and the answer still comes",
    .book = "The server reads the end of stream as the end of the request, and can send its answer "
            "on the half that is still open (sections 6.6 and 6.7).",
    .here = "The same. The client waits in FIN-WAIT-2, without a bound: only an orphan has a "
            "timer.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_half,
    .check = check_half,
};

/* ---- send-after-shutdown ---- */

struct send_facts {
    struct linger_facts common;
    struct act_reply quiet, handled, killed;
    int status;
};

static void run_send(struct testbed *bed)
{
    struct send_facts *facts = (struct send_facts *)linger_begin(bed, sizeof *facts, 0);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed);

    common->before_ack = true;
    common->bytes = 0;
    DO(client, ACT_SIGNAL, .number = SIGPIPE, .flags = AGENT_SIGNAL_COUNT);
    common->call = DO(client, ACT_SHUTDOWN, .number = SHUT_WR);
    common->after = linger_state(bed, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    facts->quiet = DO(client, ACT_WRITE, .bytes = 1, .flags = MSG_NOSIGNAL);
    facts->handled = DO(client, ACT_WRITE, .bytes = 1);
    DO(client, ACT_SIGNAL, .number = SIGPIPE, .flags = AGENT_SIGNAL_DEFAULT);
    facts->killed = DO(client, ACT_WRITE, .bytes = 1);
    agent_ended(client, LINGER_PATIENCE_NS, &facts->status);
    common->end = linger_read(testbed_server(bed), 1);
    linger_finish(bed, common, TCP_TIME_WAIT);
}

static void check_send(struct testbed *bed)
{
    const struct send_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_rc(bed, "write_with_msg_nosignal", "EPIPE", &facts->quiet, "0");
    testbed_check_integer(bed, "signals_with_msg_nosignal", 0, facts->quiet.signals);
    testbed_check_rc(bed, "write_with_a_handler", "EPIPE", &facts->handled, "0");
    testbed_check_integer(bed, "signals_with_a_handler", 1, facts->handled.signals);
    testbed_check_text(bed, "write_by_default", "SIGPIPE",
                       WIFSIGNALED(facts->status) && WTERMSIG(facts->status) == SIGPIPE ? "SIGPIPE"
                       : facts->killed.died                                             ? "ended"
                                            : act_rc_name(facts->killed.rc, "0"));
    testbed_check_integer(bed, "delivered_bytes", 0, common->end.bytes);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&common->end));
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S FIN,ACK", "S>C ACK",
                         "S>C FIN,ACK", "C>S ACK", NULL);
    linger_summarise_facts(bed, common, "EPIPE");
}

const struct scenario linger_send_after_shutdown = {
    .name = "send-after-shutdown",
    .title = "write after shutdown(SHUT_WR): EPIPE, and SIGPIPE kills",
    .book = "A write to a socket whose sending half is shut gives SIGPIPE, and EPIPE where the "
            "signal does not kill (sections 5.13 and 6.6).",
    .here = "The same, from the own kernel and without a segment; MSG_NOSIGNAL spares the signal.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_send,
    .check = check_send,
};

/* ---- shared-descriptor ---- */

struct shared_facts {
    struct linger_facts common;
    struct act_reply forked, write, shut;
    int after_close, after_shutdown;
};

static void run_shared(struct testbed *bed)
{
    struct shared_facts *facts =
        (struct shared_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed);

    facts->forked = DO(client, ACT_FORK);
    DO(client, ACT_DUP, .slot = 0, .other = 1);
    testbed_from_here(bed);
    common->call = DO(client, ACT_CLOSE);
    /* What the copy sends is on the wire after whatever close sent. */
    facts->write = DO(client, ACT_WRITE_ALL, .slot = 1, .bytes = common->bytes);
    if (bed->lab)
        testbed_saw(bed, "delivered s>c:ack", LINGER_PATIENCE_NS);
    facts->after_close = linger_state(bed, LAB_CLIENT, common->port, TCP_ESTABLISHED);
    facts->shut = DO(client, ACT_SHUTDOWN, .slot = 1, .number = SHUT_WR);
    common->end = linger_read(testbed_server(bed), 1);
    facts->after_shutdown = linger_state(bed, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    linger_finish(bed, common, TCP_TIME_WAIT);
    DO(client, ACT_CLOSE, .slot = 1);
    if (facts->forked.rc > 0)
        DO(client, ACT_KILL_CHILD, .number = (int)facts->forked.rc);
}

static void check_shared(struct testbed *bed)
{
    const struct shared_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_rc(bed, "close", "0", &common->call, "0");
    testbed_check_rc(bed, "write_through_the_copy", "0", &facts->write, "0");
    testbed_check_text(bed, "state_after_close", "ESTABLISHED",
                       testbed_state_name(facts->after_close));
    testbed_check_rc(bed, "shutdown_through_the_copy", "0", &facts->shut, "0");
    testbed_check_text(bed, "state_after_shutdown", "FIN-WAIT-2",
                       testbed_state_name(facts->after_shutdown));
    testbed_check_integer(bed, "delivered_bytes", common->bytes, common->end.bytes);
    testbed_check_text(bed, "peer_sees", "EOF", linger_sees(&common->end));
    if (linger_is_small(common))
        testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK",
                             "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK", "C>S ACK", NULL);
    linger_summarise(bed, &(struct linger_row){.returned = "at once",
                                               .delivered_bytes = common->end.bytes,
                                               .lost_bytes = common->bytes - common->end.bytes,
                                               .peer_sees = "nothing",
                                               .client = facts->after_close});
}

const struct scenario linger_shared_descriptor = {
    .name = "shared-descriptor",
    .title = "the socket is shared by fork or dup: close sends nothing, shutdown does",
    .book = "close takes one reference away, and FIN is sent with the last; shutdown sends FIN "
            "however many there are (sections 4.8 and 6.6).",
    .here = "The same. A child that inherited the descriptor by mistake keeps the connection open.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_shared,
    .check = check_shared,
};
