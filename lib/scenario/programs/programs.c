#include "scenario/programs/programs.h"

#include "base/clock.h"
#include "scenario/engine/lab_result.h"
#include "scenario/programs/programs_report.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define TRACE_EVENTS (1u << 19)
/* An interruption is noticed that soon where nothing else wakes the waiting. */
#define TICK_MS        20
#define LISTEN_TICK_MS 2
/* When the programs have ended: no segment for so long, besides the link's delay, is the end (it
 * spans a first retransmission), and so long at most. */
#define QUIET_NS  (350 * NS_PER_MS)
#define SETTLE_NS (2 * NS_PER_SEC)
#define GRACE_NS  (1 * NS_PER_SEC)
/* A server that serves one client ends by itself about now, and how is worth knowing. */
#define LAST_NS (100 * NS_PER_MS)

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_interrupted(const struct programs_run *run)
{
    return run->plan->interrupt && *run->plan->interrupt;
}

/* ---- Starting ---- */

static int start(struct programs_run *run, enum lab_host host, struct error *error)
{
    struct programs_member *member = &run->member[host];
    struct lab_program program = {.shell = run->plan->command[host],
                                  .stdio = run->plan->stdio[host]};

    member->started_ns = clock_mono_ns();
    int rc = lab_start(run->lab, host, &program, &member->process, error);
    return rc ? error_add(error, "cannot start the %s", lab_host_name(host)) : 0;
}

/* Whether the program has ended; waits for that no longer than timeout_ns. */
static bool has_ended(struct programs_member *member, int64_t timeout_ns)
{
    if (member->process && !member->ended)
        member->ended = !lab_process_wait(member->process, timeout_ns, &member->exit);
    return member->ended;
}

/* Waits until the server listens. PROGRAMS_ENDED means that it does. */
static int wait_for_server(struct programs_run *run, enum programs_end *end, struct error *error)
{
    const struct programs_plan *plan = run->plan;
    struct programs_member *server = &run->member[LAB_SERVER];
    int64_t until_ns = earlier(clock_mono_ns() + plan->listen_ns, plan->deadline_mono_ns);
    int family = plan->lab.ipv4 == plan->lab.ipv6 ? AF_UNSPEC : plan->lab.ipv4 ? AF_INET : AF_INET6;

    *end = PROGRAMS_ENDED;
    if (!server->process || plan->no_wait)
        return 0;
    for (;;) {
        int rc = plan->wait_port
                     ? lab_wait_listen(run->lab, LAB_SERVER, family, plan->wait_port, 0, error)
                     : lab_listening_port(run->lab, LAB_SERVER, error);
        if (rc >= 0)
            return 0;
        if (rc != -ETIMEDOUT && rc != -ENOENT)
            return rc;
        if (is_interrupted(run))
            *end = PROGRAMS_INTERRUPTED;
        else if (has_ended(server, LISTEN_TICK_MS * NS_PER_MS) || clock_mono_ns() >= until_ns)
            *end = PROGRAMS_NEVER_LISTENED;
        else
            continue;
        return 0;
    }
}

/* ---- Running ---- */

static int wait_for_end(struct programs_run *run, enum programs_end *end, struct error *error)
{
    struct programs_member *member = &run->member[run->main_host];

    *end = PROGRAMS_ENDED;
    while (!has_ended(member, TICK_MS * NS_PER_MS)) {
        /* The program may wait for its peer for ever then. */
        if (lab_wire_died(run->lab))
            return error_set(error, EPIPE, "the wire between the hosts has died");
        if (is_interrupted(run))
            *end = PROGRAMS_INTERRUPTED;
        else if (clock_mono_ns() >= run->plan->deadline_mono_ns)
            *end = PROGRAMS_TIMED_OUT;
        else
            continue;
        break;
    }
    return 0;
}

/* Follows the states of the connections' sockets, from slot to slot. */
struct watch {
    struct trace *trace;
    size_t next;
    size_t open; /* sockets that are not yet over */
    uint8_t *is_open;
    size_t numbers;
};

#define TCP_STATE_TIME_WAIT 6
#define TCP_STATE_CLOSED    7

static bool watch_room(struct watch *watch, size_t index)
{
    if (index < watch->numbers)
        return true;
    size_t numbers = (index + 1) * 2;
    uint8_t *room = realloc(watch->is_open, numbers);
    if (!room)
        return false;
    memset(room + watch->numbers, 0, numbers - watch->numbers);
    watch->is_open = room;
    watch->numbers = numbers;
    return true;
}

/* Returns whether anything has happened since the last time. */
static bool watch_news(struct watch *watch)
{
    size_t first = watch->next;
    const struct trace_event *event;

    for (; watch->next < trace_reserved(watch->trace) &&
           (event = trace_slot(watch->trace, watch->next));
         watch->next++) {
        size_t index = 2 * (size_t)event->connection + (event->side == TRACE_SERVER);
        if (event->kind != TRACE_STATE || !watch_room(watch, index))
            continue;
        bool open =
            event->state.state != TCP_STATE_TIME_WAIT && event->state.state != TCP_STATE_CLOSED;
        watch->open += (size_t)open - watch->is_open[index];
        watch->is_open[index] = open;
    }
    return watch->next > first;
}

