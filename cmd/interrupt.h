/* Ctrl-C, SIGTERM and SIGHUP: what was measured is reported first, then the status says why it
 * ended. */
#ifndef CMD_INTERRUPT_H
#define CMD_INTERRUPT_H

#include "base/wait.h"
#include "common.h"
#include <signal.h>

/* The signal that came, 0 while none has. */
extern volatile sig_atomic_t interrupt_signal;

/* Not 0 when the run should end: a signal came, or interrupt_stop_run() was called because nobody
 * reads the results any more. */
extern volatile sig_atomic_t interrupt_stop;
void interrupt_stop_run(void);

/* Catches them from here on, without restarting calls; SIGHUP only where it is not ignored. A
 * second one ends the process at once, so that nobody is stuck with a report that does not come. */
void interrupt_catch(void);

/* What bounds the run from now on: --timeout and the signals. */
struct wait_limit interrupt_limit(const struct common_options *options);

/* The exit status for the signal that came: 129, 130 or 143; `status` when none has. */
int interrupt_status(int status);

#endif
