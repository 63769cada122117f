/* From looks at processes to the cause; see listener_cause.h. A cause is named only if all
 * processes that may hold the listener were seen, and nearly all looks agree. */
#include "diagnosis/listener_cause.h"

#include "base/text.h"
#include "diagnosis/verdict_thresholds.h"
#include <inttypes.h>
#include <string.h>

/* ---- looks ---- */

static bool has_child_in(const struct listener_look *look, int64_t pid)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->processes[i].parent == pid)
            return true;
    return false;
}

/* A parent that only waits for signals or for its children, beside which `child` decides. One that
 * waits for a child may also be the one that accepts: then a child without descriptors is not the
 * reason. */
static bool only_supervises(const struct listener_look *look,
                            const struct listener_process *process)
{
    bool by_signal = strstr(process->where, "sigsuspend") || strstr(process->where, "sigtimedwait");
    bool for_child = !strncmp(process->where, "do_wait", strlen("do_wait"));

    if (process->posture != LISTENER_WAITS || process->edge || process->threads != 1 ||
        !(by_signal || for_child) || !has_child_in(look, process->pid))
        return false;
    for (size_t i = 0; i < look->count && for_child; i++)
        if (look->processes[i].posture == LISTENER_OUT_OF_DESCRIPTORS)
            return false;
    return true;
}

/* What all processes do that may be the ones to accept. */
static enum listener_posture posture_of(const struct listener_look *look)
{
    enum listener_posture posture = LISTENER_UNCLEAR;
    bool first = true;

    for (size_t i = 0; i < look->count; i++) {
        const struct listener_process *process = &look->processes[i];
        if (only_supervises(look, process))
            continue;
        if (!first && process->posture != posture)
            return LISTENER_UNCLEAR;
        posture = process->posture;
        first = false;
    }
    return posture;
}

void listener_looks_feed(struct listener_looks *looks, const struct listener_look *look)
{
    bool edge = false;

    for (size_t i = 0; i < look->count; i++)
        edge |= look->processes[i].edge;
    if (!looks->looks)
        looks->first_ns = look->at_ns;
    looks->last_ns = look->at_ns;
    looks->looks++;
    looks->by[posture_of(look)]++;
    looks->hidden += look->hidden || !look->count;
    looks->edge += edge;
    looks->count = look->count;
    for (size_t i = 0; i < look->count && i < LISTENER_PROCESSES_KEPT; i++)
        looks->kept[i] = look->processes[i];
    if (look->count && looks->first.pid != look->processes[0].pid) {
        looks->first = look->processes[0];
        looks->first_ns = look->at_ns;
    }
}

/* ---- words ---- */

/* Where the kernel has put a thread to sleep, by the parts of its functions' names. */
static const struct {
    const char *part, *words;
} places[] = {
    {"nanosleep", "it sleeps for a time"},
    {"futex", "it waits for a lock or another thread"},
    {"do_wait", "it waits for a child process"},
    {"sk_wait_data", "it waits for data of another connection"},
    {"wait_woken", "it waits for data of another connection, or to send there"},
    {"sk_stream_wait", "it waits to send on another connection"},
    {"skb_wait_for", "it waits for a datagram"},
    {"unix_stream", "it waits for data of a Unix-domain socket"},
    {"pipe", "it waits for a pipe"},
    {"epoll", "it waits for other events"},
    {"poll", "it waits for other events"},
    {"select", "it waits for other events"},
    {"sigsuspend", "it waits for a signal"},
    {"sigtimedwait", "it waits for a signal"},
    {"lock", "it waits for a lock"},
    {"tty_read", "it waits for its terminal"},
};

static const char *words_of_place(const char *where)
{
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (strstr(where, places[i].part))
            return places[i].words;
    return NULL;
}

static const char *name_of(const struct listener_process *process, struct arena *arena)
{
    cleanup(buf) struct buf name = {0};

    text_escape(&name, process->name, strlen(process->name));
    return arena_printf(arena, "%s (%" PRId64 ")", *process->name ? buf_str(&name) : "process",
                        process->pid);
}

