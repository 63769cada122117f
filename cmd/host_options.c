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

int host_sysctls(const struct cli_list *list, struct arena *arena,
                 const struct lab_sysctl *out[LAB_HOSTS], size_t out_count[LAB_HOSTS],
                 struct error *error)
{
    struct lab_sysctl *sysctls =
        arena_alloc(arena, LAB_HOSTS * (list->count + 1) * sizeof *sysctls);

    if (!sysctls)
        return error_sys(error, ENOMEM, "--sysctl");
    for (int host = 0; host < LAB_HOSTS; host++) {
        out[host] = sysctls + (size_t)host * list->count;
        out_count[host] = 0;
    }
    for (size_t i = 0; i < list->count; i++) {
        struct host_word word;
        int rc = host_word_read(&word, "sysctl", list->words[i], arena, error);
        if (rc)
            return rc;
        sysctls[(size_t)word.host * list->count + out_count[word.host]++] =
            (struct lab_sysctl){.name = word.name, .value = word.value};
    }
    return 0;
}
