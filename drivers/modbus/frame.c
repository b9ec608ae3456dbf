/* frame: RTU and MBAP frames, built and judged. Pure. */
#include "drivers/modbus/frame.h"

#include <string.h>

#include "drivers/modbus/wire.h"

enum { EXCEPTION_BIT = 0x80, RTU_EXCEPTION_LEN = 5, RTU_FRAME_MIN = 4 };

uint16_t modbus_crc16(const uint8_t *bytes, size_t len)
{
    unsigned crc = 0xFFFF;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return (uint16_t)crc;
}

int64_t modbus_char_us(const struct modbus_bus_conf *conf, size_t n_chars)
{
    if (conf->transport == MODBUS_TCP || conf->baud <= 0)
        return 0;

    int64_t bits = 1 + conf->data_bits + (conf->parity != MODBUS_PARITY_NONE) + conf->stop_bits;
    return ((int64_t)n_chars * bits * 1000000 + conf->baud - 1) / conf->baud;
}

int64_t modbus_silence_us(const struct modbus_bus_conf *conf)
{
    if (conf->transport == MODBUS_TCP || conf->baud <= 0)
        return 0;

    /* Characters of 11 bits whatever the format: the specification knows no others. */
    int64_t silence_us = conf->baud > 19200 ? 1750 : 7 * 11 * 1000000 / (2 * conf->baud);
    return silence_us > conf->silence_us ? silence_us : conf->silence_us;
}

size_t modbus_frame_rtu(uint8_t frame[MODBUS_RTU_FRAME_MAX], uint8_t unit, const uint8_t *pdu,
                        size_t pdu_len)
{
    frame[0] = unit;
    memcpy(frame + 1, pdu, pdu_len);

    uint16_t crc = modbus_crc16(frame, pdu_len + 1);
    frame[pdu_len + 1] = (uint8_t)(crc & 0xFF);
    frame[pdu_len + 2] = (uint8_t)(crc >> 8);
    return pdu_len + 3;
}

size_t modbus_frame_tcp(uint8_t frame[MODBUS_TCP_FRAME_MAX], uint16_t transaction, uint8_t unit,
                        const uint8_t *pdu, size_t pdu_len)
{
    const uint8_t header[MODBUS_MBAP_LEN] = {
        (uint8_t)(transaction >> 8),   (uint8_t)(transaction & 0xFF),   0,    0,
        (uint8_t)((pdu_len + 1) >> 8), (uint8_t)((pdu_len + 1) & 0xFF), unit,
    };

    memcpy(frame, header, sizeof header);
    memcpy(frame + sizeof header, pdu, pdu_len);
    return sizeof header + pdu_len;
}

static bool has_sound_crc(const uint8_t *frame, size_t len)
{
    return modbus_crc16(frame, len - 2) == (frame[len - 2] | frame[len - 1] << 8);
}

/* Of device identification. */
static size_t identification_frame_len(const uint8_t *frame, size_t len)
{
    size_t pdu_len = modbus_identification_len(frame + 1, len - 1);

    return pdu_len > 0 && pdu_len <= MODBUS_PDU_MAX ? pdu_len + 3 : 0;
}

/* Gives the length of a reply frame by its own words, or of the answer to a raw request; 0 when it is unknown or the
 * words have not arrived. */
static size_t reply_frame_len(const uint8_t *frame, size_t len, const struct modbus_expect *expect)
{
    if (len < 3)
        return 0;
    if (frame[1] & EXCEPTION_BIT)
        return RTU_EXCEPTION_LEN;
    if (expect->raw_reply && frame[0] == expect->unit && frame[1] == expect->function)
        return expect->reply_len + 3;
    switch (frame[1]) {
    case MODBUS_FC_READ_COILS:
    case MODBUS_FC_READ_DISCRETE:
    case MODBUS_FC_READ_HOLDING:
    case MODBUS_FC_READ_INPUT:
    case MODBUS_FC_READ_WRITE:
    case MODBUS_FC_SERVER_ID:
        return (size_t)frame[2] + 5;
    case MODBUS_FC_WRITE_COIL:
    case MODBUS_FC_WRITE_REGISTER:
    case MODBUS_FC_WRITE_COILS:
    case MODBUS_FC_WRITE_REGISTERS:
        return 8;
    case MODBUS_FC_MASK_WRITE:
        return 10;
    case MODBUS_FC_ENCAPSULATED:
        return identification_frame_len(frame, len);
    default:
        return 0;
    }
}

