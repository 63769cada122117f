/* What the files of the testbed share and scenarios do not see. */
#ifndef SCENARIO_STAGE_INTERNAL_H
#define SCENARIO_STAGE_INTERNAL_H

#include "scenario/engine/testbed.h"

struct agent {
    struct agent *next;
    struct testbed *bed;
    enum lab_host host;
    struct lab_process *process; /* in a lab */
    int32_t pid;                 /* without one */
    int channel;                 /* -1: it could not be started */
    bool busy, ended;
    int64_t limit_ns; /* of the act under way */
    int status;
};

/* Takes *error over as the stage's failure, unless there is one. */
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
