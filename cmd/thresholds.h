/* Holds results against what the user allows: thresholds, and an earlier run.
 *
 *     thresholds_begin()    reads the earlier run, before anything is measured
 *     thresholds_result()   each result, as it comes: what has changed, which thresholds it exceeds
 *     thresholds_end()      the run as a whole
 *
 * What it finds goes into the report; report_session_fails() then decides. */
#ifndef CMD_THRESHOLDS_H
#define CMD_THRESHOLDS_H

#include "diagnosis/threshold.h"
#include "report/baseline.h"

struct thresholds_options {
    struct threshold_limits limits;
    const char *baseline; /* a report as JSON; NULL: no comparison */
};

struct thresholds {
    const char *command;
    const struct thresholds_options *options;
    struct baseline baseline;
    size_t compared; /* targets that the earlier run has, too */
};

/* Returns STATUS_OK, or the exit status after a complaint. */
int thresholds_begin(struct thresholds *thresholds, const char *command,
                     const struct thresholds_options *options, const struct report *report);
void thresholds_result(struct thresholds *thresholds, struct report *report,
                       struct result_probe *probe);
/* Returns STATUS_OK, or STATUS_USAGE after a complaint when an earlier run was named that has none
 * of the targets: a pipeline must not pass because nothing was compared. */
int thresholds_end(struct thresholds *thresholds, struct report *report);
void thresholds_free(struct thresholds *thresholds);

#endif
