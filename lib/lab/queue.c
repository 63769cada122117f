/* A binary heap by time of departure; what has the same time leaves in the order of arrival. */
#include "lab/wire.h"

#include <errno.h>
#include <stdlib.h>

#define QUEUE_BYTES_MAX ((size_t)512 << 20)

static bool before(const struct frame *a, const struct frame *b)
{
    return a->depart_ns != b->depart_ns ? a->depart_ns < b->depart_ns : a->order < b->order;
}

int queue_add(struct queue *queue, struct frame *frame)
{
    if (queue->bytes + frame->len_bytes > QUEUE_BYTES_MAX)
        return -ENOBUFS;
    if (queue->count == queue->room) {
        size_t room = queue->room ? 2 * queue->room : 256;
        struct frame **heap = realloc(queue->heap, room * sizeof(*heap));
        if (!heap)
            return -ENOMEM;
        queue->heap = heap;
        queue->room = room;
    }
    frame->order = queue->order++;
    size_t i = queue->count++;
    for (; i && before(frame, queue->heap[(i - 1) / 2]); i = (i - 1) / 2)
        queue->heap[i] = queue->heap[(i - 1) / 2];
    queue->heap[i] = frame;
    queue->bytes += frame->len_bytes;
    return 0;
}

struct frame *queue_first(const struct queue *queue)
{
    return queue->count ? queue->heap[0] : NULL;
}

struct frame *queue_take(struct queue *queue)
{
    if (!queue->count)
        return NULL;
    struct frame *first = queue->heap[0], *last = queue->heap[--queue->count];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < queue->count; i = child) {
        if (child + 1 < queue->count && before(queue->heap[child + 1], queue->heap[child]))
            child++;
        if (before(last, queue->heap[child]))
            break;
        queue->heap[i] = queue->heap[child];
    }
    if (queue->count)
        queue->heap[i] = last;
    queue->bytes -= first->len_bytes;
    return first;
}

void list_add(struct frame_list *list, struct frame *frame)
{
    frame->next = NULL;
    if (!list->first)
        list->end = &list->first;
    *list->end = frame;
    list->end = &frame->next;
    list->count++;
}

struct frame *list_take(struct frame_list *list)
{
    struct frame *frame = list->first;

    if (frame) {
        list->first = frame->next;
        list->count--;
    }
    return frame;
}
