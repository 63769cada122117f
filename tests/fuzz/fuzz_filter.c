/* Any bytes as a filter expression. libpcap may resolve names, so it runs only in a network
 * namespace of its own, where nobody answers. */
#include "base/cleanup.h"
#include "capture/capture.h"
#include "fuzz.h"

#include <sched.h>
#include <string.h>

static bool is_isolated;

/* Before main(): a process with threads, as libFuzzer's is later, cannot enter a user namespace. */
__attribute__((constructor)) static void isolate(void)
{
    is_isolated = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t frame[64] = {[12] = 8, [14] = 0x45};
    struct capture_filter *filter;
    struct error error = {0};
    cleanup(mem) char *copy = strndup((const char *)data, size);

    FUZZ_PROMISE(copy != NULL);
    if (!is_isolated)
        return 0;
    if (capture_filter_compile(&filter, PACKET_LINK_ETHERNET, copy, &error) == 0) {
        capture_filter_matches(filter, frame, sizeof frame, 1500);
        capture_filter_free(filter);
    } else {
        FUZZ_PROMISE(*error.text && strlen(error.text) < sizeof error.text);
    }
    return 0;
}
