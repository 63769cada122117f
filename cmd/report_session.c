#include "report_session.h"

#include "interrupt.h"
#include "output.h"

#include "base/clock.h"
#include "base/shortage.h"
#include "base/text.h"
#include "report/ladder.h"
#include "report/report.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define COMPLAINTS_MAX 10 /* failures that are reported on standard error too */

int report_session_reserve(const char *command, const struct common_options *options,
                           const char *record)
{
    struct error error = {0};
    int rc = common_reserve(options, record, &error);

    if (!rc)
        return STATUS_OK;
    output_complain(command, "%s", error.text);
    return rc == -EINVAL ? STATUS_USAGE : STATUS_MACHINE;
}

void report_session_begin(struct report *report, const struct cli_invocation *invocation)
{
    struct utsname system;

    report->command = invocation->command->name;
    report->version = invocation->program->version;
    report->started_real_ns = clock_real_ns();
    report->duration_ns = -clock_mono_ns(); /* report_session_end() adds the end */
    report->kernel = arena_copy(&report->arena, uname(&system) ? "unknown" : system.release);
    report->unprivileged = geteuid() != 0;
}

void report_session_refused(struct report *report, const struct error *error)
{
    struct finding *finding =
        finding_add(&report->arena, &report->findings, FINDING_MACHINE_REFUSES, RESULT_SIDE_CLIENT);

    finding->summary = arena_copy(&report->arena, error->text);
    failure_blame(&report->arena, finding, failure_of_shortage(error->code));
}

void report_session_hint_at_rights(struct report *report)
{
    for (size_t i = 0; i < report->findings.count; i++)
        if (report->findings.items[i].code == FINDING_PROGRAM_FAILED)
            report->hint = "The programs ran without root's rights. One that needs them, as a "
                           "server does that changes its user, needs --as-root";
}

void report_session_end(struct report *report)
{
    report->duration_ns += clock_mono_ns();
    report->verdict =
        report->arena.failed ? FINDING_MACHINE_REFUSES : finding_verdict(&report->findings);
    report->interrupted = interrupt_signal != 0;
}

/* Where memory or descriptors ran out, results and findings may be missing: nobody is
 * accused then, and nothing is "ok". */
static int check_complete(const char *command, struct report *report, int status)
{
    struct error error;
    int code = shortage();

    if (!code)
        return status;
    error_sys(&error, code, "the report is not complete");
    output_complain(command, "%s", error.text);
    if (report->verdict != FINDING_MACHINE_REFUSES)
        report_session_refused(report, &error);
    report->verdict = FINDING_MACHINE_REFUSES;
    return STATUS_MACHINE;
}

bool report_session_fails(const struct common_options *options, const struct report *report)
{
    for (size_t i = 0; i < report->findings.count; i++)
        if (common_fails_on(options, report->findings.items[i].code,
                            report->findings.items[i].severity))
            return true;
    return result_checks_exceeded(&report->checks) > 0;
}

void report_session_complain(const char *command, const struct common_options *options,
                             const struct report *report)
{
    size_t failed = 0;

    if (options->format == REPORT_TEXT)
        return;
    for (size_t i = 0; i < report->result_count; i++) {
        const struct result *result = report->results[i];
        bool probe = result->type == RESULT_PROBE;
        const struct result_error *error = probe ? &result->probe.error : &result->reach.error;
        if (error->code == FINDING_NONE || ++failed > COMPLAINTS_MAX)
            continue;
        output_complain(command, "%s: %s", probe ? result->probe.target : result->reach.target,
                        error->message);
    }
    if (failed > COMPLAINTS_MAX)
        output_complain(command, "%zu more targets failed; the report has them",
                        failed - COMPLAINTS_MAX);
}

void report_session_complain_of_limit(const char *command, const struct probe_totals *totals)
{
    if (totals->at_once)
        output_complain(command,
                        "%zu targets at once instead of %zu: the limit of open descriptors is "
                        "%" PRId64 " (ulimit -Hn)",
                        totals->at_once, totals->at_once_wanted, totals->descriptor_limit);
}

