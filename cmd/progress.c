#include "progress.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/units.h"
#include "report/paint.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_NS       (100 * NS_PER_MS)
#define COLUMNS_DEFAULT 80
/* Before this much has passed an estimate would be a guess. */
#define ESTIMATE_NS NS_PER_SEC

#define CLEAR "\r\033[K"

struct progress progress_begin(bool wanted)
{
    const char *term = getenv("TERM");

    return (struct progress){.active = wanted && isatty(STDERR_FILENO) && term && *term &&
                                       strcmp(term, "dumb"),
                             .started_ns = clock_mono_ns()};
}

/* What a terminal did not take is not worth an error. */
static void put(const char *text, size_t len_bytes)
{
    if (write(STDERR_FILENO, text, len_bytes) < 0)
        return;
}

static size_t columns(void)
{
    struct winsize size;

    return !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : COLUMNS_DEFAULT;
}

bool progress_due(const struct progress *progress)
{
    return progress->active &&
           (!progress->drawn_ns || clock_mono_ns() - progress->drawn_ns >= REDRAW_NS);
}

void progress_text(struct progress *progress, const char *text)
{
    cleanup(buf) struct buf line = {0};

    if (!progress->active)
        return;
    progress->drawn_ns = clock_mono_ns();
    buf_add_str(&line, CLEAR);
    buf_add(&line, text, paint_bytes(text, (int)columns() - 1));
    put(buf_str(&line), line.len_bytes);
    progress->drawn = true;
}

void progress_update(struct progress *progress, size_t done, size_t total, size_t failed,
                     size_t in_flight)
{
    cleanup(buf) struct buf line = {0};
    int64_t passed_ns = clock_mono_ns() - progress->started_ns;
    char left[UNITS_TEXT_MAX];

    if (!progress_due(progress))
        return;
    buf_printf(&line, "%zu of %zu done", done, total);
    if (failed)
        buf_printf(&line, ", %zu failed", failed);
    buf_printf(&line, ", %zu in flight", in_flight);
    if (done && done < total && passed_ns >= ESTIMATE_NS) {
        int64_t left_ns = (int64_t)((double)passed_ns / (double)done * (double)(total - done));
        /* Whole seconds: the rest would only flicker. */
        left_ns = (left_ns + NS_PER_SEC - 1) / NS_PER_SEC * NS_PER_SEC;
        if (left_ns < 60 * NS_PER_SEC)
            buf_printf(&line, ", %d s left", (int)(left_ns / NS_PER_SEC));
        else
            buf_printf(&line, ", %s left", units_format_duration(left, sizeof left, left_ns, "u"));
    }
    progress_text(progress, buf_str(&line));
}

void progress_end(struct progress *progress)
{
    if (progress->drawn)
        put(CLEAR, strlen(CLEAR));
    *progress = (struct progress){.active = false};
}
