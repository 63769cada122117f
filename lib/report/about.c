#include "report/about.h"

#include "report/fields.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_names(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int compare_entries(const void *a, const void *b)
{
    const struct about_entry *x = a, *y = b;
    int order = compare_names(x->name, y->name);

    if (!order)
        order = (int)y->finding->severity - (int)x->finding->severity;
    return order ? order : (x->finding > y->finding) - (x->finding < y->finding);
}

/* Whose the finding is; NULL when that is no result of the report. */
static const char *name_of(const struct report *report, const struct finding *finding,
                           const char *const *names)
{
    const char *name = finding->about    ? finding->about
                       : finding->target ? finding->target
                                         : finding->scenario;

    if (!name)
        return report->result_count == 1 ? names[0] : NULL;
    return bsearch(&name, names, report->result_count, sizeof *names, compare_texts) ? name : NULL;
}

int about_build(struct about *out, const struct report *report, struct error *error)
{
    size_t results = report->result_count;
    cleanup(mem) const char **names = malloc((results + 1) * sizeof *names);

    *out = (struct about){.count = report->findings.count};
    out->entries = arena_alloc(&out->arena, (out->count + 1) * sizeof *out->entries);
    if (!names || !out->entries) {
        about_free(out);
        return error_sys(error, ENOMEM, "cannot sort the findings");
    }
    for (size_t i = 0; i < results; i++)
        names[i] = report_kind_of(report->results[i]).name;
    qsort(names, results, sizeof *names, compare_texts);
    for (size_t i = 0; i < out->count; i++) {
        const struct finding *finding = &report->findings.items[i];
        out->entries[i] = (struct about_entry){name_of(report, finding, names), finding};
    }
    qsort(out->entries, out->count, sizeof *out->entries, compare_entries);
    return 0;
}

void about_free(struct about *about)
{
    arena_free(&about->arena);
    *about = (struct about){0};
}

/* The first entry whose name is not before `name`, or, with `behind`, the first one behind it. */
static size_t first_of(const struct about *about, const char *name, bool behind)
{
    size_t low = 0, high = about->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(about->entries[middle].name, name);
        if (order < 0 || (behind && !order))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct about_list list_of(const struct about *about, const char *name)
{
    size_t first = first_of(about, name, false);

    return (struct about_list){about->entries + first, first_of(about, name, true) - first};
}

struct about_list about_result(const struct about *about, const struct result *result)
{
    return list_of(about, report_kind_of(result).name);
}

struct about_list about_rest(const struct about *about)
{
    return list_of(about, NULL);
}
