/* JUnit XML as Jenkins, GitLab and GitHub's actions read it: one suite for the run, a testcase for
 * each case, a failure element for each problem. */
#include "report/cases.h"

#include "base/clock.h"
#include "report/fields.h"
#include "report/xml.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void property(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    buf_add_str(out, "      <property name=\"");
    xml_escape(out, name);
    buf_add_str(out, "\" value=\"");
    xml_escape(out, value);
    buf_add_str(out, "\"/>\n");
}

static void problem_element(struct buf *out, const struct report_problem *problem)
{
    char cost[32];

    buf_add_str(out, "      <failure type=\"");
    xml_escape(out, problem->type);
    buf_add_str(out, "\" message=\"");
    xml_escape(out, problem->message);
    buf_printf(out, "\">severity: %s\n", finding_severity_name(problem->severity));
    if (problem->side)
        buf_printf(out, "side: %s\n", problem->side);
    if (problem->cost_ns != RESULT_UNKNOWN)
        buf_printf(out, "cost: %s\n", report_duration(cost, sizeof cost, problem->cost_ns, true));
    buf_printf(out, "count: %" PRId64 "\n", problem->count);
    if (problem->remedy) {
        buf_add_str(out, "remedy: ");
        xml_escape(out, problem->remedy);
        buf_add_char(out, '\n');
    }
    buf_add_str(out, "</failure>\n");
}

static void numbers(struct buf *out, const struct result_probe *probe)
{
    char text[32];

    if (probe->rounds <= 0)
        return;
    buf_printf(out, "rounds %" PRId64, probe->rounds);
    for (const struct report_field *field = report_latency_fields; field->key; field++)
        buf_printf(out, ", %s %s", field->label,
                   report_duration(text, sizeof text, field_integer(field, &probe->latency), true));
}

static void check_numbers(struct buf *out, const struct result_check *check)
{
    char measured[REPORT_MEASURE_MAX], limit[REPORT_MEASURE_MAX];

    report_measure(measured, sizeof measured, check->unit, check->measured, true);
    report_measure(limit, sizeof limit, check->unit, check->limit, true);
    buf_printf(out, "%s %s, limit %s", check->label, measured, limit);
}

/* A line for each connection: who, and what went to and fro. */
static void exchanges(struct buf *out, const struct result_connection_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct result_connection *connection = &list->items[i];
        xml_escape(out, connection->name ? connection->name : "?");
        for (size_t j = 0; j < connection->flags.count; j++) {
            buf_add_str(out, j ? "; " : ": ");
            xml_escape(out, connection->flags.items[j]);
        }
        if (i + 1 < list->count)
            buf_add_char(out, '\n');
    }
}

static void meaning(struct buf *out, const struct result_machine *machine)
{
    buf_printf(out, "%s", result_health_name(machine->health));
    if (machine->value) {
        buf_add_str(out, ", ");
        xml_escape(out, machine->value);
    }
    if (machine->meaning) {
        buf_add_str(out, ": ");
        xml_escape(out, machine->meaning);
    }
}

/* The case of a target, and what the evidence leaves open. */
static void reached(struct buf *out, const struct result_reach *reach)
{
    xml_escape(out, reach->reach_case ? reach->reach_case : "?");
    for (size_t i = 0; i < reach->try_count; i++) {
        char text[32];
        buf_printf(out, "%s%s after %s", i ? ", " : ": ", reach->tries[i].answer,
                   report_duration(text, sizeof text, reach->tries[i].took_ns, true));
    }
    if (reach->path) {
        buf_add_str(out, "\npath: ");
        xml_escape(out, reach->path->end);
    }
    if (reach->cannot_tell) {
        buf_add_str(out, "\ncannot tell: ");
        xml_escape(out, reach->cannot_tell);
    }
}

static void predicted(struct buf *out, const struct result_schedule *schedule)
{
    char text[32];

    buf_printf(out, "%zu SYNs, gives up after %s", schedule->syn_count,
               report_duration(text, sizeof text, schedule->failed_ns, true));
}

