/* The user's client, and netkit's server that dies at a point.
 *
 * The client has noticed when it ends, closes the connection's descriptor, or connects again,
 * whatever comes first. That its kernel knows (a FIN or RST arrived, the socket is in CLOSE-WAIT or
 * gone) is not enough: the descriptor is looked for in the client's processes. */
#include "scenario/programs/sut_crash.h"

#include "base/units.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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

/* A way to die. */
struct way {
    struct stub_peer_point point; /* when, unless --after says otherwise */
    bool deaf;                    /* the server reads nothing */
    bool survivable;              /* the client must get through, and nothing is lost */
    void (*strike)(struct testbed *bed, struct agent *server);
};

enum notice {
    NOTICE_NONE,
    NOTICE_EXIT,
    NOTICE_CLOSE,
    NOTICE_RETRY,
};
static const char *const notice_names[] = {NULL, "exit", "close", "retry"};

struct sut_crash_facts {
    struct sut subject;
    struct sut_sockets sockets; /* at the point */
    int64_t struck_mono_ns, struck_real_ns;
    enum notice notice;
    int64_t noticed_ns; /* after it was struck */
    bool written;       /* data of the client was under way: its kernel retransmits */
};

/* ---- Ways to die ---- */

static void kill_server(struct testbed *bed, struct agent *server)
{
    (void)bed;
    agent_signal(server, SIGKILL);
}

static void cut_link(struct testbed *bed, struct agent *server)
{
    (void)server;
    testbed_cut(bed);
}

static void answer_unreachable(struct testbed *bed, struct agent *server)
{
    (void)server;
    testbed_fault(bed, "answer-icmp any=host-unreachable dir c>s");
}

static void reboot_server(struct testbed *bed, struct agent *server)
{
    (void)server;
    testbed_reboot(bed, LAB_SERVER);
}

static void shut_down(struct testbed *bed, struct agent *server)
{
    agent_signal(server, SIGTERM);
    agent_wait(server, TESTBED_LIMIT_NS, NULL);
    testbed_pass(bed, 1 * NS_PER_SEC);
    testbed_cut(bed);
}

static void pause_link(struct testbed *bed, struct agent *server)
{
    testbed_cut(bed);
    agent_signal(server, SIGUSR1);
    testbed_pass(bed, PAUSE_NS);
    testbed_restore(bed);
}

/* The middle forgets this one connection: others pass. */
static void forget(struct testbed *bed, struct agent *server, const char *action)
{
    const struct sut_crash_facts *facts = testbed_facts(bed, sizeof *facts);
    char line[80];

    snprintf(line, sizeof line, "%s \"tcp port %d\"", action, facts->sockets.local_port);
    testbed_fault(bed, line);
    agent_signal(server, SIGUSR1);
}

static void forget_silently(struct testbed *bed, struct agent *server)
{
    forget(bed, server, "drop");
}

static void forget_with_reset(struct testbed *bed, struct agent *server)
{
    forget(bed, server, "answer-rst");
}

/* ---- The run ---- */

static struct stub_peer_point point_of(const struct testbed *bed)
{
    const struct way *way = bed->scenario->arg;
    const struct stub_peer_point *given = &sut_request(bed)->peer.point;
    return given->when == STUB_PEER_WHEN_DEFAULT ? way->point : *given;
}

/* Waits until the server is at the point. */
static void wait_for_point(struct testbed *bed, struct sut_crash_facts *facts,
                           struct stub_peer_point point)
{
    const char *sign = point.when == STUB_PEER_WHEN_TIME ? "server=ESTABLISHED" : "mark=point";
    int64_t end_ns = clock_mono_ns() + sut_request(bed)->patience_ns;

    while (!testbed_failed(bed) && !testbed_saw(bed, sign, 0)) {
        if (sut_has_ended(bed, &facts->subject, LOOK_NS))
            sut_decline(bed,
                        "the client ended (%s) before the server had come to the point where "
                        "it was to die (--after)",
                        sut_end_text(bed, &facts->subject));
        else if (clock_mono_ns() >= end_ns)
            sut_decline(bed, "the client did nothing that brought the server to the point "
                             "where it was to die (--after)");
    }
    if (point.when == STUB_PEER_WHEN_TIME)
        testbed_pass(bed, point.amount);
}

static void note(struct sut_crash_facts *facts, enum notice notice)
{
    if (facts->notice != NOTICE_NONE)
        return;
    facts->notice = notice;
    facts->noticed_ns = clock_mono_ns() - facts->struck_mono_ns;
}

