/* Any type in any order over any registers: a value is finite and encodes to registers that decode to the same again. */
#include "tests/fuzz/fuzz.h"

#include <math.h>

#include "drivers/modbus/regs.h"

static const char *const types[] = {
    "bool",      "int8h",     "int8l",          "uint8h",          "int16",
    "uint16",    "int24",     "int32",          "uint32",          "uint48",
    "int64",     "uint64",    "float16",        "float32",         "float64",
    "acc32",     "bits[3:5]", "bits32[9:20]",   "bcd32",           "mod10k[4]",
    "signmag16", "pf4q",      "string[5]",      "string_low[4]",   "raw[3]",
    "ipv4",      "ipv6",      "eui48",          "datetime_words4", "datetime_iec870_4",
    "hhmm",      "unix",      "datetime_bytes", "version_nibbles"};

static void check_value(const struct gw_result *result)
{
    assert(result->err ? result->reason && result->value.kind == GW_NONE
                       : result->value.kind != GW_NONE);
    assert(result->value.kind != GW_FLOAT32 || isfinite(result->value.f32));
    assert(result->value.kind != GW_FLOAT64 || isfinite(result->value.f64));
}

static void check_again(const struct modbus_point_conf *point, const struct gw_value *value)
{
    uint16_t regs[MODBUS_REGS_MAX], mask;
    char text[MODBUS_TEXT_MAX];
    struct gw_result again;

    if (modbus_encode(point, value, regs, &mask) != GW_OK) /* Latin-1 grows */
        return;
    if (value->kind == GW_TEXT && value->text.len == 0) /* SunSpec: no text, not an empty one */
        return;
    modbus_decode(point, regs, text, &again);
    assert(again.err == GW_OK && again.value.kind == value->kind);
    if (value->kind == GW_TEXT)
        assert(again.value.text.len == value->text.len &&
               memcmp(text, value->text.p, value->text.len) == 0);
    else if (value->kind != GW_FLOAT32) /* -0 of a pf4q is 0 */
        assert(again.value.u == value->u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct modbus_point_conf point = {.address = {MODBUS_HOLDING, 0, .is_set = true}};
    uint16_t regs[MODBUS_REGS_MAX] = {0};
    char text[MODBUS_TEXT_MAX];
    struct gw_driver_diag diag;
    struct gw_result result;

    if (size < 4)
        return 0;
    assert(modbus_parse_type(types[data[0] % (sizeof types / sizeof types[0])], &point.type,
                             &diag) == GW_OK);
    point.order = data[1] & 3;
    point.string_order = data[1] & 4 ? MODBUS_BADC : MODBUS_ABCD;
    point.sentinels = data[2] & 3;
    memcpy(regs, data + 3, size - 3 < sizeof regs ? size - 3 : sizeof regs);
    modbus_decode(&point, regs, text, &result);
    check_value(&result);
    if (!result.err)
        check_again(&point, &result.value);
    return 0;
}
