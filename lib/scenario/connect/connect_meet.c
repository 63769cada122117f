/* Ports and addresses that meet: both ends connect at once, one end meets itself, none is left. */
#include "scenario/connect/connect.h"

#include "base/clock.h"
#include "base/wait.h"
#include "scenario/engine/agent_self.h"

#define CLIENT_PORT (TESTBED_PORT + 1)

/* ---- simultaneous-open ---- */

static void play_simultaneous_open(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    int64_t received = 0;

    /* Neither SYN arrives before both have been sent. */
    testbed_fault(bed, "hold syn=2");
    DO(client, ACT_BIND, .port = CLIENT_PORT);
    DO(server, ACT_BIND, .port = TESTBED_PORT);
    BEGIN(client, ACT_CONNECT, .port = TESTBED_PORT);
    testbed_wait(bed, "seen c>s:syn");
    BEGIN(server, ACT_CONNECT, .port = CLIENT_PORT);
    struct act_reply ours = agent_end(client, ACT_LIMIT_NS);
    struct act_reply theirs = agent_end(server, ACT_LIMIT_NS);
    testbed_check_rc(bed, "client_connect", "0", &ours, "0");
    testbed_check_rc(bed, "server_connect", "0", &theirs, "0");
    if (DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL).rc == 10 && !theirs.rc)
        received = DO(server, ACT_READ_ALL, .bytes = 10).bytes;
    testbed_check_integer(bed, "bytes_received", 10, received);
    testbed_expect_count(bed, "client_synacks", "syn-ack", LAB_FROM_CLIENT, 1);
    testbed_expect_count(bed, "server_synacks", "syn-ack", LAB_FROM_SERVER, 1);
    connect_summary(bed, &ours);
    testbed_check_integer(bed, "connections", 1, (int64_t)bed->result->connections.count);
}

const struct scenario connect_simultaneous_open = {
    .name = "simultaneous-open",
    .title = "both ends connect to each other, and the SYNs cross: one connection, no listener",
    .book = "Possible, and rare: two SYNs that cross make one connection (section 2.6).",
    .here = "Both connects return 0. Each end answers the other's SYN with SYN,ACK and passes "
            "through SYN-RECEIVED. This is how peers behind address translators reach each other.",
    .settings = connect_few_retries,
    .delay_ns = 10 * NS_PER_MS,
    .play = play_simultaneous_open,
    .flags_begin = FLAGS("C>S SYN", "S>C SYN"),
    .client_states = STATES("SYN-SENT", "SYN-RECEIVED", "ESTABLISHED"),
    .server_states = STATES("SYN-SENT", "SYN-RECEIVED", "ESTABLISHED"),
};

/* ---- self-connect ---- */

static AGENT_CALL(same_ends)
{
    struct sock_address local, peer;
    int fd = self->slots[act->slot].fd;

    return !sock_local_address(fd, &local) && !sock_peer_address(fd, &peer) &&
           sock_address_equal(&local, &peer);
}

/* In the lab the only ephemeral port is the target. Without it, the port is taken by bind. */
static const struct scenario_setting one_port[] = {
    {SCENARIO_CLIENT, "ip_local_port_range", "7000 7000", 0}, {0}};

static void play_self_connect(struct testbed *bed)
{
    struct agent *client = testbed_client(bed);
    int64_t read = 0;

    if (!bed->lab)
        DO(client, ACT_BIND, .port = TESTBED_PORT);
    struct act_reply connect =
        CHECK(bed, "connect", "0", client, ACT_CONNECT, .port = TESTBED_PORT, .to = ACT_TO_LOOP);
    testbed_check_bool(bed, "both_ends_are_one", true,
                       DO(client, ACT_CALL, .function = same_ends).rc == 1);
    if (DO(client, ACT_WRITE, .bytes = 10, .flags = MSG_NOSIGNAL).rc == 10)
        read = DO(client, ACT_READ_ALL, .bytes = 10).bytes;
    testbed_check_integer(bed, "own_bytes_read_back", 10, read);
    connect_summary(bed, &connect);
}

