/* What a watch of a listener amounts to.
 *
 * Each question is answered from what is certain: the lower bound of this listener's overflows, a
 * queue that was seen full, a counter that only this listener can have moved. Where a counter rose
 * and the evidence does not say at which listener, or why, the answer is `inconclusive`. */
#include "diagnosis/listener.h"

#include "diagnosis/verdict_thresholds.h"
#include <inttypes.h>

#define SECONDS(ns) ((double)(ns) / (double)NS_PER_SEC)

struct conclusion {
    struct listener_watch *watch;
    const struct listener_context *context;
    struct result_listener *out;
    struct report *report;
    int64_t syn;          /* drops at this listener for a full SYN queue, at least */
    int64_t unexplained;  /* drops at this listener for other reasons, at least */
    bool accept_overflow; /* a finding says so */
    bool told;            /* a finding or a note accounts for the drops */
};

static int64_t at_least_0(int64_t value)
{
    return value > 0 ? value : 0;
}

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static const char *duration(struct conclusion *c, int64_t ns)
{
    struct arena *arena = &c->report->arena;

    if (ns >= 10 * NS_PER_SEC)
        return arena_printf(arena, "%.0f s", SECONDS(ns));
    if (ns >= NS_PER_SEC)
        return arena_printf(arena, "%.1f s", SECONDS(ns));
    return arena_printf(arena, "%" PRId64 " ms", (ns + NS_PER_MS - 1) / NS_PER_MS);
}

static struct finding *add(struct conclusion *c, enum finding_code code, enum result_side side)
{
    struct finding *finding = finding_add(&c->report->arena, &c->report->findings, code, side);

    finding->target = c->out->listener;
    return finding;
}

static void add_note(struct conclusion *c, const char *text)
{
    struct result_listener *out = c->out;
    const char **notes =
        arena_grow(&c->report->arena, (void *)out->notes, out->note_count, sizeof *notes);

    if (!notes)
        return;
    notes[out->note_count++] = text;
    out->notes = notes;
}

/* ---- how many of the drops were of which kind ---- */

/* How many of a kind are surely this listener's: it had at least `least` of the namespace's `all`
 * drops, and `kind` of all were of this kind. */
static int64_t least_of_kind(int64_t least, int64_t all, int64_t kind)
{
    return least_of(at_least_0(least - at_least_0(all - kind)), kind);
}

static void sort_drops(struct conclusion *c)
{
    const struct listener_watch *watch = c->watch;
    int64_t all = listener_rise(&watch->from, &watch->to, LISTENER_DROPS);
    int64_t overflows = listener_rise(&watch->from, &watch->to, LISTENER_OVERFLOWS);
    int64_t syn = at_least_0(listener_rise(&watch->from, &watch->to, LISTENER_SYN_DROPS));
    int64_t others = c->context->alone ? 0 : c->context->others_drops;

    if (all == RESULT_UNKNOWN || overflows == RESULT_UNKNOWN)
        return;
    int64_t least = others == RESULT_UNKNOWN ? 0 : at_least_0(all - others);
    int64_t most = c->context->alone ? all : least_of(watch->drops_most, all);
    least = least_of(least, most);
    c->out->drops = (struct result_bounds){least, most};
    c->out->overflows = (struct result_bounds){
        least_of_kind(least, all, overflows),
        c->context->alone ? overflows : least_of(watch->overflows_most, overflows)};
    c->syn = least_of_kind(least, all, syn);
    c->unexplained = least_of_kind(least, all, at_least_0(all - overflows - syn));
}

/* ---- what came and went ---- */

static void count_traffic(struct conclusion *c)
{
    const struct listener_watch *watch = c->watch;
    struct result_listener *out = c->out;
    int64_t opens = listener_rise(&watch->from, &watch->to, LISTENER_PASSIVE_OPENS);
    int64_t change = watch->queue_last - watch->queue_first;

    out->arrived = (struct result_bounds){watch->rises, opens};
    out->accepted = (struct result_bounds){watch->falls, RESULT_UNKNOWN};
    if (opens != RESULT_UNKNOWN)
        out->accepted.most = at_least_0(opens - change);
    if (opens != RESULT_UNKNOWN && c->context->alone && opens >= watch->rises) {
        out->arrived.least = opens;
        out->accepted.least = out->accepted.most;
    }
    /* All that were in the queue at some time shared the waiting. */
    if (opens != RESULT_UNKNOWN && watch->queue_first + opens > 0)
        out->wait_ns = (int64_t)(watch->waited_ns / (double)(watch->queue_first + opens));
}

