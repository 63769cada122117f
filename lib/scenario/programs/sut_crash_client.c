/* The user's client, and netkit's server that crashes at an exact point.
 *
 * What the client's kernel does afterwards depends on what is in flight. While data of the client
 * are unacknowledged it retransmits, and only TCP_USER_TIMEOUT or tcp_retries2 ends that: keepalive
 * is silent. Where nothing is, it is silent, and only keepalive ends that. So a crash of the first
 * kind is a cut by the wire at the very segment that carries the client's data, and one of the
 * second waits until both kernels have nothing unacknowledged.
 *
 * The client has noticed when it ends, closes the connection's descriptor, or connects again,
 * whichever comes first. That its kernel knows (a FIN or RST arrived, the socket is in CLOSE-WAIT
 * or gone) is not enough: the descriptor is looked for in the client's processes. */
#include "scenario/programs/sut.h"

#include "base/units.h"
#include "packet/packet.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS  (5 * NS_PER_MS)
#define PAUSE_NS (2 * NS_PER_SEC)
/* Nothing under way for so long: the client waits. */
#define QUIET_NS (100 * NS_PER_MS)

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
    bool in_flight;  /* it takes the next data of the client away */
    bool quiet;      /* it waits until nothing is in flight */
    bool survivable; /* nothing is lost: the client must get its response */
};

enum notice { NOTICE_NONE, NOTICE_EXIT, NOTICE_CLOSE, NOTICE_RETRY };
static const char *const notice_names[] = {NULL, "exit", "close", "retry"};

/* ---- The run ---- */

struct crash {
    struct sut sut;
    struct stub_peer_point point;
    struct sut_sockets sockets; /* of the client, in the moment before */
    int64_t struck_mono_ns, struck_real_ns, restored_real_ns;
    enum notice notice;
    int64_t after_ns; /* of the notice */
};

static const struct crash_way *way_of(const struct testbed *bed)
{
    return bed->scenario->arg;
}

/* Waits, until end_ns, for what first shows that the client has noticed, and for its end in any
 * case, as its status counts, too. */
static void watch(struct testbed *bed, struct crash *crash, int64_t end_ns)
{
    uint32_t inode = crash->sockets.inode;

    for (bool ended = false; !ended && !testbed_failed(bed) && clock_mono_ns() < end_ns;) {
        ended = sut_has_ended(bed, &crash->sut, LOOK_NS);
        if (crash->notice != NOTICE_NONE)
            continue;
        if (ended)
            crash->notice = NOTICE_EXIT;
        else if (testbed_saw(bed, "seen c>s:syn", 0))
            crash->notice = NOTICE_RETRY;
        else if (inode && !sut_census(bed, inode).holds)
            crash->notice = NOTICE_CLOSE;
        if (crash->notice != NOTICE_NONE)
            crash->after_ns = clock_mono_ns() - crash->struck_mono_ns;
    }
}

/* The rest of the response is on its way meanwhile. */
static void pause_network(struct testbed *bed, struct crash *crash)
{
    int64_t end_ns = crash->struck_mono_ns + PAUSE_NS;

    testbed_cut(bed);
    agent_signal(testbed_server(bed), SIGUSR1);
    watch(bed, crash, end_ns);
    testbed_pass(bed, end_ns - clock_mono_ns());
    crash->restored_real_ns = clock_real_ns();
    testbed_restore(bed);
}

static void strike(struct testbed *bed, struct crash *crash)
{
    enum strike how = way_of(bed)->strike;
    struct agent *server = testbed_server(bed);

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
        pause_network(bed, crash);
        return;
    case STRIKE_FORGET:
    case STRIKE_FORGET_RESET:
        testbed_fault(bed, "%s \"tcp port %d\"", how == STRIKE_FORGET_RESET ? "answer-rst" : "drop",
                      crash->sockets.local_port);
        agent_signal(server, SIGUSR1);
        return;
    }
}

static struct stub_peer_point point_of(const struct testbed *bed)
{
    const struct stub_peer_point *given = &sut_request(bed)->peer.point;
    return given->when == STUB_PEER_WHEN_DEFAULT ? way_of(bed)->point : *given;
}

