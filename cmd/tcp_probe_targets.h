/* Whom tcp-probe talks to: arguments, --targets, --resolve, --all-addresses. */
#ifndef CMD_TCP_PROBE_TARGETS_H
#define CMD_TCP_PROBE_TARGETS_H

#include "tcp_probe_options.h"

/* A line of --targets, or one of several arguments, that names nobody: it fails alone. */
struct tcp_probe_misnamed {
    const char *name;
    const char *message;
};

struct tcp_probe_targets {
    struct probe_target *items;
    size_t count;
    struct tcp_probe_misnamed *misnamed;
    size_t misnamed_count;
    size_t asked; /* how many names there were in all */
};

/* Collects them; memory comes from the arena. A single argument that is no target is a usage error
 * (-EINVAL); among several it is listed as misnamed. */
int tcp_probe_targets(struct tcp_probe_targets *out, struct arena *arena,
                      const struct tcp_probe_options *options, const char *const *args,
                      size_t arg_count, struct error *error);

#endif
