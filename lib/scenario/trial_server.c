/* The user's server, and netkit's clients that die in front of it.
 *
 * A good client is answered before and after. In between some die, each a process of its own; then
 * the server gets time to clean up, and what it has left is counted: processes, zombies,
 * descriptors, sockets by state. */
#include "scenario/trial.h"

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
    void (*die)(struct stage *stage);
};

struct trial_facts {
    struct subject subject;
    struct subject_census before, after;
    struct subject_sockets sockets;
    bool answered_before, answered_after;
};

static struct act_reply ask(struct stage *stage, struct actor *client, int share, bool no_answer)
{
    struct peer_question question = {&subject_request(stage)->peer, share, no_answer};
    struct act *act = &PEER_ACT(peer_ask, question);

    act->timeout_ns = ANSWER_NS;
    return actor_do(client, act);
}

static struct actor *connected(struct stage *stage, const char *option)
{
    struct actor *client = stage_actor(stage, LAB_CLIENT);
    struct act act = {.verb = ACT_OPTION};

    if (option) {
        snprintf(act.text, sizeof act.text, "%s", option);
        actor_do(client, &act);
    }
    DO(client, ACT_CONNECT, .port = subject_request(stage)->port);
    return client;
}

/* Whether a good client gets a whole answer. */
static bool answers(struct stage *stage)
{
    struct actor *client = connected(stage, NULL);
    bool whole = ask(stage, client, 1000, false).rc == 1;

    DO(client, ACT_CLOSE);
    actor_signal(client, SIGKILL);
    return whole;
}

/* ---- Ways to die ---- */

static void die_in_queue(struct stage *stage)
{
    actor_signal(connected(stage, "SO_LINGER=on,0s"), SIGKILL);
}

static void die_mid_request(struct stage *stage)
{
    struct actor *client = connected(stage, NULL);

    ask(stage, client, 500, false);
    actor_signal(client, SIGKILL);
}

/* With the answer unread, or on its way: the kernel answers it with RST. */
static void die_mid_response(struct stage *stage)
{
    struct actor *client = connected(stage, NULL);

    ask(stage, client, 1000, true);
    DO(client, ACT_POLL, .number = POLLIN, .timeout_ns = ANSWER_NS);
    actor_signal(client, SIGKILL);
}

static void vanish(struct stage *stage)
{
    struct actor *client = connected(stage, NULL);
    char line[64];

    ask(stage, client, 500, false);
    struct act_socket socket = stage_socket_of(stage, LAB_CLIENT, 0, subject_request(stage)->port);
    snprintf(line, sizeof line, "drop \"tcp port %d\"", sock_address_port(&socket.entry.local));
    stage_fault(stage, line);
    actor_signal(client, SIGKILL);
}

static void come_and_go(struct stage *stage)
{
    answers(stage);
}

/* ---- The run ---- */

static int64_t left_over(const struct subject_sockets *sockets)
{
    return sockets->by_state[TCP_ESTABLISHED] + sockets->by_state[TCP_CLOSE_WAIT] +
           sockets->by_state[TCP_SYN_RECV] + sockets->by_state[TCP_LAST_ACK] +
           sockets->by_state[TCP_FIN_WAIT1] + sockets->by_state[TCP_FIN_WAIT2] +
           sockets->by_state[TCP_CLOSING];
}

/* Until nothing is left, or the patience is over: what then is left stays. */
static void let_it_tidy_up(struct stage *stage, struct trial_facts *facts)
{
    const struct subject_request *request = subject_request(stage);
    int64_t end_ns = clock_mono_ns() + request->patience_ns;

    while (!stage_failed(stage)) {
        facts->sockets = subject_sockets(stage, request->port);
        facts->after = subject_census(stage, 0);
        if (subject_has_ended(stage, &facts->subject, TIDY_MS * NS_PER_MS) ||
            clock_mono_ns() >= end_ns)
            return;
        if (!left_over(&facts->sockets) && !facts->after.zombies &&
            facts->after.descriptors <= facts->before.descriptors)
            return;
    }
}

static void run_trial(struct stage *stage)
{
    const struct way *way = stage->scenario->arg;
    struct trial_facts *facts = stage_facts(stage, sizeof *facts);

    if (!subject_listens(stage, &facts->subject))
        return;
    facts->answered_before = answers(stage);
    if (!facts->answered_before)
        subject_decline(stage, "the server gives no whole answer to a good client (--request)");
    facts->before = subject_census(stage, 0);
    for (int64_t i = 0; i < subject_request(stage)->clients && !stage_failed(stage); i++)
        way->die(stage);
    let_it_tidy_up(stage, facts);
    if (!facts->subject.ended)
        facts->answered_after = answers(stage);
    subject_has_ended(stage, &facts->subject, 0);
    subject_stop(stage, &facts->subject);
}

/* ---- What it amounts to ---- */

