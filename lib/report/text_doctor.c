/* What doctor looked at: a line each in groups, then how many are of which kind. */
#include "report/report_text.h"

#include "report/fields.h"
#include <string.h>

#define CHECK_COLUMN 10 /* PAINT_INDENT + "problem" + 1 */
#define BODY_COLUMN  36 /* after the longest name of a sysctl */
#define VALUE_WIDTH  18 /* a longer value has the line to itself */

static enum paint_color health_color(enum result_health health)
{
    switch (health) {
    case RESULT_HEALTH_OK:
        return PAINT_GREEN;
    case RESULT_HEALTH_NOTE:
        return PAINT_YELLOW;
    case RESULT_HEALTH_PROBLEM:
        return PAINT_RED;
    }
    return PAINT_PLAIN;
}

/* With more room than the meaning has: a command to copy should not be broken. */
static void aside(struct paint *paint, enum paint_color color, const char *mark, const char *text)
{
    if (!text)
        return;
    paint_to(paint, CHECK_COLUMN);
    paint_printf(paint, color, "%s ", mark);
    paint_wrap(paint, color, paint->column, text);
}

static void show_line(struct paint *paint, const struct result_machine *machine)
{
    enum paint_color color = health_color(machine->health);

    paint_to(paint, PAINT_INDENT);
    paint_put(paint, color, result_health_name(machine->health));
    paint_to(paint, CHECK_COLUMN);
    paint_put(paint, PAINT_PLAIN, machine->check ? machine->check : "?");
    if (paint->column >= BODY_COLUMN)
        paint_newline(paint);
    paint_to(paint, BODY_COLUMN);
    if (machine->value && text_width(machine->value) > VALUE_WIDTH) {
        paint_wrap(paint, PAINT_BOLD, BODY_COLUMN, machine->value);
    } else if (machine->value) {
        paint_put(paint, PAINT_BOLD, machine->value);
        paint_put(paint, PAINT_PLAIN, machine->meaning ? "  " : "");
    }
    if (paint->column && !machine->meaning)
        paint_newline(paint);
    if (machine->meaning)
        paint_wrap(paint, PAINT_PLAIN, BODY_COLUMN, machine->meaning);
    aside(paint, color, "→", machine->remedy);
    if (paint->style->verbose)
        aside(paint, PAINT_DIM, "from", machine->source);
}

/* "ok  5 more  tcp_sack, tcp_timestamps, …": what is as it should be, by name. */
static void show_details(struct paint *paint, const struct report *report, const char *group)
{
    cleanup(buf) struct buf names = {0};
    size_t count = 0;

    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_machine *machine = &report->results[i]->machine;
        if (report->results[i]->type != RESULT_MACHINE || !machine->detail ||
            strcmp(machine->group ? machine->group : "", group))
            continue;
        buf_printf(&names, "%s%s", count++ ? ", " : "", machine->check ? machine->check : "?");
    }
    paint->out->failed |= names.failed;
    if (!count || paint->style->verbose)
        return;
    paint_to(paint, PAINT_INDENT);
    paint_put(paint, PAINT_GREEN, result_health_name(RESULT_HEALTH_OK));
    paint_to(paint, CHECK_COLUMN);
    paint_printf(paint, PAINT_DIM, "%zu more", count);
    paint_to(paint, BODY_COLUMN);
    paint_wrap(paint, PAINT_DIM, BODY_COLUMN, buf_str(&names));
}

static void show_counts(struct paint *paint, const struct report *report)
{
    static const struct {
        enum result_health health;
        const char *one, *many;
    } kinds[] = {{RESULT_HEALTH_PROBLEM, "problem", "problems"},
                 {RESULT_HEALTH_NOTE, "note", "notes"},
                 {RESULT_HEALTH_OK, "ok", "ok"}};
    size_t broken = 0;

    for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
        size_t count = 0;
        for (size_t i = 0; i < report->result_count; i++) {
            const struct result *result = report->results[i];
            bool counts =
                result->type == RESULT_MACHINE && result->machine.health == kinds[kind].health;
            count += counts;
            broken += counts && !kind && result->machine.needed;
        }
        paint_printf(paint, count ? health_color(kinds[kind].health) : PAINT_DIM, "%s%zu %s",
                     kind ? ", " : "", count, count == 1 ? kinds[kind].one : kinds[kind].many);
    }
    if (broken)
        paint_printf(paint, PAINT_RED, "; netkit is missing %zu of the things it needs", broken);
    paint_newline(paint);
}

static void show_group(struct paint *paint, const struct report *report, const char *group)
{
    paint_put(paint, PAINT_BOLD, group);
    paint_newline(paint);
    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_machine *machine = &report->results[i]->machine;
        if (report->results[i]->type == RESULT_MACHINE &&
            !strcmp(machine->group ? machine->group : "", group) &&
            (!machine->detail || paint->style->verbose))
            show_line(paint, machine);
    }
    show_details(paint, report, group);
    paint_newline(paint);
}

void show_machine(struct paint *paint, const struct report *report)
{
    const char *group = NULL;
    bool any = false;

    for (size_t i = 0; i < report->result_count; i++) {
        const struct result_machine *machine = &report->results[i]->machine;
        if (report->results[i]->type != RESULT_MACHINE)
            continue;
        const char *mine = machine->group ? machine->group : "";
        any = true;
        if (paint->style->quiet && machine->health == RESULT_HEALTH_PROBLEM)
            show_line(paint, machine);
        else if (!paint->style->quiet && (!group || strcmp(group, mine)))
            show_group(paint, report, group = mine);
    }
    if (any)
        show_counts(paint, report);
}
