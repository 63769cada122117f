/* What the files of the stage share and scenarios do not see. */
#ifndef SCENARIO_STAGE_INTERNAL_H
#define SCENARIO_STAGE_INTERNAL_H

#include "scenario/stage.h"

struct actor {
    struct actor *next;
    struct stage *stage;
    enum lab_host host;
    struct lab_process *process; /* in a lab */
    int32_t pid;                 /* without one */
    int channel;                 /* -1: it could not be started */
    bool busy, ended;
    int64_t limit_ns; /* of the act under way */
    int status;
};

/* Takes *error over as the stage's failure, unless there is one. */
void stage_take_error(struct stage *stage, const struct error *error, const char *doing);

/* Gives up all actors: those without a lab are killed. */
void actors_free(struct stage *stage);

/* From what happened to the result: exchange, calls, comparison, verdict (verdict.c). */
void stage_conclude(struct stage *stage, const struct lab_stats *stats);

#endif
