#include "thresholds.h"

#include "output.h"

#include "base/input.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Some 20,000 targets; jansson makes ten times as much of it in memory, for a moment. */
#define BASELINE_MAX (128 << 20)

int thresholds_begin(struct thresholds *thresholds, const char *command,
                     const struct thresholds_options *options, const struct report *report)
{
    cleanup(buf) struct buf bytes = {0};
    struct error error = {0};

    *thresholds = (struct thresholds){.command = command, .options = options};
    if (!options->baseline)
        return STATUS_OK;
    if (input_read_text(&bytes, "--baseline", options->baseline, BASELINE_MAX, &error))
        return output_refuse_for(command, &error);
    int rc = baseline_parse(&thresholds->baseline, buf_str(&bytes), bytes.len_bytes, &error);
    if (rc) {
        output_complain(command, "--baseline %s: %s%s", options->baseline,
                        rc == -EBADMSG ? "the report is damaged: " : "", error.text);
        return rc == -EPROTOTYPE ? STATUS_USAGE : STATUS_MACHINE;
    }
    const char *differs = baseline_differs(&thresholds->baseline, &report->parameters);
    if (differs)
        output_complain(command,
                        "--baseline %s: that run had another \"%s\", so its rounds are not the "
                        "same thing",
                        options->baseline, differs);
    return STATUS_OK;
}

static void add_note(struct arena *arena, struct result_probe *probe, const char *note)
{
    const char **notes = arena_alloc(arena, (probe->note_count + 1) * sizeof *notes);

    if (!notes)
        return;
    if (probe->note_count)
        memcpy(notes, probe->notes, probe->note_count * sizeof *notes);
    notes[probe->note_count++] = note;
    probe->notes = notes;
}

static void compare(struct thresholds *thresholds, struct report *report,
                    struct result_probe *probe)
{
    const struct baseline_target *target = baseline_find(&thresholds->baseline, probe->target);
    const char *note = "The earlier run has no such target: nothing was compared.";

    if (target) {
        thresholds->compared++;
        note = regression_find(&report->arena, &target->before, probe, &report->findings);
    }
    if (note)
        add_note(&report->arena, probe, note);
}

void thresholds_result(struct thresholds *thresholds, struct report *report,
                       struct result_probe *probe)
{
    if (thresholds->options->baseline)
        compare(thresholds, report, probe);
    threshold_check_target(&report->arena, &thresholds->options->limits, probe, &report->checks);
}

int thresholds_end(struct thresholds *thresholds, struct report *report)
{
    size_t ok = 0;

    for (size_t i = 0; i < report->result_count; i++)
        ok += report->results[i]->probe.ok;
    threshold_check_run(&report->arena, &thresholds->options->limits, ok, report->result_count,
                        &report->checks);
    if (!thresholds->options->baseline || thresholds->compared || !report->result_count)
        return STATUS_OK;
    return output_refuse(thresholds->command, "--baseline %s: that run has none of these targets",
                         thresholds->options->baseline);
}

void thresholds_free(struct thresholds *thresholds)
{
    baseline_free(&thresholds->baseline);
}
