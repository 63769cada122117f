/* What the files of the testbed share and scenarios do not see. */
#ifndef SCENARIO_TESTBED_INTERNAL_H
#define SCENARIO_TESTBED_INTERNAL_H

#include "scenario/engine/testbed.h"

/* Takes *error over as the testbed's failure, unless there is one. */
void testbed_take_error(struct testbed *bed, const struct error *error, const char *doing);

/* Gives up all agents: those without a lab are killed. */
void agents_free(struct testbed *bed);

/* From the trace of a finished run: the exchange and the calls (verdict.c). */
void testbed_read_trace(struct testbed *bed);
/* What expectations of the whole trace were to observe (expect.c). */
void testbed_observe_trace(struct testbed *bed);
/* Compares, and gives the verdict. */
void testbed_conclude(struct testbed *bed);

#endif
