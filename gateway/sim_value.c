/* sim_value: sums of slow sines with periods and phases from a hash of the point's names. No state: a value is
 * computed from the time, so that two reads at one time agree and a restart with the same seed repeats. */
#include "gateway/sim_value.h"

#include <math.h>
#include <string.h>

#include "gateway/mapping.h"
#include "gateway/number.h"

/* What a unit usually shows in a plant of low voltage and human size. Counters: low and high bound where they start. */
static const struct usual {
    const char *unit;
    double low, high;
    double per_hour; /* of a counter; 0: it moves up and down */
} usual_units[] = {
    {"V", 225, 235, 0},      {"kV", 9.8, 10.2, 0},     {"mV", 0, 1000, 0},
    {"A", 0.5, 20, 0},       {"mA", 4, 20, 0},         {"Hz", 49.95, 50.05, 0},
    {"W", 100, 4000, 0},     {"kW", 1, 40, 0},         {"MW", 0.1, 2, 0},
    {"VA", 100, 4200, 0},    {"kVA", 1, 42, 0},        {"var", -500, 500, 0},
    {"kvar", -5, 5, 0},      {"Wh", 1e4, 1e6, 4000},   {"kWh", 100, 10000, 40},
    {"MWh", 10, 500, 0.4},   {"varh", 1e4, 1e6, 500},  {"kvarh", 10, 1000, 5},
    {"VAh", 1e4, 1e6, 4200}, {"kVAh", 100, 10000, 42}, {"Ah", 10, 1000, 20},
    {"°C", 15, 35, 0},       {"degC", 15, 35, 0},      {"C", 15, 35, 0},
    {"K", 288, 308, 0},      {"°F", 60, 95, 0},        {"%", 20, 80, 0},
    {"%RH", 30, 70, 0},      {"°", 0, 360, 0},         {"bar", 1, 6, 0},
    {"mbar", 980, 1030, 0},  {"hPa", 980, 1030, 0},    {"Pa", 10, 500, 0},
    {"kPa", 100, 600, 0},    {"m", 0.5, 5, 0},         {"mm", 10, 500, 0},
    {"m3", 10, 5000, 3},     {"l", 1000, 1e5, 500},    {"m3/h", 1, 50, 0},
    {"l/min", 5, 100, 0},    {"m/s", 0.5, 12, 0},      {"rpm", 1440, 1500, 0},
    {"kg", 10, 500, 0},      {"g", 10, 500, 0},        {"t", 1, 20, 0},
    {"h", 100, 20000, 1},    {"s", 1000, 1e6, 3600},   {"ppm", 400, 1200, 0},
    {"lux", 100, 800, 0},    {"pH", 6.5, 7.5, 0},
};
static const struct usual usual_number = {NULL, 0, 100, 0};

/* Where the name says more than the unit. */
static const struct {
    const char *prefix;
    struct usual usual;
} usual_names[] = {
    {"cosphi", {NULL, 0.85, 0.99, 0}},
    {"cos_phi", {NULL, 0.85, 0.99, 0}},
    {"power_factor", {NULL, 0.85, 0.99, 0}},
    {"pf", {NULL, 0.85, 0.99, 0}},
    {"thd", {"%", 1, 6, 0}},
};

static const double tau = 6.283185307179586;

/* ---- chance: by hash, so that it repeats ------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, uint64_t n)
{
    hash = (hash ^ n) * 0xBF58476D1CE4E5B9u;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
    return hash ^ (hash >> 31);
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = mix(hash, (unsigned char)*text);
    return mix(hash, 0x100);
}

/* Number `index` of the endless row of numbers from low to high that belongs to this point. */
static double chance(const struct gw_sim_point *point, uint64_t index, double low, double high)
{
    return low + (high - low) * (double)(mix(point->seed, index) >> 11) * 0x1p-53;
}

/* ---- range ------------------------------------------------------------------------------------------ */

