/* The server closes, or is shut down: what becomes of a connection whose client does not read, and
 * how servers end when their host is shut down. */
#include "scenario/crash/crash.h"

#include "base/cleanup.h"
#include "base/wait.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- close-wait ---- */

/* A connection each, to a port each. */
enum continuation { CLIENT_WRITES, CLIENT_DIES, SERVER_HAD_DIED, NEITHER_CLOSES, CONTINUATIONS };
static const struct {
    const char *then, *key, *after;
} continuations[CONTINUATIONS] = {
    [CLIENT_WRITES] = {"the client writes", "when_client_writes", "none, none"},
    [CLIENT_DIES] = {"the client dies", "when_client_dies", "none, TIME-WAIT"},
    [SERVER_HAD_DIED] = {"the server had died; the client closes late", "when_server_had_died",
                         "none, none"},
    [NEITHER_CLOSES] = {"neither closes", "when_neither_closes", "CLOSE-WAIT, FIN-WAIT-2"},
};

#define FIN_WAIT_2_NS (3 * NS_PER_SEC) /* TCP_LINGER2, where tcp_fin_timeout would decide */

static uint16_t port_of(enum continuation which)
{
    return (uint16_t)(TESTBED_PORT + which);
}

/* The states of a connection's sockets; the client's port tells the server's sockets of that port
 * apart, and is kept when the client's socket is gone. */
struct pair {
    uint16_t client_port;
    const char *client, *server;
};

static void look(struct testbed *bed, enum continuation which, struct pair *pair)
{
    struct act_socket client = testbed_socket_of(bed, LAB_CLIENT, 0, port_of(which));

    if (client.state)
        pair->client_port = sock_address_port(&client.entry.local);
    struct act_socket server =
        testbed_socket_of(bed, LAB_SERVER, port_of(which), pair->client_port);
    pair->client = testbed_state_name(client.state);
    pair->server = testbed_state_name(server.state);
}

static bool is_pair(struct testbed *bed, enum continuation which, struct pair *pair, int client,
                    int server)
{
    look(bed, which, pair);
    return !strcmp(pair->client, testbed_state_name(client)) &&
           !strcmp(pair->server, testbed_state_name(server));
}

/* No failure if that does not come: the result shows what came instead. */
static void wait_for_pair(struct testbed *bed, enum continuation which, struct pair *pair,
                          int client, int server)
{
    wait_until(is_pair(bed, which, pair, client, server) || testbed_failed(bed),
               clock_mono_ns() + 2 * FIN_WAIT_2_NS);
}

static void client_writes(struct crash *crash, struct pair *pair)
{
    CRASH_CALL(crash, "write", "ok", crash->client, ACT_WRITE, .slot = CLIENT_WRITES, .bytes = 10,
               .flags = MSG_NOSIGNAL);
    crash_wait_either(crash->bed, "delivered s>c:rst", "client=CLOSED");
    CRASH_CALL(crash, "write_again", "EPIPE", crash->client, ACT_WRITE, .slot = CLIENT_WRITES,
               .bytes = 10, .flags = MSG_NOSIGNAL);
    wait_for_pair(crash->bed, CLIENT_WRITES, pair, 0, 0);
}

/* The kernel forgets a FIN-WAIT-2 that no process owns; the client is not told. */
static void server_had_died(struct crash *crash, struct pair *pair)
{
    struct testbed *bed = crash->bed;

    wait_for_pair(bed, SERVER_HAD_DIED, pair, TCP_CLOSE_WAIT, 0);
    int64_t took_ns = clock_mono_ns() - crash->at_ns;
    testbed_check_range(bed, "fin_wait_2_ns", FIN_WAIT_2_NS - 10 * NS_PER_MS,
                        FIN_WAIT_2_NS + 2 * NS_PER_SEC, took_ns);
    testbed_timing(bed, "the end of FIN-WAIT-2 without an owner", FIN_WAIT_2_NS, took_ns,
                   testbed_own_seconds_ns("tcp_fin_timeout"));
    CRASH_CALL(crash, "close_at_last", "0", crash->client, ACT_CLOSE, .slot = SERVER_HAD_DIED);
    wait_for_pair(bed, SERVER_HAD_DIED, pair, 0, 0);
}

