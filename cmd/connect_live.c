#include "connect_live.h"

#include "connect_schedule.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "report_session.h"
#include "rights.h"
#include "targets.h"

#include "base/clock.h"
#include "probe/connect_probe.h"
#include "probe/machine_probe.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct looking {
    const char *command;
    const struct connect_live_options *options;
    const struct common_options *common;
    struct report *report;
    struct target_list targets;
    struct probe_totals totals;
    struct reach_evidence **all; /* of targets that were tried */
    size_t all_count;
    struct report_session_stream stream;
    struct progress progress;
};

/* ---- results ---- */

static void diagnose_target(struct looking *looking, const struct reach_evidence *evidence)
{
    struct report *report = looking->report;
    struct result *result = report_add(report, RESULT_REACH);

    if (!result)
        return;
    reach_diagnose(&report->arena, evidence, &result->reach, &report->findings);
    report_session_stream_result(&looking->stream, result);
}

static void keep_evidence(struct looking *looking, struct reach_evidence *evidence)
{
    struct reach_evidence **all =
        arena_grow(&looking->report->arena, looking->all, looking->all_count, sizeof *all);

    if (!all)
        return;
    looking->all = all;
    all[looking->all_count++] = evidence;
}

/* A target whose cause other targets may show waits for them. */
static void on_done(void *context, struct reach_evidence *evidence)
{
    struct looking *looking = context;
    const struct probe_totals *totals = &looking->totals;

    keep_evidence(looking, evidence);
    if (!reach_wants_others(evidence))
        diagnose_target(looking, evidence);
    progress_update(&looking->progress, totals->done, looking->targets.count, totals->failed,
                    totals->in_flight);
}

static void diagnose_rest(struct looking *looking)
{
    reach_find_others(looking->all, looking->all_count);
    for (size_t i = 0; i < looking->all_count; i++)
        if (reach_wants_others(looking->all[i]))
            diagnose_target(looking, looking->all[i]);
}

/* Names that are no target have failed before anything was tried; the others go on. */
static void list_misnamed(struct looking *looking)
{
    for (size_t i = 0; i < looking->targets.misnamed_count; i++) {
        const struct target_misnamed *misnamed = &looking->targets.misnamed[i];
        const struct reach_evidence evidence = {.target = misnamed->name,
                                                .port = RESULT_UNKNOWN,
                                                .resolve_ns = RESULT_UNKNOWN,
                                                .resolve_error = misnamed->error.message};
        diagnose_target(looking, &evidence);
    }
}

/* ---- the run ---- */

static void list_parameters(const struct looking *looking)
{
    const struct connect_live_options *options = looking->options;
    struct arena *arena = &looking->report->arena;
    struct result_map *map = &looking->report->parameters;

    result_set_integer(arena, map, "tries", options->tries);
    result_set_integer(arena, map, "connect_timeout_ns", options->try_timeout_ns);
    result_set_bool(arena, map, "path", options->path);
    if (!options->path)
        return;
    result_set_integer(arena, map, "max_hops", options->hops);
    result_set_integer(arena, map, "hop_timeout_ns", options->hop_timeout_ns);
}

static void complain_of_totals(const struct looking *looking)
{
    const struct probe_totals *totals = &looking->totals;

    if (totals->capture_failure && (looking->common->verbose || totals->captured))
        output_complain(looking->command, "%s: %s; the report lacks what a capture would add",
                        totals->captured ? "not all packets were captured"
                                         : "packets were not captured",
                        totals->capture_failure);
    report_session_complain_of_limit(looking->command, totals);
    if (totals->not_done)
        output_complain(looking->command, "%s: %zu of %zu targets were not tried",
                        interrupt_signal ? "interrupted" : "time is up", totals->not_done,
                        looking->targets.asked);
}

static struct connect_probe_plan plan_of(const struct looking *looking)
{
    const struct connect_live_options *options = looking->options;
    const struct common_options *common = looking->common;

