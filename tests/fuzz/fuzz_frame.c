/* Bytes of a line or connection: a reply is only seen where one of the awaited unit and function stands. */
#include "tests/fuzz/fuzz.h"

#include "drivers/modbus/frame.h"

static void count(void *ctx, uint8_t object, const uint8_t *text, size_t len)
{
    size_t *told = ctx;

    (void)object;
    for (size_t i = 0; i < len; i++) /* all of it can be read */
        *told += text[i] >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct modbus_expect expect = {.unit = data[0],
                                   .function = data[1] & 0x7f,
                                   .reply_len = 2u + data[2],
                                   .transaction = data[3]};
    const char *reason = NULL;
    uint8_t *bytes = fuzz_copy(data + 4, size - 4, 0);
    size_t len = size - 4 < 512 ? size - 4 : 512;

    const uint8_t request[] = {data[0], expect.function, 0, 0};

    if (expect.reply_len > MODBUS_PDU_MAX)
        expect.reply_len = 0; /* the reply says it itself */
    if (data[1] & 0x80) {     /* a raw request of one byte, answered with itself */
        expect.reply_len = 1;
        expect.sent = request;
        expect.sent_len = sizeof request;
        expect.raw_reply = request + 1;
    }
    struct modbus_seen seen = modbus_rtu_scan(bytes, len, &expect);
    if (seen.kind != MODBUS_SEEN_NOTHING)
        assert(seen.at + seen.len <= len);
    if (seen.kind == MODBUS_SEEN_REPLY)
        assert(bytes[seen.at] == expect.unit && (bytes[seen.at + 1] & 0x7f) == expect.function);
    if (len >= MODBUS_MBAP_LEN + 1 && modbus_tcp_check(bytes, len, &expect, &reason) == GW_OK)
        assert(bytes[6] == expect.unit && (bytes[7] & 0x7f) == expect.function);
    uint8_t next, level;
    int exception;
    size_t told = 0;
    enum gw_err err =
        modbus_parse_identification(bytes, len, count, &told, &next, &level, &exception);
    assert(told <= len && (err == GW_OK || told == 0));
    free(bytes);
    return 0;
}
