/* sock_diag over netlink: one exact look-up, a filtered dump, an abort.
 *
 * Requests are struct inet_diag_req_v2 (sock_diag(7)); answers struct inet_diag_msg with
 * attributes. An exact look-up goes through the same hash tables as an arriving segment, so the
 * kernel falls back to a listener on the port: an answer whose four numbers differ is not the
 * connection that was asked for. A dump arrives in several packets and ends with NLMSG_DONE.
 *
 * The filter is a little program that the kernel runs for each socket (inet_diag_bc_run): each
 * operation jumps `yes` bytes ahead when it holds and `no` when it does not; coming out exactly at
 * the end accepts, jumping 4 bytes beyond it rejects. Where all conditions must hold, each one's
 * `no` goes beyond the end. Where one of several ports is enough, each port's condition is followed
 * by a jump to behind the last of them, and its `no` leads past that jump to the next port. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#ifndef SOCK_DESTROY
#define SOCK_DESTROY 21
#endif

/* What a dump's packet may hold; the kernel fills up to 32 KiB when the reader offers that much. */
#define REPLY_BYTES 32768

/* ESTABLISHED to NEW_SYN_RECV. Bit 13 would add sockets that are only bound (since 6.8). */
#define ALL_STATES 0x1ffe

#define REQUEST_BYTES 256
#define NO_COOKIE     UINT64_MAX /* INET_DIAG_NOCOOKIE, twice */

struct sock_diag {
    struct mnl_socket *netlink;
    uint32_t sequence;
    unsigned port;
    char reply[REPLY_BYTES] __attribute__((aligned(8)));
};

int sock_diag_open(struct sock_diag **out, struct error *error)
{
    struct sock_diag *diag = calloc(1, sizeof *diag);
    const struct timeval patience = {.tv_sec = 10}; /* the kernel answers at once, or never */

    if (!diag)
        return error_sys(error, ENOMEM, "sock_diag");
    diag->netlink = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
    if (!diag->netlink || mnl_socket_bind(diag->netlink, 0, MNL_SOCKET_AUTOPID)) {
        int rc = error_sys(error, errno, "cannot open sock_diag");
        sock_diag_close(diag);
        return rc;
    }
    setsockopt(mnl_socket_get_fd(diag->netlink), SOL_SOCKET, SO_RCVTIMEO, &patience,
               sizeof patience);
    diag->port = mnl_socket_get_portid(diag->netlink);
    *out = diag;
    return 0;
}

int sock_diag_fd(const struct sock_diag *diag)
{
    return mnl_socket_get_fd(diag->netlink);
}

int sock_diag_adopt(struct sock_diag **out, int fd, struct error *error)
{
    struct sock_diag *diag = calloc(1, sizeof *diag);

    if (!diag)
        return error_sys(error, ENOMEM, "sock_diag");
    diag->netlink = mnl_socket_fdopen(fd);
    if (!diag->netlink) {
        int rc = error_sys(error, errno, "sock_diag");
        sock_diag_close(diag);
        return rc;
    }
    diag->port = mnl_socket_get_portid(diag->netlink);
    *out = diag;
    return 0;
}

void sock_diag_close(struct sock_diag *diag)
{
    if (!diag)
        return;
    if (diag->netlink)
        mnl_socket_close(diag->netlink);
    free(diag);
}

/* ---- requests ---- */

static size_t address_bytes(const struct sock_address *address, const void **out)
{
    if (sock_family(address) == AF_INET6) {
        *out = &address->v6.sin6_addr;
        return sizeof address->v6.sin6_addr;
    }
    *out = &address->v4.sin_addr;
    return sizeof address->v4.sin_addr;
}

static void put_address(__be32 out[4], const struct sock_address *address)
{
    const void *bytes;
    size_t len = address_bytes(address, &bytes);

    memcpy(out, bytes, len);
}

static void put_identity(struct inet_diag_sockid *out, const struct sock_address *local,
                         const struct sock_address *remote)
{
    out->idiag_sport = htons(sock_address_port(local));
    out->idiag_dport = htons(sock_address_port(remote));
    put_address(out->idiag_src, local);
    put_address(out->idiag_dst, remote);
    if (sock_family(local) == AF_INET6)
        out->idiag_if =
            local->v6.sin6_scope_id ? local->v6.sin6_scope_id : remote->v6.sin6_scope_id;
}

