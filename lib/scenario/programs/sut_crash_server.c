/* The user's server, and netkit's clients that die in front of it.
 *
 * A good client is answered before and after. In between some die, each a process of its own; then
 * the server gets time to clean up, and what it has left is counted: processes, zombies,
 * descriptors, sockets by state. */
#include "scenario/programs/sut_crash.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define ANSWER_NS (5 * NS_PER_SEC)
#define TIDY_MS   20

struct way {
    bool lingers; /* the server cannot know: its end stays ESTABLISHED until it sends or waits */
    void (*die)(struct testbed *bed);
};

struct sut_crash_facts {
    struct sut subject;
    struct sut_census before, after;
    struct sut_sockets sockets;
    bool answered_before, answered_after;
};

static struct act_reply ask(struct testbed *bed, struct agent *client, int share, bool no_answer)
{
    struct stub_peer_question question = {&sut_request(bed)->peer, share, no_answer};
    struct act *act = &STUB_PEER_ACT(stub_peer_ask, question);

    act->timeout_ns = ANSWER_NS;
    return agent_do(client, act);
}

static struct agent *connected(struct testbed *bed, const char *option)
{
    struct agent *client = testbed_actor(bed, LAB_CLIENT);
    struct act act = {.verb = ACT_OPTION};

    if (option) {
        snprintf(act.text, sizeof act.text, "%s", option);
        agent_do(client, &act);
    }
    DO(client, ACT_CONNECT, .port = sut_request(bed)->port);
    return client;
}

/* Whether a good client gets a whole answer. */
static bool answers(struct testbed *bed)
{
    struct agent *client = connected(bed, NULL);
    bool whole = ask(bed, client, 1000, false).rc == 1;

    DO(client, ACT_CLOSE);
    agent_signal(client, SIGKILL);
    return whole;
}

/* ---- Ways to die ---- */

static void die_in_queue(struct testbed *bed)
{
    agent_signal(connected(bed, "SO_LINGER=on,0s"), SIGKILL);
}

static void die_mid_request(struct testbed *bed)
{
    struct agent *client = connected(bed, NULL);

    ask(bed, client, 500, false);
    agent_signal(client, SIGKILL);
}

/* With the answer unread, or on its way: the kernel answers it with RST. */
static void die_mid_response(struct testbed *bed)
{
    struct agent *client = connected(bed, NULL);

    ask(bed, client, 1000, true);
    DO(client, ACT_POLL, .number = POLLIN, .timeout_ns = ANSWER_NS);
    agent_signal(client, SIGKILL);
}

static void vanish(struct testbed *bed)
{
    struct agent *client = connected(bed, NULL);
    char line[64];

    ask(bed, client, 500, false);
    struct act_socket socket = testbed_socket_of(bed, LAB_CLIENT, 0, sut_request(bed)->port);
    snprintf(line, sizeof line, "drop \"tcp port %d\"", sock_address_port(&socket.entry.local));
    testbed_fault(bed, line);
    agent_signal(client, SIGKILL);
}

static void come_and_go(struct testbed *bed)
{
    answers(bed);
}

/* ---- The run ---- */

static int64_t left_over(const struct sut_sockets *sockets)
{
    return sockets->by_state[TCP_ESTABLISHED] + sockets->by_state[TCP_CLOSE_WAIT] +
           sockets->by_state[TCP_SYN_RECV] + sockets->by_state[TCP_LAST_ACK] +
           sockets->by_state[TCP_FIN_WAIT1] + sockets->by_state[TCP_FIN_WAIT2] +
           sockets->by_state[TCP_CLOSING];
}

/* Until nothing is left, or the patience is over: what then is left stays. */
static void let_it_tidy_up(struct testbed *bed, struct sut_crash_facts *facts)
{
    const struct sut_request *request = sut_request(bed);
    int64_t end_ns = clock_mono_ns() + request->patience_ns;

    while (!testbed_failed(bed)) {
        facts->sockets = sut_sockets(bed, request->port);
        facts->after = sut_census(bed, 0);
        if (sut_has_ended(bed, &facts->subject, TIDY_MS * NS_PER_MS) || clock_mono_ns() >= end_ns)
            return;
        if (!left_over(&facts->sockets) && !facts->after.zombies &&
            facts->after.descriptors <= facts->before.descriptors)
            return;
    }
}

static void run_trial(struct testbed *bed)
{
    const struct way *way = bed->scenario->arg;
    struct sut_crash_facts *facts = testbed_facts(bed, sizeof *facts);

    if (!sut_listens(bed, &facts->subject))
        return;
    facts->answered_before = answers(bed);
    if (!facts->answered_before)
        sut_decline(bed, "the server gives no whole answer to a good client (--request)");
    facts->before = sut_census(bed, 0);
    for (int64_t i = 0; i < sut_request(bed)->clients && !testbed_failed(bed); i++)
        way->die(bed);
    let_it_tidy_up(bed, facts);
    if (!facts->subject.ended)
        facts->answered_after = answers(bed);
    sut_has_ended(bed, &facts->subject, 0);
    sut_stop(bed, &facts->subject);
}

/* ---- What it amounts to ---- */