bool report_session_wants_progress(const struct common_options *options, size_t targets)
{
    bool lines = options->format == REPORT_NDJSON && !options->output && isatty(STDOUT_FILENO);

    return !options->quiet && !lines && targets > 1;
}

int report_session_family(const struct common_options *options)
{
    return options->family == 4 ? AF_INET : options->family == 6 ? AF_INET6 : AF_UNSPEC;
}

static struct report_style style_of(const struct common_options *options)
{
    struct cli_style terminal = output_style();

    return (struct report_style){.width = terminal.width,
                                 .table_width =
                                     options->output ? REPORT_WIDTH_MAX : output_table_columns(),
                                 .color = !options->output && common_color(options, STDOUT_FILENO),
                                 .unicode = text_locale_is_utf8(),
                                 .verbose = options->verbose,
                                 .quiet = options->quiet};
}

/* Draws what was asked for: into its own file, behind the text, or as a member of the JSON. */
static int draw(const struct common_options *options, struct report *report,
                const struct report_style *style, struct buf *behind, struct error *error)
{
    enum ladder_format diagram = common_diagram(options);
    cleanup(buf) struct buf picture = {0};
    struct report_style drawn = *style;
    int rc = 0;

    if (options->diagram_file)
        drawn.table_width = REPORT_WIDTH_MAX;
    if (diagram != LADDER_NONE)
        rc = report_ladder(&picture, diagram, report, &drawn, error);
    if (rc == -ENOENT)
        return error_set(error, ENOENT, "no diagram: not a single round was completed");
    if (!rc && options->diagram_file)
        rc = output_file(options->diagram_file, &picture, error);
    else if (!rc && picture.len_bytes && options->format == REPORT_TEXT)
        buf_printf(behind, "\n%s", buf_str(&picture));
    else if (!rc && picture.len_bytes)
        report->diagram = arena_copy(&report->arena, buf_str(&picture));
    return rc;
}

static int list_events(const struct common_options *options, struct report *report,
                       const struct report_style *style, struct buf *behind, struct error *error)
{
    cleanup(buf) struct buf table = {0};

    if (!options->timeline)
        return 0;
    int rc = report_timeline(&table, report, style, error);
    if (rc == -ENOENT)
        return error_set(error, ENOENT, "no timeline: no round was complete");
    if (!rc && options->format == REPORT_TEXT)
        buf_printf(behind, "\n%s", buf_str(&table));
    else if (!rc)
        report->timeline = arena_copy(&report->arena, buf_str(&table));
    return rc;
}

/* A picture that cannot be drawn must not cost the report. */
static int add_pictures(const char *command, const struct common_options *options,
                        struct report *report, const struct report_style *style, struct buf *behind,
                        int status)
{
    struct error error = {0};

    if (!draw(options, report, style, behind, &error) &&
        !list_events(options, report, style, behind, &error))
        return status;
    output_complain(command, "%s", error.text);
    return status == STATUS_OK ? STATUS_MACHINE : status;
}

/* The report of ten thousand targets goes out while it is made, instead of being made in memory. */
struct pouring {
    struct output_stream output;
    struct error error;
};

static bool pour(void *context, const struct buf *piece)
{
    struct pouring *pouring = context;
    return !output_stream_write(&pouring->output, piece, &pouring->error);
}

static int pour_report(const struct common_options *options, const struct report *report,
                       const struct report_style *style, struct error *error)
{
    struct pouring pouring = {0};
    const struct buf_drain drain = {pour, &pouring};
    cleanup(buf) struct buf text = {.drain = &drain};
    int rc = output_stream_open(&pouring.output, options->output ? options->output : "-", error);

    if (rc)
        return rc;
    rc = report_render(&text, options->format, report, style, error);
    buf_flush(&text);
    if (text.failed && pouring.error.text[0]) {
        *error = pouring.error;
        rc = -EIO;
    }
    if (!rc)
        return output_stream_commit(&pouring.output, error);
    /* What standard output did not take is complained about once, by output_finish(). */
    bool told = pouring.error.text[0] && output_stream_is_stdout(&pouring.output);
    output_stream_abandon(&pouring.output);
    return told ? 0 : rc;
}

