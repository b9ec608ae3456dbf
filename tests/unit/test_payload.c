/* Payload: the bytes of a message. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "gateway/payload.h"
#include "tests/unit/random.h"
#include "tests/unit/values.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TS           1764000000123LL /* 2025-11-24T16:00:00.123Z */

static const struct gw_map volts = {.scale = {1, 0}, .decimals = -1, .unit = "V"};
static const struct gw_map plain = {.scale = {1, 0}, .decimals = -1};
static const struct gw_enum_name names[] = {{0, "ready"}, {1, "running"}};
static const struct gw_map states = {.scale = {1, 0}, .decimals = -1, .enums = names, .n_enums = 2};

static struct gw_reading good(struct gw_value value)
{
    return (struct gw_reading){.quality = GW_GOOD, .value = value, .acquired_wall_ms = TS};
}

static struct gw_reading bad(const char *reason)
{
    return (struct gw_reading){.quality = GW_BAD, .reason = reason, .acquired_wall_ms = TS};
}

static struct gw_reading named(int64_t raw, const char *name)
{
    struct gw_reading reading = good(INT_(raw));

    reading.enum_name = name;
    return reading;
}

static void assert_payload(const struct gw_publish *publish, const struct gw_map *map,
                           struct gw_reading reading, const char *expected)
{
    char buf[1024];
    size_t len = 0;

    assert_int_equal(gw_payload_point(publish, map, &reading, buf, sizeof buf, &len, NULL), GW_OK);
    assert_string_equal(buf, expected);
    assert_int_equal(len, strlen(expected));
}

static void json_has_value_time_quality_and_unit(void **state)
{
    const struct gw_publish json = {.payload = GW_PAYLOAD_JSON};

    (void)state;
    assert_payload(&json, &volts, good(DEC_(2301, -1)),
                   "{\"value\":230.1,\"ts\":1764000000123,\"quality\":\"good\",\"unit\":\"V\"}");
    assert_payload(&json, &plain, good(BOOL_(true)),
                   "{\"value\":true,\"ts\":1764000000123,\"quality\":\"good\"}");
    assert_payload(&json, &plain, good(UINT_(UINT64_MAX)),
                   "{\"value\":18446744073709551615,\"ts\":1764000000123,\"quality\":\"good\"}");
    assert_payload(&json, &plain,
                   good(TEXT_("a \"b\" \\ \n\x01 \xC2\xB0"
                              "C")),
                   "{\"value\":\"a \\\"b\\\" \\\\ \\u000A\\u0001 \xC2\xB0"
                   "C\",\"ts\":1764000000123,"
                   "\"quality\":\"good\"}");
}

static void a_bad_reading_is_null_with_its_reason(void **state)
{
    const struct gw_publish json = {.payload = GW_PAYLOAD_JSON},
                            value = {.payload = GW_PAYLOAD_VALUE};
    struct gw_reading lying = bad("timeout");

    (void)state;
    assert_payload(
        &json, &volts, bad("timeout"),
        "{\"value\":null,\"ts\":1764000000123,\"quality\":\"bad\",\"reason\":\"timeout\","
        "\"unit\":\"V\"}");
    assert_payload(&json, &states, bad("link"),
                   "{\"value\":null,\"ts\":1764000000123,\"quality\":\"bad\",\"reason\":\"link\"}");
    assert_payload(&value, &volts, bad("timeout"), "null");
    lying.value = INT_(230); /* a bad reading that still carries a number never shows it */
    lying.enum_name = "running";
    assert_payload(&value, &states, lying, "null");
    assert_payload(
        &json, &states, lying,
        "{\"value\":null,\"ts\":1764000000123,\"quality\":\"bad\",\"reason\":\"timeout\"}");
}

static void a_value_with_names_is_always_text(void **state)
{
    const struct gw_publish json = {.payload = GW_PAYLOAD_JSON},
                            value = {.payload = GW_PAYLOAD_VALUE};

    (void)state;
    assert_payload(&json, &states, named(1, "running"),
                   "{\"value\":\"running\",\"raw\":1,\"ts\":1764000000123,\"quality\":\"good\"}");
    assert_payload(&json, &states, good(INT_(3)),
                   "{\"value\":\"3\",\"raw\":3,\"ts\":1764000000123,\"quality\":\"good\"}");
    assert_payload(&value, &states, named(1, "running"), "running");
    assert_payload(&value, &states, good(INT_(3)), "3");
}

