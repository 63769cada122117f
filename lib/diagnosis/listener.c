/* Samples of a listener, one after the other, reduced to what the findings need.
 *
 * The queue is "filled" above a quarter of its limit. An episode is a run of filled samples, with
 * whatever was dropped in it; its true length lies between that of the run and the distance of the
 * two unfilled samples around it, so it is short if the latter is, long if the former is, and
 * otherwise, or when the watch began or ended inside, not seen whole. A drop between two unfilled
 * samples is an episode of its own. Between samples that are far apart the queue may have drained
 * and filled again, as it does when dropped SYNs come again after a second: there an episode ends,
 * not seen whole, and another one begins. */
#include "diagnosis/listener.h"

#include "diagnosis/counters.h"
#include "diagnosis/verdict_thresholds.h"

static const struct {
    const char *group, *name, *meaning;
} counters[LISTENER_COUNTERS] = {
    [LISTENER_OVERFLOWS] = {"TcpExt", "ListenOverflows",
                            "a SYN, or the last ACK of a handshake, met a full accept queue"},
    [LISTENER_DROPS] = {"TcpExt", "ListenDrops",
                        "a SYN or a handshake was dropped: a full queue, no memory, no route back, "
                        "… (each overflow counts here, too)"},
    [LISTENER_SYN_DROPS] = {"TcpExt", "TCPReqQFullDrop",
                            "a SYN was dropped because too many connections were half-open"},
    [LISTENER_SYN_COOKIES] = {"TcpExt", "TCPReqQFullDoCookies",
                              "a SYN met too many half-open connections, and was answered with a "
                              "cookie (with tcp_syncookies 2: any SYN)"},
    [LISTENER_COOKIES_SENT] = {"TcpExt", "SyncookiesSent",
                               "a SYN was answered with a cookie, and no state was kept"},
    [LISTENER_PASSIVE_OPENS] = {"Tcp", "PassiveOpens",
                                "a handshake was completed, and the connection queued"},
};

const char *listener_counter_name(enum listener_counter counter)
{
    return counters[counter].name;
}

const char *listener_counter_meaning(enum listener_counter counter)
{
    return counters[counter].meaning;
}

void listener_counters_read(struct listener_counters *out, const char *netstat, const char *snmp)
{
    for (size_t i = 0; i < LISTENER_COUNTERS; i++) {
        const char *text = i == LISTENER_PASSIVE_OPENS ? snmp : netstat;
        uint64_t value;
        out->value[i] = text && counters_find(text, counters[i].group, counters[i].name, &value) &&
                                value <= INT64_MAX
                            ? (int64_t)value
                            : RESULT_UNKNOWN;
    }
}

int64_t listener_rise(const struct listener_counters *from, const struct listener_counters *to,
                      enum listener_counter counter)
{
    int64_t a = from->value[counter], b = to->value[counter];

    return a == RESULT_UNKNOWN || b == RESULT_UNKNOWN || b < a ? RESULT_UNKNOWN : b - a;
}

int64_t listener_capacity(int64_t limit)
{
    return limit + 1;
}

void listener_watch_begin(struct listener_watch *watch)
{
    *watch = (struct listener_watch){.half_open_last = RESULT_UNKNOWN,
                                     .half_open_max = RESULT_UNKNOWN,
                                     .gone_max = RESULT_UNKNOWN,
                                     .drops_last = RESULT_UNKNOWN,
                                     .closed_ns = RESULT_UNKNOWN,
                                     .per_column = 1};
    for (size_t i = 0; i < LISTENER_COUNTERS; i++)
        watch->from.value[i] = watch->to.value[i] = RESULT_UNKNOWN;
}

/* ---- episodes ---- */

