/* text: registers that hold characters or addresses to UTF-8 text and back; the table of all text types. Registers are in
 * our order here. */
#include "drivers/modbus/forms.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "drivers/common/hex.h"

void modbus_give_text(struct gw_result *result, const char *text, size_t len)
{
    result->value.kind = GW_TEXT;
    result->value.text.p = text;
    result->value.text.len = len;
}

/* ---- characters ---- */

/* Length of the UTF-8 sequence at p, with its code point; 0 when it is none. Overlong forms and surrogates are none. */
static size_t utf8_sequence(const uint8_t *p, size_t len, uint32_t *ret_code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;

    if (n == 0 || n > len)
        return 0;
    uint32_t code = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        code = code << 6 | (p[i] & 0x3F);
    }
    if (code < least[n] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    *ret_code = code;
    return n;
}

static bool is_utf8(const uint8_t *bytes, size_t len)
{
    uint32_t code;

    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_sequence(bytes + i, len - i, &code);
        if (n == 0)
            return false;
    }
    return true;
}

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

/* Writes bytes as UTF-8: as they are when they are UTF-8, else each as a Latin-1 character. Returns the length, at most
 * twice that of the bytes. */
static size_t print_characters(const uint8_t *bytes, size_t len, char *text)
{
    bool has_utf8 = is_utf8(bytes, len);
    size_t out = 0;

    for (size_t i = 0, n; i < len; i += n) {
        uint32_t code = bytes[i];
        n = has_utf8 ? utf8_sequence(bytes + i, len - i, &code) : 1;
        if (is_control(code)) {
            text[out++] = '?';
        } else if (n == 1 && code >= 0x80) {
            text[out++] = (char)(0xC0 | code >> 6);
            text[out++] = (char)(0x80 | (code & 0x3F));
        } else {
            memcpy(text + out, bytes + i, n);
            out += n;
        }
    }
    return out;
}

static size_t bytes_of(const struct modbus_type_spec *spec, const uint16_t *regs, uint8_t *bytes)
{
    size_t n = 0;

    for (size_t i = 0; i < spec->n_regs; i++) {
        if (spec->type != MODBUS_STRING_LOW)
            bytes[n++] = (uint8_t)(regs[i] >> 8);
        if (spec->type != MODBUS_STRING_HIGH)
            bytes[n++] = (uint8_t)regs[i];
    }
    return n;
}

static void decode_string(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                          struct gw_result *result)
{
    uint8_t bytes[2 * MODBUS_REGS_MAX];
    size_t n = bytes_of(spec, regs, bytes), len = 0;

    while (len < n && bytes[len] != 0x00 && bytes[len] != 0xFF)
        len++;
    while (len > 0 && bytes[len - 1] == ' ')
        len--;
    modbus_give_text(result, text, print_characters(bytes, len, text));
}

static enum gw_err encode_string(const struct modbus_type_spec *spec, const struct gw_value *value,
                                 uint16_t *regs)
{
    size_t n = spec->type == MODBUS_STRING ? spec->n_regs * 2u : spec->n_regs;
    const char *p = value->text.p;

    if (value->text.len > n)
        return GW_E_RANGE;
    memset(regs, 0, spec->n_regs * sizeof *regs);
    for (size_t i = 0; i < value->text.len; i++) {
        uint8_t byte = (uint8_t)p[i];
        if (byte == 0x00 || byte == 0xFF) /* would end the text early */
            return GW_E_RANGE;
        if (spec->type == MODBUS_STRING)
            regs[i / 2] |= (uint16_t)(i % 2 ? byte : byte << 8);
        else
            regs[i] = (uint16_t)(spec->type == MODBUS_STRING_HIGH ? byte << 8 : byte);
    }
    return GW_OK;
}

/* ---- hexadecimal and addresses ---- */

static void decode_raw(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                       struct gw_result *result)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < spec->n_regs * 4u; i++)
        text[i] = digits[regs[i / 4] >> (12 - 4 * (i % 4)) & 0xF];
    modbus_give_text(result, text, spec->n_regs * 4u);
}

static enum gw_err encode_raw(const struct modbus_type_spec *spec, const struct gw_value *value,
                              uint16_t *regs)
{
    if (value->text.len != spec->n_regs * 4u)
        return GW_E_RANGE;
    for (size_t i = 0; i < value->text.len; i++) {
        int digit = hex_digit(value->text.p[i]);
        if (digit < 0)
            return GW_E_RANGE;
        regs[i / 4] = (uint16_t)(regs[i / 4] << 4 | digit);
    }
    return GW_OK;
}

static void decode_ip(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                      struct gw_result *result)
{
    uint8_t bytes[2 * MODBUS_REGS_MAX];

    bytes_of(spec, regs, bytes);
    inet_ntop(spec->type == MODBUS_IPV4 ? AF_INET : AF_INET6, bytes, text, MODBUS_TEXT_MAX);
    modbus_give_text(result, text, strlen(text));
}