const struct scenario connect_self_connect = {
    .name = "self-connect",
    .title = "nobody listens on a local port, and the ephemeral port is that port: it connects to "
             "itself",
    .here = "connect returns 0: the SYN meets the socket that sent it, a simultaneous open with "
            "itself. What is written comes back. It happens to clients that retry a local service "
            "that is down and whose port lies in ip_local_port_range; afterwards the service "
            "cannot bind. Compare getsockname with getpeername, or keep services out of the range "
            "(ip_local_reserved_ports).",
    .settings = one_port,
    .loopback = true,
    .capture_lo = true,
    .play = play_self_connect,
};

/* ---- address-exhausted ---- */

#define PORTS 4 /* of the setting below */

static const struct scenario_setting few_ports[] = {
    {SCENARIO_CLIENT, "ip_local_port_range", "40000 40003", 0},
    {SCENARIO_CLIENT, "tcp_tw_reuse", "0", SETTING_OPTIONAL},
    {SCENARIO_CLIENT, "tcp_syn_retries", "2", SETTING_TIMER},
    {SCENARIO_CLIENT, "tcp_syn_linear_timeouts", "1", SETTING_TIMER | SETTING_OPTIONAL},
    {0}};

/* The peer takes part in every ending, so that the client's end is in TIME-WAIT after it. */
static void close_one(struct testbed *bed, int slot)
{
    DO(testbed_client(bed), ACT_CLOSE, .slot = slot);
    DO(testbed_server(bed), ACT_ACCEPT, .other = 1, .timeout_ns = TESTBED_LIMIT_NS);
    DO(testbed_server(bed), ACT_READ_ALL, .slot = 1);
    DO(testbed_server(bed), ACT_CLOSE, .slot = 1);
}

static int64_t in_time_wait(struct testbed *bed)
{
    struct act_socket found = testbed_socket_of(bed, LAB_CLIENT, 0, TESTBED_PORT);

    return found.state == TCP_TIME_WAIT ? (int64_t)found.count : 0;
}

/* The peer's last FIN may have been delivered, and the kernel not have come to it yet. */
static int64_t count_time_wait(struct testbed *bed, int64_t connections)
{
    int64_t count;

    wait_until((count = in_time_wait(bed)) >= connections || testbed_failed(bed),
               clock_mono_ns() + TESTBED_LIMIT_NS);
    return count;
}

static void play_address_exhausted(struct testbed *bed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);
    int64_t connected = 0;

    testbed_subject(bed, PORTS + 2); /* the one more, which the wire never sees */
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    DO(server, ACT_LISTEN, .slot = 2, .port = CLIENT_PORT, .number = 16);
    for (int i = 0; i < PORTS; i++)
        connected += !DO(client, ACT_CONNECT, .slot = i, .port = TESTBED_PORT).rc;
    testbed_check_integer(bed, "connected", PORTS, connected);
    struct act_reply further = CHECK(bed, "one_more", "EADDRNOTAVAIL", client, ACT_CONNECT,
                                     .slot = PORTS, .port = TESTBED_PORT);
    CHECK(bed, "to_another_port", "0", client, ACT_CONNECT, .slot = PORTS + 1, .port = CLIENT_PORT);
    CHECK(bed, "bind_to_port_0", "EADDRINUSE", client, ACT_BIND, .slot = PORTS + 2, .port = 0);
    for (int i = 0; i < PORTS && !further.died; i++)
        close_one(bed, i);
    testbed_check_integer(bed, "in_time_wait", PORTS, count_time_wait(bed, connected));
    CHECK(bed, "after_closing_all", "EADDRNOTAVAIL", client, ACT_CONNECT, .slot = PORTS + 3,
          .port = TESTBED_PORT);
    connect_summary(bed, &further);
    testbed_check_integer(bed, "connections_seen", PORTS + 1,
                          (int64_t)bed->result->connections.count);
}

const struct scenario connect_address_exhausted = {
    .name = "address-exhausted",
    .title = "every ephemeral port is in use towards this server: no address is left",
    .here = "EADDRNOTAVAIL at once, without a SYN. A port can be used again towards another "
            "address or port, because the four together identify a connection; bind to port 0 "
            "cannot know where it will go, and gives EADDRINUSE (IP_BIND_ADDRESS_NO_PORT defers "
            "the choice). Connections that this end closed first keep their ports for 60 s in "
            "TIME-WAIT (tcp_tw_reuse frees them after a second). Widen ip_local_port_range, keep "
            "connections open, or add an address.",
    .settings = few_ports,
    .play = play_address_exhausted,
};
