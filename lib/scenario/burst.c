/* The user's server under a burst of connections.
 *
 * First the burst: every connect is followed until it has succeeded or failed, and the server then
 * has time to accept what is queued. That a connect had to wait for a SYN sent again is known from
 * its socket, not from the time it took, and that the server's kernel dropped the SYN from its
 * counters. Then the server's processes are stopped, and one client after another connects until a
 * SYN is dropped: what then is in the queue is what it holds. */
#include "scenario/burst.h"

#include "scenario/cast.h"
#include <errno.h>
#include <string.h>

#define SLICE_NS   (50 * NS_PER_MS)
#define LOOK_NS    (2 * NS_PER_MS)
#define FILL_NS    (60 * NS_PER_SEC) /* for one client after another */
#define END_NS     (1 * NS_PER_SEC)  /* for a process whose listener is gone */
#define FILL_SPARE 8                 /* clients more than the queue should hold */

static const char *const counter_names[BURST_COUNTERS] = {
    [BURST_OVERFLOWS] = "TcpExt ListenOverflows",
    [BURST_DROPS] = "TcpExt ListenDrops",
    [BURST_HALF_OPEN_DROPS] = "TcpExt TCPReqQFullDrop",
    [BURST_COOKIES] = "TcpExt SyncookiesSent",
    [BURST_OPENED] = "Tcp PassiveOpens",
};

/* ---- Looking, in an actor of the server's host ---- */

enum reach { REACH_DUAL, REACH_WILDCARD, REACH_ADDRESS, REACHES };

struct looking {
    struct sock_address wildcard, dual, own;
    struct burst_look by_reach[REACHES];
    int64_t half_open;
};

static int note_socket(void *context, const struct sock_diag_entry *entry)
{
    struct looking *looking = context;
    struct burst_look *look = NULL;

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
    struct burst_look found = {0};
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

static struct burst_counts count(struct stage *stage)
{
    struct burst_counts counts = {{0}};

    for (int i = 0; i < BURST_COUNTERS; i++)
        counts.of[i] = stage_counter(stage, LAB_SERVER, counter_names[i]);
    return counts;
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
    int64_t overflows = stage_counter(stage, LAB_SERVER, counter_names[BURST_OVERFLOWS]);
    facts->drained = drain(stage, facts, &order, overflows > facts->before.of[BURST_OVERFLOWS]);
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
    int64_t overflows = stage_counter(stage, LAB_SERVER, counter_names[BURST_OVERFLOWS]);
    struct crowd_state state = {0};

    while (!stage_failed(stage) && clock_mono_ns() < end_ns && !state.full &&
           state.connected < order->clients)
        state = tend(stage, facts, order);
    look(stage, facts);
    overflows = stage_counter(stage, LAB_SERVER, counter_names[BURST_OVERFLOWS]) - overflows;
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
    struct burst_look seen = facts->look;
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
    .check = burst_check,
};

static const struct scenario *const items[] = {&the_burst, NULL};

const struct scenario_set burst_servers = {.command = "accept-backlog", .items = items};
