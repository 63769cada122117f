/* Watching live listeners: until the time is up, a signal comes, or nothing is left to watch. */
#include "backlog_live.h"

#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "report_session.h"

#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include "probe/listener_probe.h"
#include "report/report.h"
#include "report/spark.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define COMMAND       "accept-backlog"
#define DURATION_NS   (10 * NS_PER_SEC) /* of a watch, unless the user says otherwise */
#define LIVE_COLUMNS  24                /* of the small chart */
#define ALWAYS_STREAM 16                /* up to this many listeners have a line for every sample */
#define LITTLE_CPU    0.01

struct watch {
    const struct backlog_live_options *options;
    const struct common_options *common;
    struct report *report;
    struct report_session_stream stream;
    struct progress progress;
    struct listener_probe *probe;
    struct sock_target *targets;
    int64_t started_ns, until_ns;
    bool unicode;
};

/* ---- the choice ---- */

/* A bare port is what ss shows, and means the same as :PORT. */
static int parse_target(struct sock_target *out, const char *word, struct error *error)
{
    cleanup(buf) struct buf text = {0};

    if (*word && word[strspn(word, "0123456789")] == '\0')
        buf_add_char(&text, ':');
    buf_add_str(&text, word);
    if (!sock_target_parse(out, buf_str(&text), NULL, 0, error))
        return 0;
    return error_add(error, "--listener '%s'", word);
}

static int parse_targets(struct watch *watch, struct error *error)
{
    const struct cli_list *list = &watch->options->listeners;
    int rc = 0;

    watch->targets = calloc(list->count + 1, sizeof *watch->targets);
    if (!watch->targets)
        return error_sys(error, ENOMEM, "--listener");
    for (size_t i = 0; !rc && i < list->count; i++)
        rc = parse_target(&watch->targets[i], list->words[i], error);
    return rc;
}

static int open_probe(struct watch *watch, const struct wait_limit *limit, struct error *error)
{
    const struct listener_choice choice = {
        .targets = watch->targets,
        .target_count = watch->options->listeners.count,
        .pid = watch->options->pid,
        .all = watch->options->all,
        .family = report_session_family(watch->common),
        .tries = watch->options->tries,
        .limit = *limit,
    };

    return listener_probe_open(&watch->probe, &choice, error);
}

/* Nothing to watch is a target out of reach; what is forbidden is the machine's doing. */
static int status_of_failure(int rc)
{
    switch (-rc) {
    case ENOENT:
    case ESRCH:
    case EADDRNOTAVAIL:
    case EAGAIN:
    case EIO:
    case ETIMEDOUT:
        return STATUS_UNREACHED;
    default:
        return STATUS_MACHINE;
    }
}

static void list_parameters(const struct watch *watch)
{
    const struct backlog_live_options *options = watch->options;
    struct result_map *map = &watch->report->parameters;
    struct arena *arena = &watch->report->arena;

    result_set_texts(arena, map, "listeners", options->listeners.words, options->listeners.count);
    result_set_integer(arena, map, "pid", options->pid ? options->pid : RESULT_UNKNOWN);
    result_set_bool(arena, map, "all_listeners", options->all);
    result_set_bool(arena, map, "try_connections", options->tries);
    result_set_integer(arena, map, "interval_ns", options->interval_ns);
    result_set_integer(arena, map, "duration_ns", watch->until_ns - watch->started_ns);
    result_set_integer(arena, map, "timeout_ns",
                       watch->common->timeout_set ? watch->common->timeout_ns : RESULT_UNKNOWN);
}

/* ---- while it goes on: NDJSON ---- */

static bool has_changed(const struct listener_view *view)
{
    const struct listener_watch *watch = view->watch;

    /* Its first sample, anything in a queue, or something dropped in the last column. */
    return watch->samples == 1 || view->sample->queue || view->sample->half_open > 0 ||
           watch->chart.columns[watch->chart.count - 1].drops;
}