static struct inet_diag_req_v2 *begin_request(struct nlmsghdr *header, uint16_t type,
                                              uint16_t flags, int family)
{
    struct inet_diag_req_v2 *request;

    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | flags;
    request = mnl_nlmsg_put_extra_header(header, sizeof *request);
    request->sdiag_family = (uint8_t)family;
    request->sdiag_protocol = IPPROTO_TCP;
    return request;
}

/* ---- answers ---- */

static void get_address(struct sock_address *out, int family, const __be32 from[4], __be16 port,
                        uint32_t interface)
{
    *out = (struct sock_address){0};
    out->any.sa_family = (sa_family_t)family;
    if (family == AF_INET6) {
        memcpy(&out->v6.sin6_addr, from, sizeof out->v6.sin6_addr);
        out->v6.sin6_port = port;
        if (IN6_IS_ADDR_LINKLOCAL(&out->v6.sin6_addr))
            out->v6.sin6_scope_id = interface;
        out->len_bytes = sizeof out->v6;
    } else {
        memcpy(&out->v4.sin_addr, from, sizeof out->v4.sin_addr);
        out->v4.sin_port = port;
        out->len_bytes = sizeof out->v4;
    }
}

/* The counter came after the other numbers, with Linux 4.7. */
static void take_drops(struct sock_diag_entry *out, const struct nlattr *attr)
{
    const char *numbers = mnl_attr_get_payload(attr);
    size_t at_bytes = SK_MEMINFO_DROPS * sizeof out->drops;

    if (mnl_attr_get_payload_len(attr) < at_bytes + sizeof out->drops)
        return;
    memcpy(&out->drops, numbers + at_bytes, sizeof out->drops);
    out->has_drops = true;
}

static int decode(struct sock_diag_entry *out, const struct nlmsghdr *header)
{
    const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(header);
    const struct nlattr *attr;

    if (mnl_nlmsg_get_payload_len(header) < sizeof *msg ||
        (msg->idiag_family != AF_INET && msg->idiag_family != AF_INET6))
        return -EPROTO;
    *out = (struct sock_diag_entry){
        .state = msg->idiag_state,
        .timer = msg->idiag_timer,
        .timer_retransmits = msg->idiag_retrans,
        .timer_expires_ms = msg->idiag_expires,
        .rqueue = msg->idiag_rqueue,
        .wqueue = msg->idiag_wqueue,
        .uid = msg->idiag_uid,
        .inode = msg->idiag_inode,
        .interface = msg->id.idiag_if,
        .cookie = (uint64_t)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0],
    };
    get_address(&out->local, msg->idiag_family, msg->id.idiag_src, msg->id.idiag_sport,
                msg->id.idiag_if);
    get_address(&out->remote, msg->idiag_family, msg->id.idiag_dst, msg->id.idiag_dport,
                msg->id.idiag_if);
    mnl_attr_for_each(attr, header, sizeof *msg)
    {
        if (mnl_attr_get_type(attr) == INET_DIAG_INFO) {
            sock_tcp_info_decode(&out->info, mnl_attr_get_payload(attr),
                                 mnl_attr_get_payload_len(attr));
            out->has_info = true;
        }
        if (mnl_attr_get_type(attr) == INET_DIAG_SKMEMINFO)
            take_drops(out, attr);
        if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY && mnl_attr_get_payload_len(attr))
            out->v6_only = mnl_attr_get_u8(attr);
    }
    return 0;
}

/* One message of an answer: 0 go on, above 0 the end, negative a failure. */
typedef int message_call(void *context, const struct nlmsghdr *header);

