/* What happens to a packet between its arrival at the wire and its delivery.
 *
 * On a link without delay and rate a packet that no fault touches goes straight from the ring of
 * one side into the device of the other. Everything else is copied and waits: in the queue until
 * its time, in a rule that holds it, or for the next packet that it changes places with. */
#include "lab/wire.h"
#include "packet/build.h"
#include "packet/icmp.h"

#include <stdlib.h>
#include <string.h>

#define CLOCKS_AGE_NS     (10 * NS_PER_MS)
#define STAMP_BEFORE_NS   (1 * NS_PER_SEC) /* a stamp older than that is from before a clock step */
#define SWAP_BOUND_NS     (200 * NS_PER_MS)
#define CONDITION_TICK_NS (200 * NS_PER_US)
#define ANSWER_MTU        1280

/* Where the wire's own ICMP errors come from when a router would have sent them. */
static const struct packet_endpoint router[] = {
    {.address = {198, 18, 0, 254}},
    {.address = {0xfd, 0x6e, 0x6b, [15] = 0xfe}},
};

static int64_t arrival_ns(struct wire *wire, int64_t real_ns, int64_t now_ns)
{
    if (now_ns - wire->clocks.mono_ns > CLOCKS_AGE_NS)
        wire->clocks = clock_pair_now();
    int64_t at_ns = real_ns == CLOCK_NONE ? now_ns : clock_real_to_mono(real_ns, wire->clocks);
    return at_ns > now_ns || at_ns < now_ns - STAMP_BEFORE_NS ? now_ns : at_ns;
}

/* ---- Faults ---- */

void wire_release(struct wire *wire, struct rule *rule)
{
    struct frame *frame;
    int64_t now_ns = clock_mono_ns();

    while ((frame = list_take(&rule->held)))
        wire_schedule(wire, frame, now_ns, 0);
}

void wire_drop_all(struct wire *wire)
{
    struct frame *frame;

    while ((frame = queue_take(&wire->queue)))
        wire_lose_frame(wire, frame);
    for (uint32_t i = 0; i < wire->rules_count; i++)
        while ((frame = list_take(&wire->rules[i].held)))
            wire_lose_frame(wire, frame);
    for (int to = 0; to < LAB_HOSTS; to++) {
        if (wire->swapped[to])
            wire_lose_frame(wire, wire->swapped[to]);
        wire->swapped[to] = NULL;
        wire->busy_until_ns[to] = 0;
    }
}

/* What the rules decided about one packet. */
struct decision {
    const struct rule *rule; /* the last that acted */
    struct rule *holder;
    bool drop, swap, twice, corrupt, cut;
    enum lab_action answer; /* LAB_ANSWER_RST or LAB_ANSWER_ICMP, else LAB_DROP */
    int64_t extra_ns;
    uint64_t chance;
};

/* Returns whether later rules are asked too. */
static bool decide_by(struct decision *d, struct rule *rule)
{
    const struct lab_fault *fault = &rule->fault;

    d->rule = rule;
    switch (fault->action) {
    case LAB_LATE:
        d->extra_ns += fault->duration_ns;
        if (fault->jitter_ns)
            d->extra_ns += (int64_t)(rule_chance(rule) % ((uint64_t)fault->jitter_ns + 1));
        return true;
    case LAB_DUPLICATE:
        d->twice = true;
        return true;
    case LAB_CORRUPT:
        d->corrupt = true;
        d->chance = rule_chance(rule);
        return true;
    case LAB_REORDER:
        d->swap = true;
        return false;
    case LAB_DROP:
        d->drop = true;
        return false;
    case LAB_ANSWER_RST:
    case LAB_ANSWER_ICMP:
        d->drop = true;
        d->answer = fault->action;
        return false;
    case LAB_CUT:
        rule->cutting = true;
        d->drop = d->cut = true;
        return false;
    case LAB_HOLD:
        d->holder = rule;
        return false;
    }
    return true;
}

static struct decision decide(struct wire *wire, enum lab_host from, const struct segment *segment,
                              const struct capture_packet *packet)
{
    struct decision d = {.answer = LAB_DROP};
    int64_t age_ns = wire->rules_count ? wire_age(wire) : 0;

    for (uint32_t i = 0; i < wire->rules_count; i++) {
        struct rule *rule = &wire->rules[i];
        bool acts = rule_acts(rule, from, segment, packet, age_ns);
        if (rule->used) {
            wire->shared->fault[i].matched = rule->matched;
            wire->shared->fault[i].acted = rule->acted;
        }
        if (acts && !decide_by(&d, rule))
            break;
    }
    return d;
}

static enum trace_fate fate_of(const struct decision *d)
{
    if (d->answer != LAB_DROP)
        return TRACE_ANSWERED;
    if (d->drop)
        return TRACE_DROPPED;
    if (d->holder || d->swap || d->extra_ns)
        return TRACE_HELD;
    return d->corrupt ? TRACE_CORRUPTED : d->twice ? TRACE_DUPLICATED : TRACE_DELIVERED;
}

