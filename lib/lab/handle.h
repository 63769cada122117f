/* The handles behind lab.h, and what the files of the caller's side share. */
#ifndef LAB_HANDLE_H
#define LAB_HANDLE_H

#include "lab/internal.h"

#include <sys/types.h>

struct lab_process {
    struct lab *lab;
    struct lab_process *next;
    enum lab_host host;
    unsigned boot; /* of the host, in which it was started */
    pid_t pid;     /* in the host's PID namespace */
    int64_t started_ns;
    int exit_fd, channel;
    bool ended;
    struct lab_exit end;
};

struct lab {
    struct lab_plan plan;
    pid_t supervisor_pid;
    int supervisor, wire, host[LAB_HOSTS];
    unsigned boots[LAB_HOSTS];
    struct lab_process *processes;
    struct trace *own_trace; /* where the caller gave none */
    struct lab_limits limits;
};

int wire_call(struct lab *lab, const struct wire_request *request, struct error *error);
/* Forgets a process without touching it. */
void process_release(struct lab_process *process);

#endif