static bool is_echo(const uint8_t *bytes, size_t len, const struct modbus_expect *expect)
{
    return expect->sent && len >= expect->sent_len &&
           memcmp(bytes, expect->sent, expect->sent_len) == 0;
}

/* Whether the confirmation repeats the request byte for byte. */
static bool confirms_by_repeating(const struct modbus_expect *expect)
{
    uint8_t function = expect->function;

    if (expect->raw_reply)
        return expect->sent_len == expect->reply_len + 3 &&
               memcmp(expect->sent + 1, expect->raw_reply, expect->reply_len) == 0;
    return function == MODBUS_FC_WRITE_COIL || function == MODBUS_FC_WRITE_REGISTER ||
           function == MODBUS_FC_MASK_WRITE;
}

static bool is_expected(const uint8_t *frame, size_t len, const struct modbus_expect *expect)
{
    if (frame[0] != expect->unit)
        return false;
    if (frame[1] == (expect->function | EXCEPTION_BIT))
        return len == RTU_EXCEPTION_LEN;
    return frame[1] == expect->function && (!expect->reply_len || len == expect->reply_len + 3);
}

/* Judges the bytes as a frame that begins with the first of them. */
static struct modbus_seen judge_start(const uint8_t *bytes, size_t len,
                                      const struct modbus_expect *expect)
{
    struct modbus_seen seen = {.kind = MODBUS_SEEN_NOTHING};

    /* First of all the echo: a request to read coils can look like the reply (01 01 03 00 00 18 is both). */
    if (is_echo(bytes, len, expect) && (!confirms_by_repeating(expect) || expect->must_skip_echo)) {
        seen.kind = MODBUS_SEEN_ECHO;
        seen.len = expect->sent_len;
        return seen;
    }

    size_t frame_len = reply_frame_len(bytes, len, expect);
    if (frame_len < RTU_FRAME_MIN || frame_len > len || !has_sound_crc(bytes, frame_len))
        return seen;
    seen.kind = is_expected(bytes, frame_len, expect) ? MODBUS_SEEN_REPLY : MODBUS_SEEN_FOREIGN;
    seen.len = frame_len;
    return seen;
}

/* Whether the bytes are the awaited frame in all but the CRC, which the caller knows to be wrong. */
static bool is_damaged_reply(const uint8_t *bytes, size_t len, const struct modbus_expect *expect)
{
    return len >= RTU_FRAME_MIN && reply_frame_len(bytes, len, expect) == len &&
           is_expected(bytes, len, expect);
}

struct modbus_seen modbus_rtu_scan(const uint8_t *bytes, size_t len,
                                   const struct modbus_expect *expect)
{
    struct modbus_seen nothing = {.kind = MODBUS_SEEN_NOTHING};

    for (size_t at = 0; at < len; at++) {
        struct modbus_seen seen = judge_start(bytes + at, len - at, expect);

        if (seen.kind != MODBUS_SEEN_NOTHING) {
            seen.at = at;
            return seen;
        }
        if (len - at >= 2 && bytes[at] == expect->unit &&
            (bytes[at + 1] & ~EXCEPTION_BIT) == expect->function)
            nothing.has_begun = true;
    }
    nothing.is_reply_size = is_damaged_reply(bytes, len, expect);
    return nothing;
}

enum gw_err modbus_tcp_check(const uint8_t *frame, size_t len, const struct modbus_expect *expect,
                             const char **ret_reason)
{
    const char *reason = NULL;

    if (len < MODBUS_MBAP_LEN + 1 || (size_t)(frame[4] << 8 | frame[5]) != len - 6)
        reason = "wrong_length";
    else if ((frame[0] << 8 | frame[1]) != expect->transaction)
        reason = "wrong_transaction";
    else if (frame[2] || frame[3])
        reason = "wrong_protocol";
    else if (frame[6] != expect->unit)
        reason = "wrong_unit";
    else if ((frame[7] & ~EXCEPTION_BIT) != expect->function)
        reason = "wrong_function";
    else if (frame[7] & EXCEPTION_BIT
                 ? len - MODBUS_MBAP_LEN != 2
                 : expect->reply_len && len - MODBUS_MBAP_LEN != expect->reply_len)
        reason = "wrong_length";
    if (!reason)
        return GW_OK;
    *ret_reason = reason;
    return GW_E_PROTO;
}
