/* Simulated values: they move as they would in a plant, and every one is possible. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/mapping.h"
#include "gateway/number.h"
#include "gateway/sim_value.h"
#include "tests/unit/random.h"
#include "tests/unit/values.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define S            1000000LL
#define HOUR         (3600 * S)

static const struct gw_point_traits u16 = {.kind = GW_UINT, .raw_max = 65535};
static const struct gw_point_traits s16 = {.kind = GW_INT, .raw_min = -32768, .raw_max = 32767};
static const struct gw_point_traits u32 = {.kind = GW_UINT, .raw_max = 4294967295.0};
static const struct gw_point_traits single = {.kind = GW_FLOAT32};

static struct gw_point_conf make_point(struct gw_point_traits traits, const char *scale,
                                       const char *unit)
{
    static struct gw_map maps[8]; /* more than one test has points at a time */
    static size_t n_made;
    struct gw_map *map = &maps[n_made++ % ARRAY_LEN(maps)];

    *map = (struct gw_map){.decimals = -1, .unit = unit};
    assert_int_equal(gw_decimal_parse(scale, &map->scale), GW_OK);
    return (struct gw_point_conf){.name = "p", .traits = traits, .map = map};
}

static struct gw_map *map_of(const struct gw_point_conf *conf)
{
    return (struct gw_map *)(uintptr_t)conf->map;
}

static double read_at(const struct gw_sim_point *point, int64_t t_us)
{
    struct gw_result result = {0};
    struct gw_reading reading;

    gw_sim_point_value(point, t_us, &result.value);
    assert_int_equal(result.value.kind, point->conf->traits.kind);
    gw_map_result(point->conf->map, &result, 0, &reading);
    if (reading.quality != GW_GOOD)
        fail_msg("at %lld s: %s (%s of kind %d, %g to %g, scale %lld e %d, limits %g to %g)",
                 (long long)(t_us / S), reading.reason,
                 point->conf->map->unit ? point->conf->map->unit : "-", (int)point->kind,
                 point->low, point->high, (long long)point->conf->map->scale.digits,
                 point->conf->map->scale.exp10, point->conf->map->min, point->conf->map->max);
    return gw_value_to_double(&reading.value);
}

/* Reads a point every second for an hour: it stays within, never jumps, and does move. */
static void assert_wave(const struct gw_point_conf *conf, double low, double high)
{
    struct gw_sim_point point;
    double last, lowest, highest;

    gw_sim_point_init(&point, conf, "bus", "device", 7);
    last = lowest = highest = read_at(&point, 0);
    for (int64_t t = S; t < HOUR; t += S) {
        double now = read_at(&point, t);

        assert_true(now >= low - 1e-9 && now <= high + 1e-9);
        assert_true(fabs(now - last) <= (high - low) / 5);
        lowest = fmin(lowest, now);
        highest = fmax(highest, now);
        last = now;
    }
    assert_true(highest - lowest > (high - low) / 3);
}

static void a_measured_value_moves_smoothly_in_the_range_of_its_unit(void **state)
{
    struct gw_point_conf volts = make_point(u16, "0.1", "V"), hertz = make_point(u16, "0.01", "Hz");
    struct gw_point_conf celsius = make_point(s16, "0.1", "°C"),
                         amperes = make_point(single, "1", "A");

    (void)state;
    assert_wave(&volts, 225, 235);
    assert_wave(&hertz, 49.95, 50.05);
    assert_wave(&celsius, 15, 35);
    assert_wave(&amperes, 0, 20);
}

static void a_name_may_say_more_than_the_unit(void **state)
{
    struct gw_point_conf power_factor = make_point(single, "1", NULL),
                         distortion = make_point(single, "1", "%");

    (void)state;
    power_factor.name = "cosphi_l1";
    assert_wave(&power_factor, 0.85, 0.99);
    distortion.name = "thd_u";
    assert_wave(&distortion, 1, 6);
}

static void limits_of_the_configuration_win_over_what_is_usual(void **state)
{
    struct gw_point_conf volts = make_point(u16, "0.1", "V"), pulp = make_point(single, "1", NULL);
    struct gw_point_conf power = make_point(s16, "1", "W");

    (void)state;
    map_of(&volts)->has_min = map_of(&volts)->has_max = true;
    map_of(&volts)->min = 390;
    map_of(&volts)->max = 410;
    assert_wave(&volts, 390, 410);
    map_of(&pulp)->has_min = map_of(&pulp)->has_max = true;
    map_of(&pulp)->min = 2;
    map_of(&pulp)->max = 3.5;
    assert_wave(&pulp, 2, 3.5);
    map_of(&power)->has_min = map_of(&power)->has_max =
        true; /* usual inside of possible stays usual */
    map_of(&power)->min = -30000;
    map_of(&power)->max = 30000;
    assert_wave(&power, 100, 4000);
}

