/* netkit crash-sim: one side crashes, and what the other sees of it. */
#include "commands.h"
#include "output.h"
#include "scenario/crash/crash_matrix.h"
#include "scenarios.h"
#include "sut_options.h"

struct crash_options {
    bool matrix;
    struct scenario_options run;
    struct sut_options sut;
};

#define OF struct crash_options

static const struct cli_group what = {
    "All cases in a table",
    {
        {.name = "matrix",
         CLI_FLAG(OF, matrix),
         .help = "Run and show the classic table: sending, receiving, idle with keepalive and idle "
                 "without it, against a process that crashes and a host that crashes, is "
                 "unreachable or reboots; and what TCP_USER_TIMEOUT changes."},
        {0},
    }};

static int refuse(const char *why)
{
    return output_refuse("crash-sim", "--matrix %s", why);
}

static int run_matrix(struct cli_invocation *invocation, const struct crash_options *options)
{
    const struct scenario_extra extra = {.conclude = crash_matrix_tables};
    struct scenario_options all = options->run;

    if (invocation->arg_count)
        return refuse("runs cells of its own: leave out the scenario, or the option");
    if (all.common.all)
        return refuse("and --all are separate runs: give only one of them");
    if (all.common.no_lab)
        return refuse("needs the lab: not with --no-lab");
    if (sut_options_given(&options->sut))
        return refuse("runs netkit's own client: not with --client or --server");
    all.common.all = true;
    return scenarios_run(invocation, &scenario_crash_matrix, &all, &extra);
}

static int run(struct cli_invocation *invocation)
{
    static const struct sut_sets sets = {
        {[LAB_CLIENT] = &sut_crash_clients, [LAB_SERVER] = &sut_crash_servers}};
    const struct crash_options *options = invocation->options;

    if (options->matrix && !options->run.common.list)
        return run_matrix(invocation, options);
    if (sut_options_given(&options->sut))
        return sut_options_run(invocation, &sets, &options->run, &options->sut);
    return scenarios_run(invocation, &scenario_crash, &options->run, NULL);
}

static const char *word(size_t index)
{
    return scenarios_word(&scenario_crash, index);
}

static const char *const description[] = {
    "Lets a process, a host or the network crash in a private lab, and shows which call tells the "
    "survivor, with which error, and after how long.",
    "With --client or --server the survivor is your own program: does it notice, and after how "
    "long; does it hang, or take half a response for a whole one; does the server go on, and what "
    "does it leave behind.",
    NULL};

static const struct cli_fragment fragments[] = {
    {&what, 0, NULL},
    {&sut_group, offsetof(struct crash_options, sut), NULL},
    SCENARIO_FRAGMENTS(struct crash_options, run),
    {0}};

static const struct cli_example examples[] = {
    {"netkit crash-sim process-crash-writing --diagram",
     "Why the second write to a dead server kills the client."},
    {"netkit crash-sim --matrix", "Measure the classic table on this machine."},
    {"netkit crash-sim --all --repeat 20", "Run everything twenty times."},
    {"netkit crash-sim --suite --client 'curl -s --max-time 5 http://{host}:{port}/'",
     "Does this client survive every way its server can crash?"},
    {"netkit crash-sim --suite --server 'exec python3 -m http.server 8000' --port 8000",
     "Does this server survive its clients' crashes, and what does it leave behind?"},
    {"netkit crash-sim host-crash-receiving --client './client {host} {port}' --max-detect 3s",
     "As a test in CI: the client must notice a dead host within three seconds."},
    {0},
};

const struct cli_command crash_sim_command = {
    .name = "crash-sim",
    .group = "Reproduce it in a lab",
    .summary = "what each side sees when the other crashes, by which call, and after how long",
    .usage = "[OPTION]... SCENARIO...\n--all [OPTION]...\n--matrix [OPTION]...\n--list\n"
             "--suite|SCENARIO... --client COMMAND [OPTION]...\n"
             "--suite|SCENARIO... --server COMMAND --port PORT [OPTION]...",
    .description = description,
    .positional = SCENARIO_POSITIONAL(word),
    .fragments = fragments,
    .examples = examples,
    .statuses = common_scenario_statuses,
    .see_also = "connect-timeout linger-test lab explain",
    .options_size = sizeof(struct crash_options),
    .run = run,
};
