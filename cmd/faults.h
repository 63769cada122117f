/* The faults of the wire as options: for every command that takes them.
 *
 * A command embeds struct fault_options and lists fault_link and fault_rules among its fragments.
 * What the words mean is the lab's to say (lab/fault.h); here is only how they stand on a command
 * line and in a file. */
#ifndef CMD_FAULTS_H
#define CMD_FAULTS_H

#include "cli/cli.h"
#include "scenario/scenario.h"

struct fault_options {
    struct cli_items items;
    int64_t delay_ns, rate_bytes, mtu_bytes, seed;
    bool delay_given;
};

extern const struct cli_group fault_link;  /* --delay, --rate, --mtu */
extern const struct cli_group fault_rules; /* --drop M … with their qualifiers, --faults, --seed */

struct lab_link fault_link_of(const struct fault_options *options);

/* The faults, in their order, with what the user wrote; all in the arena. -EINVAL names the option
 * and what it accepts. */
int faults_read(const struct fault_options *options, struct arena *arena,
                const struct scenario_fault **out, size_t *out_count, struct error *error);

#endif
