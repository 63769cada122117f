/* Ends by RST: asked for with a linger time of 0, or because something was left unread. */
#include "scenario/linger/linger.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

/* ---- linger-zero ---- */

#define ZERO_BYTES (100 * 1024)

struct zero_facts {
    struct linger_facts common;
    int64_t window_bytes; /* what may be sent before the first ACK */
};

static void run_zero(struct testbed *bed)
{
    struct zero_facts *facts = (struct zero_facts *)linger_begin(bed, sizeof *facts, ZERO_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed);

    DO(client, ACT_OPTION, .text = "SO_LINGER=on,0s");
    struct act_reply info = DO(client, ACT_INFO);
    facts->window_bytes = (int64_t)info.info.snd_mss * info.info.snd_cwnd;
    testbed_from_here(bed);
    /* What would arrive after the RST would be answered with another one. */
    if (bed->lab)
        common->hold = testbed_fault(bed, "drop ack dir s>c");
    linger_write(bed, common);
    common->call = DO(client, ACT_CLOSE);
    common->before_ack = common->call.rc == 0;
    common->after = linger_state(bed, LAB_CLIENT, common->port, 0);
    common->end = linger_read(testbed_server(bed), 1);
    linger_finish(bed, common, 0);
}

static void check_zero(struct testbed *bed)
{
    const struct zero_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;
    int64_t arrived = common->bytes < facts->window_bytes ? common->bytes : facts->window_bytes;

    testbed_check_rc(bed, "close", "0", &common->call, "0");
    testbed_check_text(bed, "client_end", "none", testbed_state_name(common->client));
    testbed_check_text(bed, "server_end", "none", testbed_state_name(common->server));
    testbed_check_text(bed, "peer_sees", "ECONNRESET", linger_sees(&common->end));
    if (bed->result->captured) {
        testbed_check_integer(bed, "delivered_bytes", arrived, common->end.bytes);
        testbed_check_integer(bed, "lost_bytes", common->bytes - arrived,
                              common->bytes - common->end.bytes);
        testbed_check_integer(bed, "fins", 0,
                              (int64_t)testbed_times(bed, "fin", LAB_FROM_CLIENT, NULL, 0));
        testbed_check_integer(bed, "resets", 1,
                              (int64_t)testbed_times(bed, "rst", LAB_FROM_CLIENT, NULL, 0));
    } else {
        testbed_observe_integer(bed, "delivered_bytes", common->end.bytes);
    }
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSED", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", "CLOSED", NULL);
    linger_summarise_facts(bed, common, "at once");
}

const struct scenario linger_zero = {
    .name = "linger-zero",
    .title = "SO_LINGER on with time 0: RST, and what was not sent yet is lost",
    .book = "TCP discards what is in the send buffer and sends RST instead of FIN; there is no "
            "TIME-WAIT (section 7.5).",
    .here = "The same. What has arrived at the peer stays readable there, and then read gives "
            "ECONNRESET; what was waiting for the congestion window or for an ACK is gone, and "
            "close returns 0.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_zero,
    .check = check_zero,
};

/* ---- close-unread, shutdown-then-close-unread ---- */

#define UNREAD_BYTES 500

struct unread_way {
    bool shutdown; /* before close */
};

struct unread_facts {
    struct linger_facts common;
    struct act_reply shut, write;
    int64_t aborts; /* that the client's kernel counted */
};

static int64_t aborts_of(struct testbed *bed)
{
    return bed->lab ? testbed_counter(bed, LAB_CLIENT, "TcpExt TCPAbortOnClose") : 0;
}

