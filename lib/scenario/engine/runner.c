/* Many runs: each is a child process with a lab of its own, a few at a time.
 *
 * What a child makes it builds in memory that it shares with us, mapped before the fork, so that it
 * is at the same address in both: its result can be read here as it stands, pointers and all. The
 * child has no other channel; it is done when it has ended, and its memory says whether it finished
 * (a child that died half-way has not). Memory of runs that add nothing to what is shown is given
 * back at once. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/names.h"
#include "scenario/scenario.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of a run, reserved only: what is not touched costs nothing but addresses, of which a 32-bit
 * process has few. */
#define MEMORY_BYTES (sizeof(void *) > 4 ? (size_t)256 << 20 : (size_t)32 << 20)
#define ATTEMPTS     3
#define TICK_MS      20

/* At the beginning of a run's memory. */
struct scenario_memory {
    struct scenario_memory *next; /* kept ones */
    size_t size_bytes;
    struct arena_region region;
    struct arena arena;
    struct result_scenario result;
    bool finished;
    int rc; /* of scenario_run_one() */
    struct error error;
};

struct run {
    pid_t pid; /* 0: this place is free */
    size_t job;
    int64_t attempt;
    struct scenario_memory *memory;
};

/* What has come of a job. */
struct tally {
    int64_t started, done;
    int64_t again; /* attempts that are to be repeated */
    int64_t attempts;
    struct scenario_memory *shown; /* the first that is not ok, or the first */
    struct result_outcome *outcomes;
    size_t outcome_count;
};

struct runner {
    const struct scenario_plan *plan;
    struct scenario_runs *out;
    struct report *report;
    struct tally *tallies;
    struct run *runs;
    size_t running, done, all, failed;
    int rc; /* what the user asked cannot be */
    struct error *error;
};

/* ---- One run ---- */

static struct scenario_memory *memory_new(void)
{
    struct scenario_memory *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    memory->region.at = (unsigned char *)memory + ((sizeof *memory + 63) & ~(size_t)63);
    memory->size_bytes = MEMORY_BYTES;
    memory->region.end = (unsigned char *)memory + memory->size_bytes;
    memory->arena.region = &memory->region;
    return memory;
}

static void memory_free(struct scenario_memory *memory)
{
    munmap(memory, memory->size_bytes);
}

/* Gives back what the run left over: nothing is added to a kept result. */
static void memory_trim(struct scenario_memory *memory)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t used_bytes = (size_t)(memory->region.at - (unsigned char *)memory);
    size_t kept_bytes = (used_bytes + page_bytes - 1) / page_bytes * page_bytes;

    if (kept_bytes >= memory->size_bytes ||
        munmap((unsigned char *)memory + kept_bytes, memory->size_bytes - kept_bytes))
        return;
    memory->size_bytes = kept_bytes;
    memory->region.end = (unsigned char *)memory + kept_bytes;
}

static _Noreturn void run_child(const struct runner *runner, const struct run *run, pid_t parent)
{
    const struct scenario_job *job = &runner->plan->jobs[run->job];
    struct scenario_memory *memory = run->memory;

    /* The terminal's Ctrl-C reaches the whole group: what to do about it is the parent's to say. */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    memory->rc = scenario_run_one(job->scenario, job->family, runner->plan->request, &memory->arena,
                                  &memory->result, &memory->error);
    if (!runner->plan->request->keep_events)
        memory->result.event_count = 0;
    memory->finished = true;
    _exit(0);
}

static int start_run(struct runner *runner, struct run *run, size_t job, int64_t attempt,
                     struct error *error)
{
    pid_t parent = getpid();

    *run = (struct run){.job = job, .attempt = attempt, .memory = memory_new()};
    if (!run->memory)
        return error_sys(error, errno, "memory for a run");
    run->pid = fork();
    if (!run->pid)
        run_child(runner, run, parent);
    if (run->pid < 0) {
        int code = errno;
        memory_free(run->memory);
        run->pid = 0;
        return error_sys(error, code, "a process for a run");
    }
    runner->running++;
    return 0;
}

/* ---- What came of it ---- */

static const char *outcome_text(struct arena *arena, const struct result_scenario *result)
{
    if (result->verdict == RESULT_OK && (!result->why || result->differs_from_book))
        return "ok";
    return arena_printf(arena, "%s: %s", result_verdict_name(result->verdict),
                        result->why ? result->why : "?");
}

