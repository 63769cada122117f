#include "probe/admission.h"

static void unlink_place(struct admission *admission, struct admission_place *place)
{
    if (place->older)
        place->older->newer = place->newer;
    else
        admission->oldest = place->newer;
    if (place->newer)
        place->newer->older = place->older;
    else
        admission->newest = place->older;
    *place = (struct admission_place){0};
    admission->count--;
}

void admission_leave(struct admission *admission, struct admission_place *place)
{
    if (place->at_ns)
        unlink_place(admission, place);
}

void admission_note(struct admission *admission, struct admission_place *place)
{
    if (!admission->wanted)
        return;
    admission_leave(admission, place);
    *place = (struct admission_place){.older = admission->newest, .at_ns = clock_mono_ns()};
    if (admission->newest)
        admission->newest->newer = place;
    else
        admission->oldest = place;
    admission->newest = place;
    admission->count++;
}

int64_t admission_next_ns(struct admission *admission, size_t in_flight, size_t ready)
{
    if (!admission->wanted || in_flight < ADMISSION_MAX)
        return 0;
    int64_t now_ns = clock_mono_ns();
    while (admission->oldest && admission->oldest->at_ns + ADMISSION_WINDOW_NS <= now_ns)
        unlink_place(admission, admission->oldest);
    if (ready >= ADMISSION_MAX)
        return now_ns + ADMISSION_PACE_NS;
    if (admission->count >= ADMISSION_MAX)
        return admission->oldest->at_ns + ADMISSION_WINDOW_NS;
    int64_t next_ns = admission->begun_ns + ADMISSION_PACE_NS;
    return next_ns <= now_ns ? 0 : next_ns;
}

void admission_begin(struct admission *admission, size_t in_flight)
{
    if (admission->wanted && in_flight >= ADMISSION_MAX)
        admission->begun_ns = clock_mono_ns();
}