/* A report that lacks what there was no memory for must not look like a whole one. */
static int note_memory(const char *command, struct report *report, int status)
{
    if (!report->arena.failed)
        return status;
    output_complain(command, "out of memory: the report is not whole");
    report->verdict = FINDING_MACHINE_REFUSES;
    return STATUS_MACHINE;
}

int report_session_deliver(const char *command, const struct common_options *options,
                           struct report *report, int status)
{
    struct report_style style = style_of(options);
    cleanup(buf) struct buf text = {0}, behind = {0};
    struct error error = {0};

    status = note_memory(command, report, status);
    status = add_pictures(command, options, report, &style, &behind, status);
    status = check_complete(command, report, status);
    int rc;
    /* Text looks back at what it has written, and may have a picture behind it. */
    if (options->format != REPORT_TEXT) {
        rc = pour_report(options, report, &style, &error);
    } else {
        rc = report_render(&text, options->format, report, &style, &error);
        buf_add(&text, behind.data, behind.len_bytes);
        if (!rc)
            rc = common_deliver(options, &text, &error);
    }
    if (!rc)
        return status;
    output_complain(command, "%s", error.text);
    return STATUS_MACHINE;
}

int report_session_stream_begin(struct report_session_stream *stream, const char *command,
                                const struct common_options *options)
{
    struct error error = {0};

    *stream = (struct report_session_stream){.command = command, .options = options};
    if (options->format != REPORT_NDJSON ||
        !output_stream_open(&stream->output, options->output ? options->output : "-", &error))
        return STATUS_OK;
    output_complain(command, "%s", error.text);
    return STATUS_MACHINE;
}

/* A pipe that broke is complained about once, by output_finish(). */
static void stream_write(struct report_session_stream *stream, const struct buf *text)
{
    struct error error = {0};

    if (stream->broken || !output_stream_write(&stream->output, text, &error))
        return;
    stream->broken = true;
    interrupt_stop_run();
    if (!output_stream_is_stdout(&stream->output))
        output_complain(stream->command, "%s", error.text);
}

bool report_session_stream_wanted(const struct report_session_stream *stream)
{
    return stream->output.open && !stream->broken;
}

void report_session_stream_line(struct report_session_stream *stream, const struct buf *line)
{
    if (report_session_stream_wanted(stream))
        stream_write(stream, line);
}

void report_session_stream_result(struct report_session_stream *stream, const struct result *result)
{
    cleanup(buf) struct buf line = {0};

    if (!report_session_stream_wanted(stream))
        return;
    if (report_ndjson_result(&line, result, NULL))
        line.failed = true;
    stream_write(stream, &line);
}

int report_session_stream_deliver(struct report_session_stream *stream, struct report *report,
                                  int status)
{
    struct report_style style = style_of(stream->options);
    cleanup(buf) struct buf text = {0};
    struct error error = {0};

    if (!stream->output.open)
        return report_session_deliver(stream->command, stream->options, report, status);
    status = note_memory(stream->command, report, status);
    status = add_pictures(stream->command, stream->options, report, &style, &text, status);
    status = check_complete(stream->command, report, status);
    if (report_ndjson_rest(&text, report, NULL))
        text.failed = true;
    stream_write(stream, &text);
    if (stream->broken) {
        output_stream_abandon(&stream->output);
        return STATUS_MACHINE;
    }
    if (!output_stream_commit(&stream->output, &error))
        return status;
    output_complain(stream->command, "%s", error.text);
    return STATUS_MACHINE;
}

void report_session_stream_abandon(struct report_session_stream *stream)
{
    output_stream_abandon(&stream->output);
}
