/* netkit lab: two programs against each other, over a wire with faults. */
#include "commands.h"
#include "faults.h"
#include "host_options.h"
#include "interrupt.h"
#include "output.h"
#include "report_session.h"

#include "base/clock.h"
#include "scenario/programs/programs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A server that takes longer to listen needs a --timeout that says so. */
#define LISTEN_NS (10 * NS_PER_SEC)

#define LADDER_SEGMENTS 30

enum {
    STATUS_TIMED_OUT = 124, /* as of timeout(1) */
    STATUS_NOT_FOUND = 127,
};

struct lab_options {
    const char *server, *client; /* lines for the shell */
    int64_t wait_listen;         /* 0: the port that is seen to listen */
    bool no_wait;
    bool as_root;
    bool dual_stack;
    struct cli_list sysctls; /* HOST:NAME=VALUE */
    int64_t connection;      /* to draw; 0: the busiest */
    struct fault_options faults;
    struct common_options common;
};

/* ---- From options to a plan ---- */

static int plan_sysctls(const struct lab_options *options, struct arena *arena,
                        struct lab_config *config, struct error *error)
{
    const struct lab_sysctl *sysctls[LAB_HOSTS];
    size_t counts[LAB_HOSTS];
    int rc = host_sysctls(&options->sysctls, arena, sysctls, counts, error);

    for (int host = 0; !rc && host < LAB_HOSTS; host++) {
        config->host[host].sysctls = sysctls[host];
        config->host[host].sysctls_count = counts[host];
    }
    return rc;
}

/* No --output is the same as "-", no --pcap is not. */
static bool is_stdout(const char *path)
{
    return path && !strcmp(path, "-");
}

static int check(const struct lab_options *options, struct error *error)
{
    if (!options->server && !options->client)
        return error_set(error, EINVAL, "nothing to run: give --server, --client or both");
    if ((options->server && !*options->server) || (options->client && !*options->client))
        return error_set(error, EINVAL, "the command is empty");
    if (is_stdout(options->common.pcap) &&
        (!options->common.output || is_stdout(options->common.output)))
        return error_set(
            error, EINVAL,
            "--pcap - and the report cannot share standard output: give --output FILE");
    return 0;
}

/* Standard output is not the programs' where a report is for a program to read, or a capture. */
static void plan_output(const struct lab_options *options, int null_fd, struct programs_plan *plan)
{
    bool ours = is_stdout(options->common.pcap) ||
                (options->common.format != REPORT_TEXT &&
                 (!options->common.output || is_stdout(options->common.output)));

    for (int host = 0; host < LAB_HOSTS; host++) {
        plan->stdio[host][0] = null_fd;
        plan->stdio[host][1] = ours ? STDERR_FILENO : -1;
        plan->stdio[host][2] = -1;
    }
    /* A program of another process group may not read from a terminal. */
    if (!isatty(STDIN_FILENO))
        plan->stdio[LAB_CLIENT][0] = -1;
}

static int make_plan(const struct lab_options *options, struct arena *arena,
                     struct programs_plan *plan, struct error *error)
{
    int64_t timeout_ns = options->common.timeout_ns;

    *plan = (struct programs_plan){
        .command = {[LAB_CLIENT] = options->client, [LAB_SERVER] = options->server},
        .lab = {.link = fault_link_of(&options->faults),
                .ipv4 = options->common.family != 6,
                .ipv6 = options->common.family == 6 || options->dual_stack,
                .pcap_path = options->common.pcap,
                .seed = (uint64_t)options->faults.seed},
        .wait_port = (uint16_t)options->wait_listen,
        .no_wait = options->no_wait,
        .listen_ns = options->common.timeout_set ? timeout_ns : LISTEN_NS,
        .deadline_mono_ns = options->common.timeout_set ? clock_mono_ns() + timeout_ns : INT64_MAX,
        .connection = (uint32_t)options->connection,
        .interrupt = &interrupt_signal,
    };
    plan->lab.rights.as_root = options->as_root;
    const char *const outputs[] = {options->common.output, options->common.diagram_file};
    privilege_user_of(&plan->lab.rights.user, NULL, 0);
    privilege_user_of(&plan->reporter, outputs, ARRAY_SIZE(outputs));
    int rc = check(options, error);
    if (!rc)
        rc = plan_sysctls(options, arena, &plan->lab, error);
    return rc ? rc : faults_read(&options->faults, arena, &plan->faults, &plan->fault_count, error);
}

static void list_parameters(const struct lab_options *options, struct report *report)
{
    struct arena *arena = &report->arena;
    struct result_map *map = &report->parameters;
    const struct fault_options *faults = &options->faults;

    result_set_text(arena, map, "server", options->server);
    result_set_text(arena, map, "client", options->client);
    result_set_integer(arena, map, "delay_ns", faults->delay_ns);
    result_set_integer(arena, map, "rate_bytes",
                       faults->rate_bytes ? faults->rate_bytes : RESULT_UNKNOWN);
    result_set_integer(arena, map, "mtu_bytes", faults->mtu_bytes);
    result_set_integer(arena, map, "seed", faults->seed);
    result_set_bool(arena, map, "ipv4", options->common.family != 6);
    result_set_bool(arena, map, "ipv6", options->common.family == 6 || options->dual_stack);
}