static void what_a_small_field_holds_is_all_there_is(void **state)
{
    struct gw_point_conf nibble =
        make_point((struct gw_point_traits){.kind = GW_UINT, .raw_max = 7}, "1", NULL);

    (void)state;
    assert_wave(&nibble, 0, 7);
}

static void a_counter_never_falls_and_does_rise(void **state)
{
    struct gw_point_conf conf = make_point(u32, "0.01", "kWh");
    struct gw_sim_point point;
    double first, last;

    (void)state;
    gw_sim_point_init(&point, &conf, "bus", "device", 7);
    first = last = read_at(&point, 0);
    for (int64_t t = S; t < 24 * HOUR; t += 7 * S) {
        double now = read_at(&point, t);

        assert_true(now >= last);
        last = now;
    }
    assert_true(last > first + 100 && last < first + 24 * 80);
}

static void a_counter_stops_at_the_end_of_its_field(void **state)
{
    struct gw_point_conf conf = make_point(u16, "1", "Wh");
    struct gw_sim_point point;

    (void)state;
    gw_sim_point_init(&point, &conf, "bus", "device", 7);
    assert_true(read_at(&point, 0) < 65535);
    assert_true(read_at(&point, 10000 * HOUR) == 65535);
}

static void a_setting_stays_until_it_is_written(void **state)
{
    struct gw_point_conf conf = make_point(u16, "0.01", "Hz");
    struct gw_sim_point point;
    struct gw_value raw, command;
    double value;

    (void)state;
    conf.access = GW_ACCESS_RW;
    map_of(&conf)->has_min = map_of(&conf)->has_max = true;
    map_of(&conf)->max = 50;
    map_of(&conf)->step = 0.1;
    gw_sim_point_init(&point, &conf, "bus", "device", 7);
    value = read_at(&point, 0);
    for (int64_t t = 0; t < HOUR; t += S)
        assert_true(read_at(&point, t) == value);
    command = F64_(round(value * 100) / 100);
    assert_int_equal(gw_map_unscale(conf.map, &conf.traits, &command, &raw), GW_OK); /* on a step */
}

static void a_switch_changes_now_and_then(void **state)
{
    struct gw_point_conf conf =
        make_point((struct gw_point_traits){.kind = GW_BOOL, .raw_max = 1}, "1", NULL);
    struct gw_sim_point point;
    int n_changes = 0;
    double last;

    (void)state;
    gw_sim_point_init(&point, &conf, "bus", "device", 7);
    last = read_at(&point, 0);
    for (int64_t t = S; t < HOUR; t += S) {
        double now = read_at(&point, t);

        n_changes += now != last;
        last = now;
    }
    assert_true(n_changes >= 20 && n_changes <= 3600 / 5);
}

static void an_enum_shows_all_names_that_fit_and_nothing_else(void **state)
{
    static const struct gw_enum_name names[] = {
        {-1, "none"}, {0, "ready"}, {1, "running"}, {7, "fault"}, {70000, "never"}};
    struct gw_point_conf conf = make_point(u16, "1", NULL);
    struct gw_sim_point point;
    unsigned seen = 0;

    (void)state;
    map_of(&conf)->enums = names;
    map_of(&conf)->n_enums = ARRAY_LEN(names);
    gw_sim_point_init(&point, &conf, "bus", "device", 7);
    for (int64_t t = 0; t < HOUR; t += S) {
        double raw = read_at(&point, t);

        assert_true(raw == 0 || raw == 1 || raw == 7);
        seen |= 1u << (int)raw;
    }
    assert_int_equal(seen, 1u << 0 | 1u << 1 | 1u << 7);
}

static void the_same_seed_repeats_and_neighbours_differ(void **state)
{
    struct gw_point_conf conf = make_point(single, "1", "V");
    struct gw_sim_point a, again, other_device, other_seed;

    (void)state;
    gw_sim_point_init(&a, &conf, "bus", "device", 7);
    gw_sim_point_init(&again, &conf, "bus", "device", 7);
    gw_sim_point_init(&other_device, &conf, "bus", "device2", 7);
    gw_sim_point_init(&other_seed, &conf, "bus", "device", 8);
    for (int64_t t = 0; t < 100 * S; t += S)
        assert_true(read_at(&a, t) == read_at(&again, t));
    assert_true(read_at(&a, 0) != read_at(&other_device, 0));
    assert_true(read_at(&a, 0) != read_at(&other_seed, 0));
}

