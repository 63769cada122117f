#include "scenarios.h"

#include "host_options.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "report_session.h"

#include "base/clock.h"
#include "base/text.h"
#include "netkit/sock.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define OF struct scenario_options

const struct cli_group scenario_hosts = {
    "Hosts",
    {
        {.name = "sysctl",
         CLI_LIST(OF, sysctls),
         .value = "HOST:NAME=VALUE",
         .help = "Set a network setting of the client or the server host, after the scenario's "
                 "own: client:tcp_syn_retries=2. May be repeated."},
        {.name = "socket-option",
         CLI_LIST(OF, socket_options),
         .value = "HOST:NAME=VALUE",
         .help = "Set an option on every socket that the scenario opens on that host: "
                 "server:SO_KEEPALIVE=on. May be repeated."},
        {0},
    }};

const char *scenarios_word(const struct scenario_set *set, size_t index)
{
    return set->items[index] ? set->items[index]->name : NULL;
}

const char *scenarios_stray(const struct scenario_options *options)
{
    const struct common_options *common = &options->common;
    const struct {
        bool given;
        const char *name;
    } all[] = {
        {common->repeat > 1, "--repeat"},
        {common->no_lab, "--no-lab"},
        {common->real_time, "--real-time"},
        {options->sysctls.count, "--sysctl"},
        {options->socket_options.count, "--socket-option"},
        {options->faults.delay_given, "--delay"},
        {options->faults.rate_bytes, "--rate"},
        {options->faults.items.count, "a fault"},
        {common_diagram(common) != LADDER_NONE, "a diagram"},
        {common->timeline, "--timeline"},
        {common->pcap, "--pcap"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i].given)
            return all[i].name;
    return NULL;
}

/* ---- --list ---- */

static int list(const struct scenario_set *set, const struct scenario_options *options)
{
    cleanup(buf) struct buf text = {0};
    int widest = 0;

    for (size_t i = 0; set->items[i]; i++) {
        int width = (int)strlen(set->items[i]->name);
        widest = width > widest ? width : widest;
    }
    for (size_t i = 0; set->items[i]; i++)
        buf_printf(&text, "%-*s  %s\n", widest, set->items[i]->name, set->items[i]->title);
    struct error error = {0};
    if (!common_deliver(&options->common, &text, &error))
        return STATUS_OK;
    output_complain(set->command, "%s", error.text);
    return STATUS_MACHINE;
}

/* ---- Which ---- */

struct selection {
    struct scenario_job *jobs;
    size_t count;
    size_t left_out; /* with --no-lab */
};

static void add_job(struct selection *selection, const struct scenario *scenario, int family)
{
    selection->jobs[selection->count++] = (struct scenario_job){scenario, family};
}

static void add_scenario(struct selection *selection, const struct scenario *scenario,
                         const struct common_options *common)
{
    int only = scenario->family == AF_INET ? 4 : scenario->family == AF_INET6 ? 6 : 0;
    bool both = common->all && !common->family;

    for (int family = 4; family <= 6; family += 2)
        if ((!only || only == family) &&
            (both || only == family || family == (common->family ? common->family : 4)))
            add_job(selection, scenario, family);
}

static int unknown(const struct scenario_set *set, const char *name, struct arena *arena,
                   struct error *error)
{
    size_t known = 0;

    while (set->items[known])
        known++;
    const char **names = arena_alloc(arena, (known + 1) * sizeof *names);
    for (size_t i = 0; names && i < known; i++)
        names[i] = set->items[i]->name;
    const char *nearest = names ? text_nearest(name, names) : NULL;
    return error_set(error, EINVAL, "there is no scenario '%.60s'%s%s%s; --list shows them all",
                     name, nearest ? ", did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
}

static int select_jobs(const struct scenario_set *set, const struct cli_invocation *invocation,
                       const struct common_options *common, struct arena *arena,
                       struct selection *out, struct error *error)
{
    size_t known = 0;