static size_t count_listeners(const struct watch *watch)
{
    struct listener_view view;
    size_t at = 0, count = 0;

    while (listener_probe_next(watch->probe, &at, &view))
        count += view.present;
    return count;
}

static void stream_counters(struct watch *watch, struct buf *lines, int64_t at_ns)
{
    struct result_counters_sample sample = {.at_ns = at_ns};
    struct arena arena = {0};

    for (int i = 0; i < LISTENER_COUNTERS; i++) {
        enum listener_counter counter = (enum listener_counter)i;
        result_set_integer(&arena, &sample.counters, listener_counter_name(counter),
                           listener_rise(listener_probe_from(watch->probe),
                                         listener_probe_now(watch->probe), counter));
    }
    if (report_ndjson_counters(lines, &sample, NULL))
        lines->failed = true;
    arena_free(&arena);
}

static void stream_sample(struct watch *watch)
{
    cleanup(buf) struct buf lines = {0};
    struct listener_view view;
    int64_t at_ns = RESULT_UNKNOWN;

    if (!report_session_stream_wanted(&watch->stream))
        return;
    bool each = count_listeners(watch) <= ALWAYS_STREAM;
    for (size_t at = 0; listener_probe_next(watch->probe, &at, &view);) {
        char name[SOCK_ADDRESS_TEXT_MAX];
        if (!view.present)
            continue;
        at_ns = view.sample->at_ns - watch->started_ns;
        if (!each && !has_changed(&view))
            continue;
        const struct result_listener_sample sample = {
            .listener = sock_address_format(name, sizeof name, view.local),
            .at_ns = at_ns,
            .queue = view.sample->queue,
            .limit = view.sample->limit,
            .half_open = view.sample->half_open,
            .drops = view.watch->drops_first == RESULT_UNKNOWN
                         ? RESULT_UNKNOWN
                         : view.sample->drops - view.watch->drops_first,
        };
        if (report_ndjson_sample(&lines, &sample, NULL))
            lines.failed = true;
    }
    if (at_ns != RESULT_UNKNOWN)
        stream_counters(watch, &lines, at_ns);
    report_session_stream_line(&watch->stream, &lines);
}

/* ---- while it goes on: a line for people ---- */

/* How full, against what it holds. */
static double fill_of(const struct listener_view *view)
{
    return (double)view->sample->queue / (double)listener_capacity(view->sample->limit);
}

static void put_chart(struct buf *line, const struct listener_watch *watch, bool unicode)
{
    const struct result_chart *chart = &watch->chart;
    size_t from = chart->count > LIVE_COLUMNS ? chart->count - LIVE_COLUMNS : 0;

    for (size_t i = from; i < chart->count; i++)
        buf_add_str(line,
                    report_spark(chart->columns[i].most, listener_capacity(watch->limit), unicode));
}

static void put_time(struct buf *line, const struct watch *watch)
{
    int64_t passed_ns = clock_mono_ns() - watch->started_ns;

    buf_printf(line, ", %" PRId64 " of %" PRId64 " s", passed_ns / NS_PER_SEC,
               (watch->until_ns - watch->started_ns + NS_PER_SEC - 1) / NS_PER_SEC);
}

static void draw_line(struct watch *watch)
{
    cleanup(buf) struct buf line = {0};
    struct listener_view view, fullest = {0};
    char name[SOCK_ADDRESS_TEXT_MAX];
    size_t count = 0;

    if (!progress_due(&watch->progress))
        return;
    for (size_t at = 0; listener_probe_next(watch->probe, &at, &view);) {
        if (!view.present)
            continue;
        if (!count++ || fill_of(&view) > fill_of(&fullest))
            fullest = view;
    }
    if (!count) {
        buf_add_str(&line, "nothing listens there now");
    } else {
        if (count > 1)
            buf_printf(&line, "%zu listeners, fullest: ", count);
        buf_printf(&line, "%s ", sock_address_format(name, sizeof name, fullest.local));
        put_chart(&line, fullest.watch, watch->unicode);
        buf_printf(&line, " %" PRId64 " of %" PRId64 ", most %" PRId64, fullest.sample->queue,
                   listener_capacity(fullest.sample->limit), fullest.watch->queue_max);
        if (fullest.watch->half_open_last > 0)
            buf_printf(&line, ", half-open %" PRId64, fullest.watch->half_open_last);
        if (fullest.watch->drops_most)
            buf_printf(&line, ", dropped %" PRId64, fullest.watch->drops_most);
    }
    put_time(&line, watch);
    progress_text(&watch->progress, buf_str(&line));
}

