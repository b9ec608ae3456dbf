/* number: see the header. */
#include "drivers/serial/number.h"

#include <string.h>

#include "drivers/common/hex.h"

enum { DIGITS_MAX = 18, EXPONENT_MAX = 99 };

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

struct serial_slice serial_trim(struct serial_slice text)
{
    while (text.len &&
           (text.p[0] == ' ' || (text.p[0] >= '\t' && text.p[0] <= '\r') || text.p[0] == 0))
        text.p++, text.len--;
    while (text.len && (text.p[text.len - 1] == ' ' || text.p[text.len - 1] == 0 ||
                        (text.p[text.len - 1] >= '\t' && text.p[text.len - 1] <= '\r')))
        text.len--;
    return text;
}

/* Takes a sign off the front or the back, and the blanks between it and the digits. */
static bool take_sign(struct serial_slice *text, bool at_end)
{
    uint8_t c = text->len ? text->p[at_end ? text->len - 1 : 0] : 0;

    if (c != '+' && c != '-')
        return false;
    text->p += at_end ? 0 : 1;
    text->len--;
    *text = serial_trim(*text);
    return true;
}

/* The exponent after the digits. */
static bool parse_exponent(struct serial_slice text, int32_t *ret_exp10)
{
    bool is_negative = text.len > 1 && text.p[1] == '-';
    size_t i = text.len > 1 && (text.p[1] == '-' || text.p[1] == '+') ? 2 : 1;
    int32_t n = 0;

    if (text.len == 0)
        return true;
    if ((text.p[0] != 'e' && text.p[0] != 'E') || i == text.len)
        return false;
    for (; i < text.len; i++) {
        if (!is_digit(text.p[i]) || (n = n * 10 + (text.p[i] - '0')) > EXPONENT_MAX)
            return false;
    }
    *ret_exp10 += is_negative ? -n : n;
    return true;
}

bool serial_parse_number(struct serial_slice text, bool decimal_comma, int64_t *ret_digits,
                         int32_t *ret_exp10)
{
    uint8_t point = decimal_comma ? ',' : '.';
    int64_t digits = 0;
    int32_t exp10 = 0;
    size_t i = 0, n_digits = 0, n_significant = 0;
    bool has_point = false, is_negative;

    text = serial_trim(text);
    is_negative = text.len && text.p[0] == '-';
    if (!take_sign(&text, false) && text.len && text.p[text.len - 1] == '-')
        is_negative = take_sign(&text, true);
    for (; i < text.len && (is_digit(text.p[i]) || (text.p[i] == point && !has_point)); i++) {
        if (text.p[i] == point) {
            has_point = true;
            continue;
        }
        n_digits++;
        n_significant += digits != 0 || text.p[i] != '0';
        if (n_significant > DIGITS_MAX)
            return false;
        digits = digits * 10 + (text.p[i] - '0');
        exp10 -= has_point;
    }
    if (n_digits == 0 || !parse_exponent((struct serial_slice){text.p + i, text.len - i}, &exp10))
        return false;
    *ret_digits = is_negative ? -digits : digits;
    *ret_exp10 = exp10;
    return true;
}

bool serial_parse_hex(struct serial_slice text, uint64_t *ret_value)
{
    uint64_t value = 0;

    text = serial_trim(text);
    if (text.len == 0 || text.len > 16)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.p[i]);

        if (digit < 0)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
    *ret_value = value;
    return true;
}

bool serial_parse_degrees(struct serial_slice text, double *ret_degrees)
{
    int64_t digits, power = 1;
    int32_t exp10;

    if (!serial_parse_number(text, false, &digits, &exp10) || digits < 0 || exp10 > 0 ||
        exp10 < -10)
        return false;
    for (; exp10 < 0; exp10++)
        power *= 10;
    int64_t minutes = digits % (100 * power), degrees = digits / (100 * power);
    if (minutes >= 60 * power || degrees > 180)
        return false;
    *ret_degrees = (double)(degrees * 60 * power + minutes) / (60.0 * (double)power);
    return true;
}

uint64_t serial_join(const uint8_t *bytes, size_t len, enum serial_order order)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len && i < 8; i++)
        value = value << 8 | bytes[order == SERIAL_BIG ? i : len - 1 - i];
    return value;
}

bool serial_parse_bcd(struct serial_slice bytes, enum serial_order order, bool is_signed,
                      int64_t *ret_value)
{
    int64_t value = 0;
    bool is_negative = false;

    if (bytes.len == 0 || bytes.len > 9)
        return false;
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = bytes.p[order == SERIAL_BIG ? i : bytes.len - 1 - i];

        if (i == 0 && is_signed) {
            is_negative = byte & 0x80;
            byte &= 0x7F;
        }
        if ((byte & 0x0F) > 9 || byte >> 4 > 9)
            return false;
        value = value * 100 + (byte >> 4) * 10 + (byte & 0x0F);
    }
    *ret_value = is_negative ? -value : value;
    return true;
}
