/* The server says goodbye: what becomes of a connection whose client does not listen, and how
 * servers end when their host is shut down. */
#include "scenario/crash/crash.h"

#include "base/cleanup.h"
#include "scenario/engine/agent_self.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- close-wait ---- */

/* A connection each, to a port each. */
enum continuation { WRITES, DIES, HAD_DIED, NEITHER, CONTINUATIONS };

#define FIN_WAIT_2_NS (3 * NS_PER_SEC) /* TCP_LINGER2, where tcp_fin_timeout would decide */

static uint16_t port_of(enum continuation which)
{
    return (uint16_t)(TESTBED_PORT + which);
}

/* What both sides have of a connection; the client's port, while it is known, tells the server's
 * sockets of that port apart. */
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

/* No failure when that does not come: what comes instead is to be seen. */
static void wait_for(struct testbed *bed, enum continuation which, struct pair *pair, int client,
                     int server)
{
    int64_t end_ns = clock_mono_ns() + 2 * FIN_WAIT_2_NS;

    do {
        look(bed, which, pair);
        testbed_pass(bed, 2 * NS_PER_MS);
    } while (!testbed_failed(bed) && clock_mono_ns() < end_ns &&
             (strcmp(pair->server, testbed_state_name(server)) != 0 ||
              strcmp(pair->client, testbed_state_name(client)) != 0));
}

static void client_writes(struct testbed *bed, struct pair *pair)
{
    struct agent *client = testbed_client(bed);
    struct act_reply reply =
        DO(client, ACT_WRITE, .slot = WRITES, .bytes = 10, .flags = MSG_NOSIGNAL);

    crash_call(bed, "write", "ok", &reply, "0");
    crash_heard(bed, "delivered s>c:rst", "client=CLOSED");
    reply = DO(client, ACT_WRITE, .slot = WRITES, .bytes = 10, .flags = MSG_NOSIGNAL);
    crash_call(bed, "write_again", "EPIPE", &reply, "0");
    wait_for(bed, WRITES, pair, 0, 0);
}

static int64_t own_seconds_ns(const char *path)
{
    cleanup(file) FILE *file = fopen(path, "re");
    long long seconds;

    return file && fscanf(file, "%lld", &seconds) == 1 ? seconds * NS_PER_SEC : RESULT_UNKNOWN;
}

/* Its kernel forgets what nobody owns; the client is not told. */
static void server_had_died(struct testbed *bed, struct pair *pair)
{
    int64_t since_ns = crash_facts(bed)->at_ns;

    wait_for(bed, HAD_DIED, pair, TCP_CLOSE_WAIT, 0);
    int64_t took_ns = clock_mono_ns() - since_ns;
    testbed_expect_range(bed, "fin_wait_2_ns", FIN_WAIT_2_NS - 10 * NS_PER_MS,
                         FIN_WAIT_2_NS + 2 * NS_PER_SEC);
    testbed_observe_integer(bed, "fin_wait_2_ns", took_ns);
    testbed_timing(bed, "the end of FIN-WAIT-2 without an owner", FIN_WAIT_2_NS, took_ns,
                   own_seconds_ns("/proc/sys/net/ipv4/tcp_fin_timeout"));
    struct act_reply reply = DO(testbed_client(bed), ACT_CLOSE, .slot = HAD_DIED);
    crash_call(bed, "close_at_last", "0", &reply, "0");
    wait_for(bed, HAD_DIED, pair, 0, 0);
}

static void tell(struct testbed *bed, const char *what, const char *key, const struct pair *before,
                 const struct pair *after, const char *expected)
{
    struct result_map *row = testbed_row(bed);
    const char *now = arena_printf(bed->arena, "%s, %s", after->client, after->server);

    result_set_text(bed->arena, row, "then", what);
    result_set_text(bed->arena, row, "client_before", before->client);
    result_set_text(bed->arena, row, "server_before", before->server);
    result_set_text(bed->arena, row, "client_after", after->client);
    result_set_text(bed->arena, row, "server_after", after->server);
    testbed_check_text(bed, key, expected, now);
}

