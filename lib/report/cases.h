/* A report as a set of test cases, for the formats that CI servers read. */
#ifndef REPORT_CASES_H
#define REPORT_CASES_H

#include "report/report.h"

struct report_problem {
    const char *type; /* a finding's code, or the threshold that was exceeded */
    enum finding_severity severity;
    const char *message; /* one line, unescaped */
    const char *remedy;  /* or NULL */
    const char *side;    /* or NULL */
    int64_t count, cost_ns;
};

/* One case: a result, a threshold, or (without either) what was found about the whole run. It
 * passed when it has no problem, unless it was skipped. */
struct report_case {
    const char *name;
    const struct result *result;      /* or NULL */
    const struct result_check *check; /* or NULL */
    struct report_problem *problems;
    size_t problem_count;
    const char *skipped; /* why; NULL: it was not */
};

struct report_cases {
    struct arena arena;
    struct report_case *items;
    size_t count;
    size_t failed; /* how many have a problem */
    size_t skipped;
};

/* Findings of warning and above, results that failed and exceeded thresholds are problems. The
 * report must outlive the cases; release them with cases_free(). -ENOMEM. */
int cases_of(struct report_cases *out, const struct report *report, struct error *error);
void cases_free(struct report_cases *cases);

static inline void cleanup_cases(struct report_cases *cases)
{
    cases_free(cases);
}

int report_render_junit(struct buf *out, const struct report *report,
                        const struct report_style *style, struct error *error);
int report_render_tap(struct buf *out, const struct report *report,
                      const struct report_style *style, struct error *error);

#endif
