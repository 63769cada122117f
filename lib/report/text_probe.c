/* What tcp-probe measured of one target. Labels come from the field tables. */
#include "report/report_text.h"

#include "base/units.h"
#include "report/fields.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL_COLUMN 17 /* where the numbers of the percentile table begin */
#define CELL         11
#define BARS_MAX     12

static void put_count(struct buf *out, int64_t count, const char *what)
{
    if (count != RESULT_UNKNOWN)
        buf_printf(out, "%s%" PRId64 " %s%s", out->len_bytes ? ", " : "", count, what,
                   count == 1 ? "" : "s");
}

/* Two columns on, or on the next line where that many columns don't fit any more. */
static void beside(struct paint *paint, int columns)
{
    if (paint->column + 2 + columns > paint->width)
        paint_newline(paint);
    paint_to(paint, paint->column + 2);
}

static void show_header(struct paint *paint, const struct result_probe *probe)
{
    cleanup(buf) struct buf address = {0}, counts = {0}, shown = {0};

    report_put_address(&address, probe->address, probe->port);
    if (probe->rounds || probe->failed_rounds)
        put_count(&counts, probe->rounds, "round");
    if (probe->failed_rounds > 0)
        buf_printf(&counts, " (%" PRId64 " failed)", probe->failed_rounds);
    if (probe->connections > 0)
        put_count(&counts, probe->connections, "connection");

    paint_printable(&shown, probe->target ? probe->target : "?", paint->style->unicode);
    paint->out->failed |= shown.failed || address.failed || counts.failed;
    paint_put(paint, PAINT_BOLD, buf_str(&shown));
    if (address.len_bytes && strcmp(buf_str(&address), buf_str(&shown))) {
        beside(paint, text_width(buf_str(&address)));
        paint_put(paint, PAINT_DIM, buf_str(&address));
    }
    if (counts.len_bytes) {
        beside(paint, text_width(buf_str(&counts)));
        paint_right(paint, PAINT_DIM, buf_str(&counts), paint->width);
    }
    paint_newline(paint);
}

static void show_phases(struct paint *paint, const struct result_probe *probe)
{
    bool any = false;

    for (const struct report_field *field = report_connect_fields; field->key; field++) {
        int64_t value = field_integer(field, probe);
        bool count = field->kind == FIELD_INTEGER;
        if (value == RESULT_UNKNOWN || (count && !value))
            continue;
        paint_to(paint, any ? paint->column + 4 : PAINT_INDENT);
        any = true;
        paint_printf(paint, count ? PAINT_YELLOW : PAINT_DIM, "%s ", field->label);
        if (count)
            paint_printf(paint, PAINT_YELLOW, "%" PRId64, value);
        else
            paint_duration(paint, PAINT_PLAIN, value);
    }
    if (any)
        paint_newline(paint);
}

static void show_tls(struct paint *paint, const struct result_tls *tls)
{
    cleanup(buf) struct buf line = {0}, shown = {0};

    if (!tls)
        return;
    buf_printf(&line, "%s, %s", tls->version, tls->cipher);
    if (tls->alpn)
        buf_printf(&line, ", %s", tls->alpn);
    put_count(&line, tls->round_trips, "round trip");
    buf_printf(&line, "%s%s", tls->resumed ? ", resumed" : "",
               tls->verified ? "" : ", not verified");
    if (tls->client_certificate)
        buf_printf(&line, ", client certificate %s", tls->client_certificate);
    paint_printable(&shown, buf_str(&line), paint->style->unicode);
    paint->out->failed |= line.failed || shown.failed;
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, tls->verified ? PAINT_DIM : PAINT_YELLOW, buf_str(&shown));
    paint_newline(paint);
}

/* An HTTP status, or what the server says of itself. */
static void show_answer(struct paint *paint, const struct result_probe *probe)
{
    const struct result_answer *answer = probe->answer;
    cleanup(buf) struct buf line = {0}, shown = {0};

    if (!answer || (!answer->text[0] && answer->status == RESULT_UNKNOWN))
        return;
    buf_printf(&line, "answer %s%s", probe->http ? "HTTP " : "", answer->text);
    if (!answer->text[0])
        buf_printf(&line, "%" PRId64, answer->status);
    if (answer->unexpected)
        buf_printf(&line, " (%" PRId64 " of %" PRId64 " unexpected)", answer->unexpected,
                   answer->count);
    paint_printable(&shown, buf_str(&line), paint->style->unicode);
    paint->out->failed |= line.failed || shown.failed;
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, answer->unexpected ? PAINT_YELLOW : PAINT_DIM, buf_str(&shown));
    paint_newline(paint);
}

