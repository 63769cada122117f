/* netkit accept-backlog: the two queues of a listener, and how they overflow. */
#include "backlog_live.h"
#include "commands.h"
#include "output.h"
#include "scenario/backlog/backlog.h"
#include "scenarios.h"
#include "sut_options.h"

#include "base/units.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

#define CONNECTIONS  100    /* of a burst, unless the user says otherwise */
#define RATE_MAX     100000 /* a second */
#define BACKLOGS_MAX 64     /* in one list */

/* What sweep tries; none: its own choice. */
struct backlogs {
    int items[BACKLOGS_MAX];
    size_t count;
};

struct accept_backlog_options {
    struct scenario_options run;
    struct backlogs backlogs;
    struct backlog_live_options live;
    struct sut_options sut;
};

#define OF struct accept_backlog_options

/* ---- The sweep ---- */

static int parse_number(const char *text, size_t len, int64_t *out, struct error *error)
{
    char word[24];

    snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), text);
    if (units_parse_integer(word, out) || *out < -1 || *out > INT_MAX)
        return error_set(
            error, EINVAL,
            "a backlog is a number of at least 0, or -1 for the maximum: 5, or 0-14, or 1,16,-1");
    return 0;
}

/* One number, or FROM-TO. A dash at the beginning is a sign. */
static int parse_item(const char *text, size_t len, struct backlogs *out, struct error *error)
{
    const char *dash = len > 1 ? memchr(text + 1, '-', len - 1) : NULL;
    int64_t from, to;
    int rc = parse_number(text, dash ? (size_t)(dash - text) : len, &from, error);

    to = from;
    if (!rc && dash)
        rc = parse_number(dash + 1, len - (size_t)(dash + 1 - text), &to, error);
    if (!rc && to < from)
        rc = error_set(error, EINVAL, "a range goes from the smaller to the larger: 0-14");
    for (int64_t i = from; !rc && i <= to; i++) {
        if (out->count == BACKLOGS_MAX)
            return error_set(error, EINVAL, "at most %d backlogs can be tried at once",
                             BACKLOGS_MAX);
        out->items[out->count++] = (int)i;
    }
    return rc;
}

static int parse_backlogs(const char *text, void *field, struct error *error)
{
    struct backlogs *out = field;
    int rc = 0;

    out->count = 0;
    for (const char *item = text; !rc; item++) {
        size_t len = strcspn(item, ",");
        rc = parse_item(item, len, out, error);
        item += len;
        if (!*item)
            break;
    }
    return rc;
}

static const struct cli_group sweep_group = {
    "The sweep",
    {
        {.name = "backlog",
         CLI_PARSED(OF, backlogs),
         .parse = parse_backlogs,
         .value = "LIST",
         .help = "Let sweep try these backlogs: numbers and ranges (0-14,64); -1 asks for the "
                 "maximum. Without this option: 0 to 14, one above somaxconn, and -1."},
        {0},
    }};

/* ---- The burst ---- */

/* --rate is the link's elsewhere: in front of it stands what the word means for a burst. --port and
 * --as-root are not sut_group's, which need --client or --server: there is no --client here. */
static const struct cli_group sut_burst_group = {
    "The burst",
    {
        {.name = "connections",
         CLI_INTEGER(OF, sut.connections),
         .min = 1,
         .max = 4000,
         .value = "N",
         .needs = "server",
         .help = "Connect this many clients to your server: 100 without this option."},
        {.name = "port",
         CLI_INTEGER(OF, sut.port),
         .min = 1,
         .max = 65535,
         .value = "PORT",
         .needs = "server",
         .help = "Where your server listens: 8000 without this option."},
        {.name = "as-root",
         CLI_FLAG(OF, sut.as_root),
         .needs = "server",
         .help = COMMON_AS_ROOT_HELP},
        {.name = "rate",
         CLI_SIZE(OF, run.faults.rate_bytes),
         .min = 1,
         .value = "N|SIZE",
         .help = "With --server: start this many connections a second, 1 to 100000; without this "
                 "option, all at once. With a scenario: limit the link to this many bytes a "
                 "second, each way."},
        {0},
    }};

