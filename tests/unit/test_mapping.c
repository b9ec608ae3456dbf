/* Mapping: raw to engineering value and back, exactly; what is not certain is bad. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/mapping.h"
#include "gateway/number.h"
#include "tests/unit/random.h"
#include "tests/unit/values.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct gw_decimal decimal_of(const char *text)
{
    struct gw_decimal decimal = {0, 0};

    if (text)
        assert_int_equal(gw_decimal_parse(text, &decimal), GW_OK);
    return decimal;
}

static struct gw_map make_map(const char *scale, const char *offset)
{
    return (struct gw_map){
        .scale = decimal_of(scale ? scale : "1"), .offset = decimal_of(offset), .decimals = -1};
}

static struct gw_reading map_value(const struct gw_map *map, struct gw_value raw, int32_t exp10)
{
    struct gw_result result = {.err = GW_OK, .value = raw, .exp10 = exp10};
    struct gw_reading reading;

    memset(&reading, 0xAA, sizeof reading);
    gw_map_result(map, &result, 1764000000123, &reading);
    assert_int_equal(reading.acquired_wall_ms, 1764000000123);
    return reading;
}

static void assert_good(struct gw_reading reading, const char *expected)
{
    char text[GW_NUMBER_TEXT];

    if (reading.quality != GW_GOOD)
        fail_msg("expected %s, but it is bad: %s", expected, reading.reason);
    assert_null(reading.reason);
    gw_number_print(&reading.value, text);
    assert_string_equal(text, expected);
}

static void assert_bad(struct gw_reading reading, const char *reason)
{
    assert_int_equal(reading.quality, GW_BAD);
    assert_non_null(reading.reason);
    assert_string_equal(reading.reason, reason);
    assert_int_equal(reading.value.kind, GW_NONE);
    assert_null(reading.enum_name);
}

/* ---- scale: the expected values are worked out by hand ------------------------------------------------ */

struct scale_row {
    const char *name;
    struct gw_value raw;
    const char *scale, *offset;
    bool offset_first;
    int decimals;
    int32_t exp10;
    const char *expected; /* NULL: bad with `reason` */
    const char *reason;
};

