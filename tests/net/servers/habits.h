/* The habits that the fixture server can play. */
#ifndef SERVERS_HABITS_H
#define SERVERS_HABITS_H

#include "conn.h"

struct habit {
    const char *name;
    const char *usage; /* its parameters, as --list shows them */
    const char *summary;
    const char *takes; /* what they are, in order: d duration, s size, c chunk size, n count */
    struct params defaults;
    bool sizes_answer;                 /* its size is that of the answer */
    bool no_accept;                    /* the connections stay in the accept queue */
    bool last;                         /* the answer announces that the connection ends with it */
    bool (*greet)(struct conn *conn);  /* after accept; may be NULL */
    bool (*answer)(struct conn *conn); /* to one request; false ends the connection */
};

/* NULL when there is none of that name. */
const struct habit *habit_find(const char *name);
/* The index-th habit, NULL after the last. */
const struct habit *habit_at(size_t index);

#endif
