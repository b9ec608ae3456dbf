/* notation: how registers and types are written in a configuration. Pure. */
#include "drivers/modbus/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "drivers/common/hex.h"
#include "drivers/modbus/regs.h"

#define REGISTER_PATTERN                                                                           \
    "(holding|hr|input|ir|coil|co|discrete|di):?(0[xX][0-9a-fA-F]{1,4}|[0-9]{1,5})"                \
    "|[0134][0-9]{4,5}"
#define BYTES_PATTERN "raw:( ?[0-9a-fA-F]{2}){1,64}"

const char modbus_register_pattern[] = "^(" REGISTER_PATTERN ")$";
const char modbus_bytes_pattern[] = "^" BYTES_PATTERN "$";
const char modbus_place_pattern[] = "^(" REGISTER_PATTERN "|" BYTES_PATTERN ")$";

static const struct {
    const char *name;
    enum modbus_area area;
} areas[] = {
    {"holding", MODBUS_HOLDING},   {"hr", MODBUS_HOLDING},  {"input", MODBUS_INPUT},
    {"ir", MODBUS_INPUT},          {"coil", MODBUS_COIL},   {"co", MODBUS_COIL},
    {"discrete", MODBUS_DISCRETE}, {"di", MODBUS_DISCRETE},
};

const char *modbus_print_register(enum modbus_area area, uint32_t first, char buf[24])
{
    static const char *const names[] = {"coil", "discrete", "holding", "input"};

    snprintf(buf, 24, "%s:%lu", names[area], (unsigned long)first);
    return buf;
}

/* Reads digits, decimal or 0x hexadecimal, up to the end of the text. False when there is anything else. */
static bool read_number(const char *text, unsigned long *ret_number)
{
    bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = is_hex ? text + 2 : text;
    size_t n = strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789");

    if (n == 0 || n > 9 || digits[n] != '\0')
        return false;
    *ret_number = strtoul(digits, NULL, is_hex ? 16 : 10);
    return true;
}

/* Source: Modicon's reference numbers, facts modbus.md 5: the first digit tells the table, the others count from 1. */
static bool read_modicon(const char *text, struct modbus_address *ret)
{
    static const enum modbus_area tables[] = {MODBUS_COIL, MODBUS_DISCRETE, MODBUS_COIL,
                                              MODBUS_INPUT, MODBUS_HOLDING};
    unsigned long number;
    size_t n = strspn(text, "0123456789");

    if ((n != 5 && n != 6) || text[n] != '\0' || !strchr("0134", text[0]))
        return false;
    number = strtoul(text + 1, NULL, 10);
    if (number < 1 || number > 65536)
        return false;
    *ret = (struct modbus_address){tables[text[0] - '0'], (uint16_t)(number - 1), .is_set = true,
                                   .is_modicon = true};
    return true;
}

enum gw_err modbus_parse_register(const char *text, void *field, struct gw_driver_diag *diag)
{
    struct modbus_address *address = field;
    unsigned long number;

    if (read_modicon(text, address))
        return GW_OK;
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++) {
        size_t n = strlen(areas[i].name);
        if (strncmp(text, areas[i].name, n) != 0 ||
            !read_number(text + n + (text[n] == ':'), &number))
            continue;
        if (number > 65535) {
            snprintf(diag->text, sizeof diag->text, "register %lu is out of range (0-65535)",
                     number);
            return GW_E_CONFIG;
        }
        *address = (struct modbus_address){areas[i].area, (uint16_t)number, .is_set = true};
        return GW_OK;
    }
    if (read_number(text, &number))
        snprintf(diag->text, sizeof diag->text,
                 "\"%.9s\" does not say which table it is in; write holding:%.9s, input:%.9s, "
                 "coil:%.9s or discrete:%.9s",
                 text, text, text, text, text);
    else
        snprintf(diag->text, sizeof diag->text,
                 "\"%.60s\" is not a register; write holding:100 (hr100), input:0x10 (ir16), "
                 "coil:3 (co3) or "
                 "discrete:12 (di12)",
                 text);
    return GW_E_CONFIG;
}

/* ---- bytes ---- */

enum gw_err modbus_parse_bytes(const char *text, void *field, struct gw_driver_diag *diag)
{
    struct modbus_bytes bytes = {0};
    const char *at = strncmp(text, "raw:", 4) == 0 ? text + 4 : text + strlen(text);

    while (*at && bytes.n < MODBUS_RAW_MAX) {
        const char *digits = at + (*at == ' ');
        int high = hex_digit(digits[0]), low = high < 0 ? -1 : hex_digit(digits[1]);
        if (low < 0)
            break;
        bytes.bytes[bytes.n++] = (uint8_t)(high << 4 | low);
        at = digits + 2;
    }
    if (bytes.n > 0 && !*at) {
        *(struct modbus_bytes *)field = bytes;
        return GW_OK;
    }
    snprintf(diag->text, sizeof diag->text,
             bytes.n == MODBUS_RAW_MAX ? "\"%.30s...\" has more than %d bytes"
                                       : "\"%.60s\" is not bytes of a request; write raw:42 or "
                                         "raw:08 00 00 A5 5A (at most %d), from the function on",
             text, MODBUS_RAW_MAX);
    return GW_E_CONFIG;
}