/* Waits for the sign of something that the client has to bring about. */
static void wait_for_sign(struct testbed *bed, struct sut *sut, const char *sign, const char *what)
{
    int64_t end_ns = clock_mono_ns() + sut_request(bed)->patience_ns;

    while (!testbed_failed(bed) && !testbed_saw(bed, sign, 0)) {
        if (sut_has_ended(bed, sut, LOOK_NS) && !testbed_saw(bed, sign, LOOK_NS))
            sut_decline(bed, "the client ended (%s) before %s", sut_end_text(bed, sut), what);
        else if (clock_mono_ns() >= end_ns)
            sut_decline(bed, "the client did nothing that brought it about that %s", what);
    }
}

/* Waits until the server is at the point. */
static void wait_for_point(struct testbed *bed, struct crash *crash)
{
    bool timed = crash->point.when == STUB_PEER_WHEN_TIME;

    wait_for_sign(bed, &crash->sut, timed ? "server=ESTABLISHED" : "mark=point",
                  "the server came to the point where it was to crash (--after)");
    if (timed)
        testbed_pass(bed, crash->point.amount);
}

/* Until neither kernel waits for an ACK, and has not for a while: a client that sends all the time
 * is not waited for. */
static void wait_for_quiet(struct testbed *bed, struct crash *crash)
{
    uint16_t port = sut_request(bed)->port;
    int64_t now_ns = clock_mono_ns(), end_ns = now_ns + TESTBED_LIMIT_NS, since_ns = now_ns;

    while (!testbed_failed(bed) && now_ns - since_ns < QUIET_NS && now_ns < end_ns &&
           !sut_has_ended(bed, &crash->sut, LOOK_NS)) {
        now_ns = clock_mono_ns();
        if (sut_sockets(bed, port).unacknowledged || sut_peer_unacknowledged(bed))
            since_ns = now_ns;
    }
    if (crash->sut.ended)
        sut_decline(bed, "the client ended (%s) and did not wait for its response",
                    sut_end_text(bed, &crash->sut));
}

/* The wire takes the client's next data, and everything after them. */
static void lie_in_wait(struct testbed *bed)
{
    testbed_fault(bed, "%s dir c>s",
                  way_of(bed)->strike == STRIKE_CUT ? "cut data"
                                                    : "answer-icmp data=host-unreachable");
}

/* Takes the client to the moment before the crash. */
static void start(struct testbed *bed, struct crash *crash)
{
    const struct crash_way *way = way_of(bed);
    struct stub_peer_job job = {.point = point_of(bed), .deaf = way->deaf};
    bool at_once = way->in_flight && job.point.when == STUB_PEER_WHEN_CONNECT;

    crash->point = job.point;
    if (at_once) { /* the server must not stop before the data come */
        job.point = (struct stub_peer_point){.when = STUB_PEER_WHEN_TIME, .amount = INT64_MAX};
        lie_in_wait(bed);
    }
    sut_start_client(bed, &crash->sut, &job);
    if (!at_once)
        wait_for_point(bed, crash);
    if (way->in_flight && !at_once) {
        testbed_from_here(bed);
        lie_in_wait(bed);
    }
    if (way->in_flight)
        wait_for_sign(bed, &crash->sut, "dropped c>s:data",
                      "it sent data that could be in flight when the server crashes (--after)");
    if (way->quiet)
        wait_for_quiet(bed, crash);
    crash->sockets = sut_sockets(bed, sut_request(bed)->port);
    testbed_from_here(bed);
}

/* ---- The verdict ---- */

/* Connections that the client began afterwards. Returns how many; *first_out_ns is when the first
 * one was, after struck_ns. */
static int64_t observe_retries(struct testbed *bed, int64_t struck_ns, int64_t *first_out_ns)
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
    *first_out_ns = first_ns;
    return count;
}

static const char *duration(struct testbed *bed, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    return arena_copy(bed->arena, units_format_duration(text, sizeof text, ns, "u"));
}

