/* Holds results against what the user allows: thresholds, and an earlier run.
 *
 *     judge_begin()    reads the earlier run, before anything is measured
 *     judge_result()   each result, as it comes: what has changed, which thresholds it exceeds
 *     judge_end()      the run as a whole
 *
 * What it finds goes into the report; experiment_fails() then decides. */
#ifndef CMD_JUDGE_H
#define CMD_JUDGE_H

#include "diagnosis/threshold.h"
#include "report/baseline.h"

struct judge_options {
    struct threshold_limits limits;
    const char *baseline; /* a report as JSON; NULL: no comparison */
};

struct judge {
    const char *command;
    const struct judge_options *options;
    struct baseline baseline;
    size_t compared; /* targets that the earlier run has, too */
};

/* Returns STATUS_OK, or the exit status after a complaint. */
int judge_begin(struct judge *judge, const char *command, const struct judge_options *options,
                const struct report *report);
void judge_result(struct judge *judge, struct report *report, struct result_probe *probe);
/* Returns STATUS_OK, or STATUS_USAGE after a complaint when an earlier run was named that has none
 * of the targets: a pipeline must not pass because nothing was compared. */
int judge_end(struct judge *judge, struct report *report);
void judge_free(struct judge *judge);

#endif