enum gw_err modbus_parse_place(const char *text, void *field, struct gw_driver_diag *diag)
{
    struct modbus_point_conf *point = field;

    return strncmp(text, "raw:", 4) == 0 ? modbus_parse_bytes(text, &point->request, diag)
                                         : modbus_parse_register(text, &point->address, diag);
}

/* ---- types ---- */

const char modbus_type_pattern[] =
    "^(bool|u?int8[hl]|u?int(16|24|32|48|64)|float(16|32|64)|(enum|bitfield)(16|32|64)|acc(16|32|"
    "64)|sunssf"
    "|bits(32)?\\[[0-9]{1,2}:[0-9]{1,2}\\]|bcd(16|32|64)|mod10k\\[[1-4]\\]|signmag(16|32)|pf4q"
    "|(string|string_low|string_high|raw)\\[[0-9]{1,3}\\]|ipv4|ipv6|eui48|datetime_iec870_4|"
    "datetime_words4"
    "|datetime_bytes|unix|hhmm|version_nibbles)$";

/* n_regs 0: a number of registers stands in brackets, at most `most`; bits: shift:width stand there. */
static const struct type_name {
    const char *name;
    enum modbus_type type;
    uint8_t n_regs, most;
    uint8_t meaning;
} type_names[] = {
    {"bool", MODBUS_BOOL, 1, 0, 0},
    {"int8h", MODBUS_INT8H, 1, 0, 0},
    {"int8l", MODBUS_INT8L, 1, 0, 0},
    {"uint8h", MODBUS_UINT8H, 1, 0, 0},
    {"uint8l", MODBUS_UINT8L, 1, 0, 0},
    {"int16", MODBUS_INT16, 1, 0, 0},
    {"uint16", MODBUS_UINT16, 1, 0, 0},
    {"int24", MODBUS_INT24, 2, 0, 0},
    {"uint24", MODBUS_UINT24, 2, 0, 0},
    {"int32", MODBUS_INT32, 2, 0, 0},
    {"uint32", MODBUS_UINT32, 2, 0, 0},
    {"int48", MODBUS_INT48, 3, 0, 0},
    {"uint48", MODBUS_UINT48, 3, 0, 0},
    {"int64", MODBUS_INT64, 4, 0, 0},
    {"uint64", MODBUS_UINT64, 4, 0, 0},
    {"float16", MODBUS_FLOAT16, 1, 0, 0},
    {"float32", MODBUS_FLOAT32, 2, 0, 0},
    {"float64", MODBUS_FLOAT64, 4, 0, 0},
    {"enum16", MODBUS_UINT16, 1, 0, MODBUS_ENUM},
    {"enum32", MODBUS_UINT32, 2, 0, MODBUS_ENUM},
    {"enum64", MODBUS_UINT64, 4, 0, MODBUS_ENUM},
    {"bitfield16", MODBUS_UINT16, 1, 0, MODBUS_BITFIELD},
    {"bitfield32", MODBUS_UINT32, 2, 0, MODBUS_BITFIELD},
    {"bitfield64", MODBUS_UINT64, 4, 0, MODBUS_BITFIELD},
    {"acc16", MODBUS_UINT16, 1, 0, MODBUS_ACCUMULATOR},
    {"acc32", MODBUS_UINT32, 2, 0, MODBUS_ACCUMULATOR},
    {"acc64", MODBUS_UINT64, 4, 0, MODBUS_ACCUMULATOR},
    {"sunssf", MODBUS_INT16, 1, 0, MODBUS_SUNSSF},
    {"bits", MODBUS_BITS, 1, 16, 0},
    {"bits32", MODBUS_BITS32, 2, 32, 0},
    {"bcd16", MODBUS_BCD16, 1, 0, 0},
    {"bcd32", MODBUS_BCD32, 2, 0, 0},
    {"bcd64", MODBUS_BCD64, 4, 0, 0},
    {"mod10k", MODBUS_MOD10K, 0, 4, 0},
    {"signmag16", MODBUS_SIGNMAG16, 1, 0, 0},
    {"signmag32", MODBUS_SIGNMAG32, 2, 0, 0},
    {"pf4q", MODBUS_PF4Q, 2, 0, 0},
    {"string", MODBUS_STRING, 0, MODBUS_REGS_MAX, 0},
    {"string_low", MODBUS_STRING_LOW, 0, MODBUS_REGS_MAX, 0},
    {"string_high", MODBUS_STRING_HIGH, 0, MODBUS_REGS_MAX, 0},
    {"raw", MODBUS_RAW, 0, MODBUS_REGS_MAX, 0},
    {"ipv4", MODBUS_IPV4, 2, 0, 0},
    {"ipv6", MODBUS_IPV6, 8, 0, 0},
    {"eui48", MODBUS_EUI48, 4, 0, 0},
    {"datetime_iec870_4", MODBUS_DATETIME_IEC870, 4, 0, 0},
    {"datetime_words4", MODBUS_DATETIME_WORDS, 4, 0, 0},
    {"datetime_bytes", MODBUS_DATETIME_BYTES, 3, 0, 0},
    {"unix", MODBUS_UNIX, 2, 0, 0},
    {"hhmm", MODBUS_HHMM, 1, 0, 0},
    {"version_nibbles", MODBUS_VERSION_NIBBLES, 1, 0, 0},
};

