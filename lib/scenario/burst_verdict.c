/* What the burst amounts to; see burst.h. */
#include "scenario/burst.h"

#include "base/units.h"

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
                             (long long)burst_rise(facts, BURST_OVERFLOWS)));
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
                     (long long)burst_rise(facts, BURST_HALF_OPEN_DROPS),
                     (long long)facts->look.limit));
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
    if (burst_rise(facts, BURST_OVERFLOWS) > 0)
        blame_queue(stage, facts);
    if (burst_rise(facts, BURST_HALF_OPEN_DROPS) > 0)
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

    if (burst_rise(facts, BURST_DROPS) > 0 || burst_rise(facts, BURST_OVERFLOWS) > 0 ||
        facts->subject.ended)
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
    stage_observe_integer(stage, "syn_cookies", burst_rise(facts, BURST_COOKIES));
    stage_observe_integer(stage, "handshakes", burst_rise(facts, BURST_OPENED));
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

void burst_check(struct stage *stage)
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
    stage_check_integer(stage, "overflows", 0, burst_rise(facts, BURST_OVERFLOWS));
    stage_check_integer(stage, "drops", 0, burst_rise(facts, BURST_DROPS));
    stage_check_bool(stage, "accepted_all", true, facts->drained);
    check_capacity(stage, facts);
    observe(stage, facts);
    list_classes(stage, result);
    if (!says_nothing(stage, facts))
        blame(stage, facts);
    result_set_integer(stage->arena, summary, "at_once", result->connected[0].count);
    result_set_integer(stage->arena, summary, "waited", waited(result));
    result_set_integer(stage->arena, summary, "limit", facts->look.limit);
    result_set_integer(stage->arena, summary, "overflows", burst_rise(facts, BURST_OVERFLOWS));
}
