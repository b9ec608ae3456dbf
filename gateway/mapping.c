/* mapping: from a raw value to an engineering value and back. Integers and decimals are computed exactly; floats in
 * their shortest decimal digits, so that 230.1 stays 230.1. What is not certain becomes bad, with the reason. */
#include "gateway/mapping.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "gateway/number.h"
#include "gateway/wide.h"

static bool is_float(const struct gw_value *value)
{
    return value->kind == GW_FLOAT32 || value->kind == GW_FLOAT64;
}

static bool is_nan(const struct gw_value *value)
{
    return is_float(value) && isnan(gw_value_to_double(value));
}

static bool is_identity(const struct gw_map *map)
{
    struct gw_int128 scale;

    return map->offset.digits == 0 && gw_wide_to_integer(gw_wide_of_decimal(map->scale), &scale) &&
           gw_int128_is_equal(scale, gw_int128_of_int64(1));
}

/* Gives the number as an integer when it is one, however it is represented. */
static bool integer_of(const struct gw_value *value, struct gw_int128 *ret_integer)
{
    struct gw_wide wide;

    if (is_float(value)) /* cheaper than by its digits, and exact beyond them */
        return gw_int128_of_double(gw_value_to_double(value), ret_integer);
    return gw_wide_of(value, &wide) && gw_wide_to_integer(wide, ret_integer);
}

/* ---- invalid and enum: compared on the raw value ---------------------------------------------------- */

static bool matches(const struct gw_value *raw, const struct gw_value *listed)
{
    struct gw_int128 a, b;

    if (raw->kind == GW_TEXT || listed->kind == GW_TEXT)
        return raw->kind == listed->kind && raw->text.len == listed->text.len &&
               memcmp(raw->text.p, listed->text.p, raw->text.len) == 0;
    if (is_nan(raw) || is_nan(listed))
        return is_nan(raw) && is_nan(listed);
    if (raw->kind == GW_FLOAT32) /* -9999.9 in the list is what a float32 can be of it */
        return raw->f32 == (float)gw_value_to_double(listed);
    if (raw->kind == GW_FLOAT64)
        return raw->f64 == gw_value_to_double(listed);
    return integer_of(raw, &a) && integer_of(listed, &b) && gw_int128_is_equal(a, b);
}

static bool is_invalid(const struct gw_map *map, const struct gw_value *raw)
{
    for (size_t i = 0; i < map->n_invalid; i++)
        if (matches(raw, &map->invalid[i]))
            return true;
    return false;
}

