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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct modbus_point_conf point = {.address = {true, false, MODBUS_HOLDING, 0}};
    struct gw_driver_diag diag;
    uint16_t regs[MODBUS_REGS_MAX] = {0}, again[MODBUS_REGS_MAX], mask;
    char text[MODBUS_TEXT_MAX], text_again[MODBUS_TEXT_MAX];
    struct gw_result result, second;

    if (size < 4)
        return 0;
    assert(modbus_parse_type(types[data[0] % (sizeof types / sizeof types[0])], &point.type,
                             &diag) == GW_OK);
    point.order = data[1] & 3;
    point.string_order = data[1] & 4 ? MODBUS_BADC : MODBUS_ABCD;
    point.sentinels = data[2] & 3;
    memcpy(regs, data + 3, size - 3 < sizeof regs ? size - 3 : sizeof regs);
    modbus_decode(&point, regs, text, &result);
    assert(result.err ? result.reason && result.value.kind == GW_NONE
                      : result.value.kind != GW_NONE);
    assert(result.value.kind != GW_FLOAT32 || isfinite(result.value.f32));
    assert(result.value.kind != GW_FLOAT64 || isfinite(result.value.f64));
    if (result.err ||
        modbus_encode(&point, &result.value, again, &mask) != GW_OK) /* Latin-1 grows */
        return 0;
    if (result.value.kind == GW_TEXT &&
        result.value.text.len == 0) /* SunSpec: no text, not an empty one */
        return 0;
    modbus_decode(&point, again, text_again, &second);
    assert(second.err == GW_OK && second.value.kind == result.value.kind);
    if (result.value.kind == GW_TEXT)
        assert(second.value.text.len == result.value.text.len &&
               memcmp(text, text_again, result.value.text.len) == 0);
    else if (result.value.kind != GW_FLOAT32) /* -0 of a pf4q is 0 */
        assert(second.value.u == result.value.u);
    return 0;
}
