/* Live captures, on the loopback of a network namespace that each test has to itself. A test runs
 * in a forked child, because entering a user namespace is for good; its assertions are exits. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "build_tcp.h"
#include "capture/capture.h"
#include "packet/build.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define BOUND_MS 20000

enum { CHILD_OK = 0, CHILD_NO_NAMESPACE = 77 };

static void require_at(bool holds, int line, const char *what, const struct error *error)
{
    if (holds)
        return;
    print_error("line %d: %s; %s\n", line, what, error->text);
    _exit(1);
}

#define require(holds) require_at(holds, __LINE__, #holds, &error)

static void set_up(const char *device, bool up)
{
    cleanup(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_flags = up ? IFF_UP | IFF_RUNNING : 0};

    strncpy(request.ifr_name, device, sizeof request.ifr_name - 1);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        _exit(2);
}

/* Creates (RTM_NEWLINK) or removes (RTM_DELLINK) the veth device "wire". */
static void change_link(uint16_t type, uint16_t flags)
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
        struct rtattr name;
        char name_text[8];
        struct rtattr link_info, kind;
        char kind_text[4];
    } request = {
        .header = {sizeof request, type, (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags), 1, 0},
        .name = {sizeof(struct rtattr) + 5, IFLA_IFNAME},
        .name_text = "wire",
        .link_info = {2 * sizeof(struct rtattr) + 4, IFLA_LINKINFO},
        .kind = {sizeof(struct rtattr) + 4, IFLA_INFO_KIND},
        .kind_text = {'v', 'e', 't', 'h'},
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char more[200];
    } answer;
    cleanup(fd) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0 || send(fd, &request, sizeof request, 0) != sizeof request ||
        recv(fd, &answer, sizeof answer, 0) < (ssize_t)NLMSG_LENGTH(sizeof answer.error) ||
        answer.header.nlmsg_type != NLMSG_ERROR || answer.error.error != 0)
        _exit(5);
}

static void run_in_namespace(void (*body)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
            _exit(CHILD_NO_NAMESPACE);
        set_up("lo", true);
        body();
        _exit(CHILD_OK);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NO_NAMESPACE) {
        const char *must = getenv("NETKIT_TESTS_MUST_RUN");
        if (must && *must)
            fail_msg("no user and network namespaces here");
        print_message("SKIP: no user and network namespaces here\n");
        skip();
    }
    assert_int_equal(status, 0);
}

/* The next packet, waited for. */
static struct capture_packet next(struct capture *capture)
{
    struct error error = {0};
    struct capture_packet packet;
    int rc;

    while ((rc = capture_next(capture, &packet, &error)) == 0) {
        struct pollfd wait = {.fd = capture_fd(capture), .events = POLLIN};
        require(poll(&wait, 1, BOUND_MS) == 1);
    }
    require(rc == 1);
    return packet;
}

static void send_udp(uint16_t port, const char *text)
{
    cleanup(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof to) < 0)
        _exit(3);
}

static void capture_one(void)
{
    struct error error = {0};
    struct capture *capture = NULL;
    struct capture_live live = {.device = "lo", .filter = "udp port 7"};
    struct capture_packet none;
    struct capture_stats stats;
    struct segment segment;

    require(capture_open_live(&capture, &live, &error) == 0);
    require(capture_link(capture) == PACKET_LINK_ETHERNET);
    require(capture_next(capture, &none, &error) == 0);
    int64_t before = clock_real_ns();
    send_udp(8, "not this one");
    send_udp(7, "hello");
    struct capture_packet packet = next(capture);
    /* The kernel stamped it in between, in nanoseconds of the same clock. */
    require(packet.real_ns >= before && packet.real_ns <= clock_real_ns());
    packet_decode(&segment, packet.link, packet.bytes, packet.captured_len, packet.wire_len);
    require(segment.kind == PACKET_UDP && segment.destination.port == 7);
    require(!memcmp(packet.bytes + segment.payload_offset, "hello", 5));
    require(packet.number == 1);

    require(capture_set_filter(capture, "udp port 8", &error) == 0);
    send_udp(7, "not this one");
    send_udp(8, "this one");
    packet = next(capture);
    packet_decode(&segment, packet.link, packet.bytes, packet.captured_len, packet.wire_len);
    require(segment.destination.port == 8);
    require(capture_get_stats(capture, &stats, &error) == 0);
    require(stats.received >= 2 && stats.dropped == 0);
    capture_close(capture);
}

static void a_datagram_is_captured(void **state)
{
    (void)state;
    run_in_namespace(capture_one);
}

/* A SYN to a port where nobody listens, injected: the kernel's answer proves that it arrived. (For
 * 127.0.0.1 the kernel refuses what was not routed to the loopback.) */