static void blame(struct testbed *bed, const struct sut_crash_facts *facts, int64_t leaked)
{
    struct arena *arena = bed->arena;

    if (facts->subject.ended)
        testbed_blame(bed, FINDING_PROGRAM_FAILED,
                      arena_printf(arena, "The server ended: %s.%s",
                                   sut_end_text(bed, &facts->subject),
                                   WIFSIGNALED(facts->subject.exit.status) &&
                                           WTERMSIG(facts->subject.exit.status) == SIGPIPE
                                       ? " It wrote to a client that was gone: ignore SIGPIPE, or "
                                         "write with MSG_NOSIGNAL."
                                       : ""));
    if (facts->after.zombies)
        testbed_blame(
            bed, FINDING_ZOMBIE_PROCESSES,
            arena_printf(arena, "%lld zombies are left.", (long long)facts->after.zombies));
    if (facts->sockets.by_state[TCP_CLOSE_WAIT])
        testbed_blame(bed, FINDING_CLOSE_WAIT_LEAK,
                      arena_printf(arena, "%lld connections stay in CLOSE-WAIT.",
                                   (long long)facts->sockets.by_state[TCP_CLOSE_WAIT]));
    if (leaked > 0)
        testbed_blame(bed, FINDING_DESCRIPTOR_LEAK,
                      arena_printf(arena, "%lld descriptors more than before.", (long long)leaked));
    testbed_blame(bed, FINDING_PROGRAM_FAILED,
                  "The server does not answer a good client any more.");
}

static void observe_sockets(struct testbed *bed, const struct sut_sockets *sockets)
{
    testbed_observe_integer(bed, "established", sockets->by_state[TCP_ESTABLISHED]);
    testbed_observe_integer(bed, "time_wait", sockets->by_state[TCP_TIME_WAIT]);
    testbed_observe_integer(bed, "orphans", sockets->orphans);
}

static void check_trial(struct testbed *bed)
{
    const struct way *way = bed->scenario->arg;
    const struct sut_crash_facts *facts = testbed_facts(bed, sizeof *facts);
    struct result_map *summary = testbed_summary(bed);
    int64_t leaked = facts->after.descriptors - facts->before.descriptors,
            clients = sut_request(bed)->clients;

    testbed_check_bool(bed, "alive", true, !facts->subject.ended);
    testbed_check_bool(bed, "answers_after", true, facts->answered_after);
    testbed_check_integer(bed, "zombies", 0, facts->after.zombies);
    testbed_check_integer(bed, "close_wait", 0, facts->sockets.by_state[TCP_CLOSE_WAIT]);
    testbed_observe_integer(bed, "descriptors_left", leaked);
    /* Fewer than one a client is a cache, or a log. */
    if (!way->lingers && !facts->subject.ended)
        testbed_expect_range(bed, "descriptors_left", INT32_MIN, clients - 1);
    observe_sockets(bed, &facts->sockets);
    sut_observe_end(bed, &facts->subject);
    if (way->lingers && facts->sockets.by_state[TCP_ESTABLISHED])
        testbed_explain(
            bed, "The server still has the connections: nothing tells it that the clients are "
                 "gone until it sends, or its own time limit or keepalive ends them.");
    blame(bed, facts, way->lingers || leaked < clients ? 0 : leaked);
    result_set_text(bed->arena, summary, "server", sut_end_text(bed, &facts->subject));
    result_set_bool(bed->arena, summary, "answers", facts->answered_after);
    result_set_integer(bed->arena, summary, "zombies", facts->after.zombies);
    result_set_integer(bed->arena, summary, "fds left", leaked);
    result_set_integer(bed->arena, summary, "ESTAB", facts->sockets.by_state[TCP_ESTABLISHED]);
    result_set_integer(bed->arena, summary, "CLOSE-WAIT", facts->sockets.by_state[TCP_CLOSE_WAIT]);
}

/* ---- The rows ---- */

static const struct way way_queue = {.die = die_in_queue}, way_request = {.die = die_mid_request},
                        way_response = {.die = die_mid_response},
                        way_vanish = {.lingers = true, .die = vanish},
                        way_children = {.die = come_and_go};

#define SUT_CRASH(id, name_, title_)                                                               \
    static const struct scenario sut_crash_##id = {.name = (name_),                                \
                                                   .title = (title_),                              \
                                                   .settings = sut_crash_settings,                 \
                                                   .play = run_trial,                              \
                                                   .check = check_trial,                           \
                                                   .arg = &way_##id}

SUT_CRASH(queue, "client-crash-in-queue", "clients reset their connection before it is accepted");
SUT_CRASH(request, "client-crash-mid-request", "clients are killed in the middle of their request");
SUT_CRASH(response, "client-crash-mid-response", "clients are killed with the answer unread");
SUT_CRASH(vanish, "client-vanishes", "clients are gone without a word in the middle of a request");
SUT_CRASH(children, "zombie-children", "clients come, are answered, and go");

static const struct scenario *const items[] = {&sut_crash_queue,    &sut_crash_request,
                                               &sut_crash_response, &sut_crash_vanish,
                                               &sut_crash_children, NULL};

const struct scenario_set sut_crash_servers = {.command = "crash-sim", .items = items};