/* ---- How it ends ---- */

static int status_of(const struct lab_options *options, const struct report *report,
                     const struct programs_outcome *outcome)
{
    switch (outcome->end) {
    case PROGRAMS_NEVER_LISTENED:
        return STATUS_UNREACHED;
    case PROGRAMS_TIMED_OUT:
        return STATUS_TIMED_OUT;
    case PROGRAMS_INTERRUPTED:
    case PROGRAMS_ENDED:
        break;
    }
    if (outcome->status > 0)
        return outcome->status;
    if (outcome->pcap.code)
        return STATUS_MACHINE;
    bool lost = report->result_count && report->results[0]->lab.wire.lost;
    return lost || report_session_fails(&options->common, report) ? STATUS_FINDING : STATUS_OK;
}

/* A machine reads the report; a person who looks at the log should find the reason there too. */
static void complain_of_failures(const struct lab_options *options, const struct report *report)
{
    if (options->common.format == REPORT_TEXT && !options->common.output)
        return;
    for (size_t i = 0; i < report->findings.count; i++)
        if (report->findings.items[i].code == FINDING_PROGRAM_FAILED ||
            report->findings.items[i].code == FINDING_INCONCLUSIVE)
            output_complain(lab_command.name, "%s", report->findings.items[i].summary);
    if (report->hint)
        output_complain(lab_command.name, "%s", report->hint);
}

/* The report stands apart from what the programs printed. */
static void separate(const struct lab_options *options)
{
    cleanup(buf) struct buf line = {0};

    if (options->common.format != REPORT_TEXT || options->common.output || options->common.quiet)
        return;
    buf_add_char(&line, '\n');
    output_print(&line);
}

/* A short exchange is drawn without being asked for. */
static bool is_short(const struct report *report)
{
    const struct result_lab *lab = &report->results[0]->lab;
    const struct result_connection_list *list = &lab->connections;

    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].number == lab->shown_connection)
            return list->items[i].segments.client + list->items[i].segments.server <=
                   LADDER_SEGMENTS;
    return false;
}

static struct common_options with_ladder(const struct common_options *options,
                                         const struct report *report)
{
    struct common_options with = *options;

    if (common_diagram(options) == LADDER_NONE && options->format == REPORT_TEXT &&
        !options->quiet && is_short(report))
        with.diagram = LADDER_TEXT;
    return with;
}

static int run_lab(const struct lab_options *options, const struct programs_plan *plan,
                   struct report *report, struct error *error)
{
    struct programs_outcome outcome;
    bool confined = lab_confines(&plan->lab.rights);

    int rc = programs_run(plan, report, &outcome, error);
    if (rc) {
        /* A fault's text is its option without the dashes, and begins the error. */
        output_complain(lab_command.name, "%s%s", outcome.bad_fault ? "--" : "", error->text);
        programs_outcome_free(&outcome);
        return interrupt_status(rc == -EINVAL ? STATUS_USAGE : STATUS_MACHINE);
    }
    report_session_end(report);
    if (confined)
        report_session_hint_at_rights(report);
    complain_of_failures(options, report);
    if (outcome.pcap.code)
        output_complain(lab_command.name, "%s", outcome.pcap.text);
    separate(options);
    const struct common_options common = with_ladder(&options->common, report);
    int status = report_session_deliver(lab_command.name, &common, report,
                                        status_of(options, report, &outcome));
    programs_outcome_free(&outcome);
    return interrupt_status(status);
}

static int run(struct cli_invocation *invocation)
{
    const struct lab_options *options = invocation->options;
    cleanup(fd) int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct report report = {.lab = true, .capture = RESULT_CAPTURE_PCAP};
    struct programs_plan plan;
    struct error error = {0};
    int status = STATUS_USAGE;

    report_session_begin(&report, invocation);
    if (make_plan(options, &report.arena, &plan, &error)) {
        status = output_refuse_for(lab_command.name, &error);
    } else {
        plan_output(options, null_fd, &plan);
        list_parameters(options, &report);
        interrupt_catch();
        if (plan.reporter.uid)
            outfile_owner(plan.reporter.uid, plan.reporter.gid);
        status = report_session_reserve(lab_command.name, &options->common, NULL);
        if (!status)
            status = run_lab(options, &plan, &report, &error);
    }
    report_free(&report);
    return status;
}

#define OF struct lab_options

