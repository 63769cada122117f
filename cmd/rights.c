#include "rights.h"

#include "output.h"
#include "report_session.h"

#include "base/privilege.h"
#include "base/sandbox.h"
#include <linux/capability.h>
#include <string.h>

/* Where the outputs are no user's, root stays it in name, and may write them. */
static int become_user(const char *const files[], size_t count, bool writes,
                       const struct rights_needs *needs, struct error *error)
{
    struct privilege_user user = {0};
    uint64_t keep = 0;

    if (!needs->root_by_name)
        privilege_user_of(&user, files, count);
    if (!user.uid && writes)
        keep |= PRIVILEGE_FILES;
    if (needs->capture)
        keep |= UINT64_C(1) << CAP_NET_RAW;
    if (needs->socket_options)
        keep |= UINT64_C(1) << CAP_NET_ADMIN;
    return privilege_drop(&user, keep, error);
}

int rights_give_up(const char *command, const struct common_options *common,
                   const struct rights_needs *needs)
{
    const char *const files[] = {common->output, common->diagram_file, common->pcap, needs->record};
    struct error error = {0};
    bool writes = false;

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        writes |= files[i] && strcmp(files[i], "-") != 0;
    int rc = become_user(files, ARRAY_SIZE(files), writes, needs, &error);
    int status = rc ? STATUS_OK : report_session_reserve(command, common, needs->record);
    if (!rc && !status)
        rc = sandbox_enter(writes ? SANDBOX_PROBE_WRITES : SANDBOX_PROBE, &error);
    if (!rc)
        return status;
    output_complain(command, "%s", error.text);
    return STATUS_MACHINE;
}