static void the_number_behind_the_name_of_a_coil_is_a_number(void **state)
{
    const struct gw_publish json = {.payload = GW_PAYLOAD_JSON},
                            text = {.payload = GW_PAYLOAD_TEMPLATE,
                                    .payload_template = "${value}=${raw}"};
    struct gw_reading open = good(BOOL_(true)), closed = good(BOOL_(false));

    (void)state;
    open.enum_name = "open";
    closed.enum_name = "closed";
    assert_payload(&json, &states, open,
                   "{\"value\":\"open\",\"raw\":1,\"ts\":1764000000123,\"quality\":\"good\"}");
    assert_payload(&text, &states, closed, "closed=0");
    assert_payload(&text, &plain, good(BOOL_(true)),
                   "true=true"); /* without names it is no number */
}

static void value_is_bare(void **state)
{
    const struct gw_publish value = {.payload = GW_PAYLOAD_VALUE};

    (void)state;
    assert_payload(&value, &volts, good(F32_(230.1f)), "230.1");
    assert_payload(&value, &plain, good(BOOL_(false)), "false");
    assert_payload(&value, &plain, good(TEXT_("SN \"1\"")), "SN \"1\"");
    assert_payload(&value, &plain, good(TEXT_("")), "");
}

static void time_can_be_iso8601(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *text;
    } rows[] = {
        /* facts: the IEC 870-5-4 example of a Schneider meter, and well-known instants */
        {1795514712345LL, "2026-11-24T10:05:12.345Z"},
        {0, "1970-01-01T00:00:00.000Z"},
        {951782399999LL, "2000-02-28T23:59:59.999Z"},
        {951782400000LL, "2000-02-29T00:00:00.000Z"},
        {951868800000LL, "2000-03-01T00:00:00.000Z"},
        {4107542400000LL, "2100-03-01T00:00:00.000Z"},
        {1000000000000LL, "2001-09-09T01:46:40.000Z"},
        {2147483648000LL, "2038-01-19T03:14:08.000Z"},
    };
    const struct gw_publish json = {.payload = GW_PAYLOAD_JSON, .time_format = GW_TIME_ISO8601};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct gw_reading reading = good(INT_(1));
        char expected[128];

        reading.acquired_wall_ms = rows[i].wall_ms;
        snprintf(expected, sizeof expected, "{\"value\":1,\"ts\":\"%s\",\"quality\":\"good\"}",
                 rows[i].text);
        assert_payload(&json, &plain, reading, expected);
    }
}

static void any_time_agrees_with_the_calendar_of_the_c_library(void **state)
{
    struct test_random random = test_random_start();
    const struct gw_publish publish = {.payload = GW_PAYLOAD_TEMPLATE,
                                       .payload_template = "${time}"};

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct gw_reading reading = good(INT_(1));
        char expected[64];
        struct tm tm;
        time_t seconds;

        reading.acquired_wall_ms = (int64_t)test_random_below(&random, 253402300800000u);
        seconds = (time_t)(reading.acquired_wall_ms / 1000);
        gmtime_r(&seconds, &tm);
        size_t n = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + n, sizeof expected - n, ".%03dZ",
                 (int)(reading.acquired_wall_ms % 1000));
        assert_payload(&publish, &plain, reading, expected);
    }
}

static void a_template_is_filled_in(void **state)
{
    struct gw_publish publish = {.payload = GW_PAYLOAD_TEMPLATE,
                                 .payload_template = "${value} ${unit}"};

    (void)state;
    assert_payload(&publish, &volts, good(DEC_(2301, -1)), "230.1 V");
    assert_payload(&publish, &plain, bad("timeout"), "null ");
    publish.payload_template = "${ts};${time};${quality};${reason};${raw}";
    assert_payload(&publish, &plain, good(TEXT_("a\"b")),
                   "1764000000123;2025-11-24T16:00:00.123Z;good;;a\"b");
    assert_payload(&publish, &plain, bad("busy"),
                   "1764000000123;2025-11-24T16:00:00.123Z;bad;busy;null");
    publish.payload_template = "${value}=${raw}";
    assert_payload(&publish, &states, named(1, "running"), "running=1");
    publish.payload_template = "$ $$ ${ ${nothing} {value}";
    assert_payload(&publish, &plain, good(INT_(1)), "$ $$ ${ ${nothing} {value}");
}

