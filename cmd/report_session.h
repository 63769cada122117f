/* What every command that runs an experiment does around it: begin a report, end it, deliver it in
 * the form that was asked for, and find the exit status. */
#ifndef CMD_REPORT_SESSION_H
#define CMD_REPORT_SESSION_H

#include "common.h"
#include "output.h"
#include "probe/fleet.h"
#include "result/result.h"

/* common_reserve(), complained about. STATUS_OK, or the status to end with. */
int report_session_reserve(const char *command, const struct common_options *options,
                           const char *record);

/* Fills the head of the report: command, version, start, host. */
void report_session_begin(struct report *report, const struct cli_invocation *invocation);
/* This machine did not let the run begin, or go on: the report says so. */
void report_session_refused(struct report *report, const struct error *error);
/* Programs in the lab lacked rights of root's (lab_confines()): a hint, where one of them failed.
 */
void report_session_hint_at_rights(struct report *report);
/* Sets the duration, the verdict, and whether a signal ended it. */
void report_session_end(struct report *report);

/* Renders and delivers the report, its diagram and its timeline: in text behind the report, in JSON
 * the diagram as a member, unless --diagram-file takes it. Returns `status`, or STATUS_MACHINE
 * after a complaint when it could not be written. */
int report_session_deliver(const char *command, const struct common_options *options,
                           struct report *report, int status);

/* Results that are written as they come, where the format has them as lines of their own (ndjson);
 * with any other format nothing happens before the end. */
struct report_session_stream {
    const char *command;
    const struct common_options *options;
    struct output_stream output;
    bool broken; /* nobody can read the results any more; interrupt_stop has been set, too */
};
/* Returns STATUS_OK, or STATUS_MACHINE after a complaint. */
int report_session_stream_begin(struct report_session_stream *stream, const char *command,
                                const struct common_options *options);
/* Writes a result, at once. The first failure is complained about and ends the run. */
void report_session_stream_result(struct report_session_stream *stream,
                                  const struct result *result);
/* Whether lines are wanted as they come, and one that somebody else has made. */
bool report_session_stream_wanted(const struct report_session_stream *stream);
void report_session_stream_line(struct report_session_stream *stream, const struct buf *line);
/* report_session_deliver(), or what of it is not written yet. */
int report_session_stream_deliver(struct report_session_stream *stream, struct report *report,
                                  int status);
/* Drops what was written to a file; after report_session_stream_deliver() nothing. */
void report_session_stream_abandon(struct report_session_stream *stream);

/* Whether --fail-on names one of the findings, or a threshold was exceeded. */
bool report_session_fails(const struct common_options *options, const struct report *report);

/* The targets that failed (tcp-probe's, or connect-timeout's), on standard error: a machine reads
 * the report; a person who looks at the log should find the reason there too. */
void report_session_complain(const char *command, const struct common_options *options,
                             const struct report *report);

/* That this machine's limit of open descriptors made a run slower than it was to be. */
void report_session_complain_of_limit(const char *command, const struct probe_totals *totals);

/* Whether to show the progress of a run over so many targets. Results that come as lines on the
 * same terminal show it themselves. */
bool report_session_wants_progress(const struct common_options *options, size_t targets);

/* AF_INET, AF_INET6 or AF_UNSPEC, by -4 and -6. */
int report_session_family(const struct common_options *options);

#endif
