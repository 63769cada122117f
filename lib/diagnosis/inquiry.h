/* What the questions of the diagnosis share: internals of service.c, client.c and answer.c.
 *
 * An inquiry goes through one set of evidence. Each question is asked of one number a round, in
 * three steps: is it there (inquiry_delay: often enough, and above this machine's own noise), does
 * the mechanism show in the rounds where it is (asked where the question is), and does it go away
 * in the arm that takes the mechanism away (inquiry_change). */
#ifndef DIAGNOSIS_INQUIRY_H
#define DIAGNOSIS_INQUIRY_H

#include "diagnosis/probe_verdict.h"

enum measure {
    MEASURE_HOLD,
    MEASURE_GAP,
    MEASURE_THINK,
    MEASURE_RWND,
    MEASURE_ACK_DELAY,
    MEASURE_WAKEUP,
    MEASURE_WAIT,       /* the longest wait for the peer, wherever it is */
    MEASURE_WAIT_AFTER, /* bytes of the answer that came before that */
};

struct delay {
    size_t affected;    /* baseline rounds that have it */
    double share;       /* of all baseline rounds */
    int64_t typical_ns; /* in those */
    bool present;       /* often enough to speak of, and clear of the machine's noise */
    bool doubtful;      /* there, but so is the noise */
};

enum effect {
    EFFECT_UNKNOWN, /* the arm was not run, or too short */
    EFFECT_NONE,    /* the arm changes nothing of note */
    EFFECT_CLEAR,
};

struct change {
    enum effect effect;
    double p_value;
    int64_t removed_ns;   /* of an affected round */
    int64_t remaining_ns; /* in the arm, at the same quantile */
};

/* Fewer rounds of an arm than this say nothing. */
#define INQUIRY_ENOUGH_ROUNDS 5

struct inquiry {
    struct arena *arena;
    const struct probe_evidence *evidence;
    struct finding_list *findings;
    int64_t noise_typical_ns, noise_high_ns; /* our own wake-ups: median, and one in ten */
};

int64_t inquiry_measure(const struct round *round, enum measure what);

struct delay inquiry_delay(const struct inquiry *inquiry, struct arm_rounds rounds,
                           enum measure what);
struct change inquiry_change(const struct inquiry *inquiry, enum probe_arm arm, enum measure what,
                             const struct delay *delay);
/* Learns the machine's noise from the rounds' wake-ups. */
void inquiry_learn_noise(struct inquiry *inquiry, struct arm_rounds rounds);
/* How many rounds the baseline has. */
size_t inquiry_rounds(const struct inquiry *inquiry);

/* Findings and what they rest on. Texts live in the inquiry's arena. */
const char *inquiry_span(const struct inquiry *inquiry, int64_t ns);
struct finding *inquiry_add(const struct inquiry *inquiry, enum finding_code code,
                            enum result_side side, size_t count, int64_t cost_ns);
void inquiry_prove(const struct inquiry *inquiry, struct finding *finding, const char *key,
                   int64_t value);
void inquiry_prove_change(const struct inquiry *inquiry, struct finding *finding,
                          enum probe_arm arm, const struct change *change);
__attribute__((format(printf, 2, 3))) void inquiry_inconclusive(const struct inquiry *inquiry,
                                                                const char *format, ...);
bool inquiry_has(const struct finding_list *list, enum finding_code code);

/* The questions: our own writes (client.c), the server's answer (answer.c). */
void inquire_hold(const struct inquiry *inquiry);
bool inquire_window(const struct inquiry *inquiry, struct arm_rounds rounds);
void inquire_answer(const struct inquiry *inquiry);

#endif