static void tell_continuation(struct testbed *bed, enum continuation which,
                              const struct pair *before, const struct pair *after)
{
    testbed_row(bed, TEXT("then", continuations[which].then), TEXT("client_before", before->client),
                TEXT("server_before", before->server), TEXT("client_after", after->client),
                TEXT("server_after", after->server));
    testbed_check_text(bed, continuations[which].key, continuations[which].after,
                       arena_printf(bed->arena, "%s, %s", after->client, after->server));
}

static void half_close(struct crash *crash, struct agent *mortal, struct agent *doomed)
{
    struct agent *client = crash->client, *server = crash->server;

    for (enum continuation which = 0; which < CONTINUATIONS; which++)
        crash_connect(crash->bed, which == CLIENT_DIES ? mortal : client, which,
                      which == SERVER_HAD_DIED ? doomed : server, which, port_of(which));
    DO(doomed, ACT_OPTION, .slot = SERVER_HAD_DIED, .text = "TCP_LINGER2=3s");
    DO(server, ACT_CLOSE, .slot = CLIENT_WRITES);
    DO(server, ACT_CLOSE, .slot = CLIENT_DIES);
    DO(server, ACT_SHUTDOWN, .slot = NEITHER_CLOSES, .number = SHUT_WR);
    crash_wait_either(crash->bed, "server=FIN-WAIT-2#3", "delivered s>c:rst");
    crash_happens(crash);
    agent_signal(doomed, SIGKILL);
    crash_wait_either(crash->bed, "server=FIN-WAIT-2#4", "delivered s>c:rst");
}

static void play_close_wait(struct testbed *bed)
{
    struct agent *mortal = testbed_agent(bed, LAB_CLIENT), *doomed = testbed_agent(bed, LAB_SERVER);
    struct crash crash = crash_begin(bed);
    struct pair before[CONTINUATIONS] = {0}, after[CONTINUATIONS];
    int64_t half_closed = 0;

    half_close(&crash, mortal, doomed);
    for (enum continuation which = 0; which < CONTINUATIONS; which++) {
        half_closed += is_pair(bed, which, &before[which], TCP_CLOSE_WAIT, TCP_FIN_WAIT2);
        after[which] = before[which];
    }
    client_writes(&crash, &after[CLIENT_WRITES]);
    agent_signal(mortal, SIGKILL);
    wait_for_pair(bed, CLIENT_DIES, &after[CLIENT_DIES], 0, TCP_TIME_WAIT);
    server_had_died(&crash, &after[SERVER_HAD_DIED]);
    look(bed, NEITHER_CLOSES, &after[NEITHER_CLOSES]);
    testbed_table(bed, "continuations", "CLOSE-WAIT and FIN-WAIT-2, and then");
    for (enum continuation which = 0; which < CONTINUATIONS; which++)
        tell_continuation(bed, which, &before[which], &after[which]);
    testbed_check_integer(bed, "half_closed_before", CONTINUATIONS, half_closed);
}

