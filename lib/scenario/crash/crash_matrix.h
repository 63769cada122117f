/* The matrix of crash-sim: its cells, and the tables that they make. */
#ifndef SCENARIO_CRASH_MATRIX_H
#define SCENARIO_CRASH_MATRIX_H

#include "scenario/crash/crash.h"

enum crash_situation {
    CRASH_SENDING,
    CRASH_RECEIVING,
    CRASH_KEEPALIVE_IDLE,
    CRASH_IDLE,
    CRASH_SENDING_USER,   /* with TCP_USER_TIMEOUT */
    CRASH_KEEPALIVE_USER, /* with keepalive and TCP_USER_TIMEOUT */
    CRASH_SITUATIONS
};
extern const char *const crash_situations[CRASH_SITUATIONS];

enum crash_fate { CRASH_PROCESS, CRASH_HOST, CRASH_UNREACHABLE, CRASH_REBOOT, CRASH_FATES };
extern const char *const crash_fates[CRASH_FATES]; /* keys of a table's columns */

/* Adds an overview for each address family to a report with the results of scenario_crash_matrix:
 * what the book says, which call tells and what it returns, after how long, and how long that would
 * be with this host's settings. */
void crash_matrix_tables(struct report *report);

#endif
