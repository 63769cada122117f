#include "probe/resolve.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/privilege.h"
#include "base/shortage.h"
#include "base/text.h"
#include "probe/local_facts.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MAX 16

struct resolver {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct resolve_job *waiting, **waiting_end;
    struct resolve_job *done;
    int event_fd;
    int threads, idle;
    bool closing;
};

/* The system's resolver often says only that there is no answer when it lacks something itself.
 * What it is that can be lacking still: an errno, or 0. */
static int lacking(void)
{
    cleanup(fd) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd < 0 && shortage_is(errno) ? errno : 0;
}

static void run_job(struct resolve_job *job)
{
    int64_t before = clock_mono_ns();
    job->rc = sock_resolve(&job->target, job->family, &job->addresses, &job->error);
    job->took_ns = clock_mono_ns() - before;
    if (!job->rc)
        return;
    int code = lacking();
    if (code)
        job->rc = -code;
    /* What the resolver could not read now, as its settings, it may miss in later look-ups, too. */
    shortage_note(-job->rc);
}

static void free_job(struct resolve_job *job)
{
    if (!job->rc)
        sock_address_list_free(&job->addresses);
    free(job);
}

static void destroy(struct resolver *resolver)
{
    close(resolver->event_fd);
    pthread_cond_destroy(&resolver->wanted);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

/* Takes jobs until the resolver closes; the last thread to leave a closed resolver frees it, for a
 * look-up in the system's resolver cannot be called off. */
static void *work(void *context)
{
    struct resolver *resolver = context;
    const uint64_t one = 1;

    /* Answers of name servers are read here; the right to capture is the main thread's. */
    privilege_drop_more(~UINT64_C(0), NULL);
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->closing) {
        struct resolve_job *job = resolver->waiting;
        if (!job) {
            resolver->idle++;
            pthread_cond_wait(&resolver->wanted, &resolver->lock);
            resolver->idle--;
            continue;
        }
        resolver->waiting = job->next;
        if (!resolver->waiting)
            resolver->waiting_end = &resolver->waiting;
        pthread_mutex_unlock(&resolver->lock);
        run_job(job);
        pthread_mutex_lock(&resolver->lock);
        if (resolver->closing) {
            free_job(job);
            break;
        }
        job->next = resolver->done;
        resolver->done = job;
        while (write(resolver->event_fd, &one, sizeof one) < 0 && errno == EINTR)
            continue; /* else it cannot fail: the counter does not overflow */
    }
    bool last = --resolver->threads == 0 && resolver->closing;
    pthread_mutex_unlock(&resolver->lock);
    if (last)
        destroy(resolver);
    return NULL;
}

int resolver_open(struct resolver **out, struct error *error)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);

    if (!resolver)
        return error_sys(error, ENOMEM, "resolver");
    resolver->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (resolver->event_fd < 0) {
        int code = errno;
        free(resolver);
        return error_sys(error, code, "resolver: eventfd");
    }
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->wanted, NULL);
    resolver->waiting_end = &resolver->waiting;
    *out = resolver;
    return 0;
}

int resolver_fd(const struct resolver *resolver)
{
    return resolver->event_fd;
}

/* A thread that no signal of the process goes to. */
static int start_thread(struct resolver *resolver)
{
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, NULL, work, resolver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!rc)
        pthread_detach(thread);
    return rc;
}

bool resolver_start(struct resolver *resolver, struct resolve_job *job)
{
    struct sock_address literal;
    int rc = 0;

    job->next = NULL;
    if (!job->target.host[0] ||
        !sock_address_literal(&literal, job->target.host, job->target.port)) {
        run_job(job);
        return true;
    }
    pthread_mutex_lock(&resolver->lock);
    if (!resolver->idle && resolver->threads < THREADS_MAX) {
        rc = start_thread(resolver);
        resolver->threads += !rc;
    }
    if (resolver->threads) {
        *resolver->waiting_end = job;
        resolver->waiting_end = &job->next;
        pthread_cond_signal(&resolver->wanted);
    } else {
        job->rc = -rc;
        job->no_thread = true;
    }
    pthread_mutex_unlock(&resolver->lock);
    return job->no_thread;
}

