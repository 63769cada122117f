/* Which arm is next: the sessions of a target, played with rounds of a given duration. */
#include "base/clock.h"
#include "probe/arm_schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ALL_ARMS  ((1u << ARM_SMALL_MSS) - 1)
#define STALL_NS  (10 * NS_PER_MS)
#define STEPS_MAX 10000

/* What a run came to. */
struct played {
    int64_t rounds[PROBE_ARMS], sessions[PROBE_ARMS], fresh, fresh_quickack;
    int64_t warmup; /* of the last session */
    int64_t left_ns;
    int64_t warmed_up, connections;
};

/* What the verdict is said to be; an arm that is wanted is so until it has its rounds. */
static bool judged;
static struct arm_outlook told;
static const struct arm_stores *asked_of;

static struct arm_outlook tell(void *owner)
{
    struct arm_outlook outlook = told;

    (void)owner;
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        if (asked_of->arms[arm].count >= 5)
            outlook.wanted &= ~(1u << arm);
    return outlook;
}

/* Plays all sessions; each round takes round_ns, of which gap_ns is a gap inside the answer. */
static struct played play(const struct arm_settings *settings, int64_t round_ns, int64_t gap_ns)
{
    struct arm_schedule schedule;
    struct arm_stores stores = {0};
    struct arm_session session;
    struct played played = {.left_ns = settings->duration_ns};
    struct round round;

    round_clear(&round);
    round.total_ns = round_ns;
    round.part_ns[RESULT_PART_GAP] = gap_ns;
    arm_schedule_begin(&schedule, settings);
    schedule.outlook = judged ? tell : NULL;
    asked_of = &stores;
    for (int step = 0;; step++) {
        assert_true(step < STEPS_MAX);
        if (!arm_schedule_next(&schedule, &stores, played.left_ns, &session))
            break;
        assert_true(session.rounds > 0);
        played.sessions[session.arm]++;
        played.warmup = session.warmup;
        played.connections += !session.continues;
        for (; session.warmup; arm_session_warmed_up(&session, round_ns))
            played.warmed_up++;
        for (; session.rounds; session.rounds--) {
            assert_true(round_store_add(arm_stores_of(&stores, &session), &round));
            played.left_ns -= settings->duration_ns == INT64_MAX ? 0 : round_ns;
            if (played.left_ns <= 0)
                goto over; /* the target ends it */
        }
    }
over:
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        played.rounds[arm] = (int64_t)stores.arms[arm].count;
    played.fresh = (int64_t)stores.fresh.count;
    played.fresh_quickack = (int64_t)stores.fresh_quickack.count;
    arm_stores_free(&stores);
    return played;
}

static struct arm_settings some_settings(void)
{
    return (struct arm_settings){.rounds = 40,
                                 .warmup = 5,
                                 .duration_ns = INT64_MAX,
                                 .arms = ALL_ARMS,
                                 .stall_ns = STALL_NS};
}

static void every_arm_has_its_rounds(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    struct played played = play(&settings, NS_PER_MS, 0);
    for (int arm = 0; arm < ARM_SMALL_MSS; arm++)
        assert_int_equal(played.rounds[arm], 40);
    assert_int_equal(played.sessions[ARM_NODELAY], 4);
    assert_int_equal(played.sessions[ARM_BASELINE], 5); /* the first look, and a block each */
    assert_int_equal(played.rounds[ARM_SMALL_MSS], 0);
    assert_int_equal(played.warmup, 5);
    settings.arms = 1u << ARM_SMALL_MSS | 1u << ARM_LATE_ACK; /* named: they take turns, too */
    played = play(&settings, NS_PER_MS, 0);
    for (int arm = 0; arm < PROBE_ARMS; arm++)
        assert_int_equal(played.rounds[arm],
                         arm == ARM_BASELINE || arm >= ARM_SMALL_MSS ? 40 : 0);
}

static void slow_rounds_are_fewer(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    struct played played = play(&settings, 50 * NS_PER_MS, 0);
    assert_int_equal(played.rounds[ARM_BASELINE], 40);
    assert_int_equal(played.rounds[ARM_QUICKACK], 20); /* a second's worth */
    assert_int_equal(played.sessions[ARM_QUICKACK], 2);
    assert_int_equal(played.warmup, 3);
    played = play(&settings, NS_PER_SEC, 0);
    assert_int_equal(played.rounds[ARM_QUICKACK], 10); /* what the rank test needs */
}

static int64_t all_rounds(const struct played *played)
{
    int64_t rounds = played->warmed_up;

    for (int arm = 0; arm < PROBE_ARMS; arm++)
        rounds += played->rounds[arm];
    return rounds;
}

/* A healthy service at a round trip of 200 ms takes less than 10 s, a Nagle stall there less than
 * 20 s, and a cork less than 10 s. */
