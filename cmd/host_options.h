/* Options whose value is for one host of a lab: HOST:NAME=VALUE. */
#ifndef CMD_HOST_OPTIONS_H
#define CMD_HOST_OPTIONS_H

#include "cli/cli.h"
#include "lab/lab.h"

/* One such value, taken apart: "client:tcp_syn_retries=2". Texts are in the arena. -EINVAL says
 * what --`option` wants. */
struct host_word {
    enum lab_host host;
    const char *name, *value;
};
int host_word_read(struct host_word *out, const char *option, const char *text, struct arena *arena,
                   struct error *error);

/* The settings of each host among the values of --sysctl, in the arena. */
int host_sysctls(const struct cli_list *list, struct arena *arena,
                 const struct lab_sysctl *out[LAB_HOSTS], size_t out_count[LAB_HOSTS],
                 struct error *error);

#endif
