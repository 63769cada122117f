/* The scenarios of crash-sim, in the order of --list. */
#include "scenario/crash/crash.h"

/* clang-format off */
static const struct scenario *const items[] = {
    &crash_process_idle,
    &crash_process_unread,
    &crash_process_reading,
    &crash_process_writing,
    &crash_process_select,
    &crash_close_wait,
    &crash_host_sending,
    &crash_host_closing,
    &crash_host_receiving,
    &crash_host_idle,
    &crash_host_keepalive,
    &crash_host_user_timeout,
    &crash_host_unreachable,
    &crash_reboot_sending,
    &crash_reboot_reading,
    &crash_reboot_keepalive,
    &crash_host_shutdown,
    &crash_network_pause,
    &crash_nat_timeout,
    &crash_client_in_queue,
    &crash_client_mid_request,
    &crash_client_vanishes,
    &crash_zombies,
    NULL,
};
/* clang-format on */

const struct scenario_set scenario_crash = {
    .command = "crash-sim", .items = items, .further = &scenario_crash_matrix};
