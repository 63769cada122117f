/* Inside the examination of a machine. */
#ifndef DIAGNOSIS_MACHINE_INTERNAL_H
#define DIAGNOSIS_MACHINE_INTERNAL_H

#include "diagnosis/machine.h"

/* One line in the making. Texts come from the arena or are static. */
struct machine_line {
    struct arena *arena;
    enum result_health health;
    const char *value, *meaning, *remedy, *source;
    int64_t effect_ns;
    bool needed;
    bool detail; /* while it is ok, text only names it */
};

struct machine_line machine_line_begin(struct report *report);
/* Adds the line, and its finding if it is a problem. Nothing when it has no meaning. */
void machine_line_end(struct report *report, const char *group, const char *check,
                      const struct machine_line *line);

/* A duration in words that belong to the arena: "2 h 11 min", "40 ms", "7 s". */
const char *machine_duration(struct arena *arena, int64_t ns);
const char *machine_size(struct arena *arena, int64_t bytes);

void machine_examine_settings(const struct machine *machine, struct report *report);
void machine_examine_counters(const struct machine *machine, struct report *report);
void machine_examine_interfaces(const struct machine *machine, struct report *report);

/* The value of the setting with that path; one that is not known when there is none. */
const struct machine_value *machine_setting(const struct machine *machine, const char *path);

#endif
