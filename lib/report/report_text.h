/* The parts of the text report. */
#ifndef REPORT_REPORT_TEXT_H
#define REPORT_REPORT_TEXT_H

#include "report/about.h"
#include "report/fields.h"
#include "report/paint.h"
#include "result/result.h"

int report_render_text(struct buf *out, const struct report *report,
                       const struct report_style *style, struct error *error);

/* More targets than this get a row each instead of a block, unless verbose. */
#define TEXT_BLOCKS_MAX 3

/* How a severity looks: its colour and its mark. */
enum paint_color severity_color(enum finding_severity severity);
const char *severity_mark(enum finding_severity severity, bool unicode);

/* A ranked table: the worst rows, and how many there are besides. */
struct ranked_table {
    const char *name, *verdict; /* headings; verdict NULL: no such column */
    /* Durations and counts of a row's body, at the right. A count shows where it is above 0, its
     * column where any of them is. Ends with an entry without a label. */
    const struct report_field *columns;
    enum paint_color counts; /* how counts look */
    size_t most;             /* rows */
};
#define RANKED_DURATION(text, type, member)                                                        \
    {                                                                                              \
        .label = (text), .kind = FIELD_DURATION, .offset = offsetof(struct type, member)           \
    }
#define RANKED_COUNT(text, type, member)                                                           \
    {                                                                                              \
        .label = (text), .kind = FIELD_INTEGER, .offset = offsetof(struct type, member)            \
    }
struct ranked_row {
    const void *body;
    const char *name, *verdict;
    bool failed;
    enum finding_code code;
    enum finding_severity severity; /* of the code; INFO without one */
    double weight;
    size_t order; /* as the results were given */
};
/* The worst first: what failed, then by code, severity and weight. */
void show_ranked(struct paint *paint, const struct ranked_table *table, struct ranked_row *rows,
                 size_t count);

/* Many targets, all of tcp-probe or all of connect-timeout: a ranked table, then the totals.
 * Quietly only those that are not ok. */
int show_many(struct paint *paint, const struct report *report, const struct about *about,
              struct error *error);
/* How many targets are ok, and how many have which finding. */
void show_totals(struct paint *paint, const struct report *report, const struct about *about);
/* The thresholds, the exceeded ones first; quietly only those. */
void show_checks(struct paint *paint, const struct result_check_list *checks);

/* What doctor looked at, in groups; quietly only what is a problem. Nothing when there is none. */
void show_machine(struct paint *paint, const struct report *report);

/* A listener's queues over the watch. */
void show_listener(struct paint *paint, const struct result_listener *listener);
/* Whether it has a block of its own: with something to tell, and always among few or verbosely. */
bool shows_listener(const struct paint *paint, const struct report *report,
                    const struct result_listener *listener);
/* Of each result the first listener whose block would differ in names and numbers only, else
 * itself. The caller frees them. -ENOMEM. */
int join_listeners(size_t **out, const struct report *report, const struct about *about,
                   struct error *error);
/* Behind the block of a listener: a row for each that was joined to it. -ENOMEM. */
int show_joined(struct paint *paint, const struct report *report, const size_t *first, size_t index,
                struct error *error);
/* After the blocks: the others, the fullest as a row each, and what the counters of the namespace
 * rose by. Quietly nothing. */
int show_listeners(struct paint *paint, const struct report *report, struct error *error);

/* Everything measured of one target: phases, percentiles, histogram, breakdown, arms. */
void show_probe(struct paint *paint, const struct result_probe *probe);

/* What became of connecting to one target: tries, route, path, what is not known. */
void show_reach(struct paint *paint, const struct result_reach *reach);
/* When the kernel sends SYNs, and what that follows from. */
void show_schedule(struct paint *paint, const struct result_schedule *schedule);

/* The programs of a lab, the faults, the connections between them. */
void show_lab(struct paint *paint, const struct result_lab *lab);

/* A scenario: book and kernel, exchange and states, what was expected and observed, tables. */
void show_scenario(struct paint *paint, const struct result_scenario *scenario);
/* Many scenarios as a row each, and those in full that are not ok. False, and nothing is written,
 * where there are few or the style is verbose. */
bool show_scenarios(struct paint *paint, const struct report *report);
/* What the scenarios have in common, as one table; nothing when none has a summary. */
void show_summary(struct paint *paint, const struct report *report);

/* One finding as a block: what, who has to change what, what it costs, the evidence when verbose.
 */
void show_finding(struct paint *paint, const struct finding *finding);
/* The same of what made a result fail, where no finding says it. */
void show_failure(struct paint *paint, const struct result_error *error);
/* What failed, as the finding that was not made. */
struct finding finding_of_error(const struct result_error *error);
/* The errno's name and meaning; nothing for 0. */
void show_errno(struct paint *paint, int number);
/* One line: name, code, side, summary. */
void show_verdict_line(struct paint *paint, const char *name, const struct finding *finding);
/* "ok", and what that means. */
void show_ok(struct paint *paint);

/* The values of a map, one a line, keys in words, units by the key's ending. */
void show_map(struct paint *paint, int indent, const struct result_map *map);
/* The printed forms of a key and of a value, appended. */
void put_key(struct buf *out, const char *key);
void put_value(struct buf *out, const struct result_value *value);
/* Lists of texts behind a label: equal ones in a row are one piece with their number. */
struct shown_texts {
    const char *label, *behind; /* `behind` each piece but the last */
    int column;                 /* where the pieces begin */
    size_t most;                /* pieces */
    int64_t omitted;            /* texts that the list lacks */
};
void show_texts(struct paint *paint, const struct shown_texts *how,
                const struct result_texts *texts);
/* The segments' flags, at most so many unless verbose, and the states of both ends. */
void show_exchange(struct paint *paint, int column, const struct result_texts *flags, size_t most,
                   int64_t omitted, const struct result_texts *client_states,
                   const struct result_texts *server_states);
/* Rows with common keys, in columns that fit; what does not fit goes on below its row. */
void show_table(struct paint *paint, int indent, const struct result_map *rows, size_t count);

#endif