static void begin_close_wait(struct testbed *bed, struct agent *mortal, struct agent *doomed)
{
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    for (int which = 0; which < CONTINUATIONS; which++)
        crash_connect(bed, which == DIES ? mortal : client, which,
                      which == HAD_DIED ? doomed : server, which,
                      port_of((enum continuation)which));
    crash_facts(bed)->settings = testbed_settings(bed, LAB_SERVER);
    DO(doomed, ACT_OPTION, .slot = HAD_DIED, .text = "TCP_LINGER2=3s");
    crash_happens(bed);
    DO(server, ACT_CLOSE, .slot = WRITES);
    DO(server, ACT_CLOSE, .slot = DIES);
    DO(server, ACT_SHUTDOWN, .slot = NEITHER, .number = SHUT_WR);
    crash_heard(bed, "server=FIN-WAIT-2#3", "delivered s>c:rst");
    crash_happens(bed);
    agent_signal(doomed, SIGKILL);
    crash_heard(bed, "server=FIN-WAIT-2#4", "delivered s>c:rst");
}

static void run_close_wait(struct testbed *bed)
{
    struct agent *mortal = testbed_actor(bed, LAB_CLIENT), *doomed = testbed_actor(bed, LAB_SERVER);
    struct pair before[CONTINUATIONS] = {0}, after[CONTINUATIONS];

    begin_close_wait(bed, mortal, doomed);
    for (int which = 0; which < CONTINUATIONS; which++) {
        look(bed, (enum continuation)which, &before[which]);
        after[which] = before[which];
    }
    client_writes(bed, &after[WRITES]);
    agent_signal(mortal, SIGKILL);
    wait_for(bed, DIES, &after[DIES], 0, TCP_TIME_WAIT);
    server_had_died(bed, &after[HAD_DIED]);
    look(bed, NEITHER, &after[NEITHER]);

    testbed_table(bed, "continuations", "CLOSE-WAIT and FIN-WAIT-2, and then");
    tell(bed, "the client writes", "when_client_writes", &before[WRITES], &after[WRITES],
         "none, none");
    tell(bed, "the client dies", "when_client_dies", &before[DIES], &after[DIES],
         "none, TIME-WAIT");
    tell(bed, "the server had died; the client closes late", "when_server_had_died",
         &before[HAD_DIED], &after[HAD_DIED], "none, none");
    tell(bed, "neither closes", "when_neither_closes", &before[NEITHER], &after[NEITHER],
         "CLOSE-WAIT, FIN-WAIT-2");
    int64_t half_closed = 0;
    for (int which = 0; which < CONTINUATIONS; which++)
        half_closed += !strcmp(before[which].client, "CLOSE-WAIT") &&
                       !strcmp(before[which].server, "FIN-WAIT-2");
    testbed_check_integer(bed, "half_closed_before", CONTINUATIONS, half_closed);
}

static void check_close_wait(struct testbed *bed)
{
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C FIN,ACK", "C>S ACK",
                         "C>S PSH,ACK", "S>C RST", NULL);
    testbed_expect_states(bed, LAB_CLIENT, "SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "CLOSED", NULL);
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
            "CLOSE-WAIT is always the program's own.",
    .play = run_close_wait,
    .check = check_close_wait,
};

/* ---- host-shutdown ---- */

static volatile sig_atomic_t terminated;

static void note_term(int number)
{
    (void)number;
    terminated = 1;
}

/* From here on SIGTERM waits for ppoll(). */
static int64_t catch_term(struct agent_self *self, const struct act *act, struct act_reply *reply)
{
    struct sigaction action = {.sa_handler = note_term};
    sigset_t term;

    (void)act;
    (void)reply;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    syscall_recorder_note(&self->recorder, "sigaction", -1, 0);
    return sigaction(SIGTERM, &action, NULL) ? -errno : 0;
}

/* A server in good order: on SIGTERM it says what is left to say, and closes. */
static int64_t serve_until_term(struct agent_self *self, const struct act *act,
                                struct act_reply *reply)
{
    struct pollfd polled = {.fd = self->slots[act->slot].fd, .events = POLLIN};
    sigset_t none;

