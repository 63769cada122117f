/* netkit tcp-probe: one live service, every part of the conversation timed. */
#include "commands.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "report_session.h"
#include "rights.h"
#include "targets.h"
#include "tcp_probe_options.h"
#include "tcp_probe_request.h"

#include "base/clock.h"
#include "base/text.h"
#include "report/record.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* With more targets than this, only those that show a delay get the other arms. */
#define ARMS_FOR_ALL 4

struct probing {
    const struct tcp_probe_options *options;
    struct report *report;
    struct tcp_probe_request request;
    const struct target_sources *sources;
    struct target_list targets;
    struct probe_totals totals;
    struct sock_address source;
    struct tls_settings tls;
    struct tls_identity *identity; /* --cert; NULL: none */
    struct error tls_failure;
    struct probe_plan plan;
    FILE *record;
    int record_failure; /* the first errno */
    size_t record_lines;
    struct thresholds thresholds;
    struct report_session_stream stream;
    struct progress progress;
};

static int check_pcap(const struct probing *probing, struct error *error)
{
    const struct common_options *common = &probing->options->common;

    if (!common->pcap)
        return 0;
    if (probing->targets.asked != 1 || probing->targets.count > 1)
        return error_set(error, EINVAL, "--pcap keeps the packets of a single target");
    if (!strcmp(common->pcap, "-") && (!common->output || !strcmp(common->output, "-")))
        return error_set(
            error, EINVAL,
            "--pcap - and the report cannot share standard output: give --output FILE");
    return 0;
}

static uint32_t arms_of(const struct tcp_probe_options *options)
{
    return options->no_interventions ? 1u << ARM_BASELINE : options->arms;
}

/* Of what is TCP's or IP's a Unix-domain socket knows nothing. */
static int check_local_targets(const struct probing *probing, struct error *error)
{
    const struct tcp_probe_options *options = probing->options;
    const struct {
        const char *option;
        bool given;
    } others[] = {{"source", options->source != NULL},
                  {"interface", options->interface != NULL},
                  {"tos and --dscp", options->traffic_class_set},
                  {"socket-option", options->socket_options.count > 0},
                  {"proxy-protocol", options->proxy_protocol > 0},
                  {"pcap", options->common.pcap != NULL},
                  {"arms", options->arms_set}};

    for (size_t i = 0; i < probing->targets.count; i++) {
        const struct probe_target *target = &probing->targets.items[i];
        for (size_t k = 0; k < ARRAY_SIZE(others); k++)
            if (others[k].given && target->fixed && sock_family(target->fixed) == AF_UNIX)
                return error_set(error, EINVAL, "%s is a Unix-domain socket: --%s has no effect",
                                 target->name, others[k].option);
    }
    return 0;
}

/* How each connection is made. */
static int plan_sockets(struct probing *probing, struct error *error)
{
    const struct tcp_probe_options *options = probing->options;
    struct conn_settings *conn = &probing->plan.conn;
    struct conn_option *list =
        arena_alloc(&probing->report->arena, options->socket_options.count * sizeof *list);

    conn->traffic_class = options->traffic_class_set ? options->traffic_class : -1;
    conn->interface = options->interface;
    if (options->source && sock_address_literal(&probing->source, options->source, 0))
        return error_set(error, EINVAL, "--source wants an IPv4 or IPv6 address, got '%s'",
                         options->source);
    conn->source = options->source ? &probing->source : NULL;
    for (size_t i = 0; list && i < options->socket_options.count; i++) {
        const char *text = options->socket_options.words[i], *equals = strchr(text, '=');
        char name[64];
        if (!equals || (size_t)(equals - text) >= sizeof name)
            return error_set(error, EINVAL, "--socket-option wants NAME=VALUE, got '%s'", text);
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        list[i].option = sock_option_find(name);
        if (!list[i].option || !list[i].option->writable)
            return error_set(error, EINVAL, "--socket-option %s: no option of that name can be set",
                             name);
        if (sock_option_parse(list[i].option, equals + 1, &list[i].value, error))
            return error_add(error, "--socket-option %s", name);
        conn->option_count++;
    }
    conn->options = list;
    return 0;
}