static const struct scale_row scale_rows[] = {
    {"plain", INT_(2301), "1", NULL, false, -1, 0, "2301", NULL},
    {"tenth", INT_(2301), "0.1", NULL, false, -1, 0, "230.1", NULL},
    {"tenth_of_a_round_number", UINT_(2300), "0.1", NULL, false, -1, 0, "230", NULL},
    {"temperature", INT_(-205), "0.1", NULL, false, -1, 0, "-20.5", NULL},
    {"negative_scale", UINT_(5), "-0.01", NULL, false, -1, 0, "-0.05", NULL},
    {"offset", UINT_(300), "0.1", "-50", false, -1, 0, "-20", NULL},
    {"offset_first", UINT_(1215), "0.1", "-1000", true, -1, 0, "21.5", NULL},
    {"scale_of_two_digits", UINT_(7), "1.44", NULL, false, -1, 0, "10.08", NULL},
    {"counter_in_thousandths", UINT_(12345678901u), "0.001", NULL, false, -1, 0, "12345678.901",
     NULL},
    {"counter_above_2_to_53", UINT_(9007199254740993u), "0.001", NULL, false, -1, 0,
     "9007199254740.993", NULL},
    {"counter_above_2_to_53_plain", UINT_(UINT64_MAX), "1", NULL, false, -1, 0,
     "18446744073709551615", NULL},
    {"largest_with_zero_digits", UINT_(UINT64_MAX), "10", NULL, false, -1, 0,
     "184467440737095516150", "float"},
    {"too_many_digits_becomes_a_double", UINT_(UINT64_MAX), "0.001", NULL, false, -1, 0,
     "18446744073709551.615", "float"},
    {"more_than_38_digits", UINT_(UINT64_MAX), "9e18", "1e-18", false, -1, 0,
     "1.6602069666338596e38", "float"},
    {"more_than_38_digits_offset_first", UINT_(UINT64_MAX), "9e18", "1e-18", true, -1, 0,
     "1.6602069666338596e38", "float"},
    {"offset_into_uint64", INT_(INT64_MAX), "1", "1", false, -1, 0, "9223372036854775808", NULL},
    {"lowest", INT_(INT64_MIN), "0.1", NULL, false, -1, 0, "-922337203685477580.8", NULL},
    {"rounded", UINT_(2345), "0.001", NULL, false, 2, 0, "2.35", NULL},
    {"rounded_half_away", INT_(-25), "0.1", NULL, false, 0, 0, "-3", NULL},
    {"rounded_half_away_up", INT_(25), "0.1", NULL, false, 0, 0, "3", NULL},
    {"rounded_down", INT_(249), "0.01", NULL, false, 0, 0, "2", NULL},
    {"rounded_to_nothing", INT_(4), "0.1", NULL, false, 0, 0, "0", NULL},
    {"rounding_more_than_there_is", INT_(4), "0.1", NULL, false, 9, 0, "0.4", NULL},
    {"scale_of_the_device", INT_(2301), "1", NULL, false, -1, -1, "230.1", NULL},
    {"scale_of_the_device_up", INT_(-12), "1", NULL, false, -1, 3, "-12000", NULL},
    {"both_scales_and_offset", INT_(2301), "10", "1", false, -1, -2, "231.1", NULL},
    {"offset_first_after_device_scale", INT_(100), "2", "1", true, -1, -1, "22", NULL},
    {"absurd_scale_of_the_device", INT_(1), "1", NULL, false, -1, 2000, NULL, "overflow"},
    {"beyond_a_double", INT_(1), "1", NULL, false, -1, 400, NULL, "overflow"},
    {"very_small", INT_(1), "1e-18", NULL, false, -1, -10, "1e-28", NULL},
    {"float32_as_it_is", F32_(230.1f), "1", NULL, false, -1, 0, "230.1", NULL},
    {"float32_scaled", F32_(230.1f), "0.1", NULL, false, -1, 0, "23.01", NULL},
    {"float32_to_kilo", F32_(1234.5f), "0.001", NULL, false, -1, 0, "1.2345", NULL},
    {"float32_rounded", F32_(2.675f), "1", NULL, false, 2, 0, "2.68", NULL},
    {"float32_with_offset", F32_(20.1f), "1.8", "32", false, -1, 0, "68.18", NULL},
    {"float32_beyond_its_range", F32_(3e38f), "1000", NULL, false, -1, 0, "3e41", NULL},
    {"float64_scaled", F64_(2.3), "0.1", NULL, false, -1, 0, "0.23", NULL},
    {"float64_rounded", F64_(-1.005), "1", NULL, false, 2, 0, "-1.01", NULL},
    {"float64_tiny_with_offset", F64_(1e-300), "1", "5", false, -1, 0, "5", NULL},
    {"float64_overflow", F64_(1e308), "100", NULL, false, -1, 0, NULL, "overflow"},
    {"bool", BOOL_(true), "1", NULL, false, -1, 0, "true", NULL},
    {"bool_with_a_scale_is_a_number", BOOL_(true), "100", NULL, false, -1, 0, "100", NULL},
    {"float32_nan", F32_(NAN), "1", NULL, false, -1, 0, NULL, "not_a_number"},
    {"float32_nan_scaled", F32_(NAN), "0.1", NULL, false, -1, 0, NULL, "not_a_number"},
    {"float64_infinite", F64_(-INFINITY), "1", NULL, false, -1, 0, NULL, "not_a_number"},
};

static void a_raw_value_is_scaled(void **state)
{
    const struct scale_row *row = *state;
    struct gw_map map = make_map(row->scale, row->offset);
    struct gw_reading reading;

    map.offset_first = row->offset_first;
    map.decimals = row->decimals;
    reading = map_value(&map, row->raw, row->exp10);

    if (!row->expected) {
        assert_bad(reading, row->reason);
    } else if (row->reason) { /* more digits than a decimal has: the nearest double */
        assert_int_equal(reading.quality, GW_GOOD);
        assert_int_equal(reading.value.kind, GW_FLOAT64);
        assert_true(reading.value.f64 == strtod(row->expected, NULL));
    } else {
        assert_good(reading, row->expected);
    }
}