static void a_template_that_looks_like_json_stays_json(void **state)
{
    struct gw_publish publish = {.payload = GW_PAYLOAD_TEMPLATE,
                                 .payload_template =
                                     " {\"v\": ${value}, \"t\": \"= ${value} ${unit}\"}"};

    (void)state;
    assert_payload(&publish, &volts, good(INT_(5)), " {\"v\": 5, \"t\": \"= 5 V\"}");
    assert_payload(&publish, &plain, good(TEXT_("a\"b")),
                   " {\"v\": \"a\\\"b\", \"t\": \"= a\\\"b \"}");
    assert_payload(&publish, &plain, bad("busy"), " {\"v\": null, \"t\": \"= null \"}");
    assert_payload(&publish, &states, named(1, "running"),
                   " {\"v\": \"running\", \"t\": \"= running \"}");
    publish.payload_template = "[${ts},${time},${quality},${reason},${unit},\"\\\"${unit}\"]";
    assert_payload(&publish, &volts, good(INT_(5)),
                   "[1764000000123,\"2025-11-24T16:00:00.123Z\",\"good\",null,\"V\",\"\\\"V\"]");
}

/* ---- device ------------------------------------------------------------------------------------------- */

static struct gw_point_conf device_point(const char *name, const struct gw_map *map)
{
    static const struct gw_publish per_device = {.per = GW_PER_DEVICE};

    return (struct gw_point_conf){.name = name, .map = map, .publish = &per_device};
}

static void a_device_is_one_object_of_its_points(void **state)
{
    struct gw_point_conf points[] = {
        device_point("voltage", &volts),   device_point("state", &states),
        device_point("frequency", &plain), device_point("own_topic", &plain),
        device_point("reset", &plain),
    };
    const struct gw_publish per_point = {.per = GW_PER_POINT};
    struct gw_device_conf device = {.points = points, .n_points = ARRAY_LEN(points)};
    struct gw_reading readings[] = {
        good(DEC_(2301, -1)), named(1, "running"), bad("timeout"), good(INT_(1)), {0},
    };
    char buf[512];
    size_t len;

    (void)state;
    points[3].publish = &per_point;
    points[4].access = GW_ACCESS_W;
    readings[1].acquired_wall_ms = TS + 7; /* the newest */
    readings[3].acquired_wall_ms = TS + 9; /* not of this message */

    assert_int_equal(gw_payload_device(&device, readings, buf, sizeof buf, &len, NULL), GW_OK);
    assert_string_equal(
        buf, "{\"ts\":1764000000130,\"quality\":\"good\",\"voltage\":230.1,"
             "\"state\":\"running\",\"frequency\":null,\"bad\":{\"frequency\":\"timeout\"}}");
    readings[0] = bad("timeout");
    readings[1] = (struct gw_reading){0};
    device.publish.time_format = GW_TIME_ISO8601;
    assert_int_equal(gw_payload_device(&device, readings, buf, sizeof buf, &len, NULL), GW_OK);
    assert_string_equal(buf,
                        "{\"ts\":\"2025-11-24T16:00:00.123Z\",\"quality\":\"bad\",\"voltage\":null,"
                        "\"state\":null,\"frequency\":null,\"bad\":{\"voltage\":\"timeout\","
                        "\"state\":\"not_read\",\"frequency\":\"timeout\"}}");
}

/* ---- bounds and validity ------------------------------------------------------------------------------ */

