/* Memory that lives and dies together.
 *
 * A report is many small strings and arrays with one lifetime; they come from one arena and are
 * freed by one call. Allocation is zeroed and aligned for any type. When memory runs out an
 * allocation returns NULL (text: a static "?"), and `failed` stays set, so that a builder may check
 * once, at the end. A new arena is {0}. Not for use by two threads at once.
 *
 * An arena may take its memory from a region instead of the heap: memory that a parent and its
 * child share, at the same address in both, so that what the child builds there the parent can
 * read, pointers and all. arena_free() then releases nothing; the region belongs to its owner. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;

/* Memory that is given out once, from its beginning. */
struct arena_region {
    unsigned char *at, *end;
};

struct arena {
    struct arena_block *blocks;
    bool failed;
    struct arena_region *region; /* NULL: the heap */
};

void *arena_alloc(struct arena *arena, size_t size_bytes);
/* Room for count + 1 elements where `array` had count: the same pointer most of the time, a larger
 * copy when count is a power of two (or 0). The caller writes the new element and keeps the count.
 */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t element_bytes);
const char *arena_copy(struct arena *arena, const char *text); /* NULL stays NULL */
__attribute__((format(printf, 2, 3))) const char *arena_printf(struct arena *arena,
                                                               const char *format, ...);
__attribute__((format(printf, 2, 0))) const char *arena_vprintf(struct arena *arena,
                                                                const char *format, va_list args);
/* "41.3 ms", as units_format_duration() has it, with "µs". */
const char *arena_duration(struct arena *arena, int64_t ns);
void arena_free(struct arena *arena);

static inline void cleanup_arena(struct arena *arena)
{
    arena_free(arena);
}

#endif
