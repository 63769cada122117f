/* netkit explain CODE */
#include "commands.h"
#include "output.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "finding/finding.h"
#include <string.h>

static const char *name_at(size_t index)
{
    return finding_names()[index];
}

static void paragraph(struct buf *out, const char *heading, const char *text, int width)
{
    buf_printf(out, "\n%s\n    ", heading);
    cli_wrap(out, text, 4, 4, width);
}

static void explain_finding(struct buf *out, enum finding_code code, int width)
{
    const struct finding_entry *entry = finding_entry(code);

    buf_printf(out, "%s (%s): %s\n", entry->name, finding_severity_name(entry->severity),
               entry->title);
    paragraph(out, "What happens", entry->explanation, width);
    paragraph(out, "Whose fault it is", entry->fault, width);
    paragraph(out, "What to do", entry->remedy, width);
}

static void explain_term(struct buf *out, const struct finding_term *term, int width)
{
    buf_printf(out, "%s (%d): %s\n", term->name, term->number, term->title);
    paragraph(out, "What it means", term->explanation, width);
    paragraph(out, "What to look at next", term->remedy, width);
}

static void list_all(struct buf *out)
{
    buf_add_str(out, "Findings:\n");
    for (int code = FINDING_NONE + 1; code < FINDING_CODES; code++) {
        const struct finding_entry *entry = finding_entry((enum finding_code)code);
        buf_printf(out, "  %-26s %s\n", entry->name, entry->title);
    }
    buf_add_str(out, "\nErrors of socket calls:\n");
    for (size_t i = 0; i < finding_errno_count; i++)
        buf_printf(out, "  %-26s %s\n", finding_errnos[i].name, finding_errnos[i].title);
    buf_add_str(out, "\nTCP states:\n");
    for (size_t i = 0; i < finding_state_count; i++)
        buf_printf(out, "  %-26s %s\n", finding_states[i].name, finding_states[i].title);
}

static int explain(struct buf *out, const char *word, int width)
{
    enum finding_code code = finding_by_name(word);
    const struct finding_term *term = finding_term_by_name(word);

    if (code < FINDING_CODES) {
        explain_finding(out, code, width);
        return STATUS_OK;
    }
    if (term) {
        explain_term(out, term, width);
        return STATUS_OK;
    }
    output_complain_unknown("explain", "finding, errno or TCP state", word,
                            text_nearest(word, finding_names()));
    output_complain("explain", "'netkit explain' lists them all");
    return STATUS_USAGE;
}

static int run(struct cli_invocation *invocation)
{
    cleanup(buf) struct buf text = {0};
    struct cli_style style = output_style();
    int width = style.width > 100 ? 100 : style.width;
    int status = STATUS_OK;

    if (!invocation->arg_count)
        list_all(&text);
    for (size_t i = 0; i < invocation->arg_count && status == STATUS_OK; i++) {
        if (i)
            buf_add_char(&text, '\n');
        status = explain(&text, invocation->args[i], width);
    }
    output_print(&text);
    return status;
}

static const char *const description[] = {
    "Explains what a finding means, whose fault it is and what to do about it; also the errno "
    "values "
    "of socket calls and the states of a TCP connection. Without CODE it lists them all.",
    NULL};

static const struct cli_example examples[] = {
    {"netkit explain nagle-delayed-ack", "What holds small writes back, and how to fix it."},
    {"netkit explain ECONNRESET CLOSE-WAIT", "An error and a state."},
    {0}};

const struct cli_command explain_command = {
    .name = "explain",
    .group = "Explain",
    .summary = "what a finding, an errno or a TCP state means, and what to do",
    .description = description,
    .positional = {.name = "CODE",
                   .help = "a finding, an errno name or a TCP state",
                   .max = 0,
                   .completes = CLI_COMPLETES_WORDS,
                   .word = name_at},
    .examples = examples,
    .run = run,
};
