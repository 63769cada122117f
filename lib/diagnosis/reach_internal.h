/* Between the files of the diagnosis of a connect. */
#ifndef DIAGNOSIS_REACH_INTERNAL_H
#define DIAGNOSIS_REACH_INTERNAL_H

#include "base/cleanup.h"
#include "diagnosis/reach.h"

enum reach_case {
    REACH_CASE_ACCEPTED,
    REACH_CASE_SLOW,
    REACH_CASE_LATE,
    REACH_CASE_RETRIED,
    REACH_CASE_OVERLOADED,
    REACH_CASE_UNSTEADY,
    REACH_CASE_UNSTEADY_RESET,
    REACH_CASE_UNSTEADY_OTHER,
    REACH_CASE_REFUSED,
    REACH_CASE_REFUSED_BEFORE,
    REACH_CASE_RESET,
    REACH_CASE_ITSELF,
    REACH_CASE_REJECTED,
    REACH_CASE_NO_HOST,
    REACH_CASE_NO_NEIGHBOUR,
    REACH_CASE_NO_ROUTE_THERE,
    REACH_CASE_LOOP,
    REACH_CASE_OTHER_ICMP,
    REACH_CASE_NO_ROUTE,
    REACH_CASE_NOT_ALLOWED,
    REACH_CASE_NO_ADDRESS,
    REACH_CASE_FILTERED,
    REACH_CASE_NOT_TAKEN,
    REACH_CASE_NOT_SENT,
    REACH_CASE_SILENT,
    REACH_CASE_NO_NAME,
    REACH_CASE_NO_MEANS,
    REACH_CASE_UNTRIED,
    REACH_CASES
};

struct reach_verdict {
    struct arena *arena;
    const struct reach_evidence *evidence;
    struct result_reach *result;
    struct finding_list *findings;
    const struct reach_try *decisive; /* the try that the case rests on; NULL: none */
    size_t counts[REACH_ANSWERS];
    size_t retried; /* tries in which a SYN was sent again */
    int64_t retransmits;
    int64_t rtt_least_ns, rtt_most_ns;
    int64_t hop; /* of the ICMP's sender, where the path has it */
};

/* Sets the case with what follows from it alone, and adds its finding, which may be changed (a
 * scratch one where the case has none). `summary` comes from the arena or is static. */
struct finding *reach_conclude(struct reach_verdict *verdict, enum reach_case which,
                               const char *summary);

void reach_judge_icmp(struct reach_verdict *verdict);
void reach_judge_local(struct reach_verdict *verdict);
void reach_judge_silence(struct reach_verdict *verdict);

/* Whether the RST of the evidence has another sender than the other target's answer, by their TTLs;
 * and how far away a TTL's sender is, if it began with a usual one. */
bool reach_other_ttl(const struct reach_evidence *evidence);
int reach_ttl_hops(uint8_t ttl);
/* A sentence, with a space before it, on the TTL of the decisive try's RST; or "". */
const char *reach_ttl_remark(struct reach_verdict *verdict);
/* What a capture saw of silence that the socket did not say. */
enum reach_sighting {
    REACH_SAW_NOTHING, /* no more than the socket, or there was no capture */
    REACH_SAW_ICMP,    /* an ICMP error that the socket did not report */
    REACH_SAW_SYNACK,  /* which the kernel did not take */
    REACH_SAW_NO_SYN,  /* none left this host */
};
enum reach_sighting reach_wire_sighting(const struct reach_wire *wire);
/* A sentence on silence that the capture shares, with a space before it; or "". */
const char *reach_wire_silence(const struct reach_verdict *verdict);

#endif
