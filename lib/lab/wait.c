/* Faults and conditions, from the caller's side. */
#include "base/wait.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "capture/capture.h"
#include "lab/handle.h"
#include "lab/wire.h"

#include <errno.h>
#include <string.h>

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

int lab_wait(struct lab *lab, const struct lab_condition *what, int64_t timeout_ns,
             struct error *error)
{
    struct condition condition;
    int rc = condition_init(&condition, what, lab->plan.first_event, error);

    if (rc)
        return rc;
    if (!wait_until(condition_met(&condition, lab->plan.trace), clock_mono_ns() + timeout_ns))
        return error_set(error, ETIMEDOUT, "%s (%s%s) did not come in time", kind_text(what->kind),
                         what->match.text, what->word);
    return 0;
}

/* Names of hosts, ports and protocols are looked up here: the wire opens no file. */
int lab_fault_add(struct lab *lab, const struct lab_fault *fault, struct error *error)
{
    struct wire_request request;
    cleanup(capture_filter) struct capture_filter *filter = NULL;
    cleanup(buf) struct buf message = {0};
    int rc = 0;

    memset(&request, 0, sizeof request); /* it has holes, and goes to another process as it is */
    request.op = WIRE_FAULT_ADD;
    request.fault = *fault;
    buf_add(&message, &request, sizeof request);
    if (flag_word_of(fault->match.text) == WORD_NONE)
        rc = capture_filter_compile(&filter, PACKET_LINK_ETHERNET, fault->match.text, error);
    if (filter) {
        size_t len_bytes;
        const void *program = capture_filter_program(filter, &len_bytes);
        buf_add(&message, program, len_bytes);
    }
    if (!rc && message.failed)
        rc = error_sys(error, ENOMEM, "a fault");
    return rc ? rc
              : message_call(lab->wire, message.data, message.len_bytes, NULL, 0, NULL, 0, error);
}

int lab_fault_remove(struct lab *lab, int number, struct error *error)
{
    struct wire_request request = {.op = WIRE_FAULT_REMOVE, .number = number};
    return wire_call(lab, &request, error);
}

int lab_fault_release(struct lab *lab, int number, struct error *error)
{
    struct wire_request request = {.op = WIRE_FAULT_RELEASE, .number = number};
    return wire_call(lab, &request, error);
}

struct lab_fault_count lab_fault_count(const struct lab *lab, int number)
{
    if (number < 1 || number > LAB_FAULTS_MAX)
        return (struct lab_fault_count){0};
    return (struct lab_fault_count){.matched = lab->plan.shared->fault[number - 1].matched,
                                    .acted = lab->plan.shared->fault[number - 1].acted};
}