static void end_episode(struct listener_watch *watch, bool whole, int64_t low_after_ns)
{
    struct listener_episode *episode = &watch->episode;
    struct listener_shape *shape = &watch->shape;
    int64_t least_ns = episode->last_ns - episode->first_ns;
    int64_t most_ns = low_after_ns - episode->low_before_ns;

    episode->active = false;
    if (!episode->drops)
        return;
    if (least_ns >= LISTENER_PATIENCE_NS) {
        shape->long_drops += episode->drops;
        if (least_ns > shape->longest_long_ns)
            shape->longest_long_ns = least_ns;
    } else if (!whole || episode->from_the_start || most_ns >= LISTENER_PATIENCE_NS) {
        shape->open_drops += episode->drops;
    } else {
        shape->short_drops += episode->drops;
        shape->short_count++;
        if (most_ns > shape->longest_short_ns)
            shape->longest_short_ns = most_ns;
        if (episode->drops > shape->worst_short_drops)
            shape->worst_short_drops = episode->drops;
    }
}

static void follow_episode(struct listener_watch *watch, const struct listener_sample *sample,
                           int64_t drops)
{
    struct listener_episode *episode = &watch->episode;
    bool first = !watch->samples;
    bool filled = (double)sample->queue > LISTENER_FILLED_SHARE * (double)sample->limit;
    bool lost_sight = episode->active && sample->at_ns - watch->last_ns > LISTENER_GAP_NS;

    if (lost_sight)
        end_episode(watch, false, sample->at_ns);
    if (!episode->active && (filled || drops))
        *episode = (struct listener_episode){
            .active = true,
            .from_the_start = first || lost_sight,
            .low_before_ns = first ? sample->at_ns : watch->last_ns,
            .first_ns = sample->at_ns,
            .last_ns = sample->at_ns,
        };
    if (!episode->active)
        return;
    episode->drops += drops;
    if (filled)
        episode->last_ns = sample->at_ns;
    else
        end_episode(watch, true, sample->at_ns);
}

/* ---- the chart: of each column's samples the fullest ---- */

static void halve_chart(struct listener_watch *watch)
{
    struct result_chart *chart = &watch->chart;

    for (size_t i = 0; i < chart->count / 2; i++) {
        const struct result_chart_column *a = &chart->columns[2 * i], *b = a + 1;
        chart->columns[i] = (struct result_chart_column){a->most > b->most ? a->most : b->most,
                                                         a->drops + b->drops};
    }
    chart->count /= 2;
    watch->per_column *= 2;
}

static void draw(struct listener_watch *watch, const struct listener_sample *sample, int64_t drops)
{
    struct result_chart *chart = &watch->chart;

    if (watch->samples == watch->per_column * LISTENER_COLUMNS)
        halve_chart(watch);
    size_t column = (size_t)(watch->samples / watch->per_column);
    if (column == chart->count)
        chart->columns[chart->count++] = (struct result_chart_column){0, 0};
    if (sample->queue > chart->columns[column].most)
        chart->columns[column].most = sample->queue;
    chart->columns[column].drops += drops;
}

/* ---- a sample ---- */

static void count_changes(struct listener_watch *watch, const struct listener_sample *sample)
{
    int64_t change = sample->queue - watch->queue_last;
    int64_t least = sample->queue < watch->queue_last ? sample->queue : watch->queue_last;

    if (!watch->samples) {
        watch->still_from_ns = sample->at_ns;
        return;
    }
    watch->rises += change > 0 ? change : 0;
    watch->falls += change < 0 ? -change : 0;
    watch->waited_ns += (double)least * (double)(sample->at_ns - watch->last_ns);
    /* A full queue is filled up again at once: that it did not fall says nothing. */
    if (change < 0 || !least || sample->queue > sample->limit)
        watch->still_from_ns = sample->at_ns;
    if (sample->queue && sample->at_ns - watch->still_from_ns > watch->still_ns)
        watch->still_ns = sample->at_ns - watch->still_from_ns;
}

/* What rose in the namespace since the last sample, of the two counters of a full SYN queue. */
static int64_t syn_rise(const struct listener_watch *watch, const struct listener_sample *sample)
{
    int64_t cookies = listener_rise(&watch->to, sample->after, LISTENER_SYN_COOKIES);
    int64_t drops = listener_rise(&watch->to, sample->after, LISTENER_SYN_DROPS);

    return (cookies > 0 ? cookies : 0) + (drops > 0 ? drops : 0);
}

