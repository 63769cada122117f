/* netkit crash-sim: one side dies, and what the other sees of it. */
#include "commands.h"
#include "scenarios.h"

struct crash_options {
    struct scenario_options run;
};

static int run(struct cli_invocation *invocation)
{
    const struct crash_options *options = invocation->options;
    return scenarios_run(invocation, &scenario_crash, &options->run, NULL);
}

static const char *word(size_t index)
{
    return scenarios_word(&scenario_crash, index);
}

static const char *const description[] = {
    "Lets a process, a host or the network between them fail, in a private lab, and shows which "
    "call of the survivor tells it, with which error, and after how long.",
    NULL};

static const struct cli_fragment fragments[] = {SCENARIO_FRAGMENTS(struct crash_options, run), {0}};

static const struct cli_example examples[] = {
    {"netkit crash-sim process-crash-writing --diagram",
     "Why the second write to a dead server kills the client."},
    {"netkit crash-sim --all --repeat 20", "Everything, twenty times."},
    {0},
};

const struct cli_command crash_sim_command = {
    .name = "crash-sim",
    .group = "Reproduce it in a lab",
    .summary = "what each side sees when the other dies, by which call, and after how long",
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
    .options_size = sizeof(struct crash_options),
    .run = run,
};
