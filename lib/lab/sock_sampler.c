/* The connections that pass, and the states of the sockets at their ends.
 *
 * When an injection returns, the receiving kernel has processed the packet, so an exact look-up in
 * sock_diag right before and right after it sees states that last microseconds. Each look-up costs
 * some microseconds too: a connection with many packets behind it, established at both ends, is
 * looked up only around packets that can change its state. */
#include "base/cleanup.h"
#include "lab/wire.h"
#include "netkit/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS         1024
#define CONNECTIONS_MAX 65536
#define SETTLED_AFTER   64
#define LAST_MAX        4096

struct key {
    uint8_t family;
    struct packet_endpoint end[LAB_HOSTS];
};

struct connection {
    struct connection *next;
    struct key key;
    struct sock_address address[LAB_HOSTS];
    uint32_t number;
    uint32_t packets;
    uint32_t isn[LAB_HOSTS];
    bool has_isn[LAB_HOSTS];
    int state[LAB_HOSTS]; /* 0: none was seen yet */
};

struct sock_sampler {
    const struct lab_plan *plan;
    struct sock_diag *diag[LAB_HOSTS];
    struct connection *bucket[BUCKETS];
    uint32_t count, numbers;
};

int sock_sampler_open(struct sock_sampler **out, const struct lab_plan *plan, struct error *error)
{
    struct sock_sampler *sampler = calloc(1, sizeof *sampler);

    if (!sampler)
        return error_sys(error, ENOMEM, "states");
    sampler->plan = plan;
    *out = sampler;
    return 0;
}

void sock_sampler_close(struct sock_sampler *sampler)
{
    if (!sampler)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct connection *c = sampler->bucket[i], *next; c; c = next) {
            next = c->next;
            free(c);
        }
    for (int host = 0; host < LAB_HOSTS; host++)
        sock_diag_close(sampler->diag[host]);
    free(sampler);
}

void sock_sampler_attach(struct sock_sampler *sampler, enum lab_host host, struct sock_diag *diag)
{
    sock_diag_close(sampler->diag[host]);
    sampler->diag[host] = diag;
}

/* An ICMP error belongs to the connection that it quotes, whose sender is its receiver. */
static bool key_of(struct key *key, enum lab_host from, const struct segment *segment)
{
    const struct packet_quote *quote = &segment->icmp.quote;

    memset(key, 0, sizeof *key);
    if (segment->kind == PACKET_TCP) {
        key->family = segment->family;
        key->end[from] = segment->source;
        key->end[other_host(from)] = segment->destination;
    } else if (segment->kind == PACKET_ICMP && segment->icmp.is_error && quote->has_ports &&
               quote->protocol == IPPROTO_TCP) {
        key->family = quote->family;
        key->end[other_host(from)] = quote->source;
        key->end[from] = quote->destination;
    }
    return key->family;
}

static uint32_t hash_bytes(uint32_t hash, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 16777619u; /* FNV-1a */
    return hash;
}

static struct connection **bucket_of(struct sock_sampler *sampler, const struct key *key)
{
    uint32_t hash = 2166136261u;

    for (int host = 0; host < LAB_HOSTS; host++) {
        hash = hash_bytes(hash, &key->end[host].port, sizeof key->end[host].port);
        hash = hash_bytes(hash, key->end[host].address, sizeof key->end[host].address);
    }
    return &sampler->bucket[hash % BUCKETS];
}

static bool same_key(const struct key *a, const struct key *b)
{
    for (int host = 0; host < LAB_HOSTS; host++)
        if (a->end[host].port != b->end[host].port ||
            memcmp(a->end[host].address, b->end[host].address, sizeof a->end[host].address))
            return false;
    return a->family == b->family;
}

static struct connection *find(struct sock_sampler *sampler, const struct key *key)
{
    struct connection *c = *bucket_of(sampler, key);

    while (c && !same_key(&c->key, key))
        c = c->next;
    return c;
}

static struct sock_address address_of(uint8_t family, const struct packet_endpoint *end)
{
    struct sock_address address = {0};

