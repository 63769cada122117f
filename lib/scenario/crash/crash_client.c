/* The client crashes, and the server survives. */
#include "scenario/crash/crash.h"

#include <poll.h>
#include <signal.h>

/* ---- client-crash-in-queue ---- */

/* A client that connects, perhaps writes, and whose end is an RST (SO_LINGER 0). */
static void connect_and_die(struct crash *crash, int64_t bytes)
{
    struct agent *client = testbed_agent(crash->bed, LAB_CLIENT);

    DO(client, ACT_OPTION, .text = "SO_LINGER=0");
    MUST(crash->bed, "the client cannot connect", client, ACT_CONNECT, .port = TESTBED_PORT);
    if (bytes) {
        DO(client, ACT_WRITE, .bytes = bytes);
        testbed_wait(crash->bed, "delivered c>s:data");
    }
    crash_happens(crash);
    agent_signal(client, SIGKILL);
}

static void play_in_queue(struct testbed *bed)
{
    struct crash crash = crash_begin(bed);
    struct agent *server = crash.server;

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    connect_and_die(&crash, 0);
    crash_wait_either(bed, "delivered c>s:rst", "delivered c>s:fin");
    CRASH_CALL(&crash, "poll_listener", "IN", server, ACT_POLL, .number = POLLIN,
               .timeout_ns = TESTBED_LIMIT_NS);
    CRASH_CALL(&crash, "accept", "0", server, ACT_ACCEPT, .other = 1);
    CRASH_CALL(&crash, "getpeername", "ENOTCONN", server, ACT_PEER, .slot = 1);
    CRASH_CALL(&crash, "read", "ECONNRESET", server, ACT_READ, .slot = 1, .bytes = 100);
    CRASH_CALL(&crash, "read_again", "EOF", server, ACT_READ, .slot = 1, .bytes = 100);

    connect_and_die(&crash, 10);
    crash_wait_either(bed, "delivered c>s:rst#2", "delivered c>s:fin");
    CRASH_CALL(&crash, "accept_with_data", "0", server, ACT_ACCEPT, .other = 2);
    CRASH_CALL(&crash, "read_data", "ok", server, ACT_READ, .slot = 2, .bytes = 100);
    CRASH_CALL(&crash, "read_after_data", "ECONNRESET", server, ACT_READ, .slot = 2, .bytes = 100);
}

const struct scenario crash_client_in_queue = {
    .name = "client-crash-in-queue",
    .title = "the client resets a connection that is still in the accept queue",
    .book = "POSIX lets accept return ECONNABORTED; SVR4 gave EPROTO, and 4.4BSD never showed the "
            "connection to the server at all (section 5.11).",
    .here = "accept succeeds: the connection stays in the queue with all data that had arrived. "
            "getpeername fails with ENOTCONN; read returns the data that came before the RST, "
            "then fails with ECONNRESET. So a reset cannot make a blocking accept after poll hang "
            "(section 16.6).",
    .differs = "Linux keeps a reset connection in its accept queue.",
    .settings = crash_no_retransmission,
    .play = play_in_queue,
    .flags = FLAGS(HANDSHAKE, "C>S RST,ACK"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED", "CLOSED"),
};

/* ---- client-crash-mid-request ---- */

#define REQUEST_BYTES 20

static void play_mid_request(struct testbed *bed)
{
    struct crash crash = crash_connected(bed);
    struct agent *server = crash.server, *bystander = crash_another_client(&crash, 2);

    DO(crash.client, ACT_WRITE, .bytes = REQUEST_BYTES / 2);
    testbed_wait(bed, "delivered c>s:data");
    crash_happens(&crash);
    agent_signal(crash.client, SIGKILL);
    crash_wait_either(bed, "delivered c>s:fin", "delivered c>s:rst");
    struct act_reply reply =
        CRASH_CALL(&crash, "read", "EOF", server, ACT_READ_ALL, .slot = 1, .bytes = REQUEST_BYTES);
    testbed_check_integer(bed, "request_bytes", REQUEST_BYTES / 2, reply.bytes);
    CRASH_CALL(&crash, "write", "ok", server, ACT_WRITE, .slot = 1, .bytes = 10,
               .flags = MSG_NOSIGNAL);
    crash_wait_either(bed, "delivered c>s:rst", "server=CLOSED");
    CRASH_CALL(&crash, "write_again", "EPIPE", server, ACT_WRITE, .slot = 1, .bytes = 10,
               .flags = MSG_NOSIGNAL);
    CRASH_BLOCK(&crash, bystander, ACT_READ, .bytes = 100);
    reply = DO(server, ACT_WRITE, .slot = 1, .bytes = 10);
    testbed_check_bool(bed, "server_dies", true, reply.died);
    if (reply.died)
        crash_died(&crash, "write_default", "SIGPIPE", server);
    crash_end_read(&crash, "bystander_reads", "EOF", bystander, ACT_LIMIT_NS);
    testbed_expect_count(bed, "resets", "rst", LAB_FROM_CLIENT, 1);
}

const struct scenario crash_client_mid_request = {
    .name = "client-crash-mid-request",
    .title = "the client's process is killed after it has sent half of its request",
    .book = "The server reads what came, and then end of file; what it writes after that meets "
            "the same RST, EPIPE and SIGPIPE as a client's (sections 5.12 and 5.13).",
    .here = "The same. One SIGPIPE ends the server, and with it the connections of all its other "
            "clients: a server has to ignore the signal, or write with MSG_NOSIGNAL.",
    .settings = crash_no_retransmission,
    .play = play_mid_request,
    .flags_begin = FLAGS(HANDSHAKE, "C>S PSH,ACK"),
    .server_states = STATES("SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "CLOSED"),
};
