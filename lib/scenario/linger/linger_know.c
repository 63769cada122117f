/* How to know that the peer's application has the data: wait for something that only it can do. */
#include "scenario/linger/linger.h"

static void play_know(struct testbed *bed)
{
    /* The peer writes a byte; else it closes. */
    bool answers = bed->scenario == &linger_application_ack;
    struct linger_scene s = linger_begin(bed, linger_bytes(bed, LINGER_BYTES));

    linger_write(&s);
    if (!answers)
        DO(s.client, ACT_SHUTDOWN, .number = SHUT_WR);
    BEGIN(s.client, ACT_READ, .bytes = 1);
    if (s.bytes <= LINGER_BYTES)
        linger_check_state(&s, "acknowledged_in", LAB_CLIENT,
                           answers ? TCP_ESTABLISHED : TCP_FIN_WAIT2);
    struct act_reply read = agent_try(s.client, LINGER_AT_ONCE_NS);
    bool waits = read.late;
    if (answers) {
        linger_read_bytes(&s);
        DO(s.server, ACT_WRITE, .slot = 1, .bytes = 1);
    } else {
        s.end = linger_read(s.server, 1);
        DO(s.server, ACT_CLOSE, .slot = 1);
    }
    if (waits)
        read = agent_end(s.client, ACT_LIMIT_NS);
    DO(s.client, ACT_CLOSE);
    if (answers)
        linger_state(bed, LAB_CLIENT, s.port, TCP_FIN_WAIT2);
    linger_finish(&s, TCP_TIME_WAIT);
    testbed_check_bool(bed, "returned_before_the_peer_read", false, !waits);
    testbed_check_rc(bed, "read", answers ? "ok" : "EOF", &read, "EOF");
    testbed_check_integer(bed, "delivered_bytes", s.bytes, s.end.bytes);
    linger_check_ends(&s, TCP_TIME_WAIT, 0);
    s.peer_sees = answers ? "data" : "EOF";
    linger_summarize(&s, answers ? "the answer" : "the peer's FIN",
                     waits ? "application" : "nobody");
}

const struct scenario linger_ack_wait = {
    .name = "ack-wait",
    .title = "SHUT_WR, then read to the end: it comes when the peer has read and closed",
    .book = "The way to know that the peer's application has read everything: shutdown instead of "
            "close, then read until 0 (section 7.5).",
    .here = "The same. The read keeps waiting after everything is acknowledged, and returns 0 when "
            "the peer closes. That proves that the peer has read the data only if it reads to the "
            "end before it closes; if it closes with data unread, the read fails with ECONNRESET.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_know,
    .flags = FLAGS(HANDSHAKE, "C>S PSH,ACK", "S>C ACK", "C>S FIN,ACK", "S>C ACK", "S>C FIN,ACK",
                   "C>S ACK"),
};

const struct scenario linger_application_ack = {
    .name = "application-ack",
    .title = "the peer's application says that it has the data: one byte back",
    .book = "An acknowledgement by the application itself says that it has read everything before "
            "it (section 7.5).",
    .here = "The same. The peer must cooperate, and it is the only way that works while the "
            "connection stays open.",
    .settings = linger_settings,
    .loopback = true,
    .play = play_know,
};
