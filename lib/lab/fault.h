/* Faults of the wire, and conditions on what happened.
 *
 * A fault is a rule: which packets it means, which of those it acts on, and what it does to them.
 * Rules are asked in the order in which they were added. A rule that makes a packet late,
 * duplicates or corrupts it hands it on to the next; any other ends the matter, and later rules
 * neither see nor count that packet. ARP, neighbour discovery and multicast membership are
 * forwarded without asking any rule; only a cut stops them. */
#ifndef LAB_FAULT_H
#define LAB_FAULT_H

#include "lab/lab.h"

enum lab_direction {
    LAB_BOTH_WAYS,
    LAB_FROM_CLIENT, /* c>s */
    LAB_FROM_SERVER, /* s>c */
};

/* Which packets. `text` is a flag word, the same for IPv4 and IPv6:
 *
 *     any      every IP packet
 *     syn      TCP with SYN and without ACK
 *     syn-ack  TCP with SYN and ACK
 *     fin      TCP with FIN, whatever else it carries
 *     rst      TCP with RST
 *     data     TCP with payload
 *     ack      TCP with ACK and nothing else: no payload, no SYN, FIN or RST
 *
 * or a filter as tcpdump takes it (pcap-filter(7)). "" is any. */
#define LAB_MATCH_MAX 256
struct lab_match {
    char text[LAB_MATCH_MAX];
    enum lab_direction direction;
};

enum lab_condition_kind {
    LAB_NO_CONDITION,
    LAB_SEGMENT, /* the wire saw, delivered or dropped a packet */
    LAB_STATE,   /* a socket of a host was seen in a state */
    LAB_CALL,    /* a call of a host's role returned */
    LAB_MARK,    /* the experiment remarked it */
};

enum lab_stage {
    LAB_SEEN,
    LAB_DELIVERED,
    LAB_DROPPED,
};

/* Something that the trace will tell. It is counted from the lab's opening, or from `since`, so
 * that what has already happened fulfils it: no wait can come too late. */
#define LAB_WORD_MAX 24
struct lab_condition {
    enum lab_condition_kind kind;
    struct lab_match match;  /* LAB_SEGMENT: a flag word, no filter */
    enum lab_stage stage;    /* LAB_SEGMENT */
    enum lab_host host;      /* LAB_STATE, LAB_CALL */
    int state;               /* LAB_STATE: by the kernel's number, TCP_ESTABLISHED … */
    char word[LAB_WORD_MAX]; /* LAB_CALL: the verb; LAB_MARK: the beginning of the remark */
    uint32_t nth;            /* the how-manieth; 0: the first */
    uint64_t since;          /* a trace_reserved(); 0: the lab's opening */
};

/* Reads a condition:
 *
 *     [seen|delivered|dropped ][c>s:|s>c:]WORD     s>c:syn-ack, delivered c>s:fin
 *     client=STATE, server=STATE                   server=CLOSE-WAIT
 *     client.VERB, server.VERB                     client.close: the call has returned
 *     mark=TEXT
 *
 * with #N behind it for the N-th time. -EINVAL. */
int lab_condition_parse(struct lab_condition *out, const char *text, struct error *error);

/* Waits until the condition has come true. -ETIMEDOUT, and the text says what was waited for. */
int lab_wait(struct lab *lab, const struct lab_condition *condition, int64_t timeout_ns,
             struct error *error);

enum lab_action {
    LAB_DROP,
    LAB_LATE,        /* by duration_ns, and a chance from 0 to jitter_ns */
    LAB_DUPLICATE,   /* delivered twice, back to back */
    LAB_REORDER,     /* changes places with the next packet of its direction; when none comes within
                        200 ms, it goes on alone */
    LAB_CORRUPT,     /* one bit flipped, and the checksum left as it was */
    LAB_ANSWER_RST,  /* dropped; its sender gets an RST, as if from the other host */
    LAB_ANSWER_ICMP, /* dropped; its sender gets an ICMP error */
    LAB_CUT,         /* from the first match on nothing passes either way */
    LAB_HOLD,        /* kept, and released together with whatever else the rule keeps */
};

/* {.action = …, .match.text = "…"} is a rule that acts on all matches. */
struct lab_fault {
    enum lab_action action;
    struct lab_match match;
    int64_t nth;   /* act from the n-th match on; then count 0 means 1 */
    int64_t count; /* act on at most so many; 0: on all */
    bool by_chance;
    double probability; /* with by_chance: act on a match that often (0 to 1) */
    int64_t from_ns;    /* the rule sleeps before this time since the lab's opening … */
    int64_t to_ns;      /* … and from this time on; 0: never */

    int64_t duration_ns;        /* LAB_LATE; LAB_HOLD: at most so long after the first that
                                   is kept (0: no bound), then the next begins anew */
    int64_t jitter_ns;          /* LAB_LATE */
    int64_t hold_count;         /* LAB_HOLD: release when so many are kept; 0: no matter how many */
    struct lab_condition until; /* LAB_HOLD: release when it comes true, and keep none after */
    char icmp[32];              /* LAB_ANSWER_ICMP: a name of packet/icmp.h */
};

/* Adds a rule, which acts on what arrives after the return. Returns its number, from 1 (the
 * `fault` of trace segments), or -EINVAL: the text has libpcap's message for a bad filter,
 * or how many rules a lab takes. */
int lab_fault_add(struct lab *lab, const struct lab_fault *fault, struct error *error);

/* Takes a rule back; what it held is released, what it had cut flows again. -ENOENT. */
int lab_fault_remove(struct lab *lab, int number, struct error *error);

/* Lets go what a hold keeps now, in the order of arrival; it will keep what comes later. -ENOENT.
 * When this returns the packets have been delivered (or, on a link with delay, scheduled). */
int lab_fault_release(struct lab *lab, int number, struct error *error);

struct lab_fault_count {
    uint64_t matched, acted;
};
struct lab_fault_count lab_fault_count(const struct lab *lab, int number);

/* Sets one field from an option's words: `option` is drop, hold, late, duplicate, reorder, corrupt,
 * answer-rst, answer-icmp or cut (these begin a fault: *fault is made anew), count, nth, dir,
 * probability, window. hold takes M=DUR, M=until:COND, M=N (so many) or M alone. -EINVAL says what
 * is accepted, -ENOENT: no such option. */
int lab_fault_option(struct lab_fault *fault, const char *option, const char *value,
                     struct error *error);
/* Whether the option begins a fault. */
bool lab_fault_begins(const char *option);

/* Reads a line of a fault file: "drop syn count 1", "hold s>c..."; that is, an option that begins a
 * fault, its value, and then qualifying options and values, all with or without --; a value with
 * spaces stands in "double quotes". Returns 1, or 0 for an empty line or a # comment. */
int lab_fault_parse(struct lab_fault *out, const char *line, struct error *error);

#endif