/* Reads "[a]" or "[a:b]", n numbers of up to 3 digits, up to the end of the text. */
static bool read_brackets(const char *text, size_t n, unsigned *ret_numbers)
{
    char expected = '[';

    for (size_t i = 0; i < n; i++) {
        if (*text++ != expected)
            return false;
        size_t len = strspn(text, "0123456789");
        if (len < 1 || len > 3)
            return false;
        ret_numbers[i] = (unsigned)strtoul(text, NULL, 10);
        text += len;
        expected = ':';
    }
    return strcmp(text, "]") == 0;
}

static enum gw_err parse_bits(const struct type_name *row, const char *brackets,
                              struct modbus_type_spec *ret, struct gw_driver_diag *diag)
{
    unsigned numbers[2];

    if (!read_brackets(brackets, 2, numbers)) {
        snprintf(diag->text, sizeof diag->text,
                 "%s needs the lowest bit and the number of bits: %s[3:2]", row->name, row->name);
        return GW_E_CONFIG;
    }
    unsigned shift = numbers[0], width = numbers[1];
    if (width < 1 || shift + width > row->most) {
        snprintf(diag->text, sizeof diag->text, "%s[%u:%u] does not fit in %d bits", row->name,
                 shift, width, row->most);
        return GW_E_CONFIG;
    }
    *ret = (struct modbus_type_spec){row->type, row->n_regs, .shift = (uint8_t)shift,
                                     .width = (uint8_t)width};
    return GW_OK;
}

static enum gw_err parse_sized(const struct type_name *row, const char *brackets,
                               struct modbus_type_spec *ret, struct gw_driver_diag *diag)
{
    unsigned n_regs;

    if (!read_brackets(brackets, 1, &n_regs)) {
        snprintf(diag->text, sizeof diag->text, "%s needs its number of registers: %s[4]",
                 row->name, row->name);
        return GW_E_CONFIG;
    }
    if (n_regs < 1 || n_regs > row->most) {
        snprintf(diag->text, sizeof diag->text, "%s[%u] is out of range (1-%d registers)",
                 row->name, n_regs, row->most);
        return GW_E_CONFIG;
    }
    *ret = (struct modbus_type_spec){.type = row->type, .n_regs = (uint16_t)n_regs};
    return GW_OK;
}

/* What manuals and other gateways call them. */
static const struct {
    const char *theirs, *ours;
} type_synonyms[] = {
    {"bit", "bool"},      {"boolean", "bool"},  {"int", "int16"},       {"short", "int16"},
    {"s16", "int16"},     {"i16", "int16"},     {"uint", "uint16"},     {"ushort", "uint16"},
    {"u16", "uint16"},    {"word", "uint16"},   {"s32", "int32"},       {"i32", "int32"},
    {"dint", "int32"},    {"long", "int32"},    {"u32", "uint32"},      {"udint", "uint32"},
    {"dword", "uint32"},  {"s64", "int64"},     {"i64", "int64"},       {"u64", "uint64"},
    {"float", "float32"}, {"real", "float32"},  {"f32", "float32"},     {"double", "float64"},
    {"f64", "float64"},   {"lreal", "float64"}, {"ascii", "string[8]"}, {"bcd", "bcd16"},
};

static enum gw_err refuse_type(const char *text, struct gw_driver_diag *diag)
{
    for (size_t i = 0; i < sizeof type_synonyms / sizeof type_synonyms[0]; i++)
        if (strcasecmp(text, type_synonyms[i].theirs) == 0) {
            snprintf(diag->text, sizeof diag->text, "\"%.40s\" is not a type; did you mean %s?",
                     text, type_synonyms[i].ours);
            return GW_E_CONFIG;
        }
    snprintf(diag->text, sizeof diag->text,
             "\"%.40s\" is not a type; types are bool, int16, uint16, int32, uint32, int64, "
             "uint64, float32, "
             "float64, bits[0:1], string[8], ... (see field2mqtt drivers modbus-rtu)",
             text);
    return GW_E_CONFIG;
}

enum gw_err modbus_parse_type(const char *text, void *field, struct gw_driver_diag *diag)
{
    size_t n = strcspn(text, "[");

    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        const struct type_name *row = &type_names[i];
        if (strlen(row->name) != n || strncmp(text, row->name, n) != 0)
            continue;
        if (row->n_regs && row->most)
            return parse_bits(row, text + n, field, diag);
        if (!row->n_regs)
            return parse_sized(row, text + n, field, diag);
        if (text[n]) {
            snprintf(diag->text, sizeof diag->text, "%s takes nothing in brackets", row->name);
            return GW_E_CONFIG;
        }
        *(struct modbus_type_spec *)field =
            (struct modbus_type_spec){row->type, row->n_regs, .meaning = row->meaning};
        return GW_OK;
    }
    return refuse_type(text, diag);
}