static struct frame *copy(struct wire *wire, enum lab_host to, const struct segment *segment,
                          const void *bytes, uint32_t len_bytes, struct trace_event *event)
{
    struct frame *frame = malloc(sizeof *frame + len_bytes);

    if (!frame) {
        wire->shared->lost++;
        wire_set_dropped(event);
        return NULL;
    }
    *frame = (struct frame){.to = to, .event = event, .segment = *segment, .len_bytes = len_bytes};
    memcpy(frame->bytes, bytes, len_bytes);
    return frame;
}

static void keep_packet(struct wire *wire, const void *bytes, uint32_t len_bytes, int64_t real_ns)
{
    struct capture_packet packet = {.bytes = bytes,
                                    .captured_len = len_bytes,
                                    .wire_len = len_bytes,
                                    .real_ns = real_ns,
                                    .link = PACKET_LINK_ETHERNET};
    if (wire->writer)
        capture_writer_add(wire->writer, &packet, NULL);
}

static int build_answer(uint8_t *out, size_t size, const struct lab_fault *fault,
                        const struct capture_packet *packet, const struct segment *segment)
{
    if (fault->action == LAB_ANSWER_RST)
        return packet_build_rst(out, size, packet->bytes, packet->captured_len, segment);
    const struct icmp_name *name = icmp_by_name(fault->icmp);
    /* What only the destination can know comes from the destination. */
    bool by_host =
        !strcmp(name->name, "port-unreachable") || !strcmp(name->name, "proto-unreachable");
    return packet_build_icmp(out, size, packet->bytes, packet->captured_len, segment, name,
                             by_host ? NULL : &router[segment->family == 6], ANSWER_MTU);
}

static void answer(struct wire *wire, enum lab_host from, const struct rule *rule,
                   const struct capture_packet *packet, const struct segment *segment,
                   int64_t arrived_ns)
{
    uint8_t bytes[PACKET_ANSWER_MAX];
    struct segment made;
    int len = build_answer(bytes, sizeof bytes, &rule->fault, packet, segment);

    if (len < 0) /* an RST is not answered, nor is an ICMP error: dropped is all it is */
        return;
    packet_decode(&made, PACKET_LINK_ETHERNET, bytes, (size_t)len, (size_t)len);
    /* Right behind what it answers: by the clock it is later than packets that have already arrived
     * and wait for their turn, and the capture would go back in time. */
    int64_t real_ns = packet->real_ns == CLOCK_NONE ? clock_real_ns() : packet->real_ns + 1;
    wire->last_real_ns = real_ns;
    keep_packet(wire, bytes, (uint32_t)len, real_ns);
    uint32_t connection = sock_sampler_connection(wire->sampler, other_host(from), &made);
    struct trace_event *event = wire_record(wire, TRACE_WIRE, from == LAB_SERVER, real_ns, &made,
                                            (uint32_t)len, connection, TRACE_MADE, rule->number);
    struct frame *frame = copy(wire, from, &made, bytes, (uint32_t)len, event);
    wire->shared->answered++;
    if (frame)
        wire_schedule(wire, frame, arrived_ns, 0);
}

static void hold(struct wire *wire, struct rule *rule, struct frame *frame, int64_t now_ns)
{
    if (!rule->held.count)
        rule->held_since_ns = now_ns;
    list_add(&rule->held, frame);
    if (rule->fault.hold_count && rule->held.count >= (size_t)rule->fault.hold_count)
        wire_release(wire, rule);
}

static void swap(struct wire *wire, struct frame *frame, int64_t now_ns)
{
    enum lab_host to = frame->to;

    if (wire->swapped[to]) {
        wire_schedule(wire, frame, now_ns, 0);
        return;
    }
    wire->swapped[to] = frame;
    wire->swap_bound_ns[to] = now_ns + SWAP_BOUND_NS;
}

/* ---- Arrival ---- */

static bool may_go_straight(const struct wire *wire, const struct decision *d, enum lab_host to)
{
    const struct lab_link *link = &wire->plan->link;

    return !link->delay_ns && !link->rate_bytes_per_sec && !d->extra_ns && !d->corrupt &&
           !wire->swapped[to];
}

static void send_on(struct wire *wire, enum lab_host to, const struct segment *segment,
                    const struct capture_packet *packet, const struct decision *d,
                    struct trace_event *event, int64_t arrived_ns)
{
    struct frame *frame = copy(wire, to, segment, packet->bytes, packet->captured_len, event);