static const char *const posture_words[LISTENER_POSTURES] = {
    [LISTENER_STOPPED] = "stopped",
    [LISTENER_OUT_OF_DESCRIPTORS] = "out of descriptors",
    [LISTENER_RUNS] = "running",
    [LISTENER_WAITS] = "asleep",
    [LISTENER_UNCLEAR] = "in no state that tells",
};

/* The process to name: the first in that state; of several, one without children beside it. */
static const struct listener_process *first_in(const struct listener_looks *looks,
                                               enum listener_posture posture)
{
    const struct listener_process *found = NULL;

    for (size_t i = 0; i < looks->count && i < LISTENER_PROCESSES_KEPT; i++) {
        const struct listener_process *process = &looks->kept[i];
        bool above = found && found->pid == process->parent;
        if (process->posture == posture && (!found || above))
            found = process;
    }
    return found ? found : &looks->kept[0];
}

/* "nginx (12)", or "nginx (12) beside 3 more". */
static const char *named(const struct listener_looks *looks, const struct listener_process *process,
                         struct arena *arena)
{
    const char *name = name_of(process, arena);

    return looks->count > 1 ? arena_printf(arena, "%s beside %zu more", name, looks->count - 1)
                            : name;
}

/* "nginx (12) stopped, nginx (13) asleep in do_wait (it waits for a child process)". */
static const char *last_states(const struct listener_looks *looks, struct arena *arena)
{
    const char *text = "";

    for (size_t i = 0; i < looks->count && i < LISTENER_PROCESSES_KEPT; i++) {
        const struct listener_process *process = &looks->kept[i];
        const char *words = words_of_place(process->where);
        text = arena_printf(arena, "%s%s%s %s", text, i ? ", " : "", name_of(process, arena),
                            posture_words[process->posture]);
        if (process->posture == LISTENER_WAITS || process->posture == LISTENER_UNCLEAR)
            text = !*process->where ? text
                   : words ? arena_printf(arena, "%s in %s (%s)", text, process->where, words)
                           : arena_printf(arena, "%s in %s", text, process->where);
    }
    return looks->count > LISTENER_PROCESSES_KEPT
               ? arena_printf(arena, "%s, and %zu more", text,
                              looks->count - LISTENER_PROCESSES_KEPT)
               : text;
}

/* "in 9 of 10 looks". */
static const char *how_often(const struct listener_looks *looks, enum listener_posture posture,
                             struct arena *arena)
{
    return arena_printf(arena, "in %" PRId64 " of %" PRId64 " looks", looks->by[posture],
                        looks->looks);
}

/* The shares of a processor that the first process took, all and in the kernel; false: not known.
 */
static bool processor_share(const struct listener_looks *looks, double *all, double *kernel)
{
    const struct listener_process *then = &looks->first, *now = &looks->kept[0];
    double passed_ns = (double)(looks->last_ns - looks->first_ns);

    if (!looks->count || then->pid != now->pid || then->cpu_ns == RESULT_UNKNOWN ||
        now->cpu_ns == RESULT_UNKNOWN || passed_ns <= 0)
        return false;
    *all = (double)(now->cpu_ns - then->cpu_ns) / passed_ns;
    *kernel = (double)(now->kernel_cpu_ns - then->kernel_cpu_ns) / passed_ns;
    return true;
}

static const char *processor_words(const struct listener_looks *looks, struct arena *arena)
{
    double all, kernel;

    if (looks->count != 1 || !processor_share(looks, &all, &kernel))
        return "";
    return arena_printf(arena, ", and used %.0f %% of a processor, %.0f %% in the kernel",
                        100 * all, 100 * kernel);
}

/* ---- causes ---- */

static struct listener_cause stopped(const struct listener_looks *looks, struct arena *arena)
{
    const struct listener_process *process = first_in(looks, LISTENER_STOPPED);

    return (struct listener_cause){
        .code = "stopped",
        .text =
            arena_printf(arena,
                         "The application is stopped, by a signal, a debugger or its control "
                         "group: %s, %s.",
                         named(looks, process, arena), how_often(looks, LISTENER_STOPPED, arena)),
        .remedy = arena_printf(arena,
                               "Let it go on: kill -CONT %" PRId64
                               ", or leave the debugger, or docker unpause. Then find out who "
                               "stopped it.",
                               process->pid)};
}

