#include "commands.h"
#include "output.h"

#include "base/cleanup.h"
#include "base/sandbox.h"
#include "base/text.h"
#include "capture/capture.h"
#include <locale.h>
#include <signal.h>
#include <string.h>

typedef void render_program(struct buf *, const struct cli_program *, const struct cli_style *);

static int print_program(render_program *render)
{
    cleanup(buf) struct buf text = {0};
    struct cli_style style = output_style();

    render(&text, &netkit_program, &style);
    output_print(&text);
    return STATUS_OK;
}

static void render_version(struct buf *out, const struct cli_program *program,
                           const struct cli_style *style)
{
    (void)style;
    buf_printf(out, "%s %s\n", program->name, program->version);
}

static void render_compressions(struct buf *out)
{
    const char *library, *version, *name;

    for (size_t i = 0; (name = capture_compression(i, &library, &version)); i++)
        if (version)
            buf_printf(out, "captures in %s: %s %s\n", name, library, version);
        else
            buf_printf(out, "captures in %s: none (built without %s)\n", name, library);
}

/* --version --verbose: what this build can do, too. */
static void render_build(struct buf *out, const struct cli_program *program,
                         const struct cli_style *style)
{
    render_version(out, program, style);
    buf_printf(out, "filter of system calls: %s\n",
               sandbox_is_built() ? "seccomp" : "none for this processor");
    render_compressions(out);
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    struct cli_invocation invocation;
    struct error error = {0};
    int status = STATUS_USAGE;

    if (cli_parse(&invocation, &netkit_program, command, argc, argv, &error)) {
        status = output_refuse_for(command->name, &error);
        if (status == STATUS_USAGE)
            output_complain(command->name, "'netkit %s --help' explains all options",
                            command->name);
    } else if (invocation.wants == CLI_WANTS_HELP) {
        cleanup(buf) struct buf text = {0};
        struct cli_style style = output_style();
        cli_render_help(&text, &netkit_program, command, &style);
        output_print(&text);
        status = STATUS_OK;
    } else if (invocation.wants == CLI_WANTS_VERSION) {
        status = print_program(render_version);
    } else {
        status = command->run(&invocation);
    }
    cli_invocation_free(&invocation);
    return output_finish(command->name, status);
}

/* What the shells' completions ask; hidden. */
static int complete(int argc, char **argv)
{
    cleanup(buf) struct buf text = {0};

    cli_complete(&text, &netkit_program, (size_t)argc, argv);
    output_print(&text);
    return output_finish(NULL, STATUS_OK);
}

/* What may stand in a command's place. */
static const struct {
    const char *name;
    render_program *render;
} own_options[] = {{"--help", cli_render_overview},
                   {"--version", render_version},
                   {"-h", cli_render_overview},
                   {"-V", render_version}};

static int unknown_word(const char *word)
{
    static const char *const names[] = {"--help", "--version", NULL};
    bool option = *word == '-';

    output_complain_unknown(NULL, option ? "option" : "command", word,
                            option ? text_nearest(word, names)
                                   : cli_command_nearest(&netkit_program, word));
    output_complain(NULL, "'netkit help' lists the commands");
    return STATUS_USAGE;
}

static bool is_verbose(const char *word)
{
    return !strcmp(word, "--verbose") || !strcmp(word, "-v");
}

int main(int argc, char **argv)
{
    /* What the terminal shows, and no more: texts are English, and numbers have a point. */
    setlocale(LC_CTYPE, "");
    signal(SIGCHLD, SIG_DFL); /* ignored by the parent, it would take the ends of our children */
    output_prepare();
    const struct cli_command *command =
        argc > 0 ? cli_command_find(&netkit_program, basename(argv[0])) : NULL;
    if (command)
        return run_command(command, argc - 1, argv + 1);
    if (argc < 2)
        return output_finish(NULL, print_program(cli_render_welcome));
    if (!strcmp(argv[1], "__complete"))
        return complete(argc - 2, argv + 2);
    for (size_t i = 0; i < ARRAY_SIZE(own_options); i++)
        if (!strcmp(argv[1], own_options[i].name))
            return output_finish(NULL, print_program(argc > 2 && is_verbose(argv[2]) &&
                                                             own_options[i].render == render_version
                                                         ? render_build
                                                         : own_options[i].render));
    command = cli_command_find(&netkit_program, argv[1]);
    return command ? run_command(command, argc - 2, argv + 2) : unknown_word(argv[1]);
}
