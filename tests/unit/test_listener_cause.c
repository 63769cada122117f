/* Why a queue is not drained: what was seen of the processes, and the cause that follows. */
#include "listener_play.h"

#define LOOKS 20

static struct listener_process process_in(enum listener_posture posture)
{
    struct listener_process process = {.pid = 100,
                                       .parent = 1,
                                       .posture = posture,
                                       .threads = 1,
                                       .descriptors = 64,
                                       .descriptor_limit = 64};

    strcpy(process.name, "server");
    return process;
}

static void look(struct listener_looks *looks, const struct listener_process *processes,
                 size_t count, bool hidden)
{
    const struct listener_look seen = {.at_ns = NS_PER_SEC + looks->looks * 100 * NS_PER_MS,
                                       .processes = processes,
                                       .count = count,
                                       .hidden = hidden};

    listener_looks_feed(looks, &seen);
}

struct answer {
    struct arena arena;
    struct listener_cause cause;
};

static void ask(struct answer *answer, const struct listener_looks *looks,
                const struct listener_tries *tries)
{
    static const struct listener_tries none;

    *answer = (struct answer){0};
    answer->cause = listener_cause_of(looks, tries ? tries : &none, true, &answer->arena);
}

static void assert_cause(const struct listener_looks *looks, const struct listener_tries *tries,
                         const char *code, const char *words)
{
    struct answer answer;

    ask(&answer, looks, tries);
    if (code)
        assert_string_equal(answer.cause.code ? answer.cause.code : "none", code);
    else
        assert_null(answer.cause.code);
    if (words)
        assert_says(answer.cause.text, words);
    arena_free(&answer.arena);
}

/* All looks find this one process so. */
static struct listener_looks looks_at(struct listener_process process, int count)
{
    struct listener_looks looks = {0};

    for (int i = 0; i < count; i++)
        look(&looks, &process, 1, false);
    return looks;
}

static void each_posture_has_its_cause(void **state)
{
    struct listener_process process = process_in(LISTENER_STOPPED);
    struct listener_looks looks = looks_at(process, LOOKS);

    (void)state;
    assert_cause(&looks, NULL, "stopped", "server (100), in 20 of 20 looks");
    looks = looks_at(process_in(LISTENER_OUT_OF_DESCRIPTORS), LOOKS);
    assert_cause(&looks, NULL, "descriptors", "its limit of 64");
    process = process_in(LISTENER_WAITS);
    strcpy(process.where, "do_wait");
    looks = looks_at(process, LOOKS);
    assert_cause(&looks, NULL, "waiting", "it waits for a child process");
    looks = looks_at(process_in(LISTENER_UNCLEAR), LOOKS);
    assert_cause(&looks, NULL, NULL, "strace -fp 100");
}

static void few_looks_name_nothing(void **state)
{
    struct listener_looks looks = looks_at(process_in(LISTENER_STOPPED), 4);

    (void)state;
    assert_cause(&looks, NULL, NULL, NULL);
    looks = looks_at(process_in(LISTENER_STOPPED), 5);
    assert_cause(&looks, NULL, "stopped", NULL);
}

static void four_in_five_looks_must_agree(void **state)
{
    struct listener_process stopped = process_in(LISTENER_STOPPED),
                            runs = process_in(LISTENER_RUNS);
    struct listener_looks looks = looks_at(stopped, 16);

    (void)state;
    for (int i = 0; i < 4; i++)
        look(&looks, &runs, 1, false);
    assert_cause(&looks, NULL, "stopped", NULL);
    look(&looks, &runs, 1, false);
    assert_cause(&looks, NULL, NULL, "stopped 16 times, running 5 times");
}

static void what_is_hidden_is_not_named(void **state)
{
    struct listener_process process = process_in(LISTENER_OUT_OF_DESCRIPTORS);
    struct listener_looks looks = {0};

    (void)state;
    for (int i = 0; i < LOOKS; i++)
        look(&looks, &process, 1, true);
    assert_cause(&looks, NULL, NULL, "run as root");
    looks = (struct listener_looks){0};
    for (int i = 0; i < LOOKS; i++)
        look(&looks, NULL, 0, false);
    assert_cause(&looks, NULL, NULL, "No process that this user can see");
}