/* ---- the watch ---- */

static void rest_until(int64_t due_ns)
{
    int64_t left_ns;

    while (!interrupt_stop && (left_ns = due_ns - clock_mono_ns()) > 0)
        poll(NULL, 0, clock_to_poll_ms(left_ns < WAIT_SLICE_NS ? left_ns : WAIT_SLICE_NS));
}

/* A sample at the beginning, one at the end, and those between. */
static int observe(struct watch *watch, struct error *error)
{
    for (;;) {
        bool last = interrupt_stop || clock_mono_ns() >= watch->until_ns;
        int rc = listener_probe_sample(watch->probe, error);
        if (rc)
            return rc;
        stream_sample(watch);
        draw_line(watch);
        if (last || !listener_probe_alive(watch->probe))
            return 0;
        int64_t due_ns = listener_probe_due(watch->probe, watch->options->interval_ns);
        rest_until(due_ns < watch->until_ns ? due_ns : watch->until_ns);
    }
}

/* What the watch itself was like, beside the first result. */
static void add_notes(struct watch *watch)
{
    struct listener_cost cost = listener_probe_cost(watch->probe);
    int64_t passed_ns = clock_mono_ns() - watch->started_ns;
    double share = passed_ns > 0 ? (double)cost.cpu_ns / (double)passed_ns : 0;
    double each_ns = (double)passed_ns / (double)(cost.samples ? cost.samples : 1);
    struct result_listener *first = &watch->report->results[0]->listener;
    struct arena *arena = &watch->report->arena;
    const char *notes[8];
    size_t count = 0;

    if (4 * cost.half_open_samples < cost.samples)
        notes[count++] =
            arena_printf(arena,
                         "Half-open connections were counted in %" PRId64 " of %" PRId64
                         " samples only: each count walks through the kernel's table of "
                         "connections, which takes long here.",
                         cost.half_open_samples, cost.samples);
    if (cost.samples > 3 && each_ns > 2 * (double)watch->options->interval_ns)
        notes[count++] = arena_printf(arena,
                                      "Samples were %.0f ms apart: there are too many listeners, "
                                      "or this machine is too busy, for --interval.",
                                      each_ns / (double)NS_PER_MS);
    if (watch->common->verbose || share > LITTLE_CPU)
        notes[count++] = arena_printf(arena, "The watch took %.2f %% of a processor.", 100 * share);
    const char **all = arena_alloc(arena, (first->note_count + count + 1) * sizeof *all);
    if (!all || !count)
        return;
    if (first->note_count)
        memcpy(all, first->notes, first->note_count * sizeof *all);
    memcpy(all + first->note_count, notes, count * sizeof *all);
    first->notes = all;
    first->note_count += count;
}

static int deliver(struct watch *watch)
{
    const struct report *report = watch->report;

    for (size_t i = 0; i < report->result_count; i++)
        report_session_stream_result(&watch->stream, report->results[i]);
    int status = report_session_fails(watch->common, report) ? STATUS_FINDING : STATUS_OK;
    return interrupt_status(report_session_stream_deliver(&watch->stream, watch->report, status));
}

/* Looking names up took its time. */
static void begin_now(struct watch *watch, const struct wait_limit *limit)
{
    int64_t now = clock_mono_ns();

    watch->until_ns += now - watch->started_ns;
    watch->started_ns = now;
    if (watch->until_ns > limit->deadline_ns)
        watch->until_ns = limit->deadline_ns;
}

