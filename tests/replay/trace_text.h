/* A trace as text, for tests: what a person can write and read.
 *
 *     # a remark
 *     title Two hosts                     (also: client, server: an address; lost: a count)
 *     TIME SIDE call VERB [len=N] = RESULT [ERRNO] [took=DURATION]
 *     TIME SIDE call VERB [len=N] pending
 *     TIME SIDE stamp queued|sent|acked|received end=N [len=N]
 *     TIME SIDE state NAME [unread=N] [unacked=N]
 *     TIME C>S|S>C FLAGS seq=N [ack=N] [len=N] [win=N] [mss=N] [scale=N] [sack=N:N] [left=TIME]
 *                        [dropped|held|twice|corrupted|answered|made|observed] [fault=N]
 *     TIME C>S|S>C icmp type=N code=N [made] [v6]
 *     TIME wire mark TEXT
 *
 * TIME is a duration with a unit since the start; "#2" after it names another connection than 1,
 * "#0" none. SIDE is client, server or wire. */
#ifndef TESTS_TRACE_TEXT_H
#define TESTS_TRACE_TEXT_H

#include "trace/trace.h"

struct trace_text {
    struct trace_event *events;
    size_t count, lost;
    char title[128], client[64], server[64];
};

/* Reads a file; exits with a message that names the line when it is not of this form. */
void trace_text_read(struct trace_text *out, const char *path);
void trace_text_free(struct trace_text *text);

#endif
