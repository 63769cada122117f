/* The decoder against tshark: for every link type thousands of drawn frames (options, extension
 * headers, fragments, tags, quotes, bad checksums, truncation, lying lengths) are written with the
 * capture writer, read by both, and compared field by field.
 *
 * A line of fields is made from the segment exactly as tshark prints it. Where the two mean
 * different things, a comment at the field says so; nothing else is excused. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "capture/capture.h"
#include "packet_samples.h"
#include "packet_verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SAMPLES 1500

/* One row a column: ours, tshark's. */
#define COLUMNS(X)                                                                                 \
    X(VLAN_OUTER, "ieee8021ad.id")                                                                 \
    X(VLAN, "vlan.id")                                                                             \
    X(IP4_SOURCE, "ip.src")                                                                        \
    X(IP4_DESTINATION, "ip.dst")                                                                   \
    X(IP6_SOURCE, "ipv6.src")                                                                      \
    X(IP6_DESTINATION, "ipv6.dst")                                                                 \
    X(IP4_TTL, "ip.ttl")                                                                           \
    X(IP6_HOPS, "ipv6.hlim")                                                                       \
    X(IP4_CLASS, "ip.dsfield")                                                                     \
    X(IP6_CLASS, "ipv6.tclass")                                                                    \
    X(IP4_OFFSET, "ip.frag_offset")                                                                \
    X(IP4_SUM, "ip.checksum.status")                                                               \
    X(IP6_OFFSET, "ipv6.fraghdr.offset")                                                           \
    X(TCP_SOURCE, "tcp.srcport")                                                                   \
    X(TCP_DESTINATION, "tcp.dstport")                                                              \
    X(TCP_SEQ, "tcp.seq")                                                                          \
    X(TCP_ACK, "tcp.ack_raw")                                                                      \
    X(TCP_FLAGS, "tcp.flags")                                                                      \
    X(TCP_WINDOW, "tcp.window_size_value")                                                         \
    X(TCP_LEN, "tcp.len")                                                                          \
    X(TCP_SUM, "tcp.checksum.status")                                                              \
    X(TCP_MSS, "tcp.options.mss_val")                                                              \
    X(TCP_SCALE, "tcp.options.wscale.shift")                                                       \
    X(TCP_SACK_LEFT, "tcp.options.sack_le")                                                        \
    X(TCP_SACK_RIGHT, "tcp.options.sack_re")                                                       \
    X(TCP_TS_VALUE, "tcp.options.timestamp.tsval")                                                 \
    X(TCP_TS_ECHO, "tcp.options.timestamp.tsecr")                                                  \
    X(UDP_SOURCE, "udp.srcport")                                                                   \
    X(UDP_DESTINATION, "udp.dstport")                                                              \
    X(UDP_SUM, "udp.checksum.status")                                                              \
    X(ICMP4_TYPE, "icmp.type")                                                                     \
    X(ICMP4_CODE, "icmp.code")                                                                     \
    X(ICMP4_MTU, "icmp.mtu")                                                                       \
    X(ICMP4_SUM, "icmp.checksum.status")                                                           \
    X(ICMP6_TYPE, "icmpv6.type")                                                                   \
    X(ICMP6_CODE, "icmpv6.code")                                                                   \
    X(ICMP6_MTU, "icmpv6.mtu")                                                                     \
    X(ICMP6_SUM, "icmpv6.checksum.status")                                                         \
    X(ARP, "arp.opcode")

#define COLUMN_ID(id, name)   id,
#define COLUMN_NAME(id, name) name,

enum column { COLUMNS(COLUMN_ID) COLUMN_COUNT };
static const char *const names[] = {COLUMNS(COLUMN_NAME)};

/* What a frame should look like, and which columns can't be compared. */
struct row {
    char text[COLUMN_COUNT][160];
    bool skip[COLUMN_COUNT];
    bool first[COLUMN_COUNT];    /* only the first value */
    bool prefix[COLUMN_COUNT];   /* tshark may go on */
    bool may_lack[COLUMN_COUNT]; /* tshark may stop earlier */
};

/* Appends to a column, after a comma where something is there already, as tshark does. */
__attribute__((format(printf, 3, 4))) static void put(struct row *row, enum column column,
                                                      const char *format, ...)
{
    char *text = row->text[column];
    size_t len = strlen(text);
    va_list args;

    if (len)
        text[len++] = ',';
    va_start(args, format);
    vsnprintf(text + len, sizeof row->text[column] - len, format, args);
    va_end(args);
}

