/* What a target has learned of its connections and answers, beside the rounds. */
#ifndef PROBE_TARGET_LEARN_H
#define PROBE_TARGET_LEARN_H

#include "probe/target.h"

/* Of the connection that stands, or of the one that did not come about. */
void target_learn_connection(struct target *target);
void target_learn_tls(struct target *target);
/* How many connections the listener has to accept before this one. */
void target_look_at_accept_queue(struct target *target);

/* Of the answer that is complete. */
void target_learn_headers(struct target *target);
void target_learn_answer(struct target *target);

/* The connection was closed before it was used again. */
void target_note_idle_close(struct target *target);

#endif
