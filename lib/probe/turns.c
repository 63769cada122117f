#include "probe/turns.h"

static void unlink_turn(struct turns *turns, struct turn *turn)
{
    if (turn->older)
        turn->older->newer = turn->newer;
    else
        turns->oldest = turn->newer;
    if (turn->newer)
        turn->newer->older = turn->older;
    else
        turns->newest = turn->older;
    *turn = (struct turn){0};
    turns->count--;
}

void turns_leave(struct turns *turns, struct turn *turn)
{
    if (turn->at_ns)
        unlink_turn(turns, turn);
}

void turns_note(struct turns *turns, struct turn *turn)
{
    if (!turns->wanted)
        return;
    turns_leave(turns, turn);
    *turn = (struct turn){.older = turns->newest, .at_ns = clock_mono_ns()};
    if (turns->newest)
        turns->newest->newer = turn;
    else
        turns->oldest = turn;
    turns->newest = turn;
    turns->count++;
}

int64_t turns_next_ns(struct turns *turns, size_t in_flight, size_t ready)
{
    if (!turns->wanted || in_flight < TURNS_MAX)
        return 0;
    int64_t now_ns = clock_mono_ns();
    while (turns->oldest && turns->oldest->at_ns + TURNS_WINDOW_NS <= now_ns)
        unlink_turn(turns, turns->oldest);
    if (ready >= TURNS_MAX)
        return now_ns + TURNS_PACE_NS;
    if (turns->count >= TURNS_MAX)
        return turns->oldest->at_ns + TURNS_WINDOW_NS;
    int64_t next_ns = turns->begun_ns + TURNS_PACE_NS;
    return next_ns <= now_ns ? 0 : next_ns;
}

void turns_begin(struct turns *turns, size_t in_flight)
{
    if (turns->wanted && in_flight >= TURNS_MAX)
        turns->begun_ns = clock_mono_ns();
}
