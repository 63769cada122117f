#include "scenario/engine/lab_result.h"

#include <string.h>

int lab_result_add_faults(struct lab *lab, const struct scenario_fault *faults, size_t count,
                          int *numbers, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        int rc = lab_fault_add(lab, &faults[i].fault, error);
        if (rc < 0)
            return error_add(error, "%s", faults[i].text);
        numbers[i] = rc;
    }
    return 0;
}

struct result_fault *lab_result_faults(struct lab *lab, const struct scenario_fault *faults,
                                       size_t count, const int *numbers, struct arena *arena)
{
    struct result_fault *out = arena_alloc(arena, (count + 1) * sizeof *out);

    for (size_t i = 0; out && i < count; i++) {
        struct lab_fault_count done = lab_fault_count(lab, numbers[i]);
        out[i] = (struct result_fault){numbers[i], faults[i].text, (int64_t)done.matched,
                                       (int64_t)done.acted};
    }
    return out;
}

const char **lab_result_notes(const struct lab *lab, size_t *count, struct arena *arena)
{
    const char **notes = NULL;

    *count = 0;
    for (const char *at = lab_notes(lab); *at;) {
        size_t len = strcspn(at, "\n");
        const char **more = arena_grow(arena, (void *)notes, *count, sizeof *notes);
        if (!more)
            break;
        notes = more;
        notes[(*count)++] = arena_printf(arena, "%.*s", (int)len, at);
        at += len + (at[len] != '\0');
    }
    return notes;
}

struct result_wire lab_result_wire(const struct lab_stats *stats)
{
    return (struct result_wire){.seen = (int64_t)stats->seen,
                                .delivered = (int64_t)stats->delivered,
                                .dropped = (int64_t)stats->dropped,
                                .answered = (int64_t)stats->answered,
                                .lost = (int64_t)stats->lost,
                                .late_max_ns = stats->late_max_ns};
}