static int walk_packet(struct sock_diag *diag, size_t len_bytes, message_call *each, void *context)
{
    const struct nlmsghdr *header = (const struct nlmsghdr *)diag->reply;
    int left = (int)len_bytes;

    /* A length beyond INT_MAX is negative to libmnl, and passes. */
    for (; mnl_nlmsg_ok(header, left) && header->nlmsg_len <= INT_MAX;
         header = mnl_nlmsg_next(header, &left)) {
        /* An earlier request that was abandoned may still be answering. */
        if (header->nlmsg_seq != diag->sequence || header->nlmsg_pid != diag->port)
            continue;
        if (header->nlmsg_type == NLMSG_DONE)
            return 1;
        if (header->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *failure = mnl_nlmsg_get_payload(header);
            if (mnl_nlmsg_get_payload_len(header) < sizeof *failure)
                return -EPROTO;
            /* An errno as the kernel gives it, or an acknowledgement. */
            return failure->error > 0 || failure->error < -4095 ? -EPROTO
                   : failure->error                             ? failure->error
                                                                : 1;
        }
        int rc = header->nlmsg_type == SOCK_DIAG_BY_FAMILY ? each(context, header) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int read_answer(struct sock_diag *diag, message_call *each, void *context)
{
    int rc;

    do {
        ssize_t len = mnl_socket_recvfrom(diag->netlink, diag->reply, sizeof diag->reply);
        if (len < 0 && errno == EINTR)
            rc = 0;
        else if (len < 0)
            rc = errno == EAGAIN ? -ETIME : -errno;
        else
            rc = walk_packet(diag, (size_t)len, each, context);
    } while (!rc);
    return rc < 0 ? rc : 0;
}

/* Sends a request, and gives each message of its answer to `each`. */
static int send_request(struct sock_diag *diag, struct nlmsghdr *header, message_call *each,
                        void *context)
{
    header->nlmsg_seq = ++diag->sequence;
    while (mnl_socket_sendto(diag->netlink, header, header->nlmsg_len) < 0)
        if (errno != EINTR)
            return -errno;
    return read_answer(diag, each, context);
}

/* ---- one connection ---- */

static int keep_entry(void *context, const struct nlmsghdr *header)
{
    int rc = decode(context, header);

    return rc ? rc : 1;
}

/* The one socket that an answer is about. */
static int ask_for_entry(struct sock_diag *diag, struct nlmsghdr *header,
                         struct sock_diag_entry *out)
{
    int rc;

    *out = (struct sock_diag_entry){0};
    rc = send_request(diag, header, keep_entry, out);
    return !rc && !out->local.len_bytes ? -EPROTO : rc;
}

/* A request about one socket, by its four numbers and its cookie, with that extension (0: none). */
static void ask_one(struct nlmsghdr *header, uint16_t type, uint16_t flags, int extension,
                    const struct sock_diag_entry *about)
{
    struct inet_diag_req_v2 *request =
        begin_request(header, type, flags, sock_family(&about->local));

    request->idiag_states = UINT32_MAX;
    request->idiag_ext = extension ? (uint8_t)(1 << (extension - 1)) : 0;
    put_identity(&request->id, &about->local, &about->remote);
    if (about->interface)
        request->id.idiag_if = about->interface;
    request->id.idiag_cookie[0] = (uint32_t)about->cookie;
    request->id.idiag_cookie[1] = (uint32_t)(about->cookie >> 32);
}

int sock_diag_lookup(struct sock_diag *diag, const struct sock_address *local,
                     const struct sock_address *remote, struct sock_diag_entry *out,
                     struct error *error)
{
    char memory[REQUEST_BYTES] __attribute__((aligned(8)));
    char from[SOCK_ADDRESS_TEXT_MAX], to[SOCK_ADDRESS_TEXT_MAX];
    struct nlmsghdr *header = mnl_nlmsg_put_header(memory);
    struct sock_diag_entry entry = {.local = *local, .remote = *remote, .cookie = NO_COOKIE};

    if (sock_family(local) != sock_family(remote))
        return error_set(error, EINVAL, "sock_diag: the addresses are of different families");
    ask_one(header, SOCK_DIAG_BY_FAMILY, 0, INET_DIAG_INFO, &entry);
    int rc = ask_for_entry(diag, header, &entry);
    if (!rc && (entry.state == TCP_LISTEN ||
                sock_address_port(&entry.remote) != sock_address_port(remote)))
        rc = -ENOENT;
    if (rc == -ENOENT)
        return error_set(error, ENOENT, "sock_diag: no connection from %s to %s",
                         sock_address_format(from, sizeof from, local),
                         sock_address_format(to, sizeof to, remote));
    if (rc)
        return error_sys(error, -rc, "sock_diag look-up");
    *out = entry;
    return 0;
}

int sock_diag_listener(struct sock_diag *diag, const struct sock_address *address,
                       struct sock_diag_entry *out, struct error *error)
{
    struct sock_diag_entry entry = {.local = *address, .cookie = NO_COOKIE};

    /* No connection has port 0 at its other end, so that only a listener fits. */
    entry.remote.any.sa_family = address->any.sa_family;
    int rc = sock_diag_refresh(diag, &entry, error);
    if (!rc)
        *out = entry;
    return rc;
}

int sock_diag_refresh(struct sock_diag *diag, struct sock_diag_entry *entry, struct error *error)
{
    char memory[REQUEST_BYTES] __attribute__((aligned(8)));
    char text[SOCK_ADDRESS_TEXT_MAX];
    struct nlmsghdr *header = mnl_nlmsg_put_header(memory);
    struct sock_diag_entry now;

    ask_one(header, SOCK_DIAG_BY_FAMILY, 0, INET_DIAG_SKMEMINFO, entry);
    int rc = ask_for_entry(diag, header, &now);
    if (rc == -ESTALE)
        rc = -ENOENT;
    if (rc)
        return error_sys(error, -rc, "sock_diag: the socket at %s",
                         sock_address_format(text, sizeof text, &entry->local));
    *entry = now;
    return 0;
}

/* ---- all that match ---- */

struct walk {
    int (*each)(void *context, const struct sock_diag_entry *entry);
    void *context;
    int verdict; /* what `each` ended with */
};

static int pass_on(void *context, const struct nlmsghdr *header)
{
    struct walk *walk = context;
    struct sock_diag_entry entry;

    if (walk->verdict)
        return 0;
    int rc = decode(&entry, header);
    if (rc)
        return rc;
    /* The rest of the dump is read and thrown away, so that the next request starts clean. */
    walk->verdict = walk->each(walk->context, &entry);
    return 0;
}

/* Two conditions, each with an IPv6 address, and the ports. */
#define CONDITION_BYTES (sizeof(struct inet_diag_bc_op) + sizeof(struct inet_diag_hostcond))
#define PROGRAM_BYTES                                                                              \
    (128 + SOCK_DIAG_PORTS_MAX * (CONDITION_BYTES + sizeof(struct inet_diag_bc_op)))

struct program {
    char bytes[PROGRAM_BYTES];
    size_t len_bytes;
};

static void add_bytes(struct program *program, const void *bytes, size_t len_bytes)
{
    memcpy(program->bytes + program->len_bytes, bytes, len_bytes);
    program->len_bytes += len_bytes;
}

/* Appends "this side has this address and port", unless both are free. Its `no` is left 0. */
static void add_condition(struct program *program, uint8_t code, const struct sock_address *address,
                          uint16_t port)
{
    const void *bytes = NULL;
    size_t address_len = address ? address_bytes(address, &bytes) : 0;

    if (address && !port)
        port = sock_address_port(address);
    if (!address && !port)
        return;
    struct inet_diag_hostcond condition;
    memset(&condition, 0, sizeof condition); /* it has a hole, which the kernel gets, too */
    condition.family = address ? (uint8_t)sock_family(address) : AF_UNSPEC;
    condition.prefix_len = (uint8_t)(address_len * 8);
    condition.port = port ? port : -1;
    const struct inet_diag_bc_op op = {
        .code = code, .yes = (uint8_t)(sizeof op + sizeof condition + address_len)};
    add_bytes(program, &op, sizeof op);
    add_bytes(program, &condition, sizeof condition);
    add_bytes(program, bytes ? bytes : "", address_len);
}

/* Appends "the local port is one of these". The last one's `no` is left 0. */
static void add_ports(struct program *program, const uint16_t *ports, size_t count)
{
    size_t end =
        program->len_bytes + count * CONDITION_BYTES + (count - 1) * sizeof(struct inet_diag_bc_op);

    for (size_t i = 0; i < count; i++) {
        char *op = program->bytes + program->len_bytes;
        add_condition(program, INET_DIAG_BC_S_COND, NULL, ports[i]);
        if (i + 1 == count)
            return;
        struct inet_diag_bc_op jump = {.code = INET_DIAG_BC_JMP, .yes = sizeof jump};
        uint16_t past_the_jump = CONDITION_BYTES + sizeof jump;
        memcpy(op + offsetof(struct inet_diag_bc_op, no), &past_the_jump, sizeof past_the_jump);
        jump.no = (uint16_t)(end - program->len_bytes);
        add_bytes(program, &jump, sizeof jump);
    }
}

/* Now that the end is known: every `no` that has no place yet goes 4 bytes beyond it. */
static void finish_program(struct program *program)
{
    struct inet_diag_bc_op op;

    for (size_t at = 0; at < program->len_bytes; at += op.yes) {
        memcpy(&op, program->bytes + at, sizeof op);
        if (!op.no)
            op.no = (uint16_t)(program->len_bytes - at + 4);
        memcpy(program->bytes + at, &op, sizeof op);
    }
}

static int list_family(struct sock_diag *diag, const struct sock_diag_filter *filter, int family,
                       struct walk *walk)
{
    char memory[REQUEST_BYTES + PROGRAM_BYTES] __attribute__((aligned(8)));
    struct nlmsghdr *header = mnl_nlmsg_put_header(memory);
    struct inet_diag_req_v2 *request =
        begin_request(header, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family);
    struct program program = {.len_bytes = 0};

    request->idiag_states = filter->states ? filter->states : ALL_STATES;
    if (filter->want_info)
        request->idiag_ext |= 1 << (INET_DIAG_INFO - 1);
    if (filter->want_drops)
        request->idiag_ext |= 1 << (INET_DIAG_SKMEMINFO - 1);
    if (filter->local_port_count)
        add_ports(&program, filter->local_ports, filter->local_port_count);
    add_condition(&program, INET_DIAG_BC_S_COND, filter->local, filter->local_port);
    add_condition(&program, INET_DIAG_BC_D_COND, filter->remote, filter->remote_port);
    finish_program(&program);
    if (program.len_bytes)
        mnl_attr_put(header, INET_DIAG_REQ_BYTECODE, program.len_bytes, program.bytes);

    return send_request(diag, header, pass_on, walk);
}

int sock_diag_list(struct sock_diag *diag, const struct sock_diag_filter *filter,
                   int (*each)(void *context, const struct sock_diag_entry *entry), void *context,
                   struct error *error)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct walk walk = {.each = each, .context = context};

    if (filter->local_port_count > SOCK_DIAG_PORTS_MAX)
        return error_set(error, EINVAL, "sock_diag list: more than %d ports", SOCK_DIAG_PORTS_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        if (walk.verdict || (filter->family != AF_UNSPEC && filter->family != families[i]))
            continue;
        int rc = list_family(diag, filter, families[i], &walk);
        /* A kernel without IPv6 has no table of it: ENOENT says so. */
        if (rc == -ENOENT && families[i] == AF_INET6)
            rc = 0;
        if (rc)
            return error_sys(error, -rc, "sock_diag list");
    }
    return walk.verdict;
}

/* ---- abort ---- */

static int ignore_message(void *context, const struct nlmsghdr *header)
{
    (void)context;
    (void)header;
    return 0;
}

int sock_diag_destroy(struct sock_diag *diag, const struct sock_diag_entry *entry,
                      struct error *error)
{
    char memory[REQUEST_BYTES] __attribute__((aligned(8)));
    char from[SOCK_ADDRESS_TEXT_MAX], to[SOCK_ADDRESS_TEXT_MAX];
    struct nlmsghdr *header = mnl_nlmsg_put_header(memory);

    ask_one(header, SOCK_DESTROY, NLM_F_ACK, 0, entry);
    int rc = send_request(diag, header, ignore_message, NULL);
    if (rc)
        return error_sys(error, -rc, "cannot destroy the socket from %s to %s",
                         sock_address_format(from, sizeof from, &entry->local),
                         sock_address_format(to, sizeof to, &entry->remote));
    return 0;
}
