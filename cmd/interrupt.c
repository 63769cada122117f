#include "interrupt.h"

#include "base/input.h"
#include "output.h"
#include <stddef.h>

volatile sig_atomic_t interrupt_signal;
volatile sig_atomic_t interrupt_stop;

void interrupt_stop_run(void)
{
    interrupt_stop = 1;
}

static void caught(int number)
{
    interrupt_signal = number;
    interrupt_stop = 1;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_RESETHAND}, hang_up;

    input_stop_at(&interrupt_stop);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* nohup(1) */
    if (!sigaction(SIGHUP, NULL, &hang_up) && hang_up.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

struct wait_limit interrupt_limit(const struct common_options *options)
{
    int64_t now = clock_mono_ns();

    return (struct wait_limit){options->timeout_set && options->timeout_ns < INT64_MAX - now
                                   ? now + options->timeout_ns
                                   : INT64_MAX,
                               &interrupt_stop};
}

int interrupt_status(int status)
{
    return interrupt_signal ? STATUS_SIGNAL + interrupt_signal : status;
}
