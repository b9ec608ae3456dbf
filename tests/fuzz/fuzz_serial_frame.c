/* Bytes of a line in pieces, under framings of all kinds: frames lie within what was put, and nothing is lost uncounted. */
#include "tests/fuzz/fuzz.h"

#include "drivers/serial/frame.h"

/* A framing, by four bytes. */
static struct serial_device_conf make_conf(const uint8_t *data)
{
    struct serial_device_conf conf = {
        .frame = {.max_length = 64, .length_size = 1, .length_add = 2}};

    if (data[0] & 1)
        conf.frame.start = (struct serial_bytes){1, {data[1]}};
    if (data[0] & 2)
        conf.frame.length = 1 + data[2] % 64;
    else if (data[0] & 4)
        conf.frame.length_at = (struct serial_position){.is_set = true, .index = data[2] % 8};
    if (data[0] & 8 || !(data[0] & 6))
        conf.frame.end = (struct serial_ends){1, {{1, {data[3]}}}};
    conf.frame.n_trailer = data[0] >> 4 & 1;
    conf.frame.is_trailer_optional = data[0] & 0x20 && conf.frame.n_trailer;
    conf.checksum = (struct serial_checksum_conf){.sum = data[0] & 0x40 ? data[1] % 15 : 0,
                                                  .encoding = data[2] % 5};
    conf.is_hex = data[0] & 0x80;
    return conf;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct serial_stream stream;
    struct serial_frame frame;
    enum serial_seen seen;

    if (size < 4)
        return 0;
    struct serial_device_conf conf = make_conf(data);
    size_t step = 1 + data[1] % 16u;
    serial_stream_reset(&stream, &conf, data[3] & 1);
    for (size_t i = 4; i < size; i += step) {
        serial_stream_put(&stream, data + i, size - i < step ? size - i : step);
        while ((seen = serial_stream_next(&stream, i % 3 == 0, &frame)) != SERIAL_SEEN_NOTHING)
            if (seen == SERIAL_SEEN_FRAME)
                assert(frame.len <= 64 + 16 && frame.body + frame.n_body <= frame.len &&
                       stream.n_last <= stream.len);
    }
    return 0;
}