/* A loop around a call that fails takes a processor, too. */
static void time_in_the_kernel_may_be_a_failing_call(void **state)
{
    static const struct listener_tries tries;

    (void)state;
    for (int kernel = 10; kernel <= 90; kernel += 80) {
        struct listener_process process = process_in(LISTENER_RUNS);
        struct listener_looks looks = {0};
        struct answer answer = {0};
        for (int i = 0; i < LOOKS; i++) {
            process.cpu_ns = i * 100 * NS_PER_MS;
            process.kernel_cpu_ns = i * kernel * NS_PER_MS;
            look(&looks, &process, 1, false);
        }
        answer.cause = listener_cause_of(&looks, &tries, true, &answer.arena);
        assert_int_equal(answer.cause.code != NULL, kernel < 50);
        answer.cause = listener_cause_of(&looks, &tries, false, &answer.arena);
        assert_string_equal(answer.cause.code, "busy");
        assert_says(answer.cause.text, "used 100 % of a processor");
        arena_free(&answer.arena);
    }
}

static void parents_that_supervise_do_not_count(void **state)
{
    struct listener_process pair[2] = {process_in(LISTENER_WAITS), process_in(LISTENER_STOPPED)};
    struct listener_looks looks = {0};

    (void)state;
    strcpy(pair[0].where, "sigsuspend");
    pair[1].pid = 101;
    pair[1].parent = 100;
    for (int i = 0; i < LOOKS; i++)
        look(&looks, pair, 2, false);
    assert_cause(&looks, NULL, "stopped", "server (101) beside 1 more");
    looks = (struct listener_looks){0};
    pair[1].parent = 1; /* a stranger */
    for (int i = 0; i < LOOKS; i++)
        look(&looks, pair, 2, false);
    assert_cause(&looks, NULL, NULL, "server (100) asleep in sigsuspend");
    looks = (struct listener_looks){0};
    pair[1].parent = 100;
    strcpy(pair[0].where, "do_wait"); /* it may be the one that accepts */
    pair[1].posture = LISTENER_OUT_OF_DESCRIPTORS;
    for (int i = 0; i < LOOKS; i++)
        look(&looks, pair, 2, false);
    assert_cause(&looks, NULL, NULL, "out of descriptors");
}

static void only_tries_find_one_accept_an_event(void **state)
{
    struct listener_process process = process_in(LISTENER_WAITS);
    struct listener_looks looks;
    struct listener_tries tries = {.wanted = true, .begun = 3, .one = 3};

    (void)state;
    process.edge = true;
    looks = looks_at(process, LOOKS);
    assert_cause(&looks, NULL, NULL, "--try-connections would decide");
    assert_cause(&looks, &tries, "edge-triggered", "each of 3 connections");
    tries = (struct listener_tries){.wanted = true, .begun = 3, .one = 2};
    assert_cause(&looks, &tries, NULL, "full or never quiet");
    tries = (struct listener_tries){.wanted = true, .begun = 4, .one = 3, .none = 1};
    assert_cause(&looks, &tries, NULL, "released none");
    tries = (struct listener_tries){.wanted = true, .begun = 1, .more = 1};
    assert_cause(&looks, &tries, NULL, "released several");
    tries = (struct listener_tries){.wanted = true, .begun = 4, .one = 3, .more = 1};
    assert_cause(&looks, &tries, NULL, "released several");
}

/* A parent that stands for its workers would be the wrong one to stop, trace or kill. */
static void the_worker_is_named_before_its_parent(void **state)
{
    struct listener_process pair[] = {process_in(LISTENER_STOPPED), process_in(LISTENER_STOPPED)};
    struct listener_looks looks = {0};

    (void)state;
    strcpy(pair[0].name, "master");
    pair[1].pid = 101;
    pair[1].parent = pair[0].pid;
    for (int i = 0; i < LOOKS; i++)
        look(&looks, pair, 2, false);
    assert_cause(&looks, NULL, "stopped", "server (101) beside 1 more");
    pair[1].parent = 1;
    looks = (struct listener_looks){0};
    for (int i = 0; i < LOOKS; i++)
        look(&looks, pair, 2, false);
    assert_cause(&looks, NULL, "stopped", "master (100) beside 1 more");
}

/* A process may call itself anything. */
static void names_are_escaped(void **state)
{
    struct listener_process process = process_in(LISTENER_STOPPED);

    (void)state;
    strcpy(process.name, "a\033[31m\n");
    struct listener_looks looks = looks_at(process, LOOKS);
    assert_cause(&looks, NULL, "stopped", "a\\x1b[31m\\n (100)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_posture_has_its_cause),
        cmocka_unit_test(few_looks_name_nothing),
        cmocka_unit_test(four_in_five_looks_must_agree),
        cmocka_unit_test(what_is_hidden_is_not_named),
        cmocka_unit_test(time_in_the_kernel_may_be_a_failing_call),
        cmocka_unit_test(parents_that_supervise_do_not_count),
        cmocka_unit_test(only_tries_find_one_accept_an_event),
        cmocka_unit_test(the_worker_is_named_before_its_parent),
        cmocka_unit_test(names_are_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
