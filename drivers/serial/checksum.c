/* checksum: see the header. CRCs bit by bit: frames are short, and a table for each would have to be right as well. */
#include "drivers/serial/checksum.h"

#include <string.h>

#include "drivers/common/hex.h"

/* Source: the catalogue of parametrised CRC algorithms (reveng); check values are in the test. */
static uint16_t crc16_reflected(uint16_t crc, uint16_t poly, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ poly : crc >> 1);
    }
    return crc;
}

static uint16_t crc16_forward(uint16_t crc, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc ^ bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

static uint16_t crc8(bool is_maxim, const uint8_t *bytes, size_t len)
{
    unsigned crc = 0;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = is_maxim ? crc >> 1 ^ (crc & 1 ? 0x8Cu : 0)
                           : (crc << 1 ^ (crc & 0x80 ? 0x07u : 0)) & 0xFF;
    }
    return (uint16_t)crc;
}

static uint32_t add(uint8_t mask, const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += bytes[i] & mask;
    return sum;
}

static uint8_t exclusive_or(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum ^= bytes[i];
    return sum;
}

uint16_t serial_sum(enum serial_sum sum, const uint8_t *bytes, size_t len)
{
    switch (sum) {
    case SERIAL_XOR8:
        return exclusive_or(bytes, len);
    case SERIAL_SUM8:
        return add(0xFF, bytes, len) & 0xFF;
    case SERIAL_SUM16:
        return (uint16_t)add(0xFF, bytes, len);
    case SERIAL_NEG_SUM8:
        return -add(0xFF, bytes, len) & 0xFF;
    case SERIAL_NEG_SUM7:
        return -add(0x7F, bytes, len) & 0x7F;
    case SERIAL_NEG_SUM16:
        return (uint16_t)-add(0xFF, bytes, len);
    case SERIAL_TELEINFO: /* Source: Enedis-NOI-CPT_54E, 5.3.6 */
        return (uint16_t)((add(0xFF, bytes, len) & 0x3F) + 0x20);
    case SERIAL_CRC8:
        return crc8(false, bytes, len);
    case SERIAL_CRC8_MAXIM:
        return crc8(true, bytes, len);
    case SERIAL_CRC16_MODBUS:
        return crc16_reflected(0xFFFF, 0xA001, bytes, len);
    case SERIAL_CRC16_ARC:
        return crc16_reflected(0, 0xA001, bytes, len);
    case SERIAL_CRC16_CCITT:
        return crc16_forward(0xFFFF, bytes, len);
    case SERIAL_CRC16_XMODEM:
        return crc16_forward(0, bytes, len);
    case SERIAL_CRC16_X25:
        return crc16_reflected(0xFFFF, 0x8408, bytes, len) ^ 0xFFFF;
    case SERIAL_SUM_NONE:
        break;
    }
    return 0;
}

static bool is_wide(enum serial_sum sum)
{
    return sum == SERIAL_SUM16 || sum == SERIAL_NEG_SUM16 || sum >= SERIAL_CRC16_MODBUS;
}

size_t serial_sum_write(enum serial_sum sum, enum serial_encoding encoding, uint16_t value,
                        uint8_t buf[4])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n_bytes = is_wide(sum) ? 2 : 1;

    switch (encoding) {
    case SERIAL_RAW:
    case SERIAL_RAW_LE:
        for (size_t i = 0; i < n_bytes; i++)
            buf[i] = (uint8_t)(value >> 8 * (encoding == SERIAL_RAW ? n_bytes - 1 - i : i));
        return n_bytes;
    case SERIAL_HEX:
    case SERIAL_HEX_SHORT:
        for (size_t i = 0; i < 2 * n_bytes; i++)
            buf[i] = (uint8_t)digits[value >> 4 * (2 * n_bytes - 1 - i) & 0xF];
        return 2 * n_bytes;
    case SERIAL_SDI12: /* Source: SDI-12 1.4, 4.4.12.3 */
        buf[0] = (uint8_t)(0x40 | value >> 12);
        buf[1] = (uint8_t)(0x40 | (value >> 6 & 0x3F));
        buf[2] = (uint8_t)(0x40 | (value & 0x3F));
        return 3;
    }
    return 0;
}