/* The programs are done, their last segments may still be under way. */
static void settle(struct programs_run *run)
{
    int64_t delay_ns = run->plan->lab.link.delay_ns, now_ns = clock_mono_ns();
    int64_t quiet_ns = QUIET_NS + 4 * delay_ns, news_ns = now_ns;
    int64_t until_ns = earlier(now_ns + SETTLE_NS + 8 * delay_ns, run->plan->deadline_mono_ns);
    struct watch watch = {.trace = run->trace};

    do {
        if (watch_news(&watch))
            news_ns = now_ns;
        if (!watch.open || now_ns - news_ns >= quiet_ns)
            break;
        poll(NULL, 0, 1);
        now_ns = clock_mono_ns();
    } while (now_ns < until_ns && !is_interrupted(run));
    free(watch.is_open);
}

/* ---- Ending ---- */

static void stop(struct programs_run *run)
{
    int64_t until_ns = clock_mono_ns() + GRACE_NS;

    run->stopped_ns = clock_mono_ns();
    for (int host = 0; host < LAB_HOSTS; host++) {
        struct programs_member *member = &run->member[host];
        /* An end in the last moment is its own. */
        if (member->process && !has_ended(member, 0))
            member->stopped = !lab_process_signal_group(member->process, SIGTERM);
    }
    for (int host = 0; host < LAB_HOSTS; host++)
        if (run->member[host].stopped)
            lab_process_wait(run->member[host].process, until_ns - clock_mono_ns(), NULL);
}

static int shell_status(const struct programs_member *member)
{
    if (!member->ended || member->stopped)
        return -1;
    return WIFEXITED(member->exit.status)     ? WEXITSTATUS(member->exit.status)
           : WIFSIGNALED(member->exit.status) ? 128 + WTERMSIG(member->exit.status)
                                              : -1;
}

static int run_programs(struct programs_run *run, struct error *error)
{
    enum programs_end *end = &run->out->end;
    int rc = lab_result_add_faults(run->lab, run->plan->faults, run->plan->fault_count,
                                   run->fault_numbers, error);

    run->out->bad_fault = rc != 0;
    if (!rc && run->plan->command[LAB_SERVER])
        rc = start(run, LAB_SERVER, error);
    if (!rc && run->plan->command[LAB_CLIENT])
        rc = wait_for_server(run, end, error);
    if (rc)
        return rc;
    if (*end == PROGRAMS_ENDED && run->plan->command[LAB_CLIENT])
        rc = start(run, LAB_CLIENT, error);
    if (!rc && *end == PROGRAMS_ENDED)
        rc = wait_for_end(run, end, error);
    if (!rc && *end == PROGRAMS_ENDED) {
        settle(run);
        has_ended(&run->member[LAB_SERVER], LAST_NS);
    }
    return rc;
}

int programs_run(const struct programs_plan *plan, struct report *report,
                 struct programs_outcome *out, struct error *error)
{
    struct programs_run run = {
        .plan = plan,
        .report = report,
        .out = out,
        .main_host = plan->command[LAB_CLIENT] ? LAB_CLIENT : LAB_SERVER,
    };
    struct lab_config config = plan->lab;

    *out = (struct programs_outcome){.status = -1};
    run.fault_numbers = arena_alloc(&report->arena, (plan->fault_count + 1) * sizeof(int));
    if (!run.fault_numbers)
        return error_sys(error, ENOMEM, "faults");
    int rc = trace_open(&run.trace, TRACE_EVENTS, error);
    config.trace = run.trace;
    run.started_ns = clock_mono_ns();
    run.started_real_ns = clock_real_ns();
    if (!rc)
        rc = lab_open(&config, &run.lab, error);
    /* What is left to do is to look on, and to write. */
    if (!rc)
        rc = privilege_drop(&plan->reporter, plan->reporter.uid ? 0 : PRIVILEGE_FILES, error);
    if (!rc)
        rc = run_programs(&run, error);
    if (!rc)
        rc = trace_read(run.trace, &out->events, &run.event_count, error);
    if (!rc) {
        stop(&run);
        out->status = shell_status(&run.member[run.main_host]);
        run.faults = lab_result_faults(run.lab, plan->faults, plan->fault_count, run.fault_numbers,
                                       &report->arena);
    }
    if (run.lab)
        run.notes = lab_result_notes(run.lab, &run.note_count, &report->arena);
    lab_close(run.lab, &run.stats);
    out->pcap = run.stats.pcap;
    if (!rc)
        rc = programs_report(&run, error);
    trace_close(run.trace);
    return rc;
}

void programs_outcome_free(struct programs_outcome *outcome)
{
    free(outcome->events);
    outcome->events = NULL;
}
