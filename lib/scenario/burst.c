/* The user's server under a burst of connections.
 *
 * First the burst: every connect is followed until it has succeeded or failed, and the server then
 * has time to accept what is queued. That a connect had to wait for a SYN sent again is known from
 * its socket, not from the time it took, and that the server's kernel dropped the SYN from its
 * counters. Then the server's processes are stopped, and one client after another connects until a
 * SYN is dropped: what then is in the queue is what it holds. */
#include "scenario/burst.h"

#include "base/units.h"
#include "scenario/cast.h"
#include <errno.h>
#include <string.h>

#define SLICE_NS   (50 * NS_PER_MS)
#define LOOK_NS    (2 * NS_PER_MS)
#define FILL_NS    (60 * NS_PER_SEC) /* for one client after another */
#define END_NS     (1 * NS_PER_SEC)  /* for a process whose listener is gone */
#define FILL_SPARE 8                 /* clients more than the queue should hold */

enum counter { OVERFLOWS, DROPS, HALF_OPEN_DROPS, COOKIES, OPENED, COUNTERS };
static const char *const counter_names[COUNTERS] = {
    [OVERFLOWS] = "TcpExt ListenOverflows",
    [DROPS] = "TcpExt ListenDrops",
    [HALF_OPEN_DROPS] = "TcpExt TCPReqQFullDrop",
    [COOKIES] = "TcpExt SyncookiesSent",
    [OPENED] = "Tcp PassiveOpens",
};

/* The listener that the clients reach: several share a port by SO_REUSEPORT. */
struct listener_look {
    int64_t listeners, queue, limit;
    int64_t half_open; /* on the port */
};

struct counts {
    int64_t of[COUNTERS];
};

struct burst_facts {
    struct subject subject;
    struct counts before, after;
    struct listener_look look; /* the last one of the burst */
    int64_t queue_max, somaxconn;
    struct crowd_state state;
    struct crowd_result result;
    int64_t drained_ns; /* from the last connect that succeeded until the queue was empty */
    bool drained;
    /* With the server stopped: */
    int64_t holds; /* RESULT_UNKNOWN: could not be found */
    bool drained_again;
    const char *why_unknown;
};

/* ---- Looking, in an actor of the server's host ---- */

enum reach { REACH_DUAL, REACH_WILDCARD, REACH_ADDRESS, REACHES };

struct looking {
    struct sock_address wildcard, dual, own;
    struct listener_look by_reach[REACHES];
    int64_t half_open;
};

static int note_socket(void *context, const struct sock_diag_entry *entry)
{
    struct looking *looking = context;
    struct listener_look *look = NULL;

    looking->half_open += entry->state == TCP_SYN_RECV;
    if (entry->state != TCP_LISTEN)
        return 0;
    if (sock_address_equal(&entry->local, &looking->own))
        look = &looking->by_reach[REACH_ADDRESS];
    else if (sock_address_equal(&entry->local, &looking->wildcard))
        look = &looking->by_reach[REACH_WILDCARD];
    else if (sock_address_equal(&entry->local, &looking->dual) && !entry->v6_only)
        look = &looking->by_reach[REACH_DUAL];
    if (!look)
        return 0;
    look->listeners++;
    look->queue += entry->rqueue;
    look->limit += entry->wqueue;
    return 0;
}

static int64_t do_look(struct actor_self *self, const struct act *act, struct act_reply *reply)
{
    struct looking looking = {0};
    struct listener_look found = {0};
    struct sock_diag_filter filter = {.states = 1u << TCP_LISTEN | 1u << TCP_SYN_RECV,
                                      .local_port = act->port};
    struct sock_diag *diag;

    sock_address_literal(&looking.wildcard,
                         self->start.family == AF_INET ? "0.0.0.0" : "::", act->port);
    sock_address_literal(&looking.dual, "::", act->port);
    int rc = cast_address(self, ACT_TO_SELF, act->port, &looking.own);
    if (!rc)
        rc = sock_diag_open(&diag, NULL);
    if (rc)
        return rc;
    rc = sock_diag_list(diag, &filter, note_socket, &looking, NULL);
    sock_diag_close(diag);
    for (int reach = 0; reach < REACHES; reach++)
        if (looking.by_reach[reach].listeners)
            found = looking.by_reach[reach];
    found.half_open = looking.half_open;
    memcpy(reply->data, &found, sizeof found);
    return rc;
}