static void a_plain_value_keeps_its_kind(void **state)
{
    struct gw_map map = make_map("1", NULL);

    (void)state;
    map.decimals = 1;
    assert_int_equal(map_value(&map, INT_(-5), 0).value.kind, GW_INT);
    assert_int_equal(map_value(&map, UINT_(5), 0).value.kind, GW_UINT);
    assert_int_equal(map_value(&map, BOOL_(true), 0).value.kind, GW_BOOL);
    assert_int_equal(map_value(&map, F32_(5.55f), 0).value.kind, GW_FLOAT32);
    assert_int_equal(map_value(&map, F64_(5.55), 0).value.kind, GW_FLOAT64);
    assert_int_equal(map_value(&map, TEXT_("A1"), 0).value.kind, GW_TEXT);
}

/* ---- invalid, enum, limits ---------------------------------------------------------------------------- */

static void an_error_of_the_driver_is_a_bad_reading_with_its_reason(void **state)
{
    struct gw_map map = make_map("0.1", NULL);
    struct gw_result result = {.err = GW_E_TIMEOUT, .value = INT_(7)};
    struct gw_reading reading;

    (void)state;
    gw_map_result(&map, &result, 5, &reading);
    assert_bad(reading, "timeout");
    result.reason = "illegal_data_address";
    gw_map_result(&map, &result, 5, &reading);
    assert_bad(reading, "illegal_data_address");
    result = (struct gw_result){.err = GW_OK};
    gw_map_result(&map, &result, 5, &reading);
    assert_bad(reading, "protocol");
}

static void listed_raw_values_are_invalid(void **state)
{
    static const struct gw_value list[] = {INT_(-9999), UINT_(0x8000), F64_(NAN), DEC_(-99999, -1),
                                           UINT_(UINT64_MAX)};
    struct gw_map map = make_map("0.1", NULL);

    (void)state;
    map.invalid = list;
    map.n_invalid = ARRAY_LEN(list);

    assert_bad(map_value(&map, INT_(-9999), 0), "invalid");
    assert_bad(map_value(&map, INT_(0x8000), 0), "invalid");
    assert_bad(map_value(&map, UINT_(0x8000), 0), "invalid");
    assert_bad(map_value(&map, UINT_(UINT64_MAX), 0), "invalid");
    assert_bad(map_value(&map, F32_(NAN), 0), "invalid");
    assert_bad(map_value(&map, F64_(NAN), 0), "invalid");
    assert_bad(map_value(&map, F32_(-9999.9f), 0), "invalid");
    assert_bad(map_value(&map, F64_(-9999.9), 0), "invalid");
    assert_bad(map_value(&map, F32_(-9999.0f), 0), "invalid");
    /* Compared mathematically, before scaling: neither the bits of another type nor the scaled value. */
    assert_good(map_value(&map, UINT_(0xD8F1), 0), "5553.7"); /* -9999 as an unsigned register */
    assert_good(map_value(&map, INT_(-32768), 0), "-3276.8");
    assert_good(map_value(&map, INT_(-1), 0), "-0.1");
    assert_good(map_value(&map, INT_(-99990), 0), "-9999");
    assert_bad(map_value(&map, F32_(INFINITY), 0), "not_a_number");
}

static void large_integers_are_compared_exactly_with_the_list(void **state)
{
    static const struct gw_value list[] = {UINT_(9007199254740993u)};
    struct gw_map map = make_map("1", NULL);

    (void)state;
    map.invalid = list;
    map.n_invalid = 1;

    assert_bad(map_value(&map, UINT_(9007199254740993u), 0), "invalid");
    assert_good(map_value(&map, UINT_(9007199254740992u), 0), "9007199254740992");
}

static void a_listed_text_is_invalid(void **state)
{
    static const struct gw_value list[] = {TEXT_("----")};
    struct gw_map map = make_map("1", NULL);

    (void)state;
    map.invalid = list;
    map.n_invalid = 1;

    assert_bad(map_value(&map, TEXT_("----"), 0), "invalid");
    assert_int_equal(map_value(&map, TEXT_("---"), 0).quality, GW_GOOD);
}

