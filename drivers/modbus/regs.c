/* regs: register words to numbers, with the raw values that stand for no value. Integers never pass through a double. */
#include "drivers/modbus/forms.h"

#include <math.h>
#include <string.h>

void modbus_fail(struct gw_result *result, const char *reason)
{
    result->err = GW_E_PROTO;
    result->reason = reason;
    result->value = (struct gw_value){0};
}

/* ---- sentinels ---- */

enum pattern { ALL_ONES = 1, TOP_ONLY = 2, MAX_SIGNED = 4, ZERO = 8, TOP_SET = 16 };

/* Source: facts modbus.md 7: pysunspec2 (of a bitfield with the top bit set the others do not count), ABB A/B meters,
 * SMA as evcc reads it. A sunssf is SunSpec's by its name, whatever the device. */
static const uint8_t patterns[][6] = {
    /*                            signed, unsigned, enum, bitfield, acc, sunssf */
    [MODBUS_NO_SENTINELS] = {0, 0, 0, 0, 0, TOP_ONLY},
    [MODBUS_SENTINELS_SUNSPEC] = {TOP_ONLY, ALL_ONES, ALL_ONES, TOP_SET, ZERO, TOP_ONLY},
    [MODBUS_SENTINELS_ABB] = {MAX_SIGNED, ALL_ONES, ALL_ONES, ALL_ONES, ALL_ONES, TOP_ONLY},
    [MODBUS_SENTINELS_SMA] = {TOP_ONLY | MAX_SIGNED, ALL_ONES, ALL_ONES, ALL_ONES, ALL_ONES,
                              TOP_ONLY},
};

static bool matches(uint64_t raw, unsigned width, unsigned which)
{
    uint64_t all = modbus_ones(width), top = UINT64_C(1) << (width - 1);

    raw &= all;
    return (which & ALL_ONES && raw == all) || (which & TOP_ONLY && raw == top) ||
           (which & MAX_SIGNED && raw == all >> 1) || (which & ZERO && raw == 0) ||
           (which & TOP_SET && raw & top);
}

static bool number_is_missing(int set, const struct modbus_type_spec *spec, uint64_t raw)
{
    const struct modbus_form *row = &modbus_forms[spec->type];

    if (set == MODBUS_SENTINELS_SMA && spec->type == MODBUS_FLOAT32)
        return raw == 0xFF7FFFFF;
    if (row->kind != FORM_FIELD)
        return false;
    if (spec->type == MODBUS_BITS || spec->type == MODBUS_BITS32) /* the whole word counts */
        return matches(raw, spec->n_regs * 16u, patterns[set][3]);
    if (row->is_part)
        return false;
    unsigned column = spec->meaning == MODBUS_NUMBER ? !row->is_signed : spec->meaning + 1u;
    return matches(raw, row->width, patterns[set][column]);
}

/* Source: facts modbus.md 7: ipaddr 0, string NUL, eui48 FF:FF:FF:FF:FF:FF. */
static bool text_is_missing(const struct modbus_type_spec *spec, const uint16_t *regs)
{
    uint16_t any = 0;

    for (size_t i = 0; i < spec->n_regs; i++)
        any = any | regs[i];
    switch (spec->type) {
    case MODBUS_IPV4:
    case MODBUS_IPV6:
        return any == 0;
    case MODBUS_EUI48:
        return (modbus_join(regs, 4) & modbus_ones(48)) == modbus_ones(48);
    case MODBUS_STRING:
    case MODBUS_STRING_HIGH:
        return regs[0] >> 8 == 0;
    case MODBUS_STRING_LOW:
        return (regs[0] & 0xFF) == 0;
    default:
        return false;
    }
}

/* ---- decoding ---- */

static void give_int(struct gw_result *result, bool is_negative, uint64_t magnitude)
{
    /* the detour over -(magnitude - 1) - 1 reaches INT64_MIN without overflow */
    result->value.kind = GW_INT;
    result->value.i = is_negative && magnitude ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
}

static void decode_field(const struct modbus_type_spec *spec, uint64_t raw,
                         struct gw_result *result)
{
    unsigned width = modbus_field_width(spec);
    uint64_t field = raw >> modbus_field_shift(spec) & modbus_ones(width);

    if (modbus_forms[spec->type].is_signed) {
        bool is_negative = field >> (width - 1) & 1;
        give_int(result, is_negative, is_negative ? (~field & modbus_ones(width)) + 1 : field);
    } else if (spec->type == MODBUS_BITS || spec->type == MODBUS_BITS32) {
        result->value.kind = width == 1 ? GW_BOOL : GW_UINT;
        if (width == 1)
            result->value.b = field != 0;
        else
            result->value.u = field;
    } else {
        result->value.kind = GW_UINT;
        result->value.u = field;
    }
}

static float half_to_float(uint16_t half)
{
    int exponent = half >> 10 & 0x1F, fraction = half & 0x3FF;
    float magnitude = exponent == 0x1F ? (fraction ? NAN : INFINITY)
                      : exponent == 0  ? ldexpf((float)fraction, -24)
                                       : ldexpf((float)(fraction | 0x400), exponent - 25);

    return half & 0x8000 ? -magnitude : magnitude;
}

float modbus_float_of_bits(uint32_t bits)
{
    float number;

    memcpy(&number, &bits, sizeof number);
    return number;
}

