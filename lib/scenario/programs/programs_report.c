/* From what the programs, the wire and its trace did, to a result and findings. */
#include "scenario/programs/programs_report.h"

#include "base/clock.h"
#include "base/names.h"
#include "base/units.h"
#include "diagnosis/exchange.h"
#include "scenario/engine/lab_result.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

/* A sender takes the silence of an idle link for a loss from some 10 ms on (its tail-loss probe),
 * and on a link of some length no sooner than from 200 ms on. */
#define LATE_NS (50 * NS_PER_MS)

static void programs_add_note(struct arena *arena, struct result_lab *lab, const char *text)
{
    const char **notes = arena_grow(arena, (void *)lab->notes, lab->note_count, sizeof *lab->notes);

    if (!notes)
        return;
    lab->notes = notes;
    notes[lab->note_count++] = text;
}

/* ---- Programs ---- */

static struct result_program program_of(const struct programs_run *run, enum lab_host host)
{
    const struct programs_member *member = &run->member[host];
    struct result_program program = {
        .host = lab_host_name(host),
        .command = run->plan->command[host],
        .end = RESULT_PROGRAM_NOT_STARTED,
        .status = RESULT_UNKNOWN,
        .signal = RESULT_UNKNOWN,
        .started_ns = RESULT_UNKNOWN,
        .duration_ns = RESULT_UNKNOWN,
    };

    if (!member->process)
        return program;
    program.started_ns = member->started_ns - run->started_ns;
    program.duration_ns =
        (member->ended ? member->exit.ended_ns : run->stopped_ns) - member->started_ns;
    if (!member->ended) {
        program.end = RESULT_PROGRAM_STOPPED;
    } else if (WIFSIGNALED(member->exit.status)) {
        program.end = RESULT_PROGRAM_SIGNALLED;
        program.signal = WTERMSIG(member->exit.status);
    } else {
        program.end = RESULT_PROGRAM_EXITED;
        program.status = WEXITSTATUS(member->exit.status);
    }
    return program;
}

static const char *failure_of(const struct programs_run *run, const struct result_program *program,
                              enum lab_host host)
{
    struct arena *arena = &run->report->arena;
    bool unheard = run->out->end == PROGRAMS_NEVER_LISTENED && host == LAB_SERVER;
    const char *when = unheard ? " before it listened" : "";

    if (program->end == RESULT_PROGRAM_SIGNALLED)
        return arena_printf(arena, "The %s was killed by %s%s.", program->host,
                            signal_name((int)program->signal), when);
    if (program->end == RESULT_PROGRAM_EXITED && (program->status || unheard))
        return arena_printf(arena, "The %s ended with status %" PRId64 "%s%s.", program->host,
                            program->status, when,
                            program->status == 127   ? ": there is no such command"
                            : program->status == 126 ? ": that cannot be executed"
                                                     : "");
    if (unheard && run->plan->wait_port)
        return arena_printf(arena,
                            "The server never listened on port %d where the client could reach it.",
                            run->plan->wait_port);
    if (unheard)
        return "The server never listened on a TCP port that the client could reach.";
    if (program->end == RESULT_PROGRAM_STOPPED && host == run->main_host &&
        run->out->end == PROGRAMS_TIMED_OUT)
        return arena_printf(arena, "The %s still ran when the time was up.", program->host);
    return NULL;
}

static void list_programs(const struct programs_run *run, struct result_lab *lab)
{
    static const enum lab_host order[LAB_HOSTS] = {LAB_SERVER, LAB_CLIENT};

    lab->programs = arena_alloc(&run->report->arena, LAB_HOSTS * sizeof *lab->programs);
    for (int i = 0; lab->programs && i < LAB_HOSTS; i++)
        if (run->plan->command[order[i]])
            lab->programs[lab->program_count++] = program_of(run, order[i]);
}

/* After what the wire saw: of two findings of one weight the first is the verdict, and why is worth
 * more than that. */
static void judge_programs(const struct programs_run *run, struct result_lab *lab)
{
    struct report *report = run->report;

    for (size_t i = 0; i < lab->program_count; i++) {
        const struct result_program *program = &lab->programs[i];
        enum lab_host host =
            strcmp(program->host, lab_host_name(LAB_CLIENT)) ? LAB_SERVER : LAB_CLIENT;
        const char *failure = failure_of(run, program, host);
        if (!failure)
            continue;
        lab->ok = false;
        struct finding *finding = finding_add(&report->arena, &report->findings,
                                              FINDING_PROGRAM_FAILED, RESULT_SIDE_NONE);
        finding->summary = failure;
        result_set_text(&report->arena, &finding->evidence, "program", program->host);
    }
}

/* ---- The wire ---- */

static void judge_wire(const struct programs_run *run, struct result_lab *lab)
{
    struct report *report = run->report;
    const struct lab_stats *stats = &run->stats;

    lab->wire = lab_result_wire(stats);
    if (stats->late_max_ns > LATE_NS) {
        char late[UNITS_TEXT_MAX];
        programs_add_note(
            &report->arena, lab,
            arena_printf(&report->arena,
                         "This machine is busy: the wire was up to %s late. Order is right, times "
                         "are not, and what was sent again early may be due to that.",
                         units_format_duration(late, sizeof late, stats->late_max_ns, "us")));
    }
    if (stats->trace_lost)
        programs_add_note(
            &report->arena, lab,
            arena_printf(&report->arena,
                         "%" PRIu64 " events did not fit into the trace: connections, states and "
                         "findings are those of the time before.",
                         stats->trace_lost));
    if (!stats->lost)
        return;
    lab->ok = false;
    struct finding *finding =
        finding_add(&report->arena, &report->findings, FINDING_INCONCLUSIVE, RESULT_SIDE_NONE);
    finding->count = (int64_t)stats->lost;
    finding->summary = arena_printf(&report->arena,
                                    "The wire itself lost %" PRIu64
                                    " packets, so what was seen need not be the faults' doing.",
                                    stats->lost);
    finding->remedy = "Run it again on a less loaded machine, or with less traffic (--rate).";
}

static void list_connections(const struct programs_run *run, struct result_lab *lab)
{
    struct report *report = run->report;
    struct exchange exchange;

    exchange_begin(&exchange, &report->arena, run->started_real_ns);
    for (size_t i = 0; i < run->event_count; i++)
        exchange_feed(&exchange, &run->out->events[i]);
    exchange_list(&exchange, &lab->connections);
    exchange_diagnose(&exchange, &report->findings);
    lab->events = run->out->events;
    lab->event_count = run->event_count;
    lab->events_lost = run->stats.trace_lost;
    lab->shown_connection =
        run->plan->connection ? run->plan->connection : exchange_busiest(&exchange);
}

int programs_report(const struct programs_run *run, struct error *error)
{
    struct result *result = report_add(run->report, RESULT_LAB);

    if (!result)
        return error_sys(error, ENOMEM, "the report");
    struct result_lab *lab = &result->lab;
    lab->ok = true;
    lab->name = run->plan->command[run->main_host];
    list_programs(run, lab);
    lab->faults = run->faults;
    lab->fault_count = run->faults ? run->plan->fault_count : 0;
    list_connections(run, lab);
    judge_programs(run, lab);
    judge_wire(run, lab);
    for (size_t i = 0; i < run->note_count; i++)
        programs_add_note(&run->report->arena, lab, run->notes[i]);
    return run->report->arena.failed ? error_sys(error, ENOMEM, "the report") : 0;
}