static void mark(bool *columns, enum column from, enum column to)
{
    for (int column = (int)from; column <= (int)to; column++)
        columns[column] = true;
}

static void put_address(struct row *row, enum column column4, uint8_t family,
                        const struct packet_endpoint *source,
                        const struct packet_endpoint *destination)
{
    enum column column = family == 4 ? column4 : IP6_SOURCE;
    char text[PACKET_ENDPOINT_TEXT_MAX];

    put(row, column, "%s", packet_address_text(text, sizeof text, family, source->address));
    put(row, column + 1, "%s",
        packet_address_text(text, sizeof text, family, destination->address));
}

/* tshark's numbers for the status of a checksum. */
static void put_sum(struct row *row, enum column column, enum packet_checksum sum)
{
    switch (sum) {
    case PACKET_CHECKSUM_BAD:
    case PACKET_CHECKSUM_OFFLOADED:
        put(row, column, "0");
        break;
    case PACKET_CHECKSUM_GOOD:
        put(row, column, "1");
        break;
    case PACKET_CHECKSUM_UNKNOWN:
        put(row, column, "2");
        break;
    case PACKET_CHECKSUM_ABSENT:
        put(row, column, "3");
        break;
    }
}

static void put_network(struct row *row, const struct segment *segment, enum packet_checksum sum)
{
    put_address(row, IP4_SOURCE, segment->family, &segment->source, &segment->destination);
    if (segment->family == 4) {
        put(row, IP4_TTL, "%u", segment->ttl);
        put(row, IP4_CLASS, "0x%02x", segment->traffic_class);
        put(row, IP4_OFFSET, "%u", segment->fragment_offset / 8);
        put_sum(row, IP4_SUM, sum);
        return;
    }
    put(row, IP6_HOPS, "%u", segment->ttl);
    put(row, IP6_CLASS, "0x%08x", segment->traffic_class);
    if (segment->is_fragment) {
        put(row, IP6_OFFSET, "%u", segment->fragment_offset / 8);
    }
}

static void put_options(struct row *row, const struct tcp_options *options)
{
    if (options->has_mss)
        put(row, TCP_MSS, "%u", options->mss);
    if (options->has_window_scale)
        put(row, TCP_SCALE, "%u", options->window_scale);
    for (size_t i = 0; i < options->sack_count; i++) {
        put(row, TCP_SACK_LEFT, "%u", options->sack[i].left);
        put(row, TCP_SACK_RIGHT, "%u", options->sack[i].right);
    }
    if (options->has_timestamps) {
        put(row, TCP_TS_VALUE, "%u", options->ts_value);
        put(row, TCP_TS_ECHO, "%u", options->ts_echo);
    }
}

static void put_tcp(struct row *row, const struct segment *segment, enum packet_checksum sum)
{
    put(row, TCP_SEQ, "%u", segment->seq);
    put(row, TCP_ACK, "%u", segment->ack);
    put(row, TCP_FLAGS, "0x%04x", segment->flags);
    put(row, TCP_WINDOW, "%u", segment->window);
    put(row, TCP_LEN, "%u", segment->payload_len);
    put_sum(row, TCP_SUM, sum);
    put_options(row, &segment->options);
}

static void put_ports(struct row *row, uint8_t protocol, const struct packet_endpoint *source,
                      const struct packet_endpoint *destination)
{
    put(row, protocol == 6 ? TCP_SOURCE : UDP_SOURCE, "%u", source->port);
    put(row, protocol == 6 ? TCP_DESTINATION : UDP_DESTINATION, "%u", destination->port);
}

static void put_icmp(struct row *row, const struct segment *segment, enum packet_checksum sum)
{
    const struct packet_icmp *icmp = &segment->icmp;
    bool is_v4 = segment->family == 4;

    put(row, is_v4 ? ICMP4_TYPE : ICMP6_TYPE, "%u", icmp->type);
    put(row, is_v4 ? ICMP4_CODE : ICMP6_CODE, "%u", icmp->code);
    if (icmp->mtu)
        put(row, is_v4 ? ICMP4_MTU : ICMP6_MTU, "%u", icmp->mtu);
    put_sum(row, is_v4 ? ICMP4_SUM : ICMP6_SUM, sum);
    if (!icmp->is_error)
        return;
    const struct packet_quote *quote = &icmp->quote;
    if (quote->family)
        put_address(row, IP4_SOURCE, quote->family, &quote->source, &quote->destination);
    if (quote->has_ports)
        put_ports(row, quote->protocol, &quote->source, &quote->destination);
    if (quote->has_seq)
        put(row, TCP_SEQ, "%u", quote->seq);
}

