/* C escapes: whatever is accepted, escaped again, unescapes to the same bytes. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "base/text.h"
#include <errno.h>
#include <string.h>

static void check_round_trip(const struct buf *bytes)
{
    cleanup(buf) struct buf shown = {0};
    cleanup(buf) struct buf again = {0};

    text_escape(&shown, buf_str(bytes), bytes->len_bytes);
    FUZZ_PROMISE(!shown.failed && strlen(buf_str(&shown)) == shown.len_bytes);
    for (size_t i = 0; i < shown.len_bytes; i++)
        FUZZ_PROMISE((unsigned char)shown.data[i] >= 0x20 && shown.data[i] != 0x7f);
    FUZZ_PROMISE(text_unescape(&again, buf_str(&shown), NULL) == 0);
    FUZZ_PROMISE(again.len_bytes == bytes->len_bytes &&
                 !memcmp(buf_str(&again), buf_str(bytes), bytes->len_bytes));
    FUZZ_PROMISE(text_width(buf_str(&shown)) <= (int)shown.len_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(mem) char *text = malloc(size + 1);
    cleanup(buf) struct buf bytes = {0};
    struct error error = {0};

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    int rc = text_unescape(&bytes, text, &error);
    FUZZ_PROMISE(rc == 0 || rc == -EINVAL);
    FUZZ_PROMISE(rc == 0 || (error.code == EINVAL && error.text[0]));
    FUZZ_PROMISE(bytes.len_bytes <= strlen(text));
    if (!rc)
        check_round_trip(&bytes);
    return 0;
}
