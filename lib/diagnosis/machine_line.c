#include "diagnosis/machine_internal.h"

#include "base/clock.h"
#include "base/units.h"
#include <inttypes.h>

struct machine_line machine_line_begin(struct report *report)
{
    return (struct machine_line){.arena = &report->arena, .effect_ns = RESULT_UNKNOWN};
}

static void add_finding(struct report *report, const char *check, const struct machine_line *line)
{
    enum finding_code code = line->needed ? FINDING_MACHINE_REFUSES : FINDING_MACHINE_SETTING;
    struct finding *finding =
        finding_add(&report->arena, &report->findings, code, RESULT_SIDE_NONE);

    finding->target = check;
    finding->summary = line->meaning;
    if (line->remedy)
        finding->remedy = line->remedy;
    if (line->value)
        result_set_text(&report->arena, &finding->evidence, "value", line->value);
}

void machine_line_end(struct report *report, const char *group, const char *check,
                      const struct machine_line *line)
{
    struct result *result = line->meaning ? report_add(report, RESULT_MACHINE) : NULL;

    if (!result)
        return;
    result->machine =
        (struct result_machine){.group = group,
                                .check = check,
                                .health = line->health,
                                .value = line->value,
                                .meaning = line->meaning,
                                .remedy = line->remedy,
                                .source = line->source,
                                .effect_ns = line->effect_ns,
                                .needed = line->needed,
                                .detail = line->detail && line->health == RESULT_HEALTH_OK};
    if (line->health != RESULT_HEALTH_PROBLEM)
        return;
    add_finding(report, check, line);
    result->machine.error = (struct result_error){.code = line->needed ? FINDING_MACHINE_REFUSES
                                                                       : FINDING_MACHINE_SETTING,
                                                  .message = line->meaning};
}

const char *machine_duration(struct arena *arena, int64_t ns)
{
    char text[UNITS_TEXT_MAX];

    if (ns >= NS_PER_SEC && ns < 120 * NS_PER_SEC && ns % NS_PER_SEC == 0)
        return arena_printf(arena, "%" PRId64 " s", ns / NS_PER_SEC);
    if (ns >= NS_PER_MS && ns < NS_PER_SEC && ns % NS_PER_MS == 0)
        return arena_printf(arena, "%" PRId64 " ms", ns / NS_PER_MS);
    /* What is said to last at least so long must not be rounded up. */
    if (ns >= 120 * NS_PER_SEC)
        ns -= ns % NS_PER_SEC;
    return arena_copy(arena, units_format_duration(text, sizeof text, ns, "µ"));
}

const char *machine_size(struct arena *arena, int64_t bytes)
{
    char text[UNITS_TEXT_MAX];
    return arena_copy(arena, units_format_size(text, sizeof text, bytes));
}
