/* Ends by RST: asked for with a linger time of 0, or because something was left unread. */
#include "scenario/linger/linger.h"

#include <poll.h>

/* ---- linger-zero ---- */

#define ZERO_BYTES (100 * 1024)

static void play_zero(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, ZERO_BYTES));

    DO(s.client, ACT_OPTION, .text = "SO_LINGER=on,0s");
    struct act_reply info = DO(s.client, ACT_INFO);
    int64_t window_bytes = (int64_t)info.info.snd_mss * info.info.snd_cwnd;
    testbed_from_here(bed);
    /* What would arrive after the RST would be answered with another one. */
    if (bed->lab)
        s.hold = testbed_fault(bed, "drop ack dir s>c");
    linger_write(&s);
    struct act_reply call = CHECK(bed, "close", "0", s.client, ACT_CLOSE);
    linger_state(bed, LAB_CLIENT, s.port, 0);
    linger_check_peer_sees(&s, "ECONNRESET");
    testbed_observe(bed, INTEGER("delivered_bytes", s.end.bytes));
    if (bed->lab) {
        int64_t arrived_bytes = s.bytes < window_bytes ? s.bytes : window_bytes;
        testbed_expect_integer(bed, "delivered_bytes", arrived_bytes);
        testbed_check_integer(bed, "lost_bytes", s.bytes - arrived_bytes, s.bytes - s.end.bytes);
    }
    testbed_expect_count(bed, "fins", "fin", LAB_FROM_CLIENT, 0);
    testbed_expect_count(bed, "resets", "rst", LAB_FROM_CLIENT, 1);
    linger_finish(&s, 0);
    linger_check_ends(&s, 0, 0);
    linger_summarize(&s, "at once", call.rc ? "peer's TCP" : "nobody");
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
    .play = play_zero,
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSED"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED", "CLOSED"),
};

/* ---- close-unread, shutdown-then-close-unread ---- */

#define UNREAD_BYTES 500

static int64_t aborts_of(struct testbed *bed)
{
    return bed->lab ? testbed_counter(bed, LAB_CLIENT, "TcpExt TCPAbortOnClose") : 0;
}