/* ---- the accept queue ---- */

enum shape {
    SHAPE_UNDECIDED,
    SHAPE_BURSTS, /* the queue is too short */
    SHAPE_SLOW,   /* the application is too slow */
};

static bool accepted_none(const struct conclusion *c)
{
    return c->out->accepted.most == 0 && c->watch->queue_last > 0 &&
           c->out->watched_ns >= LISTENER_PATIENCE_NS;
}

static enum shape shape_of(const struct conclusion *c)
{
    const struct listener_shape *shape = &c->watch->shape;
    int64_t all = shape->short_drops + shape->long_drops + shape->open_drops;

    if (accepted_none(c))
        return SHAPE_SLOW;
    if (is_share(shape->short_drops, all, LISTENER_AGREE_SHARE))
        return SHAPE_BURSTS;
    if (is_share(shape->long_drops, all, LISTENER_AGREE_SHARE))
        return SHAPE_SLOW;
    return SHAPE_UNDECIDED;
}

static int64_t power_of_two(int64_t value)
{
    int64_t power = 128;

    while (power < value)
        power *= 2;
    return power;
}

/* The queue is too short: who limits it, and to what it should be raised. */
static const char *raise_limit(struct conclusion *c, int64_t wanted)
{
    struct arena *arena = &c->report->arena;
    int64_t somaxconn = c->context->settings.somaxconn, limit = c->watch->limit;

    c->out->binds = somaxconn != RESULT_UNKNOWN && limit >= somaxconn ? "somaxconn" : "backlog";
    if (somaxconn != RESULT_UNKNOWN && wanted <= somaxconn) {
        c->out->setting = arena_printf(arena, "listen(…, %" PRId64 ")", wanted);
        return arena_printf(arena,
                            "Give listen() a backlog of %" PRId64 " or more (nginx: listen … "
                            "backlog=%" PRId64 "; redis: tcp-backlog %" PRId64
                            "), which net.core.somaxconn (%" PRId64 ") allows, and restart the "
                            "server.",
                            wanted, wanted, wanted, somaxconn);
    }
    c->out->setting = arena_printf(arena, "sysctl -w net.core.somaxconn=%" PRId64, wanted);
    return arena_printf(
        arena,
        "sysctl -w net.core.somaxconn=%" PRId64 ", and restart the server with a "
        "backlog for listen() of as much: a listener keeps the limit it was opened with.",
        wanted);
}

static const char *describe_limit(struct conclusion *c)
{
    int64_t somaxconn = c->context->settings.somaxconn, limit = c->watch->limit;
    struct arena *arena = &c->report->arena;

    if (somaxconn == RESULT_UNKNOWN)
        return arena_printf(arena, "The limit is %" PRId64 ".", limit);
    if (limit > somaxconn)
        return arena_printf(arena,
                            "The limit is %" PRId64
                            ", of listen(); net.core.somaxconn is now %" PRId64
                            ", and the next listen() will get that.",
                            limit, somaxconn);
    if (limit == somaxconn)
        return arena_printf(arena,
                            "The limit is net.core.somaxconn, %" PRId64
                            ": listen() asked for as much or more.",
                            limit);
    return arena_printf(arena,
                        "The limit is listen()'s backlog, %" PRId64
                        "; net.core.somaxconn would allow %" PRId64 ".",
                        limit, somaxconn);
}

/* ", about 35 a second"; nothing where that is not known. */
static const char *accept_rate(struct conclusion *c)
{
    const struct result_bounds *accepted = &c->out->accepted;
    double seconds = SECONDS(c->out->watched_ns);

    if (accepted->most == RESULT_UNKNOWN || accepted->least != accepted->most || seconds <= 0)
        return "";
    return arena_printf(&c->report->arena, ", about %.3g a second",
                        (double)accepted->most / seconds);
}

