/* replay_exchange RENDERER FILE: a trace as text (trace_text.h) in; out comes what the diagnosis
 * makes of its connections, as the report of a lab's run. RENDERER is text, verbose or json. */
#include "base/cleanup.h"
#include "diagnosis/exchange.h"
#include "report/report.h"
#include "trace_text.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum report_format format;
    struct report_style style;
} renderers[] = {
    {"text", REPORT_TEXT, {.width = 80, .unicode = true}},
    {"verbose", REPORT_TEXT, {.width = 80, .unicode = true, .verbose = true}},
    {"json", REPORT_JSON, {0}},
};

static void diagnose(struct report *report, const struct trace_text *text)
{
    struct exchange exchange;
    struct result_lab *lab = &report_add(report, RESULT_LAB)->lab;

    lab->name = "a run";
    exchange_begin(&exchange, &report->arena, text->count ? text->events[0].at_real_ns : 0);
    for (size_t i = 0; i < text->count; i++)
        exchange_feed(&exchange, &text->events[i]);
    exchange_list(&exchange, &lab->connections);
    exchange_diagnose(&exchange, &report->findings);
    report->verdict = finding_verdict(&report->findings);
}

int main(int argc, char **argv)
{
    struct report report = {.command = "lab", .lab = true};
    struct trace_text text;
    struct error error = {0};
    cleanup(buf) struct buf out = {0};
    size_t i = 0;

    while (argc == 3 && i < ARRAY_SIZE(renderers) && strcmp(renderers[i].name, argv[1]))
        i++;
    if (argc != 3 || i == ARRAY_SIZE(renderers)) {
        fprintf(stderr, "usage: replay_exchange text|verbose|json FILE\n");
        return 2;
    }
    trace_text_read(&text, argv[2]);
    trace_sort(text.events, text.count);
    diagnose(&report, &text);
    int rc = report_render(&out, renderers[i].format, &report, &renderers[i].style, &error);
    if (rc)
        fprintf(stderr, "replay_exchange: %s\n", error.text);
    else
        fwrite(buf_str(&out), 1, out.len_bytes, stdout);
    report_free(&report);
    trace_text_free(&text);
    return rc ? 1 : fflush(stdout) ? 1 : 0;
}
