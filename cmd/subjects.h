/* --client CMD and --server CMD: a program of the user's in a lab, for the commands that reproduce
 * what may happen to it. A command embeds struct subject_options, lists subject_group among its
 * fragments, and calls subjects_run() when subjects_wanted(). */
#ifndef CMD_SUBJECTS_H
#define CMD_SUBJECTS_H

#include "scenario/subject.h"
#include "scenarios.h"

struct subject_options {
    const char *client, *server; /* lines for the shell */
    int64_t port;
    const char *serve, *request;
    struct peer_point after;
    int64_t clients, max_detect_ns;
    bool suite;
    int64_t connections, per_second; /* of a command that has a burst; else 0 */
};

/* --client, --server, --port, --serve, --request; and --after, --clients, --max-detect, --suite,
 * which a command may leave out by the fragment's `without`. */
extern const struct cli_group subject_group;

/* The scenarios of a command for either kind of program. */
struct subject_sets {
    const struct scenario_set *of_host[LAB_HOSTS]; /* by where the program runs */
};

bool subjects_wanted(const struct subject_options *options);
/* Returns the exit status. */
int subjects_run(struct cli_invocation *invocation, const struct subject_sets *sets,
                 const struct scenario_options *run, const struct subject_options *options);

#endif