/* Of a queue that the application does not drain: which of the causes, and what to do about it. */
static void say_cause(struct conclusion *c, struct finding *finding)
{
    const struct listener_looks *looks = &c->watch->looks;
    struct arena *arena = &c->report->arena;
    struct listener_cause cause =
        listener_cause_of(looks, &c->watch->tries, accepted_none(c), arena);

    c->out->cause = cause.code;
    if (c->out->gone > 0)
        finding->summary = arena_printf(
            arena, "%s Up to %" PRId64 " of those in the queue were of clients that had gone.",
            finding->summary, c->out->gone);
    if (cause.text)
        finding->summary = arena_printf(arena, "%s %s", finding->summary, cause.text);
    if (cause.remedy)
        finding->remedy = cause.remedy;
    listener_cause_evidence(looks, &c->watch->tries, cause.code, &finding->evidence, arena);
}

static void say_slow(struct conclusion *c, struct finding *finding, const char *start)
{
    struct arena *arena = &c->report->arena;
    const char *why =
        accepted_none(c)
            ? "The application accepted none of them in that time."
            : arena_printf(arena,
                           "Once full, it did not drain for %s or more: the application accepts "
                           "more slowly than connections come%s.",
                           duration(c, c->watch->shape.longest_long_ns), accept_rate(c));

    c->out->binds = "application";
    c->out->setting = "accept() more often";
    finding->summary = arena_printf(arena, "%s %s A longer queue would only make them wait. %s",
                                    start, why, describe_limit(c));
    finding->remedy = "Let the application accept faster: call accept() in a loop until EAGAIN, do "
                      "nothing slow between two calls, use more processes (SO_REUSEPORT), and look "
                      "for what blocks it. Only then consider a longer backlog.";
    say_cause(c, finding);
}

static void say_bursts(struct conclusion *c, struct finding *finding, const char *start)
{
    const struct listener_shape *shape = &c->watch->shape;
    int64_t wanted = power_of_two(listener_capacity(c->watch->limit) + shape->worst_short_drops);

    finding->remedy = raise_limit(c, wanted);
    finding->summary = arena_printf(
        &c->report->arena,
        "%s Each time it drained within %s: the application keeps up on average, but the queue is "
        "too short for bursts (or pauses of the application) of that length; the worst lost "
        "%" PRId64 ". %s",
        start, duration(c, shape->longest_short_ns), shape->worst_short_drops, describe_limit(c));
}

static void say_undecided(struct conclusion *c, struct finding *finding, const char *start)
{
    finding->summary =
        arena_printf(&c->report->arena,
                     "%s Whether it is too short or the application is too slow is not clear: the "
                     "queue was not seen to fill and drain within %s, or both happened. %s",
                     start, duration(c, LISTENER_PATIENCE_NS), describe_limit(c));
    finding->remedy =
        "Watch for longer (--duration) and more often (--interval), while it happens. Then accept "
        "faster, or raise the smaller of listen()'s backlog and net.core.somaxconn.";
}

/* "214 SYNs or handshakes were dropped", "between 3 and 14 …" */
static const char *count_overflows(struct conclusion *c)
{
    const struct result_bounds *overflows = &c->out->overflows;
    struct arena *arena = &c->report->arena;

    if (overflows->least >= overflows->most)
        return arena_printf(arena, "%" PRId64, overflows->least);
    if (overflows->least <= 0)
        return arena_printf(arena, "up to %" PRId64, overflows->most);
    return arena_printf(arena, "between %" PRId64 " and %" PRId64, overflows->least,
                        overflows->most);
}

static void add_evidence(struct conclusion *c, struct finding *finding)
{
    const struct listener_watch *watch = c->watch;
    struct arena *arena = &c->report->arena;

    result_set_integer(arena, &finding->evidence, "queue_most", watch->queue_max);
    result_set_integer(arena, &finding->evidence, "limit", watch->limit);
    result_set_integer(arena, &finding->evidence, "samples_full", watch->full_samples);
    result_set_range(arena, &finding->evidence, "overflows", c->out->overflows.least,
                     c->out->overflows.most);
    result_set_integer(arena, &finding->evidence, "overflows_soon_drained",
                       watch->shape.short_drops);
    result_set_integer(arena, &finding->evidence, "overflows_not_drained", watch->shape.long_drops);
    result_set_integer(arena, &finding->evidence, "overflows_undecided", watch->shape.open_drops);
    result_set_text(arena, &finding->evidence, "binds", c->out->binds);
}

