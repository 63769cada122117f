/* replay_ladder RENDERER FILE: a trace as text (trace_text.h) in, what the renderer makes of it
 * out. RENDERER is text, ascii, color, wide, mermaid, svg or timeline. */
#include "base/cleanup.h"
#include "report/ladder.h"
#include "trace_text.h"
#include <stdio.h>
#include <string.h>

static const struct renderer {
    const char *name;
    enum ladder_format format;
    bool timeline;
    struct report_style style;
} renderers[] = {
    {"text", LADDER_TEXT, false, {.width = 80, .unicode = true}},
    {"ascii", LADDER_TEXT, false, {.width = 72}},
    {"color", LADDER_TEXT, false, {.width = 80, .unicode = true, .color = true}},
    {"wide", LADDER_TEXT, false, {.width = 120, .unicode = true}},
    {"mermaid", LADDER_MERMAID, false, {0}},
    {"svg", LADDER_SVG, false, {0}},
    {"timeline", LADDER_TEXT, true, {.width = 80, .unicode = true}},
};

static int render(struct buf *out, const struct renderer *renderer, const struct trace_text *text,
                  struct error *error)
{
    struct ladder_source source = {.events = text->events,
                                   .count = text->count,
                                   .lost = text->lost,
                                   .title = *text->title ? text->title : NULL,
                                   .client = *text->client ? text->client : NULL,
                                   .server = *text->server ? text->server : NULL};
    cleanup(ladder) struct ladder ladder = {0};

    if (renderer->timeline)
        return ladder_timeline(out, &source, &renderer->style, error);
    int rc = ladder_build(&ladder, &source, error);
    return rc ? rc : ladder_render(out, renderer->format, &ladder, &renderer->style, error);
}

int main(int argc, char **argv)
{
    struct trace_text text;
    struct error error = {0};
    cleanup(buf) struct buf out = {0};
    const struct renderer *renderer = NULL;

    for (size_t i = 0; argc == 3 && i < ARRAY_SIZE(renderers); i++)
        if (!strcmp(renderers[i].name, argv[1]))
            renderer = &renderers[i];
    if (!renderer) {
        fprintf(stderr, "usage: replay_ladder text|ascii|color|wide|mermaid|svg|timeline FILE\n");
        return 2;
    }
    trace_text_read(&text, argv[2]);
    int rc = render(&out, renderer, &text, &error);
    if (rc)
        fprintf(stderr, "replay_ladder: %s\n", error.text);
    else
        fwrite(buf_str(&out), 1, out.len_bytes, stdout);
    trace_text_free(&text);
    return rc ? 1 : fflush(stdout) ? 1 : 0;
}