static const struct gw_enum_name drive_states[] = {
    {-1, "unknown"}, {0, "ready"}, {1, "running"}, {7, "fault"}};

static void a_raw_value_with_a_name_keeps_its_number(void **state)
{
    struct gw_map map = make_map("1", NULL);
    struct gw_reading reading;

    (void)state;
    map.enums = drive_states;
    map.n_enums = ARRAY_LEN(drive_states);

    reading = map_value(&map, UINT_(7), 0);
    assert_good(reading, "7");
    assert_string_equal(reading.enum_name, "fault");
    assert_string_equal(map_value(&map, INT_(-1), 0).enum_name, "unknown");
    assert_string_equal(map_value(&map, BOOL_(true), 0).enum_name, "running");
    assert_string_equal(map_value(&map, F32_(1.0f), 0).enum_name, "running");
    reading = map_value(&map, UINT_(3), 0);
    assert_good(reading, "3");
    assert_null(reading.enum_name);
    assert_null(map_value(&map, UINT_(UINT64_MAX), 0).enum_name);
    assert_null(map_value(&map, F32_(0.5f), 0).enum_name);
}

static void a_value_outside_of_its_limits_is_bad(void **state)
{
    struct gw_map map = make_map("0.1", NULL);

    (void)state;
    map.has_min = map.has_max = true;
    map.min = -20;
    map.max = 230.1;

    assert_good(map_value(&map, INT_(2301), 0), "230.1");
    assert_good(map_value(&map, INT_(-200), 0), "-20");
    assert_bad(map_value(&map, INT_(2302), 0), "out_of_range");
    assert_bad(map_value(&map, INT_(-201), 0), "out_of_range");
    map.scale = decimal_of("1");
    assert_good(map_value(&map, F32_(230.1f), 0), "230.1"); /* as a double it is 230.10000610 */
    assert_bad(map_value(&map, F32_(230.11f), 0), "out_of_range");
}

/* ---- back to raw -------------------------------------------------------------------------------------- */

static const struct gw_point_traits u16 = {.kind = GW_UINT, .raw_max = 65535};
static const struct gw_point_traits s16 = {.kind = GW_INT, .raw_min = -32768, .raw_max = 32767};
static const struct gw_point_traits single = {.kind = GW_FLOAT32};
static const struct gw_point_traits coil = {.kind = GW_BOOL, .raw_max = 1};
static const struct gw_point_traits name_plate = {.kind = GW_TEXT};

static void assert_raw(const struct gw_map *map, const struct gw_point_traits *traits,
                       struct gw_value value, const char *expected)
{
    struct gw_value raw = NONE_;
    char text[GW_NUMBER_TEXT];
    enum gw_err err = gw_map_unscale(map, traits, &value, &raw);

    if (err != GW_OK)
        fail_msg("refused, expected %s", expected);
    assert_int_equal(raw.kind, traits->kind);
    gw_number_print(&raw, text);
    assert_string_equal(text, expected);
}

static void assert_refused(const struct gw_map *map, const struct gw_point_traits *traits,
                           struct gw_value value)
{
    struct gw_value raw = {.kind = GW_INT, .i = 4711};

    assert_int_equal(gw_map_unscale(map, traits, &value, &raw), GW_E_RANGE);
    assert_int_equal(raw.i, 4711);
}

static void a_command_value_becomes_the_exact_raw_value(void **state)
{
    struct gw_map hundredths = make_map("0.01", NULL), celsius = make_map("0.1", "-50");
    struct gw_map first = make_map("0.1", "-1000"), thirds = make_map("3", NULL);

    (void)state;
    first.offset_first = true;
    assert_raw(&hundredths, &u16, DEC_(2915, -2), "2915");
    assert_raw(&hundredths, &u16, F64_(29.15), "2915");
    assert_raw(&hundredths, &u16, INT_(50), "5000");
    assert_raw(&hundredths, &u16, DEC_(65535, -2), "65535");
    assert_refused(&hundredths, &u16, DEC_(65536, -2));
    assert_refused(&hundredths, &u16, DEC_(-1, -2));
    assert_refused(&hundredths, &u16, DEC_(29155, -3));
    assert_refused(&hundredths, &u16, F64_(NAN));
    assert_raw(&celsius, &u16, DEC_(-205, -1), "295");
    assert_raw(&first, &u16, DEC_(215, -1), "1215");
    assert_raw(&celsius, &s16, F64_(3226.7), "32767");
    assert_refused(&celsius, &s16, F64_(3226.8));
    assert_raw(&thirds, &u16, INT_(9), "3");
    assert_refused(&thirds, &u16, INT_(10));
}

