#include "base/arena.h"

#include "base/shortage.h"
#include "base/units.h"
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES     4096
#define BLOCK_BYTES_MAX (64 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used_bytes, size_bytes;
    alignas(max_align_t) unsigned char data[];
};

static struct arena_block *new_block(struct arena *arena, size_t room)
{
    struct arena_region *region = arena->region;
    size_t size_bytes = sizeof(struct arena_block) + room;

    if (!region)
        return calloc(1, size_bytes);
    size_bytes = (size_bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (size_bytes > (size_t)(region->end - region->at))
        return NULL;
    struct arena_block *block = (struct arena_block *)(void *)region->at;
    region->at += size_bytes;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    struct arena_block *block = arena->blocks;

    if (size_bytes > SIZE_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    size_bytes = (size_bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (!block || block->size_bytes - block->used_bytes < size_bytes) {
        size_t next = block ? 2 * block->size_bytes : BLOCK_BYTES;
        next = next < BLOCK_BYTES_MAX ? next : BLOCK_BYTES_MAX;
        size_t room = size_bytes > next ? size_bytes : next;
        block = new_block(arena, room);
        if (!block) {
            shortage_note(ENOMEM);
            arena->failed = true;
            return NULL;
        }
        block->size_bytes = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->data + block->used_bytes;
    block->used_bytes += size_bytes;
    return memory;
}

void *arena_grow(struct arena *arena, void *array, size_t count, size_t element_bytes)
{
    if (count & (count - 1) || (count && !array))
        return array;
    void *bigger = arena_alloc(arena, (count ? 2 * count : 1) * element_bytes);
    if (bigger && count)
        memcpy(bigger, array, count * element_bytes);
    return bigger;
}

const char *arena_copy(struct arena *arena, const char *text)
{
    size_t size_bytes = text ? strlen(text) + 1 : 0;
    char *copy = text ? arena_alloc(arena, size_bytes) : NULL;

    return copy ? memcpy(copy, text, size_bytes) : text ? "?" : NULL;
}

const char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;

    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, args);
    return text ? text : "?";
}

const char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

const char *arena_duration(struct arena *arena, int64_t ns)
{
    char text[UNITS_TEXT_MAX];
    return arena_copy(arena, units_format_duration(text, sizeof text, ns, "µ"));
}

void arena_free(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        if (!arena->region)
            free(block);
    }
    arena->failed = false;
}