static void examine_accept_queue(struct conclusion *c)
{
    const struct listener_watch *watch = c->watch;
    const struct result_bounds *overflows = &c->out->overflows;
    struct arena *arena = &c->report->arena;

    if (overflows->least <= 0 && (overflows->most <= 0 || !watch->full_overflows))
        return;
    struct finding *finding = add(c, FINDING_ACCEPT_QUEUE_OVERFLOW, RESULT_SIDE_SERVER);
    const char *start = arena_printf(
        arena,
        "In %s %s SYNs or handshakes were dropped at this listener because its accept queue was "
        "full (it holds %" PRId64 ", and was full in %" PRId64 " of %" PRId64 " samples).",
        duration(c, c->out->watched_ns), count_overflows(c), listener_capacity(watch->limit),
        watch->full_samples, watch->samples);
    c->accept_overflow = c->told = true;
    finding->count = overflows->least > 0 ? overflows->least : 1;
    switch (shape_of(c)) {
    case SHAPE_SLOW:
        say_slow(c, finding, start);
        break;
    case SHAPE_BURSTS:
        say_bursts(c, finding, start);
        break;
    case SHAPE_UNDECIDED:
        say_undecided(c, finding, start);
        break;
    }
    add_evidence(c, finding);
}

/* ---- waiting for accept() ---- */

static void examine_waiting(struct conclusion *c)
{
    const struct listener_watch *watch = c->watch;
    struct arena *arena = &c->report->arena;
    bool still = watch->still_ns >= LISTENER_PATIENCE_NS;
    bool slow = c->out->wait_ns != RESULT_UNKNOWN && c->out->wait_ns >= LISTENER_WAIT_NS;

    if (c->accept_overflow || (!still && !slow))
        return;
    struct finding *finding = add(c, FINDING_SLOW_ACCEPT, RESULT_SIDE_SERVER);
    c->out->binds = "application";
    c->out->setting = "accept() more often";
    finding->cost_ns = slow ? c->out->wait_ns : watch->still_ns;
    if (slow)
        finding->summary = arena_printf(
            arena,
            "Connections waited %s or more for accept() on average; up to %" PRId64
            " of them were in the queue at once, which holds %" PRId64 ".%s",
            duration(c, c->out->wait_ns), watch->queue_max, listener_capacity(watch->limit),
            accepted_none(c) ? " The application accepted none of them in that time." : "");
    else
        finding->summary = arena_printf(arena,
                                        "For %s connections waited in the queue, up to %" PRId64
                                        " of them, and it was never seen to shrink.",
                                        duration(c, watch->still_ns), watch->queue_max);
    say_cause(c, finding);
}

/* ---- the SYN queue ---- */

static void say_syn_queue(struct conclusion *c, struct finding *finding, int64_t dropped,
                          int64_t cookies)
{
    const struct listener_settings *settings = &c->context->settings;
    const struct listener_watch *watch = c->watch;
    struct arena *arena = &c->report->arena;
    int64_t quarter = settings->max_syn_backlog - settings->max_syn_backlog / 4;
    bool by_sysctl = settings->syncookies == 0 && settings->max_syn_backlog != RESULT_UNKNOWN &&
                     quarter < listener_capacity(watch->limit);
    const char *most =
        watch->half_open_max == RESULT_UNKNOWN
            ? ""
            : arena_printf(arena, " (at most %" PRId64 " were seen)", watch->half_open_max);

    finding->count = dropped + cookies;
    const char *remedy = raise_limit(c, power_of_two(2 * listener_capacity(watch->limit)));
    if (by_sysctl) {
        c->out->binds = "tcp_max_syn_backlog";
        c->out->setting = arena_printf(arena, "sysctl -w net.ipv4.tcp_max_syn_backlog=%" PRId64,
                                       power_of_two(2 * settings->max_syn_backlog));
    }
    finding->summary = arena_printf(
        arena,
        "In %s %" PRId64 " SYNs were dropped and %" PRId64
        " answered with cookies because too many "
        "connections were half-open at this listener%s. %s%s",
        duration(c, c->out->watched_ns), dropped, cookies, most,
        by_sysctl ? "Without cookies three quarters of net.ipv4.tcp_max_syn_backlog are the limit. "
                  : "",
        describe_limit(c));
    finding->remedy =
        arena_printf(arena,
                     "%sUnfinished handshakes mean clients that do not answer: a SYN flood, or "
                     "loss on the path. If the clients are real: %s",
                     settings->syncookies == 0
                         ? "sysctl -w net.ipv4.tcp_syncookies=1, so that no SYN is dropped. "
                         : "",
                     by_sysctl ? c->out->setting : remedy);
    result_set_integer(arena, &finding->evidence, "half_open_most", watch->half_open_max);
    result_set_integer(arena, &finding->evidence, "limit", watch->limit);
    result_set_integer(arena, &finding->evidence, "samples_full", watch->syn_full_samples);
    result_set_integer(arena, &finding->evidence, "dropped", dropped);
    result_set_integer(arena, &finding->evidence, "cookies", cookies);
}

