/* What every command that runs an experiment does around it: begin a report, end it, deliver it in
 * the form that was asked for, and find the exit status. */
#ifndef CMD_EXPERIMENT_H
#define CMD_EXPERIMENT_H

#include "common.h"
#include "output.h"
#include "result/result.h"

/* Fills the head of the report: command, version, start, host. */
void experiment_begin(struct report *report, const struct cli_invocation *invocation);
/* Sets the duration, the verdict, and whether a signal ended it. */
void experiment_end(struct report *report);

/* Renders and delivers the report, its diagram and its timeline: in text behind the report, in JSON
 * the diagram as a member, unless --diagram-file takes it. Returns `status`, or STATUS_MACHINE
 * after a complaint when it could not be written. */
int experiment_deliver(const char *command, const struct common_options *options,
                       struct report *report, int status);

/* Results that are written as they come, where the format has them as lines of their own (ndjson);
 * with any other format nothing happens before the end. */
struct experiment_stream {
    const char *command;
    const struct common_options *options;
    struct output_stream output;
    bool broken; /* nobody can read the results any more; interrupt_stop has been set, too */
};
/* Returns STATUS_OK, or STATUS_MACHINE after a complaint. */
int experiment_stream_begin(struct experiment_stream *stream, const char *command,
                            const struct common_options *options);
/* Writes a result, at once. The first failure is complained about and ends the run. */
void experiment_stream_result(struct experiment_stream *stream, const struct result *result);
/* Whether lines are wanted as they come, and one that somebody else has made. */
bool experiment_stream_wanted(const struct experiment_stream *stream);
void experiment_stream_line(struct experiment_stream *stream, const struct buf *line);
/* experiment_deliver(), or what of it is not written yet. */
int experiment_stream_deliver(struct experiment_stream *stream, struct report *report, int status);
/* Drops what was written to a file; after experiment_stream_deliver() nothing. */
void experiment_stream_abandon(struct experiment_stream *stream);

/* Whether --fail-on names one of the findings, or a threshold was exceeded. */
bool experiment_fails(const struct common_options *options, const struct report *report);

/* AF_INET, AF_INET6 or AF_UNSPEC, by -4 and -6. */
int experiment_family(const struct common_options *options);

#endif