static struct listener_cause out_of_descriptors(const struct listener_looks *looks,
                                                struct arena *arena)
{
    const struct listener_process *process = first_in(looks, LISTENER_OUT_OF_DESCRIPTORS);

    return (struct listener_cause){
        .code = "descriptors",
        .text = arena_printf(arena,
                             "The application is out of descriptors: %s has all open that its "
                             "limit of %" PRId64 " allows (%s), so accept() fails with EMFILE.",
                             named(looks, process, arena), process->descriptor_limit,
                             how_often(looks, LISTENER_OUT_OF_DESCRIPTORS, arena)),
        .remedy = arena_printf(
            arena,
            "Raise its limit (prlimit -n65536 -p %" PRId64
            " at once; ulimit -n, LimitNOFILE= of systemd or worker_rlimit_nofile of "
            "nginx for good), and look for descriptors that it never closes: ls -l /proc/%" PRId64
            "/fd.",
            process->pid, process->pid)};
}

static struct listener_cause busy(const struct listener_looks *looks, struct arena *arena)
{
    const struct listener_process *process = first_in(looks, LISTENER_RUNS);

    return (struct listener_cause){
        .code = "busy",
        .text = arena_printf(arena,
                             "The application is busy with something else: %s ran, or waited for a "
                             "processor, %s%s.",
                             named(looks, process, arena), how_often(looks, LISTENER_RUNS, arena),
                             processor_words(looks, arena)),
        .remedy = arena_printf(arena,
                               "Find out what it computes (perf top -p %" PRId64
                               ", or a profiler of its language), and do that in other threads or "
                               "processes; call accept() in a loop until EAGAIN.",
                               process->pid)};
}

static struct listener_cause waiting(const struct listener_looks *looks, struct arena *arena)
{
    return (struct listener_cause){
        .code = "waiting",
        .text = arena_printf(arena,
                             "The application does not ask for connections: %s it slept in "
                             "something that a waiting connection does not end; at last: %s.",
                             how_often(looks, LISTENER_WAITS, arena), last_states(looks, arena)),
        .remedy = arena_printf(
            arena,
            "Find out what it waits for (strace -fp %" PRId64
            "): another connection or a database between two calls of accept(), a child, a lock, "
            "or "
            "a limit of its own (maxconn, worker_connections, a pool that is used up).",
            first_in(looks, LISTENER_WAITS)->pid)};
}

static struct listener_cause edge_triggered(const struct listener_tries *tries, struct arena *arena)
{
    return (struct listener_cause){
        .code = "edge-triggered",
        .text = arena_printf(
            arena,
            "The application takes one connection an event and leaves the others: each of %" PRId64
            " connections of our own released at once exactly one that had been waiting, and "
            "nothing moved before.",
            tries->one),
        .remedy = "Call accept() in a loop until EAGAIN at each event (EPOLLET, one-shot events), "
                  "or register the listener without EPOLLET."};
}

/* ---- what is not decided ---- */

static struct listener_cause undecided(const char *text)
{
    return (struct listener_cause){.text = text};
}

/* "In 20 looks the application was stopped 8 times, asleep 12 times; at last: …" */
static const char *facts(const struct listener_looks *looks, struct arena *arena)
{
    const char *text =
        arena_printf(arena, "In %" PRId64 " looks the application was", looks->looks);
    const char *separator = " ";

    for (int i = 0; i < LISTENER_POSTURES; i++) {
        if (!looks->by[i])
            continue;
        text = arena_printf(arena, "%s%s%s %" PRId64 " times", text, separator, posture_words[i],
                            looks->by[i]);
        separator = ", ";
    }
    return arena_printf(arena, "%s; at last: %s", text, last_states(looks, arena));
}

static struct listener_cause unseen(const struct listener_looks *looks, struct arena *arena)
{
    if (looks->count)
        return undecided(arena_printf(
            arena,
            "%s. Others that this user cannot see may hold the listener, too: run as root, netkit "
            "can tell whether they are stopped, out of descriptors, or busy.",
            facts(looks, arena)));
    return undecided("No process that this user can see holds the listener: run as its owner or as "
                     "root, and in its container, netkit can tell whether it is stopped, out of "
                     "descriptors, or busy.");
}

