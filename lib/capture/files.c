/* Each file is looked into once, for the time of its first packet, and closed again if it can be
 * opened again. It is opened for good when the merge comes to that time, and closed at its end: of
 * rotated files, which do not overlap, one or two are open at a time, however many they are.
 *
 * Within a file packets keep their order, even where time goes backwards: a file's place in the
 * merge is the latest time that it has had. Open files are a heap by that place, and then by the
 * order of their beginnings. */
#include "capture/files.h"
#include "base/clock.h"
#include "capture/savefile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES      (256 * 1024)
#define BUFFER_BYTES_MANY (64 * 1024)
#define MANY              16

struct file {
    char *path;
    uint32_t index; /* as the caller gave it */
    bool is_open;
    int64_t place_ns; /* in the merge: the latest time so far */
    struct savefile save;
    struct capture_packet head; /* the next packet, if the file is in the heap */
    uint64_t raw, raw_total;    /* as far as it was read, while it is not open */
};

struct files {
    struct file *all; /* in the order of their first packets, once all were looked into */
    size_t count;
    size_t next;        /* the first that is not opened for good */
    struct file **heap; /* those that are */
    size_t heap_count;
    struct file *last; /* whose head was given out: it is read on first */
    enum packet_link link;
    struct error failure; /* the first; its file is named */
    size_t failures;
};

static const char *shown(const struct file *file)
{
    return strcmp(file->path, "-") ? file->path : "standard input";
}

/* --- one file --- */

static size_t buffer_bytes(const struct files *files)
{
    return files->count > MANY ? BUFFER_BYTES_MANY : BUFFER_BYTES;
}

static void file_close(struct file *file)
{
    if (!file->is_open)
        return;
    file->raw = file->save.stream.raw;
    file->raw_total = file->save.stream.raw_total;
    savefile_close(&file->save);
    file->is_open = false;
}

static int file_open(struct files *files, struct file *file, struct error *error)
{
    if (file->is_open)
        return 0;
    int rc = savefile_open(&file->save, file->path, buffer_bytes(files), error);
    file->is_open = rc == 0;
    return rc;
}

static void note_failure(struct files *files, const struct error *error, const char *path)
{
    if (files->failures++)
        return;
    files->failure = *error;
    if (path)
        error_add(&files->failure, "%s", path);
}

/* Reads the next packet of a file as its head. 1, 0: it has ended or failed, which is noted, or
 * -EINTR. */
static int file_advance(struct files *files, struct file *file)
{
    int rc = savefile_next(&file->save, &file->head);

    if (rc == 1) {
        file->head.file = file->index;
        if (file->head.real_ns > file->place_ns)
            file->place_ns = file->head.real_ns;
        return 1;
    }
    if (rc < 0)
        note_failure(files, &file->save.failure, shown(file));
    if (rc != -EINTR)
        file_close(file);
    return rc == -EINTR ? rc : 0;
}

/* --- the heap: the earliest file is heap[0] --- */

static bool is_before(const struct file *a, const struct file *b)
{
    return a->place_ns != b->place_ns ? a->place_ns < b->place_ns : a < b;
}

static void sift_down(struct files *files, size_t at)
{
    struct file **heap = files->heap, *moved = heap[at];

    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < files->heap_count && is_before(heap[child + 1], heap[child]))
            child++;
        if (child >= files->heap_count || !is_before(heap[child], moved))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void heap_add(struct files *files, struct file *file)
{
    size_t at = files->heap_count++;

    for (; at && is_before(file, files->heap[(at - 1) / 2]); at = (at - 1) / 2)
        files->heap[at] = files->heap[(at - 1) / 2];
    files->heap[at] = file;
}

static void heap_remove_first(struct files *files)
{
    files->heap[0] = files->heap[--files->heap_count];
    if (files->heap_count)
        sift_down(files, 0);
}

/* --- all files --- */

/* Opens those whose first packet is due before the earliest head. */
static int open_due(struct files *files, struct error *error)
{
    while (files->next < files->count) {
        struct file *file = &files->all[files->next];
        if (files->heap_count && file->place_ns > files->heap[0]->place_ns)
            return 0;
        /* It could be opened before: what is wrong now is told at the end. */
        struct error failure;
        files->next++;
        if (file_open(files, file, &failure) < 0) {
            note_failure(files, &failure, NULL); /* which names it */
            continue;
        }
        int rc = file_advance(files, file);
        if (rc < 0)
            return error_set(error, EINTR, "%s", files->failure.text);
        if (rc == 1)
            heap_add(files, file);
    }
    return 0;
}

