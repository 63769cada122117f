/* The scenarios of crash-sim, file by file (crash_set.c lists them), and what they share.
 *
 * One side crashes or goes away, the other survives. The survivor makes ordinary calls on an
 * ordinary socket: no IP_RECVERR, no timestamps. Each of its calls is checked for what it returned
 * and becomes a row of the result's table: how long it took, and how long after the crash it
 * returned. Where a timer of the kernel ends a call, its time is compared with the kernel's
 * schedule (diagnosis/kernel_timers.h). */
#ifndef SCENARIO_CRASH_H
#define SCENARIO_CRASH_H

#include "scenario/engine/testbed.h"

/* crash_process.c: the server's process dies. */
extern const struct scenario crash_process_idle, crash_process_unread, crash_process_reading,
    crash_process_writing, crash_process_select;
/* crash_host.c: the server's host crashes, or cannot be reached. */
extern const struct scenario crash_host_sending, crash_host_receiving, crash_host_idle,
    crash_host_keepalive, crash_host_closing, crash_host_user_timeout, crash_host_unreachable;
/* crash_reboot.c: the server's host boots again. */
extern const struct scenario crash_reboot_sending, crash_reboot_reading, crash_reboot_keepalive;
/* crash_close.c: the server closes, or is shut down. */
extern const struct scenario crash_close_wait, crash_host_shutdown;
/* crash_network.c: the network fails, and both sides survive. */
extern const struct scenario crash_network_pause, crash_nat_timeout;
/* crash_client.c: the client crashes; crash_cost.c: what that costs the server. */
extern const struct scenario crash_client_in_queue, crash_client_mid_request, crash_client_vanishes,
    crash_zombies;

/* The cells of the matrix (crash_matrix.c). */
extern const struct scenario_set scenario_crash_matrix;

/* Settings that several rows pin. Where no timer matters, a busy machine must not retransmit (Linux
 * 6.11 and later). */
extern const struct scenario_setting crash_no_retransmission[];
/* Retransmissions end about two seconds after the first one. */
extern const struct scenario_setting crash_few_retries[];
/* The same, and keepalive: a probe after one second, another after two, the end after three. */
extern const struct scenario_setting crash_quick_keepalive[];
/* Keepalive whose first probe comes after four seconds, when a host that reboots is up again; few
 * retries; and no early retransmission. */
extern const struct scenario_setting crash_late_keepalive[];

/* With this delay of the link the retransmission timeout is so far above its minimum that a late
 * timer changes neither the number of retransmissions nor the last of them. */
#define CRASH_DELAY_NS (30 * NS_PER_MS)

/* One run; a variable of its play(). */
struct crash {
    struct testbed *bed;
    struct agent *client, *server;
    struct kernel_timers_settings settings, host; /* in the lab; this machine's own */
    struct kernel_timers_socket socket;           /* of the client's slot 0 */
    int64_t at_ns;                                /* when it happened (CLOCK_MONOTONIC) */
};

/* A run without a connection. */
struct crash crash_begin(struct testbed *bed);
/* After testbed_connected(): the client's slot 0, and what its timers depend on. */
struct crash crash_connected(struct testbed *bed);
/* What retransmission depends on, of the connection in a slot of the client. Whatever is answered
 * changes it: take it when nothing will be any more. */
void crash_take_times(struct crash *crash, int slot);
/* Another connection, on a port of its own; the listener takes the server's slot + 100. */
void crash_connect(struct testbed *bed, struct agent *client, int client_slot, struct agent *server,
                   int server_slot, uint16_t port);
/* Another client process with a connection to the same server, in that slot of it. */
struct agent *crash_another_client(struct crash *crash, int server_slot);

/* ---- The crash */

/* It happens now. */
void crash_happens(struct crash *crash);
/* The link is cut: the server's host is gone. */
void crash_cut(struct crash *crash);
/* A router answers the client with "host unreachable". */
void crash_make_unreachable(struct crash *crash);
/* The server's process is killed, and what that sends has been delivered. */
void crash_kill_server(struct crash *crash);
/* The server's host reboots. */
void crash_reboot(struct crash *crash);
/* Waits until one of two conditions has come true; no failure if neither does. */
void crash_wait_either(struct testbed *bed, const char *one, const char *other);
/* Begins a blocking call, and waits until the client is in it. */
#define CRASH_BLOCK(crash, agent, verb_, ...)                                                      \
    crash_block(crash, agent, &(struct act){.verb = (verb_), ##__VA_ARGS__})
void crash_block(struct crash *crash, struct agent *client, const struct act *act);

/* ---- The survivor's calls: each is checked, and a row of the table */

/* Makes one. What is expected: "ok" (anything above 0), an errno, "0"; "EOF" of a read, "whole" of
 * one that asks for all, "none" of SO_ERROR, the events of a poll ("IN OUT"). */
#define CRASH_CALL(crash, key, expected, agent, verb_, ...)                                        \
    crash_call(crash, key, expected, agent, &(struct act){.verb = (verb_), ##__VA_ARGS__})
struct act_reply crash_call(struct crash *crash, const char *key, const char *expected,
                            struct agent *agent, const struct act *act);
/* A read that was begun before. */
struct act_reply crash_end_read(struct crash *crash, const char *key, const char *expected,
                                struct agent *agent, int64_t limit_ns);
/* A call of which it is known what it returned. */
void crash_returned(struct crash *crash, const char *key, const char *expected,
                    const char *returned, const struct act_reply *reply);
/* The agent must have died of a signal ("SIGPIPE") in its call. */
void crash_died(struct crash *crash, const char *key, const char *expected, struct agent *agent);
const char *crash_poll_events(struct testbed *bed, const struct act_reply *reply);
/* The agent's call, which was begun, must still block. */
void crash_still_blocked(struct crash *crash, const char *key, struct agent *agent);
/* Lets as much time pass as a sender, or keepalive, would need to find out: the client's call
 * (`key`) must still block, and its socket have no timer. */
void crash_blocks_forever(struct crash *crash, const char *key);
/* Ports as the host sees them. */
void crash_check_no_timer(struct testbed *bed, enum lab_host host, uint16_t local_port,
                          uint16_t remote_port);

/* ---- Calls that a timer of the kernel ends */

enum crash_timer {
    CRASH_SEND,        /* kernel_timers_send(): retransmissions of data */
    CRASH_ORPHAN,      /* kernel_timers_orphan(): of the FIN of a closed socket */
    CRASH_KEEPALIVE,   /* kernel_timers_keepalive(): all probes */
    CRASH_FIRST_PROBE, /* the first one is answered */
};
/* When the timer ends it, with these settings, of a socket with those options. */
int64_t crash_timer_ns(const struct kernel_timers_settings *settings,
                       const struct kernel_timers_socket *socket, enum crash_timer timer);
/* With this machine's own settings. */
int64_t crash_timer_here_ns(const struct crash *crash, enum crash_timer timer);
/* How long to wait for that. */
int64_t crash_limit_ns(const struct crash *crash, enum crash_timer timer);
/* A host that reboots must be up again well before the first keepalive probe. */
void crash_check_boot_time(struct crash *crash);
/* Ends the run (testbed_finish), and compares the client's segments and the time of the failure
 * with the schedule. sent_ns: when the data or the FIN was sent; told_ns: when the call returned.
 */
void crash_check_timer(struct crash *crash, enum crash_timer timer, int64_t sent_ns,
                       int64_t told_ns);

#endif
