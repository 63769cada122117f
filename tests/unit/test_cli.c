#include "cli/cli.h"

#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A command with an option of every kind. */

enum mood { MOOD_CALM, MOOD_CROSS };

struct inner {
    bool loud;
    int64_t cap_bytes;
};

struct sample {
    bool flag;
    int64_t rounds;
    double share;
    bool gap_given;
    int64_t gap_ns;
    const char *text;
    struct cli_list headers;
    enum mood mood;
    uint32_t arms;
    struct cli_list codes;
    int port;
    int family;
    struct cli_items faults;
    struct inner inner;
};

static const struct cli_word moods[] = {
    {"calm", MOOD_CALM, "all is well"}, {"cross", MOOD_CROSS, NULL}, {0}};
static const struct cli_word arms[] = {
    {"one", 0, NULL}, {"two", 1, NULL}, {"three", 31, NULL}, {0}};
static const struct cli_word sides[] = {{"c>s", 1, NULL}, {"s>c", 2, NULL}, {0}};

static const char *code_at(size_t index)
{
    static const char *const codes[] = {"nagle-delayed-ack", "cork-hold", NULL};
    return codes[index];
}

static int parse_port(const char *text, void *field, struct error *error)
{
    int port;
    char rest;
    if (sscanf(text, "%d%c", &port, &rest) != 1)
        return error_set(error, EINVAL, "wants a port");
    *(int *)field = port;
    return 0;
}

static int check_match(const char *text, void *field, struct error *error)
{
    assert_null(field);
    return *text ? 0 : error_set(error, EINVAL, "wants a match");
}

#define OF struct sample
static const struct cli_group group = {
    "Everything",
    {
        {.name = "flag", .letter = 'f', CLI_FLAG(OF, flag), .help = "A flag."},
        {.name = "rounds",
         .letter = 'n',
         CLI_INTEGER(OF, rounds),
         .min = 1,
         .max = 1000000,
         .initial = "40",
         .conflicts = "text",
         .help = "Rounds to run."},
        {.name = "share", CLI_REAL(OF, share), .max = 1, .help = "A share."},
        {.name = "gap",
         CLI_DURATION(OF, gap_ns),
         CLI_GIVEN(OF, gap_given),
         .min = 1000000,
         .max = INT64_C(60000000000),
         .initial = "5ms",
         .needs = "text header",
         .help = "A gap."},
        {.name = "text", .letter = 't', CLI_TEXT(OF, text), .help = "A text."},
        {.name = "header", CLI_LIST(OF, headers), .help = "A header; may be repeated."},
        {.name = "mood",
         CLI_CHOICE(OF, mood),
         .words = moods,
         .optional = "cross",
         .help = "A mood."},
        {.name = "arms",
         CLI_CHOICE_SET(OF, arms),
         .words = arms,
         .initial = "one",
         .help = "Arms."},
        {.name = "fail-on", CLI_WORD_LIST(OF, codes), .word = code_at, .help = "Codes."},
        {.name = "port", CLI_PARSED(OF, port), .parse = parse_port, .help = "A port."},
        {.name = "ipv4", .letter = '4', CLI_CONSTANT(OF, family), .constant = 4, .help = "Four."},
        {.name = "ipv6", .letter = '6', CLI_CONSTANT(OF, family), .constant = 6, .help = "Six."},
        {.name = "calmly", CLI_ALIAS("mood=calm"), .help = "Calmly."},
        {.name = "drop", CLI_ITEM(OF, faults), .parse = check_match, .help = "Drop."},
        {.name = "hold", CLI_ITEM(OF, faults), .parse = check_match, .help = "Hold."},
        {.name = "faults", CLI_ITEM_FILE(OF, faults), .help = "Read faults."},
        {.name = "count", CLI_QUALIFIER(INTEGER), .min = 1, .help = "How often."},
        {.name = "dir", CLI_QUALIFIER(CHOICE), .words = sides, .help = "Which way."},
        {.name = "once", CLI_QUALIFIER(FLAG), .help = "Once."},
        {0},
    }};