static void a_float_field_takes_the_nearest_value(void **state)
{
    struct gw_map plain = make_map("1", NULL), tenth = make_map("0.1", NULL),
                  third = make_map("3", NULL);

    (void)state;
    assert_raw(&plain, &single, F64_(230.1), "230.1");
    assert_raw(&tenth, &single, F64_(23.01), "230.1");
    assert_raw(&third, &single, INT_(1), "0.33333334");
    assert_refused(&plain, &single, F64_(1e39));
    assert_refused(&plain, &single, F64_(INFINITY));
}

static void limits_and_step_of_a_command_are_checked(void **state)
{
    struct gw_map map = make_map("0.01", NULL);

    (void)state;
    map.has_min = map.has_max = true;
    map.min = 0.25;
    map.max = 50;
    map.step = 0.1;

    assert_raw(&map, &u16, DEC_(25, -2), "25");
    assert_raw(&map, &u16, DEC_(35, -2), "35");
    assert_raw(&map, &u16, F64_(49.95), "4995");
    assert_refused(&map, &u16, DEC_(30, -2)); /* steps count from min */
    assert_refused(&map, &u16, INT_(50));
    assert_refused(&map, &u16, DEC_(24, -2));
    assert_refused(&map, &u16, DEC_(5001, -2));
    map.has_min = false;
    assert_raw(&map, &u16, DEC_(3, -1), "30");
    assert_refused(&map, &u16, DEC_(35, -2));
}

static void names_bools_and_texts_go_to_their_own_kind_only(void **state)
{
    struct gw_map map = make_map("1", NULL), plain = make_map("1", NULL);
    struct gw_value raw;

    (void)state;
    map.enums = drive_states;
    map.n_enums = ARRAY_LEN(drive_states);
    assert_raw(&map, &u16, TEXT_("fault"), "7");
    assert_raw(&map, &u16, INT_(7), "7");
    assert_raw(&map, &single, TEXT_("running"), "1");
    assert_raw(&map, &coil, TEXT_("running"), "true");
    assert_refused(&map, &coil, TEXT_("fault"));
    assert_refused(&map, &u16, TEXT_("unknown")); /* -1 */
    assert_refused(&map, &u16, TEXT_("Fault"));
    assert_refused(&map, &u16, INT_(3));
    assert_raw(&plain, &coil, BOOL_(true), "true");
    assert_raw(&plain, &coil, INT_(0), "false");
    assert_refused(&plain, &coil, INT_(2));
    assert_refused(&plain, &u16, BOOL_(true));
    assert_refused(&plain, &u16, TEXT_("5"));
    assert_refused(&plain, &name_plate, INT_(5));
    assert_refused(&plain, &u16, NONE_);
    assert_int_equal(gw_map_unscale(&plain, &name_plate, &TEXT_("pump 3"), &raw), GW_OK);
    assert_int_equal(raw.text.len, 6);
}

static void any_integer_comes_back_as_the_same_raw_value(void **state)
{
    static const struct gw_point_traits wide = {.kind = GW_INT};
    struct test_random random = test_random_start();

    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct gw_map map = {
            .scale = {1 + (int64_t)test_random_below(&random, 1000),
                      (int32_t)test_random_below(&random, 13) - 9},
            .offset = {(int64_t)test_random_below(&random, 20001) - 10000,
                       (int32_t)test_random_below(&random, 7) - 4},
            .offset_first = test_random_below(&random, 2) == 0,
            .decimals = -1,
        };
        int64_t n =
            (int64_t)(test_random_next(&random) >> (16 + test_random_below(&random, 40))) - 1000;
        struct gw_reading reading;
        struct gw_value raw = NONE_;

        if (test_random_below(&random, 2))
            map.scale.digits = -map.scale.digits;
        reading = map_value(&map, INT_(n), 0);
        if (reading.value.kind == GW_FLOAT64) /* more digits than a decimal has */
            continue;

        if (gw_map_unscale(&map, &wide, &reading.value, &raw) != GW_OK || raw.i != n)
            fail_msg("%lld x %lld e %d + %lld e %d came back as %lld", (long long)n,
                     (long long)map.scale.digits, map.scale.exp10, (long long)map.offset.digits,
                     map.offset.exp10, (long long)raw.i);
    }
}