static void show_idle(struct paint *paint, const struct result_idle *idle)
{
    if (!idle)
        return;
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, PAINT_DIM, "idle ");
    if (idle->kept_ns != RESULT_UNKNOWN) {
        paint_put(paint, PAINT_DIM, "kept for ");
        paint_duration(paint, PAINT_PLAIN, idle->kept_ns);
    }
    if (idle->dropped_ns != RESULT_UNKNOWN) {
        paint_put(paint, PAINT_DIM,
                  idle->kept_ns != RESULT_UNKNOWN ? ", gone after " : "gone after ");
        paint_duration(paint, PAINT_PLAIN, idle->dropped_ns);
        paint_printf(paint, PAINT_DIM, " (%s)", idle->end);
    }
    if (idle->keepalive)
        paint_printf(paint, PAINT_DIM, ", keepalive %s",
                     strcmp(idle->keepalive, "keeps") ? "does not keep it" : "keeps it");
    paint_newline(paint);
}

static void latency_row(struct paint *paint, const char *label, const struct result_latency *row)
{
    int column = LABEL_COLUMN;

    paint_to(paint, PAINT_INDENT);
    paint_put(paint, PAINT_DIM, label);
    for (const struct report_field *field = report_latency_fields; field->key; field++)
        paint_duration_right(paint, strcmp(field->label, "p50") ? PAINT_PLAIN : PAINT_BOLD,
                             field_integer(field, row), column += CELL);
    paint_newline(paint);
}

static void show_percentiles(struct paint *paint, const struct result_probe *probe)
{
    int column = LABEL_COLUMN;

    for (const struct report_field *field = report_latency_fields; field->key; field++)
        paint_right(paint, PAINT_DIM, field->label, column += CELL);
    paint_newline(paint);
    latency_row(paint, "round", &probe->latency);
    if (probe->wire.p50_ns != RESULT_UNKNOWN)
        latency_row(paint, "on the wire", &probe->wire);
}

/* A row of the histogram: the buckets from `first` on, or, with no rounds, a run without any. */
struct bar {
    size_t first;
    uint64_t count;
};

/* Merges `merged` neighbouring buckets into a row, and empty rows that follow each other into one.
 * Returns how many rows that makes; those beyond `most` are not written. */
static size_t bars_of(const struct result_histogram *histogram, size_t merged, struct bar *bars,
                      size_t most)
{
    size_t used = 0, first = 0, last = RESULT_BUCKETS;

    while (first < RESULT_BUCKETS && !histogram->counts[first])
        first++;
    while (last > first && !histogram->counts[last - 1])
        last--;
    for (size_t i = first; i < last; i += merged) {
        struct bar bar = {.first = i};
        for (size_t j = i; j < i + merged && j < last; j++)
            bar.count += histogram->counts[j];
        if (!bar.count && used && used <= most && !bars[used - 1].count)
            continue;
        if (used < most)
            bars[used] = bar;
        used++;
    }
    return used;
}

static void bar_row(struct paint *paint, const struct bar *bar, uint64_t most)
{
    if (!bar->count) {
        paint_right(paint, PAINT_DIM, paint->style->unicode ? "⋮" : ":", 12);
        paint_put(paint, PAINT_DIM, " │");
    } else {
        paint_duration_right(paint, PAINT_DIM, result_bucket_ns(bar->first), 12);
        paint_put(paint, PAINT_DIM, " │");
        paint_bar(paint, PAINT_BLUE, (double)bar->count, (double)most, paint->width - 24);
        paint_printf(paint, PAINT_PLAIN, " %" PRIu64, bar->count);
    }
    paint_newline(paint);
}

static void show_histogram(struct paint *paint, const struct result_histogram *histogram)
{
    struct bar bars[BARS_MAX];
    uint64_t most = 0;
    size_t merged = 1, used;

    while ((used = bars_of(histogram, merged, bars, BARS_MAX)) > BARS_MAX)
        merged++;
    for (size_t i = 0; i < used; i++)
        most = bars[i].count > most ? bars[i].count : most;
    if (!used)
        return;
    paint_newline(paint);
    for (size_t i = 0; i < used; i++)
        bar_row(paint, &bars[i], most);
}

#define PART_COLUMN 30 /* labels of the breakdown end before it */

