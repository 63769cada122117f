#include "lab/wire.h"
#include "packet/icmp.h"

#include <errno.h>

static int check(const struct lab_fault *fault, enum flag_word word,
                 const struct capture_filter *filter, struct error *error)
{
    if (fault->by_chance && !(fault->probability >= 0 && fault->probability <= 1))
        return error_set(error, EINVAL, "a probability must be between 0 and 1");
    if (fault->nth < 0 || fault->count < 0 || fault->duration_ns < 0 || fault->jitter_ns < 0 ||
        fault->hold_count < 0)
        return error_set(error, EINVAL, "a fault's numbers and durations must not be negative");
    if (fault->action == LAB_ANSWER_ICMP && !icmp_by_name(fault->icmp))
        return error_set(error, EINVAL, "'%s' is not an ICMP message that the wire knows",
                         fault->icmp);
    if ((word == WORD_NONE) != (filter != NULL))
        return error_set(error, EPROTO, "a fault without its filter");
    return 0;
}

int rule_init(struct rule *rule, const struct lab_fault *fault, struct capture_filter *filter,
              uint32_t number, const struct wire *wire, struct error *error)
{
    struct rule made = {
        .used = true,
        .number = number,
        .fault = *fault,
        .word = flag_word_of(fault->match.text),
        .filter = filter,
        .chance = wire->plan->seed + number,
    };
    int rc = check(fault, made.word, filter, error);

    if (!rc && fault->action == LAB_HOLD && fault->until.kind != LAB_NO_CONDITION) {
        rc = condition_init(&made.condition, &fault->until, wire->first_event, error);
        made.waits = true;
    }
    if (rc)
        capture_filter_free(filter);
    else
        *rule = made;
    return rc;
}

void rule_end(struct rule *rule)
{
    capture_filter_free(rule->filter);
    *rule = (struct rule){.used = false};
}

bool rule_awake(const struct rule *rule, int64_t age_ns)
{
    return age_ns >= rule->fault.from_ns && (!rule->fault.to_ns || age_ns < rule->fault.to_ns);
}

/* splitmix64 (G. L. Steele, D. Lea, C. H. Flood: Fast Splittable Pseudorandom Number Generators,
 * 2014): each rule has a stream of its own, so that one rule's draws do not depend on another's. */
uint64_t rule_chance(struct rule *rule)
{
    uint64_t z = (rule->chance += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool matches(const struct rule *rule, enum lab_host from, const struct segment *segment,
                    const struct capture_packet *packet)
{
    enum lab_direction direction = rule->fault.match.direction;

    if ((direction == LAB_FROM_CLIENT && from != LAB_CLIENT) ||
        (direction == LAB_FROM_SERVER && from != LAB_SERVER))
        return false;
    if (rule->word == WORD_NONE)
        return capture_filter_matches(rule->filter, packet->bytes, packet->captured_len,
                                      packet->wire_len);
    return flag_word_matches(rule->word, segment->kind == PACKET_TCP, segment->flags,
                             segment->payload_len);
}

bool rule_acts(struct rule *rule, enum lab_host from, const struct segment *segment,
               const struct capture_packet *packet, int64_t age_ns)
{
    const struct lab_fault *fault = &rule->fault;
    uint64_t limit = fault->count ? (uint64_t)fault->count : fault->nth ? 1 : UINT64_MAX;

    if (!rule->used || rule->spent || !rule_awake(rule, age_ns) ||
        !matches(rule, from, segment, packet))
        return false;
    rule->matched++;
    if (rule->matched < (uint64_t)fault->nth || rule->acted >= limit)
        return false;
    /* The upper 53 bits are a double's worth of chance in [0, 1). */
    if (fault->by_chance && (double)(rule_chance(rule) >> 11) * 0x1p-53 >= fault->probability)
        return false;
    rule->acted++;
    return true;
}
