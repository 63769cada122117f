/* SO_REUSEPORT: a queue for each listener, which dies with it, or moves. */
#include "scenario/backlog/backlog.h"

#include <signal.h>
#include <string.h>

#define EACH_LEAST 2  /* connections in either queue */
#define MOST       64 /* connections until that is so: else the odds are against it */

/* Two processes that listen on one port, and what became of their connections when one died. */
struct share {
    uint16_t port;
    int first_slot, count;
    int64_t queued[2]; /* of the one that dies, of the other */
    int64_t left;      /* in the other's queue, afterwards */
    int reset, open;   /* of the clients */
    int accepted;
    int first_reset; /* slot */
};

static void spread(struct testbed *bed, struct share *share, struct agent *const agents[2])
{
    struct agent *client = testbed_client(bed);

    for (int i = 0; i < 2; i++) {
        DO(agents[i], ACT_OPTION, .text = "SO_REUSEPORT=on");
        DO(agents[i], ACT_LISTEN, .port = share->port, .number = MOST);
    }
    while (share->count < MOST && !backlog_gave_up(bed) &&
           (share->queued[0] < EACH_LEAST || share->queued[1] < EACH_LEAST)) {
        DO(client, ACT_CONNECT, .slot = share->first_slot + share->count, .port = share->port);
        backlog_await_queue(bed, share->port, ++share->count);
        for (int i = 0; i < 2; i++)
            share->queued[i] = DO(agents[i], ACT_BACKLOG).rc;
    }
}

static void look_at_clients(struct testbed *bed, struct share *share)
{
    for (int i = 0; i < share->count; i++) {
        int slot = share->first_slot + i;
        const char *state = backlog_state_of(testbed_client(bed), slot);
        if (!strcmp(state, "ECONNRESET") && !share->reset++)
            share->first_reset = slot;
        share->open += !strcmp(state, "open");
    }
}

/* Kills the first and looks at what is left; `resets`: how many of its connections must end. */
static const struct backlog_sample *die(struct testbed *bed, struct share *share,
                                        struct agent *const agents[2], int64_t resets)
{
    testbed_from_here(bed);
    agent_signal(agents[0], SIGKILL);
    backlog_await_queue(bed, share->port, share->count - resets);
    for (int64_t i = 1; i <= resets && !backlog_gave_up(bed); i++)
        backlog_await(bed, arena_printf(bed->arena, "delivered s>c:rst#%d", (int)i));
    share->left = DO(agents[1], ACT_BACKLOG).rc;
    look_at_clients(bed, share);
    const struct backlog_sample *after = backlog_look(bed, share->port, "one has died");
    share->accepted = backlog_accept(bed, agents[1], 0, 1, (int)share->left);
    return after;
}

static void list_share(struct testbed *bed, const char *setting, const struct share *share)
{
    testbed_row(bed, TEXT("tcp_migrate_req", setting), INTEGER("one_has", share->queued[0]),
                INTEGER("other_has", share->queued[1]), INTEGER("reset", share->reset),
                INTEGER("left", share->left), INTEGER("accepted", share->accepted));
}

/* How many each gets is chance; what must be follows from it. */
static void check_share(struct testbed *bed, const struct share *share, int64_t lost,
                        const char *const keys[3])
{
    testbed_check_bool(bed, keys[0], true,
                       share->queued[0] >= EACH_LEAST && share->queued[1] >= EACH_LEAST);
    testbed_check_bool(bed, keys[1], true,
                       share->reset == lost && share->open == share->count - lost);
    testbed_check_bool(bed, keys[2], true, share->accepted == share->count - lost);
}

static void play_alone(struct testbed *bed)
{
    static const char *const keys[] = {"both_have_some", "just_its_own_are_reset",
                                       "all_others_accepted"};
    struct agent *agents[2] = {testbed_server(bed), testbed_agent(bed, LAB_SERVER)};
    struct share share = {.port = TESTBED_PORT, .first_slot = 1};

    spread(bed, &share, agents);
    backlog_look(bed, TESTBED_PORT, "two processes");
    die(bed, &share, agents, share.queued[0]);
    testbed_subject(bed, (uint32_t)share.first_reset);
    check_share(bed, &share, share.queued[0], keys);
    list_share(bed, "0", &share);
}

static void play_migrated(struct testbed *bed)
{
    static const char *const keys[] = {"migrate_both_have_some", "migrate_none_is_reset",
                                       "migrate_all_accepted"};
    struct agent *agents[2] = {testbed_agent(bed, LAB_SERVER), testbed_agent(bed, LAB_SERVER)};
    struct share share = {.port = TESTBED_PORT + 1, .first_slot = MOST + 1};

    backlog_set(bed, LAB_SERVER, "ipv4/tcp_migrate_req", "1");
    spread(bed, &share, agents);
    const struct backlog_sample *before = backlog_look(bed, share.port, "tcp_migrate_req");
    const struct backlog_sample *after = die(bed, &share, agents, 0);
    check_share(bed, &share, 0, keys);
    testbed_check_bool(bed, "migrate_counted", true,
                       backlog_rise(before, after, BACKLOG_MIGRATED) == share.queued[0]);
    list_share(bed, "1", &share);
}

static void play_reuseport(struct testbed *bed)
{
    bool migrates = backlog_migrates(bed);

    testbed_table(bed, "processes", "Two listeners on a port, one dies");
    play_alone(bed);
    if (migrates)
        play_migrated(bed);
    backlog_tables(bed, NULL);
}

const struct scenario backlog_reuseport = {
    .name = "reuseport",
    .title = "SO_REUSEPORT: a queue for each process, and one dies",
    .here = "Each listener has a queue of its own; a hash of its addresses and ports decides "
            "which one a connection goes to. When a process dies, the connections in its queue, "
            "which their clients take for established, are reset; those of the others stay. With "
            "tcp_migrate_req (Linux 5.14) they move to another listener of the port, half-open "
            "ones included (TCPMigrateReqSuccess), and none is lost. A slow process makes its own "
            "share wait although the others are idle.",
    .settings =
        SETTINGS(BACKLOG_SETTINGS, {SCENARIO_SERVER, "tcp_migrate_req", "0", SETTING_OPTIONAL}),
    .flags = FLAGS(HANDSHAKE, "S>C RST,ACK"),
    .play = play_reuseport,
};
