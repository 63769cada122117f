/* netkit linger-test: what close, shutdown and SO_LINGER do to the connection, the data and the
 * caller, reproduced. */
#include "commands.h"
#include "output.h"
#include "scenario/linger/linger.h"
#include "scenarios.h"
#include "sut_options.h"

struct linger_options {
    int64_t bytes; /* 0: each scenario's own idea */
    struct scenario_options run;
    struct sut_options sut;
};

#define OF           struct linger_options
#define DELAY_MAX_NS (100 * NS_PER_MS)

static const struct cli_group what = {
    "Data",
    {
        {.name = "bytes",
         CLI_SIZE(OF, bytes),
         .min = 1,
         .max = LINGER_BYTES_MAX,
         .value = "SIZE",
         .help = "Write this much before the call that ends the connection; it stays in the send "
                 "buffer while its ACKs are held. Without this option each scenario has its own "
                 "amount."},
        {0},
    }};

static void list_parameters(struct arena *arena, struct result_map *map, const void *own)
{
    const struct linger_options *options = own;

    result_set_integer(arena, map, "bytes", options->bytes ? options->bytes : RESULT_UNKNOWN);
}

static int run(struct cli_invocation *invocation)
{
    static const struct sut_sets sets = {
        {[LAB_CLIENT] = &sut_close_clients, [LAB_SERVER] = &sut_close_servers}};
    const struct linger_options *options = invocation->options;
    const struct scenario_extra extra = {
        .bytes = options->bytes, .own = options, .parameters = list_parameters};

    if (sut_options_given(&options->sut))
        return sut_options_run(invocation, &sets, &options->run, &options->sut);
    if (options->run.faults.delay_ns <= DELAY_MAX_NS)
        return scenarios_run(invocation, &scenario_linger, &options->run, &extra);
    return output_refuse(invocation->command->name,
                         "--delay: at most 100ms, or what the scenarios wait for comes too late");
}

static const char *word(size_t index)
{
    return scenarios_word(&scenario_linger, index);
}

static const char *const description[] = {
    "Reproduces the ways of ending a connection, each between two hosts of a private lab: which "
    "call waits for what, what the caller knows afterwards, how much the peer's application "
    "received and how much was lost, what the peer saw, and which side is left with TIME-WAIT. "
    "--all ends with a table of all scenarios.",
    "With --client or --server it tests your program: how it ends its connections, which side is "
    "left with TIME-WAIT, and whether it loses data or leaves sockets in CLOSE-WAIT.",
    NULL};

static const struct cli_fragment fragments[] = {
    {&what, 0, NULL},
    {&sut_group, offsetof(struct linger_options, sut), "after clients max-detect"},
    SCENARIO_FRAGMENTS(struct linger_options, run),
    {0}};

static const struct cli_example examples[] = {
    {"netkit linger-test close --diagram", "Show what a plain close does, segment by segment."},
    {"netkit linger-test --all -4", "Run every way of ending a connection, and show the table."},
    {"netkit linger-test linger-zero --bytes 200k", "Show how much is lost when close sends RST."},
    {"netkit linger-test --suite --server 'exec python3 -m http.server 8000' --port 8000",
     "How does this server end its connections, and what does that cost?"},
    {"netkit linger-test kept-open --client 'curl -s http://{host}:{port}/'",
     "The same for a client, whose server lets it end the connection."},
    {0},
};

const struct cli_command linger_test_command = {
    .name = "linger-test",
    .group = "Reproduce it in a lab",
    .summary = "what close, shutdown and SO_LINGER do to the data, the peer and the caller",
    .usage = "[OPTION]... SCENARIO...\n--all [OPTION]...\n--list\n--suite|SCENARIO... --client "
             "COMMAND [OPTION]...\n--suite|SCENARIO... --server COMMAND --port PORT [OPTION]...",
    .description = description,
    .positional = SCENARIO_POSITIONAL(word),
    .fragments = fragments,
    .examples = examples,
    .statuses = common_scenario_statuses,
    .see_also = "connect-timeout lab explain",
    .options_size = sizeof(struct linger_options),
    .run = run,
};