static void look(struct stage *stage, struct burst_facts *facts)
{
    struct act_reply reply = DO(stage_watcher(stage, LAB_SERVER), ACT_CALL, .function = do_look,
                                .port = subject_request(stage)->port);

    if (stage_failed(stage))
        return;
    if (reply.rc) {
        stage_fail(stage, "sock_diag: %s", strerror((int)-reply.rc));
        return;
    }
    int64_t limit = facts->look.limit;
    memcpy(&facts->look, reply.data, sizeof facts->look);
    if (!facts->look.listeners) /* gone, as it may be before its process */
        facts->look.limit = limit;
    if (facts->look.queue > facts->queue_max)
        facts->queue_max = facts->look.queue;
}

static struct counts count(struct stage *stage)
{
    struct counts counts = {{0}};

    for (int i = 0; i < COUNTERS; i++)
        counts.of[i] = stage_counter(stage, LAB_SERVER, counter_names[i]);
    return counts;
}

static int64_t rise(const struct burst_facts *facts, enum counter counter)
{
    return facts->after.of[counter] - facts->before.of[counter];
}

/* ---- Telling the crowd ---- */

static struct act_reply tell(struct stage *stage, const struct crowd_order *order,
                             int64_t (*function)(struct actor_self *, const struct act *,
                                                 struct act_reply *))
{
    struct act_reply reply = actor_do(stage_client(stage), &PEER_ACT(function, *order));

    if (reply.rc == -EMFILE)
        subject_decline(stage,
                        "this machine does not allow a process %lld descriptors (ulimit -n): use "
                        "fewer --connections",
                        (long long)order->clients);
    else if (reply.rc < 0)
        stage_fail(stage, "the clients: %s", strerror((int)-reply.rc));
    return reply;
}

/* For a while; the listener is looked at meanwhile. */
static struct crowd_state tend(struct stage *stage, struct burst_facts *facts,
                               const struct crowd_order *order)
{
    struct crowd_state state = {0};
    struct act_reply reply;

    actor_begin(stage_client(stage), &PEER_ACT(crowd_tend, *order));
    do {
        look(stage, facts);
        reply = actor_try(stage_client(stage), LOOK_NS);
    } while (reply.late);
    if (reply.rc < 0)
        stage_fail(stage, "the clients: %s", strerror((int)-reply.rc));
    memcpy(&state, reply.data, sizeof state);
    return state;
}

static struct crowd_result dismiss(struct stage *stage, const struct crowd_order *order)
{
    struct act_reply reply = tell(stage, order, crowd_end);
    struct crowd_result result = {0};

    if (!reply.rc)
        memcpy(&result, reply.data, sizeof result);
    return result;
}

/* ---- The burst ---- */

static void connect_all(struct stage *stage, struct burst_facts *facts,
                        const struct crowd_order *order)
{
    int64_t end_ns = INT64_MAX;
    bool all = false;

    while (!stage_failed(stage) && clock_mono_ns() < end_ns &&
           !subject_has_ended(stage, &facts->subject, 0)) {
        facts->state = tend(stage, facts, order);
        if (facts->state.connected + facts->state.failed == order->clients)
            return;
        if (!all && facts->state.begun == order->clients) {
            all = true;
            end_ns = clock_mono_ns() + subject_request(stage)->patience_ns;
        }
    }
}

/* Until the queue is empty: as long as it becomes shorter, however slowly; but what found no room
 * comes again later and later, and is not waited for longer than the patience. */
