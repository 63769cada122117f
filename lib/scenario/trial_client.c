/* The user's client, and netkit's server that dies at a point.
 *
 * The client has noticed when it ends, closes the connection's descriptor, or connects again,
 * whatever comes first. That its kernel knows (a FIN or RST arrived, the socket is in CLOSE-WAIT or
 * gone) is not enough: the descriptor is looked for in the client's processes. */
#include "scenario/trial.h"

#include "base/units.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LOOK_NS  (5 * NS_PER_MS)
#define PAUSE_NS (2 * NS_PER_SEC)

const struct scenario_setting trial_settings[] = {
    {SCENARIO_BOTH, "tcp_syn_retries", "6", true, false},
    {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "4", true, true},
    {SCENARIO_BOTH, "tcp_retries2", "15", true, false},
    {SCENARIO_BOTH, "tcp_rto_max_ms", "120000", true, true},
    {SCENARIO_BOTH, "tcp_keepalive_time", "7200", true, false},
    {SCENARIO_BOTH, "tcp_keepalive_intvl", "75", true, false},
    {SCENARIO_BOTH, "tcp_keepalive_probes", "9", true, false},
    {0}};

/* A way to die. */
struct way {
    struct peer_point point; /* when, unless --after says otherwise */
    bool deaf;               /* the server reads nothing */
    bool survivable;         /* the client must get through, and nothing is lost */
    void (*strike)(struct stage *stage, struct actor *server);
};

enum notice {
    NOTICE_NONE,
    NOTICE_EXIT,
    NOTICE_CLOSE,
    NOTICE_RETRY,
};
static const char *const notice_names[] = {NULL, "exit", "close", "retry"};

struct trial_facts {
    struct subject subject;
    struct subject_sockets sockets; /* at the point */
    int64_t struck_mono_ns, struck_real_ns;
    enum notice notice;
    int64_t noticed_ns; /* after it was struck */
    bool written;       /* data of the client was under way: its kernel retransmits */
};

/* ---- Ways to die ---- */

static void kill_server(struct stage *stage, struct actor *server)
{
    (void)stage;
    actor_signal(server, SIGKILL);
}

static void cut_link(struct stage *stage, struct actor *server)
{
    (void)server;
    stage_cut(stage);
}

static void answer_unreachable(struct stage *stage, struct actor *server)
{
    (void)server;
    stage_fault(stage, "answer-icmp any=host-unreachable dir c>s");
}

static void reboot_server(struct stage *stage, struct actor *server)
{
    (void)server;
    stage_reboot(stage, LAB_SERVER);
}

static void shut_down(struct stage *stage, struct actor *server)
{
    actor_signal(server, SIGTERM);
    actor_wait(server, STAGE_LIMIT_NS, NULL);
    stage_pass(stage, 1 * NS_PER_SEC);
    stage_cut(stage);
}

static void pause_link(struct stage *stage, struct actor *server)
{
    stage_cut(stage);
    actor_signal(server, SIGUSR1);
    stage_pass(stage, PAUSE_NS);
    stage_restore(stage);
}

/* The middle forgets this one connection: others pass. */
static void forget(struct stage *stage, struct actor *server, const char *action)
{
    const struct trial_facts *facts = stage_facts(stage, sizeof *facts);
    char line[80];

    snprintf(line, sizeof line, "%s \"tcp port %d\"", action, facts->sockets.local_port);
    stage_fault(stage, line);
    actor_signal(server, SIGUSR1);
}

static void forget_silently(struct stage *stage, struct actor *server)
{
    forget(stage, server, "drop");
}

static void forget_with_reset(struct stage *stage, struct actor *server)
{
    forget(stage, server, "answer-rst");
}

/* ---- The run ---- */

static struct peer_point point_of(const struct stage *stage)
{
    const struct way *way = stage->scenario->arg;
    const struct peer_point *given = &subject_request(stage)->peer.point;
    return given->when == PEER_WHEN_DEFAULT ? way->point : *given;
}

/* Waits until the server is at the point. */
static void wait_for_point(struct stage *stage, struct trial_facts *facts, struct peer_point point)
{
    const char *sign = point.when == PEER_WHEN_TIME ? "server=ESTABLISHED" : "mark=point";
    int64_t end_ns = clock_mono_ns() + subject_request(stage)->patience_ns;

    while (!stage_failed(stage) && !stage_saw(stage, sign, 0)) {
        if (subject_has_ended(stage, &facts->subject, LOOK_NS))
            subject_decline(stage,
                            "the client ended (%s) before the server had come to the point where "
                            "it was to die (--after)",
                            subject_end_text(stage, &facts->subject));
        else if (clock_mono_ns() >= end_ns)
            subject_decline(stage, "the client did nothing that brought the server to the point "
                                   "where it was to die (--after)");
    }
    if (point.when == PEER_WHEN_TIME)
        stage_pass(stage, point.amount);
}