static void what_does_not_fit_is_refused_and_nothing_is_written_beyond(void **state)
{
    const struct gw_publish json = {.payload = GW_PAYLOAD_JSON};
    struct gw_reading reading = good(DEC_(2301, -1));
    char whole[256], buf[256];
    size_t len, whole_len;

    (void)state;
    assert_int_equal(
        gw_payload_point(&json, &volts, &reading, whole, sizeof whole, &whole_len, NULL), GW_OK);
    for (size_t size = 0; size < whole_len; size++) {
        memset(buf, 'X', sizeof buf);
        len = 4711;

        assert_int_equal(gw_payload_point(&json, &volts, &reading, buf, size, &len, NULL),
                         GW_E_RANGE);

        assert_int_equal(len, 4711);
        for (size_t i = size; i < sizeof buf; i++)
            assert_int_equal(buf[i], 'X');
    }
    memset(buf, 'X', sizeof buf);
    assert_int_equal(gw_payload_point(&json, &volts, &reading, buf, whole_len, &len, NULL), GW_OK);
    assert_int_equal(len, whole_len);
    assert_memory_equal(buf, whole, whole_len);
    assert_int_equal(buf[whole_len], 'X'); /* no room for a NUL, none written */
}

static struct gw_reading any_reading(struct test_random *random, char text[32])
{
    struct gw_value value = {.kind = (enum gw_kind)(GW_BOOL + test_random_below(random, 7))};
    struct gw_reading reading = good(value);
    uint64_t bits = test_random_next(random);

    if (value.kind == GW_TEXT) {
        size_t len = (size_t)test_random_below(random, 32);

        for (size_t i = 0; i < len; i++) { /* half of it likely UTF-8, all bytes possible */
            text[i] = (char)test_random_next(random);
            if (test_random_below(random, 2))
                text[i] = "\xC3\xA9\"\\ a\n\xE2"[i % 8];
        }
        reading.value.text.p = text;
        reading.value.text.len = len;
    } else if (value.kind == GW_BOOL) {
        reading.value.b = bits & 1;
    } else if (value.kind == GW_DECIMAL) {
        reading.value.dec =
            (struct gw_decimal){(int64_t)bits, (int32_t)test_random_below(random, 37) - 18};
    } else {
        memcpy(&reading.value.u, &bits, sizeof bits);
    }
    if (test_random_below(random, 4) == 0)
        reading = bad("timeout");
    reading.acquired_wall_ms = (int64_t)test_random_next(random) >> test_random_below(random, 64);
    return reading;
}

static json_t *parse(const char *buf, size_t len)
{
    json_error_t error;
    json_t *root = json_loadb(
        buf, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);

    if (!root)
        fail_msg("not JSON: %s: %.*s", error.text, (int)len, buf);
    return root;
}

static void any_reading_gives_valid_json(void **state)
{
    static const char *const templates[] = {
        "{\"v\":${value},\"r\":${raw},\"u\":${unit},\"t\":${time},\"s\":${ts},\"q\":${quality},"
        "\"w\":${reason}}",
        "{\"v\":\"${value}\",\"r\":\"${raw} "
        "${unit}\",\"t\":\"${time}${ts}\",\"q\":\"${quality}${reason}\\\\\"}",
        "[${value}]",
    };
    const struct gw_map maps[] = {volts, plain, states};
    struct test_random random = test_random_start();

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct gw_publish publish = {.time_format =
                                         (enum gw_time_format)test_random_below(&random, 2)};
        const struct gw_map *map = &maps[test_random_below(&random, ARRAY_LEN(maps))];
        char text[32], buf[1024];
        struct gw_reading reading = any_reading(&random, text);
        size_t len;
        json_t *root;

        if (test_random_below(&random, 2)) {
            publish.payload = GW_PAYLOAD_TEMPLATE;
            publish.payload_template = templates[test_random_below(&random, ARRAY_LEN(templates))];
        }
        assert_int_equal(gw_payload_point(&publish, map, &reading, buf, sizeof buf, &len, NULL),
                         GW_OK);
        root = parse(buf, len);
        if (publish.payload == GW_PAYLOAD_JSON) {
            bool is_null = json_is_null(json_object_get(root, "value"));

            if (reading.quality == GW_BAD)
                assert_true(is_null);
            else if (reading.value.kind == GW_FLOAT32 || reading.value.kind == GW_FLOAT64)
                (void)
                    is_null; /* mapping lets no NaN through; here it may only not break the JSON */
            else
                assert_false(is_null);
        }
        json_decref(root);
    }
}