static bool drain(struct stage *stage, struct burst_facts *facts, const struct crowd_order *order,
                  bool overflowed)
{
    int64_t patience_ns = subject_request(stage)->patience_ns, least = INT64_MAX,
            since_ns = clock_mono_ns();
    struct crowd_state state = tend(stage, facts, order);

    while (!stage_failed(stage) && !subject_has_ended(stage, &facts->subject, 0)) {
        look(stage, facts);
        if (!facts->look.listeners)
            return false;
        int64_t left = facts->look.queue + facts->look.half_open + state.unheard;
        if (!left)
            return true;
        if (left < least && !overflowed) {
            least = left;
            since_ns = clock_mono_ns();
        }
        if (clock_mono_ns() - since_ns >= patience_ns)
            return false;
        state = tend(stage, facts, order);
        stage_pass(stage, LOOK_NS);
    }
    return false;
}

static void burst(struct stage *stage, struct burst_facts *facts)
{
    const struct subject_request *request = subject_request(stage);
    struct crowd_order order = {.clients = request->connections,
                                .per_second = request->per_second,
                                .plan = request->asks ? &request->peer : NULL,
                                .slice_ns = SLICE_NS,
                                .port = request->port};

    tell(stage, &order, crowd_begin);
    connect_all(stage, facts, &order);
    int64_t connected_ns = clock_mono_ns();
    int64_t overflows = stage_counter(stage, LAB_SERVER, counter_names[OVERFLOWS]);
    facts->drained = drain(stage, facts, &order, overflows > facts->before.of[OVERFLOWS]);
    facts->drained_ns = clock_mono_ns() - connected_ns;
    facts->result = dismiss(stage, &order);
}

/* ---- What the queue holds ---- */

static void unknown(struct burst_facts *facts, const char *why)
{
    facts->holds = RESULT_UNKNOWN;
    facts->why_unknown = why;
}

static void fill(struct stage *stage, struct burst_facts *facts, const struct crowd_order *order)
{
    int64_t end_ns = clock_mono_ns() + FILL_NS;
    int64_t overflows = stage_counter(stage, LAB_SERVER, counter_names[OVERFLOWS]);
    struct crowd_state state = {0};

    while (!stage_failed(stage) && clock_mono_ns() < end_ns && !state.full &&
           state.connected < order->clients)
        state = tend(stage, facts, order);
    look(stage, facts);
    overflows = stage_counter(stage, LAB_SERVER, counter_names[OVERFLOWS]) - overflows;
    if (overflows && state.full)
        facts->holds = facts->look.queue;
    else
        unknown(facts, state.full ? "a SYN was lost, but the server's kernel dropped none"
                                  : "more clients connected than the queue holds: the server "
                                    "defers them (TCP_DEFER_ACCEPT)");
}

static void find_capacity(struct stage *stage, struct burst_facts *facts)
{
    struct crowd_order order = {.clients = facts->look.limit + 1 + FILL_SPARE,
                                .slice_ns = SLICE_NS,
                                .port = subject_request(stage)->port,
                                .one_by_one = true};
    struct listener_look seen = facts->look;
    int64_t queue_max = facts->queue_max;

    if (!facts->look.listeners)
        unknown(facts, "nothing listens any more");
    else if (facts->look.listeners != 1)
        unknown(facts, "several sockets share the port (SO_REUSEPORT), and a queue each has");
    else if (order.clients > CROWD_MAX)
        unknown(facts, "the limit is too high to be tried");
    if (facts->why_unknown || stage_failed(stage))
        return;
    struct act_reply begun = actor_do(stage_client(stage), &PEER_ACT(crowd_begin, order));
    if (begun.rc == -EMFILE) {
        unknown(facts, "this machine does not allow so many descriptors (ulimit -n)");
        return;
    }
    subject_freeze(stage);
    fill(stage, facts, &order);
    subject_thaw(stage);
    facts->drained_again = !facts->drained || drain(stage, facts, &order, false);
    dismiss(stage, &order);
    facts->queue_max = queue_max;
    if (facts->drained_again)
        facts->look = seen;
}

