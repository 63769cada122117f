/* What the check of the option tables finds. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct inner {
    bool loud;
    int64_t cap_bytes;
};

static int run(struct cli_invocation *invocation)
{
    (void)invocation;
    return 0;
}

/* One wrong row at a time, and what the check says of it. */
static void unsound_tables_are_found(void **state)
{
    static const struct {
        struct cli_option row;
        const char *message;
    } cases[] = {
        {{.name = "help", CLI_FLAG(struct inner, loud), .help = "X."},
         "c: --help: the name is taken twice"},
        {{.name = "x", .letter = 'h', CLI_FLAG(struct inner, loud), .help = "X."},
         "c: --help: the letter -h is taken twice"},
        {{.name = "x", CLI_FLAG(struct inner, loud), .help = "X"},
         "c: --x: its help is not a sentence"},
        {{.name = "x", .kind = CLI_KIND_FLAG, .help = "X."}, "c: --x: it is stored nowhere"},
        {{.name = "x", CLI_FLAG(struct inner, loud), .conflicts = "y", .help = "X."},
         "c: --x: refers to y, which is no option"},
        {{.name = "x", CLI_ALIAS("y=3"), .help = "X."}, "c: --x: stands for no option"},
        {{.name = "x", CLI_SIZE(struct inner, cap_bytes), .initial = "many", .help = "X."},
         "c: --x wants a size such as 512, 64k or 1M, got 'many'"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct cli_group *made = calloc(1, sizeof *made + 2 * sizeof made->rows[0]);
        struct error error = {0};
        made->heading = "X";
        made->rows[0] = cases[i].row;
        const struct cli_fragment fragments[] = {{made, 0, NULL}, {0}};
        const struct cli_command command = {.name = "c",
                                            .group = "C",
                                            .summary = "c",
                                            .fragments = fragments,
                                            .options_size = sizeof(struct inner),
                                            .run = run};
        const struct cli_program one = {
            .name = "p", .commands = (const struct cli_command *const[]){&command, NULL}};
        assert_int_equal(cli_check(&one, &error), -EINVAL);
        assert_string_equal(error.text, cases[i].message);
        free(made);
    }
}

static void scattered_groups_are_found(void **state)
{
    const struct cli_command a = {.name = "a", .group = "A", .summary = "a", .run = run};
    const struct cli_command b = {.name = "b", .group = "B", .summary = "b", .run = run};
    const struct cli_command c = {.name = "c", .group = "A", .summary = "c", .run = run};
    struct cli_program scattered = {
        .name = "p", .commands = (const struct cli_command *const[]){&a, &b, &c, NULL}};
    struct error error = {0};
    (void)state;
    assert_int_equal(cli_check(&scattered, &error), -EINVAL);
    assert_string_equal(error.text, "c: it does not stand beside the others of its group");
    scattered.commands = (const struct cli_command *const[]){&a, &c, &b, NULL};
    assert_int_equal(cli_check(&scattered, &error), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsound_tables_are_found),
        cmocka_unit_test(scattered_groups_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
