/* Numbers as text: exact, shortest, without a locale. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/number.h"
#include "tests/unit/random.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct gw_value f32(float x)
{
    return (struct gw_value){.kind = GW_FLOAT32, .f32 = x};
}
static struct gw_value f64(double x)
{
    return (struct gw_value){.kind = GW_FLOAT64, .f64 = x};
}
static struct gw_value dec(int64_t digits, int32_t exp10)
{
    return (struct gw_value){.kind = GW_DECIMAL, .dec = {digits, exp10}};
}

static void assert_prints(struct gw_value value, const char *expected)
{
    char text[GW_NUMBER_TEXT];
    size_t len = gw_number_print(&value, text);

    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
}

static void integers_print_all_their_digits(void **state)
{
    (void)state;
    assert_prints((struct gw_value){.kind = GW_INT, .i = 0}, "0");
    assert_prints((struct gw_value){.kind = GW_INT, .i = -123456789}, "-123456789");
    assert_prints((struct gw_value){.kind = GW_INT, .i = INT64_MIN}, "-9223372036854775808");
    assert_prints((struct gw_value){.kind = GW_UINT, .u = UINT64_MAX}, "18446744073709551615");
    assert_prints((struct gw_value){.kind = GW_BOOL, .b = true}, "true");
    assert_prints((struct gw_value){.kind = GW_BOOL, .b = false}, "false");
}

static void decimals_print_exactly_and_without_trailing_zeros(void **state)
{
    (void)state;
    assert_prints(dec(2301, -1), "230.1");
    assert_prints(dec(2300, -1), "230");
    assert_prints(dec(-5, -3), "-0.005");
    assert_prints(dec(0, -3), "0");
    assert_prints(dec(42, 3), "42000");
    assert_prints(dec(1, -7), "0.0000001");
    assert_prints(dec(12, -9), "1.2e-8");
    assert_prints(dec(1, 17), "100000000000000000");
    assert_prints(dec(1, 16), "10000000000000000");
    assert_prints(dec(INT64_MAX, 0), "9223372036854775807");
    assert_prints(dec(INT64_MAX, -3), "9223372036854775.807");
    assert_prints(dec(INT64_MIN, -18), "-9.223372036854775808");
    assert_prints(dec(120, 17), "1.2e19");
}

static void a_float32_prints_as_float32(void **state)
{
    (void)state;
    assert_prints(f32(230.1f), "230.1");
    assert_prints(f32(123.456f), "123.456");
    assert_prints(f32(230.5f), "230.5");
    assert_prints(f32(0.1f), "0.1");
    assert_prints(f32(-0.0f), "0");
    assert_prints(f32(16777216.0f), "16777216");
    assert_prints(f32(FLT_MAX), "3.4028235e38");
    assert_prints(f32(FLT_MIN), "1.1754944e-38");
    assert_prints(f32(1e-45f), "1e-45");
    assert_prints(f32(1e-7f), "0.0000001");
}

static void a_float64_prints_the_shortest_text_that_reads_back(void **state)
{
    (void)state;
    assert_prints(f64(1234.5678), "1234.5678");
    assert_prints(f64(0.1), "0.1");
    assert_prints(f64(0.1 + 0.2), "0.30000000000000004");
    assert_prints(f64(-0.0), "0");
    assert_prints(f64(1e16), "10000000000000000");
    assert_prints(f64(1e17), "1e17");
    assert_prints(f64(9007199254740993.0), "9007199254740992");
    assert_prints(f64(DBL_MAX), "1.7976931348623157e308");
    assert_prints(f64(5e-324), "5e-324");
    assert_prints(f64(DBL_MIN), "2.2250738585072014e-308");
    assert_prints(f64(9.5e-8), "9.5e-8");
    /* A power of two whose nearest 16 digits do not read back, but the next ones above do (2^-44). */
    assert_prints(f64(ldexp(1, -44)), "5.684341886080802e-14");
}

static void what_is_no_number_prints_null(void **state)
{
    (void)state;
    assert_prints(f32(NAN), "null");
    assert_prints(f64(-INFINITY), "null");
    assert_prints((struct gw_value){.kind = GW_NONE}, "null");
}

