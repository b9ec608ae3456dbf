/* A frame of any bytes, and a place and a type of any kind: a value within its bounds, and texts of well-formed UTF-8. */
#include "tests/fuzz/fuzz.h"

#include "drivers/serial/extract.h"

/* How a value stands somewhere, by three bytes. */
static struct serial_point_conf make_point(const uint8_t *data)
{
    static const char *const places[] = {"frame",    "column:2-9",    "field:2",
                                         "key:T",    "obis:1.8.0[2]", "json:/a/0",
                                         "byte:1-4", "byte:-2&0x0C",  "group:v"};
    struct serial_point_conf point = {.match = "(?<v>[^,]+)",
                                      .separator = ",",
                                      .assign = ":",
                                      .format = "YYMMDDhhmmss~",
                                      .zone = "+01:00"};
    int type = data[1] % 13;

    assert(serial_parse_place(places[data[0] % 9], &point.from, NULL) == GW_OK);
    assert(serial_parse_place("column:1", &point.sign, NULL) == GW_OK);
    point.sign.kind = data[2] & 1 ? SERIAL_COLUMN : SERIAL_NOWHERE;
    point.type = SERIAL_TYPE(type, type < SERIAL_UINT || type > SERIAL_FLOAT ? 0 : 4);
    point.decimal_comma = data[2] & 2, point.is_reversed = data[2] & 4;
    point.order = data[2] >> 3 & 1;
    return point;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct serial_device_conf conf = {.charset = size ? data[0] % 4 : 0};
    struct serial_reader reader;
    struct gw_result result;

    if (size < 4 || size > 2000)
        return 0;
    struct serial_point_conf point = make_point(data + 1);
    const void *points[] = {&point};
    assert(serial_reader_init(&reader, &conf, points, 1) == GW_OK);
    uint8_t *bytes = fuzz_copy(data + 4, size - 4, 0);
    const struct serial_frame frame = {.bytes = bytes, .len = size - 4, .n_body = size - 4};
    serial_reader_look(&reader, &frame);
    serial_reader_read(&reader, &frame, 0, &result);
    assert(result.err == GW_OK ? result.value.kind != GW_NONE : result.reason != NULL);
    assert(result.value.kind != GW_TEXT || result.value.text.len <= SERIAL_TEXT_MAX);
    serial_reader_done(&reader);
    free(bytes);
    return 0;
}
