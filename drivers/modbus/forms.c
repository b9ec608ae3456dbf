/* forms: what each type is in its registers, as a table; orders, ranges and the bits that belong to a point. */
#include "drivers/modbus/forms.h"

#include <math.h>

const struct modbus_form modbus_forms[] = {
    [MODBUS_BOOL] = {FORM_BOOL, FOLLOWS_ORDER, 0, 1, false, false},
    [MODBUS_INT8H] = {FORM_FIELD, FOLLOWS_ORDER, 8, 8, true, true},
    [MODBUS_INT8L] = {FORM_FIELD, FOLLOWS_ORDER, 0, 8, true, true},
    [MODBUS_UINT8H] = {FORM_FIELD, FOLLOWS_ORDER, 8, 8, false, true},
    [MODBUS_UINT8L] = {FORM_FIELD, FOLLOWS_ORDER, 0, 8, false, true},
    [MODBUS_INT16] = {FORM_FIELD, FOLLOWS_ORDER, 0, 16, true, false},
    [MODBUS_UINT16] = {FORM_FIELD, FOLLOWS_ORDER, 0, 16, false, false},
    [MODBUS_INT24] = {FORM_FIELD, FOLLOWS_ORDER, 0, 24, true, false},
    [MODBUS_UINT24] = {FORM_FIELD, FOLLOWS_ORDER, 0, 24, false, false},
    [MODBUS_INT32] = {FORM_FIELD, FOLLOWS_ORDER, 0, 32, true, false},
    [MODBUS_UINT32] = {FORM_FIELD, FOLLOWS_ORDER, 0, 32, false, false},
    [MODBUS_INT48] = {FORM_FIELD, FOLLOWS_ORDER, 0, 48, true, false},
    [MODBUS_UINT48] = {FORM_FIELD, FOLLOWS_ORDER, 0, 48, false, false},
    [MODBUS_INT64] = {FORM_FIELD, FOLLOWS_ORDER, 0, 64, true, false},
    [MODBUS_UINT64] = {FORM_FIELD, FOLLOWS_ORDER, 0, 64, false, false},
    [MODBUS_FLOAT16] = {FORM_FLOAT, FOLLOWS_ORDER, 0, 16, true, false},
    [MODBUS_FLOAT32] = {FORM_FLOAT, FOLLOWS_ORDER, 0, 32, true, false},
    [MODBUS_FLOAT64] = {FORM_FLOAT, FOLLOWS_ORDER, 0, 64, true, false},
    [MODBUS_BITS] = {FORM_FIELD, FOLLOWS_ORDER, 0, 0, false, true},
    [MODBUS_BITS32] = {FORM_FIELD, FOLLOWS_ORDER, 0, 0, false, true},
    [MODBUS_BCD16] = {FORM_BCD, FOLLOWS_ORDER, 0, 16, false, false},
    [MODBUS_BCD32] = {FORM_BCD, FOLLOWS_ORDER, 0, 32, false, false},
    [MODBUS_BCD64] = {FORM_BCD, FOLLOWS_ORDER, 0, 64, false, false},
    [MODBUS_MOD10K] = {FORM_MOD10K, FOLLOWS_ORDER, 0, 0, true, false},
    [MODBUS_SIGNMAG16] = {FORM_SIGNMAG, FOLLOWS_ORDER, 0, 16, true, false},
    [MODBUS_SIGNMAG32] = {FORM_SIGNMAG, FOLLOWS_ORDER, 0, 32, true, false},
    [MODBUS_PF4Q] = {FORM_PF4Q, FOLLOWS_ORDER, 0, 32, true, false},
    [MODBUS_STRING] = {FORM_TEXT, FOLLOWS_STRING_ORDER, 0, 0, false, false},
    [MODBUS_STRING_LOW] = {FORM_TEXT, FOLLOWS_NOTHING, 0, 0, false, false},
    [MODBUS_STRING_HIGH] = {FORM_TEXT, FOLLOWS_NOTHING, 0, 0, false, false},
    [MODBUS_RAW] = {FORM_TEXT, FOLLOWS_NOTHING, 0, 0, false, false},
    [MODBUS_IPV4] = {FORM_TEXT, FOLLOWS_STRING_ORDER, 0, 0, false, false},
    [MODBUS_IPV6] = {FORM_TEXT, FOLLOWS_STRING_ORDER, 0, 0, false, false},
    [MODBUS_EUI48] = {FORM_TEXT, FOLLOWS_STRING_ORDER, 0, 0, false, false},
    [MODBUS_DATETIME_IEC870] = {FORM_TEXT, FOLLOWS_NOTHING, 0, 0, false, false},
    [MODBUS_DATETIME_WORDS] = {FORM_TEXT, FOLLOWS_NOTHING, 0, 0, false, false},
    [MODBUS_DATETIME_BYTES] = {FORM_TEXT, FOLLOWS_NOTHING, 0, 0, false, false},
    [MODBUS_UNIX] = {FORM_TEXT, FOLLOWS_ORDER, 0, 0, false, false},
    [MODBUS_HHMM] = {FORM_TEXT, FOLLOWS_ORDER, 0, 0, false, false},
    [MODBUS_VERSION_NIBBLES] = {FORM_TEXT, FOLLOWS_ORDER, 0, 0, false, false},
};

