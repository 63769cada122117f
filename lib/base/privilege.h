/* What root and capabilities allow, and how a process gives that up for good.
 *
 * The rights that netkit was started with are needed to open things: captures, namespaces. What
 * reads bytes of strangers afterwards has no use for them. */
#ifndef BASE_PRIVILEGE_H
#define BASE_PRIVILEGE_H

#include "netkit/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PRIVILEGE_GROUPS_MAX 64

/* Looked up once, by whoever can ask the system's databases. uid 0: nobody in particular. */
struct privilege_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[PRIVILEGE_GROUPS_MAX];
    int group_count;
    char name[64], home[256]; /* "": the user has no entry */
};

/* For whom root runs this: who called sudo(8), or the owner of the directory of the first path (of
 * the working directory if there is none), whoever can write all of the paths. A path may be NULL
 * or "-". uid 0 where that is root, or where this process is not. */
void privilege_user_of(struct privilege_user *out, const char *const *paths, size_t count);

/* From root to the user, where there is one; from all capabilities to `keep` (bits 1 << CAP_…),
 * whoever this is; and no program that is executed later gets any back (PR_SET_NO_NEW_PRIVS).
 * Cannot be undone. Capabilities are a thread's: call it before there are others, or in each. */
int privilege_drop(const struct privilege_user *user, uint64_t keep, struct error *error);

/* CAP_DAC_OVERRIDE: root writes whose file it is asked to. */
#define PRIVILEGE_FILES (UINT64_C(1) << 1)

/* Gives up these as well, in this thread. */
int privilege_drop_more(uint64_t capabilities, struct error *error);

/* Whether the effective capabilities have all of these. */
bool privilege_has(uint64_t capabilities);

#endif
