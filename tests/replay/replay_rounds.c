/* replay_rounds findings FILE: rounds that tcp-probe --record wrote in, what the diagnosis finds in
 * them out. */
#include "base/cleanup.h"
#include "diagnosis/probe_verdict.h"
#include "report/record.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct rounds {
    struct round *items;
    size_t count;
};

static struct arena arena;
static struct rounds arms[PROBE_ARMS], fresh, fresh_quickack;
static struct round unfinished;

static void keep(struct rounds *list, const struct round *round)
{
    list->items = arena_grow(&arena, list->items, list->count, sizeof *list->items);
    if (list->items)
        list->items[list->count++] = *round;
}

static int read_line(const char *line, struct probe_evidence *evidence, bool *ended,
                     struct error *error)
{
    struct record_round record;
    enum record_type type;
    int rc = record_parse(&arena, line, &type, &record, evidence, error);

    if (!rc && type == RECORD_EVIDENCE)
        *ended = true;
    else if (!rc && record.unfinished)
        unfinished = record.round;
    else if (!rc && !record.warmup)
        keep(!record.new_connection                  ? &arms[record.arm]
             : record.arm == ARM_QUICKACK ? &fresh_quickack
                                          : &fresh,
             &record.round);
    return rc;
}

static void print_findings(const struct finding_list *findings)
{
    printf("verdict %s\n", finding_entry(finding_verdict(findings))->name);
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        const char *side = result_side_name(finding->side);
        printf("\n%s, %s, side %s, %" PRId64 " times", finding_entry(finding->code)->name,
               finding_severity_name(finding->severity), side ? side : "none", finding->count);
        if (finding->cost_ns != RESULT_UNKNOWN)
            printf(", cost %" PRId64 " us", finding->cost_ns / 1000);
        printf("\n  %s\n", finding->summary);
        for (size_t k = 0; k < finding->evidence.count; k++) {
            const struct result_value *value = &finding->evidence.values[k];
            if (value->kind == RESULT_INTEGER)
                printf("  %s %" PRId64 "\n", value->key, value->integer);
            else if (value->kind == RESULT_REAL)
                printf("  %s %.3g\n", value->key, value->real);
            else if (value->kind == RESULT_TEXT)
                printf("  %s %s\n", value->key, value->text);
        }
    }
}

int main(int argc, char **argv)
{
    struct probe_evidence evidence = {0};
    struct finding_list findings = {0};
    struct error error = {0};
    cleanup(file) FILE *file = argc == 3 ? fopen(argv[2], "re") : NULL;
    cleanup(mem) char *line = NULL;
    size_t alloc = 0, number = 0;
    bool ended = false;

    if (!file || strcmp(argv[1], "findings")) {
        fprintf(stderr, "usage: replay_rounds findings FILE\n");
        return 2;
    }
    while (getline(&line, &alloc, file) > 0 && ++number)
        if (read_line(line, &evidence, &ended, &error)) {
            fprintf(stderr, "%s:%zu: %s\n", argv[2], number, error.text);
            return 1;
        }
    if (!ended) {
        fprintf(stderr, "%s: it has no line of evidence\n", argv[2]);
        return 1;
    }
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        evidence.arms[arm] = (struct arm_rounds){arms[arm].items, arms[arm].count};
    evidence.fresh = (struct arm_rounds){fresh.items, fresh.count};
    evidence.fresh_quickack = (struct arm_rounds){fresh_quickack.items, fresh_quickack.count};
    evidence.unfinished = unfinished.total_ns ? &unfinished : NULL;
    probe_verdict(&arena, &evidence, &findings);
    print_findings(&findings);
    arena_free(&arena);
    return fflush(stdout) ? 1 : 0;
}
