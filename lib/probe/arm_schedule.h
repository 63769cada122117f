/* What a target does next: which arm, on what kind of connection, for how many rounds.
 *
 * Persistent connections: blocks of sessions, in each block every arm once on a fresh connection,
 * in an order that rotates from block to block, so that a machine that gets slower or faster
 * meanwhile touches all arms alike. The baseline has the user's number of rounds; the other arms as
 * many as fit in about a second each, and never fewer than the rank test needs. With --duration the
 * blocks go on until the time is over. At the end come arms that would settle what is still open.
 *
 * Where rounds are slow the questions come first: some rounds of the baseline, then the arms that
 * would decide, until all is decided or can't be, then the rest of the baseline. A service of which
 * nothing is to be said has its rounds and no arm.
 *
 * With --new-connection the user's rounds come first, each on its own connection; the arms then run
 * on persistent ones, in the second half of a --duration, to see whether those would stall.
 *
 * Pure but for memory: no clock, no socket. */
#ifndef PROBE_ARM_SCHEDULE_H
#define PROBE_ARM_SCHEDULE_H

#include "diagnosis/evidence.h"
#include "probe/round_store.h"

/* What the user asked for. */
struct arm_settings {
    int64_t rounds, warmup;
    bool by_time; /* fill duration_ns; `rounds` is then only a cap */
    int64_t duration_ns;
    int64_t interval_ns; /* between rounds */
    bool only_connects;  /* a round is a connect: there are no arms */
    bool new_connection;
    uint32_t arms; /* bits 1 << enum probe_arm; the baseline is always run */
    /* The user named them: then they are run as often as it takes, and the baseline in full. */
    bool rounds_given, arms_given;
    /* Run the other arms only where the baseline has something to explain. */
    bool arms_on_suspicion;
    int64_t stall_ns; /* the shortest delay that is worth an explanation */
};

/* What the verdict would be of what was measured until now. */
struct arm_outlook {
    unsigned wanted; /* arms that would settle what is open: bits 1 << enum probe_arm */
    bool found;      /* something is to be said already, of most rounds */
};

/* What was measured. */
struct arm_stores {
    struct round_store arms[PROBE_ARMS]; /* on persistent connections */
    struct round_store fresh;            /* each on a connection of its own */
    struct round_store fresh_quickack;
};

/* Rounds that are had one after the other. */
struct arm_session {
    enum probe_arm arm;
    bool fresh;             /* one round, on a connection of its own */
    bool continues;         /* on the connection of the session before */
    int64_t warmup, rounds; /* still to do */
    int64_t warmed_up;      /* done */
};

struct arm_schedule {
    const struct arm_settings *settings;
    int64_t fresh_left; /* rounds of fresh_arm, each on a connection of its own */
    enum probe_arm fresh_arm;
    enum probe_arm latest; /* on a persistent connection */
    int step;
    int blocks;           /* 0: the pace is not known yet */
    int64_t quota;        /* rounds of each arm but the baseline */
    int64_t timed_rounds; /* the baseline's in all blocks, when time bounds the run */
    bool by_question;     /* rounds are slow: the arms that would decide, and no others */
    /* The verdict so far; NULL: nobody asks. */
    struct arm_outlook (*outlook)(void *owner);
    void *owner;
};

void arm_schedule_begin(struct arm_schedule *schedule, const struct arm_settings *settings);
/* The next session, when left_ns of the duration are left (INT64_MAX: unbounded). false: all is
 * done. */
bool arm_schedule_next(struct arm_schedule *schedule, const struct arm_stores *stores,
                       int64_t left_ns, struct arm_session *out);

/* One more round of the session's warm-up is over. If it was slow, few have to follow. */
void arm_session_warmed_up(struct arm_session *session, int64_t round_ns);

/* Where a round of the session goes. */
struct round_store *arm_stores_of(struct arm_stores *stores, const struct arm_session *session);
/* Whether the user's own rounds are those on connections of their own. */
bool arm_settings_fresh(const struct arm_settings *settings);
/* How many of the user's own rounds, or of those that explain them, have been measured. */
int64_t arm_stores_measured(const struct arm_stores *stores);
void arm_stores_free(struct arm_stores *stores);

#endif