static int run_burst(struct cli_invocation *invocation, const struct accept_backlog_options *given)
{
    static const struct sut_sets sets = {{[LAB_SERVER] = &sut_burst_servers}};
    struct sut_options sut = given->sut;
    struct scenario_options lab = given->run;
    const char *stray = backlog_live_wanted(&given->live) ? "a live listener"
                        : given->backlogs.count           ? "--backlog"
                                                          : NULL;

    if (stray)
        return output_refuse(
            invocation->command->name,
            "--server sends a burst of connections to your program in a lab; it cannot "
            "be combined with %s",
            stray);
    if (lab.faults.rate_bytes > RATE_MAX)
        return output_refuse(
            invocation->command->name,
            "--rate: with --server this is the number of connections started each second, 1 to %d",
            RATE_MAX);
    if (!sut.connections)
        sut.connections = CONNECTIONS;
    sut.per_second = lab.faults.rate_bytes;
    lab.faults.rate_bytes = 0;
    if (given->live.duration_set &&
        (!lab.common.timeout_set || given->live.duration_ns < lab.common.timeout_ns)) {
        lab.common.timeout_set = true;
        lab.common.timeout_ns = given->live.duration_ns;
    }
    sut.suite = !invocation->arg_count && !lab.common.all;
    return sut_options_run(invocation, &sets, &lab, &sut);
}

/* ---- Running ---- */

static int run_scenarios(struct cli_invocation *invocation, const struct scenario_options *run,
                         const struct backlogs *backlogs)
{
    const struct backlog_own own = {backlogs->items, backlogs->count};
    bool used = run->common.all || run->common.list;

    for (size_t i = 0; i < invocation->arg_count; i++)
        used |= !strcmp(invocation->args[i], "sweep");
    if (backlogs->count && !used)
        return output_refuse(invocation->command->name,
                             "--backlog is for the scenario 'sweep': name that one, or give --all");
    return scenarios_run(invocation, &scenario_backlog, run,
                         &(struct scenario_extra){.own = backlogs->count ? &own : NULL});
}

static int run(struct cli_invocation *invocation)
{
    const struct accept_backlog_options *options = invocation->options;
    const struct scenario_options *lab = &options->run;

    if (sut_options_given(&options->sut))
        return run_burst(invocation, options);
    if (!backlog_live_wanted(&options->live) && !invocation->arg_count && !lab->common.all &&
        !lab->common.list)
        return output_refuse(
            invocation->command->name,
            "nothing to do: say what to watch (--listener [HOST]:PORT, --pid PID or "
            "--all-listeners), name a scenario (--list shows them), or give --all, or "
            "--server to send a burst to your program");
    if (!backlog_live_wanted(&options->live) && options->live.duration_set)
        return output_refuse(
            invocation->command->name,
            "--duration is how long to watch a live listener, or to wait for a burst "
            "(--server); a scenario ends by itself, and --timeout bounds it");
    if (!backlog_live_wanted(&options->live))
        return run_scenarios(invocation, lab, &options->backlogs);
    const char *stray = invocation->arg_count     ? invocation->args[0]
                        : options->backlogs.count ? "--backlog"
                        : lab->common.all         ? "--all"
                        : lab->common.list        ? "--list"
                                                  : scenarios_stray(lab);
    if (!stray)
        return backlog_live_run(invocation, &options->live, &lab->common);
    return output_refuse(
        invocation->command->name,
        "%s is for scenarios in a lab; --listener, --pid and --all-listeners watch live listeners",
        stray);
}

static const char *word(size_t index)
{
    return scenarios_word(&scenario_backlog, index);
}