    while (set->items[known])
        known++;
    *out = (struct selection){
        .jobs = arena_alloc(arena, 2 * (known + invocation->arg_count + 1) * sizeof *out->jobs)};
    if (!out->jobs)
        return error_sys(error, ENOMEM, "the scenarios");
    if (!common->all && !invocation->arg_count)
        return error_set(error, EINVAL,
                         "nothing to run: name a scenario (--list shows them), or give --all");
    if (common->all && invocation->arg_count)
        return error_set(error, EINVAL, "--all runs every scenario: leave out '%.60s'",
                         invocation->args[0]);
    for (size_t i = 0; common->all && set->items[i]; i++) {
        if (common->no_lab && !set->items[i]->loopback)
            out->left_out++;
        else
            add_scenario(out, set->items[i], common);
    }
    for (size_t i = 0; i < invocation->arg_count; i++) {
        const struct scenario *scenario = scenario_find(set, invocation->args[i]);
        if (!scenario)
            return unknown(set, invocation->args[i], arena, error);
        if (common->no_lab && !scenario->loopback)
            return error_set(error, EINVAL,
                             "--no-lab: loopback cannot show %s, which needs the lab",
                             scenario->name);
        add_scenario(out, scenario, common);
    }
    return 0;
}

/* ---- From options to a request ---- */

static int read_option(const char *text, struct arena *arena, struct scenario_option *out,
                       struct error *error)
{
    struct sock_option_value value;
    struct host_word word;
    int rc = host_word_read(&word, "socket-option", text, arena, error);

    if (rc)
        return rc;
    const struct sock_option *option = sock_option_find(word.name);
    if (!option)
        return error_set(error, EINVAL, "--socket-option: there is no socket option '%s'",
                         word.name);
    rc = sock_option_parse(option, word.value, &value, error);
    if (rc)
        return error_add(error, "--socket-option %s", word.name);
    *out = (struct scenario_option){word.host, option->name, word.value};
    return 0;
}

static int read_options(const struct scenario_options *options, struct arena *arena,
                        struct scenario_request *request, struct error *error)
{
    const struct cli_list *words = &options->socket_options;
    struct scenario_option *list_of = arena_alloc(arena, (words->count + 1) * sizeof *list_of);
    int rc = list_of ? 0 : error_sys(error, ENOMEM, "socket options");

    for (size_t i = 0; !rc && i < words->count; i++)
        rc = read_option(words->words[i], arena, &list_of[i], error);
    request->options = list_of;
    request->option_count = words->count;
    return rc;
}

static int make_request(const struct scenario_options *options, const struct scenario_extra *extra,
                        struct arena *arena, struct scenario_request *request, struct error *error)
{
    const struct common_options *common = &options->common;

