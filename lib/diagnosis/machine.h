/* What a machine's settings, counters and limits mean for TCP, and whether netkit can work on it.
 *
 * Somebody who may read files and open sockets fills a struct machine (probe/machine_probe.h);
 * everything here is pure. What is not known stays zero, and gives no line: a kernel without a
 * setting, a container without /proc, the files of another machine. */
#ifndef DIAGNOSIS_MACHINE_H
#define DIAGNOSIS_MACHINE_H

#include "diagnosis/kernel_timers.h"
#include "netkit/error.h"
#include "result/result.h"

/* A file below /proc/sys, as its text. */
#define MACHINE_NUMBERS  3
#define MACHINE_TEXT_MAX 64
struct machine_value {
    bool known;
    size_t count; /* of numbers at the start of the text */
    int64_t numbers[MACHINE_NUMBERS];
    char text[MACHINE_TEXT_MAX]; /* its first line, blanks as one space; cut where it is longer */
};

/* Arbitrary bytes; never fails. An empty text is not known. */
void machine_value_read(struct machine_value *out, const char *text);

/* The settings that are looked at, by number from 0; the path is below /proc/sys. NULL after the
 * last, which is below MACHINE_SETTINGS. */
#define MACHINE_SETTINGS 48
const char *machine_setting_path(size_t setting);

/* Something that was tried. */
struct machine_answer {
    bool tried;
    struct error error; /* code 0: it works */
    const char *value;  /* what came of it, in a word or two; NULL: "works" or "refused" */
    const char *lacks;  /* it works, but for this; NULL: nothing */
};

#define MACHINE_FAMILIES 2
struct machine_stamps {
    int family; /* 4 or 6; 0: this family was not tried */
    struct error error;
    bool sched, snd, ack, rx; /* stamps of this kind came */
};

struct machine_counters {
    const char *netstat, *snmp, *sockstat; /* the files' texts; NULL: not there */
};

#define MACHINE_INTERFACES 24
struct machine_interface {
    char name[16];
    bool loopback;
    int64_t mtu_bytes;
    int tso, gso, gro;     /* 1 on, 0 off, -1 not known */
    int software_transmit; /* it gives software transmit stamps; the same */
};

struct machine {
    struct machine_value settings[MACHINE_SETTINGS];
    struct machine_counters before, after; /* the same files, a moment apart */
    const char *kernel;                    /* release; NULL: not known */
    int64_t tick_ns;                       /* 1 / HZ; 0: not known */
    const char *tick_source;
    const char *clock_source; /* "tsc"; NULL: not known */
    int64_t uptime_ns;        /* 0: not known */
    int64_t descriptors_soft, descriptors_hard;
    bool descriptors_known;

    struct machine_interface interfaces[MACHINE_INTERFACES];
    size_t interface_count, interfaces_left_out;

    struct machine_answer namespaces, capture, pidfd_getfd, sock_diag, tcp_info;
    const char *hidden_settings; /* of the lab: directories of /proc/sys; ""; NULL: not tried */
    struct machine_stamps stamps[MACHINE_FAMILIES];
    struct machine_value ptrace_scope;

    struct error unread; /* the first thing that is there and could not be read; code 0: none */

    bool terminal_known, terminal, utf8, color;
    int64_t columns;
};

/* Adds what there is to say to the report: results of type RESULT_MACHINE, and a finding for each
 * problem. Texts of the machine are copied. */
void machine_examine(const struct machine *machine, struct report *report);

/* The machine's own schedules; what is not known has the kernel's default. */
struct kernel_timers_settings machine_schedule(const struct machine *machine);

/* Whether something that netkit needs was found not to work. */
bool machine_refuses(const struct report *report);

#endif