static void queues(struct buf *out, const struct result_listener *listener)
{
    buf_printf(out, "accept queue at most %" PRId64 " of %" PRId64, listener->accept_queue.most,
               listener->accept_queue.capacity);
    if (listener->half_open.most != RESULT_UNKNOWN)
        buf_printf(out, ", half-open at most %" PRId64, listener->half_open.most);
    if (listener->drops.most != RESULT_UNKNOWN)
        buf_printf(out, ", dropped %" PRId64 " to %" PRId64, listener->drops.least,
                   listener->drops.most);
}

/* What a person wants to see beside a case. */
static void details(struct buf *out, const struct report_case *item)
{
    if (item->check)
        check_numbers(out, item->check);
    if (!item->result)
        return;
    switch (item->result->type) {
    case RESULT_PROBE:
        numbers(out, &item->result->probe);
        break;
    case RESULT_LAB:
        exchanges(out, &item->result->lab.connections);
        break;
    case RESULT_MACHINE:
        meaning(out, &item->result->machine);
        break;
    case RESULT_REACH:
        reached(out, &item->result->reach);
        break;
    case RESULT_SCHEDULE:
        predicted(out, &item->result->schedule);
        break;
    case RESULT_SCENARIO:
        exchanges(out, &item->result->scenario.connections);
        break;
    case RESULT_LISTENER:
        queues(out, &item->result->listener);
        break;
    }
}

static void case_element(struct buf *out, const struct report *report,
                         const struct report_case *item)
{
    cleanup(buf) struct buf text = {0};

    buf_add_str(out, "    <testcase classname=\"netkit.");
    xml_escape(out, report->command ? report->command : "");
    buf_add_str(out, "\" name=\"");
    xml_escape(out, item->name);
    buf_add_str(out, "\">\n");
    if (item->skipped) {
        buf_add_str(out, "      <skipped message=\"");
        xml_escape(out, item->skipped);
        buf_add_str(out, "\"/>\n");
    }
    for (size_t i = 0; i < item->problem_count; i++)
        problem_element(out, &item->problems[i]);
    details(&text, item);
    out->failed |= text.failed;
    if (text.len_bytes)
        buf_printf(out, "      <system-out>%s</system-out>\n", buf_str(&text));
    buf_add_str(out, "    </testcase>\n");
}

static void suite_attributes(struct buf *out, const struct report_cases *cases, int64_t duration_ns)
{
    buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\"", cases->count,
               cases->failed, cases->skipped);
    if (duration_ns != RESULT_UNKNOWN)
        buf_printf(out, " time=\"%.6f\"", (double)duration_ns / (double)NS_PER_SEC);
}

int report_render_junit(struct buf *out, const struct report *report,
                        const struct report_style *style, struct error *error)
{
    cleanup(cases) struct report_cases cases = {0};
    int rc = cases_of(&cases, report, error);

    (void)style;
    if (rc)
        return rc;
    buf_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"netkit\"");
    suite_attributes(out, &cases, report->duration_ns);
    buf_add_str(out, ">\n  <testsuite name=\"");
    xml_escape(out, report->command ? report->command : "");
    buf_add_str(out, "\"");
    suite_attributes(out, &cases, report->duration_ns);
    if (report->started_real_ns != RESULT_UNKNOWN) {
        /* Readers of this format expect whole seconds without a zone. */
        char started[CLOCK_TEXT_MAX];
        clock_format(started, sizeof started, report->started_real_ns);
        buf_printf(out, " timestamp=\"%.19s\"", started);
    }
    buf_add_str(out, ">\n    <properties>\n");
    property(out, "version", report->version);
    property(out, "kernel", report->kernel);
    property(out, "verdict", finding_entry(report->verdict)->name);
    buf_add_str(out, "    </properties>\n");
    for (size_t i = 0; i < cases.count; i++)
        case_element(out, report, &cases.items[i]);
    buf_add_str(out, "  </testsuite>\n</testsuites>\n");
    return out->failed ? error_sys(error, ENOMEM, "cannot write JUnit XML") : 0;
}
