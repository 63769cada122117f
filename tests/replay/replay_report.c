/* replay_report RENDERER FILE: a report as JSON in, what the renderer makes of it out. RENDERER is
 * a format's name, or ascii, color, wide, verbose or quiet for a style of text. */
#include "base/cleanup.h"
#include "report/report.h"
#include "report_read.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    struct report_style style;
} styles[] = {
    {"text", {.width = 80, .unicode = true}},
    {"ascii", {.width = 80}},
    {"color", {.width = 80, .unicode = true, .color = true}},
    {"wide", {.width = 120, .unicode = true}},
    {"verbose", {.width = 80, .unicode = true, .verbose = true}},
    {"quiet", {.width = 80, .unicode = true, .quiet = true}},
};

int main(int argc, char **argv)
{
    struct report report;
    struct error error = {0};
    cleanup(buf) struct buf out = {0};
    const struct report_style *style = NULL;

    if (argc != 3) {
        fprintf(stderr, "usage: replay_report RENDERER FILE\n");
        return 2;
    }
    enum report_format format = report_format_by_name(argv[1]);
    for (size_t i = 0; i < ARRAY_SIZE(styles); i++)
        if (!strcmp(styles[i].name, argv[1]))
            style = &styles[i].style;
    report_read(&report, argv[2]);
    int rc = report_render(&out, style ? REPORT_TEXT : format, &report, style, &error);
    if (rc)
        fprintf(stderr, "replay_report: %s\n", error.text);
    else
        fwrite(buf_str(&out), 1, out.len_bytes, stdout);
    report_free(&report);
    return rc ? 1 : fflush(stdout) ? 1 : 0;
}
