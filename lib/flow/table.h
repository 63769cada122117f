/* Connections by their endpoints.
 *
 * An index of 8-byte slots (hash and place), open-addressed with linear probing, at most half full;
 * and the connections themselves in slabs, which never move, so that growing copies 8 bytes a
 * connection. A key is both endpoints, the lower one first: tunnels and VLANs do not matter. The
 * hash is seeded, so that no capture can be made to collide. Removal shifts slots back and leaves
 * no graves. Nothing is allocated but a slab for each 1024 connections, and the index as it
 * doubles.
 */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include "flow/connection.h"
#include <stddef.h>

struct flow_key {
    struct flow_endpoint end[2];
    uint8_t family;
};

struct flow_slot {
    uint32_t hash;
    uint32_t place; /* + 1; 0: free */
};

#define FLOW_SLAB 1024

struct flow_table {
    struct flow_slot *slots;
    size_t mask;
    size_t count;
    struct flow_connection **slabs;
    size_t slab_count, slab_room;
    uint32_t *free_places; /* a stack */
    size_t free_count, free_room;
    size_t places; /* ever used */
    uint64_t seed;
};

/* The key of a segment, and which of its ends sent it. */
int flow_key_of(struct flow_key *out, uint8_t family, const struct packet_endpoint *source,
                const struct packet_endpoint *destination);

int flow_table_open(struct flow_table *table, uint64_t seed); /* -ENOMEM */
void flow_table_close(struct flow_table *table);

uint32_t flow_table_hash(const struct flow_table *table, const struct flow_key *key);
/* NULL when there is none. */
struct flow_connection *flow_table_find(const struct flow_table *table, const struct flow_key *key,
                                        uint32_t hash);
/* A zeroed connection of that key, which must not be there. NULL: no memory. */
struct flow_connection *flow_table_add(struct flow_table *table, const struct flow_key *key,
                                       uint32_t hash);
void flow_table_remove(struct flow_table *table, struct flow_connection *connection);

/* The connection at a place below `places`, or NULL where there is none now. */
struct flow_connection *flow_table_at(const struct flow_table *table, size_t place);

#endif
