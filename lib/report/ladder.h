/* The ladder: one connection as two lifelines with calls, states and segments in the order of time.
 *
 * ladder_build() makes one model of the picture from a trace; three small renderers draw it. Rows
 * are in the order of time, and no row overlaps another: a segment that the wire delayed is an
 * arrow that begins in its departure's row and ends in a later one. Where no segments were seen,
 * arrows are inferred from kernel timestamps: they are drawn dotted, the far end's time is not
 * known, and a note says so.
 *
 * A ladder owns its arena and refers to nothing of its source. -ENOMEM when memory runs out. */
#ifndef REPORT_LADDER_H
#define REPORT_LADDER_H

#include "report/report.h"
#include "trace/trace.h"

enum ladder_kind {
    LADDER_EVENT,   /* text at a lifeline: a call */
    LADDER_STATE,   /* text at a lifeline: a TCP state */
    LADDER_ARROW,   /* a segment leaves; it also arrives here, unless `other` is a later row */
    LADDER_ARRIVAL, /* the segment of the row `other` arrives */
    LADDER_GAP,     /* nothing for gap_ns */
    LADDER_REMARK,  /* text across both lifelines */
};

enum ladder_place { LADDER_AT_CLIENT, LADDER_AT_WIRE, LADDER_AT_SERVER };

enum ladder_tone {
    LADDER_NORMAL,
    LADDER_NOTABLE, /* sent again, duplicated, corrupted, a window of zero */
    LADDER_TROUBLE, /* dropped, RST, ICMP error, a call that failed */
};

struct ladder_row {
    enum ladder_kind kind;
    enum ladder_tone tone;
    int64_t at_ns;  /* since the picture's first row */
    int64_t gap_ns; /* LADDER_GAP */
    /* Arrows: from where to where; LADDER_AT_WIRE as the end is a drop. Texts: both the same. */
    enum ladder_place from, to;
    bool inferred; /* an arrow known at one end only, by a kernel timestamp of `witness` */
    enum ladder_place witness;
    bool busy[2];      /* the client, the server, was inside a call as this row was reached */
    size_t other;      /* arrows: the row of the other end; its own number when there is none */
    const char *label; /* printable; "" at gaps. Of an arrival: the segment in short */
};

struct ladder {
    struct arena arena;
    struct ladder_row *rows;
    size_t count;
    int64_t start_real_ns;
    int64_t span_ns;
    const char *title;    /* or NULL */
    const char *names[2]; /* of client and server */
    bool unseen[2];       /* nothing is known of what this side did */
    bool wire;            /* something ends, begins or was delayed on the wire */
    const char **notes;
    size_t note_count;
};

struct ladder_source {
    const struct trace_event *events; /* in any order */
    size_t count;
    size_t lost;         /* events that the recorder had to drop */
    uint32_t connection; /* events of this one and of none; 0: of all */
    const char *title;   /* or NULL */
    const char *client;  /* address and port, or NULL */
    const char *server;
    size_t max_rows; /* 0: LADDER_ROWS_DEFAULT; the rest is counted in a note */
};
#define LADDER_ROWS_DEFAULT 1000

int ladder_build(struct ladder *out, const struct ladder_source *source, struct error *error);
void ladder_free(struct ladder *ladder);

static inline void cleanup_ladder(struct ladder *ladder)
{
    ladder_free(ladder);
}

enum ladder_format {
    LADDER_NONE, /* no diagram is wanted */
    LADDER_TEXT,
    LADDER_MERMAID, /* a sequenceDiagram, without a code fence */
    LADDER_SVG,     /* a document of its own, for light and dark */
    LADDER_FORMATS  /* how many; also: no such format */
};

/* Only text looks at the style. */
int ladder_render(struct buf *out, enum ladder_format format, const struct ladder *ladder,
                  const struct report_style *style, struct error *error);

/* What a report kept to be drawn, a slow round or the run of a lab: of every result as text, of the
 * first that has one as Mermaid or SVG. -ENOENT when there is none. */
int report_ladder(struct buf *out, enum ladder_format format, const struct report *report,
                  const struct report_style *style, struct error *error);

/* Every event in the order of time as a table: time, who, what. */
int ladder_timeline(struct buf *out, const struct ladder_source *source,
                    const struct report_style *style, struct error *error);
/* The same of all that the report kept, every connection included; -ENOENT when there is none. */
int report_timeline(struct buf *out, const struct report *report, const struct report_style *style,
                    struct error *error);

/* A time within the picture, "12.345" in the picture's unit ("ms" or "s"). Returns out. */
#define LADDER_TIME_MAX 32
const char *ladder_time(char *out, size_t size, int64_t at_ns, int64_t span_ns);
const char *ladder_time_unit(int64_t span_ns);

#endif
