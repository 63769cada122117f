/* The user's server under a burst of connections.
 *
 * First the burst: each connect is followed until it has succeeded or failed, and the server then
 * has time to accept what is queued. That a connect had to wait for a SYN sent again is known from
 * its socket, not from the time it took, and that the server's kernel dropped the SYN from its
 * counters. Then the server's processes are stopped, and one client after another connects until a
 * SYN is dropped: what then is in the queue is what it holds. */
#include "scenario/programs/sut.h"

#include "scenario/engine/agent_self.h"
#include "scenario/programs/sut_burst_verdict.h"
#include <errno.h>
#include <string.h>

#define SLICE_NS   (50 * NS_PER_MS)
#define LOOK_NS    (2 * NS_PER_MS)
#define FILL_NS    (60 * NS_PER_SEC) /* for one client after another */
#define END_NS     (1 * NS_PER_SEC)  /* for a process whose listener is gone */
#define FILL_SPARE 8                 /* clients more than the queue should hold */

static const char *const counter_names[SUT_BURST_COUNTERS] = {
    [SUT_BURST_OVERFLOWS] = "TcpExt ListenOverflows",
    [SUT_BURST_DROPS] = "TcpExt ListenDrops",
    [SUT_BURST_HALF_OPEN_DROPS] = "TcpExt TCPReqQFullDrop",
    [SUT_BURST_COOKIES] = "TcpExt SyncookiesSent",
    [SUT_BURST_OPENED] = "Tcp PassiveOpens",
};

/* ---- Looking, in an agent of the server's host ---- */

enum reach { REACH_DUAL, REACH_WILDCARD, REACH_ADDRESS, REACHES };

struct looking {
    struct sock_address wildcard, dual, own;
    struct sut_burst_look by_reach[REACHES];
    int64_t half_open;
};

