#include "lab_options.h"

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

const struct cli_fragment lab_fragments[] = {
    {&programs, 0, NULL},
    {&fault_link, offsetof(OF, faults), NULL},
    {&fault_rules, offsetof(OF, faults), NULL},
    {&addresses, 0, NULL},
    {&common_limits, offsetof(OF, common), NULL},
    {&picture, 0, NULL},
    {&common_output, offsetof(OF, common), NULL},
    {0},
};
