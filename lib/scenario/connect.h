/* The rows of connect-timeout, file by file; connect_set.c lists them. */
#ifndef SCENARIO_CONNECT_H
#define SCENARIO_CONNECT_H

#include "scenario/stage.h"

/* connect_answer.c: what answers a SYN, or nobody. */
extern const struct scenario connect_accepted, connect_refused, connect_blackhole;

/* The settings that every scenario with unanswered SYNs pins: SYNs at 0, 1 and 3 s. */
extern const struct scenario_setting connect_few_retries[];

/* Observes the SYNs of the subject against the kernel's schedule: their number, the time of each
 * (as timings, beside this host's own), and when connect gave up. */
struct connect_facts {
    struct act_reply connect;
    int64_t entered_ns; /* since the run's start */
    struct schedule_settings settings, host;
    struct schedule_socket socket;
    int64_t state_left;
};
/* For run(): blocking connect of the client to STAGE_PORT, with all that is to be known of it. */
void connect_try(struct stage *stage, enum act_to to);
/* For check(): the errno that connect gave and when, as the schedule has it. */
void connect_check_schedule(struct stage *stage);

#endif
