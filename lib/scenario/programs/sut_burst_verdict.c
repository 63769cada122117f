#include "scenario/programs/sut_burst_verdict.h"

#include "base/units.h"

static const char *time_text(struct testbed *bed, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    return arena_copy(bed->arena, units_format_duration(text, sizeof text, ns, "u"));
}

static int64_t waited(const struct crowd_result *result)
{
    int64_t clients = result->undecided_repeated;

    for (int i = 1; i < CROWD_CLASSES; i++)
        clients += result->connected[i].count;
    return clients;
}

static void list_class(struct testbed *bed, const char *clients, const struct crowd_class *class)
{
    if (class->count)
        testbed_row(bed, TEXT("connect", clients), INTEGER("clients", class->count),
                    INTEGER("first_ns", class->first_ns ? class->first_ns : RESULT_UNKNOWN),
                    INTEGER("median_ns", class->median_ns ? class->median_ns : RESULT_UNKNOWN),
                    INTEGER("last_ns", class->last_ns ? class->last_ns : RESULT_UNKNOWN));
}

static void list_classes(struct testbed *bed, const struct crowd_result *result)
{
    struct arena *arena = bed->arena;

    testbed_table(bed, "connects", "What became of the connects");
    list_class(bed, "at once", &result->connected[0]);
    for (int i = 1; i < CROWD_CLASSES; i++)
        list_class(bed,
                   arena_printf(arena, "after %d SYN%s more%s", i, i == 1 ? "" : "s",
                                i == CROWD_CLASSES - 1 ? " or later" : ""),
                   &result->connected[i]);
    list_class(bed, "refused", &result->refused);
    list_class(bed, "timed out", &result->timed_out);
    list_class(bed, error_name((int)result->failed_code), &result->failed);
    list_class(bed, "not decided", &(struct crowd_class){.count = result->undecided});
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

static void blame_queue(struct testbed *bed, const struct sut_burst *burst)
{
    const struct sut_request *request = sut_request(bed);
    struct arena *arena = bed->arena;
    const struct crowd_result *result = &burst->result;
    bool bound = burst->look.limit >= burst->somaxconn;
    bool too_low = request->connections > burst->somaxconn;
    const char *setting =
        too_low || bound
            ? arena_printf(arena, "net.core.somaxconn, which is %lld, to %lld%s",
                           (long long)burst->somaxconn, (long long)request->connections,
                           bound ? ", and the backlog of listen() with it" : "")
            : "";

    testbed_blame(bed, FINDING_ACCEPT_QUEUE_OVERFLOW,
                  "Of %lld clients %lld waited for their SYN to be sent again, %lld "
                  "were connected for a while without the server (no room for their "
                  "last ACK), %lld had no connection in the end; the slowest connect "
                  "took %s. The accept queue holds %lld and was full: the server's "
                  "kernel dropped %lld segments.",
                  (long long)request->connections, (long long)waited(result),
                  (long long)result->resent,
                  (long long)(result->undecided + result->unheard + burst->state.failed),
                  time_text(bed, slowest_ns(result)), (long long)burst->look.limit + 1,
                  (long long)burst->rise[SUT_BURST_OVERFLOWS]);
    testbed_remedy(bed, RESULT_SIDE_SERVER,
                   "%s%s%s. A queue of that length holds this burst however late the "
                   "server accepts; if it is to be accepted at this rate for long, it "
                   "must accept faster.",
                   bound ? "Raise " : "listen(fd, ",
                   bound ? setting
                         : arena_printf(arena, "%lld) instead of %lld",
                                        (long long)request->connections,
                                        (long long)burst->look.limit),
                   !bound && too_low ? arena_printf(arena, ", and raise %s", setting) : "");
}

/* Cookies are off: half-open connections have the same limit. */
static void blame_half_open(struct testbed *bed, const struct sut_burst *burst)
{
    const struct sut_request *request = sut_request(bed);

    testbed_blame(bed, FINDING_SYN_QUEUE_OVERFLOW,
                  "Of %lld clients %lld waited for their SYN to be sent again: %lld SYNs "
                  "were dropped because more than %lld connections were half-open.",
                  (long long)request->connections, (long long)waited(&burst->result),
                  (long long)burst->rise[SUT_BURST_HALF_OPEN_DROPS], (long long)burst->look.limit);
    testbed_remedy(bed, RESULT_SIDE_SERVER,
                   "Switch net.ipv4.tcp_syncookies on (1); or listen(fd, %lld) instead "
                   "of %lld, with net.core.somaxconn and net.ipv4.tcp_max_syn_backlog "
                   "of at least that.",
                   (long long)request->connections, (long long)burst->look.limit);
}

static void blame(struct testbed *bed, const struct sut_burst *burst)
{
    if (burst->sut.ended)
        testbed_blame(bed, FINDING_PROGRAM_FAILED, "The server ended: %s.",
                      sut_end_text(bed, &burst->sut));
    if (burst->rise[SUT_BURST_OVERFLOWS] > 0)
        blame_queue(bed, burst);
    if (burst->rise[SUT_BURST_HALF_OPEN_DROPS] > 0)
        blame_half_open(bed, burst);
    if (!burst->look.listeners)
        testbed_blame(bed, FINDING_LISTENER_CLOSED,
                      "The server has closed its listener: what was in its queue was reset.");
    if (burst->result.refused.count)
        testbed_blame(bed, FINDING_CONNECTION_REFUSED,
                      "%lld connects were refused: the server had closed its "
                      "listener.",
                      (long long)burst->result.refused.count);
    if (!burst->drained || !burst->drained_again)
        testbed_blame(bed, FINDING_SLOW_ACCEPT,
                      "The server has stopped accepting: %lld connections stay "
                      "in its queue.",
                      (long long)burst->look.queue);
}

/* A SYN that was sent again, or a connect that is not decided, while the server's kernel dropped
 * nothing: the wire, or a machine that had no time. */
static bool says_nothing(struct testbed *bed, const struct sut_burst *burst)
{
    const struct crowd_result *result = &burst->result;

    if (burst->rise[SUT_BURST_DROPS] > 0 || burst->rise[SUT_BURST_OVERFLOWS] > 0 ||
        burst->sut.ended)
        return false;
    if (waited(result))
        testbed_fail(bed,
                     "%lld clients had to send their SYN again, but the server's kernel dropped "
                     "nothing: a segment was lost or late on the way",
                     (long long)waited(result));
    else if (result->undecided)
        testbed_fail(bed, "%lld connects were not decided in time (--duration)",
                     (long long)result->undecided);
    return testbed_failed(bed);
}

static void observe(struct testbed *bed, const struct sut_burst *burst)
{
    const struct crowd_result *result = &burst->result;

    testbed_observe(bed, INTEGER("waited_for_syn", waited(result)),
                    INTEGER("waited_for_ack", result->resent),
                    INTEGER("slowest_ns", slowest_ns(result)),
                    INTEGER("burst_took_ns", burst->state.last_begun_ns),
                    INTEGER("queue_max", burst->queue_max),
                    INTEGER("drained_ns", burst->drained ? burst->drained_ns : RESULT_UNKNOWN),
                    INTEGER("listeners", burst->look.listeners),
                    INTEGER("limit", burst->look.limit), INTEGER("somaxconn", burst->somaxconn),
                    INTEGER("effective_backlog",
                            burst->holds == RESULT_UNKNOWN ? RESULT_UNKNOWN : burst->holds - 1),
                    INTEGER("syn_cookies", burst->rise[SUT_BURST_COOKIES]),
                    INTEGER("handshakes", burst->rise[SUT_BURST_OPENED]),
                    INTEGER("reset_later", result->reset));
    sut_observe_end(bed, &burst->sut);
}

static void check_capacity(struct testbed *bed, const struct sut_burst *burst)
{
    if (burst->holds != RESULT_UNKNOWN) {
        testbed_check_integer(bed, "queue_holds", burst->look.limit + 1, burst->holds);
        if (burst->drained)
            testbed_check_bool(bed, "accepts_after_a_stop", true, burst->drained_again);
    } else if (burst->why_unknown) {
        testbed_observe(bed, TEXT("capacity_unknown", burst->why_unknown));
    }
}

void sut_burst_judge(struct testbed *bed, const struct sut_burst *burst)
{
    const struct crowd_result *result = &burst->result;

    testbed_check_bool(bed, "alive", true, !burst->sut.ended);
    testbed_check_bool(bed, "listens", true, burst->look.listeners > 0);
    testbed_check_integer(bed, "connected_at_once", sut_request(bed)->connections,
                          result->connected[0].count);
    testbed_check_integer(bed, "refused", 0, result->refused.count);
    testbed_check_integer(bed, "failed", 0, result->failed.count + result->timed_out.count);
    testbed_check_integer(bed, "not_decided", 0, result->undecided);
    testbed_check_integer(bed, "unknown_to_server", 0, result->unheard);
    testbed_check_integer(bed, "overflows", 0, burst->rise[SUT_BURST_OVERFLOWS]);
    testbed_check_integer(bed, "drops", 0, burst->rise[SUT_BURST_DROPS]);
    testbed_check_bool(bed, "accepted_all", true, burst->drained);
    check_capacity(bed, burst);
    observe(bed, burst);
    list_classes(bed, result);
    if (!says_nothing(bed, burst))
        blame(bed, burst);
    testbed_summarize(bed, INTEGER("at_once", result->connected[0].count),
                      INTEGER("waited", waited(result)), INTEGER("limit", burst->look.limit),
                      INTEGER("overflows", burst->rise[SUT_BURST_OVERFLOWS]));
}