static int plan_tls(struct probing *probing, struct error *error)
{
    const struct tcp_probe_options *options = probing->options;
    int rc = options->cert_file ? tls_identity_open(&probing->identity, options->cert_file,
                                                    options->key_file, error)
                                : 0;

    probing->tls = options->tls_settings;
    probing->tls.identity = probing->identity;
    probing->plan.tls = probing->request.tls || options->starttls ? &probing->tls : NULL;
    return rc;
}

static void make_plan(struct probing *probing)
{
    const struct tcp_probe_options *options = probing->options;
    struct probe_plan *plan = &probing->plan;
    struct arm_settings *arms = &plan->arms;

    arms->by_time = options->duration_set;
    arms->rounds = arms->by_time && !options->rounds_set ? INT64_C(1000000) : options->rounds;
    arms->rounds_given = options->rounds_set;
    arms->arms_given = options->arms_set;
    arms->warmup = options->warmup;
    arms->interval_ns = options->interval_ns;
    arms->duration_ns = options->duration_set ? options->duration_ns : INT64_MAX;
    arms->new_connection = options->new_connection;
    arms->arms = arms_of(options);
    plan->family = report_session_family(&options->common);
    plan->conn.timeout_ns = options->connect_timeout_ns;
    plan->conn.tls_later = options->starttls;
    plan->idle.max_ns = options->idle_max_ns;
    plan->idle.keepalive_ns = options->idle_keepalive_ns;
    plan->conn.proxy_protocol = options->proxy_protocol;
    plan->transaction.response_timeout_ns = options->response_timeout_ns;
    plan->preamble.timeout_ns = options->response_timeout_ns;
    arms->stall_ns = options->stall_ns;
    plan->parallel = (size_t)options->parallel;
    plan->keep_round = options->common.timeline || common_diagram(&options->common) != LADDER_NONE;
    plan->pcap = options->common.pcap;
}

/* ---- what comes back ---- */

static void keep_line(struct probing *probing, const struct buf *line)
{
    if (!line->len_bytes)
        return;
    int rc = probing->record_lines++ ? 0 : outfile_begin(fileno(probing->record));
    errno = 0;
    if (!rc && fwrite(line->data, 1, line->len_bytes, probing->record) != line->len_bytes)
        rc = errno ? -errno : -EIO;
    if (!probing->record_failure)
        probing->record_failure = -rc;
}

static void keep_round(struct probing *probing, const struct record_round *round)
{
    cleanup(buf) struct buf line = {0};

    if (!probing->record)
        return;
    if (record_round_line(&line, round, NULL))
        probing->record_failure = ENOMEM;
    keep_line(probing, &line);
}

static void on_round(void *context, const struct probe_round *heard)
{
    struct record_round round = {.target = heard->target,
                                 .arm = heard->arm,
                                 .first_of_connection = heard->first_of_connection,
                                 .new_connection = heard->new_connection,
                                 .warmup = heard->warmup,
                                 .round = *heard->round};

    keep_round(context, &round);
}

/* What is left to do with a result that is complete but for the judgement. */
static void conclude(struct probing *probing, struct result *result)
{
    const struct probe_totals *totals = &probing->totals;

    thresholds_result(&probing->thresholds, probing->report, &result->probe);
    report_session_stream_result(&probing->stream, result);
    progress_update(&probing->progress, totals->done, probing->targets.count, totals->failed,
                    totals->in_flight);
}

static void on_done(void *context, const struct probe_outcome *outcome)
{
    struct probing *probing = context;
    struct report *report = probing->report;
    struct result *result = report_add(report, RESULT_PROBE);

    probe_verdict(&report->arena, outcome->evidence, &report->findings);
    if (outcome->evidence->unfinished)
        keep_round(probing, &(struct record_round){.target = outcome->evidence->target,
                                                   .arm = ARM_BASELINE,
                                                   .unfinished = true,
                                                   .round = *outcome->evidence->unfinished});
    if (probing->totals.captured)
        report->capture = RESULT_CAPTURE_PCAP;
    if (result) {
        result->probe = *outcome->result;
        conclude(probing, result);
    }
    if (probing->record) {
        cleanup(buf) struct buf line = {0};
        if (record_evidence_line(&line, outcome->evidence, NULL))
            probing->record_failure = ENOMEM;
        keep_line(probing, &line);
    }
}