/* Whatever the map and the raw value: either good and finite, or bad without a number. */
static void no_reading_is_ever_half_good(void **state)
{
    struct test_random random = test_random_start();

    (void)state;
    for (int i = 0; i < 300000; i++) {
        struct gw_map map = {
            .scale = {(int64_t)test_random_next(&random) | 1,
                      (int32_t)test_random_below(&random, 37) - 18},
            .offset = {(int64_t)test_random_next(&random),
                       (int32_t)test_random_below(&random, 37) - 18},
            .offset_first = test_random_below(&random, 2) == 0,
            .decimals = (int)test_random_below(&random, 12) - 1,
        };
        uint64_t bits = test_random_next(&random);
        struct gw_value raw = {.kind = GW_INT + (enum gw_kind)test_random_below(&random, 4)};
        struct gw_reading reading;

        memcpy(&raw.u, &bits, sizeof bits);
        reading = map_value(&map, raw, (int32_t)test_random_below(&random, 700) - 350);

        if (reading.quality == GW_GOOD) {
            assert_null(reading.reason);
            assert_true(isfinite(gw_value_to_double(&reading.value)));
        } else {
            assert_non_null(reading.reason);
            assert_int_equal(reading.value.kind, GW_NONE);
        }
    }
}

static void a_scale_of_the_device_is_undone_with_the_rest(void **state)
{
    struct gw_map map = make_map("2", "10"), scaled;
    const struct gw_point_traits traits = {.kind = GW_INT};
    struct gw_value raw;

    (void)state;
    for (int first = 0; first < 2; first++) {
        map.offset_first = first;
        struct gw_reading reading = map_value(&map, INT_(255), -1);
        scaled = gw_map_at_scale(&map, -1);

        assert_int_equal(gw_map_unscale(&scaled, &traits, &reading.value, &raw), GW_OK);
        assert_int_equal(raw.i, 255);
    }
}

int main(void)
{
    struct CMUnitTest tests[ARRAY_LEN(scale_rows) + 16];
    size_t n = 0;
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_scale_of_the_device_is_undone_with_the_rest),
        cmocka_unit_test(a_plain_value_keeps_its_kind),
        cmocka_unit_test(an_error_of_the_driver_is_a_bad_reading_with_its_reason),
        cmocka_unit_test(listed_raw_values_are_invalid),
        cmocka_unit_test(large_integers_are_compared_exactly_with_the_list),
        cmocka_unit_test(a_listed_text_is_invalid),
        cmocka_unit_test(a_raw_value_with_a_name_keeps_its_number),
        cmocka_unit_test(a_value_outside_of_its_limits_is_bad),
        cmocka_unit_test(a_command_value_becomes_the_exact_raw_value),
        cmocka_unit_test(a_float_field_takes_the_nearest_value),
        cmocka_unit_test(limits_and_step_of_a_command_are_checked),
        cmocka_unit_test(names_bools_and_texts_go_to_their_own_kind_only),
        cmocka_unit_test(any_integer_comes_back_as_the_same_raw_value),
        cmocka_unit_test(no_reading_is_ever_half_good),
    };

    for (size_t i = 0; i < ARRAY_LEN(scale_rows); i++)
        tests[n++] = (struct CMUnitTest){scale_rows[i].name, a_raw_value_is_scaled, NULL, NULL,
                                         (void *)(uintptr_t)&scale_rows[i]};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        tests[n++] = others[i];
    return _cmocka_run_group_tests("mapping", tests, n, NULL, NULL);
}
