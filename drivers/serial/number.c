/* number: see the header. */
#include "drivers/serial/number.h"

#include <string.h>

#include "drivers/serial/notation.h"

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
        int digit = serial_hex_digit(text.p[i]);

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

/* ---- texts ----------------------------------------------------------------------------------------- */

/* The length of a well-formed UTF-8 character; 0: none. Source: RFC 3629, 4. */
static size_t utf8_len(const uint8_t *p, size_t len)
{
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xC2 ? 0
               : p[0] < 0xE0 ? 2
               : p[0] < 0xF0 ? 3
               : p[0] < 0xF5 ? 4
                             : 0;

    if (n == 0 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

/* Source: the code page of Windows 1251, rows 8 to B; from C0 on it is U+0410 and following. */
static const uint16_t cp1251[64] = {
    0x0402, 0x0403, 0x201A, 0x0453, 0x201E, 0x2026, 0x2020, 0x2021, 0x20AC, 0x2030, 0x0409,
    0x2039, 0x040A, 0x040C, 0x040B, 0x040F, 0x0452, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0xFFFD, 0x2122, 0x0459, 0x203A, 0x045A, 0x045C, 0x045B, 0x045F, 0x00A0,
    0x040E, 0x045E, 0x0408, 0x00A4, 0x0490, 0x00A6, 0x00A7, 0x0401, 0x00A9, 0x0404, 0x00AB,
    0x00AC, 0x00AD, 0x00AE, 0x0407, 0x00B0, 0x00B1, 0x0406, 0x0456, 0x0491, 0x00B5, 0x00B6,
    0x00B7, 0x0451, 0x2116, 0x0454, 0x00BB, 0x0458, 0x0405, 0x0455, 0x0457,
};

static uint16_t code_point(uint8_t byte, enum serial_charset charset)
{
    if (byte < 0x80 || charset == SERIAL_LATIN1)
        return byte;
    if (charset == SERIAL_UTF8)
        return 0xFFFD;
    return byte >= 0xC0 ? (uint16_t)(0x0410 + byte - 0xC0) : cp1251[byte - 0x80];
}

static size_t write_utf8(uint16_t code, char buf[3])
{
    if (code < 0x80) {
        buf[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        buf[0] = (char)(0xC0 | code >> 6);
        buf[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    buf[0] = (char)(0xE0 | code >> 12);
    buf[1] = (char)(0x80 | (code >> 6 & 0x3F));
    buf[2] = (char)(0x80 | (code & 0x3F));
    return 3;
}

size_t serial_to_utf8(struct serial_slice text, enum serial_charset charset, char *buf, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len;) {
        char made[3];
        size_t n_in = charset == SERIAL_UTF8 ? utf8_len(text.p + i, text.len - i) : 0;
        size_t n_out = n_in ? n_in : write_utf8(code_point(text.p[i], charset), made);

        if (len + n_out > size)
            break;
        memcpy(buf + len, n_in ? (const char *)text.p + i : made, n_out);
        len += n_out;
        i += n_in ? n_in : 1;
    }
    return len;
}
