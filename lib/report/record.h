/* Rounds as NDJSON: what `--record` keeps, and what the diagnosis is replayed from.
 *
 * One line a round ({"type":"round", …}) in the order in which they were had, and for each target a
 * last line with the rest of the evidence ({"type":"evidence", …}). Rounds and evidence make the
 * diagnosis again: rounds on a connection of their own are the evidence's fresh ones, the others
 * belong to their arm, those of the warm-up to nothing. Reading gives back what was written, field
 * for field. Unknown is null, and so is a key that a recording lacks. */
#ifndef REPORT_RECORD_H
#define REPORT_RECORD_H

#include "base/buf.h"
#include "diagnosis/evidence.h"
#include "netkit/error.h"

struct record_round {
    const char *target;
    enum probe_arm arm;
    bool first_of_connection; /* "fresh" in the line */
    bool new_connection;      /* "own": on a connection of its own, because the user wished so */
    bool warmup;              /* part of no result */
    bool unfinished;          /* the one in which the conversation failed */
    struct round round;
};

/* Append a line with its newline. -ENOMEM. */
int record_round_line(struct buf *out, const struct record_round *round, struct error *error);
int record_evidence_line(struct buf *out, const struct probe_evidence *evidence,
                         struct error *error);

enum record_type { RECORD_ROUND, RECORD_EVIDENCE };

/* Reads one line. Texts come from the arena; evidence->arms and fresh are left empty. -EINVAL with
 * what is wrong with it. */
int record_parse(struct arena *arena, const char *line, enum record_type *type,
                 struct record_round *round, struct probe_evidence *evidence, struct error *error);

#endif