static void be_inconclusive(struct conclusion *c, int64_t count, const char *summary,
                            const char *remedy)
{
    struct finding *finding = add(c, FINDING_INCONCLUSIVE, RESULT_SIDE_NONE);

    finding->count = count;
    finding->summary = summary;
    finding->remedy = remedy;
}

/* Cookies, which no counter of the listener's own shows: whose were they? */
static int64_t own_cookies(struct conclusion *c, int64_t cookies)
{
    const struct listener_watch *watch = c->watch;

    if (cookies == RESULT_UNKNOWN || c->context->settings.syncookies != 1)
        return 0;
    if (c->context->alone)
        return cookies;
    return watch->syn_full_alone_samples ? least_of(cookies, watch->syn_full_rise) : 0;
}

/* Drops beyond three quarters of tcp_max_syn_backlog have no counter of their own. */
static int64_t drops_of_last_quarter(const struct conclusion *c)
{
    const struct listener_settings *settings = &c->context->settings;
    int64_t quarter = settings->max_syn_backlog - settings->max_syn_backlog / 4;

    return settings->syncookies == 0 && settings->max_syn_backlog != RESULT_UNKNOWN &&
                   c->watch->half_open_max >= quarter
               ? c->unexplained
               : 0;
}

static void examine_syn_queue(struct conclusion *c)
{
    const struct listener_watch *watch = c->watch;
    int64_t cookies = listener_rise(&watch->from, &watch->to, LISTENER_SYN_COOKIES);
    int64_t own = own_cookies(c, cookies);
    int64_t quarter = drops_of_last_quarter(c);
    int64_t dropped = c->syn + quarter;

    c->unexplained -= quarter;
    if (dropped + own > 0 && c->accept_overflow && !watch->syn_full_alone_samples) {
        add_note(c, "The half-open connections reached their limit behind the full accept queue: "
                    "a consequence, not the cause.");
        return;
    }
    if (dropped + own > 0) {
        c->told = true;
        say_syn_queue(c, add(c, FINDING_SYN_QUEUE_OVERFLOW, RESULT_SIDE_SERVER), dropped, own);
        return;
    }
}

/* ---- drops whose kind is not known ---- */

static void examine_the_rest(struct conclusion *c)
{
    const struct result_bounds *drops = &c->out->drops;
    struct arena *arena = &c->report->arena;

    if (c->unexplained > 0)
        be_inconclusive(
            c, c->unexplained,
            arena_printf(arena,
                         "%" PRId64
                         " SYNs or handshakes were dropped at this listener, but not because a "
                         "queue was full: no memory, no route back to the client, a security "
                         "module, or the rules of tcp_max_syn_backlog.",
                         c->unexplained),
            "nstat -az and dmesg on this host; ip route get CLIENT; a capture of the SYNs.");
    else if (drops->most > 0 && !c->told)
        be_inconclusive(
            c, drops->most,
            arena_printf(arena,
                         "%" PRId64 " SYNs or handshakes were dropped in this namespace, where "
                         "several sockets listen; between %" PRId64 " and %" PRId64
                         " of them at this one. Neither its queues nor the counters say more.",
                         listener_rise(&c->watch->from, &c->watch->to, LISTENER_DROPS),
                         drops->least, drops->most),
            "Watch all listeners of the namespace at once (--all-listeners), and more often "
            "(--interval).");
}

/* ---- a listener that went away ---- */