static int run_watch(struct watch *watch)
{
    const struct wait_limit limit = interrupt_limit(watch->common);
    struct error error = {0};
    int status = report_session_reserve(COMMAND, watch->common, NULL);

    if (status)
        return status;
    int rc = open_probe(watch, &limit, &error);

    if (rc) {
        output_complain(COMMAND, "%s", error.text);
        return interrupt_status(status_of_failure(rc));
    }
    begin_now(watch, &limit);
    status = report_session_stream_begin(&watch->stream, COMMAND, watch->common);
    if (status != STATUS_OK)
        return status;
    watch->progress = progress_begin(!watch->common->quiet);
    rc = observe(watch, &error);
    progress_end(&watch->progress);
    if (!rc)
        rc = listener_probe_conclude(watch->probe, watch->report, &error);
    if (rc) {
        output_complain(COMMAND, "%s", error.text);
        report_session_stream_abandon(&watch->stream);
        return STATUS_MACHINE;
    }
    if (watch->report->result_count)
        add_notes(watch);
    report_session_end(watch->report);
    return deliver(watch);
}

/* --timeout bounds the run whatever --duration says, and alone it is the duration. */
static int64_t duration_ns(const struct backlog_live_options *options,
                           const struct common_options *common)
{
    if (!options->duration_set)
        return common->timeout_set ? common->timeout_ns : DURATION_NS;
    return common->timeout_set && common->timeout_ns < options->duration_ns ? common->timeout_ns
                                                                            : options->duration_ns;
}

int backlog_live_run(const struct cli_invocation *invocation,
                     const struct backlog_live_options *options,
                     const struct common_options *common)
{
    struct report report = {0};
    struct watch watch = {.options = options,
                          .common = common,
                          .report = &report,
                          .started_ns = clock_mono_ns(),
                          .unicode = text_locale_is_utf8()};
    struct error error = {0};
    int status = STATUS_USAGE;

    watch.until_ns = watch.started_ns + duration_ns(options, common);
    report_session_begin(&report, invocation);
    list_parameters(&watch);
    interrupt_catch();
    if (parse_targets(&watch, &error))
        status = output_refuse_for(COMMAND, &error);
    else
        status = run_watch(&watch);
    listener_probe_close(watch.probe);
    free(watch.targets);
    report_free(&report);
    return status;
}

bool backlog_live_wanted(const struct backlog_live_options *options)
{
    return options->listeners.count || options->pid || options->all;
}

#define OF struct backlog_live_options

const struct cli_group backlog_live_group = {
    "What to watch",
    {
        {.name = "listener",
         CLI_LIST(OF, listeners),
         .value = "[HOST]:PORT",
         .completes = CLI_COMPLETES_HOST,
         .help = "Watch the listener that a connection to this address would reach; with :PORT, "
                 "all listeners on that port, whatever their address. May be repeated."},
        {.name = "pid",
         CLI_INTEGER(OF, pid),
         .min = 1,
         .max = INT32_MAX,
         .conflicts = "listener all-listeners",
         .value = "PID",
         .help = "Watch the listeners of this process, which must run as the same user."},
        {.name = "all-listeners",
         CLI_FLAG(OF, all),
         .conflicts = "listener",
         .help = "Watch every listener of this network namespace."},
        {.name = "try-connections",
         CLI_FLAG(OF, tries),
         .needs = "listener pid all-listeners",
         .help = "Where connections wait and nothing moves, open up to eight of netkit's own, to "
                 "see whether each releases exactly one that had been waiting. They send nothing, "
                 "and stay open until the watch ends. Without this option netkit only looks on."},
        {.name = "interval",
         CLI_DURATION(OF, interval_ns),
         .min = NS_PER_MS,
         .max = 3600 * NS_PER_SEC,
         .initial = "100ms",
         .help = "Take a sample at this interval."},
        {.name = "duration",
         CLI_DURATION(OF, duration_ns),
         CLI_GIVEN(OF, duration_set),
         .min = NS_PER_MS,
         .help =
             "Watch for this long: 10 seconds without this option, or --timeout. With --server: "
             "wait this long for the last connect of the burst."},
        {0},
    }};
