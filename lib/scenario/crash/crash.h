/* The rows of crash-sim, file by file (crash_set.c lists them), and what their scripts share.
 *
 * One side dies or goes away, the other survives. The survivor makes ordinary calls on an ordinary
 * socket: no IP_RECVERR, no timestamps. Each of its calls is checked for what it returned and
 * becomes a row of the result's table: how long the call took, and how long after the disaster it
 * returned. Where a timer of the kernel decides, the time is held against the schedule
 * (diagnosis/schedule.h). */
#ifndef SCENARIO_CRASH_H
#define SCENARIO_CRASH_H

#include "scenario/engine/testbed.h"

/* crash_process.c: the server's process dies. */
extern const struct scenario crash_process_idle, crash_process_unread, crash_process_reading,
    crash_process_writing, crash_process_select;
/* crash_host.c: the server's host does, or cannot be reached. */
extern const struct scenario crash_host_sending, crash_host_receiving, crash_host_idle,
    crash_host_keepalive, crash_host_closing, crash_host_user_timeout, crash_host_unreachable;
/* crash_reboot.c: it comes back. */
extern const struct scenario crash_reboot_sending, crash_reboot_reading, crash_reboot_keepalive;
/* crash_close.c: it says goodbye, and then? */
extern const struct scenario crash_close_wait, crash_host_shutdown;
/* crash_network.c: nobody died. */
extern const struct scenario crash_network_pause, crash_nat_timeout;
/* crash_client.c: the client dies; crash_cost.c: and what that leaves at the server. */
extern const struct scenario crash_client_in_queue, crash_client_mid_request, crash_client_vanishes,
    crash_zombies;

/* The cells of the matrix (crash_matrix.c). */
extern const struct scenario_set scenario_crash_matrix;

/* Settings that several rows pin. Nothing is sent again on a busy machine, where no timer is the
 * subject (Linux 6.11 and later). */
extern const struct scenario_setting crash_no_haste[];
/* Retransmissions end two seconds or so after the first one. */
extern const struct scenario_setting crash_few_retries[];
/* Keepalive: a probe after a second, another after two, the end after three; and the former. */
extern const struct scenario_setting crash_quick_keepalive[];

/* With this delay of the link the retransmission timeout is so much above its least value that a
 * late timer changes neither the number of retransmissions nor the last of them. */
#define CRASH_DELAY_NS (30 * NS_PER_MS)

struct crash_facts {
    int64_t at_ns;       /* CLOCK_MONOTONIC, when it happened */
    int64_t entered_ns;  /* the call that put the data under way */
    int64_t returned_ns; /* the call that told */
    int64_t stalled_ns;  /* the longest that this process overslept while it waited for that */
    struct kernel_timers_settings settings, host;
    struct kernel_timers_socket socket;
};
struct crash_facts *crash_facts(struct testbed *bed);

/* ---- For run() */

/* testbed_connected(), and then what the schedules need to know of the survivor's socket, which is
 * the client's slot 0. */
void crash_connected(struct testbed *bed);
/* Another connection, to a port of its own, between these agents' slots; the listener takes the
 * server's slot + 100. */
void crash_connect(struct testbed *bed, struct agent *client, int client_slot, struct agent *server,
                   int server_slot, uint16_t port);
/* It happens now. */
void crash_happens(struct testbed *bed);
/* The server's process is killed, and what that sends has been delivered. */
void crash_kill_server(struct testbed *bed);
/* Waits until one of two conditions has come true; no failure if none does. */
void crash_heard(struct testbed *bed, const char *one, const char *other);
/* Waits until a host is in a call of that name: BEGIN() only asks for it. */
void crash_entered(struct testbed *bed, enum lab_host host, const char *verb);
/* A call of the survivor: a row of its table, and what it had to return. `zero` is the word for 0:
 * "EOF", "nothing". */
void crash_call(struct testbed *bed, const char *key, const char *expected,
                const struct act_reply *reply, const char *zero);
/* Waits for a call that a timer of the kernel's ends. A machine that stands still meanwhile decides
 * nothing: see crash_check_…(). */
struct act_reply crash_end(struct testbed *bed, struct agent *agent, int64_t limit_ns);
/* After a reboot: the host has to be up again, by far, when the first probe comes. */
void crash_booted_in_time(struct testbed *bed);
/* The same where the agent should have died of a signal ("SIGPIPE"). */
void crash_death(struct testbed *bed, const char *key, const char *expected, struct agent *agent);
/* A poll: which of POLLIN, POLLOUT, … came. */
void crash_poll(struct testbed *bed, const char *key, const char *expected,
                const struct act_reply *reply);
/* As long as a sender, or keepalive, would need to find out, with the settings of this run. */
int64_t crash_others_find_out_ns(struct testbed *bed);
/* A call that must not have returned, and never will: the socket has no timer. Ports as the host
 * sees them. */
void crash_blocked(struct testbed *bed, const char *key, struct agent *agent);
void crash_no_timer(struct testbed *bed, enum lab_host host, uint16_t local_port,
                    uint16_t remote_port);

/* ---- For check() */

/* The client's data segments, and the failure, as kernel_timers_send() has it. */
void crash_check_send(struct testbed *bed);
/* The same of its FINs, which nobody owns any more, and kernel_timers_orphan(). */
void crash_check_orphan(struct testbed *bed);
/* The probes since the last segment from the server, and the failure (`ends`; else the first probe
 * is what brings the news). */
void crash_check_keepalive(struct testbed *bed, bool ends);

#endif
