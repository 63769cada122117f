/* What became of connecting to live targets. */
#include "report/report_text.h"

#include "base/units.h"
#include "report/fields.h"
#include <inttypes.h>
#include <string.h>

#define LABEL_COLUMN     14
#define HOP_COLUMN       18 /* LABEL_COLUMN + "30" + 2 */
#define RESOLVE_SHOWN_NS 1000000

static const char *duration(char *out, int64_t ns)
{
    return report_duration(out, UNITS_TEXT_MAX, ns, true);
}

static void show_header(struct paint *paint, const struct result_reach *reach)
{
    cleanup(buf) struct buf address = {0};
    const char *target = reach->target ? reach->target : "?";

    report_put_address(&address, reach->address, reach->port);
    paint_put(paint, PAINT_BOLD, target);
    if (address.len_bytes && !strstr(target, buf_str(&address))) {
        paint_put(paint, PAINT_PLAIN, "  ");
        paint_put(paint, PAINT_DIM, buf_str(&address));
    }
    paint_newline(paint);
    paint->out->failed |= address.failed;
}

static void put_icmp(struct buf *out, const struct result_icmp *icmp)
{
    buf_printf(out, "ICMP %s (type %" PRId64 ", code %" PRId64 ") from %s", icmp->name, icmp->type,
               icmp->code, icmp->from ? icmp->from : "an unknown host");
    if (icmp->ours)
        buf_add_str(out, ", which is this host");
}

static void put_ttls(struct buf *out, const struct result_sighting *wire)
{
    if (wire->synack_ttl != RESULT_UNKNOWN)
        buf_printf(out, ", TTL %" PRId64, wire->synack_ttl);
    if (wire->rst_ttl != RESULT_UNKNOWN && wire->rst_ttl != wire->synack_ttl)
        buf_printf(out, ", TTL %" PRId64 "%s", wire->rst_ttl,
                   wire->synack_ttl != RESULT_UNKNOWN ? " of the RST" : "");
}

/* What came back of one try, in words. */
static void put_answer(struct buf *out, const struct result_reach_try *attempt)
{
    static const struct {
        const char *answer, *words;
    } answers[] = {{"none", "no answer"},
                   {"connected", "connected"},
                   {"rst", "RST"},
                   {"reset", "connected, then RST"},
                   {"local", "refused by this host"},
                   {"itself", "connected to itself"},
                   {"untried", "not tried"}};
    char took[UNITS_TEXT_MAX];

    if (attempt->icmp)
        put_icmp(out, attempt->icmp);
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        if (!strcmp(answers[i].answer, attempt->answer))
            buf_add_str(out, answers[i].words);
    buf_printf(out, " after %s", duration(took, attempt->took_ns));
    if (attempt->syn_retransmits > 0)
        buf_printf(out, " and %" PRId64 " more SYN%s", attempt->syn_retransmits,
                   attempt->syn_retransmits == 1 ? "" : "s");
    if (attempt->number)
        buf_printf(out, ", %s", error_name(attempt->number));
    if (attempt->wire)
        put_ttls(out, attempt->wire);
}

static void show_tries(struct paint *paint, const struct result_reach *reach)
{
    for (size_t i = 0; i < reach->try_count; i++) {
        cleanup(buf) struct buf line = {0};
        put_answer(&line, &reach->tries[i]);
        paint_label(paint, LABEL_COLUMN, i ? "" : reach->try_count > 1 ? "tries" : "try");
        paint_wrap(paint, PAINT_PLAIN, LABEL_COLUMN, buf_str(&line));
        paint->out->failed |= line.failed;
    }
}

static void show_route(struct paint *paint, const struct result_route *route)
{
    cleanup(buf) struct buf line = {0};

    if (!route)
        return;
    if (route->local)
        buf_add_str(&line, "this host");
    else if (route->gateway)
        buf_printf(&line, "via %s", route->gateway);
    else
        buf_add_str(&line, "on the link");
    if (route->device)
        buf_printf(&line, ", %s", route->device);
    if (route->source)
        buf_printf(&line, ", from %s", route->source);
    if (route->neighbour)
        buf_printf(&line, "; next hop %s", route->neighbour);
    paint_labelled(paint, LABEL_COLUMN, "route", buf_str(&line));
    paint->out->failed |= line.failed;
}

static void show_syns(struct paint *paint, const struct result_reach *reach)
{
    cleanup(buf) struct buf line = {0};
    char gives_up[UNITS_TEXT_MAX];

    if (reach->syns_sent == RESULT_UNKNOWN)
        return;
    buf_printf(&line, "%" PRId64 " sent; by this kernel's settings %" PRId64, reach->syns_sent,
               reach->syns_least);
    if (reach->syns_most > reach->syns_least)
        buf_printf(&line, " or %" PRId64, reach->syns_most);
    buf_printf(&line, " in that time, and it gives up after %s",
               duration(gives_up, reach->gives_up_ns));
    paint_labelled(paint, LABEL_COLUMN, "SYNs", buf_str(&line));
    paint->out->failed |= line.failed;
}