#undef OF
#define OF struct inner
static const struct cli_group shared = {
    "Shared",
    {
        {.name = "loud", .letter = 'l', CLI_FLAG(OF, loud), .help = "Loud."},
        {.name = "cap", CLI_SIZE(OF, cap_bytes), .max = 1 << 20, .initial = "64k", .help = "Cap."},
        {.name = "pcap", CLI_FLAG(OF, loud), .help = "Left out."},
        {0},
    }};
#undef OF

static int run(struct cli_invocation *invocation)
{
    (void)invocation;
    return 0;
}

static const struct cli_command sample_command = {
    .name = "sample",
    .group = "Samples",
    .summary = "take everything",
    .positional = {.name = "TARGET", .help = "host:port", .min = 1, .max = 2},
    .fragments = (const struct cli_fragment[]){{&group, 0, NULL},
                                               {&shared, offsetof(struct sample, inner), "pcap"},
                                               {0}},
    .options_size = sizeof(struct sample),
    .run = run,
};
static const struct cli_command bare_command = {
    .name = "bare", .group = "Samples", .summary = "take nothing", .run = run};

static const struct cli_program program = {
    .name = "prog",
    .version = "1.2",
    .summary = "a program",
    .commands = (const struct cli_command *const[]){&sample_command, &bare_command, NULL},
    .first_steps = (const struct cli_example[]){{"prog sample :80", "Try."}, {0}},
};

#define ARGUMENTS_MAX 32

struct parsed {
    struct cli_invocation invocation;
    struct error error;
    int rc;
};

/* Parses words that are separated by single spaces. */
static const struct sample *parse(struct parsed *parsed, const char *line)
{
    static char copy[1024];
    char *argv[ARGUMENTS_MAX];
    int argc = 0;
    char *save = NULL;

    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    parsed->error = (struct error){0};
    parsed->rc =
        cli_parse(&parsed->invocation, &program, &sample_command, argc, argv, &parsed->error);
    return parsed->invocation.options;
}

static void refuse(const char *line, const char *message)
{
    struct parsed parsed;
    parse(&parsed, line);
    assert_int_equal(parsed.rc, -EINVAL);
    assert_string_equal(parsed.error.text, message);
    cli_invocation_free(&parsed.invocation);
}

static void the_tables_are_sound(void **state)
{
    struct error error = {0};
    (void)state;
    if (cli_check(&program, &error))
        fail_msg("%s", error.text);
}

static void defaults_are_applied(void **state)
{
    struct parsed parsed;
    (void)state;
    const struct sample *sample = parse(&parsed, "host:80");
    assert_int_equal(parsed.rc, 0);
    assert_int_equal(sample->rounds, 40);
    assert_int_equal(sample->gap_ns, 5000000);
    assert_false(sample->gap_given);
    assert_int_equal(sample->arms, 1);
    assert_int_equal(sample->inner.cap_bytes, 65536);
    assert_int_equal(parsed.invocation.arg_count, 1);
    assert_string_equal(parsed.invocation.args[0], "host:80");
    cli_invocation_free(&parsed.invocation);
}

static void every_kind_is_parsed(void **state)
{
    struct parsed parsed;
    (void)state;
    const struct sample *sample = parse(
        &parsed, "-f --share=0.25 a --gap 7ms --header x --header y --mood --arms "
                 "two,three --fail-on cork-hold,nagle-delayed-ack --port=80 -6 --cap 1k -l b");
    assert_string_equal(parsed.error.text, "");
    assert_true(sample->flag && sample->gap_given && sample->inner.loud);
    assert_true(sample->share > 0.24 && sample->share < 0.26);
    assert_int_equal(sample->gap_ns, 7000000);
    assert_int_equal(sample->headers.count, 2);
    assert_string_equal(sample->headers.words[1], "y");
    assert_int_equal(sample->mood, MOOD_CROSS);
    assert_true(sample->arms == (UINT32_C(1) << 31 | 2));
    assert_int_equal(sample->codes.count, 2);
    assert_string_equal(sample->codes.words[0], "cork-hold");
    assert_int_equal(sample->port, 80);
    assert_int_equal(sample->family, 6);
    assert_int_equal(sample->inner.cap_bytes, 1024);
    assert_int_equal(parsed.invocation.arg_count, 2);
    cli_invocation_free(&parsed.invocation);
}