    sigemptyset(&none);
    while (!terminated)
        if (ppoll(&polled, 1, NULL, &none) > 0)
            return -EPROTO;
    struct act last_words = {.verb = ACT_WRITE, .slot = act->slot, .bytes = act->bytes};
    int64_t rc = agent_self_do(self, &last_words, reply);
    struct act end = {.verb = ACT_CLOSE, .slot = act->slot};
    return rc < 0 ? rc : agent_self_do(self, &end, reply);
}

#define LAST_WORDS 20
enum server { OBEYS, HANDLES, IGNORES, SERVERS };

static void begin_shutdown(struct testbed *bed, struct agent **clients, struct agent **servers)
{
    for (int i = 0; i < SERVERS; i++) {
        clients[i] = i ? testbed_actor(bed, LAB_CLIENT) : testbed_client(bed);
        servers[i] = i ? testbed_actor(bed, LAB_SERVER) : testbed_server(bed);
        crash_connect(bed, clients[i], 0, servers[i], 1, (uint16_t)(TESTBED_PORT + i));
        BEGIN(clients[i], ACT_READ_ALL);
    }
    DO(servers[HANDLES], ACT_CALL, .function = catch_term);
    BEGIN(servers[HANDLES], ACT_CALL, .function = serve_until_term, .slot = 1, .bytes = LAST_WORDS);
    DO(servers[IGNORES], ACT_SIGNAL, .number = SIGTERM, .flags = AGENT_SIGNAL_IGNORE);
}

static void run_shutdown(struct testbed *bed)
{
    int64_t grace_ns = bed->request->real_time ? 5 * NS_PER_SEC : 300 * NS_PER_MS;
    struct agent *clients[SERVERS], *servers[SERVERS];

    begin_shutdown(bed, clients, servers);
    crash_happens(bed);
    testbed_mark(bed, "SIGTERM to all");
    for (int i = 0; i < SERVERS; i++)
        agent_signal(servers[i], SIGTERM);
    struct act_reply reply = agent_end(clients[OBEYS], ACT_LIMIT_NS);
    crash_call(bed, "read_from_default", "EOF", &reply, "EOF");
    crash_death(bed, "server_default", "SIGTERM", servers[OBEYS]);
    reply = agent_end(clients[HANDLES], ACT_LIMIT_NS);
    crash_call(bed, "read_from_handler", "EOF", &reply, "EOF");
    testbed_check_integer(bed, "last_words_bytes", LAST_WORDS, reply.bytes);
    reply = agent_end(servers[HANDLES], ACT_LIMIT_NS);
    testbed_check_rc(bed, "server_handler", "0", &reply, "0");
    testbed_pass(bed, grace_ns);
    crash_blocked(bed, "read_from_ignorer", clients[IGNORES]);
    testbed_mark(bed, "SIGKILL to what is left");
    agent_signal(servers[IGNORES], SIGKILL);
    reply = agent_end(clients[IGNORES], ACT_LIMIT_NS);
    crash_call(bed, "read_after_sigkill", "EOF", &reply, "EOF");
    testbed_cut(bed);
}

static void check_shutdown(struct testbed *bed)
{
    int64_t fins = 0;

    for (size_t i = 0; i < bed->result->connections.count; i++)
        for (size_t k = 0; k < bed->result->connections.items[i].flags.count; k++)
            fins += !!strstr(bed->result->connections.items[i].flags.items[k], "S>C FIN");
    testbed_expect_range(bed, "fins", SERVERS, SERVERS + 1);
    testbed_observe_integer(bed, "fins", fins);
}

const struct scenario crash_host_shutdown = {
    .name = "host-shutdown",
    .title = "the server's host is shut down: SIGTERM, a while, SIGKILL",
    .book = "init sends SIGTERM to all processes, waits 5 to 20 seconds and sends SIGKILL to those "
            "that are left; a server that does not catch SIGTERM ends at once, and its clients get "
            "a FIN (section 5.16).",
    .here = "The same (systemd waits 90 s by default). Whichever signal ends it, the kernel sends "
            "a FIN while the host is still up; only a server that handles SIGTERM can finish what "
            "it was saying.",
    .settings = crash_no_haste,
    .play = run_shutdown,
    .check = check_shutdown,
};
