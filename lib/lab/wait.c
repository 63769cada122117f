/* Faults and conditions, from the caller's side. */
#include "base/wait.h"
#include "lab/handle.h"
#include "lab/wire.h"

#include <errno.h>
#include <stdio.h>

static int wait_condition(struct lab *lab, const struct lab_condition *what, const char *text,
                          int64_t timeout_ns, struct error *error)
{
    struct condition condition;
    int rc = condition_init(&condition, what, lab->plan.first_event, error);

    if (rc)
        return rc;
    if (!wait_until(condition_met(&condition, lab->plan.trace), clock_mono_ns() + timeout_ns))
        return error_set(error, ETIMEDOUT, "%s did not come in time", text);
    return 0;
}

static const char *kind_text(enum lab_condition_kind kind)
{
    switch (kind) {
    case LAB_NO_CONDITION:
        return "nothing";
    case LAB_SEGMENT:
        return "a packet";
    case LAB_STATE:
        return "a state";
    case LAB_CALL:
        return "a call";
    case LAB_MARK:
        return "a mark";
    }
    return "?";
}

int lab_wait(struct lab *lab, const struct lab_condition *condition, int64_t timeout_ns,
             struct error *error)
{
    char text[LAB_MATCH_MAX + LAB_WORD_MAX + 32];

    snprintf(text, sizeof text, "%s (%s%s)", kind_text(condition->kind), condition->match.text,
             condition->word);
    return wait_condition(lab, condition, text, timeout_ns, error);
}

int lab_wait_for(struct lab *lab, const char *text, int64_t timeout_ns, struct error *error)
{
    struct lab_condition condition;
    int rc = lab_condition_parse(&condition, text, error);

    return rc ? rc : wait_condition(lab, &condition, text, timeout_ns, error);
}

int lab_fault_add(struct lab *lab, const struct lab_fault *fault, struct error *error)
{
    struct wire_request request = {.op = WIRE_FAULT_ADD, .fault = *fault};
    return wire_call(lab, &request, NULL, NULL, error);
}

int lab_fault_remove(struct lab *lab, int number, struct error *error)
{
    struct wire_request request = {.op = WIRE_FAULT_REMOVE, .number = number};
    return wire_call(lab, &request, NULL, NULL, error);
}

int lab_fault_release(struct lab *lab, int number, struct error *error)
{
    struct wire_request request = {.op = WIRE_FAULT_RELEASE, .number = number};
    return wire_call(lab, &request, NULL, NULL, error);
}

struct lab_fault_count lab_fault_count(const struct lab *lab, int number)
{
    if (number < 1 || number > LAB_FAULTS_MAX)
        return (struct lab_fault_count){0};
    return (struct lab_fault_count){.matched = lab->plan.shared->fault[number - 1].matched,
                                    .acted = lab->plan.shared->fault[number - 1].acted};
}