    if (family == 4) {
        address.v4.sin_family = AF_INET;
        memcpy(&address.v4.sin_addr, end->address, sizeof address.v4.sin_addr);
        address.len_bytes = sizeof address.v4;
    } else {
        address.v6.sin6_family = AF_INET6;
        memcpy(&address.v6.sin6_addr, end->address, sizeof address.v6.sin6_addr);
        address.len_bytes = sizeof address.v6;
    }
    sock_address_set_port(&address, end->port);
    return address;
}

static struct connection *add(struct sock_sampler *sampler, const struct key *key)
{
    struct connection **bucket = bucket_of(sampler, key);
    struct connection *c = sampler->count < CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;

    if (!c)
        return NULL;
    c->key = *key;
    for (int host = 0; host < LAB_HOSTS; host++)
        c->address[host] = address_of(key->family, &key->end[host]);
    c->number = ++sampler->numbers;
    c->next = *bucket;
    *bucket = c;
    sampler->count++;
    return c;
}

/* A SYN with another initial sequence number than the same side's before is another connection on
 * the same ports. */
static void note_isn(struct sock_sampler *sampler, struct connection *c, enum lab_host from,
                     const struct segment *segment)
{
    if (!(segment->flags & SEGMENT_SYN))
        return;
    if (c->has_isn[from] && c->isn[from] != segment->seq && !(segment->flags & SEGMENT_ACK)) {
        c->number = ++sampler->numbers;
        c->packets = 0;
        memset(c->has_isn, 0, sizeof c->has_isn);
        memset(c->state, 0, sizeof c->state);
    }
    c->has_isn[from] = true;
    c->isn[from] = segment->seq;
}

uint32_t sock_sampler_connection(struct sock_sampler *sampler, enum lab_host from,
                                 const struct segment *segment)
{
    struct key key;

    if (!key_of(&key, from, segment))
        return 0;
    struct connection *c = find(sampler, &key);
    if (!c && segment->kind == PACKET_TCP)
        c = add(sampler, &key);
    if (!c)
        return 0;
    c->packets++;
    if (segment->kind == PACKET_TCP)
        note_isn(sampler, c, from, segment);
    return c->number;
}

static void sample(struct sock_sampler *sampler, struct connection *c, enum lab_host host)
{
    struct sock_diag_entry entry;
    int rc = sampler->diag[host] ? sock_diag_lookup(sampler->diag[host], &c->address[host],
                                                    &c->address[other_host(host)], &entry, NULL)
                                 : -ENOENT;
    int state = rc ? TCP_CLOSE : entry.state;

    if (rc && (rc != -ENOENT || !c->state[host]))
        return;
    if (state == c->state[host])
        return;
    struct trace_event event = {
        .at_real_ns = clock_real_ns(),
        .kind = TRACE_STATE,
        .side = host == LAB_CLIENT ? TRACE_CLIENT : TRACE_SERVER,
        .connection = c->number,
        .state = {.state = state,
                  .before = c->state[host],
                  .receive_queue_bytes = rc ? 0 : entry.rqueue,
                  .send_queue_bytes = rc ? 0 : entry.wqueue},
    };
    c->state[host] = state;
    trace_append(sampler->plan->trace, &event);
}

static bool settled(const struct connection *c, const struct segment *segment)
{
    return c->packets > SETTLED_AFTER && c->state[LAB_CLIENT] == TCP_ESTABLISHED &&
           c->state[LAB_SERVER] == TCP_ESTABLISHED && segment->kind == PACKET_TCP &&
           !(segment->flags & (SEGMENT_SYN | SEGMENT_FIN | SEGMENT_RST));
}

void sock_sampler_around(struct sock_sampler *sampler, enum lab_host from,
                         const struct segment *segment)
{
    struct key key;

    if (sampler->plan->no_states || !key_of(&key, from, segment))
        return;
    struct connection *c = find(sampler, &key);
    if (!c || settled(c, segment))
        return;
    sample(sampler, c, other_host(from));
    sample(sampler, c, from);
}

void sock_sampler_last(struct sock_sampler *sampler)
{
    size_t done = 0;

    for (size_t i = 0; !sampler->plan->no_states && i < BUCKETS; i++)
        for (struct connection *c = sampler->bucket[i]; c && done < LAST_MAX; c = c->next, done++)
            for (int host = 0; host < LAB_HOSTS; host++)
                sample(sampler, c, host);
}