static void count_half_open(struct listener_watch *watch, const struct listener_sample *sample)
{
    bool known = sample->half_open != RESULT_UNKNOWN;
    bool accept_full = sample->queue > sample->limit;
    bool full = known && sample->half_open > sample->limit;

    if (known) {
        watch->half_open_samples++;
        watch->half_open_last = sample->half_open;
        if (sample->half_open > watch->half_open_max)
            watch->half_open_max = sample->half_open;
        watch->syn_full_samples += full;
        watch->syn_full_alone_samples += full && !accept_full;
    }
    if (watch->samples && ((full && !accept_full) || watch->syn_full_last))
        watch->syn_full_rise += syn_rise(watch, sample);
    if (known)
        watch->syn_full_last = full && !accept_full;
}

/* The listener's counter was read before the namespace's, so what it counted since the last sample
 * the namespace counted since the reading before that. */
static int64_t wide_rise(const struct listener_watch *watch, const struct listener_sample *sample,
                         enum listener_counter counter)
{
    const struct listener_counters *from = watch->samples > 1 ? &watch->previous : &watch->from;
    int64_t rise = listener_rise(from, sample->after, counter);

    return rise == RESULT_UNKNOWN ? 0 : rise;
}

struct losses {
    int64_t drops, overflows; /* at this listener, at most */
};

/* What was dropped since the last sample; the first one has nothing. */
static struct losses count_losses(struct listener_watch *watch,
                                  const struct listener_sample *sample)
{
    struct losses losses = {0, 0};
    int64_t own = INT64_MAX;

    if (sample->drops != RESULT_UNKNOWN && watch->drops_last != RESULT_UNKNOWN)
        own = sample->drops > watch->drops_last ? sample->drops - watch->drops_last : 0;
    watch->drops_last = sample->drops;
    if (!watch->samples) {
        watch->drops_first = sample->drops;
        return losses;
    }
    losses.drops = wide_rise(watch, sample, LISTENER_DROPS);
    losses.overflows = wide_rise(watch, sample, LISTENER_OVERFLOWS);
    if (own == INT64_MAX) { /* no counter of its own: the namespace's, each drop once */
        int64_t drops = listener_rise(&watch->to, sample->after, LISTENER_DROPS);
        int64_t overflows = listener_rise(&watch->to, sample->after, LISTENER_OVERFLOWS);
        losses = (struct losses){drops > 0 ? drops : 0, overflows > 0 ? overflows : 0};
    }
    losses.drops = losses.drops < own ? losses.drops : own;
    losses.overflows = losses.overflows < own ? losses.overflows : own;
    watch->drops_most += losses.drops;
    watch->overflows_most += losses.overflows;
    if (watch->full_last && sample->queue > sample->limit)
        watch->full_overflows += losses.overflows;
    return losses;
}

bool listener_watch_feed(struct listener_watch *watch, const struct listener_sample *sample)
{
    if (sample->queue < 0 || sample->limit < 0 ||
        (watch->samples && sample->at_ns <= watch->last_ns))
        return false;
    struct losses losses = count_losses(watch, sample);
    count_changes(watch, sample);
    count_half_open(watch, sample);
    follow_episode(watch, sample, losses.overflows);
    draw(watch, sample, losses.drops);
    watch->full_last = sample->queue > sample->limit;
    watch->full_samples += sample->queue > sample->limit;
    if (sample->queue > watch->queue_max)
        watch->queue_max = sample->queue;
    if (!watch->samples) {
        watch->from = *sample->before;
        watch->first_ns = sample->at_ns;
        watch->queue_first = sample->queue;
        watch->limit_first = sample->limit;
    }
    watch->previous = watch->samples ? watch->to : watch->from;
    watch->to = *sample->after;
    watch->limit = sample->limit;
    watch->queue_last = sample->queue;
    watch->last_ns = sample->at_ns;
    if (sample->gone > watch->gone_max)
        watch->gone_max = sample->gone;
    watch->samples++;
    return true;
}

void listener_watch_close(struct listener_watch *watch, int64_t at_ns)
{
    watch->closed_ns = at_ns;
}

void listener_watch_end(struct listener_watch *watch)
{
    if (watch->episode.active)
        end_episode(watch, false, watch->last_ns);
}
