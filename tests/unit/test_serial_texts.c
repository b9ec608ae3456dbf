/* Texts of instruments, taken apart: JSON and its pointers (RFC 8259, RFC 6901: the examples of its section 5 among them),
 * numbers, hexadecimal digits, degrees and minutes as NMEA 0183 has them, BCD, dates and times (ISO 8601). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/serial/number.h"
#include "drivers/serial/place.h"

#define SLICE(text) ((struct serial_slice){(const uint8_t *)(text), strlen(text)})

static void json_values_are_found_by_their_pointers(void **state)
{
    static const char rfc[] = "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"m~n\":8}";
    static const struct {
        const char *text, *pointer, *found;
        bool is_text;
    } rows[] = {
        {rfc, "/foo/0", "bar", true},
        {rfc, "/foo/1", "baz", true},
        {rfc, "/foo", "[\"bar\",\"baz\"]", false},
        {rfc, "/", "0", false},
        {rfc, "/a~1b", "1", false},
        {rfc, "/c%d", "2", false},
        {rfc, "/m~0n", "8", false},
        {rfc, "/foo/2", NULL, false},
        {rfc, "/foo/x", NULL, false},
        {rfc, "/fo", NULL, false},
        {rfc, "/foobar", NULL, false},
        {rfc, "/a", NULL, false},
        {" [ -0.5e+3 , true , null , { } , [ ] , 1E-2 ] ", "/0", "-0.5e+3", false},
        {" [ -0.5e+3 , true , null , { } , [ ] , 1E-2 ] ", "/1", "true", false},
        {" [ -0.5e+3 , true , null , { } , [ ] , 1E-2 ] ", "/5", "1E-2", false},
        {"{\"a\\\"b\":\"c\\\\d\"}", "/a\\\"b", "c\\\\d", true},
        {"17", "", "17", false},
        {"\t{\"a\":\r\n{\"b\":false}}", "/a/b", "false", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct serial_slice found = {0};
        bool is_text = false;
        bool is_found = serial_json_find(rows[i].pointer, (const uint8_t *)rows[i].text,
                                         strlen(rows[i].text), &found, &is_text);

        if (is_found != (rows[i].found != NULL))
            fail_msg("%s of %s: %d", rows[i].pointer, rows[i].text, is_found);
        if (!is_found)
            continue;
        assert_int_equal(found.len, strlen(rows[i].found));
        assert_memory_equal(found.p, rows[i].found, found.len);
        assert_int_equal(is_text, rows[i].is_text);
    }
}

static void a_text_that_is_no_json_to_its_end_has_no_values(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":1",
                                        "{\"a\":1,}",
                                        "{\"a\" 1}",
                                        "{a:1}",
                                        "{\"a\":1]",
                                        "[1",
                                        "[1,]",
                                        "[1 2]",
                                        "{\"a\":01}",
                                        "{\"a\":1.}",
                                        "{\"a\":1e}",
                                        "{\"a\":-}",
                                        "{\"a\":1e+}",
                                        "{\"a\":.5}",
                                        "{\"a\":+1}",
                                        "{\"a\":tru",
                                        "{\"a\":\"b",
                                        "{\"a\":\"\\",
                                        "{\"a\":\"\n\"}",
                                        "{\"a\":1} x",
                                        "{\"a\":nul",
                                        "{\"a\":1}}",
                                        "{\"a\":1,\"b\"}"};
    char deep[200];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct serial_slice found;
        bool is_text;

        if (serial_json_find("/a", (const uint8_t *)texts[i], strlen(texts[i]), &found, &is_text))
            fail_msg("found in %s", texts[i]);
    }
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    struct serial_slice found;
    bool is_text;
    assert_false(serial_json_find("", (const uint8_t *)deep, sizeof deep, &found, &is_text));
}

static void numbers_are_read_as_they_are_written(void **state)
{
    static const struct {
        const char *text;
        bool comma, is_good;
        int64_t digits;
        int32_t exp10;
    } rows[] = {
        {"12.50", false, true, 1250, -2},
        {" + 0012.5 ", false, true, 125, -1},
        {"-7", false, true, -7, 0},
        {"12.5-", false, true, -125, -1},
        {"12,5", true, true, 125, -1},
        {"12,5", false, false, 0, 0},
        {"1.5E+3", false, true, 15, 2},
        {"1.5e-03", false, true, 15, -4},
        {"2e99", false, true, 2, 99},
        {"2e100", false, false, 0, 0},
        {"2e", false, false, 0, 0},
        {"2e-", false, false, 0, 0},
        {"2e1x", false, false, 0, 0},
        {"2x", false, false, 0, 0},
        {"1.2.3", false, false, 0, 0},
        {".", false, false, 0, 0},
        {".5", false, true, 5, -1},
        {"", false, false, 0, 0},
        {"-", false, false, 0, 0},
        {"\r\n 42\t\v\f", false, true, 42, 0},
        {"000000000000000000000000123", false, true, 123, 0},
        {"123456789012345678", false, true, 123456789012345678, 0},
        {"1234567890123456789", false, false, 0, 0},
        {"OL", false, false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t digits = 0;
        int32_t exp10 = 0;
        bool is_good = serial_parse_number(SLICE(rows[i].text), rows[i].comma, &digits, &exp10);

        if (is_good != rows[i].is_good || digits != rows[i].digits || exp10 != rows[i].exp10)
            fail_msg("\"%s\": %d, %lld e %d", rows[i].text, is_good, (long long)digits, exp10);
    }
}

static void hexadecimal_digits_are_at_most_sixteen(void **state)
{
    uint64_t value = 0;

    (void)state;
    assert_true(serial_parse_hex(SLICE(" 00fFA9 "), &value));
    assert_int_equal(value, 0xFFA9);
    assert_true(serial_parse_hex(SLICE("FFFFFFFFFFFFFFFF"), &value));
    assert_true(value == UINT64_MAX);
    assert_false(serial_parse_hex(SLICE("10000000000000000"), &value));
    assert_false(serial_parse_hex(SLICE(""), &value));
    assert_false(serial_parse_hex(SLICE("12g4"), &value));
}

/* 4916.45 is 49 degrees and 16.45 minutes. */
static void degrees_and_minutes_become_degrees(void **state)
{
    static const char *const wrong[] = {"4960.00", "18100.0", "-4916.45",     "4916.45e3",
                                        "",        "N",       "1.00000000000"};
    double degrees = 0;

    (void)state;
    assert_true(serial_parse_degrees(SLICE("4916.45"), &degrees));
    assert_true(fabs(degrees - (49 + 16.45 / 60)) < 1e-9);
    assert_true(serial_parse_degrees(SLICE("18000"), &degrees));
    assert_true(fabs(degrees - (180)) < 1e-9);
    assert_true(serial_parse_degrees(SLICE("00030.0"), &degrees));
    assert_true(fabs(degrees - (0.5)) < 1e-9);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (serial_parse_degrees(SLICE(wrong[i]), &degrees))
            fail_msg("%s", wrong[i]);
}

