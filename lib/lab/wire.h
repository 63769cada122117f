/* What the files of the wire process share. */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include "base/clock.h"
#include "capture/capture.h"
#include "lab/flag_word.h"
#include "lab/internal.h"
#include "packet/packet.h"
#include "trace/trace.h"

struct sock_diag;
struct wire;
struct sock_sampler;

/* A frame that the wire keeps for a while. */
struct frame {
    struct frame *next; /* in a list of held ones */
    int64_t depart_ns;
    uint64_t order; /* among equal times */
    enum lab_host to;
    struct trace_event *event; /* where its departure is recorded, or NULL */
    struct segment segment;
    bool twice; /* deliver it a second time */
    uint32_t len_bytes;
    uint8_t bytes[];
};

/* ---- queue.c: frames by time of departure ---- */
struct queue {
    struct frame **heap;
    size_t count, room;
    uint64_t order;
    size_t bytes;
};
int queue_add(struct queue *queue, struct frame *frame);
struct frame *queue_first(const struct queue *queue);
struct frame *queue_take(struct queue *queue);

struct frame_list {
    struct frame *first, **end;
    size_t count;
};
void list_add(struct frame_list *list, struct frame *frame);
struct frame *list_take(struct frame_list *list);

/* ---- condition.c ---- */
struct condition {
    struct lab_condition what;
    enum flag_word word;
    size_t next;      /* the first slot whose verdict may still change */
    uint64_t counted; /* matches before it */
};
int condition_init(struct condition *condition, const struct lab_condition *what, size_t first,
                   struct error *error);
bool condition_met(struct condition *condition, const struct trace *trace);

/* ---- rule.c ---- */
struct rule {
    bool used;
    uint32_t number;
    struct lab_fault fault;
    enum flag_word word;
    struct capture_filter *filter;
    uint64_t matched, acted, chance;
    bool cutting;
    struct frame_list held;
    int64_t held_since_ns;
    bool waits; /* `condition` is used, and has not come true */
    bool spent; /* it came true */
    struct condition condition;
};
/* Takes the filter over, which a flag word has none of. */
int rule_init(struct rule *rule, const struct lab_fault *fault, struct capture_filter *filter,
              uint32_t number, const struct wire *wire, struct error *error);
void rule_end(struct rule *rule); /* its held frames must be gone */
/* Counts a match, and tells whether the rule acts on it. */
bool rule_acts(struct rule *rule, enum lab_host from, const struct segment *segment,
               const struct capture_packet *packet, int64_t age_ns);
bool rule_awake(const struct rule *rule, int64_t age_ns);
uint64_t rule_chance(struct rule *rule);

/* ---- sock_sampler.c: the states of both sockets, around each delivery ---- */
int sock_sampler_open(struct sock_sampler **out, const struct lab_plan *plan, struct error *error);
void sock_sampler_close(struct sock_sampler *sampler);
/* Takes over a sock_diag of the host's namespace. */
void sock_sampler_attach(struct sock_sampler *sampler, enum lab_host host, struct sock_diag *diag);
/* The number of the packet's connection, from 1; 0: none. */
uint32_t sock_sampler_connection(struct sock_sampler *sampler, enum lab_host from,
                                 const struct segment *segment);
void sock_sampler_around(struct sock_sampler *sampler, enum lab_host from,
                         const struct segment *segment);
void sock_sampler_last(struct sock_sampler *sampler);

/* ---- The wire ---- */
struct wire {
    const struct lab_plan *plan;
    struct lab_shared *shared;
    struct trace *trace;
    size_t first_event;
    int channel, leash, timer, epoll;
    /* the request that is dealt with */
    _Alignas(
        struct wire_request) uint8_t message[sizeof(struct wire_request) + CAPTURE_PROGRAM_MAX];
    int own_namespace;
    struct capture *port[LAB_HOSTS];
    struct capture *loopback[LAB_HOSTS];
    struct link_socket *links[LAB_HOSTS]; /* in the hosts' namespaces */
    uint64_t drops_before[LAB_HOSTS];     /* of the host's device, when it was attached */
    struct capture_writer *writer;
    struct sock_sampler *sampler;
    struct queue queue;
    int64_t busy_until_ns[LAB_HOSTS]; /* of the link towards a host, with a rate */
    struct frame *swapped[LAB_HOSTS]; /* waits for the next packet towards that host */
    int64_t swap_bound_ns[LAB_HOSTS];
    struct rule rules[LAB_FAULTS_MAX];
    uint32_t rules_count;
    bool cut;
    int64_t opened_ns;
    struct clock_pair clocks;
    int64_t last_real_ns; /* the youngest stamp that was told */
    bool finished;
};

static inline enum lab_host other_host(enum lab_host host)
{
    return host == LAB_CLIENT ? LAB_SERVER : LAB_CLIENT;
}

/* What is forwarded without asking any rule, and not recorded. */
static inline bool is_background(const struct segment *segment)
{
    return segment->kind == PACKET_ARP || segment->kind == PACKET_ND ||
           segment->kind == PACKET_MLD || segment->kind == PACKET_OTHER;
}

/* ---- deliver.c ---- */
/* Writes a packet into the trace, not yet departed. NULL when the trace is full. */
struct trace_event *wire_record(struct wire *wire, enum trace_side side, bool from_client,
                                int64_t at_real_ns, const struct segment *segment,
                                uint32_t wire_bytes, uint32_t connection, enum trace_fate fate,
                                uint32_t fault);
/* Tells that a packet that was recorded before was lost after all. NULL is allowed. */
void wire_set_dropped(struct trace_event *event);

/* Whether the link is cut, by a request or by a rule. */
bool wire_is_cut(const struct wire *wire);
/* How long the wire has been open. */
int64_t wire_age(const struct wire *wire);

struct delivery {
    enum lab_host to;
    const struct segment *segment;
    const void *bytes;
    uint32_t len_bytes;
    int64_t scheduled_ns;
    struct trace_event *event;
    bool twice;
};
void wire_deliver(struct wire *wire, const struct delivery *delivery);
/* These take the frame over. */
void wire_deliver_frame(struct wire *wire, struct frame *frame);
void wire_lose_frame(struct wire *wire, struct frame *frame);
/* Sends a frame over the link, which it enters at ready_ns, and lets it be extra_ns late. */
void wire_schedule(struct wire *wire, struct frame *frame, int64_t ready_ns, int64_t extra_ns);

/* ---- forward.c ---- */
/* A packet arrived from a host. */
void wire_arrived(struct wire *wire, enum lab_host from, const struct capture_packet *packet);
void wire_observed(struct wire *wire, enum lab_host host, const struct capture_packet *packet);
/* Delivers what is due, releases what holds are done with. */
void wire_due(struct wire *wire, int64_t now_ns);
/* When wire_due() has to be called next; INT64_MAX: not before something arrives. */
int64_t wire_next_ns(const struct wire *wire);
void wire_release(struct wire *wire, struct rule *rule);
/* Everything under way is lost. */
void wire_drop_all(struct wire *wire);

#endif
