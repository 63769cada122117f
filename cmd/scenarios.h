/* What the commands that reproduce have in common: connect-timeout, linger-test, crash-sim,
 * accept-backlog. A command embeds struct scenario_options, lists the fragments of
 * SCENARIO_FRAGMENTS, and gives its set of scenarios to scenarios_run(). */
#ifndef CMD_SCENARIOS_H
#define CMD_SCENARIOS_H

#include "common.h"
#include "faults.h"
#include "scenario/scenario.h"

struct scenario_options {
    struct cli_list sysctls, socket_options; /* HOST:NAME=VALUE */
    struct fault_options faults;
    struct common_options common;
};

extern const struct cli_group scenario_hosts; /* --sysctl, --socket-option */

/* The fragments, for `member` of a command's options. */
#define SCENARIO_FRAGMENTS(type, member)                                                           \
    {&common_scenarios, offsetof(type, member.common), NULL},                                      \
        {&fault_link, offsetof(type, member.faults), NULL},                                        \
        {&fault_rules, offsetof(type, member.faults), NULL},                                       \
        {&scenario_hosts, offsetof(type, member), NULL},                                           \
        {&common_limits, offsetof(type, member.common), NULL},                                     \
    {                                                                                              \
        &common_output, offsetof(type, member.common), "prometheus"                                \
    }

/* What a command's arguments are; `word` lists the names. */
#define SCENARIO_POSITIONAL(word_)                                                                 \
    {                                                                                              \
        .name = "SCENARIO", .help = "what to reproduce; --list shows them all",                    \
        .completes = CLI_COMPLETES_WORDS, .word = (word_)                                          \
    }

/* What one command adds: data for its own scenarios. */
struct scenario_extra {
    int64_t bytes;
    const void *own;
    bool as_root; /* the user's programs */
    /* Adds its own parameters to the report's; may be NULL. */
    void (*parameters)(struct arena *arena, struct result_map *map, const void *own);
    /* Adds what the results make together, before they are delivered; may be NULL. */
    void (*conclude)(struct report *report);
};

/* Lists, or runs what the arguments name, and reports. Returns the exit status. */
int scenarios_run(struct cli_invocation *invocation, const struct scenario_set *set,
                  const struct scenario_options *options, const struct scenario_extra *extra);

/* An option that means something in a lab only, and was given; NULL: none. For commands that look
 * at live things, too. */
const char *scenarios_stray(const struct scenario_options *options);

/* The names, for completions: a command's `word` of its positional calls this. */
const char *scenarios_word(const struct scenario_set *set, size_t index);

#endif