    if (!frame)
        return;
    frame->twice = d->twice;
    if (d->corrupt)
        packet_corrupt(frame->bytes, frame->len_bytes, segment, d->chance);
    if (d->holder)
        hold(wire, d->holder, frame, clock_mono_ns());
    else if (d->swap)
        swap(wire, frame, clock_mono_ns());
    else
        wire_schedule(wire, frame, arrived_ns, d->extra_ns);
}

void wire_arrived(struct wire *wire, enum lab_host from, const struct capture_packet *packet)
{
    enum lab_host to = other_host(from);
    struct segment segment;
    struct decision d = {.answer = LAB_DROP};
    struct trace_event *event = NULL;
    int64_t now_ns = clock_mono_ns(), arrived_ns = arrival_ns(wire, packet->real_ns, now_ns);

    wire->shared->seen++;
    keep_packet(wire, packet->bytes, packet->captured_len, packet->real_ns);
    packet_decode(&segment, packet->link, packet->bytes, packet->captured_len, packet->wire_len);
    bool cut = wire_is_cut(wire);
    if (!is_background(&segment)) {
        if (!cut)
            d = decide(wire, from, &segment, packet);
        event =
            wire_record(wire, TRACE_WIRE, from == LAB_CLIENT, packet->real_ns, &segment,
                        packet->wire_len, sock_sampler_connection(wire->sampler, from, &segment),
                        cut ? TRACE_DROPPED : fate_of(&d), d.rule ? d.rule->number : 0);
    }
    if (cut || d.drop) {
        wire->shared->dropped++;
        /* The sender has moved on whatever becomes of its packet: see its state all the same. */
        if (!is_background(&segment))
            sock_sampler_around(wire->sampler, from, &segment);
        if (d.cut)
            wire_drop_all(wire);
        if (d.answer != LAB_DROP)
            answer(wire, from, d.rule, packet, &segment, arrived_ns);
        return;
    }
    if (d.holder || d.swap || !may_go_straight(wire, &d, to)) {
        if (!is_background(&segment))
            sock_sampler_around(wire->sampler, from, &segment);
        send_on(wire, to, &segment, packet, &d, event, arrived_ns);
        return;
    }
    wire_deliver(wire, &(struct delivery){.to = to,
                                          .segment = &segment,
                                          .bytes = packet->bytes,
                                          .len_bytes = packet->captured_len,
                                          .scheduled_ns = arrived_ns,
                                          .event = event,
                                          .twice = d.twice});
}

void wire_observed(struct wire *wire, enum lab_host host, const struct capture_packet *packet)
{
    struct segment segment;

    packet_decode(&segment, packet->link, packet->bytes, packet->captured_len, packet->wire_len);
    if (!is_background(&segment))
        wire_record(wire, host == LAB_CLIENT ? TRACE_CLIENT : TRACE_SERVER, host == LAB_CLIENT,
                    packet->real_ns, &segment, packet->wire_len, 0, TRACE_OBSERVED, 0);
}

/* ---- Time ---- */

static void check_holds(struct wire *wire, int64_t now_ns)
{
    for (uint32_t i = 0; i < wire->rules_count; i++) {
        struct rule *rule = &wire->rules[i];
        if (rule->waits && condition_met(&rule->condition, wire->trace)) {
            rule->waits = false;
            rule->spent = true;
            wire_release(wire, rule);
        }
        if (rule->held.count && rule->fault.duration_ns &&
            now_ns >= rule->held_since_ns + rule->fault.duration_ns)
            wire_release(wire, rule);
    }
}

void wire_due(struct wire *wire, int64_t now_ns)
{
    const struct frame *first;

    check_holds(wire, now_ns);
    for (int to = 0; to < LAB_HOSTS; to++) {
        struct frame *frame = wire->swapped[to];
        if (frame && now_ns >= wire->swap_bound_ns[to]) {
            wire->swapped[to] = NULL;
            wire_schedule(wire, frame, now_ns, 0);
        }
    }
    while ((first = queue_first(&wire->queue)) && first->depart_ns <= now_ns)
        wire_deliver_frame(wire, queue_take(&wire->queue));
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t wire_next_ns(const struct wire *wire)
{
    const struct frame *first = queue_first(&wire->queue);
    int64_t next_ns = first ? first->depart_ns : INT64_MAX;

    for (int to = 0; to < LAB_HOSTS; to++)
        if (wire->swapped[to])
            next_ns = earlier(next_ns, wire->swap_bound_ns[to]);
    for (uint32_t i = 0; i < wire->rules_count; i++) {
        const struct rule *rule = &wire->rules[i];
        /* Roles write into the trace without telling the wire. */
        if (rule->waits && rule->held.count)
            next_ns = earlier(next_ns, clock_mono_ns() + CONDITION_TICK_NS);
        if (rule->held.count && rule->fault.duration_ns)
            next_ns = earlier(next_ns, rule->held_since_ns + rule->fault.duration_ns);
    }
    return next_ns;
}
