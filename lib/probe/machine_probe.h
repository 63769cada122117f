/* Reading a machine, for diagnosis/machine.h to judge: its files, its interfaces, and what it lets
 * an ordinary process do. Nothing is changed; what cannot be read stays unknown, and no function
 * fails (machine.unread says so). Texts come from the arena.
 *
 * Private namespaces and live capture are the caller's to try: this room knows neither the lab nor
 * libpcap. */
#ifndef PROBE_MACHINE_PROBE_H
#define PROBE_MACHINE_PROBE_H

#include "diagnosis/machine.h"
#include <signal.h>

/* The files below `root` ("" is this machine): settings, counters, kernel. They may be a copy from
 * another machine, and arbitrary. */
void machine_read_files(struct machine *out, const char *root, struct arena *arena);
/* The counters once more. */
void machine_read_again(struct machine *out, const char *root, struct arena *arena);

/* This machine: the kernel's tick, the descriptor limit, interfaces that are up. */
void machine_read_limits(struct machine *out);
void machine_read_interfaces(struct machine *out);
/* The kernel's timers by what is set in this process's network namespace now; the defaults where
 * nothing can be read. */
struct kernel_timers_settings machine_timers(void);

/* What works here: time stamps, sock_diag and TCP_INFO over loopback connections of the family (4,
 * 6, or 0 for both), and pidfd_getfd with a child process. Waits until deadline_ns
 * (CLOCK_MONOTONIC) at most, and for no answer once *stop is not 0 (NULL is allowed). */
void machine_try_sockets(struct machine *out, int family, int64_t deadline_ns,
                         const volatile sig_atomic_t *stop);
void machine_try_pidfd(struct machine *out);

#endif