static void part_row(struct paint *paint, enum result_part part, int64_t ns, int64_t total,
                     int64_t most)
{
    char share[16];
    enum paint_color color = ns == most ? PAINT_YELLOW : PAINT_BLUE;

    snprintf(share, sizeof share, "%.*f %%", ns * 10 < total ? 1 : 0,
             100.0 * (double)ns / (double)total);
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, ns == most ? PAINT_BOLD : PAINT_PLAIN, result_part_label(part));
    paint_duration_right(paint, ns == most ? PAINT_BOLD : PAINT_PLAIN, ns, PART_COLUMN + 9);
    paint_right(paint, PAINT_DIM, share, PART_COLUMN + 17);
    paint_put(paint, PAINT_DIM, " │");
    paint_bar(paint, color, (double)ns, (double)total, paint->width - paint->column);
    paint_newline(paint);
}

static void show_breakdown(struct paint *paint, const struct result_breakdown *breakdown)
{
    int64_t total = 0, most = 0;

    for (int i = 0; i < RESULT_PARTS; i++) {
        int64_t ns = breakdown->part_ns[i];
        total += ns > 0 ? ns : 0;
        most = ns > most ? ns : most;
    }
    if (!total)
        return;
    paint_newline(paint);
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, PAINT_DIM, "where a round's time goes");
    paint_duration_right(paint, PAINT_DIM, total, PART_COLUMN + 9);
    paint_newline(paint);
    for (int i = 0; i < RESULT_PARTS; i++)
        if (breakdown->part_ns[i] > 0 ||
            (paint->style->verbose && breakdown->part_ns[i] != RESULT_UNKNOWN))
            part_row(paint, (enum result_part)i, breakdown->part_ns[i], total, most);
}

static void put_shift(struct paint *paint, const struct result_arm *arm,
                      const struct result_arm *baseline, int column)
{
    char text[UNITS_TEXT_MAX], signed_text[UNITS_TEXT_MAX + 8];
    int64_t shift = arm->p50_ns - baseline->p50_ns, size = shift < 0 ? -shift : shift;
    /* Colour is a hint; whether a difference is beyond the noise is the diagnosis's to say. */
    bool clear = size * 5 > baseline->p50_ns;

    report_duration(text, sizeof text, size, true);
    snprintf(signed_text, sizeof signed_text, "%s%s", shift < 0 ? "−" : "+", text);
    paint_right(paint,
                !clear      ? PAINT_DIM
                : shift < 0 ? PAINT_GREEN
                            : PAINT_RED,
                signed_text, column);
}

static void arm_row(struct paint *paint, const struct result_arm *arm,
                    const struct result_arm *baseline)
{
    int column = LABEL_COLUMN + CELL;

    paint_to(paint, PAINT_INDENT);
    paint_put(paint, PAINT_PLAIN, arm->name);
    for (const struct report_field *field = report_arm_fields + 1; field->key; field++) {
        char count[24];
        int64_t value = field_integer(field, arm);
        snprintf(count, sizeof count, "%" PRId64, value);
        if (field->kind == FIELD_INTEGER && value != RESULT_UNKNOWN)
            paint_right(paint, PAINT_DIM, count, column);
        else
            paint_duration_right(paint, PAINT_PLAIN, value, column);
        column += CELL;
    }
    if (arm != baseline && arm->p50_ns != RESULT_UNKNOWN && baseline->p50_ns != RESULT_UNKNOWN)
        put_shift(paint, arm, baseline, column + CELL - 2);
    paint_newline(paint);
}

static void show_arms(struct paint *paint, const struct result_probe *probe)
{
    int column = LABEL_COLUMN;

    if (probe->arm_count < 2)
        return;
    paint_newline(paint);
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, PAINT_DIM, "with other options");
    for (const struct report_field *field = report_arm_fields + 1; field->key; field++)
        paint_right(paint, PAINT_DIM, field->label, column += CELL);
    paint_right(paint, PAINT_DIM, "against baseline", column + 2 * CELL - 2);
    paint_newline(paint);
    for (size_t i = 0; i < probe->arm_count; i++)
        arm_row(paint, &probe->arms[i], &probe->arms[0]);
}

void show_probe(struct paint *paint, const struct result_probe *probe)
{
    show_header(paint, probe);
    show_phases(paint, probe);
    show_tls(paint, probe->tls);
    show_answer(paint, probe);
    show_idle(paint, probe->idle);
    if (probe->rounds > 0) {
        paint_newline(paint);
        show_percentiles(paint, probe);
        if (probe->rounds > 1)
            show_histogram(paint, &probe->histogram);
        show_breakdown(paint, &probe->breakdown);
        show_arms(paint, probe);
    }
    if (paint->style->verbose && probe->tcp_info.count) {
        paint_newline(paint);
        paint_to(paint, PAINT_INDENT);
        paint_put(paint, PAINT_DIM, "TCP_INFO at the end");
        paint_newline(paint);
        show_map(paint, PAINT_INDENT + 2, &probe->tcp_info);
    }
}