static void run_burst(struct stage *stage)
{
    struct burst_facts *facts = stage_facts(stage, sizeof *facts);

    facts->holds = RESULT_UNKNOWN;
    facts->drained_again = true;
    stage->crowd = (size_t)subject_request(stage)->connections;
    if (!subject_listens(stage, &facts->subject))
        return;
    facts->somaxconn = stage_setting(stage, LAB_SERVER, "core/somaxconn");
    facts->before = count(stage);
    burst(stage, facts);
    facts->after = count(stage);
    if (!facts->look.listeners)
        subject_has_ended(stage, &facts->subject, END_NS);
    if (!subject_has_ended(stage, &facts->subject, 0))
        find_capacity(stage, facts);
    subject_has_ended(stage, &facts->subject, 0);
    subject_stop(stage, &facts->subject);
}

/* ---- What it amounts to ---- */

static const char *time_text(struct stage *stage, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    return arena_copy(stage->arena, units_format_duration(text, sizeof text, ns, "u"));
}

static int64_t waited(const struct crowd_result *result)
{
    int64_t clients = result->undecided_repeated;

    for (int i = 1; i < CROWD_CLASSES; i++)
        clients += result->connected[i].count;
    return clients;
}

static void list_class(struct stage *stage, const char *clients, const struct crowd_class *class)
{
    struct result_map *row = class->count ? stage_row(stage) : NULL;
    struct arena *arena = stage->arena;

    if (!row)
        return;
    result_set_text(arena, row, "connect", clients);
    result_set_integer(arena, row, "clients", class->count);
    result_set_integer(arena, row, "first_ns", class->first_ns ? class->first_ns : RESULT_UNKNOWN);
    result_set_integer(arena, row, "median_ns",
                       class->median_ns ? class->median_ns : RESULT_UNKNOWN);
    result_set_integer(arena, row, "last_ns", class->last_ns ? class->last_ns : RESULT_UNKNOWN);
}

static void list_classes(struct stage *stage, const struct crowd_result *result)
{
    struct arena *arena = stage->arena;

    stage_table(stage, "connects", "What became of the connects");
    list_class(stage, "at once", &result->connected[0]);
    for (int i = 1; i < CROWD_CLASSES; i++)
        list_class(stage,
                   arena_printf(arena, "after %d SYN%s more%s", i, i == 1 ? "" : "s",
                                i == CROWD_CLASSES - 1 ? " or later" : ""),
                   &result->connected[i]);
    list_class(stage, "refused", &result->refused);
    list_class(stage, "timed out", &result->timed_out);
    list_class(stage, error_name((int)result->failed_code), &result->failed);
    list_class(stage, "not decided", &(struct crowd_class){.count = result->undecided});
}

/* The slowest connect that succeeded. */
static int64_t slowest_ns(const struct crowd_result *result)
{
    int64_t most_ns = 0;

    for (int i = 0; i < CROWD_CLASSES; i++)
        if (result->connected[i].last_ns > most_ns)
            most_ns = result->connected[i].last_ns;
    return most_ns;
}

static void blame_queue(struct stage *stage, const struct burst_facts *facts)
{
    const struct subject_request *request = subject_request(stage);
    struct arena *arena = stage->arena;
    const struct crowd_result *result = &facts->result;
    bool bound = facts->look.limit >= facts->somaxconn;
    bool too_low = request->connections > facts->somaxconn;
    const char *setting =
        too_low || bound
            ? arena_printf(arena, "net.core.somaxconn, which is %lld, to %lld%s",
                           (long long)facts->somaxconn, (long long)request->connections,
                           bound ? ", and the backlog of listen() with it" : "")
            : "";

    stage_blame(stage, FINDING_ACCEPT_QUEUE_OVERFLOW,
                arena_printf(arena,
                             "Of %lld clients %lld waited for their SYN to be sent again, %lld "
                             "were connected for a while without the server (no room for their "
                             "last ACK), %lld had no connection in the end; the slowest connect "
                             "took %s. The accept queue holds %lld and was full: the server's "
                             "kernel dropped %lld segments.",
                             (long long)request->connections, (long long)waited(result),
                             (long long)result->spoke_again,
                             (long long)(result->undecided + result->unheard + facts->state.failed),
                             time_text(stage, slowest_ns(result)), (long long)facts->look.limit + 1,
                             (long long)rise(facts, OVERFLOWS)));
    stage_remedy(
        stage, RESULT_SIDE_SERVER,
        arena_printf(arena,
                     "%s%s%s. A queue of that length holds this burst however late the "
                     "server accepts; if it is to be accepted at this rate for long, it "
                     "must accept faster.",
                     bound ? "Raise " : "listen(fd, ",
                     bound ? setting
                           : arena_printf(arena, "%lld) instead of %lld",
                                          (long long)request->connections,
                                          (long long)facts->look.limit),
                     !bound && too_low ? arena_printf(arena, ", and raise %s", setting) : ""));
}