static void note(struct trial_facts *facts, enum notice notice)
{
    if (facts->notice != NOTICE_NONE)
        return;
    facts->notice = notice;
    facts->noticed_ns = clock_mono_ns() - facts->struck_mono_ns;
}

static void watch(struct stage *stage, struct trial_facts *facts)
{
    int64_t end_ns = facts->struck_mono_ns + subject_request(stage)->patience_ns;

    while (!stage_failed(stage) && clock_mono_ns() < end_ns) {
        if (subject_has_ended(stage, &facts->subject, LOOK_NS)) {
            note(facts, NOTICE_EXIT);
            return;
        }
        if (facts->notice == NOTICE_NONE && stage_saw(stage, "seen c>s:syn", 0))
            note(facts, NOTICE_RETRY);
        if (facts->notice == NOTICE_NONE && facts->sockets.inode &&
            !subject_census(stage, facts->sockets.inode).holds)
            note(facts, NOTICE_CLOSE);
    }
}

static void run_trial(struct stage *stage)
{
    const struct way *way = stage->scenario->arg;
    const struct subject_request *request = subject_request(stage);
    struct trial_facts *facts = stage_facts(stage, sizeof *facts);
    struct actor *server = stage_server(stage);
    struct peer_job job = {&request->peer, point_of(stage), request->port, way->deaf};

    actor_begin(server, &PEER_ACT(peer_serve, job));
    stage_wait_socket(stage, LAB_SERVER, request->port, 0, TCP_LISTEN);
    subject_start(stage, &facts->subject);
    wait_for_point(stage, facts, job.point);
    facts->sockets = subject_sockets(stage, request->port);
    stage_from_here(stage);
    facts->struck_mono_ns = clock_mono_ns();
    facts->struck_real_ns = clock_real_ns();
    if (!stage_failed(stage))
        way->strike(stage, server);
    watch(stage, facts);
    subject_stop(stage, &facts->subject);
}

/* ---- What it amounts to ---- */

/* Connections that the client began afterwards. */
static void observe_retries(struct stage *stage, const struct trial_facts *facts)
{
    const struct result_connection_list *list = &stage->result->connections;
    int64_t struck_ns = facts->struck_real_ns - stage->started_real_ns, first_ns = RESULT_UNKNOWN;
    int64_t last_ns = 0, count = 0;

    for (size_t i = 0; i < list->count; i++) {
        int64_t at_ns = list->items[i].started_ns - struck_ns;
        if (at_ns < 0)
            continue;
        first_ns = count ? first_ns : at_ns;
        last_ns = at_ns;
        count++;
    }
    stage_observe_integer(stage, "retries", count);
    stage_observe_integer(stage, "first_retry_ns", first_ns);
    stage_observe_integer(stage, "retry_interval_ns",
                          count > 1 ? (last_ns - first_ns) / (count - 1) : RESULT_UNKNOWN);
}

static bool exited_with_0(const struct trial_facts *facts)
{
    return facts->subject.ended && facts->subject.exit.status == 0;
}

static const char *what_happened(struct stage *stage, const struct trial_facts *facts)
{
    char text[UNITS_TEXT_MAX], patience[UNITS_TEXT_MAX];

    units_format_duration(text, sizeof text, facts->noticed_ns, "u");
    units_format_duration(patience, sizeof patience, subject_request(stage)->patience_ns, "u");
    switch (facts->notice) {
    case NOTICE_NONE:
        return arena_printf(stage->arena, "The client did not notice within %s; it was waiting.",
                            patience);
    case NOTICE_EXIT:
        return arena_printf(stage->arena, "The client ended after %s: %s.", text,
                            subject_end_text(stage, &facts->subject));
    case NOTICE_CLOSE:
        return arena_printf(stage->arena, "The client closed the connection after %s.", text);
    case NOTICE_RETRY:
        return arena_printf(stage->arena, "The client connected again after %s.", text);
    }
    return "?";
}

static void check_death(struct stage *stage, const struct trial_facts *facts, const char *story)
{
    const struct subject_request *request = subject_request(stage);
    bool noticed = facts->notice != NOTICE_NONE, lied = exited_with_0(facts);
    int64_t most_ns = request->max_detect_ns ? request->max_detect_ns : request->patience_ns;
    bool retried = result_get(&stage->result->observed, "retries")->integer > 0;

    stage_check_bool(stage, "noticed", true, noticed);
    if (noticed)
        stage_expect_range(stage, "detect_ns", 0, most_ns);
    /* One that connected again may have got its answer there. */
    if (!retried)
        stage_check_bool(stage, "claims_success", false, lied);
    if (!noticed || facts->noticed_ns > most_ns)
        stage_blame(stage, FINDING_DEAD_PEER_UNNOTICED, story);
    else if (lied && !retried)
        stage_blame(stage, FINDING_TRUNCATION_ACCEPTED, story);
}

