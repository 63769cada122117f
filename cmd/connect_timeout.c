/* netkit connect-timeout: every way in which a connect fails, reproduced. */
#include "commands.h"
#include "scenarios.h"

struct connect_options {
    struct scenario_options run;
};

static int run(struct cli_invocation *invocation)
{
    const struct connect_options *options = invocation->options;
    return scenarios_run(invocation, &scenario_connect, &options->run, NULL);
}

static const char *word(size_t index)
{
    return scenarios_word(&scenario_connect, index);
}

static const char *const description[] = {
    "Reproduces the ways in which connect(2) ends, each between two hosts of a private lab.", NULL};

static const struct cli_fragment fragments[] = {SCENARIO_FRAGMENTS(struct connect_options, run),
                                                {0}};

static const struct cli_example examples[] = {
    {"netkit connect-timeout refused --diagram", "What a closed port does to a client."},
    {"netkit connect-timeout --all --repeat 30", "Everything, thirty times."},
    {0},
};

const struct cli_command connect_timeout_command = {
    .name = "connect-timeout",
    .group = "Reproduce it in a lab",
    .summary = "every way a connect fails, when, and how each way of bounding it behaves",
    .usage = "[OPTION]... SCENARIO...\n--all [OPTION]...\n--list",
    .description = description,
    .positional = {.name = "SCENARIO",
                   .help = "what to reproduce; --list has them all",
                   .completes = CLI_COMPLETES_WORDS,
                   .word = word},
    .fragments = fragments,
    .examples = examples,
    .statuses = common_scenario_statuses,
    .see_also = "lab explain",
    .options_size = sizeof(struct connect_options),
    .run = run,
};
