/* What the two files of the programs' experiment share. */
#ifndef SCENARIO_PROGRAMS_REPORT_H
#define SCENARIO_PROGRAMS_REPORT_H

#include "scenario/programs/programs.h"

struct programs_member {
    struct lab_process *process; /* NULL: not started */
    int64_t started_ns;
    bool ended;
    bool stopped; /* by us */
    struct lab_exit exit;
};

struct programs_run {
    const struct programs_plan *plan;
    struct report *report;
    struct programs_outcome *out;
    struct trace *trace;
    struct lab *lab; /* gone when the report is made */
    struct programs_member member[LAB_HOSTS];
    enum lab_host main_host; /* whose end is the run's */
    int64_t started_ns, started_real_ns, stopped_ns;
    int *fault_numbers;
    struct result_fault *faults;
    size_t event_count;
    const char **notes;
    size_t note_count;
    struct lab_stats stats;
};

int programs_report(const struct programs_run *run, struct error *error);

#endif
