/* netkit connect-timeout: every way in which a connect fails, reproduced; and which of them is
 * happening on a live target. */
#include "commands.h"
#include "connect_live.h"
#include "output.h"
#include "scenarios.h"

#include "netkit/sock.h"
#include "scenario/connect/connect.h"
#include <string.h>

struct connect_options {
    struct scenario_options run;
    struct connect_live_options live;
    struct connect_methods methods;
};

static const struct cli_word method_words[] = {
    {"blocking", SOCK_CONNECT_BLOCKING, "the kernel's own limit"},
    {"alarm", SOCK_CONNECT_ALARM, "a blocking connect, interrupted by SIGALRM"},
    {"select", SOCK_CONNECT_SELECT, "non-blocking connect and select"},
    {"poll", SOCK_CONNECT_POLL, "the same with poll"},
    {"epoll", SOCK_CONNECT_EPOLL, "the same with epoll"},
    {"sndtimeo", SOCK_CONNECT_SNDTIMEO, "SO_SNDTIMEO on a blocking connect"},
    {"user-timeout", SOCK_CONNECT_USER_TIMEOUT, "TCP_USER_TIMEOUT"},
    {"syncnt", SOCK_CONNECT_SYNCNT, "TCP_SYNCNT"},
    {0},
};

static const struct cli_group bounding = {
    "Limiting the wait",
    {
        {.name = "method",
         CLI_CHOICE_SET(struct connect_methods, chosen),
         .value = "LIST",
         .words = method_words,
         .help = "Compare these ways of limiting the wait in the scenario blackhole; without this "
                 "option, all."},
        {0},
    }};

/* --method is for one scenario; with only others it is a mistake. */
static bool wants_methods(const struct cli_invocation *invocation,
                          const struct connect_options *options)
{
    bool compared = options->run.common.all || options->run.common.list;

    for (size_t i = 0; i < invocation->arg_count; i++)
        compared = compared || !strcmp(invocation->args[i], "blackhole");
    return !options->methods.chosen || compared;
}

static int run(struct cli_invocation *invocation)
{
    const struct connect_options *options = invocation->options;

    if (!connect_live_wanted(&options->live)) {
        const struct scenario_extra extra = {.own = &options->methods};
        if (wants_methods(invocation, options))
            return scenarios_run(invocation, &scenario_connect, &options->run, &extra);
        return output_refuse(
            invocation->command->name,
            "--method is for the scenario 'blackhole': name that one, or give --all");
    }
    /* A live target has packets, too; a prediction has none. */
    struct scenario_options lab = options->run;
    if (!options->live.schedule) {
        lab.common.pcap = lab.common.diagram_file = NULL;
        lab.common.diagram = LADDER_NONE;
        lab.common.timeline = false;
    }
    const char *stray = invocation->arg_count     ? invocation->args[0]
                        : options->methods.chosen ? "--method"
                                                  : scenarios_stray(&lab);
    if (!stray)
        return connect_live_run(invocation, &options->live, &options->run.common);
    return output_refuse(
        invocation->command->name,
        "%s is for scenarios in a lab; --target and --targets look at live services, "
        "--schedule at this kernel",
        stray);
}

static const char *word(size_t index)
{
    return scenarios_word(&scenario_connect, index);
}

static const char *const description[] = {
    "Reproduces the ways in which connect(2) ends, each between two hosts of a private lab.",
    "With --target it connects to a live service instead and says what happens: accepted, refused, "
    "rejected by a firewall or router (and by which one), no answer on the link, no route here or "
    "further on, silence, an answer that comes late or only after more SYNs, a listener whose "
    "queue is full. If several causes look the same from here, it says which ones remain and what "
    "would tell them apart. --path shows the routers on the path and where it ends; --schedule "
    "shows when this kernel sends its SYNs and gives up. None of this needs privileges.",
    NULL};

static const struct cli_fragment fragments[] = {
    {&connect_live_targets, offsetof(struct connect_options, live), NULL},
    {&connect_live_path, offsetof(struct connect_options, live), NULL},
    {&connect_live_schedule, offsetof(struct connect_options, live), NULL},
    {&bounding, offsetof(struct connect_options, methods), NULL},
    SCENARIO_FRAGMENTS(struct connect_options, run),
    {0},
};

static const struct cli_example examples[] = {
    {"netkit connect-timeout refused --diagram", "Show what a closed port does to a client."},
    {"netkit connect-timeout blackhole --method alarm,poll,user-timeout",
     "Nothing answers: compare three ways of limiting the wait."},
    {"netkit connect-timeout --all --repeat 30", "Run everything thirty times."},
    {"netkit connect-timeout --target db.example:5432",
     "Does it connect? If not, who reports the error, and what can be the reason?"},
    {"netkit connect-timeout --target '[2001:db8::7]:443' --path",
     "The same, with the routers on the path and the hop that rejects or drops the SYN."},
    {"netkit connect-timeout --target web.example:443 --target web.example:22",
     "Try a second port of the same host: if it answers, the host is up."},
    {"netkit connect-timeout --targets fleet.txt --tries 1 --format ndjson",
     "Check a list of targets, with a line for each."},
    {"netkit connect-timeout --schedule --kernel-setting tcp_syn_retries=3",
     "When would the SYNs go out, and when would connect give up?"},
    {0},
};

static const struct cli_status statuses[] = {
    {0, "Every scenario did what this kernel should do; or the diagnosis of live targets was "
        "completed, and at least one accepts connections."},
    {1, "A scenario differed or was inconclusive, or a finding that --fail-on names was made."},
    COMMON_STATUS_USAGE,
    COMMON_STATUS_MACHINE,
    {4, "No live target accepts a connection: each one refused, rejected, was silent or is "
        "unknown. The diagnosis is still complete."},
    COMMON_STATUSES_ENDED};

const struct cli_command connect_timeout_command = {
    .name = "connect-timeout",
    .group = "Reproduce it in a lab",
    .summary = "every way a connect fails, when, and which of them happens to a live target",
    .usage = "[OPTION]... SCENARIO...\n--all [OPTION]...\n--list\n[OPTION]... --target "
             "HOST:PORT...\n[OPTION]... --targets FILE\n--schedule [OPTION]...",
    .description = description,
    .positional = SCENARIO_POSITIONAL(word),
    .fragments = fragments,
    .examples = examples,
    .statuses = statuses,
    .see_also = "tcp-probe lab doctor explain",
    .options_size = sizeof(struct connect_options),
    .run = run,
};
