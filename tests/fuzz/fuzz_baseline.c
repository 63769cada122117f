/* A baseline file: whatever is accepted is found again by its name, and compares with itself and
 * with a fixed run without harm. */
#include "fuzz.h"

#include "base/clock.h"
#include "report/baseline.h"
#include <errno.h>
#include <string.h>

static void compare_with(const struct regression_before *before,
                         const struct regression_before *now)
{
    struct arena arena = {0};
    struct finding_list list = {0};
    const struct result_probe probe = {
        .target = "now", .ok = now->ok, .latency = now->latency, .histogram = now->histogram};

    regression_find(&arena, before, &probe, &list);
    FUZZ_PROMISE(list.count <= 1);
    FUZZ_PROMISE(before != now || !list.count);
    arena_free(&arena);
}

static struct regression_before steady(void)
{
    struct regression_before run = {
        .ok = true, .latency = {NS_PER_MS, NS_PER_MS, NS_PER_MS, NS_PER_MS, NS_PER_MS}};

    for (int i = 0; i < 40; i++)
        result_histogram_add(&run.histogram, NS_PER_MS);
    return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct regression_before run = steady();
    struct baseline baseline;
    struct error error = {0};
    int rc = baseline_parse(&baseline, (const char *)data, size, &error);

    FUZZ_PROMISE(rc == 0 || rc == -EPROTOTYPE || rc == -EBADMSG);
    for (const char *p = error.text; *p; p++)
        FUZZ_PROMISE((unsigned char)*p >= 0x20 && *p != 0x7f);
    if (rc)
        return 0;
    for (size_t i = 0; i < baseline.count && i < 8; i++) {
        const struct regression_before *before = &baseline.targets[i].before;
        FUZZ_PROMISE(!i || strcmp(baseline.targets[i - 1].name, baseline.targets[i].name) < 0);
        compare_with(before, before);
        compare_with(before, &run);
        compare_with(&run, before);
    }
    baseline_differs(&baseline, &baseline.parameters);
    baseline_free(&baseline);
    return 0;
}
