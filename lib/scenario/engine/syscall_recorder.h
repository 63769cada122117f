/* Writes the calls of one process into the trace, as they are made: the witness for the
 * application.
 *
 * A call is in the trace from its entry, as pending, and is completed in place when it returns, so
 * that one that never returns is seen, too, and a condition like client.close waits for the return.
 * One thread; sockets must be told to the observer (sock.observer = &recorder.observer). */
#ifndef SCENARIO_SYSCALL_RECORDER_H
#define SCENARIO_SYSCALL_RECORDER_H

#include "lab/lab.h"
#include "netkit/sock.h"
#include "trace/trace.h"

#define SYSCALL_RECORDER_FDS 1024

struct syscall_recorder {
    struct sock_observer observer;
    struct trace *trace;
    enum trace_side side;
    struct trace_event *open;                  /* the call that has not returned */
    int64_t entered_mono_ns, returned_mono_ns; /* of the last call */
    struct {
        uint16_t local, remote;
    } ports[SYSCALL_RECORDER_FDS];
};

void syscall_recorder_init(struct syscall_recorder *recorder, struct trace *trace,
                           enum lab_host host);
/* A call that no socket verb makes ("sigaction", "exec"): both times are now. */
void syscall_recorder_note(struct syscall_recorder *recorder, const char *verb, int fd,
                           int64_t result);

/* Gives each call the number of the connection that its socket belongs to, by ports, as the wire
 * numbered them. */
void syscall_recorder_number(struct trace_event *events, size_t count);

#endif
