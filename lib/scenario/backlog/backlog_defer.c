/* Two options that change when a connection may be accepted: TCP_DEFER_ACCEPT and TCP_FASTOPEN. */
#include "scenario/backlog/backlog.h"

#include <poll.h>

#define DATA_BYTES 10

/* ---- deferred-accept ---- */

#define DEFER_SUBJECT 2

struct defer_facts {
    struct backlog_watch watch;
    struct kernel_timers_settings settings, host;
    struct act_reply connect[2];
    const struct backlog_sample *silent[2]; /* after each handshake, without data */
    int64_t readable;                       /* what poll said of the listener then */
    int accepted;
    int64_t got_bytes;
    const char *client_state;
};

static void run_deferred_accept(struct testbed *bed)
{
    struct defer_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    facts->settings = testbed_settings(bed, LAB_SERVER);
    facts->host = testbed_host_settings(bed);
    testbed_subject(bed, DEFER_SUBJECT);
    DO(server, ACT_OPTION, .text = "TCP_DEFER_ACCEPT=1");
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    backlog_look(bed, TESTBED_PORT, "listening");

    facts->connect[0] = DO(client, ACT_CONNECT, .slot = 1, .port = TESTBED_PORT);
    backlog_await(bed, "delivered c>s:ack");
    facts->silent[0] = backlog_look(bed, TESTBED_PORT, "one, silent");
    DO(client, ACT_WRITE, .slot = 1, .bytes = DATA_BYTES);
    backlog_await_queue(bed, TESTBED_PORT, 1);
    backlog_look(bed, TESTBED_PORT, "it sent data");
    facts->accepted = backlog_accept(bed, server, 0, 1, 1);
    if (!facts->watch.gave_up)
        facts->got_bytes = DO(server, ACT_READ_ALL, .slot = 1, .bytes = DATA_BYTES).bytes;

    testbed_from_here(bed);
    facts->connect[1] = DO(client, ACT_CONNECT, .slot = DEFER_SUBJECT, .port = TESTBED_PORT);
    backlog_await(bed, "delivered c>s:ack");
    facts->silent[1] = backlog_look(bed, TESTBED_PORT, "another, silent");
    facts->readable = DO(server, ACT_POLL, .number = POLLIN, .timeout_ns = 0).rc;
    facts->client_state = testbed_state_name((int)DO(client, ACT_INFO, .slot = DEFER_SUBJECT).rc);
    backlog_await_queue(bed, TESTBED_PORT, 1);
    backlog_look(bed, TESTBED_PORT, "the time was up");
    facts->accepted += backlog_accept(bed, server, 0, DEFER_SUBJECT, 1);
    backlog_look(bed, TESTBED_PORT, "accepted");
}

