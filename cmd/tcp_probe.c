/* netkit tcp-probe: one live service, every part of the conversation timed. */
#include "commands.h"
#include "output.h"
#include "tcp_probe_options.h"

static int run(struct cli_invocation *invocation)
{
    (void)invocation;
    return STATUS_OK;
}

static const char *const description[] = {
    "Talks to a live service and times every part of the conversation: resolving the name, "
    "connecting, what was held in our own send queue, the network, the peer's acknowledgement, "
    "the server's thinking, and the gaps inside its answer. The kernel's timestamps say where the "
    "time went; no privilege is needed.",
    "Then it intervenes: it repeats the exchange with one socket option changed at a time. A "
    "verdict names the cause, the side that must change, the call or option to change, and the "
    "numbers that it rests on. Where the evidence does not separate two causes, it says so.",
    NULL};

static const struct cli_example examples[] = {
    {"netkit tcp-probe --preset http localhost:8000",
     "Ask a web server for / forty times in each arm, and explain what is slow."},
    {"netkit tcp-probe --preset redis :6379", "PING a Redis server on this host."},
    {"netkit tcp-probe --preset http --path /health --diagram '[::1]:8080'",
     "The same over IPv6, with the ladder of one typical slow round."},
    {"netkit tcp-probe --send 'GET key\\r\\n' --split 4,5 --until line cache.example 7000",
     "Play a client that writes a small request in two pieces."},
    {"netkit tcp-probe --json --fail-on nagle-delayed-ack --preset http :8000",
     "In a pipeline: exit with status 1 if the 40 ms are back."},
    {0},
};

const struct cli_command tcp_probe_command = {
    .name = "tcp-probe",
    .group = "Look at a live service",
    .summary = "time a live service part by part, and say whose each delay is",
    .description = description,
    .positional = {.name = "TARGET",
                   .help = "host:port, [v6]:port, :port for this host, or two words: host port",
                   .min = 1,
                   .max = 2,
                   .completes = CLI_COMPLETES_HOST},
    .usage = "[OPTION]... HOST:PORT\n[OPTION]... HOST PORT",
    .fragments = tcp_probe_fragments,
    .examples = examples,
    .statuses = common_diagnosis_statuses,
    .symlink = true,
    .options_size = sizeof(struct tcp_probe_options),
    .run = run,
};