static void words_are_read_as_gnu_does(void **state)
{
    static const struct {
        const char *line;
        const char *text;
        int64_t rounds;
        size_t arguments;
    } cases[] = {
        {"-fn7 a", NULL, 7, 1},
        {"-fn 7 a", NULL, 7, 1},
        {"-n7 -n8 a", NULL, 8, 1},
        {"--rounds=3 a", NULL, 3, 1},
        {"-t -x a", "-x", 40, 1},
        {"a -- --rounds", NULL, 40, 2},
        {"- -", NULL, 40, 2},
        {"-t- a", "-", 40, 1},
        {"--text=a=b a", "a=b", 40, 1},
        {"--text= a", "", 40, 1},
        {"a -f", NULL, 40, 1},
        {"--mood cross", NULL, 40, 1},
        {"-t --text a", "--text", 40, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct parsed parsed;
        const struct sample *sample = parse(&parsed, cases[i].line);
        if (parsed.rc)
            fail_msg("%s: %s", cases[i].line, parsed.error.text);
        assert_int_equal(sample->rounds, cases[i].rounds);
        assert_int_equal(parsed.invocation.arg_count, cases[i].arguments);
        if (cases[i].text)
            assert_string_equal(sample->text, cases[i].text);
        else
            assert_null(sample->text);
        cli_invocation_free(&parsed.invocation);
    }
}

static void an_alias_is_the_option_it_stands_for(void **state)
{
    struct parsed parsed;
    (void)state;
    assert_int_equal(parse(&parsed, "--mood --calmly a")->mood, MOOD_CALM);
    cli_invocation_free(&parsed.invocation);
    assert_int_equal(parse(&parsed, "--calmly --mood a")->mood, MOOD_CROSS);
    cli_invocation_free(&parsed.invocation);
}

static void errors_name_the_option_and_what_it_accepts(void **state)
{
    static const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"--rounds x a", "--rounds wants a whole number from 1 to 1000000, got 'x'"},
        {"-n0 a", "--rounds wants a whole number from 1 to 1000000, got '0'"},
        {"--rounds", "--rounds wants a whole number from 1 to 1000000, but nothing follows it"},
        {"--ronds 3 a", "unknown option '--ronds'; did you mean --rounds?"},
        {"--round=3 a", "unknown option '--round'; did you mean --rounds?"},
        {"--fl a", "unknown option '--fl'; did you mean --flag?"},
        {"--pcap a", "unknown option '--pcap'; did you mean --cap?"},
        {"-x a", "unknown option '-x'"},
        {"-flag a", "unknown option '-a'; did you mean --flag?"},
        {"-flxyz a", "unknown option '-x'"},
        {"--share 1.5 a", "--share wants a number from 0 to 1, got '1.5'"},
        {"--gap 1us a",
         "--gap wants a duration such as 40us, 5ms, 2s or 1m from 1ms to 1m, got '1us'"},
        {"--cap 2M a", "--cap wants a size such as 512, 64k or 1M from 0 to 1M, got '2M'"},
        {"--mood=cros a", "--mood wants one of calm, cross after '=', got 'cros'; did you mean "
                          "'cross'?"},
        {"--arms one,tow a", "--arms wants a comma-separated list of one, two, three, got 'tow'; "
                             "did you mean 'two'?"},
        {"--arms one,,two a", "--arms wants a comma-separated list of one, two, three, got ''"},
        {"--fail-on cork-hld a", "--fail-on wants a comma-separated list of nagle-delayed-ack, "
                                 "cork-hold, got 'cork-hld'; did you mean 'cork-hold'?"},
        {"--port x a", "--port 'x': wants a port"},
        {"--flag=1 a", "--flag takes no value, got '1'"},
        {"--text x --rounds 3 a", "--rounds and --text cannot be combined"},
        {"--gap 5ms a", "--gap needs --text or --header"},
        {"-f", "TARGET is missing: host:port"},
        {"a b c", "takes at most 2 arguments, but also got 'c'"},
        {"--text", "--text wants TEXT, but nothing follows it"},
        {"--count 3 --drop syn a", "--count must follow an option that it qualifies"},
        {"--drop syn --count 0 a", "--count wants a whole number of at least 1, got '0'"},
        {"--drop= a", "--drop '': wants a match"},
        {"--rounds \x1b[2J\xff a",
         "--rounds wants a whole number from 1 to 1000000, got '\\x1b[2J\\xff'"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        refuse(cases[i].line, cases[i].message);
}

static void a_command_without_arguments_takes_none(void **state)
{
    struct cli_invocation invocation;
    struct error error;
    char word[] = "x";
    (void)state;
    assert_int_equal(cli_parse(&invocation, &program, &bare_command, 1, (char *[]){word}, &error),
                     -EINVAL);
    assert_string_equal(error.text, "takes no arguments, got 'x'");
    cli_invocation_free(&invocation);
}

static void help_is_not_hindered_by_what_is_missing(void **state)
{
    struct parsed parsed;
    (void)state;
    parse(&parsed, "--gap 5ms --help --nonsense");
    assert_int_equal(parsed.rc, 0);
    assert_int_equal(parsed.invocation.wants, CLI_WANTS_HELP);
    cli_invocation_free(&parsed.invocation);
    parse(&parsed, "-fV");
    assert_int_equal(parsed.invocation.wants, CLI_WANTS_VERSION);
    cli_invocation_free(&parsed.invocation);
    parse(&parsed, "-- --help");
    assert_int_equal(parsed.invocation.wants, CLI_WANTS_RUN);
    cli_invocation_free(&parsed.invocation);
}

static void items_keep_their_order_and_qualifiers(void **state)
{
    struct parsed parsed;
    (void)state;
    const struct sample *sample =
        parse(&parsed, "--drop syn --count 1 --dir s>c --flag --hold ack=5ms a --once --count 2 "
                       "--count 3 --drop fin");
    assert_string_equal(parsed.error.text, "");
    assert_int_equal(sample->faults.count, 3);
    const struct cli_item *items = sample->faults.items;
    assert_string_equal(items[0].option->name, "drop");
    assert_string_equal(items[0].text, "syn");
    assert_int_equal(cli_item_find(&items[0], "count")->value.integer, 1);
    assert_int_equal(cli_item_find(&items[0], "dir")->value.choice, 2);
    assert_null(cli_item_find(&items[0], "once"));
    assert_string_equal(items[1].option->name, "hold");
    assert_int_equal(cli_item_find(&items[1], "count")->value.integer, 3);
    assert_true(cli_item_find(&items[1], "once")->value.flag);
    assert_int_equal(items[2].qualifier_count, 0);
    cli_invocation_free(&parsed.invocation);
}

static int read_faults(struct parsed *parsed, const char *text)
{
    struct sample *sample = (struct sample *)parse(parsed, "a");
    parsed->rc = cli_items_read(&parsed->invocation, &sample->faults, "faults.txt", text,
                                strlen(text), &parsed->error);
    return parsed->rc;
}

static void items_are_read_from_a_file(void **state)
{
    struct parsed parsed;
    (void)state;
    assert_int_equal(read_faults(&parsed, "# what we don't want\n"
                                          "\n"
                                          "  --drop 'tcp port 80' --count=2\r\n"
                                          "\t# more\n"
                                          "--hold \"a\\\"b\"\\ c --once"),
                     0);
    const struct sample *sample = parsed.invocation.options;
    assert_int_equal(sample->faults.count, 2);
    assert_string_equal(sample->faults.items[0].text, "tcp port 80");
    assert_int_equal(cli_item_find(&sample->faults.items[0], "count")->value.integer, 2);
    assert_string_equal(sample->faults.items[0].file, "faults.txt");
    assert_int_equal(sample->faults.items[0].line, 3);
    assert_string_equal(sample->faults.items[1].text, "a\"b c");
    assert_int_equal(sample->faults.items[1].line, 5);
    cli_invocation_free(&parsed.invocation);
}

static void bad_lines_are_named(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"--drop syn\n--count 1\n",
         "faults.txt:2: --count must follow an option that it qualifies"},
        {"--drop syn --drop fin", "faults.txt:1: --drop: only one item per line"},
        {"--drop 'syn", "faults.txt:1: the quote ' is not closed"},
        {"--flag", "faults.txt:1: --flag is not allowed in such a file"},
        {"--faults x", "faults.txt:1: --faults is not allowed in such a file"},
        {"--help", "faults.txt:1: --help is not allowed in such a file"},
        {"drop syn", "faults.txt:1: expected an option at 'drop'"},
        {"--drop", "faults.txt:1: --drop wants TEXT, but nothing follows it"},
        {"--drpo syn", "faults.txt:1: unknown option '--drpo'; did you mean --drop?"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct parsed parsed;
        assert_int_equal(read_faults(&parsed, cases[i].text), -EINVAL);
        assert_string_equal(parsed.error.text, cases[i].message);
        cli_invocation_free(&parsed.invocation);
    }
}