/* Drops the last digit of the text's mantissa, rounding down or up; says whether either reads back as x. */
static bool is_longer_than_needed(double x, bool is_float32)
{
    int64_t digits;
    int32_t exp10;

    gw_number_digits(x, is_float32, &digits, &exp10);
    for (int64_t candidate = digits / 10 - 1; candidate <= digits / 10 + 1; candidate++) {
        char text[GW_NUMBER_TEXT];

        snprintf(text, sizeof text, "%llde%d", (long long)candidate, exp10 + 1);
        if (is_float32 ? strtof(text, NULL) == (float)x : strtod(text, NULL) == x)
            return true;
    }
    return false;
}

static void any_float32_reads_back_and_is_shortest(void **state)
{
    struct test_random random = test_random_start();

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)test_random_next(&random);
        char text[GW_NUMBER_TEXT];
        float x;

        if (i % 8 == 0)
            bits &= 0xFF800000u; /* powers of 2 */
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        gw_number_print(&(struct gw_value){.kind = GW_FLOAT32, .f32 = x}, text);

        if (strtof(text, NULL) != x || (x != 0 && is_longer_than_needed(x, true)))
            fail_msg("0x%08x printed as %s", bits, text);
    }
}

static void any_float64_reads_back_and_is_shortest(void **state)
{
    struct test_random random = test_random_start();

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = test_random_next(&random);
        char text[GW_NUMBER_TEXT];
        double x;

        if (i % 8 == 0)
            bits &= 0xFFF0000000000000u;
        memcpy(&x, &bits, sizeof x);
        if (i % 8 == 1)
            x = (double)(int64_t)(bits >> 40) / 1000; /* numbers as they occur in a plant */
        if (!isfinite(x))
            continue;
        gw_number_print(&(struct gw_value){.kind = GW_FLOAT64, .f64 = x}, text);

        if (strtod(text, NULL) != x || (x != 0 && is_longer_than_needed(x, false)))
            fail_msg("0x%016llx printed as %s", (unsigned long long)bits, text);
    }
}

static void any_decimal_text_parses_back_exactly(void **state)
{
    struct test_random random = test_random_start();

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct gw_decimal decimal = {
            (int64_t)(test_random_next(&random) >> (1 + test_random_below(&random, 63))),
            (int32_t)test_random_below(&random, 37) - 18,
        };
        struct gw_decimal parsed;
        char text[GW_NUMBER_TEXT], again[GW_NUMBER_TEXT];

        gw_number_print(&(struct gw_value){.kind = GW_DECIMAL, .dec = decimal}, text);
        if (gw_decimal_parse(text, &parsed) != GW_OK)
            fail_msg("%s was refused", text);
        gw_number_print(&(struct gw_value){.kind = GW_DECIMAL, .dec = parsed}, again);

        assert_string_equal(again, text);
        assert_true(gw_decimal_to_double(parsed) == strtod(text, NULL));
        assert_true(gw_decimal_to_double(decimal) == strtod(text, NULL));
    }
}