static enum gw_err encode_ip(const struct modbus_type_spec *spec, const struct gw_value *value,
                             uint16_t *regs)
{
    char text[INET6_ADDRSTRLEN] = "";
    uint8_t bytes[16];

    if (value->text.len >= sizeof text)
        return GW_E_RANGE;
    memcpy(text, value->text.p, value->text.len);
    if (inet_pton(spec->type == MODBUS_IPV4 ? AF_INET : AF_INET6, text, bytes) != 1)
        return GW_E_RANGE;
    for (size_t i = 0; i < spec->n_regs; i++)
        regs[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    return GW_OK;
}

static void decode_eui48(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                         struct gw_result *result)
{
    (void)spec;
    int len = snprintf(text, MODBUS_TEXT_MAX, "%02X:%02X:%02X:%02X:%02X:%02X", regs[1] >> 8,
                       regs[1] & 0xFF, regs[2] >> 8, regs[2] & 0xFF, regs[3] >> 8, regs[3] & 0xFF);
    modbus_give_text(result, text, (size_t)len);
}

static enum gw_err encode_eui48(const struct modbus_type_spec *spec, const struct gw_value *value,
                                uint16_t *regs)
{
    (void)spec;
    if (value->text.len != 17)
        return GW_E_RANGE;
    regs[0] = 0;
    for (size_t i = 0; i < 6; i++) {
        const char *p = value->text.p + 3 * i;
        int high = hex_digit(p[0]), low = hex_digit(p[1]);
        if (high < 0 || low < 0 || (i < 5 && p[2] != ':'))
            return GW_E_RANGE;
        regs[1 + i / 2] = (uint16_t)(regs[1 + i / 2] << 8 | high << 4 | low);
    }
    return GW_OK;
}

static void decode_version(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                           struct gw_result *result)
{
    (void)spec;
    int len = snprintf(text, MODBUS_TEXT_MAX, "%d.%d.%d.%d", regs[0] >> 12, regs[0] >> 8 & 0xF,
                       regs[0] >> 4 & 0xF, regs[0] & 0xF);
    modbus_give_text(result, text, (size_t)len);
}

static enum gw_err encode_version(const struct modbus_type_spec *spec, const struct gw_value *value,
                                  uint16_t *regs)
{
    size_t at = 0, len = value->text.len;

    (void)spec;
    for (int i = 0; i < 4; i++, at++) {
        unsigned number = 0;
        size_t begin = at;
        for (; at < len && value->text.p[at] >= '0' && value->text.p[at] <= '9' && at < begin + 2;
             at++)
            number = number * 10 + (unsigned)(value->text.p[at] - '0');
        if (at == begin || number > 15 ||
            (i < 3 ? at >= len || value->text.p[at] != '.' : at != len))
            return GW_E_RANGE;
        regs[0] = (uint16_t)(regs[0] << 4 | (int)number);
    }
    return GW_OK;
}

/* ---- the table ---- */

static const struct {
    enum modbus_type type;
    void (*decode)(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                   struct gw_result *result);
    enum gw_err (*encode)(const struct modbus_type_spec *spec, const struct gw_value *value,
                          uint16_t *regs);
} texts[] = {
    {MODBUS_STRING, decode_string, encode_string},
    {MODBUS_STRING_LOW, decode_string, encode_string},
    {MODBUS_STRING_HIGH, decode_string, encode_string},
    {MODBUS_RAW, decode_raw, encode_raw},
    {MODBUS_IPV4, decode_ip, encode_ip},
    {MODBUS_IPV6, decode_ip, encode_ip},
    {MODBUS_EUI48, decode_eui48, encode_eui48},
    {MODBUS_DATETIME_IEC870, modbus_decode_iec870, modbus_encode_iec870},
    {MODBUS_DATETIME_WORDS, modbus_decode_words, modbus_encode_words},
    {MODBUS_DATETIME_BYTES, modbus_decode_bytes, modbus_encode_bytes},
    {MODBUS_UNIX, modbus_decode_unix, modbus_encode_unix},
    {MODBUS_HHMM, modbus_decode_hhmm, modbus_encode_hhmm},
    {MODBUS_VERSION_NIBBLES, decode_version, encode_version},
};

void modbus_decode_text(const struct modbus_type_spec *spec, const uint16_t *regs,
                        char text[MODBUS_TEXT_MAX], struct gw_result *result)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].type == spec->type)
            texts[i].decode(spec, regs, text, result);
}

enum gw_err modbus_encode_text(const struct modbus_type_spec *spec, const struct gw_value *value,
                               uint16_t *ret_regs)
{
    if (value->kind != GW_TEXT)
        return GW_E_RANGE;
    memset(ret_regs, 0, spec->n_regs * sizeof *ret_regs);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].type == spec->type)
            return texts[i].encode(spec, value, ret_regs);
    return GW_E_RANGE;
}
