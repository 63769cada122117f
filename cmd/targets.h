/* The targets of a command: arguments, --targets, --resolve, --all-addresses. */
#ifndef CMD_TARGETS_H
#define CMD_TARGETS_H

#include "base/wait.h"
#include "cli/cli.h"
#include "probe/probe.h"

struct target_sources {
    const char *const *args;
    size_t arg_count;
    bool two_words;          /* two arguments may be a host and its port */
    bool urls;               /* http://host/path is one, too */
    const char *file;        /* --targets; NULL: none */
    struct cli_list resolve; /* --resolve: host:port:address */
    struct wait_limit limit; /* of looking names up */
    int family;              /* of the addresses: AF_UNSPEC, AF_INET, AF_INET6 */
};

/* A line of --targets, or one of several arguments, that is no target: it fails alone. */
struct target_misnamed {
    const char *name;
    struct result_error error;
};

struct target_list {
    struct probe_target *items;
    size_t count;
    struct target_misnamed *misnamed;
    size_t misnamed_count;
    size_t asked; /* how many names there were in all */
};

/* Collects them; memory comes from the arena. A single argument that is no target is a usage error
 * (-EINVAL); among several it is listed as misnamed. */
int target_list_collect(struct target_list *out, struct arena *arena,
                        const struct target_sources *sources, struct error *error);
/* --all-addresses: each address of a name is a target from then on. A name without one is listed as
 * misnamed; where the look-up was stopped, it stays. */
void target_list_look_up(struct target_list *list, struct arena *arena,
                         const struct target_sources *sources);

#endif