static void list_parameters(const struct probing *probing)
{
    const struct tcp_probe_options *options = probing->options;
    struct arena *arena = &probing->report->arena;
    struct result_map *map = &probing->report->parameters;
    char text[FRAMING_DESCRIPTION_MAX];

    result_set_text(arena, map, "preset",
                    probing->request.preset ? probing->request.preset->name : NULL);
    result_set_integer(arena, map, "request_bytes",
                       (int64_t)probing->plan.transaction.request_bytes);
    result_set_integer(arena, map, "writes", (int64_t)probing->plan.transaction.piece_count + 1);
    result_set_text(arena, map, "until",
                    framing_describe(text, sizeof text, &probing->plan.transaction.framing));
    result_set_integer(arena, map, "rounds",
                       probing->plan.arms.by_time && !options->rounds_set ? RESULT_UNKNOWN
                                                                          : options->rounds);
    result_set_integer(arena, map, "warmup", options->warmup);
    result_set_bool(arena, map, "new_connection", options->new_connection);
    result_set_bool(arena, map, "interventions",
                    (probing->plan.arms.arms & ~(1u << ARM_BASELINE)) != 0);
    result_set_bool(arena, map, "tls", probing->plan.tls != NULL);
    result_set_integer(arena, map, "stall_ns", options->stall_ns);
}

/* Names that are no target have failed before anything was tried; the others go on. */
static void list_misnamed(struct probing *probing)
{
    struct report *report = probing->report;

    for (size_t i = 0; i < probing->targets.misnamed_count; i++) {
        const struct target_misnamed *misnamed = &probing->targets.misnamed[i];
        struct result *result = report_add(report, RESULT_PROBE);
        struct finding *finding = finding_add(&report->arena, &report->findings,
                                              misnamed->error.code, RESULT_SIDE_CLIENT);
        finding->target = misnamed->name;
        finding->summary = misnamed->error.message;
        failure_blame(&report->arena, finding, failure_by_name(misnamed->error.cause));
        if (!result)
            return;
        result->probe.target = misnamed->name;
        result->probe.error = misnamed->error;
        conclude(probing, result);
    }
}

static void complain_of_totals(const struct probing *probing)
{
    const struct probe_totals *totals = &probing->totals;

    report_session_complain_of_limit(tcp_probe_command.name, totals);
    if (totals->not_done)
        output_complain(tcp_probe_command.name, "%s: %zu of %zu targets were not probed",
                        probing->stream.broken ? "the results cannot be written"
                        : interrupt_signal     ? "interrupted"
                                               : "time is up",
                        totals->not_done, probing->targets.asked);
}

static int probe_all(struct probing *probing, struct error *error)
{
    const char *path = probing->options->record;
    bool created = false;
    const struct probe_sink sink = {.context = probing, .round = on_round, .done = on_done};

    if (path) {
        int fd = outfile_open_growing(path, 0666, &created, error);
        if (fd < 0)
            return error_add(error, "--record");
        probing->record = fdopen(fd, "w");
        if (!probing->record) {
            close(fd);
            return error_sys(error, ENOMEM, "--record %s", path);
        }
    }
    list_misnamed(probing);
    /* The inputs have been read, however large they are. */
    probing->plan.deadline_ns = interrupt_limit(&probing->options->common).deadline_ns;
    int rc = -probing->tls_failure.code;
    if (rc)
        *error = probing->tls_failure;
    else
        rc = probe_run(&probing->plan, probing->targets.items, probing->targets.count,
                       &probing->report->arena, &sink, &interrupt_stop, &probing->totals, error);
    progress_end(&probing->progress);
    complain_of_totals(probing);
    if (probing->record && !probing->record_lines)
        rc ? (created ? unlink(path) : 0) : outfile_begin(fileno(probing->record));
    int unkept = probing->record && fclose(probing->record) ? errno : 0;
    if (probing->record_failure)
        unkept = probing->record_failure;
    if (unkept && !rc)
        rc = error_sys(error, unkept, "--record %s", path);
    return rc;
}

/* This machine had no means for one of the targets: exit status 3. Every target failed before a
 * single round was complete: 4. One that answered, but had no time for more than the warm-up, was
 * reached. */