static void decimals_are_parsed_exactly(void **state)
{
    static const struct {
        const char *text;
        int64_t digits;
        int32_t exp10;
    } rows[] = {
        {"0", 0, 0},
        {"-0.00", 0, 0},
        {"0.1", 1, -1},
        {"+12.50", 125, -1},
        {"-273.15", -27315, -2},
        {"1e3", 1, 3},
        {"1.5E-4", 15, -5},
        {"100", 1, 2},
        {"1e20", 100, 18},
        {"0.000000000000000001", 1, -18},
        {"10e-19", 1, -18},
        {"9223372036854775807", INT64_MAX, 0},
        {"00007", 7, 0},
        {"1.0000000000000000000000000", 1, 0},
        {"0e99999999999999999999", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct gw_decimal decimal = {77, 77};

        if (gw_decimal_parse(rows[i].text, &decimal) != GW_OK)
            fail_msg("%s was refused", rows[i].text);
        if (decimal.digits != rows[i].digits || decimal.exp10 != rows[i].exp10)
            fail_msg("%s became %lld e %d", rows[i].text, (long long)decimal.digits, decimal.exp10);
    }
}

static void what_is_no_decimal_or_does_not_fit_is_refused(void **state)
{
    static const struct {
        const char *text;
        enum gw_err err;
    } rows[] = {
        {"", GW_E_CONFIG},
        {"-", GW_E_CONFIG},
        {".5", GW_E_CONFIG},
        {"5.", GW_E_CONFIG},
        {"1e", GW_E_CONFIG},
        {"1e+", GW_E_CONFIG},
        {"1.2.3", GW_E_CONFIG},
        {"0x10", GW_E_CONFIG},
        {"1 ", GW_E_CONFIG},
        {" 1", GW_E_CONFIG},
        {"nan", GW_E_CONFIG},
        {"1,5", GW_E_CONFIG},
        {"--1", GW_E_CONFIG},
        {"9223372036854775808", GW_E_RANGE},
        {"1e-19", GW_E_RANGE},
        {"1e37", GW_E_RANGE},
        {"1.00000000000000000001", GW_E_RANGE},
        {"1e999999999999", GW_E_RANGE},
        {"1e-999999999999", GW_E_RANGE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct gw_decimal decimal = {77, 7};
        enum gw_err err = gw_decimal_parse(rows[i].text, &decimal);

        if (err != rows[i].err)
            fail_msg("\"%s\": %s", rows[i].text, gw_err_str(err));
        assert_int_equal(decimal.digits, 77);
    }
}

static void every_kind_becomes_its_double(void **state)
{
    (void)state;
    assert_true(gw_value_to_double(&(struct gw_value){.kind = GW_BOOL, .b = true}) == 1);
    assert_true(gw_value_to_double(&(struct gw_value){.kind = GW_INT, .i = -5}) == -5);
    assert_true(gw_value_to_double(&(struct gw_value){.kind = GW_UINT, .u = UINT64_MAX}) == 0x1p64);
    struct gw_value decimal = dec(2301, -1), single = f32(0.5f), two = f64(2.25);
    assert_true(gw_value_to_double(&decimal) == 230.1);
    assert_true(gw_value_to_double(&single) == 0.5);
    assert_true(gw_value_to_double(&two) == 2.25);
    assert_true(isnan(gw_value_to_double(&(struct gw_value){.kind = GW_NONE})));
}

/* Makes a locale with a decimal comma of the sources that come with the system, where none is installed. */
static bool set_german(char *folder)
{
    char command[160];

    if (setlocale(LC_ALL, "de_DE.UTF-8"))
        return true;
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>&1", folder);
    if (system(command) != 0 || setenv("LOCPATH", folder, 1) != 0)
        return false;
    return setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
    char folder[] = "/tmp/field2mqtt-locale-XXXXXX", command[64], with_comma[16];
    struct gw_decimal decimal;

    (void)state;
    assert_true(set_german(folder));
    snprintf(with_comma, sizeof with_comma, "%.1f", 0.5);
    assert_string_equal(with_comma, "0,5");
    assert_prints(f64(1234.5678), "1234.5678");
    assert_prints(f32(230.1f), "230.1");
    assert_int_equal(gw_decimal_parse("12345678901234567.5", &decimal), GW_OK);
    assert_true(gw_decimal_to_double(decimal) == 12345678901234568.0);
    setlocale(LC_ALL, "C");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_print_all_their_digits),
        cmocka_unit_test(decimals_print_exactly_and_without_trailing_zeros),
        cmocka_unit_test(a_float32_prints_as_float32),
        cmocka_unit_test(a_float64_prints_the_shortest_text_that_reads_back),
        cmocka_unit_test(what_is_no_number_prints_null),
        cmocka_unit_test(any_float32_reads_back_and_is_shortest),
        cmocka_unit_test(any_float64_reads_back_and_is_shortest),
        cmocka_unit_test(any_decimal_text_parses_back_exactly),
        cmocka_unit_test(decimals_are_parsed_exactly),
        cmocka_unit_test(what_is_no_decimal_or_does_not_fit_is_refused),
        cmocka_unit_test(every_kind_becomes_its_double),
        cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
