/* notation: bytes, positions and places as a user writes them. Pure. */
#include "drivers/serial/notation.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/common/hex.h"
#include "drivers/serial/mbus.h"

enum gw_err serial_complain(struct gw_driver_diag *diag, const char *fmt, ...)
{
    va_list args;

    if (!diag)
        return GW_E_CONFIG;
    va_start(args, fmt);
    vsnprintf(diag->text, sizeof diag->text, fmt, args);
    va_end(args);
    return GW_E_CONFIG;
}

/* A backslash and what follows it. */
static enum gw_err take_escape(const char **at, uint8_t *ret_byte, struct gw_driver_diag *diag)
{
    static const char names[] = "rnt0e\\", bytes[] = "\r\n\t\0\x1B\\";
    const char *p = *at + 1, *name = *p ? strchr(names, *p) : NULL;

    if (name) {
        *ret_byte = (uint8_t)bytes[name - names];
        *at = p + 1;
        return GW_OK;
    }
    int high = *p == 'x' ? hex_digit(p[1]) : -1, low = high < 0 ? -1 : hex_digit(p[2]);
    if (low < 0)
        return serial_complain(diag, "\"\\%.3s\" is none of \\r \\n \\t \\0 \\e \\\\ \\xHH", p);
    *ret_byte = (uint8_t)(high << 4 | low);
    *at = p + 3;
    return GW_OK;
}

enum gw_err serial_take_byte(const char **at, uint8_t *ret_byte, struct gw_driver_diag *diag)
{
    const unsigned char *p = (const unsigned char *)*at;

    if (*p == '\\')
        return take_escape(at, ret_byte, diag);
    if (*p < 0x80) {
        *ret_byte = *p;
        *at += 1;
        return GW_OK;
    }
    /* In double quotes YAML itself makes U+00E4 of \xE4: the byte is meant. */
    if ((*p == 0xC2 || *p == 0xC3) && (p[1] & 0xC0) == 0x80) {
        *ret_byte = (uint8_t)((*p & 3) << 6 | (p[1] & 0x3F));
        *at += 2;
        return GW_OK;
    }
    return serial_complain(diag, "\"%.12s\" is no byte", *at);
}

enum gw_err serial_take_hex(const char **at, uint8_t *ret_byte, struct gw_driver_diag *diag)
{
    int high = hex_digit((*at)[0]), low = high < 0 ? -1 : hex_digit((*at)[1]);

    if (low < 0)
        return serial_complain(diag, "\"%.12s\" is no byte of two hexadecimal digits", *at);
    *ret_byte = (uint8_t)(high << 4 | low);
    *at += 2;
    *at += strspn(*at, " ");
    return GW_OK;
}

/* Up to the end of the text, or to " | ". */
static enum gw_err take_bytes(const char **text, struct serial_bytes *ret,
                              struct gw_driver_diag *diag)
{
    const char *at = *text;
    bool is_hex = strncmp(at, "hex:", 4) == 0;

    memset(ret, 0, sizeof *ret);
    if (is_hex)
        at += 4 + strspn(at + 4, " ");
    while (*at && strncmp(at, " | ", 3) != 0 && !(is_hex && strncmp(at, "| ", 2) == 0)) {
        if (ret->len == SERIAL_BYTES_MAX)
            return serial_complain(diag, "\"%.60s\" has more than %d bytes", *text,
                                   SERIAL_BYTES_MAX);
        enum gw_err err = is_hex ? serial_take_hex(&at, &ret->bytes[ret->len], diag)
                                 : serial_take_byte(&at, &ret->bytes[ret->len], diag);
        if (err)
            return err;
        ret->len++;
    }
    if (ret->len == 0)
        return serial_complain(diag, "\"%.60s\" has no bytes", *text);
    *text = at + (*at ? strspn(at, " |") : 0);
    return GW_OK;
}

enum gw_err serial_parse_bytes(const char *text, void *field, struct gw_driver_diag *diag)
{
    struct serial_bytes bytes;
    const char *at = text;

    if (take_bytes(&at, &bytes, diag) != GW_OK)
        return GW_E_CONFIG;
    if (*at)
        return serial_complain(diag, "\"%.60s\" has alternatives, which only an end may have",
                               text);
    *(struct serial_bytes *)field = bytes;
    return GW_OK;
}

enum gw_err serial_parse_ends(const char *text, void *field, struct gw_driver_diag *diag)
{
    struct serial_ends ends = {0};
    const char *at = text;

    do {
        if (ends.n == SERIAL_ENDS_MAX)
            return serial_complain(diag, "\"%.60s\" has more than %d ends", text, SERIAL_ENDS_MAX);
        if (take_bytes(&at, &ends.any[ends.n++], diag) != GW_OK)
            return GW_E_CONFIG;
    } while (*at);
    *(struct serial_ends *)field = ends;
    return GW_OK;
}

enum gw_err serial_parse_position(const char *text, void *field, struct gw_driver_diag *diag)
{
    struct serial_position position = {.is_set = true, .kind = SERIAL_AT_INDEX};
    char *end;

