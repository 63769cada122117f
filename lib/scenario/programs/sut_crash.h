/* What a program of the user's does when the other side crashes: one row for each way. `own` of the
 * request is a struct sut_request. */
#ifndef SCENARIO_SUT_CRASH_H
#define SCENARIO_SUT_CRASH_H

#include "scenario/programs/sut.h"

/* The user's client with netkit's server, which crashes; and the user's server, whose clients do.
 * The names are those of crash-sim. */
extern const struct scenario_set sut_crash_clients, sut_crash_servers;

/* This host's own timers, so that the times are those of production. */
extern const struct scenario_setting sut_crash_settings[];

#endif