static int at_the_end(const struct files *files, struct error *error)
{
    if (!files->failures)
        return 0;
    if (error) {
        *error = files->failure;
        if (files->failures > 1)
            error_add(error, "%zu files are damaged; the first", files->failures);
    }
    return -files->failure.code;
}

/* Reads the file on whose packet was given out. */
static int advance_last(struct files *files, struct error *error)
{
    if (!files->last)
        return 0;
    int rc = file_advance(files, files->last);
    files->last = NULL;
    if (rc < 0)
        return error_set(error, EINTR, "%s", files->failure.text);
    if (rc == 0)
        heap_remove_first(files);
    else
        sift_down(files, 0);
    return 0;
}

static int merge_next(struct files *files, struct capture_packet *out, struct error *error)
{
    int rc = advance_last(files, error);

    if (rc == 0)
        rc = open_due(files, error);
    if (rc < 0)
        return rc;
    if (!files->heap_count)
        return at_the_end(files, error);
    files->last = files->heap[0];
    *out = files->last->head;
    return 1;
}

int files_next(struct files *files, struct capture_packet *out, struct error *error)
{
    if (files->count > 1)
        return merge_next(files, out, error);
    int rc = savefile_next(&files->all->save, out);
    if (rc < 0 && error)
        *error = files->all->save.failure;
    return rc;
}

enum packet_link files_link(const struct files *files)
{
    return files->link;
}

void files_get_progress(const struct files *files, struct capture_progress *out)
{
    bool known = true;

    *out = (struct capture_progress){0};
    for (size_t i = 0; i < files->count; i++) {
        const struct file *file = &files->all[i];
        const struct stream *stream = &file->save.stream;
        uint64_t total = file->is_open ? stream->raw_total : file->raw_total;
        out->bytes_read += file->is_open ? stream->raw : i < files->next ? file->raw : 0;
        out->bytes_total += total;
        known = known && total;
    }
    if (!known)
        out->bytes_total = 0;
}

/* --- opening --- */

static int by_place(const void *a, const void *b)
{
    const struct file *x = a, *y = b;

    if (x->place_ns != y->place_ns)
        return x->place_ns < y->place_ns ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* Finds out when a file begins. One that cannot be opened again, as a pipe, stays open, and its
 * first packet is the head. */
static int look_into(struct files *files, struct file *file, struct error *error)
{
    int rc = file_open(files, file, error);

    if (rc < 0)
        return rc;
    if (file->index == 0)
        files->link = file->save.link;
    file->place_ns = CLOCK_NONE;
    if (!file->save.stream.is_regular)
        return 0;
    if (savefile_next(&file->save, &file->head) == 1)
        file->place_ns = file->head.real_ns;
    file_close(file);
    return 0;
}

static int add_paths(struct files *files, const char *const *paths, struct error *error)
{
    size_t from_input = 0;

    for (size_t i = 0; i < files->count; i++) {
        files->all[i].index = (uint32_t)i;
        files->all[i].path = strdup(paths[i]);
        if (!files->all[i].path)
            return error_sys(error, ENOMEM, "cannot read %s", paths[i]);
        from_input += !strcmp(paths[i], "-");
    }
    return from_input < 2 ? 0 : error_set(error, EINVAL, "standard input can be read only once");
}

int files_open(struct files **out, const char *const *paths, size_t count, struct error *error)
{
    struct files *files = calloc(1, sizeof *files);
    int rc;

    if (files) {
        files->count = count;
        files->all = calloc(count, sizeof *files->all);
        files->heap = calloc(count, sizeof *files->heap);
    }
    if (!files || !files->all || !files->heap) {
        files_close(files);
        return error_sys(error, ENOMEM, "cannot read %s", paths[0]);
    }
    rc = add_paths(files, paths, error);
    if (rc == 0 && count == 1) {
        rc = file_open(files, files->all, error);
        files->next = 1;
        files->link = files->all->save.link;
    } else {
        for (size_t i = 0; rc == 0 && i < count; i++)
            rc = look_into(files, &files->all[i], error);
        if (rc == 0)
            qsort(files->all, count, sizeof *files->all, by_place);
    }
    if (rc < 0) {
        files_close(files);
        return rc;
    }
    *out = files;
    return 0;
}

void files_close(struct files *files)
{
    if (!files)
        return;
    for (size_t i = 0; files->all && i < files->count; i++) {
        file_close(&files->all[i]);
        free(files->all[i].path);
    }
    free(files->all);
    free(files->heap);
    free(files);
}
