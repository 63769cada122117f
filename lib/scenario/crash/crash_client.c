/* The client dies, and the server survives. */
#include "scenario/crash/crash.h"

#include <poll.h>
#include <signal.h>

/* ---- client-crash-in-queue ---- */

/* A client that connects, perhaps writes, and whose end is an RST (SO_LINGER 0). */
static void come_and_die(struct testbed *bed, int64_t bytes)
{
    struct agent *client = testbed_actor(bed, LAB_CLIENT);

    DO(client, ACT_OPTION, .text = "SO_LINGER=0");
    struct act_reply reply = DO(client, ACT_CONNECT, .port = TESTBED_PORT);
    if (reply.rc)
        testbed_fail(bed, "the client cannot connect: %s", act_rc_name(reply.rc, "0"));
    if (bytes) {
        DO(client, ACT_WRITE, .bytes = bytes);
        testbed_wait(bed, "delivered c>s:data");
    }
    crash_happens(bed);
    agent_signal(client, SIGKILL);
}

static void run_in_queue(struct testbed *bed)
{
    struct agent *server = testbed_server(bed);

    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    come_and_die(bed, 0);
    crash_heard(bed, "delivered c>s:rst", "delivered c>s:fin");
    struct act_reply reply = DO(server, ACT_POLL, .number = POLLIN, .timeout_ns = TESTBED_LIMIT_NS);
    crash_poll(bed, "poll_listener", "IN", &reply);
    reply = DO(server, ACT_ACCEPT, .other = 1);
    crash_call(bed, "accept", "0", &reply, "0");
    reply = DO(server, ACT_PEER, .slot = 1);
    crash_call(bed, "getpeername", "ENOTCONN", &reply, "0");
    reply = DO(server, ACT_READ, .slot = 1, .bytes = 100);
    crash_call(bed, "read", "ECONNRESET", &reply, "EOF");
    reply = DO(server, ACT_READ, .slot = 1, .bytes = 100);
    crash_call(bed, "read_again", "EOF", &reply, "EOF");

    come_and_die(bed, 10);
    crash_heard(bed, "delivered c>s:rst#2", "delivered c>s:fin");
    reply = DO(server, ACT_ACCEPT, .other = 2);
    crash_call(bed, "accept_with_data", "0", &reply, "0");
    reply = DO(server, ACT_READ, .slot = 2, .bytes = 100);
    crash_call(bed, "read_data", "ok", &reply, "EOF");
    reply = DO(server, ACT_READ, .slot = 2, .bytes = 100);
    crash_call(bed, "read_after_data", "ECONNRESET", &reply, "EOF");
}

static void check_in_queue(struct testbed *bed)
{
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S RST,ACK", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", "CLOSED", NULL);
}

const struct scenario crash_client_in_queue = {
    .name = "client-crash-in-queue",
    .title = "the client resets its connection while that waits in the accept queue",
    .book = "POSIX lets accept return ECONNABORTED; SVR4 gave EPROTO, and 4.4BSD never showed the "
            "connection to the server at all (section 5.11).",
    .here = "accept succeeds: the connection stays in the queue with all that had arrived. "
            "getpeername gives ENOTCONN; read gives the data that came before the RST, then "
            "ECONNRESET. A blocking accept after poll therefore cannot be caught out (section "
            "16.6) by a reset.",
    .differs = "Linux keeps a reset connection in its accept queue.",
    .settings = crash_no_haste,
    .play = run_in_queue,
    .check = check_in_queue,
};

/* ---- client-crash-mid-request ---- */

#define REQUEST_BYTES 20

static void run_mid_request(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    crash_connected(bed);
    struct agent *bystander = testbed_actor(bed, LAB_CLIENT);
    struct act_reply reply = DO(bystander, ACT_CONNECT, .port = TESTBED_PORT);
    reply = DO(server, ACT_ACCEPT, .other = 2, .timeout_ns = TESTBED_LIMIT_NS);
    if (reply.rc)
        testbed_fail(bed, "the server cannot accept: %s", act_rc_name(reply.rc, "0"));
    DO(client, ACT_WRITE, .bytes = REQUEST_BYTES / 2);
    testbed_wait(bed, "delivered c>s:data");
    crash_happens(bed);
    agent_signal(client, SIGKILL);
    crash_heard(bed, "delivered c>s:fin", "delivered c>s:rst");
    reply = DO(server, ACT_READ_ALL, .slot = 1, .bytes = REQUEST_BYTES);
    crash_call(bed, "read", "EOF", &reply, "EOF");
    testbed_check_integer(bed, "request_bytes", REQUEST_BYTES / 2, reply.bytes);
    reply = DO(server, ACT_WRITE, .slot = 1, .bytes = 10, .flags = MSG_NOSIGNAL);
    crash_call(bed, "write", "ok", &reply, "0");
    crash_heard(bed, "delivered c>s:rst", "server=CLOSED");
    reply = DO(server, ACT_WRITE, .slot = 1, .bytes = 10, .flags = MSG_NOSIGNAL);
    crash_call(bed, "write_again", "EPIPE", &reply, "0");
    BEGIN(bystander, ACT_READ, .bytes = 100);
    crash_entered(bed, LAB_CLIENT, "read");
    reply = DO(server, ACT_WRITE, .slot = 1, .bytes = 10);
    testbed_check_bool(bed, "server_dies", true, reply.died);
    if (reply.died)
        crash_death(bed, "write_default", "SIGPIPE", server);
    reply = agent_end(bystander, ACT_LIMIT_NS);
    crash_call(bed, "bystander_reads", "EOF", &reply, "EOF");
}

static void check_mid_request(struct testbed *bed)
{
    testbed_expect_flags_begin(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "C>S PSH,ACK", NULL);
    testbed_check_integer(bed, "resets", 1,
                          (int64_t)testbed_times(bed, "rst", LAB_FROM_CLIENT, NULL, 0));
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "CLOSED",
                          NULL);
}

const struct scenario crash_client_mid_request = {
    .name = "client-crash-mid-request",
    .title = "the client's process is killed with half of its request sent",
    .book = "The server reads what came, and then end of file; what it writes after that meets "
            "the same RST, EPIPE and SIGPIPE as a client's (sections 5.12 and 5.13).",
    .here = "The same. One SIGPIPE ends the server, and with it the connections of all its other "
            "clients: a server has to ignore the signal, or write with MSG_NOSIGNAL.",
    .settings = crash_no_haste,
    .play = run_mid_request,
    .check = check_mid_request,
};