    *request = (struct scenario_request){
        .no_lab = common->no_lab,
        .real_time = common->real_time,
        .link = fault_link_of(&options->faults),
        .delay_given = options->faults.delay_given,
        .seed = (uint64_t)options->faults.seed,
        .pcap = common->pcap,
        .keep_events = common->timeline || common_diagram(common) != LADDER_NONE,
        .bytes = extra ? extra->bytes : 0,
        .own = extra ? extra->own : NULL,
        .rights.as_root = extra && extra->as_root,
    };
    privilege_user_of(&request->rights.user, NULL, 0);
    int rc = host_sysctls(&options->sysctls, arena, request->sysctls, request->sysctl_count, error);
    if (!rc)
        rc = faults_read(&options->faults, arena, &request->faults, &request->fault_count, error);
    if (!rc)
        rc = read_options(options, arena, request, error);
    if (!rc && common->pcap && common->repeat > 1)
        rc = error_set(
            error, EINVAL,
            "--pcap keeps the packets of a single run, and cannot be combined with --repeat");
    if (!rc && common->no_lab &&
        (common->pcap || request->fault_count || options->sysctls.count || request->delay_given))
        rc = error_set(error, EINVAL,
                       "--no-lab has no wire and no hosts of its own: --pcap, --sysctl, --delay "
                       "and faults need the lab");
    return rc;
}

static void list_parameters(const struct scenario_options *options, struct report *report)
{
    struct arena *arena = &report->arena;
    struct result_map *map = &report->parameters;
    const struct common_options *common = &options->common;

    result_set_bool(arena, map, "all", common->all);
    result_set_integer(arena, map, "jobs", common->jobs);
    result_set_integer(arena, map, "repeat", common->repeat);
    result_set_bool(arena, map, "real_time", common->real_time);
    result_set_integer(arena, map, "delay_ns",
                       options->faults.delay_given ? options->faults.delay_ns : RESULT_UNKNOWN);
    result_set_integer(arena, map, "seed", options->faults.seed);
    result_set_texts(arena, map, "sysctls", options->sysctls.words, options->sysctls.count);
    result_set_texts(arena, map, "socket_options", options->socket_options.words,
                     options->socket_options.count);
}

/* ---- Running ---- */

static void show_progress(void *context, size_t done, size_t all, size_t not_ok, size_t running)
{
    progress_update(context, done, all, not_ok, running);
}

static int status_of(const struct scenario_options *options, const struct report *report,
                     const struct scenario_runs *runs)
{
    if (runs->refused)
        return STATUS_MACHINE;
    return runs->failed || runs->timed_out || report_session_fails(&options->common, report)
               ? STATUS_FINDING
               : STATUS_OK;
}

static void complain(const char *command, const struct scenario_runs *runs)
{
    if (runs->refused)
        output_complain(command, "%s", runs->refusal.text);
    if (runs->timed_out)
        output_complain(command, "the time was up (--timeout): %zu scenario%s without a result",
                        runs->unfinished, runs->unfinished == 1 ? "" : "s");
    else if (runs->interrupted)
        output_complain(command, "interrupted: %zu scenario%s without a result", runs->unfinished,
                        runs->unfinished == 1 ? "" : "s");
}

/* What was not run is no "ok". */
static void find_gaps(struct report *report, const struct scenario_runs *runs)
{
    struct arena *arena = &report->arena;
    struct finding *finding = NULL;

    if (runs->refused) {
        finding = finding_add(arena, &report->findings, FINDING_MACHINE_REFUSES, RESULT_SIDE_NONE);
        finding->summary = arena_copy(arena, runs->refusal.text);
        finding->remedy = "Do what it says; 'netkit doctor' shows what this machine refuses.";
    } else if (runs->unfinished) {
        finding = finding_add(arena, &report->findings, FINDING_INCONCLUSIVE, RESULT_SIDE_NONE);
        finding->summary = arena_printf(
            arena, "%s %zu scenario%s %s no result.",
            runs->timed_out ? "The time was up (--timeout):" : "Interrupted:", runs->unfinished,
            runs->unfinished == 1 ? "" : "s", runs->unfinished == 1 ? "has" : "have");
    }
}

static int run_selection(const struct scenario_set *set, const struct scenario_options *options,
                         const struct scenario_request *request, const struct selection *selection,
                         const struct scenario_extra *extra, struct report *report)
{
    const struct common_options *common = &options->common;
    struct progress progress = progress_begin(!common->quiet);
    struct scenario_runs runs;
    struct error error = {0};
    struct scenario_plan plan = {
        .jobs = selection->jobs,
        .job_count = selection->count,
        /* On loopback runs share this machine's network, counters included. */
        .parallel = common->no_lab ? 1 : (size_t)common->jobs,
        .repeat = common->repeat,
        .request = request,
        .deadline_mono_ns = common->timeout_set ? clock_mono_ns() + common->timeout_ns : INT64_MAX,
        .interrupt = &interrupt_stop,
        .progress = show_progress,
        .context = &progress,
    };

    int status = STATUS_USAGE, rc = scenario_run_all(&plan, report, &runs, &error);
    progress_end(&progress);
    if (rc) {
        output_complain(set->command, "%s", error.text);
        status = rc == -EINVAL ? STATUS_USAGE : STATUS_MACHINE;
    } else {
        find_gaps(report, &runs);
        report_session_end(report);
        if (!common->no_lab && lab_confines(&request->rights))
            report_session_hint_at_rights(report);
        if (extra && extra->conclude)
            extra->conclude(report);
        complain(set->command, &runs);
        status =
            report_session_deliver(set->command, common, report, status_of(options, report, &runs));
    }
    report_free(report);
    scenario_runs_free(&runs);
    return interrupt_status(status);
}

int scenarios_run(struct cli_invocation *invocation, const struct scenario_set *set,
                  const struct scenario_options *options, const struct scenario_extra *extra)
{
    const struct common_options *common = &options->common;
    struct report report = {.lab = !common->no_lab,
                            .capture = common->no_lab ? RESULT_CAPTURE_NONE : RESULT_CAPTURE_PCAP};
    struct scenario_request request;
    struct selection selection;
    struct error error = {0};

    if (common->list)
        return list(set, options);
    int rc = select_jobs(set, invocation, common, &invocation->arena, &selection, &error);
    if (!rc)
        rc = make_request(options, extra, &invocation->arena, &request, &error);
    if (rc) {
        output_complain(set->command, "%s", error.text);
        return rc == -EINVAL ? STATUS_USAGE : STATUS_MACHINE;
    }
    if (selection.left_out)
        output_complain(set->command, "--no-lab leaves out %zu scenario%s that need the lab",
                        selection.left_out, selection.left_out == 1 ? "" : "s");
    request.set = set;
    request.several = selection.count > 1;
    report_session_begin(&report, invocation);
    list_parameters(options, &report);
    if (extra && extra->parameters)
        extra->parameters(&report.arena, &report.parameters, extra->own);
    interrupt_catch();
    int status = report_session_reserve(set->command, common, NULL);
    if (!status)
        return run_selection(set, options, &request, &selection, extra, &report);
    report_free(&report);
    return interrupt_status(status);
}
