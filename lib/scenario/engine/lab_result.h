/* From a lab to the model of what is reported: its faults and its wire. */
#ifndef SCENARIO_LAB_RESULT_H
#define SCENARIO_LAB_RESULT_H

#include "scenario/scenario.h"

/* Adds the faults, and notes their numbers. Negative errno, with the fault's text: it makes no
 * sense. */
int lab_result_add_faults(struct lab *lab, const struct scenario_fault *faults, size_t count,
                          int *numbers, struct error *error);
/* What they have done until now, in the arena; NULL: out of memory. */
struct result_fault *lab_result_faults(struct lab *lab, const struct scenario_fault *faults,
                                       size_t count, const int *numbers, struct arena *arena);
/* The lines of lab_notes(), each a note, in the arena. */
const char **lab_result_notes(const struct lab *lab, size_t *count, struct arena *arena);
struct result_wire lab_result_wire(const struct lab_stats *stats);

#endif