/* Where the two mean different things. */
static void excuse(struct row *row, const struct segment *segment)
{
    bool is_hidden = segment->status >= PACKET_CUT_HEADER &&
                     (segment->kind == PACKET_OTHER || segment->kind == PACKET_OTHER_IP);

    /* tshark decodes a quote in full; netkit takes from it what names the connection. From a quote
     * of eight bytes of TCP tshark takes the ports only. */
    if (segment->kind == PACKET_ICMP && segment->icmp.is_error) {
        mark(row->first, IP4_TTL, IP6_OFFSET);
        mark(row->skip, TCP_ACK, TCP_TS_ECHO);
        mark(row->skip, UDP_SUM, UDP_SUM);
        row->may_lack[TCP_SEQ] = true;
    }
    /* tshark prints a header up to where it is cut; netkit takes a header whole or not at all, but
     * for the ports, and options one by one. tshark prints the destination after the options. */
    if (is_hidden) {
        mark(row->prefix, 0, COLUMN_COUNT - 1);
        mark(row->skip, VLAN_OUTER, VLAN);
        row->may_lack[IP4_DESTINATION] = true;
    }
    if (segment->kind == PACKET_TCP &&
        (segment->status >= PACKET_CUT_HEADER || segment->options.malformed))
        mark(row->prefix, TCP_MSS, TCP_TS_ECHO);
    if (segment->kind == PACKET_FRAGMENT && segment->status == PACKET_CUT_HEADER)
        row->may_lack[IP4_DESTINATION] = true;
    if (segment->kind == PACKET_ICMP && (segment->status != PACKET_COMPLETE ||
                                         (segment->icmp.is_error && !segment->icmp.quote.family))) {
        mark(row->prefix, IP4_SOURCE, IP6_DESTINATION);
        mark(row->prefix, TCP_SOURCE, TCP_SEQ);
        mark(row->prefix, UDP_SOURCE, UDP_DESTINATION);
        row->may_lack[IP4_DESTINATION] = true;
    }
    /* tshark does not say how much of a segment is in its first fragment. */
    if (segment->is_fragment)
        mark(row->skip, TCP_LEN, TCP_LEN);
    /* A frame whose lengths lie is not judged by its checksum. */
    if (segment->status == PACKET_MALFORMED) {
        mark(row->skip, TCP_SUM, TCP_SUM);
        mark(row->skip, UDP_SUM, UDP_SUM);
        mark(row->skip, ICMP4_SUM, ICMP4_SUM);
        mark(row->skip, ICMP6_SUM, ICMP6_SUM);
    }
}

static struct row row_of(const struct segment *segment, const struct sample *sample)
{
    struct packet_checksums sums = packet_verify(segment, sample->bytes, sample->captured);
    struct row row = {0};

    if (segment->vlan_count)
        put(&row, VLAN, "%u", segment->vlan[segment->vlan_count - 1]);
    if (segment->vlan_count > 1)
        put(&row, VLAN_OUTER, "%u", segment->vlan[0]);
    if (segment->kind == PACKET_ARP)
        put(&row, ARP, "1");
    if (segment->family)
        put_network(&row, segment, sums.network);
    if (segment->has_ports)
        put_ports(&row, segment->protocol, &segment->source, &segment->destination);
    if (segment->kind == PACKET_TCP)
        put_tcp(&row, segment, sums.transport);
    if (segment->kind == PACKET_UDP)
        put_sum(&row, UDP_SUM, sums.transport);
    if (segment->kind == PACKET_ICMP)
        put_icmp(&row, segment, sums.transport);
    excuse(&row, segment);
    return row;
}

/* --- running tshark --- */

static void must_or_skip(const char *why)
{
    const char *must = getenv("NETKIT_TESTS_MUST_RUN");

    if (must && *must)
        fail_msg("%s", why);
    print_message("SKIP: %s\n", why);
    skip();
}

