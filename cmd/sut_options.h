/* --client CMD and --server CMD: a program of the user's in a lab, for the commands that reproduce
 * what may happen to it. A command embeds struct sut_options, lists sut_group among its
 * fragments, and calls sut_options_run() when sut_options_given(). */
#ifndef CMD_SUT_OPTIONS_H
#define CMD_SUT_OPTIONS_H

#include "scenario/programs/sut.h"
#include "scenarios.h"

struct sut_options {
    const char *client, *server; /* lines for the shell */
    int64_t port;
    const char *serve, *request;
    struct stub_peer_point after;
    int64_t clients, max_detect_ns;
    bool suite, as_root;
    int64_t connections, per_second; /* of a command that has a burst; else 0 */
};

/* --client, --server, --port, --serve, --request; and --after, --clients, --max-detect, --suite,
 * which a command may leave out by the fragment's `without`. */
extern const struct cli_group sut_group;

/* The scenarios of a command for either kind of program. */
struct sut_sets {
    const struct scenario_set *of_host[LAB_HOSTS]; /* by where the program runs */
};

bool sut_options_given(const struct sut_options *options);
/* Returns the exit status. */
int sut_options_run(struct cli_invocation *invocation, const struct sut_sets *sets,
                    const struct scenario_options *run, const struct sut_options *options);

#endif
