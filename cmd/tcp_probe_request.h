/* What tcp-probe says to its targets, and what it takes for an answer: the options turned into the
 * plan's conversation. */
#ifndef CMD_TCP_PROBE_REQUEST_H
#define CMD_TCP_PROBE_REQUEST_H

#include "targets.h"
#include "tcp_probe_options.h"
#include <regex.h>

/* All zero before. */
struct tcp_probe_request {
    const struct preset *preset; /* NULL: the request is the user's own */
    struct preset_ask ask;
    bool tls; /* by --tls or by a URL */
    struct buf bytes, data, password;
    struct preamble_hello *hellos;
    const struct tcp_probe_expect *expect;
    regex_t pattern;
    bool has_pattern;
};

/* Fills the plan's conversation and the targets' own requests. -EINVAL is a usage error. `request`
 * must outlive the run. */
int tcp_probe_request_compose(struct tcp_probe_request *request,
                              const struct tcp_probe_options *options, struct target_list *targets,
                              struct arena *arena, struct probe_plan *plan, struct error *error);
void tcp_probe_request_free(struct tcp_probe_request *request);

#endif