static const struct cli_group programs = {
    "Programs",
    {
        {.name = "server",
         CLI_TEXT(OF, server),
         .value = "COMMAND",
         .help = "Run this shell command on the server host, first."},
        {.name = "client",
         CLI_TEXT(OF, client),
         .value = "COMMAND",
         .help = "Run this shell command on the client host, as soon as the server listens. The "
                 "run ends when this command ends."},
        {.name = "wait-listen",
         CLI_INTEGER(OF, wait_listen),
         .min = 1,
         .max = 65535,
         .value = "PORT",
         .needs = "server",
         .help = "Start the client when the server listens on this TCP port; without this option, "
                 "on any port."},
        {.name = "no-wait",
         CLI_FLAG(OF, no_wait),
         .conflicts = "wait-listen",
         .help = "Start the client right after the server, for servers that do not listen on a TCP "
                 "port."},
        {.name = "as-root", CLI_FLAG(OF, as_root), .help = COMMON_AS_ROOT_HELP},
        {.name = "sysctl",
         CLI_LIST(OF, sysctls),
         .value = "HOST:NAME=VALUE",
         .help = "Set a network setting of the client or the server host: "
                 "client:tcp_syn_retries=2. May be repeated."},
        {0},
    }};

static const struct cli_group addresses = {
    "Addresses",
    {
        {.name = "dual-stack",
         CLI_FLAG(OF, dual_stack),
         .conflicts = "ipv4 ipv6",
         .help = "Give the hosts IPv4 and IPv6 addresses. Without -6 or this option they have only "
                 "IPv4, because clients that race both families would make the exchange "
                 "unpredictable."},
        {0},
    }};

static const struct cli_group picture = {
    "Output",
    {
        {.name = "connection",
         CLI_INTEGER(OF, connection),
         .min = 1,
         .help = "Draw this connection, by its number in the report; without this option, the one "
                 "with the most segments."},
        {0},
    }};

static const struct cli_fragment fragments[] = {
    {&programs, 0, NULL},
    {&fault_link, offsetof(OF, faults), NULL},
    {&fault_rules, offsetof(OF, faults), NULL},
    {&addresses, 0, NULL},
    {&common_limits, offsetof(OF, common), NULL},
    {&picture, 0, NULL},
    {&common_output, offsetof(OF, common), NULL},
    {0},
};

static const char *const description[] = {
    "Runs two programs against each other over a private link: a client host and a server host, "
    "each with a real kernel TCP in private namespaces, and a wire between them on which netkit "
    "forwards every packet itself. The wire delays, drops, holds or answers the packets that you "
    "choose, and records what it saw. No privilege is needed, and nothing on this host is changed.",
    "The programs reach each other by the names client and server. Their output is passed through; "
    "then comes the report: how each program ended, each connection with its segments, the states "
    "of both sockets and what was retransmitted, and how often each fault acted.",
    NULL};

static const struct cli_example examples[] = {
    {"netkit lab --delay 20ms --drop syn --count 1 --server 'python3 -m http.server 8000' --client "
     "'curl -s http://server:8000/'",
     "Drop the first SYN, and see what that costs."},
    {"netkit lab --server 'redis-server --port 6379 --save \"\"' --client 'redis-cli -h server "
     "ping' --pcap ping.pcap",
     "Keep the packets for Wireshark."},
    {"netkit lab --delay 10ms --rate 1M --drop data --probability 0.01 --server 'iperf3 -s -1' "
     "--client 'iperf3 -c server -t 3'",
     "Lose one segment in a hundred on a link of 1 MiB a second."},
    {"netkit lab --answer-icmp syn=host-unreachable --client 'curl http://server/'",
     "Run only a client, behind a router that has no route to the server."},
    {"netkit lab --json --hold 's>c:fin=until:client=CLOSE-WAIT' --server ./server --client "
     "./client",
     "Test your own two programs, and let a script judge the report."},
    {0},
};

static const struct cli_status statuses[] = {
    {0, "The client exited with 0. Any other exit status of the client is passed on, or 128 plus "
        "the signal number if a signal killed it; without a client, the server's."},
    {1, "The client exited with 0, but a finding that --fail-on names was made, or the wire itself "
        "lost packets."},
    COMMON_STATUS_USAGE,
    {3, "This machine does not let it run; the message says what to do."},
    {4, "The server never listened, so the client was not started."},
    {124, "The client was still running when --timeout expired."},
    {127, "The client's command was not found."},
    {129, "The terminal hung up; what was seen until then is reported first."},
    {130, "Interrupted; what was seen until then is reported first."},
    {143, "Terminated; what was seen until then is reported first."},
    {0},
};

const struct cli_command lab_command = {
    .name = "lab",
    .group = "Reproduce it in a lab",
    .summary = "run two programs against each other over a wire with faults, without root",
    .usage = "[OPTION]... --server COMMAND --client COMMAND",
    .description = description,
    .fragments = fragments,
    .examples = examples,
    .statuses = statuses,
    .see_also = "tcp-probe explain",
    .options_size = sizeof(struct lab_options),
    .run = run,
};
