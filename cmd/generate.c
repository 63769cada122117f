/* netkit-generate: writes what follows from the option tables into the source tree. Built beside
 * netkit from the same tables, not installed.
 *
 * The files (man pages, README, docs/findings.md) are written by hand around generated blocks: a
 * block is what stands between a line that begins it and one that ends it. With --check nothing is
 * written, and files that would change are named. */
#include "commands.h"
#include "common.h"
#include "output.h"

#include "base/cleanup.h"
#include "base/input.h"
#include "base/text.h"
#include "diagnosis/verdict_thresholds.h"
#include "scenario/programs/sut.h"
#include "scenario/scenario.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct generate_options {
    bool check;
};

/* ---- the blocks */

/* The exit statuses of all commands, for netkit(1). */
static const struct cli_status statuses[] = {
    {0, "Every scenario did what this kernel should do; the diagnosis was completed."},
    {1, "A scenario differed or was inconclusive, a threshold was exceeded, or a finding that "
        "--fail-on names was made."},
    COMMON_STATUS_USAGE,
    COMMON_STATUS_MACHINE,
    {4, "Every target was unknown or out of reach."},
    COMMON_STATUSES_ENDED};

/* The options that commands share, for netkit(1). */
static const struct cli_command shared_options = {
    .name = "netkit",
    .fragments = (const struct cli_fragment[]){{&common_limits, 0, NULL},
                                               {&common_scenarios, 0, NULL},
                                               {&common_output, 0, NULL},
                                               {0}},
    .statuses = statuses,
};

static void render_commands(struct buf *out, const struct cli_command *command)
{
    (void)command;
    cli_render_man_commands(out, &netkit_program);
}

static void render_first_steps(struct buf *out, const struct cli_command *command)
{
    (void)command;
    cli_render_man_first_steps(out, &netkit_program);
}

static void render_readme(struct buf *out, const struct cli_command *command)
{
    (void)command;
    cli_render_readme_commands(out, &netkit_program);
}

/* The whole catalogue, a row each. */
static void render_findings(struct buf *out, const struct cli_command *command)
{
    (void)command;
    buf_add_str(out, "| finding | what it means | severity | who has to change something |\n"
                     "| --- | --- | --- | --- |\n");
    for (enum finding_code code = FINDING_NONE; code < FINDING_CODES; code++) {
        const struct finding_entry *entry = finding_entry(code);
        buf_printf(out, "| `%s` | %s | %s | %s |\n", entry->name, entry->title,
                   finding_severity_name(entry->severity), entry->fault);
    }
}

/* ---- the scenarios of a command, each as an entry */

static const struct scenario_set *const sets[] = {&scenario_connect, &scenario_linger,
                                                  &scenario_crash, &scenario_backlog};

static const struct scenario_set *set_of(const struct cli_command *command)
{
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
        if (!strcmp(sets[i]->command, command->name))
            return sets[i];
    return NULL;
}

/* "Title." */
static void add_title(struct buf *out, const struct scenario *scenario)
{
    buf_printf(out, "%c%s.", toupper((unsigned char)scenario->title[0]), scenario->title + 1);
}

static void render_scenario(struct buf *out, const struct scenario *scenario)
{
    cleanup(buf) struct buf title = {0}, book = {0}, here = {0};
    const char *paragraphs[3];
    size_t count = 1;

    add_title(&title, scenario);
    paragraphs[0] = buf_str(&title);
    if (scenario->book) {
        buf_printf(&book, "The book: %s", scenario->book);
        paragraphs[count++] = buf_str(&book);
    }
    if (scenario->here) {
        buf_printf(&here, "Linux: %s", scenario->here);
        paragraphs[count++] = buf_str(&here);
    }
    cli_render_man_entry(out, scenario->name, paragraphs, count);
    out->failed |= title.failed || book.failed || here.failed;
}

static void render_scenarios(struct buf *out, const struct cli_command *command)
{
    const struct scenario_set *set = set_of(command);

    for (size_t i = 0; set && set->items[i]; i++)
        render_scenario(out, set->items[i]);
}

