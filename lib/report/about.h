/* Which findings are about which result, for reports with many of both.
 *
 * A finding is about the results that have the name of its target or scenario (a target that was
 * given twice is two results of one name), or, when it names none, about the only result. The rest
 * is about the whole run. Building sorts once; every question is a binary search. The report must
 * outlive the index. */
#ifndef REPORT_ABOUT_H
#define REPORT_ABOUT_H

#include "netkit/error.h"
#include "result/result.h"

struct about_entry {
    const char *name; /* NULL: about the whole run */
    const struct finding *finding;
};

struct about {
    struct arena arena;
    struct about_entry *entries; /* by name, the most severe first, then as in the report */
    size_t count;
};

/* Entries of one name. */
struct about_list {
    const struct about_entry *entries;
    size_t count;
};

/* -ENOMEM. */
int about_build(struct about *out, const struct report *report, struct error *error);
void about_free(struct about *about);
struct about_list about_result(const struct about *about, const struct result *result);
struct about_list about_rest(const struct about *about);

static inline void cleanup_about(struct about *about)
{
    about_free(about);
}

#endif