static void any_text_comes_through_json_unchanged(void **state)
{
    const struct gw_publish json = {.payload = GW_PAYLOAD_JSON};
    char buf[512], text[200];
    size_t n = 0, len;
    struct gw_reading reading;
    json_t *root;

    (void)state;
    for (int c = 0; c < 0x80; c++)
        text[n++] = (char)c;
    memcpy(text + n,
           "\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF",
           21);
    n += 21;
    reading = good((struct gw_value){.kind = GW_TEXT, .text = {text, n}});
    assert_int_equal(gw_payload_point(&json, &plain, &reading, buf, sizeof buf, &len, NULL), GW_OK);
    root = parse(buf, len);
    assert_int_equal(json_string_length(json_object_get(root, "value")), n);
    assert_memory_equal(json_string_value(json_object_get(root, "value")), text, n);
    json_decref(root);
}

static void broken_utf8_is_replaced(void **state)
{
    static const char *const broken[] = {
        "\x80",
        "\xC0\x80",
        "\xC3",
        "\xE0\x9F\xBF",
        "\xED\xA0\x80",
        "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80",
        "\xE2\x82",
    };
    const struct gw_publish json = {.payload = GW_PAYLOAD_JSON};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct gw_reading reading = good(TEXT_(broken[i]));
        char buf[256];
        size_t len;
        json_t *root;

        assert_int_equal(gw_payload_point(&json, &plain, &reading, buf, sizeof buf, &len, NULL),
                         GW_OK);
        root = parse(buf, len);
        assert_memory_equal(json_string_value(json_object_get(root, "value")), "\xEF\xBF\xBD", 3);
        json_decref(root);
    }
}

static void the_places_of_the_number_are_told(void **state)
{
    struct gw_publish publish = {.payload = GW_PAYLOAD_JSON, .has_seq = true};
    const struct gw_map map = {.decimals = -1};
    const struct gw_reading reading = {
        .value = {.kind = GW_INT, .i = 5}, .quality = GW_GOOD, .acquired_wall_ms = 1};
    struct gw_seq_places places;
    char buf[200];
    size_t len;

    (void)state;
    assert_int_equal(gw_payload_point(&publish, &map, &reading, buf, sizeof buf, &len, &places),
                     GW_OK);
    assert_string_equal(buf,
                        "{\"value\":5,\"ts\":1,\"quality\":\"good\",\"seq\":               0}");
    assert_int_equal(places.n, 1);
    assert_int_equal(places.at[0], strlen(buf) - 1 - GW_SEQ_DIGITS);

    publish = (struct gw_publish){.payload = GW_PAYLOAD_TEMPLATE,
                                  .payload_template = "${seq};${value};${seq}"};
    assert_int_equal(gw_payload_point(&publish, &map, &reading, buf, sizeof buf, &len, &places),
                     GW_OK);
    assert_int_equal(places.n, 2);
    assert_int_equal(places.at[0], 0);
    assert_int_equal(places.at[1], GW_SEQ_DIGITS + 3);
    assert_memory_equal(buf + GW_SEQ_DIGITS, ";5;", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_places_of_the_number_are_told),
        cmocka_unit_test(json_has_value_time_quality_and_unit),
        cmocka_unit_test(a_bad_reading_is_null_with_its_reason),
        cmocka_unit_test(a_value_with_names_is_always_text),
        cmocka_unit_test(the_number_behind_the_name_of_a_coil_is_a_number),
        cmocka_unit_test(value_is_bare),
        cmocka_unit_test(time_can_be_iso8601),
        cmocka_unit_test(any_time_agrees_with_the_calendar_of_the_c_library),
        cmocka_unit_test(a_template_is_filled_in),
        cmocka_unit_test(a_template_that_looks_like_json_stays_json),
        cmocka_unit_test(a_device_is_one_object_of_its_points),
        cmocka_unit_test(what_does_not_fit_is_refused_and_nothing_is_written_beyond),
        cmocka_unit_test(any_reading_gives_valid_json),
        cmocka_unit_test(any_text_comes_through_json_unchanged),
        cmocka_unit_test(broken_utf8_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
