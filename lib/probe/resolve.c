#include "probe/resolve.h"

#include "base/clock.h"
#include "probe/local_facts.h"
#include <errno.h>
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

static void run_job(struct resolve_job *job)
{
    int64_t before = clock_mono_ns();
    job->rc = sock_resolve(&job->target, job->family, &job->addresses, &job->error);
    job->took_ns = clock_mono_ns() - before;
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
        if (write(resolver->event_fd, &one, sizeof one) != sizeof one)
            break; /* the counter cannot overflow; nothing else can fail */
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

int resolver_start(struct resolver *resolver, struct resolve_job *job)
{
    struct sock_address literal;
    int rc = 0;

    job->next = NULL;
    if (!job->target.host[0] ||
        !sock_address_literal(&literal, job->target.host, job->target.port)) {
        run_job(job);
        return 1;
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
        rc = 0;
    }
    pthread_mutex_unlock(&resolver->lock);
    return -rc;
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

const char *resolve_describe(struct arena *arena, int rc, const char *text, int64_t took_ns,
                             enum failure_cause *cause)
{
    const char *servers = local_facts_name_servers(arena);
    const char *after = took_ns == RESULT_UNKNOWN
                            ? ""
                            : arena_printf(arena, ", after %s,", arena_duration(arena, took_ns));

    *cause = failure_of_name(-rc, servers);
    if (*cause == FAILURE_NO_NAME_SERVER)
        return arena_printf(arena, "%s: /etc/resolv.conf names no name server", text);
    if (*cause == FAILURE_NAME_SERVER_SILENT)
        return arena_printf(arena,
                            "%s: no name server gave an answer%s (%s in /etc/resolv.conf): none "
                            "could be reached, or it failed itself",
                            text, after, servers);
    return arena_copy(arena, text);
}
