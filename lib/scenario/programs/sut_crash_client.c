/* The user's client, and netkit's server that crashes at an exact point.
 *
 * The client has noticed when it ends, closes the connection's descriptor, or connects again,
 * whichever comes first. That its kernel knows (a FIN or RST arrived, the socket is in CLOSE-WAIT
 * or gone) is not enough: the descriptor is looked for in the client's processes. */
#include "scenario/programs/sut.h"

#include "base/units.h"
#include <signal.h>
#include <string.h>

#define LOOK_NS  (5 * NS_PER_MS)
#define PAUSE_NS (2 * NS_PER_SEC)

const struct scenario_setting sut_crash_settings[] = {
    {SCENARIO_BOTH, "tcp_syn_retries", "6", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "4", SETTING_TIMER | SETTING_OPTIONAL},
    {SCENARIO_BOTH, "tcp_retries2", "15", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_rto_max_ms", "120000", SETTING_TIMER | SETTING_OPTIONAL},
    {SCENARIO_BOTH, "tcp_keepalive_time", "7200", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_intvl", "75", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_keepalive_probes", "9", SETTING_TIMER},
    {0}};

enum strike {
    STRIKE_KILL,
    STRIKE_CUT,
    STRIKE_UNREACHABLE, /* a router says so */
    STRIKE_REBOOT,
    STRIKE_SHUT_DOWN,
    STRIKE_PAUSE,        /* the link is cut for a while */
    STRIKE_FORGET,       /* a NAT forgets this one connection: others pass */
    STRIKE_FORGET_RESET, /* and answers with RST */
};

/* One way for the server to crash. */
struct crash_way {
    struct stub_peer_point point; /* when, unless --after says otherwise */
    enum strike strike;
    bool deaf;       /* the server reads nothing */
    bool survivable; /* nothing is lost: the client must get its response */
};

enum notice { NOTICE_NONE, NOTICE_EXIT, NOTICE_CLOSE, NOTICE_RETRY };
static const char *const notice_names[] = {NULL, "exit", "close", "retry"};

/* ---- The run ---- */

static void strike(struct testbed *bed, enum strike how, struct agent *server, uint16_t client_port)
{
    switch (how) {
    case STRIKE_KILL:
        agent_signal(server, SIGKILL);
        return;
    case STRIKE_CUT:
        testbed_cut(bed);
        return;
    case STRIKE_UNREACHABLE:
        testbed_fault(bed, "answer-icmp any=host-unreachable dir c>s");
        return;
    case STRIKE_REBOOT:
        testbed_reboot(bed, LAB_SERVER);
        return;
    case STRIKE_SHUT_DOWN:
        agent_signal(server, SIGTERM);
        agent_wait(server, TESTBED_LIMIT_NS, NULL);
        testbed_pass(bed, 1 * NS_PER_SEC);
        testbed_cut(bed);
        return;
    case STRIKE_PAUSE:
        testbed_cut(bed);
        agent_signal(server, SIGUSR1);
        testbed_pass(bed, PAUSE_NS);
        testbed_restore(bed);
        return;
    case STRIKE_FORGET:
    case STRIKE_FORGET_RESET:
        testbed_fault(bed, "%s \"tcp port %d\"", how == STRIKE_FORGET_RESET ? "answer-rst" : "drop",
                      client_port);
        agent_signal(server, SIGUSR1);
        return;
    }
}

static struct stub_peer_point point_of(const struct testbed *bed)
{
    const struct crash_way *way = bed->scenario->arg;
    const struct stub_peer_point *given = &sut_request(bed)->peer.point;
    return given->when == STUB_PEER_WHEN_DEFAULT ? way->point : *given;
}

/* Waits until the server is at the point. */
static void wait_for_point(struct testbed *bed, struct sut *sut, struct stub_peer_point point)
{
    const char *sign = point.when == STUB_PEER_WHEN_TIME ? "server=ESTABLISHED" : "mark=point";
    int64_t end_ns = clock_mono_ns() + sut_request(bed)->patience_ns;

    while (!testbed_failed(bed) && !testbed_saw(bed, sign, 0)) {
        if (sut_has_ended(bed, sut, LOOK_NS))
            sut_decline(bed,
                        "the client ended (%s) before the server came to the point where it was "
                        "to crash (--after)",
                        sut_end_text(bed, sut));
        else if (clock_mono_ns() >= end_ns)
            sut_decline(bed, "the client did nothing that brought the server to the point where "
                             "it was to crash (--after)");
    }
    if (point.when == STUB_PEER_WHEN_TIME)
        testbed_pass(bed, point.amount);
}

/* Returns what first showed that the client had noticed; *after_ns is when, after struck_ns. Waits
 * for its end in any case, as its status counts, too. */
static enum notice wait_for_notice(struct testbed *bed, struct sut *sut, uint32_t inode,
                                   int64_t struck_ns, int64_t *after_ns)
{
    int64_t end_ns = struck_ns + sut_request(bed)->patience_ns;
    enum notice notice = NOTICE_NONE;

    for (bool ended = false; !ended && !testbed_failed(bed) && clock_mono_ns() < end_ns;) {
        ended = sut_has_ended(bed, sut, LOOK_NS);
        if (notice != NOTICE_NONE)
            continue;
        if (ended)
            notice = NOTICE_EXIT;
        else if (testbed_saw(bed, "seen c>s:syn", 0))
            notice = NOTICE_RETRY;
        else if (inode && !sut_census(bed, inode).holds)
            notice = NOTICE_CLOSE;
        if (notice != NOTICE_NONE)
            *after_ns = clock_mono_ns() - struck_ns;
    }
    return notice;
}

/* ---- The verdict ---- */

/* Connections that the client began afterwards. Returns how many. */
static int64_t observe_retries(struct testbed *bed, int64_t struck_ns)
{
    const struct result_connection_list *list = &bed->result->connections;
    int64_t first_ns = RESULT_UNKNOWN, last_ns = 0, count = 0;

    for (size_t i = 0; i < list->count; i++) {
        int64_t at_ns = list->items[i].started_ns - struck_ns;
        if (at_ns < 0)
            continue;
        first_ns = count ? first_ns : at_ns;
        last_ns = at_ns;
        count++;
    }
    testbed_observe(bed, INTEGER("retries", count), INTEGER("first_retry_ns", first_ns),
                    INTEGER("retry_interval_ns",
                            count > 1 ? (last_ns - first_ns) / (count - 1) : RESULT_UNKNOWN));
    return count;
}

static const char *what_happened(struct testbed *bed, const struct sut *sut, enum notice notice,
                                 int64_t after_ns)
{
    char after[UNITS_TEXT_MAX], patience[UNITS_TEXT_MAX];

    units_format_duration(after, sizeof after, after_ns, "u");
    units_format_duration(patience, sizeof patience, sut_request(bed)->patience_ns, "u");
    switch (notice) {
    case NOTICE_NONE:
        return arena_printf(bed->arena, "The client did not notice within %s: it still waited.",
                            patience);
    case NOTICE_EXIT:
        return arena_printf(bed->arena, "The client ended after %s: %s.", after,
                            sut_end_text(bed, sut));
    case NOTICE_CLOSE:
        return arena_printf(bed->arena, "The client closed the connection after %s.", after);
    case NOTICE_RETRY:
        return arena_printf(bed->arena, "The client connected again after %s.", after);
    }
    return "?";
}

static void check_notice(struct testbed *bed, bool succeeded, bool retried, enum notice notice,
                         int64_t after_ns, const char *story)
{
    const struct sut_request *request = sut_request(bed);
    int64_t most_ns = request->max_detect_ns ? request->max_detect_ns : request->patience_ns;
    bool noticed = notice != NOTICE_NONE;

    testbed_check_bool(bed, "noticed", true, noticed);
    if (noticed)
        testbed_expect_range(bed, "detect_ns", 0, most_ns);
    /* A client that connected again may have got its response there. */
    if (!retried)
        testbed_check_bool(bed, "claims_success", false, succeeded);
    if (!noticed || after_ns > most_ns)
        testbed_blame(bed, FINDING_DEAD_PEER_UNNOTICED, "%s", story);
    else if (succeeded && !retried)
        testbed_blame(bed, FINDING_TRUNCATION_ACCEPTED, "%s", story);
}

static void judge(struct testbed *bed, const struct sut *sut, int64_t struck_ns, enum notice notice,
                  int64_t after_ns)
{
    const struct crash_way *way = bed->scenario->arg;
    bool succeeded = sut->ended && sut->exit.status == 0;
    const char *story = what_happened(bed, sut, notice, after_ns);
    const char *by = notice_names[notice];

    testbed_observe(bed, TEXT("noticed_by", by), INTEGER("detect_ns", after_ns));
    sut_observe_end(bed, sut);
    int64_t retries = observe_retries(bed, struck_ns);
    if (way->survivable) {
        testbed_check_bool(bed, "survived", true, succeeded || !sut->ended);
        testbed_blame(bed, FINDING_PROGRAM_FAILED, "Nothing was lost, but the client failed. %s",
                      story);
        by = succeeded ? "survived" : by;
    } else {
        check_notice(bed, succeeded, retries > 0, notice, after_ns, story);
    }
    testbed_summarize(bed, TEXT("noticed by", by ? by : "nothing"), INTEGER("after_ns", after_ns),
                      TEXT("ended", sut_end_text(bed, sut)), INTEGER("retries", retries));
}

static void play_crash(struct testbed *bed)
{
    const struct crash_way *way = bed->scenario->arg;
    struct agent *server = testbed_server(bed);
    struct stub_peer_point point = point_of(bed);
    int64_t after_ns = RESULT_UNKNOWN;
    struct sut sut;

    sut_start_client(bed, &sut, &(const struct stub_peer_job){.point = point, .deaf = way->deaf});
    wait_for_point(bed, &sut, point);
    struct sut_sockets sockets = sut_sockets(bed, sut_request(bed)->port);
    testbed_from_here(bed);
    int64_t struck_mono_ns = clock_mono_ns(), struck_real_ns = clock_real_ns();
    if (!testbed_failed(bed))
        strike(bed, way->strike, server, sockets.local_port);
    enum notice notice = wait_for_notice(bed, &sut, sockets.inode, struck_mono_ns, &after_ns);
    sut_stop(bed, &sut);
    testbed_finish(bed);
    if (!testbed_failed(bed))
        judge(bed, &sut, struck_real_ns - bed->started_real_ns, notice, after_ns);
}

/* ---- The rows ---- */

#define POINT(when_, ...) .point = {.when = STUB_PEER_WHEN_##when_, ##__VA_ARGS__}

static const struct scenario crashes[] = {
    SUT_CRASH("process-crash-idle", "the server's process is killed once the client is connected",
              POINT(CONNECT), .strike = STRIKE_KILL),
    SUT_CRASH("process-crash-unread",
              "the server's process is killed with the request unread: RST instead of FIN",
              POINT(TIME, .amount = 100 * NS_PER_MS), .deaf = true, .strike = STRIKE_KILL),
    SUT_CRASH("process-crash-reading",
              "the server's process is killed when it has read the request", POINT(REQUEST),
              .strike = STRIKE_KILL),
    SUT_CRASH("process-crash-writing",
              "the server's process is killed in the middle of its response", POINT(RESPONSE),
              .strike = STRIKE_KILL),
    SUT_CRASH("host-crash-idle", "the server's host crashes once the client is connected",
              POINT(CONNECT), .strike = STRIKE_CUT),
    SUT_CRASH("host-crash-sending", "the server's host crashes when the request has arrived",
              POINT(REQUEST), .strike = STRIKE_CUT),
    SUT_CRASH("host-crash-receiving", "the server's host crashes in the middle of the response",
              POINT(RESPONSE), .strike = STRIKE_CUT),
    SUT_CRASH("host-unreachable-sending", "a router says that the server's host is unreachable",
              POINT(CONNECT), .strike = STRIKE_UNREACHABLE),
    SUT_CRASH("host-reboot-reading", "the server's host reboots in the middle of the response",
              POINT(RESPONSE), .strike = STRIKE_REBOOT),
    SUT_CRASH("host-shutdown", "the server's host is shut down in the middle of the response",
              POINT(RESPONSE), .strike = STRIKE_SHUT_DOWN),
    SUT_CRASH("network-pause", "the network fails for two seconds, and recovers", POINT(RESPONSE),
              .survivable = true, .strike = STRIKE_PAUSE),
    SUT_CRASH("nat-timeout", "a NAT forgets the connection, and drops its segments",
              POINT(RESPONSE), .strike = STRIKE_FORGET),
    SUT_CRASH("nat-timeout-reset", "a NAT forgets the connection, and answers with RST",
              POINT(RESPONSE), .strike = STRIKE_FORGET_RESET),
};

static const struct scenario *const items[] = {
    &crashes[0], &crashes[1], &crashes[2], &crashes[3],  &crashes[4],  &crashes[5],  &crashes[6],
    &crashes[7], &crashes[8], &crashes[9], &crashes[10], &crashes[11], &crashes[12], NULL,
};

const struct scenario_set sut_crash_clients = {.command = "crash-sim", .items = items};