static void check_trial(struct stage *stage)
{
    const struct way *way = stage->scenario->arg;
    const struct trial_facts *facts = stage_facts(stage, sizeof *facts);
    const char *story = what_happened(stage, facts);
    struct result_map *summary = stage_summary(stage);

    stage_observe_text(stage, "noticed_by", notice_names[facts->notice]);
    stage_observe_integer(stage, "detect_ns",
                          facts->notice != NOTICE_NONE ? facts->noticed_ns : RESULT_UNKNOWN);
    subject_observe_end(stage, &facts->subject);
    observe_retries(stage, facts);
    if (way->survivable) {
        stage_check_bool(stage, "survived", true, exited_with_0(facts) || !facts->subject.ended);
        stage_blame(
            stage, FINDING_PROGRAM_FAILED,
            arena_printf(stage->arena, "Nothing was lost, and yet the client failed. %s", story));
    } else {
        check_death(stage, facts, story);
    }
    result_set_text(stage->arena, summary, "noticed by",
                    way->survivable && exited_with_0(facts) ? "survived"
                    : notice_names[facts->notice]           ? notice_names[facts->notice]
                                                            : "nothing");
    result_set_integer(stage->arena, summary, "after_ns",
                       facts->notice != NOTICE_NONE ? facts->noticed_ns : RESULT_UNKNOWN);
    result_set_text(stage->arena, summary, "ended", subject_end_text(stage, &facts->subject));
    result_copy(stage->arena, summary, result_get(&stage->result->observed, "retries"));
}

/* ---- The rows ---- */

#define WAY(id, ...) static const struct way way_##id = {__VA_ARGS__}
WAY(idle, .point = {PEER_WHEN_CONNECT, 0}, .strike = kill_server);
WAY(unread, .point = {PEER_WHEN_TIME, 100 * NS_PER_MS}, .deaf = true, .strike = kill_server);
WAY(reading, .point = {PEER_WHEN_REQUEST, 0}, .strike = kill_server);
WAY(writing, .point = {PEER_WHEN_RESPONSE, 0}, .strike = kill_server);
WAY(host_idle, .point = {PEER_WHEN_CONNECT, 0}, .strike = cut_link);
WAY(host_sending, .point = {PEER_WHEN_REQUEST, 0}, .strike = cut_link);
WAY(host_receiving, .point = {PEER_WHEN_RESPONSE, 0}, .strike = cut_link);
WAY(unreachable, .point = {PEER_WHEN_CONNECT, 0}, .strike = answer_unreachable);
WAY(reboot, .point = {PEER_WHEN_RESPONSE, 0}, .strike = reboot_server);
WAY(shutdown, .point = {PEER_WHEN_RESPONSE, 0}, .strike = shut_down);
WAY(pause, .point = {PEER_WHEN_RESPONSE, 0}, .survivable = true, .strike = pause_link);
WAY(nat, .point = {PEER_WHEN_RESPONSE, 0}, .strike = forget_silently);
WAY(nat_reset, .point = {PEER_WHEN_RESPONSE, 0}, .strike = forget_with_reset);

#define TRIAL(id, name_, title_)                                                                   \
    static const struct scenario trial_##id = {.name = (name_),                                    \
                                               .title = (title_),                                  \
                                               .settings = trial_settings,                         \
                                               .run = run_trial,                                   \
                                               .check = check_trial,                               \
                                               .arg = &way_##id}

TRIAL(idle, "process-crash-idle", "the server's process is killed once the client is connected");
TRIAL(unread, "process-crash-unread", "it is killed with the request unread: RST instead of FIN");
TRIAL(reading, "process-crash-reading", "it is killed when it has read the request");
TRIAL(writing, "process-crash-writing", "it is killed in the middle of its answer");
TRIAL(host_idle, "host-crash-idle", "its host dies once the client is connected");
TRIAL(host_sending, "host-crash-sending", "its host dies when the request has come");
TRIAL(host_receiving, "host-crash-receiving", "its host dies in the middle of the answer");
TRIAL(unreachable, "host-unreachable-sending", "a router says that the host is unreachable");
TRIAL(reboot, "host-reboot-reading", "its host reboots in the middle of the answer");
TRIAL(shutdown, "host-shutdown", "its host is shut down in the middle of the answer");
TRIAL(pause, "network-pause", "the network is away for two seconds, and comes back");
TRIAL(nat, "nat-timeout", "the middle forgets the connection, silently");
TRIAL(nat_reset, "nat-timeout-reset", "the middle forgets the connection, and answers RST");

static const struct scenario *const items[] = {
    &trial_idle,           &trial_unread,
    &trial_reading,        &trial_writing,
    &trial_host_idle,      &trial_host_sending,
    &trial_host_receiving, &trial_unreachable,
    &trial_reboot,         &trial_shutdown,
    &trial_pause,          &trial_nat,
    &trial_nat_reset,      NULL,
};

const struct scenario_set trial_clients = {.command = "crash-sim", .items = items};
