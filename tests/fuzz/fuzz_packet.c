/* Any bytes as a frame: decoded, also within tunnels and as fragments, verified, answered, edited.
 * The first byte picks the link type, the second how many bytes the snap length cut; the rest is
 * the frame, whose end is the end of the input, so that a read behind it is noticed.
 *
 * Beyond memory safety: every place in the segment is inside the frame, and what is built decodes
 * completely and has right checksums. */
#include "../unit/packet_verify.h"
#include "base/cleanup.h"
#include "fuzz.h"
#include "packet/build.h"

#include <string.h>

static void check_places(const struct segment *segment, size_t captured)
{
    if (segment->payload_captured)
        FUZZ_PROMISE((size_t)segment->payload_offset + segment->payload_captured <= captured);
    FUZZ_PROMISE(segment->payload_captured <= segment->payload_len);
    if (segment->status == PACKET_COMPLETE)
        FUZZ_PROMISE(segment->payload_captured == segment->payload_len);
    if (segment->kind == PACKET_TCP)
        FUZZ_PROMISE(segment->has_ports && (size_t)segment->transport_offset + 20 <= captured);
    FUZZ_PROMISE(segment->options.sack_count <= TCP_SACK_MAX);
}

static void check_built(const uint8_t *out, int len, enum packet_link link, enum packet_kind kind)
{
    struct segment answer;

    if (len < 0)
        return;
    packet_decode(&answer, link, out, (size_t)len, (size_t)len);
    FUZZ_PROMISE(answer.kind == kind);
    FUZZ_PROMISE(answer.status == PACKET_COMPLETE);
    struct packet_checksums sums = packet_verify(&answer, out, (size_t)len);
    FUZZ_PROMISE(sums.transport == PACKET_CHECKSUM_GOOD);
    FUZZ_PROMISE(sums.network ==
                 (answer.family == 4 ? PACKET_CHECKSUM_GOOD : PACKET_CHECKSUM_ABSENT));
}

static void check_answers(const uint8_t *frame, size_t captured, const struct segment *segment)
{
    uint8_t out[PACKET_ANSWER_MAX];
    size_t count;
    const struct icmp_name *names = icmp_names(&count);

    check_built(out, packet_build_rst(out, sizeof out, frame, captured, segment), segment->link,
                PACKET_TCP);
    for (size_t i = 0; i < count; i++)
        check_built(
            out,
            packet_build_icmp(out, sizeof out, frame, captured, segment, &names[i], NULL, 1280),
            segment->link, PACKET_ICMP);
}

static void check_edits(const uint8_t *frame, size_t captured, const struct segment *segment)
{
    cleanup(mem) uint8_t *copy = malloc(captured ? captured : 1);

    FUZZ_PROMISE(copy != NULL);
    if (captured)
        memcpy(copy, frame, captured);
    packet_corrupt(copy, captured, segment, captured * UINT64_C(0x9e3779b97f4a7c15));
}

static void check_text(const struct segment *segment)
{
    char flags[SEGMENT_FLAGS_TEXT_MAX], endpoint[PACKET_ENDPOINT_TEXT_MAX];

    FUZZ_PROMISE(*segment_flags_text(flags, sizeof flags, segment->flags));
    FUZZ_PROMISE(
        *packet_endpoint_text(endpoint, sizeof endpoint, segment->family, &segment->source));
}

/* The table of fragments stays from input to input, so it holds what other frames said. */
static void check_inner(enum packet_link link, const uint8_t *frame, size_t captured, size_t wire)
{
    static struct packet_fragments fragments;
    struct segment outer, inner;

    packet_decode(&outer, link, frame, captured, wire);
    packet_decode_inner(&inner, link, frame, captured, wire);
    check_places(&inner, captured);
    if (!inner.tunnels)
        FUZZ_PROMISE(!memcmp(&inner, &outer, sizeof inner));
    FUZZ_PROMISE(!inner.tunnels || inner.encapsulated);
    packet_fragments_join(&fragments, &inner);
    if (inner.payload_captured)
        FUZZ_PROMISE((size_t)inner.payload_offset + inner.payload_captured <= captured);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment segment;

    if (size < 2)
        return 0;
    enum packet_link link = (enum packet_link)(data[0] % (PACKET_LINK_LAST + 1));
    const uint8_t *frame = data + 2;
    size_t captured = size - 2;
    packet_decode(&segment, link, frame, captured, captured + data[1]);
    check_places(&segment, captured);
    packet_verify(&segment, frame, captured);
    check_answers(frame, captured, &segment);
    check_edits(frame, captured, &segment);
    check_text(&segment);
    check_inner(link, frame, captured, captured + data[1]);
    return 0;
}
