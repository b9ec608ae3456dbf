/* mbus_notation: which record of an M-Bus answer a point means: "mbus:energy,storage=1,tariff=2". */
#include <stdlib.h>
#include <string.h>

#include "drivers/common/hex.h"
#include "drivers/serial/mbus.h"
#include "drivers/serial/notation.h"

static const char *const quantities[] = {
    [SERIAL_MBUS_ENERGY] = "energy",
    [SERIAL_MBUS_ENERGY_J] = "energy_j",
    [SERIAL_MBUS_VOLUME] = "volume",
    [SERIAL_MBUS_MASS] = "mass",
    [SERIAL_MBUS_ON_TIME] = "on_time",
    [SERIAL_MBUS_OPERATING_TIME] = "operating_time",
    [SERIAL_MBUS_POWER] = "power",
    [SERIAL_MBUS_POWER_J] = "power_j",
    [SERIAL_MBUS_FLOW] = "flow",
    [SERIAL_MBUS_MASS_FLOW] = "mass_flow",
    [SERIAL_MBUS_FLOW_TEMPERATURE] = "flow_temperature",
    [SERIAL_MBUS_RETURN_TEMPERATURE] = "return_temperature",
    [SERIAL_MBUS_TEMPERATURE_DIFFERENCE] = "temperature_difference",
    [SERIAL_MBUS_EXTERNAL_TEMPERATURE] = "external_temperature",
    [SERIAL_MBUS_PRESSURE] = "pressure",
    [SERIAL_MBUS_DATE] = "date",
    [SERIAL_MBUS_DATETIME] = "datetime",
    [SERIAL_MBUS_HCA] = "hca",
    [SERIAL_MBUS_FABRICATION_NUMBER] = "fabrication_number",
    [SERIAL_MBUS_ERROR_FLAGS] = "error_flags",
    [SERIAL_MBUS_VOLTAGE] = "voltage",
    [SERIAL_MBUS_CURRENT] = "current",
    [SERIAL_MBUS_VIF] = "vif",
    [SERIAL_MBUS_ID] = "id",
    [SERIAL_MBUS_MANUFACTURER] = "manufacturer",
    [SERIAL_MBUS_VERSION] = "version",
    [SERIAL_MBUS_MEDIUM] = "medium",
    [SERIAL_MBUS_ACCESS] = "access",
    [SERIAL_MBUS_STATUS] = "status",
};

/* A word of the text. */
struct word {
    const char *p;
    size_t len;
};

static bool is_word(struct word word, const char *text)
{
    return strlen(text) == word.len && memcmp(text, word.p, word.len) == 0;
}

static bool parse_number(struct word value, unsigned long long max, unsigned long long *ret)
{
    char *end;

    if (value.len == 0 || value.p[0] < '0' || value.p[0] > '9')
        return false;
    *ret = strtoull(value.p, &end, 10);
    return end == value.p + value.len && *ret <= max;
}

static bool parse_hex(struct word value, uint8_t *bytes, size_t max, uint8_t *ret_n)
{
    *ret_n = 0;
    if (value.len == 0 || value.len % 2 || value.len / 2 > max)
        return false;
    for (size_t i = 0; i < value.len; i += 2) {
        int high = hex_digit(value.p[i]), low = hex_digit(value.p[i + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes[(*ret_n)++] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool parse_vif(struct word value, struct serial_mbus_pick *pick)
{
    uint8_t bytes[2], n;

    if (!parse_hex(value, bytes, sizeof bytes, &n))
        return false;
    if (n == 2 && bytes[0] != SERIAL_MBUS_FB && bytes[0] != SERIAL_MBUS_FD)
        return false;
    pick->table = n == 2 ? bytes[0] : SERIAL_MBUS_PRIMARY;
    pick->vif = bytes[n - 1] & 0x7F;
    return true;
}

static bool parse_function(struct word value, struct serial_mbus_pick *pick)
{
    /* Source: EN 13757-3:2018, table 5 */
    static const char *const functions[] = {"instantaneous", "max", "min", "error"};

    for (uint8_t i = 0; i < 4; i++)
        if (is_word(value, functions[i])) {
            pick->function = i;
            return true;
        }
    return false;
}

static bool parse_option(struct word name, struct word value, struct serial_mbus_pick *pick)
{
    unsigned long long number;

    if (is_word(name, "vife"))
        return parse_hex(value, pick->vife, SERIAL_MBUS_VIFE_MAX, &pick->n_vife);
    if (is_word(name, "function"))
        return parse_function(value, pick);
    if (is_word(name, "storage") && parse_number(value, (1ULL << 41) - 1, &number))
        pick->storage = number;
    else if (is_word(name, "tariff") && parse_number(value, (1 << 20) - 1, &number))
        pick->tariff = (uint32_t)number;
    else if (is_word(name, "unit") && parse_number(value, 1023, &number))
        pick->subunit = (uint32_t)number;
    else if (is_word(name, "nth") && parse_number(value, 99, &number) && number > 0)
        pick->nth = (uint8_t)number;
    else
        return false;
    return true;
}

static bool parse_quantity(struct word word, struct serial_mbus_pick *pick)
{
    if (word.len > 4 && memcmp(word.p, "vif=", 4) == 0) {
        pick->quantity = SERIAL_MBUS_VIF;
        return parse_vif((struct word){word.p + 4, word.len - 4}, pick);
    }
    for (size_t i = 0; i < sizeof quantities / sizeof quantities[0]; i++)
        if (i != SERIAL_MBUS_VIF && is_word(word, quantities[i])) {
            pick->quantity = (uint8_t)i;
            return true;
        }
    return false;
}

enum gw_err serial_mbus_parse(const char *text, struct serial_mbus_pick *pick,
                              struct gw_driver_diag *diag)
{
    struct word word = {text, strcspn(text, ",")};

    *pick = (struct serial_mbus_pick){.nth = 1};
    if (!parse_quantity(word, pick))
        return serial_complain(diag,
                               "\"%.60s\" is no M-Bus record: it begins with a quantity such as "
                               "energy or flow_temperature, or with vif=6E or vif=FD1A",
                               text);
    for (const char *p = text + word.len; *p;) {
        word = (struct word){p + 1, strcspn(p + 1, ",")};
        const char *equals = memchr(word.p, '=', word.len);
        size_t n_name = equals ? (size_t)(equals - word.p) : 0;
        struct word value = {equals ? equals + 1 : NULL, equals ? word.len - n_name - 1 : 0};

        if (!equals || pick->quantity >= SERIAL_MBUS_ID ||
            !parse_option((struct word){word.p, n_name}, value, pick))
            return serial_complain(
                diag,
                "\"%.*s\" is none of storage=N, tariff=N, unit=N, function=max, vife=HEX, nth=N",
                (int)(word.len < 60 ? word.len : 60), word.p);
        p = word.p + word.len;
    }
    return GW_OK;
}