    if (strncmp(text, "before ", 7) == 0 || strncmp(text, "after ", 6) == 0) {
        position.kind = text[0] == 'b' ? SERIAL_BEFORE : SERIAL_AFTER;
        if (serial_parse_bytes(strchr(text, ' ') + 1, &position.mark, diag) != GW_OK)
            return GW_E_CONFIG;
        *(struct serial_position *)field = position;
        return GW_OK;
    }
    long index = strtol(text, &end, 0);
    if (end == text || *end || index < -4096 || index > 4096)
        return serial_complain(
            diag, "\"%.40s\" is no position: a number (-1 is the last byte), before X or after X",
            text);
    position.index = (int32_t)index;
    *(struct serial_position *)field = position;
    return GW_OK;
}

/* ---- places ---------------------------------------------------------------------------------------- */

static enum gw_err parse_name(const char *text, struct serial_place *place,
                              struct gw_driver_diag *diag)
{
    size_t len = strlen(text);

    if (len > SERIAL_NAME_MAX || (len == 0 && place->kind != SERIAL_JSON))
        return serial_complain(diag, "\"%.60s\" has %s after the colon", text,
                               len ? "too long a name" : "nothing");
    memcpy(place->name, text, len + 1);
    if (place->kind == SERIAL_JSON && len && text[0] != '/')
        return serial_complain(diag, "\"%s\" is no JSON pointer: it begins with /", text);
    return GW_OK;
}

/* 4, 4-11, and of bytes -1 and 1&0x04 */
static enum gw_err parse_range(const char *text, struct serial_place *place,
                               struct gw_driver_diag *diag)
{
    bool is_byte = place->kind == SERIAL_BYTE;
    const char *p = text;
    char *end;

    place->from_end = is_byte && *p == '-';
    if (place->from_end)
        p++;
    unsigned long first = isdigit((unsigned char)*p) ? strtoul(p, &end, 10) : 9999, last = first;
    if (first > 4095 || (!is_byte && first == 0) || (place->from_end && first == 0))
        return serial_complain(diag, "\"%.40s\" must be %s", text,
                               is_byte ? "a byte from 0 on" : "a number from 1 on");
    if (*end == '-' && place->kind != SERIAL_FIELD && !place->from_end) {
        last = isdigit((unsigned char)end[1]) ? strtoul(end + 1, &end, 10) : 9999;
        if (last < first || last > 4095)
            return serial_complain(diag, "\"%.40s\" is no range such as 4-11", text);
        place->has_last = true;
    }
    place->first = (uint16_t)first;
    place->last = (uint16_t)last;
    if (is_byte && *end == '&' && isdigit((unsigned char)end[1])) {
        place->mask = strtoull(end + 1, &end, 0);
        if (place->mask == 0)
            return serial_complain(diag, "\"%.40s\" has an empty mask", text);
    }
    return *end ? serial_complain(diag, "\"%.40s\" has \"%.20s\" too much", text, end) : GW_OK;
}

/* 0-1:24.2.1[2]: the second parenthesis after it */
static enum gw_err parse_obis(const char *text, struct serial_place *place,
                              struct gw_driver_diag *diag)
{
    const char *bracket = strchr(text, '[');
    size_t len = bracket ? (size_t)(bracket - text) : strlen(text);
    char *end;

    if (len == 0 || len > SERIAL_NAME_MAX || strspn(text, "0123456789ABCDEFabcdef:.*-") != len)
        return serial_complain(diag, "\"%.60s\" is no OBIS code such as 1-0:1.8.0", text);
    memcpy(place->name, text, len);
    place->name[len] = '\0';
    place->first = 1;
    if (!bracket)
        return GW_OK;
    unsigned long n = strtoul(bracket + 1, &end, 10);
    if (n < 1 || n > 99 || strcmp(end, "]") != 0)
        return serial_complain(diag, "\"%.60s\": in brackets stands which parenthesis: [2]", text);
    place->first = (uint16_t)n;
    return GW_OK;
}

static enum gw_err parse_mbus(const char *text, struct serial_place *place,
                              struct gw_driver_diag *diag)
{
    return serial_mbus_parse(text, &place->mbus, diag);
}

enum gw_err serial_parse_place(const char *text, void *field, struct gw_driver_diag *diag)
{
    static const struct {
        const char *word;
        enum serial_place_kind kind;
        enum gw_err (*parse)(const char *, struct serial_place *, struct gw_driver_diag *);
    } kinds[] = {
        {"group:", SERIAL_GROUP, parse_name},  {"column:", SERIAL_COLUMN, parse_range},
        {"field:", SERIAL_FIELD, parse_range}, {"key:", SERIAL_KEY, parse_name},
        {"obis:", SERIAL_OBIS, parse_obis},    {"json:", SERIAL_JSON, parse_name},
        {"byte:", SERIAL_BYTE, parse_range},   {"mbus:", SERIAL_MBUS, parse_mbus},
    };
    struct serial_place place = {.kind = SERIAL_WHOLE};

    if (strcmp(text, "frame") == 0) {
        *(struct serial_place *)field = place;
        return GW_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i].word);

        if (strncmp(text, kinds[i].word, len) != 0)
            continue;
        place.kind = kinds[i].kind;
        if (kinds[i].parse(text + len, &place, diag) != GW_OK)
            return GW_E_CONFIG;
        *(struct serial_place *)field = place;
        return GW_OK;
    }
    return serial_complain(diag,
                           "\"%.60s\" is no place; it is frame, group:NAME, column:4-11, field:3, "
                           "key:NAME, obis:CODE, json:/POINTER, byte:4 or mbus:QUANTITY",
                           text);
}