struct resolve_job *resolver_take(struct resolver *resolver)
{
    uint64_t count;

    pthread_mutex_lock(&resolver->lock);
    struct resolve_job *job = resolver->done;
    if (job)
        resolver->done = job->next;
    else if (read(resolver->event_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        job = NULL;
    pthread_mutex_unlock(&resolver->lock);
    return job;
}

void resolver_close(struct resolver *resolver)
{
    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->lock);
    resolver->closing = true;
    for (struct resolve_job *job = resolver->waiting, *next; job; job = next) {
        next = job->next;
        free(job);
    }
    for (struct resolve_job *job = resolver->done, *next; job; job = next) {
        next = job->next;
        free_job(job);
    }
    resolver->waiting = resolver->done = NULL;
    bool last = resolver->threads == 0;
    pthread_cond_broadcast(&resolver->wanted);
    pthread_mutex_unlock(&resolver->lock);
    if (last)
        destroy(resolver);
}

static const char *describe(struct arena *arena, const struct resolve_job *job,
                            enum failure_cause cause, const char *servers)
{
    const char *text = job->error.text;
    cleanup(buf) struct buf host = {0};

    if (failure_entry(cause)->code == FINDING_MACHINE_REFUSES) {
        text_escape(&host, job->target.host, strlen(job->target.host));
        return arena_printf(arena, "cannot resolve %s: %s", buf_str(&host),
                            failure_entry(cause)->clause);
    }
    if (cause == FAILURE_NO_NAME_SERVER)
        return arena_printf(arena, "%s: /etc/resolv.conf names no name server", text);
    if (cause == FAILURE_NAME_SERVER_SILENT)
        return arena_printf(arena,
                            "%s: no name server gave an answer, after %s, (%s in "
                            "/etc/resolv.conf): none could be reached, or it failed itself",
                            text, arena_duration(arena, job->took_ns), servers);
    return arena_copy(arena, text);
}

struct result_error resolve_failure(struct arena *arena, const struct resolve_job *job)
{
    const char *servers = local_facts_name_servers(arena);
    enum failure_cause cause =
        job->no_thread ? FAILURE_NO_THREAD : failure_of_name(-job->rc, servers);

    return (struct result_error){.code = failure_entry(cause)->code,
                                 .number = job->rc == -ENOENT ? 0 : -job->rc,
                                 .message = describe(arena, job, cause, servers),
                                 .cause = failure_entry(cause)->name};
}

/* A job that is not finished in time stays its thread's. */
static int await_job(struct resolver *resolver, struct resolve_job *job,
                     const struct wait_limit *limit)
{
    if (resolver_start(resolver, job))
        return 0;
    int rc = wait_for_fd(resolver_fd(resolver), POLLIN, limit);
    if (!rc && !resolver_take(resolver))
        rc = -EIO;
    return rc;
}

/* What went wrong before there was an answer. */
static struct result_error cut_short(struct arena *arena, const struct sock_target *target, int rc)
{
    const struct resolve_job asked = {.target = *target, .rc = rc};

    if (rc != -ETIMEDOUT && rc != -EINTR)
        return resolve_failure(arena, &asked);
    return (struct result_error){.code = FINDING_NAME_NOT_FOUND,
                                 .number = -rc,
                                 .message = rc == -ETIMEDOUT
                                                ? "the name did not resolve within --timeout"
                                                : "interrupted, before the name was resolved"};
}

int resolve_now(struct arena *arena, const struct sock_target *target, int family,
                const struct wait_limit *limit, struct sock_address_list *out,
                struct result_error *failure)
{
    struct resolver *resolver = NULL;
    struct resolve_job *job = calloc(1, sizeof *job);
    int rc = job ? resolver_open(&resolver, NULL) : -ENOMEM;

    *out = (struct sock_address_list){0};
    if (!rc) {
        job->target = *target;
        job->family = family;
        rc = await_job(resolver, job, limit);
    }
    if (rc) {
        *failure = cut_short(arena, target, rc);
        if (!resolver)
            free(job);
    } else {
        rc = job->rc;
        if (rc)
            *failure = resolve_failure(arena, job);
        else
            *out = job->addresses;
        free(job);
    }
    resolver_close(resolver);
    return rc;
}
