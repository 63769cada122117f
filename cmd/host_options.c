#include "host_options.h"

#include <errno.h>
#include <string.h>

int host_word_read(struct host_word *out, const char *option, const char *text, struct arena *arena,
                   struct error *error)
{
    const char *colon = strchr(text, ':'), *equals = colon ? strchr(colon, '=') : NULL;

    for (int i = 0; equals && equals > colon + 1 && i < LAB_HOSTS; i++) {
        const char *name = lab_host_name((enum lab_host)i);
        if (strlen(name) != (size_t)(colon - text) || strncmp(name, text, strlen(name)) != 0)
            continue;
        out->host = (enum lab_host)i;
        out->name = arena_printf(arena, "%.*s", (int)(equals - colon - 1), colon + 1);
        out->value = equals + 1;
        return 0;
    }
    return error_set(error, EINVAL, "--%s wants client:NAME=VALUE or server:NAME=VALUE, got '%s'",
                     option, text);
}

int host_sysctls(const struct cli_list *list, enum lab_host host, struct arena *arena,
                 const struct lab_sysctl **out, size_t *out_count, struct error *error)
{
    struct lab_sysctl *sysctls = arena_alloc(arena, (list->count + 1) * sizeof *sysctls);

    *out = sysctls;
    *out_count = 0;
    if (!sysctls)
        return error_sys(error, ENOMEM, "--sysctl");
    for (size_t i = 0; i < list->count; i++) {
        struct host_word word;
        int rc = host_word_read(&word, "sysctl", list->words[i], arena, error);
        if (rc)
            return rc;
        if (word.host == host)
            sysctls[(*out_count)++] = (struct lab_sysctl){.name = word.name, .value = word.value};
    }
    return 0;
}