static void examine_closing(struct conclusion *c)
{
    const struct listener_watch *watch = c->watch;
    struct arena *arena = &c->report->arena;

    if (watch->closed_ns == RESULT_UNKNOWN)
        return;
    struct finding *finding = add(c, FINDING_LISTENER_CLOSED, RESULT_SIDE_SERVER);
    c->out->closed_ns = watch->closed_ns - watch->first_ns;
    finding->count = watch->queue_last > 0 ? watch->queue_last : 1;
    if (c->context->replaced && !watch->queue_last)
        finding->severity = FINDING_INFO;
    finding->summary = arena_printf(
        arena,
        "It was gone after %s of the watch%s. In the last sample before %" PRId64 " connections "
        "were in its accept queue%s.",
        duration(c, c->out->closed_ns),
        c->context->replaced ? ", and another socket listens in its place" : "", watch->queue_last,
        watch->queue_last ? "; those still in it at the end were reset" : "");
}

/* ---- all of it ---- */

static void fill_in(struct conclusion *c)
{
    const struct listener_watch *watch = c->watch;
    struct result_listener *out = c->out;
    struct arena *arena = &c->report->arena;

    out->watched_ns = watch->last_ns - watch->first_ns;
    out->limit = watch->limit;
    out->alone = c->context->alone;
    out->gone = watch->gone_max;
    out->accept_queue =
        (struct result_queue){watch->queue_last, watch->queue_max, listener_capacity(watch->limit),
                              watch->samples, watch->full_samples};
    out->half_open = (struct result_queue){watch->half_open_last, watch->half_open_max,
                                           listener_capacity(watch->limit),
                                           watch->half_open_samples, watch->syn_full_samples};
    struct result_chart_column *chart =
        arena_alloc(arena, (watch->chart.count + 1) * sizeof *chart);
    for (size_t i = 0; chart && i < watch->chart.count; i++)
        chart[i] = watch->chart.columns[i];
    out->chart = chart;
    out->chart_count = chart ? watch->chart.count : 0;
}

static void say_whether_ok(struct conclusion *c, size_t first_finding)
{
    struct result_listener *out = c->out;

    out->ok = true;
    for (size_t i = first_finding; i < c->report->findings.count; i++) {
        const struct finding *finding = &c->report->findings.items[i];
        if (finding->severity < FINDING_WARNING || !out->ok)
            continue;
        out->ok = false;
        out->error = (struct result_error){.code = finding->code, .message = finding->summary};
    }
}

void listener_conclude_namespace(const struct listener_counters *from,
                                 const struct listener_counters *to,
                                 const struct listener_settings *settings, struct report *report)
{
    int64_t cookies = listener_rise(from, to, LISTENER_SYN_COOKIES);

    if (cookies <= 0 || settings->syncookies == 2 ||
        finding_listed(&report->findings, FINDING_SYN_QUEUE_OVERFLOW) ||
        finding_listed(&report->findings, FINDING_ACCEPT_QUEUE_OVERFLOW))
        return;
    struct finding *finding =
        finding_add(&report->arena, &report->findings, FINDING_INCONCLUSIVE, RESULT_SIDE_NONE);
    finding->count = cookies;
    finding->summary = arena_printf(
        &report->arena,
        "%" PRId64 " SYNs of this namespace met too many half-open connections and were answered "
        "with cookies. Several sockets listen, and none that was watched was seen at its limit: it "
        "was another socket, or one of these between two samples.",
        cookies);
    finding->remedy = "Watch all of them (--all-listeners), and more often (--interval).";
}

void listener_conclude(struct listener_watch *watch, const struct listener_context *context,
                       struct result_listener *out, struct report *report)
{
    struct conclusion c = {.watch = watch, .context = context, .out = out, .report = report};
    size_t first_finding = report->findings.count;

    listener_watch_end(watch);
    fill_in(&c);
    sort_drops(&c);
    count_traffic(&c);
    examine_accept_queue(&c);
    examine_syn_queue(&c);
    examine_the_rest(&c);
    examine_waiting(&c);
    examine_closing(&c);
    if (watch->limit != watch->limit_first)
        add_note(&c, arena_printf(&report->arena,
                                  "listen() was called again: the limit was %" PRId64 " at first.",
                                  watch->limit_first));
    if (watch->tries.begun)
        add_note(&c, arena_printf(&report->arena,
                                  "%" PRId64 " of the connections that arrived were netkit's own "
                                  "(--try-connections).",
                                  watch->tries.begun));
    if (watch->full_samples && !c.accept_overflow && !out->drops.most)
        add_note(&c, "The accept queue was full at times, but nothing was dropped then.");
    say_whether_ok(&c, first_finding);
}