/* ---- the path ---- */

static void show_hop(struct paint *paint, const struct result_hop *hop, int widest)
{
    bool router = !strcmp(hop->answer, "router");
    char text[UNITS_TEXT_MAX];

    snprintf(text, sizeof text, "%" PRId64, hop->hop);
    paint_right(paint, PAINT_DIM, text, HOP_COLUMN - 2);
    paint_to(paint, HOP_COLUMN);
    if (!hop->address) {
        paint_put(paint, PAINT_DIM, strcmp(hop->answer, "none") ? hop->answer : "no answer");
        paint_newline(paint);
        return;
    }
    paint_put(paint, router ? PAINT_PLAIN : PAINT_BOLD, hop->address);
    if (hop->rtt_ns != RESULT_UNKNOWN)
        paint_right(paint, PAINT_PLAIN, duration(text, hop->rtt_ns), HOP_COLUMN + widest + 11);
    else
        paint_right(paint, PAINT_DIM, "sent again", HOP_COLUMN + widest + 11);
    if (!router)
        paint_printf(paint, PAINT_BOLD, "  %s", hop->icmp ? hop->icmp->name : hop->answer);
    paint_newline(paint);
}

static void show_path(struct paint *paint, const struct result_path *path)
{
    int widest = 0;

    if (!path)
        return;
    paint_label(paint, LABEL_COLUMN, "path");
    for (size_t i = 0; i < path->hop_count; i++) {
        int width = path->hops[i].address ? text_width(path->hops[i].address) : 0;
        widest = width > widest ? width : widest;
    }
    for (size_t i = 0; i < path->hop_count; i++)
        show_hop(paint, &path->hops[i], widest);
    paint_labelled(paint, LABEL_COLUMN, "", path->end);
}

void show_reach(struct paint *paint, const struct result_reach *reach)
{
    char text[UNITS_TEXT_MAX];

    show_header(paint, reach);
    paint_label(paint, LABEL_COLUMN, "case");
    paint_put(paint, reach->ok ? PAINT_GREEN : PAINT_RED, reach->reach_case);
    paint_newline(paint);
    if (reach->resolve_ns >= RESOLVE_SHOWN_NS)
        paint_labelled(paint, LABEL_COLUMN, "resolved", duration(text, reach->resolve_ns));
    show_tries(paint, reach);
    show_syns(paint, reach);
    show_route(paint, reach->route);
    show_path(paint, reach->path);
    paint_labelled(paint, LABEL_COLUMN, "cannot tell", reach->cannot_tell);
    paint_labelled(paint, LABEL_COLUMN, "to find out", reach->would_tell);
}

/* ---- the schedule ---- */

void show_schedule(struct paint *paint, const struct result_schedule *schedule)
{
    char text[UNITS_TEXT_MAX], latest[UNITS_TEXT_MAX];

    paint_put(paint, PAINT_BOLD, schedule->name);
    paint_newline(paint);
    for (size_t i = 0; i < schedule->syn_count; i++) {
        const struct result_syn *syn = &schedule->syns[i];
        paint_to(paint, PAINT_INDENT);
        paint_printf(paint, PAINT_PLAIN, "SYN %" PRId64, syn->number);
        paint_right(paint, PAINT_PLAIN, syn->at_ns ? duration(text, syn->at_ns) : "0 s", 24);
        if (syn->after_ns != RESULT_UNKNOWN)
            paint_printf(paint, PAINT_DIM, "   %s after the previous one",
                         duration(text, syn->after_ns));
        paint_newline(paint);
    }
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, PAINT_BOLD, "ETIMEDOUT");
    paint_right(paint, PAINT_BOLD, duration(text, schedule->failed_ns), 24);
    paint_printf(paint, PAINT_DIM, "   %s at the latest, when timers are late",
                 duration(latest, schedule->failed_latest_ns));
    paint_newline(paint);
    paint_newline(paint);
    for (size_t i = 0; i < schedule->settings.count; i++) {
        const struct result_value *value = &schedule->settings.values[i];
        const struct result_value *source = result_get(&schedule->sources, value->key);
        paint_to(paint, PAINT_INDENT);
        if (value->kind == RESULT_INTEGER)
            paint_printf(paint, PAINT_PLAIN, "%s = %" PRId64, value->key, value->integer);
        else
            paint_put(paint, PAINT_PLAIN, value->key);
        paint_to(paint, 38);
        paint_wrap(paint, PAINT_DIM, 38, source && source->text ? source->text : "");
    }
}