static void bytes_join_and_bcd_counts_in_both_orders(void **state)
{
    static const uint8_t bytes[] = {0x12, 0x34, 0x56}, minus[] = {0x80, 0x15}, wrong[] = {0x1A},
                         high[] = {0xA1}, long_one[10] = {0};
    int64_t value = 0;

    (void)state;
    assert_int_equal(serial_join(bytes, 3, SERIAL_BIG), 0x123456);
    assert_int_equal(serial_join(bytes, 3, SERIAL_LITTLE), 0x563412);
    assert_true(serial_parse_bcd((struct serial_slice){bytes, 3}, SERIAL_BIG, false, &value));
    assert_int_equal(value, 123456);
    assert_true(serial_parse_bcd((struct serial_slice){bytes, 3}, SERIAL_LITTLE, false, &value));
    assert_int_equal(value, 563412);
    assert_true(serial_parse_bcd((struct serial_slice){minus, 2}, SERIAL_BIG, true, &value));
    assert_int_equal(value, -15);
    assert_true(serial_parse_bcd((struct serial_slice){minus, 2}, SERIAL_BIG, false, &value));
    assert_int_equal(value, 8015);
    assert_false(serial_parse_bcd((struct serial_slice){wrong, 1}, SERIAL_BIG, false, &value));
    assert_false(serial_parse_bcd((struct serial_slice){high, 1}, SERIAL_BIG, false, &value));
    assert_false(serial_parse_bcd((struct serial_slice){bytes, 0}, SERIAL_BIG, false, &value));
    assert_false(serial_parse_bcd((struct serial_slice){long_one, 10}, SERIAL_BIG, false, &value));
}

