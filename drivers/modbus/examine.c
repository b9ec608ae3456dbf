/* examine: everything that a range of registers may mean, side by side, each as a user would write the point. For the
 * day on which the manual of a device is missing or wrong. */
#include "drivers/modbus/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/regs.h"

enum { DEFAULT_COUNT = 4 };

static const struct {
    const char *name;
    unsigned n_regs;
    bool has_orders;
} types[] = {
    {"uint16", 1, false},    {"int16", 1, false}, {"bcd16", 1, false},  {"float16", 1, false},
    {"uint32", 2, true},     {"int32", 2, true},  {"float32", 2, true}, {"bcd32", 2, true},
    {"mod10k[2]", 2, false}, {"unix", 2, false},  {"uint64", 4, true},  {"int64", 4, true},
    {"float64", 4, true},
};

static const char *const orders[] = {"ABCD", "CDAB", "BADC", "DCBA"};

/* One examination. */
struct examination {
    struct modbus_address first;
    unsigned n;
    uint16_t values[MODBUS_REGS_MAX];
    void (*found)(void *ctx, const char *yaml, const struct gw_value *value);
    void *ctx;
};

static enum gw_err complain(struct gw_driver_diag *diag, const char *place)
{
    snprintf(
        diag->text, sizeof diag->text,
        "\"%.60s\" is not a register such as holding:100, or a range such as holding:100-107 of at "
        "most %d",
        place, MODBUS_REGS_MAX);
    return GW_E_CONFIG;
}

static enum gw_err parse_place(const char *place, struct examination *ex,
                               struct gw_driver_diag *diag)
{
    char first[32];
    const char *dash = strchr(place, '-');
    size_t len = dash ? (size_t)(dash - place) : strlen(place);
    unsigned long last;
    char *end;

    if (len >= sizeof first)
        return complain(diag, place);
    memcpy(first, place, len);
    first[len] = '\0';
    if (modbus_parse_register(first, &ex->first, diag) != GW_OK)
        return complain(diag, place);
    last = dash ? strtoul(dash + 1, &end, 0) : ex->first.first + DEFAULT_COUNT - 1u;
    if (!dash && last > 65535)
        last = 65535;
    if ((dash && (end == dash + 1 || *end)) || last < ex->first.first || last > 65535 ||
        last - ex->first.first >= MODBUS_REGS_MAX)
        return complain(diag, place);
    ex->n = (unsigned)(last - ex->first.first + 1);
    return GW_OK;
}

/* Decodes one point at `at`; what is no value of its type is left out. */
static void try_point(const struct examination *ex, unsigned at, const char *type, int order,
                      const char *order_key, const char *order_name)
{
    struct modbus_point_conf point = {.address = ex->first, .order = order, .string_order = order};
    struct gw_driver_diag diag;
    struct gw_result result = {0};
    char text[MODBUS_TEXT_MAX], place[24], yaml[160];

    if (type && modbus_parse_type(type, &point.type, &diag) != GW_OK)
        return;
    point.address.first = (uint16_t)(ex->first.first + at);
    modbus_print_register(ex->first.area, point.address.first, place);
    modbus_decode(&point, ex->values + at, text, &result);
    if (result.err != GW_OK || result.is_partial)
        return;
    const char *quote = type && strchr(type, '[') ? "\"" : ""; /* [ begins a list in YAML */
    int n = snprintf(yaml, sizeof yaml, "register: %s", place);
    if (type)
        n += snprintf(yaml + n, sizeof yaml - (size_t)n, ", type: %s%s%s", quote, type, quote);
    if (order_name)
        snprintf(yaml + n, sizeof yaml - (size_t)n, ", %s: %s", order_key, order_name);
    ex->found(ex->ctx, yaml, &result.value);
}

static void try_texts(const struct examination *ex)
{
    char type[24];

    snprintf(type, sizeof type, "string[%u]", ex->n);
    try_point(ex, 0, type, MODBUS_ABCD, "string_order", NULL);
    try_point(ex, 0, type, MODBUS_BADC, "string_order", "BA");
    snprintf(type, sizeof type, "raw[%u]", ex->n);
    try_point(ex, 0, type, MODBUS_ABCD, "order", NULL);
}

static void try_all(const struct examination *ex)
{
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (unsigned at = 0; at + types[t].n_regs <= ex->n; at++) {
            try_point(ex, at, types[t].name, MODBUS_ABCD, "order", NULL);
            for (int order = 1; types[t].has_orders && order < 4; order++)
                try_point(ex, at, types[t].name, order, "order", orders[order]);
        }
    try_texts(ex);
}

enum gw_err modbus_examine(struct gw_device *device, const char *place, int64_t deadline_us,
                           void (*found)(void *ctx, const char *yaml, const struct gw_value *value),
                           void *ctx, struct gw_driver_diag *diag)
{
    struct examination ex = {.found = found, .ctx = ctx};
    struct gw_outcome outcome = {0};
    struct modbus_call call = {.raw_reply = NULL};
    enum gw_err err = parse_place(place, &ex, diag);

    if (err != GW_OK)
        return err;
    call.len = modbus_build_read(call.pdu, modbus_read_function(device->conf, ex.first.area),
                                 ex.first.first, (uint16_t)ex.n, &call.reply_len);
    err = modbus_call(device, &call, (uint16_t)ex.n, ex.values, deadline_us, &outcome);
    if (err != GW_OK) {
        snprintf(diag->text, sizeof diag->text, "%s cannot be read: %s", place,
                 outcome.reason ? outcome.reason : gw_err_str(err));
        return err;
    }
    if (!modbus_area_is_bits(ex.first.area))
        try_all(&ex);
    for (unsigned at = 0; modbus_area_is_bits(ex.first.area) && at < ex.n; at++)
        try_point(&ex, at, NULL, MODBUS_ABCD, "order", NULL);
    return GW_OK;
}