static void watch(struct testbed *bed, struct sut_crash_facts *facts)
{
    int64_t end_ns = facts->struck_mono_ns + sut_request(bed)->patience_ns;

    while (!testbed_failed(bed) && clock_mono_ns() < end_ns) {
        if (sut_has_ended(bed, &facts->subject, LOOK_NS)) {
            note(facts, NOTICE_EXIT);
            return;
        }
        if (facts->notice == NOTICE_NONE && testbed_saw(bed, "seen c>s:syn", 0))
            note(facts, NOTICE_RETRY);
        if (facts->notice == NOTICE_NONE && facts->sockets.inode &&
            !sut_census(bed, facts->sockets.inode).holds)
            note(facts, NOTICE_CLOSE);
    }
}

static void run_trial(struct testbed *bed)
{
    const struct way *way = bed->scenario->arg;
    const struct sut_request *request = sut_request(bed);
    struct sut_crash_facts *facts = testbed_facts(bed, sizeof *facts);
    struct agent *server = testbed_server(bed);
    struct stub_peer_job job = {&request->peer, point_of(bed), request->port, way->deaf};

    agent_begin(server, &STUB_PEER_ACT(stub_peer_serve, job));
    testbed_wait_socket(bed, LAB_SERVER, request->port, 0, TCP_LISTEN);
    sut_start(bed, &facts->subject);
    wait_for_point(bed, facts, job.point);
    facts->sockets = sut_sockets(bed, request->port);
    testbed_from_here(bed);
    facts->struck_mono_ns = clock_mono_ns();
    facts->struck_real_ns = clock_real_ns();
    if (!testbed_failed(bed))
        way->strike(bed, server);
    watch(bed, facts);
    sut_stop(bed, &facts->subject);
}

/* ---- What it amounts to ---- */

/* Connections that the client began afterwards. */
static void observe_retries(struct testbed *bed, const struct sut_crash_facts *facts)
{
    const struct result_connection_list *list = &bed->result->connections;
    int64_t struck_ns = facts->struck_real_ns - bed->started_real_ns, first_ns = RESULT_UNKNOWN;
    int64_t last_ns = 0, count = 0;

    for (size_t i = 0; i < list->count; i++) {
        int64_t at_ns = list->items[i].started_ns - struck_ns;
        if (at_ns < 0)
            continue;
        first_ns = count ? first_ns : at_ns;
        last_ns = at_ns;
        count++;
    }
    testbed_observe_integer(bed, "retries", count);
    testbed_observe_integer(bed, "first_retry_ns", first_ns);
    testbed_observe_integer(bed, "retry_interval_ns",
                            count > 1 ? (last_ns - first_ns) / (count - 1) : RESULT_UNKNOWN);
}

static bool exited_with_0(const struct sut_crash_facts *facts)
{
    return facts->subject.ended && facts->subject.exit.status == 0;
}

static const char *what_happened(struct testbed *bed, const struct sut_crash_facts *facts)
{
    char text[UNITS_TEXT_MAX], patience[UNITS_TEXT_MAX];

    units_format_duration(text, sizeof text, facts->noticed_ns, "u");
    units_format_duration(patience, sizeof patience, sut_request(bed)->patience_ns, "u");
    switch (facts->notice) {
    case NOTICE_NONE:
        return arena_printf(bed->arena, "The client did not notice within %s; it was waiting.",
                            patience);
    case NOTICE_EXIT:
        return arena_printf(bed->arena, "The client ended after %s: %s.", text,
                            sut_end_text(bed, &facts->subject));
    case NOTICE_CLOSE:
        return arena_printf(bed->arena, "The client closed the connection after %s.", text);
    case NOTICE_RETRY:
        return arena_printf(bed->arena, "The client connected again after %s.", text);
    }
    return "?";
}

static void check_death(struct testbed *bed, const struct sut_crash_facts *facts, const char *story)
{
    const struct sut_request *request = sut_request(bed);
    bool noticed = facts->notice != NOTICE_NONE, lied = exited_with_0(facts);
    int64_t most_ns = request->max_detect_ns ? request->max_detect_ns : request->patience_ns;
    bool retried = result_get(&bed->result->observed, "retries")->integer > 0;

    testbed_check_bool(bed, "noticed", true, noticed);
    if (noticed)
        testbed_expect_range(bed, "detect_ns", 0, most_ns);
    /* One that connected again may have got its answer there. */
    if (!retried)
        testbed_check_bool(bed, "claims_success", false, lied);
    if (!noticed || facts->noticed_ns > most_ns)
        testbed_blame(bed, FINDING_DEAD_PEER_UNNOTICED, story);
    else if (lied && !retried)
        testbed_blame(bed, FINDING_TRUNCATION_ACCEPTED, story);
}