static void times_become_iso_8601_or_nothing(void **state)
{
    static const struct {
        const char *text, *format, *zone, *iso; /* iso NULL: it is no moment */
    } rows[] = {
        {"261128083015", "YYMMDDhhmmss", NULL, "2026-11-28T08:30:15"},
        {"800101", "YYMMDD", NULL, "1980-01-01"},
        {"791231", "YYMMDD", NULL, "2079-12-31"},
        {" 28.11.2026 08:30 ", "DD.MM.YYYY hh:mm", "Z", "2026-11-28T08:30:00Z"},
        {"083015", "hhmmss", "+01:00", "08:30:15+01:00"},
        {"260701120000S", "YYMMDDhhmmss~", "+01:00", "2026-07-01T12:00:00+02:00"},
        {"260101120000W", "YYMMDDhhmmss~", "+01:00", "2026-01-01T12:00:00+01:00"},
        {"260701120000S", "YYMMDDhhmmss~", "-00:30", "2026-07-01T12:00:00+00:30"},
        {"260701120000S", "YYMMDDhhmmss~", "-05:00", "2026-07-01T12:00:00-04:00"},
        {"260701120000S", "YYMMDDhhmmss~", "Z", "2026-07-01T12:00:00Z"},
        {"260701120000X", "YYMMDDhhmmss~", "Z", NULL},
        {"20240229", "YYYYMMDD", NULL, "2024-02-29"},
        {"20000229", "YYYYMMDD", NULL, "2000-02-29"},
        {"20260229", "YYYYMMDD", NULL, NULL},
        {"21000229", "YYYYMMDD", NULL, NULL},
        {"20261301", "YYYYMMDD", NULL, NULL},
        {"20260001", "YYYYMMDD", NULL, NULL},
        {"20260431", "YYYYMMDD", NULL, NULL},
        {"20260400", "YYYYMMDD", NULL, NULL},
        {"00000101", "YYYYMMDD", NULL, NULL},
        {"2400", "hhmm", NULL, NULL},
        {"2360", "hhmm", NULL, NULL},
        {"235960", "hhmmss", NULL, NULL},
        {"12x30", "hh?mm", NULL, "12:30:00"},
        {"12-30", "hh:mm", NULL, NULL},
        {"1a:30", "hh:mm", NULL, NULL},
        {"12:3", "hh:mm", NULL, NULL},
    };
    char buf[40];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = serial_parse_time(SLICE(rows[i].text), rows[i].format, rows[i].zone, buf);

        if (rows[i].iso ? n != strlen(rows[i].iso) || memcmp(buf, rows[i].iso, n) != 0 : n != 0)
            fail_msg("\"%s\" as %s: %.*s", rows[i].text, rows[i].format, (int)n, buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_values_are_found_by_their_pointers),
        cmocka_unit_test(a_text_that_is_no_json_to_its_end_has_no_values),
        cmocka_unit_test(numbers_are_read_as_they_are_written),
        cmocka_unit_test(hexadecimal_digits_are_at_most_sixteen),
        cmocka_unit_test(degrees_and_minutes_become_degrees),
        cmocka_unit_test(bytes_join_and_bcd_counts_in_both_orders),
        cmocka_unit_test(times_become_iso_8601_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
