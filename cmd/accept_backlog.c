/* netkit accept-backlog: the two queues of a listener, and how they overflow. */
#include "backlog_live.h"
#include "commands.h"
#include "output.h"

struct accept_backlog_options {
    struct backlog_live_options live;
    struct common_options common;
};

static int run(struct cli_invocation *invocation)
{
    const struct accept_backlog_options *options = invocation->options;

    if (backlog_live_wanted(&options->live))
        return backlog_live_run(invocation, &options->live, &options->common);
    output_complain("accept-backlog", "say what to watch: --listener [HOST]:PORT, --pid PID or "
                                      "--all-listeners; see netkit help accept-backlog");
    return STATUS_USAGE;
}

static const struct cli_fragment fragments[] = {
    {&backlog_live_group, offsetof(struct accept_backlog_options, live), NULL},
    {&common_limits, offsetof(struct accept_backlog_options, common), NULL},
    {&common_output, offsetof(struct accept_backlog_options, common),
     "diagram diagram-file timeline pcap prometheus"},
    {0},
};

static const char *const description[] = {
    "Watches live listeners, as an ordinary user and without touching them: the accept queue and "
    "its limit, the half-open connections, what was dropped, and the kernel's counters.",
    "At the end it says whether connections were lost or had to wait, and which limit binds: the "
    "backlog that the server gave to listen(), net.core.somaxconn, or the application that does "
    "not accept fast enough. Without --timeout it watches for 10 seconds.",
    NULL};

static const struct cli_example examples[] = {
    {"netkit accept-backlog --listener :8080", "Watch the listeners of port 8080."},
    {"netkit accept-backlog --listener 127.0.0.1:6379 --timeout 1m",
     "Watch the one that a connection to this address reaches, for a minute."},
    {"netkit accept-backlog --all-listeners --fail-on any",
     "In a pipeline: exit with status 1 if any listener here loses connections or lets them wait."},
    {"netkit accept-backlog --listener :8080 --interval 10ms --format ndjson",
     "A line of JSON for each sample, then the findings."},
    {0},
};

const struct cli_command accept_backlog_command = {
    .name = "accept-backlog",
    .group = "Look at a live service",
    .summary = "watch a listener's queues, and say why connections are lost or wait",
    .description = description,
    .fragments = fragments,
    .examples = examples,
    .statuses = common_diagnosis_statuses,
    .see_also = "tcp-probe doctor explain",
    .options_size = sizeof(struct accept_backlog_options),
    .run = run,
};
