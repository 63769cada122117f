/* Recorded rounds: a line is refused with a reason, or what it says is written and read again. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "report/record.h"
#include <errno.h>
#include <string.h>

static int parse(struct arena *arena, const char *line, struct buf *out)
{
    static struct record_round round;
    static struct probe_evidence evidence;
    enum record_type type;
    struct error error = {0};
    int rc = record_parse(arena, line, &type, &round, &evidence, &error);

    FUZZ_PROMISE(rc == 0 || rc == -EINVAL);
    FUZZ_PROMISE(rc == 0 || error.text[0]);
    if (rc)
        return rc;
    return type == RECORD_ROUND ? record_round_line(out, &round, NULL)
                                : record_evidence_line(out, &evidence, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(mem) char *line = malloc(size + 1);
    cleanup(buf) struct buf once = {0};
    cleanup(buf) struct buf twice = {0};
    cleanup(arena) struct arena arena = {0};

    if (!line)
        return 0;
    if (size)
        memcpy(line, data, size);
    line[size] = '\0';
    if (parse(&arena, line, &once))
        return 0;
    FUZZ_PROMISE(once.len_bytes && once.data[once.len_bytes - 1] == '\n');
    FUZZ_PROMISE(parse(&arena, buf_str(&once), &twice) == 0);
    FUZZ_PROMISE(!strcmp(buf_str(&once), buf_str(&twice)));
    return 0;
}