static void count_outcome(struct runner *runner, struct tally *tally, const char *text)
{
    for (size_t i = 0; i < tally->outcome_count; i++)
        if (!strcmp(tally->outcomes[i].text, text)) {
            tally->outcomes[i].count++;
            return;
        }
    struct result_outcome *outcomes =
        arena_grow(&runner->report->arena, tally->outcomes, tally->outcome_count, sizeof *outcomes);
    if (!outcomes)
        return;
    tally->outcomes = outcomes;
    outcomes[tally->outcome_count++] =
        (struct result_outcome){arena_copy(&runner->report->arena, text), 1};
}

/* The run says nothing. */
static void set_inconclusive(const struct runner *runner, const struct run *run, const char *why)
{
    const struct scenario_job *job = &runner->plan->jobs[run->job];
    struct scenario_memory *memory = run->memory;

    memory->result = scenario_result(&memory->arena, job->scenario, job->family);
    memory->result.verdict = RESULT_INCONCLUSIVE;
    memory->result.duration_ns = RESULT_UNKNOWN;
    memory->result.why = why;
    memory->result.error = (struct result_error){.code = FINDING_INCONCLUSIVE, .message = why};
}

/* A child that did not come to its end. */
static void set_died(const struct runner *runner, const struct run *run, int status)
{
    struct arena *arena = &run->memory->arena;

    set_inconclusive(runner, run,
                     WIFSIGNALED(status)
                         ? arena_printf(arena, "The process that ran it was killed by %s.",
                                        signal_name(WTERMSIG(status)))
                         : arena_printf(arena, "The process that ran it ended with status %d.",
                                        WEXITSTATUS(status)));
}

static void keep_shown(struct tally *tally, struct scenario_memory *memory)
{
    bool better = !tally->shown || (!result_verdict_fails(tally->shown->result.verdict) &&
                                    result_verdict_fails(memory->result.verdict));

    if (!better) {
        memory_free(memory);
        return;
    }
    if (tally->shown)
        memory_free(tally->shown);
    memory_trim(memory);
    tally->shown = memory;
}

/* This machine does not let it run, or the user asked for what cannot be. */
static void note_refusal(struct runner *runner, struct scenario_memory *memory)
{
    if (memory->rc == -EINVAL) {
        runner->rc = memory->rc;
        if (runner->error)
            *runner->error = memory->error;
    } else if (!runner->out->refused++) {
        runner->out->refusal = memory->error;
    }
    memory_free(memory);
}

static void end_run(struct runner *runner, struct run *run, int status)
{
    struct tally *tally = &runner->tallies[run->job];
    struct scenario_memory *memory = run->memory;

    run->pid = 0;
    runner->running--;
    if (memory->finished && memory->rc == -ETIMEDOUT) {
        /* A machine that is too busy to build the lab in time is not one that refuses it. */
        set_inconclusive(
            runner, run,
            arena_printf(&memory->arena, "The run could not begin: %s.", memory->error.text));
    } else if (memory->finished && memory->rc) {
        runner->done++;
        tally->done++;
        note_refusal(runner, memory);
        return;
    }
    if (!memory->finished)
        set_died(runner, run, status);
    if (memory->result.verdict == RESULT_INCONCLUSIVE && !memory->result.final &&
        run->attempt < ATTEMPTS) {
        tally->again = run->attempt + 1;
        tally->started--;
        memory_free(memory);
        return;
    }
    memory->result.attempts = run->attempt;
    runner->failed += result_verdict_fails(memory->result.verdict);
    count_outcome(runner, tally, outcome_text(&memory->arena, &memory->result));
    runner->done++;
    tally->done++;
    if (runner->plan->progress)
        runner->plan->progress(runner->plan->context, runner->done, runner->all, runner->failed,
                               runner->running);
    keep_shown(tally, memory);
}

static void reap(struct runner *runner)
{
    for (size_t i = 0; i < runner->plan->parallel; i++) {
        struct run *run = &runner->runs[i];
        int status;
        if (run->pid && waitpid(run->pid, &status, WNOHANG) == run->pid)
            end_run(runner, run, status);
    }
}

/* ---- All ---- */

/* The job with the fewest runs begun, so that repetitions of one are spread over the time. */
static bool next_job(const struct runner *runner, size_t *job, int64_t *attempt)
{
    const struct scenario_plan *plan = runner->plan;
    bool found = false;

    for (size_t i = 0; i < plan->job_count; i++) {
        const struct tally *tally = &runner->tallies[i];
        if (tally->started >= plan->repeat ||
            (found && tally->started >= runner->tallies[*job].started))
            continue;
        *job = i;
        found = true;
    }
    *attempt = found && runner->tallies[*job].again ? runner->tallies[*job].again : 1;
    return found;
}

