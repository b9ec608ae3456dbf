/* encode: values to register words, the inverse of regs.c: for writes and for the simulated device. A value that a point
 * cannot hold exactly is refused, since a truncated setpoint is worse than none. */
#include "drivers/modbus/forms.h"

#include <math.h>
#include <string.h>

struct whole {
    bool is_negative;
    uint64_t magnitude;
};

static bool whole_of_double(double number, struct whole *ret)
{
    if (!(fabs(number) < 18446744073709551616.0) || number != trunc(number))
        return false;
    ret->is_negative = number < 0;
    ret->magnitude = (uint64_t)fabs(number);
    return true;
}

static struct whole whole_of_int(int64_t number)
{
    return (struct whole){number < 0, number < 0 ? -(uint64_t)number : (uint64_t)number};
}

static bool whole_of_decimal(struct gw_decimal decimal, struct whole *ret)
{
    struct whole whole = whole_of_int(decimal.digits);

    for (; decimal.exp10 > 0 && whole.magnitude; decimal.exp10--) {
        if (whole.magnitude > UINT64_MAX / 10)
            return false;
        whole.magnitude *= 10;
    }
    for (; decimal.exp10 < 0 && whole.magnitude; decimal.exp10++) {
        if (whole.magnitude % 10)
            return false;
        whole.magnitude /= 10;
    }
    *ret = whole;
    return true;
}

/* Gives a value as an integer. False when it is none, or beyond 64 bits. */
static bool whole_of_value(const struct gw_value *value, struct whole *ret)
{
    switch (value->kind) {
    case GW_BOOL:
        *ret = (struct whole){false, value->b};
        return true;
    case GW_INT:
        *ret = whole_of_int(value->i);
        return true;
    case GW_UINT:
        *ret = (struct whole){false, value->u};
        return true;
    case GW_FLOAT32:
        return whole_of_double((double)value->f32, ret);
    case GW_FLOAT64:
        return whole_of_double(value->f64, ret);
    case GW_DECIMAL:
        return whole_of_decimal(value->dec, ret);
    case GW_NONE:
    case GW_TEXT:
        break;
    }
    return false;
}

/* Gives a value as the nearest float of its target's width; long double rounds decimals once. NaN: not a number. */
static long double real_of_value(const struct gw_value *value)
{
    struct whole whole;

    switch (value->kind) {
    case GW_FLOAT32:
        return (long double)value->f32;
    case GW_FLOAT64:
        return (long double)value->f64;
    case GW_DECIMAL:
        return value->dec.exp10 < 0
                   ? (long double)value->dec.digits / powl(10, (long double)-value->dec.exp10)
                   : (long double)value->dec.digits * powl(10, (long double)value->dec.exp10);
    default:
        if (!whole_of_value(value, &whole))
            return NAN;
        return whole.is_negative ? -(long double)whole.magnitude : (long double)whole.magnitude;
    }
}

static bool encode_field(const struct modbus_type_spec *spec, struct whole whole, uint64_t *ret_raw)
{
    unsigned width = modbus_field_width(spec);
    bool is_signed = modbus_forms[spec->type].is_signed;
    bool is_negative = whole.is_negative && whole.magnitude;
    uint64_t max = is_signed ? modbus_ones(width - 1) + is_negative : modbus_ones(width);

    if (whole.magnitude > max || (is_negative && !is_signed))
        return false;
    uint64_t field = is_negative ? -whole.magnitude : whole.magnitude;
    *ret_raw = (field & modbus_ones(width)) << modbus_field_shift(spec);
    return true;
}

static bool encode_bcd(const struct modbus_type_spec *spec, struct whole whole, uint64_t *ret_raw)
{
    uint64_t raw = 0;

    for (unsigned shift = 0; shift < spec->n_regs * 16u; shift += 4, whole.magnitude /= 10)
        raw |= whole.magnitude % 10 << shift;
    *ret_raw = raw;
    return !whole.magnitude && !(whole.is_negative && raw);
}

