/* netkit crash-sim: one side dies, and what the other sees of it. */
#include "commands.h"
#include "scenario/trial.h"
#include "scenarios.h"
#include "subjects.h"

struct crash_options {
    struct scenario_options run;
    struct subject_options subject;
};

static int run(struct cli_invocation *invocation)
{
    static const struct subject_sets trials = {
        {[LAB_CLIENT] = &trial_clients, [LAB_SERVER] = &trial_servers}};
    const struct crash_options *options = invocation->options;

    if (subjects_wanted(&options->subject))
        return subjects_run(invocation, &trials, &options->run, &options->subject);
    return scenarios_run(invocation, &scenario_crash, &options->run, NULL);
}

static const char *word(size_t index)
{
    return scenarios_word(&scenario_crash, index);
}

static const char *const description[] = {
    "Lets a process, a host or the network between them fail, in a private lab, and shows which "
    "call of the survivor tells it, with which error, and after how long.",
    "With --client or --server it is a program of yours that survives: does it notice, after how "
    "long, does it hang, does it take half an answer for a whole one; does the server go on, and "
    "what does it leave behind.",
    NULL};

static const struct cli_fragment fragments[] = {
    {&subject_group, offsetof(struct crash_options, subject), NULL},
    SCENARIO_FRAGMENTS(struct crash_options, run),
    {0}};

static const struct cli_example examples[] = {
    {"netkit crash-sim process-crash-writing --diagram",
     "Why the second write to a dead server kills the client."},
    {"netkit crash-sim --all --repeat 20", "Everything, twenty times."},
    {"netkit crash-sim --suite --client 'curl -s --max-time 5 http://{host}:{port}/'",
     "Does this client survive every way in which its server can die?"},
    {"netkit crash-sim --suite --server 'exec python3 -m http.server 8000' --port 8000",
     "Does this server survive its clients' deaths, and what does it leave behind?"},
    {"netkit crash-sim host-crash-receiving --client './client {host} {port}' --max-detect 3s",
     "A test for CI: a dead host must be noticed within three seconds."},
    {0},
};

const struct cli_command crash_sim_command = {
    .name = "crash-sim",
    .group = "Reproduce it in a lab",
    .summary = "what each side sees when the other dies, by which call, and after how long",
    .usage = "[OPTION]... SCENARIO...\n--all [OPTION]...\n--list\n"
             "--suite|SCENARIO... --client COMMAND [OPTION]...\n"
             "--suite|SCENARIO... --server COMMAND --port PORT [OPTION]...",
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