static void a_file_stands_where_its_option_stands(void **state)
{
    char path[] = "/tmp/netkit-faults-XXXXXX";
    char line[200];
    struct parsed parsed;
    cleanup(fd) int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "--drop b\n--hold c\n", 18), 18);
    snprintf(line, sizeof line, "--drop a --faults %s --drop d x", path);
    const struct sample *sample = parse(&parsed, line);
    assert_string_equal(parsed.error.text, "");
    assert_int_equal(sample->faults.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(sample->faults.items[i].text[0], 'a' + (int)i);
    cli_invocation_free(&parsed.invocation);
    snprintf(line, sizeof line, "--faults %s --count 1 x", path);
    refuse(line, "--count must follow an option that it qualifies");
    snprintf(line, sizeof line, "--drop a --faults %s --drop d --faults %s --drop e x", path, path);
    sample = parse(&parsed, line);
    assert_int_equal(sample->faults.count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(sample->faults.items[i].text[0], "abcdbce"[i]);
    cli_invocation_free(&parsed.invocation);
    unlink(path);
    parse(&parsed, line);
    assert_int_equal(parsed.rc, -ENOENT);
    assert_memory_equal(parsed.error.text, "--faults /tmp/", 14);
    cli_invocation_free(&parsed.invocation);
}

static void help_fits_the_terminal(void **state)
{
    static const int widths[] = {40, 80, 120};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
        cleanup(buf) struct buf out = {0};
        struct cli_style style = {.width = widths[i]};
        cli_render_help(&out, &program, &sample_command, &style);
        for (const char *line = buf_str(&out); *line;) {
            size_t len = strcspn(line, "\n");
            if (len > (size_t)widths[i])
                fail_msg("%.*s", (int)len, line);
            assert_true(!len || line[len - 1] != ' ');
            line += len + (line[len] == '\n');
        }
        assert_non_null(strstr(buf_str(&out), "  -n, --rounds N"));
        assert_non_null(strstr(buf_str(&out), "(default: 40)"));
        assert_non_null(strstr(buf_str(&out), "      --mood[=WORD]"));
        assert_non_null(strstr(buf_str(&out), "all is well"));
        assert_null(strstr(buf_str(&out), "--pcap"));
    }
}