static const struct gw_enum_name *find_enum(const struct gw_map *map, const struct gw_value *value)
{
    struct gw_int128 integer;
    int64_t raw;
    size_t low = 0, high = map->n_enums;

    if (!integer_of(value, &integer) || !gw_int128_to_int64(integer, &raw))
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (map->enums[middle].raw == raw)
            return &map->enums[middle];
        if (map->enums[middle].raw < raw)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static const char *enum_name_of(const struct gw_map *map, const struct gw_value *raw)
{
    const struct gw_enum_name *found = map->n_enums > 0 ? find_enum(map, raw) : NULL;

    return found ? found->name : NULL;
}

/* ---- scale ------------------------------------------------------------------------------------------ */

/* raw x scale + offset in 53 bits. Only where the exact result has more than 38 digits, so that nothing is lost
 * which shows in 15. */
static double scale_roughly(const struct gw_map *map, struct gw_wide raw)
{
    double scale = gw_decimal_to_double(map->scale), offset = gw_decimal_to_double(map->offset);
    double x = gw_wide_to_double(raw);

    return map->offset_first ? (x + offset) * scale : x * scale + offset;
}

/* False when the result does not fit. */
static bool scale_exactly(const struct gw_map *map, struct gw_wide raw, struct gw_wide *ret_scaled)
{
    struct gw_wide scale = gw_wide_of_decimal(map->scale);
    struct gw_wide offset = gw_wide_of_decimal(map->offset), between;

    if (map->offset_first)
        return gw_wide_add(raw, offset, &between) && gw_wide_multiply(between, scale, ret_scaled);
    return gw_wide_multiply(raw, scale, &between) && gw_wide_add(between, offset, ret_scaled);
}

/* An integer or decimal where it is exact, else the nearest double. */
static struct gw_value narrow(struct gw_wide wide)
{
    struct gw_value value = {.kind = GW_DECIMAL};
    struct gw_int128 integer;
    uint64_t u;

    if (gw_wide_to_decimal(wide, &value.dec))
        return value;
    if (gw_wide_to_integer(wide, &integer) && gw_int128_to_uint64(integer, &u))
        return (struct gw_value){.kind = GW_UINT, .u = u};
    return (struct gw_value){.kind = GW_FLOAT64, .f64 = gw_wide_to_double(wide)};
}

/* A scaled float32 is as exact as a float32, unless it has left its range. */
static struct gw_value narrow_float(double x, enum gw_kind kind)
{
    double size = fabs(x);

    if (kind == GW_FLOAT32 && (x == 0 || (size >= (double)FLT_MIN && size <= (double)FLT_MAX)))
        return (struct gw_value){.kind = GW_FLOAT32, .f32 = (float)x};
    return (struct gw_value){.kind = GW_FLOAT64, .f64 = x};
}

/* Gives the reason why there is no scaled value, NULL when there is one. */
static const char *scale_value(const struct gw_map *map, const struct gw_value *raw, int32_t exp10,
                               struct gw_value *ret_value)
{
    struct gw_wide wide, scaled;
    bool is_exact;

    *ret_value = *raw;
    if (raw->kind == GW_TEXT)
        return NULL;
    if (exp10 == 0 && is_identity(map) && (map->decimals < 0 || !is_float(raw)))
        return is_float(raw) && !isfinite(gw_value_to_double(raw)) ? "not_a_number" : NULL;
    if (!gw_wide_of(raw, &wide))
        return "not_a_number";
    if (exp10 < -1000 || exp10 > 1000)
        return "overflow"; /* no scale of a device, and no sum of exponents may wrap */
    wide.e += exp10;
    is_exact = scale_exactly(map, wide, &scaled);
    if (!is_exact) {
        struct gw_value rough = {.kind = GW_FLOAT64, .f64 = scale_roughly(map, wide)};

        if (!gw_wide_of(&rough, &scaled))
            return "overflow";
    }
    if (map->decimals >= 0)
        scaled = gw_wide_round(scaled, map->decimals);
    if (is_float(raw) || !is_exact)
        *ret_value = narrow_float(gw_wide_to_double(scaled), raw->kind);
    else
        *ret_value = narrow(scaled);
    return is_float(ret_value) && !isfinite(gw_value_to_double(ret_value)) ? "overflow" : NULL;
}

/* ---- min, max, and all together --------------------------------------------------------------------- */

static bool is_below(const struct gw_value *value, double limit)
{
    if (value->kind == GW_FLOAT32) /* 230.1 as a float32 is not above 230.1 as a double */
        return value->f32 < (float)limit;
    return gw_value_to_double(value) < limit;
}

static bool is_above(const struct gw_value *value, double limit)
{
    if (value->kind == GW_FLOAT32)
        return value->f32 > (float)limit;
    return gw_value_to_double(value) > limit;
}

static bool is_in_range(const struct gw_map *map, const struct gw_value *value)
{
    if (value->kind == GW_TEXT)
        return true;
    return !(map->has_min && is_below(value, map->min)) &&
           !(map->has_max && is_above(value, map->max));
}

static const char *map_good_result(const struct gw_map *map, const struct gw_result *result,
                                   struct gw_reading *reading)
{
    const char *reason;

    if (result->value.kind == GW_NONE)
        return gw_err_str(GW_E_PROTO); /* a driver that says OK and gives nothing */
    if (is_invalid(map, &result->value))
        return "invalid";
    reading->enum_name = enum_name_of(map, &result->value);
    if (reading->enum_name) {
        reading->value = result->value;
        return NULL;
    }
    reason = scale_value(map, &result->value, result->exp10, &reading->value);
    if (!reason && !is_in_range(map, &reading->value))
        reason = "out_of_range";
    return reason;
}

void gw_map_result(const struct gw_map *map, const struct gw_result *result,
                   int64_t acquired_wall_ms, struct gw_reading *ret_reading)
{
    struct gw_reading reading = {.acquired_wall_ms = acquired_wall_ms};
    const char *reason;

    if (result->err != GW_OK)
        reason = result->reason ? result->reason : gw_err_str(result->err);
    else
        reason = map_good_result(map, result, &reading);
    if (reason) {
        reading.value = (struct gw_value){.kind = GW_NONE};
        reading.enum_name = NULL;
    }
    reading.reason = reason;
    reading.quality = reason ? GW_BAD : GW_GOOD;
    *ret_reading = reading;
}

/* ---- back: from an engineering value to raw --------------------------------------------------------- */

static bool is_on_step(const struct gw_map *map, struct gw_wide wide)
{
    struct gw_value step = {.kind = GW_FLOAT64, .f64 = map->step};
    struct gw_value from = {.kind = GW_FLOAT64, .f64 = map->has_min ? map->min : 0};
    struct gw_wide wide_step, wide_from;

    if (!(map->step > 0))
        return true;
    return gw_wide_of(&step, &wide_step) && gw_wide_of(&from, &wide_from) &&
           gw_wide_add(wide, gw_wide_negate(wide_from), &wide) &&
           gw_wide_is_multiple(wide, wide_step);
}

/* Inverts the scale; false when the result has no end or too many digits. */
static bool unscale_exactly(const struct gw_map *map, struct gw_wide value, struct gw_wide *ret_raw)
{
    struct gw_wide scale = gw_wide_of_decimal(map->scale), between;
    struct gw_wide minus_offset = gw_wide_negate(gw_wide_of_decimal(map->offset));

    if (map->offset_first)
        return gw_wide_divide(value, scale, &between) &&
               gw_wide_add(between, minus_offset, ret_raw);
    return gw_wide_add(value, minus_offset, &between) && gw_wide_divide(between, scale, ret_raw);
}

static double unscale_roughly(const struct gw_map *map, double x)
{
    double scale = gw_decimal_to_double(map->scale), offset = gw_decimal_to_double(map->offset);

    return map->offset_first ? x / scale - offset : (x - offset) / scale;
}

static bool fits_field(const struct gw_point_traits *traits, double x)
{
    if (traits->raw_min == 0 && traits->raw_max == 0)
        return true;
    return x >= traits->raw_min && x <= traits->raw_max;
}

static enum gw_err integer_to_field(const struct gw_point_traits *traits, struct gw_int128 integer,
                                    struct gw_value *ret_raw)
{
    struct gw_value raw = {.kind = traits->kind};

    switch (traits->kind) {
    case GW_BOOL:
    case GW_UINT:
        if (!gw_int128_to_uint64(integer, &raw.u) || !fits_field(traits, (double)raw.u))
            return GW_E_RANGE;
        break;
    case GW_INT:
        if (!gw_int128_to_int64(integer, &raw.i) || !fits_field(traits, (double)raw.i))
            return GW_E_RANGE;
        break;
    default:
        return GW_E_RANGE;
    }
    if (raw.kind == GW_BOOL && raw.u > 1)
        return GW_E_RANGE;
    *ret_raw = raw.kind == GW_BOOL ? (struct gw_value){.kind = GW_BOOL, .b = raw.u == 1} : raw;
    return GW_OK;
}

static enum gw_err float_to_field(const struct gw_point_traits *traits, double x,
                                  struct gw_value *ret_raw)
{
    if (!isfinite(x) || !fits_field(traits, x))
        return GW_E_RANGE;
    if (traits->kind == GW_FLOAT32) {
        if (fabs(x) > (double)FLT_MAX)
            return GW_E_RANGE;
        *ret_raw = (struct gw_value){.kind = GW_FLOAT32, .f32 = (float)x};
    } else {
        *ret_raw = (struct gw_value){.kind = GW_FLOAT64, .f64 = x};
    }
    return GW_OK;
}

/* A raw number that needs no scaling: of an enum, or a bool. */
static enum gw_err raw_to_field(const struct gw_point_traits *traits, int64_t raw,
                                struct gw_value *ret_raw)
{
    if (traits->kind == GW_FLOAT32 || traits->kind == GW_FLOAT64)
        return float_to_field(traits, (double)raw, ret_raw);
    return integer_to_field(traits, gw_int128_of_int64(raw), ret_raw);
}

static enum gw_err unscale_text(const struct gw_map *map, const struct gw_point_traits *traits,
                                const struct gw_value *value, struct gw_value *ret_raw)
{
    for (size_t i = 0; i < map->n_enums; i++)
        if (strlen(map->enums[i].name) == value->text.len &&
            memcmp(map->enums[i].name, value->text.p, value->text.len) == 0)
            return raw_to_field(traits, map->enums[i].raw, ret_raw);
    if (map->n_enums > 0 || traits->kind != GW_TEXT)
        return GW_E_RANGE;
    *ret_raw = *value;
    return GW_OK;
}

static enum gw_err unscale_number(const struct gw_map *map, const struct gw_point_traits *traits,
                                  const struct gw_value *value, struct gw_value *ret_raw)
{
    struct gw_wide wide, raw;
    struct gw_int128 integer;
    bool is_exact;

    if (!gw_wide_of(value, &wide) || !is_in_range(map, value) || !is_on_step(map, wide))
        return GW_E_RANGE;
    is_exact = unscale_exactly(map, wide, &raw);
    if (traits->kind == GW_FLOAT32 || traits->kind == GW_FLOAT64) {
        double x =
            is_exact ? gw_wide_to_double(raw) : unscale_roughly(map, gw_value_to_double(value));

        return float_to_field(traits, x, ret_raw);
    }
    if (!is_exact || !gw_wide_to_integer(raw, &integer))
        return GW_E_RANGE;
    return integer_to_field(traits, integer, ret_raw);
}

enum gw_err gw_map_unscale(const struct gw_map *map, const struct gw_point_traits *traits,
                           const struct gw_value *value, struct gw_value *ret_raw)
{
    const struct gw_enum_name *named;

    switch (value->kind) {
    case GW_TEXT:
        return unscale_text(map, traits, value, ret_raw);
    case GW_BOOL:
        return traits->kind == GW_BOOL ? raw_to_field(traits, value->b, ret_raw) : GW_E_RANGE;
    case GW_NONE:
        return GW_E_RANGE;
    default:
        break;
    }
    if (traits->kind == GW_TEXT)
        return GW_E_RANGE;
    /* Where every value has a name, a number has to be one of them. */
    if (map->n_enums > 0 && is_identity(map)) {
        named = find_enum(map, value);
        return named ? raw_to_field(traits, named->raw, ret_raw) : GW_E_RANGE;
    }
    return unscale_number(map, traits, value, ret_raw);
}

/* (raw x 10^e + offset) x scale is (raw + offset x 10^-e) x (scale x 10^e). */
struct gw_map gw_map_at_scale(const struct gw_map *map, int32_t exp10)
{
    struct gw_map scaled = *map;

    scaled.scale.exp10 += exp10;
    if (map->offset_first)
        scaled.offset.exp10 -= exp10;
    return scaled;
}
