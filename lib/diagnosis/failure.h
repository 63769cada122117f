/* Why a connection failed, as far as was seen: the words, the side and the remedy that all commands
 * share. Pure. */
#ifndef DIAGNOSIS_FAILURE_H
#define DIAGNOSIS_FAILURE_H

#include "result/result.h"
#include <stdbool.h>
#include <stdint.h>

enum failure_cause {
    FAILURE_NOT_KNOWN,
    /* Our own kernel said no before a SYN left. */
    FAILURE_NO_ROUTE,
    FAILURE_ROUTE_UNREACHABLE,
    FAILURE_ROUTE_BLACKHOLE,
    FAILURE_NO_SCOPE,
    FAILURE_ROUTE_PROHIBITED,
    FAILURE_NOT_PERMITTED,
    FAILURE_LOOPBACK_DOWN,
    FAILURE_NO_PORT,
    FAILURE_NO_ADDRESS,
    FAILURE_SOURCE,
    FAILURE_IPV6_OFF,
    FAILURE_NO_IPV6,
    FAILURE_FAMILY_FORBIDDEN,
    FAILURE_NO_SOCKET,
    FAILURE_SOCKET_SETTINGS,
    /* It had no means to try. */
    FAILURE_NO_DESCRIPTOR,
    FAILURE_NO_FILE,
    FAILURE_NO_MEMORY,
    FAILURE_NO_THREAD,
    /* The name has no address. */
    FAILURE_NO_NAME,
    FAILURE_NO_NAME_SERVER,
    FAILURE_NAME_SERVER_SILENT,
    /* The connection stood, and there was no answer, or not all of one. */
    FAILURE_TLS_WANTED,
    FAILURE_ENDS_UNASKED,
    FAILURE_RESET_ON_REQUEST,
    FAILURE_CLOSED_ON_REQUEST,
    FAILURE_ANSWER_CUT_OFF,
    /* It was not what the user said that the server wants to hear. */
    FAILURE_OPTIONS,
    FAILURE_CAUSES
};

struct failure_entry {
    const char *name;       /* "no-route" */
    enum finding_code code; /* FINDING_NONE: whatever it was found by */
    enum result_side side;
    const char *clause; /* of what our kernel refused, where it needs no facts; NULL */
    const char *remedy; /* NULL: that of the finding */
};
const struct failure_entry *failure_entry(enum failure_cause cause);
/* NULL, and what is no name, is FAILURE_NOT_KNOWN. */
enum failure_cause failure_by_name(const char *name);

/* What is known of this host when its kernel has refused to connect. {0}: nothing. */
struct local_facts {
    bool v6;                        /* the target is an IPv6 address */
    bool without_socket;            /* it was refused before connect() */
    bool without_scope;             /* a link-local one, and no interface is named */
    bool no_ipv6;                   /* the kernel has none (ipv6.disable=1, or not built) */
    bool loopback_down;             /* the target is on lo, and that is down */
    char ipv6_off[64];              /* the setting that switches IPv6 off there; "": it is on */
    char source[96];                /* of --source; "" */
    bool source_other_family;       /* and that is of the other family */
    uint32_t port_first, port_last; /* net.ipv4.ip_local_port_range; 0: not known */
    uint32_t ports_taken;           /* of those, towards the target; from a source, by any socket */
};

/* The cause of what socket() or connect() was refused with; FAILURE_NOT_KNOWN when it is no
 * refusal. The clause comes from the arena or is static, and has neither a capital nor a period:
 * "this host has no route to it: no SYN left". */
enum failure_cause failure_of_refusal(struct arena *arena, int number,
                                      const struct local_facts *facts, const char **clause);
/* The cause of a name that did not resolve, by getaddrinfo()'s EAI_ code as an errno (EAGAIN: it
 * could not be found out) or what the machine lacked for that, and the servers that were to be
 * asked, as a list; "": there is none. */
enum failure_cause failure_of_name(int number, const char *servers);
/* What this machine lacks by an errno; FAILURE_NOT_KNOWN: that is something else. */
enum failure_cause failure_of_shortage(int number);
/* Whether this machine refused, by its rules or for want of means: nothing is known of the target.
 */
bool failure_is_local(const struct result_error *error);
/* Gives a finding the side and the remedy of its cause. */
void failure_blame(struct arena *arena, struct finding *finding, enum failure_cause cause);
/* A clause as a sentence of its own. */
const char *failure_sentence(struct arena *arena, const char *clause);

#endif