static void leave_unread(struct linger_scene *s)
{
    testbed_from_here(s->bed);
    DO(s->server, ACT_WRITE, .slot = 1, .bytes = UNREAD_BYTES);
    DO(s->client, ACT_POLL, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    linger_saw(s, "delivered c>s:ack");
    testbed_observe(s->bed, INTEGER("unread_bytes", UNREAD_BYTES));
}

static void play_unread(struct testbed *bed)
{
    bool shuts_first = bed->scenario == &linger_shutdown_then_close_unread;
    int64_t bytes = linger_bytes(bed, LINGER_BYTES);

    if (shuts_first && bytes > LINGER_BYTES)
        bytes = LINGER_BYTES; /* it must have arrived before the close */
    struct linger_scene s = linger_begin(bed, bytes);
    leave_unread(&s);
    linger_write(&s);
    int64_t aborts = aborts_of(bed);
    if (shuts_first) {
        DO(s.client, ACT_SHUTDOWN, .number = SHUT_WR);
        linger_state(bed, LAB_CLIENT, s.port, TCP_FIN_WAIT2);
    }
    CHECK(bed, "close", "0", s.client, ACT_CLOSE);
    linger_state(bed, LAB_SERVER, s.port, 0);
    if (bed->lab)
        testbed_check_integer(bed, "aborts_on_close_counted", 1, aborts_of(bed) - aborts);
    linger_check_peer_sees(&s, shuts_first ? "EOF" : "ECONNRESET");
    testbed_observe(bed, INTEGER("delivered_bytes", s.end.bytes));
    /* What the peer's window or the congestion window held back is lost with the RST. */
    testbed_expect_range(bed, "delivered_bytes", s.bytes <= LINGER_BYTES ? s.bytes : 1, s.bytes);
    CHECK(bed, "peer_writes_then", "EPIPE", s.server, ACT_WRITE, .slot = 1, .bytes = 1,
          .flags = MSG_NOSIGNAL);
    linger_finish(&s, 0);
    linger_check_ends(&s, 0, 0);
    linger_summarize(&s, "at once", "nobody");
}

const struct scenario linger_close_unread = {
    .name = "close-unread",
    .title = "close while something that the peer sent is unread: RST instead of FIN",
    .book = "What is in the receive buffer is discarded, and the connection ends with FIN as usual "
            "(section 7.5, figure 7.12).",
    .here = "The peer's data are lost, so RST tells its TCP (RFC 1122 4.2.2.13, RFC 2525 2.17). "
            "The peer can still read what has arrived there, and then gets ECONNRESET. What had "
            "not arrived yet would be lost, too: the classic way to lose the end of a response.",
    .differs = "Linux sends RST, as RFC 2525 asks, where the book has a normal close.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_unread,
    .flags = FLAGS(HANDSHAKE, "S>C PSH,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK", "C>S RST,ACK"),
};

const struct scenario linger_shutdown_then_close_unread = {
    .name = "shutdown-then-close-unread",
    .title = "SHUT_WR, then close with something unread: FIN, and then RST",
    .book = "shutdown sends FIN; an RST afterwards is not mentioned.",
    .here = "The FIN has ended the stream before the RST comes, so the peer reads everything and a "
            "plain end of stream. Only when it writes does it learn of the RST, by EPIPE.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_unread,
    .flags = FLAGS(HANDSHAKE, "S>C PSH,ACK", "C>S ACK", "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK",
                   "S>C ACK", "C>S RST,ACK"),
};

/* ---- reset-time-wait ---- */

#define OLD_BYTES 100
#define NEW_BYTES 10

/* The same ports again, and an old segment into the middle of it. */
static void check_reconnect(struct linger_scene *s, int old)
{
    struct testbed *bed = s->bed;

    CHECK(bed, "same_port_again", "0", s->client, ACT_BIND, .slot = 2, .port = s->port);
    CHECK(bed, "connect_again", "0", s->client, ACT_CONNECT, .slot = 2, .port = TESTBED_PORT);
    DO(s->server, ACT_ACCEPT, .other = 2, .timeout_ns = LINGER_PATIENCE_NS);
    testbed_from_here(bed);
    testbed_release(bed, old);
    testbed_check_bool(bed, "old_segment_meets_ack", true, linger_saw(s, "c>s:ack"));
    CHECK(bed, "read_then", "EAGAIN", s->client, ACT_READ, .slot = 2, .bytes = OLD_BYTES,
          .flags = MSG_DONTWAIT);
    DO(s->server, ACT_WRITE, .slot = 2, .bytes = NEW_BYTES);
    DO(s->client, ACT_POLL, .slot = 2, .number = POLLIN, .timeout_ns = LINGER_PATIENCE_NS);
    struct act_reply after =
        DO(s->client, ACT_READ, .slot = 2, .bytes = OLD_BYTES, .flags = MSG_DONTWAIT);
    testbed_check_integer(bed, "new_bytes", NEW_BYTES, after.bytes);
}

static void play_old(struct testbed *bed)
{
    struct linger_scene s = linger_begin(bed, 2 * OLD_BYTES);
    int first = testbed_fault(bed, "hold data dir s>c count 1");
    int second = testbed_fault(bed, "hold data dir s>c count 1");

    testbed_from_here(bed);
    DO(s.server, ACT_OPTION, .slot = 1, .text = "TCP_NODELAY=on");
    DO(s.server, ACT_WRITE, .slot = 1, .bytes = OLD_BYTES);
    DO(s.server, ACT_WRITE, .slot = 1, .bytes = OLD_BYTES);
    linger_saw(&s, "s>c:data#2");
    DO(s.client, ACT_OPTION, .text = "SO_LINGER=on,0s");
    CHECK(bed, "close", "0", s.client, ACT_CLOSE);
    s.end = linger_read(s.server, 1);
    s.end.bytes = 0; /* what is at stake goes the other way */
    linger_finish(&s, 0);
    testbed_check_state(bed, "client_end", 0, s.client_end);
    testbed_from_here(bed);
    testbed_release(bed, first);
    testbed_check_bool(bed, "old_segment_meets_rst", true, linger_saw(&s, "c>s:rst"));
    check_reconnect(&s, second);
    linger_summarize(&s, "at once", "nobody");
}

const struct scenario linger_reset_time_wait = {
    .name = "reset-time-wait",
    .title = "no TIME-WAIT after linger zero: what happens to an old segment",
    .book = "Without TIME-WAIT a new incarnation of the connection can begin within the lifetime "
            "of old segments, which it may then take for its own (sections 2.7 and 7.5).",
    .here = "An old segment that finds no socket is answered with RST. The ports can be used again "
            "at once, and the new connection recognizes the old segment by its sequence number or "
            "its timestamp, drops it, and answers with ACK. That holds as long as the initial "
            "sequence numbers have not wrapped around.",
    .settings = linger_settings,
    .play = play_old,
    .flags = FLAGS(HANDSHAKE, "S>C PSH,ACK", "S>C PSH,ACK", "C>S RST,ACK", "C>S RST"),
};