const struct scenario crash_close_wait = {
    .name = "close-wait",
    .title = "the server has closed, and the client never reads: CLOSE-WAIT, and four ways on",
    .book = "The client stays in CLOSE-WAIT until it closes, the server in FIN-WAIT-2 (sections "
            "2.6 and 5.12).",
    .here = "A client that writes gets an RST and then EPIPE. One that dies sends its FIN, and the "
            "server goes into TIME-WAIT. A FIN-WAIT-2 that no process owns is forgotten after "
            "tcp_fin_timeout (TCP_LINGER2), and a later FIN draws an RST; one that a process still "
            "owns, after shutdown, has no timer. If neither closes, both sockets stay: a leak of "
            "CLOSE-WAIT is always the program's own bug.",
    .play = play_close_wait,
    .flags = FLAGS(HANDSHAKE, "S>C FIN,ACK", "C>S ACK", "C>S PSH,ACK", "S>C RST"),
    .client_states = STATES("SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "CLOSED"),
};

/* ---- host-shutdown ---- */

static volatile sig_atomic_t terminated;

static void on_sigterm(int number)
{
    (void)number;
    terminated = 1;
}

/* From here on SIGTERM waits for ppoll(). */
static AGENT_CALL(catch_sigterm)
{
    struct sigaction action = {.sa_handler = on_sigterm};
    sigset_t term;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    syscall_recorder_note(&self->recorder, "sigaction", -1, 0);
    return sigaction(SIGTERM, &action, NULL) ? -errno : 0;
}

/* A well-behaved server: on SIGTERM it writes the rest of its response, and closes. */
static AGENT_CALL(serve_until_sigterm)
{
    struct pollfd polled = {.fd = self->slots[act->slot].fd, .events = POLLIN};
    sigset_t none;

    sigemptyset(&none);
    while (!terminated)
        if (ppoll(&polled, 1, NULL, &none) > 0)
            return -EPROTO;
    struct act last_write = {.verb = ACT_WRITE, .slot = act->slot, .bytes = act->bytes};
    int64_t rc = agent_self_do(self, &last_write, reply);
    struct act end = {.verb = ACT_CLOSE, .slot = act->slot};
    return rc < 0 ? rc : agent_self_do(self, &end, reply);
}

#define LAST_BYTES 20
enum on_term { DEFAULT, HANDLES, IGNORES, SERVERS };

static void begin_shutdown(struct testbed *bed, struct agent **clients, struct agent **servers)
{
    for (int i = 0; i < SERVERS; i++) {
        clients[i] = i ? testbed_agent(bed, LAB_CLIENT) : testbed_client(bed);
        servers[i] = i ? testbed_agent(bed, LAB_SERVER) : testbed_server(bed);
        crash_connect(bed, clients[i], 0, servers[i], 1, (uint16_t)(TESTBED_PORT + i));
        BEGIN(clients[i], ACT_READ_ALL);
    }
    DO(servers[HANDLES], ACT_CALL, .function = catch_sigterm);
    BEGIN(servers[HANDLES], ACT_CALL, .function = serve_until_sigterm, .slot = 1,
          .bytes = LAST_BYTES);
    DO(servers[IGNORES], ACT_SIGNAL, .number = SIGTERM, .flags = AGENT_SIGNAL_IGNORE);
}

static int64_t count_fins(const struct result_connection_list *list)
{
    int64_t fins = 0;

    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < list->items[i].flags.count; k++)
            fins += !!strstr(list->items[i].flags.items[k], "S>C FIN");
    return fins;
}

static void play_shutdown(struct testbed *bed)
{
    int64_t grace_ns = bed->request->real_time ? 5 * NS_PER_SEC : 300 * NS_PER_MS;
    struct crash crash = crash_begin(bed);
    struct agent *clients[SERVERS], *servers[SERVERS];

    begin_shutdown(bed, clients, servers);
    crash_happens(&crash);
    testbed_mark(bed, "SIGTERM to all");
    for (int i = 0; i < SERVERS; i++)
        agent_signal(servers[i], SIGTERM);
    crash_end_read(&crash, "read_from_default", "EOF", clients[DEFAULT], ACT_LIMIT_NS);
    crash_died(&crash, "server_default", "SIGTERM", servers[DEFAULT]);
    struct act_reply reply =
        crash_end_read(&crash, "read_from_handler", "EOF", clients[HANDLES], ACT_LIMIT_NS);
    testbed_check_integer(bed, "last_words_bytes", LAST_BYTES, reply.bytes);
    reply = agent_end(servers[HANDLES], ACT_LIMIT_NS);
    testbed_check_rc(bed, "server_handler", "0", &reply, "0");
    testbed_pass(bed, grace_ns);
    crash_still_blocked(&crash, "read_from_ignorer", clients[IGNORES]);
    testbed_mark(bed, "SIGKILL to what is left");
    agent_signal(servers[IGNORES], SIGKILL);
    crash_end_read(&crash, "read_after_sigkill", "EOF", clients[IGNORES], ACT_LIMIT_NS);
    testbed_cut(bed);
    testbed_finish(bed);
    testbed_check_range(bed, "fins", SERVERS, SERVERS + 1, count_fins(&bed->result->connections));
}

const struct scenario crash_host_shutdown = {
    .name = "host-shutdown",
    .title = "the server's host is shut down: SIGTERM, a pause, SIGKILL",
    .book = "init sends SIGTERM to all processes, waits 5 to 20 seconds and sends SIGKILL to those "
            "that are left; a server that does not catch SIGTERM ends at once, and its clients get "
            "a FIN (section 5.16).",
    .here = "The same (systemd waits 90 s by default). Whichever signal ends the server, the "
            "kernel sends a FIN while the host is still up; only a server that handles SIGTERM can "
            "finish its response.",
    .settings = crash_no_retransmission,
    .play = play_shutdown,
};