static int status_of(const struct probing *probing)
{
    const struct report *report = probing->report;
    size_t reached = 0;
    bool refused_here = false;

    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_probe *probe = &report->results[i]->probe;
        refused_here |= failure_is_local(&probe->error);
        bool too_short = probe->error.code == FINDING_INCONCLUSIVE && !probe->error.number;
        reached += probe->rounds > 0 || too_short;
    }
    if (refused_here && !report->interrupted)
        return STATUS_MACHINE;
    if (!reached && !report->interrupted)
        return STATUS_UNREACHED;
    return report_session_fails(&probing->options->common, report) ? STATUS_FINDING : STATUS_OK;
}

/* What a healthy web service leaves to be tried: what goes wrong most is in the client. */
static void add_hint(const struct probing *probing)
{
    struct report *report = probing->report;
    bool ok = report->verdict == FINDING_NONE && report->result_count && !report->interrupted;

    for (size_t i = 0; i < report->result_count && ok; i++)
        ok = report->results[i]->probe.ok;
    if (ok && probing->request.preset == preset_at(PRESET_HTTP) &&
        probing->plan.transaction.piece_count == 0 && !probing->plan.transaction.continue_ns)
        report->hint =
            "Many clients write twice: try --data TEXT --split-body, or yours in netkit lab";
}

/* `status`: how the experiment itself went. The worst that can be said of the run wins. */
static int conclude_run(struct probing *probing, int status)
{
    int judged = thresholds_end(&probing->thresholds, probing->report);

    report_session_end(probing->report);
    add_hint(probing);
    report_session_complain(tcp_probe_command.name, &probing->options->common, probing->report);
    if (judged)
        status = judged;
    else if (!status)
        status = status_of(probing);
    return interrupt_status(
        report_session_stream_deliver(&probing->stream, probing->report, status));
}

/* The last that is read of this machine. What goes wrong is the run's to tell. */
static void open_tls(struct probing *probing)
{
    if (probing->plan.tls)
        tls_context_open(&probing->plan.tls_context, probing->plan.tls, &probing->tls_failure);
}

/* A server may ask who connects to its Unix-domain socket, and let only root in. */
static int give_up_rights(const struct probing *probing)
{
    const struct tcp_probe_options *options = probing->options;
    struct rights_needs needs = {.record = options->record,
                                 .capture = probing->plan.pcap || probing->plan.keep_round,
                                 .socket_options = options->socket_options.count > 0};

    for (size_t i = 0; i < probing->targets.count; i++) {
        const struct sock_address *fixed = probing->targets.items[i].fixed;
        needs.root_by_name |= fixed && sock_family(fixed) == AF_UNIX;
    }
    needs.capture &= !(needs.root_by_name && probing->targets.count == 1);
    return rights_give_up(tcp_probe_command.name, &options->common, &needs);
}

/* Answers of name servers are a stranger's, too. */
static int look_up_names(struct probing *probing)
{
    struct error error = {0};

    if (probing->options->all_addresses)
        target_list_look_up(&probing->targets, &probing->report->arena, probing->sources);
    probing->plan.arms.arms_on_suspicion = probing->targets.count > ARMS_FOR_ALL;
    return check_pcap(probing, &error) ? output_refuse_for(tcp_probe_command.name, &error)
                                       : STATUS_OK;
}

static int run_probe(struct probing *probing)
{
    struct error error = {0};
    const char *command = tcp_probe_command.name;

    if (tcp_probe_request_compose(&probing->request, probing->options, &probing->targets,
                                  &probing->report->arena, &probing->plan, &error) ||
        check_pcap(probing, &error) || check_local_targets(probing, &error) ||
        plan_sockets(probing, &error) || plan_tls(probing, &error))
        return output_refuse_for(command, &error);
    make_plan(probing);
    list_parameters(probing);
    int status = thresholds_begin(&probing->thresholds, command, &probing->options->thresholds,
                                  probing->report);
    if (!status) {
        open_tls(probing);
        status = give_up_rights(probing);
    }
    if (!status)
        status = look_up_names(probing);
    if (!status)
        status = report_session_stream_begin(&probing->stream, command, &probing->options->common);
    if (status)
        return status;
    probing->progress = progress_begin(
        report_session_wants_progress(&probing->options->common, probing->targets.count));
    int rc = probe_all(probing, &error);
    if (rc) {
        output_complain(command, "%s", error.text);
        if (!probing->report->result_count)
            report_session_refused(probing->report, &error);
    }
    bool unkept = probing->options->common.pcap && probing->totals.capture_failure;
    if (unkept)
        output_complain(command, "--pcap %s: %s", probing->options->common.pcap,
                        probing->totals.capture_failure);
    return conclude_run(probing, rc || unkept ? STATUS_MACHINE : STATUS_OK);
}