static void check_trial(struct testbed *bed)
{
    const struct way *way = bed->scenario->arg;
    const struct sut_crash_facts *facts = testbed_facts(bed, sizeof *facts);
    const char *story = what_happened(bed, facts);
    struct result_map *summary = testbed_summary(bed);

    testbed_observe_text(bed, "noticed_by", notice_names[facts->notice]);
    testbed_observe_integer(bed, "detect_ns",
                            facts->notice != NOTICE_NONE ? facts->noticed_ns : RESULT_UNKNOWN);
    sut_observe_end(bed, &facts->subject);
    observe_retries(bed, facts);
    if (way->survivable) {
        testbed_check_bool(bed, "survived", true, exited_with_0(facts) || !facts->subject.ended);
        testbed_blame(
            bed, FINDING_PROGRAM_FAILED,
            arena_printf(bed->arena, "Nothing was lost, and yet the client failed. %s", story));
    } else {
        check_death(bed, facts, story);
    }
    result_set_text(bed->arena, summary, "noticed by",
                    way->survivable && exited_with_0(facts) ? "survived"
                    : notice_names[facts->notice]           ? notice_names[facts->notice]
                                                            : "nothing");
    result_set_integer(bed->arena, summary, "after_ns",
                       facts->notice != NOTICE_NONE ? facts->noticed_ns : RESULT_UNKNOWN);
    result_set_text(bed->arena, summary, "ended", sut_end_text(bed, &facts->subject));
    result_copy(bed->arena, summary, result_get(&bed->result->observed, "retries"));
}

/* ---- The rows ---- */

#define WAY(id, ...) static const struct way way_##id = {__VA_ARGS__}
WAY(idle, .point = {STUB_PEER_WHEN_CONNECT, 0}, .strike = kill_server);
WAY(unread, .point = {STUB_PEER_WHEN_TIME, 100 * NS_PER_MS}, .deaf = true, .strike = kill_server);
WAY(reading, .point = {STUB_PEER_WHEN_REQUEST, 0}, .strike = kill_server);
WAY(writing, .point = {STUB_PEER_WHEN_RESPONSE, 0}, .strike = kill_server);
WAY(host_idle, .point = {STUB_PEER_WHEN_CONNECT, 0}, .strike = cut_link);
WAY(host_sending, .point = {STUB_PEER_WHEN_REQUEST, 0}, .strike = cut_link);
WAY(host_receiving, .point = {STUB_PEER_WHEN_RESPONSE, 0}, .strike = cut_link);
WAY(unreachable, .point = {STUB_PEER_WHEN_CONNECT, 0}, .strike = answer_unreachable);
WAY(reboot, .point = {STUB_PEER_WHEN_RESPONSE, 0}, .strike = reboot_server);
WAY(shutdown, .point = {STUB_PEER_WHEN_RESPONSE, 0}, .strike = shut_down);
WAY(pause, .point = {STUB_PEER_WHEN_RESPONSE, 0}, .survivable = true, .strike = pause_link);
WAY(nat, .point = {STUB_PEER_WHEN_RESPONSE, 0}, .strike = forget_silently);
WAY(nat_reset, .point = {STUB_PEER_WHEN_RESPONSE, 0}, .strike = forget_with_reset);

#define SUT_CRASH(id, name_, title_)                                                               \
    static const struct scenario sut_crash_##id = {.name = (name_),                                \
                                                   .title = (title_),                              \
                                                   .settings = sut_crash_settings,                 \
                                                   .play = run_trial,                              \
                                                   .check = check_trial,                           \
                                                   .arg = &way_##id}

SUT_CRASH(idle, "process-crash-idle",
          "the server's process is killed once the client is connected");
SUT_CRASH(unread, "process-crash-unread",
          "it is killed with the request unread: RST instead of FIN");
SUT_CRASH(reading, "process-crash-reading", "it is killed when it has read the request");
SUT_CRASH(writing, "process-crash-writing", "it is killed in the middle of its answer");
SUT_CRASH(host_idle, "host-crash-idle", "its host dies once the client is connected");
SUT_CRASH(host_sending, "host-crash-sending", "its host dies when the request has come");
SUT_CRASH(host_receiving, "host-crash-receiving", "its host dies in the middle of the answer");
SUT_CRASH(unreachable, "host-unreachable-sending", "a router says that the host is unreachable");
SUT_CRASH(reboot, "host-reboot-reading", "its host reboots in the middle of the answer");
SUT_CRASH(shutdown, "host-shutdown", "its host is shut down in the middle of the answer");
SUT_CRASH(pause, "network-pause", "the network is away for two seconds, and comes back");
SUT_CRASH(nat, "nat-timeout", "the middle forgets the connection, silently");
SUT_CRASH(nat_reset, "nat-timeout-reset", "the middle forgets the connection, and answers RST");

static const struct scenario *const items[] = {
    &sut_crash_idle,           &sut_crash_unread,
    &sut_crash_reading,        &sut_crash_writing,
    &sut_crash_host_idle,      &sut_crash_host_sending,
    &sut_crash_host_receiving, &sut_crash_unreachable,
    &sut_crash_reboot,         &sut_crash_shutdown,
    &sut_crash_pause,          &sut_crash_nat,
    &sut_crash_nat_reset,      NULL,
};

const struct scenario_set sut_crash_clients = {.command = "crash-sim", .items = items};