static struct listener_cause maybe_edge(const struct listener_looks *looks,
                                        const struct listener_tries *tries, struct arena *arena)
{
    const char *next =
        tries->none   ? "A connection of our own released none, so it waits for something "
                        "else first (strace -fp shows for what)."
        : tries->more ? "A connection of our own released several: the application had "
                        "missed an event, or took them by chance."
        : tries->wanted
            ? "No connection of our own could tell, because the queue was full or never quiet."
            : "Whether it takes one connection an event and leaves the rest, or waits for "
              "something else first, --try-connections would decide.";

    return undecided(arena_printf(
        arena, "%s sleeps, and its epoll set has the listener edge-triggered (EPOLLET). %s",
        named(looks, first_in(looks, LISTENER_WAITS), arena), next));
}

static bool is_mostly(const struct listener_looks *looks, enum listener_posture posture)
{
    return is_share(looks->by[posture], looks->looks, LISTENER_AGREE_SHARE);
}

/* It may well call accept() all the time, and fail. */
static bool may_spin(const struct listener_looks *looks)
{
    double all, kernel;

    return looks->count != 1 || !processor_share(looks, &all, &kernel) || kernel * 2 > all;
}

struct listener_cause listener_cause_of(const struct listener_looks *looks,
                                        const struct listener_tries *tries, bool none_accepted,
                                        struct arena *arena)
{
    if (tries->one >= LISTENER_TRIES && !tries->none && !tries->more)
        return edge_triggered(tries, arena);
    if (looks->looks < (int64_t)LISTENER_LOOKS_LEAST)
        return undecided(NULL);
    if (!is_share(looks->looks - looks->hidden, looks->looks, LISTENER_AGREE_SHARE))
        return unseen(looks, arena);
    if (is_mostly(looks, LISTENER_STOPPED))
        return stopped(looks, arena);
    if (is_mostly(looks, LISTENER_OUT_OF_DESCRIPTORS))
        return out_of_descriptors(looks, arena);
    if (is_mostly(looks, LISTENER_RUNS) && !(none_accepted && may_spin(looks)))
        return busy(looks, arena);
    if (is_mostly(looks, LISTENER_WAITS))
        return looks->edge ? maybe_edge(looks, tries, arena) : waiting(looks, arena);
    return undecided(arena_printf(arena, "%s. strace -fp %" PRId64 " shows what it does.",
                                  facts(looks, arena), looks->kept[0].pid));
}

void listener_cause_evidence(const struct listener_looks *looks, const struct listener_tries *tries,
                             const char *code, struct result_map *out, struct arena *arena)
{
    static const char *const names[LISTENER_POSTURES] = {
        [LISTENER_STOPPED] = "looks_stopped",
        [LISTENER_OUT_OF_DESCRIPTORS] = "looks_out_of_descriptors",
        [LISTENER_RUNS] = "looks_running",
        [LISTENER_WAITS] = "looks_waiting",
        [LISTENER_UNCLEAR] = "looks_unclear",
    };
    const struct listener_process *process = &looks->kept[0];

    result_set_text(arena, out, "cause", code);
    result_set_integer(arena, out, "looks", looks->looks);
    for (int i = 0; i < LISTENER_POSTURES; i++)
        result_set_integer(arena, out, names[i], looks->by[i]);
    result_set_integer(arena, out, "looks_hidden", looks->hidden);
    if (looks->count) {
        result_set_integer(arena, out, "processes", (int64_t)looks->count);
        result_set_integer(arena, out, "pid", process->pid);
        result_set_integer(arena, out, "threads", process->threads);
        result_set_integer(arena, out, "descriptors", process->descriptors);
        result_set_integer(arena, out, "descriptor_limit", process->descriptor_limit);
        result_set_text(arena, out, "sleeps_in", *process->where ? process->where : NULL);
    }
    if (!tries->wanted)
        return;
    result_set_integer(arena, out, "connections_tried", tries->begun);
    result_set_integer(arena, out, "released_none", tries->none);
    result_set_integer(arena, out, "released_one", tries->one);
    result_set_integer(arena, out, "released_more", tries->more);
}
