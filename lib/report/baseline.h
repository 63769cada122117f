/* An earlier run, read back from its JSON, to compare with.
 *
 * Only what the comparison needs is kept. The bytes are arbitrary: everything is checked, values
 * that a run cannot have measured are refused. Pure: whoever has the file reads it. */
#ifndef REPORT_BASELINE_H
#define REPORT_BASELINE_H

#include "diagnosis/regression.h"
#include "netkit/error.h"

struct baseline_target {
    const char *name; /* as the JSON has it */
    struct regression_before before;
};

/* A baseline owns its arena; release it with baseline_free(). */
struct baseline {
    struct arena arena;
    struct baseline_target *targets; /* by name; of a target that was given twice, one */
    size_t count;
    struct result_map parameters; /* texts, integers, flags and nulls */
};

/* -EPROTOTYPE: no report of netkit's tcp-probe as JSON. -EBADMSG: one, but damaged. -ENOMEM. The
 * text of the error is printable. */
int baseline_parse(struct baseline *out, const char *bytes, size_t len_bytes, struct error *error);
void baseline_free(struct baseline *baseline);

/* The target that the user called so; NULL when there is none. */
const struct baseline_target *baseline_find(const struct baseline *baseline, const char *name);

/* The first parameter of the conversation in which that run and this one differ, so that their
 * rounds are not the same thing; NULL when they agree. Static text. */
const char *baseline_differs(const struct baseline *baseline, const struct result_map *parameters);

static inline void cleanup_baseline(struct baseline *baseline)
{
    baseline_free(baseline);
}

#endif