/* The samples of a link type, written to a file by the writer under test. */
static void write_samples(const char *path, enum packet_link link)
{
    struct capture_writer *writer;
    struct error error;

    assert_int_equal(capture_writer_open(&writer, path, link, &error), 0);
    for (uint64_t seed = 1; seed <= SAMPLES; seed++) {
        struct sample sample = sample_make(link, seed);
        struct capture_packet packet = {.bytes = sample.bytes,
                                        .captured_len = (uint32_t)sample.captured,
                                        .wire_len = (uint32_t)sample.len,
                                        .real_ns = INT64_C(1700000000123456789) + (int64_t)seed,
                                        .link = link};
        assert_int_equal(capture_writer_add(writer, &packet, &error), 0);
    }
    assert_int_equal(capture_writer_close(writer, &error), 0);
}

static FILE *run_tshark(const char *path)
{
    cleanup(buf) struct buf command = {0};

    buf_printf(&command,
               "HOME=/nonexistent LC_ALL=C exec tshark -n -r '%s' -T fields -E 'separator=|' "
               "-E occurrence=a -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE "
               "-o udp.check_checksum:TRUE -o ip.defragment:FALSE -o ipv6.defragment:FALSE "
               "-o tcp.analyze_sequence_numbers:FALSE -o tcp.relative_sequence_numbers:FALSE "
               "-o eth.fcs:Never",
               path);
    for (int column = 0; column < COLUMN_COUNT; column++)
        buf_printf(&command, " -e %s", names[column]);
    buf_add_str(&command, " 2>/dev/null");
    return popen(buf_str(&command), "re");
}

/* Compares a line of tshark's with a row; returns the number of columns that differ. */
static int compare(const struct row *row, char *line, const struct segment *segment, uint64_t seed)
{
    int differences = 0;

    line[strcspn(line, "\n")] = '\0';
    for (int column = 0; column < COLUMN_COUNT; column++) {
        char *theirs = strsep(&line, "|");
        assert_non_null(theirs);
        if (row->first[column])
            theirs[strcspn(theirs, ",")] = '\0';
        if (row->prefix[column])
            theirs[strnlen(theirs, strlen(row->text[column]))] = '\0';
        if (row->skip[column] || !strcmp(theirs, row->text[column]) ||
            (row->may_lack[column] && !strncmp(theirs, row->text[column], strlen(theirs))))
            continue;
        print_error("link %d frame %llu (kind %d, status %d): %s is %s, tshark says %s\n",
                    (int)segment->link, (unsigned long long)seed, (int)segment->kind,
                    (int)segment->status, names[column], row->text[column], theirs);
        differences++;
    }
    return differences;
}

static int compare_link(enum packet_link link, int kinds[PACKET_MLD + 1])
{
    char path[] = "/tmp/netkit-tshark-XXXXXX";
    cleanup(fd) int fd = mkstemp(path);
    cleanup(mem) char *line = NULL;
    size_t size = 0;
    int differences = 0;

    assert_true(fd >= 0);
    write_samples(path, link);
    FILE *tshark = run_tshark(path);
    assert_non_null(tshark);
    for (uint64_t seed = 1; seed <= SAMPLES; seed++) {
        struct sample sample = sample_make(link, seed);
        struct segment segment;
        assert_true(getline(&line, &size, tshark) > 0);
        packet_decode(&segment, link, sample.bytes, sample.captured, sample.len);
        struct row row = row_of(&segment, &sample);
        differences += compare(&row, line, &segment, seed);
        kinds[segment.kind]++;
    }
    assert_int_equal(getline(&line, &size, tshark), -1);
    assert_int_equal(pclose(tshark), 0);
    unlink(path);
    return differences;
}

static void every_field_is_as_tshark_reads_it(void **state)
{
    int kinds[PACKET_MLD + 1] = {0}, differences = 0;

    (void)state;
    if (system("command -v tshark >/dev/null 2>&1") != 0)
        must_or_skip("tshark is not installed");
    for (enum packet_link link = PACKET_LINK_ETHERNET; link <= PACKET_LINK_LAST; link++)
        /* tshark does not know a file of bare MPLS, nor what a tunnel of Darwin has. */
        if (link != PACKET_LINK_MPLS && link != PACKET_LINK_PKTAP)
            differences += compare_link(link, kinds);
    assert_int_equal(differences, 0);
    /* The draw had enough of what matters. */
    assert_true(kinds[PACKET_TCP] > 3000 && kinds[PACKET_UDP] > 500 && kinds[PACKET_ICMP] > 700);
    assert_true(kinds[PACKET_FRAGMENT] > 50 && kinds[PACKET_ARP] > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_field_is_as_tshark_reads_it)};
    return cmocka_run_group_tests_name("packet against tshark", tests, NULL, NULL);
}
