/* Socket options by name: values to and from the kernel. */
#include "sock/internal.h"

#include "base/clock.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

/* What the kernel takes and gives, whatever the option; the kind says which member. */
union raw {
    int number;
    uint64_t wide;
    struct linger linger;
    struct timeval time;
    char text[SOCK_OPTION_STRING_MAX];
};

/* What one of the kernel's numbers is here: for durations, nanoseconds. */
static int64_t number_scale(enum sock_option_kind kind)
{
    return option_kinds[kind].unit_ns ? option_kinds[kind].unit_ns : 1;
}

/* Returns how many bytes the kernel is to be given. */
static socklen_t to_raw(union raw *out, enum sock_option_kind kind,
                        const struct sock_option_value *value)
{
    switch (kind) {
    case SOCK_OPTION_FLAG:
        out->number = value->on;
        break;
    case SOCK_OPTION_INT:
    case SOCK_OPTION_BYTES:
    case SOCK_OPTION_SECONDS:
    case SOCK_OPTION_MS:
    case SOCK_OPTION_US:
        out->number = (int)(value->number / number_scale(kind));
        break;
    case SOCK_OPTION_TIMEVAL:
        out->time = clock_to_timeval(value->number);
        break;
    case SOCK_OPTION_LINGER:
        out->linger =
            (struct linger){.l_onoff = value->on, .l_linger = (int)(value->number / NS_PER_SEC)};
        break;
    case SOCK_OPTION_STRING:
        memcpy(out->text, value->text, sizeof out->text);
        return (socklen_t)strnlen(out->text, sizeof out->text - 1) + 1;
    case SOCK_OPTION_RATE:
        /* All bits set is "unlimited" (sock_setsockopt in net/core/sock.c). */
        out->wide = value->number == INT64_MAX ? UINT64_MAX : (uint64_t)value->number;
        break;
    case SOCK_OPTION_ERRNO:
    case SOCK_OPTION_COOKIE:
        return 0;
    }
    return option_kinds[kind].raw_bytes;
}

static void from_raw(struct sock_option_value *out, enum sock_option_kind kind,
                     const union raw *raw, socklen_t len)
{
    switch (kind) {
    case SOCK_OPTION_FLAG:
        out->on = raw->number;
        break;
    case SOCK_OPTION_INT:
    case SOCK_OPTION_BYTES:
    case SOCK_OPTION_SECONDS:
    case SOCK_OPTION_MS:
    case SOCK_OPTION_US:
    case SOCK_OPTION_ERRNO:
        out->number = raw->number * number_scale(kind);
        break;
    case SOCK_OPTION_TIMEVAL:
        out->number = (int64_t)raw->time.tv_sec * NS_PER_SEC + raw->time.tv_usec * NS_PER_US;
        break;
    case SOCK_OPTION_LINGER:
        out->on = raw->linger.l_onoff;
        out->number = raw->linger.l_linger * NS_PER_SEC;
        break;
    case SOCK_OPTION_STRING:
        memcpy(out->text, raw->text, len < sizeof out->text ? len : sizeof out->text - 1);
        break;
    case SOCK_OPTION_RATE:
        /* Some kernels keep 32 bits only where the caller gave 4 bytes. */
        out->number =
            raw->wide > INT64_MAX || raw->wide == UINT32_MAX ? INT64_MAX : (int64_t)raw->wide;
        break;
    case SOCK_OPTION_COOKIE:
        out->number = (int64_t)raw->wide;
        break;
    }
}

int sock_option_read(int fd, const struct sock_option *option, struct sock_option_value *out,
                     struct error *error)
{
    struct sock_option_value value = {0};
    union raw raw = {0};
    socklen_t len = option_kinds[option->kind].raw_bytes;

    if (!option->readable)
        return error_set(error, EACCES, "%s can only be set", option->name);
    if (getsockopt(fd, option->level, option->number, &raw, &len))
        return error_sys(error, errno, "cannot read %s", option->name);
    from_raw(&value, option->kind, &raw, len);
    *out = value;
    return 0;
}

int sock_option_write(int fd, const struct sock_option *option,
                      const struct sock_option_value *value, struct error *error)
{
    char text[SOCK_OPTION_TEXT_MAX];
    union raw raw = {0};

    if (!option->writable)
        return error_set(error, EACCES, "%s can only be read", option->name);
    socklen_t len = to_raw(&raw, option->kind, value);
    if (setsockopt(fd, option->level, option->number, &raw, len))
        return error_sys(error, errno, "cannot set %s to %s", option->name,
                         sock_option_format(text, sizeof text, option, value));
    return 0;
}

int sock_option_set(int fd, const char *name, const char *value, struct error *error)
{
    struct sock_option_value parsed;
    const struct sock_option *option = option_find_or_say(name, error);

    if (!option)
        return -EINVAL;
    int rc = sock_option_parse(option, value, &parsed, error);
    return rc ? rc : sock_option_write(fd, option, &parsed, error);
}

int sock_option_get(int fd, const char *name, char *out, size_t size_bytes, struct error *error)
{
    struct sock_option_value value;
    const struct sock_option *option = option_find_or_say(name, error);

    if (!option)
        return -EINVAL;
    int rc = sock_option_read(fd, option, &value, error);
    if (!rc)
        sock_option_format(out, size_bytes, option, &value);
    return rc;
}
