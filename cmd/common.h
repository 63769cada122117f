/* The options that several commands take, declared once.
 *
 * A command embeds struct common_options in its own options, and lists the groups that it takes as
 * fragments: {&common_output, offsetof(struct my_options, common), .without = "pcap"}. */
#ifndef CMD_COMMON_H
#define CMD_COMMON_H

#include "cli/cli.h"
#include "finding/finding.h"
#include "report/ladder.h"

enum common_color { COMMON_COLOR_AUTO, COMMON_COLOR_ALWAYS, COMMON_COLOR_NEVER };

struct common_options {
    /* common_output */
    enum report_format format;
    const char *output; /* NULL or "-": standard output */
    enum ladder_format diagram;
    const char *diagram_file; /* NULL: in the report */
    bool timeline;
    const char *pcap; /* NULL: not kept */
    struct cli_list fail_on;
    bool quiet, verbose;
    enum common_color color;
    /* common_limits */
    int family; /* 4, 6, or 0 for both */
    bool timeout_set;
    int64_t timeout_ns;
    /* common_scenarios */
    bool list, all;
    int64_t jobs, repeat;
    bool no_lab, real_time;
};

extern const struct cli_group common_output;
extern const struct cli_group common_limits;
extern const struct cli_group common_scenarios;

/* For commands that start the user's programs in a lab. */
#define COMMON_AS_ROOT_HELP                                                                        \
    "Let programs that root starts keep root's rights. Without this option they run as who "       \
    "called "                                                                                      \
    "sudo, or who owns the working directory; where that is root, without capabilities."

/* Rows of exit statuses that mean the same everywhere; the last ends the table. */
#define COMMON_STATUS_USAGE                                                                        \
    {                                                                                              \
        2, "The command line is wrong; the message names the option and what it accepts."          \
    }
#define COMMON_STATUS_MACHINE                                                                      \
    {                                                                                              \
        3, "This machine does not let it run, or the input was damaged; the message says what to " \
           "do."                                                                                   \
    }
#define COMMON_STATUSES_ENDED                                                                      \
    {129, "The terminal hung up; what was measured so far is reported first."},                    \
        {130, "Interrupted; what was measured so far is reported first."},                         \
        {143, "Terminated; what was measured so far is reported first."},                          \
    {                                                                                              \
        0                                                                                          \
    }

/* The exit statuses of a command that has thresholds, and of one that runs scenarios. */
extern const struct cli_status common_threshold_statuses[];
extern const struct cli_status common_scenario_statuses[];

/* Which diagram is wanted: --diagram-file alone asks for one too, of the kind that the file's
 * ending names (.svg, .mmd and .md for Mermaid, anything else text). */
enum ladder_format common_diagram(const struct common_options *options);

/* Whether what goes to `descriptor` is coloured: --color, then NO_COLOR and TERM. */
bool common_color(const struct common_options *options, int descriptor);

/* Whether --fail-on names this finding: by its code, or as "any" from a warning up. */
bool common_fails_on(const struct common_options *options, enum finding_code code,
                     enum finding_severity severity);

/* Sees that what is to be written can be, and opens the report's files, before anything is
 * measured. `record` may be NULL. -EINVAL: the options name one file for two things. */
int common_reserve(const struct common_options *options, const char *record, struct error *error);

/* The report: to --output, or to standard output. */
int common_deliver(const struct common_options *options, const struct buf *report,
                   struct error *error);

#endif