    return (struct connect_probe_plan){.family = report_session_family(common),
                                       .tries = options->tries,
                                       .try_timeout_ns = options->try_timeout_ns,
                                       .deadline_ns = interrupt_limit(common).deadline_ns,
                                       .path = options->path,
                                       .hops = options->hops,
                                       .hop_timeout_ns = options->hop_timeout_ns,
                                       .parallel = (size_t)options->parallel,
                                       .pcap = common->pcap,
                                       .keep_strip = common_diagram(common) != LADDER_NONE ||
                                                     common->timeline,
                                       .settings = machine_timers()};
}

/* This machine had no means for one of the targets: exit status 3. None accepts a connection: 4. */
static int status_of(const struct looking *looking)
{
    const struct report *report = looking->report;
    size_t reached = 0;
    bool refused_here = false;

    for (size_t i = 0; i < report->result_count; i++) {
        reached += report->results[i]->reach.ok;
        refused_here |= failure_is_local(&report->results[i]->reach.error);
    }
    if (refused_here && !report->interrupted)
        return STATUS_MACHINE;
    if (!reached && !report->interrupted)
        return STATUS_UNREACHED;
    return report_session_fails(looking->common, report) ? STATUS_FINDING : STATUS_OK;
}

static int run_targets(struct looking *looking)
{
    const struct connect_probe_sink sink = {.context = looking, .done = on_done};
    struct error error = {0};

    int status =
        rights_give_up(looking->command, looking->common, &(struct rights_needs){.capture = true});
    if (!status)
        status = report_session_stream_begin(&looking->stream, looking->command, looking->common);
    if (status)
        return status;
    list_parameters(looking);
    list_misnamed(looking);
    looking->progress =
        progress_begin(report_session_wants_progress(looking->common, looking->targets.count));
    const struct connect_probe_plan plan = plan_of(looking);
    int rc = connect_probe_run(&plan, looking->targets.items, looking->targets.count,
                               &looking->report->arena, &sink, &interrupt_stop, &looking->totals,
                               &error);
    progress_end(&looking->progress);
    if (looking->totals.captured)
        looking->report->capture = RESULT_CAPTURE_PCAP;
    diagnose_rest(looking);
    complain_of_totals(looking);
    if (rc && !looking->report->result_count)
        report_session_refused(looking->report, &error);
    report_session_end(looking->report);
    report_session_complain(looking->command, looking->common, looking->report);
    struct common_options plain = *looking->common;
    if (rc) {
        output_complain(looking->command, "%s%s",
                        rc == -EPERM ? "--pcap, --diagram and --timeline show packets: " : "",
                        error.text);
        plain.diagram = LADDER_NONE;
        plain.diagram_file = NULL;
        plain.timeline = false;
        looking->stream.options = &plain;
    }
    status = rc ? STATUS_MACHINE : status_of(looking);
    return interrupt_status(
        report_session_stream_deliver(&looking->stream, looking->report, status));
}

static int look_at_targets(struct looking *looking)
{
    const struct connect_live_options *options = looking->options;
    const struct target_sources sources = {.args = options->target.words,
                                           .arg_count = options->target.count,
                                           .file = options->targets,
                                           .resolve = options->resolve,
                                           .family = report_session_family(looking->common)};
    struct error error = {0};

    interrupt_catch();
    if (target_list_collect(&looking->targets, &looking->report->arena, &sources, &error))
        return interrupt_status(output_refuse_for(looking->command, &error));
    int status = run_targets(looking);
    report_session_stream_abandon(&looking->stream);
    return status;
}

static int show_schedule(struct report *report, const char *command,
                         const struct connect_live_options *options,
                         const struct common_options *common)
{
    struct error error = {0};
    int rc = connect_schedule_report(report, &options->kernel_settings, &error);

    if (rc) {
        output_complain(command, "%s", error.text);
        return rc == -EINVAL ? STATUS_USAGE : STATUS_MACHINE;
    }
    report_session_end(report);
    return report_session_deliver(command, common, report, STATUS_OK);
}

