/* Fault files and conditions: a line of any bytes is refused in printable words, or what it sets is
 * within the bounds that the wire counts on.
 *
 * Input: lines; one that begins with '?' is a condition (--hold M=until:COND). */
#include "fuzz.h"

#include "base/cleanup.h"
#include "lab/fault.h"
#include "packet/icmp.h"
#include <errno.h>
#include <string.h>

static void check_refused(int rc, const struct error *error)
{
    FUZZ_PROMISE(rc == -EINVAL || rc == -ENOENT);
    FUZZ_PROMISE(error->text[0] && strlen(error->text) < sizeof error->text);
}

static void check_match(const struct lab_match *match)
{
    FUZZ_PROMISE(memchr(match->text, '\0', sizeof match->text));
    FUZZ_PROMISE(match->direction >= LAB_BOTH_WAYS && match->direction <= LAB_FROM_SERVER);
}

static void check_condition(const struct lab_condition *condition)
{
    check_match(&condition->match);
    FUZZ_PROMISE(memchr(condition->word, '\0', sizeof condition->word));
    FUZZ_PROMISE(condition->kind != LAB_STATE || (condition->state > 0 && condition->state < 16));
}

static void check_fault(const struct lab_fault *fault)
{
    check_match(&fault->match);
    check_condition(&fault->until);
    FUZZ_PROMISE(fault->nth >= 0 && fault->count >= 0 && fault->hold_count >= 0);
    FUZZ_PROMISE(fault->probability >= 0 && fault->probability <= 1);
    FUZZ_PROMISE(fault->duration_ns >= 0 && fault->jitter_ns >= 0);
    FUZZ_PROMISE(fault->from_ns >= 0 && fault->to_ns >= 0);
    FUZZ_PROMISE(memchr(fault->icmp, '\0', sizeof fault->icmp));
}

static void read_line(const char *line)
{
    struct error error = {0};
    struct lab_fault fault;
    struct lab_condition condition;

    if (*line == '?') {
        int rc = lab_condition_parse(&condition, line + 1, &error);
        if (rc)
            check_refused(rc, &error);
        else
            check_condition(&condition);
        return;
    }
    int rc = lab_fault_parse(&fault, line, &error);
    FUZZ_PROMISE(rc <= 1);
    if (rc < 0)
        check_refused(rc, &error);
    else if (rc)
        check_fault(&fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t len = end ? (size_t)(end - data) : size;
        cleanup(mem) char *line = strndup((const char *)data, len);
        FUZZ_PROMISE(line != NULL);
        read_line(line);
        len += end != NULL;
        data += len;
        size -= len;
    }
    return 0;
}
