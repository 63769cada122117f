/* Answers of sock_diag: any packets in place of the kernel's. What is reported of a socket came
 * from a whole message, an error has words, and the reader comes to an end.
 *
 * Input: a letter for the question (l look-up, r refresh, a list of all), then packets, each with
 * its length, two bytes, in front. This program's own functions stand before libmnl's. */
#include "fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <netkit/sock.h>
#include <string.h>

static const uint8_t *left;
static size_t left_bytes;

struct mnl_socket *mnl_socket_fdopen(int fd)
{
    static int socket;
    (void)fd;
    return (struct mnl_socket *)&socket;
}

unsigned mnl_socket_get_portid(const struct mnl_socket *socket)
{
    (void)socket;
    return 0;
}

int mnl_socket_close(struct mnl_socket *socket)
{
    (void)socket;
    return 0;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *socket, const void *request, size_t len_bytes)
{
    const struct nlmsghdr *header = request;
    (void)socket;
    FUZZ_PROMISE(len_bytes >= sizeof *header && header->nlmsg_len == len_bytes);
    return (ssize_t)len_bytes;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *socket, void *out, size_t size_bytes)
{
    (void)socket;
    if (left_bytes < 2) {
        errno = EAGAIN;
        return -1;
    }
    size_t len = (size_t)left[0] << 8 | left[1];
    left += 2, left_bytes -= 2;
    len = len < left_bytes ? len : left_bytes;
    len = len < size_bytes ? len : size_bytes;
    memcpy(out, left, len);
    left += len, left_bytes -= len;
    return (ssize_t)len;
}

static void check_entry(const struct sock_diag_entry *entry)
{
    char text[SOCK_ADDRESS_TEXT_MAX];

    FUZZ_PROMISE(sock_family(&entry->local) == AF_INET || sock_family(&entry->local) == AF_INET6);
    FUZZ_PROMISE(sock_family(&entry->local) == sock_family(&entry->remote));
    FUZZ_PROMISE(*sock_address_format(text, sizeof text, &entry->local));
    FUZZ_PROMISE(*sock_address_format(text, sizeof text, &entry->remote));
    FUZZ_PROMISE(entry->has_drops || !entry->drops);
}

static int each(void *context, const struct sock_diag_entry *entry)
{
    size_t *count = context;

    check_entry(entry);
    return ++*count == 5 ? 7 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sock_diag_filter everything = {.want_info = true, .want_drops = true};
    struct sock_address here = {.v4 = {.sin_family = AF_INET, .sin_port = htons(80)},
                                .len_bytes = sizeof here.v4};
    struct sock_diag_entry entry = {.local = here, .remote = here};
    struct error error = {0};
    struct sock_diag *diag;
    size_t count = 0;
    int rc;

    if (!size)
        return 0;
    left = data + 1;
    left_bytes = size - 1;
    FUZZ_PROMISE(sock_diag_adopt(&diag, 0, &error) == 0);
    if (data[0] == 'l')
        rc = sock_diag_lookup(diag, &here, &here, &entry, &error);
    else if (data[0] == 'r')
        rc = sock_diag_refresh(diag, &entry, &error);
    else
        rc = sock_diag_list(diag, &everything, each, &count, &error);
    FUZZ_PROMISE(rc >= 0 || error.text[0]);
    FUZZ_PROMISE(rc <= 0 || (rc == 7 && count == 5));
    if (!rc)
        check_entry(&entry);
    sock_diag_close(diag);
    return 0;
}