static bool is_same_unit(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static const struct usual *usual_of(const struct gw_point_conf *conf)
{
    for (size_t i = 0; i < sizeof usual_names / sizeof usual_names[0]; i++)
        if (strncmp(conf->name, usual_names[i].prefix, strlen(usual_names[i].prefix)) == 0 &&
            is_same_unit(conf->map->unit, usual_names[i].usual.unit))
            return &usual_names[i].usual;
    for (size_t i = 0; i < sizeof usual_units / sizeof usual_units[0]; i++)
        if (is_same_unit(conf->map->unit, usual_units[i].unit))
            return &usual_units[i];
    return &usual_number;
}

static double scale_up(const struct gw_map *map, double raw)
{
    double scale = gw_decimal_to_double(map->scale), offset = gw_decimal_to_double(map->offset);

    return map->offset_first ? (raw + offset) * scale : raw * scale + offset;
}

static double scale_down(const struct gw_map *map, double value)
{
    double scale = gw_decimal_to_double(map->scale), offset = gw_decimal_to_double(map->offset);

    return map->offset_first ? value / scale - offset : (value - offset) / scale;
}

/* What the field can hold and the configuration allows. */
static void limits_of(const struct gw_point_conf *conf, double *ret_low, double *ret_high)
{
    double a = scale_up(conf->map, conf->traits.raw_min);
    double b = scale_up(conf->map, conf->traits.raw_max);
    bool is_unlimited = conf->traits.raw_min == 0 && conf->traits.raw_max == 0;

    *ret_low = is_unlimited ? -1e9 : fmin(a, b);
    *ret_high = is_unlimited ? 1e9 : fmax(a, b);
    if (conf->map->has_min)
        *ret_low = fmax(*ret_low, conf->map->min);
    if (conf->map->has_max)
        *ret_high = fmin(*ret_high, conf->map->max);
}

static void choose_range(struct gw_sim_point *point, const struct usual *usual)
{
    const struct gw_map *map = point->conf->map;
    double low, high;

    limits_of(point->conf, &low, &high);
    point->low = fmax(low, usual->low);
    point->high = fmin(high, usual->high);
    if (point->low < point->high)
        return;
    /* Nothing usual is possible here: all of what is, or the part next to the only limit. */
    point->low = map->has_max && !map->has_min ? fmax(low, high - fabs(high) / 10 - 1) : low;
    point->high = map->has_min && !map->has_max ? fmin(high, low + fabs(low) / 10 + 1) : high;
}

/* A counter begins somewhere in its usual range and has the rest of the field to rise. */
static void choose_counter(struct gw_sim_point *point, const struct usual *usual)
{
    double low, high;

    limits_of(point->conf, &low, &high);
    point->low = chance(point, 0, usual->low, usual->high);
    if (point->low < low || point->low > high)
        point->low = low + (high - low) * chance(point, 1, 0.1, 0.2);
    point->high = high;
    point->per_second = usual->per_hour / 3600 * chance(point, 2, 0.5, 1.5);
}

void gw_sim_point_init(struct gw_sim_point *point, const struct gw_point_conf *conf,
                       const char *bus_name, const char *device_name, uint32_t seed)
{
    const struct usual *usual = usual_of(conf);
    bool is_setting = conf->access != GW_ACCESS_R;

    *point = (struct gw_sim_point){.conf = conf, .kind = GW_SIM_WAVE};
    point->seed = mix_text(mix_text(mix_text(mix(seed, 0), bus_name), device_name), conf->name);
    choose_range(point, usual);
    if (conf->traits.kind == GW_TEXT)
        point->kind = GW_SIM_TEXT;
    else if (conf->map->n_enums > 0)
        point->kind = GW_SIM_NAMES;
    else if (conf->traits.kind == GW_BOOL)
        point->kind = GW_SIM_SWITCH;
    else if (is_setting)
        point->kind = GW_SIM_HOLD;
    else if (usual->per_hour > 0 && !(conf->map->has_min && conf->map->has_max))
        point->kind = GW_SIM_COUNTER;
    if (point->kind == GW_SIM_COUNTER)
        choose_counter(point, usual);
}

/* ---- movement --------------------------------------------------------------------------------------- */

static double sine(const struct gw_sim_point *point, uint64_t index, double t_s,
                   double min_period_s, double max_period_s)
{
    double period_s = chance(point, 2 * index, min_period_s, max_period_s);

    return sin(tau * (t_s / period_s + chance(point, 2 * index + 1, 0, 1)));
}

static double wave_at(const struct gw_sim_point *point, double t_s)
{
    double x = 0.6 * sine(point, 10, t_s, 120, 400) + 0.3 * sine(point, 11, t_s, 40, 120) +
               0.1 * sine(point, 12, t_s, 10, 30);

    return (point->low + point->high) / 2 + (point->high - point->low) / 2 * x;
}

static double counter_at(const struct gw_sim_point *point, double t_s)
{
    const double period_s = 300,
                 swing_s = 40; /* swing below period / tau: slower and faster, never back */
    double worked_s = t_s + swing_s * sin(tau * t_s / period_s);

    return fmin(point->high, point->low + point->per_second * worked_s);
}

static double setting_of(const struct gw_sim_point *point)
{
    const struct gw_map *map = point->conf->map;
    double from = map->has_min ? map->min : 0;
    double value = chance(point, 20, point->low, point->high);

    if (map->step > 0)
        return from + floor((value - from) / map->step) * map->step;
    if (point->high - point->low >= 1) /* nobody sets 43.7182 */
        value = fmin(fmax(nearbyint(value), point->low), point->high);
    return value;
}

/* Counts up by one now and then, every 5 to 30 s by the point. */
static uint64_t turn_at(const struct gw_sim_point *point, double t_s)
{
    if (point->conf->access != GW_ACCESS_R)
        return 0; /* a setting stays */
    return (uint64_t)(t_s / chance(point, 30, 5, 30) + chance(point, 31, 0, 1));
}

/* ---- raw -------------------------------------------------------------------------------------------- */

static bool is_possible(const struct gw_point_conf *conf, struct gw_value raw)
{
    const struct gw_result result = {.value = raw};
    struct gw_reading reading;

    gw_map_result(conf->map, &result, 0, &reading);
    return reading.quality == GW_GOOD;
}

static struct gw_value integer_raw(const struct gw_point_conf *conf, double raw)
{
    const struct gw_point_traits *traits = &conf->traits;
    bool is_limited = traits->raw_min != 0 || traits->raw_max != 0;
    const double below_2_to_63 = 9223372036854774784.0, below_2_to_64 = 18446744073709549568.0;

    if (is_limited)
        raw = fmin(fmax(raw, traits->raw_min), traits->raw_max);
    if (traits->kind == GW_BOOL)
        return (struct gw_value){.kind = GW_BOOL, .b = raw >= 0.5};
    if (traits->kind == GW_UINT)
        return (struct gw_value){.kind = GW_UINT, .u = (uint64_t)fmin(fmax(raw, 0), below_2_to_64)};
    raw = fmin(fmax(raw, -below_2_to_63), below_2_to_63);
    return (struct gw_value){.kind = GW_INT, .i = (int64_t)raw};
}

static struct gw_value nearest_raw(const struct gw_point_conf *conf, double value, int steps_aside)
{
    double raw = scale_down(conf->map, value);

    if (conf->traits.kind == GW_FLOAT32)
        return (struct gw_value){.kind = GW_FLOAT32, .f32 = (float)raw};
    if (conf->traits.kind == GW_FLOAT64)
        return (struct gw_value){.kind = GW_FLOAT64, .f64 = raw};
    return integer_raw(conf, nearbyint(raw) + steps_aside);
}

/* Rounds to what the field can hold. Where that is beyond a limit or means "no value", the next raw value is taken,
 * else one nearer to the far end of the range. */
static struct gw_value raw_of(const struct gw_sim_point *point, double value)
{
    static const int aside[] = {0, -1, 1, -2, 2};
    double far = value - point->low > point->high - value ? point->low : point->high;
    struct gw_value raw;

    for (int i = 0; i <= 16; i++)
        for (size_t k = 0; k < sizeof aside / sizeof aside[0]; k++) {
            raw = nearest_raw(point->conf, value + (far - value) * i / 32, aside[k]);
            if (is_possible(point->conf, raw))
                return raw;
        }
    return raw;
}

static struct gw_value name_at(const struct gw_sim_point *point, double t_s)
{
    const struct gw_map *map = point->conf->map;
    const struct gw_point_traits *traits = &point->conf->traits;
    size_t first = (size_t)(mix(point->seed, 1000 + turn_at(point, t_s)) % map->n_enums);
    double raw = 0;

    for (size_t i = 0; i < map->n_enums; i++) {
        raw = (double)map->enums[(first + i) % map->n_enums].raw;
        if ((traits->raw_min == 0 && traits->raw_max == 0) ||
            (raw >= traits->raw_min && raw <= traits->raw_max))
            break; /* a name for what the field cannot hold never shows */
    }
    if (traits->kind == GW_FLOAT32)
        return (struct gw_value){.kind = GW_FLOAT32, .f32 = (float)raw};
    if (traits->kind == GW_FLOAT64)
        return (struct gw_value){.kind = GW_FLOAT64, .f64 = raw};
    return integer_raw(point->conf, raw);
}

void gw_sim_point_value(const struct gw_sim_point *point, int64_t since_start_us,
                        struct gw_value *ret_raw)
{
    double t_s = (double)since_start_us / 1e6;

    switch (point->kind) {
    case GW_SIM_WAVE:
        *ret_raw = raw_of(point, wave_at(point, t_s));
        return;
    case GW_SIM_COUNTER:
        *ret_raw = raw_of(point, counter_at(point, t_s));
        return;
    case GW_SIM_HOLD:
        *ret_raw = raw_of(point, setting_of(point));
        return;
    case GW_SIM_SWITCH:
        *ret_raw = (struct gw_value){.kind = GW_BOOL,
                                     .b = mix(point->seed, 1000 + turn_at(point, t_s)) & 1};
        return;
    case GW_SIM_NAMES:
        *ret_raw = name_at(point, t_s);
        return;
    case GW_SIM_TEXT:
        *ret_raw = (struct gw_value){.kind = GW_TEXT, .text = {"SIM", 3}};
        return;
    }
}
