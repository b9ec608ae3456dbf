/* examine: everything that a range of registers may mean, side by side, each as a user would write the point. For the
 * day on which the manual of a device is missing or wrong. */
#include "drivers/modbus/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/regs.h"

enum { DEFAULT_COUNT = 4 };
enum { ILLEGAL_ADDRESS = 2, ILLEGAL_VALUE = 3 }; /* MODBUS Application Protocol V1.1b3, 7 */

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
    struct gw_device *device;
    int64_t patience_us; /* for each exchange */
    struct gw_outcome outcome;
    struct modbus_address first;
    unsigned n;
    uint16_t values[MODBUS_REGS_MAX];
    bool is_read[MODBUS_REGS_MAX];
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

static void try_texts(const struct examination *ex, unsigned at, unsigned n)
{
    char type[24];

    snprintf(type, sizeof type, "string[%u]", n);
    try_point(ex, at, type, MODBUS_ABCD, "string_order", NULL);
    try_point(ex, at, type, MODBUS_BADC, "string_order", "BA");
    snprintf(type, sizeof type, "raw[%u]", n);
    try_point(ex, at, type, MODBUS_ABCD, "order", NULL);
}

/* All that n registers from `first` on may mean, counted from the first of the examination. */
static void try_registers(const struct examination *ex, unsigned first, unsigned n)
{
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (unsigned at = first; at + types[t].n_regs <= first + n; at++) {
            try_point(ex, at, types[t].name, MODBUS_ABCD, "order", NULL);
            for (int order = 1; types[t].has_orders && order < 4; order++)
                try_point(ex, at, types[t].name, order, "order", orders[order]);
        }
    try_texts(ex, first, n);
}

/* How many from `at` on were read, or were not, as that one. */
static unsigned run_length(const struct examination *ex, unsigned at)
{
    unsigned end = at + 1;

    while (end < ex->n && ex->is_read[end] == ex->is_read[at])
        end++;
    return end - at;
}

static void try_all(const struct examination *ex)
{
    for (unsigned at = 0, n; at < ex->n; at += n) {
        n = run_length(ex, at);
        if (!ex->is_read[at])
            continue;
        if (!modbus_area_is_bits(ex->first.area))
            try_registers(ex, at, n);
        else
            for (unsigned i = at; i < at + n; i++)
                try_point(ex, i, NULL, MODBUS_ABCD, "order", NULL);
    }
}

/* Reads a span, and where the device refuses it, its halves, down to single registers: whoever examines does not know
 * yet which ones there are. */
static enum gw_err read_span(struct examination *ex, unsigned at, unsigned n)
{
    const struct gw_host *host = ex->device->bus->host;
    struct modbus_call call = {.raw_reply = NULL};
    enum gw_err err;

    call.len = modbus_build_read(call.pdu, modbus_read_function(ex->device->conf, ex->first.area),
                                 (uint16_t)(ex->first.first + at), (uint16_t)n, &call.reply_len);
    err = modbus_call(ex->device, &call, (uint16_t)n, ex->values + at,
                      host->now_us(host->ctx) + ex->patience_us, &ex->outcome);
    if (err == GW_OK)
        memset(ex->is_read + at, true, n);
    if (err != GW_E_REFUSED ||
        (ex->outcome.exception != ILLEGAL_ADDRESS && ex->outcome.exception != ILLEGAL_VALUE))
        return err;
    if (n == 1)
        return GW_OK;
    err = read_span(ex, at, n / 2);
    return err == GW_OK ? read_span(ex, at + n / 2, n - n / 2) : err;
}

/* "holding:2-6, holding:9 cannot be read: illegal_data_address" */
static void tell_holes(const struct examination *ex, struct gw_driver_diag *diag)
{
    size_t size = sizeof diag->text - 64, len = 0; /* room for the rest of the sentence */
    char place[24];

    for (unsigned at = 0, n; at < ex->n && len < size; at += n) {
        n = run_length(ex, at);
        if (ex->is_read[at])
            continue;
        modbus_print_register(ex->first.area, (uint16_t)(ex->first.first + at), place);
        len += (size_t)snprintf(diag->text + len, size - len, "%s%s", len ? ", " : "", place);
        if (n > 1 && len < size)
            len +=
                (size_t)snprintf(diag->text + len, size - len, "-%u", ex->first.first + at + n - 1);
    }
    len = strlen(diag->text);
    if (len > 0)
        snprintf(diag->text + len, sizeof diag->text - len, "%s cannot be read: %s",
                 len + 1 == size ? "..." : "", ex->outcome.reason);
}

enum gw_err modbus_examine(struct gw_device *device, const char *place, int64_t deadline_us,
                           void (*found)(void *ctx, const char *yaml, const struct gw_value *value),
                           void *ctx, struct gw_driver_diag *diag)
{
    const struct gw_host *host = device->bus->host;
    struct examination ex = {.device = device, .found = found, .ctx = ctx};
    enum gw_err err = parse_place(place, &ex, diag);

    if (err != GW_OK)
        return err;
    ex.patience_us = deadline_us - host->now_us(host->ctx);
    err = read_span(&ex, 0, ex.n);
    if (err == GW_OK && !ex.is_read[0] && run_length(&ex, 0) == ex.n) /* nothing */
        err = GW_E_REFUSED;
    if (err != GW_OK) {
        snprintf(diag->text, sizeof diag->text, "%s cannot be read: %s", place,
                 ex.outcome.reason ? ex.outcome.reason : gw_err_str(err));
        return err;
    }
    try_all(&ex);
    tell_holes(&ex, diag);
    return GW_OK;
}