static bool encode_mod10k(const struct modbus_type_spec *spec, struct whole whole, uint16_t *regs)
{
    for (size_t i = spec->n_regs; i-- > 0; whole.magnitude /= 10000) {
        int digits = (int)(whole.magnitude % 10000);
        regs[i] = (uint16_t)(whole.is_negative ? -digits : digits);
    }
    return !whole.magnitude;
}

static bool encode_signmag(const struct modbus_type_spec *spec, struct whole whole,
                           uint64_t *ret_raw)
{
    unsigned sign_bit = spec->n_regs * 16u - 1;

    *ret_raw =
        whole.magnitude | (whole.is_negative && whole.magnitude ? UINT64_C(1) << sign_bit : 0);
    return whole.magnitude <= modbus_ones(sign_bit);
}

/* Rounds to the nearest half-precision float, ties to even. */
static bool encode_half(long double real, uint64_t *ret_raw)
{
    int exponent;
    long double magnitude = fabsl(real);

    if (!(magnitude < 65520.0L)) /* what would round to infinity */
        return false;
    frexpl(magnitude, &exponent); /* magnitude = f * 2^exponent, f in 0.5..1 */
    int step = exponent - 11 < -24 ? -24 : exponent - 11;
    uint64_t units = (uint64_t)rintl(ldexpl(magnitude, -step));
    /* Fractions of 0x400 and more carry into the exponent by themselves. */
    uint64_t raw = step == -24 ? units : ((uint64_t)(step + 24) << 10) + units;
    *ret_raw = raw | (signbit(real) ? 0x8000 : 0);
    return true;
}

static bool encode_float(const struct modbus_type_spec *spec, long double real, uint64_t *ret_raw)
{
    if (!isfinite(real))
        return false;
    if (spec->type == MODBUS_FLOAT16)
        return encode_half(real, ret_raw);
    if (spec->type == MODBUS_FLOAT64) {
        double number = (double)real;
        memcpy(ret_raw, &number, sizeof number);
        return isfinite(number);
    }
    float number = (float)real;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    *ret_raw = bits;
    return isfinite(number);
}

static bool encode_number(const struct modbus_type_spec *spec, const struct gw_value *value,
                          uint16_t *regs)
{
    enum modbus_form_kind form = modbus_forms[spec->type].kind;
    struct whole whole = {0};
    uint64_t raw = 0;
    bool fits = false;

    if (form == FORM_FLOAT || form == FORM_PF4Q) {
        long double real = real_of_value(value);
        fits = (form != FORM_PF4Q || fabsl(real) <= 1) && encode_float(spec, real, &raw);
    } else if (!whole_of_value(value, &whole)) {
        return false;
    } else if (form == FORM_MOD10K) {
        return encode_mod10k(spec, whole, regs);
    } else if (form == FORM_BOOL) {
        raw = whole.magnitude;
        fits = raw <= 1 && !(whole.is_negative && raw);
    } else if (form == FORM_BCD) {
        fits = encode_bcd(spec, whole, &raw);
    } else if (form == FORM_SIGNMAG) {
        fits = encode_signmag(spec, whole, &raw);
    } else {
        fits = encode_field(spec, whole, &raw);
    }
    modbus_part(raw, regs, spec->n_regs);
    return fits;
}

enum gw_err modbus_encode(const struct modbus_point_conf *point, const struct gw_value *value,
                          uint16_t *ret_regs, uint16_t *ret_mask)
{
    struct modbus_type_spec spec = modbus_point_type(point);
    uint16_t ordered[MODBUS_REGS_MAX], masks[MODBUS_REGS_MAX];

    if (modbus_forms[spec.type].kind != FORM_TEXT) {
        if (!encode_number(&spec, value, ordered))
            return GW_E_RANGE;
    } else {
        enum gw_err err = modbus_encode_text(&spec, value, ordered);
        if (err)
            return err;
    }
    if (modbus_area_is_bits(point->address.area))
        ret_regs[0] = ordered[0];
    else
        modbus_reorder(point, &spec, ordered, ret_regs);
    modbus_point_masks(point, masks);
    *ret_mask = masks[0];
    return GW_OK;
}