static int count_listener(void *context, const struct sock_diag_entry *entry)
{
    struct looking *looking = context;
    struct sut_burst_look *look = NULL;

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

static AGENT_CALL(do_look)
{
    struct looking looking = {0};
    struct sut_burst_look found = {0};
    struct sock_diag_filter filter = {.states = 1u << TCP_LISTEN | 1u << TCP_SYN_RECV,
                                      .local_port = act->port};

    sock_address_literal(&looking.wildcard,
                         self->start.family == AF_INET ? "0.0.0.0" : "::", act->port);
    sock_address_literal(&looking.dual, "::", act->port);
    int rc = agent_self_address(self, ACT_TO_SELF, act->port, &looking.own);
    if (!rc)
        rc = agent_self_sockets(&filter, count_listener, &looking);
    for (int reach = 0; reach < REACHES; reach++)
        if (looking.by_reach[reach].listeners)
            found = looking.by_reach[reach];
    found.half_open = looking.half_open;
    memcpy(reply->data, &found, sizeof found);
    return rc;
}

static void look(struct testbed *bed, struct sut_burst *burst)
{
    int64_t limit = burst->look.limit;

    LOOK(bed, LAB_SERVER, "the listeners", &burst->look, do_look, .port = sut_request(bed)->port);
    if (testbed_failed(bed))
        return;
    if (!burst->look.listeners) /* gone, as it may be before its process */
        burst->look.limit = limit;
    if (burst->look.queue > burst->queue_max)
        burst->queue_max = burst->look.queue;
}

static int64_t read_counter(struct testbed *bed, enum sut_burst_counter counter)
{
    return testbed_counter(bed, LAB_SERVER, counter_names[counter]);
}

/* ---- Telling the crowd ---- */

static struct act_reply tell(struct testbed *bed, const struct crowd_order *order,
                             int64_t (*function)(struct agent_self *, const struct act *,
                                                 struct act_reply *))
{
    struct act_reply reply = agent_do(testbed_client(bed), &STUB_PEER_ACT(function, *order));

    if (reply.rc == -EMFILE)
        sut_decline(bed,
                    "this machine does not allow a process %lld descriptors (ulimit -n): use "
                    "fewer --connections",
                    (long long)order->clients);
    else if (reply.rc < 0)
        testbed_fail(bed, "the clients: %s", strerror((int)-reply.rc));
    return reply;
}

/* For a while; the listener is looked at meanwhile. */
static struct crowd_state tend(struct testbed *bed, struct sut_burst *burst,
                               const struct crowd_order *order)
{
    struct crowd_state state = {0};
    struct act_reply reply;

    agent_begin(testbed_client(bed), &STUB_PEER_ACT(crowd_tend, *order));
    do {
        look(bed, burst);
        reply = agent_try(testbed_client(bed), LOOK_NS);
    } while (reply.late);
    if (reply.rc < 0)
        testbed_fail(bed, "the clients: %s", strerror((int)-reply.rc));
    memcpy(&state, reply.data, sizeof state);
    return state;
}

static struct crowd_result dismiss(struct testbed *bed, const struct crowd_order *order)
{
    struct act_reply reply = tell(bed, order, crowd_end);
    struct crowd_result result = {0};

    if (!reply.rc)
        memcpy(&result, reply.data, sizeof result);
    return result;
}

/* ---- The burst ---- */

static void connect_all(struct testbed *bed, struct sut_burst *burst,
                        const struct crowd_order *order)
{
    int64_t end_ns = INT64_MAX;
    bool all = false;

    while (!testbed_failed(bed) && clock_mono_ns() < end_ns &&
           !sut_has_ended(bed, &burst->sut, 0)) {
        burst->state = tend(bed, burst, order);
        if (burst->state.connected + burst->state.failed == order->clients)
            return;
        if (!all && burst->state.begun == order->clients) {
            all = true;
            end_ns = clock_mono_ns() + sut_request(bed)->patience_ns;
        }
    }
}

/* Until the queue is empty: as long as it becomes shorter, however slowly; but what found no room
 * comes again later and later, and is not waited for longer than the patience. */
static bool drain(struct testbed *bed, struct sut_burst *burst, const struct crowd_order *order,
                  bool overflowed)
{
    int64_t patience_ns = sut_request(bed)->patience_ns, least = INT64_MAX,
            since_ns = clock_mono_ns();
    struct crowd_state state = tend(bed, burst, order);

    while (!testbed_failed(bed) && !sut_has_ended(bed, &burst->sut, 0)) {
        look(bed, burst);
        if (!burst->look.listeners)
            return false;
        int64_t left = burst->look.queue + burst->look.half_open + state.unheard;
        if (!left)
            return true;
        if (left < least && !overflowed) {
            least = left;
            since_ns = clock_mono_ns();
        }
        if (clock_mono_ns() - since_ns >= patience_ns)
            return false;
        state = tend(bed, burst, order);
        testbed_pass(bed, LOOK_NS);
    }
    return false;
}

static void run_burst(struct testbed *bed, struct sut_burst *burst)
{
    const struct sut_request *request = sut_request(bed);
    struct crowd_order order = {.clients = request->connections,
                                .per_second = request->per_second,
                                .plan = request->asks ? &request->peer : NULL,
                                .slice_ns = SLICE_NS,
                                .port = request->port};

    for (int i = 0; i < SUT_BURST_COUNTERS; i++)
        burst->rise[i] = -read_counter(bed, i);
    tell(bed, &order, crowd_begin);
    connect_all(bed, burst, &order);
    int64_t connected_ns = clock_mono_ns();
    bool overflowed = burst->rise[SUT_BURST_OVERFLOWS] + read_counter(bed, SUT_BURST_OVERFLOWS) > 0;
    burst->drained = drain(bed, burst, &order, overflowed);
    burst->drained_ns = clock_mono_ns() - connected_ns;
    burst->result = dismiss(bed, &order);
    for (int i = 0; i < SUT_BURST_COUNTERS; i++)
        burst->rise[i] += read_counter(bed, i);
}

/* ---- What the queue holds ---- */

static void unknown(struct sut_burst *burst, const char *why)
{
    burst->holds = RESULT_UNKNOWN;
    burst->why_unknown = why;
}

static void sut_burst_fill_queue(struct testbed *bed, struct sut_burst *burst,
                                 const struct crowd_order *order)
{
    int64_t end_ns = clock_mono_ns() + FILL_NS;
    int64_t overflows = read_counter(bed, SUT_BURST_OVERFLOWS);
    struct crowd_state state = {0};

    while (!testbed_failed(bed) && clock_mono_ns() < end_ns && !state.full &&
           state.connected < order->clients)
        state = tend(bed, burst, order);
    look(bed, burst);
    overflows = read_counter(bed, SUT_BURST_OVERFLOWS) - overflows;
    if (overflows && state.full)
        burst->holds = burst->look.queue;
    else
        unknown(burst, state.full ? "a SYN was lost, but the server's kernel dropped none"
                                  : "more clients connected than the queue holds: the server "
                                    "defers them (TCP_DEFER_ACCEPT)");
}

static void find_capacity(struct testbed *bed, struct sut_burst *burst)
{
    struct crowd_order order = {.clients = burst->look.limit + 1 + FILL_SPARE,
                                .slice_ns = SLICE_NS,
                                .port = sut_request(bed)->port,
                                .one_by_one = true};
    struct sut_burst_look seen = burst->look;
    int64_t queue_max = burst->queue_max;

    if (!burst->look.listeners)
        unknown(burst, "nothing listens any more");
    else if (burst->look.listeners != 1)
        unknown(burst, "several sockets share the port (SO_REUSEPORT), and a queue each has");
    else if (order.clients > CROWD_MAX)
        unknown(burst, "the limit is too high to be tried");
    if (burst->why_unknown || testbed_failed(bed))
        return;
    struct act_reply begun = agent_do(testbed_client(bed), &STUB_PEER_ACT(crowd_begin, order));
    if (begun.rc == -EMFILE) {
        unknown(burst, "this machine does not allow enough descriptors (ulimit -n)");
        return;
    }
    sut_freeze(bed);
    sut_burst_fill_queue(bed, burst, &order);
    sut_thaw(bed);
    burst->drained_again = !burst->drained || drain(bed, burst, &order, false);
    dismiss(bed, &order);
    burst->queue_max = queue_max;
    if (burst->drained_again)
        burst->look = seen;
}

static void play_burst(struct testbed *bed)
{
    struct sut_burst burst = {.holds = RESULT_UNKNOWN, .drained_again = true};

    bed->crowd = (size_t)sut_request(bed)->connections;
    if (!sut_listens(bed, &burst.sut))
        return;
    burst.somaxconn = testbed_listen_limit(bed, LAB_SERVER);
    run_burst(bed, &burst);
    if (!burst.look.listeners)
        sut_has_ended(bed, &burst.sut, END_NS);
    if (!sut_has_ended(bed, &burst.sut, 0))
        find_capacity(bed, &burst);
    sut_has_ended(bed, &burst.sut, 0);
    sut_stop(bed, &burst.sut);
    if (!testbed_failed(bed))
        sut_burst_judge(bed, &burst);
}

/* Whatever decides what a SYN meets is this host's own setting. */
static const struct scenario_setting settings[] = {
    {SCENARIO_BOTH, "tcp_syn_retries", "6", SETTING_TIMER},
    {SCENARIO_BOTH, "tcp_syn_linear_timeouts", "4", SETTING_TIMER | SETTING_OPTIONAL},
    {SCENARIO_SERVER, "tcp_synack_retries", "5", SETTING_TIMER},
    {SCENARIO_SERVER, "core/somaxconn", "4096", SETTING_TIMER | SETTING_OPTIONAL},
    {SCENARIO_SERVER, "tcp_max_syn_backlog", "256", SETTING_TIMER},
    {SCENARIO_SERVER, "tcp_syncookies", "1", SETTING_TIMER},
    {SCENARIO_SERVER, "tcp_abort_on_overflow", "0", SETTING_TIMER},
    {0}};

static const struct scenario burst_scenario = {
    .name = "burst",
    .title = "many clients connect at once, and then while the server is stopped",
    .settings = settings,
    .crowded = true,
    .play = play_burst,
};

static const struct scenario *const items[] = {&burst_scenario, NULL};

const struct scenario_set sut_burst_servers = {.command = "accept-backlog", .items = items};