static bool is_over(struct runner *runner)
{
    const struct scenario_plan *plan = runner->plan;

    if (plan->interrupt && *plan->interrupt)
        runner->out->interrupted = true;
    else if (clock_mono_ns() >= plan->deadline_mono_ns)
        runner->out->timed_out = true;
    /* Where one run is refused, so are the others. */
    return runner->rc || runner->out->interrupted || runner->out->timed_out || runner->out->refused;
}

static void start_runs(struct runner *runner)
{
    for (size_t i = 0; i < runner->plan->parallel; i++) {
        size_t job = 0;
        int64_t attempt;
        if (runner->runs[i].pid)
            continue;
        if (!next_job(runner, &job, &attempt))
            return;
        if (start_run(runner, &runner->runs[i], job, attempt, &runner->out->refusal)) {
            runner->out->refused++;
            return;
        }
        runner->tallies[job].started++;
        runner->tallies[job].again = 0;
    }
}

static void stop_all(struct runner *runner)
{
    for (size_t i = 0; i < runner->plan->parallel; i++) {
        struct run *run = &runner->runs[i];
        if (!run->pid)
            continue;
        kill(run->pid, SIGKILL);
        waitpid(run->pid, NULL, 0);
        memory_free(run->memory);
        run->pid = 0;
    }
}

/* Waits for a child to end, or a tick: SIGCHLD is blocked, and taken here. */
static void wait_a_tick(void)
{
    const struct timespec tick = clock_to_timespec(TICK_MS * NS_PER_MS);
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigtimedwait(&child, NULL, &tick);
}

static void run_jobs(struct runner *runner)
{
    while (!is_over(runner)) {
        start_runs(runner);
        if (!runner->running)
            break;
        wait_a_tick();
        reap(runner);
    }
    stop_all(runner);
}

/* ---- Results ---- */

static void add_finding(struct report *report, const struct result_scenario *scenario)
{
    struct finding *finding =
        finding_add(&report->arena, &report->findings, scenario->error.code, scenario->side);

    finding->scenario = scenario->scenario;
    finding->about = scenario->name;
    finding->summary = scenario->error.message;
    if (scenario->remedy)
        finding->remedy = scenario->remedy;
    result_set_integer(&report->arena, &finding->evidence, "family", scenario->family);
}

/* Explained outcomes of one scenario may change; others may not. */
static void judge_repeats(struct runner *runner, struct result_scenario *scenario,
                          const struct tally *tally)
{
    int64_t not_ok = 0;

    scenario->runs = tally->done;
    scenario->outcomes = tally->outcomes;
    scenario->outcome_count = tally->outcome_count;
    for (size_t i = 0; i < tally->outcome_count; i++)
        not_ok += strncmp(tally->outcomes[i].text, "ok", 2) ? tally->outcomes[i].count : 0;
    if (!not_ok || tally->done <= 1 || !result_verdict_fails(scenario->verdict))
        return;
    scenario->error.message =
        arena_printf(&runner->report->arena, "%" PRId64 " of %" PRId64 " runs were not ok. %s",
                     not_ok, tally->done, scenario->why ? scenario->why : "");
}

static void add_results(struct runner *runner)
{
    for (size_t i = 0; i < runner->plan->job_count; i++) {
        struct tally *tally = &runner->tallies[i];
        if (!tally->shown) {
            runner->out->unfinished++;
            continue;
        }
        struct result *result = report_add(runner->report, RESULT_SCENARIO);
        if (!result)
            return;
        result->scenario = tally->shown->result;
        judge_repeats(runner, &result->scenario, tally);
        if (result_verdict_fails(result->scenario.verdict)) {
            runner->out->failed++;
            add_finding(runner->report, &result->scenario);
        }
        tally->shown->next = runner->out->memory;
        runner->out->memory = tally->shown;
    }
}

int scenario_run_all(const struct scenario_plan *plan, struct report *report,
                     struct scenario_runs *out, struct error *error)
{
    cleanup(mem) struct tally *tallies = calloc(plan->job_count + 1, sizeof *tallies);
    cleanup(mem) struct run *runs = calloc(plan->parallel + 1, sizeof *runs);
    struct runner runner = {.plan = plan,
                            .out = out,
                            .report = report,
                            .tallies = tallies,
                            .runs = runs,
                            .all = plan->job_count * (size_t)plan->repeat,
                            .error = error};
    sigset_t child, before;

    *out = (struct scenario_runs){0};
    if (!tallies || !runs)
        return error_sys(error, ENOMEM, "the runs");
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    run_jobs(&runner);
    sigprocmask(SIG_SETMASK, &before, NULL);
    add_results(&runner);
    return runner.rc;
}

void scenario_runs_free(struct scenario_runs *runs)
{
    while (runs->memory) {
        struct scenario_memory *next = runs->memory->next;
        memory_free(runs->memory);
        runs->memory = next;
    }
}