static const char *what_happened(struct testbed *bed, const struct crash *crash)
{
    const char *after = duration(bed, crash->after_ns);

    switch (crash->notice) {
    case NOTICE_NONE:
        return arena_printf(bed->arena, "The client did not notice within %s: it still waited.",
                            duration(bed, sut_request(bed)->patience_ns));
    case NOTICE_EXIT:
        return arena_printf(bed->arena, "The client ended after %s: %s.", after,
                            sut_end_text(bed, &crash->sut));
    case NOTICE_CLOSE:
        return arena_printf(bed->arena, "The client closed the connection after %s.", after);
    case NOTICE_RETRY:
        return arena_printf(bed->arena, "The client connected again after %s.", after);
    }
    return "?";
}

/* What the client's connection carried after the crash, and what the client began. */
struct aftermath {
    bool sent;          /* data of the client's, or again */
    bool sent_in_pause; /* data that it had not sent before, while nothing passed */
    int64_t rest, got;  /* bytes of the response: to come at the crash, arrived. RESULT_UNKNOWN */
    int64_t whole_ns;   /* when the rest had arrived, since the crash; RESULT_UNKNOWN */
    bool left;          /* its FIN or RST came before that */
    int64_t retries, first_retry_ns;
};

static bool is_of_client(const struct trace_event *event, uint16_t client_port)
{
    const struct trace_segment *segment = &event->segment;
    return event->kind == TRACE_SEGMENT && segment->protocol == TRACE_TCP &&
           segment->fate != TRACE_MADE &&
           (segment->from_client ? segment->source_port : segment->destination_port) == client_port;
}

static int64_t rest_of(const struct testbed *bed)
{
    for (size_t i = 0; i < bed->event_count; i++)
        if (bed->events[i].kind == TRACE_MARK &&
            !strncmp(bed->events[i].text, STUB_PEER_REST, strlen(STUB_PEER_REST)))
            return strtoll(bed->events[i].text + strlen(STUB_PEER_REST), NULL, 10);
    return RESULT_UNKNOWN;
}

static struct aftermath observe_aftermath(struct testbed *bed, const struct crash *crash)
{
    int64_t rest = rest_of(bed);
    struct aftermath after = {.rest = rest, .whole_ns = rest ? RESULT_UNKNOWN : 0};
    uint32_t highest[2] = {0}; /* past what was sent by the client, arrived from the server */

    for (size_t i = 0; i < bed->event_count; i++) {
        const struct trace_event *event = &bed->events[i];
        const struct trace_segment *segment = &event->segment;
        if (!is_of_client(event, crash->sockets.local_port))
            continue;
        int64_t at_ns = event->at_real_ns - crash->struck_real_ns;
        bool opens = segment->flags & SEGMENT_SYN, server = !segment->from_client;
        uint32_t end = segment->sequence + segment->payload_bytes + opens;
        int64_t fresh = opens ? 0 : (int32_t)(end - highest[server]);
        if (server && segment->departed_real_ns == CLOCK_NONE)
            continue;
        if (opens || fresh > 0)
            highest[server] = end;
        if (at_ns < 0)
            continue;
        if (server) {
            after.got += fresh > 0 ? fresh : 0;
            if (fresh > 0 && after.whole_ns == RESULT_UNKNOWN && after.got >= after.rest)
                after.whole_ns = at_ns;
        } else {
            after.sent |= segment->payload_bytes > 0;
            after.sent_in_pause |=
                segment->payload_bytes && fresh > 0 && event->at_real_ns < crash->restored_real_ns;
            after.left |= (segment->flags & (SEGMENT_FIN | SEGMENT_RST)) && after.got < after.rest;
        }
    }
    after.retries =
        observe_retries(bed, crash->struck_real_ns - bed->started_real_ns, &after.first_retry_ns);
    return after;
}

/* ---- A client that must notice ---- */