/* Whether the field holds any value between min and max. */
static bool can_reach(const struct gw_point_conf *conf)
{
    double scale = gw_decimal_to_double(conf->map->scale),
           offset = gw_decimal_to_double(conf->map->offset);
    double a = conf->traits.raw_min * scale + offset, b = conf->traits.raw_max * scale + offset;

    return (conf->traits.raw_min == 0 && conf->traits.raw_max == 0) ||
           (fmax(a, b) > conf->map->min + 2 && fmin(a, b) < conf->map->max - 2);
}

/* Whatever map and field: a value that the mapping calls good, within the limits. */
/* The middle of the usual range of V, 230, to which a setting is rounded, is raw 2300. */
static void a_float_steps_aside_of_what_means_no_value(void **state)
{
    static const struct gw_value invalid[] = {UINT_(2300)};

    (void)state;
    for (uint32_t seed = 0; seed < 200; seed++) {
        struct gw_point_conf conf = make_point(single, "0.1", "V");
        struct gw_sim_point point;

        map_of(&conf)->invalid = invalid;
        map_of(&conf)->n_invalid = ARRAY_LEN(invalid);
        conf.access = GW_ACCESS_RW;
        gw_sim_point_init(&point, &conf, "bus", "device", seed);
        double value = read_at(&point, 0);
        assert_true(value >= 225 && value <= 235);
    }
}

static void every_value_of_any_point_is_possible(void **state)
{
    static const char *const units[] = {NULL, "V", "A", "kWh", "%", "°C", "Hz", "furlong"};
    static const char *const scales[] = {"1", "0.1", "0.01", "-0.1", "10", "0.001", "1.44"};
    const struct gw_point_traits fields[] = {
        u16,
        s16,
        u32,
        single,
        {.kind = GW_FLOAT64},
        {.kind = GW_UINT, .raw_max = 15},
        {.kind = GW_INT, .raw_min = -0x1p63, .raw_max = 0x1p63},
        {.kind = GW_UINT, .raw_max = 0x1p64}};
    static const struct gw_value invalid[] = {INT_(-1), INT_(100), UINT_(2300), UINT_(65535)};
    struct test_random random = test_random_start();

    (void)state;
    for (int i = 0; i < 3000; i++) {
        struct gw_point_conf conf =
            make_point(fields[test_random_below(&random, ARRAY_LEN(fields))],
                       scales[test_random_below(&random, ARRAY_LEN(scales))],
                       units[test_random_below(&random, ARRAY_LEN(units))]);
        struct gw_sim_point point;

        map_of(&conf)->offset.digits = (int64_t)test_random_below(&random, 3) * 5;
        map_of(&conf)->decimals = (int)test_random_below(&random, 4) - 1;
        map_of(&conf)->invalid = invalid;
        map_of(&conf)->n_invalid = test_random_below(&random, 2) ? ARRAY_LEN(invalid) : 0;
        conf.access = test_random_below(&random, 4) ? GW_ACCESS_R : GW_ACCESS_RW;
        if (test_random_below(&random, 2) && conf.traits.raw_max != 15) {
            map_of(&conf)->has_min = map_of(&conf)->has_max = true;
            map_of(&conf)->max = 20 + (double)test_random_below(&random, 300);
            map_of(&conf)->min = map_of(&conf)->max - 20;
            if (!can_reach(&conf))
                map_of(&conf)->has_min = map_of(&conf)->has_max = false;
        }
        gw_sim_point_init(&point, &conf, "bus", "device", (uint32_t)i);
        for (int k = 0; k < 200; k++)
            read_at(&point, (int64_t)test_random_below(&random, 100 * HOUR));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_measured_value_moves_smoothly_in_the_range_of_its_unit),
        cmocka_unit_test(a_name_may_say_more_than_the_unit),
        cmocka_unit_test(limits_of_the_configuration_win_over_what_is_usual),
        cmocka_unit_test(what_a_small_field_holds_is_all_there_is),
        cmocka_unit_test(a_counter_never_falls_and_does_rise),
        cmocka_unit_test(a_counter_stops_at_the_end_of_its_field),
        cmocka_unit_test(a_setting_stays_until_it_is_written),
        cmocka_unit_test(a_switch_changes_now_and_then),
        cmocka_unit_test(an_enum_shows_all_names_that_fit_and_nothing_else),
        cmocka_unit_test(the_same_seed_repeats_and_neighbours_differ),
        cmocka_unit_test(a_float_steps_aside_of_what_means_no_value),
        cmocka_unit_test(every_value_of_any_point_is_possible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