static const struct cli_fragment fragments[] = {
    {&backlog_live_group, offsetof(struct accept_backlog_options, live), NULL},
    {&sut_group, offsetof(struct accept_backlog_options, sut),
     "client port as-root serve after clients max-detect suite"},
    {&sut_burst_group, 0, NULL},
    {&sweep_group, 0, NULL},
    {&common_scenarios, offsetof(struct accept_backlog_options, run.common), NULL},
    {&fault_link, offsetof(struct accept_backlog_options, run.faults), "rate"},
    {&fault_rules, offsetof(struct accept_backlog_options, run.faults), NULL},
    {&scenario_hosts, offsetof(struct accept_backlog_options, run), NULL},
    {&common_limits, offsetof(struct accept_backlog_options, run.common), NULL},
    {&common_output, offsetof(struct accept_backlog_options, run.common), "prometheus"},
    {0},
};

static const char *const description[] = {
    "Watches live listeners, as an ordinary user and without touching them: the accept queue and "
    "its limit, half-open connections, what was dropped, and the kernel's counters.",
    "At the end it says whether connections were lost or had to wait, and which limit is "
    "responsible: the backlog that the server gave to listen(), net.core.somaxconn, or an "
    "application that does not accept fast enough. Without --duration it watches for 10 seconds.",
    "Given the name of a scenario, it reproduces between two hosts of a private lab how the queues "
    "fill and overflow, what the clients see, and which ways of accepting, sharing and handing "
    "over a listener lose connections. Neither needs privileges.",
    "With --server it sends a burst of connections to your program in such a lab, and reports how "
    "many connects succeed at once, how many need another SYN, how many fail, and how many "
    "connections the queue really holds.",
    NULL};

static const struct cli_example examples[] = {
    {"netkit accept-backlog --listener :8080", "Watch the listeners of port 8080."},
    {"netkit accept-backlog --listener 127.0.0.1:6379 --duration 1m",
     "Watch the listener that a connection to this address reaches, for a minute."},
    {"netkit accept-backlog --all-listeners --fail-on any",
     "In a pipeline: exit with status 1 if any listener loses connections or makes them wait."},
    {"netkit accept-backlog --listener :8080 --interval 10ms --format ndjson",
     "Print a line of JSON for each sample, then the findings."},
    {"netkit accept-backlog --listener :8080 --try-connections",
     "See whether a new connection releases exactly one of those that wait."},
    {"netkit accept-backlog sweep --backlog 0-5,128",
     "How many connections does this kernel queue for each backlog?"},
    {"netkit accept-backlog accept-queue-full --diagram",
     "Show what a server that accepts too slowly does to its clients."},
    {"netkit accept-backlog --all --repeat 20", "Run every scenario twenty times."},
    {"netkit accept-backlog --server 'exec python3 -m http.server 8000' --port 8000 --connections "
     "200",
     "Does this server's backlog hold two hundred simultaneous connections?"},
    {0},
};

static const struct cli_status statuses[] = {
    {0, "The diagnosis was completed, whatever it found; every scenario did what this kernel "
        "should do."},
    {1, "A finding that --fail-on names was made; a scenario differed or was inconclusive."},
    COMMON_STATUS_USAGE,
    COMMON_STATUS_MACHINE,
    {4, "Every target was unknown or out of reach."},
    COMMON_STATUSES_ENDED};

const struct cli_command accept_backlog_command = {
    .name = "accept-backlog",
    .group = "Look at a live service",
    .summary = "watch a listener's queues, or reproduce how they overflow and lose connections",
    .usage = "[OPTION]... --listener [HOST]:PORT\n[OPTION]... --pid PID\n[OPTION]... "
             "--all-listeners\n[OPTION]... SCENARIO...\n--all [OPTION]...\n--list\n--server "
             "COMMAND --port PORT [OPTION]...",
    .description = description,
    .positional = SCENARIO_POSITIONAL(word),
    .fragments = fragments,
    .examples = examples,
    .statuses = statuses,
    .see_also = "tcp-probe lab doctor explain",
    .options_size = sizeof(struct accept_backlog_options),
    .run = run,
};