/* Says what helps, by what was in flight. */
static void advise(struct testbed *bed, bool in_flight)
{
    testbed_remedy(
        bed, RESULT_SIDE_CLIENT, "%s",
        in_flight ? "Data of the client were unacknowledged, and keepalive is silent then: give "
                    "every request a time limit (the library's own, poll with a timeout, "
                    "SO_RCVTIMEO), or set TCP_USER_TIMEOUT. Without either, only tcp_retries2 ends "
                    "it, after a quarter of an hour with the defaults."
                  : "Nothing of the client was unacknowledged: it only waited, and TCP sends "
                    "nothing then. Give every answer a time limit (the library's own, poll with a "
                    "timeout, SO_RCVTIMEO), or set SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL "
                    "and TCP_KEEPCNT. TCP_USER_TIMEOUT alone does nothing here.");
}

static void check_notice(struct testbed *bed, const struct crash *crash,
                         const struct aftermath *after, const char *story)
{
    bool retried = after->retries > 0;
    const struct sut_request *request = sut_request(bed);
    bool in_flight = way_of(bed)->in_flight || after->sent;
    int64_t most_ns = request->max_detect_ns ? request->max_detect_ns : request->patience_ns;
    bool noticed = crash->notice != NOTICE_NONE;
    bool succeeded = crash->sut.ended && crash->sut.exit.status == 0;

    testbed_observe(bed, INTEGER("unacknowledged_bytes", crash->sockets.unacknowledged),
                    BOOL("sent_afterwards", after->sent));
    testbed_check_bool(bed, "noticed", true, noticed);
    if (noticed)
        testbed_expect_range(bed, "detect_ns", 0, most_ns);
    /* A client that connected again may have got its response there. */
    if (!retried)
        testbed_check_bool(bed, "claims_success", false, succeeded);
    if (!noticed || crash->after_ns > most_ns) {
        testbed_blame(bed, FINDING_DEAD_PEER_UNNOTICED, "%s", story);
        advise(bed, in_flight);
    } else if (succeeded && !retried && way_of(bed)->in_flight) {
        testbed_blame(bed, FINDING_DEAD_PEER_UNNOTICED,
                      "%s What it had sent was never acknowledged: that a write returns says only "
                      "that the client's own kernel has the data.",
                      story);
        testbed_remedy(bed, RESULT_SIDE_CLIENT,
                       "Read an answer, or at least to the end of the stream after "
                       "shutdown(SHUT_WR), before you call it done.");
    } else if (succeeded && !retried) {
        testbed_blame(bed, FINDING_TRUNCATION_ACCEPTED, "%s", story);
    }
}

/* ---- A client that must survive ---- */

/* Whether it began a connection before it had its whole response. */
static bool reconnected(const struct aftermath *after)
{
    return after->retries &&
           (after->whole_ns == RESULT_UNKNOWN || after->first_retry_ns < after->whole_ns);
}

/* What it did, in a word; NULL: it gave up. */
static const char *way_of_survival(const struct crash *crash, const struct aftermath *after)
{
    bool failed = crash->sut.ended && crash->sut.exit.status;

    return failed                 ? NULL
           : reconnected(after)   ? "reconnected"
           : after->left          ? NULL
           : after->sent_in_pause ? "sent-again"
                                  : "waited";
}

static const char *story_of_survival(struct testbed *bed, const struct crash *crash,
                                     const struct aftermath *after)
{
    const char *did = after->left ? "gave its connection up before the whole response was there"
                      : after->whole_ns == RESULT_UNKNOWN
                          ? "kept its connection, and not all of the response came"
                          : arena_printf(bed->arena,
                                         "kept its connection, and got the rest of "
                                         "the response %s after the network had "
                                         "failed (for %s)",
                                         duration(bed, after->whole_ns), duration(bed, PAUSE_NS));
    const char *sent = after->sent_in_pause ? "; meanwhile it sent more" : "";
    const char *again = reconnected(after)
                            ? arena_printf(bed->arena, "; it connected again after %s",
                                           duration(bed, after->first_retry_ns))
                            : "";
    const char *end = crash->sut.ended ? sut_end_text(bed, &crash->sut) : "it still runs";

    return arena_printf(bed->arena, "The client %s%s%s; %s.", did, sent, again, end);
}

