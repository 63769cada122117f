/* The user's server, and netkit's clients that crash while they talk to it.
 *
 * A well-behaved client must get its response before and after. In between some clients crash, each
 * a process of its own; then the server gets time to clean up, and what is left is counted:
 * zombies, descriptors, sockets by state. */
#include "scenario/programs/sut.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define ANSWER_NS (5 * NS_PER_SEC)
#define LOOK_NS   (20 * NS_PER_MS)

/* One way for clients to crash. */
struct crash_way {
    bool lingers; /* the server cannot know: its end stays ESTABLISHED until it sends or waits */
    void (*crash)(struct testbed *bed);
};

/* What is left when the server had time to clean up. */
struct remains {
    struct sut_census census;
    struct sut_sockets sockets;
};

static struct agent *connect_client(struct testbed *bed)
{
    struct agent *client = testbed_agent(bed, LAB_CLIENT);

    DO(client, ACT_CONNECT, .port = sut_request(bed)->port);
    return client;
}

/* Whether a well-behaved client gets its whole response. */
static bool responds(struct testbed *bed)
{
    struct agent *client = connect_client(bed);
    bool whole = SUT_ASK(bed, client).rc == 1;

    DO(client, ACT_CLOSE);
    agent_signal(client, SIGKILL);
    return whole;
}

/* ---- Ways to crash ---- */

static void crash_in_queue(struct testbed *bed)
{
    struct agent *client = testbed_agent(bed, LAB_CLIENT);

    DO(client, ACT_OPTION, .text = "SO_LINGER=on,0s");
    DO(client, ACT_CONNECT, .port = sut_request(bed)->port);
    agent_signal(client, SIGKILL);
}

static void crash_mid_request(struct testbed *bed)
{
    struct agent *client = connect_client(bed);

    SUT_ASK(bed, client, .half = true);
    agent_signal(client, SIGKILL);
}

/* With the response unread, or on its way: the kernel answers it with RST. */
static void crash_mid_response(struct testbed *bed)
{
    struct agent *client = connect_client(bed);

    SUT_ASK(bed, client, .no_answer = true);
    DO(client, ACT_POLL, .number = POLLIN, .timeout_ns = ANSWER_NS);
    agent_signal(client, SIGKILL);
}

static void vanish(struct testbed *bed)
{
    struct agent *client = connect_client(bed);

    SUT_ASK(bed, client, .half = true);
    struct act_socket socket = testbed_socket_of(bed, LAB_CLIENT, 0, sut_request(bed)->port);
    testbed_fault(bed, "drop \"tcp port %d\"", sock_address_port(&socket.entry.local));
    agent_signal(client, SIGKILL);
}

static void come_and_go(struct testbed *bed)
{
    responds(bed);
}

/* ---- The run ---- */

/* Until nothing is left, or the patience is over: what is left then stays. */
static struct remains wait_for_cleanup(struct testbed *bed, struct sut *sut, int64_t descriptors)
{
    const struct sut_request *request = sut_request(bed);
    int64_t end_ns = clock_mono_ns() + request->patience_ns;
    struct remains left;

    do {
        left = (struct remains){sut_census(bed, 0), sut_sockets(bed, request->port)};
    } while (!testbed_failed(bed) && !sut_has_ended(bed, sut, LOOK_NS) &&
             clock_mono_ns() < end_ns &&
             (sut_sockets_open(&left.sockets) || left.census.zombies ||
              left.census.descriptors > descriptors));
    return left;
}

/* ---- The verdict ---- */

static void blame(struct testbed *bed, const struct sut *sut, const struct remains *left,
                  int64_t leaked)
{
    int status = sut->exit.status;
    bool sigpipe = WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE;
    int64_t close_wait = left->sockets.by_state[TCP_CLOSE_WAIT];

    if (sut->ended)
        testbed_blame(bed, FINDING_PROGRAM_FAILED, "The server ended: %s.%s",
                      sut_end_text(bed, sut),
                      sigpipe ? " It wrote to a client that was gone: ignore SIGPIPE, "
                                "or write with MSG_NOSIGNAL."
                              : "");
    if (left->census.zombies)
        testbed_blame(bed, FINDING_ZOMBIE_PROCESSES, "%lld zombies are left.",
                      (long long)left->census.zombies);
    if (close_wait)
        testbed_blame(bed, FINDING_CLOSE_WAIT_LEAK, "%lld connections stay in CLOSE-WAIT.",
                      (long long)close_wait);
    if (leaked > 0)
        testbed_blame(bed, FINDING_DESCRIPTOR_LEAK, "%lld more descriptors are open than before.",
                      (long long)leaked);
    testbed_blame(bed, FINDING_PROGRAM_FAILED,
                  "The server no longer responds to a well-behaved client.");
}

