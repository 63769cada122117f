/* What other targets of a run say about one: a host that answered on another port is alive. */
#include "diagnosis/reach.h"

#include <stdlib.h>
#include <string.h>

static bool answered(const struct reach_evidence *evidence, enum reach_answer answer)
{
    for (size_t i = 0; i < evidence->try_count; i++)
        if (evidence->tries[i].answer == answer)
            return true;
    return false;
}

static bool at_once(const struct reach_evidence *evidence)
{
    for (size_t i = 0; i < evidence->try_count; i++)
        if (evidence->tries[i].answer == REACH_SILENCE || evidence->tries[i].syn_retransmits)
            return false;
    return true;
}

/* How much it proves that the host is alive: a connection more than an RST, which others can send
 * in its name. 0: nothing. */
static int weight(const struct reach_evidence *evidence)
{
    if (answered(evidence, REACH_CONNECTED))
        return 4 + 2 * at_once(evidence);
    return answered(evidence, REACH_RST);
}

static bool captured(const struct reach_evidence *evidence)
{
    return evidence->try_count && evidence->tries[0].wire.seen;
}

bool reach_wants_others(const struct reach_evidence *evidence)
{
    return answered(evidence, REACH_SILENCE) || !at_once(evidence) ||
           ((evidence->hop_count || captured(evidence)) && answered(evidence, REACH_RST));
}

static int compare(const void *a, const void *b)
{
    const struct reach_evidence *x = *(struct reach_evidence *const *)a;
    const struct reach_evidence *y = *(struct reach_evidence *const *)b;
    int order = strcmp(x->address, y->address);

    if (!order)
        order = weight(y) - weight(x);
    /* With its distance known it says more. */
    if (!order)
        order = (y->hop_count > 0) - (x->hop_count > 0);
    return order ? order : (x > y) - (x < y);
}

static void reach_learn_from(struct reach_evidence *evidence, const struct reach_evidence *other)
{
    if (!weight(other) || other->port == evidence->port)
        return;
    enum reach_answer answer = answered(other, REACH_CONNECTED) ? REACH_CONNECTED : REACH_RST;
    evidence->other = (struct reach_other){.target = other->target,
                                           .answer = answer,
                                           .ttl = reach_ttl(other->tries, other->try_count, answer),
                                           .at_once = at_once(other),
                                           .hop = reach_end_hop(other->hops, other->hop_count)};
}

/* Sorted, the best witness of an address comes first, and the next is there for itself. */
void reach_find_others(struct reach_evidence **all, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (all[i]->address)
            all[kept++] = all[i];
    if (!kept)
        return;
    qsort(all, kept, sizeof(struct reach_evidence *), compare);
    for (size_t first = 0, last; first < kept; first = last) {
        last = first + 1;
        while (last < kept && !strcmp(all[first]->address, all[last]->address))
            last++;
        for (size_t i = first; i < last; i++) {
            size_t witness = first;
            while (witness < last && all[witness]->port == all[i]->port)
                witness++;
            if (witness < last)
                reach_learn_from(all[i], all[witness]);
        }
    }
}