/* Returns what it did. */
static const char *check_survival(struct testbed *bed, const struct crash *crash,
                                  const struct aftermath *after)
{
    const char *by = way_of_survival(crash, after);
    const char *story = story_of_survival(bed, crash, after);

    testbed_check_bool(bed, "survived", true, by != NULL);
    testbed_observe(bed, TEXT("survived_by", by), INTEGER("response_ns", after->whole_ns));
    testbed_explain(bed, story);
    if (crash->sut.ended && !crash->sut.exit.status)
        testbed_blame(bed, FINDING_TRUNCATION_ACCEPTED, "%s", story);
    testbed_blame(bed, FINDING_PROGRAM_FAILED, "Nothing was lost, but the client failed. %s",
                  story);
    return by;
}

static void judge(struct testbed *bed, const struct crash *crash)
{
    const char *by = notice_names[crash->notice];

    testbed_observe(bed, TEXT("noticed_by", by), INTEGER("detect_ns", crash->after_ns));
    sut_observe_end(bed, &crash->sut);
    struct aftermath after = observe_aftermath(bed, crash);
    if (way_of(bed)->survivable) {
        const char *survived = check_survival(bed, crash, &after);
        by = survived ? survived : by;
    } else {
        check_notice(bed, crash, &after, what_happened(bed, crash));
    }
    testbed_summarize(
        bed, TEXT("noticed by", by ? by : "nothing"), INTEGER("after_ns", crash->after_ns),
        TEXT("ended", sut_end_text(bed, &crash->sut)), INTEGER("retries", after.retries));
}

static void play_crash(struct testbed *bed)
{
    struct crash crash = {.after_ns = RESULT_UNKNOWN};

    start(bed, &crash);
    crash.struck_mono_ns = clock_mono_ns();
    crash.struck_real_ns = clock_real_ns();
    if (!testbed_failed(bed))
        strike(bed, &crash);
    watch(bed, &crash, crash.struck_mono_ns + sut_request(bed)->patience_ns);
    sut_stop(bed, &crash.sut);
    testbed_finish(bed);
    if (!testbed_failed(bed))
        judge(bed, &crash);
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
    SUT_CRASH("host-crash-idle",
              "the server's host crashes once the client is connected and nothing is in flight",
              POINT(CONNECT), .quiet = true, .strike = STRIKE_CUT),
    SUT_CRASH("host-crash-sending",
              "the server's host crashes with the client's request unacknowledged", POINT(CONNECT),
              .in_flight = true, .strike = STRIKE_CUT),
    SUT_CRASH("host-crash-receiving",
              "the server's host crashes while the client only waits for the rest of the response",
              POINT(RESPONSE), .quiet = true, .strike = STRIKE_CUT),
    SUT_CRASH("host-unreachable-sending",
              "a router says that the server's host is unreachable, when the client sends",
              POINT(CONNECT), .in_flight = true, .strike = STRIKE_UNREACHABLE),
    SUT_CRASH("host-reboot-reading", "the server's host reboots in the middle of the response",
              POINT(RESPONSE), .quiet = true, .strike = STRIKE_REBOOT),
    SUT_CRASH("host-shutdown", "the server's host is shut down in the middle of the response",
              POINT(RESPONSE), .strike = STRIKE_SHUT_DOWN),
    SUT_CRASH("network-pause", "the network fails for two seconds, and recovers", POINT(RESPONSE),
              .quiet = true, .survivable = true, .strike = STRIKE_PAUSE),
    SUT_CRASH("nat-timeout", "a NAT forgets the connection, and drops its segments",
              POINT(RESPONSE), .quiet = true, .strike = STRIKE_FORGET),
    SUT_CRASH("nat-timeout-reset", "a NAT forgets the connection, and answers with RST",
              POINT(RESPONSE), .quiet = true, .strike = STRIKE_FORGET_RESET),
};

static const struct scenario *const items[] = {
    &crashes[0], &crashes[1], &crashes[2], &crashes[3],  &crashes[4],  &crashes[5],  &crashes[6],
    &crashes[7], &crashes[8], &crashes[9], &crashes[10], &crashes[11], &crashes[12], NULL,
};

const struct scenario_set sut_crash_clients = {.command = "crash-sim", .items = items};