bool connect_live_wanted(const struct connect_live_options *options)
{
    return options->target.count || options->targets || options->schedule;
}

int connect_live_run(const struct cli_invocation *invocation,
                     const struct connect_live_options *options,
                     const struct common_options *common)
{
    struct report report = {0};
    struct looking looking = {.command = invocation->command->name,
                              .options = options,
                              .common = common,
                              .report = &report};

    report_session_begin(&report, invocation);
    int status = options->schedule ? show_schedule(&report, looking.command, options, common)
                                   : look_at_targets(&looking);
    report_free(&report);
    return status;
}

/* ---- options ---- */

#define OF struct connect_live_options

const struct cli_group connect_live_targets = {
    "Live targets",
    {
        {.name = "target",
         CLI_LIST(OF, target),
         .value = "HOST:PORT",
         .completes = CLI_COMPLETES_HOST,
         .conflicts = "list all",
         .help = "Connect to this target, and say what happens and why: host:port, [v6]:port, or "
                 ":port for this host. Each address of a name is tried. May be repeated."},
        {.name = "targets",
         CLI_TEXT(OF, targets),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .conflicts = "list all",
         .help =
             "Read targets from FILE, one on each line (# starts a comment); - is standard input."},
        {.name = "tries",
         CLI_INTEGER(OF, tries),
         .min = 1,
         .max = CONNECT_PROBE_TRIES_MAX,
         .initial = "3",
         .needs = "target targets",
         .help = "Connect this many times, one after the other, as long as the target answers; "
                 "after silence or an ICMP error there is no further try."},
        {.name = "connect-timeout",
         CLI_DURATION(OF, try_timeout_ns),
         .min = 1000000,
         .initial = "10s",
         .needs = "target targets",
         .help = "Wait this long for an answer to each try. The kernel sends its SYN again after 1 "
                 "s, so a shorter wait shows less."},
        {.name = "parallel",
         CLI_INTEGER(OF, parallel),
         .min = 1,
         .max = 1000000,
         .initial = "64",
         .needs = "target targets",
         .help = "Check this many targets at once."},
        {.name = "resolve",
         CLI_LIST(OF, resolve),
         .value = "HOST:PORT:ADDRESS",
         .needs = "target targets",
         .help = "Use ADDRESS for HOST:PORT instead of asking the resolver. May be repeated."},
        {0},
    }};

const struct cli_group connect_live_path = {
    "How far a SYN gets",
    {
        {.name = "path",
         CLI_FLAG(OF, path),
         .needs = "target targets",
         .help = "Send SYNs with an increasing time to live, and show each router that answers, "
                 "its response time, and where the path ends."},
        {.name = "max-hops",
         CLI_INTEGER(OF, hops),
         .min = 1,
         .max = CONNECT_PROBE_HOPS_MAX,
         .initial = "30",
         .needs = "path",
         .help = "Stop after this many hops."},
        {.name = "hop-timeout",
         CLI_DURATION(OF, hop_timeout_ns),
         .min = 1000000,
         .initial = "2500ms",
         .needs = "path",
         .help = "Wait this long for each hop: three SYNs at the kernel's usual pace."},
        {0},
    }};

const struct cli_group connect_live_schedule = {
    "Prediction",
    {
        {.name = "schedule",
         CLI_FLAG(OF, schedule),
         .conflicts = "target targets path list all",
         .help = "Print when this kernel sends the SYNs of a connect that gets no answer, and when "
                 "it gives up, computed from its settings. Nothing is sent."},
        {.name = "kernel-setting",
         CLI_LIST(OF, kernel_settings),
         .value = "NAME=VALUE",
         .needs = "schedule",
         .help = "Compute with this value instead of the kernel's: tcp_syn_retries, "
                 "tcp_syn_linear_timeouts, tcp_rto_max_ms, or the socket options TCP_SYNCNT and "
                 "TCP_USER_TIMEOUT (ms). May be repeated."},
        {0},
    }};