static void slow_rounds_are_as_many_as_decide(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    judged = true;
    struct played played = play(&settings, 201 * NS_PER_MS, 0);
    assert_int_equal(played.rounds[ARM_BASELINE], 40);
    assert_int_equal(all_rounds(&played), 43);
    assert_int_equal(played.connections, 1);
    told = (struct arm_outlook){.wanted = 1u << ARM_QUICKACK, .found = true};
    played = play(&settings, 443 * NS_PER_MS, 243 * NS_PER_MS);
    assert_int_equal(played.rounds[ARM_QUICKACK], 10);
    assert_int_equal(played.connections, 2);
    assert_true(all_rounds(&played) * 443 < 20000);
    told = (struct arm_outlook){.wanted = 1u << ARM_QUICKACK | 1u << ARM_SMALL_MSS, .found = true};
    played = play(&settings, 212 * NS_PER_MS, 0);
    assert_int_equal(played.rounds[ARM_SMALL_MSS], 10);
    assert_in_range(all_rounds(&played) * 212, 1, 9600);
    /* The rounds that were asked for are had. */
    settings.rounds_given = true;
    played = play(&settings, 212 * NS_PER_MS, 0);
    assert_int_equal(played.rounds[ARM_BASELINE], 40);
    told = (struct arm_outlook){0};
    judged = false;
}

/* Quick rounds are warmed up as often as the user says. */
static void a_quick_warmup_is_whole(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    settings.arms = 1u << ARM_BASELINE;
    settings.warmup = 30;
    assert_int_equal(play(&settings, NS_PER_MS, 0).warmed_up, 30);
    assert_int_equal(play(&settings, 100 * NS_PER_MS, 0).warmed_up, 3);
}

static void only_wanted_arms_are_run(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    settings.arms = 1u << ARM_BASELINE | 1u << ARM_BOTH;
    struct played played = play(&settings, NS_PER_MS, 0);
    assert_int_equal(played.rounds[ARM_BASELINE], 40);
    assert_int_equal(played.rounds[ARM_BOTH], 40);
    assert_int_equal(played.rounds[ARM_NODELAY] + played.rounds[ARM_QUICKACK], 0);
    settings.arms = 1u << ARM_BASELINE;
    played = play(&settings, NS_PER_MS, 0);
    assert_int_equal(played.sessions[ARM_BASELINE], 1);
    assert_int_equal(played.rounds[ARM_BASELINE], 40);
}

static void at_scale_arms_are_for_those_that_need_them(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    settings.arms_on_suspicion = true;
    struct played played = play(&settings, NS_PER_MS, 0);
    assert_int_equal(played.rounds[ARM_BASELINE], 40);
    assert_int_equal(played.rounds[ARM_NODELAY], 0);
    played = play(&settings, 40 * NS_PER_MS, 0);
    assert_int_equal(played.rounds[ARM_NODELAY], 25);
}

static void time_bounds_the_blocks(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    settings.by_time = true;
    settings.rounds = 1000000;
    settings.duration_ns = 4 * NS_PER_SEC;
    struct played played = play(&settings, NS_PER_MS, 0);
    assert_true(played.left_ns <= 0);
    for (int arm = 0; arm < ARM_SMALL_MSS; arm++)
        assert_true(played.rounds[arm] >= 300);
}

static void new_connections_come_first(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    settings.new_connection = true;
    struct played played = play(&settings, NS_PER_MS, 0);
    assert_int_equal(played.fresh, 40);
    assert_int_equal(played.fresh_quickack, 0);
    assert_int_equal(played.rounds[ARM_BASELINE], 20);
    played = play(&settings, 40 * NS_PER_MS, 40 * NS_PER_MS);
    assert_int_equal(played.fresh, 40);
    assert_int_equal(played.fresh_quickack, 10); /* are the pauses our acknowledgements? */
    settings.arms = 1u << ARM_BASELINE;
    played = play(&settings, NS_PER_MS, 0);
    assert_int_equal(played.fresh, 40);
    assert_int_equal(played.rounds[ARM_BASELINE], 0);
}

static void connects_have_no_arms(void **state)
{
    struct arm_settings settings = some_settings();
    (void)state;
    settings.only_connects = true;
    struct played played = play(&settings, NS_PER_MS, 0);
    assert_int_equal(played.fresh, 40);
    assert_int_equal(played.sessions[ARM_BASELINE], 40);
    assert_int_equal(played.rounds[ARM_BASELINE], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_arm_has_its_rounds),
        cmocka_unit_test(slow_rounds_are_fewer),
        cmocka_unit_test(slow_rounds_are_as_many_as_decide),
        cmocka_unit_test(a_quick_warmup_is_whole),
        cmocka_unit_test(only_wanted_arms_are_run),
        cmocka_unit_test(at_scale_arms_are_for_those_that_need_them),
        cmocka_unit_test(time_bounds_the_blocks),
        cmocka_unit_test(new_connections_come_first),
        cmocka_unit_test(connects_have_no_arms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