static void blame(struct stage *stage, const struct trial_facts *facts, int64_t leaked)
{
    struct arena *arena = stage->arena;

    if (facts->subject.ended)
        stage_blame(stage, FINDING_PROGRAM_FAILED,
                    arena_printf(arena, "The server ended: %s.%s",
                                 subject_end_text(stage, &facts->subject),
                                 WIFSIGNALED(facts->subject.exit.status) &&
                                         WTERMSIG(facts->subject.exit.status) == SIGPIPE
                                     ? " It wrote to a client that was gone: ignore SIGPIPE, or "
                                       "write with MSG_NOSIGNAL."
                                     : ""));
    if (facts->after.zombies)
        stage_blame(stage, FINDING_ZOMBIE_PROCESSES,
                    arena_printf(arena, "%lld zombies are left.", (long long)facts->after.zombies));
    if (facts->sockets.by_state[TCP_CLOSE_WAIT])
        stage_blame(stage, FINDING_CLOSE_WAIT_LEAK,
                    arena_printf(arena, "%lld connections stay in CLOSE-WAIT.",
                                 (long long)facts->sockets.by_state[TCP_CLOSE_WAIT]));
    if (leaked > 0)
        stage_blame(stage, FINDING_DESCRIPTOR_LEAK,
                    arena_printf(arena, "%lld descriptors more than before.", (long long)leaked));
    stage_blame(stage, FINDING_PROGRAM_FAILED,
                "The server does not answer a good client any more.");
}

static void observe_sockets(struct stage *stage, const struct subject_sockets *sockets)
{
    stage_observe_integer(stage, "established", sockets->by_state[TCP_ESTABLISHED]);
    stage_observe_integer(stage, "time_wait", sockets->by_state[TCP_TIME_WAIT]);
    stage_observe_integer(stage, "orphans", sockets->orphans);
}

static void check_trial(struct stage *stage)
{
    const struct way *way = stage->scenario->arg;
    const struct trial_facts *facts = stage_facts(stage, sizeof *facts);
    struct result_map *summary = stage_summary(stage);
    int64_t leaked = facts->after.descriptors - facts->before.descriptors,
            clients = subject_request(stage)->clients;

    stage_check_bool(stage, "alive", true, !facts->subject.ended);
    stage_check_bool(stage, "answers_after", true, facts->answered_after);
    stage_check_integer(stage, "zombies", 0, facts->after.zombies);
    stage_check_integer(stage, "close_wait", 0, facts->sockets.by_state[TCP_CLOSE_WAIT]);
    stage_observe_integer(stage, "descriptors_left", leaked);
    /* Fewer than one a client is a cache, or a log. */
    if (!way->lingers && !facts->subject.ended)
        stage_expect_range(stage, "descriptors_left", INT32_MIN, clients - 1);
    observe_sockets(stage, &facts->sockets);
    subject_observe_end(stage, &facts->subject);
    if (way->lingers && facts->sockets.by_state[TCP_ESTABLISHED])
        stage_explain(stage,
                      "The server still has the connections: nothing tells it that the clients are "
                      "gone until it sends, or its own time limit or keepalive ends them.");
    blame(stage, facts, way->lingers || leaked < clients ? 0 : leaked);
    result_set_text(stage->arena, summary, "server", subject_end_text(stage, &facts->subject));
    result_set_bool(stage->arena, summary, "answers", facts->answered_after);
    result_set_integer(stage->arena, summary, "zombies", facts->after.zombies);
    result_set_integer(stage->arena, summary, "fds left", leaked);
    result_set_integer(stage->arena, summary, "ESTAB", facts->sockets.by_state[TCP_ESTABLISHED]);
    result_set_integer(stage->arena, summary, "CLOSE-WAIT",
                       facts->sockets.by_state[TCP_CLOSE_WAIT]);
}

/* ---- The rows ---- */

static const struct way way_queue = {.die = die_in_queue}, way_request = {.die = die_mid_request},
                        way_response = {.die = die_mid_response},
                        way_vanish = {.lingers = true, .die = vanish},
                        way_children = {.die = come_and_go};

#define TRIAL(id, name_, title_)                                                                   \
    static const struct scenario trial_##id = {.name = (name_),                                    \
                                               .title = (title_),                                  \
                                               .settings = trial_settings,                         \
                                               .run = run_trial,                                   \
                                               .check = check_trial,                               \
                                               .arg = &way_##id}

TRIAL(queue, "client-crash-in-queue", "clients reset their connection before it is accepted");
TRIAL(request, "client-crash-mid-request", "clients are killed in the middle of their request");
TRIAL(response, "client-crash-mid-response", "clients are killed with the answer unread");
TRIAL(vanish, "client-vanishes", "clients are gone without a word in the middle of a request");
TRIAL(children, "zombie-children", "clients come, are answered, and go");

static const struct scenario *const items[] = {&trial_queue,  &trial_request,  &trial_response,
                                               &trial_vanish, &trial_children, NULL};

const struct scenario_set trial_servers = {.command = "crash-sim", .items = items};