static void roff_text_is_quoted(void **state)
{
    static const struct cli_group odd = {
        "Odd",
        {{.name = "odd", CLI_FLAG(struct inner, loud), .help = "'It's [odd]: a\\b. Then -- more."},
         {0}}};
    const struct cli_fragment fragments[] = {{&odd, 0, NULL}, {0}};
    const struct cli_command command = {.name = "c",
                                        .group = "C",
                                        .summary = "it's c",
                                        .fragments = fragments,
                                        .options_size = sizeof(struct inner),
                                        .run = run};
    cleanup(buf) struct buf out = {0};
    (void)state;
    cli_render_man_options(&out, &command);
    assert_non_null(strstr(buf_str(&out), "\\&\\(aqIt\\(aqs [odd]: a\\eb.\nThen \\-\\- more.\n"));
}

static void the_last_word_is_completed(void **state)
{
    static const struct {
        const char *line; /* words end with a space, the last one with the text */
        const char *answer;
    } cases[] = {
        {"sa", "words\n\nsample\ttake everything\nbare\ttake nothing\n--help\tList the commands.\n"
               "--version\tPrint the version.\n"},
        {"nonsense --", ""},
        {"sample --mood=c", "words\n--mood=\ncalm\tall is well\ncross\n"},
        {"sample --dir ", "words\n\nc>s\ns>c\n"},
        {"sample --arms two,", "list\ntwo,\none\nthree\n"},
        {"sample --fail-on=x,cork-hold,", "list\n--fail-on=x,cork-hold,\nnagle-delayed-ack\n"},
        {"sample -n5", "words\n-n\n"},
        {"sample -fn 3 --rounds ", "words\n\n"},
        {"sample one two three", ""},
        {"sample -- --mood=c", "words\n\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup(buf) struct buf out = {0};
        char line[100];
        char *words[10];
        size_t count = 0;
        snprintf(line, sizeof line, "%s", cases[i].line);
        for (char *rest = line, *word; (word = strsep(&rest, " "));)
            words[count++] = word;
        cli_complete(&out, &program, count, words);
        assert_string_equal(buf_str(&out), cases[i].answer);
    }
}

static void an_option_given_is_not_offered_again(void **state)
{
    char line[] = "sample -f --header --flag --drop=x --";
    char *words[6];
    size_t count = 0;
    cleanup(buf) struct buf out = {0};
    (void)state;
    for (char *rest = line, *word; (word = strsep(&rest, " "));)
        words[count++] = word;
    cli_complete(&out, &program, count, words);
    assert_memory_equal(buf_str(&out), "words\n\n--rounds\tRounds to run.\n-n\t",
                        strlen("words\n\n--rounds\tRounds to run.\n-n\t"));
    assert_null(strstr(buf_str(&out), "--flag"));
    assert_non_null(strstr(buf_str(&out), "\n--header\t"));
    assert_non_null(strstr(buf_str(&out), "\n--drop\t"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_word_is_completed),
        cmocka_unit_test(an_option_given_is_not_offered_again),
        cmocka_unit_test(the_tables_are_sound),
        cmocka_unit_test(defaults_are_applied),
        cmocka_unit_test(every_kind_is_parsed),
        cmocka_unit_test(words_are_read_as_gnu_does),
        cmocka_unit_test(an_alias_is_the_option_it_stands_for),
        cmocka_unit_test(errors_name_the_option_and_what_it_accepts),
        cmocka_unit_test(a_command_without_arguments_takes_none),
        cmocka_unit_test(help_is_not_hindered_by_what_is_missing),
        cmocka_unit_test(items_keep_their_order_and_qualifiers),
        cmocka_unit_test(items_are_read_from_a_file),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(a_file_stands_where_its_option_stands),
        cmocka_unit_test(help_fits_the_terminal),
        cmocka_unit_test(roff_text_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
