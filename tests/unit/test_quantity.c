/* Durations, sizes and deadbands. Expected: SI and IEC 80000-13 prefixes, and the notation of driver.h. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/quantity.h"
#include "gateway/server_url.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static void durations_are_microseconds(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"500us", 500},
        {"20ms", 20000},
        {"10s", 10000000},
        {"5m", 300000000},
        {"2h", INT64_C(7200000000)},
        {"7d", INT64_C(604800000000)},
        {"0s", 0},
        {"007s", 7000000},
        {"106751991d", INT64_C(9223372022400000000)},
    };
    char why[GW_QUANTITY_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = -1;

        assert_int_equal(gw_duration_parse(rows[i].text, &us, why), GW_OK);
        assert_int_equal(us, rows[i].us);
    }
}

static void sizes_are_bytes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } rows[] = {{"512B", 512},
                {"64KiB", 65536},
                {"10MB", 10000000},
                {"1kB", 1000},
                {"1MiB", 1048576},
                {"2GB", INT64_C(2000000000)},
                {"3GiB", INT64_C(3221225472)}};
    char why[GW_QUANTITY_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t bytes = -1;

        assert_int_equal(gw_size_parse(rows[i].text, &bytes, why), GW_OK);
        assert_int_equal(bytes, rows[i].bytes);
    }
}

static void what_is_not_quite_a_quantity_is_told_what_it_should_be(void **state)
{
    static const struct {
        const char *text, *why;
        enum gw_err (*parse)(const char *, int64_t *, char *);
    } rows[] = {
        {"500", "has no unit; write 500ms, 500s or 500m", gw_duration_parse},
        {"10sec", "is not a duration; did you mean \"10s\"?", gw_duration_parse},
        {"10 s", "is not a duration; did you mean \"10s\"?", gw_duration_parse},
        {"2 Minutes", "is not a duration; did you mean \"2m\"?", gw_duration_parse},
        {"1.5s", "is not a duration; did you mean \"1500ms\"?", gw_duration_parse},
        {"0.0000001s", "is not a duration; write it like 500us, 20ms, 10s, 5m, 2h or 7d",
         gw_duration_parse},
        {"5 apples", "is not a duration; write it like 500us, 20ms, 10s, 5m, 2h or 7d",
         gw_duration_parse},
        {"soon", "is not a duration; write it like 500us, 20ms, 10s, 5m, 2h or 7d",
         gw_duration_parse},
        {"-5s", "is not a duration; write it like 500us, 20ms, 10s, 5m, 2h or 7d",
         gw_duration_parse},
        {"", "is not a duration; write it like 500us, 20ms, 10s, 5m, 2h or 7d", gw_duration_parse},
        {"106751992d", "is too large", gw_duration_parse},
        {"99999999999999999999s", "is too large", gw_duration_parse},
        {"64M", "is not a size; did you mean \"64MiB\"?", gw_size_parse},
        {"64mb", "is not a size; did you mean \"64MB\"?", gw_size_parse},
        {"100", "has no unit; write 100B, 100KiB or 100MiB", gw_size_parse},
    };
    char why[GW_QUANTITY_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t amount = 77;

        assert_int_equal(rows[i].parse(rows[i].text, &amount, why), GW_E_CONFIG);
        assert_string_equal(why, rows[i].why);
        assert_int_equal(amount, 77);
    }
}

static void quantities_print_in_their_largest_whole_unit(void **state)
{
    char buf[GW_QUANTITY_TEXT];

    (void)state;
    gw_duration_text(1500000, buf);
    assert_string_equal(buf, "1500ms");
    gw_duration_text(INT64_C(604800000000), buf);
    assert_string_equal(buf, "7d");
    gw_duration_text(0, buf);
    assert_string_equal(buf, "0s");
    gw_size_text(65536, buf);
    assert_string_equal(buf, "64KiB");
    gw_size_text(1000000, buf);
    assert_string_equal(buf, "1MB");
    gw_size_text(0, buf);
    assert_string_equal(buf, "0B");
}

static void a_deadband_is_a_percentage_or_an_amount(void **state)
{
    double amount;
    bool is_percent;
    char unit[GW_UNIT_MAX], why[GW_QUANTITY_WHY];

    (void)state;
    assert_int_equal(gw_deadband_parse("0.5%", &amount, &is_percent, unit, why), GW_OK);
    assert_true(amount == 0.5 && is_percent && unit[0] == '\0');
    assert_int_equal(gw_deadband_parse("1 V", &amount, &is_percent, unit, why), GW_OK);
    assert_true(amount == 1 && !is_percent);
    assert_string_equal(unit, "V");
    assert_int_equal(gw_deadband_parse("0.1", &amount, &is_percent, unit, why), GW_OK);
    assert_true(amount == 0.1 && !is_percent && unit[0] == '\0');
    assert_int_equal(gw_deadband_parse("-1", &amount, &is_percent, unit, why), GW_E_CONFIG);
    assert_string_equal(why, "must not be negative");
    assert_int_equal(gw_deadband_parse("much", &amount, &is_percent, unit, why), GW_E_CONFIG);
    assert_int_equal(gw_deadband_parse("", &amount, &is_percent, unit, why), GW_E_CONFIG);
    assert_int_equal(gw_deadband_parse("1.2.3", &amount, &is_percent, unit, why), GW_E_CONFIG);
}

static void servers_have_a_host_and_a_port(void **state)
{
    static const struct {
        const char *text, *host;
        int port;
        bool is_tls, is_loopback;
    } rows[] = {
        {"mqtt://broker.example", "broker.example", 1883, false, false},
        {"mqtts://broker.example:443/", "broker.example", 443, true, false},
        {"mqtt://127.0.0.1:18830", "127.0.0.1", 18830, false, true},
        {"mqtts://[::1]", "::1", 8883, true, true},
        {"mqtt://[fe80::1%eth0]:1", "fe80::1%eth0", 1, false, false},
        {"mqtt://LOCALHOST", "LOCALHOST", 1883, false, true},
    };
    char why[GW_SERVER_URL_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct gw_server_url url;

        assert_int_equal(gw_server_url_parse(rows[i].text, &url, why), GW_OK);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.is_tls, rows[i].is_tls);
        assert_int_equal(gw_server_is_loopback(&url), rows[i].is_loopback);
    }
}

static void what_is_no_server_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "mqtt",
        "mqtt://",
        "mqtt://:1883",
        "mqtt://[::1",
        "mqtt://[]",
        "mqtt://h:",
        "mqtt://h:0",
        "mqtt://h:65536",
        "mqtt://h:99999999999999999999",
        "mqtt://h:1x",
        "mqtt://h/a",
        "mqtt://h?x",
        "mqtt://u:p@h",
        "http://h",
        "ws://h",
        "mqtt://a b",
    };
    char why[GW_SERVER_URL_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct gw_server_url url;

        why[0] = '\0';
        assert_int_equal(gw_server_url_parse(texts[i], &url, why), GW_E_CONFIG);
        assert_true(why[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_microseconds),
        cmocka_unit_test(sizes_are_bytes),
        cmocka_unit_test(what_is_not_quite_a_quantity_is_told_what_it_should_be),
        cmocka_unit_test(quantities_print_in_their_largest_whole_unit),
        cmocka_unit_test(a_deadband_is_a_percentage_or_an_amount),
        cmocka_unit_test(servers_have_a_host_and_a_port),
        cmocka_unit_test(what_is_no_server_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