/* Cookies are off: half-open connections have the same limit. */
static void blame_half_open(struct stage *stage, const struct burst_facts *facts)
{
    const struct subject_request *request = subject_request(stage);

    stage_blame(
        stage, FINDING_SYN_QUEUE_OVERFLOW,
        arena_printf(stage->arena,
                     "Of %lld clients %lld waited for their SYN to be sent again: %lld SYNs "
                     "were dropped because more than %lld connections were half-open.",
                     (long long)request->connections, (long long)waited(&facts->result),
                     (long long)rise(facts, HALF_OPEN_DROPS), (long long)facts->look.limit));
    stage_remedy(stage, RESULT_SIDE_SERVER,
                 arena_printf(stage->arena,
                              "Switch net.ipv4.tcp_syncookies on (1); or listen(fd, %lld) instead "
                              "of %lld, with net.core.somaxconn and net.ipv4.tcp_max_syn_backlog "
                              "of at least that.",
                              (long long)request->connections, (long long)facts->look.limit));
}

static void blame(struct stage *stage, const struct burst_facts *facts)
{
    struct arena *arena = stage->arena;

    if (facts->subject.ended)
        stage_blame(
            stage, FINDING_PROGRAM_FAILED,
            arena_printf(arena, "The server ended: %s.", subject_end_text(stage, &facts->subject)));
    if (rise(facts, OVERFLOWS) > 0)
        blame_queue(stage, facts);
    if (rise(facts, HALF_OPEN_DROPS) > 0)
        blame_half_open(stage, facts);
    if (!facts->look.listeners)
        stage_blame(stage, FINDING_LISTENER_CLOSED,
                    "The server has closed its listener: what was in its queue was reset.");
    if (facts->result.refused.count)
        stage_blame(stage, FINDING_CONNECTION_REFUSED,
                    arena_printf(arena,
                                 "%lld connects were refused: the server had closed its "
                                 "listener.",
                                 (long long)facts->result.refused.count));
    if (!facts->drained || !facts->drained_again)
        stage_blame(stage, FINDING_SLOW_ACCEPT,
                    arena_printf(arena,
                                 "The server has stopped accepting: %lld connections stay "
                                 "in its queue.",
                                 (long long)facts->look.queue));
}

/* A SYN that was sent again, or a connect that is not decided, while the server's kernel dropped
 * nothing: the wire, or a machine that had no time. */
static bool says_nothing(struct stage *stage, const struct burst_facts *facts)
{
    const struct crowd_result *result = &facts->result;

    if (rise(facts, DROPS) > 0 || rise(facts, OVERFLOWS) > 0 || facts->subject.ended)
        return false;
    if (waited(result))
        stage_fail(stage,
                   "%lld clients had to send their SYN again, but the server's kernel dropped "
                   "nothing: a segment was lost or late on the way",
                   (long long)waited(result));
    else if (result->undecided)
        stage_fail(stage, "%lld connects were not decided within the time (--timeout)",
                   (long long)result->undecided);
    return stage_failed(stage);
}