/* ---- the numbers behind the verdicts of a command */

static void threshold_time(struct buf *out, double value)
{
    if (value >= NS_PER_SEC)
        buf_printf(out, "%g s", value / NS_PER_SEC);
    else if (value >= NS_PER_MS)
        buf_printf(out, "%g ms", value / NS_PER_MS);
    else
        buf_printf(out, "%g µs", value / NS_PER_US);
}

static void threshold_share(struct buf *out, double value)
{
    buf_printf(out, "%g %%", 100 * value);
}

static void threshold_times(struct buf *out, double value)
{
    buf_printf(out, "%g times", value);
}

static void threshold_number(struct buf *out, double value)
{
    buf_printf(out, "%.10g", value);
}

#define PRINT_TIME   threshold_time
#define PRINT_SHARE  threshold_share
#define PRINT_TIMES  threshold_times
#define PRINT_COUNT  threshold_number
#define PRINT_ROUNDS threshold_number
#define PRINT_P      threshold_number

static const struct verdict_threshold {
    const char *command;
    void (*print)(struct buf *out, double value);
    double value;
    const char *decides, *reason;
} verdict_thresholds[] = {
#define ROW(command, kind, value, decides, reason)                                                 \
    {command, PRINT_##kind, (double)(value), decides, reason},
#define PROBE_ROW(name, ...)    ROW("tcp-probe", __VA_ARGS__)
#define REACH_ROW(name, ...)    ROW("connect-timeout", __VA_ARGS__)
#define LISTENER_ROW(name, ...) ROW("accept-backlog", __VA_ARGS__)
#define MACHINE_ROW(name, ...)  ROW("doctor", __VA_ARGS__)
    PROBE_THRESHOLDS(PROBE_ROW) REACH_THRESHOLDS(REACH_ROW) LISTENER_THRESHOLDS(LISTENER_ROW)
        MACHINE_THRESHOLDS(MACHINE_ROW)};

static bool has_verdict_thresholds(const struct cli_command *command)
{
    for (size_t i = 0; i < ARRAY_SIZE(verdict_thresholds); i++)
        if (!strcmp(verdict_thresholds[i].command, command->name))
            return true;
    return false;
}

static void render_verdict_thresholds(struct buf *out, const struct cli_command *command)
{
    for (size_t i = 0; i < ARRAY_SIZE(verdict_thresholds); i++) {
        const struct verdict_threshold *row = &verdict_thresholds[i];
        cleanup(buf) struct buf value = {0}, text = {0};
        if (strcmp(row->command, command->name))
            continue;
        row->print(&value, row->value);
        buf_printf(&text, "%s. %c%s.", row->decides, toupper((unsigned char)row->reason[0]),
                   row->reason + 1);
        cli_render_man_entry(out, buf_str(&value), (const char *[]){buf_str(&text)}, 1);
        out->failed |= value.failed || text.failed;
    }
}

struct block {
    const char *begin, *end; /* whole lines */
    void (*render)(struct buf *out, const struct cli_command *command);
};

#define MAN_BLOCK(word) ".\\\" BEGIN " word, ".\\\" END " word

static const struct block program_page[] = {{MAN_BLOCK("COMMANDS"), render_commands},
                                            {MAN_BLOCK("OPTIONS"), cli_render_man_options},
                                            {MAN_BLOCK("EXAMPLES"), render_first_steps},
                                            {MAN_BLOCK("EXIT STATUS"), cli_render_man_statuses},
                                            {0}};

static const struct block command_page[] = {{MAN_BLOCK("OPTIONS"), cli_render_man_options},
                                            {MAN_BLOCK("EXAMPLES"), cli_render_man_examples},
                                            {MAN_BLOCK("EXIT STATUS"), cli_render_man_statuses},
                                            {0}};

/* What is played with a program under test, by where that runs: names and titles. */
struct sut_sets {
    const struct scenario_set *clients, *servers;
};

static const struct sut_sets *sut_sets_of(const struct cli_command *command)
{
    static const struct sut_sets all[] = {{&sut_crash_clients, &sut_crash_servers},
                                          {&sut_close_clients, &sut_close_servers}};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (!strcmp(all[i].clients->command, command->name))
            return &all[i];
    return NULL;
}

static void render_titles(struct buf *out, const struct scenario_set *set)
{
    for (size_t i = 0; set->items[i]; i++) {
        cleanup(buf) struct buf title = {0};
        add_title(&title, set->items[i]);
        const char *paragraphs[1] = {buf_str(&title)};
        cli_render_man_entry(out, set->items[i]->name, paragraphs, 1);
        out->failed |= title.failed;
    }
}

static void render_clients(struct buf *out, const struct cli_command *command)
{
    render_titles(out, sut_sets_of(command)->clients);
}

static void render_servers(struct buf *out, const struct cli_command *command)
{
    render_titles(out, sut_sets_of(command)->servers);
}

static const struct block sut_page[] = {
    {MAN_BLOCK("CLIENTS"), render_clients}, {MAN_BLOCK("SERVERS"), render_servers}, {0}};

static const struct block verdict_page[] = {
    {MAN_BLOCK("VERDICT THRESHOLDS"), render_verdict_thresholds}, {0}};

static const struct block scenario_page[] = {{MAN_BLOCK("SCENARIOS"), render_scenarios}, {0}};

static const struct block readme[] = {
    {"<!-- BEGIN COMMANDS -->", "<!-- END COMMANDS -->", render_readme}, {0}};

static const struct block findings_page[] = {
    {"<!-- BEGIN FINDINGS -->", "<!-- END FINDINGS -->", render_findings}, {0}};

/* The start of the line that is exactly `line`, or NULL. */
static const char *find_line(const char *text, const char *line)
{
    size_t len = strlen(line);

    for (const char *p = text; (p = strstr(p, line)); p += len)
        if ((p == text || p[-1] == '\n') && (p[len] == '\n' || !p[len]))
            return p;
    return NULL;
}

static int replace_block(struct buf *text, const struct block *block,
                         const struct cli_command *command, struct error *error)
{
    cleanup(buf) struct buf old = {0};
    const char *begin = find_line(buf_str(text), block->begin);
    const char *end = begin ? find_line(begin, block->end) : NULL;

    if (!end)
        return error_set(error, EINVAL, "no block from '%s' to '%s'", block->begin, block->end);
    buf_add_str(&old, buf_str(text));
    size_t kept = (size_t)(begin - buf_str(text)) + strlen(block->begin);
    size_t rest = (size_t)(end - buf_str(text));
    buf_reset(text);
    buf_add(text, old.data, kept);
    buf_add_char(text, '\n');
    block->render(text, command);
    buf_add_str(text, old.data + rest);
    return text->failed || old.failed ? error_sys(error, ENOMEM, "block '%s'", block->begin) : 0;
}

/* ---- files */

#define PAGE_MAX (16 << 20)

struct generator {
    const char *directory;
    bool check;
    size_t drifted;
};

static int settle(struct generator *generator, const char *path, const struct buf *wanted,
                  struct error *error)
{
    cleanup(buf) struct buf present = {0};
    int rc = input_read(&present, "generate", path, PAGE_MAX, error);

    if (wanted->failed)
        return error_sys(error, ENOMEM, "%s", path);
    if (rc)
        return rc;
    if (present.len_bytes == wanted->len_bytes &&
        !memcmp(buf_str(&present), buf_str(wanted), wanted->len_bytes))
        return 0;
    generator->drifted++;
    if (!generator->check)
        return output_file(path, wanted, error);
    output_complain("generate", "%s differs from the option tables; run scripts/generate", path);
    return 0;
}

static int replace_blocks(struct buf *text, const struct block *blocks,
                          const struct cli_command *command, struct error *error)
{
    int rc = 0;

    for (; !rc && blocks->begin; blocks++)
        rc = replace_block(text, blocks, command, error);
    return rc;
}

static int write_blocks(struct generator *generator, const char *name, const struct block *blocks,
                        const struct cli_command *command, struct error *error)
{
    cleanup(buf) struct buf path = {0};
    cleanup(buf) struct buf text = {0};

    buf_printf(&path, "%s/%s", generator->directory, name);
    int rc = input_read(&text, "generate", buf_str(&path), PAGE_MAX, error);
    if (rc)
        return rc;
    rc = replace_blocks(&text, blocks, command, error);
    if (!rc && command && set_of(command))
        rc = replace_blocks(&text, scenario_page, command, error);
    if (!rc && command && sut_sets_of(command))
        rc = replace_blocks(&text, sut_page, command, error);
    if (!rc && command && has_verdict_thresholds(command))
        rc = replace_blocks(&text, verdict_page, command, error);
    if (rc)
        error_add(error, "%s", buf_str(&path));
    return rc ? rc : settle(generator, buf_str(&path), &text, error);
}

/* Every command that has options or examples of its own has a page of its own. */
static int write_pages(struct generator *generator, struct error *error)
{
    int rc = write_blocks(generator, "man/netkit.1", program_page, &shared_options, error);

    for (size_t i = 0; !rc && netkit_program.commands[i]; i++) {
        const struct cli_command *command = netkit_program.commands[i];
        cleanup(buf) struct buf name = {0};
        if (!command->fragments)
            continue;
        buf_printf(&name, "man/netkit-%s.1", command->name);
        rc = write_blocks(generator, buf_str(&name), command_page, command, error);
    }
    return rc;
}

static int generate(struct generator *generator, struct error *error)
{
    int rc = cli_check(&netkit_program, error);

    if (!rc)
        rc = write_pages(generator, error);
    if (!rc)
        rc = write_blocks(generator, "README.md", readme, NULL, error);
    if (!rc)
        rc = write_blocks(generator, "docs/findings.md", findings_page, NULL, error);
    return rc;
}

static int run(struct cli_invocation *invocation)
{
    const struct generate_options *options = invocation->options;
    struct generator generator = {.directory = invocation->arg_count ? invocation->args[0] : ".",
                                  .check = options->check};
    struct error error = {0};

    if (generate(&generator, &error)) {
        output_complain("generate", "%s", error.text);
        return STATUS_MACHINE;
    }
    return generator.check && generator.drifted ? STATUS_FINDING : STATUS_OK;
}

static const struct cli_group generate_group = {
    "Options",
    {{.name = "check",
      CLI_FLAG(struct generate_options, check),
      .help = "Write nothing; name the files that would change, and exit with status 1 if there "
              "are any."},
     {0}}};

static const struct cli_command generate_command = {
    .name = "generate",
    .group = "Generate",
    .summary = "write blocks of the man pages, the README's commands and the table of findings",
    .positional = {.name = "DIRECTORY", .max = 1, .completes = CLI_COMPLETES_DIRECTORY},
    .fragments = (const struct cli_fragment[]){{&generate_group, 0, NULL}, {0}},
    .options_size = sizeof(struct generate_options),
    .run = run,
};

int main(int argc, char **argv)
{
    cleanup(buf) struct buf text = {0};
    struct cli_invocation invocation;
    struct error error = {0};
    int status = STATUS_USAGE;

    output_prepare();
    if (cli_parse(&invocation, &netkit_program, &generate_command, argc - 1, argv + 1, &error)) {
        output_complain("generate", "%s", error.text);
    } else if (invocation.wants == CLI_WANTS_RUN) {
        status = run(&invocation);
    } else {
        struct cli_style style = output_style();
        cli_render_help(&text, &netkit_program, &generate_command, &style);
        output_print(&text);
        status = STATUS_OK;
    }
    cli_invocation_free(&invocation);
    return output_finish("generate", status);
}