bool serial_find_position(const struct serial_position *position, const uint8_t *frame, size_t len,
                          size_t *ret_at)
{
    const struct serial_bytes *mark = &position->mark;

    if (position->kind == SERIAL_AT_INDEX) {
        int64_t at = position->index < 0 ? (int64_t)len + position->index : position->index;

        *ret_at = (size_t)at;
        return at >= 0 && at <= (int64_t)len;
    }
    for (size_t i = len; i >= mark->len; i--)
        if (memcmp(frame + i - mark->len, mark->bytes, mark->len) == 0) {
            *ret_at = position->kind == SERIAL_AFTER ? i : i - mark->len;
            return true;
        }
    return false;
}

/* Hexadecimal digits, as many as there are up to four. */
static bool is_short_hex(const uint8_t *text, size_t len, uint16_t value)
{
    uint32_t got = 0;
    size_t n = 0;

    for (; n < len && n < 5 && hex_digit(text[n]) >= 0; n++)
        got = got << 4 | (uint32_t)hex_digit(text[n]);
    return n >= 1 && n <= 4 && got == value;
}

static bool is_same(enum serial_encoding encoding, const uint8_t *wanted, const uint8_t *got,
                    size_t n)
{
    if (encoding != SERIAL_HEX)
        return memcmp(wanted, got, n) == 0;
    for (size_t i = 0; i < n; i++)
        if (hex_digit(got[i]) < 0 || hex_digit(got[i]) != hex_digit(wanted[i]))
            return false;
    return true;
}

bool serial_sum_locate(const struct serial_checksum_conf *conf, const uint8_t *frame, size_t len,
                       size_t n_end, struct serial_sum_place *ret)
{
    uint8_t unused[4];

    ret->n = serial_sum_write((enum serial_sum)conf->sum, (enum serial_encoding)conf->encoding, 0,
                              unused);
    ret->from = 0;
    if (len < n_end)
        return false;
    if (!conf->at.is_set) {
        if (len < n_end + ret->n)
            return false;
        ret->at = len - n_end - ret->n;
    } else if (!serial_find_position(&conf->at, frame, len, &ret->at)) {
        return false;
    }
    ret->to = ret->at;
    ret->is_ranged =
        (!conf->from.is_set || serial_find_position(&conf->from, frame, len, &ret->from)) &&
        (!conf->to.is_set || serial_find_position(&conf->to, frame, len, &ret->to)) &&
        ret->from <= ret->to;
    return ret->at < len - n_end;
}

enum serial_verdict serial_sum_check(const struct serial_checksum_conf *conf, const uint8_t *frame,
                                     size_t len, size_t n_end)
{
    enum serial_encoding encoding = (enum serial_encoding)conf->encoding;
    struct serial_sum_place place;
    uint8_t wanted[4];

    if (!serial_sum_locate(conf, frame, len, n_end, &place))
        return SERIAL_SUM_ABSENT;
    if (!place.is_ranged)
        return SERIAL_SUM_BAD;
    uint16_t value =
        serial_sum((enum serial_sum)conf->sum, frame + place.from, place.to - place.from);
    if (encoding == SERIAL_HEX_SHORT)
        return is_short_hex(frame + place.at, len - place.at, value) ? SERIAL_SUM_GOOD
                                                                     : SERIAL_SUM_BAD;
    serial_sum_write((enum serial_sum)conf->sum, encoding, value, wanted);
    if (place.at + place.n > len)
        return SERIAL_SUM_BAD;
    return is_same(encoding, wanted, frame + place.at, place.n) ? SERIAL_SUM_GOOD : SERIAL_SUM_BAD;
}