static void decode_float(const struct modbus_type_spec *spec, uint64_t raw,
                         struct gw_result *result)
{
    if (spec->type == MODBUS_FLOAT64) {
        result->value.kind = GW_FLOAT64;
        memcpy(&result->value.f64, &raw, sizeof raw);
        if (!isfinite(result->value.f64))
            modbus_fail(result, "not_a_number");
        return;
    }
    result->value.kind = GW_FLOAT32;
    result->value.f32 = spec->type == MODBUS_FLOAT16 ? half_to_float((uint16_t)raw)
                                                     : modbus_float_of_bits((uint32_t)raw);
    if (!isfinite(result->value.f32))
        modbus_fail(result, "not_a_number");
}

/* Gives 2 - x with no more digits than x has: the shortest decimal whose complement is x again, so that a meter's
 * 1.05 becomes 0.95 and not 0.95000005. x is in 1..2. */
static float complement(float x)
{
    double scale = 1;

    for (int digits = 1; digits <= 8; digits++) {
        scale *= 10;
        double shortest = round((2.0 - (double)x) * scale) / scale;
        if ((float)(2.0 - shortest) == x)
            return (float)shortest;
    }
    return 2.0f - x;
}

/* Source: Schneider PM5300, PM5500, iEM3000 manuals: register -2..2; x > 1: 2 - x; x < -1: -2 - x; else x. */
static void decode_pf4q(uint64_t raw, struct gw_result *result)
{
    float x = modbus_float_of_bits((uint32_t)raw);

    if (!isfinite(x)) {
        modbus_fail(result, "not_a_number");
    } else if (fabsf(x) > 2.0f) {
        modbus_fail(result, "bad_power_factor");
    } else {
        result->value.kind = GW_FLOAT32;
        result->value.f32 = fabsf(x) <= 1.0f ? x : x > 0 ? complement(x) : -complement(-x);
    }
}

static void decode_bcd(const struct modbus_type_spec *spec, uint64_t raw, struct gw_result *result)
{
    uint64_t number = 0;

    for (unsigned shift = spec->n_regs * 16u; shift > 0;) {
        shift -= 4;
        unsigned digit = raw >> shift & 0xF;
        if (digit > 9) {
            modbus_fail(result, "bad_bcd");
            return;
        }
        number = number * 10 + digit;
    }
    result->value.kind = GW_UINT;
    result->value.u = number;
}

/* Source: Schneider FA146443 (each register 0-9999), FA212766 (each register -9999..9999). */
static void decode_mod10k(const struct modbus_type_spec *spec, const uint16_t *regs,
                          struct gw_result *result)
{
    int64_t number = 0;

    for (size_t i = 0; i < spec->n_regs; i++) {
        int16_t digit = (int16_t)regs[i];
        if (digit > 9999 || digit < -9999) {
            modbus_fail(result, "bad_digits");
            return;
        }
        number = number * 10000 + digit;
    }
    result->value.kind = GW_INT;
    result->value.i = number;
}

static void decode_number(const struct modbus_type_spec *spec, const uint16_t *regs,
                          struct gw_result *result)
{
    uint64_t raw = modbus_join(regs, spec->n_regs);

    switch (modbus_forms[spec->type].kind) {
    case FORM_BOOL:
        result->value.kind = GW_BOOL;
        result->value.b = raw != 0;
        break;
    case FORM_FIELD:
        decode_field(spec, raw, result);
        break;
    case FORM_FLOAT:
        decode_float(spec, raw, result);
        break;
    case FORM_BCD:
        decode_bcd(spec, raw, result);
        break;
    case FORM_MOD10K:
        decode_mod10k(spec, regs, result);
        break;
    case FORM_SIGNMAG:
        give_int(result, raw >> (spec->n_regs * 16u - 1) & 1,
                 raw & modbus_ones(spec->n_regs * 16u - 1));
        break;
    case FORM_PF4Q:
        decode_pf4q(raw, result);
        break;
    case FORM_TEXT:
        break;
    }
}

void modbus_decode(const struct modbus_point_conf *point, const uint16_t *regs,
                   char text[MODBUS_TEXT_MAX], struct gw_result *ret_result)
{
    struct modbus_type_spec spec = modbus_point_type(point);
    uint16_t ordered[MODBUS_REGS_MAX];

    *ret_result = (struct gw_result){0};
    if (modbus_area_is_bits(point->address.area)) {
        ret_result->value.kind = GW_BOOL;
        ret_result->value.b = regs[0] != 0;
        return;
    }
    modbus_reorder(point, &spec, regs, ordered);
    if (modbus_forms[spec.type].kind != FORM_TEXT) {
        if (number_is_missing(point->sentinels, &spec, modbus_join(ordered, spec.n_regs)))
            modbus_fail(ret_result, "not_available");
        else
            decode_number(&spec, ordered, ret_result);
    } else if (point->sentinels == MODBUS_SENTINELS_SUNSPEC && text_is_missing(&spec, ordered)) {
        modbus_fail(ret_result, "not_available");
    } else {
        modbus_decode_text(&spec, ordered, text, ret_result);
    }
}

enum gw_err modbus_decode_scale(enum modbus_scale_kind kind, uint16_t reg, int32_t *ret_exp10)
{
    int32_t decimals = kind == MODBUS_SCALE_DECIMALS_HIGH  ? reg >> 8
                       : kind == MODBUS_SCALE_DECIMALS_LOW ? reg & 0xFF
                                                           : reg;
    int32_t exp10 = kind == MODBUS_SCALE_SUNSSF ? (int16_t)reg : -decimals;

    if (exp10 < -10 || exp10 > 10)
        return GW_E_PROTO;
    *ret_exp10 = exp10;
    return GW_OK;
}