static void run_unread(struct testbed *bed)
{
    const struct unread_way *way = bed->scenario->arg;
    struct unread_facts *facts =
        (struct unread_facts *)linger_begin(bed, sizeof *facts, LINGER_BYTES);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    if (way->shutdown && common->bytes > LINGER_BYTES)
        common->bytes = LINGER_BYTES; /* it must have arrived before the close */
    testbed_from_here(bed);
    DO(server, ACT_WRITE, .slot = 1, .bytes = UNREAD_BYTES);
    DO(client, ACT_POLL, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    if (bed->lab)
        testbed_saw(bed, "delivered c>s:ack", LINGER_PATIENCE_NS);
    linger_write(bed, common);
    int64_t aborts = aborts_of(bed);
    if (way->shutdown) {
        facts->shut = DO(client, ACT_SHUTDOWN, .number = SHUT_WR);
        linger_state(bed, LAB_CLIENT, common->port, TCP_FIN_WAIT2);
    }
    common->call = DO(client, ACT_CLOSE);
    common->before_ack = true;
    linger_state(bed, LAB_SERVER, common->port, 0);
    facts->aborts = aborts_of(bed) - aborts;
    common->end = linger_read(server, 1);
    facts->write = DO(server, ACT_WRITE, .slot = 1, .bytes = 1, .flags = MSG_NOSIGNAL);
    linger_finish(bed, common, 0);
}

static void check_unread(struct testbed *bed)
{
    const struct unread_way *way = bed->scenario->arg;
    const struct unread_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_rc(bed, "close", "0", &common->call, "0");
    testbed_check_text(bed, "peer_sees", way->shutdown ? "EOF" : "ECONNRESET",
                       linger_sees(&common->end));
    testbed_check_rc(bed, "peer_writes_then", "EPIPE", &facts->write, "0");
    testbed_observe_integer(bed, "delivered_bytes", common->end.bytes);
    /* What the peer's window or the congestion window held back is lost with the RST. */
    testbed_expect_range(bed, "delivered_bytes", linger_is_small(common) ? common->bytes : 1,
                         common->bytes);
    testbed_check_text(bed, "client_end", "none", testbed_state_name(common->client));
    testbed_check_text(bed, "server_end", "none", testbed_state_name(common->server));
    testbed_observe_integer(bed, "unread_bytes", UNREAD_BYTES);
    if (bed->result->captured)
        testbed_check_integer(bed, "aborts_on_close_counted", 1, facts->aborts);
    if (linger_is_small(common) && way->shutdown)
        testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C PSH,ACK", "C>S ACK",
                             "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C ACK", "C>S RST,ACK",
                             NULL);
    else if (linger_is_small(common))
        testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C PSH,ACK", "C>S ACK",
                             "C>S PSH,ACK", "S>C ACK", "C>S RST,ACK", NULL);
    linger_summarise_facts(bed, common, "at once");
}

const struct scenario linger_close_unread = {
    .name = "close-unread",
    .title = "close while something that the peer sent is unread: RST instead of FIN",
    .book =
        "What is in the receive buffer is discarded, and the connection ends with FIN as always "
        "(section 7.5, figure 7.12).",
    .here = "The peer's data are lost, so its TCP is told by RST (RFC 1122 4.2.2.13, RFC 2525 "
            "2.17). The peer can still read what has arrived there, and then gets ECONNRESET. What "
            "had not arrived yet would be lost too: the classic way to lose the end of a response.",
    .differs = "Linux sends RST, as RFC 2525 asks, where the book has a normal end.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_unread,
    .check = check_unread,
    .arg = &(const struct unread_way){.shutdown = false},
};

const struct scenario linger_shutdown_then_close_unread = {
    .name = "shutdown-then-close-unread",
    .title = "SHUT_WR, then close with something unread: FIN, and then RST",
    .book = "FIN is sent by shutdown; nothing is said of an RST afterwards.",
    .here = "The FIN has ended the stream before the RST comes, so that the peer reads everything "
            "and a plain end of stream. Only when it writes does it learn of the RST, by EPIPE.",
    .settings = linger_settings,
    .loopback = true,
    .play = run_unread,
    .check = check_unread,
    .arg = &(const struct unread_way){.shutdown = true},
};

/* ---- reset-time-wait ---- */

#define OLD_BYTES 100
#define NEW_BYTES 10

struct old_facts {
    struct linger_facts common;
    bool answered_rst, answered_ack;
    struct act_reply bound, connected, before, after;
};

