/* What happened between the programs of a lab. */
#include "report/report_text.h"

#include "base/names.h"
#include "base/units.h"
#include "report/fields.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL_COLUMN    13
#define CONNECTIONS_MAX 8 /* in full, unless verbose */
#define FLAGS_MAX       24

/* ---- Programs and faults */

static void put_end(struct buf *out, const struct result_program *program)
{
    char text[UNITS_TEXT_MAX];

    switch (program->end) {
    case RESULT_PROGRAM_NOT_STARTED:
        buf_add_str(out, "not started");
        return;
    case RESULT_PROGRAM_EXITED:
        buf_printf(out, "exit status %" PRId64, program->status);
        break;
    case RESULT_PROGRAM_SIGNALLED:
        buf_printf(out, "killed by %s", signal_name((int)program->signal));
        break;
    case RESULT_PROGRAM_STOPPED:
        buf_add_str(out, "ended by netkit");
        break;
    }
    buf_printf(out, " after %s", report_duration(text, sizeof text, program->duration_ns, true));
}

static void show_program(struct paint *paint, const struct result_program *program)
{
    cleanup(buf) struct buf end = {0};
    bool failed = program->end == RESULT_PROGRAM_SIGNALLED ||
                  program->end == RESULT_PROGRAM_NOT_STARTED || program->status > 0;

    put_end(&end, program);
    paint_label(paint, LABEL_COLUMN, program->host);
    paint_wrap(paint, PAINT_BOLD, LABEL_COLUMN, program->command);
    paint_to(paint, LABEL_COLUMN);
    paint_put(paint, failed ? PAINT_RED : PAINT_PLAIN, buf_str(&end));
    paint_newline(paint);
    paint->out->failed |= end.failed;
}

static void show_fault(struct paint *paint, const struct result_fault *fault)
{
    char number[32];
    cleanup(buf) struct buf line = {0};

    snprintf(number, sizeof number, "fault %" PRId64, fault->number);
    buf_printf(&line, "%s: acted on %" PRId64 " of %" PRId64 " matching packet%s", fault->text,
               fault->acted, fault->matched, fault->matched == 1 ? "" : "s");
    paint_label(paint, LABEL_COLUMN, number);
    paint_wrap(paint, fault->acted ? PAINT_PLAIN : PAINT_YELLOW, LABEL_COLUMN, buf_str(&line));
    paint->out->failed |= line.failed;
}

/* ---- Connections */

static void put_sent(struct buf *out, const char *who, int64_t segments, int64_t bytes,
                     int64_t again)
{
    char text[UNITS_TEXT_MAX];

    buf_printf(out, "%s %" PRId64 " segment%s, %s", who, segments, segments == 1 ? "" : "s",
               units_format_size(text, sizeof text, bytes));
    if (again)
        buf_printf(out, ", %" PRId64 " retransmitted", again);
}

static void show_sent(struct paint *paint, const struct result_connection *connection)
{
    cleanup(buf) struct buf line = {0};

    put_sent(&line, "client", connection->segments.client, connection->payload_bytes.client,
             connection->retransmissions.client);
    put_sent(&line, "; server", connection->segments.server, connection->payload_bytes.server,
             connection->retransmissions.server);
    paint_label(paint, LABEL_COLUMN, "sent");
    paint_wrap(paint, PAINT_PLAIN, LABEL_COLUMN, buf_str(&line));
    paint->out->failed |= line.failed;
}

static void show_connection(struct paint *paint, const struct result_connection *connection)
{
    char number[32], text[UNITS_TEXT_MAX];

    snprintf(number, sizeof number, "#%" PRId64, connection->number);
    paint_label(paint, LABEL_COLUMN, number);
    paint_put(paint, PAINT_BOLD, connection->name ? connection->name : "?");
    if (paint->column + 24 > paint->width)
        paint_newline(paint);
    paint_to(paint, paint->column ? paint->column + 2 : LABEL_COLUMN);
    paint_printf(paint, PAINT_DIM, "%s, %s",
                 report_duration(text, sizeof text, connection->duration_ns, true),
                 connection->end);
    paint_newline(paint);
    show_exchange(paint, LABEL_COLUMN, &connection->flags, FLAGS_MAX, connection->flags_omitted,
                  &connection->client_states, &connection->server_states);
    show_sent(paint, connection);
}

static void show_connections(struct paint *paint, const struct result_connection_list *list)
{
    size_t shown =
        paint->style->verbose || list->count < CONNECTIONS_MAX ? list->count : CONNECTIONS_MAX;

    for (size_t i = 0; i < shown; i++) {
        paint_newline(paint);
        show_connection(paint, &list->items[i]);
    }
    if (shown == list->count)
        return;
    paint_newline(paint);
    paint_to(paint, PAINT_INDENT);
    paint_printf(paint, PAINT_DIM, "… and %zu more; -v shows all", list->count - shown);
    paint_newline(paint);
}

void show_lab(struct paint *paint, const struct result_lab *lab)
{
    for (size_t i = 0; i < lab->program_count; i++)
        show_program(paint, &lab->programs[i]);
    for (size_t i = 0; i < lab->fault_count; i++)
        show_fault(paint, &lab->faults[i]);
    show_connections(paint, &lab->connections);
}