static void judge(struct testbed *bed, const struct sut *sut, const struct remains *left,
                  int64_t leaked, bool responds_after)
{
    const struct crash_way *way = bed->scenario->arg;
    const int64_t *states = left->sockets.by_state;
    int64_t clients = sut_request(bed)->clients;

    testbed_check_bool(bed, "alive", true, !sut->ended);
    testbed_check_bool(bed, "answers_after", true, responds_after);
    testbed_check_integer(bed, "zombies", 0, left->census.zombies);
    testbed_check_integer(bed, "close_wait", 0, states[TCP_CLOSE_WAIT]);
    testbed_observe(bed, INTEGER("descriptors_left", leaked));
    /* Fewer than one a client is a cache, or a log. */
    if (!way->lingers && !sut->ended)
        testbed_expect_range(bed, "descriptors_left", INT32_MIN, clients - 1);
    testbed_observe(bed, INTEGER("established", states[TCP_ESTABLISHED]),
                    INTEGER("time_wait", states[TCP_TIME_WAIT]),
                    INTEGER("orphans", left->sockets.orphans));
    sut_observe_end(bed, sut);
    if (way->lingers && states[TCP_ESTABLISHED])
        testbed_explain(
            bed, "The server still has the connections: nothing tells it that the clients are "
                 "gone until it sends, or its own time limit or keepalive ends them.");
    blame(bed, sut, left, way->lingers || leaked < clients ? 0 : leaked);
    testbed_summarize(bed, TEXT("server", sut_end_text(bed, sut)), BOOL("answers", responds_after),
                      INTEGER("zombies", left->census.zombies), INTEGER("fds left", leaked),
                      INTEGER("ESTAB", states[TCP_ESTABLISHED]),
                      INTEGER("CLOSE-WAIT", states[TCP_CLOSE_WAIT]));
}

static void play_crash(struct testbed *bed)
{
    const struct crash_way *way = bed->scenario->arg;
    struct sut sut;

    if (!sut_listens(bed, &sut))
        return;
    if (!responds(bed))
        sut_decline(bed, "the server gives a well-behaved client no whole response (--request)");
    int64_t descriptors = sut_census(bed, 0).descriptors;
    for (int64_t i = 0; i < sut_request(bed)->clients && !testbed_failed(bed); i++)
        way->crash(bed);
    struct remains left = wait_for_cleanup(bed, &sut, descriptors);
    bool responds_after = !sut.ended && responds(bed);
    sut_has_ended(bed, &sut, 0);
    sut_stop(bed, &sut);
    if (!testbed_failed(bed))
        judge(bed, &sut, &left, left.census.descriptors - descriptors, responds_after);
}

/* ---- The rows ---- */

static const struct scenario crashes[] = {
    SUT_CRASH("client-crash-in-queue", "clients reset their connection before it is accepted",
              .crash = crash_in_queue),
    SUT_CRASH("client-crash-mid-request", "clients are killed in the middle of their request",
              .crash = crash_mid_request),
    SUT_CRASH("client-crash-mid-response", "clients are killed with the response unread",
              .crash = crash_mid_response),
    SUT_CRASH("client-vanishes", "the clients' host crashes in the middle of a request",
              .lingers = true, .crash = vanish),
    SUT_CRASH("zombie-children", "clients connect, get their response, and close",
              .crash = come_and_go),
};

static const struct scenario *const items[] = {&crashes[0], &crashes[1], &crashes[2],
                                               &crashes[3], &crashes[4], NULL};

const struct scenario_set sut_crash_servers = {.command = "crash-sim", .items = items};