static void inject_one(void)
{
    struct error error = {0};
    struct capture *capture = NULL;
    struct capture_live live = {.device = "lo", .filter = "tcp", .direction = CAPTURE_IN};
    struct packet_tcp syn = {.family = 6,
                             .source = {{[15] = 1}, 1000},
                             .destination = {{[15] = 1}, 9},
                             .seq = 42,
                             .flags = SEGMENT_SYN};
    uint8_t frame[100];
    struct segment segment;

    require(capture_open_live(&capture, &live, &error) == 0);
    int len = packet_build_tcp(frame, sizeof frame, &syn);
    require(len > 0);
    require(capture_inject(capture, frame, (size_t)len, &error) == 0);
    struct capture_packet packet = next(capture);
    require(packet.captured_len == (uint32_t)len && !memcmp(packet.bytes, frame, (size_t)len));
    packet = next(capture);
    packet_decode(&segment, packet.link, packet.bytes, packet.captured_len, packet.wire_len);
    require(segment.flags == (SEGMENT_RST | SEGMENT_ACK) && segment.ack == 43);

    /* Our own answer to the same SYN says what the kernel said. */
    uint8_t answer[PACKET_ANSWER_MAX];
    struct segment ours;
    packet_decode(&ours, PACKET_LINK_ETHERNET, frame, (size_t)len, (size_t)len);
    len = packet_build_rst(answer, sizeof answer, frame, (size_t)len, &ours);
    require(len > 0);
    packet_decode(&ours, PACKET_LINK_ETHERNET, answer, (size_t)len, (size_t)len);
    require(ours.seq == segment.seq && ours.ack == segment.ack && ours.flags == segment.flags);

    /* Only what arrived went through the ring, not what left before. */
    struct capture_stats stats;
    require(capture_get_stats(capture, &stats, &error) == 0);
    require(stats.received == 2);

    static const uint8_t big[100000];
    require(capture_inject(capture, big, sizeof big, &error) == -EMSGSIZE);
    capture_close(capture);
}

static void an_injected_segment_arrives(void **state)
{
    (void)state;
    run_in_namespace(inject_one);
}

/* More than a small ring holds, while nobody reads: the loss is counted. */
static void overflow(void)
{
    struct error error = {0};
    struct capture *capture = NULL;
    struct capture_live live = {.device = "lo", .snap_len = 100, .ring_bytes = 65536};
    struct capture_stats stats;
    struct capture_packet packet;
    uint64_t read = 0;

    require(capture_open_live(&capture, &live, &error) == 0);
    for (int i = 0; i < 5000; i++)
        send_udp(9, "more than fits");
    require(capture_get_stats(capture, &stats, &error) == 0);
    require(stats.dropped > 0 && stats.dropped < stats.received);
    while (capture_next(capture, &packet, &error) == 1) {
        require(packet.captured_len <= 100);
        read++;
    }
    /* On the loopback each packet passes the device twice and is shown once. */
    require(read > 0 && read <= stats.received - stats.dropped);
    capture_close(capture);
}

static void a_full_ring_is_counted(void **state)
{
    (void)state;
    run_in_namespace(overflow);
}

/* A device that is only down is silent; one that is gone is an error. */
static void remove_device(void)
{
    struct error error = {0};
    struct capture *capture = NULL, *wire = NULL;
    struct capture_live live = {.device = "lo", .filter = "udp"};
    struct capture_packet packet;
    int rc;

    require(capture_open_live(&capture, &live, &error) == 0);
    set_up("lo", false);
    require(capture_next(capture, &packet, &error) == 0);
    set_up("lo", true);
    send_udp(7, "again");
    require(next(capture).captured_len == 14 + 20 + 8 + 5);
    capture_close(capture);

    change_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    set_up("wire", true);
    live.device = "wire";
    require(capture_open_live(&wire, &live, &error) == 0);
    change_link(RTM_DELLINK, 0);
    while ((rc = capture_next(wire, &packet, &error)) >= 0) {
        struct pollfd wait = {.fd = capture_fd(wire), .events = POLLIN};
        require(rc == 1 || poll(&wait, 1, BOUND_MS) == 1);
    }
    require(rc == -ENETDOWN && strstr(error.text, "wire"));
    capture_close(wire);
}

static void a_device_that_is_removed_is_an_error(void **state)
{
    (void)state;
    run_in_namespace(remove_device);
}

static void refuse_filter(void)
{
    struct error error = {0};
    struct capture *capture = NULL;
    struct capture_live live = {.device = "lo", .filter = "tcp and and udp"};

    require(capture_open_live(&capture, &live, &error) == -EINVAL);
    require(!capture && strchr(error.text, '^'));
}

static void a_bad_filter_opens_nothing(void **state)
{
    (void)state;
    run_in_namespace(refuse_filter);
}

static void an_unknown_device_is_answered_with_those_there_are(void **state)
{
    struct error error = {0};
    struct capture *capture = NULL;
    struct capture_live live = {.device = "nosuchdevice"};

    (void)state;
    assert_int_equal(capture_open_live(&capture, &live, &error), -ENODEV);
    assert_non_null(strstr(error.text, "nosuchdevice"));
    assert_non_null(strstr(error.text, "lo"));
    assert_null(capture);
}

/* Without the right to capture the message names the remedy. */
static void a_missing_right_is_answered_with_the_remedy(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        struct error error = {0};
        struct capture *capture = NULL;
        struct capture_live live = {.device = "lo"};
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(4);
        int rc = capture_open_live(&capture, &live, &error);
        require(rc == -EPERM && strstr(error.text, "setcap cap_net_raw+ep /"));
        _exit(CHILD_OK);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_is_captured),
        cmocka_unit_test(an_injected_segment_arrives),
        cmocka_unit_test(a_full_ring_is_counted),
        cmocka_unit_test(a_device_that_is_removed_is_an_error),
        cmocka_unit_test(a_bad_filter_opens_nothing),
        cmocka_unit_test(an_unknown_device_is_answered_with_those_there_are),
        cmocka_unit_test(a_missing_right_is_answered_with_the_remedy),
    };
    return cmocka_run_group_tests_name("live capture", tests, NULL, NULL);
}