static int run(struct cli_invocation *invocation)
{
    const struct tcp_probe_options *options = invocation->options;
    struct report report = {0};
    struct probing probing = {.options = options, .report = &report};
    const struct target_sources sources = {.args = invocation->args,
                                           .arg_count = invocation->arg_count,
                                           .two_words = true,
                                           .urls = true,
                                           .file = options->targets,
                                           .resolve = options->resolve,
                                           .limit = interrupt_limit(&options->common),
                                           .family = report_session_family(&options->common)};
    struct error error = {0};

    probing.sources = &sources;
    report_session_begin(&report, invocation);
    interrupt_catch();
    int status = STATUS_USAGE;
    if (target_list_collect(&probing.targets, &report.arena, &sources, &error))
        status = output_refuse_for(invocation->command->name, &error);
    else
        status = run_probe(&probing);
    report_session_stream_abandon(&probing.stream);
    thresholds_free(&probing.thresholds);
    tls_context_close(probing.plan.tls_context);
    tls_identity_close(probing.identity);
    tcp_probe_request_free(&probing.request);
    report_free(&report);
    return interrupt_status(status);
}

static const char *const description[] = {
    "Talks to a live service and times every part of the conversation: resolving the name, "
    "connecting, waiting in our own send queue, the network, the peer's acknowledgement, the "
    "server's think time, and the gaps inside its answer. The kernel's timestamps show where the "
    "time went; no privilege is needed.",
    "Then it repeats the conversation with one socket option changed at a time. A verdict names "
    "the cause, the side that must change, the call or option to change, and the numbers behind "
    "it. If the evidence does not separate two causes, it says so.",
    NULL};

static const struct cli_example examples[] = {
    {"netkit tcp-probe --preset http localhost:8000",
     "Request / from a web server forty times in each arm, and explain what is slow."},
    {"netkit tcp-probe --tls --ca-file ca.pem --preset http localhost:8443",
     "The same over TLS, with a certificate from a private authority."},
    {"netkit tcp-probe --preset redis :6379", "PING a Redis server on this host."},
    {"netkit tcp-probe --preset http --path /health --diagram '[::1]:8080'",
     "The same over IPv6, with a diagram of one typical slow round."},
    {"netkit tcp-probe --send 'GET key\\r\\n' --split 4,5 --until line cache.example 7000",
     "Act like a client that writes a small request in two pieces."},
    {"netkit tcp-probe --preset connect --targets fleet.txt --parallel 256 --format ndjson",
     "Connect to every host in a list, and write a line for each as it is done."},
    {"netkit tcp-probe --json --fail-on nagle-delayed-ack --preset http :8000",
     "In a pipeline: exit with status 1 if the 40 ms stall is back."},
    {0},
};

const struct cli_command tcp_probe_command = {
    .name = "tcp-probe",
    .group = "Look at a live service",
    .summary = "time a live service part by part, and say which side causes each delay",
    .description = description,
    .positional = {.name = "TARGET",
                   .help = "host:port, [v6]:port, :port for this host, http://host/path or "
                           "https://host/path, unix:/path/of/socket, or two words: host port",
                   .min = 0,
                   .max = 0,
                   .completes = CLI_COMPLETES_HOST},
    .usage = "[OPTION]... HOST:PORT...\n[OPTION]... HOST PORT\n[OPTION]... --targets FILE",
    .fragments = tcp_probe_fragments,
    .examples = examples,
    .statuses = common_threshold_statuses,
    .options_size = sizeof(struct tcp_probe_options),
    .run = run,
};