static void check_deferred_accept(struct testbed *bed)
{
    const struct defer_facts *facts = testbed_facts(bed, sizeof *facts);
    const struct backlog_sample *first = &facts->watch.samples[0];
    int64_t seen_ns[4];
    size_t seen = testbed_times(bed, "syn-ack", LAB_FROM_SERVER, seen_ns, 4);
    struct kernel_timers plan, host;

    kernel_timers_accept(&plan, &facts->settings);
    kernel_timers_accept(&host, &facts->host);
    testbed_check_rc(bed, "connect", "0", &facts->connect[0], "0");
    testbed_check_text(bed, "accept_queue", "0, 0, 1, 0, 1, 0", backlog_lengths(bed));
    testbed_check_integer(bed, "half_open_silent", 1,
                          facts->silent[0]->server.states[TCP_SYN_RECV]);
    testbed_check_integer(bed, "data_received", DATA_BYTES, facts->got_bytes);
    testbed_check_rc(bed, "connect_2", "0", &facts->connect[1], "0");
    testbed_check_text(bed, "client_state_2", "ESTABLISHED", facts->client_state);
    testbed_check_bool(bed, "readable_2", false, facts->readable > 0);
    testbed_check_integer(bed, "accepted", 2, facts->accepted);
    testbed_check_integer(bed, "acks_put_off", 2,
                          backlog_rise(first, facts->silent[1], BACKLOG_DEFER_DROP));
    int64_t again_ns = seen >= 2 ? seen_ns[1] - seen_ns[0] : RESULT_UNKNOWN;
    testbed_expect_time(bed, "syn_ack_again_ns", &facts->settings, plan.sent_ns[1]);
    testbed_observe_integer(bed, "syn_ack_again_ns", again_ns);
    testbed_timing(bed, "SYN,ACK again", plan.sent_ns[1], again_ns, host.sent_ns[1]);
    testbed_expect_flags(bed, "C>S SYN", "S>C SYN,ACK", "C>S ACK", "S>C SYN,ACK", "C>S ACK", NULL);
    testbed_expect_states(bed, LAB_SERVER, "SYN-RECEIVED", "ESTABLISHED", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_deferred_accept = {
    .name = "deferred-accept",
    .title = "TCP_DEFER_ACCEPT: the client is connected, the server waits for its data",
    .here = "The ACK of the handshake is put off (TCPDeferAcceptDrop): the client is ESTABLISHED, "
            "the server's request stays half-open, the accept queue empty and the listener "
            "unreadable until data comes. The time is rounded to what retransmitted SYN,ACKs "
            "take; when it is up the SYN,ACK is sent again, and the client's answer makes a "
            "connection without data. Nothing is gained for protocols where the server speaks "
            "first: their clients wait for that time.",
    .settings = backlog_settings,
    .play = run_deferred_accept,
    .check = check_deferred_accept,
};

/* ---- fast-open-queue ---- */

#define OPEN_LENGTH  2 /* of the queue of fast opens */
#define OPEN_SUBJECT (OPEN_LENGTH + 2)

struct open_facts {
    struct backlog_watch watch;
    const struct backlog_sample *cookie, *full, *over;
    int early_state; /* of the server's socket when it was accepted and read */
    int64_t early_bytes, in_syn[OPEN_SUBJECT + 1], total_bytes;
    int accepted;
};

/* connect returns at once where a cookie is known; the write sends it with the SYN. */
static void open_fast(struct testbed *bed, int slot)
{
    struct agent *client = testbed_client(bed);

    DO(client, ACT_OPTION, .slot = slot, .text = "TCP_FASTOPEN_CONNECT=on");
    DO(client, ACT_CONNECT, .slot = slot, .port = TESTBED_PORT);
    DO(client, ACT_WRITE, .slot = slot, .bytes = DATA_BYTES);
}

static void take(struct testbed *bed, struct open_facts *facts, int slot)
{
    int got = backlog_accept(bed, testbed_server(bed), 0, slot, 1);

    facts->accepted += got;
    if (got)
        facts->total_bytes +=
            DO(testbed_server(bed), ACT_READ_ALL, .slot = slot, .bytes = DATA_BYTES).bytes;
}

static void run_fast_open_queue(struct testbed *bed)
{
    struct open_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *client = testbed_client(bed), *server = testbed_server(bed);

    testbed_subject(bed, OPEN_SUBJECT);
    DO(server, ACT_OPTION, .text = "TCP_FASTOPEN=2");
    DO(server, ACT_LISTEN, .port = TESTBED_PORT, .number = 16);
    backlog_look(bed, TESTBED_PORT, "listening");
    open_fast(bed, 1);
    take(bed, facts, 1);
    facts->cookie = backlog_look(bed, TESTBED_PORT, "client has a cookie");

    int held = testbed_fault(bed, "hold ack dir c>s");
    for (int slot = 2; slot < 2 + OPEN_LENGTH; slot++) {
        open_fast(bed, slot);
        backlog_await_queue(bed, TESTBED_PORT, slot - 1);
    }
    facts->full = backlog_look(bed, TESTBED_PORT, "2 fast opens");
    take(bed, facts, 2);
    facts->early_bytes = facts->total_bytes - DATA_BYTES;
    facts->early_state = (int)DO(server, ACT_INFO, .slot = 2).rc;
    backlog_look(bed, TESTBED_PORT, "one accepted");
    open_fast(bed, OPEN_SUBJECT);
    backlog_await_queue(bed, TESTBED_PORT, 2);
    facts->over = backlog_look(bed, TESTBED_PORT, "a third");
    testbed_unfault(bed, held);
    for (int slot = 3; slot <= OPEN_SUBJECT; slot++)
        take(bed, facts, slot);
    for (int slot = 2; slot <= OPEN_SUBJECT; slot++)
        facts->in_syn[slot] = DO(client, ACT_INFO, .slot = slot).info.options & TCPI_OPT_SYN_DATA;
    backlog_look(bed, TESTBED_PORT, "all accepted");
}

static void check_fast_open_queue(struct testbed *bed)
{
    const struct open_facts *facts = testbed_facts(bed, sizeof *facts);

    testbed_check_text(bed, "accept_queue", "0, 0, 2, 1, 2, 0", backlog_lengths(bed));
    testbed_check_integer(bed, "fast_opens", OPEN_LENGTH,
                          backlog_rise(facts->cookie, facts->over, BACKLOG_TFO_PASSIVE));
    testbed_check_integer(bed, "fast_open_overflows", 1,
                          backlog_rise(facts->cookie, facts->over, BACKLOG_TFO_OVERFLOW));
    testbed_check_text(bed, "state_when_accepted", "SYN-RECEIVED",
                       testbed_state_name(facts->early_state));
    testbed_check_integer(bed, "data_when_accepted", DATA_BYTES, facts->early_bytes);
    testbed_check_bool(bed, "first_in_syn", true, facts->in_syn[2]);
    testbed_check_bool(bed, "second_in_syn", true, facts->in_syn[3]);
    testbed_check_bool(bed, "third_in_syn", false, facts->in_syn[OPEN_SUBJECT]);
    testbed_check_integer(bed, "accepted", OPEN_SUBJECT, facts->accepted);
    testbed_check_integer(bed, "data_received", (int64_t)OPEN_SUBJECT * DATA_BYTES,
                          facts->total_bytes);
    testbed_check_integer(bed, "overflows", 0,
                          backlog_rise(facts->cookie, facts->over, BACKLOG_OVERFLOWS));
    testbed_expect_flags_begin(bed, "C>S SYN", "S>C SYN,ACK", "C>S PSH,ACK", NULL);
    backlog_tables(bed);
}

const struct scenario backlog_fast_open_queue = {
    .name = "fast-open-queue",
    .title = "TCP_FASTOPEN: accepted before the handshake is over, in a queue of its own",
    .here = "A SYN with a valid cookie and data makes a connection at once: it is in the accept "
            "queue, can be accepted and read while its socket is in SYN-RECEIVED, before the "
            "client's ACK. The option's value bounds how many may be in that state, exactly and "
            "accepted ones included. The next SYN is no loss: TCPFastOpenListenOverflow rises, its "
            "data is not taken, and it becomes an ordinary handshake, with the data sent again.",
    .settings = (const struct scenario_setting[]){BACKLOG_SETTINGS,
                                                  {SCENARIO_BOTH, "tcp_fastopen", "3", 0},
                                                  {0}},
    .play = run_fast_open_queue,
    .check = check_fast_open_queue,
};
