/* Runs a fuzz target on files, and on the files of folders. Fails when there was none. */
#include "fuzz.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int replay_file(const char *path)
{
    cleanup(buf) struct buf content = {0};
    cleanup(file) FILE *file = fopen(path, "re");
    char chunk[4096];
    size_t got;

    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_add(&content, chunk, got);
    /* A copy of exactly that size, so that a read behind its end is noticed. */
    cleanup(mem) uint8_t *exact = malloc(content.len_bytes ? content.len_bytes : 1);
    if (!exact || content.failed)
        return -1;
    if (content.len_bytes)
        memcpy(exact, content.data, content.len_bytes);
    LLVMFuzzerTestOneInput(exact, content.len_bytes);
    return 1;
}

/* The number of files that were run, or -1. */
static int replay(const char *path)
{
    cleanup(dir) DIR *dir = NULL;
    struct dirent *entry;
    struct stat st;
    int count = 0;

    if (stat(path, &st) || !S_ISDIR(st.st_mode))
        return replay_file(path);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        cleanup(buf) struct buf inner = {0};
        if (entry->d_name[0] == '.')
            continue;
        buf_printf(&inner, "%s/%s", path, entry->d_name);
        int rc = replay(buf_str(&inner));
        if (rc < 0)
            return rc;
        count += rc;
    }
    return dir ? count : -1;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        int rc = replay(argv[i]);
        if (rc < 0)
            return 1;
        count += rc;
    }
    printf("%d inputs\n", count);
    return count ? 0 : 1;
}