/* The same ports again, and an old segment into the middle of it. */
static void reconnect(struct testbed *bed, struct old_facts *facts, int old)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    facts->bound = DO(client, ACT_BIND, .slot = 2, .port = facts->common.port);
    facts->connected = DO(client, ACT_CONNECT, .slot = 2, .port = TESTBED_PORT);
    DO(server, ACT_ACCEPT, .slot = 0, .other = 2, .timeout_ns = LINGER_PATIENCE_NS);
    testbed_from_here(bed);
    testbed_release(bed, old);
    facts->answered_ack = testbed_saw(bed, "c>s:ack", LINGER_PATIENCE_NS);
    facts->before = DO(client, ACT_READ, .slot = 2, .bytes = OLD_BYTES, .flags = MSG_DONTWAIT);
    DO(server, ACT_WRITE, .slot = 2, .bytes = NEW_BYTES);
    DO(client, ACT_POLL, .slot = 2, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    facts->after = DO(client, ACT_READ, .slot = 2, .bytes = OLD_BYTES, .flags = MSG_DONTWAIT);
}

static void run_old(struct testbed *bed)
{
    struct old_facts *facts = (struct old_facts *)linger_begin(bed, sizeof *facts, 0);
    struct linger_facts *common = &facts->common;
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    int first = testbed_fault(bed, "hold data dir s>c count 1");
    int second = testbed_fault(bed, "hold data dir s>c count 1");

    common->bytes = 2 * OLD_BYTES;
    testbed_from_here(bed);
    DO(server, ACT_OPTION, .slot = 1, .text = "TCP_NODELAY=on");
    DO(server, ACT_WRITE, .slot = 1, .bytes = OLD_BYTES);
    DO(server, ACT_WRITE, .slot = 1, .bytes = OLD_BYTES);
    testbed_saw(bed, "s>c:data#2", LINGER_PATIENCE_NS);
    DO(client, ACT_OPTION, .text = "SO_LINGER=on,0s");
    common->call = DO(client, ACT_CLOSE);
    common->end = linger_read(server, 1);
    linger_finish(bed, common, 0);
    testbed_from_here(bed);
    testbed_release(bed, first);
    facts->answered_rst = testbed_saw(bed, "c>s:rst", LINGER_PATIENCE_NS);
    reconnect(bed, facts, second);
}

static void check_old(struct testbed *bed)
{
    const struct old_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct linger_facts *common = &facts->common;

    testbed_check_rc(bed, "close", "0", &common->call, "0");
    testbed_check_text(bed, "client_end", "none", testbed_state_name(common->client));
    testbed_check_bool(bed, "old_segment_meets_rst", true, facts->answered_rst);
    testbed_check_rc(bed, "same_port_again", "0", &facts->bound, "0");
    testbed_check_rc(bed, "connect_again", "0", &facts->connected, "0");
    testbed_check_bool(bed, "old_segment_meets_ack", true, facts->answered_ack);
    testbed_check_rc(bed, "read_then", "EAGAIN", &facts->before, "EOF");
    testbed_check_integer(bed, "new_bytes", NEW_BYTES, facts->after.bytes);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C PSH,ACK", "S>C PSH,ACK",
                         "C>S RST,ACK", "C>S RST", NULL);
    linger_summarise(bed, &(struct linger_row){.returned = "at once",
                                               .delivered_bytes = 0,
                                               .lost_bytes = common->bytes,
                                               .peer_sees = linger_sees(&common->end),
                                               .client = common->client,
                                               .server = common->server});
}

const struct scenario linger_reset_time_wait = {
    .name = "reset-time-wait",
    .title = "no TIME-WAIT after linger zero: what an old segment meets then",
    .book = "Without TIME-WAIT another incarnation of the connection can come within the lifetime "
            "of old segments, which may then be taken for its own (sections 2.7 and 7.5).",
    .here = "An old segment that finds no socket is answered with RST. The ports can be used again "
            "at once, and in the new connection the segment is recognised as old by its sequence "
            "number or its timestamp, dropped and answered with ACK. That holds as long as the "
            "initial sequence numbers have not come round.",
    .settings = linger_settings,
    .play = run_old,
    .check = check_old,
};
