/* Trials: what a program of the user's does when the other side dies. One row a way to die; `own`
 * of the request is a struct sut_request. */
#ifndef SCENARIO_TRIAL_H
#define SCENARIO_TRIAL_H

#include "scenario/programs/sut.h"

/* The user's client in front of netkit's server, which dies; and the user's server, whose clients
 * do. The names are those of crash-sim. */
extern const struct scenario_set sut_crash_clients, sut_crash_servers;

/* Settings of a trial: this host's own timers, so that the times are those of production. */
extern const struct scenario_setting sut_crash_settings[];

#endif
