#include "flow/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 1024

int flow_key_of(struct flow_key *out, uint8_t family, const struct packet_endpoint *source,
                const struct packet_endpoint *destination)
{
    int order = memcmp(source->address, destination->address, sizeof source->address);
    int from = order ? order > 0 : source->port > destination->port;

    out->family = family;
    memcpy(out->end[from].address, source->address, sizeof source->address);
    memcpy(out->end[!from].address, destination->address, sizeof destination->address);
    out->end[from].port = source->port;
    out->end[!from].port = destination->port;
    return from;
}

int flow_table_open(struct flow_table *table, uint64_t seed)
{
    *table = (struct flow_table){.seed = seed, .mask = SLOTS_FIRST - 1};
    table->slots = calloc(SLOTS_FIRST, sizeof *table->slots);
    return table->slots ? 0 : -ENOMEM;
}

void flow_table_close(struct flow_table *table)
{
    for (size_t i = 0; i < table->slab_count; i++)
        free(table->slabs[i]);
    free(table->slabs);
    free(table->slots);
    free(table->free_places);
    *table = (struct flow_table){0};
}

/* The 128-bit product of two words, folded: every bit of both reaches every bit of it. By halves,
 * because processors of 32 bits have no wider product; the others make one instruction of it. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    uint64_t low_a = a & UINT32_MAX, high_a = a >> 32, low_b = b & UINT32_MAX, high_b = b >> 32;
    uint64_t low = low_a * low_b, high = high_a * high_b;
    uint64_t middle = high_a * low_b + (low >> 32);
    uint64_t other = low_a * high_b + (middle & UINT32_MAX);

    return (other << 32 | (low & UINT32_MAX)) ^ (high + (middle >> 32) + (other >> 32));
}

static uint64_t word(const uint8_t *bytes)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof value);
    return value;
}

uint32_t flow_table_hash(const struct flow_table *table, const struct flow_key *key)
{
    const struct flow_endpoint *a = &key->end[0], *b = &key->end[1];
    uint64_t ports = (uint64_t)a->port << 16 | b->port | (uint64_t)key->family << 32;
    uint64_t hash = fold(word(a->address) ^ table->seed ^ UINT64_C(0x9e3779b97f4a7c15),
                         word(b->address) ^ UINT64_C(0xd6e8feb86659fd93));

    if (key->family == 6)
        hash = fold(hash ^ word(a->address + 8) ^ table->seed,
                    word(b->address + 8) ^ UINT64_C(0xa0761d6478bd642f));
    hash = fold(hash ^ ports, table->seed ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint32_t)(hash ^ hash >> 32);
}

static struct flow_connection *at_place(const struct flow_table *table, size_t place)
{
    return &table->slabs[place / FLOW_SLAB][place % FLOW_SLAB];
}

static bool same_end(const struct flow_endpoint *a, const struct flow_endpoint *b)
{
    return a->port == b->port && !memcmp(a->address, b->address, sizeof a->address);
}

static bool has_key(const struct flow_connection *connection, const struct flow_key *key)
{
    return same_end(&connection->end[0], &key->end[0]) &&
           same_end(&connection->end[1], &key->end[1]) && connection->family == key->family;
}

struct flow_connection *flow_table_find(const struct flow_table *table, const struct flow_key *key,
                                        uint32_t hash)
{
    for (size_t i = hash & table->mask; table->slots[i].place; i = (i + 1) & table->mask) {
        if (table->slots[i].hash != hash)
            continue;
        struct flow_connection *connection = at_place(table, table->slots[i].place - 1);
        if (has_key(connection, key))
            return connection;
    }
    return NULL;
}

static void put_slot(struct flow_slot *slots, size_t mask, struct flow_slot slot)
{
    size_t i = slot.hash & mask;

    while (slots[i].place)
        i = (i + 1) & mask;
    slots[i] = slot;
}

static int grow_index(struct flow_table *table)
{
    size_t room = 2 * (table->mask + 1);
    struct flow_slot *slots = calloc(room, sizeof *slots);

    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i <= table->mask; i++)
        if (table->slots[i].place)
            put_slot(slots, room - 1, table->slots[i]);
    free(table->slots);
    table->slots = slots;
    table->mask = room - 1;
    return 0;
}

/* The stack of free places has room for every place, so that freeing one never allocates. */
static int grow_slabs(struct flow_table *table)
{
    if (table->slab_count == table->slab_room) {
        size_t room = table->slab_room ? 2 * table->slab_room : 16;
        struct flow_connection **slabs = realloc(table->slabs, room * sizeof *slabs);
        if (!slabs)
            return -ENOMEM;
        table->slabs = slabs;
        uint32_t *places = realloc(table->free_places, room * FLOW_SLAB * sizeof *places);
        if (!places)
            return -ENOMEM;
        table->free_places = places;
        table->slab_room = room;
    }
    struct flow_connection *slab = calloc(FLOW_SLAB, sizeof *slab);
    if (!slab)
        return -ENOMEM;
    table->slabs[table->slab_count++] = slab;
    return 0;
}

struct flow_connection *flow_table_add(struct flow_table *table, const struct flow_key *key,
                                       uint32_t hash)
{
    if (2 * (table->count + 1) > table->mask && grow_index(table))
        return NULL;
    if (!table->free_count && table->places == table->slab_count * FLOW_SLAB && grow_slabs(table))
        return NULL;
    size_t place = table->free_count ? table->free_places[--table->free_count] : table->places++;
    struct flow_connection *connection = at_place(table, place);
    *connection = (struct flow_connection){.family = key->family};
    memcpy(connection->end, key->end, sizeof connection->end);
    put_slot(table->slots, table->mask, (struct flow_slot){hash, (uint32_t)place + 1});
    table->count++;
    return connection;
}

/* Moves later slots of the same run back over the free one, where their home lets them. */
static void close_gap(struct flow_table *table, size_t gap)
{
    struct flow_slot *slots = table->slots;
    size_t mask = table->mask;

    for (size_t i = (gap + 1) & mask; slots[i].place; i = (i + 1) & mask) {
        size_t home = slots[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        slots[gap] = slots[i];
        gap = i;
    }
    slots[gap].place = 0;
}

void flow_table_remove(struct flow_table *table, struct flow_connection *connection)
{
    struct flow_key key = {.family = connection->family};

    memcpy(key.end, connection->end, sizeof key.end);
    for (size_t i = flow_table_hash(table, &key) & table->mask; table->slots[i].place;
         i = (i + 1) & table->mask) {
        uint32_t place = table->slots[i].place - 1;
        if (at_place(table, place) != connection)
            continue;
        close_gap(table, i);
        table->free_places[table->free_count++] = place;
        connection->family = 0;
        table->count--;
        return;
    }
}

struct flow_connection *flow_table_at(const struct flow_table *table, size_t place)
{
    struct flow_connection *connection = at_place(table, place);

    return connection->family ? connection : NULL;
}
