/* A trace is one shared mapping: a header, then slots. A slot carries its own commit word, so that
 * a writer that is killed between reserve and commit leaves a hole and nothing worse. The memfd is
 * sized at once but sparse: pages appear when slots are first written. */
#include "trace/trace.h"

#include "base/cleanup.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct slot {
    _Atomic uint32_t committed;
    struct trace_event event;
};

struct shared {
    uint64_t capacity;
    _Atomic uint64_t reserved;
    struct slot slots[];
};

struct trace {
    size_t map_bytes;
    struct shared *shared;
};

int trace_open(struct trace **out, size_t max_events, struct error *error)
{
    size_t bytes = sizeof(struct shared) + max_events * sizeof(struct slot);
    cleanup(fd) int fd = memfd_create("netkit-trace", MFD_CLOEXEC);

    if (fd < 0)
        return error_sys(error, errno, "trace: memfd_create");
    if (ftruncate(fd, (off_t)bytes))
        return error_sys(error, errno, "trace: ftruncate to %zu bytes", bytes);
    struct trace *trace = calloc(1, sizeof *trace);
    if (!trace)
        return error_sys(error, ENOMEM, "trace");
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (shared == MAP_FAILED) {
        int code = errno;
        free(trace);
        return error_sys(error, code, "trace: mmap of %zu bytes", bytes);
    }
    *trace = (struct trace){.map_bytes = bytes, .shared = shared};
    trace->shared->capacity = max_events;
    *out = trace;
    return 0;
}

void trace_close(struct trace *trace)
{
    if (!trace)
        return;
    munmap(trace->shared, trace->map_bytes);
    free(trace);
}

struct trace_event *trace_reserve(struct trace *trace)
{
    if (!trace)
        return NULL;
    uint64_t number = atomic_fetch_add(&trace->shared->reserved, 1);
    return number < trace->shared->capacity ? &trace->shared->slots[number].event : NULL;
}

void trace_commit(struct trace *trace, struct trace_event *event)
{
    struct slot *slot = (struct slot *)((char *)event - offsetof(struct slot, event));
    (void)trace;
    atomic_store_explicit(&slot->committed, 1, memory_order_release);
}

void trace_append(struct trace *trace, const struct trace_event *event)
{
    struct trace_event *slot = trace_reserve(trace);

    if (!slot)
        return;
    *slot = *event;
    trace_commit(trace, slot);
}

size_t trace_dropped(const struct trace *trace)
{
    uint64_t reserved = atomic_load(&trace->shared->reserved);
    return reserved > trace->shared->capacity ? reserved - trace->shared->capacity : 0;
}

size_t trace_reserved(const struct trace *trace)
{
    uint64_t reserved = atomic_load(&trace->shared->reserved);
    return reserved < trace->shared->capacity ? reserved : trace->shared->capacity;
}

const struct trace_event *trace_slot(const struct trace *trace, size_t number)
{
    if (number >= trace_reserved(trace))
        return NULL;
    const struct slot *slot = &trace->shared->slots[number];
    return atomic_load_explicit(&slot->committed, memory_order_acquire) ? &slot->event : NULL;
}

int trace_read(const struct trace *trace, struct trace_event **out, size_t *count,
               struct error *error)
{
    size_t slots = trace_reserved(trace);
    cleanup(mem) struct trace_event *events = NULL;
    size_t kept = 0;

    *out = NULL;
    *count = 0;
    if (!slots)
        return 0;
    events = malloc(slots * sizeof *events);
    if (!events)
        return error_sys(error, ENOMEM, "trace: %zu events", slots);
    for (size_t i = 0; i < slots; i++) {
        const struct trace_event *event = trace_slot(trace, i);
        if (event)
            events[kept++] = *event;
    }
    if (trace_sort(events, kept))
        return error_sys(error, ENOMEM, "trace: sorting %zu events", kept);
    *count = kept;
    *out = take_ptr(events);
    return 0;
}

struct place {
    int64_t at_real_ns;
    size_t index;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->at_real_ns != y->at_real_ns)
        return x->at_real_ns < y->at_real_ns ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

int trace_sort(struct trace_event *events, size_t count)
{
    bool sorted = true;

    for (size_t i = 1; i < count && sorted; i++)
        sorted = !trace_before(&events[i], &events[i - 1]);
    if (sorted)
        return 0;

    cleanup(mem) struct place *places = malloc(count * sizeof *places);
    cleanup(mem) struct trace_event *copy = malloc(count * sizeof *copy);
    if (!places || !copy)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        places[i] = (struct place){events[i].at_real_ns, i};
    qsort(places, count, sizeof *places, compare_places);
    memcpy(copy, events, count * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        events[i] = copy[places[i].index];
    return 0;
}

void trace_strip_reset(struct trace_strip *strip)
{
    if (strip)
        strip->count = strip->dropped = 0;
}

void trace_strip_append(struct trace_strip *strip, const struct trace_event *event)
{
    if (!strip)
        return;
    if (strip->count == TRACE_STRIP_MAX)
        strip->dropped++;
    else
        strip->events[strip->count++] = *event;
}