unsigned modbus_field_width(const struct modbus_type_spec *spec)
{
    return modbus_forms[spec->type].width ? modbus_forms[spec->type].width : spec->width;
}

unsigned modbus_field_shift(const struct modbus_type_spec *spec)
{
    return modbus_forms[spec->type].width ? modbus_forms[spec->type].shift : spec->shift;
}

/* The words of up to four registers as one integer, the first the most significant. */
uint64_t modbus_join(const uint16_t *regs, size_t n_regs)
{
    uint64_t raw = 0;

    for (size_t i = 0; i < n_regs && i < 4; i++)
        raw = raw << 16 | regs[i];
    return raw;
}

void modbus_part(uint64_t raw, uint16_t *regs, size_t n_regs)
{
    for (size_t i = n_regs; i-- > 0; raw >>= 16)
        regs[i] = (uint16_t)raw;
}

/* Brings registers from the order of the wire into ours, or back: it is its own inverse. */
static void reorder(const uint16_t *in, size_t n_regs, int order, uint16_t *out)
{
    for (size_t i = 0; i < n_regs; i++) {
        uint16_t word = in[order & MODBUS_CDAB ? n_regs - 1 - i : i];
        out[i] = (uint16_t)(order & MODBUS_BADC ? word << 8 | word >> 8 : word);
    }
}

void modbus_reorder(const struct modbus_point_conf *point, const struct modbus_type_spec *spec,
                    const uint16_t *in, uint16_t *out)
{
    enum modbus_follows follows = modbus_forms[spec->type].follows;
    int order = follows == FOLLOWS_ORDER          ? point->order
                : follows == FOLLOWS_STRING_ORDER ? point->string_order & MODBUS_BADC
                                                  : MODBUS_ABCD;

    if (!point->low_part.is_set) {
        reorder(in, spec->n_regs, order, out);
        return;
    }
    /* The keys say which half is the high one, so that the order counts within the halves only. */
    size_t half = spec->n_regs / 2u;
    reorder(in, half, order, out);
    reorder(in + half, half, order, out + half);
}

bool modbus_type_is_number(enum modbus_type type)
{
    return modbus_forms[type].kind != FORM_TEXT;
}

static void give_range(struct gw_point_traits *traits, enum gw_kind kind, double min, double max)
{
    traits->kind = kind;
    traits->raw_min = min;
    traits->raw_max = max;
}

void modbus_type_traits(const struct modbus_type_spec *spec, struct gw_point_traits *ret_traits)
{
    unsigned width = modbus_field_width(spec);

    switch (modbus_forms[spec->type].kind) {
    case FORM_BOOL:
        give_range(ret_traits, GW_BOOL, 0, 1);
        break;
    case FORM_FIELD:
        if (modbus_forms[spec->type].is_signed)
            give_range(ret_traits, GW_INT, -ldexp(1, (int)width - 1),
                       (double)(modbus_ones(width) >> 1));
        else
            give_range(ret_traits, width == 1 ? GW_BOOL : GW_UINT, 0, (double)modbus_ones(width));
        break;
    case FORM_FLOAT:
        give_range(ret_traits, width == 64 ? GW_FLOAT64 : GW_FLOAT32, width == 16 ? -65504 : 0,
                   width == 16 ? 65504 : 0);
        break;
    case FORM_BCD:
        give_range(ret_traits, GW_UINT, 0, pow(10, width / 4.0) - 1);
        break;
    case FORM_MOD10K:
        give_range(ret_traits, GW_INT, 1 - pow(10000, spec->n_regs), pow(10000, spec->n_regs) - 1);
        break;
    case FORM_SIGNMAG:
        give_range(ret_traits, GW_INT, -(double)modbus_ones(width - 1),
                   (double)modbus_ones(width - 1));
        break;
    case FORM_PF4Q:
        give_range(ret_traits, GW_FLOAT32, -1, 1);
        break;
    case FORM_TEXT:
        give_range(ret_traits, GW_TEXT, 0, 0);
        break;
    }
}

bool modbus_point_masks(const struct modbus_point_conf *point, uint16_t *ret_masks)
{
    struct modbus_type_spec spec = modbus_point_type(point);
    uint16_t ordered[4];
    bool is_shared = false;

    for (size_t i = 0; i < spec.n_regs; i++)
        ret_masks[i] = 0xFFFF;
    if (modbus_area_is_bits(point->address.area) || !modbus_forms[spec.type].is_part)
        return false;
    modbus_part(modbus_ones(modbus_field_width(&spec)) << modbus_field_shift(&spec), ordered,
                spec.n_regs);
    modbus_reorder(point, &spec, ordered, ret_masks);
    for (size_t i = 0; i < spec.n_regs; i++)
        is_shared = is_shared || ret_masks[i] != 0xFFFF;
    return is_shared;
}