static void observe(struct stage *stage, const struct burst_facts *facts)
{
    const struct crowd_result *result = &facts->result;

    stage_observe_integer(stage, "waited_for_syn", waited(result));
    stage_observe_integer(stage, "waited_for_ack", result->spoke_again);
    stage_observe_integer(stage, "slowest_ns", slowest_ns(result));
    stage_observe_integer(stage, "burst_took_ns", facts->state.last_begun_ns);
    stage_observe_integer(stage, "queue_max", facts->queue_max);
    stage_observe_integer(stage, "drained_ns", facts->drained ? facts->drained_ns : RESULT_UNKNOWN);
    stage_observe_integer(stage, "listeners", facts->look.listeners);
    stage_observe_integer(stage, "limit", facts->look.limit);
    stage_observe_integer(stage, "somaxconn", facts->somaxconn);
    stage_observe_integer(stage, "effective_backlog",
                          facts->holds == RESULT_UNKNOWN ? RESULT_UNKNOWN : facts->holds - 1);
    stage_observe_integer(stage, "syn_cookies", rise(facts, COOKIES));
    stage_observe_integer(stage, "handshakes", rise(facts, OPENED));
    stage_observe_integer(stage, "reset_later", result->reset);
    subject_observe_end(stage, &facts->subject);
}

static void check_capacity(struct stage *stage, const struct burst_facts *facts)
{
    if (facts->holds != RESULT_UNKNOWN) {
        stage_check_integer(stage, "queue_holds", facts->look.limit + 1, facts->holds);
        if (facts->drained)
            stage_check_bool(stage, "accepts_after_a_stop", true, facts->drained_again);
    } else if (facts->why_unknown) {
        stage_observe_text(stage, "capacity_unknown", facts->why_unknown);
    }
}

static void check_burst(struct stage *stage)
{
    const struct burst_facts *facts = stage_facts(stage, sizeof *facts);
    const struct crowd_result *result = &facts->result;
    struct result_map *summary = stage_summary(stage);

    stage_check_bool(stage, "alive", true, !facts->subject.ended);
    stage_check_bool(stage, "listens", true, facts->look.listeners > 0);
    stage_check_integer(stage, "connected_at_once", subject_request(stage)->connections,
                        result->connected[0].count);
    stage_check_integer(stage, "refused", 0, result->refused.count);
    stage_check_integer(stage, "failed", 0, result->failed.count + result->timed_out.count);
    stage_check_integer(stage, "not_decided", 0, result->undecided);
    stage_check_integer(stage, "unknown_to_server", 0, result->unheard);
    stage_check_integer(stage, "overflows", 0, rise(facts, OVERFLOWS));
    stage_check_integer(stage, "drops", 0, rise(facts, DROPS));
    stage_check_bool(stage, "accepted_all", true, facts->drained);
    check_capacity(stage, facts);
    observe(stage, facts);
    list_classes(stage, result);
    if (!says_nothing(stage, facts))
        blame(stage, facts);
    result_set_integer(stage->arena, summary, "at_once", result->connected[0].count);
    result_set_integer(stage->arena, summary, "waited", waited(result));
    result_set_integer(stage->arena, summary, "limit", facts->look.limit);
    result_set_integer(stage->arena, summary, "overflows", rise(facts, OVERFLOWS));
}

/* All that decides what a SYN meets is this host's own. */
static const struct scenario_setting settings[] = {
    {SCENARIO_BOTH, "tcp_syn_retries", "6", true, false},
    {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "4", true, true},
    {SCENARIO_SERVER, "tcp_synack_retries", "5", true, false},
    {SCENARIO_SERVER, "core/somaxconn", "4096", true, false},
    {SCENARIO_SERVER, "tcp_max_syn_backlog", "256", true, false},
    {SCENARIO_SERVER, "tcp_syncookies", "1", true, false},
    {SCENARIO_SERVER, "tcp_abort_on_overflow", "0", true, false},
    {0}};

static const struct scenario the_burst = {
    .name = "burst",
    .title = "many clients connect at once, and then while the server is stopped",
    .settings = settings,
    .crowded = true,
    .run = run_burst,
    .check = check_burst,
};

static const struct scenario *const items[] = {&the_burst, NULL};

const struct scenario_set burst_servers = {.command = "accept-backlog", .items = items};
