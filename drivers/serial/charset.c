/* charset: texts of instruments as UTF-8. What is no character of its set becomes U+FFFD, so that messages stay well-formed. */
#include "drivers/serial/charset.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

/* ---- one byte, one character ----------------------------------------------------------------------- */

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

static size_t convert_bytes(struct serial_slice text, enum serial_charset charset, char *buf,
                            size_t size)
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

/* ---- more than one: by the C library --------------------------------------------------------------- */

/* iconv stops at what is no character, and before one that does not fit. */
static size_t convert_by_iconv(struct serial_slice text, iconv_t converter, char *buf, size_t size)
{
    char *in = (char *)(uintptr_t)text.p, *out = buf; /* it does not write there */
    size_t n_in = text.len, n_out = size;

    (void)iconv(converter, NULL, NULL, NULL, NULL);
    while (n_in > 0 && iconv(converter, &in, &n_in, &out, &n_out) == (size_t)-1 && errno != E2BIG &&
           n_out >= 3) {
        size_t n = write_utf8(0xFFFD, out);

        out += n, n_out -= n;
        in++, n_in--;
    }
    return (size_t)(out - buf);
}

bool serial_charset_open(enum serial_charset charset, void **ret_converter)
{
    *ret_converter = NULL;
    if (charset != SERIAL_GBK)
        return true;
    iconv_t converter = iconv_open("UTF-8", "GBK");
    if (converter == (iconv_t)-1)
        return false;
    *ret_converter = converter;
    return true;
}

void serial_charset_close(void *converter)
{
    if (converter)
        iconv_close(converter);
}

size_t serial_to_utf8(struct serial_slice text, enum serial_charset charset, void *converter,
                      char *buf, size_t size)
{
    return converter ? convert_by_iconv(text, converter, buf, size)
                     : convert_bytes(text, charset, buf, size);
}
